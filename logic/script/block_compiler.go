package script

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"ringmaster/logic/call"
	"ringmaster/logic/rows"
	"ringmaster/logic/table"
)

// blockCompiler makes the block of one step out of its parameters, and collects what is wrong with them.
type blockCompiler struct {
	script      *Script
	step        *step
	key         string // script.step, for problems
	sib         sib
	parameters  map[string]json.RawMessage
	read        map[string]bool // the parameters that the SIB asked for
	environment func() (*cel.Env, error)
	trunks      map[string]table.Trunk
	problems    []rows.Problem
}

func newBlockCompiler(script *Script, step *step, row rows.StepRow) *blockCompiler {
	b := &blockCompiler{script: script, step: step, key: script.Name + "." + step.name, read: make(map[string]bool)}
	known, ok := sibs[row.SIB]
	if !ok {
		b.refuse("sib %q is unknown; there are: %s", row.SIB, sibNames())
		return b
	}
	b.sib = known
	if len(row.Parameters) > 0 {
		if err := json.Unmarshal(row.Parameters, &b.parameters); err != nil {
			b.refuse("parameters are not a JSON object: %s", err)
		}
	}
	return b
}

func (b *blockCompiler) refuse(format string, args ...any) {
	b.problems = append(b.problems, rows.Problem{Table: "step", Key: b.key, Reason: fmt.Sprintf(format, args...)})
}

func (b *blockCompiler) compile() block {
	if b.sib.compile == nil {
		return nil
	}
	compiled := b.sib.compile(b)
	for _, name := range slices.Sorted(maps.Keys(b.parameters)) {
		if !b.read[name] {
			b.refuse("parameter %q is unknown to %s; it takes: %s", name, b.step.sib, strings.Join(slices.Sorted(maps.Keys(b.read)), ", "))
		}
	}
	for _, exit := range b.sib.required {
		if _, ok := b.step.follow(exit); !ok {
			b.refuse("exit %q leads nowhere: insert it into step_exit", exit)
		}
	}
	for _, exit := range b.step.exits {
		if !b.sib.branches && !slices.Contains(b.sib.exits, exit.name) {
			b.refuse("%s has no exit %q; it has: %s", b.step.sib, exit.name, strings.Join(b.sib.exits, ", "))
		}
	}
	return compiled
}

// assigns returns the variables that the step will set, with their types.
func (b *blockCompiler) assigns() map[string]*cel.Type {
	name := b.sib.into
	if _, secret := b.parameters["pin"]; b.step.sib == "verify" && secret {
		name = "account"
	}
	if _, collects := b.parameters["maximum"]; b.step.sib == "interact" && !collects {
		name = ""
	}
	if raw, ok := b.parameters["into"]; ok && json.Unmarshal(raw, &name) != nil || !identifier.MatchString(name) {
		return nil // it sets none, or compile tells what is wrong with it
	}
	kind := cel.StringType
	if b.step.sib == "algorithm" {
		var text string
		if raw, ok := b.parameters["type"]; ok && json.Unmarshal(raw, &text) == nil {
			if known, ok := variableTypes[text]; ok {
				kind = known
			}
		}
	}
	set := map[string]*cel.Type{name: kind}
	if raw, ok := b.parameters["balance_into"]; ok && json.Unmarshal(raw, &name) == nil && identifier.MatchString(name) {
		set[name] = cel.StringType
	}
	return set
}

// variableTypes are the types a variable may have.
var variableTypes = map[string]*cel.Type{"string": cel.StringType, "integer": cel.IntType, "boolean": cel.BoolType}

// get reads a parameter as JSON into value; false when it is not given or of the wrong type.
func (b *blockCompiler) get(name string, value any, form string) bool {
	b.read[name] = true
	raw, ok := b.parameters[name]
	if !ok {
		return false
	}
	if err := json.Unmarshal(raw, value); err != nil {
		b.refuse("parameter %q must be %s; it is %s", name, form, raw)
		return false
	}
	return true
}

// text reads a string.
func (b *blockCompiler) text(name, byDefault string) string {
	value := byDefault
	b.get(name, &value, "a string")
	return value
}

// required reads a string that must be given.
func (b *blockCompiler) required(name string) string {
	value := b.text(name, "")
	if value == "" {
		b.refuse("parameter %q is missing", name)
	}
	return value
}

func (b *blockCompiler) boolean(name string, byDefault bool) bool {
	value := byDefault
	b.get(name, &value, "true or false")
	return value
}

// texts reads a list of strings.
func (b *blockCompiler) texts(name string) []string {
	var values []string
	b.get(name, &values, "a list of strings")
	return values
}

// integer reads a number, or the name of an integer parameter in ${}.
func (b *blockCompiler) integer(name string, byDefault, least, most int) integerOperand {
	var value any
	if !b.get(name, &value, "a whole number") {
		return integerOperand{constant: byDefault, slot: -1, least: least, most: most}
	}
	switch value := value.(type) {
	case float64:
		number := int(value)
		if float64(number) != value || number < least || number > most {
			b.refuse("parameter %q is %v; it must be a whole number, %d–%d", name, value, least, most)
		}
		return integerOperand{constant: number, slot: -1, least: least, most: most}
	case string:
		if inner, ok := placeholder(value); ok {
			if slot := b.script.Parameter(inner); slot >= 0 && b.script.Parameters[slot].Kind == "integer" {
				parameter := &b.script.Parameters[slot]
				parameter.Least, parameter.Most = max(parameter.Least, int64(least)), min(parameter.Most, int64(most))
				return integerOperand{slot: slot, least: least, most: most}
			}
			b.refuse("parameter %q: %q is not an integer parameter of the script", name, inner)
			return integerOperand{slot: -1}
		}
	}
	b.refuse("parameter %q must be a whole number or ${an integer parameter}; it is %v", name, value)
	return integerOperand{slot: -1}
}

// into reads the name of the variable that the step sets.
func (b *blockCompiler) into(byDefault string) string {
	return b.checkVariable("into", b.text("into", byDefault))
}

// variable reads the name of another variable that the step sets, if it is given.
func (b *blockCompiler) variable(parameter string) string {
	return b.checkVariable(parameter, b.text(parameter, ""))
}

func (b *blockCompiler) checkVariable(parameter, name string) string {
	switch {
	case name == "":
	case !identifier.MatchString(name):
		b.refuse("%s %q: a variable's name is a small letter, then small letters, digits and _", parameter, name)
	case isCallVariable(name):
		b.refuse("%s %q: that is a variable that every call has and no step may set", parameter, name)
	case b.script.Parameter(name) >= 0:
		b.refuse("%s %q: that is a parameter of the script", parameter, name)
	}
	return name
}

// object reads the name of a parameter, in ${}, of the given type: which table, list or calendar is the service's own affair.
func (b *blockCompiler) object(name, kind string) int {
	text := b.required(name)
	if text == "" {
		return 0
	}
	inner, ok := placeholder(text)
	if !ok {
		b.refuse("parameter %q must be ${a %s parameter of the script}; it is %q", name, kind, text)
		return 0
	}
	slot := b.script.Parameter(inner)
	if slot < 0 || b.script.Parameters[slot].Kind != kind {
		b.refuse("parameter %q: the script has no parameter %q of type %s", name, inner, kind)
		return 0
	}
	return slot
}

// template compiles text with ${name} in it.
func (b *blockCompiler) template(name, text string) operand {
	var compiled operand
	for text != "" {
		literal, rest, found := strings.Cut(text, "${")
		if literal != "" {
			compiled.parts = append(compiled.parts, part{kind: partLiteral, text: literal})
		}
		if !found {
			break
		}
		inner, after, closed := strings.Cut(rest, "}")
		if !closed {
			b.refuse("parameter %q: a ${ is never closed by }", name)
			break
		}
		slot := b.script.Parameter(inner)
		_, assigned := b.script.variables[inner]
		switch {
		case slot >= 0:
			compiled.parts = append(compiled.parts, part{kind: partSlot, slot: slot, text: inner})
		case isCallVariable(inner):
			compiled.parts = append(compiled.parts, part{kind: partCall, text: inner})
		case assigned:
			compiled.parts = append(compiled.parts, part{kind: partVariable, text: inner})
		default:
			b.refuse("parameter %q: ${%s} is neither a variable of the call nor a parameter of the script", name, inner)
		}
		text = after
	}
	return compiled
}

// target compiles a template that gives targets. What stands there literally is checked now.
func (b *blockCompiler) target(name string) operand {
	compiled := b.template(name, b.required(name))
	if len(compiled.parts) == 1 && compiled.parts[0].kind == partLiteral {
		if reason := CheckTargets(compiled.parts[0].text, b.trunks); reason != "" {
			b.refuse("parameter %q: %s", name, reason)
		}
	}
	return compiled
}

// CheckTargets says what is wrong with targets written as number@trunk with commas between, or nothing.
func CheckTargets(text string, trunks map[string]table.Trunk) (reason string) {
	if n := 1 + strings.Count(text, ","); n > call.MaxTargets {
		return fmt.Sprintf("%d targets; a connect takes at most %d", n, call.MaxTargets)
	}
	for one := range strings.SplitSeq(text, ",") {
		target, ok := call.ParseTarget(one)
		if !ok {
			return fmt.Sprintf("%q is not a target: write number@trunk, several with commas between", one)
		}
		if _, ok := trunks[target.Trunk]; !ok {
			return fmt.Sprintf("trunk %q of target %q does not exist", target.Trunk, one)
		}
	}
	return ""
}

// placeholder returns the name in text that is nothing but ${name}.
func placeholder(text string) (string, bool) {
	inner, ok := strings.CutPrefix(text, "${")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inner, "}")
}
