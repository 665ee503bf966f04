package call

import "time"

const (
	// farthestEnd is how far in the future a call may have ended: a clock that is farther off is not believed.
	farthestEnd = 24 * time.Hour
	// longestFallback is how long before its end a call may have begun that no engine was asked about.
	longestFallback = 7 * 24 * time.Hour
)

// settleTimes makes a CDR's times agree: started ≤ answered ≤ answered + talk ≤ ended, and no leg talked for longer than that. The node says them, and its clock may be wrong, or it
// may be. What the engine saw by its own clock, the start of the call and now, bounds the rest, and a duration, which is measured on
// one clock, counts for more than the end of the call. Whether more than ClockSlack was put right stands in TimesCorrected.
func (c *CDR) settleTimes(now time.Time) {
	moved := func(by time.Duration) {
		if by > ClockSlack {
			c.TimesCorrected = true
		}
	}
	latest := now.Add(farthestEnd)
	switch {
	case c.EndedAt.After(latest):
		moved(c.EndedAt.Sub(now))
		c.EndedAt = now.UTC()
	case c.EndedAt.Before(c.StartedAt):
		moved(c.StartedAt.Sub(c.EndedAt))
		c.EndedAt = c.StartedAt
	}
	most := c.EndedAt.Sub(c.StartedAt)
	if seen := now.Sub(c.StartedAt); seen > most {
		most = seen
	}
	if c.Talk > most {
		moved(c.Talk - most)
		c.Talk = most
	}
	for i := range c.Legs {
		if over := c.Legs[i].TalkMilliseconds - most.Milliseconds(); over > 0 {
			c.TimesCorrected = c.TimesCorrected || over > ClockSlack.Milliseconds()
			c.Legs[i].TalkMilliseconds = most.Milliseconds()
		}
	}
	if end := c.StartedAt.Add(c.Talk); end.After(c.EndedAt) {
		moved(end.Sub(c.EndedAt))
		c.EndedAt = end
	}
	if c.AnsweredAt.IsZero() {
		return
	}
	if last := c.EndedAt.Add(-c.Talk); c.AnsweredAt.After(last) {
		moved(c.AnsweredAt.Sub(last))
		c.AnsweredAt = last
	} else if c.AnsweredAt.Before(c.StartedAt) {
		moved(c.StartedAt.Sub(c.AnsweredAt))
		c.AnsweredAt = c.StartedAt
	}
}

// settleStart gives the call a start that no engine has seen: the node's, unless that is missing or cannot be.
func (c *CDR) settleStart(now time.Time) {
	if c.EndedAt.After(now.Add(farthestEnd)) {
		c.TimesCorrected = true
		c.EndedAt = now.UTC()
	}
	if c.Talk > longestFallback {
		c.TimesCorrected = true
		c.Talk = longestFallback
	}
	age := c.EndedAt.Sub(c.StartedAt)
	if !c.StartedAt.IsZero() && age >= 0 && age <= longestFallback {
		return
	}
	c.TimesCorrected = c.TimesCorrected || !c.StartedAt.IsZero() && age < -ClockSlack || age > longestFallback && !c.StartedAt.IsZero()
	c.StartedAt = c.EndedAt.Add(-c.Talk)
}
