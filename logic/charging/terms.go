package charging

import (
	"math"
	"time"

	"ringmaster/logic/tariff"
)

// Whole is what the parts of a split add up to: one part is a millionth.
const Whole = 1_000_000

// MaxPayers is how many accounts may share one charge.
const MaxPayers = 2

// Party is an account with its part of a charge.
type Party struct {
	Account string `json:"account,omitempty"` // its name; empty: it is found by Number
	Number  string `json:"number,omitempty"`  // E.164 digits whose account it is (account_number)
	Parts   int64  `json:"parts"`             // of Whole
}

// IsZero reports whether there is no such party.
func (p Party) IsZero() bool { return p.Account == "" && p.Number == "" }

// Key names the party where its account is not known: for caps while Postgres is away.
func (p Party) Key() string {
	if p.Account != "" {
		return p.Account
	}
	return "+" + p.Number
}

// Terms is what one charge of a call is made by, from its admission to its settlement: the price that holds when a call is admitted holds for all of it.
type Terms struct {
	Tariff   string      `json:"tariff"`
	Rate     string      `json:"rate"` // the row that gave the price, as an operator would name it
	Number   string      `json:"number"`
	Currency string      `json:"currency"`
	Price    tariff.Rate `json:"price"`
	Maximum  int64       `json:"maximum"` // seconds of conversation at most, 1–86400
	Payers   []Party     `json:"payers"`  // one or two; their parts add up to Whole
	Credit   Party       `json:"credit"`  // gets its part of what is paid; zero: nobody does
}

// Split shares an amount out among the payers. The parts add up to it exactly.
func (t *Terms) Split(amount int64) (parts [MaxPayers]int64) {
	if len(t.Payers) < 2 {
		parts[0] = amount
		return parts
	}
	shares := [MaxPayers]int64{t.Payers[0].Parts, t.Payers[1].Parts}
	copy(parts[:], tariff.Split(amount, shares[:]...))
	return parts
}

// Share is what the credited party gets of an amount, which is not negative, rounded down: never more than its part of what is paid.
func (t *Terms) Share(amount int64) int64 {
	if t.Credit.IsZero() {
		return 0
	}
	return amount/Whole*t.Credit.Parts + amount%Whole*t.Credit.Parts/Whole // the product of both might be too large
}

// IsFree reports whether no conversation, however long, costs anything: then nothing need be asked.
func (t *Terms) IsFree() bool { return t.Price.Amount(t.Maximum) == 0 }

// Overrun is how much longer than granted a conversation may measure without being one that went on: the node cuts it with its own
// clock, a few milliseconds late.
const Overrun = time.Second

// Cost is what a conversation came to.
type Cost struct {
	Seconds int64            // that are charged: begun seconds, and those granted when the node cut it there
	Amount  int64            // micro-units, the sum of Parts
	Parts   [MaxPayers]int64 // by payer
	Credit  int64            // what the credited party gets
	Excess  bool             // it went on for longer than granted: the node did not keep the limit. The excess is charged
}

// Settle says what a conversation of so long costs that had been granted so many seconds.
func (t *Terms) Settle(talk time.Duration, granted int64) (c Cost) {
	if talk <= 0 {
		return c
	}
	c.Seconds = int64((talk + time.Second - 1) / time.Second)
	if c.Seconds > granted {
		if talk <= time.Duration(granted)*time.Second+Overrun {
			c.Seconds = granted
		} else {
			c.Excess = true
		}
	}
	c.Amount = t.Price.Amount(c.Seconds)
	c.Parts = t.Split(c.Amount)
	c.Credit = t.Share(c.Amount)
	return c
}

// bounds are the seconds that a reservation is decided by. No conversation may be longer than the maximum, so no more is needed for one, and who needs a minimum wants it.
func (t *Terms) bounds(wanted, minimum int64) (most, least int64) {
	least = min(max(minimum, 1), t.Maximum)
	return min(max(wanted, least), t.Maximum), least
}

// affordable is the most seconds, up to wanted, of which each payer can pay its part, or, together, the first one all.
func (t *Terms) affordable(wanted int64, most [MaxPayers]int64, together bool) int64 {
	if len(t.Payers) == 1 || together {
		return min(wanted, t.Price.Seconds(most[0]))
	}
	pays := func(seconds int64) bool {
		parts := t.Split(t.Price.Amount(seconds))
		return parts[0] <= most[0] && parts[1] <= most[1]
	}
	low, high := int64(0), min(wanted, t.Price.Seconds(saturated(most[0], most[1])))
	for low < high {
		if middle := low + (high-low+1)/2; pays(middle) {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// saturated adds without overflow; what is below zero counts as nothing.
func saturated(a, b int64) int64 {
	a, b = max(a, 0), max(b, 0)
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
