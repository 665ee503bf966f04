// Package logic decides what a call shall do, and why.
//
// It compiles operators' rows (Rows → Compile → Snapshot, and Apply for what an edit touched), leads a called number to its
// service, and steps calls (Snapshot.Step). Its parts have packages of their own below it: scripts of service-independent
// building blocks and the walk through them (script), the call model with its session, token and CDR (call), the rows as
// operators wrote them (rows), what services are made of (table; lookup, prefix, calendar below it), money (charging, tariff)
// and the expression language (expression). Types that who asks for decisions needs have names here too.
//
// It is pure: no clock, no I/O, no context, no logger, no metrics, no randomness. The same snapshot, session,
// event and instant give the same outcome, on any engine, in a test, in explain and in replay. What it cannot
// know by itself it asks for with an Ask, which the caller answers with the next Event. A refusal is a value,
// never an error; only Compile has problems to tell, and tells them as values too.
//
// It is not the place of bytes (rpc/wire), of HTTP (rpc), of SQL (store) or of dialplan (agi).
package logic
