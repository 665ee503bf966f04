package agi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

const (
	maxCalls = 1024           // far over what a node can carry, and what a heartbeat may list
	maxAge   = 48 * time.Hour // a call older than that has ended without telling
)

// call is the agent's state of one call between two steps. The faces step a call one at a time; mu keeps a stray second request out.
type call struct {
	mu sync.Mutex

	ID           string        `json:"id"`
	Boot         string        `json:"boot,omitempty"` // the start of Asterisk that it belongs to; empty: unknown
	Channel      string        `json:"channel"`
	Trunk        string        `json:"trunk,omitempty"`
	Caller       string        `json:"caller,omitempty"`
	Called       string        `json:"called"`
	Presentation string        `json:"presentation"`
	Began        time.Time     `json:"began"` // when the agent first heard of it
	Session      string        `json:"session,omitempty"`
	Step         int           `json:"step,omitempty"`        // counts the steps handed to the channel
	Pending      []instruction `json:"pending,omitempty"`     // the first is the one that runs now
	Target       int           `json:"target,omitempty"`      // of the connect that runs now
	Results      []result      `json:"results,omitempty"`     // not reported yet
	PickedUpAt   time.Time     `json:"picked_up_at,omitzero"` // the node answered the caller's leg itself
	AnsweredAt   time.Time     `json:"answered_at,omitzero"`  // of the last answered connect that is over
	Talk         time.Duration `json:"talk,omitempty"`        // likewise
	Movable      bool          `json:"movable,omitempty"`     // the connect that runs now has a limit that can be moved
	Conversation *conversation `json:"conversation,omitempty"`
}

// table holds the live calls, bounded, with a copy of each in a folder, so that an agent killed and started again goes on with them.
// The copies are renamed into place but not synced: they need to survive the agent, not the machine.
type table struct {
	folder string
	log    *slog.Logger

	mu    sync.Mutex
	calls map[string]*call
	ended []string // ids of the calls that ended last: a ring
	next  int      // in ended
}

func openTable(folder string, log *slog.Logger, now time.Time) (*table, error) {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return nil, fmt.Errorf("couldn't make the folder of live calls: %w", err)
	}
	t := &table{folder: folder, log: log, calls: map[string]*call{}, ended: make([]string, maxCalls)}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("couldn't read the folder of live calls: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		data, err := os.ReadFile(path)
		c := &call{}
		if err == nil {
			err = json.Unmarshal(data, c)
		}
		if err == nil && (e.Name() != fileName(c.ID) || len(c.Pending) > 0 && checkInstructions(c.Pending) != nil) {
			err = errors.New("not what the agent wrote")
		}
		if err != nil || now.Sub(c.Began) > maxAge {
			if err != nil && !strings.HasSuffix(e.Name(), temporarySuffix) {
				log.Warn("a saved call cannot be used", "file", path, "error", err)
			}
			_ = os.Remove(path)
			continue
		}
		t.calls[c.ID] = c
	}
	return t, nil
}

func (t *table) get(id string) *call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[id]
}

// put adds a call. A full table loses its oldest call, which then goes on by the session on its channel.
func (t *table) put(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.calls[c.ID]; !known && len(t.calls) >= maxCalls {
		var oldest *call
		for _, other := range t.calls {
			if oldest == nil || other.Began.Before(oldest.Began) {
				oldest = other
			}
		}
		t.log.Warn("too many live calls; forgetting the oldest", "call_id", oldest.ID)
		t.forget(oldest.ID)
	}
	t.calls[c.ID] = c
}

// save copies the call to disk. That it fails costs only what a restart of the agent could have resumed.
func (t *table) save(c *call) {
	data, err := json.Marshal(c)
	if err == nil {
		err = replaceFile(filepath.Join(t.folder, fileName(c.ID)), data)
	}
	if err != nil {
		t.log.Warn("couldn't save a live call", "call_id", c.ID, "error", err)
	}
}

// end removes a call and remembers for a while that it has ended.
func (t *table) end(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(id)
	t.ended[t.next] = id
	t.next = (t.next + 1) % len(t.ended)
}

// hasEnded says that the call ended lately. An agent that was frozen reads afterwards what Asterisk had long given up.
func (t *table) hasEnded(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Contains(t.ended, id)
}

// forget removes id from memory and disk; t.mu is held.
func (t *table) forget(id string) {
	delete(t.calls, id)
	if err := os.Remove(filepath.Join(t.folder, fileName(id))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.log.Warn("couldn't remove a saved call", "call_id", id, "error", err)
	}
}

// live lists the calls of this start of Asterisk (empty: unknown), sorted. It forgets those of another start, because Asterisk died with them, and those too
// old to be true.
func (t *table) live(boot string, now time.Time) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := make([]string, 0, len(t.calls))
	for id, c := range t.calls {
		if c.Boot != boot && c.Boot != "" && boot != "" || now.Sub(c.Began) > maxAge {
			t.forget(id)
			continue
		}
		ids = append(ids, id)
	}
	sort.Strings(ids)
	return ids
}

// all lists the calls, in no order.
func (t *table) all() []*call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.calls))
}

func (t *table) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.calls)
}
