package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/logic/charging"
	"ringmaster/store/ledger/pace"
)

// Times of what calls ask for. Callers wait some 20 ms; the transaction that they share may take longer, but not so long that a Postgres that does not
// answer keeps the runner from noticing that it answers again.
const (
	askTimeout   = 250 * time.Millisecond // for a transaction, unless a caller has more time
	stuckFor     = 5 * time.Second        // how long nobody waits again for an account that somebody kept locked
	stuckPause   = 5 * time.Millisecond   // before what only waits for such accounts is tried again
	probeTimeout = 500 * time.Millisecond // for the question whether Postgres is there again
	probePause   = 100 * time.Millisecond // between two of them
	helpFrom     = 16                     // so many wait before a second transaction is begun beside the one under way
)

// maxSecrets is how many PINs one transaction looks at: hashing one takes a millisecond or two.
const maxSecrets = 16

// ErrAway is in the error of what is asked while Postgres does not answer.
var ErrAway = errors.New("Postgres does not answer")

// ErrLocked is in the error of what needs an account that somebody else keeps locked: an open transaction, in psql most likely.
var ErrLocked = errors.New("another session keeps an account locked")

// ErrOverdue is in the error of what is asked when no transaction could be done before the caller's deadline.
var ErrOverdue = errors.New("there is no time left to take it")

// How the caller of an ask and the runner agree on who goes first.
const (
	askWaits     int32 = iota
	askAnswered        // the runner was first: the caller has its answer
	askAbandoned       // the caller was first: what is granted is given back
)

// asked is an ask whose caller waits.
type asked struct {
	*charging.Ask
	ctx     context.Context
	state   atomic.Int32
	answer  charging.Answer
	err     error
	done    chan struct{}
	took    bool   // something is held for it
	partly  bool   // what it was granted could not be held, or not all of it
	overdue bool   // dropped: there was no time left for it
	stuck   bool   // an account that it needs is locked by somebody else
	claim   string // by which what is held is known as its
}

// asker does what all callers ask for, in shared transactions.
type asker struct {
	ledger *Ledger
	name   string // of the queue
	most   int    // asks that may share a transaction
	queue  chan *asked
	help   chan struct{} // more wait than one runner will have taken soon
	away   atomic.Bool

	mu    sync.Mutex
	voids []void        // to be given back
	wake  chan struct{} // something is

	engine string        // unlike that of any other ledger, so that claims are
	claims atomic.Uint64 // made so far
}

// maxVoids is how many reservations may wait to be given back. Those beyond expire by themselves.
const maxVoids = 65_536

func newAsker(l *Ledger, name string, most int) *asker {
	return &asker{ledger: l, name: name, most: most, queue: make(chan *asked, MaxQueue), help: make(chan struct{}, 1), wake: make(chan struct{}, 1), engine: strconv.FormatUint(rand.Uint64(), 36)}
}

// Ask takes what a call asks for: money, a place in a limit, a try of a secret, or a look at a balance. What it grants is durable. When ctx ends first, what is granted later is given back, and so is
// what a transaction may have taken whose outcome is unknown. On an error nothing is held.
func (l *Ledger) Ask(ctx context.Context, ask *charging.Ask) (charging.Answer, error) {
	a := l.asks
	if ask.Kind == charging.KindSecret {
		a = l.secrets // so that whoever guesses PINs keeps no money waiting
	}
	fail := func(err error) (charging.Answer, error) {
		return charging.Answer{}, fmt.Errorf("couldn't ask for what a call needs: %w", err)
	}
	if a.away.Load() {
		return fail(ErrAway)
	}
	p := &asked{Ask: ask, ctx: ctx, done: make(chan struct{}), claim: a.engine + "." + strconv.FormatUint(a.claims.Add(1), 36)}
	select {
	case a.queue <- p:
		l.metrics.queueDepth.WithLabelValues(a.name).Inc()
		if len(a.queue) >= helpFrom {
			select {
			case a.help <- struct{}{}:
			default:
			}
		}
	default:
		l.metrics.refused.WithLabelValues(a.name, "full").Inc()
		return fail(ErrQueueFull)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if p.state.CompareAndSwap(askWaits, askAbandoned) {
			l.metrics.late.WithLabelValues(a.name).Inc()
			return fail(ctx.Err())
		}
		<-p.done
	}
	if p.overdue {
		l.metrics.late.WithLabelValues(a.name).Inc()
		return fail(ErrOverdue)
	}
	if p.err != nil {
		return fail(p.err)
	}
	return p.answer, nil
}

// runner does what is asked, one transaction after the other.
type runner struct {
	*asker
	share pace.Pace     // how many asks share a transaction now
	stuck stuckAccounts // that it found locked
}

// run answers until the context has ended.
func (a *asker) run(ctx context.Context) {
	r := runner{asker: a, stuck: make(stuckAccounts)}
	for {
		select {
		case <-ctx.Done():
			for len(a.queue) > 0 {
				a.finish([]*asked{<-a.queue}, errClosed)
			}
			return
		case p := <-a.queue:
			r.take(ctx, p)
		}
	}
}

// assist is a second runner, which begins another transaction when the first one has so much to do that many wait. With little to do one is better: what waits for it shares the next transaction.
func (a *asker) assist(ctx context.Context) {
	r := runner{asker: a, stuck: make(stuckAccounts)}
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.help:
		}
		for len(a.queue) >= helpFrom {
			select {
			case p := <-a.queue:
				r.take(ctx, p)
			default:
			}
		}
	}
}

// take answers an ask, with those that can share its transaction.
func (r *runner) take(ctx context.Context, p *asked) {
	if batch := r.gather([]*asked{p}); len(batch) > 0 {
		r.attempt(ctx, batch)
	}
}

// gather adds to a batch what is there to be asked, as much as should share a transaction. It drops those whose callers have gone, or will have gone before the transaction is done: what it
// would take for them had only to be given back, and an engine that is asked for more than it can do would in the end do nothing for anybody. One goes on in any case, so that a Postgres
// that has become faster is noticed.
func (r *runner) gather(batch []*asked) []*asked {
	until := time.Now().Add(r.share.Expected())
	hasTime := func(p *asked) bool {
		deadline, has := p.ctx.Deadline()
		return p.ctx.Err() == nil && (!has || deadline.After(until))
	}
	for len(batch) < r.share.Most(r.most) || !hasTime(batch[0]) {
		var next *asked
		select {
		case next = <-r.queue:
		default:
			if batch[0].ctx.Err() != nil {
				r.drop(batch[0])
				return nil
			}
			return batch
		}
		if !hasTime(batch[0]) {
			r.drop(batch[0])
			batch[0] = next
			continue
		}
		if !hasTime(next) {
			r.drop(next)
			continue
		}
		batch = append(batch, next)
	}
	return batch
}

func (a *asker) drop(p *asked) {
	p.state.CompareAndSwap(askWaits, askAbandoned)
	a.ledger.metrics.queueDepth.WithLabelValues(a.name).Dec()
	p.overdue = true
	close(p.done)
}

// attempt takes what a batch asks for. Where Postgres refuses one of them, the others must not suffer for it.
func (r *runner) attempt(ctx context.Context, batch []*asked) {
	begun := time.Now()
	err := r.do(ctx, batch, false)
	if isLocked(err) {
		err = r.do(ctx, batch, true)
	}
	switch {
	case err == nil:
		r.share.Took(len(batch), r.most, time.Since(begun))
		r.ledger.metrics.batchSize.WithLabelValues(r.name).Observe(float64(len(batch)))
		r.ledger.metrics.commits.WithLabelValues(r.name).Observe(time.Since(begun).Seconds())
		r.finish(r.putBack(ctx, batch), nil)
		return
	case isRefused(err) && len(batch) > 1:
		half := len(batch) / 2
		r.attempt(ctx, batch[:half:half])
		r.attempt(ctx, batch[half:])
		return
	}
	r.finish(batch, err)
	if ctx.Err() != nil {
		return
	}
	r.ledger.metrics.retries.WithLabelValues(r.name).Inc()
	r.ledger.log.Warn("what calls ask for can't be taken from Postgres", "asks", len(batch), "error", err)
	if !isRefused(err) {
		r.probe(ctx)
	}
}

// putBack lets those wait again whose account somebody else has locked, as long as their callers do, and returns the others.
func (a *asker) putBack(ctx context.Context, batch []*asked) []*asked {
	done := batch[:0]
	waits := 0
	for _, p := range batch {
		if !p.stuck {
			done = append(done, p)
			continue
		}
		p.stuck = false
		select {
		case a.queue <- p:
			waits++
		default:
			p.err = ErrQueueFull
			done = append(done, p)
		}
	}
	if waits > 0 && len(done) == 0 {
		select {
		case <-time.After(stuckPause):
		case <-ctx.Done():
		}
	}
	return done
}

// finish answers the callers that wait, and gives back what was taken for those that do not. With an error it is unknown what was taken, unless Postgres has refused it.
func (a *asker) finish(batch []*asked, err error) {
	a.ledger.metrics.queueDepth.WithLabelValues(a.name).Sub(float64(len(batch)))
	for _, p := range batch {
		if err != nil {
			p.err, p.answer = err, charging.Answer{}
		}
		told := p.state.CompareAndSwap(askWaits, askAnswered)
		if err != nil && !isRefused(err) || err == nil && (!told && p.took || p.partly) {
			a.give(p)
		}
		close(p.done)
	}
}

// isRefused reports whether Postgres has said no, and so has taken nothing: besides values that it will never take those are transactions that stood in each other's way (class 40).
func isRefused(err error) bool {
	var pg *pgconn.PgError
	return isInvalid(err) || errors.As(err, &pg) && pg.Code[:2] == "40"
}

// isLocked reports whether somebody else kept a row locked (lock_not_available).
func isLocked(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55P03"
}

// probe waits until Postgres answers. Until then nobody asks it, and everybody is told so at once.
func (a *asker) probe(ctx context.Context) {
	a.away.Store(true)
	defer a.away.Store(false)
	a.ledger.pool.Reset()
	for ctx.Err() == nil {
		for len(a.queue) > 0 {
			p := <-a.queue
			p.took = false
			a.ledger.metrics.queueDepth.WithLabelValues(a.name).Dec()
			p.err = ErrAway
			p.state.CompareAndSwap(askWaits, askAnswered)
			close(p.done)
		}
		probing, cancel := context.WithTimeout(ctx, probeTimeout)
		_, err := a.ledger.pool.Exec(probing, "SELECT 1")
		cancel()
		if err == nil {
			return
		}
		a.ledger.pool.Reset()
		select {
		case <-time.After(probePause):
		case <-ctx.Done():
		}
	}
}
