package logic

import (
	"maps"
	"slices"

	"ringmaster/logic/lookup"
)

// registry keeps things by name. An edited registry shares nearly all of its memory with the one before, and
// what stays keeps its index.
type registry[T any] struct {
	names *lookup.Table
	items []*T // nil: taken out
}

// index returns the index of a name.
func (r *registry[T]) index(name string) (uint32, bool) {
	if r.names == nil {
		return 0, false
	}
	index, _, ok := r.names.Find(name)
	return index, ok
}

// get returns the thing of a name, or nil.
func (r *registry[T]) get(name string) *T {
	if index, ok := r.index(name); ok {
		return r.items[index]
	}
	return nil
}

// find is get for those who want to be told.
func (r *registry[T]) find(name string) (*T, bool) {
	thing := r.get(name)
	return thing, thing != nil
}

// size returns how many things there are.
func (r *registry[T]) size() int {
	if r.names == nil {
		return 0
	}
	return r.names.Len()
}

// registryEdit collects what changes in a registry.
type registryEdit[T any] struct {
	of    *registry[T]
	items []*T
	added map[string]uint32 // indexes of names that the registry has not
	out   map[string]bool   // taken out
}

func (r *registry[T]) edit() *registryEdit[T] {
	return &registryEdit[T]{of: r, items: slices.Clone(r.items), added: make(map[string]uint32), out: make(map[string]bool)}
}

// index returns the index of a name as it is by now.
func (e *registryEdit[T]) index(name string) (uint32, bool) {
	if index, ok := e.added[name]; ok {
		return index, true
	}
	if e.out[name] {
		return 0, false
	}
	return e.of.index(name)
}

// drop takes a name out; set puts it back.
func (e *registryEdit[T]) drop(name string) {
	if index, ok := e.of.index(name); ok {
		e.items[index] = nil
		e.out[name] = true
	}
}

// set gives a name its thing, and returns its index.
func (e *registryEdit[T]) set(name string, thing *T) uint32 {
	delete(e.out, name)
	index, ok := e.index(name)
	if !ok {
		index = uint32(len(e.items))
		e.items = append(e.items, nil)
		e.added[name] = index
	}
	e.items[index] = thing
	return index
}

// done returns the edited registry.
func (e *registryEdit[T]) done() (registry[T], error) {
	put := make([]lookup.Entry, 0, len(e.added))
	for name, index := range e.added {
		put = append(put, lookup.Entry{Key: name, Value: index})
	}
	names := e.of.names
	var err error
	switch {
	case names == nil:
		names, err = lookup.New(lookup.Exact, put)
	case len(put) > 0 || len(e.out) > 0:
		names, err = names.With(put, slices.Collect(maps.Keys(e.out)))
	}
	return registry[T]{names, e.items}, err
}
