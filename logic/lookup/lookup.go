// Package lookup finds rows by key: whole keys or longest prefixes, in tables of a few rows or of millions.
//
// A Table never changes; With gives a changed one that shares nearly all of the memory of the first, so that an edit of a few rows
// costs a few rows. It knows nothing of what the rows mean: a value is an index into a slice of the caller's.
package lookup

import (
	"fmt"
	"maps"
	"runtime"
	"strconv"

	"ringmaster/logic/prefix"
)

// The ways a table compares keys.
const (
	Exact  = "exact"  // the whole key
	Prefix = "prefix" // the longest key that the asked one begins with; keys are digits, * and #
)

// MaxValue is the largest value of an entry.
const MaxValue = deleted - 1

// deleted marks, in a patch, a key that the base has and the table has not.
const deleted = 1<<32 - 1

// maxPatch is how many keys a table may differ by from its base before With makes a new base. It bounds what every further edit and
// every search pays for the edits before.
const maxPatch = 1024

// Entry is a key with its value.
type Entry struct {
	Key   string
	Value uint32
}

// Table maps keys to values. Make one with New; the zero Table is empty and exact. Safe for concurrent use.
type Table struct {
	base base
	size int

	// What differs from base: put or deleted since it was made.
	patch map[string]uint32
	trie  *prefix.Table // of patch, for a prefix table
}

// base is a table without edits. Digits that must match whole are packed integers, words are strings, prefixes are a trie.
type base struct {
	digits map[Packed]uint32
	words  map[string]uint32
	trie   *prefix.Table // nil: exact
}

// New compiles entries, in any order. It is an error that names the key when one occurs twice, or is no prefix in a prefix table.
func New(match string, entries []Entry) (*Table, error) {
	t := &Table{size: len(entries)}
	switch match {
	case Prefix:
		trie, err := buildTrie(entries)
		if err != nil {
			return nil, err
		}
		t.base.trie = trie
		return t, nil
	case Exact:
		t.base.digits = make(map[Packed]uint32, len(entries))
		for i := range entries {
			if i%yieldEvery == 0 {
				runtime.Gosched()
			}
			if !t.base.put(entries[i]) {
				return nil, fmt.Errorf("key %q occurs twice", entries[i].Key)
			}
		}
		return t, nil
	}
	return nil, fmt.Errorf("match is %q; it must be exact or prefix", match)
}

// yieldEvery is how many entries are compiled between two chances for other goroutines.
const yieldEvery = 1024

func buildTrie(entries []Entry) (*prefix.Table, error) {
	prefixes := make([]prefix.Entry, len(entries))
	for i := range entries {
		prefixes[i] = prefix.Entry{Digits: entries[i].Key, Value: entries[i].Value}
	}
	return prefix.Build(prefixes)
}

// put adds an entry to an exact base; false when its key is there already.
func (b *base) put(e Entry) bool {
	if packed, ok := Pack(e.Key); ok {
		before := len(b.digits)
		b.digits[packed] = e.Value
		return len(b.digits) > before
	}
	if b.words == nil {
		b.words = make(map[string]uint32)
	}
	before := len(b.words)
	b.words[e.Key] = e.Value
	return len(b.words) > before
}

func (b *base) find(key string) (value uint32, length int, ok bool) {
	if b.trie != nil {
		return b.trie.Longest(key)
	}
	if packed, isDigits := Pack(key); isDigits {
		value, ok = b.digits[packed]
	} else {
		value, ok = b.words[key]
	}
	return value, len(key), ok
}

// has reports whether the base holds key itself, not only a prefix of it.
func (b *base) has(key string) bool {
	_, length, ok := b.find(key)
	return ok && length == len(key)
}

// Find returns the value of key, or of its longest prefix in a prefix table, and how much of the key matched. It does not
// allocate.
func (t *Table) Find(key string) (value uint32, length int, ok bool) {
	if len(t.patch) == 0 {
		return t.base.find(key)
	}
	if t.trie == nil {
		if value, ok := t.patch[key]; ok {
			return value, len(key), value != deleted
		}
		return t.base.find(key)
	}
	value, length, ok = t.trie.Longest(key)
	below, belowLength, belowOK := t.base.trie.Longest(key)
	switch {
	case !ok || belowOK && belowLength > length:
		return below, belowLength, belowOK
	case value != deleted:
		return value, length, true
	}
	var buffer [prefix.MaxDigits + 1]prefix.Match
	if matches := t.matches(buffer[:0], key); len(matches) > 0 {
		return matches[0].Value, matches[0].Length, true
	}
	return 0, 0, false
}

// AppendMatches appends all that match key, from the longest to the shortest: the first is what Find returns, the others are what
// it beat.
func (t *Table) AppendMatches(dst []prefix.Match, key string) []prefix.Match {
	if t.base.trie == nil {
		if value, length, ok := t.Find(key); ok {
			dst = append(dst, prefix.Match{Length: length, Value: value})
		}
		return dst
	}
	return t.matches(dst, key)
}

// matches merges the matches of base and patch, where the patch has the last word.
func (t *Table) matches(dst []prefix.Match, key string) []prefix.Match {
	var buffers [2][prefix.MaxDigits + 1]prefix.Match
	below := t.base.trie.AppendMatches(buffers[0][:0], key)
	var above []prefix.Match
	if t.trie != nil {
		above = t.trie.AppendMatches(buffers[1][:0], key)
	}
	for len(below) > 0 || len(above) > 0 {
		if len(above) == 0 || len(below) > 0 && below[0].Length > above[0].Length {
			dst = append(dst, below[0])
			below = below[1:]
			continue
		}
		if len(below) > 0 && below[0].Length == above[0].Length {
			below = below[1:]
		}
		if above[0].Value != deleted {
			dst = append(dst, above[0])
		}
		above = above[1:]
	}
	return dst
}

// With returns the table with entries put (added, or their value replaced) and keys taken out. Keys that are not there need not be taken
// out. The receiver stays as it is. It is an error when a key is no prefix in a prefix table.
func (t *Table) With(put []Entry, takeOut []string) (*Table, error) {
	changed := &Table{base: t.base, size: t.size, patch: make(map[string]uint32, len(t.patch)+len(put)+len(takeOut))}
	maps.Copy(changed.patch, t.patch)
	for _, key := range takeOut {
		changed.change(key, deleted)
	}
	for i := range put {
		changed.change(put[i].Key, put[i].Value)
	}
	if len(changed.patch) > maxPatch && len(changed.patch) > changed.size/64 {
		return changed.rebuilt()
	}
	if changed.base.trie == nil {
		return changed, nil
	}
	entries := make([]Entry, 0, len(changed.patch))
	for key, value := range changed.patch {
		entries = append(entries, Entry{key, value})
	}
	trie, err := buildTrie(entries)
	if err != nil {
		return nil, err
	}
	changed.trie = trie
	return changed, nil
}

// change notes one change in the patch and keeps count of the entries.
func (t *Table) change(key string, value uint32) {
	was, patched := t.patch[key]
	there := patched && was != deleted || !patched && t.base.has(key)
	switch {
	case value == deleted && !there:
		return
	case value == deleted:
		t.size--
		if !t.base.has(key) {
			delete(t.patch, key)
			return
		}
	case !there:
		t.size++
	}
	t.patch[key] = value
}

// rebuilt makes a table of the same entries without a patch.
func (t *Table) rebuilt() (*Table, error) {
	entries := make([]Entry, 0, t.size)
	for key, value := range t.All() {
		entries = append(entries, Entry{key, value})
	}
	match := Exact
	if t.base.trie != nil {
		match = Prefix
	}
	return New(match, entries)
}

// All yields every entry, in no particular order.
func (t *Table) All() func(yield func(string, uint32) bool) {
	return func(yield func(string, uint32) bool) {
		for key, value := range t.patch {
			if value != deleted && !yield(key, value) {
				return
			}
		}
		unpatched := func(key string, value uint32) bool {
			if _, ok := t.patch[key]; ok {
				return true
			}
			return yield(key, value)
		}
		if t.base.trie != nil {
			for key, value := range t.base.trie.All() {
				if !unpatched(key, value) {
					return
				}
			}
			return
		}
		for packed, value := range t.base.digits {
			if !unpatched(packed.String(), value) {
				return
			}
		}
		for key, value := range t.base.words {
			if !unpatched(key, value) {
				return
			}
		}
	}
}

// Len returns how many entries the table has.
func (t *Table) Len() int { return t.size }

// Packed is a string of 1 to 18 digits in one integer: a leading 1 keeps leading zeros apart.
type Packed uint64

// Pack packs digits; false when key is anything else.
func Pack(key string) (Packed, bool) {
	if len(key) > 18 || len(key) == 0 {
		return 0, false
	}
	packed := Packed(1)
	for i := range len(key) {
		digit := key[i] - '0'
		if digit > 9 {
			return 0, false
		}
		packed = packed*10 + Packed(digit)
	}
	return packed, true
}

// String returns the digits.
func (p Packed) String() string { return strconv.FormatUint(uint64(p), 10)[1:] }
