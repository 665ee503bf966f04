package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/store/ledger"
	"ringmaster/store/storetest"
)

// TestAnAccountThatIsLockedStopsNoOther: somebody left a transaction open that adjusts one account.
func TestAnAccountThatIsLockedStopsNoOther(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10", "bert": "10"})
	l, registry := measured(t, dsn)
	askLedger(t, l, reserve("warm", payBy("bert"), 1, 1))
	conn := dial(t, dsn)
	if _, err := conn.Exec(t.Context(), "BEGIN; INSERT INTO adjustment (account, amount, reason) VALUES ('anna', 1, 'coffee')"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	granted := make(chan bool, 200)
	for i := range 100 {
		for _, account := range []string{"anna", "bert"} {
			ctx := within(t)
			if account == "anna" {
				var leave context.CancelFunc
				ctx, leave = context.WithTimeout(ctx, 300*time.Millisecond)
				defer leave()
			}
			wg.Go(func() {
				answer, err := l.Ask(ctx, reserve(fmt.Sprint(account, i), payBy(account), 1, 1))
				if account == "bert" {
					granted <- err == nil && answer.State == charging.StateGranted
				} else if err == nil {
					t.Errorf("of a locked account: %+v", answer)
				}
			})
		}
	}
	wg.Wait()
	close(granted)
	for ok := range granted {
		if !ok {
			t.Fatal("an account that nobody locks was not answered for")
		}
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		answer, err := l.Ask(within(t), reserve(fmt.Sprint("anna-after-", time.Now().UnixNano()), payBy("anna"), 1, 1))
		return err == nil && answer.State == charging.StateGranted
	})
	await(t, func() bool { return queued(t, registry, "ask") == 0 })
	wellKept(t, dsn)
}

// TestAnAccountThatIsLockedStopsNoOtherEnd: calls of other accounts end, are charged and give back what they held; those of the locked one are told to come again, and the reaper goes on to the next.
func TestAnAccountThatIsLockedStopsNoOtherEnd(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10", "bert": "10"})
	l := newLedger(t, dsn)
	for i := range 20 {
		askLedger(t, l, reserve(fmt.Sprint("anna", i), payBy("anna"), 10, 1))
		askLedger(t, l, reserve(fmt.Sprint("bert", i), payBy("bert"), 10, 1))
	}
	conn := dial(t, dsn)
	if _, err := conn.Exec(t.Context(), "BEGIN; INSERT INTO adjustment (account, amount, reason) VALUES ('anna', 1, 'coffee')"); err != nil {
		t.Fatal(err)
	}
	end := func(id string) error {
		_, err := l.End(within(t), over(id, 10*time.Second))
		return err
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := end(fmt.Sprint("anna", i)); !errors.Is(err, ledger.ErrLocked) {
				t.Errorf("the end of a call of a locked account: %v", err)
			}
		})
		wg.Go(func() {
			if err := end(fmt.Sprint("bert", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took) // one wait of half a second, and not one for each
	}
	if got := balance(t, dsn, "bert"); got != "8 0" {
		t.Errorf("bert: %s", got)
	}
	if got := ask[int](t, dsn, "SELECT count(*) FROM cdr WHERE call_id LIKE 'anna%'"); got > 0 {
		t.Errorf("%d calls of the locked account have CDRs", got)
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		await(t, func() bool { return end(fmt.Sprint("anna", i)) == nil })
	}
	if got := balance(t, dsn, "anna"); got != "9 0" {
		t.Errorf("anna: %s", got)
	}
	wellKept(t, dsn)
}

// TestAnAccountThatIsLockedStopsNoOtherFromBeingGivenBack: both calls were granted money too late. What was held for the locked account is given back when it is free, and that of the other at once.
func TestAnAccountThatIsLockedStopsNoOtherFromBeingGivenBack(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10", "bert": "10"})
	l := newLedger(t, dsn)
	askLedger(t, l, reserve("warm", payBy("bert"), 1, 1))
	if _, err := l.End(within(t), over("warm", 0)); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, `CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$;
		CREATE TRIGGER take_long AFTER INSERT ON live_call FOR EACH STATEMENT EXECUTE FUNCTION take_long()`)
	late := func(account string) {
		t.Helper()
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if answer, err := l.Ask(short, reserve("late-"+account, payBy(account), 60, 1)); err == nil {
			t.Fatalf("%+v", answer)
		}
	}
	late("anna")
	conn := dial(t, dsn)
	if _, err := conn.Exec(t.Context(), "BEGIN; SELECT FROM account_balance WHERE account = 'anna' FOR UPDATE"); err != nil { // waits for the reservation to be made
		t.Fatal(err)
	}
	late("bert")
	await(t, func() bool {
		return ask[bool](t, dsn, "SELECT EXISTS (SELECT FROM reservation WHERE call_id = 'late-bert' AND state = 'voided')")
	})
	if got := balance(t, dsn, "bert"); got != "10 0" {
		t.Errorf("bert: %s", got)
	}
	if got := balance(t, dsn, "anna"); got == "10 0" {
		t.Error("anna's money was given back before: the test shows nothing")
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return balance(t, dsn, "anna") == "10 0" })
	wellKept(t, dsn)
}

// TestADeadEngineKeepsNoAccount: an engine's host loses its power in the middle of a transaction that has locked an account, so nothing tells Postgres. Another engine can
// charge that account soon; Postgres would wait for hours, and a session's usual limit is ten seconds.
func TestADeadEngineKeepsNoAccount(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1000"})
	other := newLedger(t, dsn)
	askLedger(t, other, reserve("warm", payBy("anna"), 1, 1))
	for try := 0; ; try++ {
		proxy := storetest.NewProxy(t, dsn)
		dying := newLedger(t, proxy.DSN())
		asking, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := 0; asking.Err() == nil; n++ {
					ctx, cancel := context.WithTimeout(asking, 100*time.Millisecond)
					_, _ = dying.Ask(ctx, reserve(fmt.Sprint("dying-", try, i, n), payBy("anna"), 1, 1))
					cancel()
				}
			})
		}
		await(t, func() bool {
			return ask[int](t, dsn, "SELECT count(*) FROM reservation WHERE call_id LIKE 'dying-%'") > 20*try
		})
		proxy.Mute() // it never comes back
		proxy.Silence()
		died := time.Now()
		leave()
		wg.Wait()
		time.Sleep(300 * time.Millisecond)
		if !ask[bool](t, dsn, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction' AND xact_start < now() - interval '200 ms')") {
			if try == 20 {
				t.Fatal("it never died in a transaction")
			}
			continue
		}
		await(t, func() bool {
			answer, err := other.Ask(within(t), reserve(fmt.Sprint("other-", time.Now().UnixNano()), payBy("anna"), 1, 1))
			return err == nil && answer.State == charging.StateGranted
		})
		if took := time.Since(died); took > 4*time.Second {
			t.Errorf("a dead engine kept an account for %v", took)
		}
		break
	}
	wellKept(t, dsn)
}
