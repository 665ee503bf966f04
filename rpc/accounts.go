package rpc

import (
	"context"

	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

func (s *Server) accountBalance(q *query, _ contract.Parameters) *wire.Fault {
	if fault := contract.CheckWord(api.Account, q.args[contract.AccountName], true); fault != nil {
		return fault
	}
	account := q.args[contract.AccountName].Text()
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

func (s *Server) accountRecharge(q *query, _ contract.Parameters) *wire.Fault {
	if fault := contract.CheckWord(api.Account, q.args[contract.AccountName], true); fault != nil {
		return fault
	}
	if fault := contract.CheckWord(api.Voucher, q.args[contract.AccountVoucher], true); fault != nil {
		return &wire.Fault{Code: api.FaultInvalidParameters, Message: "member voucher: must be 1 to 64 printable ASCII characters"} // its code is not repeated
	}
	account, voucher := q.args[contract.AccountName].Text(), q.args[contract.AccountVoucher].Text()
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
