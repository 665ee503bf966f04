package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
	"ringmaster/store/ledger"
	"ringmaster/store/postgres"
	"ringmaster/testdata/demo"
)

// What money is measured with: accounts whose numbers are firstPayer and those that follow, and a number that each caller of them pays for.
const (
	payingAccounts = 10_000
	firstPayer     = 493_500_000_000
	paidNumber     = 498_006_000_000
	freeNumber     = 498_006_000_001
)

var moneyRows = []string{
	`INSERT INTO node (node) VALUES ('` + nodeName + `')`,
	`SELECT set_node_secret('` + nodeName + `', '` + nodeSecret + `')`,
	fmt.Sprintf(`INSERT INTO account (account, currency, credit_limit) SELECT 'bench_' || i, 'EUR', 1000000000 FROM generate_series(0, %d) AS i`, payingAccounts),
	fmt.Sprintf(`INSERT INTO account_number (number, account) SELECT (%d + i)::text, 'bench_' || i FROM generate_series(0, %d) AS i`, firstPayer, payingAccounts-1),
	`INSERT INTO service (service, subscriber, script) VALUES ('bench_paid', 'acme', 'split_charging'), ('bench_free', 'acme', 'freephone')`,
	`INSERT INTO service_parameter (service, parameter, value) SELECT 'bench_free', parameter, value FROM service_parameter WHERE service = 'acme_hotline'`,
	`INSERT INTO service_parameter (service, parameter, value) VALUES ('bench_paid', 'tariff', 'shared'), ('bench_paid', 'account', 'acme'), ('bench_paid', 'subscriber_per_mille', '0'), ('bench_paid', 'destination', '4930200120@office')`,
	fmt.Sprintf(`INSERT INTO service_number (number, service) VALUES ('%d', 'bench_paid'), ('%d', 'bench_free')`, paidNumber, freeNumber),
}

// pgbenchScript is one reservation as a transaction of its own: the statements that a batch of the ledger does, for one call.
const pgbenchScript = `\set account random(0, 9999)
BEGIN;
SELECT a.account, a.currency, a.state = 'active' AND (a.valid_to IS NULL OR a.valid_to > now()), (b.balance * 1000000)::bigint, (b.pending * 1000000)::bigint, (a.credit_limit * 1000000)::bigint
FROM account_balance b JOIN account a USING (account) WHERE b.account = 'bench_' || :account FOR UPDATE OF b;
WITH made AS (INSERT INTO reservation (call_id, node, charge, payer, account, amount, seconds, final, body, terms, expires_at, claims)
VALUES (gen_random_uuid()::text, 'node1', 1, 1, 'bench_' || :account, 6, 600, false, 7, '{}', clock_timestamp() + interval '1 hour', ARRAY['x']) ON CONFLICT DO NOTHING RETURNING account, amount)
UPDATE account_balance b SET pending = b.pending + m.amount FROM made m WHERE b.account = m.account;
INSERT INTO live_call (call_id, node, started_at) VALUES (gen_random_uuid()::text, 'node1', now()) ON CONFLICT DO NOTHING;
COMMIT;
`

// money measures what charging costs: reservations beside the same statements run by pgbench, one transaction for each call, on the same Postgres, which writes to disk; calls that are paid for, over HTTP; and calls that are not, while Postgres
// is frozen.
func (b *bench) money(ctx context.Context) error {
	folder := filepath.Join(b.folder, "pg-money")
	server, err := postgres.Start(ctx, postgres.Options{Dir: folder, Install: true, Progress: func(line string) { say("%s", line) },
		Settings: map[string]string{"max_wal_size": "4GB", "min_wal_size": "2GB", "shared_buffers": "256MB", "max_connections": "200"}})
	if err != nil {
		return err
	}
	defer server.Stop()
	dsn, err := b.database(ctx, server, "money")
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("couldn't connect to Postgres: %w", err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, demo.SQL); err != nil {
		return fmt.Errorf("couldn't write the demo carrier: %w", err)
	}
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { // services and their parameters belong together
		for _, sql := range moneyRows {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("%w in %s", err, sql)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if err := b.reservations(ctx, server, dsn); err != nil {
		return err
	}
	// A million calls that never end is what no carrier has.
	if _, err := conn.Exec(ctx, "SET ringmaster.booking = 'on'; TRUNCATE reservation, live_call; UPDATE account_balance SET pending = 0"); err != nil {
		return fmt.Errorf("couldn't forget the reservations: %w", err)
	}
	engine, err := b.serve(ctx, "money", dsn)
	if err != nil {
		return err
	}
	defer engine.stop()
	if err := b.chargedCalls(ctx, conn, engine); err != nil {
		return err
	}
	if err := b.frozen(ctx, server, engine); err != nil {
		return err
	}
	var wrong string
	if err := conn.QueryRow(ctx, "SELECT coalesce(string_agg(c::text, ', '), '') FROM (SELECT * FROM ledger_check LIMIT 10) AS c").Scan(&wrong); err != nil {
		return fmt.Errorf("couldn't check the books: %w", err)
	}
	if wrong != "" {
		return fmt.Errorf("the books are wrong after the thaw: %s", wrong)
	}
	say("the books are right")
	return nil
}

// reservations compares the ledger with one transaction for each call, on distinct accounts and on one.
func (b *bench) reservations(ctx context.Context, server *postgres.Server, dsn string) error {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return err
	}
	config.ConnConfig.RuntimeParams["ringmaster.booking"] = "on"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	l := ledger.New(ledger.Config{Pool: pool, Engine: "bench"})
	defer l.Close()
	var ours, theirs, hot []float64
	for round := range b.rounds {
		rate, err := b.reserve(ctx, l, func(n int64) string { return fmt.Sprint("bench_", n*7919%payingAccounts) })
		if err != nil {
			return err
		}
		one, err := b.reserve(ctx, l, func(int64) string { return fmt.Sprint("bench_", payingAccounts) })
		if err != nil {
			return err
		}
		other, err := b.pgbench(ctx, server)
		if err != nil {
			return err
		}
		say("money %d of %d: %.0f reservations/s on distinct accounts, %.0f on one; pgbench %.0f/s", round+1, b.rounds, rate, one, other)
		ours, hot, theirs = append(ours, rate), append(hot, one), append(theirs, other)
	}
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / theirs[i]
	}
	figure("charged_per_second", middle(slices.Clone(ours)), "reservations/s")
	figure("pgbench_per_second", middle(slices.Clone(theirs)), "transactions/s")
	figure("charged_over_pgbench", middle(ratios), "ratio")
	figure("hot_account_per_second", middle(hot), "reservations/s")
	return nil
}

// reserve has 64 callers ask for money, each again as soon as it is answered.
func (b *bench) reserve(ctx context.Context, l *ledger.Ledger, account func(n int64) string) (perSecond float64, err error) {
	var next, granted atomic.Int64
	var failed atomic.Pointer[error]
	began := time.Now()
	until := began.Add(b.length)
	var callers sync.WaitGroup
	price := tariff.Rate{PricePerMinute: 600_000, FirstIncrement: 1, FurtherIncrement: 1, RoundingUnit: 1}
	for range connections {
		callers.Go(func() {
			for time.Now().Before(until) && ctx.Err() == nil {
				n := next.Add(1)
				answer, err := l.Ask(ctx, &charging.Ask{Kind: charging.KindReserve, Reserve: charging.Reserve{
					Key: charging.Key{CallID: fmt.Sprintf("reserve-%d-%d", began.UnixNano(), n), Node: "node1", Number: 1}, Body: 7, Wanted: 600, Minimum: 1, Call: charging.Facts{Presentation: "allowed"},
					Terms: charging.Terms{Tariff: "bench", Rate: "bench. (1)", Number: "4930", Currency: "EUR", Price: price, Maximum: 3600, Payers: []charging.Party{{Account: account(n), Parts: charging.Whole}}}}})
				if err != nil || answer.State != charging.StateGranted {
					err = fmt.Errorf("a reservation was not granted: %+v, %w", answer, err)
					failed.Store(&err)
					return
				}
				granted.Add(1)
			}
		})
	}
	callers.Wait()
	if e := failed.Load(); e != nil {
		return 0, *e
	}
	return float64(granted.Load()) / time.Since(began).Seconds(), nil
}

var transactionsPerSecond = regexp.MustCompile(`tps = ([0-9.]+)`)

// findPgbench is the newest pgbench that Debian's packages hold, or the one on the path.
func findPgbench() (string, error) {
	debian, err := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if err != nil {
		return "", err
	}
	if len(debian) > 0 {
		return debian[len(debian)-1], nil
	}
	return exec.LookPath("pgbench")
}

// pgbench does the same one transaction at a time.
func (b *bench) pgbench(ctx context.Context, server *postgres.Server) (perSecond float64, err error) {
	program, err := findPgbench()
	if err != nil {
		return 0, err
	}
	script := filepath.Join(b.folder, "reserve.sql")
	if err := os.WriteFile(script, []byte(pgbenchScript), 0o644); err != nil {
		return 0, err
	}
	out, err := run(ctx, []string{"PGOPTIONS=-c ringmaster.booking=on"}, program, "-n", "-M", "prepared", "-c", fmt.Sprint(connections), "-j", "2",
		"-T", fmt.Sprint(max(int(b.length.Seconds()), 1)), "-f", script, server.DSN("money"))
	if err != nil {
		return 0, err
	}
	found := transactionsPerSecond.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("pgbench says nothing of its speed: %s", out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// callsTo asks for calls to called, each from the next of the accounts' numbers.
func (b *bench) callsTo(ctx context.Context, engine *process, called int64, length time.Duration, rate float64) (s sample, err error) {
	return b.ask(ctx, engine, fmt.Sprint(called), fmt.Sprintf("%d-%d", int64(firstPayer), int64(firstPayer+payingAccounts-1)), length, rate)
}

// chargedCalls measures call.start with money over HTTP: as many as can be, then half as many.
func (b *bench) chargedCalls(ctx context.Context, conn *pgx.Conn, engine *process) error {
	var most, half []sample
	for range b.rounds {
		s, err := b.callsTo(ctx, engine, paidNumber, b.length, 0)
		if err != nil {
			return err
		}
		most = append(most, s)
	}
	perSecond := func(s sample) float64 { return s.PerSecond * float64(s.Connects) / float64(s.Answers) }
	rate := median(most, perSecond) / 2
	// As in a Postgres that has run for a while: it goes on in the files of its log that were written before. To make a new one, every 16 MiB, takes 10 to 50 ms, in which nobody commits.
	// Nor is its catalog new, with hundreds of tables and a million rows that autovacuum sees for the first time, all at once.
	for _, sql := range []string{"VACUUM (ANALYZE)", "CHECKPOINT"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("couldn't %s: %w", sql, err)
		}
	}
	for range b.rounds {
		s, err := b.callsTo(ctx, engine, paidNumber, b.openLength, rate)
		if err != nil {
			return err
		}
		say("calls that are paid for: at %.0f/s p50 %.2f, p99 %.2f ms; %.1f %% refused (others %.0f %%)", rate, s.Latency.P50, s.Latency.P99, 100*float64(s.Answers-s.Connects)/float64(s.Answers), s.others*100)
		half = append(half, s)
	}
	figure("charged_start_per_second", 2*rate, "queries/s")
	figure("charged_start_p50_ms", median(half, func(s sample) float64 { return s.Latency.P50 }), "ms")
	figure("charged_start_p99_ms", median(half, func(s sample) float64 { return s.Latency.P99 }), "ms")
	return nil
}

// frozen measures calls for which nobody pays, before and while Postgres is frozen, with calls beside them that would be paid for.
func (b *bench) frozen(ctx context.Context, server *postgres.Server, engine *process) error {
	const free, paid = 1000, 50 // a second
	length := 30 * time.Second
	if b.short {
		length = 4 * time.Second
	}
	both := func() (s sample, err error) {
		paying := make(chan struct{})
		go func() {
			defer close(paying)
			// Most are refused while Postgres is frozen, which is what they should be: the answers are in time.
			_, _ = b.callsTo(ctx, engine, paidNumber, length, paid)
		}()
		s, err = b.callsTo(ctx, engine, freeNumber, length, free)
		<-paying
		return s, err
	}
	before, err := both()
	if err != nil {
		return err
	}
	server.Freeze()
	while, err := both()
	server.Thaw()
	if err != nil {
		return err
	}
	say("Postgres frozen for %v: p99 of free calls %.2f ms, before %.2f ms", length, while.Latency.P99, before.Latency.P99)
	figure("frozen_p99_ms", while.Latency.P99, "ms")
	figure("frozen_p99_ratio", while.Latency.P99/before.Latency.P99, "ratio")
	return nil
}
