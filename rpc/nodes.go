package rpc

import (
	"context"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

// State words of node.*.
const (
	stateInService    = "in_service"
	stateOutOfService = "out_of_service"
)

// nodeReport is what a node says of itself.
type nodeReport struct {
	bootID             string
	capacity, channels int
	calls              []charging.LiveCall
}

// noteForeign makes calls visible that are named like another node's. They are left out, for a node that is lost would get call records of them; the rest of the heartbeat counts,
// for without it the node's own calls would be taken for lost.
func (q *query) noteForeign(calls []string) {
	if len(calls) == 0 {
		return
	}
	q.server.metrics.foreign.Add(float64(len(calls)))
	q.server.logger.Warn("a node names calls that begin with another node's name; they are left out", "node", q.node.Name, "calls", len(calls), "first", calls[0])
}

func (q *query) bindNode() (r nodeReport, fault *wire.Fault) {
	a := &q.args
	if fault = q.checkNode(a[contract.NodeName]); fault != nil {
		return r, fault
	}
	if fault = contract.CheckWord(api.BootID, a[contract.NodeBootID], true); fault != nil {
		return r, fault
	}
	if fault = contract.CheckInt(api.Capacity, a[contract.NodeCapacity], contract.MaxChannels); fault != nil {
		return r, fault
	}
	if fault = contract.CheckInt(api.Channels, a[contract.NodeChannels], contract.MaxChannels); fault != nil {
		return r, fault
	}
	if n := a[contract.NodeCalls].Len(); n > contract.MaxLiveCalls {
		return r, contract.Invalid("member calls: has %d elements, may have %d", n, contract.MaxLiveCalls)
	}
	var foreign []string
	n := 0
	for v := range a[contract.NodeCalls].Elements() {
		if v.Kind() != wire.String {
			return r, contract.Invalid("member calls[%d]: is %s, must be string", n, v.Kind())
		}
		b := v.Bytes()
		if !contract.IsCallID(b) {
			return r, contract.Invalid("member calls[%d]: must be a call_id, is %s", n, contract.Quoted(b))
		}
		n++
		if q.isAnothersCall(b) {
			foreign = append(foreign, v.Text())
			continue
		}
		r.calls = append(r.calls, charging.LiveCall{CallID: v.Text()})
	}
	q.noteForeign(foreign)
	if fault = bindTalking(a[contract.NodeTalking], r.calls); fault != nil {
		return r, fault
	}
	r.bootID = a[contract.NodeBootID].Text()
	r.capacity, r.channels = int(a[contract.NodeCapacity].Int()), int(a[contract.NodeChannels].Int())
	return r, nil
}

// bindTalking notes since when people talk. It names calls that are live; others are left out, for they have just ended.
func bindTalking(talking wire.Value, calls []charging.LiveCall) *wire.Fault {
	if n := talking.Len(); n > contract.MaxLiveCalls {
		return contract.Invalid("member talking: has %d elements, may have %d", n, contract.MaxLiveCalls)
	}
	index := make(map[string]int, len(calls))
	for i := range calls {
		index[calls[i].CallID] = i
	}
	n := 0
	for v := range talking.Elements() {
		if v.Kind() != wire.Struct {
			return contract.Invalid("member talking[%d]: is %s, must be struct", n, v.Kind())
		}
		at := -1
		var since time.Time
		var talk time.Duration
		var final, over bool
		for name, value := range v.Members() {
			var fault *wire.Fault
			switch string(name) {
			case api.CallID:
				if i, live := index[string(value.Bytes())]; live {
					at = i
				}
			case api.AnsweredAt:
				if since, fault = contract.Instant(api.AnsweredAt, value); fault != nil {
					return contract.Invalid("member talking[%d]: %s", n, fault.Message)
				}
			case api.Final:
				if value.Kind() != wire.Boolean {
					return contract.Invalid("member talking[%d]: final is %s, must be boolean", n, value.Kind())
				}
				final = value.Bool()
			case api.Over:
				if value.Kind() != wire.Boolean {
					return contract.Invalid("member talking[%d]: over is %s, must be boolean", n, value.Kind())
				}
				over = value.Bool()
			case api.TalkSeconds:
				if kind := value.Kind(); kind != wire.Int && kind != wire.Double {
					return contract.Invalid("member talking[%d]: talk_seconds is %s, must be double or int", n, kind)
				}
				if talk, fault = contract.Duration(api.TalkSeconds, value); fault != nil {
					return contract.Invalid("member talking[%d]: %s", n, fault.Message)
				}
			}
		}
		if at >= 0 {
			calls[at].AnsweredAt, calls[at].Talk, calls[at].Final, calls[at].Over = since, talk, final, over
		}
		n++
	}
	return nil
}

func (s *Server) nodeRegister(q *query, _ contract.Parameters) *wire.Fault {
	r, fault := q.bindNode()
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	fault = q.durably(func(ctx context.Context) error {
		return s.ledger.Register(ctx, q.node.Name, r.bootID, r.capacity, r.channels, r.calls)
	})
	if fault != nil {
		return fault
	}
	q.writeNodeState(nil)
	return nil
}

func (s *Server) nodeHeartbeat(q *query, _ contract.Parameters) *wire.Fault {
	r, fault := q.bindNode()
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	// A heartbeat waits as long as a query may. A node must be told its state while Postgres is away.
	ctx, cancel := context.WithTimeout(q.ctx, s.budget)
	defer cancel()
	extensions, err := s.ledger.Heartbeat(ctx, q.node.Name, r.bootID, r.channels, r.calls)
	if err != nil {
		s.metrics.soft.Inc()
		s.logger.Debug("couldn't record a heartbeat", "node", q.node.Name, "error", err)
	}
	q.phase(phaseLedger)
	q.writeNodeState(extensions)
	return nil
}

func (q *query) writeNodeState(extensions []charging.Extension) {
	w := &q.writer
	state := stateOutOfService
	if q.node.InService {
		state = stateInService
	}
	w.BeginStruct()
	w.MemberString(api.State, state)
	w.BeginMember(api.Gaps)
	w.BeginArray()
	w.EndArray()
	w.EndMember()
	w.BeginMember(api.Extensions)
	w.BeginArray()
	for i := range extensions {
		extension := &extensions[i]
		w.BeginStruct()
		w.MemberString(api.CallID, extension.CallID)
		w.MemberInt(api.Charge, int64(extension.Charge))
		w.MemberInt(api.MaximumSeconds, extension.Seconds)
		w.MemberBoolean(api.Final, extension.Final)
		w.EndStruct()
	}
	w.EndArray()
	w.EndMember()
	w.BeginMember(api.Engines)
	w.BeginArray()
	for _, url := range q.server.engines {
		w.String(url)
	}
	w.EndArray()
	w.EndMember()
	w.EndStruct()
}
