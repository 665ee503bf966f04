package agi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ringmaster/rpc/api"
)

// step is what the channel shall do next: one instruction, and of a connect one target.
// A step that is not OK sends the channel to its local fallback.
type step struct {
	OK      bool
	Session string // to ride on the channel; empty when it is too long for it
	Number  int    // counts the steps of a call, from 1
	instruction
	Index   int    // connect: which target
	To      target // connect: the target
	Movable bool   // connect: the limit shall be one that can be moved
}

// query is how a face names the call it speaks of.
type query struct {
	CallID       string
	Channel      string
	Trunk        string
	Caller       string
	Called       string
	Presentation string
	Session      string // as it rode on the channel
	StartedAt    time.Time
}

func (q query) newCall(boot string, now time.Time) *call {
	if !q.StartedAt.IsZero() {
		now = q.StartedAt
	}
	return &call{ID: q.CallID, Boot: boot, Channel: q.Channel, Trunk: q.Trunk, Caller: q.Caller, Called: q.Called,
		Presentation: q.Presentation, Began: now}
}

// errGone is why a late request is not served: an agent that was frozen reads what Asterisk gave up on.
var errGone = errors.New("the channel does not wait for an answer any more")

// unavailable sends the call to its fallback and counts why.
func (a *Agent) unavailable(reason string, q query, err error) step {
	a.metrics.fallbacks.WithLabelValues(reason).Inc()
	a.log.Warn("the call goes to its local fallback", "reason", reason, "call_id", q.CallID, "error", err)
	return step{}
}

// start asks what a new call shall do.
func (a *Agent) start(ctx context.Context, q query) step {
	if !callIDGrammar.MatchString(q.CallID) || !numberGrammar.MatchString(q.Called) {
		return a.unavailable(fallbackInvalid, q, fmt.Errorf("call id %q or called number %q: %w", clip(q.CallID), clip(q.Called), errGrammar))
	}
	if !numberGrammar.MatchString(q.Caller) {
		q.Caller = "" // anonymous, or a name: unknown to a numbering plan
	}
	if !trunkGrammar.MatchString(q.Trunk) {
		q.Trunk = ""
	}
	if ctx.Err() != nil || a.calls.hasEnded(q.CallID) {
		return a.unavailable(fallbackUnknown, q, errGone)
	}
	c := q.newCall(a.boot.asterisk(), a.now())
	c.mu.Lock()
	defer c.mu.Unlock()
	a.calls.put(c)
	defer a.calls.save(c)

	if a.outOfService.Load() {
		// The softswitch tries another node on a 503.
		c.Pending = []instruction{{Op: api.OpRelease, Cause: causeCongestion}}
		return a.nextStep(c)
	}
	r, err := a.asker.ask(ctx, api.MethodCallStart, map[string]any{
		api.CallID: c.ID, api.Node: a.config.Node, api.Channel: c.Channel, api.Caller: c.Caller, api.Called: c.Called,
		api.Presentation: c.Presentation, api.Trunk: c.Trunk,
	}, a.config.Deadline, a.config.Hedge)
	return a.take(c, q, r, err)
}

// causeCongestion is Q.850 34, no circuit available: Asterisk says 503 to it.
const causeCongestion = 34

// take makes an engine's reply the call's next instructions.
func (a *Agent) take(c *call, q query, r *reply, err error) step {
	var f *fault
	switch {
	case errors.As(err, &f):
		return a.unavailable(fallbackFault, q, err)
	case err != nil:
		return a.unavailable(fallbackNoEngine, q, err)
	}
	if !goodSession(r.Session) {
		return a.unavailable(fallbackInvalid, q, fmt.Errorf("session %q: %w", clip(r.Session), errGrammar))
	}
	// The session counts even when the instructions do not: the call's end then says what was decided.
	c.Session, c.Results = r.Session, nil
	if err := checkInstructions(r.Instructions); err != nil {
		return a.unavailable(fallbackInvalid, q, err)
	}
	c.Pending, c.Target = r.Instructions, 0
	return a.nextStep(c)
}

// nextStep hands out the first pending instruction.
func (a *Agent) nextStep(c *call) step {
	c.Step++
	c.Movable = a.movable(&c.Pending[0])
	if c.Pending[0].Op == api.OpConnect {
		c.Conversation = nil
	}
	return c.step()
}

// step is what was handed out last.
func (c *call) step() step {
	s := step{OK: true, Number: c.Step, instruction: c.Pending[0], Movable: c.Movable}
	if len(c.Session) <= maxChannelSession {
		s.Session = c.Session
	}
	if s.Op == api.OpConnect {
		s.Index, s.To = c.Target, c.Pending[0].Targets[c.Target]
	}
	return s
}

// next takes what the last step came to and says what follows: from what the engine has said already, or by asking it.
func (a *Agent) next(ctx context.Context, q query, got result) step {
	if ctx.Err() != nil || a.calls.hasEnded(q.CallID) {
		return a.unavailable(fallbackUnknown, q, errGone)
	}
	c := a.calls.get(q.CallID)
	if c == nil {
		if !callIDGrammar.MatchString(q.CallID) || !goodSession(q.Session) {
			return a.unavailable(fallbackUnknown, q, errors.New("neither the call nor a session is known"))
		}
		// The agent lost the call (its disk, a full table). The session on the channel is enough to go on.
		c = q.newCall(a.boot.asterisk(), a.now())
		c.Session, c.Step = q.Session, got.step
		a.calls.put(c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer a.calls.save(c)

	if got.step > 0 && got.step != c.Step && c.Step > 0 {
		if got.step == c.Step-1 && len(c.Pending) > 0 {
			return c.step() // it was answered, but the answer did not arrive: the agent was killed
		}
		return a.unavailable(fallbackUnknown, q, fmt.Errorf("step %d is told, step %d runs", got.step, c.Step))
	}
	if got.Op == api.OpAnswer && got.Status == api.StatusDone {
		if c.PickedUpAt = got.answeredAt; c.PickedUpAt.IsZero() {
			c.PickedUpAt = a.now()
		}
	}
	if got.Op == api.OpConnect {
		c.conversationOver(got)
	}
	if got.Op == api.OpConnect && got.Status == api.StatusAnswer {
		c.Talk = got.Talk
		c.AnsweredAt = a.now().Add(-got.Talk)
	}
	if len(c.Pending) > 0 && c.Pending[0].Op == got.Op {
		running := &c.Pending[0]
		if got.Op == api.OpConnect {
			got.Target = c.Target
			if c.Target+1 < len(running.Targets) && triesNext(got.Status) {
				c.Target++
				return a.nextStep(c)
			}
			if got.Status == api.StatusAnswer && !running.FollowOn {
				// The conversation was all there was to it; the result goes with the end.
				c.Results = append(c.Results, got)
				c.Pending, c.Target = []instruction{{Op: api.OpRelease, Cause: got.Cause}}, 0
				return a.nextStep(c)
			}
		}
		c.Pending, c.Target = c.Pending[1:], 0
	} else {
		c.Pending, c.Target = nil, 0
	}
	c.Results = append(c.Results, got)
	if len(c.Pending) > 0 {
		return a.nextStep(c)
	}
	if c.Session == "" {
		return a.unavailable(fallbackUnknown, q, errors.New("the call has no session"))
	}
	r, err := a.asker.ask(ctx, api.MethodCallReport, map[string]any{
		api.Session: c.Session, api.Results: resultMembers(c.Results),
	}, a.config.Deadline, a.config.Hedge)
	return a.take(c, q, r, err)
}

// triesNext says whether a connect goes on to its next target.
func triesNext(status string) bool {
	return status == api.StatusBusy || status == api.StatusNoAnswer || status == api.StatusUnreachable || status == api.StatusFailed
}

// ending is what the hangup handler says of a call's end.
type ending struct {
	query
	Running      result        // what was running when the channel hung up; Op empty: nothing of ours
	AnsweredAt   time.Time     // when the caller's own leg was answered, by whomever; zero: never
	EndedAt      time.Time     // zero: now
	Billed       time.Duration // from that answer to the end
	Cause        int           // Q.850
	HangupSource string
	Fallback     bool // the dialplan went on by itself
}

// end spools the end of a call. It is safe on disk when the error is nil.
func (a *Agent) end(e ending) error {
	if !callIDGrammar.MatchString(e.CallID) {
		return fmt.Errorf("call id %q: %w", clip(e.CallID), errGrammar)
	}
	if a.calls.hasEnded(e.CallID) {
		return nil // told twice: to a frozen agent and to the inbox
	}
	if e.EndedAt.IsZero() {
		e.EndedAt = a.now()
	}
	c := a.calls.get(e.CallID)
	if c == nil {
		c = e.newCall("", e.EndedAt)
		if goodSession(e.Session) {
			c.Session = e.Session
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.calls.hasEnded(e.CallID) {
		return nil // meanwhile
	}
	r := &endRecord{
		CallID: c.ID, Session: c.Session, Channel: c.Channel, Trunk: c.Trunk, Caller: c.Caller, Called: c.Called, Presentation: c.Presentation,
		StartedAt: c.Began, EndedAt: e.EndedAt, Cause: e.Cause, HangupSource: e.HangupSource, Results: c.Results,
		AnsweredAt: c.AnsweredAt, Talk: c.Talk, Fallback: e.Fallback,
	}
	if e.Session == "" && len(c.Session) <= maxChannelSession {
		// An engine has answered, but the channel did not hear it in time, and went to the fallback.
		r.Session, r.Results = "", nil
	}
	// A record in the node's name holds numbers only; what a caller wrote beyond that is of no use to anybody's bill.
	r.Caller, r.Called = cleanNumber(r.Caller), cleanNumber(r.Called)
	switch run := e.Running; {
	case run.DialStatus == "ANSWER" && (run.Op == api.OpConnect || run.Op == "" && c.Talk == 0):
		// The conversation itself ended the call. Without an Op the local fallback had dialled.
		r.AnsweredAt, r.Talk = r.EndedAt.Add(-run.Talk), run.Talk
	case !r.AnsweredAt.IsZero():
	case !c.PickedUpAt.IsZero():
		// A dialogue or an announcement: the caller's own leg was answered, nobody else's.
		r.AnsweredAt, r.Talk = c.PickedUpAt, max(0, r.EndedAt.Sub(c.PickedUpAt)).Round(time.Millisecond)
	case !e.AnsweredAt.IsZero():
		r.AnsweredAt, r.Talk = e.AnsweredAt, e.Billed
	}
	if e.Running.Op != "" {
		r.Results = append(append([]result(nil), r.Results...), e.Running)
	}
	if err := a.spool.add(r); err != nil {
		return err
	}
	a.calls.end(e.CallID)
	a.deliverer.wake()
	return nil
}

// cleanNumber leaves of s what a number may have.
func cleanNumber(s string) string {
	plus := strings.HasPrefix(s, "+")
	s = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '*' || r == '#' {
			return r
		}
		return -1
	}, s)
	s = s[:min(len(s), 32)]
	if plus && s != "" {
		return "+" + s
	}
	return s
}
