package rpc

import (
	"context"

	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/rpc/api"
	"ringmaster/rpc/wire"
)

func accountMethods() []*method {
	reply := []member{
		{api.Account, textKind, true, "The account."},
		{api.Balance, textKind, true, "What it may spend now, decimal: balance and credit limit, without what is held for calls that go on."},
		{api.Currency, textKind, true, "ISO 4217 code."},
	}
	return []*method{
		{
			name:       api.MethodAccountBalance,
			summary:    "Says what an account may spend.",
			signatures: structSignature(),
			help:       "It is read from the ledger, inside the budget.",
			request:    balanceMembers,
			reply:      reply,
			faults:     []int{api.FaultNoAccount, api.FaultOverBudget},
			serve:      (*Server).accountBalance,
		},
		{
			name:    api.MethodAccountRecharge,
			summary: "Puts a voucher's money into an account.",
			help: "It waits until that is durable, as call.end does. A voucher is redeemed once: sent again for the same account, it gets the balance of now; for " +
				"another one, fault 110. What is wrong with a voucher is not told, and wrong ones have a budget.",
			signatures: structSignature(),
			request:    rechargeMembers,
			reply:      reply,
			faults:     []int{api.FaultNoAccount, api.FaultVoucher, api.FaultApplication, api.FaultOverloaded, api.FaultNotDurable},
			serve:      (*Server).accountRecharge,
			durable:    true,
		},
	}
}

// Indexes into balanceMembers and rechargeMembers.
const (
	accountName = iota
	accountVoucher
)

var balanceMembers = []member{accountName: {api.Account, textKind, true, "The account's name."}}

var rechargeMembers = []member{
	accountName:    {api.Account, textKind, true, "The account's name."},
	accountVoucher: {api.Voucher, textKind, true, "The voucher's code: 1–64 printable ASCII characters."},
}

func (s *Server) accountBalance(q *query, p params) *wire.Fault {
	if fault := q.bind(balanceMembers, p); fault != nil {
		return fault
	}
	if fault := checkWord(api.Account, q.args[accountName], true); fault != nil {
		return fault
	}
	account := q.args[accountName].Text()
	q.phase(phaseDecode)
	answer := q.askLedger(&charging.Ask{Kind: charging.KindBalance, Account: charging.Party{Account: account}})
	switch answer.State {
	case charging.StateUnavailable:
		return &wire.Fault{Code: api.FaultOverBudget, Message: "the ledger gave no answer inside the budget"}
	case charging.StateRefused:
		return noAccount()
	}
	q.writeBalance(&answer)
	return nil
}

func noAccount() *wire.Fault {
	return &wire.Fault{Code: api.FaultNoAccount, Message: "member account: there is no such account"}
}

func (s *Server) accountRecharge(q *query, p params) *wire.Fault {
	if fault := q.bind(rechargeMembers, p); fault != nil {
		return fault
	}
	if fault := checkWord(api.Account, q.args[accountName], true); fault != nil {
		return fault
	}
	if fault := checkWord(api.Voucher, q.args[accountVoucher], true); fault != nil {
		return &wire.Fault{Code: api.FaultInvalidParameters, Message: "member voucher: must be 1 to 64 printable ASCII characters"} // its code is not repeated
	}
	account, voucher := q.args[accountName].Text(), q.args[accountVoucher].Text()
	q.phase(phaseDecode)
	var answer charging.Answer
	fault := q.durably(func(ctx context.Context) (err error) {
		answer, err = s.ledger.Recharge(ctx, account, voucher)
		return err
	})
	switch {
	case fault != nil:
		return fault
	case answer.State == charging.StateGranted:
		q.writeBalance(&answer)
		return nil
	case answer.Reason == charging.ReasonNoAccount:
		return noAccount()
	}
	return &wire.Fault{Code: api.FaultVoucher, Message: "member voucher: cannot be redeemed for this account"}
}

func (q *query) writeBalance(answer *charging.Answer) {
	w := &q.writer
	w.BeginStruct()
	w.MemberString(api.Account, answer.Account)
	w.MemberString(api.Balance, tariff.FormatAmount(answer.Balance))
	w.MemberString(api.Currency, answer.Currency)
	w.EndStruct()
}
