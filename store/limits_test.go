package store_test

import (
	"fmt"
	"sync"
	"testing"

	"ringmaster/logic/charging"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// TestLimits: places are a set of live calls; each call has one, however often it asks, and gives it back at its end.
func TestLimits(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	mustExec(t, dsn, "INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('three', 3); INSERT INTO call_limit (call_limit, calls_per_window, window_seconds) VALUES ('window', 5, 3600)")
	ledgers := []*store.Ledger{newLedger(t, dsn), newLedger(t, dsn)}
	place := func(id, name string, rule charging.LimitRule) *charging.Ask {
		return &charging.Ask{Kind: charging.KindLimit, Limit: charging.Limit{CallID: id, Node: "node1", Name: name, Key: "k", Rule: rule, Call: charging.Facts{Presentation: "allowed"}}}
	}
	three := charging.LimitRule{MaximumCalls: 3}
	admitted := make(chan string, 100)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for j := range 2 {
				answer, err := ledgers[(i+j)%2].Ask(within(t), place(fmt.Sprint("c-", i), "three", three))
				if err != nil {
					t.Error(err)
				}
				if answer.State == charging.StateGranted && j == 0 {
					admitted <- fmt.Sprint("c-", i)
				} else if answer.State != charging.StateGranted && answer.Reason != charging.ReasonTooManyCalls {
					t.Errorf("%+v", answer)
				}
			}
		})
	}
	wg.Wait()
	if n := ask[int](t, dsn, "SELECT count(*) FROM limit_place WHERE released_at IS NULL"); n != 3 || len(admitted) > 3 {
		t.Fatalf("%d places, %d were admitted", n, len(admitted))
	}
	wellKept(t, dsn)
	if _, err := ledgers[0].End(within(t), over(<-admitted, 0)); err != nil {
		t.Fatal(err)
	}
	if got := askLedger(t, ledgers[1], place("next", "three", three)); got.State != charging.StateGranted {
		t.Errorf("%+v", got)
	}
	for i := range 8 {
		got := askLedger(t, ledgers[i%2], place(fmt.Sprint("w-", i), "window", charging.LimitRule{CallsPerWindow: 5, WindowSeconds: 3600}))
		if (got.State == charging.StateGranted) != (i < 5) {
			t.Errorf("call %d in the window: %+v", i, got)
		}
	}
	gap := charging.LimitRule{GapMillis: 3_600_000}
	if first, second := askLedger(t, ledgers[0], place("g-1", "gap", gap)), askLedger(t, ledgers[1], place("g-2", "gap", gap)); first.State != charging.StateGranted || second.Reason != charging.ReasonGap {
		t.Errorf("%+v, %+v", first, second)
	}
	wellKept(t, dsn)
}

// TestPINs: tries are budgeted across engines and their restarts, and nobody learns whether a card exists.
func TestPINs(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "12.5"})
	mustExec(t, dsn, "INSERT INTO card (card, account, language) VALUES ('8912340001', 'anna', 'de'); SELECT set_card_pin('8912340001', '4711')")
	try := func(l *store.Ledger, card, pin, caller string, n int) charging.Answer {
		return askLedger(t, l, &charging.Ask{Kind: charging.KindSecret, Secret: charging.Secret{CallID: "c", Node: "n", Card: card, PIN: pin, Caller: caller, Try: n}})
	}
	first := newLedger(t, dsn)
	if got := try(first, "8912340001", "4711", "4930", 1); got.State != charging.StateGranted || got.Account != "anna" || got.Balance != 12_500_000 || got.Language != "de" {
		t.Fatalf("%+v", got)
	}
	if no, none := try(first, "8912340001", "0000", "4930", 2), try(first, "9999999999", "4711", "4931", 1); no != none || no.Reason != charging.ReasonWrong {
		t.Errorf("a wrong PIN is told as %+v, no card as %+v", no, none)
	}
	second := newLedger(t, dsn)
	try(second, "8912340001", "0001", "4932", 1)
	try(newLedger(t, dsn), "8912340001", "0002", "4933", 1)
	if got := try(second, "8912340001", "4711", "4934", 1); got.Reason != charging.ReasonLocked {
		t.Errorf("after three wrong PINs: %+v", got)
	}
	mustExec(t, dsn, "UPDATE secret_try SET began_at = began_at - interval '1 hour'")
	if got := try(second, "8912340001", "4711", "4934", 1); got.State != charging.StateGranted {
		t.Errorf("after the window: %+v", got)
	}
	mustExec(t, dsn, "UPDATE secret_budget SET failures = 1 WHERE scope = 'caller'")
	try(second, "5555555555", "1", "4999", 1)
	if got := try(second, "8912340001", "4711", "4999", 2); got.Reason != charging.ReasonLocked {
		t.Errorf("a caller who guesses: %+v", got)
	}
	if text := refusal(t, exec(t, as(t, dsn, "operator"), "SELECT pin FROM card")); text == "" {
		t.Error("operators may read PINs")
	}
}

func TestVouchers(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "", "bert": ""})
	mustExec(t, dsn, "SELECT add_voucher('GOLD-0001', 20, 'EUR'); SELECT add_voucher('OLD-00001', 20, 'EUR', '2020-01-01'); SELECT add_voucher('USD-00001', 20, 'USD')")
	ledgers := []*store.Ledger{newLedger(t, dsn), newLedger(t, dsn)}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if got, err := ledgers[i%2].Recharge(within(t), "anna", "GOLD-0001"); err != nil || got.State != charging.StateGranted || got.Balance != 20_000_000 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	for _, c := range [][3]string{{"bert", "GOLD-0001", "voucher"}, {"bert", "OLD-00001", "voucher"}, {"bert", "USD-00001", "voucher"}, {"bert", "NONE", "voucher"}, {"nobody", "GOLD-0001", "no_account"}} {
		if got, err := ledgers[0].Recharge(within(t), c[0], c[1]); err != nil || string(got.Reason) != c[2] {
			t.Errorf("%v: %+v, %v", c, got, err)
		}
	}
	if got := balance(t, dsn, "anna") + ", " + balance(t, dsn, "bert"); got != "20 0, 0 0" {
		t.Errorf("balances %s", got)
	}
	wellKept(t, dsn)
}

// TestAVoucherSentAgain: whoever has redeemed it is told so, also when its budget of wrong ones is used up; nothing else is let through then.
func TestAVoucherSentAgain(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "", "bert": ""})
	mustExec(t, dsn, "SELECT add_voucher('GOLD-0001', 20, 'EUR'); SELECT add_voucher('GOLD-0002', 20, 'EUR')")
	l := newLedger(t, dsn)
	try := func(account, code string, want charging.State) {
		t.Helper()
		if got, err := l.Recharge(within(t), account, code); err != nil || got.State != want || want == charging.StateGranted && got.Balance != 20_000_000 {
			t.Errorf("%s, %s: %+v, %v", account, code, got, err)
		}
	}
	try("anna", "GOLD-0001", charging.StateGranted)
	for i := range 10 {
		try("anna", fmt.Sprint("WRONG-", i), charging.StateRefused)
		try("bert", "GOLD-0001", charging.StateRefused)
	}
	for range 2 {
		try("anna", "GOLD-0001", charging.StateGranted)
		try("bert", "GOLD-0001", charging.StateRefused)
		try("anna", "GOLD-0002", charging.StateRefused)
	}
	if n := ask[int](t, dsn, "SELECT sum(failures) FROM secret_try WHERE scope = 'voucher'"); n != 20 {
		t.Errorf("%d wrong ones are counted", n)
	}
	if got := balance(t, dsn, "anna") + ", " + balance(t, dsn, "bert"); got != "20 0, 0 0" {
		t.Errorf("balances %s", got)
	}
	wellKept(t, dsn)
}
