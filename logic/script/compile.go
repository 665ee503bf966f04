package script

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"

	"ringmaster/logic/call"
	"ringmaster/logic/rows"
	"ringmaster/logic/table"
)

// identifier is the form of names that expressions can use.
var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// parameterTypes are the types that a script's parameter may have.
var parameterTypes = []string{
	"account", "calendar", "call_limit", "distribution", "integer", "number", "prompt", "screening_list", "target", "tariff", "text", "translation_table", "trunk",
}

// Compile makes a script of its rows. Trunks are those that there are. Its problems are all that is wrong with it: with any,
// there is no script.
func Compile(row rows.ScriptRow, parameters []rows.ScriptParameterRow, steps []rows.StepRow, exits []rows.StepExitRow, trunks map[string]table.Trunk) (*Script, []rows.Problem) {
	compiled := &Script{Name: row.Script, byName: make(map[string]int, len(steps)), variables: make(map[string]*cel.Type)}
	var problems []rows.Problem
	refuse := func(table, key, format string, args ...any) {
		problems = append(problems, rows.Problem{Table: table, Key: key, Reason: fmt.Sprintf(format, args...)})
	}
	slices.SortFunc(parameters, func(a, b rows.ScriptParameterRow) int { return strings.Compare(a.Parameter, b.Parameter) })
	for _, parameter := range parameters {
		key := row.Script + "." + parameter.Parameter
		switch {
		case !identifier.MatchString(parameter.Parameter):
			refuse("script_parameter", key, "a parameter's name is a small letter, then small letters, digits and _")
		case isCallVariable(parameter.Parameter):
			refuse("script_parameter", key, "%q is a variable that every call has; choose another name", parameter.Parameter)
		case !slices.Contains(parameterTypes, parameter.Type):
			refuse("script_parameter", key, "type %q is unknown; there are: %s", parameter.Type, strings.Join(parameterTypes, ", "))
		}
		compiled.Parameters = append(compiled.Parameters, Parameter{
			Name: parameter.Parameter, Kind: parameter.Type, Default: parameter.DefaultValue, Least: math.MinInt64, Most: math.MaxInt64,
		})
	}
	for i, one := range steps {
		compiled.byName[one.Step] = i
		compiled.steps = append(compiled.steps, step{name: one.Step, sib: one.SIB})
	}
	first, ok := compiled.byName[row.FirstStep]
	if !ok {
		refuse("script", row.Script, "first_step %q is not one of its steps", row.FirstStep)
	}
	compiled.first = first

	for _, exit := range exits {
		key := row.Script + "." + exit.Step + "." + exit.Exit
		from, ok := compiled.byName[exit.Step]
		if !ok {
			refuse("step_exit", key, "step %q does not exist", exit.Step)
			continue
		}
		next, ok := compiled.byName[exit.NextStep]
		if !ok {
			refuse("step_exit", key, "next_step %q does not exist", exit.NextStep)
			continue
		}
		compiled.steps[from].exits = append(compiled.steps[from].exits, stepExit{exit.Exit, next})
	}

	// Variables first: an expression may use what a step further down assigns.
	blocks := make([]*blockCompiler, len(steps))
	for i, one := range steps {
		b := newBlockCompiler(compiled, &compiled.steps[i], one)
		blocks[i] = b
		for name, kind := range b.assigns() {
			if known, ok := compiled.variables[name]; ok && !known.IsExactType(kind) {
				refuse("step", b.key, "variable %q is %s here and %s in another step", name, kind, known)
			}
			compiled.variables[name] = kind
		}
	}
	if len(compiled.variables) > call.MaxVariables {
		refuse("script", row.Script, "its steps set %d variables, more than the %d that a call may carry", len(compiled.variables), call.MaxVariables)
	}
	environment := sync.OnceValues(func() (*cel.Env, error) { return newEnvironment(compiled) })
	for i, b := range blocks {
		b.environment, b.trunks = environment, trunks
		compiled.steps[i].block = b.compile()
		problems = append(problems, b.problems...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	if problems = compiled.checkPaths(); len(problems) > 0 {
		return nil, problems
	}
	return compiled, nil
}

// checkPaths finds steps that nothing leads to and loops that no caller ever gets out of.
func (s *Script) checkPaths() []rows.Problem {
	var problems []rows.Problem
	reached := make([]bool, len(s.steps))
	var reach func(int)
	reach = func(i int) {
		if reached[i] {
			return
		}
		reached[i] = true
		for _, exit := range s.steps[i].exits {
			reach(exit.next)
		}
	}
	reach(s.first)
	for i := range s.steps {
		if !reached[i] {
			problems = append(problems, rows.Problem{Table: "step", Key: s.Name + "." + s.steps[i].name, Reason: "no exit leads to this step: wire one in step_exit or delete it"})
		}
	}
	// A loop is sound when the call waits somewhere in it. So without the exits of steps that wait, no loop may be left.
	const (
		unseen = iota
		onPath
		done
	)
	state := make([]uint8, len(s.steps))
	var path []string
	var visit func(int)
	visit = func(i int) {
		switch state[i] {
		case done:
			return
		case onPath:
			loop := path[slices.Index(path, s.steps[i].name):]
			problems = append(problems, rows.Problem{Table: "step", Key: s.Name + "." + s.steps[i].name,
				Reason: "loop without an interaction: " + strings.Join(append(slices.Clone(loop), s.steps[i].name), " → ")})
			return
		}
		state[i] = onPath
		path = append(path, s.steps[i].name)
		for _, exit := range s.steps[i].exits {
			if !s.steps[i].waitsBefore(exit.name) {
				visit(exit.next)
			}
		}
		path = path[:len(path)-1]
		state[i] = done
	}
	visit(s.first)
	return problems
}

// waitsBefore reports whether the call waits for the node before it leaves the step by exit.
func (s *step) waitsBefore(exit string) bool {
	if interact, ok := s.block.(*interactBlock); ok && interact.maximum.isZero() {
		return false // it only plays, and goes on at once
	}
	return sibs[s.sib].waits
}
