package lint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ringmaster/logic/call"
	"ringmaster/logic/rows"
)

// scriptStep is what the checks of targets and of long ways read of a script's steps.
type scriptStep struct {
	name, sib                         string
	Target, Table, Distribution, Into string
}

// steps are the steps of each script.
func (l *linter) steps() map[string][]scriptStep {
	all := make(map[string][]scriptStep)
	for i := range l.rows.Steps {
		row := &l.rows.Steps[i]
		step := scriptStep{name: row.Step, sib: row.SIB}
		if json.Unmarshal(row.Parameters, &step) != nil {
			continue // it does not compile
		}
		if step.Into == "" && (step.sib == "translate" || step.sib == "distribute") {
			step.Into = "target"
		}
		all[row.Script] = append(all[row.Script], step)
	}
	return all
}

// targets finds rows of tables and distributions to which a connect goes and that are no target: the connect leaves them out, and callers are sent on as if nobody had been there.
func (l *linter) targets() {
	steps := l.steps()
	users := map[string]map[string]string{"translation_table": {}, "distribution": {}} // a service for each that is connected to
	sources := make(map[string][]string)
	for script, of := range steps {
		sources[script] = targetSources(of)
	}
	for i := range l.rows.Services {
		service := &l.rows.Services[i]
		l.eachParameter(service, func(parameter *rows.ScriptParameterRow, value string) {
			if using := users[parameter.Type]; using != nil && using[value] == "" && slices.Contains(sources[service.Script], parameter.Parameter) {
				using[value] = service.Service
			}
		})
	}
	trunks := make(map[string]bool, len(l.rows.Trunks))
	for _, row := range l.rows.Trunks {
		trunks[row.Trunk] = true
	}
	tell := func(table, key, service, text string) {
		reason := notATarget(text, trunks)
		if service == "" || reason == "" {
			return
		}
		l.tell(Warning, "no_target", table, key, "set its trunk, or write number@trunk", "%s: service %s connects to it, and leaves it out", reason, service)
	}
	for i := range l.rows.Translations {
		row := &l.rows.Translations[i]
		tell("translation", row.TranslationTable+"."+row.Key, users["translation_table"][row.TranslationTable], targetText(row.Value, row.Trunk))
	}
	method := make(map[string]string)
	for _, row := range l.rows.Distributions {
		method[row.Distribution] = row.Method
	}
	for _, row := range l.rows.Branches {
		if m := method[row.Distribution]; row.Weight == 0 && (m == "percentage" || m == "hash") {
			continue // no call goes there
		}
		tell("distribution_branch", row.Distribution+"."+row.Branch, users["distribution"][row.Distribution], targetText(row.Value, row.Trunk))
	}
}

// notATarget says which part of a text that is connected to is no target, or nothing.
func notATarget(text string, trunks map[string]bool) string {
	for one := range strings.SplitSeq(text, ",") {
		target, ok := call.ParseTarget(one)
		switch {
		case !ok && !strings.Contains(one, "@") && one != "":
			return fmt.Sprintf("%q has no trunk", one)
		case !ok:
			return fmt.Sprintf("%q is no target", one)
		case !trunks[target.Trunk]:
			return fmt.Sprintf("trunk %q of %q does not exist", target.Trunk, one)
		}
	}
	return ""
}

// targetSources are the parameters of a script whose table or distribution gives a variable that a connect goes to as it is. A variable that other blocks set too may be
// a number that they make a target of.
func targetSources(steps []scriptStep) []string {
	connected, made := make(map[string]bool), make(map[string]bool)
	for _, step := range steps {
		switch step.sib {
		case "bcp":
			for one := range strings.SplitSeq(step.Target, ",") {
				connected[named(one)] = true
			}
		case "translate", "distribute":
		default:
			made[step.Into] = true
		}
	}
	var sources []string
	for _, step := range steps {
		if connected[step.Into] && !made[step.Into] {
			for _, from := range []string{step.Table, step.Distribution} {
				if name := named(from); name != "" {
					sources = append(sources, name)
				}
			}
		}
	}
	return sources
}

// named is the variable that a text is: office of ${office}, and nothing of any other text.
func named(text string) string {
	name, ok := strings.CutPrefix(text, "${")
	if name, closed := strings.CutSuffix(name, "}"); ok && closed && !strings.ContainsAny(name, "${}") {
		return name
	}
	return ""
}

// longWays finds steps from which no way ends the call or waits for the caller within the steps that one query may walk.
func (l *linter) longWays() {
	next := make(map[string]map[string][]string) // by script and step
	for i := range l.rows.StepExits {
		row := &l.rows.StepExits[i]
		if next[row.Script] == nil {
			next[row.Script] = make(map[string][]string)
		}
		next[row.Script][row.Step] = append(next[row.Script][row.Step], row.NextStep)
	}
	steps := l.steps()
	for i := range l.rows.Scripts {
		script := &l.rows.Scripts[i]
		before := make(map[string][]string)
		var reached []string // nearest to an end first
		begins := []string{script.FirstStep}
		length := make(map[string]int) // of the shortest way from a step
		for _, step := range steps[script.Script] {
			following := next[script.Script][step.name]
			for _, to := range following {
				before[to] = append(before[to], step.name)
			}
			if step.sib == "bcp" || step.sib == "interact" {
				reached = append(reached, step.name)
				length[step.name] = 1
				begins = append(begins, following...)
			}
		}
		for n := 0; n < len(reached); n++ {
			for _, from := range before[reached[n]] {
				if length[from] == 0 {
					length[from] = length[reached[n]] + 1
					reached = append(reached, from)
				}
			}
		}
		slices.Sort(begins[1:])
		for _, step := range slices.Compact(begins) {
			if length[step] > call.StepBudget {
				l.tell(Warning, "long_way", "step", script.Script+"."+step, "shorten the way, or let a table decide what its steps do",
					"from here the shortest way to an announcement or the end has %d steps, and a query walks %d: every call that comes here is released with cause 25", length[step], call.StepBudget)
			}
		}
	}
}
