package recent

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// twin is Table as a map, without forgetting.
type twin map[uint32]struct {
	body   uint32
	answer string
}

// Against its dumb twin the table never gives a wrong answer, and knows what is not too old.
func TestAgainstTwin(t *testing.T) {
	t.Parallel()
	const capacity, keys = 256, 2000
	table, known := New(capacity), twin{}
	random := rand.New(rand.NewPCG(1, 2))
	digestOf := func(n uint32) Digest { return table.Digest(binary.LittleEndian.AppendUint32(nil, n)) }
	kept, forgotten := 0, 0
	for range 50_000 {
		k, b := random.Uint32N(keys), random.Uint32N(3)
		answer := string(binary.LittleEndian.AppendUint32([]byte("answer to "), random.Uint32()))
		got, m := table.Find(digestOf(k), digestOf(b), []byte("x"))
		before, ok := known[k]
		switch {
		case m == None:
			if len(got) != 1 {
				t.Fatalf("nothing found, and yet %q", got)
			}
			if ok {
				forgotten++
			}
			if _, m := table.Keep(digestOf(k), digestOf(b), []byte(answer), nil); m != None {
				t.Fatalf("keep of a new key: %v", m)
			}
			known[k] = struct {
				body   uint32
				answer string
			}{b, answer}
		case !ok:
			t.Fatal("found what was never kept")
		case m == Same && (before.body != b || string(got) != "x"+before.answer):
			t.Fatalf("same body: %q, want %q", got, before.answer)
		case m == Other && before.body == b:
			t.Fatal("the same body is said to be another")
		default:
			kept++
			again, m2 := table.Keep(digestOf(k), digestOf(b), []byte(answer), nil)
			if m2 != m || m == Same && string(again) != before.answer {
				t.Fatalf("keep of a known key: %v %q", m2, again)
			}
		}
	}
	if kept == 0 || forgotten == 0 {
		t.Fatalf("%d found, %d forgotten: the test tests nothing", kept, forgotten)
	}
}

// An answer outlives as many others as half the table holds, nearly always.
func TestHolds(t *testing.T) {
	t.Parallel()
	table := New(16_384)
	lost := 0
	key := func(n uint64) Digest { return table.Digest(binary.LittleEndian.AppendUint64(nil, n)) }
	const n = 20_000
	for i := range uint64(n) {
		table.Keep(key(i), Digest{}, []byte("x"), nil)
		if i >= 4000 {
			if _, m := table.Find(key(i-4000), Digest{}, nil); m != Same {
				lost++
			}
		}
	}
	if lost > n/1000 {
		t.Fatalf("%d of %d were lost within 4000 answers", lost, n)
	}
	if _, m := table.Keep(key(n+1), Digest{}, make([]byte, MaxAnswer+1), nil); m != None {
		t.Fatal(m)
	}
	if _, m := table.Find(key(n+1), Digest{}, nil); m != None {
		t.Fatal("an answer over the limit was kept")
	}
}

func BenchmarkTable(b *testing.B) {
	t := New(16_384)
	answer := bytes.Repeat([]byte{'x'}, 1500)
	key := make([]byte, 24)
	var dst []byte
	var n uint64
	b.ReportAllocs()
	for b.Loop() {
		n++
		for i := range 8 {
			key[i] = byte(n >> (8 * i))
		}
		k, body := t.Digest(key), t.Digest(key[:8])
		dst, _ = t.Find(k, body, dst[:0])
		dst, _ = t.Keep(k, body, answer, dst[:0])
	}
}
