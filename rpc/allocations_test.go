//go:build !race

package rpc

import (
	"encoding/binary"
	"testing"
)

// The race detector allocates, and makes pools forget: allocations are counted without it.

// Decoding, deciding and remembering allocate what the session's texts and its token need, and nothing else of ours.
func TestCallStartAllocations(t *testing.T) {
	s := benchmarkEngine(t)
	r := newReplayer(t)
	h := s.Handler()
	for range 3 * DefaultRecentAnswers / 2 {
		r.send(h) // fills the table and the pools
	}
	const ceiling = 8 // 2 of them chi's, 1 the reply's Content-Length
	if got := testing.AllocsPerRun(2000, func() { r.send(h) }); got > ceiling {
		t.Errorf("call.start allocates %v times, may %d times", got, ceiling)
	}
	if got := testing.AllocsPerRun(2000, func() { r.n = 0; r.send(h) }); got > 6 {
		t.Errorf("call.start again allocates %v times, may 6 times", got)
	}
	key, answer, dst := []byte("node-a-1"), make([]byte, 1000), make([]byte, 0, 2000)
	n := uint64(0)
	if got := testing.AllocsPerRun(2000, func() {
		n++
		k := s.recent.Digest(binary.LittleEndian.AppendUint64(key[:0], n))
		dst, _ = s.recent.Find(k, k, dst[:0])
		dst, _ = s.recent.Keep(k, k, answer, dst[:0])
	}); got > 0 {
		t.Errorf("remembering allocates %v times", got)
	}
}
