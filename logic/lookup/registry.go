package lookup

import (
	"iter"
	"maps"
	"slices"
)

// Registry keeps things by name. An edited registry shares nearly all of its memory with the one before, and
// what stays keeps its index.
type Registry[T any] struct {
	names *Table
	pages []*page[T] // of the things, by index
	size  uint32     // indexes that were given, also to what was taken out
}

// pageSize is how many things share a page: an edit of one copies its page, and the list of pages.
const pageSize = 256

// page is a part of the things. nil: taken out, or never there.
type page[T any] [pageSize]*T

// Index returns the index of a name: it stays while the name does.
func (r *Registry[T]) Index(name string) (uint32, bool) {
	if r.names == nil {
		return 0, false
	}
	index, _, ok := r.names.Find(name)
	return index, ok
}

// Get returns the thing of a name, or nil.
func (r *Registry[T]) Get(name string) *T {
	if index, ok := r.Index(name); ok {
		return r.At(index)
	}
	return nil
}

// Find is Get for those who want to be told.
func (r *Registry[T]) Find(name string) (*T, bool) {
	thing := r.Get(name)
	return thing, thing != nil
}

// Len returns how many things there are.
func (r *Registry[T]) Len() int {
	if r.names == nil {
		return 0
	}
	return r.names.Len()
}

// At returns the thing at an index; nil when it was taken out, or is of another registry.
func (r *Registry[T]) At(index uint32) *T {
	if n := index / pageSize; n < uint32(len(r.pages)) {
		return r.pages[n][index%pageSize]
	}
	return nil
}

// All yields the things, in the order in which they came.
func (r *Registry[T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, page := range r.pages {
			for _, thing := range page {
				if thing != nil && !yield(thing) {
					return
				}
			}
		}
	}
}

// RegistryEdit collects what changes in a registry.
type RegistryEdit[T any] struct {
	now   Registry[T]       // with the names as they were
	own   map[uint32]bool   // pages that are the edit's; nil: not even the list of them is
	added map[string]uint32 // indexes of names that the registry has not
	out   map[string]bool   // taken out
}

// Edit begins an edit.
func (r *Registry[T]) Edit() *RegistryEdit[T] {
	return &RegistryEdit[T]{now: *r, added: make(map[string]uint32), out: make(map[string]bool)}
}

// put makes the page of an index the edit's own, and changes what lies there.
func (e *RegistryEdit[T]) put(index uint32, thing *T) {
	if e.own == nil {
		e.own, e.now.pages = make(map[uint32]bool), slices.Clone(e.now.pages)
	}
	switch n := index / pageSize; {
	case n == uint32(len(e.now.pages)):
		e.own[n], e.now.pages = true, append(e.now.pages, new(page[T]))
	case !e.own[n]:
		copied := *e.now.pages[n]
		e.own[n], e.now.pages[n] = true, &copied
	}
	e.now.pages[index/pageSize][index%pageSize] = thing
}

// Index returns the index of a name as it is by now.
func (e *RegistryEdit[T]) Index(name string) (uint32, bool) {
	if index, ok := e.added[name]; ok {
		return index, true
	}
	if e.out[name] {
		return 0, false
	}
	return e.now.Index(name)
}

// Drop takes a name out; Set puts it back.
func (e *RegistryEdit[T]) Drop(name string) {
	if index, ok := e.added[name]; ok {
		e.put(index, nil)
		delete(e.added, name)
		return
	}
	if index, ok := e.now.Index(name); ok {
		e.put(index, nil)
		e.out[name] = true
	}
}

// Set gives a name its thing, and returns its index.
func (e *RegistryEdit[T]) Set(name string, thing *T) uint32 {
	delete(e.out, name)
	index, ok := e.Index(name)
	if !ok {
		index = e.now.size
		e.now.size++
		e.added[name] = index
	}
	e.put(index, thing)
	return index
}

// At returns the thing at an index as it is by now.
func (e *RegistryEdit[T]) At(index uint32) *T { return e.now.At(index) }

// Done returns the edited registry.
func (e *RegistryEdit[T]) Done() (Registry[T], error) {
	put := make([]Entry, 0, len(e.added))
	for name, index := range e.added {
		put = append(put, Entry{Key: name, Value: index})
	}
	done := e.now
	var err error
	switch {
	case done.names == nil:
		done.names, err = New(Exact, put)
	case len(put) > 0 || len(e.out) > 0:
		done.names, err = done.names.With(put, slices.Collect(maps.Keys(e.out)))
	}
	return done, err
}
