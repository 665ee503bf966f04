package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// loseNodes lets 70 seconds pass in which nothing is heard, and closes what is lost.
func loseNodes(t *testing.T, dsn string, l *store.Ledger) {
	t.Helper()
	mustExec(t, dsn, `UPDATE node_status SET last_seen = last_seen - interval '70 seconds'; UPDATE reservation SET created_at = created_at - interval '70 seconds';
		UPDATE live_call SET answered_at = answered_at - interval '70 seconds', seen_at = seen_at - interval '70 seconds', started_at = started_at - interval '70 seconds'`)
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
}

// TestACreditLimitThatIsLoweredWhileAnAskWaits: holds for that ask too: what an account may spend is read when it is locked, not before.
func TestACreditLimitThatIsLoweredWhileAnAskWaits(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1"})
	mustExec(t, dsn, "UPDATE account SET credit_limit = 100 WHERE account = 'anna'")
	l := newLedger(t, dsn)
	askLedger(t, l, reserve("warm", payBy("anna"), 1, 1))
	if _, err := l.End(within(t), over("warm", 0)); err != nil {
		t.Fatal(err)
	}
	for try := range 20 {
		conn := dial(t, dsn)
		if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "UPDATE account SET credit_limit = 0 WHERE account = 'anna'"); err != nil {
			t.Fatal(err)
		}
		watch := dial(t, dsn)
		id := fmt.Sprint("call-", try)
		got := make(chan charging.Answer, 1)
		go func() {
			answer, _ := l.Ask(within(t), reserve(id, payBy("anna"), 5000, 1))
			got <- answer
		}()
		for waits := false; !waits; {
			if err := watch.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database()))").Scan(&waits); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
		answer := <-got
		t.Logf("try %d: %+v, balance %s, credit %s", try, answer, balance(t, dsn, "anna"), ask[string](t, dsn, "SELECT trim_scale(credit_limit)::text FROM account"))
		if answer.State == charging.StateGranted && answer.Seconds > 100 {
			t.Errorf("%d s were granted to an account that may spend 1 EUR = 100 s", answer.Seconds)
			wellKept(t, dsn)
			return
		}
		if _, err := l.End(within(t), over(id, 0)); err != nil {
			t.Fatal(err)
		}
		mustExec(t, dsn, "UPDATE account SET credit_limit = 100 WHERE account = 'anna'")
	}
}

// TestACallHasNoMoreChargesThanAreSettled: what its end would not settle is not granted.
func TestACallHasNoMoreChargesThanAreSettled(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	var earlier []charging.Finished
	for n := 1; n <= 64; n++ {
		earlier = append(earlier, charging.Finished{Number: n})
	}
	if got := askLedger(t, l, nth("call-1", charging.MaxCharges+1, payBy("anna"), 300, 1, earlier...)); got.State != charging.StateRefused || got.Reason != charging.ReasonCharges {
		t.Errorf("%+v", got)
	}
	if got := askLedger(t, l, nth("call-1", charging.MaxCharges, payBy("anna"), 300, 1, earlier[:63]...)); got.State != charging.StateGranted {
		t.Errorf("%+v", got)
	}
	cdr := over("call-1", 60*time.Second)
	cdr.Finished = append(earlier[:63], charging.Finished{Number: charging.MaxCharges, Talk: 60_000})
	endLedger(t, l, cdr)
	if got := balance(t, dsn, "anna"); got != "9.4 0" {
		t.Errorf("balance and held %s", got)
	}
	wellKept(t, dsn)
}

// TestTheLockedAccountOfAnEarlierCharge: holds up its own call only, though another account pays for the next conversation.
func TestTheLockedAccountOfAnEarlierCharge(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10", "bert": "10", "carl": "1000"})
	l := newLedger(t, dsn)
	askLedger(t, l, reserve("two", payBy("anna"), 100, 1))
	askLedger(t, l, reserve("warm", payBy("carl"), 1, 1))
	conn := dial(t, dsn)
	if _, err := conn.Exec(t.Context(), "BEGIN; INSERT INTO adjustment (account, amount, reason) VALUES ('anna', 1, 'coffee')"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if answer, err := l.Ask(short, nth("two", 2, payBy("bert"), 100, 1, charging.Finished{Number: 1, Talk: 5_000})); err == nil && answer.State != charging.StateUnavailable {
			t.Errorf("the call whose account is locked: %+v %v", answer, err)
		}
	})
	time.Sleep(20 * time.Millisecond)
	for i := range 8 {
		wg.Go(func() {
			answer, err := l.Ask(within(t), reserve(fmt.Sprint("carl", i), payBy("carl"), 1, 1))
			if err != nil || answer.State != charging.StateGranted {
				t.Errorf("carl, whom nobody has locked: %+v %v", answer, err)
			}
		})
	}
	wg.Wait()
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
}

// TestNobodyIsCreditedWithWhatNobodyPaid: a share is of what is paid.
func TestNobodyIsCreditedWithWhatNobodyPaid(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"provider": ""})
	l := newLedger(t, dsn)
	terms := payBy()
	terms.Payers = []charging.Party{{Number: "4930999999", Parts: charging.Whole}} // nobody's number
	terms.Credit = charging.Party{Account: "provider", Parts: 600_000}
	end := over("call-1", 1000*time.Second)
	end.Blind = []charging.Blind{{Number: 1, Granted: 1000, Terms: terms}}
	booked := endLedger(t, l, end)
	if got := balance(t, dsn, "provider"); got != "0 0" {
		t.Errorf("the provider has %s of what nobody paid: booked %+v, flags %s", got, booked, ask[string](t, dsn, "SELECT flags::text FROM cdr"))
	}
	wellKept(t, dsn)
}

// TestSpendPerHourOfLongCalls: holds for what calls admitted within an hour cost together, however long they go on.
func TestSpendPerHourOfLongCalls(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1000"})
	mustExec(t, dsn, "UPDATE account SET spend_per_hour = 10 WHERE account = 'anna'")
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "b", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	var live []charging.LiveCall
	for i := range 10 { // ten calls at once, of 1 EUR each
		id := fmt.Sprint("long-", i)
		one := reserve(id, payBy("anna"), 99, 1)
		one.Reserve.Terms.Price.PricePerMinute = 10_000 // one cent a minute
		one.Reserve.Wanted = 5_900
		if got := askLedger(t, l, one); got.State != charging.StateGranted || got.Seconds != 5_900 || got.Final {
			t.Fatalf("%+v", got)
		}
		live = append(live, charging.LiveCall{CallID: id, Talk: 5_800 * time.Second})
	}
	t.Logf("held at first: %s", balance(t, dsn, "anna"))
	mustExec(t, dsn, "UPDATE reservation SET created_at = created_at - interval '97 minutes'")
	for range 40 {
		for i := range live {
			live[i].Talk += 1_800 * time.Second
		}
		if _, err := l.Heartbeat(within(t), "node1", "b", len(live), live); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask[float64](t, dsn, "SELECT pending::float8 FROM account_balance WHERE account = 'anna'"); got > 10 {
		t.Errorf("calls that were admitted within a minute may cost %v EUR together, spend_per_hour is 10", got)
	}
	wellKept(t, dsn)
}

// TestAFreeConversationBeforeTheFirstCharge: is not charged by it when the node is lost.
func TestAFreeConversationBeforeTheFirstCharge(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	admitted := place("call-1", "desk", charging.LimitRule{MaximumCalls: 5})
	admitted.Limit.Call.StartedAt = time.Now().Add(-11 * time.Minute).UnixMilli()
	askLedger(t, l, admitted)
	beat := func() {
		t.Helper()
		// Over, and told until the next one is tried.
		if _, err := l.Heartbeat(within(t), "node1", "boot-1", 1, []charging.LiveCall{{CallID: "call-1", Talk: 600 * time.Second, Final: true, Over: true}}); err != nil {
			t.Fatal(err)
		}
	}
	beat()
	askLedger(t, l, reserve("call-1", payBy("anna"), 900, 1)) // a prompt says the price; nobody was called yet
	beat()
	loseNodes(t, dsn, l)
	if got := balance(t, dsn, "anna"); got != "10 0" {
		t.Errorf("ten minutes that were free are charged: %s", got)
	}
	wellKept(t, dsn)
}

// TestTheConversationBeforeIsPaidOnce: also when the node is lost after the next charge was made, and before that conversation.
func TestTheConversationBeforeIsPaidOnce(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	terms := payBy("anna")
	terms.Price.ConnectFee = 2_000_000
	one := nth("call-1", 1, terms, 60, 1)
	one.Reserve.Call.StartedAt = time.Now().Add(-10 * time.Minute).UnixMilli()
	askLedger(t, l, one)
	askLedger(t, l, nth("call-1", 2, terms, 60, 1, charging.Finished{Number: 1, Talk: 4_000})) // the price is announced
	mustExec(t, dsn, "UPDATE reservation SET created_at = created_at - interval '8 seconds'")
	if _, err := l.Heartbeat(within(t), "node1", "boot-1", 1, []charging.LiveCall{{CallID: "call-1", AnsweredAt: time.Now().Add(-15 * time.Second), Talk: 4 * time.Second, Final: true, Over: true}}); err != nil {
		t.Fatal(err)
	}
	loseNodes(t, dsn, l)
	if got := balance(t, dsn, "anna"); got != "7.96 0" {
		t.Errorf("one conversation of 4 s (2.04) is charged so that %s is left: %s", got, ask[string](t, dsn, "SELECT charges::text FROM cdr"))
	}
	wellKept(t, dsn)
}

// TestATombstoneIsNoOtherCall: an engine that asks for what another one gave back is told that nothing is held, and not that the call took another one's name.
func TestATombstoneIsNoOtherCall(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	askLedger(t, l, reserve("warm", payBy("anna"), 1, 1))
	mustExec(t, dsn, `INSERT INTO reservation (call_id, node, charge, payer, state, amount, seconds, body, terms, expires_at, settled_at)
		SELECT 'call-1', 'node1', 1, payer, 'voided', 0, 0, 0, '{}'::jsonb, now(), now() FROM generate_series(1, 2) AS payer`) // as voidSQL does
	if got := askLedger(t, l, reserve("call-1", payBy("anna"), 60, 1)); got.State == charging.StateConflict {
		t.Errorf("the same question at another engine: %+v, which becomes fault 100, for which the node asks no other engine", got)
	}
}

// TestWhatOneAnswerHoldsTwoOthersGiveBack: three answers to the same question share a transaction; two of them came too late.
func TestWhatOneAnswerHoldsTwoOthersGiveBack(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10", "decoy": "10"})
	l := newLedger(t, dsn)
	askLedger(t, l, reserve("warm", payBy("anna"), 1, 1))
	for try := range 4 {
		for stays := range 3 {
			id := fmt.Sprintf("call-%d-%d", try, stays)
			lock, other := dial(t, dsn), dial(t, dsn)
			account := fmt.Sprintf("decoy_%d_%d", try, stays) // nobody has noted that it is locked
			accounts(t, dsn, map[string]string{account: "10"})
			for conn, one := range map[*pgx.Conn]string{lock: account, other: "anna"} {
				if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Exec(t.Context(), "SELECT FROM account_balance WHERE account = $1 FOR UPDATE", one); err != nil {
					t.Fatal(err)
				}
			}
			decoy := make(chan struct{})
			decoying, decoyed := context.WithTimeout(within(t), 120*time.Millisecond)
			go func() {
				defer close(decoy)
				_, _ = l.Ask(decoying, reserve("decoy-"+id, payBy(account), 1, 1))
			}()
			time.Sleep(20 * time.Millisecond) // it waits for the account
			var wg sync.WaitGroup
			answers := make([]charging.Answer, 3)
			leave := make([]context.CancelFunc, 3)
			for i := range 3 {
				ctx, cancel := context.WithCancel(within(t))
				leave[i] = cancel
				wg.Go(func() {
					answer, err := l.Ask(ctx, reserve(id, payBy("anna"), 60, 1))
					if err == nil {
						answers[i] = answer
					}
				})
				time.Sleep(time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond) // the first transaction gives up; the three share the next, which waits for anna
			for i := range 3 {
				if i != stays {
					leave[i]()
				}
			}
			time.Sleep(2 * time.Millisecond)
			if _, err := other.Exec(t.Context(), "COMMIT"); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			<-decoy
			decoyed()
			for i := range leave {
				leave[i]()
			}
			if _, err := lock.Exec(t.Context(), "COMMIT"); err != nil {
				t.Fatal(err)
			}
			if answers[stays].State != charging.StateGranted {
				t.Logf("try %d, %d: %+v", try, stays, answers[stays])
				continue
			}
			time.Sleep(50 * time.Millisecond)
			if got := ask[string](t, dsn, "SELECT concat(state, ' ', claims) FROM reservation WHERE call_id = $1", id); got[:7] != "pending" || got == "pending {}" {
				t.Fatalf("try %d: answer %d was told %+v, and it is %s", try, stays, answers[stays], got)
			}
		}
	}
}

// TestALateEndWhenTheCreditedNumberHasMoved: what was credited when the call was closed stays with whom it was credited.
func TestALateEndWhenTheCreditedNumberHasMoved(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10", "old": "", "new": ""})
	mustExec(t, dsn, "INSERT INTO account_number (number, account) VALUES ('49900', 'old')")
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	terms := payBy("anna")
	terms.Credit = charging.Party{Number: "49900", Parts: 500_000}
	one := reserve("call-1", terms, 300, 1)
	one.Reserve.Call.StartedAt = time.Now().Add(-10 * time.Minute).UnixMilli()
	askLedger(t, l, one)
	if _, err := l.Heartbeat(within(t), "node1", "boot-1", 1, []charging.LiveCall{{CallID: "call-1", Talk: 100 * time.Second}}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, "UPDATE reservation SET created_at = created_at - interval '10 minutes'")
	loseNodes(t, dsn, l)
	mustExec(t, dsn, "UPDATE account_number SET account = 'new' WHERE number = '49900'")
	endLedger(t, l, over("call-1", 100*time.Second))
	if got := balance(t, dsn, "anna") + ", " + balance(t, dsn, "old") + ", " + balance(t, dsn, "new"); got != "9 0, 0.5 0, 0 0" {
		t.Errorf("1 EUR was paid, half of it credited: anna, old, new have %s", got)
	}
	wellKept(t, dsn)
}

// TestALateEndWithoutSession: takes nothing back of what heartbeats said was talked: it does not know of any charge.
func TestALateEndWithoutSession(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	one := reserve("call-1", payBy("anna"), 300, 1)
	one.Reserve.Call.StartedAt = time.Now().Add(-10 * time.Minute).UnixMilli()
	askLedger(t, l, one)
	if _, err := l.Heartbeat(within(t), "node1", "boot-1", 1, []charging.LiveCall{{CallID: "call-1", Talk: 200 * time.Second}}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, "UPDATE reservation SET created_at = created_at - interval '10 minutes'")
	loseNodes(t, dsn, l)
	before := balance(t, dsn, "anna")
	cdr := logic.FallbackCDR(&logic.Session{CallID: "call-1", Node: "node1"}, logic.EndEvent{Talk: 200 * time.Second, Cause: 16}, time.Now())
	endLedger(t, l, cdr)
	if got := balance(t, dsn, "anna"); got != before {
		t.Errorf("200 s of conversation: %s before its late end came, %s after it, correction %s", before, got, ask[string](t, dsn, "SELECT talk_ms || ' ' || charges FROM cdr_correction"))
	}
	wellKept(t, dsn)
}
