// Package agi is the node side of Ringmaster: what stands between one Asterisk and the engines.
//
// It is one core with two faces.
//
// The core asks engines over XML-RPC (asker): several of them, over kept-alive connections, a second one when the
// first stays silent, and always inside a hard deadline. It holds what a call is doing (table): the session token,
// the instructions not yet run, the results not yet reported. A copy lies on disk, so that an agent that is killed
// goes on with its calls when it is started again; besides, the token rides on the channel in RINGMASTER_SESSION. And it
// takes care of the end of every call (spool, deliverer): the end is on disk before Asterisk is answered, and is sent
// to the engines until one has it.
//
// Beside them it talks to Asterisk's manager interface, if it is told how: what engines grant to a conversation under way becomes the called
// channel's absolute timeout (conversation.go). Asterisk keeps each limit by itself, so an agent that dies makes no call longer.
//
// Both faces listen on loopback only.
//
//   - The HTTP form, for CURL() in the dialplan (httpface.go). The dialplan runs the instructions itself, one at a time:
//     ask, do, report. CURL() has hard time limits inside Asterisk, so an agent that is dead or frozen cannot keep a
//     caller. The end of every call is told this way, whichever face the call itself used.
//   - FastAGI (agiface.go). The agent answers, plays and collects, by GOSUB to the very subroutines that the dialplan uses for the
//     other face, and leaves the channel to the dialplan for connect, continue and release. AGI() has no time limits of its own, so
//     TIMEOUT(absolute) ends every wait for the agent, the subroutines set it before they hand the channel back, and a conversation never depends
//     on the agent's life.
//
// Ideas that the code keeps to:
//
//   - Fail towards the caller. Whatever goes wrong (no engine, a fault, an instruction that is not in the grammar, a full disk),
//     the dialplan is told status=UNAVAILABLE and goes on to its local fallback.
//   - Nothing that came over the wire becomes dialplan syntax. Engines check what operators write, and the agent
//     checks it again (message.go), because the agent is what stands next to the dialplan.
//   - A fault that says "this engine cannot" is another engine's chance; a fault that says "this is wrong" is final.
//   - Every step of a call has a number. A result told twice, because the agent was killed before it could answer, gets the same
//     answer twice.
//   - An end of call is acknowledged to Asterisk when it would survive a power cut, and forgotten when an engine said that it is
//     durable there. In between it may be sent any number of times: the engines keep one.
//   - Memory is bounded: calls, sessions, bodies, lines.
//
// What it is not: it decides nothing about calls and knows no service. It does not import the engine's packages,
// only the contract's words in rpc/api, because it runs on another machine, at another version.
package agi
