package charging

// Kind says what the ledger is asked for.
type Kind uint8

const (
	KindReserve Kind = iota + 1 // Reserve
	KindLimit                   // Limit
	KindSecret                  // Secret
	KindBalance                 // Account: how much it may spend
)

// Ask is a question to the ledger. It is answered from locked rows, and what it takes is durable before the answer is given.
type Ask struct {
	Kind    Kind
	Reserve Reserve
	Limit   Limit
	Secret  Secret
	Account Party
}

// State is the answer in one word.
type State uint8

const (
	StateUnavailable State = iota // no answer in time, or none at all: nothing is held
	StateGranted                  // granted, admitted, or right
	StateRefused                  // Reason says why
	StateConflict                 // the call's name has come before with another body
	StateBlind                    // granted while Postgres is away: the session keeps the terms, and the end of the call is charged by them
)

// Answer is what the ledger says.
type Answer struct {
	State    State
	Reason   Reason // StateRefused
	Seconds  int64  // KindReserve: of conversation that may be had
	Final    bool   // KindReserve: no more can be granted later
	Account  string // KindReserve: the first payer's; KindSecret: the card's; KindBalance
	Balance  int64  // KindBalance, KindSecret: micro-units that may be spent
	Currency string // KindBalance, KindSecret
	Language string // KindSecret: the card's; empty: the service's
}

// Limit asks for a place among the calls of a limit, by its key. The place is kept until the call has ended.
type Limit struct {
	CallID, Node string
	Call         Facts
	Name         string // the limit (call_limit)
	Key          string // what it counts: an account, number, service, trunk; each key is counted by itself
	Rule         LimitRule
	Blind        bool // while Postgres is away: whether to admit
}

// LimitRule is what an operator wrote of a limit; zero: no such bound.
type LimitRule struct {
	MaximumCalls   int64 // at once
	CallsPerWindow int64 // admitted within WindowSeconds
	WindowSeconds  int64
	GapMillis      int64 // from one admitted call to the next
}

// LimitState is what the ledger knows of one key of a limit, locked.
type LimitState struct {
	Calls     int64 // that have a place now
	InWindow  int64 // admitted within the window
	SinceLast int64 // milliseconds since the last was admitted; negative: none was
}

// Admit decides whether one more call gets a place, and keeps the state true for the next decision.
func (r LimitRule) Admit(s *LimitState) Reason {
	switch {
	case r.MaximumCalls > 0 && s.Calls >= r.MaximumCalls:
		return ReasonTooManyCalls
	case r.CallsPerWindow > 0 && s.InWindow >= r.CallsPerWindow:
		return ReasonRate
	case r.GapMillis > 0 && s.SinceLast >= 0 && s.SinceLast < r.GapMillis:
		return ReasonGap
	}
	s.Calls++
	s.InWindow++
	s.SinceLast = 0
	return ReasonNone
}
