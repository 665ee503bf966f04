package logic

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"ringmaster/logic/lookup"
)

// Compile makes the snapshot of rows. A service that cannot be compiled keeps the version it had in previous
// (nil: none) and is told as a Problem, as is every other row that cannot be used.
func Compile(rows *Rows, previous *Snapshot, zones Zones) (*Snapshot, []Problem) {
	c := &compiler{
		rows:     rows,
		previous: previous,
		zones:    zones,
		told:     make(map[string]int),
		snapshot: &Snapshot{
			revision:      rows.Revision,
			plans:         make(map[string]numberingPlan),
			trunks:        make(map[string]trunk),
			nodes:         make(map[string]Node),
			certificates:  make(map[string]string),
			calendars:     make(map[string]*calendarTable),
			lists:         make(map[string]*screeningList),
			translations:  make(map[string]*translationTable),
			distributions: make(map[string]*distribution),
			prompts:       make(map[string]string),
			scripts:       make(map[string]*script),
			services:      make(map[string]*service),
		},
	}
	c.compilePlans()
	c.compileNodes()
	c.compilePrompts()
	c.compileAreas()
	c.compileCalendars()
	c.compileLists()
	c.compileTranslations()
	c.compileDistributions()
	c.compileScripts()
	c.compileServices()
	c.compileNumbers()
	c.countSizes()
	return c.snapshot, c.allProblems()
}

// compiler carries one compilation.
type compiler struct {
	rows     *Rows
	previous *Snapshot
	zones    Zones
	snapshot *Snapshot
	problems []Problem
	told     map[string]int // problems by table
}

// maxProblems is how many problems of one table are told: one mistake can spoil a million rows.
const maxProblems = 100

func (c *compiler) problem(table, key, format string, args ...any) {
	c.told[table]++
	if c.told[table] <= maxProblems {
		c.problems = append(c.problems, Problem{Table: table, Key: key, Reason: fmt.Sprintf(format, args...)})
	}
}

func (c *compiler) tell(problems ...Problem) {
	for _, one := range problems {
		c.problem(one.Table, one.Key, "%s", one.Reason)
	}
}

// allProblems puts the problems into the order an operator reads them in, each once.
func (c *compiler) allProblems() []Problem {
	for table, n := range c.told {
		if n > maxProblems {
			c.problems = append(c.problems, Problem{table, "", fmt.Sprintf("%d more problems with this table are not listed", n-maxProblems)})
		}
	}
	slices.SortFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(c.problems)
}

func (c *compiler) countSizes() {
	c.snapshot.sizes = map[string]int{
		"node":              len(c.rows.Nodes),
		"trunk":             len(c.rows.Trunks),
		"prompt":            len(c.rows.Prompts),
		"area_prefix":       len(c.rows.AreaPrefixes),
		"calendar":          len(c.rows.Calendars),
		"screening_list":    len(c.rows.ScreeningLists),
		"screening_entry":   len(c.rows.ScreeningEntries),
		"translation_table": len(c.rows.TranslationTables),
		"translation":       len(c.rows.Translations),
		"distribution":      len(c.rows.Distributions),
		"script":            len(c.rows.Scripts),
		"step":              len(c.rows.Steps),
		"service":           len(c.rows.Services),
		"service_number":    len(c.rows.ServiceNumbers),
	}
}

// compileServices looks up each service's parameters. What is wrong with one service concerns no other.
func (c *compiler) compileServices() {
	given := make(map[string][]ServiceParameterRow, len(c.rows.Services))
	for _, row := range c.rows.ServiceParameters {
		given[row.Service] = append(given[row.Service], row)
	}
	for _, row := range c.rows.Services {
		compiled, problems := c.compileService(row, given[row.Service])
		c.tell(problems...)
		if compiled == nil {
			compiled = c.lastGood(row)
		}
		if compiled != nil {
			c.snapshot.services[row.Service] = compiled
		}
	}
}

// lastGood is the version of a service that last compiled. Whether it is active is what the operator says now: a service
// must be easy to turn off, most of all when something is wrong with it.
func (c *compiler) lastGood(row ServiceRow) *service {
	if c.previous == nil || c.previous.services[row.Service] == nil {
		return nil
	}
	last := *c.previous.services[row.Service]
	last.active = row.Active
	return &last
}

func (c *compiler) compileService(row ServiceRow, given []ServiceParameterRow) (*service, []Problem) {
	script := c.snapshot.scripts[row.Script]
	if script == nil {
		return nil, []Problem{{"service", row.Service, fmt.Sprintf("script %q cannot be used: it does not exist or has a problem of its own", row.Script)}}
	}
	if script.broken && c.lastGood(row) != nil {
		// The script's problem stands under its own name. The service keeps all of its last good version; without one it
		// is made anew on the script's.
		return nil, nil
	}
	compiled := &service{
		name: row.Service, subscriber: row.Subscriber, language: row.Language, active: row.Active,
		script: script, slots: make([]slot, len(script.parameters)),
	}
	var problems []Problem
	seen := make([]bool, len(script.parameters))
	for _, parameter := range given {
		index := script.parameter(parameter.Parameter)
		if index < 0 {
			problems = append(problems, Problem{"service_parameter", row.Service + "." + parameter.Parameter,
				fmt.Sprintf("script %q has no parameter %q; it has: %s", row.Script, parameter.Parameter, script.parameterNames())})
			continue
		}
		seen[index] = true
		filled, reason := c.fillSlot(&script.parameters[index], parameter.Value)
		if reason != "" {
			problems = append(problems, Problem{"service_parameter", row.Service + "." + parameter.Parameter, reason})
			continue
		}
		compiled.slots[index] = filled
	}
	for index, parameter := range script.parameters {
		if seen[index] {
			continue
		}
		if parameter.defaultValue == nil {
			problems = append(problems, Problem{"service", row.Service,
				fmt.Sprintf("parameter %q of script %q is missing: insert it into service_parameter", parameter.name, row.Script)})
			continue
		}
		filled, reason := c.fillSlot(&script.parameters[index], *parameter.defaultValue)
		if reason != "" {
			problems = append(problems, Problem{"script_parameter", row.Script + "." + parameter.name, "default value: " + reason})
			continue
		}
		compiled.slots[index] = filled
	}
	if len(problems) > 0 {
		return nil, problems
	}
	for i := range script.steps {
		if block, ok := script.steps[i].block.(*distributeBlock); ok {
			if reason := block.check(&script.steps[i], compiled); reason != "" {
				problems = append(problems, Problem{"service", row.Service, reason})
			}
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return compiled, nil
}

// fillSlot checks a parameter's value against its type and looks up what it names.
func (c *compiler) fillSlot(parameter *scriptParameter, value string) (filled slot, reason string) {
	filled.text = value
	switch parameter.kind {
	case "translation_table":
		filled.object, reason = named(c.snapshot.translations, parameter.kind, value)
	case "screening_list":
		filled.object, reason = named(c.snapshot.lists, parameter.kind, value)
	case "calendar":
		filled.object, reason = named(c.snapshot.calendars, parameter.kind, value)
	case "distribution":
		filled.object, reason = named(c.snapshot.distributions, parameter.kind, value)
	case "prompt":
		filled.object, reason = named(c.snapshot.prompts, parameter.kind, value)
	case "trunk":
		filled.object, reason = named(c.snapshot.trunks, parameter.kind, value)
	case "integer":
		number, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return filled, fmt.Sprintf("%q is not a whole number", value)
		}
		if number < parameter.least || number > parameter.most {
			return filled, fmt.Sprintf("%d is out of range: the steps that use it take %d–%d", number, parameter.least, parameter.most)
		}
		filled.object = number
	case "number":
		if !ValidNumber(value) {
			reason = fmt.Sprintf("%q is not a number: 1–%d of 0–9, * and #, with or without a leading +", value, MaxNumberLength)
		}
	case "target":
		reason = checkTargets(value, c.snapshot.trunks)
	case "text":
		if len(value) > MaxValueLength {
			reason = fmt.Sprintf("text is longer than %d bytes", MaxValueLength)
		}
	default:
		reason = fmt.Sprintf("type %q of the script's parameter is unknown", parameter.kind)
	}
	return filled, reason
}

// named looks up what a parameter of the given type names.
func named[T any](things map[string]T, kind, name string) (object any, reason string) {
	thing, ok := things[name]
	if !ok {
		return nil, fmt.Sprintf("%s %q does not exist or has a problem of its own", kind, name)
	}
	return thing, ""
}

// compileNumbers makes the table that leads a called number to its service.
func (c *compiler) compileNumbers() {
	table := &c.snapshot.numbers
	indexes := make(map[string]uint32, len(c.snapshot.services))
	index := func(name string) uint32 {
		if i, ok := indexes[name]; ok {
			return i
		}
		compiled := c.snapshot.services[name]
		if compiled == nil {
			compiled = &service{name: name} // keeps the number from a range of another service
		}
		i := uint32(len(table.services))
		indexes[name] = i
		table.services = append(table.services, compiled)
		return i
	}
	exact := make([]lookup.Entry, 0, len(c.rows.ServiceNumbers))
	var ranges []lookup.Entry
	for i := range c.rows.ServiceNumbers {
		row := &c.rows.ServiceNumbers[i]
		service := index(row.Service)
		if table.services[service].script == nil {
			c.problem("service_number", row.Number, "service %q cannot be used: it does not exist or never compiled; see its own problem. Its callers are released with Q.850 cause %d",
				row.Service, causeTemporaryFailure)
		}
		if row.Match == lookup.Prefix {
			ranges = append(ranges, lookup.Entry{Key: row.Number, Value: service})
			continue
		}
		if !ValidNumber(row.Number) || row.Number[0] == '+' {
			c.problem("service_number", row.Number, "%q is not a service number: 1–%d of 0–9, * and #", row.Number, MaxNumberLength)
			continue
		}
		exact = append(exact, lookup.Entry{Key: row.Number, Value: service})
	}
	table.exact, _ = c.table("service_number", lookup.Exact, exact)
	table.ranges, _ = c.table("service_number", lookup.Prefix, ranges)
}

// table makes a table of the whole carrier's rows. What cannot be in it is told of and left out: then good is false.
func (c *compiler) table(name, match string, entries []lookup.Entry) (made *lookup.Table, good bool) {
	entries, good = c.usable(name, "", match, entries)
	made, err := lookup.New(match, entries)
	if err != nil {
		c.problem(name, "", "%s", err)
		return new(lookup.Table), false
	}
	return made, good
}
