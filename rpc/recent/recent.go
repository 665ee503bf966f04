// Package recent remembers answers given lately, by key: so that a query that is sent again gets the same answer, and
// a key that comes again with another body is found out. It knows nothing of what is asked.
package recent

import (
	"hash/maphash"
	"sync"
)

// MaxAnswer is the longest answer that is remembered, in bytes. It bounds the table's memory.
const MaxAnswer = 8 << 10

// ways is how many answers one set of the table holds: the oldest of a set gives way to a new one.
const ways = 16

// Table is a set-associative table of fixed size: no map to grow, nothing to sweep, and once it has been filled
// nothing to allocate. Safe for concurrent use.
type Table struct {
	seeds [2]maphash.Seed
	sets  []set
	mask  uint64
}

type set struct {
	mu      sync.Mutex
	next    int // the way that gives way next
	entries [ways]entry
}

type entry struct {
	key, body Digest
	answer    []byte // owned by the set, guarded by mu
}

// Digest is a 128-bit keyed hash. The seeds are random for each process, so nobody can make two bodies collide.
type Digest [2]uint64

// New makes a table for at least n answers.
func New(n int) *Table {
	sets := 1
	for sets*ways < n {
		sets *= 2
	}
	return &Table{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		sets:  make([]set, sets),
		mask:  uint64(sets - 1),
	}
}

// Digest hashes b. The zero Digest marks an empty entry, so it is never given.
func (t *Table) Digest(b []byte) Digest {
	return Digest{maphash.Bytes(t.seeds[0], b) | 1, maphash.Bytes(t.seeds[1], b)}
}

// Match says what the table knows of a key.
type Match uint8

const (
	None  Match = iota // nothing
	Same               // it came before with the same body
	Other              // it came before with another body
)

// Find appends to dst the answer that key with body got before.
func (t *Table) Find(key, body Digest, dst []byte) ([]byte, Match) {
	in := &t.sets[key[1]&t.mask]
	in.mu.Lock()
	defer in.mu.Unlock()
	if e := in.lookup(key); e != nil {
		if e.body != body {
			return dst, Other
		}
		return append(dst, e.answer...), Same
	}
	return dst, None
}

// Keep remembers answer for key with body. When the same query was answered meanwhile on another connection, it
// gives that answer (appended to dst) instead: the first one holds.
func (t *Table) Keep(key, body Digest, answer, dst []byte) ([]byte, Match) {
	if len(answer) > MaxAnswer {
		return dst, None
	}
	in := &t.sets[key[1]&t.mask]
	in.mu.Lock()
	defer in.mu.Unlock()
	if e := in.lookup(key); e != nil {
		if e.body != body {
			return dst, Other
		}
		return append(dst, e.answer...), Same
	}
	e := &in.entries[in.next]
	in.next = (in.next + 1) % ways
	e.key, e.body = key, body
	e.answer = append(e.answer[:0], answer...)
	return dst, None
}

func (s *set) lookup(key Digest) *entry {
	for i := range s.entries {
		if s.entries[i].key == key {
			return &s.entries[i]
		}
	}
	return nil
}
