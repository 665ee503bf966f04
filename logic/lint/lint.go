// Package lint finds mistakes in operators' rows before a call does: rows that can be used and yet are hardly what was meant. Calls that may
// go in circles, prefixes that no number reaches, opening hours that overlap, accounts in another currency than
// what they shall pay, things that nothing uses.
//
// It reads rows (package rows) and says what it thinks of them; it changes nothing and decides nothing about calls. What cannot be used at all
// is found by logic.Compile. Every check takes no more than n log n for n rows, so that a carrier of a million numbers is
// checked in seconds.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"ringmaster/logic/rows"
)

// Severity says how much a finding matters.
type Severity uint8

const (
	Note    Severity = iota // worth knowing; nothing to do at once
	Warning                 // probably a mistake
	Error                   // cannot be used
)

var severityWords = [...]string{"note", "warning", "error"}

// String returns note, warning or error.
func (s Severity) String() string { return severityWords[min(int(s), len(severityWords)-1)] }

// MarshalText makes JSON show the word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the opposite of MarshalText.
func (s *Severity) UnmarshalText(text []byte) error {
	index := slices.Index(severityWords[:], string(text))
	if index < 0 {
		return fmt.Errorf("%q is no severity: note, warning or error", text)
	}
	*s = Severity(index)
	return nil
}

// Finding is a row that is probably not what was meant.
type Finding struct {
	Severity Severity `json:"severity"`
	Check    string   `json:"check"` // the kind of finding: forwarding_loop, shadowed_prefix, …
	Table    string   `json:"table"`
	Key      string   `json:"key"` // as an operator would name the row
	Reason   string   `json:"reason"`
	Advice   string   `json:"advice,omitempty"`
}

// String is the finding on one line: severity: table key: reason; advice.
func (f Finding) String() string {
	text := f.Severity.String() + ": " + f.Table
	if f.Key != "" {
		text += " " + f.Key
	}
	text += ": " + f.Reason
	if f.Advice != "" {
		text += "; " + f.Advice
	}
	return text
}

// Normalise returns the E.164 digits of a number as it is dialled on a trunk: logic.Snapshot.Normalise.
type Normalise func(trunk, number string) string

// Zones finds a time zone by its IANA name: time.LoadLocation.
type Zones func(name string) (*time.Location, error)

// perCheck is how many findings of one kind are listed; of the others only the count is.
const perCheck = 100

// Check returns what it finds, the gravest first, then by table and key. Of each kind it lists a hundred and counts the rest.
func Check(r *rows.Rows, normalise Normalise, zones Zones, now time.Time) []Finding {
	l := &linter{rows: r, normalise: normalise, location: zones, now: now, counts: make(map[kind]int), zones: make(map[string]string), weeks: make(map[string][]span), meetings: make(map[[2]string]meeting)}
	l.prepare()
	l.numbers()
	l.prefixes()
	l.calendars()
	l.lists()
	l.distributions()
	l.services()
	l.tariffs()
	l.bands()
	l.currencies()
	l.unused()
	l.loops()
	l.targets()
	l.longWays()
	return l.finish()
}

// kind is what the findings are counted by.
type kind struct {
	check, table string
	severity     Severity
}

type linter struct {
	rows      *rows.Rows
	normalise Normalise
	location  Zones // nil: none is known
	now       time.Time
	findings  []Finding
	counts    map[kind]int

	parameters map[string][]*rows.ScriptParameterRow  // by script
	given      map[string][]*rows.ServiceParameterRow // by service
	used       map[string]map[string]bool             // by type of parameter: the names that services and scripts give
	zones      map[string]string                      // by calendar
	weeks      map[string][]span                      // by calendar: when its windows are open
	meetings   map[[2]string]meeting                  // of calendars that were compared
}

// tell adds a finding, while there are not too many of its kind.
func (l *linter) tell(severity Severity, check, table, key, advice, format string, args ...any) {
	k := kind{check, table, severity}
	l.counts[k]++
	if l.counts[k] > perCheck {
		return
	}
	l.findings = append(l.findings, Finding{severity, check, table, key, fmt.Sprintf(format, args...), advice})
}

func (l *linter) finish() []Finding {
	for k, count := range l.counts {
		if count > perCheck {
			l.findings = append(l.findings, Finding{Severity: k.severity, Check: k.check, Table: k.table,
				Reason: fmt.Sprintf("and %d more of this kind", count-perCheck)})
		}
	}
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		// What has no key counts the others of its kind, and comes behind them.
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Check, b.Check),
			boolean(a.Key == "")-boolean(b.Key == ""), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Reason, b.Reason))
	})
	return l.findings
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// prepare indexes scripts' and services' parameters.
func (l *linter) prepare() {
	l.parameters = make(map[string][]*rows.ScriptParameterRow)
	l.given = make(map[string][]*rows.ServiceParameterRow, len(l.rows.Services))
	l.used = make(map[string]map[string]bool)
	for i := range l.rows.ScriptParameters {
		row := &l.rows.ScriptParameters[i]
		l.parameters[row.Script] = append(l.parameters[row.Script], row)
		if row.DefaultValue != nil {
			l.use(row.Type, *row.DefaultValue)
		}
	}
	for i := range l.rows.ServiceParameters {
		row := &l.rows.ServiceParameters[i]
		l.given[row.Service] = append(l.given[row.Service], row)
	}
	for i := range l.rows.Services {
		l.eachParameter(&l.rows.Services[i], func(parameter *rows.ScriptParameterRow, value string) { l.use(parameter.Type, value) })
	}
}

func (l *linter) use(kind, name string) {
	if l.used[kind] == nil {
		l.used[kind] = make(map[string]bool)
	}
	l.used[kind][name] = true
}

// eachParameter calls visit with each parameter of a service and its value, given or the script's default.
func (l *linter) eachParameter(service *rows.ServiceRow, visit func(parameter *rows.ScriptParameterRow, value string)) {
	given := l.given[service.Service]
	for _, parameter := range l.parameters[service.Script] {
		index := slices.IndexFunc(given, func(g *rows.ServiceParameterRow) bool { return g.Parameter == parameter.Parameter })
		switch {
		case index >= 0:
			visit(parameter, given[index].Value)
		case parameter.DefaultValue != nil:
			visit(parameter, *parameter.DefaultValue)
		}
	}
}
