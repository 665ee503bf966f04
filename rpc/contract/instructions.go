package contract

import "ringmaster/rpc/api"

// instructionDocs explains the instructions, in the order of api's Op words.
var instructionDocs = []struct {
	op      string
	meaning string
	members []Member
}{
	{api.OpAnswer, "Answer the caller's leg.", nil},
	{api.OpPlay, "Play the prompts one after the other.", promptMembers},
	{api.OpCollect, "Play the prompts and collect digits; a key ends the prompts. Always the last of a list: report what came of it.", []Member{
		promptMembers[0], promptMembers[1],
		{api.Minimum, intKind, true, "Digits at least."},
		{api.Maximum, intKind, true, "Digits at most."},
		{api.Terminator, textKind, true, "The key that ends the entry; may be empty."},
		{api.FirstTimeout, intKind, true, "Seconds to wait for the first digit."},
		{api.DigitTimeout, intKind, true, "Seconds to wait between digits."},
	}},
	{api.OpConnect, "Ring the targets in order until one answers, and let them talk. Always the last of a list. Report when nobody answered; after a conversation only with follow_on, else end the call.", []Member{
		{api.Targets, arrayKind, true, "Structs {trunk, number, timeout}: a trunk's name, up to 32 digits, * or # with an optional leading +, and seconds to ring."},
		{api.CallerID, textKind, false, "The number to show; absent: leave it as it is."},
		{api.MaximumSeconds, intKind, false, "Cut the conversation so many seconds after the answer; absent: no limit."},
		{api.WarningSeconds, intKind, false, "Warn so many seconds before the cut."},
		{api.Extendable, booleanKind, false, "The limit may grow while people talk: node.heartbeat's reply says so in extensions. A node that cannot do that cuts at the limit."},
		{api.FollowOn, booleanKind, false, "Report after an answered call too: the caller stays."},
	}},
	{api.OpContinue, "Go on in the node's dialplan. Always the last of a list.", nil},
	{api.OpRelease, "Hang up. Always the last of a list.", []Member{{api.Cause, intKind, true, "ITU-T Q.850 cause."}}},
}

var promptMembers = []Member{
	{api.Prompts, arrayKind, true, "Names of sound files, as Asterisk's Playback takes them."},
	{api.Language, textKind, true, "Language of the prompts, in Asterisk's spelling: en, de, pt_BR."},
}
