package script

import (
	"ringmaster/logic/call"
	"ringmaster/logic/charging"
)

// EventKind says what happened to a call.
type EventKind uint8

const (
	EventStart  EventKind = iota // a new call: the session's call fields are set, nothing else is
	EventReport                  // the node ran what it was told: Results
	EventAnswer                  // the shell answers the Ask of the last outcome: Turn or Answer
)

// Event is what a call is stepped by.
type Event struct {
	Kind    EventKind
	Results []call.Result   // EventReport
	Turn    uint64          // EventAnswer to AskTurn
	Answer  charging.Answer // EventAnswer to AskLedger
}

// AskKind says what Step cannot know by itself.
type AskKind uint8

const (
	AskNothing AskKind = iota
	AskTurn            // the next turn of the circular distribution Name
	AskLedger          // what Ledger says
)

// Ask is a question to the shell, which answers with EventAnswer.
type Ask struct {
	Kind   AskKind
	Name   string
	Ledger *charging.Ask // AskLedger: money, a place in a limit, a secret
}

// Outcome is what was decided: either an Ask, or instructions that end in a collect or connect (the call waits for
// a report), or in a continue or release (the engine is done with it). The slices are reused by the next Step on the same Outcome.
type Outcome struct {
	Instructions []call.Instruction
	Ask          Ask
	Trace        *Trace // not nil: Step writes here which rows decided, for explain
	Failed       int    // expressions of the script that failed in this query: they cost too much, divide by zero

	walk Walk // scratch of the query
}
