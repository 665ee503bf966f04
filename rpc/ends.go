package rpc

import (
	"context"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/rpc/api"
	"ringmaster/rpc/wire"
)

// Indexes into endMembers.
const (
	endSession = iota
	endCallID
	endCause
	endAnsweredAt
	endTalk
	endStartedAt
	endEndedAt
	endHangupSource
	endResults
	endChannel
	endCaller
	endCalled
	endPresentation
	endTrunk
	endFallback
)

var endMembers = []member{
	endSession:      {api.Session, textKind, false, "The token of the last reply. Absent or empty when no engine was asked: then call_id and called are needed, and the CDR's outcome is fallback."},
	endCallID:       {api.CallID, textKind, false, "The call's name. Besides a session it must be the session's."},
	endCause:        {api.Cause, intKind, false, "ITU-T Q.850 cause of the caller's leg; 0 or absent: unknown."},
	endAnsweredAt:   {api.AnsweredAt, timeKinds, false, "When the call was answered; absent when it was not."},
	endTalk:         {api.TalkSeconds, secondKinds, false, "Seconds of the last conversation, milliseconds kept; when nobody answered, from the answer of the caller's leg to its end. If only one of this and the talk_seconds of the last answered connect is there, it stands for both, in the record and for what is charged: unless the call was charged anew since, or went on in the dialplan, whose conversations nobody pays for."},
	endStartedAt:    {api.StartedAt, timeKinds, false, "When the call came to the node; used without a session only."},
	endEndedAt:      {api.EndedAt, timeKinds, false, "When the caller's leg ended, by the node's clock; absent: now."},
	endHangupSource: {api.HangupSource, textKind, false, "The channel that hung up, as Asterisk has it."},
	endResults:      {api.Results, arrayKind, false, "What instructions not yet reported came to, in order; see Results."},
	endChannel:      {api.Channel, textKind, false, "Without a session: as in call.start."},
	endCaller:       {api.Caller, textKind, false, "Without a session: as in call.start."},
	endCalled:       {api.Called, textKind, false, "Without a session: as in call.start."},
	endPresentation: {api.Presentation, textKind, false, "Without a session: as in call.start."},
	endTrunk:        {api.Trunk, textKind, false, "Without a session: as in call.start."},
	endFallback:     {api.Fallback, booleanKind, false, "True when no engine said in time what to do, so that the node did what it does then: the CDR's outcome is fallback, unless somebody had been connected before."},
}

func endMethod() *method {
	return &method{
		name:    api.MethodCallEnd,
		summary: "Says that a call has ended, and how.",
		help: "It is acknowledged only when the call's record (CDR) is durable, which may take longer than the budget: up to the engine's end timeout " +
			"(5 s unless set otherwise). Until it is acknowledged the node keeps it and sends it again, to any engine; there is one CDR per call, however " +
			"often it is sent. An expired session is accepted.\n\n" +
			"On fault 101 (the session was not made by these engines) send it again without the session: the record is then made of the other members.",
		signatures: structSignature(),
		request:    endMembers,
		reply: []member{
			{api.CallID, textKind, true, "The call that is recorded."},
			{api.Charges, arrayKind, true, "What was charged, one struct for each account; empty when nothing was. See Charges."},
		},
		faults:  []int{api.FaultApplication, api.FaultSessionInvalid, api.FaultNotYourCall, api.FaultOverloaded, api.FaultNotDurable, api.FaultAccountLocked},
		serve:   (*Server).callEnd,
		durable: true,
	}
}

func (s *Server) callEnd(q *query, p params) *wire.Fault {
	if fault := q.bind(endMembers, p); fault != nil {
		return fault
	}
	end, fault := q.bindEnd()
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)

	var cdr logic.CDR
	if q.args[endSession].Kind() != wire.Invalid && len(q.args[endSession].Bytes()) > 0 {
		cdr, fault = q.endSession(end)
	} else {
		cdr, fault = q.endFallback(end)
	}
	if fault != nil {
		return fault
	}
	q.phase(phaseDecide)

	var charges []charging.Booked
	fault = q.durably(func(ctx context.Context) (err error) {
		charges, err = s.ledger.End(ctx, cdr)
		return err
	})
	if fault != nil {
		return fault
	}
	s.metrics.ended(q.snapshot, &cdr)
	w := &q.writer
	w.BeginStruct()
	w.MemberString(api.CallID, cdr.CallID)
	w.BeginMember(api.Charges)
	writeCharges(w, charges)
	w.EndMember()
	w.EndStruct()
	return nil
}

// durably runs a write of the ledger, and says so when it is not durable in time. The writes of a multicall share
// their time.
func (q *query) durably(write func(context.Context) error) *wire.Fault {
	if q.cancel == nil {
		q.patience, q.cancel = context.WithTimeout(q.ctx, q.server.endTimeout)
	}
	err := write(q.patience)
	q.phase(phaseLedger)
	switch {
	case err == nil:
		return nil
	case q.server.inVain != nil && q.server.inVain(err):
		q.server.logger.Error("couldn't make a record durable, and never will", "node", q.node.Name, "error", err)
		return &wire.Fault{Code: api.FaultApplication, Message: "can never be made durable as it is; why is in the engine's log"}
	case q.server.locked != nil && q.server.locked(err):
		q.server.logger.Warn("somebody keeps an account locked; its calls' records wait", "node", q.node.Name, "error", err)
		return &wire.Fault{Code: api.FaultAccountLocked, Message: "another session keeps an account of the call locked; send it again later"}
	}
	q.server.logger.Warn("couldn't make a record durable", "node", q.node.Name, "error", err)
	return &wire.Fault{Code: api.FaultNotDurable, Message: "could not be made durable now; send it again later"}
}

// bindEnd reads how the call ended. The bound members stay in q.args.
func (q *query) bindEnd() (end logic.EndEvent, fault *wire.Fault) {
	a := q.args // bindResults needs q.args
	if fault = checkInt(api.Cause, a[endCause], maxCause); fault != nil {
		return end, fault
	}
	if fault = checkLine(api.HangupSource, a[endHangupSource], maxChannel); fault != nil {
		return end, fault
	}
	if end.AnsweredAt, fault = instant(api.AnsweredAt, a[endAnsweredAt]); fault != nil {
		return end, fault
	}
	if end.EndedAt, fault = instant(api.EndedAt, a[endEndedAt]); fault != nil {
		return end, fault
	}
	if end.Talk, fault = duration(api.TalkSeconds, a[endTalk]); fault != nil {
		return end, fault
	}
	c := canonical{q.scratch[:0]}
	fault = q.bindResults(a[endResults], &c)
	q.scratch, q.args = c.buf, a
	if fault != nil {
		return end, fault
	}
	// The CDR may outlive the query in the ledger's queue, so it gets texts and slices of its own.
	end.Results = q.results
	end.Cause, end.HangupSource, end.Fallback = int(a[endCause].Int()), a[endHangupSource].Text(), a[endFallback].Bool()
	return end, nil
}

// endSession makes the CDR of a call whose state has come with the token.
func (q *query) endSession(end logic.EndEvent) (cdr logic.CDR, fault *wire.Fault) {
	call := new(logic.Session)
	switch q.snapshot.Keys().Open(q.args[endSession].Bytes(), q.node.Name, q.began, call) {
	case logic.TokenInvalid:
		return cdr, sessionInvalid()
	case logic.TokenOtherNode:
		return cdr, sessionNotYours()
	}
	if v := q.args[endCallID]; v.Kind() != wire.Invalid && string(v.Bytes()) != call.CallID {
		return cdr, invalid("member call_id: is not the call of the session")
	}
	return logic.EndCall(call, end, q.began), nil
}

// endFallback makes the CDR of a call that no engine was asked about.
func (q *query) endFallback(end logic.EndEvent) (cdr logic.CDR, fault *wire.Fault) {
	if q.args[endCallID].Kind() == wire.Invalid {
		return cdr, invalid("member call_id: is missing, and there is no session")
	}
	started, fault := instant(api.StartedAt, q.args[endStartedAt])
	if fault != nil {
		return cdr, fault
	}
	// The members that describe the call are checked as call.start does.
	a := q.args
	q.args[startCallID], q.args[startNode], q.args[startChannel] = a[endCallID], wire.Value{}, a[endChannel]
	q.args[startCaller], q.args[startCalled] = a[endCaller], a[endCalled]
	q.args[startPresentation], q.args[startTrunk] = a[endPresentation], a[endTrunk]
	c := canonical{q.scratch[:0]}
	fault = q.bindCall(&c)
	q.scratch = c.buf
	if fault != nil {
		return cdr, fault
	}
	call := logic.Session{
		CallID: q.session.CallID, Node: q.session.Node, Channel: q.session.Channel, Trunk: q.session.Trunk,
		Caller: q.snapshot.Normalise(q.session.Trunk, q.session.Caller), Called: q.snapshot.Normalise(q.session.Trunk, q.session.Called),
		Dialled:      q.session.Called,
		Presentation: q.session.Presentation, StartedAt: started, Revision: q.snapshot.Revision(),
	}
	return logic.FallbackCDR(&call, end, q.began), nil
}
