package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"ringmaster/store"
	"ringmaster/store/storetest"
	"ringmaster/testdata/demo"
)

// carrierDatabase has 1,000,000 numbers of 100,000 services.
func carrierDatabase(b *testing.B) string {
	dsn := storetest.Database(b)
	conn, err := store.Connect(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	// Without the checks at COMMIT, which look at each row: these rows are good.
	for _, sql := range []string{demo.SQL, `SET session_replication_role = replica;
		INSERT INTO service (service, subscriber, script) SELECT 'bulk_' || i, 'acme', 'freephone' FROM generate_series(0, 99999) AS i;
		INSERT INTO service_parameter SELECT 'bulk_' || i, parameter, value FROM generate_series(0, 99999) AS i, service_parameter WHERE service = 'acme_freephone';
		INSERT INTO service_number SELECT (4980100000000 + i)::text, 'exact', 'bulk_' || i % 100000 FROM generate_series(1, 1000000) AS i;
		INSERT INTO translation_table VALUES ('bulk');
		INSERT INTO translation SELECT 'bulk', 'bulk_' || i, '4930', 'office' FROM generate_series(1, 1000000) AS i;
		UPDATE service_parameter SET value = 'bulk' WHERE parameter = 'offices' AND service IN (SELECT 'bulk_' || i FROM generate_series(0, 9) AS i);
		RESET session_replication_role`, `VACUUM ANALYZE`} {
		if _, err := conn.PgConn().Exec(b.Context(), sql).ReadAll(); err != nil {
			b.Fatal(err)
		}
	}
	return dsn
}

// BenchmarkEditToLive measures from the operator's COMMIT to the first call that can be decided by it, for edits of several kinds.
func BenchmarkEditToLive(b *testing.B) {
	dsn := carrierDatabase(b)
	file := filepath.Join(b.TempDir(), "config")
	s, err := store.Open(b.Context(), store.Config{DSN: dsn, Engine: "bench", SnapshotFile: file})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	f := s.NewFeed(time.LoadLocation)
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	defer wg.Wait()
	defer stop()
	begun := time.Now()
	if err := f.Wait(ctx, 1); err != nil {
		b.Fatal(err)
	}
	b.Logf("first load %v", time.Since(begun))
	conn, err := store.Connect(ctx, dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(context.Background())
	n := 0
	for _, c := range []struct{ name, sql string }{
		{"number", "UPDATE service_number SET service = 'bulk_%d' WHERE number = '4980100000007'"},
		{"parameter", "UPDATE service_parameter SET value = '4930%d@office' WHERE service = 'bulk_7' AND parameter = 'second_office'"},
		{"translation", "UPDATE translation SET value = '4930%d' WHERE translation_table = 'bulk' AND key = 'bulk_7'"},
		{"calendar_of_all", "UPDATE calendar_window SET opens_at = '08:00'::time + interval '%d seconds' WHERE calendar = 'office_hours'"},
		{"script_of_all", "UPDATE script_parameter SET default_value = '%d' WHERE script = 'freephone' AND parameter = 'ring_seconds'"},
		{"node", "INSERT INTO node (node) VALUES ('n%d') ON CONFLICT (node) DO UPDATE SET capacity = mod(node.capacity, 100) + 1"},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				n++
				if _, err := conn.Exec(ctx, fmt.Sprintf(c.sql, 10+n%50)); err != nil {
					b.Fatal(err)
				}
				begun := time.Now()
				var revision int64
				if err := conn.QueryRow(ctx, "SELECT revision FROM config_revision").Scan(&revision); err != nil {
					b.Fatal(err)
				}
				if err := f.Wait(ctx, revision); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
		})
	}
	b.Run("start_without_postgres", func(b *testing.B) {
		stop()
		wg.Wait()
		for b.Loop() {
			away, err := store.Open(b.Context(), store.Config{DSN: nowhere, Engine: "bench", SnapshotFile: file})
			if err != nil {
				b.Fatal(err)
			}
			f, ctx := away.NewFeed(time.LoadLocation), b.Context()
			ctx, cancel := context.WithCancel(ctx)
			wg.Go(func() { _ = f.Run(ctx) })
			if err := f.Wait(ctx, 1); err != nil {
				b.Fatal(err)
			}
			cancel()
			wg.Wait()
			away.Close()
		}
		if info, err := os.Stat(file); err == nil {
			b.ReportMetric(float64(info.Size())/1e6, "file-MB")
		}
	})
}
