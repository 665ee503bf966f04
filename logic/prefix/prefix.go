// Package prefix finds the longest prefix of a number among many: number ranges, origin areas, rate decks.
//
// A Table is built once from all its entries, never changes afterwards, and may be read by any number of
// goroutines. Digits are those of a telephone keypad: 0-9, * and #.
//
// It is not for exact numbers: where only the whole number can match, a Go map is simpler and faster. It
// knows nothing of E.164 structure, countries or plus signs; the caller strips and normalises.
package prefix

import (
	"cmp"
	"fmt"
	"iter"
	"math/bits"
	"runtime"
	"slices"
	"unsafe"
)

// MaxDigits is the longest prefix that Build accepts. E.164 numbers have at most 15 digits; the rest is
// room for carrier and service prefixes.
const MaxDigits = 32

// Entry is one prefix and what it stands for, usually an index into a slice of the caller's.
// Empty digits are the default route: they match every number, at length 0.
type Entry struct {
	Digits string
	Value  uint32
}

// Match is one prefix that matched: its length in digits, and its value.
type Match struct {
	Length int
	Value  uint32
}

// Table is a compiled set of prefixes. Make one with Build; the zero Table matches nothing.
//
// It is a digit trie with compressed paths. The children of a node lie side by side and are found by
// counting bits, and levels follow each other, so a step costs at most one cache line.
type Table struct {
	nodes   []node // nodes[0] is the root
	entries int
}

// node is 16 bytes. Its label is what has to follow the digit that led to it, up to labelDigits digits of
// four bits, the first in the lowest bits; longer ways without a branch take several nodes.
type node struct {
	child uint32 // index of the first child
	value uint32
	label uint32
	set   uint16 // bit d: there is a child for digit d (* is 10, # is 11); hasValue
	skip  uint8  // digits in label
}

const (
	hasValue    = 1 << 15
	labelDigits = 8
	radix       = 12
)

// digit returns the number of a keypad digit, 0 to 11, or radix for anything else.
func digit(b byte) uint8 {
	if d := b - '0'; d <= 9 {
		return d
	}
	switch b {
	case '*':
		return 10
	case '#':
		return 11
	}
	return radix
}

// key is an entry in a form that sorts fast: digit+1 in four bits each, the first digit highest, and zero
// after the last, so that a prefix comes right before what it is a prefix of.
type key struct {
	hi, lo uint64
	value  uint32
	entry  uint32
}

// at returns the digit at position i plus one, or 0 after the end.
func (k *key) at(i int) uint8 {
	switch {
	case i < 16:
		return uint8(k.hi>>(60-4*i)) & 15
	case i < MaxDigits:
		return uint8(k.lo>>(60-4*(i-16))) & 15
	}
	return 0
}

// yieldEvery is how many steps of building pass between two chances for other goroutines: on a machine
// with one core, calls are answered while a table of a million entries is built.
const yieldEvery = 1024

// Build compiles entries, in any order. It is an error that names the digits when they occur twice, are
// longer than MaxDigits, or hold anything but 0-9, * and #.
func Build(entries []Entry) (*Table, error) {
	keys := make([]key, len(entries))
	for i, e := range entries {
		if len(e.Digits) > MaxDigits {
			return nil, fmt.Errorf("prefix %q is longer than %d digits", e.Digits, MaxDigits)
		}
		k := key{value: e.Value, entry: uint32(i)}
		for j := range len(e.Digits) {
			d := digit(e.Digits[j])
			if d == radix {
				return nil, fmt.Errorf("prefix %q: %q is not one of 0-9 * #", e.Digits, e.Digits[j])
			}
			if j < 16 {
				k.hi |= uint64(d+1) << (60 - 4*j)
			} else {
				k.lo |= uint64(d+1) << (60 - 4*(j-16))
			}
		}
		keys[i] = k
	}
	steps := 0
	slices.SortFunc(keys, func(a, b key) int {
		if steps++; steps%yieldEvery == 0 {
			runtime.Gosched()
		}
		if c := cmp.Compare(a.hi, b.hi); c != 0 {
			return c
		}
		return cmp.Compare(a.lo, b.lo)
	})
	for i := 1; i < len(keys); i++ {
		if keys[i-1].hi == keys[i].hi && keys[i-1].lo == keys[i].lo {
			return nil, fmt.Errorf("prefix %q occurs twice", entries[keys[i].entry].Digits)
		}
	}
	return &Table{nodes: lay(keys), entries: len(entries)}, nil
}

// span is a node still to be filled: the keys below it, and how many of their digits led to it.
type span struct {
	from, to uint32
	depth    uint32
}

// lay turns sorted keys into nodes, level by level.
func lay(keys []key) []node {
	if len(keys) == 0 {
		return nil
	}
	nodes := make([]node, 1, len(keys)+len(keys)/4+1)
	level := []span{{to: uint32(len(keys))}}
	var next []span
	for at := 0; len(level) > 0; level, next = next, level[:0] {
		for _, s := range level {
			if at%yieldEvery == 0 {
				runtime.Gosched()
			}
			n := &nodes[at]
			at++
			depth := int(s.depth)
			// All keys of a sorted span share what its first and its last share.
			first, last := &keys[s.from], &keys[s.to-1]
			for n.skip < labelDigits {
				d := first.at(depth)
				if d == 0 || d != last.at(depth) {
					break
				}
				n.label |= uint32(d-1) << (4 * n.skip)
				n.skip++
				depth++
			}
			if first.at(depth) == 0 {
				n.set |= hasValue
				n.value = first.value
				s.from++
			}
			n.child = uint32(len(nodes) + len(next))
			for from := s.from; from < s.to; {
				d := keys[from].at(depth)
				to := from + 1
				for to < s.to && keys[to].at(depth) == d {
					to++
				}
				n.set |= 1 << (d - 1)
				next = append(next, span{from, to, uint32(depth + 1)})
				from = to
			}
		}
		nodes = append(nodes, make([]node, len(next))...)
	}
	return slices.Clone(nodes) // growing left up to a quarter unused
}

// Longest returns the value of the longest prefix of digits, and that prefix's length in digits. ok is false
// when there is none. Matching ends at the first byte that is not 0-9, * or #. It does not allocate.
func (t *Table) Longest(digits string) (value uint32, length int, ok bool) {
	if len(t.nodes) == 0 {
		return 0, 0, false
	}
	n := &t.nodes[0]
	for i := 0; ; i++ {
		if n.skip > 0 {
			if i = n.follow(digits, i); i < 0 {
				return value, length, ok
			}
		}
		if n.set&hasValue != 0 {
			value, length, ok = n.value, i, true
		}
		if n = t.below(n, digits, i); n == nil {
			return value, length, ok
		}
	}
}

// AppendMatches appends every prefix of digits to dst, from the longest to the shortest, and returns dst.
// The first is what Longest returns; it is for explaining an answer.
func (t *Table) AppendMatches(dst []Match, digits string) []Match {
	if len(t.nodes) == 0 {
		return dst
	}
	had := len(dst)
	n := &t.nodes[0]
	for i := 0; n != nil; i++ {
		if i = n.follow(digits, i); i < 0 {
			break
		}
		if n.set&hasValue != 0 {
			dst = append(dst, Match{i, n.value})
		}
		n = t.below(n, digits, i)
	}
	slices.Reverse(dst[had:])
	return dst
}

// All yields every prefix with its value, in no particular order.
func (t *Table) All() iter.Seq2[string, uint32] {
	return func(yield func(string, uint32) bool) {
		if len(t.nodes) > 0 {
			var digits [MaxDigits]byte
			t.all(&t.nodes[0], digits[:0], yield)
		}
	}
}

func (t *Table) all(n *node, digits []byte, yield func(string, uint32) bool) bool {
	for label, i := n.label, uint8(0); i < n.skip; i++ {
		digits = append(digits, keypad[label&15])
		label >>= 4
	}
	if n.set&hasValue != 0 && !yield(string(digits), n.value) {
		return false
	}
	child := n.child
	for d := range radix {
		if n.set&(1<<d) == 0 {
			continue
		}
		if !t.all(&t.nodes[child], append(digits, keypad[d]), yield) {
			return false
		}
		child++
	}
	return true
}

// keypad is digit's inverse.
const keypad = "0123456789*#"

// follow compares the node's label with digits from i on. It returns the position after the label, or -1.
func (n *node) follow(digits string, i int) int {
	if len(digits)-i < int(n.skip) {
		return -1
	}
	for label, end := n.label, i+int(n.skip); i < end; i++ {
		if digit(digits[i]) != uint8(label&15) {
			return -1
		}
		label >>= 4
	}
	return i
}

// below returns the child for the digit at i, or nil.
func (t *Table) below(n *node, digits string, i int) *node {
	if i >= len(digits) {
		return nil
	}
	d := digit(digits[i])
	if d == radix {
		return nil
	}
	bit := uint16(1) << d
	if n.set&bit == 0 {
		return nil
	}
	return &t.nodes[n.child+uint32(bits.OnesCount16(n.set&(bit-1)))]
}

// Len returns how many prefixes the table holds.
func (t *Table) Len() int { return t.entries }

// Bytes returns how much memory the table keeps, in bytes.
func (t *Table) Bytes() int {
	return int(unsafe.Sizeof(*t)) + cap(t.nodes)*int(unsafe.Sizeof(node{}))
}
