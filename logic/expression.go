package logic

import (
	"fmt"
	"reflect"
	"strconv"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"ringmaster/logic/calendar"
)

// expressionCostLimit bounds what one CEL expression may cost to evaluate, in CEL's own cost units (about one per
// operation and per ten bytes of text looked at).
const expressionCostLimit = 2000

// calendarType is the type of a calendar parameter in expressions. open(hours) and holiday(hours) ask it.
var calendarType = cel.OpaqueType("calendar")

// baseEnvironment is the part of the expression language that all scripts share; made once.
//
// The functions that take a timestamp apart are left out: they read time zone files while a call waits. What the time of day
// means is a calendar's business.
var baseEnvironment = sync.OnceValues(func() (*cel.Env, error) {
	left := []string{
		"getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek", "getHours", "getMinutes", "getSeconds", "getMilliseconds",
	}
	subset := &env.LibrarySubset{}
	for _, name := range left {
		subset.ExcludeFunctions = append(subset.ExcludeFunctions, &env.Function{Name: name})
	}
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(subset)),
		cel.Function("open", cel.Overload("open_calendar", []*cel.Type{calendarType}, cel.BoolType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return types.Bool(v.(*calendarValue).state().open) }))),
		cel.Function("holiday", cel.Overload("holiday_calendar", []*cel.Type{calendarType}, cel.BoolType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return types.Bool(v.(*calendarValue).state().holiday) }))),
		cel.Variable("attempt", cel.IntType),
		cel.Variable("cause", cel.IntType),
		cel.Variable("now", cel.TimestampType),
	}
	for _, name := range []string{"call_id", "node", "channel", "caller", "called", "dialled", "presentation", "trunk", "origin", "language", "service"} {
		options = append(options, cel.Variable(name, cel.StringType))
	}
	return cel.NewCustomEnv(options...)
})

// newEnvironment adds a script's variables and parameters to the expression language.
func newEnvironment(s *script) (*cel.Env, error) {
	base, err := baseEnvironment()
	if err != nil {
		return nil, fmt.Errorf("couldn't make the expression language: %w", err)
	}
	var options []cel.EnvOption
	for name, kind := range s.variables {
		options = append(options, cel.Variable(name, kind))
	}
	for _, parameter := range s.parameters {
		kind := cel.StringType
		switch parameter.kind {
		case "integer":
			kind = cel.IntType
		case "calendar":
			kind = calendarType
		}
		options = append(options, cel.Variable(parameter.name, kind))
	}
	return base.Extend(options...)
}

// expression is a CEL expression, checked and ready to run.
type expression struct {
	text    string
	program cel.Program
}

// expression reads a parameter that is a CEL expression of the given type.
func (b *blockCompiler) expression(name string, kind *cel.Type) expression {
	compiled := expression{text: b.required(name)}
	if compiled.text == "" {
		return compiled
	}
	checked, issues := b.environment.Compile(compiled.text)
	if issues.Err() != nil {
		b.refuse("parameter %q: %s", name, issues.Err())
		return compiled
	}
	if !checked.OutputType().IsExactType(kind) {
		b.refuse("parameter %q: the expression gives %s, it must give %s", name, checked.OutputType(), kind)
		return compiled
	}
	program, err := b.environment.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(expressionCostLimit))
	if err != nil {
		b.refuse("parameter %q: %s", name, err)
	}
	compiled.program = program
	return compiled
}

// evaluate runs the expression over the call. What fails at run time (cost, overflow, division by zero) is told as an error and
// decided by the SIB.
func (e *expression) evaluate(w *walk) (ref.Val, error) {
	value, _, err := e.program.Eval(w)
	return value, err
}

// Parent makes a walk a cel.Activation.
func (w *walk) Parent() cel.Activation { return nil }

// ResolveName gives expressions the call's variables and the service's parameters.
func (w *walk) ResolveName(name string) (any, bool) {
	switch name {
	case "attempt":
		return int64(w.call.Attempt), true
	case "cause":
		return int64(w.call.lastCause()), true
	case "now":
		return types.Timestamp{Time: w.now}, true
	}
	if isCallVariable(name) {
		return w.callText(name), true
	}
	script := w.service.script
	if kind, ok := script.variables[name]; ok {
		return typedVariable(kind, w.call.variable(name)), true
	}
	for i := range script.parameters {
		if script.parameters[i].name != name {
			continue
		}
		slot := &w.service.slots[i]
		switch object := slot.object.(type) {
		case int64:
			return object, true
		case *calendarTable:
			return &calendarValue{object, w}, true
		}
		return slot.text, true
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

// calendarValue is a calendar at the instant of the query, as a CEL value.
type calendarValue struct {
	table *calendarTable
	walk  *walk
}

type calendarState struct{ open, holiday bool }

func (v *calendarValue) state() calendarState {
	state := v.table.calendar.At(v.walk.now)
	if v.walk.tracing() {
		v.walk.traceCalendar(v.table, state)
	}
	return calendarState{open: state.Status == calendar.Open, holiday: state.Holiday >= 0}
}

// ConvertToNative is never asked for: expressions give booleans, integers and strings.
func (v *calendarValue) ConvertToNative(reflect.Type) (any, error) {
	return nil, fmt.Errorf("a calendar has no native value")
}

// ConvertToType knows no other type.
func (v *calendarValue) ConvertToType(ref.Type) ref.Val {
	return types.NewErr("a calendar cannot be converted")
}

// Equal holds between values of one calendar.
func (v *calendarValue) Equal(other ref.Val) ref.Val {
	o, ok := other.(*calendarValue)
	return types.Bool(ok && o.table == v.table)
}

// Type is calendar.
func (v *calendarValue) Type() ref.Type { return calendarType }

// Value is the calendar's name.
func (v *calendarValue) Value() any { return v.table.name }
