package script

import (
	"fmt"

	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
)

// secretBlock asks the ledger whether a PIN is that of a card, and keeps the card's account. Which of the two is wrong nobody is told.
type secretBlock struct {
	card, pin operand
	into      string // the account
	balance   string // variable for what the account may spend, as a decimal; empty: none
}

func compileSecret(b *blockCompiler) block {
	s := &secretBlock{
		card: b.template("card", b.required("card")),
		pin:  b.template("pin", b.required("pin")),
		into: b.into("account"),
	}
	s.balance = b.variable("balance_into")
	return s
}

func (s *secretBlock) run(w *Walk) string {
	call := w.call
	if !w.answered {
		call.Tries++
		w.out.Ask = Ask{Kind: AskLedger, Ledger: &charging.Ask{Kind: charging.KindSecret, Secret: charging.Secret{
			CallID: call.CallID, Node: call.Node, Card: s.card.value(w), PIN: s.pin.value(w), Caller: call.Caller, Try: call.Tries}}}
		return waiting
	}
	w.answered = false
	exit, reason := "unavailable", "the ledger does not answer"
	switch w.answer.State {
	case charging.StateGranted:
		exit, reason = "ok", "card and PIN belong together"
		w.set(s.into, w.answer.Account)
		if s.balance != "" {
			w.set(s.balance, tariff.FormatAmount(w.answer.Balance))
		}
		if w.answer.Language != "" {
			call.Language = w.answer.Language
		}
	case charging.StateRefused:
		exit, reason = "wrong", "there is no such card, or its PIN is another"
		if w.answer.Reason == charging.ReasonLocked {
			exit, reason = "locked", "too many wrong PINs: none is accepted for a while (secret_budget)"
		}
	}
	if w.Tracing() {
		w.Decide(Decision{Table: "card", Reason: fmt.Sprintf("try %d: %s", call.Tries, reason)})
	}
	if _, wired := w.step.follow(exit); !wired && exit == "locked" {
		return "wrong"
	}
	return exit
}
