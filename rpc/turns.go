package rpc

import (
	"sync"
	"sync/atomic"
)

// turns counts the turns of circular distributions, by the distribution's name. They live as long as the engine
// does: a circular distribution spreads calls evenly, and needs no memory for that. Names come from the
// snapshot, so there are as many as operators have written.
type turns struct {
	mu     sync.RWMutex
	byName map[string]*atomic.Uint64
}

// next gives the turn of the named distribution, counted from 0, and advances it.
func (t *turns) next(name string) uint64 {
	t.mu.RLock()
	n := t.byName[name]
	t.mu.RUnlock()
	if n == nil {
		t.mu.Lock()
		if n = t.byName[name]; n == nil {
			if t.byName == nil {
				t.byName = make(map[string]*atomic.Uint64)
			}
			n = new(atomic.Uint64)
			t.byName[name] = n
		}
		t.mu.Unlock()
	}
	return n.Add(1) - 1
}
