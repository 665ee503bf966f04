package script

import (
	"maps"
	"strconv"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"ringmaster/logic/expression"
	"ringmaster/logic/table"
)

// callVariables are the variables that every call has, as expressions see them.
var callVariables = map[string]*cel.Type{
	"call_id": cel.StringType, "node": cel.StringType, "channel": cel.StringType, "caller": cel.StringType, "called": cel.StringType,
	"dialled": cel.StringType, "presentation": cel.StringType, "trunk": cel.StringType, "origin": cel.StringType, "language": cel.StringType,
	"service": cel.StringType, "attempt": cel.IntType, "cause": cel.IntType, "now": cel.TimestampType,
}

// isCallVariable reports whether every call has the variable name.
func isCallVariable(name string) bool { return callVariables[name] != nil }

// newEnvironment is the expression language with a script's variables and parameters.
func newEnvironment(s *Script) (*cel.Env, error) {
	names := make(map[string]*cel.Type, len(callVariables)+len(s.variables)+len(s.Parameters))
	maps.Copy(names, s.variables)
	for _, parameter := range s.Parameters {
		switch parameter.Kind {
		case "integer":
			names[parameter.Name] = cel.IntType
		case "calendar":
			names[parameter.Name] = expression.CalendarType
		default:
			names[parameter.Name] = cel.StringType
		}
	}
	maps.Copy(names, callVariables) // a step or a parameter that takes one of these names is refused where it does
	return expression.Environment(names)
}

// expression reads a parameter that is a CEL expression of the given type.
func (b *blockCompiler) expression(name string, kind *cel.Type) expression.Expression {
	text := b.required(name)
	if text == "" {
		return expression.Expression{}
	}
	environment, err := b.environment()
	if err != nil {
		b.refuse("%s", err)
		return expression.Expression{}
	}
	compiled, err := expression.Compile(environment, text, kind)
	if err != nil {
		b.refuse("parameter %q: %s", name, err)
	}
	return compiled
}

// Parent makes a walk a cel.Activation.
func (w *Walk) Parent() cel.Activation { return nil }

// ResolveName gives expressions the call's variables and the service's parameters.
func (w *Walk) ResolveName(name string) (any, bool) {
	switch name {
	case "attempt":
		return int64(w.call.Attempt), true
	case "cause":
		return int64(w.call.LastCause()), true
	case "now":
		return types.Timestamp{Time: w.now}, true
	}
	if isCallVariable(name) {
		return w.callText(name), true
	}
	script := w.service.Script
	if kind, ok := script.variables[name]; ok {
		return typedVariable(kind, w.call.Value(name)), true
	}
	for i := range script.Parameters {
		if script.Parameters[i].Name != name {
			continue
		}
		slot := &w.service.Slots[i]
		switch object := slot.Object.(type) {
		case int64:
			return object, true
		case *table.Calendar:
			return &expression.Calendar{Calendar: object, Asker: w}, true
		}
		return slot.Text, true
	}
	return nil, false
}

// typedVariable reads a variable's text by its type. A variable that no step has set yet is empty, 0 or false.
func typedVariable(kind *cel.Type, text string) any {
	switch kind {
	case cel.IntType:
		number, _ := strconv.ParseInt(text, 10, 64)
		return number
	case cel.BoolType:
		return text == "true"
	}
	return text
}

// AskCalendar says for expressions whether a calendar is open now, and whether it is a holiday there.
func (w *Walk) AskCalendar(named any) (open, holiday bool) {
	asked := named.(*table.Calendar)
	if w.Tracing() {
		from, row, reason := asked.Explain(w.now)
		w.Decide(Decision{Table: from, Key: row, Reason: reason})
	}
	return asked.At(w.now)
}

// textOf is the value of an expression as a variable keeps it.
func textOf(value ref.Val) string {
	switch value := value.Value().(type) {
	case string:
		return value
	case int64:
		return strconv.FormatInt(value, 10)
	case bool:
		return strconv.FormatBool(value)
	}
	return ""
}

// failed counts an expression that failed, if it did.
func (w *Walk) failed(err error) {
	if err != nil {
		w.out.Failed++
	}
}
