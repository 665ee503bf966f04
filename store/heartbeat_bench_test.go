package store_test

import (
	"fmt"
	"testing"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/store/storetest"
)

// BenchmarkHeartbeat is what the heartbeat of a node costs whose callers all talk, each on a reservation of its own: of one as full as it gets, and of the most calls that a heartbeat may name. The floor is that of a node
// without calls.
func BenchmarkHeartbeat(b *testing.B) {
	for _, calls := range []int{0, 110, 1024} {
		b.Run(fmt.Sprint(calls), func(b *testing.B) {
			dsn := storetest.Database(b)
			accounts(b, dsn, map[string]string{"anna": "100000"})
			l := open(b, dsn).NewLedger()
			defer l.Close()
			if err := l.Register(b.Context(), "node1", "boot-1", 80, 0, nil); err != nil {
				b.Fatal(err)
			}
			var live []charging.LiveCall
			for i := range calls {
				ask := reserve(fmt.Sprint("call-", i), payBy("anna"), 3600, 1)
				if answer, err := l.Ask(b.Context(), ask); err != nil || answer.State != charging.StateGranted {
					b.Fatalf("%+v, %v", answer, err)
				}
				live = append(live, charging.LiveCall{CallID: ask.Reserve.Key.CallID, AnsweredAt: time.Now(), Talk: time.Second})
			}
			for b.Loop() {
				if _, err := l.Heartbeat(b.Context(), "node1", "boot-1", calls, live); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
