package logic

import "iter"

// uses says which services are made of what: an edit of a calendar looks at its services, not at all there are. It is made once and shared by the snapshots that edits
// make of the first; a service that was compiled since may be made of other things.
type uses struct {
	of map[use][]uint32 // indexes of services
}

type use struct{ kind, name string } // as in compiler.changed

// maxRecent is how many services may have been compiled since uses was made, before it is made anew: each is looked at with every edit.
const maxRecent = 2048

// candidates yields the services that may be made of something that changed, each once.
func (c *compiler) candidates() iter.Seq[*service] {
	previous := c.previous
	if c.small() || previous.uses == nil {
		return previous.services.All()
	}
	lists := [][]uint32{previous.recent}
	n := len(previous.recent)
	for kind, changed := range c.changed {
		for name := range changed {
			if list := previous.uses.of[use{kind, name}]; len(list) > 0 {
				lists = append(lists, list)
				n += len(list)
			}
		}
	}
	if n > previous.services.Len()/2 {
		return previous.services.All()
	}
	return func(yield func(*service) bool) {
		seen := make(map[uint32]bool, n)
		for _, list := range lists {
			for _, index := range list {
				if seen[index] {
					continue
				}
				seen[index] = true
				if service := previous.services.At(index); service != nil && !yield(service) {
					return
				}
			}
		}
	}
}

// keepUses notes what was compiled, and makes uses anew when that has become much.
func (c *compiler) keepUses() {
	s := c.snapshot
	if len(c.made) == 0 && s.uses != nil {
		return
	}
	if s.uses != nil && len(c.previous.recent)+len(c.made) <= maxRecent {
		// A copy: another snapshot may be made of the one before, too.
		s.recent = append(append(make([]uint32, 0, len(c.previous.recent)+len(c.made)), c.previous.recent...), c.made...)
		return
	}
	s.uses, s.recent = &uses{of: make(map[use][]uint32)}, nil
	i := 0
	for service := range s.services.All() {
		yield(i)
		i++
		if service.script == nil {
			continue
		}
		index, _ := s.services.Index(service.name)
		add := func(kind, name string) { s.uses.of[use{kind, name}] = append(s.uses.of[use{kind, name}], index) }
		add("script", service.script.name)
		for slot := range service.slots {
			switch kind := service.script.parameters[slot].kind; kind {
			case "calendar", "screening_list", "translation_table", "distribution", "tariff", "call_limit":
				add(kind, service.slots[slot].text)
			}
		}
	}
}
