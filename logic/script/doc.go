// Package script is the logic of services as data: named steps, each a service-independent building block (SIB, ITU-T
// Q.1213), compiled once from operators' rows, and the walk of a call through them.
//
// A block is in one file with its compilation, its run and its trace (sib_*.go). Compile makes a Script of rows, and tells
// every mistake in them as a value. A Service fills the script's slots. A Walk, made for each query by Outcome.Begin, runs
// steps until the reply is complete or something is asked; it depends on session, event, instant and Config only.
//
// It is pure, as package logic is. It does not know where a called number leads, how services are looked up or kept, or what
// changed between two config versions (logic); what tables answer and why (logic/table); or what money may be spent
// (logic/charging): a charge is an Ask.
package script
