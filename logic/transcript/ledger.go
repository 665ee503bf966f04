package transcript

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
)

// books are the rows of a transcript that engines leave to the ledger: accounts, money, cards.
type books struct {
	accounts []account
	numbers  map[string]string // number → account
	cards    map[string]card
	budget   int // wrong PINs that a card may have
}

type account struct {
	charging.Account
	credit  int64
	balance int64
	pending int64
}

type card struct {
	account  string
	pin      []byte
	language string
	blocked  bool
}

// into keeps a row of the ledger's tables; false when it is of another table.
func (b *books) into(r *row) bool {
	switch r.table {
	case "account":
		a := account{credit: r.money("credit_limit")}
		a.Name, a.Currency, a.Active = r.text("account"), r.text("currency"), r.or("state", "active") == "active"
		a.MaximumCalls, a.SpendPerHour, a.SpendPerDay = charging.Unlimited, charging.Unlimited, charging.Unlimited
		if n := r.integer("maximum_calls", 0); n > 0 {
			a.MaximumCalls = int64(n)
		}
		if n := r.money("spend_per_hour"); n > 0 {
			a.SpendPerHour = n
		}
		if n := r.money("spend_per_day"); n > 0 {
			a.SpendPerDay = n
		}
		r.text("subscriber")
		r.text("description")
		b.accounts = append(b.accounts, a)
	case "account_number":
		if b.numbers == nil {
			b.numbers = make(map[string]string)
		}
		b.numbers[r.text("number")] = r.text("account")
	case "account_country":
		r.text("account")
		r.text("country_code")
	case "card":
		if b.cards == nil {
			b.cards = make(map[string]card)
		}
		b.cards[r.text("card")] = card{r.text("account"), r.bytes("pin"), r.text("language"), r.or("state", "active") != "active"}
	case "adjustment":
		r.text("reason")
		if a := b.find(charging.Party{Account: r.text("account")}); a != nil {
			a.balance += r.money("amount")
		} else {
			r.fail("account", fmt.Errorf("there is no such account above"))
			r.money("amount")
		}
	default:
		return false
	}
	return true
}

func (b *books) find(p charging.Party) *account {
	name := p.Account
	if name == "" {
		name = b.numbers[p.Number]
	}
	for i := range b.accounts {
		if b.accounts[i].Name == name {
			return &b.accounts[i]
		}
	}
	return nil
}

// ledger is the dumb twin of the real one (package store): one call after the other, in memory.
type ledger struct {
	books
	away   bool                          // as if Postgres were
	blind  map[string]int64              // what was granted while it was away, by payer
	held   map[charging.Key]*reservation // of calls under way
	places map[string][]place            // by limit and key
	wrong  map[string]int                // wrong PINs by card
}

type reservation struct {
	terms   charging.Terms
	seconds int64
	parts   [charging.MaxPayers]int64
}

type place struct {
	callID string
	taken  time.Time
	over   bool
}

func newLedger(b *books) *ledger {
	return &ledger{
		books: books{accounts: slices.Clone(b.accounts), numbers: b.numbers, cards: b.cards, budget: 3}, blind: make(map[string]int64),
		held: make(map[charging.Key]*reservation), places: make(map[string][]place), wrong: make(map[string]int),
	}
}

func (l *ledger) ask(ask *charging.Ask, now time.Time) charging.Answer {
	switch ask.Kind {
	case charging.KindReserve:
		return l.reserve(&ask.Reserve)
	case charging.KindLimit:
		return l.admit(&ask.Limit, now)
	case charging.KindSecret:
		return l.verify(&ask.Secret)
	}
	return charging.Answer{}
}

func (l *ledger) reserve(r *charging.Reserve) charging.Answer {
	if l.away {
		return charging.GrantBlind(r, l.blind)
	}
	for _, finished := range r.Finished {
		key := r.Key
		key.Number = finished.Number
		if held := l.held[key]; held != nil {
			cost := held.terms.Settle(time.Duration(finished.Talk)*time.Millisecond, held.seconds)
			l.hold(held, cost.Parts)
		}
	}
	payers := make([]*charging.Account, len(r.Terms.Payers))
	accounts := make([]*account, len(r.Terms.Payers))
	for i, party := range r.Terms.Payers {
		if accounts[i] = l.find(party); accounts[i] != nil {
			payers[i] = &accounts[i].Account
			payers[i].Available = accounts[i].balance + accounts[i].credit - accounts[i].pending
		}
	}
	g := r.Terms.Grant(r.Wanted, r.Minimum, nil, payers)
	if g.Seconds == 0 {
		return charging.Answer{State: charging.StateRefused, Reason: g.Reason}
	}
	held := &reservation{terms: r.Terms, seconds: g.Seconds}
	l.held[r.Key] = held
	l.hold(held, g.Parts)
	return charging.Answer{State: charging.StateGranted, Seconds: g.Seconds, Final: g.Final, Account: accounts[0].Name}
}

// hold changes what a reservation holds.
func (l *ledger) hold(held *reservation, parts [charging.MaxPayers]int64) {
	for i, party := range held.terms.Payers {
		if a := l.find(party); a != nil {
			a.pending += parts[i] - held.parts[i]
		}
	}
	held.parts = parts
}

func (l *ledger) admit(limit *charging.Limit, now time.Time) charging.Answer {
	if l.away {
		if limit.Blind {
			return charging.Answer{State: charging.StateBlind}
		}
		return charging.Answer{}
	}
	key := limit.Name + " " + limit.Key
	state := charging.LimitState{SinceLast: -1}
	for _, p := range l.places[key] {
		if !p.over {
			state.Calls++
		}
		since := now.Sub(p.taken)
		if since < time.Duration(limit.Rule.WindowSeconds)*time.Second {
			state.InWindow++
		}
		state.SinceLast = since.Milliseconds()
	}
	if reason := limit.Rule.Admit(&state); reason != charging.ReasonNone {
		return charging.Answer{State: charging.StateRefused, Reason: reason}
	}
	l.places[key] = append(l.places[key], place{limit.CallID, now, false})
	return charging.Answer{State: charging.StateGranted}
}

func (l *ledger) verify(s *charging.Secret) charging.Answer {
	if l.away {
		return charging.Answer{}
	}
	if l.wrong[s.Card] >= l.budget {
		return charging.Answer{State: charging.StateRefused, Reason: charging.ReasonLocked}
	}
	found, ok := l.cards[s.Card]
	a := l.find(charging.Party{Account: found.account})
	if !ok || found.blocked || !charging.MatchPIN(found.pin, s.PIN) || a == nil {
		l.wrong[s.Card]++
		return charging.Answer{State: charging.StateRefused, Reason: charging.ReasonWrong}
	}
	delete(l.wrong, s.Card)
	return charging.Answer{State: charging.StateGranted, Account: a.Name, Balance: a.balance + a.credit - a.pending, Currency: a.Currency, Language: found.language}
}

// end settles a call, and says what each account paid or got: "anna:-0.12EUR,provider:0.06EUR".
func (l *ledger) end(cdr *logic.CDR) string {
	for _, blind := range cdr.Blind {
		l.held[charging.Key{CallID: cdr.CallID, Node: cdr.Node, Number: blind.Number}] = &reservation{terms: blind.Terms, seconds: blind.Granted}
	}
	var lines []string
	for number := 1; number <= 32; number++ {
		key := charging.Key{CallID: cdr.CallID, Node: cdr.Node, Number: number}
		held := l.held[key]
		if held == nil {
			continue
		}
		var talk time.Duration
		for _, finished := range cdr.Finished {
			if finished.Number == number {
				talk = time.Duration(finished.Talk) * time.Millisecond
			}
		}
		cost := held.terms.Settle(talk, held.seconds)
		l.hold(held, [charging.MaxPayers]int64{})
		paid := int64(0)
		for i, party := range held.terms.Payers {
			lines = append(lines, l.book(party, -cost.Parts[i], held.terms.Currency))
			if l.find(party) != nil {
				paid += cost.Parts[i]
			}
		}
		lines = append(lines, l.book(held.terms.Credit, held.terms.Share(paid), held.terms.Currency))
		delete(l.held, key)
	}
	for _, places := range l.places {
		for i := range places {
			places[i].over = places[i].over || places[i].callID == cdr.CallID
		}
	}
	return strings.Join(slices.DeleteFunc(lines, func(s string) bool { return s == "" }), ",")
}

func (l *ledger) book(party charging.Party, amount int64, currency string) string {
	if amount == 0 {
		return ""
	}
	a := l.find(party)
	if a == nil {
		return fmt.Sprintf("nobody:%s%s", tariff.FormatAmount(amount), currency)
	}
	a.balance += amount
	return fmt.Sprintf("%s:%s%s", a.Name, tariff.FormatAmount(amount), currency)
}

// money reads a decimal amount as micro-units; 0 where there is none.
func (r *row) money(column string) int64 {
	text := r.text(column)
	if text == "" {
		return 0
	}
	amount, err := tariff.ParseAmount(text)
	r.fail(column, err)
	return amount
}
