package ledger_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/store/ledger"
	"ringmaster/store/storetest"
)

// TestAPlaceIsNotGivenBackUnderAnAnswer: two engines were asked about the same call. The answer of the first came too late; what it took is given back while the second one's transaction has read that the call has a place, and has not
// yet written that its answer holds it too.
func TestAPlaceIsNotGivenBackUnderAnAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	pool, err := pgxpool.New(ctx, storetest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	exec := func(sql string) {
		t.Helper()
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO account (account, currency, credit_limit) VALUES ('anna', 'EUR', 10)`)
	exec(`CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.08); RETURN NULL; END $$`)
	exec(`CREATE TRIGGER take_long AFTER INSERT ON reservation FOR EACH STATEMENT EXECUTE FUNCTION take_long()`)
	late, second := ledger.New(ledger.Config{Pool: pool}), ledger.New(ledger.Config{Pool: pool})
	defer late.Close()
	defer second.Close()
	place := func(callID, limit string) *charging.Ask {
		return &charging.Ask{Kind: charging.KindLimit, Limit: charging.Limit{CallID: callID, Node: "node1", Name: limit, Key: "k", Rule: charging.LimitRule{MaximumCalls: 1},
			Call: charging.Facts{Presentation: "allowed", StartedAt: time.Now().UnixMilli()}}}
	}
	if got, err := late.Ask(ctx, place("call-1", "one")); err != nil || got.State != charging.StateGranted {
		t.Fatalf("%+v, %v", got, err)
	}
	var claim string
	if err := pool.QueryRow(ctx, "SELECT claims[1] FROM limit_place WHERE call_id = 'call-1'").Scan(&claim); err != nil {
		t.Fatal(err)
	}

	// Somebody holds up an ask of the second engine, so that the two behind it share a transaction: one of them takes long to write.
	held, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('decoy k', 7))"); err != nil {
		t.Fatal(err)
	}
	var got charging.Answer
	var asks sync.WaitGroup
	asks.Go(func() { _, _ = second.Ask(ctx, place("decoy", "decoy")) })
	time.Sleep(20 * time.Millisecond)
	asks.Go(func() {
		_, _ = second.Ask(ctx, &charging.Ask{Kind: charging.KindReserve, Reserve: charging.Reserve{Key: charging.Key{CallID: "slow", Node: "node1", Number: 1}, Wanted: 60, Minimum: 1,
			Call:  charging.Facts{Presentation: "allowed", StartedAt: time.Now().UnixMilli()},
			Terms: charging.Terms{Tariff: "t", Number: "4930", Currency: "EUR", Price: tariff.Rate{PricePerMinute: 600_000, FirstIncrement: 1, FurtherIncrement: 1, RoundingUnit: 1}, Maximum: 3600, Payers: []charging.Party{{Account: "anna", Parts: charging.Whole}}}}})
	})
	asks.Go(func() { got, _ = second.Ask(ctx, place("call-1", "one")) })
	time.Sleep(20 * time.Millisecond)
	if err := held.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	time.Sleep(40 * time.Millisecond)                                                                          // the second engine has read, and writes
	for err = late.GiveBackPlace(ctx, "call-1", "node1", "one", "k", claim); err != nil && ctx.Err() == nil; { // it waits no longer than for an account
		err = late.GiveBackPlace(ctx, "call-1", "node1", "one", "k", claim)
	}
	asks.Wait()
	var kept bool
	if err := pool.QueryRow(ctx, "SELECT released_at IS NULL FROM limit_place WHERE call_id = 'call-1'").Scan(&kept); err != nil {
		t.Fatal(err)
	}
	if granted := got.State == charging.StateGranted; granted != kept {
		t.Errorf("the second engine said that the call is admitted: %v; it has its place: %v", granted, kept)
	}
}
