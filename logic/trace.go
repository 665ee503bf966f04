package logic

// Trace is the account of a decision, row by row, for explain. It is written by the very code that decides.
type Trace struct {
	Decisions []Decision
}

// Decision says what one step did and which row made it so.
type Decision struct {
	Step   string   `json:"step,omitempty"` // empty: before the script (number, origin)
	SIB    string   `json:"sib,omitempty"`
	Exit   string   `json:"exit,omitempty"`
	Next   string   `json:"next,omitempty"`
	Table  string   `json:"table,omitempty"`  // the operator's table that was asked
	Key    string   `json:"key,omitempty"`    // the row that decided, as an operator would name it
	Reason string   `json:"reason"`           // in words
	Beaten []string `json:"beaten,omitempty"` // rows that matched too and lost, with why
}
