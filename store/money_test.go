package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// perSecond is a price of one cent a second.
var perSecond = tariff.Rate{PricePerMinute: 600_000, FirstIncrement: 1, FurtherIncrement: 1, RoundingUnit: 1}

// accounts makes an account each with so much money.
func accounts(t testing.TB, dsn string, money map[string]string) {
	t.Helper()
	for name, amount := range map[string]string(money) {
		if err := exec2(t, dsn, fmt.Sprintf("INSERT INTO account (account, currency) VALUES ('%s', 'EUR')", name)); err != nil {
			t.Fatal(err)
		}
		if amount != "" {
			if err := exec2(t, dsn, fmt.Sprintf("INSERT INTO adjustment (account, amount, reason) VALUES ('%s', %s, 'test')", name, amount)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func exec2(t testing.TB, dsn, sql string) error {
	t.Helper()
	conn, err := store.Connect(t.Context(), dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.PgConn().Exec(t.Context(), sql).ReadAll()
	return err
}

// payBy is what a call of an account is charged by.
func payBy(accounts ...string) charging.Terms {
	terms := charging.Terms{Tariff: "test", Rate: "test. (1)", Number: "4930", Currency: "EUR", Price: perSecond, Maximum: 86_400}
	for _, account := range accounts {
		terms.Payers = append(terms.Payers, charging.Party{Account: account, Parts: charging.Whole / int64(len(accounts))})
	}
	return terms
}

func reserve(callID string, terms charging.Terms, wanted, minimum int64) *charging.Ask {
	return &charging.Ask{Kind: charging.KindReserve, Reserve: charging.Reserve{Key: charging.Key{CallID: callID, Node: "node1", Number: 1}, Body: 7, Terms: terms, Wanted: wanted, Minimum: minimum,
		Call: charging.Facts{Called: "4930", Presentation: "allowed", StartedAt: began.UnixMilli()}}}
}

// over is the end of a call with one charge.
func over(callID string, talk time.Duration) logic.CDR {
	cdr := finished(callID)
	cdr.Held, cdr.Talk = true, talk
	if talk > 0 {
		cdr.Finished = []charging.Finished{{Number: 1, Talk: talk.Milliseconds()}}
	}
	return cdr
}

func askLedger(t *testing.T, l *store.Ledger, ask *charging.Ask) charging.Answer {
	t.Helper()
	answer, err := l.Ask(within(t), ask)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// wellKept checks that the books are right.
func wellKept(t *testing.T, dsn string) {
	t.Helper()
	if wrong := ask[int](t, dsn, "SELECT count(*) FROM ledger_check"); wrong > 0 {
		t.Errorf("ledger_check: %s", ask[string](t, dsn, "SELECT string_agg(invariant || ' ' || subject || ': ' || detail, E'\n') FROM ledger_check"))
	}
}

func balance(t *testing.T, dsn, account string) string {
	t.Helper()
	return ask[string](t, dsn, "SELECT concat(trim_scale(balance), ' ', trim_scale(pending)) FROM account_balance WHERE account = $1", account)
}

// TestACallIsReservedAndCharged: money is held while the call goes on, then it is charged for what it did cost, with its CDR.
func TestACallIsReservedAndCharged(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10", "provider": ""})
	l := newLedger(t, dsn)
	terms := payBy("anna")
	terms.Credit = charging.Party{Account: "provider", Parts: 600_000}
	answer := askLedger(t, l, reserve("call-1", terms, 300, 1))
	if answer.State != charging.StateGranted || answer.Seconds != 300 || answer.Final || answer.Account != "anna" {
		t.Fatalf("%+v", answer)
	}
	if got := balance(t, dsn, "anna"); got != "10 3" {
		t.Errorf("while it goes on: %s", got)
	}
	if again := askLedger(t, l, reserve("call-1", terms, 300, 1)); again != answer {
		t.Errorf("asked again: %+v", again)
	}
	other := reserve("call-1", terms, 300, 1)
	other.Reserve.Body++
	if got := askLedger(t, l, other); got.State != charging.StateConflict {
		t.Errorf("another call of that name: %+v", got)
	}
	wellKept(t, dsn)
	for range 2 {
		booked, err := l.End(within(t), over("call-1", 61_500*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%+v", booked); got != "[{Charge:1 Account:anna Amount:0.62 Currency:EUR Tariff:test Rate:test. (1) Seconds:62 Share:false} {Charge:1 Account:provider Amount:0.372 Currency:EUR Tariff:test Rate:test. (1) Seconds:62 Share:true}]" {
			t.Errorf("booked %s", got)
		}
	}
	if got := balance(t, dsn, "anna") + ", " + balance(t, dsn, "provider"); got != "9.38 0, 0.372 0" {
		t.Errorf("balances %s", got)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM live_call"); n > 0 {
		t.Errorf("%d live calls", n)
	}
	wellKept(t, dsn)
}

// TestNothingIsSpentTwice is the first thing that charging exists for: a thousand parallel calls on an account that has money for ten, with one engine and with three.
func TestNothingIsSpentTwice(t *testing.T) {
	t.Parallel()
	for _, engines := range []int{1, 3} {
		t.Run(fmt.Sprint(engines, " engines"), func(t *testing.T) {
			t.Parallel()
			dsn := storetest.Database(t)
			accounts(t, dsn, map[string]string{"anna": "6.000009"})
			var ledgers []*store.Ledger
			for range engines {
				ledgers = append(ledgers, newLedger(t, dsn))
			}
			var granted sync.Map
			var n atomic.Int64
			var wg sync.WaitGroup
			for i := range 1000 {
				wg.Go(func() {
					id := fmt.Sprint("call-", i)
					// Every call is asked for twice, at two engines: it counts once.
					for j := range 2 {
						answer, err := ledgers[(i+j)%engines].Ask(within(t), reserve(id, payBy("anna"), 60, 60))
						if err != nil {
							t.Error(err)
							return
						}
						if answer.State == charging.StateGranted {
							if _, again := granted.LoadOrStore(id, true); !again {
								n.Add(1)
							}
						}
					}
				})
			}
			wg.Wait()
			if n.Load() != 10 {
				t.Errorf("%d calls go through", n.Load())
			}
			if got := balance(t, dsn, "anna"); got != "6.000009 6" {
				t.Errorf("while they go on: %s", got)
			}
			wellKept(t, dsn)
			for i := range 1000 {
				id := fmt.Sprint("call-", i)
				talk := time.Duration(0)
				if _, ok := granted.Load(id); ok {
					talk = 60*time.Second + 400*time.Millisecond // cut by the node, a little late
				}
				wg.Go(func() {
					if _, err := ledgers[i%engines].End(within(t), over(id, talk)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if got := balance(t, dsn, "anna"); got != "0.000009 0" {
				t.Errorf("in the end: %s", got)
			}
			wellKept(t, dsn)
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1", "blocked": "1", "dollar": "1", "one": "100", "hour": "100", "home": "100", "nowhere": "100"})
	mustExec(t, dsn, `UPDATE account SET state = 'blocked' WHERE account = 'blocked'; UPDATE account SET maximum_calls = 1 WHERE account = 'one';
		UPDATE account SET spend_per_hour = 1 WHERE account = 'hour'; UPDATE account SET new_countries = false WHERE account IN ('home', 'nowhere'); INSERT INTO account_country VALUES ('home', '33');
		INSERT INTO account_number VALUES ('4930111', 'anna')`)
	l := newLedger(t, dsn)
	if got := askLedger(t, l, reserve("c-one", payBy("one"), 10, 1)); got.State != charging.StateGranted {
		t.Fatalf("%+v", got)
	}
	dollars := payBy("dollar")
	dollars.Currency = "USD"
	byNumber := payBy("")
	byNumber.Payers[0] = charging.Party{Number: "4930111", Parts: charging.Whole}
	for i, c := range []struct {
		terms   charging.Terms
		minimum int64
		want    string
	}{
		{payBy("nobody"), 1, "no_account"}, {payBy("blocked"), 1, "blocked"}, {dollars, 1, "currency"}, {payBy("anna"), 101, "no_money"}, {payBy("one"), 1, "too_many_calls"},
		{payBy("hour"), 101, "spend_per_hour"}, {payBy("home"), 1, "new_country"}, {payBy("nowhere"), 1, "new_country"}, {payBy("anna", "blocked"), 1, "blocked"}, {byNumber, 100, ""},
	} {
		got := askLedger(t, l, reserve(fmt.Sprint("c-", i), c.terms, 200, c.minimum))
		if string(got.Reason) != c.want || (got.State == charging.StateGranted) != (c.want == "") {
			t.Errorf("%d: %+v, want %q", i, got, c.want)
		}
	}
	if got := balance(t, dsn, "anna"); got != "1 1" {
		t.Errorf("anna %s", got)
	}
	wellKept(t, dsn)
}

// TestASplitAddsUp: two pay, each what is its part, and together the whole.
func TestASplitAddsUp(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10", "acme": "0.02"})
	l := newLedger(t, dsn)
	terms := payBy("anna", "acme")
	terms.Payers[0].Parts, terms.Payers[1].Parts = 666_667, 333_333
	answer := askLedger(t, l, reserve("call-1", terms, 300, 1))
	if answer.Seconds != 6 || !answer.Final {
		t.Errorf("%+v: acme has money for its third of 6 s", answer)
	}
	if _, err := l.End(within(t), over("call-1", 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := balance(t, dsn, "anna") + ", " + balance(t, dsn, "acme"); got != "9.966667 0, 0.003333 0" {
		t.Errorf("balances %s", got)
	}
	wellKept(t, dsn)
}

// TestAFollowOnCall: the first conversation is over when the second is asked for, and holds no more than it did cost.
func TestAFollowOnCall(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1"})
	l := newLedger(t, dsn)
	if got := askLedger(t, l, reserve("call-1", payBy("anna"), 3600, 1)); got.Seconds != 100 || !got.Final {
		t.Fatalf("%+v", got)
	}
	second := reserve("call-1", payBy("anna"), 3600, 1)
	second.Reserve.Key.Number = 2
	second.Reserve.Finished = []charging.Finished{{Number: 1, Talk: 30_000}}
	if got := askLedger(t, l, second); got.Seconds != 70 {
		t.Fatalf("%+v", got)
	}
	cdr := over("call-1", 30*time.Second)
	cdr.Finished = append(cdr.Finished, charging.Finished{Number: 2, Talk: 10_000})
	if _, err := l.End(within(t), cdr); err != nil {
		t.Fatal(err)
	}
	if got := balance(t, dsn, "anna"); got != "0.6 0" {
		t.Errorf("balance %s", got)
	}
	wellKept(t, dsn)
}

// TestWhatIsGrantedTooLateIsGivenBack: the caller has left when Postgres says yes.
func TestWhatIsGrantedTooLateIsGivenBack(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	proxy := storetest.NewProxy(t, dsn)
	l := newLedger(t, proxy.DSN())
	askLedger(t, l, reserve("warm", payBy("anna"), 1, 1))
	if _, err := l.End(within(t), over("warm", 0)); err != nil {
		t.Fatal(err)
	}
	proxy.Mute() // the answer of Postgres is lost, after it has done it or before
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if answer, err := l.Ask(short, reserve("late", payBy("anna"), 60, 1)); err == nil {
		t.Fatalf("%+v", answer)
	}
	proxy.Heal()
	proxy.Cut()
	await(t, func() bool {
		return ask[int](t, dsn, "SELECT count(*) FROM reservation WHERE call_id = 'late' AND state = 'voided'") > 0
	})
	if got := balance(t, dsn, "anna"); got != "10 0" {
		t.Errorf("balance %s", got)
	}
	wellKept(t, dsn)
	// Its end still makes one CDR, which costs nothing.
	if booked, err := l.End(within(t), over("late", 0)); err != nil || len(booked) > 0 {
		t.Errorf("%v, %v", booked, err)
	}
	wellKept(t, dsn)
}

// TestBlindCallsAreChargedWhenPostgresIsBack: what was allowed while the ledger was away is charged by the terms that the call brought along.
func TestBlindCallsAreChargedWhenPostgresIsBack(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "0.10"})
	l := newLedger(t, dsn)
	cdr := over("blind", 20*time.Second)
	cdr.Blind = []charging.Blind{{Number: 1, Granted: 60, Terms: payBy("anna")}}
	if _, err := l.End(within(t), cdr); err != nil {
		t.Fatal(err)
	}
	if got := balance(t, dsn, "anna") + ask[string](t, dsn, "SELECT flags::text FROM cdr WHERE call_id = 'blind'"); got != "-0.1 0{outage}" {
		t.Errorf("%s", got)
	}
	cdr = over("nobody", 20*time.Second)
	cdr.Blind = []charging.Blind{{Number: 1, Granted: 60, Terms: payBy("nobody")}}
	if _, err := l.End(within(t), cdr); err != nil {
		t.Fatal(err)
	}
	if got := ask[string](t, dsn, "SELECT concat(flags, charges ->> 0) FROM cdr WHERE call_id = 'nobody'"); got != `{outage,unpaid}{"rate": "test. (1)", "amount": "0.20", "charge": 1, "tariff": "test", "account": "", "seconds": 20, "currency": "EUR"}` {
		t.Errorf("%s", got)
	}
	wellKept(t, dsn)
}

// TestExcessIsChargedAndFlagged: a node that lets a call go on beyond what was granted.
func TestExcessIsChargedAndFlagged(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "0.10"})
	l := newLedger(t, dsn)
	askLedger(t, l, reserve("call-1", payBy("anna"), 3600, 1))
	if _, err := l.End(within(t), over("call-1", 12*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := balance(t, dsn, "anna") + ask[string](t, dsn, "SELECT flags::text FROM cdr"); got != "-0.02 0{excess}" {
		t.Errorf("%s", got)
	}
	wellKept(t, dsn)
}

// TestALostNode: its calls are closed at its last heartbeat, money and places come back once, and a late end makes one correction.
func TestALostNode(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	mustExec(t, dsn, "INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('one', 1)")
	l := newLedger(t, dsn)
	start := time.Now()
	if err := l.Register(within(t), "node1", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	askLedger(t, l, reserve("talks", payBy("anna"), 300, 1))
	askLedger(t, l, reserve("rings", payBy("anna"), 300, 1))
	askLedger(t, l, &charging.Ask{Kind: charging.KindLimit, Limit: charging.Limit{CallID: "talks", Node: "node1", Name: "one", Key: "k", Rule: charging.LimitRule{MaximumCalls: 1}, Call: charging.Facts{Presentation: "allowed"}}})
	if _, err := l.Heartbeat(within(t), "node1", "boot-1", 3, []charging.LiveCall{{CallID: "talks", AnsweredAt: start.Add(-30 * time.Second)}, {CallID: "rings"}, {CallID: "free"}}); err != nil {
		t.Fatal(err)
	}
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM cdr"); n > 0 {
		t.Fatalf("%d calls of a living node were closed", n)
	}
	mustExec(t, dsn, "UPDATE node_status SET last_seen = last_seen - interval '70 seconds'; UPDATE live_call SET answered_at = answered_at - interval '70 seconds', seen_at = seen_at - interval '70 seconds', started_at = started_at - interval '2 minutes'")
	if err := l.Reap(within(t), false); err != nil {
		t.Fatal(err)
	}
	if got := ask[string](t, dsn, "SELECT state FROM node_status"); got != "suspect" || ask[int](t, dsn, "SELECT count(*) FROM cdr") > 0 {
		t.Errorf("just after an outage: %s", got)
	}
	for range 2 {
		if err := l.Reap(within(t), true); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask[string](t, dsn, "SELECT string_agg(call_id || ' ' || outcome || ' ' || talk_ms / 1000, ', ' ORDER BY call_id) FROM cdr"); got != "free node_lost 0, rings node_lost 0, talks node_lost 30" {
		t.Errorf("closed: %s", got)
	}
	charged := ask[string](t, dsn, "SELECT charges -> 0 ->> 'amount' FROM cdr WHERE call_id = 'talks'")
	if charged != "0.31" && charged != "0.30" { // and the milliseconds until the heartbeat was stored
		t.Errorf("charged %s", charged)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM limit_place WHERE released_at IS NULL") + ask[int](t, dsn, "SELECT count(*) FROM live_call"); n > 0 {
		t.Errorf("%d things are still held", n)
	}
	wellKept(t, dsn)
	for range 2 { // the node was only cut off: the call went on for another half minute
		if _, err := l.End(within(t), over("talks", 60*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if got := balance(t, dsn, "anna"); got != "9.4 0" {
		t.Errorf("after the correction: %s", got)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM cdr_correction"); n != 1 {
		t.Errorf("%d corrections", n)
	}
	wellKept(t, dsn)
}

// TestExtension: a conversation that goes on beyond what was granted gets more, as long as there is money.
func TestExtension(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "30"})
	l := newLedger(t, dsn)
	if err := l.Register(within(t), "node1", "b", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	askLedger(t, l, reserve("long", payBy("anna"), 600, 1))
	beat := func(talked time.Duration) string {
		t.Helper()
		extensions, err := l.Heartbeat(within(t), "node1", "b", 1, []charging.LiveCall{{CallID: "long", AnsweredAt: time.Now().Add(-talked)}})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(extensions)
	}
	for _, c := range []struct {
		talked time.Duration
		want   string
		holds  string
	}{
		{400 * time.Second, "[]", "30 6"}, {490 * time.Second, "[{long 1 2400 false}]", "30 24"}, {495 * time.Second, "[{long 1 2400 false}]", "30 24"}, {2300 * time.Second, "[{long 1 3000 true}]", "30 30"},
		{2950 * time.Second, "[{long 1 3000 true}]", "30 30"},
	} {
		if got := beat(c.talked); got != c.want || balance(t, dsn, "anna") != c.holds {
			t.Errorf("after %v: %s, holding %s; want %s, %s", c.talked, got, balance(t, dsn, "anna"), c.want, c.holds)
		}
	}
	if _, err := l.End(within(t), over("long", 3000*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := balance(t, dsn, "anna"); got != "0 0" {
		t.Errorf("in the end: %s", got)
	}
	wellKept(t, dsn)
}

// TestTheBooksAreRefusedToBeChanged: with advice.
func TestTheBooksAreRefusedToBeChanged(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	for _, sql := range []string{"UPDATE account_balance SET balance = 100", "UPDATE ledger_entry SET amount = 100", "DELETE FROM ledger_entry", "UPDATE adjustment SET amount = 100", "UPDATE cdr SET talk_ms = 0",
		"UPDATE account SET currency = 'USD'", "UPDATE account SET credit_limit = -1", "INSERT INTO adjustment (account, amount, reason) VALUES ('anna', -11, 'x')", "INSERT INTO adjustment (account, amount, reason) VALUES ('anna', 1, ' ')",
		"INSERT INTO account (account, currency) VALUES ('x', 'euro')"} {
		for _, who := range []string{dsn, as(t, dsn, "operator")} {
			if text := refusal(t, exec(t, who, sql)); text == "" {
				t.Errorf("%s is taken", sql)
			}
		}
	}
	mustExec(t, as(t, dsn, "operator"), "INSERT INTO adjustment (account, amount, reason) VALUES ('anna', -4, 'paid back')")
	if got := balance(t, dsn, "anna"); got != "6 0" {
		t.Errorf("balance %s", got)
	}
	wellKept(t, dsn)
}

// TestFrozenPostgresAndMoney: while Postgres is frozen callers are told within their deadline, and after the thaw the books are exact.
func TestFrozenPostgresAndMoney(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1000"})
	proxy := storetest.NewProxy(t, dsn)
	l := newLedger(t, proxy.DSN())
	askLedger(t, l, reserve("before", payBy("anna"), 10, 1))
	proxy.Mute()
	var wg sync.WaitGroup
	var told atomic.Int64
	for i := range 500 {
		wg.Go(func() {
			time.Sleep(rand.N(300 * time.Millisecond)) // they come over time, not all at once
			ctx, cancel := context.WithTimeout(t.Context(), 22*time.Millisecond)
			defer cancel()
			if _, err := l.Ask(ctx, reserve(fmt.Sprint("frozen-", i), payBy("anna"), 10, 1)); errors.Is(err, context.DeadlineExceeded) || err != nil {
				told.Add(1)
			}
		})
	}
	wg.Wait()
	if told.Load() != 500 {
		t.Errorf("%d of 500 were told", told.Load())
	}
	proxy.Heal()
	proxy.Cut()
	await(t, func() bool {
		answer, err := l.Ask(within(t), reserve("after", payBy("anna"), 10, 1))
		return err == nil && answer.State == charging.StateGranted
	})
	await(t, func() bool { return balance(t, dsn, "anna") == "1000 0.2" })
	wellKept(t, dsn)
}
