// Package charging says what calls may spend and what they cost: it grants reservations against the state of accounts, places in limits of
// concurrent calls, and tries of secrets, and at the end of a call it says what each account pays.
//
// It is pure: the state it decides on is given, locked, by the ledger (package store), which writes down what was decided. Money is in integer
// micro-units of the account's currency (1,000,000 are one euro), durations for which somebody pays are in whole seconds.
//
// A charge has two phases, like TigerBeetle's pending transfers: a reservation holds the most that the conversation may cost, and is
// posted for what it did cost, voided, or expired, once only.
package charging
