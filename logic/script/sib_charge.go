package script

import (
	"fmt"
	"strings"

	"ringmaster/logic/call"
	"ringmaster/logic/charging"
	"ringmaster/logic/table"
)

// Seconds that a charge holds money for.
const (
	defaultMaximumSeconds = 4 * 3600 // of one conversation
	defaultReserveSeconds = 3600     // at first: the ledger extends it while the call goes on
	mostChargedSeconds    = 86400
)

// perMille is what operators write shares of a charge in.
const perMille = charging.Whole / 1000

// chargeBlock reserves money for the conversation that follows, and with it bounds how long it may be.
type chargeBlock struct {
	tariff   int // slot
	number   operand
	payer    partyOperand
	second   partyOperand
	share    integerOperand // of the second payer, per mille
	credited partyOperand
	credit   integerOperand // what it is credited with, per mille
	maximum  integerOperand
	reserve  integerOperand
	minimum  integerOperand
	reason   string // variable; empty: none
}

// partyOperand is an account, by name or by the number whose account it is.
type partyOperand struct {
	account, number operand
}

func (p *partyOperand) given() bool { return len(p.account.parts)+len(p.number.parts) > 0 }

func (p *partyOperand) party(w *Walk, parts int64) charging.Party {
	if len(p.account.parts) > 0 {
		return charging.Party{Account: p.account.value(w), Parts: parts}
	}
	if len(p.number.parts) > 0 {
		return charging.Party{Number: digits(p.number.value(w)), Parts: parts}
	}
	return charging.Party{}
}

// digits are a number as tariffs and accounts have it. Parameters of services and targets may have a plus sign.
func digits(number string) string { return strings.TrimPrefix(number, "+") }

// party reads an account from the parameters name and name_number.
func (b *blockCompiler) party(name string) (p partyOperand) {
	account, number := b.text(name, ""), b.text(name+"_number", "")
	if account != "" && number != "" {
		b.refuse("parameters %q and %q: give one of them, an account's name or the number whose account it is", name, name+"_number")
	}
	if account != "" {
		p.account = b.template(name, account)
	} else if number != "" {
		p.number = b.template(name+"_number", number)
	}
	return p
}

func compileCharge(b *blockCompiler) block {
	c := &chargeBlock{
		tariff:   b.object("tariff", "tariff"),
		number:   b.template("number", b.text("number", "${called}")),
		payer:    b.party("account"),
		second:   b.party("second_account"),
		share:    b.integer("second_per_mille", 0, 0, 1000),
		credited: b.party("credit_account"),
		credit:   b.integer("credit_per_mille", 0, 0, 1000),
		maximum:  b.integer("maximum_seconds", defaultMaximumSeconds, 1, mostChargedSeconds),
		reserve:  b.integer("reserve_seconds", defaultReserveSeconds, 1, mostChargedSeconds),
		minimum:  b.integer("minimum_seconds", 1, 1, mostChargedSeconds),
		reason:   b.into(""),
	}
	switch {
	case !c.payer.given():
		b.refuse("nobody pays: give account, or account_number")
	case c.second.given() && c.share.isZero():
		b.refuse("the second payer pays nothing: give second_per_mille")
	case !c.second.given() && !c.share.isZero():
		b.refuse("second_per_mille is of nobody: give second_account, or second_account_number")
	case c.credited.given() && c.credit.isZero():
		b.refuse("credit_account is credited with nothing: give credit_per_mille")
	case !c.credited.given() && !c.credit.isZero():
		b.refuse("credit_per_mille is of nobody: give credit_account, or credit_account_number")
	}
	return c
}

func (c *chargeBlock) run(w *Walk) string {
	session := w.call
	if !w.answered {
		if session.Charge >= charging.MaxCharges {
			return c.refused(w, charging.ReasonCharges)
		}
		session.Charge++
		session.Payment, session.Granted, session.Final = 0, 0, false
	}
	terms, reason := c.terms(w)
	if reason != charging.ReasonNone {
		w.answered = false
		return c.refused(w, reason)
	}
	if terms.IsFree() && !w.answered && w.Tracing() {
		w.Decide(Decision{Table: "tariff_rate", Key: terms.Rate, Reason: fmt.Sprintf("%s costs nothing", terms.Number)})
	}
	// After a conversation that cost something the ledger is told of one that is free, lest it takes it for the one before when the node is lost. Whatever it says, the call goes on.
	free, wanted := terms.IsFree(), int64(c.reserve.value(w))
	if free {
		session.Granted, session.Final, wanted = terms.Maximum, true, terms.Maximum
		if w.answered && w.answer.State == charging.StateGranted {
			session.Payment = session.Charge
		}
		if w.answered || !session.Held || session.Charge == 1 {
			w.answered = false
			return "granted"
		}
	}
	if !w.answered {
		if w.Tracing() && !free {
			w.traceTerms(&terms)
		}
		w.out.Ask = Ask{Kind: AskLedger, Ledger: &charging.Ask{Kind: charging.KindReserve, Reserve: charging.Reserve{
			Key: charging.Key{CallID: session.CallID, Node: session.Node, Number: session.Charge}, Body: session.Body(), Terms: terms,
			Wanted: wanted, Minimum: int64(c.minimum.value(w)), Call: session.Facts(), Finished: session.FinishedCharges(),
			Blind: !free && w.service.OnOutage == "allow", BlindCap: w.service.OutageCap,
		}}}
		session.Held = true
		return waiting
	}
	w.answered = false
	answer := &w.answer
	switch answer.State {
	case charging.StateBlind:
		if len(session.Blind) >= call.MaxBlind {
			return c.refused(w, charging.ReasonBlindCap)
		}
		session.Blind = append(session.Blind, charging.Blind{Number: session.Charge, Granted: answer.Seconds, Terms: terms})
		fallthrough
	case charging.StateGranted:
		session.Payment, session.Granted, session.Final = session.Charge, answer.Seconds, answer.Final
		if w.Tracing() {
			w.Decide(Decision{Table: "account", Key: answer.Account, Reason: grantReason(answer)})
		}
		return "granted"
	case charging.StateRefused, charging.StateConflict:
		return c.refused(w, answer.Reason)
	}
	if w.Tracing() {
		w.Decide(Decision{Table: "service", Key: w.service.Name, Reason: "the ledger does not answer, and on_outage is " + w.service.OnOutage})
	}
	if _, wired := w.step.follow("unavailable"); wired {
		return "unavailable"
	}
	return c.refused(w, "unavailable")
}

func grantReason(answer *charging.Answer) string {
	blind := ""
	if answer.State == charging.StateBlind {
		blind = ", though the ledger does not answer"
	}
	if answer.Final {
		return fmt.Sprintf("%d s are granted, and no more%s", answer.Seconds, blind)
	}
	return fmt.Sprintf("%d s are granted for now%s", answer.Seconds, blind)
}

func (c *chargeBlock) refused(w *Walk, reason charging.Reason) string {
	if c.reason != "" {
		w.set(c.reason, string(reason))
	}
	if w.Tracing() {
		w.Decide(Decision{Reason: "the charge is refused: " + string(reason)})
	}
	return "refused"
}

// terms is what the conversation is charged by, or why it cannot be.
func (c *chargeBlock) terms(w *Walk) (t charging.Terms, reason charging.Reason) {
	from := w.service.Slots[c.tariff].Object.(*table.Tariff)
	number := digits(c.number.value(w))
	rate, row, ok := from.Find(number, w.now)
	if !ok {
		if w.Tracing() {
			w.Decide(Decision{Table: "tariff", Key: from.Name, Reason: fmt.Sprintf("it has no rate for %s now", number)})
		}
		return t, charging.ReasonNoRate
	}
	t = charging.Terms{Tariff: from.Name, Rate: row, Number: number, Currency: from.Currency, Price: *rate, Maximum: int64(c.maximum.value(w))}
	if rate.MaximumSeconds > 0 {
		t.Maximum = min(t.Maximum, rate.MaximumSeconds)
	}
	share := int64(c.share.value(w)) * perMille
	t.Payers = append(make([]charging.Party, 0, charging.MaxPayers), c.payer.party(w, charging.Whole-share))
	if c.second.given() && share > 0 {
		t.Payers = append(t.Payers, c.second.party(w, share))
	}
	for i := range t.Payers {
		if t.Payers[i].IsZero() {
			return t, charging.ReasonNoAccount
		}
	}
	if credit := int64(c.credit.value(w)) * perMille; credit > 0 {
		t.Credit = c.credited.party(w, credit)
	}
	return t, charging.ReasonNone
}

func (w *Walk) traceTerms(t *charging.Terms) {
	w.Decide(Decision{Table: "tariff_rate", Key: t.Rate, Reason: fmt.Sprintf("%s is rated by tariff %s", t.Number, t.Tariff)})
	for i, payer := range t.Payers {
		w.Decide(Decision{Table: "account", Key: payer.Key(), Reason: fmt.Sprintf("payer %d pays %s of it", i+1, shareWords(payer.Parts))})
	}
	if !t.Credit.IsZero() {
		w.Decide(Decision{Table: "account", Key: t.Credit.Key(), Reason: "is credited with " + shareWords(t.Credit.Parts)})
	}
}

func shareWords(parts int64) string {
	if parts == charging.Whole {
		return "all"
	}
	return fmt.Sprintf("%d ‰", parts/perMille)
}

// limitBlock takes a place among the calls of a limit, or refuses.
type limitBlock struct {
	limit  int // slot
	key    operand
	reason string // variable; empty: none
}

func compileLimit(b *blockCompiler) block {
	return &limitBlock{
		limit:  b.object("limit", "call_limit"),
		key:    b.template("key", b.text("key", "${service}")),
		reason: b.into(""),
	}
}

func (l *limitBlock) run(w *Walk) string {
	limit := w.service.Slots[l.limit].Object.(*table.CallLimit)
	key := l.key.value(w)
	if !w.answered {
		w.call.Held = true
		w.out.Ask = Ask{Kind: AskLedger, Ledger: &charging.Ask{Kind: charging.KindLimit, Limit: charging.Limit{
			CallID: w.call.CallID, Node: w.call.Node, Call: w.call.Facts(), Name: limit.Name, Key: key, Rule: limit.Rule, Blind: w.service.OnOutage == "allow"}}}
		return waiting
	}
	w.answered = false
	admitted, reason := false, "there is room"
	switch w.answer.State {
	case charging.StateGranted:
		admitted = true
	case charging.StateBlind:
		admitted, reason = true, "the ledger does not answer, and on_outage is allow"
	case charging.StateRefused, charging.StateConflict:
		reason = string(w.answer.Reason)
	default:
		reason = "unavailable"
	}
	if w.Tracing() {
		w.Decide(Decision{Table: "call_limit", Key: limit.Name, Reason: fmt.Sprintf("for %q: %s", key, reason)})
	}
	if admitted {
		return "admitted"
	}
	if l.reason != "" {
		w.set(l.reason, reason)
	}
	return "refused"
}
