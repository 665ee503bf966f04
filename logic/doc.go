// Package logic decides what a call shall do, and why.
//
// It holds the scripts of service-independent building blocks (SIBs, ITU-T Q.1213) compiled from operators' rows
// (Rows → Compile → Snapshot), and the interpreter that walks them (Snapshot.Step). Its parts have packages of their own
// below it: the call model with its session, token and CDR (call), the rows as operators wrote them (rows), tables
// (lookup, prefix), opening hours (calendar) and the expression language (expression). Their types have names here too.
//
// It is pure: no clock, no I/O, no context, no logger, no metrics, no randomness. The same snapshot, session,
// event and instant give the same outcome, on any engine, in a test, in explain and in replay. What it cannot
// know by itself it asks for with an Ask, which the caller answers with the next Event. A refusal is a value,
// never an error; only Compile has problems to tell, and tells them as values too.
//
// It is not the place of bytes (rpc/wire), of HTTP (rpc), of SQL (store) or of dialplan (agi).
package logic
