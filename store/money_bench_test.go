package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// BenchmarkReserve reserves money with 64 askers at once, on a server that really writes to disk: each of an account of its own, or all of one. Most accounts have no part in it.
func BenchmarkReserve(b *testing.B) {
	for _, c := range []struct {
		name    string
		account func(asker int, n int64) string
	}{
		{"distinct", func(asker int, n int64) string { return fmt.Sprintf("a%d", (n*64+int64(asker))%50_000) }},
		{"hot", func(int, int64) string { return "a0" }},
		{"hot with caps", func(int, int64) string { return "capped" }},
	} {
		b.Run(c.name, func(b *testing.B) {
			server := storetest.Durable(b)
			dsn := server.DSN("postgres")
			if err := store.Migrate(b.Context(), dsn, nil); err != nil {
				b.Fatal(err)
			}
			for _, sql := range []string{
				"INSERT INTO account (account, currency, credit_limit) SELECT 'a' || i, 'EUR', 1000000 FROM generate_series(0, 49999) AS i",
				"INSERT INTO account (account, currency, credit_limit, maximum_calls, spend_per_hour, spend_per_day) VALUES ('capped', 'EUR', 1000000, 1000000, 1000000, 1000000)",
				"ANALYZE",
			} {
				if err := exec2(b, dsn, sql); err != nil {
					b.Fatal(err)
				}
			}
			s, err := store.Open(b.Context(), store.Config{DSN: dsn, Engine: "bench"})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			l := s.NewLedger()
			defer l.Close()
			var next atomic.Int64
			var wg sync.WaitGroup
			var mu sync.Mutex
			var took []time.Duration
			b.ResetTimer()
			begun := time.Now()
			for asker := range 64 {
				wg.Go(func() {
					var mine []time.Duration
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						asked := time.Now()
						answer, err := l.Ask(context.Background(), reserve(fmt.Sprint("bench-", n), payBy(c.account(asker, n)), 60, 1))
						if err != nil || answer.State != charging.StateGranted {
							b.Errorf("%+v, %v", answer, err)
							return
						}
						mine = append(mine, time.Since(asked))
					}
					mu.Lock()
					took = append(took, mine...)
					mu.Unlock()
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "reservations/s")
			slices.Sort(took)
			if len(took) > 0 {
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			}
		})
	}
}

// BenchmarkEndCharged ends calls that hold money, with 64 callers at once.
func BenchmarkEndCharged(b *testing.B) {
	server := storetest.Durable(b)
	dsn := server.DSN("postgres")
	if err := store.Migrate(b.Context(), dsn, nil); err != nil {
		b.Fatal(err)
	}
	if err := exec2(b, dsn, "INSERT INTO account (account, currency, credit_limit) SELECT 'a' || i, 'EUR', 1000000 FROM generate_series(0, 999) AS i"); err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), store.Config{DSN: dsn, Engine: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	l := s.NewLedger()
	defer l.Close()
	each := func(do func(n int64)) {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
					do(n)
				}
			})
		}
		wg.Wait()
	}
	each(func(n int64) {
		if answer, err := l.Ask(context.Background(), reserve(fmt.Sprint("bench-", n), payBy(fmt.Sprint("a", n%1000)), 60, 1)); err != nil || answer.State != charging.StateGranted {
			b.Errorf("%+v, %v", answer, err)
		}
	})
	b.ResetTimer()
	begun := time.Now()
	each(func(n int64) {
		if _, err := l.End(context.Background(), over(fmt.Sprint("bench-", n), 30*time.Second)); err != nil {
			b.Error(err)
		}
	})
	b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "ends/s")
}
