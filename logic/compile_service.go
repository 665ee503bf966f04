package logic

import (
	"fmt"
	"slices"
	"strconv"

	"ringmaster/logic/lookup"
)

// service is an instance of a script, with its parameters looked up.
type service struct {
	name       string
	subscriber string
	language   string
	active     bool
	onOutage   string
	outageCap  int64            // micro-units
	script     *script          // nil: it has never compiled; it only keeps its numbers
	slots      []slot           // by index of script.parameters
	trunks     map[string]trunk // those there were when it compiled: a last good version goes on connecting by them
}

// slot is a parameter's value: as text, and as the thing it names.
type slot struct {
	text   string
	given  bool // by the service; else it is the script's default
	object any  // *table.Translation, *table.List, *table.Calendar, *table.Distribution, *table.CallLimit, *table.Tariff; string (sound file) for a prompt; int64 for an integer
}

// compileServices looks up each service's parameters: of the services touched, and of those made of something touched. What is
// wrong with one service concerns no other.
func (c *compiler) compileServices() {
	edit := change(c, "service", &c.snapshot.services, c.touched.Services)
	c.snapshot.stale = nil // Retry has named them: they are among what was touched
	given := make(map[string][]ServiceParameterRow, len(c.rows.Services))
	for _, row := range c.rows.ServiceParameters {
		given[row.Service] = append(given[row.Service], row)
	}
	for i, row := range c.rows.Services {
		yield(i)
		c.compileInto(edit, row, given[row.Service])
	}
	if concerned := c.concerned(); concerned != nil && !c.whole {
		i := 0
		for service := range c.candidates() {
			yield(i)
			i++
			if service.script != nil && concerned(service) && !c.changed["service"][service.name] {
				row, parameters := service.rows()
				c.compileInto(edit, row, parameters)
			}
		}
	}
	finish(c, "service", edit, &c.snapshot.services)
	c.keepUses()
}

// concerned returns what tells whether a service is made of something that changed; nil when none can be. A service is asked for those
// of its slots only that may hold such a thing, because there may be very many services.
func (c *compiler) concerned() func(*service) bool {
	if c.small() {
		return func(*service) bool { return true }
	}
	some := false
	for kind, changed := range c.changed {
		some = some || kind != "service" && len(changed) > 0
	}
	if !some {
		return nil
	}
	type question struct {
		slot    int
		changed map[string]bool
	}
	var of *script
	var always bool
	var questions []question
	return func(s *service) bool {
		if s.script != of {
			of, always, questions = s.script, c.changed["script"][s.script.name], nil
			for i := range of.parameters {
				if changed := c.changed[of.parameters[i].kind]; len(changed) > 0 {
					questions = append(questions, question{i, changed})
				}
			}
		}
		for _, ask := range questions {
			if ask.changed[s.slots[ask.slot].text] {
				return true
			}
		}
		return always
	}
}

func (c *compiler) compileInto(edit *lookup.RegistryEdit[service], row ServiceRow, given []ServiceParameterRow) {
	c.owner = owner{kind: ownerService, name: row.Service}
	compiled, problems := c.compileService(row, given)
	c.tell(problems...)
	if compiled == nil {
		compiled = c.lastGood(row)
		if compiled != nil && !compiled.madeOf(row, given) {
			c.snapshot.stale = append(c.snapshot.stale, row.Service)
		}
	}
	if compiled == nil {
		compiled = &service{name: row.Service} // keeps its numbers from ranges of other services
	}
	c.made = append(c.made, edit.Set(row.Service, compiled))
}

// lastGood is the version of a service that last compiled. Whether it is active is what the operator says now: a service
// must be easy to turn off, most of all when something is wrong with it.
func (c *compiler) lastGood(row ServiceRow) *service {
	previous := c.previous.services.Get(row.Service)
	if previous == nil || previous.script == nil {
		return nil
	}
	last := *previous
	last.active = row.Active
	return &last
}

// madeOf reports whether the service was compiled from these rows.
func (s *service) madeOf(row ServiceRow, given []ServiceParameterRow) bool {
	was, parameters := s.rows()
	if was != row || len(parameters) != len(given) {
		return false
	}
	for _, parameter := range given {
		if !slices.Contains(parameters, parameter) {
			return false
		}
	}
	return true
}

// rows returns what the service was compiled from.
func (s *service) rows() (ServiceRow, []ServiceParameterRow) {
	var given []ServiceParameterRow
	for i := range s.slots {
		if s.slots[i].given {
			given = append(given, ServiceParameterRow{Service: s.name, Parameter: s.script.parameters[i].name, Value: s.slots[i].text})
		}
	}
	return ServiceRow{Service: s.name, Subscriber: s.subscriber, Script: s.script.name, Language: s.language, Active: s.active, OnOutage: s.onOutage, OutageCap: s.outageCap}, given
}

func (c *compiler) compileService(row ServiceRow, given []ServiceParameterRow) (*service, []Problem) {
	script := c.snapshot.scripts.Get(row.Script)
	if script == nil {
		return nil, []Problem{{"service", row.Service, fmt.Sprintf("script %q cannot be used: it does not exist or has a problem of its own", row.Script)}}
	}
	if script.broken && c.lastGood(row) != nil {
		// The script's problem stands under its own name. The service keeps all of its last good version; without one it
		// is made anew on the script's.
		return nil, nil
	}
	compiled := &service{
		name: row.Service, subscriber: row.Subscriber, language: row.Language, active: row.Active, onOutage: row.OnOutage, outageCap: row.OutageCap,
		script: script, slots: make([]slot, len(script.parameters)), trunks: c.snapshot.trunks,
	}
	var problems []Problem
	for _, parameter := range given {
		index := script.parameter(parameter.Parameter)
		if index < 0 {
			problems = append(problems, Problem{"service_parameter", row.Service + "." + parameter.Parameter,
				fmt.Sprintf("script %q has no parameter %q; it has: %s", row.Script, parameter.Parameter, script.parameterNames())})
			continue
		}
		filled, reason := c.fillSlot(&script.parameters[index], parameter.Value)
		if reason != "" {
			problems = append(problems, Problem{"service_parameter", row.Service + "." + parameter.Parameter, reason})
		}
		filled.given = true
		compiled.slots[index] = filled
	}
	for index, parameter := range script.parameters {
		if compiled.slots[index].given {
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
		filled.object, reason = named(c.snapshot.translations.Find, parameter.kind, value)
	case "screening_list":
		filled.object, reason = named(c.snapshot.lists.Find, parameter.kind, value)
	case "calendar":
		filled.object, reason = named(c.snapshot.calendars.Find, parameter.kind, value)
	case "distribution":
		filled.object, reason = named(c.snapshot.distributions.Find, parameter.kind, value)
	case "tariff":
		filled.object, reason = named(c.snapshot.tariffs.Find, parameter.kind, value)
	case "call_limit":
		filled.object, reason = named(c.snapshot.callLimits.Find, parameter.kind, value)
	case "prompt":
		filled.object, reason = named(in(c.snapshot.prompts), parameter.kind, value)
	case "account":
		if !ValidName(value, false) {
			reason = fmt.Sprintf("%q is not the name of an account", value)
		}
	case "trunk":
		filled.object, reason = named(in(c.snapshot.trunks), parameter.kind, value)
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
func named[T any](find func(name string) (T, bool), kind, name string) (object any, reason string) {
	thing, ok := find(name)
	if !ok {
		return nil, fmt.Sprintf("%s %q does not exist or has a problem of its own", kind, name)
	}
	return thing, ""
}

func in[T any](things map[string]T) func(name string) (T, bool) {
	return func(name string) (T, bool) {
		thing, ok := things[name]
		return thing, ok
	}
}
