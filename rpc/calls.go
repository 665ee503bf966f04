package rpc

import (
	"bytes"
	"strconv"
	"time"

	"ringmaster/logic"
	"ringmaster/rpc/api"
	"ringmaster/rpc/wire"
)

func callMethods() []*method {
	return []*method{
		{
			name:    api.MethodCallStart,
			summary: "Asks what a new call shall do.",
			help: "The node asks once per call, before anything else. The reply holds instructions to be run in order, as many as can be run " +
				"before the engine has to know something, and a session token that goes into the next call.report or call.end of this call.\n\n" +
				"Sent again with the same members, it gets the same answer; with others, fault 100.",
			signatures: structSignature(),
			request:    startMembers,
			reply:      replyMembers,
			faults:     []int{api.FaultCallIDReused, api.FaultNotYourCall, api.FaultOverBudget, api.FaultOverloaded},
			serve:      (*Server).callStart,
			sheddable:  true,
		},
		{
			name:    api.MethodCallReport,
			summary: "Says what the instructions came to, and asks what follows.",
			help: "Sent when a collect or a connect has ended and the caller is still there. results has one struct per instruction that was run, in " +
				"order. The reply is that of call.start; its session replaces the one sent.\n\n" +
				"Sent again with the same members, it gets the same answer; with others, fault 100.",
			signatures: structSignature(),
			request:    reportMembers,
			reply:      replyMembers,
			faults:     []int{api.FaultCallIDReused, api.FaultSessionInvalid, api.FaultSessionExpired, api.FaultNotYourCall, api.FaultOverBudget},
			serve:      (*Server).callReport,
		},
		endMethod(),
	}
}

// Indexes into startMembers.
const (
	startCallID = iota
	startNode
	startChannel
	startCaller
	startCalled
	startPresentation
	startTrunk
)

var startMembers = []member{
	startCallID:       {api.CallID, textKind, true, "The call's name: 1–128 printable ASCII characters, unique for ever. Asterisk's UNIQUEID is, with the node's name as systemname. It may not begin with another node's name and a hyphen."},
	startNode:         {api.Node, textKind, false, "The node's name; when given, it must be the one that has authenticated."},
	startChannel:      {api.Channel, textKind, false, "The channel's name on the node, for people: PJSIP/softswitch-00000001."},
	startCaller:       {api.Caller, textKind, false, "Calling number: up to 32 digits, * or #, with or without a leading +. Empty or absent: unknown."},
	startCalled:       {api.Called, textKind, true, "Called number as dialled, in the same form."},
	startPresentation: {api.Presentation, textKind, false, "allowed (default), restricted or unavailable: whether the caller's number may be shown."},
	startTrunk:        {api.Trunk, textKind, false, "Name of the trunk that the call came in on; it chooses the numbering plan."},
}

// Indexes into reportMembers.
const (
	reportSession = iota
	reportResults
)

var reportMembers = []member{
	reportSession: {api.Session, textKind, true, "The token of the last reply."},
	reportResults: {api.Results, arrayKind, true, "What each instruction came to, in order; see Results."},
}

// Indexes into resultMembers.
const (
	resultOp = iota
	resultStatus
	resultDigits
	resultDialStatus
	resultTarget
	resultCause
	resultTalk
)

var resultMembers = []member{
	resultOp:         {api.Op, textKind, true, "The instruction it answers."},
	resultStatus:     {api.Status, textKind, true, "How it ended: done, digits, timeout, answer, busy, no_answer, unreachable, hangup or failed."},
	resultDigits:     {api.Digits, textKind, false, "collect: what the caller dialled, without the terminator."},
	resultDialStatus: {api.DialStatus, textKind, false, "connect: Asterisk's DIALSTATUS as it is, for the CDR."},
	resultTarget:     {api.Target, intKind, false, "connect: which target was tried last, counted from 0."},
	resultCause:      {api.Cause, intKind, false, "connect: ITU-T Q.850 cause of the last target."},
	resultTalk:       {api.TalkSeconds, secondKinds, false, "connect: seconds of conversation, milliseconds kept. An answered one costs what this says; of the call's last one call.end may say it instead."},
}

var replyMembers = []member{
	{api.Session, textKind, true, "Opaque token for the next call.report or call.end. It belongs to this node and expires."},
	{api.Instructions, arrayKind, true, "What the node shall do, in order; see Instructions."},
	{api.Revision, textKind, true, "The config revision that decided."},
	{api.Service, textKind, false, "Name of the service; absent when the called number has none."},
}

// Keys of recent answers begin with the method, so that one never stands for another.
const (
	recentStart  = 's'
	recentReport = 'r'
)

func (s *Server) callStart(q *query, p params) *wire.Fault {
	if fault := q.bind(startMembers, p); fault != nil {
		return fault
	}
	var c canonical
	c.buf = q.scratch[:0]
	fault := q.bindCall(&c)
	q.scratch = c.buf
	if fault != nil {
		return fault
	}
	q.session.StartedAt = q.began.UTC().Truncate(time.Millisecond)
	body := s.recent.Digest(c.buf)
	key := q.keyOf(recentStart, q.args[startCallID].Bytes())
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
	if fault := q.checkCallID(a[startCallID]); fault != nil {
		return fault
	}
	if fault := q.checkNode(a[startNode]); fault != nil {
		return fault
	}
	if fault := checkLine(api.Channel, a[startChannel], maxChannel); fault != nil {
		return fault
	}
	if fault := checkNumber(api.Caller, a[startCaller], false); fault != nil {
		return fault
	}
	if fault := checkNumber(api.Called, a[startCalled], true); fault != nil {
		return fault
	}
	if fault := checkWord(api.Trunk, a[startTrunk], false); fault != nil {
		return fault
	}
	shown, fault := presentation(a[startPresentation])
	if fault != nil {
		return fault
	}
	id0, id1 := c.text(a[startCallID].Bytes())
	channel0, channel1 := c.text(a[startChannel].Bytes())
	caller0, caller1 := c.text(a[startCaller].Bytes())
	called0, called1 := c.text(a[startCalled].Bytes())
	trunk0, trunk1 := c.text(a[startTrunk].Bytes())
	c.integer(int64(shown))
	all := string(c.buf)

	call := &q.session
	call.Reset()
	call.CallID, call.Channel, call.Trunk = all[id0:id1], all[channel0:channel1], all[trunk0:trunk1]
	call.Caller, call.Called = all[caller0:caller1], all[called0:called1]
	call.Node, call.Presentation = q.node.Name, shown
	return nil
}

// checkCallID refuses what is no call id, and one that begins like another node's: Asterisk's UNIQUEID is the node's
// systemname, a hyphen, and a number.
func (q *query) checkCallID(v wire.Value) *wire.Fault {
	b := v.Bytes()
	if !isWord(b, maxCallID) {
		return invalid("member call_id: must be 1 to %d printable ASCII characters without spaces, is %s", maxCallID, quoted(b))
	}
	if q.isAnothersCall(b) {
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

func (s *Server) callReport(q *query, p params) *wire.Fault {
	if fault := q.bind(reportMembers, p); fault != nil {
		return fault
	}
	token, results := q.args[reportSession].Bytes(), q.args[reportResults]
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
	if array.Len() > maxResults {
		return invalid("member results: has %d elements, may have %d", array.Len(), maxResults)
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
	if fault := q.bindStruct(resultMembers, element); fault != nil {
		return r, fault
	}
	a := &q.args
	var known bool
	if r.Op, known = logic.ParseOp(string(a[resultOp].Bytes())); !known {
		return r, invalid("member op: no such instruction: %s", quoted(a[resultOp].Bytes()))
	}
	if r.Status, known = logic.ParseStatus(string(a[resultStatus].Bytes())); !known {
		return r, invalid("member status: no such status: %s", quoted(a[resultStatus].Bytes()))
	}
	if b := a[resultDigits].Bytes(); !isDigits(b) {
		// What the caller dialled may be a secret, so it is not repeated.
		return r, invalid("member digits: must be at most %d of 0–9, A–D, * and #", maxDigits)
	}
	if b := a[resultDialStatus].Bytes(); len(b) > 0 && !isWord(b, maxDialStatus) {
		return r, invalid("member dial_status: must be a DIALSTATUS, is %s", quoted(b))
	}
	if fault := checkInt(api.Target, a[resultTarget], logic.MaxTargets-1); fault != nil {
		return r, fault
	}
	if fault := checkInt(api.Cause, a[resultCause], maxCause); fault != nil {
		return r, fault
	}
	if r.Talk, fault = duration(api.TalkSeconds, a[resultTalk]); fault != nil {
		return r, fault
	}
	r.Digits, r.DialStatus = a[resultDigits].Text(), a[resultDialStatus].Text()
	r.Target, r.Cause = int(a[resultTarget].Int()), int(a[resultCause].Int())
	c.integer(int64(r.Op))
	c.integer(int64(r.Status))
	c.text(a[resultDigits].Bytes())
	c.text(a[resultDialStatus].Bytes())
	c.integer(int64(r.Target))
	c.integer(int64(r.Cause))
	c.integer(int64(r.Talk))
	return r, nil
}
