package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ringmaster/store"
	"ringmaster/store/ledger"
	"ringmaster/store/postgres"
	"ringmaster/store/storetest"
)

// await polls a condition that the outside world makes true.
func await(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatal("it didn't come true")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// end runs End in the background.
func end(t *testing.T, l *store.Ledger, id string) <-chan error {
	done := make(chan error, 1)
	ctx := within(t)
	go func() { done <- ended(l.End(ctx, finished(id))) }()
	return done
}

// The network fails before Postgres has the CDR, and after it has it but could not say so.
func TestCDRSurvivesALostConnectionNotStoredAndNotTold(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	proxy := storetest.NewProxy(t, dsn)
	l := newLedger(t, proxy.DSN())
	if _, err := l.End(within(t), finished("warm")); err != nil { // a connection is there
		t.Fatal(err)
	}

	proxy.Mute()
	done := end(t, l, "not-stored")
	<-proxy.Dropped()
	if n := ask[int](t, dsn, "SELECT count(*) FROM cdr WHERE call_id = 'not-stored'"); n != 0 {
		t.Fatal("the CDR was stored")
	}
	proxy.Heal()
	proxy.Cut()
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	proxy.Deafen()
	done = end(t, l, "not-told")
	await(t, func() bool { return ask[int](t, dsn, "SELECT count(*) FROM cdr WHERE call_id = 'not-told'") == 1 })
	select {
	case err := <-done:
		t.Fatalf("acknowledged (%v) though Postgres could not say so", err)
	default:
	}
	proxy.Heal()
	proxy.Cut()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	oneEach(t, dsn, "warm", "not-stored", "not-told")
}

// The connections die without a word; new ones work.
func TestCDRFindsAWayAroundSilentConnections(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	proxy := storetest.NewProxy(t, dsn)
	l := newLedger(t, proxy.DSN())
	if _, err := l.End(within(t), finished("warm")); err != nil {
		t.Fatal(err)
	}
	proxy.Silence()
	if err := <-end(t, l, "silent"); err != nil {
		t.Fatal(err)
	}
	oneEach(t, dsn, "warm", "silent")
}

func TestCDRSurvivesAKilledBackend(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	l := newLedger(t, dsn)
	conn := dial(t, dsn)
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE cdr IN EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	done := end(t, l, "killed")
	await(t, func() bool { // in the middle of its INSERT
		return ask[int](t, dsn, `SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'ringmaster test' AND wait_event_type = 'Lock') AS killed`) == 1
	})
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	oneEach(t, dsn, "killed")
}

// Every acknowledged CDR is found after Postgres was killed and has recovered, and what was not acknowledged becomes so.
func TestCDRsSurviveAKilledServer(t *testing.T) {
	t.Parallel()
	dir, err := storetest.Dir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	options := storetest.Options(filepath.Join(dir, "pg"))
	server, err := postgres.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	dsn := server.DSN("postgres")
	if err := store.Migrate(t.Context(), dsn, nil); err != nil {
		t.Fatal(err)
	}
	l := newLedger(t, dsn)
	var wg sync.WaitGroup
	var ids []string
	half := make(chan struct{}, 400)
	for worker := range 8 {
		for i := range 50 {
			ids = append(ids, fmt.Sprintf("w%d-%d", worker, i))
		}
		mine := ids[len(ids)-50:]
		ctx := within(t)
		wg.Go(func() {
			for _, id := range mine {
				if _, err := l.End(ctx, finished(id)); err != nil {
					t.Error(err)
				}
				half <- struct{}{}
			}
		})
	}
	for range 100 {
		<-half
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if server, err = postgres.Start(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	oneEach(t, dsn, ids...)
}

// A frozen Postgres keeps nobody longer than his deadline, and the queue is bounded.
func TestFrozenServerKeepsNobodyBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	dsn := server.DSN("postgres")
	if err := store.Migrate(t.Context(), dsn, nil); err != nil {
		t.Fatal(err)
	}
	l := newLedger(t, dsn)
	if _, err := l.End(within(t), finished("before")); err != nil {
		t.Fatal(err)
	}
	server.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := l.End(ctx, finished("frozen")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	full := 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	crowd, leave := context.WithCancel(t.Context())
	for i := range store.MaxQueue + 2*store.MaxBatch {
		wg.Go(func() {
			if _, err := l.End(crowd, finished(fmt.Sprint("crowd-", i))); errors.Is(err, ledger.ErrQueueFull) {
				mu.Lock()
				defer mu.Unlock()
				if full++; full == store.MaxBatch {
					leave()
				}
			}
		})
	}
	wg.Wait()
	leave()
	server.Thaw()
	for _, id := range []string{"frozen", "after"} {
		// The dead are still in the queue; a node sends again, and so does this.
		await(t, func() bool {
			err := <-end(t, l, id)
			if err != nil && !errors.Is(err, ledger.ErrQueueFull) {
				t.Fatal(err)
			}
			return err == nil
		})
	}
	oneEach(t, dsn, "before", "frozen", "after")
}
