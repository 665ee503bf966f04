package contract

import "ringmaster/rpc/api"

// faultDoc explains a fault code to who gets it.
type faultDoc struct {
	code    int
	meaning string
	advice  string
}

var faultDocs = []faultDoc{
	{api.FaultNotWellFormed, "The body is not well-formed XML.", "Mend the client; the message names the byte."},
	{api.FaultUnsupportedEncoding, "An encoding other than UTF-8, US-ASCII or ISO-8859-1.", "Send UTF-8."},
	{api.FaultInvalidCharacter, "A character that XML, or the declared encoding, does not have.", "Mend the client."},
	{api.FaultNotXMLRPC, "Well-formed, but not XML-RPC; or over a limit; or with a document type, a processing instruction or an attribute.", "Mend the client."},
	{api.FaultNoSuchMethod, "No such method.", "`system.listMethods` has them."},
	{api.FaultInvalidParameters, "A member is missing, has the wrong type, or a value outside its grammar. The message names it.", "Mend the client. Nothing was applied."},
	{api.FaultInternal, "A bug in the engine; it is in its log.", "Ask another engine once, then fall back."},
	{api.FaultApplication, "The call cannot be served as its script is written, or a record can never be stored as it is.", "Tell the operators. A call: fall back. A record: keep it aside."},
	{api.FaultSystem, "Kept for system errors.", "Not sent today."},
	{api.FaultTransport, "Kept for transport errors.", "Not sent today; the transport's errors are HTTP statuses."},
	{api.FaultCallIDReused, "This `call_id` (or, in a report, this `session`) came before with other members.", "Mend the client: a `call_id` is unique for ever."},
	{api.FaultSessionInvalid, "This engine does not know the session: it is damaged, was not made by these engines, or was made a moment ago with a key that this one has not read yet.", "Ask the other engines. `call.end`: send it again without the session when all have refused it for half a minute."},
	{api.FaultSessionExpired, "The session is too old.", "End the call; `call.end` still takes it."},
	{api.FaultNotYourCall, "The session or the member `node` belongs to another node.", "Mend the client."},
	{api.FaultOverBudget, "No answer inside the budget; nothing was decided.", "Ask another engine, or fall back."},
	{api.FaultOverloaded, "Shed: too many queries at once. Outside a multicall it comes as HTTP 503.", "Ask another engine."},
	{api.FaultNotReady, "The engine has nothing to answer from or to sign with yet.", "Ask another engine."},
	{api.FaultNotDurable, "It could not be made durable now.", "Keep it and send it again later."},
	{api.FaultMulticall, "A multicall inside a multicall, or too many calls in one.", "Send fewer."},
	{api.FaultNoAccount, "There is no such account.", "Tell the caller."},
	{api.FaultVoucher, "The voucher is unknown, used for another account, past its validity or in another currency; or there were too many wrong ones.", "Tell the caller. Do not try again by yourself: wrong vouchers have a budget."},
	{api.FaultAccountLocked, "Somebody keeps an account of this call locked, in an open transaction.", "Keep it and send it again later; send others meanwhile."},
}
