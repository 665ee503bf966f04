package charging_test

import (
	"testing"

	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
)

// TestOneAccountPaysBothParts: where caller and called have one account, it holds the whole once, and no more than it has.
func TestOneAccountPaysBothParts(t *testing.T) {
	terms := charging.Terms{Currency: "EUR", Maximum: 3600, Price: tariff.Rate{PricePerMinute: 600_000, FirstIncrement: 1, FurtherIncrement: 1, RoundingUnit: 1},
		Payers: []charging.Party{{Account: "acme", Parts: charging.Whole / 4}, {Account: "acme", Parts: charging.Whole * 3 / 4}}}
	account := &charging.Account{Name: "acme", Currency: "EUR", Active: true, Available: 100_000, MaximumCalls: 1, SpendPerHour: charging.Unlimited, SpendPerDay: charging.Unlimited}
	payers := []*charging.Account{account, account}
	g := terms.Grant(6, 1, nil, payers)
	if g.Seconds != 6 || g.Parts != [charging.MaxPayers]int64{15_000, 45_000} || account.Available != 40_000 || account.Calls != 1 {
		t.Fatalf("%+v leaves %+v", g, account)
	}
	g = terms.Grant(60, 1, &g.Parts, payers)
	if g.Seconds != 10 || !g.Final || account.Available != 0 || account.Calls != 1 {
		t.Fatalf("extended: %+v leaves %+v", g, account)
	}
	account.Calls = 0
	if g = terms.Grant(60, 1, nil, payers); g.Reason != charging.ReasonNoMoney || account.Available != 0 {
		t.Errorf("without money: %+v leaves %+v", g, account)
	}
	spent := make(map[string]int64)
	r := charging.Reserve{Terms: terms, Wanted: 60, Minimum: 1, Blind: true, BlindCap: 100_000}
	if answer := charging.GrantBlind(&r, spent); answer.Seconds != 10 || spent["acme"] != 100_000 {
		t.Errorf("blind: %+v, spent %v", answer, spent)
	}
}
