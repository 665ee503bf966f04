package logic

import "time"

// EndCall says what a call came to. The same session and event give the same CDR.
func EndCall(call *Session, end EndEvent, now time.Time) CDR {
	endedAt := end.EndedAt
	if endedAt.IsZero() {
		endedAt = now
	}
	call.addLegs(end.Results)
	return CDR{
		CallID: call.CallID, Node: call.Node, Channel: call.Channel, Trunk: call.Trunk,
		Caller: call.Caller, Called: call.Called, Dialled: call.Dialled, Presentation: call.Presentation,
		Service: call.Service, Subscriber: call.Subscriber, Script: call.Script,
		Path: string(call.Path), Revision: call.Revision,
		Outcome:   call.outcome(end),
		StartedAt: call.StartedAt, AnsweredAt: end.AnsweredAt, EndedAt: endedAt.UTC(),
		Talk: end.Talk, Cause: end.Cause, HangupSource: end.HangupSource,
		Legs: call.Legs, Records: call.Records,
	}
}

// outcome is the call's end in one word: what the last leg came to, or who ended a call that never had one.
func (c *Session) outcome(end EndEvent) CallOutcome {
	for i := range end.Results {
		if end.Results[i].Status == StatusHangup {
			return CallAbandoned
		}
	}
	if len(c.Legs) > 0 {
		switch last := c.Legs[len(c.Legs)-1]; last.Status {
		case StatusAnswer:
			return CallAnswered
		case StatusBusy:
			return CallBusy
		case StatusNoAnswer, StatusTimeout:
			return CallNoAnswer
		case StatusHangup:
			return CallAbandoned
		default:
			return CallUnreachable
		}
	}
	switch {
	case len(c.Targets) > 0 && end.Talk > 0:
		return CallAnswered // the agent that ran the connect is gone, but the channel knows how long they talked
	case c.Continued:
		return CallContinued
	case c.Release != 0:
		return CallReleased
	}
	return CallAbandoned
}

// FallbackCDR is the record of a call that no engine was asked about: the node did what it does then. Only the fields
// that the node knows are set: CallID, Node, Channel, Trunk, Caller, Called, StartedAt.
func FallbackCDR(call *Session, end EndEvent, now time.Time) CDR {
	cdr := EndCall(call, end, now)
	cdr.Outcome = CallFallback
	if cdr.StartedAt.IsZero() {
		cdr.StartedAt = cdr.EndedAt
	}
	return cdr
}
