package rpc

import (
	"context"
	"strings"
	"sync"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/rpc/api"
	"ringmaster/rpc/wire"
)

// renderReserve is what is left of the budget when the ledger has answered, to render the reply.
const renderReserve = 3 * time.Millisecond

// askLedger asks the ledger within the budget. What it does not answer in time, the service's on_outage decides.
func (q *query) askLedger(ask *charging.Ask) charging.Answer {
	s := q.server
	q.phase(phaseDecide)
	ctx, cancel := context.WithTimeout(q.ctx, max(q.began.Add(s.budget-renderReserve).Sub(q.mark), 0))
	answer, err := s.ledger.Ask(ctx, ask)
	cancel()
	q.phase(phaseLedger)
	if err == nil {
		s.metrics.asked(ask.Kind, answer.State)
		return answer
	}
	s.logger.Debug("the ledger did not answer a call in time", "call_id", q.session.CallID, "error", err)
	answer = charging.Answer{State: charging.StateUnavailable}
	switch ask.Kind {
	case charging.KindReserve:
		answer = s.blind.grant(&ask.Reserve, q.mark)
	case charging.KindLimit:
		if ask.Limit.Blind {
			answer.State = charging.StateBlind
		}
	}
	s.metrics.asked(ask.Kind, answer.State)
	return answer
}

// What a payer is granted while the ledger is away is counted within slices of time: all of a slice as one, until an hour after the last of it. So no hour, whenever it begins, has more than the cap,
// and a payer takes no more room than there are slices, however much it calls.
const (
	blindWindow = time.Hour
	blindSlice  = 10 * time.Minute
	blindSlices = int(blindWindow/blindSlice) + 1 // that may have something which still counts
	maxBlind    = 200_000                         // payers in all slices
)

// allowances are what this engine has granted within the hour while the ledger was away.
type allowances struct {
	mu     sync.Mutex
	began  time.Time                       // zero: nothing was asked yet
	now    time.Duration                   // since then; it never goes back
	slices [blindSlices]map[string]allowed // by payer; time since began, in slices, modulo their number
}

type allowed struct {
	amount int64         // micro-units
	last   time.Duration // since allowances.began
}

func (a *allowances) grant(r *charging.Reserve, now time.Time) charging.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	slice := a.moveTo(now)
	taken, spent := 0, make(map[string]int64, charging.MaxPayers)
	for _, of := range a.slices {
		taken += len(of)
	}
	if taken >= maxBlind {
		return charging.Answer{State: charging.StateUnavailable}
	}
	for _, payer := range r.Terms.Payers {
		spent[payer.Key()] = a.spent(payer.Key())
	}
	answer := charging.GrantBlind(r, spent)
	for payer, sum := range spent {
		if amount := sum - a.spent(payer); amount > 0 { // its name may be a part of all that a session says
			slice[strings.Clone(payer)] = allowed{slice[payer].amount + amount, a.now}
		}
	}
	return answer
}

// moveTo forgets the slices that are over, and returns the one of now.
func (a *allowances) moveTo(now time.Time) map[string]allowed {
	if a.began.IsZero() {
		a.began = now
	}
	before := int(a.now / blindSlice)
	a.now = max(a.now, now.Sub(a.began))
	current := int(a.now / blindSlice)
	for n := max(before, current-blindSlices) + 1; n <= current; n++ {
		a.slices[n%blindSlices] = nil
	}
	if a.slices[current%blindSlices] == nil {
		a.slices[current%blindSlices] = make(map[string]allowed)
	}
	return a.slices[current%blindSlices]
}

// spent is what counts of what a payer was granted.
func (a *allowances) spent(payer string) (sum int64) {
	for _, of := range a.slices {
		if one, ok := of[payer]; ok && a.now-one.last < blindWindow {
			sum += one.amount
		}
	}
	return sum
}

func writeCharges(w *wire.Writer, charges []charging.Booked) {
	w.BeginArray()
	for i := range charges {
		charge := &charges[i]
		w.BeginStruct()
		w.MemberInt(api.Charge, int64(charge.Charge))
		w.MemberString(api.Account, charge.Account)
		w.MemberString(api.Amount, charge.Amount)
		w.MemberString(api.Currency, charge.Currency)
		w.MemberString(api.Tariff, charge.Tariff)
		w.MemberInt(api.Seconds, charge.Seconds)
		if charge.Share {
			w.MemberBoolean(api.Share, true)
		}
		w.EndStruct()
	}
	w.EndArray()
}
