package logic

import (
	"cmp"
	"fmt"
	"slices"
)

// Delta is what happened to operators' rows between two config versions: what was touched, and the rows of it as they are now. What
// was touched and has no row is gone.
type Delta struct {
	Rows    Rows // Rows.Revision is the new version
	Touched Touched
}

// Touched names what an edit concerns. Of all but the last three fields the delta holds every row of what is named.
type Touched struct {
	Small             bool     // numbering_plan, trunk, node, session_key, prompt, area_prefix: all rows of all of these
	Calendars         []string // with windows and holidays
	ScreeningLists    []string // with entries
	TranslationTables []string // with translations
	Distributions     []string // with branches
	CallLimits        []string
	Scripts           []string // with parameters, steps and exits
	Services          []string // with parameters

	ScreeningEntries []EntryKey // single rows of lists
	Translations     []EntryKey // single rows of translation tables
	Numbers          []NumberKey
}

// EntryKey names a row of a screening list or translation table.
type EntryKey struct{ Table, Key string }

// NumberKey names a row of service_number.
type NumberKey struct{ Number, Match string }

// Apply makes the snapshot of a config version out of the one before it, by what was touched between them. It answers every call
// as Compile over all rows, with this snapshot as the previous one, would; it costs what was touched.
func (s *Snapshot) Apply(delta *Delta, zones Zones) (*Snapshot, []Problem) {
	next := *s
	c := &compiler{rows: &delta.Rows, touched: delta.Touched, previous: s, zones: zones, snapshot: &next}
	c.compile()
	return c.snapshot, c.snapshot.Problems()
}

// Retry names what the snapshot could not use as it is now, for another row's edit may make it usable: every delta to be applied must have it
// among what was touched. False when it is too much to name: then compile all rows again.
func (s *Snapshot) Retry() (Touched, bool) {
	t := Touched{Services: slices.Clone(s.stale)}
	for _, one := range s.problems.list {
		switch one.owner.kind {
		case ownerSmall:
			t.Small = true
		case ownerCalendar:
			t.Calendars = append(t.Calendars, one.owner.name)
		case ownerList:
			t.ScreeningLists = append(t.ScreeningLists, one.owner.name)
		case ownerTranslationTable:
			t.TranslationTables = append(t.TranslationTables, one.owner.name)
		case ownerDistribution:
			t.Distributions = append(t.Distributions, one.owner.name)
		case ownerScript:
			t.Scripts = append(t.Scripts, one.owner.name)
		case ownerService:
			t.Services = append(t.Services, one.owner.name)
		case ownerNumber:
			t.Numbers = append(t.Numbers, NumberKey{one.owner.name, one.owner.match})
		}
	}
	for _, names := range []*[]string{&t.Calendars, &t.ScreeningLists, &t.TranslationTables, &t.Distributions, &t.Scripts, &t.Services} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	return t, !s.problems.more()
}

// Problems are the rows that the snapshot could not use, in the order an operator reads them in, each once.
func (s *Snapshot) Problems() []Problem {
	list := make([]Problem, 0, len(s.problems.list))
	for _, one := range s.problems.list {
		list = append(list, one.Problem)
	}
	for table, n := range s.problems.told {
		if n > maxProblems {
			list = append(list, Problem{table, "", fmt.Sprintf("%d more problems with this table are not listed", n-maxProblems)})
		}
	}
	slices.SortFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(list)
}

// maxProblems is how many problems of one table are told: one mistake can spoil a million rows.
const maxProblems = 100

// problems collects what could not be used.
type problems struct {
	list []ownedProblem
	told map[string]int // by table, also those that are not in the list
}

// ownedProblem is a problem with what must be compiled again before it can go away.
type ownedProblem struct {
	Problem
	owner owner
}

type owner struct {
	kind  ownerKind
	name  string
	match string // of a number
}

type ownerKind uint8

const (
	ownerSmall ownerKind = iota // numbering plans, trunks, nodes, keys, prompts, areas
	ownerCalendar
	ownerList
	ownerTranslationTable
	ownerDistribution
	ownerScript
	ownerService
	ownerNumber
)

func (p *problems) add(o owner, problem Problem) {
	if p.told == nil {
		p.told = make(map[string]int)
	}
	p.told[problem.Table]++
	if p.told[problem.Table] <= maxProblems {
		p.list = append(p.list, ownedProblem{problem, o})
	}
}

// more reports whether there are problems beyond the list.
func (p *problems) more() bool {
	for _, n := range p.told {
		if n > maxProblems {
			return true
		}
	}
	return false
}

// with joins the problems with those that the snapshot before had of what was not compiled again.
func (p problems) with(previous *Snapshot, c *compiler) problems {
	if c.whole {
		return p
	}
	for _, one := range previous.problems.list {
		if !c.compiledAgain(one.owner) {
			p.add(one.owner, one.Problem)
		}
	}
	return p
}

func (c *compiler) compiledAgain(o owner) bool {
	switch o.kind {
	case ownerSmall:
		return c.touched.Small
	case ownerCalendar:
		return c.changed["calendar"][o.name]
	case ownerList:
		return c.changed["screening_list"][o.name]
	case ownerTranslationTable:
		return c.changed["translation_table"][o.name]
	case ownerDistribution:
		return c.changed["distribution"][o.name]
	case ownerScript:
		return c.changed["script"][o.name]
	case ownerService:
		return c.changed["service"][o.name]
	}
	return slices.Contains(c.touched.Numbers, NumberKey{o.name, o.match})
}
