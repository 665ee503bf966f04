package lookup_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ringmaster/logic/lookup"
	"ringmaster/logic/prefix"
)

// twin is the dumb twin: a map, and a scan over it.
type twin struct {
	match   string
	entries map[string]uint32
}

func (w twin) matches(key string) (found []prefix.Match) {
	for entry, value := range w.entries {
		if entry == key || w.match == lookup.Prefix && strings.HasPrefix(key, entry) {
			found = append(found, prefix.Match{Length: len(entry), Value: value})
		}
	}
	slices.SortFunc(found, func(a, b prefix.Match) int { return b.Length - a.Length })
	return found
}

// TestEdits lets random edits pass over a table and its twin, and compares every answer.
func TestEdits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := twin{rapid.SampledFrom([]string{lookup.Exact, lookup.Prefix}).Draw(t, "match"), make(map[string]uint32)}
		form := `[0-3]{0,4}`
		if w.match == lookup.Exact {
			form = `[0-3]{0,4}|[ab]{1,2}|0{18,20}`
		}
		key := rapid.StringMatching(form)
		entry := rapid.Custom(func(t *rapid.T) lookup.Entry {
			return lookup.Entry{Key: key.Draw(t, "key"), Value: rapid.Uint32Max(9).Draw(t, "value")}
		})
		first := rapid.SliceOfNDistinct(entry, 0, 40, func(e lookup.Entry) string { return e.Key }).Draw(t, "first")
		table, err := lookup.New(w.match, first)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range first {
			w.entries[e.Key] = e.Value
		}
		for range rapid.IntRange(0, 6).Draw(t, "edits") {
			before, was := table, maps.Collect(table.All())
			put := rapid.SliceOfN(entry, 0, 5).Draw(t, "put")
			out := rapid.SliceOfN(key, 0, 5).Draw(t, "out")
			if table, err = table.With(put, out); err != nil {
				t.Fatal(err)
			}
			for _, key := range out {
				delete(w.entries, key)
			}
			for _, e := range put {
				w.entries[e.Key] = e.Value
			}
			if !maps.Equal(was, maps.Collect(before.All())) {
				t.Fatal("an edit changed the table it was made from")
			}
		}
		if got := maps.Collect(table.All()); !maps.Equal(got, w.entries) || table.Len() != len(w.entries) {
			t.Fatalf("entries %v (%d), want %v", got, table.Len(), w.entries)
		}
		for _, asked := range rapid.SliceOfN(key, 1, 20).Draw(t, "asked") {
			want := w.matches(asked)
			if got := table.AppendMatches(nil, asked); !slices.Equal(got, want) {
				t.Fatalf("%s matches of %q: %v, want %v", w.match, asked, got, want)
			}
			value, length, ok := table.Find(asked)
			if ok != (len(want) > 0) || ok && (prefix.Match{Length: length, Value: value}) != want[0] {
				t.Fatalf("%s %q is %d (%d, %t), want %v", w.match, asked, value, length, ok, want)
			}
		}
	})
}

// TestManyEdits goes past the point where a table is made anew.
func TestManyEdits(t *testing.T) {
	for _, match := range []string{lookup.Exact, lookup.Prefix} {
		table, err := lookup.New(match, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint32(2500) {
			if table, err = table.With([]lookup.Entry{{Key: lookup.Packed(100000 + i).String(), Value: i}}, nil); err != nil {
				t.Fatal(err)
			}
		}
		for i := range uint32(2500) {
			if value, _, ok := table.Find(lookup.Packed(100000 + i).String()); !ok || value != i {
				t.Fatalf("%s: entry %d is %d, %t", match, i, value, ok)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, make := range map[string]func() error{
		`key "12" occurs twice`: func() error {
			_, err := lookup.New(lookup.Exact, []lookup.Entry{{Key: "12"}, {Key: "12"}})
			return err
		},
		`prefix "12" occurs twice`: func() error {
			_, err := lookup.New(lookup.Prefix, []lookup.Entry{{Key: "12"}, {Key: "12"}})
			return err
		},
		`not one of 0-9 * #`: func() error {
			table, err := lookup.New(lookup.Prefix, nil)
			if err == nil {
				_, err = table.With([]lookup.Entry{{Key: "a"}}, nil)
			}
			return err
		},
		`it must be exact or prefix`: func() error { _, err := lookup.New("fuzzy", nil); return err },
	} {
		if err := make(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want %q, got %v", name, err)
		}
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	for _, match := range []string{lookup.Exact, lookup.Prefix} {
		table, err := lookup.New(match, []lookup.Entry{{Key: "49", Value: 1}, {Key: "4930", Value: 2}, {Key: "493012", Value: 3}})
		if err != nil {
			t.Fatal(err)
		}
		edited, err := table.With(nil, []string{"493012"})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range []*lookup.Table{table, edited} {
			if n := testing.AllocsPerRun(100, func() { one.Find("493012") }); n > 0 {
				t.Errorf("%s: %v allocations", match, n)
			}
		}
	}
}
