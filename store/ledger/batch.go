package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Limits of a queue of writes.
const (
	MaxQueue   = 4096                    // writes that may wait; more are refused at once
	MaxBatch   = 256                     // writes that share a transaction
	writeFirst = 1500 * time.Millisecond // for a transaction; after that its outcome is unknown and it is done again, with twice the time
	writeLast  = 12 * time.Second        // at most
	retryFirst = 20 * time.Millisecond   // before a failed transaction is done again; doubles
	retryLast  = 500 * time.Millisecond  // at most
)

// ErrQueueFull is in the error for a write that came while MaxQueue others waited for Postgres.
var ErrQueueFull = errors.New("too many writes wait for Postgres")

// ErrInvalid is in the error for a write that Postgres can never take.
var ErrInvalid = errors.New("Postgres refuses the values")

// errClosed is in the error for a write that came after Close.
var errClosed = errors.New("the store is closed")

// waiting is a write whose caller waits.
type waiting[T any] struct {
	ctx  context.Context // the caller's: after its end nobody waits any more
	item T
	done chan error // one error, buffered
}

// batcher makes concurrent writes share transactions: callers wait on a channel, and one goroutine writes all that waits
// at once, with one connection. So a slow commit makes the next batch bigger instead of the line longer.
type batcher[T any] struct {
	name    string
	queue   chan *waiting[T]
	write   func(ctx context.Context, items []T) error // all or nothing, and doing it again does nothing
	reset   func()                                     // drops the connections that are there
	log     *slog.Logger
	metrics *metrics
}

func newBatcher[T any](name string, l *Ledger, write func(context.Context, []T) error) *batcher[T] {
	return &batcher[T]{name: name, queue: make(chan *waiting[T], MaxQueue), write: write, reset: l.pool.Reset, log: l.log, metrics: l.metrics}
}

// do returns when the write is durable, refused, or the context has ended: then it may or may not become durable.
func (b *batcher[T]) do(ctx context.Context, item T) error {
	w := &waiting[T]{ctx, item, make(chan error, 1)}
	b.depth(+1)
	select {
	case b.queue <- w:
	default:
		b.depth(-1)
		b.metrics.refused.WithLabelValues(b.name, "full").Inc()
		return ErrQueueFull
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		b.metrics.late.WithLabelValues(b.name).Inc()
		return ctx.Err()
	}
}

// depth counts writes in and out: those in the queue and those under way.
func (b *batcher[T]) depth(change int) {
	b.metrics.queueDepth.WithLabelValues(b.name).Add(float64(change))
}

// run writes until the context has ended, and then tells everybody who still waits.
func (b *batcher[T]) run(ctx context.Context) {
	batch := make([]*waiting[T], 0, MaxBatch)
	for {
		select {
		case <-ctx.Done():
			b.refuseAll()
			return
		case w := <-b.queue:
			batch = append(batch[:0], w)
		}
		for more := true; more && len(batch) < MaxBatch; {
			select {
			case w := <-b.queue:
				batch = append(batch, w)
			default:
				more = false
			}
		}
		b.finish(ctx, batch)
	}
}

func (b *batcher[T]) refuseAll() {
	for {
		select {
		case w := <-b.queue:
			b.answer([]*waiting[T]{w}, errClosed)
		default:
			return
		}
	}
}

// finish writes a batch, again and again while anybody waits for it.
func (b *batcher[T]) finish(ctx context.Context, batch []*waiting[T]) {
	pause, patience := retryFirst, writeFirst
	for try := 0; ; try++ {
		batch = b.stillThere(batch)
		if len(batch) == 0 {
			return
		}
		err := b.commit(ctx, batch, patience)
		switch {
		case err == nil:
			if try > 0 {
				b.log.Info("writes to Postgres go on", "queue", b.name, "tries", try+1)
			}
			b.answer(batch, nil)
			return
		case ctx.Err() != nil:
			b.answer(batch, fmt.Errorf("%w while the write was under way: %w", errClosed, err))
			return
		case isInvalid(err) && len(batch) > 1:
			// One of them is bad: the others must not suffer for it.
			for i := range batch {
				b.finish(ctx, batch[i:i+1:i+1])
			}
			return
		case isInvalid(err):
			b.metrics.refused.WithLabelValues(b.name, "invalid").Inc()
			b.log.Error("Postgres refuses a write for good", "queue", b.name, "error", err)
			b.answer(batch, fmt.Errorf("%w: %w", ErrInvalid, err))
			return
		}
		b.metrics.retries.WithLabelValues(b.name).Inc()
		if isDead(err) {
			b.reset()
		}
		if try == 0 {
			b.log.Warn("a write to Postgres failed and is done again", "queue", b.name, "writes", len(batch), "error", err)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
		}
		pause, patience = min(2*pause, retryLast), min(2*patience, writeLast)
	}
}

func (b *batcher[T]) commit(ctx context.Context, batch []*waiting[T], patience time.Duration) error {
	items := make([]T, len(batch))
	for i, w := range batch {
		items[i] = w.item
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	begun := time.Now()
	if err := b.write(ctx, items); err != nil {
		return err
	}
	b.metrics.batchSize.WithLabelValues(b.name).Observe(float64(len(batch)))
	b.metrics.commits.WithLabelValues(b.name).Observe(time.Since(begun).Seconds())
	return nil
}

// stillThere drops the writes that nobody waits for.
func (b *batcher[T]) stillThere(batch []*waiting[T]) []*waiting[T] {
	kept := batch[:0]
	for _, w := range batch {
		if w.ctx.Err() == nil {
			kept = append(kept, w)
		}
	}
	b.depth(len(kept) - len(batch))
	return kept
}

func (b *batcher[T]) answer(batch []*waiting[T], err error) {
	b.depth(-len(batch))
	for _, w := range batch {
		w.done <- err
	}
}

// isInvalid reports whether Postgres will refuse the same values for ever: SQLSTATE classes 22 (data exception), 23
// (integrity constraint violation) and 0A (feature not supported: NaN is no integer).
func isInvalid(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code[:2] == "22" || pg.Code[:2] == "23" || pg.Code[:2] == "0A")
}

// isDead reports whether connections that were made before are of no use: this one didn't answer, or it leads to a server that is
// not the primary any more.
func isDead(err error) bool {
	var pg *pgconn.PgError
	return !errors.As(err, &pg) || pg.Code == "25006" // read_only_sql_transaction
}
