package ledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"ringmaster/logic/charging"
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
			a := newAsker(l, queueAsk, MaxBatch)
			a.share = pace{allowed: c.allowed, expected: 10 * time.Second}
			all := make([]*asked, len(c.left))
			for i, left := range c.left {
				ctx, cancel := context.WithTimeout(t.Context(), left)
				defer cancel()
				all[i] = &asked{Ask: &charging.Ask{}, ctx: ctx, done: make(chan struct{})}
				a.queue <- all[i]
			}
			batch := a.gather([]*asked{<-a.queue})
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
			for i, p := range all[:len(all)-len(a.queue)] {
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
	a := newAsker(l, queueAsk, MaxBatch)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	one := func(ctx context.Context) *asked {
		return &asked{Ask: &charging.Ask{}, ctx: ctx, done: make(chan struct{})}
	}
	waits := one(t.Context())
	a.queue <- waits
	a.queue <- one(gone)
	if batch := a.gather([]*asked{one(gone)}); len(batch) != 1 || batch[0] != waits {
		t.Errorf("%d asks go on, want the one that waits", len(batch))
	}
}

// TestPace: transactions that take too long are shared by fewer, quick ones by more, within bounds.
func TestPace(t *testing.T) {
	var p pace
	for range 50 {
		p.took(p.most(MaxBatch), MaxBatch, 2*batchAim)
	}
	if p.most(MaxBatch) != batchLeast {
		t.Errorf("%d share a slow transaction, want %d", p.most(MaxBatch), batchLeast)
	}
	p.took(1, MaxBatch, time.Millisecond)
	if p.most(MaxBatch) != batchLeast {
		t.Error("a transaction that few wanted says nothing of how many may share it")
	}
	for range 100 {
		p.took(p.most(MaxBatch), MaxBatch, time.Millisecond)
	}
	if p.most(MaxBatch) != MaxBatch || p.expected > 2*time.Millisecond {
		t.Errorf("%d share a quick transaction, that should take %v", p.most(MaxBatch), p.expected)
	}
	var secrets pace
	for range 50 {
		secrets.took(secrets.most(maxSecrets), maxSecrets, 2*batchAim)
	}
	if secrets.most(maxSecrets) != maxSecrets/4 {
		t.Errorf("%d slow PINs share a transaction, want %d", secrets.most(maxSecrets), maxSecrets/4)
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
