package store_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"ringmaster/logic"
	"ringmaster/store"
	"ringmaster/store/storetest"
	"ringmaster/testdata/demo"
)

// bigDatabase has so many numbers, of a thousand services.
func bigDatabase(b *testing.B, numbers int) string {
	dsn := storetest.Database(b)
	conn, err := store.Connect(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	for _, sql := range []string{demo.SQL, fmt.Sprintf(`
		INSERT INTO service (service, subscriber, script) SELECT 'bulk_' || i, 'acme', 'freephone' FROM generate_series(0, 999) AS i;
		INSERT INTO service_parameter SELECT 'bulk_' || i, parameter, value FROM generate_series(0, 999) AS i, service_parameter WHERE service = 'acme_freephone';
		INSERT INTO service_number SELECT (4980100000000 + i)::text, 'exact', 'bulk_' || i %% 1000 FROM generate_series(1, %d) AS i`, numbers)} {
		if _, err := conn.PgConn().Exec(b.Context(), sql).ReadAll(); err != nil {
			b.Fatal(err)
		}
	}
	return dsn
}

// BenchmarkLoad reads the operators' tables, and says what compiling them takes beside it.
func BenchmarkLoad(b *testing.B) {
	for _, numbers := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(numbers), func(b *testing.B) {
			s, err := store.Open(b.Context(), store.Config{DSN: bigDatabase(b, numbers), Engine: "bench"})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var compiling time.Duration
			for b.Loop() {
				rows, err := s.Load(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				if len(rows.ServiceNumbers) < numbers {
					b.Fatalf("%d numbers", len(rows.ServiceNumbers))
				}
				begun := time.Now()
				if _, problems := logic.Compile(rows, nil, time.LoadLocation); len(problems) > 0 {
					b.Fatal(problems[0])
				}
				compiling += time.Since(begun)
			}
			b.ReportMetric(compiling.Seconds()/float64(b.N), "compile-s/op")
		})
	}
}

// BenchmarkEnd stores CDRs with 64 callers at once, on a server that really writes to disk.
func BenchmarkEnd(b *testing.B) {
	server := storetest.Durable(b)
	dsn := server.DSN("postgres")
	if err := store.Migrate(b.Context(), dsn, nil); err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), store.Config{DSN: dsn, Engine: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	l := s.NewLedger()
	defer l.Close()
	var next atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.End(context.Background(), finished(fmt.Sprint("bench-", next.Add(1)))); err != nil {
				b.Error(err)
			}
		}
	})
}
