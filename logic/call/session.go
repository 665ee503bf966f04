package call

import (
	"time"

	"ringmaster/logic/charging"
)

// Limits of one call. They bound a session token's size: with everything at its limit a token is still a string that
// XML-RPC and a dialplan can carry (MaxTokenLength).
const (
	RedirectBudget   = 5   // connects in one call
	MaxTargets       = 8   // targets of one connect
	MaxVariables     = 16  // variables of one call
	MaxValueLength   = 256 // bytes of one variable, as of one table value
	MaxVariableBytes = 624 // bytes of all variables of one call, names and values
	MaxRecords       = 4   // records of one call
	MaxRecordLength  = 96  // bytes of one record's text
	MaxLegs          = 10  // legs of one call that are kept
	MaxDialStatus    = 32  // bytes of a leg's dial status
	MaxPathLength    = 512 // bytes of the script path
	MaxBlind         = 1   // charges of one call that were granted while the ledger was away
)

// StepBudget bounds the steps that one query may walk.
const StepBudget = 64

// Session is the state of one call between two queries. It rides with the call as a signed token (Seal, Open)
// and is owned by whoever runs the query.
type Session struct {
	CallID       string
	Node         string
	Channel      string
	Trunk        string // the call came in on it
	Caller       string // E.164 digits, empty when unknown
	Called       string // E.164 digits once normalised
	Dialled      string // as the node said it
	Presentation Presentation
	StartedAt    time.Time // UTC, milliseconds

	Revision   int64 // config revision of the last query
	Service    string
	Subscriber string
	Script     string
	Step       string // the step that waits for a report or an answer; empty when nothing does
	Language   string
	Attempt    int // connects so far
	Variables  []Variable
	Path       []byte // the steps walked, "step:exit step:exit …"
	Legs       []Leg
	Records    []Record
	Targets    []Target // of the connect under way
	Release    int      // Q.850 cause the engine released with, 0 while it has not
	Answered   bool     // the node was told to answer the caller's leg
	Continued  bool     // the call was given back to the node's dialplan
	HungUp     bool     // a report said that the caller hung up

	Charge  int                 // number of the last charge, 0 before the first
	Payment int                 // the charge that pays for what is connected from now on; 0: nobody pays
	Granted int64               // seconds of conversation that Payment is good for
	Final   bool                // Payment cannot be extended
	Tries   int                 // secrets that were tried
	Talk    []charging.Finished // what was talked so far, by the charge that pays for it
	Held    bool                // the ledger holds money or a place for the call, which its end releases
	Blind   []charging.Blind    // charges that were granted while the ledger was away: it does not know them yet
}

// Reset makes the session that of no call, and keeps its memory for the next.
func (c *Session) Reset() {
	*c = Session{Variables: c.Variables[:0], Path: c.Path[:0], Legs: c.Legs[:0], Records: c.Records[:0], Targets: c.Targets[:0], Blind: c.Blind[:0], Talk: c.Talk[:0]}
}

// Variable is a named value of one call. Values are text; typed reading is compiled from the script.
type Variable struct {
	Name, Value string
}

// Presentation says whether the caller's number may be shown (Q.951.3, Q.951.4).
type Presentation uint8

const (
	PresentationAllowed Presentation = iota
	PresentationRestricted
	PresentationUnavailable
)

// Target is where a connect goes: a trunk's name and a number there.
type Target struct {
	Trunk   string
	Number  string // ^\+?[0-9*#]{1,32}$
	Timeout int    // seconds to ring
}

// Leg is one attempt to reach somebody.
type Leg struct {
	Trunk            string `json:"trunk"`
	Number           string `json:"number"`
	Status           Status `json:"status"`
	DialStatus       string `json:"dial_status,omitempty"`
	Cause            int    `json:"cause"`
	TalkMilliseconds int64  `json:"talk_ms"`
	Charge           int    `json:"charge,omitempty"` // the charge that paid for it; 0: none
}

// Record is what the log SIB wrote; it is stored with the call's CDR, in one transaction.
type Record struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	Text string    `json:"text"`
}

// Status says how an instruction, and with it a leg, ended.
type Status uint8

const (
	StatusDone Status = iota
	StatusDigits
	StatusTimeout
	StatusAnswer
	StatusBusy
	StatusNoAnswer
	StatusUnreachable
	StatusHangup
	StatusFailed
)

// Result is what one instruction came to, in the order of the instructions.
type Result struct {
	Op         Op
	Status     Status
	Digits     string
	DialStatus string
	Target     int // index of the target tried last
	Cause      int // Q.850
	Talk       time.Duration
}

// Op is the kind of an instruction.
type Op uint8

const (
	OpAnswer Op = iota
	OpPlay
	OpCollect
	OpConnect
	OpContinue
	OpRelease
)

// Instruction is what the node shall do next. Fields that its Op does not name stay zero.
type Instruction struct {
	Op             Op
	Prompts        []string // OpPlay, OpCollect: sound files of known prompts
	Language       string   // OpPlay, OpCollect
	Minimum        int      // OpCollect: digits at least
	Maximum        int      // OpCollect: digits at most
	Terminator     string   // OpCollect
	FirstTimeout   int      // OpCollect: seconds
	DigitTimeout   int      // OpCollect: seconds
	Targets        []Target // OpConnect, in order
	CallerID       string   // OpConnect; empty: leave as it is
	MaximumSeconds int      // OpConnect; 0: no limit
	WarningSeconds int      // OpConnect; 0: no warning
	Extendable     bool     // OpConnect: MaximumSeconds may be extended while people talk
	FollowOn       bool     // OpConnect: report after an answered call too
	Cause          int      // OpRelease: Q.850
}
