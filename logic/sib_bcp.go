package logic

import (
	"fmt"
	"strings"
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
			target:   b.template("target", b.required("target")),
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
		return &releaseBlock{b.integer("cause", causeNormal, 1, 127)}
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

func (c *connectBlock) run(w *walk) string {
	call := w.call
	if call.Attempt == RedirectBudget {
		if w.tracing() {
			w.decide(Decision{Reason: fmt.Sprintf("the call was connected %d times, the most that one may", RedirectBudget)})
		}
		w.release(causeRoutingError)
		return finished
	}
	text := c.target.value(w)
	call.Targets = call.Targets[:0]
	timeout := c.timeout.value(w)
	for one := range strings.SplitSeq(text, ",") {
		target, ok := parseTarget(one)
		if ok {
			_, ok = w.snapshot.trunks[target.Trunk]
		}
		if !ok {
			if w.tracing() {
				w.decide(Decision{Table: "trunk", Key: one, Reason: fmt.Sprintf("%q is not a target on a trunk that exists: left out", one)})
			}
			continue
		}
		if len(call.Targets) == MaxTargets {
			break
		}
		target.Timeout = timeout
		call.Targets = append(call.Targets, target)
	}
	if len(call.Targets) == 0 {
		return "unreachable"
	}
	call.Attempt++
	callerID := ""
	if len(c.callerID.parts) > 0 {
		if callerID = c.callerID.value(w); !ValidNumber(callerID) {
			callerID = ""
		}
	}
	if w.tracing() {
		w.decide(Decision{Table: "trunk", Key: call.Targets[0].Trunk, Reason: fmt.Sprintf("connects to %s, ringing %d s each", text, timeout)})
	}
	w.out.Instructions = append(w.out.Instructions, Instruction{
		Op: OpConnect, Targets: call.Targets, CallerID: callerID,
		MaximumSeconds: c.maximum.value(w), WarningSeconds: c.warning.value(w), FollowOn: c.followOn,
	})
	return waiting
}

// resume takes what became of the connect.
func (c *connectBlock) resume(w *walk, results []Result) string {
	w.legs(results)
	status := StatusUnreachable
	for i := range results {
		if results[i].Op == OpConnect {
			status = results[i].Status
		}
	}
	w.call.Targets = w.call.Targets[:0]
	if w.tracing() {
		w.decide(Decision{Reason: fmt.Sprintf("the last target: %s (Q.850 cause %d)", status, w.call.lastCause())})
	}
	switch status {
	case StatusAnswer, StatusDone:
		if !c.followOn {
			w.release(causeNormal)
			return finished
		}
		return "answer"
	case StatusBusy:
		return "busy"
	case StatusNoAnswer, StatusTimeout:
		return "no_answer"
	}
	return "unreachable"
}

// legs keeps what became of the targets of the connect under way. A node may tell of each target, or only of the last.
func (w *walk) legs(results []Result) { w.call.addLegs(results) }

func (c *Session) addLegs(results []Result) {
	for i := range results {
		result := &results[i]
		if result.Op != OpConnect || result.Target < 0 || result.Target >= len(c.Targets) || len(c.Legs) >= MaxLegs {
			continue
		}
		target := c.Targets[result.Target]
		c.Legs = append(c.Legs, Leg{
			Trunk: target.Trunk, Number: target.Number, Status: result.Status, DialStatus: result.DialStatus,
			Cause: result.Cause, TalkMilliseconds: result.Talk.Milliseconds(),
		})
	}
}

// continueBlock gives the call back to the node's dialplan.
type continueBlock struct{}

func (continueBlock) run(w *walk) string {
	if w.tracing() {
		w.decide(Decision{Reason: "the node's dialplan goes on with the call"})
	}
	w.call.Continued = true
	w.out.Instructions = append(w.out.Instructions, Instruction{Op: OpContinue})
	return finished
}

// releaseBlock ends the call.
type releaseBlock struct{ cause integerOperand }

func (r *releaseBlock) run(w *walk) string {
	cause := r.cause.value(w)
	if w.tracing() {
		w.decide(Decision{Reason: fmt.Sprintf("releases the call with Q.850 cause %d", cause)})
	}
	w.release(cause)
	return finished
}
