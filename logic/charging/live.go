package charging

import "time"

// LiveCall is a call that is up on a node, as its heartbeat says.
type LiveCall struct {
	CallID     string
	AnsweredAt time.Time     // when the conversation under way began, by the node's clock; zero: there is none
	Talk       time.Duration // how long it has lasted, which no clock that is set wrong can change; 0: only AnsweredAt is known
	Over       bool          // it is over, and Talk is how long it was: nothing has followed yet
	Final      bool          // the node will not let it go on for longer than is granted by now
}

// Talking reports whether people talk.
func (c *LiveCall) Talking() bool { return !c.AnsweredAt.IsZero() || c.Talk > 0 }

// Extension tells a node that a call it has may go on for longer than it was granted.
type Extension struct {
	CallID  string
	Charge  int
	Seconds int64 // of conversation in all
	Final   bool  // there will be no more
}
