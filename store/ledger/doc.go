// Package ledger writes down what calls and nodes leave behind, and what calls spend: call detail records, reservations and charges, places in limits, tries of
// secrets. What it acknowledges is durable, and doing it again does nothing.
//
// Callers never touch a connection: they wait on a channel, with their own deadline, and one goroutine for each kind of write does all that waits in one transaction. What is decided of
// money, limits and secrets is decided by package charging on rows that the transaction has locked, always in the same order: accounts by name, then limits. Any number of engines may
// do that on one Postgres.
//
// It knows no operators' tables but those of money, no scripts, and no HTTP.
package ledger
