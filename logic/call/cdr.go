package call

import (
	"time"

	"ringmaster/logic/charging"
)

// Outcome says in one word what a call came to.
type Outcome string

const (
	OutcomeAnswered    Outcome = "answered"    // somebody answered
	OutcomeBusy        Outcome = "busy"        // the last leg was busy
	OutcomeNoAnswer    Outcome = "no_answer"   // the last leg was not answered in time
	OutcomeUnreachable Outcome = "unreachable" // the last leg could not be reached
	OutcomeAbandoned   Outcome = "abandoned"   // the caller hung up first
	OutcomeReleased    Outcome = "released"    // the service released it (announcement, refusal)
	OutcomeContinued   Outcome = "continued"   // the service left it to the node's dialplan
	OutcomeFallback    Outcome = "fallback"    // no engine answered at its start; the node did what it does then
	OutcomeNodeLost    Outcome = "node_lost"   // its node was not heard of any more; the ledger closed it
)

// CDR is the call detail record: what one call came to. There is exactly one per CallID.
type CDR struct {
	CallID       string
	Node         string
	Channel      string
	Trunk        string
	Caller       string
	Called       string
	Dialled      string
	Presentation Presentation
	Service      string // empty: the number had none, or no engine was asked
	Subscriber   string
	Script       string
	Path         string // steps walked
	Revision     int64  // config revision of the last query
	Outcome      Outcome
	StartedAt    time.Time
	AnsweredAt   time.Time // zero: never answered
	EndedAt      time.Time
	Talk         time.Duration // milliseconds kept
	Cause        int           // Q.850
	HangupSource string
	Legs         []Leg
	Records      []Record

	// What the ledger needs to settle the call; what it did cost, the ledger says.
	Held     bool                // the ledger may hold something for the call
	Finished []charging.Finished // the conversations that somebody pays for, by charge
	Blind    []charging.Blind    // the charges that the ledger does not know

	TimesCorrected bool // the node's times could not be: AnsweredAt, EndedAt or Talk (without a session StartedAt too) was put within the call's own bounds
}

// EndEvent is what the node says of a call's end.
type EndEvent struct {
	Results      []Result // of instructions not reported before
	Cause        int
	AnsweredAt   time.Time // zero: never
	EndedAt      time.Time // zero: now
	Talk         time.Duration
	HangupSource string
	Fallback     bool // no engine said in time what to do, so the node did what it does then
}
