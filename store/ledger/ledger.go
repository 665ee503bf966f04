package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/logic/call"
	"ringmaster/logic/charging"
	"ringmaster/store/ledger/heartbeat"
)

// Config is what a Ledger is made of.
type Config struct {
	Pool     *pgxpool.Pool
	Engine   string                // its name, for the log
	Registry prometheus.Registerer // gets the metrics; nil: nobody does
	Log      *slog.Logger
	Now      func() time.Time // time.Now where nil
}

// Ledger is the writer of one engine. Safe for concurrent use.
type Ledger struct {
	pool    *pgxpool.Pool
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time

	ends    *batcher[*ended]
	locked  stuckAccounts // of the writer of ends
	nodes   *batcher[heartbeat.Report]
	asks    *asker
	secrets *asker
	life    context.Context // of the writers
	stop    context.CancelFunc
	ended   sync.WaitGroup

	mu        sync.Mutex
	extending map[string]bool // nodes whose calls are being extended
}

// New starts the writers. Close them before the pool.
func New(c Config) *Ledger {
	l := &Ledger{pool: c.Pool, log: c.Log, metrics: newMetrics(c.Registry), now: c.Now, locked: make(stuckAccounts), extending: make(map[string]bool)}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.now == nil {
		l.now = time.Now
	}
	l.ends = newBatcher(queueCDR, l, l.writeEnds)
	l.nodes = newBatcher(queueNode, l, func(ctx context.Context, batch []heartbeat.Report) error {
		return heartbeat.Write(ctx, l.pool, keyedSQL, batch)
	})
	l.asks, l.secrets = newAsker(l, queueAsk, MaxBatch), newAsker(l, queueSecret, maxSecrets)
	ctx, stop := context.WithCancel(context.Background())
	l.life, l.stop = ctx, stop
	l.ended.Go(func() { l.ends.run(ctx) })
	l.ended.Go(func() { l.nodes.run(ctx) })
	l.ended.Go(func() { l.asks.run(ctx) })
	l.ended.Go(func() { l.asks.assist(ctx) })
	l.ended.Go(func() { l.secrets.run(ctx) })
	l.ended.Go(func() { l.asks.giveBack(ctx) })
	l.ended.Go(func() { l.reap(ctx) })
	return l
}

// Close ends the writers. Whoever still waits gets an error, and may not know whether the write is durable: doing it again,
// with any engine, is safe. Stop what calls the ledger first.
func (l *Ledger) Close() {
	l.mu.Lock() // nothing is begun after it
	l.stop()
	l.mu.Unlock()
	l.ended.Wait()
}

// End stores the CDR of a call that has ended, with its records, charges what it did cost, gives back what it held, and returns when all of that is durable, in one transaction. There is one CDR per
// call id and node: storing another does nothing and is no error. It returns what was charged, the first time and every time after. An error leaves it open whether it was stored, so
// the caller does it again: ErrInvalid in it says that this would be in vain, ErrQueueFull that Postgres is behind, ErrLocked that an operator keeps one of its accounts from everybody, and that of
// the context that the deadline came first.
func (l *Ledger) End(ctx context.Context, cdr call.CDR) ([]charging.Booked, error) {
	end := &ended{CDR: cdr}
	if err := l.ends.do(ctx, end); err != nil {
		return nil, fmt.Errorf("couldn't store the CDR of call %q: %w", cdr.CallID, err)
	}
	if end.locked {
		return nil, fmt.Errorf("couldn't store the CDR of call %q: %w", cdr.CallID, ErrLocked)
	}
	return end.booked, nil
}
