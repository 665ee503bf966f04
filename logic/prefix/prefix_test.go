package prefix

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustBuild(t interface {
	Helper()
	Fatal(...any)
}, entries []Entry) *Table {
	t.Helper()
	table, err := Build(entries)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestLongest(t *testing.T) {
	table := mustBuild(t, []Entry{
		{"", 1}, {"49", 2}, {"4930", 3}, {"4930123456789", 4}, {"49301234567890123456789012345678", 5},
		{"*", 6}, {"*21*", 7}, {"#21#", 8}, {"1", 9},
	})
	for _, c := range []struct {
		digits string
		value  uint32
		length int
	}{
		{"", 1, 0}, {"5", 1, 0}, {"4", 1, 0}, {"49", 2, 2}, {"4940", 2, 2}, {"49301", 3, 4},
		{"493012345678", 3, 4}, {"4930123456789", 4, 13}, {"49301234567890", 4, 13},
		{"493012345678901234567890123456789999", 5, 32},
		{"*", 6, 1}, {"*20*", 6, 1}, {"*21*100", 7, 4}, {"#21#", 8, 4}, {"#2", 1, 0},
		{"1:1", 9, 1}, {"+49", 1, 0}, {"49\x00", 2, 2}, {"1é", 9, 1},
	} {
		value, length, ok := table.Longest(c.digits)
		if !ok || value != c.value || length != c.length {
			t.Errorf("%q: %d at %d (%v), want %d at %d", c.digits, value, length, ok, c.value, c.length)
		}
	}
	got := table.AppendMatches([]Match{{99, 99}}, "4930123456789")
	if want := []Match{{99, 99}, {13, 4}, {4, 3}, {2, 2}, {0, 1}}; !slices.Equal(got, want) {
		t.Errorf("matches %v, want %v", got, want)
	}
	if table.Len() != 9 {
		t.Errorf("Len %d", table.Len())
	}
}

func TestNothing(t *testing.T) {
	for name, table := range map[string]*Table{"zero": {}, "empty": mustBuild(t, nil), "one": mustBuild(t, []Entry{{"7", 1}})} {
		if value, length, ok := table.Longest("49"); ok || value != 0 || length != 0 {
			t.Errorf("%s: %d at %d", name, value, length)
		}
		if m := table.AppendMatches(nil, "49"); m != nil {
			t.Errorf("%s: %v", name, m)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	for want, entries := range map[string][]Entry{
		`prefix "4930" occurs twice`:                {{"49", 0}, {"4930", 1}, {"31", 2}, {"4930", 1}},
		`prefix "" occurs twice`:                    {{"", 0}, {"", 1}},
		`prefix "49 30": ' ' is not one of 0-9 * #`: {{"49 30", 0}},
		`prefix "+49": '+' is not one of 0-9 * #`:   {{"+49", 0}},
		fmt.Sprintf(`prefix "%s" is longer than %d digits`, strings.Repeat("1", 33), MaxDigits): {{strings.Repeat("1", 33), 0}},
	} {
		if _, err := Build(entries); err == nil || err.Error() != want {
			t.Errorf("%v: %v, want %s", entries, err, want)
		}
	}
}

// scan is Longest and AppendMatches without a data structure.
func scan(entries []Entry, digits string) (all []Match) {
	for _, e := range entries {
		if strings.HasPrefix(digits, e.Digits) {
			all = append(all, Match{len(e.Digits), e.Value})
		}
	}
	slices.SortFunc(all, func(a, b Match) int { return b.Length - a.Length })
	return all
}

func TestAgainstScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// A few letters make shared ways likely; all twelve and long tails make every node shape.
		alphabet := rapid.SampledFrom([]string{"12", "0*#", "0123456789", "0123456789*#"}).Draw(t, "alphabet")
		number := func(longest int) *rapid.Generator[string] {
			return rapid.Custom(func(t *rapid.T) string {
				s := rapid.StringOfN(rapid.SampledFrom([]rune(alphabet)), 0, longest, -1).Draw(t, "digits")
				if rapid.IntRange(0, 4).Draw(t, "tail") == 0 {
					s += strings.Repeat(alphabet[:1], rapid.IntRange(0, longest-len(s)).Draw(t, "times"))
				}
				return s
			})
		}
		digits := rapid.SliceOfNDistinct(number(MaxDigits), 0, 60, rapid.ID[string]).Draw(t, "entries")
		entries := make([]Entry, len(digits))
		for i, d := range digits {
			entries[i] = Entry{d, rapid.Uint32().Draw(t, "value")}
		}
		table := mustBuild(t, entries)
		if table.Len() != len(entries) {
			t.Fatalf("Len %d of %d", table.Len(), len(entries))
		}
		queries := append(rapid.SliceOfN(number(MaxDigits+8), 1, 40).Draw(t, "queries"), digits...)
		for _, d := range digits {
			queries = append(queries, d+rapid.SampledFrom([]string{"1", "+", "a", ":", "/", "\x00", "\xff"}).Draw(t, "more"), d[:len(d)/2])
		}
		for _, q := range queries {
			want := scan(entries, q)
			if got := table.AppendMatches(nil, q); !slices.Equal(got, want) {
				t.Fatalf("%q: %v, want %v", q, got, want)
			}
			value, length, ok := table.Longest(q)
			if ok != (len(want) > 0) || ok && (Match{length, value}) != want[0] {
				t.Fatalf("%q: %d at %d (%v), want %v", q, value, length, ok, want)
			}
		}
	})
}

func TestLongestAllocatesNothing(t *testing.T) {
	table := mustBuild(t, []Entry{{"", 1}, {"49", 2}, {"4930", 3}, {"493012345678", 4}})
	matches := make([]Match, 0, 8)
	if n := testing.AllocsPerRun(100, func() {
		table.Longest("4930123456789")
		matches = table.AppendMatches(matches[:0], "4930123456789")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// sparse returns n distinct full-length numbers of country code 49, 12 digits each, in no order.
func sparse(n int) []Entry {
	random := rand.New(rand.NewPCG(1, 2))
	seen := make(map[uint64]bool, n)
	entries := make([]Entry, 0, n)
	for len(entries) < n {
		number := 490000000000 + random.Uint64N(10_000_000_000)
		if !seen[number] {
			seen[number] = true
			entries = append(entries, Entry{fmt.Sprint(number), uint32(len(entries))})
		}
	}
	return entries
}

// dense returns n prefixes that follow each other, 7 digits each.
func dense(n int) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Entry{fmt.Sprint(4_000_000 + i), uint32(i)}
	}
	return entries
}

func TestBytes(t *testing.T) {
	const n = 1_000_000
	for _, c := range []struct {
		name    string
		entries []Entry
		ceiling int // bytes an entry
	}{
		{"sparse", sparse(n), 40},
		{"dense", dense(n), 18},
	} {
		table := mustBuild(t, c.entries)
		if table.Bytes() > c.ceiling*n {
			t.Errorf("%s: %.1f bytes an entry, at most %d", c.name, float64(table.Bytes())/n, c.ceiling)
		}
		for _, e := range []Entry{c.entries[0], c.entries[n/2], c.entries[n-1]} {
			if value, length, ok := table.Longest(e.Digits + "0"); !ok || value != e.Value || length != len(e.Digits) {
				t.Errorf("%s: %q: %d at %d (%v)", c.name, e.Digits, value, length, ok)
			}
		}
	}
}

// perLength is the usual other way: a map for each length, asked from the longest to the shortest.
type perLength [MaxDigits + 1]map[uint64]uint32

func newPerLength(entries []Entry) *perLength {
	var m perLength
	for _, e := range entries {
		if m[len(e.Digits)] == nil {
			m[len(e.Digits)] = make(map[uint64]uint32)
		}
		m[len(e.Digits)][pack(e.Digits)] = e.Value
	}
	return &m
}

func pack(digits string) (n uint64) {
	for i := range len(digits) {
		n = n*12 + uint64(digit(digits[i]))
	}
	return n
}

func (m *perLength) longest(digits string) (uint32, int, bool) {
	for length := len(digits); length >= 0; length-- {
		if m[length] == nil {
			continue
		}
		if value, ok := m[length][pack(digits[:length])]; ok {
			return value, length, true
		}
	}
	return 0, 0, false
}

// deck returns n distinct prefixes of 3 to 10 digits, most of them long, as in a rate deck.
func deck(n int) []Entry {
	random := rand.New(rand.NewPCG(5, 6))
	seen := make(map[string]bool, n)
	entries := make([]Entry, 0, n)
	for len(entries) < n {
		digits := fmt.Sprint(4_000_000_000 + random.Uint64N(1_000_000_000))[:3+random.IntN(8)]
		if !seen[digits] {
			seen[digits] = true
			entries = append(entries, Entry{digits, uint32(len(entries))})
		}
	}
	return entries
}

func BenchmarkLongest(b *testing.B) {
	for _, set := range []struct {
		name    string
		entries []Entry
	}{{"sparse", sparse(1_000_000)}, {"dense", dense(1_000_000)}, {"deck", deck(1_000_000)}} {
		random := rand.New(rand.NewPCG(3, 4))
		queries := make([]string, 1<<20)
		for i := range queries {
			if set.name == "deck" {
				queries[i] = fmt.Sprint(400_000_000_000 + random.Uint64N(100_000_000_000))
			} else {
				queries[i] = set.entries[random.IntN(len(set.entries))].Digits + "123"
			}
		}
		table := mustBuild(b, set.entries)
		maps := newPerLength(set.entries)
		b.Run(set.name+"/trie", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				table.Longest(queries[i&(1<<20-1)])
			}
			b.ReportMetric(float64(table.Bytes())/float64(table.Len()), "bytes/entry")
		})
		b.Run(set.name+"/map-per-length", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				maps.longest(queries[i&(1<<20-1)])
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	for name, entries := range map[string][]Entry{"sparse": sparse(1_000_000), "dense": dense(1_000_000), "deck": deck(1_000_000)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				mustBuild(b, entries)
			}
		})
	}
}
