package logic

import (
	"fmt"
	"strconv"
	"time"

	"ringmaster/logic/charging"
)

// ITU-T Q.850 causes that the engine releases with by itself.
const (
	causeUnallocated      = 1  // unallocated number: no service has it
	causeNormal           = 16 // normal call clearing
	causeBusy             = 17 // user busy
	causeNoAnswer         = 19 // no answer from user
	causeRoutingError     = 25 // exchange routing error: a budget is used up
	causeOutOfOrder       = 27 // destination out of order
	causeUnspecified      = 31 // normal, unspecified: the service is not active
	causeTemporaryFailure = 41 // temporary failure: the service went away in mid-call, or has never compiled
)

// walk is one query's way through a script.
type walk struct {
	snapshot *Snapshot
	service  *service
	call     *Session
	now      time.Time
	out      *Outcome
	step     *step
	budget   int // steps that may still be walked

	turn     uint64          // the answer to an Ask
	answer   charging.Answer // the same of the ledger
	answered bool            // there is one

	origin      string
	originKnown bool
}

// Step advances one call by one event at the instant now. It changes call and out in place and depends on
// nothing but its arguments. When out.Ask is not AskNothing, the caller answers it and steps again.
func (s *Snapshot) Step(call *Session, event Event, now time.Time, out *Outcome) {
	budget := StepBudget
	if event.Kind == EventAnswer {
		budget = out.walk.budget
	} else {
		out.Failed = 0
	}
	w := &out.walk
	*w = walk{snapshot: s, call: call, now: now, out: out, budget: budget}
	call.Revision = s.revision
	out.Ask = Ask{}
	switch event.Kind {
	case EventStart:
		out.Instructions = out.Instructions[:0]
		w.start()
	case EventReport:
		out.Instructions = out.Instructions[:0]
		w.report(event.Results)
	case EventAnswer:
		w.turn, w.answer, w.answered = event.Turn, event.Answer, true
		w.again()
	}
}

// start finds the service of a new call and walks from its first step.
func (w *walk) start() {
	call := w.call
	plan := w.snapshot.planOf(call.Trunk)
	call.Dialled = call.Called
	call.Called = plan.normalise(call.Called)
	call.Caller = plan.normalise(call.Caller)
	if w.tracing() && call.Called != call.Dialled {
		w.decide(Decision{Table: "numbering_plan", Key: w.snapshot.planName(call.Trunk),
			Reason: fmt.Sprintf("%s was dialled, that is %s in E.164", call.Dialled, call.Called)})
	}
	found, length, exact := w.snapshot.serviceOf(call.Called)
	if found == nil {
		if w.tracing() {
			w.decide(Decision{Table: "service_number", Reason: call.Called + " belongs to no service, and no range holds it"})
		}
		w.release(causeUnallocated)
		return
	}
	if w.tracing() {
		w.traceNumber(found, length, exact)
	}
	if found.script == nil {
		// Another service's range may hold the number too, but it is not that service's call.
		if w.tracing() {
			w.decide(Decision{Table: "service", Key: found.name, Reason: "the service has a problem and no good version yet: see config_problem"})
		}
		call.Service, call.Subscriber = found.name, found.subscriber
		w.release(causeTemporaryFailure)
		return
	}
	w.service = found
	call.Service, call.Subscriber, call.Script, call.Language = found.name, found.subscriber, found.script.name, found.language
	if !found.active {
		if w.tracing() {
			w.decide(Decision{Table: "service", Key: found.name, Reason: "the service is not active"})
		}
		w.release(causeUnspecified)
		return
	}
	w.walkFrom(found.script.first)
}

// report goes on where the call waits for the node.
func (w *walk) report(results []Result) {
	call := w.call
	if call.Step == "" {
		return // the engine is done with the call; nothing is left to do
	}
	call.AddLegs(results)
	call.Targets = call.Targets[:0]
	for i := range results {
		if results[i].Status == StatusHangup {
			if w.tracing() {
				w.decide(Decision{Step: call.Step, Reason: "the caller hung up"})
			}
			call.HungUp = true
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

// again runs the step that asked, now that the answer is there.
func (w *walk) again() {
	if step := w.waitingStep(); step != nil {
		w.walkFrom(w.service.script.byName[step.name])
	}
}

// waitingStep finds the step where the call waits. Between two queries an operator may have taken it away.
func (w *walk) waitingStep() *step {
	if w.call.Step == "" {
		return nil
	}
	w.service = w.snapshot.services.Get(w.call.Service)
	if w.service == nil {
		w.lost("service %q was deleted during the call", w.call.Service)
		return nil
	}
	script := w.service.script
	index, ok := script.byName[w.call.Step]
	if !ok || script.name != w.call.Script {
		w.lost("step %q was taken out of service %q during the call", w.call.Step, w.call.Service)
		return nil
	}
	return &script.steps[index]
}

// lost releases a call whose service went away under it.
func (w *walk) lost(format string, args ...any) {
	if w.tracing() {
		w.decide(Decision{Table: "step", Key: w.call.Script + "." + w.call.Step, Reason: fmt.Sprintf(format, args...)})
	}
	w.release(causeTemporaryFailure)
}

// walkFrom runs steps until the reply is complete.
func (w *walk) walkFrom(index int) {
	for {
		if w.budget == 0 {
			if w.tracing() {
				w.decide(Decision{Step: w.service.script.steps[index].name, Reason: fmt.Sprintf("the query has walked %d steps, the most that one may", StepBudget)})
			}
			w.release(causeRoutingError)
			return
		}
		w.budget--
		w.step = &w.service.script.steps[index]
		next, ok := w.leave(w.step.block.run(w))
		if !ok {
			return
		}
		index = next
	}
}

// leave follows an exit of the current step; false when the reply is complete.
func (w *walk) leave(exit string) (next int, ok bool) {
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
	if w.tracing() {
		w.traceExit(exit, next, ok)
	}
	if !ok {
		w.releaseUnwired(exit)
	}
	return next, ok
}

// releaseUnwired is what follows an exit that a script need not wire: the end of the call, for the reason that the exit names.
func (w *walk) releaseUnwired(exit string) {
	cause := causeNormal
	switch exit {
	case "busy":
		cause = causeBusy
	case "no_answer":
		cause = causeNoAnswer
	case "unreachable":
		cause = causeOutOfOrder
	}
	w.release(cause)
}

// release ends the call.
func (w *walk) release(cause int) {
	w.call.Release = cause
	w.out.Instructions = append(w.out.Instructions, Instruction{Op: OpRelease, Cause: cause})
	w.finish()
}

// finish says that the engine is done with the call.
func (w *walk) finish() {
	w.call.Step = ""
	w.call.Targets = w.call.Targets[:0]
}

func (s *Snapshot) planName(trunkName string) string {
	if _, ok := s.trunks[trunkName]; ok && trunkName != "" {
		return "of trunk " + trunkName
	}
	return defaultPlan
}

func (s *Snapshot) planOf(trunkName string) numberingPlan {
	if trunk, ok := s.trunks[trunkName]; ok {
		return trunk.plan
	}
	return s.plans[defaultPlan]
}

// callText returns a variable that every call has, as text.
func (w *walk) callText(name string) string {
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
func (w *walk) set(name, value string) {
	if !w.call.Set(name, value) && w.tracing() {
		w.decide(Decision{Reason: fmt.Sprintf("%s has no room among the call's variables: it is empty", name)})
	}
}

// originArea looks the caller's area up, once per query and only when a step asks.
func (w *walk) originArea() string {
	if w.originKnown {
		return w.origin
	}
	var length int
	w.origin, length = w.snapshot.area(w.call.Caller)
	w.originKnown = true
	if w.tracing() {
		w.traceOrigin(length)
	}
	return w.origin
}
