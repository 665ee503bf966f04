package script

import (
	"fmt"
	"strconv"
	"time"

	"ringmaster/logic/call"
	"ringmaster/logic/charging"
)

// Config is what a walk asks for beyond its own service: the rest of the operators' rows, of one config version.
type Config interface {
	// Service finds a service by name; nil when there is none.
	Service(name string) *Service
	// Normalise returns the E.164 digits of a number as it was dialled on a trunk.
	Normalise(trunk, dialled string) string
	// Origin returns the area that holds a caller's number, or nothing.
	Origin(caller string) string
	// ExplainOrigin says which row decided that, in words, and which lost.
	ExplainOrigin(caller string) (row, reason string, beaten []string)
}

// Walk is one query's way through a script. Outcome.Begin makes it; it holds until the next Begin.
type Walk struct {
	config  Config
	service *Service
	call    *call.Session
	now     time.Time
	out     *Outcome
	step    *step
	budget  int // steps that may still be walked

	turn     uint64          // the answer to an Ask
	answer   charging.Answer // the same of the ledger
	answered bool            // there is one

	origin      string
	originKnown bool
}

// Begin makes the walk of a call by one event at the instant now, under a config. What the caller does next is Start,
// Report or Answer. The walk changes the session and the outcome in place, and depends on nothing else.
func (o *Outcome) Begin(config Config, session *call.Session, event EventKind, now time.Time) *Walk {
	budget := call.StepBudget
	if event == EventAnswer {
		budget = o.walk.budget
	} else {
		o.Failed = 0
		o.Instructions = o.Instructions[:0]
	}
	o.Ask = Ask{}
	o.walk = Walk{config: config, call: session, now: now, out: o, budget: budget}
	return &o.walk
}

// Start takes a new call into a service that has a script, and walks from its first step.
func (w *Walk) Start(service *Service) {
	session := w.call
	w.service = service
	session.Service, session.Subscriber, session.Script, session.Language = service.Name, service.Subscriber, service.Script.Name, service.Language
	if !service.Active {
		if w.Tracing() {
			w.Decide(Decision{Table: "service", Key: service.Name, Reason: "the service is not active"})
		}
		w.Release(call.CauseUnspecified)
		return
	}
	w.walkFrom(service.Script.first)
}

// Report goes on where the call waits for the node, with what the node says.
func (w *Walk) Report(results []call.Result) {
	session := w.call
	if session.Step == "" {
		return // the engine is done with the call; nothing is left to do
	}
	session.AddLegs(results)
	session.Targets = session.Targets[:0]
	for i := range results {
		if results[i].Status == call.StatusHangup {
			if w.Tracing() {
				w.Decide(Decision{Step: session.Step, Reason: "the caller hung up"})
			}
			session.HungUp = true
			w.finish()
			return
		}
	}
	step := w.waitingStep()
	if step == nil {
		return
	}
	block, ok := step.block.(reporter)
	if !ok {
		w.lost("step %q of script %q waits for no report any more", step.name, w.call.Script)
		return
	}
	w.step = step
	if next, ok := w.leave(block.resume(w, results)); ok {
		w.walkFrom(next)
	}
}

// Answer runs the step that asked again, with the answer.
func (w *Walk) Answer(event Event) {
	w.turn, w.answer, w.answered = event.Turn, event.Answer, true
	if step := w.waitingStep(); step != nil {
		w.walkFrom(w.service.Script.byName[step.name])
	}
}

// waitingStep finds the step where the call waits. Between two queries an operator may have taken it away.
func (w *Walk) waitingStep() *step {
	if w.call.Step == "" {
		return nil
	}
	w.service = w.config.Service(w.call.Service)
	if w.service == nil || w.service.Script == nil {
		w.lost("service %q was deleted during the call", w.call.Service)
		return nil
	}
	script := w.service.Script
	index, ok := script.byName[w.call.Step]
	if !ok || script.Name != w.call.Script {
		w.lost("step %q was taken out of service %q during the call", w.call.Step, w.call.Service)
		return nil
	}
	return &script.steps[index]
}

// lost releases a call whose service went away under it.
func (w *Walk) lost(format string, args ...any) {
	if w.Tracing() {
		w.Decide(Decision{Table: "step", Key: w.call.Script + "." + w.call.Step, Reason: fmt.Sprintf(format, args...)})
	}
	w.Release(call.CauseTemporaryFailure)
}

// walkFrom runs steps until the reply is complete.
func (w *Walk) walkFrom(index int) {
	for {
		if w.budget == 0 {
			if w.Tracing() {
				w.Decide(Decision{Step: w.service.Script.steps[index].name, Reason: fmt.Sprintf("the query has walked %d steps, the most that one may", call.StepBudget)})
			}
			w.Release(call.CauseRoutingError)
			return
		}
		w.budget--
		w.step = &w.service.Script.steps[index]
		next, ok := w.leave(w.step.block.run(w))
		if !ok {
			return
		}
		index = next
	}
}

// leave follows an exit of the current step; false when the reply is complete.
func (w *Walk) leave(exit string) (next int, ok bool) {
	switch exit {
	case waiting:
		w.call.Step = w.step.name
		return 0, false
	case finished:
		w.finish()
		return 0, false
	}
	w.call.AppendPath(w.step.name, exit)
	next, ok = w.step.follow(exit)
	if w.Tracing() {
		w.traceExit(exit, next, ok)
	}
	if !ok {
		w.releaseUnwired(exit)
	}
	return next, ok
}

// releaseUnwired is what follows an exit that a script need not wire: the end of the call, for the reason that the exit names.
func (w *Walk) releaseUnwired(exit string) {
	cause := call.CauseNormal
	switch exit {
	case "busy":
		cause = call.CauseBusy
	case "no_answer":
		cause = call.CauseNoAnswer
	case "unreachable":
		cause = call.CauseOutOfOrder
	}
	w.Release(cause)
}

// Release ends the call with a Q.850 cause.
func (w *Walk) Release(cause int) {
	w.call.Release = cause
	w.out.Instructions = append(w.out.Instructions, call.Instruction{Op: call.OpRelease, Cause: cause})
	w.finish()
}

// finish says that the engine is done with the call.
func (w *Walk) finish() {
	w.call.Step = ""
	w.call.Targets = w.call.Targets[:0]
}

// callText returns a variable that every call has, as text.
func (w *Walk) callText(name string) string {
	switch name {
	case "call_id":
		return w.call.CallID
	case "node":
		return w.call.Node
	case "channel":
		return w.call.Channel
	case "caller":
		return w.call.Caller
	case "called":
		return w.call.Called
	case "dialled":
		return w.call.Dialled
	case "presentation":
		return w.call.Presentation.String()
	case "trunk":
		return w.call.Trunk
	case "origin":
		return w.originArea()
	case "language":
		return w.call.Language
	case "service":
		return w.call.Service
	case "attempt":
		return strconv.Itoa(w.call.Attempt)
	case "cause":
		return strconv.Itoa(w.call.LastCause())
	case "now":
		return w.now.UTC().Format(time.RFC3339)
	}
	return ""
}

// set gives a variable its value, if the call can carry it.
func (w *Walk) set(name, value string) {
	if !w.call.Set(name, value) && w.Tracing() {
		w.Decide(Decision{Reason: fmt.Sprintf("%s has no room among the call's variables: it is empty", name)})
	}
}

// originArea looks the caller's area up, once per query and only when a step asks.
func (w *Walk) originArea() string {
	if w.originKnown {
		return w.origin
	}
	w.origin, w.originKnown = w.config.Origin(w.call.Caller), true
	if w.Tracing() {
		row, reason, beaten := w.config.ExplainOrigin(w.call.Caller)
		w.Decide(Decision{Table: "area_prefix", Key: row, Reason: reason, Beaten: beaten})
	}
	return w.origin
}
