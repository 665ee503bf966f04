package logic

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types/ref"

	"ringmaster/logic/expression"
	"ringmaster/logic/table"
)

// Trace is the account of a decision, row by row, for explain. It is written by the very code that decides.
type Trace struct {
	Decisions []Decision
}

// Decision says what one step did and which row made it so.
type Decision struct {
	Step   string   `json:"step,omitempty"` // empty: before the script (numbering plan, service number)
	SIB    string   `json:"sib,omitempty"`
	Exit   string   `json:"exit,omitempty"`
	Next   string   `json:"next,omitempty"`
	Table  string   `json:"table,omitempty"`  // the operator's table that was asked
	Key    string   `json:"key,omitempty"`    // the row that decided, as an operator would name it
	Reason string   `json:"reason"`           // in words
	Beaten []string `json:"beaten,omitempty"` // rows that matched too and lost, with why
}

// tracing reports whether somebody wants to know. Without it no reason is put into words.
func (w *walk) tracing() bool { return w.out.Trace != nil }

// decide adds a decision of the current step.
func (w *walk) decide(d Decision) {
	if w.step != nil && d.Step == "" {
		d.Step, d.SIB = w.step.name, w.step.sib
	}
	w.out.Trace.Decisions = append(w.out.Trace.Decisions, d)
}

// traceExit writes the exit behind the step's last decision.
func (w *walk) traceExit(exit string, next int, wired bool) {
	decisions := w.out.Trace.Decisions
	if len(decisions) == 0 || decisions[len(decisions)-1].Step != w.step.name {
		w.decide(Decision{})
		decisions = w.out.Trace.Decisions
	}
	last := &decisions[len(decisions)-1]
	last.Exit = exit
	if wired {
		last.Next = w.service.script.steps[next].name
	} else {
		last.Reason = strings.TrimPrefix(last.Reason+"; nothing is wired to this exit: the call is released", "; ")
	}
}

func (w *walk) traceNumber(found *service, length int, exact bool) {
	called := w.call.Called
	d := Decision{Table: "service_number", Key: called[:length]}
	if exact {
		d.Reason = fmt.Sprintf("%s belongs to service %s", called, found.name)
	} else {
		d.Reason = fmt.Sprintf("the range %s* holds %s and belongs to service %s", called[:length], called, found.name)
	}
	for _, match := range w.snapshot.numbers.ranges.AppendMatches(nil, called) {
		if !exact && match.Length == length {
			continue
		}
		why := "shorter"
		if exact {
			why = "the exact number goes first"
		}
		d.Beaten = append(d.Beaten, fmt.Sprintf("range %s* of service %s: %s", called[:match.Length], w.snapshot.services.At(match.Value).name, why))
	}
	w.decide(d)
}

func (w *walk) traceOrigin(length int) {
	d := Decision{Table: "area_prefix"}
	switch {
	case w.call.Caller == "":
		d.Reason = "the caller's number is unknown: no origin"
	case w.origin == "":
		d.Reason = fmt.Sprintf("no area holds caller %s: no origin", w.call.Caller)
	default:
		d.Key = w.call.Caller[:length]
		d.Reason = fmt.Sprintf("caller %s is in area %s", w.call.Caller, w.origin)
		d.Beaten = table.Beaten(w.snapshot.areas, w.call.Caller, w.snapshot.areaNames)
	}
	w.decide(d)
}

func (w *walk) traceExpression(e *expression.Expression, value ref.Val, err error) {
	if err != nil {
		w.decide(Decision{Reason: fmt.Sprintf("%s failed: %s", e.Text, err)})
		return
	}
	w.decide(Decision{Reason: fmt.Sprintf("%s is %s", e.Text, textOf(value))})
}

func (w *walk) traceVerify(reason string) {
	if reason == "" {
		reason = "its form is right"
	}
	w.decide(Decision{Reason: reason})
}

func (w *walk) tracePick(from *table.Distribution, picked *table.Branch) {
	d := Decision{Table: "distribution_branch", Key: from.Name + "." + picked.Name}
	switch from.Method {
	case table.Percentage:
		d.Reason = fmt.Sprintf("this call's draw fell to %s: %d of %d go there", picked.Value, picked.Weight, from.Total)
	case table.Hash:
		if w.call.Caller == "" {
			d.Reason = fmt.Sprintf("the caller's number is unknown: this call's draw fell to %s", picked.Value)
			break
		}
		d.Reason = fmt.Sprintf("callers are spread by their number: this one always to %s", picked.Value)
	case table.Circular:
		d.Reason = fmt.Sprintf("it is the turn of %s", picked.Value)
	}
	w.decide(d)
}
