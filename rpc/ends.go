package rpc

import (
	"context"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

func (s *Server) callEnd(q *query, _ contract.Parameters) *wire.Fault {
	end, fault := q.bindEnd()
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)

	var cdr logic.CDR
	if q.args[contract.EndSession].Kind() != wire.Invalid && len(q.args[contract.EndSession].Bytes()) > 0 {
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
	if fault = contract.CheckInt(api.Cause, a[contract.EndCause], contract.MaxCause); fault != nil {
		return end, fault
	}
	if fault = contract.CheckChannel(api.HangupSource, a[contract.EndHangupSource]); fault != nil {
		return end, fault
	}
	if end.AnsweredAt, fault = contract.Instant(api.AnsweredAt, a[contract.EndAnsweredAt]); fault != nil {
		return end, fault
	}
	if end.EndedAt, fault = contract.Instant(api.EndedAt, a[contract.EndEndedAt]); fault != nil {
		return end, fault
	}
	if end.Talk, fault = contract.Duration(api.TalkSeconds, a[contract.EndTalk]); fault != nil {
		return end, fault
	}
	c := canonical{q.scratch[:0]}
	fault = q.bindResults(a[contract.EndResults], &c)
	q.scratch, q.args = c.buf, a
	if fault != nil {
		return end, fault
	}
	// The CDR may outlive the query in the ledger's queue, so it gets texts and slices of its own.
	end.Results = q.results
	end.Cause, end.HangupSource, end.Fallback = int(a[contract.EndCause].Int()), a[contract.EndHangupSource].Text(), a[contract.EndFallback].Bool()
	return end, nil
}

// endSession makes the CDR of a call whose state has come with the token.
func (q *query) endSession(end logic.EndEvent) (cdr logic.CDR, fault *wire.Fault) {
	call := new(logic.Session)
	switch q.snapshot.Keys().Open(q.args[contract.EndSession].Bytes(), q.node.Name, q.began, call) {
	case logic.TokenInvalid:
		return cdr, sessionInvalid()
	case logic.TokenOtherNode:
		return cdr, sessionNotYours()
	}
	if v := q.args[contract.EndCallID]; v.Kind() != wire.Invalid && string(v.Bytes()) != call.CallID {
		return cdr, contract.Invalid("member call_id: is not the call of the session")
	}
	return logic.EndCall(call, end, q.began), nil
}

// endFallback makes the CDR of a call that no engine was asked about.
func (q *query) endFallback(end logic.EndEvent) (cdr logic.CDR, fault *wire.Fault) {
	if q.args[contract.EndCallID].Kind() == wire.Invalid {
		return cdr, contract.Invalid("member call_id: is missing, and there is no session")
	}
	started, fault := contract.Instant(api.StartedAt, q.args[contract.EndStartedAt])
	if fault != nil {
		return cdr, fault
	}
	// The members that describe the call are checked as call.start does.
	a := q.args
	q.args[contract.StartCallID], q.args[contract.StartNode], q.args[contract.StartChannel] = a[contract.EndCallID], wire.Value{}, a[contract.EndChannel]
	q.args[contract.StartCaller], q.args[contract.StartCalled] = a[contract.EndCaller], a[contract.EndCalled]
	q.args[contract.StartPresentation], q.args[contract.StartTrunk] = a[contract.EndPresentation], a[contract.EndTrunk]
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
