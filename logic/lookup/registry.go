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
	items []*T // nil: taken out
}

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
		return r.items[index]
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

// At returns the thing at an index that was found before; nil when it was taken out.
func (r *Registry[T]) At(index uint32) *T { return r.items[index] }

// All yields the things, in the order in which they came.
func (r *Registry[T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, thing := range r.items {
			if thing != nil && !yield(thing) {
				return
			}
		}
	}
}

// RegistryEdit collects what changes in a registry.
type RegistryEdit[T any] struct {
	of    *Registry[T]
	items []*T // of the registry until something changes, then a copy
	own   bool
	added map[string]uint32 // indexes of names that the registry has not
	out   map[string]bool   // taken out
}

// Edit begins an edit.
func (r *Registry[T]) Edit() *RegistryEdit[T] {
	return &RegistryEdit[T]{of: r, items: r.items, added: make(map[string]uint32), out: make(map[string]bool)}
}

// change makes the items the edit's own.
func (e *RegistryEdit[T]) change() {
	if !e.own {
		e.items, e.own = slices.Clone(e.items), true
	}
}

// Index returns the index of a name as it is by now.
func (e *RegistryEdit[T]) Index(name string) (uint32, bool) {
	if index, ok := e.added[name]; ok {
		return index, true
	}
	if e.out[name] {
		return 0, false
	}
	return e.of.Index(name)
}

// Drop takes a name out; Set puts it back.
func (e *RegistryEdit[T]) Drop(name string) {
	e.change()
	if index, ok := e.added[name]; ok {
		e.items[index] = nil
		delete(e.added, name)
		return
	}
	if index, ok := e.of.Index(name); ok {
		e.items[index] = nil
		e.out[name] = true
	}
}

// Set gives a name its thing, and returns its index.
func (e *RegistryEdit[T]) Set(name string, thing *T) uint32 {
	e.change()
	delete(e.out, name)
	index, ok := e.Index(name)
	if !ok {
		index = uint32(len(e.items))
		e.items = append(e.items, nil)
		e.added[name] = index
	}
	e.items[index] = thing
	return index
}

// At returns the thing at an index as it is by now.
func (e *RegistryEdit[T]) At(index uint32) *T { return e.items[index] }

// Done returns the edited registry.
func (e *RegistryEdit[T]) Done() (Registry[T], error) {
	put := make([]Entry, 0, len(e.added))
	for name, index := range e.added {
		put = append(put, Entry{Key: name, Value: index})
	}
	names := e.of.names
	var err error
	switch {
	case names == nil:
		names, err = New(Exact, put)
	case len(put) > 0 || len(e.out) > 0:
		names, err = names.With(put, slices.Collect(maps.Keys(e.out)))
	}
	return Registry[T]{names, e.items}, err
}
