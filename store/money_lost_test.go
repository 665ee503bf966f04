package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/store/storetest"
)

// TestALostNodesConversationsAreCharged: for what was talked up to its last heartbeat, to the micro-unit, however wrong the node's clock is, and never for more than was granted. What
// comes late corrects that once.
func TestALostNodesConversationsAreCharged(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"talks": "10", "fast": "10", "slow": "10", "beyond": "0.3", "rings": "10", "anna": "10", "acme": "10", "again": "10", "before": "10", "free": "10", "given_up": "10"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	hold := func(callID string, number int, seconds int64, payers []string, over ...charging.Finished) {
		t.Helper()
		one := nth(callID, number, payBy(payers...), seconds, 1, over...)
		one.Reserve.Call.StartedAt = time.Now().Add(-10 * time.Minute).UnixMilli()
		if len(payers) > 1 {
			one.Reserve.Terms.Payers[0].Parts, one.Reserve.Terms.Payers[1].Parts = 666_667, 333_333
		}
		if got := askLedger(t, l, one); got.State != charging.StateGranted || got.Seconds != seconds {
			t.Fatalf("%s: %+v", callID, got)
		}
	}
	for _, callID := range []string{"talks", "fast", "slow", "rings"} {
		hold(callID, 1, 300, []string{callID})
	}
	hold("beyond", 1, 30, []string{"beyond"})
	hold("split", 1, 300, []string{"anna", "acme"})
	hold("again", 1, 300, []string{"again"})
	hold("again", 2, 200, []string{"again"}, charging.Finished{Number: 1, Talk: 12_000})
	hold("before", 1, 300, []string{"before"})
	hold("given_up", 1, 300, []string{"given_up"})
	hold("free", 1, 300, []string{"free"})
	costsNothing := nth("free", 2, payBy("free"), 3600, 1, charging.Finished{Number: 1, Talk: 12_000})
	costsNothing.Reserve.Terms.Price = tariff.Rate{FirstIncrement: 1, FurtherIncrement: 1, RoundingUnit: 1}
	askLedger(t, l, costsNothing)
	mustExec(t, dsn, "SET ringmaster.booking = 'on'; UPDATE reservation SET created_at = created_at - interval '10 minutes'; UPDATE reservation SET state = 'voided', settled_at = now() WHERE call_id = 'given_up'; UPDATE account_balance SET pending = 0 WHERE account = 'given_up'") // people talk since
	hold("before", 2, 200, []string{"before"}, charging.Finished{Number: 1, Talk: 12_000})
	now := time.Now()
	live := []charging.LiveCall{
		{CallID: "before", Talk: 12 * time.Second},                 // was on its way while the second charge was made, which does not pay for it
		{CallID: "talks", AnsweredAt: now, Talk: 30 * time.Second}, // a whole second is not one more
		{CallID: "fast", AnsweredAt: now.Add(3 * time.Hour), Talk: 41_500 * time.Millisecond},
		{CallID: "slow", AnsweredAt: now.Add(-3 * time.Hour), Talk: 41_500 * time.Millisecond},
		{CallID: "beyond", AnsweredAt: now, Talk: 45 * time.Second},
		{CallID: "split", Talk: 7 * time.Second},
		{CallID: "again", Talk: 5_001 * time.Millisecond},
		{CallID: "free", Talk: 6 * time.Second},     // of the second charge
		{CallID: "given_up", Talk: 6 * time.Second}, // what was granted came too late: the node was told to connect without charge
		{CallID: "rings"},
	}
	for range 2 { // the later heartbeat counts
		if _, err := l.Heartbeat(within(t), "node1", "boot-1", len(live), live); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, dsn, `UPDATE node_status SET last_seen = last_seen - interval '70 seconds';
		UPDATE live_call SET answered_at = answered_at - interval '70 seconds', seen_at = seen_at - interval '70 seconds', started_at = started_at - interval '70 seconds'`)
	for range 2 {
		if err := l.Reap(within(t), true); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask[string](t, dsn, "SELECT string_agg(concat_ws(' ', call_id, talk_ms, flags), ', ' ORDER BY call_id) FROM cdr WHERE outcome = 'node_lost'"); got !=
		"again 5001 {}, before 0 {}, beyond 45000 {}, fast 41500 {}, free 6000 {}, given_up 6000 {}, rings 0 {}, slow 41500 {}, split 7000 {}, talks 30000 {}" {
		t.Errorf("closed: %s", got)
	}
	balances := func() string {
		t.Helper()
		return ask[string](t, dsn, "SELECT string_agg(concat_ws(' ', account, trim_scale(balance), trim_scale(pending)), ', ' ORDER BY account) FROM account_balance")
	}
	if got := balances(); got != "acme 9.976667 0, again 9.82 0, anna 9.953333 0, before 9.88 0, beyond 0 0, fast 9.58 0, free 9.88 0, given_up 10 0, rings 10 0, slow 9.58 0, talks 9.7 0" {
		t.Errorf("balances: %s", got)
	}
	wellKept(t, dsn)

	// The node was only cut off. Its calls went on, and ended.
	for range 2 {
		if told := endLedger(t, l, over("talks", 60*time.Second)); len(told) != 1 || told[0].Amount != "0.60" || told[0].Seconds != 60 {
			t.Errorf("its node is told of %v", told)
		}
		endLedger(t, l, over("beyond", 30*time.Second))
		endLedger(t, l, over("rings", 0))
		endLedger(t, l, over("fast", 300*time.Second+400*time.Millisecond)) // cut at what was granted
	}
	if got := balances(); got != "acme 9.976667 0, again 9.82 0, anna 9.953333 0, before 9.88 0, beyond 0 0, fast 7 0, free 9.88 0, given_up 10 0, rings 10 0, slow 9.58 0, talks 9.4 0" {
		t.Errorf("after the corrections: %s", got)
	}
	if got := ask[string](t, dsn, "SELECT string_agg(call_id || ' ' || talk_ms, ', ' ORDER BY call_id) FROM cdr_correction"); got != "beyond 30000, fast 300400, rings 0, talks 60000" {
		t.Errorf("corrections: %s", got)
	}
	wellKept(t, dsn)
}

// TestACallIsASignOfLife: a node whose heartbeats do not come is lost, but not a call that has just asked for money: who closed it would spend that money twice.
func TestACallIsASignOfLife(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "boot-1", 80, 1, []charging.LiveCall{{CallID: "old"}}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, `UPDATE node_status SET last_seen = last_seen - interval '10 minutes'`)
	if got := askLedger(t, l, reserve("new", payBy("anna"), 100, 1)); got.State != charging.StateGranted {
		t.Fatalf("%+v", got)
	}
	mustExec(t, dsn, `UPDATE live_call SET seen_at = seen_at - interval '50 seconds'`)
	for range 2 {
		if err := l.Reap(within(t), true); err != nil {
			t.Fatal(err)
		}
	}
	if got := askLedger(t, l, reserve("another", payBy("anna"), 100, 1)); got.State != charging.StateRefused {
		t.Errorf("the money was there again: %+v", got)
	}
	if got := ask[string](t, dsn, "SELECT string_agg(concat_ws(' ', call_id, outcome), ', ' ORDER BY call_id) FROM cdr"); got != "old node_lost" {
		t.Errorf("closed: %s", got)
	}
	mustExec(t, dsn, `UPDATE live_call SET seen_at = seen_at - interval '70 seconds', started_at = started_at - interval '70 seconds'`)
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
	if got := balance(t, dsn, "anna"); got != "1 0" {
		t.Errorf("a minute later: %s", got)
	}
	wellKept(t, dsn)
}

// TestAnExtensionDoesNotDependOnTheNodesClock: how long people have talked says when more is needed. A node that could not use it gets none.
func TestAnExtensionDoesNotDependOnTheNodesClock(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "100"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "b", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	askLedger(t, l, reserve("long", payBy("anna"), 600, 1))
	for _, c := range []struct {
		wrong  time.Duration
		talked time.Duration
		final  bool
		want   int
	}{{-3 * time.Hour, 400 * time.Second, false, 0}, {3 * time.Hour, 490 * time.Second, true, 0}, {3 * time.Hour, 490 * time.Second, false, 1}} {
		extensions, err := l.Heartbeat(within(t), "node1", "b", 1, []charging.LiveCall{{CallID: "long", AnsweredAt: time.Now().Add(c.wrong - c.talked), Talk: c.talked, Final: c.final}})
		if err != nil || len(extensions) != c.want {
			t.Errorf("talked %v, by a clock that is %v off: %v, %v", c.talked, c.wrong, extensions, err)
		}
	}
}

// TestALostCallEndsWhenItWasLastNamed: its node died, started again without it, and is lost now. Until then it had lived for half a minute, in which nobody talked.
func TestALostCallEndsWhenItWasLastNamed(t *testing.T) {
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
	if _, err := l.Heartbeat(within(t), "node1", "boot-1", 1, []charging.LiveCall{{CallID: "call-1", Talk: 10 * time.Second}}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, "UPDATE live_call SET answered_at = answered_at - interval '30 seconds', seen_at = seen_at - interval '30 seconds'")
	if err := l.Register(within(t), "node1", "boot-2", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, `UPDATE node_status SET last_seen = last_seen - interval '70 seconds', registered_at = registered_at - interval '70 seconds';
		UPDATE live_call SET answered_at = answered_at - interval '70 seconds', seen_at = seen_at - interval '70 seconds'`)
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
	if got := ask[string](t, dsn, "SELECT outcome || ' ' || talk_ms FROM cdr") + ", " + balance(t, dsn, "anna"); got != "node_lost 10000, 9.9 0" {
		t.Errorf("%s", got)
	}
	wellKept(t, dsn)
}

// TestALostCallIsClosedWhileItsEndComes: the end finds no record, and then the record of the reaper is there. What was granted blind is charged all the same.
func TestALostCallIsClosedWhileItsEndComes(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	reaper := dial(t, dsn)
	if _, err := reaper.Exec(t.Context(), `BEGIN; INSERT INTO cdr (call_id, node, outcome, started_at, ended_at, cause, presentation) VALUES ('call-1', 'node1', 'node_lost', now(), now(), 0, 'allowed')`); err != nil {
		t.Fatal(err)
	}
	end := over("call-1", 30*time.Second)
	end.Blind = []charging.Blind{{Number: 1, Granted: 60, Terms: payBy("anna")}}
	done := make(chan error, 1)
	go func() {
		_, err := l.End(within(t), end)
		done <- err
	}()
	await(t, func() bool { // it waits for the record
		return ask[int](t, dsn, "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())") > 0
	})
	if _, err := reaper.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := ask[string](t, dsn, "SELECT outcome || ' ' || x.talk_ms FROM cdr JOIN cdr_correction x USING (call_id, node)") + ", " + balance(t, dsn, "anna"); got != "node_lost 30000, 9.7 0" {
		t.Errorf("%s", got)
	}
	wellKept(t, dsn)
}

// TestMoreCallsAreLostThanOneLookFinds: each has its record all the same, those too that held nothing and of which only the node's last heartbeat tells.
func TestMoreCallsAreLostThanOneLookFinds(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "boot-1", 2000, 0, nil); err != nil {
		t.Fatal(err)
	}
	var live []charging.LiveCall
	for i := range 1020 {
		live = append(live, charging.LiveCall{CallID: fmt.Sprint("free-", i)})
	}
	if _, err := l.Heartbeat(within(t), "node1", "boot-1", len(live), live); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, "UPDATE node_status SET last_seen = last_seen - interval '70 seconds'")
	await(t, func() bool { // a look that takes too long is left, and done again
		return l.Reap(within(t), true) == nil && ask[int](t, dsn, "SELECT count(*) FROM cdr WHERE outcome = 'node_lost'") == len(live)
	})
	if n := ask[int](t, dsn, "SELECT cardinality(calls) FROM node_status"); n > 0 {
		t.Errorf("the node is still said to have %d calls", n)
	}
}

// TestAnExtensionOutlivesItsHeartbeat: whoever asked has gone, and hears of it with the next one.
func TestAnExtensionOutlivesItsHeartbeat(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "100", "bert": "100"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "b", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	askLedger(t, l, reserve("long", payBy("anna"), 600, 1))
	askLedger(t, l, reserve("other", payBy("bert"), 600, 1))
	live := []charging.LiveCall{{CallID: "long", Talk: 500 * time.Second}, {CallID: "other", Talk: 500 * time.Second}}
	conn := dial(t, dsn)
	if _, err := conn.Exec(t.Context(), "BEGIN; INSERT INTO adjustment (account, amount, reason) VALUES ('bert', 1, 'coffee')"); err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := l.Heartbeat(gone, "node1", "b", 2, live); err == nil {
		t.Error("a caller who has gone was answered")
	}
	await(t, func() bool {
		return ask[string](t, dsn, "SELECT coalesce(string_agg(call_id, ' '), '') FROM reservation WHERE extended") == "long" // and the other's account is locked
	})
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		extensions, err := l.Heartbeat(within(t), "node1", "b", 2, live)
		return err == nil && len(extensions) == 2
	})
	wellKept(t, dsn)
}
