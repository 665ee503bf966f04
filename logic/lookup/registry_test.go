package lookup_test

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"ringmaster/logic/lookup"
)

// TestRegistryIsAMap: whatever is put in and taken out, edit by edit, a registry holds what a map would; the ones before stay as they were, and an index stays while its name does.
func TestRegistryIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			registry lookup.Registry[int]
			want     map[string]int
			indexes  map[string]uint32
		}
		now := version{want: map[string]int{}, indexes: map[string]uint32{}}
		var versions []version
		n := 0
		for range rapid.IntRange(1, 8).Draw(t, "edits") {
			edit := now.registry.Edit()
			now.want, now.indexes = maps.Clone(now.want), maps.Clone(now.indexes)
			first := rapid.IntRange(0, 700).Draw(t, "first")
			for i := range rapid.SampledFrom([]int{1, 3, 300, 600}).Draw(t, "changes") {
				name := fmt.Sprint((first + i) % 800)
				if was, known := now.indexes[name]; rapid.IntRange(0, 3).Draw(t, "drop") == 0 {
					edit.Drop(name)
					delete(now.want, name)
					delete(now.indexes, name)
				} else {
					n++
					thing := n
					index := edit.Set(name, &thing)
					if known && index != was {
						t.Fatalf("%s had index %d, and has %d", name, was, index)
					}
					if got := edit.At(index); *got != n {
						t.Fatalf("%s is %d, want %d", name, *got, n)
					}
					now.want[name], now.indexes[name] = n, index
				}
			}
			var err error
			if now.registry, err = edit.Done(); err != nil {
				t.Fatal(err)
			}
			versions = append(versions, now)
		}
		for _, v := range versions {
			if v.registry.Len() != len(v.want) {
				t.Fatalf("%d things, want %d", v.registry.Len(), len(v.want))
			}
			for i := range 800 {
				name := fmt.Sprint(i)
				got, found := v.registry.Find(name)
				want, should := v.want[name]
				if found != should || found && *got != want {
					t.Fatalf("%s: %v, %v; want %d, %v", name, got, found, want, should)
				}
			}
			all := 0
			for range v.registry.All() {
				all++
			}
			if all != len(v.want) {
				t.Fatalf("%d things in all, want %d", all, len(v.want))
			}
		}
		if got := now.registry.At(1 << 20); got != nil {
			t.Fatalf("there is %v where nothing can be", *got)
		}
	})
}
