package rpc

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

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
	{api.FaultApplication, "The call cannot be served as its script is written; the message says why.", "Tell the operators; fall back."},
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
		{api.FollowOn, booleanKind, false, "Report after an answered call too: the caller stays."},
	}},
	{api.OpContinue, "Go on in the node's dialplan. Always the last of a list.", nil},
	{api.OpRelease, "Hang up. Always the last of a list.", []member{{api.Cause, intKind, true, "ITU-T Q.850 cause."}}},
}

var promptMembers = []member{
	{api.Prompts, arrayKind, true, "Names of sound files, as Asterisk's Playback takes them."},
	{api.Language, textKind, true, "Language of the prompts, in Asterisk's spelling: en, de, pt_BR."},
}

// WriteReference writes docs/API.md: the contract for those who call it. It is made of the registry, so that it cannot
// say anything else than the server does.
func WriteReference(w io.Writer) error {
	b := bufio.NewWriter(w)
	b.WriteString(referenceHead())
	methods := registry(true)
	group := ""
	for _, m := range methods {
		if g, _, _ := strings.Cut(m.name, "."); g != group {
			group = g
			b.WriteString("\n" + groupIntroduction(group))
		}
		writeMethod(b, m)
	}
	b.WriteString("\n## Instructions\n\nA reply's `instructions` are structs whose `op` says what to do. Run them in order.\n")
	for _, in := range instructionDocs {
		fmt.Fprintf(b, "\n**`%s`** — %s\n", in.op, in.meaning)
		writeMembers(b, in.members, "always")
	}
	b.WriteString("\n## Results\n\nOne struct per instruction that was run, in the order of the instructions.\n")
	writeMembers(b, resultMembers, "required")
	b.WriteString("\n## Faults\n\nA fault says that nothing was applied. The numbers are stable: none is ever used again for something else.\n\n" +
		"| code | meaning | what to do |\n|---|---|---|\n")
	for _, f := range faultDocs {
		fmt.Fprintf(b, "| %d | %s | %s |\n", f.code, f.meaning, f.advice)
	}
	b.WriteString(referenceTail())
	if err := b.Flush(); err != nil {
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
	case "node":
		return "## Methods for nodes\n"
	case "system":
		return "## Introspection and multicall\n"
	}
	return "## The validator suite\n\nServed with `--validator` only: UserLand's tests, by which any XML-RPC client can be checked against the server.\n"
}

func writeMethod(b *bufio.Writer, m *method) {
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

func writeMembers(b *bufio.Writer, list []member, needed string) {
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

func referenceHead() string {
	return `# API

This page is made from the engine's registry of methods; ` + "`go test ./rpc -run TestReference -update`" + ` writes it again.

An engine answers two questions: what shall this call do, and where would a call to this number go. Nodes ask it by
XML-RPC (<http://xmlrpc.com/spec.md>) over HTTP/1.1:

| path | what |
|---|---|
| ` + "`POST " + api.PathRPC + "`" + ` | XML-RPC; ` + "`" + api.PathRPCAlias + "`" + ` is the same |
| ` + "`POST " + api.PathDialplanTranslate + "`" + ` | ` + "`number.translate`" + ` as a form, for dialplans without an agent |

Metrics, health and profiles are on the engine's second listener: ` + "`/metrics`, `/healthz`, `/readyz`, `/debug/pprof/`" + ` (from the same machine only).

## Try it

With the demo data, where the node ` + "`node1`" + ` has the secret ` + "`demo`" + `:

` + "```sh" + `
curl -sS --user node1:demo -H 'Content-Type: text/xml' --data-binary @- http://127.0.0.1:4580/RPC2 <<'END'
<?xml version="1.0"?>
<methodCall><methodName>number.translate</methodName><params><param><value><struct>
<member><name>called</name><value><string>08001234567</string></value></member>
<member><name>caller</name><value><string>+49301112222</string></value></member>
</struct></value></param></params></methodCall>
END
` + "```" + `

` + "```python" + `
import xmlrpc.client

engine = xmlrpc.client.ServerProxy("http://node1:demo@127.0.0.1:4580/RPC2")
reply = engine.call.start({"call_id": "node1-1700000000.42", "node": "node1", "channel": "PJSIP/softswitch-00000001",
                           "caller": "+49301112222", "called": "08001234567"})
for instruction in reply["instructions"]:
    print(instruction)
engine.call.end({"session": reply["session"], "cause": 16, "talk_seconds": 12.5, "answered_at": "2026-04-01T12:00:00Z",
                 "results": [{"op": "connect", "status": "answer", "target": 0, "cause": 16, "talk_seconds": 12.5}]})
` + "```" + `

## Who may ask

A node authenticates with each request: by HTTP Basic with its name and secret, or by a client certificate whose common name
or DNS name is in the table ` + "`node`" + `. Both need TLS, but on a loopback address plain HTTP is served too, and then with the
secret all the same. A node speaks of its own calls only.

## The life of a call

1. ` + "`call.start`" + ` once, before anything else. The reply has instructions and a session token.
2. Run the instructions in order. When a ` + "`collect`" + ` or ` + "`connect`" + ` is over and the caller is still there, say what came of
   them with ` + "`call.report`" + `, and go on with its reply. Most calls never need this.
3. ` + "`call.end`" + ` when the caller's leg is gone, with the last session, until it is acknowledged.

The engine keeps nothing between two queries: the session token carries the call's state, signed. Any engine over the same
database goes on with any call.

## Conventions

* A method takes one struct and returns one struct, but for those of ` + "`system`" + ` and ` + "`validator1`" + `. Members that the engine does not know are
  ignored; a missing or ill-typed one is fault −32602, with its name.
* Numbers are dialled digits with ` + "`*`" + ` and ` + "`#`" + `, with or without a leading ` + "`+`" + `. Instants are UTC: ` + "`dateTime.iso8601`, or a string" + `
  in RFC 3339, which keeps milliseconds. Durations are seconds.
* Replies use XML-RPC's core types only (no ` + "`nil`, no `i8`" + `); absent means unknown or none. What may outgrow 32 bits travels as a string.
* Every query is answered within the budget (` + DefaultBudget.String() + ` unless set otherwise, from request read to reply written), or with fault 104. ` + "`call.end`" + ` and
  ` + "`node.register`" + ` wait for the database, up to ` + DefaultEndTimeout.String() + `.
* A query may be sent again at any time: the same ` + "`call_id`" + ` (or, in a report, the same session) with the same members gets the same answer. An engine remembers its last
  16,384 answers or so; after that, and on another engine, the answer is decided anew, from the rows of that moment. Which members are the same is what counts, not their
  order or spelling in XML.
`
}

func referenceTail() string {
	return `
## HTTP statuses

Results and faults are 200. Any other status means that no query was made of the request, so that an agent can turn to another engine without parsing.
The connection is closed after it.

| status | when |
|---|---|
| 400 | the request is not HTTP, or the body is not what its length or its chunks said |
| 401 | no credentials, or wrong ones |
| 404 | no such path |
| 405 | not POST; ` + "`Allow`" + ` says what is |
| 408 | the body came too slowly |
| 411 | neither a Content-Length nor chunks |
| 413 | a body of more than ` + fmt.Sprint(wire.MaxBody) + ` bytes |
| 415 | not ` + "`text/xml` or `application/xml`" + ` (the form: not ` + "`application/x-www-form-urlencoded`" + `), or a Content-Encoding |
| 503 | the engine has no data yet, or sheds load; ` + "`Retry-After`" + ` says when to come back, another engine is better |

## Limits

| what | most |
|---|---|
| body | ` + fmt.Sprint(wire.MaxBody) + ` bytes |
| nesting of values | ` + fmt.Sprint(wire.MaxDepth) + ` |
| tokens in a document | ` + fmt.Sprint(wire.MaxTokens) + ` |
| members of a struct | ` + fmt.Sprint(wire.MaxMembers) + ` |
| a string | ` + fmt.Sprint(wire.MaxString) + ` bytes |
| calls in a multicall | ` + fmt.Sprint(MaxMulticall) + ` |
| results in a report | ` + fmt.Sprint(maxResults) + ` |
| age of a session token | ` + fmt.Sprint(int(DefaultSessionLifetime/time.Hour)) + ` hours (` + "`call.end`" + ` takes older ones) |

Document types, processing instructions and attributes are refused.

## From a dialplan without an agent

` + "`POST " + api.PathDialplanTranslate + "`" + ` takes a form with ` + "`called`" + ` and, if known, ` + "`caller` and `trunk`" + `. It returns one line of ` + "`name=value`" + ` pairs, percent-encoded, which
Asterisk's ` + "`CURL()` with `CURLOPT(hashcompat)=yes`" + ` makes a hash of:

` + "```" + `
exten => _X.,1,Set(CURLOPT(hashcompat)=yes)
 same => n,Set(CURLOPT(conntimeout)=1)
 same => n,Set(CURLOPT(httptimeout)=2)
 same => n,Set(CURLOPT(userpwd)=node1:demo)
 same => n,Set(HASH(RM)=${CURL(http://127.0.0.1:4580/dialplan/translate,called=${URIENCODE(${EXTEN})}&caller=${URIENCODE(${CALLERID(num)})})})
 same => n,GotoIf($["${HASH(RM,status)}${HASH(RM,action)}"="OKconnect"]?connect:fallback)
 same => n(connect),Dial(PJSIP/${HASH(RM,number)}@${HASH(RM,trunk)},${HASH(RM,timeout)})
` + "```" + `

| name | value |
|---|---|
| ` + "`status`" + ` | ` + "`OK`, `INVALID` (the form is wrong; `reason` says what) or `UNAVAILABLE` (no answer now). Anything else, or nothing, counts as `UNAVAILABLE`" + ` |
| ` + "`action`" + ` | as in ` + "`number.translate`" + ` |
| ` + "`trunk`, `number`, `timeout`, `caller_id`" + ` | connect: the first target |
| ` + "`cause`" + ` | release: ITU-T Q.850 cause |
| ` + "`service`, `revision`" + ` | which service, and which config revision decided |
`
}
