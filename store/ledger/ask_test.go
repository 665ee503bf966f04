package ledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/store/ledger/pace"
)

// TestWhoHasNoTimeMakesRoom: asks that a transaction cannot serve in time are told so at once, and those behind them are served.
func TestWhoHasNoTimeMakesRoom(t *testing.T) {
	for _, c := range []struct {
		name    string
		left    []time.Duration // of the asks in the queue, first to last
		allowed int
		want    []int // which are served
	}{
		{"all have time", []time.Duration{time.Minute, time.Minute}, 8, []int{0, 1}},
		{"the oldest have none", []time.Duration{time.Second, time.Second, time.Minute, time.Minute}, 8, []int{2, 3}},
		{"one between", []time.Duration{time.Minute, time.Second, time.Minute}, 8, []int{0, 2}},
		{"no more than share a transaction", []time.Duration{time.Second, time.Minute, time.Minute, time.Minute}, 2, []int{1, 2}},
		{"nobody has time: the last is tried", []time.Duration{time.Second, time.Second, 2 * time.Second}, 8, []int{2}},
		{"nobody waits", []time.Duration{-time.Second, -time.Second}, 8, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &Ledger{metrics: newMetrics(nil)}
			r := runner{asker: newAsker(l, queueAsk, MaxBatch)}
			r.share = pace.Expect(c.allowed, 10*time.Second)
			all := make([]*asked, len(c.left))
			for i, left := range c.left {
				ctx, cancel := context.WithTimeout(t.Context(), left)
				defer cancel()
				all[i] = &asked{Ask: &charging.Ask{}, ctx: ctx, done: make(chan struct{})}
				r.queue <- all[i]
			}
			batch := r.gather([]*asked{<-r.queue})
			served := make(map[*asked]bool)
			for _, p := range batch {
				served[p] = true
			}
			if len(batch) != len(c.want) {
				t.Errorf("%d asks are served, want %d", len(batch), len(c.want))
			}
			for _, i := range c.want {
				if !served[all[i]] {
					t.Errorf("ask %d is not served", i)
				}
			}
			for i, p := range all[:len(all)-len(r.queue)] {
				select {
				case <-p.done:
					if served[p] || !p.overdue || p.state.Load() != askAbandoned {
						t.Errorf("ask %d was told, and was served", i)
					}
				default:
					if !served[p] {
						t.Errorf("ask %d is neither served nor told", i)
					}
				}
			}
		})
	}
}

// TestWhoHasGoneIsNotAsked: a caller that gave up before its deadline costs no transaction.
func TestWhoHasGoneIsNotAsked(t *testing.T) {
	l := &Ledger{metrics: newMetrics(nil)}
	r := runner{asker: newAsker(l, queueAsk, MaxBatch)}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	one := func(ctx context.Context) *asked {
		return &asked{Ask: &charging.Ask{}, ctx: ctx, done: make(chan struct{})}
	}
	waits := one(t.Context())
	r.queue <- waits
	r.queue <- one(gone)
	if batch := r.gather([]*asked{one(gone)}); len(batch) != 1 || batch[0] != waits {
		t.Errorf("%d asks go on, want the one that waits", len(batch))
	}
}

// TestOverdueIsNoAnswer: whoever is dropped learns why.
func TestOverdueIsNoAnswer(t *testing.T) {
	l := &Ledger{metrics: newMetrics(nil)}
	l.asks = newAsker(l, queueAsk, MaxBatch)
	go func() { l.asks.drop(<-l.asks.queue) }()
	if _, err := l.Ask(t.Context(), &charging.Ask{}); !errors.Is(err, ErrOverdue) {
		t.Errorf("got %v", err)
	}
}
