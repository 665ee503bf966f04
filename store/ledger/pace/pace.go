// Package pace says how many writes may share a transaction, so that it takes no longer than callers can wait. It learns from how long transactions took, and does none itself.
package pace

import "time"

// Bounds of what a Pace says.
const (
	Aim   = 10 * time.Millisecond // how long a shared transaction may take before fewer share the next: callers wait for the one under way, and then for their own
	Least = 16                    // so many may always share one
)

// Pace is how many writes share a transaction. The zero value lets as many as may.
type Pace struct {
	allowed  int // 0: as many as may
	expected time.Duration
}

// Expect makes a Pace that expects a transaction of so long, shared by at most so many; 0: as many as may.
func Expect(allowed int, expected time.Duration) Pace { return Pace{allowed, expected} }

// Most is how many may share the next transaction, of at most so many.
func (p *Pace) Most(limit int) int {
	if p.allowed == 0 {
		return limit
	}
	return min(p.allowed, limit)
}

// Expected is what the next transaction will take, from what the last ones took.
func (p *Pace) Expected() time.Duration { return p.expected }

// Took learns from a transaction that n of at most so many shared: fewer share the next one at once, more one by one.
func (p *Pace) Took(n, limit int, time time.Duration) {
	p.expected = (3*p.expected + time) / 4
	least := min(Least, limit/4) // hashing makes PINs slow one by one
	switch {
	case time > Aim && n > least:
		p.allowed = max(n*3/4, least)
	case time < Aim && n == p.Most(limit):
		p.allowed = min(n+1+n/8, limit)
	}
}
