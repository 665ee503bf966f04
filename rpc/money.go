package rpc

import (
	"context"
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

// maxBlindPayers is how many payers may be granted something in an hour while the ledger is away.
const maxBlindPayers = 100_000

// allowances are what this engine has granted within the hour while the ledger was away, by payer.
type allowances struct {
	mu    sync.Mutex
	hour  int64
	spent map[string]int64 // micro-units
}

func (a *allowances) grant(r *charging.Reserve, now time.Time) charging.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if hour := now.Unix() / 3600; hour != a.hour || a.spent == nil {
		a.hour, a.spent = hour, make(map[string]int64)
	}
	if len(a.spent) >= maxBlindPayers {
		return charging.Answer{State: charging.StateUnavailable}
	}
	return charging.GrantBlind(r, a.spent)
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
