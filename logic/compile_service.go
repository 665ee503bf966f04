package logic

import (
	"fmt"
	"slices"
	"strconv"

	"ringmaster/logic/lookup"
	"ringmaster/logic/script"
)

// compileScripts compiles each script by itself. One with a problem keeps its last good version.
func (c *compiler) compileScripts() {
	parameters := make(map[string][]ScriptParameterRow)
	for _, row := range c.rows.ScriptParameters {
		parameters[row.Script] = append(parameters[row.Script], row)
	}
	steps := make(map[string][]StepRow)
	for _, row := range c.rows.Steps {
		steps[row.Script] = append(steps[row.Script], row)
	}
	exits := make(map[string][]StepExitRow)
	for _, row := range c.rows.StepExits {
		exits[row.Script] = append(exits[row.Script], row)
	}
	edit := change(c, "script", &c.snapshot.scripts, c.touched.Scripts)
	for _, row := range c.rows.Scripts {
		c.owner = owner{kind: ownerScript, name: row.Script}
		compiled, problems := script.Compile(row, parameters[row.Script], steps[row.Script], exits[row.Script], c.snapshot.trunks)
		c.tell(problems...)
		if compiled == nil {
			if lastGood := c.previous.scripts.Get(row.Script); lastGood != nil {
				last := *lastGood
				last.Broken = true
				compiled = &last
			}
		}
		if compiled != nil {
			edit.Set(row.Script, compiled)
		}
	}
	finish(c, "script", edit, &c.snapshot.scripts)
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
			if service.Script != nil && concerned(service) && !c.changed["service"][service.Name] {
				row, parameters := rowsOf(service)
				c.compileInto(edit, row, parameters)
			}
		}
	}
	finish(c, "service", edit, &c.snapshot.services)
	c.keepUses()
}

// concerned returns what tells whether a service is made of something that changed; nil when none can be. A service is asked for those
// of its slots only that may hold such a thing, because there may be very many services.
func (c *compiler) concerned() func(*script.Service) bool {
	if c.small() {
		return func(*script.Service) bool { return true }
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
	var of *script.Script
	var always bool
	var questions []question
	return func(s *script.Service) bool {
		if s.Script != of {
			of, always, questions = s.Script, c.changed["script"][s.Script.Name], nil
			for i := range of.Parameters {
				if changed := c.changed[of.Parameters[i].Kind]; len(changed) > 0 {
					questions = append(questions, question{i, changed})
				}
			}
		}
		for _, ask := range questions {
			if ask.changed[s.Slots[ask.slot].Text] {
				return true
			}
		}
		return always
	}
}

func (c *compiler) compileInto(edit *lookup.RegistryEdit[script.Service], row ServiceRow, given []ServiceParameterRow) {
	c.owner = owner{kind: ownerService, name: row.Service}
	compiled, problems := c.compileService(row, given)
	c.tell(problems...)
	if compiled == nil {
		compiled = c.lastGood(row)
		if compiled != nil && !madeOf(compiled, row, given) {
			c.snapshot.stale = append(c.snapshot.stale, row.Service)
		}
	}
	if compiled == nil {
		compiled = &script.Service{Name: row.Service} // keeps its numbers from ranges of other services
	}
	c.made = append(c.made, edit.Set(row.Service, compiled))
}

// lastGood is the version of a service that last compiled. Whether it is active is what the operator says now: a service
// must be easy to turn off, most of all when something is wrong with it.
func (c *compiler) lastGood(row ServiceRow) *script.Service {
	previous := c.previous.services.Get(row.Service)
	if previous == nil || previous.Script == nil {
		return nil
	}
	last := *previous
	last.Active = row.Active
	return &last
}

// madeOf reports whether the service was compiled from these rows.
func madeOf(s *script.Service, row ServiceRow, given []ServiceParameterRow) bool {
	was, parameters := rowsOf(s)
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

// rowsOf returns what the service was compiled from.
func rowsOf(s *script.Service) (ServiceRow, []ServiceParameterRow) {
	var given []ServiceParameterRow
	for i := range s.Slots {
		if s.Slots[i].Given {
			given = append(given, ServiceParameterRow{Service: s.Name, Parameter: s.Script.Parameters[i].Name, Value: s.Slots[i].Text})
		}
	}
	return ServiceRow{Service: s.Name, Subscriber: s.Subscriber, Script: s.Script.Name, Language: s.Language, Active: s.Active, OnOutage: s.OnOutage, OutageCap: s.OutageCap}, given
}

func (c *compiler) compileService(row ServiceRow, given []ServiceParameterRow) (*script.Service, []Problem) {
	of := c.snapshot.scripts.Get(row.Script)
	if of == nil {
		return nil, []Problem{{Table: "service", Key: row.Service, Reason: fmt.Sprintf("script %q cannot be used: it does not exist or has a problem of its own", row.Script)}}
	}
	if of.Broken && c.lastGood(row) != nil {
		// The script's problem stands under its own name. The service keeps all of its last good version; without one it
		// is made anew on the script's.
		return nil, nil
	}
	compiled := &script.Service{
		Name: row.Service, Subscriber: row.Subscriber, Language: row.Language, Active: row.Active, OnOutage: row.OnOutage, OutageCap: row.OutageCap,
		Script: of, Slots: make([]script.Slot, len(of.Parameters)), Trunks: c.snapshot.trunks,
	}
	var problems []Problem
	for _, parameter := range given {
		index := of.Parameter(parameter.Parameter)
		if index < 0 {
			problems = append(problems, Problem{Table: "service_parameter", Key: row.Service + "." + parameter.Parameter,
				Reason: fmt.Sprintf("script %q has no parameter %q; it has: %s", row.Script, parameter.Parameter, of.ParameterNames())})
			continue
		}
		filled, reason := c.fillSlot(&of.Parameters[index], parameter.Value)
		if reason != "" {
			problems = append(problems, Problem{Table: "service_parameter", Key: row.Service + "." + parameter.Parameter, Reason: reason})
		}
		filled.Given = true
		compiled.Slots[index] = filled
	}
	for index, parameter := range of.Parameters {
		if compiled.Slots[index].Given {
			continue
		}
		if parameter.Default == nil {
			problems = append(problems, Problem{Table: "service", Key: row.Service,
				Reason: fmt.Sprintf("parameter %q of script %q is missing: insert it into service_parameter", parameter.Name, row.Script)})
			continue
		}
		filled, reason := c.fillSlot(&of.Parameters[index], *parameter.Default)
		if reason != "" {
			problems = append(problems, Problem{Table: "script_parameter", Key: row.Script + "." + parameter.Name, Reason: "default value: " + reason})
			continue
		}
		compiled.Slots[index] = filled
	}
	if len(problems) > 0 {
		return nil, problems
	}
	for _, reason := range compiled.Check() {
		problems = append(problems, Problem{Table: "service", Key: row.Service, Reason: reason})
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return compiled, nil
}

// fillSlot checks a parameter's value against its type and looks up what it names.
func (c *compiler) fillSlot(parameter *script.Parameter, value string) (filled script.Slot, reason string) {
	filled.Text = value
	switch parameter.Kind {
	case "translation_table":
		filled.Object, reason = named(c.snapshot.translations.Find, parameter.Kind, value)
	case "screening_list":
		filled.Object, reason = named(c.snapshot.lists.Find, parameter.Kind, value)
	case "calendar":
		filled.Object, reason = named(c.snapshot.calendars.Find, parameter.Kind, value)
	case "distribution":
		filled.Object, reason = named(c.snapshot.distributions.Find, parameter.Kind, value)
	case "tariff":
		filled.Object, reason = named(c.snapshot.tariffs.Find, parameter.Kind, value)
	case "call_limit":
		filled.Object, reason = named(c.snapshot.callLimits.Find, parameter.Kind, value)
	case "prompt":
		filled.Object, reason = named(in(c.snapshot.prompts), parameter.Kind, value)
	case "account":
		if !ValidName(value, false) {
			reason = fmt.Sprintf("%q is not the name of an account", value)
		}
	case "trunk":
		filled.Object, reason = named(in(c.snapshot.trunks), parameter.Kind, value)
	case "integer":
		number, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return filled, fmt.Sprintf("%q is not a whole number", value)
		}
		if number < parameter.Least || number > parameter.Most {
			return filled, fmt.Sprintf("%d is out of range: the steps that use it take %d–%d", number, parameter.Least, parameter.Most)
		}
		filled.Object = number
	case "number":
		if !ValidNumber(value) {
			reason = fmt.Sprintf("%q is not a number: 1–%d of 0–9, * and #, with or without a leading +", value, MaxNumberLength)
		}
	case "target":
		reason = script.CheckTargets(value, c.snapshot.trunks)
	case "text":
		if len(value) > MaxValueLength {
			reason = fmt.Sprintf("text is longer than %d bytes", MaxValueLength)
		}
	default:
		reason = fmt.Sprintf("type %q of the script's parameter is unknown", parameter.Kind)
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
