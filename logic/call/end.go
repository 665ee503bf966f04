package call

import (
	"math"
	"slices"
	"time"

	"ringmaster/logic/charging"
)

// EndCall says what a call came to. The same session and event give the same CDR; the session stays as it is.
func EndCall(call *Session, end EndEvent, now time.Time) CDR {
	endedAt := end.EndedAt
	if endedAt.IsZero() {
		endedAt = now
	}
	legs := appendLegs(slices.Clone(call.Legs), call.Targets, end.Results, call.Payment)
	talk := appendTalk(slices.Clone(call.Talk), call.Targets, end.Results, call.Payment)
	talk = call.lastTalk(legs, talk, &end)
	outcome := call.outcome(legs, end)
	cdr := CDR{
		CallID: call.CallID, Node: call.Node, Channel: call.Channel, Trunk: call.Trunk,
		Caller: call.Caller, Called: call.Called, Dialled: call.Dialled, Presentation: call.Presentation,
		Service: call.Service, Subscriber: call.Subscriber, Script: call.Script,
		Path: string(call.Path), Revision: call.Revision,
		Outcome:   outcome,
		StartedAt: call.StartedAt, AnsweredAt: end.AnsweredAt, EndedAt: endedAt.UTC(),
		Talk: max(end.Talk, 0), Cause: end.Cause, HangupSource: end.HangupSource,
		Legs: legs, Records: slices.Clone(call.Records),
		Held: call.Held, Blind: slices.Clone(call.Blind),
	}
	cdr.Finished, cdr.TimesCorrected = call.finished(legs, talk, outcome, end, now)
	if !cdr.StartedAt.IsZero() {
		cdr.settleTimes(now)
	}
	return cdr
}

// ClockSlack is how much longer than the engine saw the call a node may say that people talked: their clocks may be so far apart without anybody being told.
const ClockSlack = 2 * time.Second

// lastTalk makes all of a call's end agree on how long its last conversation was: a node may say that with its result, at the end, or both. It sets the leg's and the end's, and
// returns what was talked by charge.
func (c *Session) lastTalk(legs []Leg, talk []charging.Finished, end *EndEvent) []charging.Finished {
	last := len(legs) - 1
	for last >= 0 && legs[last].Status != StatusAnswer {
		last--
	}
	if last < 0 {
		return talk
	}
	leg := &legs[last]
	milliseconds := end.Talk.Milliseconds()
	switch {
	case milliseconds <= 0:
		end.Talk = time.Duration(min(leg.TalkMilliseconds, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	case leg.TalkMilliseconds > 0:
	case end.Fallback || c.Continued:
		// The node went on by itself, and that is who they talked to.
	case leg.Charge != c.Payment:
		// Another charge was made since; the ledger was told then what the conversation came to.
	default:
		leg.TalkMilliseconds = milliseconds
		if c.Payment > 0 {
			talk = addTalk(talk, c.Payment, milliseconds)
		}
	}
	return talk
}

// finished is what was talked, by the charge that pays for it. No more is charged than the time that the engine knows of the call; cut says that it was less by more than ClockSlack: the node's clock is wrong, or that of one of the engines.
func (c *Session) finished(legs []Leg, all []charging.Finished, outcome Outcome, end EndEvent, now time.Time) (_ []charging.Finished, cut bool) {
	answered := slices.ContainsFunc(legs, func(leg Leg) bool { return leg.Status == StatusAnswer })
	if !answered && outcome == OutcomeAnswered && c.Payment > 0 && end.Talk > 0 {
		all = addTalk(all, c.Payment, end.Talk.Milliseconds()) // the agent is gone that knew of the leg
	}
	left := max(now.Sub(c.StartedAt)+ClockSlack, 0).Milliseconds()
	for i := range all {
		cut = cut || all[i].Talk > left
		all[i].Talk = min(all[i].Talk, left)
		left -= all[i].Talk
	}
	return all, cut
}

// outcome is the call's end in one word. That somebody was spoken to counts for more than how it ended, and that the
// caller hung up for more than what the leg before came to.
func (c *Session) outcome(legs []Leg, end EndEvent) Outcome {
	if slices.ContainsFunc(legs, func(leg Leg) bool { return leg.Status == StatusAnswer }) {
		return OutcomeAnswered
	}
	if end.Fallback {
		return OutcomeFallback
	}
	hungUp := func(result Result) bool { return result.Status == StatusHangup }
	switch {
	case c.HungUp || slices.ContainsFunc(end.Results, hungUp):
		return OutcomeAbandoned
	case len(c.Targets) > 0 && !c.Answered && end.Talk > 0 && !slices.ContainsFunc(end.Results, isConnect):
		// The agent that ran the connect is gone, but the channel knows how long they talked.
		return OutcomeAnswered
	case c.Continued:
		return OutcomeContinued
	case len(legs) > 0:
		switch legs[len(legs)-1].Status {
		case StatusBusy:
			return OutcomeBusy
		case StatusNoAnswer, StatusTimeout:
			return OutcomeNoAnswer
		}
		return OutcomeUnreachable
	case c.Release != 0:
		return OutcomeReleased
	}
	return OutcomeAbandoned
}

func isConnect(result Result) bool { return result.Op == OpConnect }

// FallbackCDR is the record of a call that no engine was asked about: the node did what it does then. Only the fields
// that the node knows are set: CallID, Node, Channel, Trunk, Caller, Called, StartedAt.
func FallbackCDR(call *Session, end EndEvent, now time.Time) CDR {
	unseen := *call
	unseen.StartedAt = time.Time{}
	cdr := EndCall(&unseen, end, now)
	cdr.Outcome, cdr.StartedAt = OutcomeFallback, call.StartedAt
	cdr.settleStart(now)
	cdr.settleTimes(now)
	return cdr
}
