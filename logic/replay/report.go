package replay

import (
	"cmp"
	"maps"
	"slices"

	"time"

	"ringmaster/logic"
)

// Kind says how the two ways of a call differ; the gravest kind counts.
type Kind string

// The kinds, the gravest first.
const (
	Same      Kind = ""
	Service   Kind = "service"   // another service, or none, answers for the number
	Target    Kind = "target"    // other targets, or the same in another order
	Outcome   Kind = "outcome"   // the same targets and another end
	Cost      Kind = "cost"      // the same way at another price
	Treatment Kind = "treatment" // only what the caller hears, or how long it rings
)

// Compare says how two ways of one call differ, as far as both are known.
func Compare(a, b *Route) Kind {
	switch {
	case a.Service != b.Service:
		return Service
	case differ(a.Targets, b.Targets, a.Unknown != "", b.Unknown != ""):
		return Target
	case a.Unknown == "" && b.Unknown == "" && a.Outcome != b.Outcome:
		return Outcome
	case a.Unknown == "" && b.Unknown == "" && !slices.Equal(a.Cost, b.Cost):
		return Cost
	case differ(a.Instructions, b.Instructions, a.Unknown != "", b.Unknown != ""):
		return Treatment
	}
	return Same
}

// differ compares two lists, of which one may go on in a way that is not known.
func differ(a, b []string, aOpen, bOpen bool) bool {
	common := min(len(a), len(b))
	switch {
	case !slices.Equal(a[:common], b[:common]):
		return true
	case len(a) > common:
		return !bOpen
	case len(b) > common:
		return !aOpen
	}
	return false
}

// Difference is a call that would be treated otherwise.
type Difference struct {
	CallID    string    `json:"call_id"`
	StartedAt time.Time `json:"started_at"`
	Caller    string    `json:"caller"`
	Called    string    `json:"called"`
	Kind      Kind      `json:"kind"`
	Before    Route     `json:"before"`
	After     Route     `json:"after"`
}

// Tally counts calls.
type Tally struct {
	Service   string `json:"service"` // before; empty: the number had none
	Calls     int    `json:"calls"`
	Same      int    `json:"same"`
	Elsewhere int    `json:"elsewhere"` // another service or other targets
	Otherwise int    `json:"otherwise"` // another end, another price, or other treatment
	Unknown   int    `json:"unknown"`   // of those that are the same: known to be so only to a point
}

// Report is what a replay came to.
type Report struct {
	Total       Tally        `json:"total"`
	Services    []Tally      `json:"services"`    // those with differences first
	Differences []Difference `json:"differences"` // the first ones
}

// Replay compares two sides, call by call.
type Replay struct {
	before, after Side
	most          int
	tallies       map[string]*Tally
	differences   []Difference
}

// New begins a replay. Of the calls that differ, the first most are kept with their decisions.
func New(before, after Side, most int) *Replay {
	return &Replay{before: before, after: after, most: most, tallies: make(map[string]*Tally)}
}

// Add replays a call.
func (r *Replay) Add(cdr *logic.CDR) {
	before, after := r.before.Walk(cdr, false), r.after.Walk(cdr, false)
	tally := r.tallies[before.Service]
	if tally == nil {
		tally = &Tally{Service: before.Service}
		r.tallies[tally.Service] = tally
	}
	tally.Calls++
	kind := Compare(&before, &after)
	switch kind {
	case Same:
		tally.Same++
		if before.Unknown != "" || after.Unknown != "" {
			tally.Unknown++
		}
		return
	case Service, Target:
		tally.Elsewhere++
	default:
		tally.Otherwise++
	}
	if len(r.differences) < r.most {
		r.differences = append(r.differences, Difference{CallID: cdr.CallID, StartedAt: cdr.StartedAt, Caller: cdr.Caller, Called: cdr.Called, Kind: kind,
			Before: r.before.Walk(cdr, true), After: r.after.Walk(cdr, true)})
	}
}

// Report returns what the calls so far came to.
func (r *Replay) Report() Report {
	report := Report{Differences: r.differences, Services: []Tally{}}
	if report.Differences == nil {
		report.Differences = []Difference{}
	}
	for _, name := range slices.Sorted(maps.Keys(r.tallies)) {
		t := *r.tallies[name]
		report.Services = append(report.Services, t)
		report.Total.Calls += t.Calls
		report.Total.Same += t.Same
		report.Total.Elsewhere += t.Elsewhere
		report.Total.Otherwise += t.Otherwise
		report.Total.Unknown += t.Unknown
	}
	slices.SortStableFunc(report.Services, func(a, b Tally) int {
		return cmp.Or(-cmp.Compare(a.Elsewhere, b.Elsewhere), -cmp.Compare(a.Otherwise, b.Otherwise))
	})
	return report
}
