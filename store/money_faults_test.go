package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// nth is reserve for a later charge of a call.
func nth(callID string, number int, terms charging.Terms, wanted, minimum int64, finished ...charging.Finished) *charging.Ask {
	a := reserve(callID, terms, wanted, minimum)
	a.Reserve.Key.Number, a.Reserve.Finished = number, finished
	return a
}

// place asks for a place in a limit with one key.
func place(callID, limit string, rule charging.LimitRule) *charging.Ask {
	return &charging.Ask{Kind: charging.KindLimit, Limit: charging.Limit{CallID: callID, Node: "node1", Name: limit, Key: "k", Rule: rule,
		Call: charging.Facts{Presentation: "allowed", StartedAt: began.UnixMilli()}}}
}

func endLedger(t *testing.T, l *store.Ledger, cdr logic.CDR) []charging.Booked {
	t.Helper()
	booked, err := l.End(within(t), cdr)
	if err != nil {
		t.Fatal(err)
	}
	return booked
}

// queued is how many writes of a queue wait or are under way.
func queued(t *testing.T, registry *prometheus.Registry, queue string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "ringmaster_store_queue_depth" {
			continue
		}
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == queue {
				return m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// measured is a ledger whose metrics can be read.
func measured(t *testing.T, dsn string) (*store.Ledger, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Engine: "test", Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	l := s.NewLedger()
	t.Cleanup(l.Close)
	return l, registry
}

// TestOneAccountMayPayBothParts: caller and called are customers of one account. It is charged once for both parts, and not beyond what it has.
func TestOneAccountMayPayBothParts(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"acme": "0.10"})
	l := newLedger(t, dsn)
	terms := payBy("acme", "acme")
	if got := askLedger(t, l, reserve("call-1", terms, 300, 1)); got.Seconds != 10 || !got.Final {
		t.Errorf("%+v: there is money for 10 s", got)
	}
	if got := balance(t, dsn, "acme"); got != "0.1 0.1" {
		t.Errorf("while it goes on: %s", got)
	}
	if got := askLedger(t, l, reserve("call-2", terms, 300, 1)); got.Reason != charging.ReasonNoMoney {
		t.Errorf("with all of it held: %+v", got)
	}
	endLedger(t, l, over("call-1", 7*time.Second))
	if got := balance(t, dsn, "acme"); got != "0.03 0" {
		t.Errorf("in the end: %s", got)
	}
	wellKept(t, dsn)
}

// TestTheFirstEndOfABatchCounts: a node sends two ends of one call, which differ, and one transaction stores both.
func TestTheFirstEndOfABatchCounts(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l, registry := measured(t, dsn)
	for i := range 4 { // which of the two comes first is chance
		id := fmt.Sprint("call-", i)
		askLedger(t, l, reserve(id, payBy("anna"), 60, 1))
		conn := dial(t, dsn)
		if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE cdr IN EXCLUSIVE MODE"); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		send := func(cdr logic.CDR) {
			ctx := within(t)
			wg.Go(func() {
				if _, err := l.End(ctx, cdr); err != nil {
					t.Error(err)
				}
			})
		}
		send(over(id+"-before", 0)) // keeps the writer while the two come
		await(t, func() bool { return queued(t, registry, "cdr") == 1 })
		send(over(id, 0))
		send(over(id, 30*time.Second))
		await(t, func() bool { return queued(t, registry, "cdr") == 3 })
		if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
	}
	wellKept(t, dsn)
	if n := ask[int](t, dsn, "SELECT count(*) FROM reservation WHERE state = 'pending'"); n > 0 {
		t.Errorf("%d reservations are pending", n)
	}
}

// TestAnAskThatComesAfterTheEnd: an engine that was frozen asks for a call that has fallen back and ended meanwhile.
func TestAnAskThatComesAfterTheEnd(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	fallback := over("call-1", 0)
	fallback.Outcome, fallback.Held = logic.CallFallback, false
	endLedger(t, l, fallback)
	if answer, err := l.Ask(within(t), reserve("call-1", payBy("anna"), 60, 1)); err == nil && answer.State == charging.StateGranted {
		t.Errorf("%+v", answer)
	}
	if answer, err := l.Ask(within(t), place("call-1", "one", charging.LimitRule{MaximumCalls: 1})); err == nil && answer.State == charging.StateGranted {
		t.Errorf("%+v", answer)
	}
	if got := balance(t, dsn, "anna"); got != "10 0" {
		t.Errorf("balance %s", got)
	}
	wellKept(t, dsn)
}

// TestWhatAnEndedCallStillHoldsIsGivenBack: the end was stored between the look of an ask and its commit.
func TestWhatAnEndedCallStillHoldsIsGivenBack(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	askLedger(t, l, reserve("call-1", payBy("anna"), 60, 1))
	askLedger(t, l, place("call-1", "one", charging.LimitRule{MaximumCalls: 1}))
	// As it would be left by that race.
	mustExec(t, dsn, `INSERT INTO cdr (call_id, node, outcome, started_at, ended_at) VALUES ('call-1', 'node1', 'fallback', now(), now());
		UPDATE live_call SET seen_at = seen_at - interval '10 minutes'`)
	for range 2 {
		if err := l.Reap(within(t), true); err != nil {
			t.Fatal(err)
		}
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM live_call"); n > 0 {
		t.Errorf("%d live calls have ended", n)
	}
	if got := balance(t, dsn, "anna"); got != "10 0" {
		t.Errorf("balance %s", got)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM cdr_correction"); n > 0 {
		t.Errorf("%d corrections", n)
	}
	wellKept(t, dsn)
}

// TestAPlaceThatWasGivenBackIsNotHad: the first answer came too late and its place went back; whoever asks again is not told that the call has it.
func TestAPlaceThatWasGivenBackIsNotHad(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	mustExec(t, dsn, "INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('one', 1)")
	l := newLedger(t, dsn)
	one := charging.LimitRule{MaximumCalls: 1}
	askLedger(t, l, place("call-1", "one", one))
	mustExec(t, dsn, "UPDATE limit_place SET released_at = now(), claims = '{}'")
	askLedger(t, l, place("call-2", "one", one))
	if got, err := l.Ask(within(t), place("call-1", "one", one)); err == nil && got.State == charging.StateGranted {
		t.Errorf("%+v, and call-2 has the only place", got)
	}
	wellKept(t, dsn)
}

// TestATryThatIsSentTwiceCountsOnce: an agent that hears nothing asks another engine.
func TestATryThatIsSentTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1"})
	mustExec(t, dsn, "INSERT INTO card (card, account) VALUES ('8912340001', 'anna'); SELECT set_card_pin('8912340001', '4711')")
	ledgers := []*store.Ledger{newLedger(t, dsn), newLedger(t, dsn)}
	try := func(l *store.Ledger, call, pin string, n int) charging.Answer {
		return askLedger(t, l, &charging.Ask{Kind: charging.KindSecret, Secret: charging.Secret{CallID: call, Node: "n", Card: "8912340001", PIN: pin, Caller: "4930", Try: n}})
	}
	for i := range 6 {
		if got := try(ledgers[i%2], "c-1", "0000", 1); got.Reason != charging.ReasonWrong {
			t.Errorf("the first try, sent %d times: %+v", i+1, got)
		}
	}
	try(ledgers[0], "c-1", "0001", 2)
	if got := try(ledgers[1], "c-1", "4711", 3); got.State != charging.StateGranted {
		t.Errorf("the third try: %+v", got)
	}
	// A try with another PIN under an old number is a try of its own: else one call could guess without end.
	for i := range 3 {
		try(ledgers[i%2], "c-2", fmt.Sprint("100", i), 1)
	}
	if got := try(ledgers[0], "c-2", "4711", 1); got.Reason != charging.ReasonLocked {
		t.Errorf("guessing under one number: %+v", got)
	}
}

// TestAnEndWithoutSessionWantsALook: people talked, and money was held, but what for, nobody can tell any more.
func TestAnEndWithoutSessionWantsALook(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	for id, talk := range map[string]time.Duration{"talked": 5 * time.Second, "silent": 0, "unknown": 5 * time.Second} {
		if id != "unknown" {
			askLedger(t, l, reserve(id, payBy("anna"), 60, 1))
		}
		end := finished(id)
		end.Outcome, end.Talk, end.AnsweredAt, end.Held = logic.CallFallback, talk, time.Time{}, false
		endLedger(t, l, end)
	}
	if got := ask[string](t, dsn, "SELECT string_agg(concat_ws(' ', call_id, flags), ', ' ORDER BY call_id) FROM cdr"); got != "silent {}, talked {unpaid}, unknown {}" {
		t.Errorf("flags: %s", got)
	}
	if got := balance(t, dsn, "anna"); got != "10 0" {
		t.Errorf("balance %s", got)
	}
	wellKept(t, dsn)
}

// TestABlindCallOfALostNode: its node was closed while it went on, on terms that only it knows. Its late end charges it.
func TestABlindCallOfALostNode(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "boot-1", 80, 2, []charging.LiveCall{{CallID: "blind"}, {CallID: "free"}}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, "UPDATE node_status SET last_seen = last_seen - interval '70 seconds'")
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
	late := over("blind", 20*time.Second)
	late.Blind = []charging.Blind{{Number: 1, Granted: 60, Terms: payBy("anna")}}
	for range 2 {
		if told := endLedger(t, l, late); len(told) != 1 || told[0].Amount != "0.20" {
			t.Errorf("its node is told of %v", told)
		}
		endLedger(t, l, finished("free"))
	}
	if got := balance(t, dsn, "anna"); got != "9.8 0" {
		t.Errorf("balance %s", got)
	}
	if got := ask[string](t, dsn, "SELECT string_agg(call_id || ' ' || talk_ms, ', ' ORDER BY call_id) FROM cdr_correction"); got != "blind 20000, free 42000" {
		t.Errorf("corrections: %s", got)
	}
	wellKept(t, dsn)
}

// TestARestartedNode: of the calls that it carried before, each gets its record, whether it holds money or not.
func TestARestartedNode(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	askLedger(t, l, reserve("paid", payBy("anna"), 60, 1))
	if _, err := l.Heartbeat(within(t), "node1", "boot-1", 2, []charging.LiveCall{{CallID: "paid"}, {CallID: "free"}, {CallID: "ended"}}); err != nil {
		t.Fatal(err)
	}
	endLedger(t, l, finished("ended"))
	mustExec(t, dsn, `UPDATE node_status SET last_seen = last_seen - interval '30 seconds', registered_at = registered_at - interval '1 hour';
		UPDATE live_call SET seen_at = seen_at - interval '30 seconds', started_at = started_at - interval '30 seconds'`)
	if err := l.Register(within(t), "node1", "boot-2", 80, 1, []charging.LiveCall{{CallID: "new"}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Reap(within(t), true); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask[string](t, dsn, "SELECT string_agg(call_id || ' ' || outcome, ', ' ORDER BY call_id) FROM cdr"); got != "ended answered, free node_lost, paid node_lost" {
		t.Errorf("records: %s", got)
	}
	if got := balance(t, dsn, "anna"); got != "10 0" {
		t.Errorf("balance %s", got)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM live_call"); n > 0 {
		t.Errorf("%d live calls", n)
	}
	wellKept(t, dsn)
}

// TestAnAccountWithOneCallMayGoOn: its call's next conversation is not another call.
func TestAnAccountWithOneCallMayGoOn(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	mustExec(t, dsn, "UPDATE account SET maximum_calls = 1, spend_per_hour = 1 WHERE account = 'anna'")
	l := newLedger(t, dsn)
	if got := askLedger(t, l, reserve("call-1", payBy("anna"), 100, 1)); got.Seconds != 100 {
		t.Fatalf("%+v", got)
	}
	if got := askLedger(t, l, nth("call-1", 2, payBy("anna"), 100, 1, charging.Finished{Number: 1, Talk: 30_000})); got.Seconds != 70 {
		t.Errorf("the next conversation: %+v; of 1 that may be spent within an hour 0.30 is", got)
	}
	if got := askLedger(t, l, reserve("call-2", payBy("anna"), 10, 1)); got.Reason != charging.ReasonTooManyCalls {
		t.Errorf("another call: %+v", got)
	}
	wellKept(t, dsn)
}

// TestAnEarlierChargeOfAnotherAccountShrinksToo: caller and callee pay for one conversation each.
func TestAnEarlierChargeOfAnotherAccountShrinksToo(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10", "bert": "10"})
	l := newLedger(t, dsn)
	askLedger(t, l, reserve("call-1", payBy("anna"), 100, 1))
	askLedger(t, l, nth("call-1", 2, payBy("bert"), 100, 1, charging.Finished{Number: 1, Talk: 30_000}))
	if got := balance(t, dsn, "anna") + ", " + balance(t, dsn, "bert"); got != "10 0.3, 10 1" {
		t.Errorf("held: %s", got)
	}
	wellKept(t, dsn)
}

// TestAnExtensionThatGotLost: the node hears of it with the next heartbeat.
func TestAnExtensionThatGotLost(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "30"})
	ledgers := []*store.Ledger{newLedger(t, dsn), newLedger(t, dsn)}
	if err := ledgers[0].Register(within(t), "node1", "b", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	askLedger(t, ledgers[0], reserve("long", payBy("anna"), 600, 1))
	for i := range 2 {
		extensions, err := ledgers[i].Heartbeat(within(t), "node1", "b", 1, []charging.LiveCall{{CallID: "long", AnsweredAt: time.Now().Add(-490 * time.Second)}})
		if err != nil || fmt.Sprint(extensions) != "[{long 1 2400 false}]" {
			t.Errorf("heartbeat %d: %v, %v", i, extensions, err)
		}
	}
	if got := balance(t, dsn, "anna"); got != "30 24" {
		t.Errorf("held: %s", got)
	}
}

// TestClocksThatAreWrong: an engine with a wrong clock closes no calls, and a node with a wrong clock makes no conversation longer than the call.
func TestClocksThatAreWrong(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "100"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "b", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	fresh := reserve("call-1", payBy("anna"), 7200, 1)
	fresh.Reserve.Call.StartedAt = time.Now().UnixMilli()
	askLedger(t, l, fresh)
	if _, err := l.Heartbeat(within(t), "node1", "b", 1, []charging.LiveCall{{CallID: "call-1", AnsweredAt: time.Now().Add(-time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, "UPDATE node_status SET last_seen = last_seen - interval '70 seconds'; UPDATE live_call SET started_at = started_at - interval '100 seconds', seen_at = seen_at - interval '70 seconds'")
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
	if talk := ask[int64](t, dsn, "SELECT talk_ms FROM cdr"); talk < 30_000 || talk > 60_000 {
		t.Errorf("talked %d ms, of a call that lasted some 30 s", talk)
	}
	wellKept(t, dsn)
}

// TestOneBadAskSpoilsNoOther: it cannot be written at all.
func TestOneBadAskSpoilsNoOther(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	var wg sync.WaitGroup
	for i := range 50 {
		ctx := within(t)
		wg.Go(func() {
			if answer, err := l.Ask(ctx, reserve(fmt.Sprint("good-", i), payBy("anna"), 1, 1)); err != nil || answer.State != charging.StateGranted {
				t.Errorf("%+v, %v", answer, err)
			}
		})
		if i%10 == 0 {
			wg.Go(func() {
				if answer, err := l.Ask(ctx, reserve(fmt.Sprint("bad-", i), payBy("an\x00na"), 1, 1)); err == nil && answer.State == charging.StateGranted {
					t.Errorf("%+v", answer)
				}
			})
		}
	}
	wg.Wait()
	// What is given back is not held up by the bad ones either.
	short, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = l.Ask(short, reserve("late", payBy("anna"), 60, 1))
	await(t, func() bool { return balance(t, dsn, "anna") == "10 0.5" })
	wellKept(t, dsn)
}

// TestReplyLostAfterCommit: Postgres has taken it, and cannot say so. The caller is told that nothing is held, and so it is.
func TestReplyLostAfterCommit(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	proxy := storetest.NewProxy(t, dsn)
	l := newLedger(t, proxy.DSN())
	askLedger(t, l, reserve("warm", payBy("anna"), 1, 1))
	endLedger(t, l, over("warm", 0))
	for i := range 10 { // the connection goes deaf at different steps of the transaction
		ctx, cancel := context.WithTimeout(t.Context(), 22*time.Millisecond)
		go func() {
			<-proxy.Dropped()
			proxy.Heal()
			proxy.Cut()
		}()
		proxy.Deafen()
		if _, err := l.Ask(ctx, reserve(fmt.Sprint("lost-", i), payBy("anna"), 60, 1)); err == nil {
			t.Error("told though the answer was lost")
		}
		cancel()
		await(t, func() bool {
			answer, err := l.Ask(within(t), reserve(fmt.Sprint("probe-", i, "-", time.Now().UnixNano()), payBy("anna"), 60, 60_000))
			return err == nil && answer.Reason == charging.ReasonNoMoney
		})
	}
	await(t, func() bool { return balance(t, dsn, "anna") == "10 0" })
	wellKept(t, dsn)
}

// TestFrozenServerAndMoney: Postgres itself stands still under load. Callers are told within their deadline, and after the thaw the books are exact, though it commits then what it had been told to.
func TestFrozenServerAndMoney(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	dsn := server.DSN("postgres")
	if err := store.Migrate(t.Context(), dsn, nil); err != nil {
		t.Fatal(err)
	}
	accounts(t, dsn, map[string]string{"anna": "800", "bert": "800"})
	l, registry := measured(t, dsn)
	var granted sync.Map
	var wg sync.WaitGroup
	stop := make(chan struct{})
	told := make(chan struct{}, 1)
	for worker := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("w%d-%d", worker, i)
				ctx, cancel := context.WithTimeout(t.Context(), 22*time.Millisecond)
				answer, err := l.Ask(ctx, reserve(id, payBy([]string{"anna", "bert"}[i%2]), 1, 1))
				cancel()
				if err == nil && answer.State == charging.StateGranted {
					granted.Store(id, true)
				} else {
					select {
					case told <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	await(t, func() bool { return ask[int](t, dsn, "SELECT count(*) FROM reservation") > 50 })
	for range 3 {
		server.Freeze()
		for range 50 {
			<-told
		}
		server.Thaw()
		await(t, func() bool { // a day costs more than there is
			answer, err := l.Ask(within(t), reserve(fmt.Sprint("probe-", time.Now().UnixNano()), payBy("anna"), 1, 86_400))
			return err == nil && answer.State == charging.StateRefused
		})
	}
	close(stop)
	wg.Wait()
	n := 0
	granted.Range(func(any, any) bool { n++; return true })
	await(t, func() bool {
		return queued(t, registry, "ask") == 0 && ask[int](t, dsn, "SELECT count(*) FROM reservation WHERE state = 'pending'") == n
	})
	wellKept(t, dsn)
	granted.Range(func(id, _ any) bool {
		endLedger(t, l, over(id.(string), time.Second))
		return true
	})
	if got, want := ask[string](t, dsn, "SELECT concat(trim_scale(1600 - sum(balance)), ' ', trim_scale(sum(pending))) FROM account_balance"), fmt.Sprintf("%d.%02d 0", n/100, n%100); trimmed(got) != trimmed(want) {
		t.Errorf("spent %s, want %s", got, want)
	}
	wellKept(t, dsn)
}

// trimmed makes figures alike that differ in zeros at their end.
func trimmed(figures string) string {
	var amount, pending float64
	fmt.Sscan(figures, &amount, &pending)
	return fmt.Sprintf("%.6f %.6f", amount, pending)
}

// TestAnEndSentManyTimesAtOnceIsToldTheSame: those that share a transaction, too, are told what was charged, and not twice of it.
func TestAnEndSentManyTimesAtOnceIsToldTheSame(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "100"})
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Engine: "told"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := s.NewLedger()
	defer l.Close()
	askLedger(t, l, reserve("call-1", payBy("anna"), 60, 1))
	want := fmt.Sprint(endLedger(t, l, over("call-1", 10*time.Second)))
	var again sync.WaitGroup
	for range 64 {
		again.Go(func() {
			booked, err := l.End(within(t), over("call-1", 10*time.Second))
			if got := fmt.Sprint(booked); err != nil || got != want {
				t.Errorf("told %s, %v; want %s", got, err, want)
			}
		})
	}
	again.Wait()
	wellKept(t, dsn)
}
