package contract

import "ringmaster/rpc/api"

func numberMethods() []*Method {
	return []*Method{{
		Name:    api.MethodNumberTranslate,
		Summary: "Says where a call to a number would go, in one shot.",
		Help: "The same rows decide as in call.start, but there is no session: nothing is reserved and no CDR is expected. action says what to do: connect " +
			"to targets, release with cause, continue in the dialplan, or dialogue when the service wants to talk to the caller, which only " +
			"call.start can serve. Dialplans without an agent get the same from POST /dialplan/translate.",
		Signatures: structSignature(),
		Request:    translateMembers,
		Reply: []Member{
			{api.Action, textKind, true, "connect, release, continue or dialogue."},
			{api.Trunk, textKind, false, "connect: trunk of the first target."},
			{api.Number, textKind, false, "connect: number of the first target."},
			{api.Targets, arrayKind, false, "connect: all targets in order, structs {trunk, number, timeout}."},
			{api.CallerID, textKind, false, "connect: the number to show; absent: leave it as it is."},
			{api.Cause, intKind, false, "release: ITU-T Q.850 cause."},
			{api.Service, textKind, false, "Name of the service; absent when the called number has none."},
			{api.Revision, textKind, true, "The config revision that decided."},
		},
		Faults: []int{api.FaultOverBudget, api.FaultOverloaded},
	}}
}

// The members of number.translate, as indexes into Values.
const (
	TranslateCaller = iota
	TranslateCalled
	TranslateTrunk
	TranslateAt
)

var translateMembers = []Member{
	TranslateCaller: {api.Caller, textKind, false, "Calling number, as in call.start."},
	TranslateCalled: {api.Called, textKind, true, "Called number, as in call.start."},
	TranslateTrunk:  {api.Trunk, textKind, false, "Name of the trunk that the call came in on."},
	TranslateAt:     {api.At, timeKinds, false, "Decide for this instant; absent: now."},
}
