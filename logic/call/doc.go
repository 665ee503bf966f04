// Package call is the model of one call: its session, what a node is told and what it reports, what the call came to
// at its end (CDR), and the signed token in which a session rides with the call between two queries.
//
// It knows no scripts, services or tables: what a call shall do is decided by package logic, which gives these types
// its own names too. It is pure: no clock, no I/O, no randomness.
package call
