package rpc

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"text/template"

	"ringmaster/rpc/api"
	"ringmaster/rpc/wire"
)

// helpText is what system.methodHelp says.
func helpText(m *method) string {
	var b strings.Builder
	b.WriteString(m.summary + "\n\n" + m.help + "\n")
	part := func(title string, list []member) {
		if len(list) == 0 {
			return
		}
		b.WriteString("\n" + title + "\n")
		for _, m := range list {
			fmt.Fprintf(&b, "  %s (%s%s): %s\n", m.name, m.kinds, optional(m), m.doc)
		}
	}
	part("Members it takes:", m.request)
	part("Members it returns:", m.reply)
	return b.String()
}

func optional(m member) string {
	if m.required {
		return ""
	}
	return ", optional"
}

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
	{api.FaultSessionInvalid, "The session was not made by these engines, or is damaged.", "`call.end`: send it again without the session."},
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

// instructionDocs explains the instructions, in the order of api's Op words.
var instructionDocs = []struct {
	op      string
	meaning string
	members []member
}{
	{api.OpAnswer, "Answer the caller's leg.", nil},
	{api.OpPlay, "Play the prompts one after the other.", promptMembers},
	{api.OpCollect, "Play the prompts and collect digits; a key ends the prompts. Always the last of a list: report what came of it.", []member{
		promptMembers[0], promptMembers[1],
		{api.Minimum, intKind, true, "Digits at least."},
		{api.Maximum, intKind, true, "Digits at most."},
		{api.Terminator, textKind, true, "The key that ends the entry; may be empty."},
		{api.FirstTimeout, intKind, true, "Seconds to wait for the first digit."},
		{api.DigitTimeout, intKind, true, "Seconds to wait between digits."},
	}},
	{api.OpConnect, "Ring the targets in order until one answers, and let them talk. Always the last of a list. Report when nobody answered; after a conversation only with follow_on, else end the call.", []member{
		{api.Targets, arrayKind, true, "Structs {trunk, number, timeout}: a trunk's name, up to 32 digits, * or # with an optional leading +, and seconds to ring."},
		{api.CallerID, textKind, false, "The number to show; absent: leave it as it is."},
		{api.MaximumSeconds, intKind, false, "Cut the conversation so many seconds after the answer; absent: no limit."},
		{api.WarningSeconds, intKind, false, "Warn so many seconds before the cut."},
		{api.Extendable, booleanKind, false, "The limit may grow while people talk: node.heartbeat's reply says so in extensions. A node that cannot do that cuts at the limit."},
		{api.FollowOn, booleanKind, false, "Report after an answered call too: the caller stays."},
	}},
	{api.OpContinue, "Go on in the node's dialplan. Always the last of a list.", nil},
	{api.OpRelease, "Hang up. Always the last of a list.", []member{{api.Cause, intKind, true, "ITU-T Q.850 cause."}}},
}

var promptMembers = []member{
	{api.Prompts, arrayKind, true, "Names of sound files, as Asterisk's Playback takes them."},
	{api.Language, textKind, true, "Language of the prompts, in Asterisk's spelling: en, de, pt_BR."},
}

// referenceText is docs/API.md but for what the registry and the limits say.
//
//go:embed reference.md
var referenceText string

// WriteReference writes docs/API.md: the contract for those who call it. What it says of methods, faults and limits is
// made of the registry and the constants, so that it cannot say anything else than the server does.
func WriteReference(w io.Writer) error {
	var methods, instructions, results, charges, faults strings.Builder
	group := ""
	for _, m := range registry(true) {
		if g, _, _ := strings.Cut(m.name, "."); g != group {
			group = g
			methods.WriteString("\n" + groupIntroduction(group))
		}
		writeMethod(&methods, m)
	}
	for _, in := range instructionDocs {
		fmt.Fprintf(&instructions, "\n**`%s`**: %s\n", in.op, in.meaning)
		writeMembers(&instructions, in.members, "always")
	}
	writeMembers(&results, resultMembers, "required")
	writeMembers(&charges, chargeMembers, "always")
	faults.WriteString("\n| code | meaning | what to do |\n|---|---|---|\n")
	for _, f := range faultDocs {
		fmt.Fprintf(&faults, "| %d | %s | %s |\n", f.code, f.meaning, f.advice)
	}
	page, err := template.New("reference.md").Option("missingkey=error").Parse(referenceText)
	if err != nil {
		return fmt.Errorf("couldn't parse the API reference: %w", err)
	}
	if err := page.Execute(w, map[string]any{
		"Methods": strings.TrimSpace(methods.String()) + "\n", "Instructions": instructions.String(), "Results": results.String(), "Charges": charges.String(), "Faults": faults.String(),
		"Path": api.PathRPC, "Alias": api.PathRPCAlias, "Translate": api.PathDialplanTranslate,
		"Budget": DefaultBudget, "EndTimeout": DefaultEndTimeout, "SessionHours": int(DefaultSessionLifetime.Hours()),
		"MaxBody": wire.MaxBody, "MaxDepth": wire.MaxDepth, "MaxTokens": wire.MaxTokens, "MaxMembers": wire.MaxMembers, "MaxString": wire.MaxString,
		"MaxMulticall": MaxMulticall, "MaxResults": maxResults, "RecentAnswers": DefaultRecentAnswers,
	}); err != nil {
		return fmt.Errorf("couldn't write the API reference: %w", err)
	}
	return nil
}

func groupIntroduction(group string) string {
	switch group {
	case "call":
		return "## Methods for calls\n"
	case "number":
		return "## Translation without a call\n"
	case "account":
		return "## Accounts\n"
	case "node":
		return "## Methods for nodes\n"
	case "system":
		return "## Introspection and multicall\n"
	}
	return "## The validator suite\n\nServed with `--validator` only: UserLand's tests, by which any XML-RPC client can be checked against the server.\n"
}

func writeMethod(b *strings.Builder, m *method) {
	if strings.HasPrefix(m.name, "validator1.") {
		s := m.signatures[0]
		fmt.Fprintf(b, "\n* `%s(%s)` → %s. %s", m.name, strings.Join(s[1:], ", "), s[0], m.summary)
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n%s\n", m.name, m.summary, m.help)
	for _, s := range m.signatures {
		fmt.Fprintf(b, "\nSignature: `%s(%s)` → %s\n", m.name, strings.Join(s[1:], ", "), s[0])
	}
	if len(m.request) > 0 {
		b.WriteString("\nTakes:\n")
		writeMembers(b, m.request, "required")
	}
	if len(m.reply) > 0 {
		b.WriteString("\nReturns:\n")
		writeMembers(b, m.reply, "always")
	}
	if len(m.faults) > 0 {
		b.WriteString("\nFaults of its own:")
		for i, code := range m.faults {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(b, " %d", code)
		}
		b.WriteString("\n")
	}
}

func writeMembers(b *strings.Builder, list []member, needed string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| member | type | %s | meaning |\n|---|---|---|---|\n", needed)
	for _, m := range list {
		yes := "yes"
		if !m.required {
			yes = ""
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", m.name, m.kinds, yes, m.doc)
	}
}
