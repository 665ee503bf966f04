package contract

import "ringmaster/rpc/api"

func callMethods() []*Method {
	return []*Method{
		{
			Name:    api.MethodCallStart,
			Summary: "Asks what a new call shall do.",
			Help: "The node asks once per call, before anything else. The reply holds instructions to be run in order, as many as can be run " +
				"before the engine has to know something, and a session token that goes into the next call.report or call.end of this call.\n\n" +
				"Sent again with the same members, it gets the same answer; with others, fault 100.",
			Signatures: structSignature(),
			Request:    startMembers,
			Reply:      replyMembers,
			Faults:     []int{api.FaultCallIDReused, api.FaultNotYourCall, api.FaultOverBudget, api.FaultOverloaded},
		},
		{
			Name:    api.MethodCallReport,
			Summary: "Says what the instructions came to, and asks what follows.",
			Help: "Sent when a collect or a connect has ended and the caller is still there. results has one struct per instruction that was run, in " +
				"order. The reply is that of call.start; its session replaces the one sent.\n\n" +
				"Sent again with the same members, it gets the same answer; with others, fault 100.",
			Signatures: structSignature(),
			Request:    reportMembers,
			Reply:      replyMembers,
			Faults:     []int{api.FaultCallIDReused, api.FaultSessionInvalid, api.FaultSessionExpired, api.FaultNotYourCall, api.FaultOverBudget},
		},
		endMethod(),
	}
}

// The members of call.start, as indexes into Values.
const (
	StartCallID = iota
	StartNode
	StartChannel
	StartCaller
	StartCalled
	StartPresentation
	StartTrunk
)

var startMembers = []Member{
	StartCallID:       {api.CallID, textKind, true, "The call's name: 1–128 printable ASCII characters, unique for ever. Asterisk's UNIQUEID is, with the node's name as systemname. It may not begin with another node's name and a hyphen."},
	StartNode:         {api.Node, textKind, false, "The node's name; when given, it must be the one that has authenticated."},
	StartChannel:      {api.Channel, textKind, false, "The channel's name on the node, for people: PJSIP/softswitch-00000001."},
	StartCaller:       {api.Caller, textKind, false, "Calling number: up to 32 digits, * or #, with or without a leading +. Empty or absent: unknown."},
	StartCalled:       {api.Called, textKind, true, "Called number as dialled, in the same form."},
	StartPresentation: {api.Presentation, textKind, false, "allowed (default), restricted or unavailable: whether the caller's number may be shown."},
	StartTrunk:        {api.Trunk, textKind, false, "Name of the trunk that the call came in on; it chooses the numbering plan."},
}

// The members of call.report, as indexes into Values.
const (
	ReportSession = iota
	ReportResults
)

var reportMembers = []Member{
	ReportSession: {api.Session, textKind, true, "The token of the last reply."},
	ReportResults: {api.Results, arrayKind, true, "What each instruction came to, in order; see Results."},
}

// The members of an element of results, as indexes into Values (see BindResult).
const (
	ResultOp = iota
	ResultStatus
	ResultDigits
	ResultDialStatus
	ResultTarget
	ResultCause
	ResultTalk
)

var resultMembers = []Member{
	ResultOp:         {api.Op, textKind, true, "The instruction it answers."},
	ResultStatus:     {api.Status, textKind, true, "How it ended: done, digits, timeout, answer, busy, no_answer, unreachable, hangup or failed."},
	ResultDigits:     {api.Digits, textKind, false, "collect: what the caller dialled, without the terminator."},
	ResultDialStatus: {api.DialStatus, textKind, false, "connect: Asterisk's DIALSTATUS as it is, for the CDR."},
	ResultTarget:     {api.Target, intKind, false, "connect: which target was tried last, counted from 0."},
	ResultCause:      {api.Cause, intKind, false, "connect: ITU-T Q.850 cause of the last target."},
	ResultTalk:       {api.TalkSeconds, secondKinds, false, "connect: seconds of conversation, milliseconds kept. An answered one costs what this says; of the call's last one call.end may say it instead."},
}

var replyMembers = []Member{
	{api.Session, textKind, true, "Opaque token for the next call.report or call.end. It belongs to this node and expires."},
	{api.Instructions, arrayKind, true, "What the node shall do, in order; see Instructions."},
	{api.Revision, textKind, true, "The config revision that decided."},
	{api.Service, textKind, false, "Name of the service; absent when the called number has none."},
}
