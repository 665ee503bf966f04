package store_test

import (
	"strings"
	"testing"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/store/storetest"
)

// TestAnEngineMayDoAllThatMoneyNeeds, with no more than its role; and nobody may do what is not theirs.
func TestAnEngineMayDoAllThatMoneyNeeds(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	operator := as(t, dsn, "operator")
	mustExec(t, operator, `INSERT INTO account (account, currency) VALUES ('anna', 'EUR'); INSERT INTO adjustment (account, amount, reason) VALUES ('anna', 100, 'test');
		INSERT INTO card (card, account) VALUES ('8912340001', 'anna'); SELECT set_card_pin('8912340001', '4711'); SELECT add_voucher('GOLD-0001', 5, 'EUR');
		INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('one', 1)`)
	l := newLedger(t, as(t, dsn, "engine"))
	if err := l.Register(within(t), "node1", "b", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	for _, pin := range []string{"0000", "4711"} {
		want := charging.StateGranted
		if pin == "0000" {
			want = charging.StateRefused
		}
		if got := askLedger(t, l, &charging.Ask{Kind: charging.KindSecret, Secret: charging.Secret{CallID: "c", Node: "node1", Card: "8912340001", PIN: pin, Try: 1}}); got.State != want {
			t.Errorf("%+v", got)
		}
	}
	if got, err := l.Recharge(within(t), "anna", "GOLD-0001"); err != nil || got.Balance != 105_000_000 {
		t.Errorf("%+v, %v", got, err)
	}
	if got := askLedger(t, l, &charging.Ask{Kind: charging.KindBalance, Account: charging.Party{Account: "anna"}}); got.Balance != 105_000_000 || got.Currency != "EUR" {
		t.Errorf("%+v", got)
	}
	askLedger(t, l, reserve("talks", payBy("anna"), 600, 1))
	askLedger(t, l, place("talks", "one", charging.LimitRule{MaximumCalls: 1}))
	if extensions, err := l.Heartbeat(within(t), "node1", "b", 1, []charging.LiveCall{{CallID: "talks", AnsweredAt: time.Now().Add(-550 * time.Second)}}); err != nil || len(extensions) != 1 {
		t.Errorf("%v, %v", extensions, err)
	}
	askLedger(t, l, reserve("again", payBy("anna"), 10, 1))
	askLedger(t, l, nth("again", 2, payBy("anna"), 10, 1, charging.Finished{Number: 1, Talk: 5_000}))
	askLedger(t, l, reserve("expires", payBy("anna"), 10, 1))
	mustExec(t, dsn, `UPDATE node_status SET last_seen = last_seen - interval '70 seconds'; UPDATE live_call SET seen_at = seen_at - interval '70 seconds'; DELETE FROM live_call WHERE call_id = 'expires';
		UPDATE reservation SET expires_at = now() - interval '1 second' WHERE call_id = 'expires'`)
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
	endLedger(t, l, over("talks", time.Minute))            // late
	if got := balance(t, dsn, "anna"); got != "104.35 0" { // 0.60, and 0.05
		t.Errorf("balance %s: %s", got, ask[string](t, dsn, "SELECT string_agg(concat_ws(' ', call_id, kind, amount), ', ') FROM ledger_entry")+ask[string](t, dsn, "SELECT string_agg(concat_ws(' ', call_id, charge, state, talk_ms), ', ') FROM reservation"))
	}
	wellKept(t, dsn)
	for role, list := range map[string][]string{
		"engine": {"DELETE FROM ledger_entry", "UPDATE ledger_entry SET amount = 1", "DELETE FROM reservation", "DELETE FROM cdr_correction", "INSERT INTO adjustment (account, amount, reason) VALUES ('anna', 1, 'x')",
			"UPDATE account SET credit_limit = 100", "SELECT add_voucher('GOLD-0002', 5, 'EUR')", "UPDATE voucher SET amount = 100", "UPDATE card SET state = 'active'"},
		"operator": {"INSERT INTO ledger_entry (account, kind, amount) VALUES ('anna', 'adjustment', 1)", "UPDATE reservation SET amount = 0", "DELETE FROM live_call", "SELECT * FROM secret_failure", "SELECT pin FROM card",
			"UPDATE voucher SET amount = 100", "INSERT INTO cdr_correction (call_id, node, talk_ms, cause, ended_at) VALUES ('a', 'b', 1, 1, now())"},
		"viewer": {"INSERT INTO adjustment (account, amount, reason) VALUES ('anna', 1, 'x')", "UPDATE account SET state = 'active'", "SELECT * FROM secret_try", "SELECT * FROM secret_failure", "SELECT pin FROM card",
			"SELECT set_card_pin('8912340001', '1234')", "SELECT redeem_voucher('anna', 'GOLD-0001')"},
	} {
		for _, sql := range list {
			if err := exec(t, as(t, dsn, role), sql); err == nil {
				t.Errorf("%s may %s", role, sql)
			} else if text := refusal(t, err); !strings.HasPrefix(text, "42501") {
				t.Errorf("%s: %s: %s", role, sql, text)
			}
		}
	}
}
