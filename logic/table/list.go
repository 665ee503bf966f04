package table

import (
	"fmt"
	"time"

	"ringmaster/logic/lookup"
	"ringmaster/logic/rows"
)

// List is a set of digits or words, exact or by prefix, each with a validity.
type List struct {
	Name     string
	match    string
	keys     *lookup.Table
	validity []validity // by the key's value; index 0: always
}

type validity struct{ from, to time.Time }

func (v validity) holds(now time.Time) bool {
	return (v.from.IsZero() || !now.Before(v.from)) && (v.to.IsZero() || now.Before(v.to))
}

// NewList makes a list of its entries; nil when one cannot be used.
func NewList(row rows.ScreeningListRow, entries []*rows.ScreeningEntryRow, refuse Refuse) *List {
	empty := &List{Name: row.ScreeningList, match: row.Match, validity: []validity{{}}}
	return empty.With(entries, nil, refuse)
}

// With makes a list of this one: entries put in, keys taken out; nil when an entry cannot be used. This one stays as it is.
func (l *List) With(entries []*rows.ScreeningEntryRow, out []string, refuse Refuse) *List {
	list := *l
	put := make([]lookup.Entry, 0, len(entries))
	for i, row := range entries {
		yield(i)
		index := uint32(0)
		if !row.ValidFrom.IsZero() || !row.ValidTo.IsZero() {
			index = uint32(len(list.validity))
			list.validity = append(list.validity, validity{row.ValidFrom, row.ValidTo})
		}
		put = append(put, lookup.Entry{Key: row.Entry, Value: index})
	}
	put, good := Usable("screening_entry", list.Name, list.match, put, refuse)
	if !good {
		return nil
	}
	if list.keys, good = Edited("screening_list", list.Name, list.match, list.keys, put, out, refuse); !good {
		return nil
	}
	return &list
}

// Len returns how many entries the list has.
func (l *List) Len() int { return l.keys.Len() }

// Has reports whether a value is in the list at an instant.
func (l *List) Has(value string, now time.Time) bool {
	index, _, found := l.keys.Find(value)
	return found && l.validity[index].holds(now)
}

// Explain says why a value is in the list or not: the row that decided, and the reason in words.
func (l *List) Explain(value string, now time.Time) (key, reason string) {
	index, length, found := l.keys.Find(value)
	switch {
	case !found:
		return l.Name, fmt.Sprintf("%q is not in the list", value)
	case l.validity[index].holds(now):
		return l.Name + "." + value[:length], fmt.Sprintf("%q is in the list", value)
	}
	return l.Name + "." + value[:length], fmt.Sprintf("%q is in the list, but not valid now", value)
}
