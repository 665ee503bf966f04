package rpc

import (
	"context"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/rpc/api"
	"ringmaster/rpc/wire"
)

// State words of node.*.
const (
	stateInService    = "in_service"
	stateOutOfService = "out_of_service"
)

func nodeMethods() []*method {
	reply := []member{
		{api.State, textKind, true, "in_service or out_of_service: whether the operators want calls on the node."},
		{api.Gaps, arrayKind, true, "Call gaps to obey locally; empty when there are none."},
		{api.Extensions, arrayKind, true, "Calls that may go on for longer than they were granted: structs {call_id, charge, maximum_seconds (of conversation in all), final (there will be no more)}."},
		{api.Engines, arrayKind, true, "URLs of the engines in service; empty: go on with those that are configured."},
	}
	return []*method{
		{
			name:       api.MethodNodeRegister,
			summary:    "Says that a node has started.",
			help:       "Sent once after each start, until it is acknowledged: only then is it durable. It waits for that as call.end does.",
			signatures: structSignature(),
			request:    nodeMembers,
			reply:      reply,
			faults:     []int{api.FaultApplication, api.FaultNotYourCall, api.FaultOverloaded, api.FaultNotDurable},
			serve:      (*Server).nodeRegister,
			durable:    true,
		},
		{
			name:       api.MethodNodeHeartbeat,
			summary:    "Says that a node is alive, and which calls are.",
			help:       "Sent every 5 seconds. It is answered inside the budget even when it cannot be recorded: the next one makes up for it.",
			signatures: structSignature(),
			request:    nodeMembers,
			reply:      reply,
			faults:     []int{api.FaultNotYourCall},
			serve:      (*Server).nodeHeartbeat,
			durable:    true,
		},
	}
}

// Indexes into nodeMembers.
const (
	nodeNode = iota
	nodeBootID
	nodeCapacity
	nodeChannels
	nodeCalls
	nodeTalking
)

var nodeMembers = []member{
	nodeNode:     {api.Node, textKind, true, "The node's name; it must be the one that has authenticated."},
	nodeBootID:   {api.BootID, textKind, true, "New at each start of the node: 1–64 printable ASCII characters."},
	nodeCapacity: {api.Capacity, intKind, false, "Channels that the node may carry; absent or 0: what the operators' table says."},
	nodeChannels: {api.Channels, intKind, true, "Channels in use now."},
	nodeCalls:    {api.Calls, arrayKind, false, "call_ids that are live on the node, at most 1024. One that begins with another node's name and a hyphen is left out, here and in talking, and counted (ringmaster_rpc_foreign_calls_total); the rest counts."},
	nodeTalking:  {api.Talking, arrayKind, false, "Of those in which people talk, a struct {call_id, answered_at, talk_seconds, final}: when the conversation began, and how long it has lasted, which counts if it is there: then the node's clock need not be right. What the call holds is extended by it, unless final says that the node cannot; and if the node is lost, it is charged up to the last heartbeat. A conversation that is over is named, with final, until the next one is tried."},
}

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

func (q *query) bindNode(p params) (r nodeReport, fault *wire.Fault) {
	if fault = q.bind(nodeMembers, p); fault != nil {
		return r, fault
	}
	a := &q.args
	if fault = q.checkNode(a[nodeNode]); fault != nil {
		return r, fault
	}
	if fault = checkWord(api.BootID, a[nodeBootID], true); fault != nil {
		return r, fault
	}
	if fault = checkInt(api.Capacity, a[nodeCapacity], maxChannels); fault != nil {
		return r, fault
	}
	if fault = checkInt(api.Channels, a[nodeChannels], maxChannels); fault != nil {
		return r, fault
	}
	if n := a[nodeCalls].Len(); n > maxLiveCalls {
		return r, invalid("member calls: has %d elements, may have %d", n, maxLiveCalls)
	}
	var foreign []string
	n := 0
	for v := range a[nodeCalls].Elements() {
		if v.Kind() != wire.String {
			return r, invalid("member calls[%d]: is %s, must be string", n, v.Kind())
		}
		b := v.Bytes()
		if !isWord(b, maxCallID) {
			return r, invalid("member calls[%d]: must be a call_id, is %s", n, quoted(b))
		}
		n++
		if q.isAnothersCall(b) {
			foreign = append(foreign, v.Text())
			continue
		}
		r.calls = append(r.calls, charging.LiveCall{CallID: v.Text()})
	}
	q.noteForeign(foreign)
	if fault = bindTalking(a[nodeTalking], r.calls); fault != nil {
		return r, fault
	}
	r.bootID = a[nodeBootID].Text()
	r.capacity, r.channels = int(a[nodeCapacity].Int()), int(a[nodeChannels].Int())
	return r, nil
}

// bindTalking notes since when people talk. It names calls that are live; others are left out, for they have just ended.
func bindTalking(talking wire.Value, calls []charging.LiveCall) *wire.Fault {
	if n := talking.Len(); n > maxLiveCalls {
		return invalid("member talking: has %d elements, may have %d", n, maxLiveCalls)
	}
	index := make(map[string]int, len(calls))
	for i := range calls {
		index[calls[i].CallID] = i
	}
	n := 0
	for v := range talking.Elements() {
		if v.Kind() != wire.Struct {
			return invalid("member talking[%d]: is %s, must be struct", n, v.Kind())
		}
		at := -1
		var since time.Time
		var talk time.Duration
		var final bool
		for name, value := range v.Members() {
			var fault *wire.Fault
			switch string(name) {
			case api.CallID:
				if i, live := index[string(value.Bytes())]; live {
					at = i
				}
			case api.AnsweredAt:
				if since, fault = instant(api.AnsweredAt, value); fault != nil {
					return invalid("member talking[%d]: %s", n, fault.Message)
				}
			case api.Final:
				if value.Kind() != wire.Boolean {
					return invalid("member talking[%d]: final is %s, must be boolean", n, value.Kind())
				}
				final = value.Bool()
			case api.TalkSeconds:
				if kind := value.Kind(); kind != wire.Int && kind != wire.Double {
					return invalid("member talking[%d]: talk_seconds is %s, must be double or int", n, kind)
				}
				if talk, fault = duration(api.TalkSeconds, value); fault != nil {
					return invalid("member talking[%d]: %s", n, fault.Message)
				}
			}
		}
		if at >= 0 {
			calls[at].AnsweredAt, calls[at].Talk, calls[at].Final = since, talk, final
		}
		n++
	}
	return nil
}

func (s *Server) nodeRegister(q *query, p params) *wire.Fault {
	r, fault := q.bindNode(p)
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

func (s *Server) nodeHeartbeat(q *query, p params) *wire.Fault {
	r, fault := q.bindNode(p)
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
