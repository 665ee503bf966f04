package logic

import (
	"iter"
	"slices"
	"sync"

	"ringmaster/logic/script"
)

// uses says which services are made of what: an edit of a calendar looks at its services, not at all there are. It is shared by the snapshots that edits make of the first: a service that is made of
// something else than before is added, and never taken out, so it names services that may be made of something, in one of these snapshots.
type uses struct {
	mu    sync.Mutex // a draft may be compiled beside the feed
	of    map[use][]uint32
	added int // since it was made
}

type use struct{ kind, name string } // as in compiler.changed

// partsOf yields what a service is made of.
func partsOf(s *script.Service) iter.Seq[use] {
	return func(yield func(use) bool) {
		if s == nil || s.Script == nil || !yield(use{"script", s.Script.Name}) {
			return
		}
		for slot := range s.Slots {
			switch kind := s.Script.Parameters[slot].Kind; kind {
			case "calendar", "screening_list", "translation_table", "distribution", "tariff", "call_limit":
				if !yield(use{kind, s.Slots[slot].Text}) {
					return
				}
			}
		}
	}
}

// note adds what a service is made of now, and was not.
func (u *uses) note(index uint32, now, was *script.Service) {
	for part := range partsOf(now) {
		if !slices.Contains(slices.Collect(partsOf(was)), part) {
			u.of[part] = append(u.of[part], index)
			u.added++
		}
	}
}

// few reports whether no more than so many were added.
func (u *uses) few(most int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.added <= most
}

// candidates yields the services that may be made of something that changed, each once.
func (c *compiler) candidates() iter.Seq[*script.Service] {
	services := &c.previous.services
	u := c.previous.uses
	if c.small() || u == nil {
		return services.All()
	}
	var indexes []uint32
	u.mu.Lock()
	for kind, changed := range c.changed {
		for name := range changed {
			indexes = append(indexes, u.of[use{kind, name}]...)
		}
	}
	u.mu.Unlock()
	if len(indexes) > services.Len()/2 {
		return services.All()
	}
	slices.Sort(indexes)
	indexes = slices.Compact(indexes)
	return func(yield func(*script.Service) bool) {
		for _, index := range indexes {
			if service := services.At(index); service != nil && !yield(service) {
				return
			}
		}
	}
}

// keepUses notes what was compiled, and makes uses anew when most of it may be of services as they were.
func (c *compiler) keepUses() {
	s := c.snapshot
	if u := s.uses; u != nil && u.few(s.services.Len()+len(c.made)) {
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, index := range c.made {
			u.note(index, s.services.At(index), c.previous.services.At(index))
		}
		return
	}
	s.uses = &uses{of: make(map[use][]uint32)}
	i := 0
	for service := range s.services.All() {
		yield(i)
		i++
		index, _ := s.services.Index(service.Name)
		for part := range partsOf(service) {
			s.uses.of[part] = append(s.uses.of[part], index)
		}
	}
}
