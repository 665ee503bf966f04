package contract

import "ringmaster/rpc/api"

func endMethod() *Method {
	return &Method{
		Name:    api.MethodCallEnd,
		Summary: "Says that a call has ended, and how.",
		Help: "It is acknowledged only when the call's record (CDR) is durable, which may take longer than the budget: up to the engine's end timeout " +
			"(5 s unless set otherwise). Until it is acknowledged the node keeps it and sends it again, to any engine; there is one CDR per call, however " +
			"often it is sent. An expired session is accepted.\n\n" +
			"On fault 101 (this engine does not know the session) send it to the other engines, one of which may know a newer session key. When all have answered with 101 for " +
			"half a minute, send it without the session: the record is then made of the other members, and nobody is charged.",
		Signatures: structSignature(),
		Request:    endMembers,
		Reply: []Member{
			{api.CallID, textKind, true, "The call that is recorded."},
			{api.Charges, arrayKind, true, "What was charged, one struct for each account; empty when nothing was. See Charges."},
		},
		Faults: []int{api.FaultApplication, api.FaultSessionInvalid, api.FaultNotYourCall, api.FaultOverloaded, api.FaultNotDurable, api.FaultAccountLocked},
	}
}

// The members of call.end, as indexes into Values.
const (
	EndSession = iota
	EndCallID
	EndCause
	EndAnsweredAt
	EndTalk
	EndStartedAt
	EndEndedAt
	EndHangupSource
	EndResults
	EndChannel
	EndCaller
	EndCalled
	EndPresentation
	EndTrunk
	EndFallback
)

var endMembers = []Member{
	EndSession:      {api.Session, textKind, false, "The token of the last reply. Absent or empty when no engine was asked: then call_id and called are needed, and the CDR's outcome is fallback."},
	EndCallID:       {api.CallID, textKind, false, "The call's name. Besides a session it must be the session's."},
	EndCause:        {api.Cause, intKind, false, "ITU-T Q.850 cause of the caller's leg; 0 or absent: unknown."},
	EndAnsweredAt:   {api.AnsweredAt, timeKinds, false, "When the call was answered; absent when it was not."},
	EndTalk:         {api.TalkSeconds, secondKinds, false, "Seconds of the last conversation, milliseconds kept; when nobody answered, from the answer of the caller's leg to its end. If only one of this and the talk_seconds of the last answered connect is there, it stands for both, in the record and for what is charged: unless the call was charged anew since, or went on in the dialplan, whose conversations nobody pays for."},
	EndStartedAt:    {api.StartedAt, timeKinds, false, "When the call came to the node; used without a session only."},
	EndEndedAt:      {api.EndedAt, timeKinds, false, "When the caller's leg ended, by the node's clock; absent: now."},
	EndHangupSource: {api.HangupSource, textKind, false, "The channel that hung up, as Asterisk has it."},
	EndResults:      {api.Results, arrayKind, false, "What instructions not yet reported came to, in order; see Results."},
	EndChannel:      {api.Channel, textKind, false, "Without a session: as in call.start."},
	EndCaller:       {api.Caller, textKind, false, "Without a session: as in call.start."},
	EndCalled:       {api.Called, textKind, false, "Without a session: as in call.start."},
	EndPresentation: {api.Presentation, textKind, false, "Without a session: as in call.start."},
	EndTrunk:        {api.Trunk, textKind, false, "Without a session: as in call.start."},
	EndFallback:     {api.Fallback, booleanKind, false, "True when no engine said in time what to do, so that the node did what it does then: the CDR's outcome is fallback, unless somebody had been connected before."},
}

var chargeMembers = []Member{
	{api.Charge, intKind, true, "Which of the call's charges it belongs to, counted from 1."},
	{api.Account, textKind, true, "Who paid, or with share was credited; empty when nobody could be charged."},
	{api.Amount, textKind, true, "Decimal: 0.12."},
	{api.Currency, textKind, true, "ISO 4217 code."},
	{api.Tariff, textKind, true, "The tariff."},
	{api.Seconds, intKind, true, "Seconds that were charged."},
	{api.Share, booleanKind, false, "True when the account was credited with a part of what others paid."},
}
