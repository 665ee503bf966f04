package script

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

// Tracing reports whether somebody wants to know. Without it no reason is put into words.
func (w *Walk) Tracing() bool { return w.out.Trace != nil }

// Decide adds a decision of the current step, or of what comes before the first.
func (w *Walk) Decide(d Decision) {
	if w.step != nil && d.Step == "" {
		d.Step, d.SIB = w.step.name, w.step.sib
	}
	w.out.Trace.Decisions = append(w.out.Trace.Decisions, d)
}

// traceExit writes the exit behind the step's last decision.
func (w *Walk) traceExit(exit string, next int, wired bool) {
	decisions := w.out.Trace.Decisions
	if len(decisions) == 0 || decisions[len(decisions)-1].Step != w.step.name {
		w.Decide(Decision{})
		decisions = w.out.Trace.Decisions
	}
	last := &decisions[len(decisions)-1]
	last.Exit = exit
	if wired {
		last.Next = w.service.Script.steps[next].name
	} else {
		last.Reason = strings.TrimPrefix(last.Reason+"; nothing is wired to this exit: the call is released", "; ")
	}
}

func (w *Walk) traceExpression(e *expression.Expression, value ref.Val, err error) {
	if err != nil {
		w.Decide(Decision{Reason: fmt.Sprintf("%s failed: %s", e.Text, err)})
		return
	}
	w.Decide(Decision{Reason: fmt.Sprintf("%s is %s", e.Text, textOf(value))})
}

func (w *Walk) traceVerify(reason string) {
	if reason == "" {
		reason = "its form is right"
	}
	w.Decide(Decision{Reason: reason})
}

func (w *Walk) tracePick(from *table.Distribution, picked *table.Branch) {
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
	w.Decide(d)
}
