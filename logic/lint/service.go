package lint

import "strings"

// distributions finds branches that get nothing.
func (l *linter) distributions() {
	method := make(map[string]string)
	for _, row := range l.rows.Distributions {
		method[row.Distribution] = row.Method
	}
	for _, row := range l.rows.Branches {
		if m := method[row.Distribution]; row.Weight == 0 && (m == "percentage" || m == "hash") {
			l.tell(Note, "idle_branch", "distribution_branch", row.Distribution+"."+row.Branch, "", "its weight is 0: no call goes there")
		}
	}
}

// services finds services that nobody can call, and numbers that nobody answers.
func (l *linter) services() {
	numbers := make(map[string]int, len(l.rows.Services))
	for i := range l.rows.ServiceNumbers {
		numbers[l.rows.ServiceNumbers[i].Service]++
	}
	for i := range l.rows.Services {
		row := &l.rows.Services[i]
		count := numbers[row.Service]
		switch {
		case !row.Active && count > 0:
			l.tell(Note, "inactive_service", "service", row.Service, "", "it is not active: callers of its %s are released with Q.850 cause 31", plural(count, "number", "numbers"))
		case row.Active && count == 0:
			l.tell(Warning, "no_number", "service", row.Service, "insert one into service_number, or set active to false", "it has no number: nobody can call it")
		}
	}
}

// unused finds what no service is made of.
func (l *linter) unused() {
	tell := func(kind, name string) {
		if !l.used[kind][name] {
			l.tell(Note, "unused", kind, name, "delete it, if nothing will", "no service names it")
		}
	}
	for _, row := range l.rows.ScreeningLists {
		tell("screening_list", row.ScreeningList)
	}
	for _, row := range l.rows.TranslationTables {
		tell("translation_table", row.TranslationTable)
	}
	for _, row := range l.rows.Calendars {
		tell("calendar", row.Calendar)
	}
	for _, row := range l.rows.Distributions {
		tell("distribution", row.Distribution)
	}
	for _, row := range l.rows.Prompts {
		tell("prompt", row.Prompt)
	}
	scripts, subscribers := make(map[string]bool), make(map[string]bool)
	for i := range l.rows.Services {
		scripts[l.rows.Services[i].Script] = true
		subscribers[l.rows.Services[i].Subscriber] = true
	}
	for _, row := range l.rows.Scripts {
		if !scripts[row.Script] {
			l.tell(Note, "unused", "script", row.Script, "", "no service follows it")
		}
	}
	for _, row := range l.rows.Subscribers {
		if !subscribers[row.Subscriber] {
			l.tell(Note, "unused", "subscriber", row.Subscriber, "", "no service is theirs")
		}
	}
	steps := make(map[string]*strings.Builder)
	for i := range l.rows.Steps {
		row := &l.rows.Steps[i]
		if steps[row.Script] == nil {
			steps[row.Script] = new(strings.Builder)
		}
		steps[row.Script].Write(row.Parameters)
		steps[row.Script].WriteByte(' ')
	}
	for _, row := range l.rows.ScriptParameters {
		if text := steps[row.Script]; text == nil || !hasWord(text.String(), row.Parameter) {
			l.tell(Note, "unused", "script_parameter", row.Script+"."+row.Parameter, "delete it, or name it in a step", "no step of the script names it")
		}
	}
}

// hasWord reports whether text holds a name that is not part of a longer one.
func hasWord(text, name string) bool {
	if name == "" {
		return false
	}
	letter := func(c byte) bool {
		return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for from := 0; ; {
		at := strings.Index(text[from:], name)
		if at < 0 {
			return false
		}
		at += from
		end := at + len(name)
		if (at == 0 || !letter(text[at-1])) && (end == len(text) || !letter(text[end])) {
			return true
		}
		from = at + 1
	}
}
