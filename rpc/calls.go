package rpc

import (
	"bytes"
	"strconv"
	"time"

	"ringmaster/logic"
	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

// Keys of recent answers begin with the method, so that one never stands for another.
const (
	recentStart  = 's'
	recentReport = 'r'
)

func (s *Server) callStart(q *query, _ contract.Parameters) *wire.Fault {
	var c canonical
	c.buf = q.scratch[:0]
	fault := q.bindCall(&c)
	q.scratch = c.buf
	if fault != nil {
		return fault
	}
	q.session.StartedAt = q.began.UTC().Truncate(time.Millisecond)
	body := s.recent.Digest(c.buf)
	key := q.keyOf(recentStart, q.args[contract.StartCallID].Bytes())
	q.phase(phaseDecode)

	if done, fault := q.replay(key, body, callIDReused); done {
		return fault
	}
	if fault := q.step(logic.Event{Kind: logic.EventStart}); fault != nil {
		return fault
	}
	if fault := q.decided(); fault != nil {
		return fault
	}
	return q.answer(key, body, callIDReused)
}

// What fault 100 says.
const (
	callIDReused  = "this call_id came before with other members"
	sessionReused = "this session was reported with other results before"
)

// bindCall checks the bound members of call.start and makes the session of a new call of them. Its texts share one
// string: they live as long as the query.
func (q *query) bindCall(c *canonical) *wire.Fault {
	a := &q.args
	if fault := q.checkCallID(a[contract.StartCallID]); fault != nil {
		return fault
	}
	if fault := q.checkNode(a[contract.StartNode]); fault != nil {
		return fault
	}
	if fault := contract.CheckChannel(api.Channel, a[contract.StartChannel]); fault != nil {
		return fault
	}
	if fault := contract.CheckNumber(api.Caller, a[contract.StartCaller], false); fault != nil {
		return fault
	}
	if fault := contract.CheckNumber(api.Called, a[contract.StartCalled], true); fault != nil {
		return fault
	}
	if fault := contract.CheckWord(api.Trunk, a[contract.StartTrunk], false); fault != nil {
		return fault
	}
	shown, fault := presentation(a[contract.StartPresentation])
	if fault != nil {
		return fault
	}
	id0, id1 := c.text(a[contract.StartCallID].Bytes())
	channel0, channel1 := c.text(a[contract.StartChannel].Bytes())
	caller0, caller1 := c.text(a[contract.StartCaller].Bytes())
	called0, called1 := c.text(a[contract.StartCalled].Bytes())
	trunk0, trunk1 := c.text(a[contract.StartTrunk].Bytes())
	c.integer(int64(shown))
	all := string(c.buf)

	call := &q.session
	call.Reset()
	call.CallID, call.Channel, call.Trunk = all[id0:id1], all[channel0:channel1], all[trunk0:trunk1]
	call.Caller, call.Called = all[caller0:caller1], all[called0:called1]
	call.Node, call.Presentation = q.node.Name, shown
	return nil
}

func presentation(v wire.Value) (logic.Presentation, *wire.Fault) {
	b := v.Bytes()
	if len(b) == 0 {
		return logic.PresentationAllowed, nil
	}
	p, ok := logic.ParsePresentation(string(b))
	if !ok {
		return 0, contract.Invalid("member presentation: must be allowed, restricted or unavailable, is %s", contract.Quoted(b))
	}
	return p, nil
}

// checkCallID refuses what is no call id, and one that begins like another node's: Asterisk's UNIQUEID is the node's
// systemname, a hyphen, and a number.
func (q *query) checkCallID(v wire.Value) *wire.Fault {
	if fault := contract.CheckCallID(api.CallID, v); fault != nil {
		return fault
	}
	if q.isAnothersCall(v.Bytes()) {
		return &wire.Fault{Code: api.FaultNotYourCall, Message: "member call_id: begins with another node's name"}
	}
	return nil
}

// isAnothersCall reports whether a call id begins with another node's name.
func (q *query) isAnothersCall(callID []byte) bool {
	i := bytes.LastIndexByte(callID, '-')
	if i <= 0 || string(callID[:i]) == q.node.Name {
		return false
	}
	_, other := q.snapshot.Node(string(callID[:i]))
	return other
}

// checkNode refuses a node that speaks as another one.
func (q *query) checkNode(v wire.Value) *wire.Fault {
	if v.Kind() != wire.Invalid && string(v.Bytes()) != q.node.Name {
		return &wire.Fault{Code: api.FaultNotYourCall, Message: "member node: is not the node that has authenticated"}
	}
	return nil
}

func (s *Server) callReport(q *query, _ contract.Parameters) *wire.Fault {
	token, results := q.args[contract.ReportSession].Bytes(), q.args[contract.ReportResults]
	var c canonical
	c.buf = q.scratch[:0]
	fault := q.bindResults(results, &c)
	q.scratch = c.buf
	if fault != nil {
		return fault
	}
	body := s.recent.Digest(c.buf)
	key := q.keyOf(recentReport, token)
	q.phase(phaseDecode)

	if done, fault := q.replay(key, body, sessionReused); done {
		return fault
	}
	switch q.snapshot.Keys().Open(token, q.node.Name, q.began, &q.session) {
	case logic.TokenInvalid:
		return sessionInvalid()
	case logic.TokenExpired:
		return &wire.Fault{Code: api.FaultSessionExpired, Message: "member session: has expired; end the call with call.end"}
	case logic.TokenOtherNode:
		return sessionNotYours()
	}
	if fault := q.step(logic.Event{Kind: logic.EventReport, Results: q.results}); fault != nil {
		return fault
	}
	if fault := q.decided(); fault != nil {
		return fault
	}
	return q.answer(key, body, sessionReused)
}

func sessionInvalid() *wire.Fault {
	return &wire.Fault{Code: api.FaultSessionInvalid, Message: "member session: was not made by these engines, or is damaged"}
}

func sessionNotYours() *wire.Fault {
	return &wire.Fault{Code: api.FaultNotYourCall, Message: "member session: belongs to another node"}
}

// bindResults reads the results of instructions into q.results. It uses q.args.
func (q *query) bindResults(array wire.Value, c *canonical) *wire.Fault {
	q.results = q.results[:0]
	if array.Len() > contract.MaxResults {
		return contract.Invalid("member results: has %d elements, may have %d", array.Len(), contract.MaxResults)
	}
	for element := range array.Elements() {
		result, fault := q.bindResult(element, c)
		if fault != nil {
			fault.Message = "results[" + strconv.Itoa(len(q.results)) + "]: " + fault.Message
			return fault
		}
		q.results = append(q.results, result)
	}
	return nil
}

func (q *query) bindResult(element wire.Value, c *canonical) (r logic.Result, fault *wire.Fault) {
	if fault := contract.BindResult(element, &q.args); fault != nil {
		return r, fault
	}
	a := &q.args
	var known bool
	if r.Op, known = logic.ParseOp(string(a[contract.ResultOp].Bytes())); !known {
		return r, contract.Invalid("member op: no such instruction: %s", contract.Quoted(a[contract.ResultOp].Bytes()))
	}
	if r.Status, known = logic.ParseStatus(string(a[contract.ResultStatus].Bytes())); !known {
		return r, contract.Invalid("member status: no such status: %s", contract.Quoted(a[contract.ResultStatus].Bytes()))
	}
	if fault := contract.CheckDigits(api.Digits, a[contract.ResultDigits]); fault != nil {
		return r, fault
	}
	if fault := contract.CheckDialStatus(api.DialStatus, a[contract.ResultDialStatus]); fault != nil {
		return r, fault
	}
	if fault := contract.CheckInt(api.Target, a[contract.ResultTarget], logic.MaxTargets-1); fault != nil {
		return r, fault
	}
	if fault := contract.CheckInt(api.Cause, a[contract.ResultCause], contract.MaxCause); fault != nil {
		return r, fault
	}
	if r.Talk, fault = contract.Duration(api.TalkSeconds, a[contract.ResultTalk]); fault != nil {
		return r, fault
	}
	r.Digits, r.DialStatus = a[contract.ResultDigits].Text(), a[contract.ResultDialStatus].Text()
	r.Target, r.Cause = int(a[contract.ResultTarget].Int()), int(a[contract.ResultCause].Int())
	c.integer(int64(r.Op))
	c.integer(int64(r.Status))
	c.text(a[contract.ResultDigits].Bytes())
	c.text(a[contract.ResultDialStatus].Bytes())
	c.integer(int64(r.Target))
	c.integer(int64(r.Cause))
	c.integer(int64(r.Talk))
	return r, nil
}
