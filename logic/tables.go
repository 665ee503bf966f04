package logic

import (
	"time"

	"ringmaster/logic/calendar"
	"ringmaster/logic/lookup"
)

// calendarTable is a named calendar with its rows' names kept for explain.
type calendarTable struct {
	name     string
	calendar *calendar.Calendar
	windows  []int64  // calendar_window_id by window index
	holidays []string // name by holiday index
}

// screeningList is a set of digits or words, exact or by prefix, each with a validity.
type screeningList struct {
	name     string
	match    string
	keys     *lookup.Table
	validity []validity // by the key's value; index 0: always
}

type validity struct{ from, to time.Time }

func (v validity) holds(now time.Time) bool {
	return (v.from.IsZero() || !now.Before(v.from)) && (v.to.IsZero() || now.Before(v.to))
}

// translationTable maps keys to values, exact or by longest prefix.
type translationTable struct {
	name   string
	match  string
	keys   *lookup.Table
	values []string // targets as number@trunk
}

// distribution picks among branches.
type distribution struct {
	name     string
	method   string
	branches []branch
	total    uint64 // sum of weights
	all      string // hierarchical: the branches' values in order, with commas between
}

type branch struct {
	name   string
	weight uint64
	value  string // a target as number@trunk, or text
}

// byWeight returns the branch that holds point (0 ≤ point < total) when the weights are laid side by side.
func (d *distribution) byWeight(point uint64) *branch {
	for i := range d.branches {
		if point < d.branches[i].weight {
			return &d.branches[i]
		}
		point -= d.branches[i].weight
	}
	return nil
}

// area returns the origin area of a caller's number, and how many digits of it decided.
func (s *Snapshot) area(caller string) (area string, length int) {
	if caller == "" {
		return "", 0
	}
	index, length, ok := s.areas.Find(caller)
	if !ok {
		return "", 0
	}
	return s.areaNames[index], length
}
