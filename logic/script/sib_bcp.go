package script

import (
	"fmt"
	"strings"

	"ringmaster/logic/call"
)

func compileBasicCall(b *blockCompiler) block {
	action := b.required("action")
	wired := func(allowed bool) {
		if !allowed && len(b.step.exits) > 0 {
			b.refuse("%s ends the script: it has no exit %q", action, b.step.exits[0].name)
		}
	}
	switch action {
	case "connect":
		_, follow := b.step.follow("answer")
		c := &connectBlock{
			target:   b.target("target"),
			timeout:  b.integer("timeout", 30, 1, 300),
			maximum:  b.integer("maximum_seconds", 0, 0, 86400),
			warning:  b.integer("warning_seconds", 0, 0, 3600),
			followOn: follow,
		}
		if text := b.text("caller_id", ""); text != "" {
			c.callerID = b.template("caller_id", text)
		}
		return c
	case "continue":
		wired(false)
		return continueBlock{}
	case "release":
		wired(false)
		return &releaseBlock{b.integer("cause", call.CauseNormal, 1, 127)}
	case "":
	default:
		b.refuse("action %q is unknown: connect, continue or release", action)
	}
	return nil
}

// connectBlock connects the caller to the first target that answers.
type connectBlock struct {
	target   operand
	timeout  integerOperand
	maximum  integerOperand
	warning  integerOperand
	callerID operand
	followOn bool
}

func (c *connectBlock) run(w *Walk) string {
	session := w.call
	if session.Attempt >= call.RedirectBudget {
		if w.Tracing() {
			w.Decide(Decision{Reason: fmt.Sprintf("the call was connected %d times, the most that one may", call.RedirectBudget)})
		}
		w.Release(call.CauseRoutingError)
		return finished
	}
	limit := c.maximum.value(w)
	maximum := limit
	if paid, bounded := session.PaidSeconds(); bounded {
		if paid == 0 {
			if w.Tracing() {
				w.Decide(Decision{Reason: "what was granted is used up: a conversation needs another charge"})
			}
			w.Release(call.CauseNormal)
			return finished
		}
		if maximum == 0 || int64(maximum) > paid {
			maximum = int(paid)
		}
	}
	text := c.target.value(w)
	session.Targets = session.Targets[:0]
	timeout := c.timeout.value(w)
	for one := range strings.SplitSeq(text, ",") {
		target, ok := call.ParseTarget(one)
		if ok {
			_, ok = w.service.Trunks[target.Trunk]
		}
		if !ok {
			if w.Tracing() {
				w.Decide(Decision{Table: "trunk", Key: one, Reason: fmt.Sprintf("%q is not a target on a trunk that exists: left out", one)})
			}
			continue
		}
		if len(session.Targets) == call.MaxTargets {
			break
		}
		target.Timeout = timeout
		session.Targets = append(session.Targets, target)
	}
	if len(session.Targets) == 0 {
		return "unreachable"
	}
	session.Attempt++
	callerID := ""
	if len(c.callerID.parts) > 0 {
		if callerID = c.callerID.value(w); !call.ValidNumber(callerID) {
			callerID = ""
		}
	}
	if w.Tracing() {
		w.Decide(Decision{Table: "trunk", Key: session.Targets[0].Trunk, Reason: fmt.Sprintf("connects to %s, ringing %d s each", text, timeout)})
	}
	w.out.Instructions = append(w.out.Instructions, call.Instruction{
		Op: call.OpConnect, Targets: session.Targets, CallerID: callerID,
		MaximumSeconds: maximum, WarningSeconds: c.warning.value(w), FollowOn: c.followOn,
		Extendable: session.Extendable() && maximum > 0 && (limit == 0 || maximum < limit),
	})
	return waiting
}

// resume takes what became of the connect.
func (c *connectBlock) resume(w *Walk, results []call.Result) string {
	status := call.StatusUnreachable
	for i := range results {
		if results[i].Op == call.OpConnect {
			status = results[i].Status
		}
	}
	if w.Tracing() {
		w.Decide(Decision{Reason: fmt.Sprintf("the last target: %s (Q.850 cause %d)", status, w.call.LastCause())})
	}
	switch status {
	case call.StatusAnswer:
		if !c.followOn {
			w.Release(call.CauseNormal)
			return finished
		}
		return "answer"
	case call.StatusBusy:
		return "busy"
	case call.StatusNoAnswer, call.StatusTimeout:
		return "no_answer"
	}
	return "unreachable"
}

// continueBlock gives the call back to the node's dialplan.
type continueBlock struct{}

func (continueBlock) run(w *Walk) string {
	if w.Tracing() {
		w.Decide(Decision{Reason: "the node's dialplan goes on with the call"})
	}
	w.call.Continued = true
	w.out.Instructions = append(w.out.Instructions, call.Instruction{Op: call.OpContinue})
	return finished
}

// releaseBlock ends the call.
type releaseBlock struct{ cause integerOperand }

func (r *releaseBlock) run(w *Walk) string {
	cause := r.cause.value(w)
	if w.Tracing() {
		w.Decide(Decision{Reason: fmt.Sprintf("releases the call with Q.850 cause %d", cause)})
	}
	w.Release(cause)
	return finished
}
