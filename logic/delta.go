package logic

import (
	"cmp"
	"fmt"
	"iter"
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
	Small             bool     // numbering_plan, trunk, prompt, area_prefix: all rows of all of these
	Nodes             bool     // node, session_key: all rows of both
	Calendars         []string // with windows and holidays
	ScreeningLists    []string // with entries
	TranslationTables []string // with translations
	Distributions     []string // with branches
	Tariffs           []string // with rates
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
	for owner := range s.problems.owners() {
		switch owner.kind {
		case ownerSmall:
			t.Small = true
		case ownerNode:
			t.Nodes = true
		case ownerCalendar:
			t.Calendars = append(t.Calendars, owner.name)
		case ownerList:
			t.ScreeningLists = append(t.ScreeningLists, owner.name)
		case ownerTranslationTable:
			t.TranslationTables = append(t.TranslationTables, owner.name)
		case ownerDistribution:
			t.Distributions = append(t.Distributions, owner.name)
		case ownerTariff:
			t.Tariffs = append(t.Tariffs, owner.name)
		case ownerScript:
			t.Scripts = append(t.Scripts, owner.name)
		case ownerService:
			t.Services = append(t.Services, owner.name)
		case ownerNumber:
			t.Numbers = append(t.Numbers, NumberKey{owner.name, owner.match})
		}
	}
	for _, names := range []*[]string{&t.Calendars, &t.ScreeningLists, &t.TranslationTables, &t.Distributions, &t.Tariffs, &t.Scripts, &t.Services} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	return t, !s.problems.lost
}

// Problems are the rows that the snapshot could not use, in the order an operator reads them in, each once.
func (s *Snapshot) Problems() []Problem {
	list := make([]Problem, 0, len(s.problems.list))
	for _, one := range s.problems.list {
		list = append(list, one.Problem)
	}
	for table, n := range s.problems.told {
		if n > maxProblems {
			list = append(list, Problem{Table: table, Reason: fmt.Sprintf("%d more problems with this table are not listed", n-maxProblems)})
		}
	}
	slices.SortFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(list)
}

// maxProblems is how many problems of one table are told: one mistake can spoil a million rows.
const maxProblems = 100

// maxUntold is how many things are remembered whose problems are not listed: each is tried again with every edit.
const maxUntold = 20_000

// problems collects what could not be used.
type problems struct {
	list   []ownedProblem
	told   map[string]int // by table, also those that are not in the list
	untold []untold       // what has a problem that is not in the list
	lost   bool           // and there are more of them than maxUntold
}

type untold struct {
	table string
	owner owner
}

// owners yields what has a problem, listed or not, some of it more than once.
func (p *problems) owners() iter.Seq[owner] {
	return func(yield func(owner) bool) {
		for i := range p.list {
			if !yield(p.list[i].owner) {
				return
			}
		}
		for i := range p.untold {
			if !yield(p.untold[i].owner) {
				return
			}
		}
	}
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
	ownerSmall ownerKind = iota // numbering plans, trunks, prompts, areas
	ownerNode                   // nodes, keys
	ownerCalendar
	ownerList
	ownerTranslationTable
	ownerDistribution
	ownerTariff
	ownerScript
	ownerService
	ownerNumber
)

func (p *problems) add(o owner, problem Problem) {
	if p.count(problem.Table) <= maxProblems {
		p.list = append(p.list, ownedProblem{problem, o})
		return
	}
	p.remember(untold{problem.Table, o})
}

// count counts a problem with a table.
func (p *problems) count(table string) int {
	if p.told == nil {
		p.told = make(map[string]int)
	}
	p.told[table]++
	return p.told[table]
}

// remember keeps what has a problem that is not listed.
func (p *problems) remember(u untold) {
	if n := len(p.untold); n > 0 && p.untold[n-1] == u {
		return
	}
	if p.lost = p.lost || len(p.untold) >= maxUntold; !p.lost {
		p.untold = append(p.untold, u)
	}
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
	for _, one := range previous.problems.untold {
		if !c.compiledAgain(one.owner) {
			p.count(one.table)
			p.remember(one)
		}
	}
	return p
}

func (c *compiler) compiledAgain(o owner) bool {
	switch o.kind {
	case ownerSmall:
		return c.touched.Small
	case ownerNode:
		return c.touched.Nodes
	case ownerCalendar:
		return c.changed["calendar"][o.name]
	case ownerList:
		return c.changed["screening_list"][o.name]
	case ownerTranslationTable:
		return c.changed["translation_table"][o.name]
	case ownerDistribution:
		return c.changed["distribution"][o.name]
	case ownerTariff:
		return c.changed["tariff"][o.name]
	case ownerScript:
		return c.changed["script"][o.name]
	case ownerService:
		return c.changed["service"][o.name]
	}
	return slices.Contains(c.touched.Numbers, NumberKey{o.name, o.match})
}
