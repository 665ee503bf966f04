package contract

import "ringmaster/rpc/api"

func accountMethods() []*Method {
	reply := []Member{
		{api.Account, textKind, true, "The account."},
		{api.Balance, textKind, true, "What it may spend now, decimal: balance and credit limit, without what is held for calls that go on."},
		{api.Currency, textKind, true, "ISO 4217 code."},
	}
	return []*Method{
		{
			Name:       api.MethodAccountBalance,
			Summary:    "Says what an account may spend.",
			Signatures: structSignature(),
			Help:       "It is read from the ledger, inside the budget.",
			Request:    balanceMembers,
			Reply:      reply,
			Faults:     []int{api.FaultNoAccount, api.FaultOverBudget},
		},
		{
			Name:    api.MethodAccountRecharge,
			Summary: "Puts a voucher's money into an account.",
			Help: "It waits until that is durable, as call.end does. A voucher is redeemed once: sent again for the same account, it gets the balance of now; for " +
				"another one, fault 110. What is wrong with a voucher is not told, and wrong ones have a budget.",
			Signatures: structSignature(),
			Request:    rechargeMembers,
			Reply:      reply,
			Faults:     []int{api.FaultNoAccount, api.FaultVoucher, api.FaultApplication, api.FaultOverloaded, api.FaultNotDurable},
		},
	}
}

// The members of account.balance, which has no voucher, and account.recharge, as indexes into Values.
const (
	AccountName = iota
	AccountVoucher
)

var balanceMembers = []Member{AccountName: {api.Account, textKind, true, "The account's name."}}

var rechargeMembers = []Member{
	AccountName:    {api.Account, textKind, true, "The account's name."},
	AccountVoucher: {api.Voucher, textKind, true, "The voucher's code: 1–64 printable ASCII characters."},
}
