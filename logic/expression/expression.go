// Package expression is the expression language of scripts: CEL (cel.dev) with calendars, checked when a script is
// compiled and bounded in cost when it runs.
//
// It knows neither calls nor scripts: what a name stands for is said by the caller.
package expression

import (
	"fmt"
	"reflect"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// CostLimit bounds what one expression may cost to evaluate, in CEL's own cost units (about one per operation and per
// ten bytes of text looked at).
const CostLimit = 2000

// CalendarType is the type of calendars. open(c) and holiday(c) ask one.
var CalendarType = cel.OpaqueType("calendar")

// base is the part of the language that all scripts share; made once.
//
// The functions that take a timestamp apart are left out: they read time zone files while a call waits. What the time of day
// means is a calendar's business.
var base = sync.OnceValues(func() (*cel.Env, error) {
	left := []string{
		"getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek", "getHours", "getMinutes", "getSeconds", "getMilliseconds",
	}
	subset := &env.LibrarySubset{}
	for _, name := range left {
		subset.ExcludeFunctions = append(subset.ExcludeFunctions, &env.Function{Name: name})
	}
	return cel.NewCustomEnv(
		cel.StdLib(cel.StdLibSubset(subset)),
		question(openFunction),
		question(holidayFunction),
	)
})

// question is the declaration of a function of a calendar.
func question(name string) cel.EnvOption {
	asks := questions[name]
	return cel.Function(name, cel.Overload(name+"_calendar", []*cel.Type{CalendarType}, cel.BoolType,
		cel.UnaryBinding(func(v ref.Val) ref.Val { return types.Bool(asks(v.(*Calendar).ask())) })))
}

// Environment is the language with the given names in it.
func Environment(names map[string]*cel.Type) (*cel.Env, error) {
	shared, err := base()
	if err != nil {
		return nil, fmt.Errorf("couldn't make the expression language: %w", err)
	}
	options := make([]cel.EnvOption, 0, len(names))
	for name, kind := range names {
		options = append(options, cel.Variable(name, kind))
	}
	return shared.Extend(options...)
}

// Expression is a CEL expression, checked and ready to run by any number of goroutines.
type Expression struct {
	Text    string
	program cel.Program

	// An expression that only asks a calendar, the commonest of all, needs no interpreter.
	calendar string                        // its name, or empty
	asks     func(open, holiday bool) bool // for which of the two
}

// Compile checks that text is an expression of the given type. The error is meant for its author.
func Compile(environment *cel.Env, text string, kind *cel.Type) (Expression, error) {
	checked, issues := environment.Compile(text)
	if issues.Err() != nil {
		return Expression{}, issues.Err()
	}
	if !checked.OutputType().IsExactType(kind) {
		return Expression{}, fmt.Errorf("the expression gives %s, it must give %s", checked.OutputType(), kind)
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	// What cannot cost more than the limit, whatever its variables hold, need not be counted while a call waits. Counting is
	// a third of what a condition such as open(hours) takes.
	if estimate, err := environment.EstimateCost(checked, unknownSizes{}); err != nil || estimate.Max > CostLimit {
		options = append(options, cel.CostLimit(CostLimit))
	}
	program, err := environment.Program(checked, options...)
	e := Expression{Text: text, program: program}
	if root := checked.NativeRep().Expr(); root.Kind() == ast.CallKind && len(root.AsCall().Args()) == 1 {
		if argument := root.AsCall().Args()[0]; argument.Kind() == ast.IdentKind {
			if e.asks = questions[root.AsCall().FunctionName()]; e.asks != nil {
				e.calendar = argument.AsIdent()
			}
		}
	}
	return e, err
}

// questions are the functions of a calendar.
var questions = map[string]func(open, holiday bool) bool{
	openFunction:    func(open, _ bool) bool { return open },
	holidayFunction: func(_, holiday bool) bool { return holiday },
}

const (
	openFunction    = "open"
	holidayFunction = "holiday"
)

// unknownSizes estimates as CEL itself does, and knows nothing of the length of texts: they may be endless.
type unknownSizes struct{}

func (unknownSizes) EstimateSize(cost.AstNode) *cost.SizeEstimate { return nil }

func (unknownSizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// Evaluate runs the expression. What fails at run time (cost, overflow, division by zero) is an error.
func (e *Expression) Evaluate(names cel.Activation) (ref.Val, error) {
	if e.calendar != "" {
		if value, _ := names.ResolveName(e.calendar); value != nil {
			if calendar, ok := value.(*Calendar); ok {
				return types.Bool(e.asks(calendar.ask())), nil
			}
		}
	}
	value, _, err := e.program.Eval(names)
	return value, err
}

// Asker says what a calendar is at the instant that an expression is evaluated for.
type Asker interface {
	AskCalendar(calendar any) (open, holiday bool)
}

// Calendar is a calendar as a CEL value: whatever its Asker knows it by.
type Calendar struct {
	Calendar any
	Asker    Asker
}

func (c *Calendar) ask() (open, holiday bool) { return c.Asker.AskCalendar(c.Calendar) }

// ConvertToNative is never asked for: expressions give booleans, integers and strings.
func (c *Calendar) ConvertToNative(reflect.Type) (any, error) {
	return nil, fmt.Errorf("a calendar has no native value")
}

// ConvertToType knows no other type.
func (c *Calendar) ConvertToType(ref.Type) ref.Val {
	return types.NewErr("a calendar cannot be converted")
}

// Equal holds between values of one calendar.
func (c *Calendar) Equal(other ref.Val) ref.Val {
	o, ok := other.(*Calendar)
	return types.Bool(ok && o.Calendar == c.Calendar)
}

// Type is calendar.
func (c *Calendar) Type() ref.Type { return CalendarType }

// Value is the calendar itself.
func (c *Calendar) Value() any { return c.Calendar }
