package store

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"ringmaster/logic"
)

// Limits of the saved config.
const (
	saveQueue  = 1024             // writes that may wait
	maxEdits   = 1000             // in the file, after which it is written anew: a start applies each
	saveAgain  = 10 * time.Minute // between two times to write all of it, for which all is loaded and edits wait
	touchEvery = 10 * time.Second // between two notes that what was saved is still the newest
)

// savedMagic begins the file; its number changes with the format.
const savedMagic = "ringmaster config 1\n"

// saved is one record of the file: all rows, which comes first, or what an edit touched. A record is written as its length, the SHA-256 of
// what follows, and this as compressed gob. A record that was written by half is not there.
type saved struct {
	Whole      bool
	From       int64 // the revision, and commit, that a delta continues
	FromCommit string
	Commit     string
	At         time.Time // when it was the newest
	Delta      logic.Delta
	// Places in Delta.Rows.ScriptParameters whose default is the empty text, which gob can't tell from none.
	EmptyDefaults []int
}

func (s *saved) version() version { return version{s.Delta.Rows.Revision, s.Commit} }

// saver keeps the file from which an engine can start while Postgres is away. It writes in a goroutine of its own, in order: the feed never waits
// for a disk.
type saver struct {
	path  string
	log   *slog.Logger
	queue chan *saved
	whole atomic.Bool // the file needs all rows again

	// Of the goroutine that writes, and before it runs of restore.
	file  *os.File
	last  version // what the file leads to
	size  int64   // bytes that are good
	edits int     // records after the first

	// Of the feed.
	attempted time.Time // to have all rows written again
	touched   time.Time
}

func newSaver(path string, log *slog.Logger) *saver {
	return &saver{path: path, log: log, queue: make(chan *saved, saveQueue)}
}

// put hands a record over. Should too many wait, the file is written anew later.
func (s *saver) put(r *saved) {
	select {
	case s.queue <- r:
	default:
		if r.Delta.Rows.Revision > 0 {
			s.whole.Store(true)
		}
	}
}

// touch notes, once in a while, that the file holds the newest config.
func (s *saver) touch() {
	if time.Since(s.touched) > touchEvery {
		s.touched = time.Now()
		s.put(&saved{At: s.touched})
	}
}

// run writes until the queue is closed.
func (s *saver) run() {
	for r := range s.queue {
		if err := s.write(r); err != nil && !s.whole.Swap(true) {
			s.log.Warn("couldn't save the config beside the engine; it could not start with it while Postgres is away", "file", s.path, "error", err)
		}
	}
	if s.file != nil {
		s.file.Close()
	}
}

func (s *saver) write(r *saved) error {
	if r.Delta.Rows.Revision == 0 { // nothing new: only known again to be the newest
		if s.file == nil {
			return nil
		}
		if err := s.file.Truncate(s.size); err != nil {
			return err
		}
		return os.Chtimes(s.path, r.At, r.At)
	}
	if r.Whole {
		return s.replace(r)
	}
	if s.file == nil || s.last != (version{r.From, r.FromCommit}) {
		return errors.New("edits are missing in it")
	}
	record, err := encodeSaved(r)
	if err != nil {
		return err
	}
	if _, err := s.file.WriteAt(record, s.size); err != nil {
		return err
	}
	s.last, s.size = r.version(), s.size+int64(len(record))
	if err := s.file.Truncate(s.size); err != nil { // what a crash had left of an edit may be longer
		return err
	}
	if s.edits++; s.edits > maxEdits {
		s.whole.Store(true)
	}
	return nil
}

// replace writes a new file and puts it in the place of the old one.
func (s *saver) replace(r *saved) (err error) {
	record, err := encodeSaved(r)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*") // mode 0600: there are secrets in it
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(file.Name())
		}
	}()
	for _, text := range [][]byte{[]byte(savedMagic), record} {
		if _, err = file.Write(text); err != nil {
			return err
		}
	}
	if err = file.Sync(); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), s.path); err != nil {
		return err
	}
	if s.file != nil {
		s.file.Close()
	}
	s.file = file // should another engine replace it, edits go into the one that is gone, and harm nobody
	s.last, s.size = r.version(), int64(len(savedMagic)+len(record))
	s.edits = 0
	if folder, err := os.Open(filepath.Dir(s.path)); err == nil {
		_ = folder.Sync()
		folder.Close()
	}
	return err
}

func encodeSaved(r *saved) ([]byte, error) {
	r.EmptyDefaults = nil
	for i, p := range r.Delta.Rows.ScriptParameters {
		if p.DefaultValue != nil && *p.DefaultValue == "" {
			r.EmptyDefaults = append(r.EmptyDefaults, i)
		}
	}
	var out bytes.Buffer
	out.Write(make([]byte, 8+sha256.Size))
	packed, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := gob.NewEncoder(packed).Encode(r); err != nil {
		return nil, err
	}
	if err := packed.Close(); err != nil {
		return nil, err
	}
	text := out.Bytes()
	payload := text[8+sha256.Size:]
	binary.BigEndian.PutUint64(text, uint64(len(payload)))
	sum := sha256.Sum256(payload)
	copy(text[8:], sum[:])
	return text, nil
}

var errTorn = errors.New("it was written by half, or changed")

func decodeSaved(in io.Reader, left int64) (*saved, int64, error) {
	head := make([]byte, 8+sha256.Size)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, 0, err
	}
	size := binary.BigEndian.Uint64(head)
	if size > uint64(max(0, left-int64(len(head)))) {
		return nil, 0, errTorn
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(in, payload); err != nil {
		return nil, 0, err
	}
	if sum := sha256.Sum256(payload); !bytes.Equal(sum[:], head[8:]) {
		return nil, 0, errTorn
	}
	packed, err := gzip.NewReader(bytes.NewReader(payload))
	if err != nil {
		return nil, 0, err
	}
	r := new(saved)
	if err := gob.NewDecoder(packed).Decode(r); err != nil {
		return nil, 0, err
	}
	for _, i := range r.EmptyDefaults {
		if i >= 0 && i < len(r.Delta.Rows.ScriptParameters) {
			r.Delta.Rows.ScriptParameters[i].DefaultValue = new(string)
		}
	}
	return r, int64(len(head)) + int64(size), nil
}

// read gives each good record to take, in order, and readies the file for more. It returns when the config was last known to be the newest.
func (s *saver) read(take func(*saved) error) (at time.Time, err error) {
	file, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return at, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return at, err
	}
	in := bufio.NewReaderSize(file, 1<<20)
	magic := make([]byte, len(savedMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != savedMagic {
		return at, fmt.Errorf("%s isn't a saved config of this version", s.path)
	}
	s.size = int64(len(magic))
	for {
		r, size, bad := decodeSaved(in, info.Size()-s.size)
		if bad == nil && !r.Whole && s.last != (version{r.From, r.FromCommit}) {
			bad = errTorn
		}
		if bad == nil {
			bad = take(r)
		}
		if bad != nil && s.last.revision == 0 {
			return at, fmt.Errorf("%s can't be read: %w", s.path, bad)
		}
		if bad != nil { // the end, or what a crash left of the last edit
			s.file = file
			// The file's time is that of its last record, or later; but where that record is torn, an edit is missing since then.
			if s.size == info.Size() && info.ModTime().After(at) {
				at = info.ModTime()
			}
			return at, nil
		}
		if !r.Whole {
			s.edits++
		}
		s.last, s.size, at = r.version(), s.size+size, r.At
	}
}

// wantsAll reports, once in a while, that the file needs all rows.
func (s *saver) wantsAll() bool {
	if !s.whole.Load() || time.Since(s.attempted) < saveAgain {
		return false
	}
	s.attempted = time.Now()
	s.whole.Store(false)
	return true
}
