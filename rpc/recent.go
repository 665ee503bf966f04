package rpc

import (
	"hash/maphash"
	"sync"
)

// DefaultRecentAnswers is how many answers an engine remembers, unless Config.RecentAnswers says otherwise.
const DefaultRecentAnswers = 16_384

// maxAnswerKept is the longest answer that is remembered, in bytes. It bounds the table's memory; an answer is
// bounded by logic's limits far below it.
const maxAnswerKept = 8 << 10

// recentWays is how many answers one set of the table holds: the oldest of a set gives way to a new one.
const recentWays = 16

// recent remembers the answers given lately, so that a query that is sent again gets the same answer and the
// same key with another body is found out. It is a set-associative table of fixed size: no map to grow, nothing
// to sweep, and once it has been filled nothing to allocate. What has given way, or was answered by another
// engine, is decided anew.
type recent struct {
	seeds [2]maphash.Seed
	sets  []recentSet
	mask  uint64
}

type recentSet struct {
	mu      sync.Mutex
	next    int // the way that gives way next
	entries [recentWays]recentEntry
}

type recentEntry struct {
	key, body digest
	answer    []byte // owned by the set, guarded by mu
}

// digest is a 128-bit keyed hash. The seeds are random for each process, so nobody can make two bodies collide.
type digest [2]uint64

// newRecent makes a table for at least n answers.
func newRecent(n int) *recent {
	sets := 1
	for sets*recentWays < n {
		sets *= 2
	}
	return &recent{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		sets:  make([]recentSet, sets),
		mask:  uint64(sets - 1),
	}
}

// digest hashes b. The zero digest marks an empty entry, so it is never given.
func (t *recent) digest(b []byte) digest {
	return digest{maphash.Bytes(t.seeds[0], b) | 1, maphash.Bytes(t.seeds[1], b)}
}

// match says what the table knows of a key.
type match uint8

const (
	matchNone  match = iota // nothing
	matchSame               // it came before with the same body
	matchOther              // it came before with another body
)

// find appends to dst the answer that key with body got before.
func (t *recent) find(key, body digest, dst []byte) ([]byte, match) {
	set := &t.sets[key[1]&t.mask]
	set.mu.Lock()
	defer set.mu.Unlock()
	if e := set.lookup(key); e != nil {
		if e.body != body {
			return dst, matchOther
		}
		return append(dst, e.answer...), matchSame
	}
	return dst, matchNone
}

// keep remembers answer for key with body. When the same query was answered meanwhile on another connection, it
// gives that answer (appended to dst) instead: the first one holds.
func (t *recent) keep(key, body digest, answer, dst []byte) ([]byte, match) {
	if len(answer) > maxAnswerKept {
		return dst, matchNone
	}
	set := &t.sets[key[1]&t.mask]
	set.mu.Lock()
	defer set.mu.Unlock()
	if e := set.lookup(key); e != nil {
		if e.body != body {
			return dst, matchOther
		}
		return append(dst, e.answer...), matchSame
	}
	e := &set.entries[set.next]
	set.next = (set.next + 1) % recentWays
	e.key, e.body = key, body
	e.answer = append(e.answer[:0], answer...)
	return dst, matchNone
}

func (s *recentSet) lookup(key digest) *recentEntry {
	for i := range s.entries {
		if s.entries[i].key == key {
			return &s.entries[i]
		}
	}
	return nil
}
