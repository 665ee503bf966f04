// Package api holds the words of Ringmaster's contract: the names of methods, members, instructions and
// outcomes, and the numbers of faults.
//
// It is shared by both ends of the wire (package rpc in the engine, package agi on the nodes), which may run
// at different versions. So it imports nothing, has no types with behaviour, and a word, once released, never
// changes its meaning. What the words mean in whole sentences stands in docs/API.md.
package api

// Paths of the engine's call listener.
const (
	// PathRPC is where XML-RPC is served; PathRPCAlias is the same service under the other customary name.
	PathRPC      = "/RPC2"
	PathRPCAlias = "/xmlrpc"
	// PathDialplanTranslate answers number.translate to a dialplan: form in, k=v&k=v out
	// (Asterisk's CURL() with CURLOPT(hashcompat)).
	PathDialplanTranslate = "/dialplan/translate"
)

// Methods. Each takes one struct and returns one struct, except those of system.
const (
	MethodCallStart       = "call.start"
	MethodCallReport      = "call.report"
	MethodCallEnd         = "call.end"
	MethodNumberTranslate = "number.translate"
	MethodAccountBalance  = "account.balance"
	MethodAccountRecharge = "account.recharge"
	MethodNodeRegister    = "node.register"
	MethodNodeHeartbeat   = "node.heartbeat"

	MethodListMethods     = "system.listMethods"
	MethodMethodSignature = "system.methodSignature"
	MethodMethodHelp      = "system.methodHelp"
	MethodGetCapabilities = "system.getCapabilities"
	MethodMulticall       = "system.multicall"
)

// Members of requests.
const (
	CallID       = "call_id"      // string, 1–128 printable ASCII characters, unique for ever (Asterisk: systemname-UNIQUEID)
	Node         = "node"         // string, the node's name; must be the authenticated one
	Channel      = "channel"      // string, the channel's name on the node, for people (PJSIP/softswitch-00000001)
	Caller       = "caller"       // string, calling number, digits with or without +; empty when unknown
	Called       = "called"       // string, called number as dialled: digits, + * #
	Presentation = "presentation" // string: allowed (default), restricted or unavailable
	Trunk        = "trunk"        // string, name of the trunk the call came in on; may be empty
	Session      = "session"      // string, the opaque token of the previous reply
	Results      = "results"      // array of structs, what each instruction came to, in order
	Cause        = "cause"        // int, ITU-T Q.850 cause of the caller's leg, 0 when unknown
	AnsweredAt   = "answered_at"  // dateTime.iso8601 UTC or string RFC 3339; absent when the call was not answered
	StartedAt    = "started_at"   // the same forms; call.end of a call that no engine was asked about
	EndedAt      = "ended_at"     // the same forms; when the caller's leg ended, by the node's clock
	TalkSeconds  = "talk_seconds" // double or int, seconds from the last answer to the end of the call, milliseconds kept
	HangupSource = "hangup_source"
	Fallback     = "fallback" // boolean, call.end: no engine said in time what to do, so the node did what it does then
	At           = "at"       // dateTime.iso8601 UTC or string RFC 3339; number.translate for another time
	BootID       = "boot_id"  // string, new at each start of the node
	Capacity     = "capacity" // int, channels the node may carry
	Channels     = "channels" // int, channels in use now
	Calls        = "calls"    // array of strings, the call ids that are live on the node
	Talking      = "talking"  // array of structs {call_id, answered_at, talk_seconds, final, over}, those of them in which people talk, or talked last
	Over         = "over"     // boolean, the conversation is over, and nothing has followed it yet
)

// Members of one result in Results.
const (
	Op         = "op"          // string, the instruction it answers
	Status     = "status"      // string, how it ended: one of the Status words
	Digits     = "digits"      // string, what the caller dialled
	DialStatus = "dial_status" // string, Asterisk's DIALSTATUS as it is, for the CDR
	Target     = "target"      // int, which target of connect was tried last, counted from 0
)

// Members of replies and instructions.
const (
	Instructions   = "instructions"    // array of structs, to be run in order
	Revision       = "revision"        // string, the config revision that this answer was decided on
	Service        = "service"         // string, the name of the service; absent when none was found
	Action         = "action"          // string, number.translate: connect, release or dialogue
	Charges        = "charges"         // array of structs, call.end: what was charged
	State          = "state"           // string, node.*: in_service or out_of_service
	Gaps           = "gaps"            // array of structs, node.*: call gaps to obey locally
	Extensions     = "extensions"      // array of structs {call_id, charge, maximum_seconds, final}, node.heartbeat: calls that may go on for longer
	Final          = "final"           // boolean, there will be no further extension
	Extendable     = "extendable"      // boolean, connect: the limit may be extended while the call goes on
	Engines        = "engines"         // array of strings, node.*: URLs of the engines in service
	Prompts        = "prompts"         // array of strings, names of prompts
	Language       = "language"        // string, BCP 47 tag in Asterisk's spelling (en, de, pt_BR)
	Minimum        = "minimum"         // int, collect: digits at least
	Maximum        = "maximum"         // int, collect: digits at most
	Terminator     = "terminator"      // string, collect: the key that ends the entry; may be empty
	FirstTimeout   = "first_timeout"   // int, collect: seconds to the first digit
	DigitTimeout   = "digit_timeout"   // int, collect: seconds between digits
	Targets        = "targets"         // array of structs {trunk, number, timeout}, to be tried in order
	Number         = "number"          // string, digits of a target, optional leading +
	Timeout        = "timeout"         // int, seconds a target may ring
	CallerID       = "caller_id"       // string, the number to show to the callee; absent: leave as it is
	MaximumSeconds = "maximum_seconds" // int, connect: cut the call so long after the answer; absent: no limit
	WarningSeconds = "warning_seconds" // int, connect: warn so long before the cut
	FollowOn       = "follow_on"       // boolean, connect: report after an answered call too, the caller stays
)

// Members of one charge in Charges, and of accounts.
const (
	Charge   = "charge"   // int, which of the call's charges, counted from 1
	Account  = "account"  // string, the account's name
	Amount   = "amount"   // string, decimal: 0.12
	Currency = "currency" // string, ISO 4217 code
	Tariff   = "tariff"   // string, the tariff's name
	Seconds  = "seconds"  // int, seconds that were charged
	Share    = "share"    // boolean, the account was credited with a part of what others paid
	Balance  = "balance"  // string, decimal: what may be spent
	Voucher  = "voucher"  // string, the voucher's code
)

// Instructions (values of Op).
const (
	OpAnswer   = "answer"   // answer the caller's leg
	OpPlay     = "play"     // play Prompts
	OpCollect  = "collect"  // play Prompts and collect digits; always the last of a list
	OpConnect  = "connect"  // connect to Targets; always the last of a list
	OpContinue = "continue" // go on in the dialplan; always the last of a list
	OpRelease  = "release"  // hang up with Cause; always the last of a list
)

// How an instruction ended (values of Status in a result).
const (
	StatusDone        = "done"        // answer, play: done
	StatusDigits      = "digits"      // collect: the caller dialled at least Minimum digits
	StatusTimeout     = "timeout"     // collect: too few digits in time
	StatusAnswer      = "answer"      // connect: was answered, and is over
	StatusBusy        = "busy"        // connect: the last target was busy
	StatusNoAnswer    = "no_answer"   // connect: nobody answered in time
	StatusUnreachable = "unreachable" // connect: no target could be reached
	StatusHangup      = "hangup"      // the caller hung up meanwhile
	StatusFailed      = "failed"      // the node could not run it (unknown prompt, channel error)
)

// Presentation words.
const (
	PresentationAllowed     = "allowed"
	PresentationRestricted  = "restricted"
	PresentationUnavailable = "unavailable"
)

// Action words of number.translate.
const (
	ActionConnect  = "connect"
	ActionRelease  = "release"
	ActionContinue = "continue"
	ActionDialogue = "dialogue" // the service wants to talk to the caller: only call.start can serve it
)

// Fault codes of the XML-RPC interoperability specification (faults_interop, 20010516).
const (
	FaultNotWellFormed       = -32700
	FaultUnsupportedEncoding = -32701
	FaultInvalidCharacter    = -32702
	FaultNotXMLRPC           = -32600
	FaultNoSuchMethod        = -32601
	FaultInvalidParameters   = -32602
	FaultInternal            = -32603
	FaultApplication         = -32500
	FaultSystem              = -32400
	FaultTransport           = -32300
)

// Fault codes of our own. Stable: a number is never used again for something else.
const (
	FaultCallIDReused   = 100 // the same call_id came with another body
	FaultSessionInvalid = 101 // the session token was not made by us, is damaged, or has a key that this engine does not know yet; try another engine
	FaultSessionExpired = 102 // the session token is too old
	FaultNotYourCall    = 103 // the session or node member belongs to another node
	FaultOverBudget     = 104 // no answer inside the budget; nothing was decided
	FaultOverloaded     = 105 // shed: too many queries at once; try another engine
	FaultNotReady       = 106 // no snapshot yet: the engine has just started; try another engine
	FaultNotDurable     = 107 // call.end could not be made durable now; send it again later
	FaultMulticall      = 108 // a multicall inside a multicall, or too many calls in one
	FaultNoAccount      = 109 // there is no such account
	FaultVoucher        = 110 // the voucher cannot be redeemed for this account
	FaultAccountLocked  = 111 // another session keeps an account of the call locked; send this end later, and others meanwhile
)
