package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// TestTheCheckFindsWhatIsWrong: books that are right, with something of everything in them, and then with one thing wrong at a time.
func TestTheCheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1", "bert": "1", "provider": ""})
	mustExec(t, dsn, "SELECT add_voucher('GOLD-0001', 2, 'EUR'); INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('two', 2)")
	l := newLedger(t, dsn)
	if _, err := l.Recharge(within(t), "anna", "GOLD-0001"); err != nil {
		t.Fatal(err)
	}
	shared := payBy("anna", "bert")
	shared.Credit = charging.Party{Account: "provider", Parts: 500_000}
	askLedger(t, l, reserve("ended", shared, 60, 1))
	endLedger(t, l, over("ended", 10*time.Second))
	askLedger(t, l, reserve("lost", payBy("anna"), 60, 1))
	lost := over("lost", 20*time.Second)
	lost.Outcome = "node_lost"
	endLedger(t, l, lost)
	endLedger(t, l, over("lost", 30*time.Second))
	askLedger(t, l, reserve("live", payBy("anna"), 10, 1))
	askLedger(t, l, place("live", "two", charging.LimitRule{MaximumCalls: 2}))
	askLedger(t, l, reserve("beyond", payBy("bert"), 100, 1))
	endLedger(t, l, over("beyond", 200*time.Second)) // the node let it go on
	if got := balance(t, dsn, "bert"); !strings.HasPrefix(got, "-") {
		t.Errorf("bert has %s", got)
	}
	wellKept(t, dsn)
	finds := make(map[string]bool)
	for _, c := range []struct{ sql, finds string }{
		{"UPDATE account_balance SET balance = balance + 0.000001 WHERE account = 'provider'", "balance_is_the_sum_of_the_ledger"},
		{"UPDATE account_balance SET pending = pending + 0.01 WHERE account = 'provider'", "pending_is_the_sum_of_pending_reservations"},
		{"UPDATE account_balance SET balance = balance - 2 WHERE account = 'bert'; INSERT INTO ledger_entry (account, kind, amount) VALUES ('bert', 'voucher', -2)", "a_voucher_is_in_the_ledger nothing_is_spent_that_is_not_there"},
		{"UPDATE cdr SET charges = '[]' WHERE call_id = 'ended'", "cdr_charges_are_the_ledgers"},
		{"UPDATE cdr SET charges = jsonb_set(charges, '{0,amount}', '0.06') WHERE call_id = 'ended'", "cdr_charges_are_the_ledgers"},
		{"UPDATE cdr SET charges = jsonb_set(charges, '{0,currency}', '\"USD\"') WHERE call_id = 'ended'", "a_charge_is_in_the_accounts_currency"},
		{"DELETE FROM cdr WHERE call_id = 'beyond'", "a_cdr_has_its_key cdr_charges_are_the_ledgers nothing_is_spent_that_is_not_there"},
		{"DELETE FROM cdr WHERE call_id = 'ended'; DELETE FROM cdr_key WHERE call_id = 'ended'", "dropped_charges_are_the_ledgers"},
		{"INSERT INTO cdr_dropped_charge VALUES ('anna', -0.01, 0)", "dropped_charges_are_the_ledgers"},
		{"INSERT INTO cdr SELECT (jsonb_populate_record(c, jsonb_build_object('recorded_at', c.recorded_at + interval '1 day', 'charges', '[]'::jsonb))).* FROM cdr c WHERE call_id = 'ended'", "a_cdr_has_its_key"},
		{"UPDATE cdr_correction SET charges = '[]'", "corrections_are_the_ledgers"},
		{"UPDATE cdr SET outcome = 'answered' WHERE call_id = 'lost'", "a_cdr_has_its_key"},
		{"UPDATE cdr SET outcome = 'answered' WHERE call_id = 'lost'; UPDATE cdr_key SET lost = false WHERE call_id = 'lost'", "a_correction_is_of_a_call_that_was_closed"},
		{"UPDATE reservation SET posted = posted + 0.01 WHERE call_id = 'ended' AND payer = 2", "what_is_posted_is_in_the_ledger"},
		{"UPDATE reservation SET state = 'pending', posted = 0, amount = 0, settled_at = NULL WHERE call_id = 'ended' AND payer = 1", "an_ended_call_holds_nothing what_is_charged_was_held what_is_held_is_for_a_live_call"},
		{"INSERT INTO cdr (call_id, node, outcome, started_at, ended_at, recorded_at) VALUES ('live', 'node1', 'busy', now(), now(), now()); INSERT INTO cdr_key VALUES ('live', 'node1', now(), false)", "an_ended_call_has_no_place an_ended_call_holds_nothing"},
		{"DELETE FROM live_call", "a_place_is_of_a_live_call what_is_held_is_for_a_live_call"},
		{"INSERT INTO limit_place (call_limit, key, call_id, node, expires_at, maximum_calls) SELECT 'two', 'k', 'more-' || i, 'node1', now(), 2 FROM generate_series(1, 2) i; INSERT INTO live_call (call_id, node, started_at) SELECT 'more-' || i, 'node1', now() FROM generate_series(1, 2) i",
			"no_more_calls_than_the_limit"},
		{"DELETE FROM reservation WHERE call_id = 'ended' AND payer = 2", "what_is_charged_was_held"},
		{"UPDATE reservation SET state = 'voided', posted = 0 WHERE call_id = 'ended'", "what_is_charged_was_held"},
		{"DELETE FROM account_balance WHERE account = 'provider'", "an_account_has_its_row_and_its_balance"},
		{"DELETE FROM account WHERE account = 'provider'", "an_account_has_its_row_and_its_balance"},
		{"DELETE FROM account WHERE account = 'bert'; DELETE FROM account_balance WHERE account = 'bert'", "an_account_has_its_row_and_its_balance"},
		{"UPDATE voucher SET amount = 3", "a_voucher_is_in_the_ledger"},
		{"UPDATE adjustment SET amount = 7 WHERE account = 'anna'", "an_adjustment_is_in_the_ledger"},
		{"INSERT INTO ledger_entry (account, kind, amount) VALUES ('provider', 'adjustment', 1)", "an_adjustment_is_in_the_ledger balance_is_the_sum_of_the_ledger"},
	} {
		for invariant := range strings.FieldsSeq(c.finds) {
			finds[invariant] = true
		}
		conn := dial(t, dsn)
		if _, err := conn.PgConn().Exec(t.Context(), "BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL ringmaster.booking = 'on'; "+c.sql).ReadAll(); err != nil {
			t.Fatalf("%s: %v", c.sql, err)
		}
		var found string
		if err := conn.QueryRow(t.Context(), "SELECT coalesce(string_agg(DISTINCT invariant, ' '), '') FROM ledger_check WHERE subject <> '' AND detail <> ''").Scan(&found); err != nil {
			t.Fatal(err)
		}
		if found != c.finds {
			t.Errorf("%s\nis found as %q, want %q", c.sql, found, c.finds)
		}
		if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
	}
	if known := ask[int](t, dsn, "SELECT count(*)::int FROM regexp_matches(pg_get_viewdef('ledger_check'), 'UNION ALL', 'g')") + 1; known != len(finds) {
		t.Errorf("%d invariants are checked, and %d were hurt above", known, len(finds))
	}
	wellKept(t, dsn)
}

// TestAReservationThatIsThereMeanwhile: the same charge was written between the look and the write. Who asked is told that nothing is held, and it spoils no other.
func TestAReservationThatIsThereMeanwhile(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10", "bert": "10"})
	mustExec(t, dsn, `CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
		CREATE TRIGGER conflict BEFORE INSERT ON reservation FOR EACH ROW WHEN (NEW.call_id LIKE 'there%' AND NEW.payer = 2 AND NEW.state = 'pending') EXECUTE FUNCTION conflict()`)
	l := newLedger(t, dsn)
	var wg sync.WaitGroup
	for i := range 20 {
		ctx := within(t)
		wg.Go(func() {
			if answer, err := l.Ask(ctx, reserve(fmt.Sprint("there-", i), payBy("anna", "bert"), 10, 1)); err != nil || answer.State != charging.StateUnavailable {
				t.Errorf("%+v, %v", answer, err)
			}
		})
		wg.Go(func() {
			if answer, err := l.Ask(ctx, reserve(fmt.Sprint("free-", i), payBy("anna"), 1, 1)); err != nil || answer.State != charging.StateGranted {
				t.Errorf("%+v, %v", answer, err)
			}
		})
	}
	wg.Wait()
	await(t, func() bool { return balance(t, dsn, "anna")+", "+balance(t, dsn, "bert") == "10 0.2, 10 0" })
	wellKept(t, dsn)
}

// TestExpiredMoneyComesBackAndALateEndIsCharged: nobody has heard of the call for long, and then its end comes.
func TestExpiredMoneyComesBackAndALateEndIsCharged(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1"})
	mustExec(t, dsn, "INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('one', 1)")
	l := newLedger(t, dsn)
	one := charging.LimitRule{MaximumCalls: 1}
	askLedger(t, l, reserve("silent", payBy("anna"), 100, 1))
	askLedger(t, l, place("silent", "one", one))
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
	if got := balance(t, dsn, "anna"); got != "1 1" {
		t.Fatalf("before it expires: %s", got)
	}
	mustExec(t, dsn, "UPDATE reservation SET expires_at = now() - interval '1 second'; UPDATE limit_place SET expires_at = now() - interval '1 second'")
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
	if got := balance(t, dsn, "anna") + ask[string](t, dsn, "SELECT state FROM reservation"); got != "1 0expired" {
		t.Errorf("expired: %s", got)
	}
	if got := askLedger(t, l, place("other", "one", one)); got.State != charging.StateGranted {
		t.Errorf("the place of a call that is not heard of: %+v", got)
	}
	askLedger(t, l, reserve("other", payBy("anna"), 90, 1))
	for range 2 {
		endLedger(t, l, over("silent", 30*time.Second))
	}
	if got := balance(t, dsn, "anna") + ask[string](t, dsn, "SELECT flags::text FROM cdr"); got != "0.7 0.9{late}" {
		t.Errorf("%s", got)
	}
	wellKept(t, dsn)
	endLedger(t, l, over("other", 90*time.Second))
	if got := balance(t, dsn, "anna"); got != "-0.2 0" {
		t.Errorf("in the end %s", got)
	}
	wellKept(t, dsn)
}

// TestHeartbeatsKeepWhatCallsHold: as long as their node names them, nothing expires.
func TestHeartbeatsKeepWhatCallsHold(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "b", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	askLedger(t, l, reserve("call-1", payBy("anna"), 10, 1))
	askLedger(t, l, place("call-1", "one", charging.LimitRule{MaximumCalls: 1}))
	mustExec(t, dsn, "UPDATE reservation SET expires_at = now() - interval '1 second'; UPDATE limit_place SET expires_at = now() - interval '1 second'; UPDATE live_call SET seen_at = now() - interval '1 hour'")
	if _, err := l.Heartbeat(within(t), "node1", "b", 1, []charging.LiveCall{{CallID: "call-1"}}); err != nil {
		t.Fatal(err)
	}
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
	if got := balance(t, dsn, "anna"); got != "1 0.1" || ask[int](t, dsn, "SELECT count(*) FROM limit_place WHERE released_at IS NULL") != 1 {
		t.Errorf("it holds %s", got)
	}
	// Its node lives and does not name it any more.
	if _, err := l.Heartbeat(within(t), "node1", "b", 1, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM cdr"); n != 0 {
		t.Error("closed after one heartbeat")
	}
	mustExec(t, dsn, "UPDATE live_call SET seen_at = seen_at - interval '130 seconds', started_at = started_at - interval '130 seconds'")
	for range 2 {
		if err := l.Reap(within(t), true); err != nil {
			t.Fatal(err)
		}
	}
	if got := balance(t, dsn, "anna") + ask[string](t, dsn, "SELECT string_agg(outcome, ' ') FROM cdr"); got != "1 0node_lost" {
		t.Errorf("%s", got)
	}
	wellKept(t, dsn)
}

// TestTheOrderOfEventsDoesNotMatter: ends that come twice, before and after the closing, with and without a session, leave the same books.
func TestTheOrderOfEventsDoesNotMatter(t *testing.T) {
	t.Parallel()
	closed, fallback, real := over("call-1", 0), over("call-1", 0), over("call-1", 42*time.Second)
	closed.Outcome, fallback.Outcome, fallback.Held = "node_lost", logic.CallFallback, false
	for order, c := range map[string]struct {
		ends    []logic.CDR
		balance string
	}{
		"real":                   {[]logic.CDR{real, real}, "0.58 0"},
		"closed, real":           {[]logic.CDR{closed, real, real, closed}, "0.58 0"},
		"real, closed":           {[]logic.CDR{real, closed, real}, "0.58 0"},
		"closed, real, fallback": {[]logic.CDR{closed, real, fallback}, "0.58 0"},
		"real, fallback":         {[]logic.CDR{real, fallback}, "0.58 0"},
		"fallback, real":         {[]logic.CDR{fallback, real}, "1 0"}, // the first end that a living node gives is the end
	} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			dsn := storetest.Database(t)
			accounts(t, dsn, map[string]string{"anna": "1"})
			l := newLedger(t, dsn)
			askLedger(t, l, reserve("call-1", payBy("anna"), 60, 1))
			told := "" // to the node, at first
			for i, cdr := range c.ends {
				switch booked := fmt.Sprint(endLedger(t, l, cdr)); {
				case cdr.Outcome == "node_lost": // the reaper's
				case told == "":
					told = booked
				case cdr.Held && booked != told:
					t.Errorf("end %d: %s, at first %s", i, booked, told)
				}
			}
			if got := balance(t, dsn, "anna"); got != c.balance {
				t.Errorf("balance %s, want %s", got, c.balance)
			}
			if n := ask[int](t, dsn, "SELECT count(*) FROM cdr"); n != 1 {
				t.Errorf("%d CDRs", n)
			}
			wellKept(t, dsn)
		})
	}
}

// TestALostCallPaysForItsEarlierConversations, whether people talk when its node is lost or not, and whether the next one was granted or not.
func TestALostCallPaysForItsEarlierConversations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		talks   bool
		minimum int64 // of the second conversation
		want    string
	}{
		"nobody talks":              {false, 1, "0.7 0"},
		"they talk":                 {true, 1, "0.6 0"},
		"the second was refused":    {false, 500, "0.7 0"},
		"they talk free after that": {true, 500, "0.7 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := storetest.Database(t)
			accounts(t, dsn, map[string]string{"anna": "1"})
			l := newLedger(t, dsn)
			if err := l.Register(within(t), "node1", "b", 80, 0, nil); err != nil {
				t.Fatal(err)
			}
			askLedger(t, l, reserve("call-1", payBy("anna"), 60, 1))
			askLedger(t, l, nth("call-1", 2, payBy("anna"), 60, c.minimum, charging.Finished{Number: 1, Talk: 30_000}))
			mustExec(t, dsn, "SET ringmaster.booking = 'on'; UPDATE reservation SET created_at = created_at - interval '10 minutes'")
			live := charging.LiveCall{CallID: "call-1"}
			if c.talks {
				live.AnsweredAt = time.Now().Add(-9500 * time.Millisecond)
			}
			if _, err := l.Heartbeat(within(t), "node1", "b", 1, []charging.LiveCall{live}); err != nil {
				t.Fatal(err)
			}
			// The heartbeat was stored at the very instant that the test means.
			mustExec(t, dsn, `UPDATE live_call SET answered_at = (SELECT last_seen FROM node_status) - interval '9.5 seconds' WHERE answered_at IS NOT NULL;
				UPDATE node_status SET last_seen = last_seen - interval '70 seconds'; UPDATE live_call SET answered_at = answered_at - interval '70 seconds', seen_at = seen_at - interval '70 seconds'`)
			if err := l.Reap(within(t), true); err != nil {
				t.Fatal(err)
			}
			if got := balance(t, dsn, "anna"); got != c.want {
				t.Errorf("balance %s, want %s", got, c.want)
			}
			wellKept(t, dsn)
			real := over("call-1", 30*time.Second) // it had gone on for a second conversation of 12 s, if that was granted
			if c.minimum == 1 {
				real.Finished = append(real.Finished, charging.Finished{Number: 2, Talk: 12_000})
			}
			endLedger(t, l, real)
			if got, want := balance(t, dsn, "anna"), map[bool]string{true: "0.58 0", false: "0.7 0"}[c.minimum == 1]; got != want {
				t.Errorf("after its real end %s, want %s", got, want)
			}
			wellKept(t, dsn)
		})
	}
}

// TestMoneyReadsNoWholeTable: plans that Postgres made while the tables were small must not read all of them later.
func TestMoneyReadsNoWholeTable(t *testing.T) {
	dsn := storetest.Database(t)
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Engine: "engine1"})
	if err != nil {
		t.Fatal(err)
	}
	l := s.NewLedger()
	some := func(from, to, of int) {
		for i := from; i < to; i++ {
			id := fmt.Sprint("c", i)
			if answer := askLedger(t, l, reserve(id, payBy(fmt.Sprint("a", i%of)), 60, 1)); answer.State != charging.StateGranted {
				t.Fatalf("call %s got %+v", id, answer)
			}
			if i%2 == 0 {
				if _, err := l.End(within(t), over(id, 2*time.Second)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	const add = "INSERT INTO account (account, currency, credit_limit) SELECT 'a' || i, 'EUR', 1000 FROM generate_series(%d, %d) AS i"
	if err := exec2(t, dsn, fmt.Sprintf(add, 0, 9)); err != nil {
		t.Fatal(err)
	}
	some(0, 40, 10) // Postgres keeps a plan after five
	if err := exec2(t, dsn, fmt.Sprintf(add, 10, 2999)+`; INSERT INTO reservation (call_id, node, charge, payer, account, amount, seconds, body, terms, expires_at, settled_at, state, posted)
		SELECT 'old' || i, 'node1', 1, 1, 'a' || i % 3000, 0, 60, 7, '{}', now(), now(), 'voided', 0 FROM generate_series(1, 3000) AS i`); err != nil {
		t.Fatal(err)
	}
	const readSQL = "SELECT coalesce(sum(seq_tup_read), 0)::bigint FROM pg_stat_user_tables WHERE relname IN ('account', 'account_balance', 'account_number', 'reservation')"
	before := ask[int](t, dsn, readSQL)
	some(40, 140, 3000)
	l.Close()
	s.Close() // a connection tells its statistics when it ends
	deadline := time.Now().Add(2 * time.Second)
	for time.Now().Before(deadline) && ask[int](t, dsn, readSQL) == before {
		time.Sleep(50 * time.Millisecond)
	}
	if rows := ask[int](t, dsn, readSQL) - before; rows > 20_000 {
		t.Errorf("100 calls read %d rows of tables with 3,000 from end to end", rows)
	}
}
