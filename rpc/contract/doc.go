// Package contract describes what nodes may ask of an engine: the methods, the members that each takes and returns,
// with type, grammar and meaning, the instructions and the faults.
//
// One description serves three readers. A query is bound and checked by it, clients are told it (system.methodHelp
// and system.methodSignature), and docs/API.md is made of it: so a member is the same to all of them.
//
// It does not serve: who may ask, what is decided and how a reply is rendered is rpc. The words themselves are in
// rpc/api, which agents share, and the bytes in rpc/wire. It knows no call, no clock and no socket.
package contract
