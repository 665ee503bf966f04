package agi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// The spool's folders.
const (
	folderPending  = "pending"  // ends that no engine has acknowledged
	folderInbox    = "inbox"    // ends that the dialplan wrote itself because the agent did not answer
	folderRejected = "rejected" // ends that no engine will ever take, each with the reason
	folderLive     = "live"     // state of live calls (table)
)

const temporarySuffix = ".tmp"

// endRecord is the end of one call as it lies in the spool: everything call.end needs, with a session and without.
type endRecord struct {
	CallID       string        `json:"call_id"`
	Session      string        `json:"session,omitempty"`
	Channel      string        `json:"channel,omitempty"`
	Trunk        string        `json:"trunk,omitempty"`
	Caller       string        `json:"caller,omitempty"`
	Called       string        `json:"called,omitempty"`
	Presentation string        `json:"presentation,omitempty"`
	StartedAt    time.Time     `json:"started_at"`
	AnsweredAt   time.Time     `json:"answered_at,omitzero"`
	EndedAt      time.Time     `json:"ended_at"`
	Talk         time.Duration `json:"talk,omitempty"`
	Cause        int           `json:"cause"`
	HangupSource string        `json:"hangup_source,omitempty"`
	Fallback     bool          `json:"fallback,omitempty"`
	Results      []result      `json:"results,omitempty"`
	Reason       string        `json:"reason,omitempty"` // in rejected: why
}

// spool keeps ends of calls on disk, one file per call, until they are delivered.
type spool struct{ folder string }

func openSpool(folder string) (*spool, error) {
	for _, name := range []string{folderPending, folderInbox, folderRejected} {
		if err := os.MkdirAll(filepath.Join(folder, name), 0o770); err != nil {
			return nil, fmt.Errorf("couldn't make the spool: %w", err)
		}
	}
	s := &spool{folder: folder}
	pending := filepath.Join(folder, folderPending)
	entries, err := os.ReadDir(pending)
	if err != nil {
		return nil, fmt.Errorf("couldn't read the spool: %w", err)
	}
	for _, e := range entries {
		// Torn by a crash before it was acknowledged: the dialplan wrote the end to the inbox instead.
		if strings.HasSuffix(e.Name(), temporarySuffix) {
			if err := os.Remove(filepath.Join(pending, e.Name())); err != nil {
				return nil, fmt.Errorf("couldn't clear the spool: %w", err)
			}
		}
	}
	return s, nil
}

// add makes an end durable: when it returns nil, the record survives a power cut.
func (s *spool) add(r *endRecord) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("couldn't encode the end of %s: %w", r.CallID, err)
	}
	if err := writeDurably(filepath.Join(s.folder, folderPending), fileName(r.CallID), data); err != nil {
		return fmt.Errorf("couldn't spool the end of %s: %w", r.CallID, err)
	}
	return nil
}

// pending lists the names of the undelivered ends, oldest first.
func (s *spool) pending() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.folder, folderPending))
	if err != nil {
		return nil, fmt.Errorf("couldn't read the spool: %w", err)
	}
	type aged struct {
		name string
		at   time.Time
	}
	list := make([]aged, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || strings.HasSuffix(e.Name(), temporarySuffix) {
			continue
		}
		list = append(list, aged{e.Name(), info.ModTime()})
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].at.Before(list[j].at) })
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.name
	}
	return names, nil
}

func (s *spool) has(callID string) bool {
	_, err := os.Stat(filepath.Join(s.folder, folderPending, fileName(callID)))
	return err == nil
}

// load reads a pending end. fs.ErrNotExist: it was delivered meanwhile.
func (s *spool) load(name string) (*endRecord, error) {
	data, err := os.ReadFile(filepath.Join(s.folder, folderPending, name))
	if err != nil {
		return nil, fmt.Errorf("couldn't read a spooled end: %w", err)
	}
	r := &endRecord{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("spooled end %s is damaged: %w", name, err)
	}
	return r, nil
}

// done forgets an end that an engine has.
func (s *spool) done(name string) error {
	err := os.Remove(filepath.Join(s.folder, folderPending, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("couldn't remove a delivered end: %w", err)
	}
	return nil
}

// reject moves an end aside, durably, with the reason in it; from is folderPending or folderInbox.
func (s *spool) reject(from, name string, r *endRecord, reason string) error {
	source := filepath.Join(s.folder, from, name)
	data, err := os.ReadFile(source)
	if err != nil {
		return fmt.Errorf("couldn't read an end to reject: %w", err)
	}
	if r != nil {
		r.Reason = reason
		if data, err = json.MarshalIndent(r, "", "  "); err != nil {
			return fmt.Errorf("couldn't encode the end of %s: %w", r.CallID, err)
		}
	} else {
		data = append(data, "\n# "+reason+"\n"...)
	}
	if err := writeDurably(filepath.Join(s.folder, folderRejected), name, data); err != nil {
		return fmt.Errorf("couldn't move an end to %s: %w", folderRejected, err)
	}
	return os.Remove(source)
}

// fileName is the file of a call: readable, and safe whatever the call id is.
func fileName(callID string) string {
	var b strings.Builder
	for i := range len(callID) {
		c := callID[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() > 200 {
		sum := sha256.Sum256([]byte(callID))
		return hex.EncodeToString(sum[:]) + ".json"
	}
	return b.String() + ".json"
}

// writeDurably makes folder/name hold data so that it survives a power cut: file synced, renamed into place, folder synced.
func writeDurably(folder, name string, data []byte) error {
	f, err := os.CreateTemp(folder, "*"+temporarySuffix)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(folder, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

// replaceFile is writeDurably without the syncs: whole or not at all, for those who outlive the process only.
func replaceFile(path string, data []byte) error {
	if err := os.WriteFile(path+temporarySuffix, data, 0o640); err != nil {
		return err
	}
	return os.Rename(path+temporarySuffix, path)
}
