package logic

import (
	"fmt"
	"slices"
	"strings"

	"ringmaster/logic/lookup"
)

// Compile makes the snapshot of rows. A service that cannot be compiled keeps the version it had in previous
// (nil: none) and is told as a Problem, as is every other row that cannot be used.
func Compile(rows *Rows, previous *Snapshot, zones Zones) (*Snapshot, []Problem) {
	c := &compiler{
		rows:     rows,
		previous: previous,
		zones:    zones,
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
	sortProblems(c.problems)
	return c.snapshot, c.problems
}

// compiler carries one compilation.
type compiler struct {
	rows     *Rows
	previous *Snapshot
	zones    Zones
	snapshot *Snapshot
	problems []Problem
}

func (c *compiler) problem(table, key, format string, args ...any) {
	c.problems = append(c.problems, Problem{Table: table, Key: key, Reason: fmt.Sprintf(format, args...)})
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
	given := make(map[string][]ServiceParameterRow)
	for _, row := range c.rows.ServiceParameters {
		given[row.Service] = append(given[row.Service], row)
	}
	for _, row := range c.rows.Services {
		compiled, faults := c.compileService(row, given[row.Service])
		for _, fault := range faults {
			c.problem(fault.Table, fault.Key, "%s", fault.Reason)
		}
		if compiled == nil && c.previous != nil {
			compiled = c.previous.services[row.Service]
		}
		if compiled != nil {
			c.snapshot.services[row.Service] = compiled
		}
	}
}

func (c *compiler) compileService(row ServiceRow, given []ServiceParameterRow) (*service, []Problem) {
	script := c.snapshot.scripts[row.Script]
	if script == nil {
		return nil, []Problem{{"service", row.Service, fmt.Sprintf("script %q cannot be used: it does not exist or has a problem of its own", row.Script)}}
	}
	if script.broken {
		// The script has a problem that stands under its own name. The service keeps all of its last good version,
		// or is made anew on the script's last good one.
		if c.previous != nil && c.previous.services[row.Service] != nil {
			return nil, nil
		}
	}
	compiled := &service{
		name: row.Service, subscriber: row.Subscriber, language: row.Language, active: row.Active,
		script: script, slots: make([]slot, len(script.parameters)),
	}
	var problems []Problem
	seen := make([]bool, len(script.parameters))
	for _, parameter := range given {
		index := slices.IndexFunc(script.parameters, func(p scriptParameter) bool { return p.name == parameter.Parameter })
		if index < 0 {
			problems = append(problems, Problem{"service_parameter", row.Service + "." + parameter.Parameter,
				fmt.Sprintf("script %q has no parameter %q; it has: %s", row.Script, parameter.Parameter, script.parameterNames())})
			continue
		}
		seen[index] = true
		filled, reason := c.fillSlot(script.parameters[index].kind, parameter.Value)
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
		filled, reason := c.fillSlot(parameter.kind, *parameter.defaultValue)
		if reason != "" {
			problems = append(problems, Problem{"script_parameter", row.Script + "." + parameter.name, "default value: " + reason})
			continue
		}
		compiled.slots[index] = filled
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return compiled, nil
}

// fillSlot checks a parameter's value against its type and looks up what it names.
func (c *compiler) fillSlot(kind, value string) (filled slot, reason string) {
	filled.text = value
	missing := func(what string) string {
		return fmt.Sprintf("%s %q does not exist or has a problem of its own", what, value)
	}
	switch kind {
	case "translation_table":
		if table := c.snapshot.translations[value]; table != nil {
			filled.object = table
			return filled, ""
		}
		return filled, missing("translation_table")
	case "screening_list":
		if list := c.snapshot.lists[value]; list != nil {
			filled.object = list
			return filled, ""
		}
		return filled, missing("screening_list")
	case "calendar":
		if calendar := c.snapshot.calendars[value]; calendar != nil {
			filled.object = calendar
			return filled, ""
		}
		return filled, missing("calendar")
	case "distribution":
		if distribution := c.snapshot.distributions[value]; distribution != nil {
			filled.object = distribution
			return filled, ""
		}
		return filled, missing("distribution")
	case "prompt":
		if file, ok := c.snapshot.prompts[value]; ok {
			filled.object = file
			return filled, ""
		}
		return filled, missing("prompt")
	case "trunk":
		if _, ok := c.snapshot.trunks[value]; ok {
			return filled, ""
		}
		return filled, missing("trunk")
	case "integer":
		number, err := parseInteger(value)
		if err != nil {
			return filled, err.Error()
		}
		filled.object = number
		return filled, ""
	case "number":
		if !ValidNumber(value) {
			return filled, fmt.Sprintf("%q is not a number: 1–%d of 0–9, * and #, with or without a leading +", value, MaxNumberLength)
		}
		return filled, ""
	case "target":
		for one := range strings.SplitSeq(value, ",") {
			target, ok := parseTarget(one)
			if !ok {
				return filled, fmt.Sprintf("%q is not a target: write number@trunk, several with commas between", one)
			}
			if _, ok := c.snapshot.trunks[target.Trunk]; !ok {
				return filled, fmt.Sprintf("trunk %q of target %q does not exist", target.Trunk, one)
			}
		}
		return filled, ""
	case "text":
		if len(value) > MaxValueLength {
			return filled, fmt.Sprintf("text is longer than %d bytes", MaxValueLength)
		}
		return filled, ""
	}
	return filled, fmt.Sprintf("type %q of the script's parameter is unknown", kind)
}

// compileNumbers makes the table that leads a called number to its service.
func (c *compiler) compileNumbers() {
	table := &c.snapshot.numbers
	indexes := make(map[string]uint32, len(c.snapshot.services))
	index := func(name string) (uint32, bool) {
		if i, ok := indexes[name]; ok {
			return i, true
		}
		service := c.snapshot.services[name]
		if service == nil {
			return 0, false
		}
		i := uint32(len(table.services))
		indexes[name] = i
		table.services = append(table.services, service)
		return i, true
	}
	exact := make([]lookup.Entry, 0, len(c.rows.ServiceNumbers))
	var ranges []lookup.Entry
	for i := range c.rows.ServiceNumbers {
		row := &c.rows.ServiceNumbers[i]
		service, ok := index(row.Service)
		switch {
		case !ok:
			c.problem("service_number", row.Number, "service %q cannot be used: it does not exist or never compiled; see its own problem", row.Service)
		case row.Match == lookup.Prefix:
			ranges = append(ranges, lookup.Entry{Key: row.Number, Value: service})
		default:
			exact = append(exact, lookup.Entry{Key: row.Number, Value: service})
		}
	}
	table.exact = c.table("service_number", lookup.Exact, exact)
	table.ranges = c.table("service_number", lookup.Prefix, ranges)
}

// table makes a table of the whole carrier's rows: one that cannot be made is told of, and empty.
func (c *compiler) table(name, match string, entries []lookup.Entry) *lookup.Table {
	table, err := lookup.New(match, c.usable(name, "", match, entries))
	if err != nil {
		c.problem(name, "", "%s", err)
		return new(lookup.Table)
	}
	return table
}
