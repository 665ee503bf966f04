package logic

import (
	"fmt"
	"time"

	"ringmaster/logic/calendar"
	"ringmaster/logic/prefix"
)

// calendarTable is a named calendar with its rows' names kept for explain.
type calendarTable struct {
	name     string
	calendar *calendar.Calendar
	windows  []int64  // calendar_window_id by window index
	holidays []string // name by holiday index
}

// screeningList is a set of digits or words, exact or by prefix, each with a validity.
type screeningList struct {
	name     string
	keys     keyTable
	validity []validity // by the key's value; index 0: always
}

type validity struct{ from, to time.Time }

func (v validity) holds(now time.Time) bool {
	return (v.from.IsZero() || !now.Before(v.from)) && (v.to.IsZero() || now.Before(v.to))
}

// translationTable maps keys to values, exact or by longest prefix.
type translationTable struct {
	name   string
	keys   keyTable
	values []string // targets as number@trunk
}

// keyTable finds the value of a key. Digits that must match whole are packed integers, words are strings, prefixes
// are a trie.
type keyTable struct {
	digits map[packedNumber]uint32
	words  map[string]uint32
	trie   *prefix.Table // nil: exact
}

// find returns the value of key and how much of the key matched.
func (t *keyTable) find(key string) (value uint32, length int, ok bool) {
	if t.trie != nil {
		return t.trie.Longest(key)
	}
	if packed, isDigits := packDigits(key); isDigits {
		value, ok = t.digits[packed]
	} else {
		value, ok = t.words[key]
	}
	return value, len(key), ok
}

// keyEntry is a key with its value, on the way into a keyTable.
type keyEntry struct {
	key   string
	value uint32
}

func newKeyTable(match string, entries []keyEntry) (keyTable, error) {
	switch match {
	case "prefix":
		prefixes := make([]prefix.Entry, len(entries))
		for i, entry := range entries {
			prefixes[i] = prefix.Entry{Digits: entry.key, Value: entry.value}
		}
		trie, err := prefix.Build(prefixes)
		return keyTable{trie: trie}, err
	case "exact":
		var t keyTable
		for _, entry := range entries {
			if packed, ok := packDigits(entry.key); ok {
				if t.digits == nil {
					t.digits = make(map[packedNumber]uint32, len(entries))
				}
				t.digits[packed] = entry.value
				continue
			}
			if t.words == nil {
				t.words = make(map[string]uint32)
			}
			t.words[entry.key] = entry.value
		}
		return t, nil
	}
	return keyTable{}, fmt.Errorf("match is %q; it must be exact or prefix", match)
}

// distribution picks among branches.
type distribution struct {
	name     string
	method   string
	branches []branch
	total    uint64 // sum of weights
}

type branch struct {
	name   string
	weight uint64
	value  string // a target as number@trunk, or text
}

// byWeight returns the branch that holds point (0 ≤ point < total) when the weights are laid side by side.
func (d *distribution) byWeight(point uint64) *branch {
	for i := range d.branches {
		if point < d.branches[i].weight {
			return &d.branches[i]
		}
		point -= d.branches[i].weight
	}
	return nil
}

// area returns the origin area of a caller's number, and how many digits of it decided.
func (s *Snapshot) area(caller string) (area string, length int) {
	if caller == "" {
		return "", 0
	}
	index, length, ok := s.areas.Longest(caller)
	if !ok {
		return "", 0
	}
	return s.areaNames[index], length
}
