package store_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ringmaster/logic"
	"ringmaster/logic/call"
	"ringmaster/logic/charging"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

const (
	cent   = 10_000 // what a second costs in books, in micro-units
	needed = 5      // seconds that every charge needs, and so wants
)

// books are a ledger in a few lines: what the real one must come to.
type books struct {
	funds map[string]int64 // by account: balance and credit limit
	held  map[string]int64
	calls []*bookedCall
	inUse int // places
}

type bookedCall struct {
	id      string
	charges []*bookedCharge
	place   bool
	closed  bool // as node_lost
	ended   bool // for good
}

type bookedCharge struct {
	payers  []string // one, or two who share
	wanted  int64
	answer  charging.Answer
	granted int64
	held    int64 // by each payer
	talk    int64 // milliseconds
	paid    int64 // by each payer
}

// cost is what a conversation costs each payer.
func (c *bookedCharge) cost() int64 {
	seconds := (c.talk + 999) / 1000
	if seconds > c.granted && c.talk <= c.granted*1000+1000 {
		seconds = c.granted
	}
	return seconds * cent / int64(len(c.payers))
}

func (b *books) hold(c *bookedCharge, amount int64) {
	for _, payer := range c.payers {
		b.held[payer] += amount - c.held
	}
	c.held = amount
}

func (b *books) pay(c *bookedCharge, amount int64) {
	for _, payer := range c.payers {
		b.funds[payer] -= amount - c.paid
	}
	c.paid = amount
}

// affords is how many seconds the payers can pay.
func (b *books) affords(payers []string) int64 {
	seconds := int64(1 << 40)
	for _, payer := range payers {
		price := int64(cent / len(payers))
		if len(payers) == 2 && payers[0] == payers[1] {
			price = cent
		}
		seconds = min(seconds, max(b.funds[payer]-b.held[payer], 0)/price)
	}
	return seconds
}

func (c *bookedCharge) ask(one *bookedCall, number int) *charging.Ask {
	a := nth(one.id, number, payBy(c.payers...), c.wanted, needed)
	for i, earlier := range one.charges[:number-1] {
		a.Reserve.Finished = append(a.Reserve.Finished, charging.Finished{Number: i + 1, Talk: earlier.talk})
	}
	return a
}

// TestTheBooksOfALedgerInAFewLines plays asks, conversations, ends, closings and payments in any order, with two engines, and compares every answer, and in the end every balance, with those of books.
func TestTheBooksOfALedgerInAFewLines(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	mustExec(t, dsn, "INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('two', 2)")
	ledgers := []*store.Ledger{newLedger(t, dsn), newLedger(t, dsn)}
	const runs = 40 // each takes a quarter of a second
	iteration, well := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		if well >= runs && well == iteration {
			return // and rapid goes on for as long as it needs once one has failed
		}
		iteration++
		b := &books{funds: make(map[string]int64), held: make(map[string]int64)}
		names, setUp := make([]string, 3), ""
		for i := range names {
			names[i] = fmt.Sprintf("a%d-%d", iteration, i)
			credit, amount := rapid.Int64Range(0, 1).Draw(r, "credit"), rapid.Int64Range(1, 300).Draw(r, "cents")
			b.funds[names[i]] = credit*1_000_000 + amount*cent
			setUp += fmt.Sprintf("INSERT INTO account (account, currency, credit_limit) VALUES ('%s', 'EUR', %d); INSERT INTO adjustment (account, amount, reason) VALUES ('%s', %d * 0.01, 'test');",
				names[i], credit, names[i], amount)
		}
		mustExec(t, dsn, setUp)
		engine := func() *store.Ledger { return rapid.SampledFrom(ledgers).Draw(r, "engine") }
		same := func(c *bookedCharge, got charging.Answer) {
			if got != c.answer {
				r.Fatalf("asked again: %+v, at first %+v", got, c.answer)
			}
		}
		reserve := func(one *bookedCall) {
			c := &bookedCharge{payers: rapid.SliceOfN(rapid.SampledFrom(names), 1, 2).Draw(r, "payers"), wanted: rapid.Int64Range(1, 200).Draw(r, "wanted")}
			one.charges = append(one.charges, c)
			c.answer = askLedger(t, engine(), c.ask(one, len(one.charges)))
			want := charging.Answer{State: charging.StateRefused, Reason: charging.ReasonNoMoney}
			if seconds := min(max(c.wanted, needed), b.affords(c.payers)); seconds >= needed {
				want = charging.Answer{State: charging.StateGranted, Seconds: seconds, Final: seconds < max(c.wanted, needed), Account: c.payers[0]}
				c.granted = seconds
				b.hold(c, seconds*cent/int64(len(c.payers)))
			}
			if c.answer != want {
				r.Fatalf("%v want %d s: %+v, want %+v", c.payers, c.wanted, c.answer, want)
			}
		}
		talk := func(c *bookedCharge) {
			if c.granted == 0 {
				return
			}
			c.talk = rapid.Int64Range(0, c.granted*1000+900).Draw(r, "talk")
			if rapid.IntRange(0, 9).Draw(r, "node lets it go on") == 0 {
				c.talk = c.granted*1000 + rapid.Int64Range(1001, 60_000).Draw(r, "beyond")
			}
		}
		end := func(one *bookedCall, outcome call.Outcome) {
			cdr := logic.CDR{CallID: one.id, Node: "node1", Called: "4930", Outcome: outcome, StartedAt: began, EndedAt: began.Add(time.Hour), Held: true}
			for i, c := range one.charges {
				cdr.Finished = append(cdr.Finished, charging.Finished{Number: i + 1, Talk: c.talk})
			}
			endLedger(t, engine(), cdr)
			if one.ended || one.closed && outcome == call.OutcomeNodeLost {
				return
			}
			for _, c := range one.charges {
				b.hold(c, 0)
				b.pay(c, c.cost())
			}
			if one.place {
				b.inUse--
			}
			one.place, one.closed, one.ended = false, outcome == call.OutcomeNodeLost, outcome != call.OutcomeNodeLost
		}
		one := func() *bookedCall { return rapid.SampledFrom(b.calls).Draw(r, "call") }
		begin := func(*rapid.T) {
			b.calls = append(b.calls, &bookedCall{id: fmt.Sprintf("c%d-%d", iteration, len(b.calls))})
			reserve(b.calls[len(b.calls)-1])
		}
		begin(r)
		r.Repeat(map[string]func(*rapid.T){
			"begin":         begin,
			"begin another": begin,
			"ask again": func(*rapid.T) {
				if c := one(); !c.ended && !c.closed {
					if last := len(c.charges); c.charges[last-1].answer.State == charging.StateGranted {
						same(c.charges[last-1], askLedger(t, engine(), c.charges[last-1].ask(c, last)))
					}
				}
			},
			"ask as another": func(*rapid.T) {
				c := one()
				if c.charges[0].granted == 0 {
					return // its name is free
				}
				a := c.charges[0].ask(c, 1)
				a.Reserve.Body++
				if got := askLedger(t, engine(), a); got.State == charging.StateGranted || !c.ended && !c.closed && got.State != charging.StateConflict {
					r.Fatalf("another call of that name: %+v", got)
				}
			},
			"talk and call on": func(*rapid.T) {
				if c := one(); !c.ended && !c.closed && len(c.charges) < 4 {
					last := c.charges[len(c.charges)-1]
					talk(last)
					if last.granted > 0 {
						b.hold(last, last.cost())
					}
					reserve(c)
				}
			},
			"take a place": func(*rapid.T) {
				c := one()
				if c.ended || c.closed {
					return
				}
				ask := place(c.id, "two", charging.LimitRule{MaximumCalls: 2})
				ask.Limit.Key = fmt.Sprint(iteration)
				got := askLedger(t, engine(), ask)
				if (got.State == charging.StateGranted) != (c.place || b.inUse < 2) {
					r.Fatalf("%d places are taken, has one %v: %+v", b.inUse, c.place, got)
				}
				if got.State == charging.StateGranted && !c.place {
					c.place = true
					b.inUse++
				}
			},
			"end": func(*rapid.T) {
				c := one()
				if !c.ended {
					talk(c.charges[len(c.charges)-1])
				}
				end(c, call.OutcomeAnswered)
			},
			"lose": func(*rapid.T) {
				c := one()
				if !c.ended && !c.closed {
					talk(c.charges[len(c.charges)-1])
				}
				end(c, call.OutcomeNodeLost)
			},
			"pay in": func(*rapid.T) {
				account := rapid.SampledFrom(names).Draw(r, "account")
				b.funds[account] += cent
				mustExec(t, dsn, fmt.Sprintf("INSERT INTO adjustment (account, amount, reason) VALUES ('%s', 0.01, 'test')", account))
			},
		})
		for _, c := range b.calls {
			if !c.ended && !c.closed {
				talk(c.charges[len(c.charges)-1])
				end(c, call.OutcomeAnswered)
			}
		}
		for _, name := range names {
			if got := ask[int64](t, dsn, "SELECT ((b.balance + a.credit_limit) * 1000000)::bigint FROM account a JOIN account_balance b USING (account) WHERE a.account = $1", name); got != b.funds[name] || b.held[name] != 0 {
				r.Fatalf("account %s has %d, want %d, and %d held", name, got, b.funds[name], b.held[name])
			}
		}
		// Of this run of the property alone: one that failed leaves things behind.
		mine := fmt.Sprintf("c%d-%%", iteration)
		if n := ask[int](t, dsn, `SELECT (SELECT count(*) FROM reservation WHERE state = 'pending' AND call_id LIKE $1) + (SELECT count(*) FROM live_call WHERE call_id LIKE $1)
			+ (SELECT count(*) FROM limit_place WHERE released_at IS NULL AND call_id LIKE $1)`, mine); n > 0 {
			r.Fatalf("%d things are held though all is over", n)
		}
		if wrong := ask[string](t, dsn, "SELECT coalesce(string_agg(invariant || ' ' || subject || ': ' || detail, E'\n'), '') FROM ledger_check WHERE subject ~ $1", fmt.Sprintf("(^| |[ac])%d(-|$)", iteration)); wrong != "" {
			r.Fatalf("ledger_check: %s", wrong)
		}
		well++
	})
}
