package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/logic"
)

// Times of the feed. Their sum bounds the staleness while Postgres can be reached: a connection that died in silence is found
// after feedBeat + feedTimeout, and replaced within feedTimeout more.
const (
	feedBeat     = time.Second             // between heartbeats
	feedTimeout  = 1500 * time.Millisecond // for a heartbeat, a connection, a status row
	feedMute     = 3                       // heartbeats that may go by without their own notification
	feedBackoff  = 50 * time.Millisecond   // before the first reconnect; doubles
	feedBackoffs = time.Second             // at most
	statusEvery  = 5                       // heartbeats between two notes in engine_status
	pruneEvery   = 10 * time.Minute        // between two calls of prune_config_change
)

// configChannel is the NOTIFY channel on which Postgres tells of committed edits (migration 0004).
const configChannel = "ringmaster_config"

// Feed keeps the snapshot of the operators' tables current: it hears of each committed edit by LISTEN, loads and compiles
// what was touched since, or all tables, in one view, and swaps the snapshot as a whole. Because a LISTEN connection can die in silence, each second a
// heartbeat goes through it: a query that also reads the revision, and a notification to itself that must come back.
//
// Run it in one goroutine; everything else is safe for concurrent use.
type Feed struct {
	store   *Store
	zones   logic.Zones
	started time.Time

	snapshot atomic.Pointer[logic.Snapshot]
	verified atomic.Int64          // time since started at which the snapshot was last known to be current; negative: before
	fromDisk atomic.Bool           // Postgres hasn't confirmed the snapshot
	unsaved  atomic.Pointer[error] // why the config that was saved could not be taken

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when the snapshot changes

	// Of the goroutine that runs it.
	served   version // the snapshot's
	whole    bool    // a delta went wrong: load everything next
	saver    *saver  // nil: nothing is saved
	pruned   time.Time
	problems []logic.Problem
	since    time.Time // the snapshot is served since
	failure  string    // why the newest revision isn't served
	noted    bool      // engine_status and config_problem say what is the case
}

// NewFeed makes the feed of a store. zones finds time zones, such as time.LoadLocation.
func (s *Store) NewFeed(zones logic.Zones) *Feed {
	f := &Feed{store: s, zones: zones, started: time.Now(), changed: make(chan struct{})}
	if s.metrics.registry != nil {
		s.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ringmaster_config_age_seconds",
			Help: "Time since the served config was last known to be the newest; the process's age before the first load."},
			func() float64 { return f.Age().Seconds() }))
	}
	return f
}

// Snapshot returns what calls are decided on; nil before the first load.
func (f *Feed) Snapshot() *logic.Snapshot { return f.snapshot.Load() }

// Ready reports whether there is a snapshot.
func (f *Feed) Ready() bool { return f.snapshot.Load() != nil }

// Revision is the config revision that is served; 0 before the first load.
func (f *Feed) Revision() int64 {
	if s := f.snapshot.Load(); s != nil {
		return s.Revision()
	}
	return 0
}

// Age is the time since the snapshot was last known to be the newest.
func (f *Feed) Age() time.Duration {
	return time.Since(f.started) - time.Duration(f.verified.Load())
}

// FromDisk reports whether the snapshot is the one that was saved beside the engine (Config.SnapshotFile) and Postgres has not confirmed it yet.
func (f *Feed) FromDisk() bool { return f.fromDisk.Load() }

// SavedError says why the config that was saved beside the engine could not be taken while Postgres was away; nil: it was taken, or not needed.
func (f *Feed) SavedError() error {
	if err := f.unsaved.Load(); err != nil {
		return *err
	}
	return nil
}

// Wait returns when a revision of at least the given one is served, or the context has ended. Wait(ctx, 1) waits for the
// first snapshot.
func (f *Feed) Wait(ctx context.Context, revision int64) error {
	for {
		f.mu.Lock()
		changed := f.changed
		f.mu.Unlock()
		if f.Revision() >= revision {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("couldn't wait for config revision %d, revision %d is served: %w", revision, f.Revision(), ctx.Err())
		}
	}
}

// Run keeps the snapshot current until the context has ended, whose error it returns. It connects again whenever the
// connection is lost. When Postgres can't be had at the start, it takes the snapshot that was saved.
func (f *Feed) Run(ctx context.Context) error {
	backoff := feedBackoff
	tried := false // to start from the file
	if f.store.file != "" {
		f.saver = newSaver(f.store.file, f.store.log)
		var saving sync.WaitGroup
		saving.Go(f.saver.run)
		defer saving.Wait()
		defer close(f.saver.queue)
	}
	for {
		worked, err := f.session(ctx)
		f.store.metrics.feedUp.Set(0)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !f.Ready() && f.saver != nil && !tried {
			tried = true
			f.restore()
		}
		f.store.metrics.feedReconnect.Inc()
		f.store.log.Warn("the feed of operators' edits was interrupted; what was loaded goes on being served",
			"error", err, "revision", f.Revision(), "age", f.Age())
		if worked {
			backoff = feedBackoff
		}
		select {
		case <-time.After(backoff/2 + rand.N(backoff/2)):
		case <-ctx.Done():
			return ctx.Err()
		}
		backoff = min(2*backoff, feedBackoffs)
	}
}

// session is the life of one connection. It reports whether the snapshot was current at any time of it.
func (f *Feed) session(ctx context.Context) (worked bool, err error) {
	conn, own, err := f.listen(ctx)
	if err != nil {
		return false, err
	}
	// A connection that is gone can't be told goodbye.
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), feedTimeout)
		defer cancel()
		conn.Close(bye)
	}()
	f.store.metrics.feedUp.Set(1)
	mute, beats := 0, 0
	for {
		current, err := f.beat(ctx, conn, own)
		if err != nil {
			return worked, fmt.Errorf("the heartbeat failed: %w", err)
		}
		beats++
		// Not only newer: a database restored from its backup is behind.
		if !f.Ready() || f.served != current {
			if err := f.renew(ctx, conn); err != nil {
				return worked, err
			}
		} else {
			f.verified.Store(int64(time.Since(f.started)))
		}
		f.confirmed()
		if !f.noted || beats%statusEvery == 0 {
			f.note(ctx, conn)
		}
		f.prune(ctx, conn)
		worked = true
		heard, err := f.await(ctx, conn, own)
		if err != nil {
			return worked, err
		}
		if mute++; heard {
			mute = 0
		}
		if mute >= feedMute {
			return worked, errors.New("the feed's own notifications don't come back: connect it to Postgres itself, not through a pooler")
		}
	}
}

// renew takes over the newest version, and tells in engine_status of a failure.
func (f *Feed) renew(ctx context.Context, conn *pgx.Conn) error {
	err := f.update(ctx, conn)
	if err != nil {
		f.failure, f.noted = err.Error(), false
		f.note(ctx, conn)
	}
	return err
}

// listen opens a connection that hears of edits, and of its own notifications on the channel that it returns.
func (f *Feed) listen(ctx context.Context) (conn *pgx.Conn, own string, err error) {
	ctx, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	conn, err = connect(ctx, f.store.pool.Config().ConnString(), "ringmaster "+f.store.engine+" feed")
	if err != nil {
		return nil, "", err
	}
	own = fmt.Sprintf("ringmaster_beat_%d", conn.PgConn().PID())
	for _, channel := range []string{configChannel, own} {
		if _, err = conn.Exec(ctx, "LISTEN "+channel); err != nil {
			conn.Close(context.WithoutCancel(ctx))
			return nil, "", fmt.Errorf("couldn't listen for edits: %w", err)
		}
	}
	return conn, own, nil
}

// beat proves the connection alive, reads the committed version, and sends the notification that await wants to see.
func (f *Feed) beat(ctx context.Context, conn *pgx.Conn, own string) (now version, err error) {
	ctx, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	err = conn.QueryRow(ctx, "SELECT v.*, pg_notify($1, '')::text FROM ("+versionSQL+") AS v", own).Scan(&now.revision, &now.commit, nil)
	return now, err
}

// await takes over the edits that are told until the next heartbeat, and reports whether the connection's own notification came.
func (f *Feed) await(ctx context.Context, conn *pgx.Conn, own string) (heard bool, err error) {
	wait, cancel := context.WithTimeout(ctx, feedBeat)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(wait)
		switch {
		case ctx.Err() != nil:
			return heard, ctx.Err()
		case wait.Err() != nil && !conn.IsClosed():
			return heard, nil
		case err != nil:
			return heard, fmt.Errorf("couldn't wait for edits: %w", err)
		case n.Channel == own:
			heard = true
		case f.serves(n.Payload):
			// It came with one that was told before it. Should it be of a database that was restored and counts the same numbers again, the next heartbeat sees that.
		default:
			if err := f.renew(ctx, conn); err != nil {
				return heard, err
			}
			f.note(ctx, conn)
		}
	}
}

// serves reports whether a revision that was told is served already.
func (f *Feed) serves(told string) bool {
	revision, err := strconv.ParseInt(told, 10, 64)
	return err == nil && revision <= f.served.revision
}

// update takes over the newest version: by what was touched since the served one if that can be told, else by all rows.
func (f *Feed) update(ctx context.Context, conn *pgx.Conn) error {
	if f.Ready() && !f.whole && (f.saver == nil || !f.saver.wantsAll()) {
		if done, err := f.apply(ctx, conn); done || err != nil {
			return err
		}
	}
	return f.reload(ctx, conn)
}

// apply makes the newest snapshot of the served one. It reports whether it did; if it could not, reload can.
func (f *Feed) apply(ctx context.Context, conn *pgx.Conn) (done bool, err error) {
	result := "failed"
	defer func() { f.store.metrics.deltas.WithLabelValues(result).Inc() }()
	begun := time.Now()
	served := f.snapshot.Load()
	delta, now, ok, err := loadDelta(ctx, conn, served, f.served)
	if err != nil {
		f.whole = true
		return false, err
	}
	if !ok {
		result = "impossible"
		return false, nil
	}
	if delta == nil {
		result = "none"
		f.verified.Store(int64(begun.Sub(f.started)))
		return true, nil
	}
	loaded := time.Now()
	snapshot, problems, err := guarded(now.revision, func() (*logic.Snapshot, []logic.Problem) { return served.Apply(delta, f.zones) })
	if err != nil {
		f.store.log.Error("edits could not be compiled by themselves; all of the config is compiled instead", "error", err)
		return false, nil
	}
	result = "ok"
	f.store.metrics.applySeconds.Observe(time.Since(begun).Seconds())
	f.save(&saved{From: f.served.revision, FromCommit: f.served.commit, Commit: now.commit, At: begun, Delta: *delta})
	f.publish(snapshot, problems, now, begun)
	f.store.log.Info("edits are live", "revision", now.revision, "problems", len(problems), "load", loaded.Sub(begun), "compile", time.Since(loaded))
	return true, nil
}

// reload loads, compiles and swaps all of it.
func (f *Feed) reload(ctx context.Context, conn *pgx.Conn) (err error) {
	defer func() {
		result := "ok"
		if err != nil {
			result = "failed"
		}
		f.store.metrics.loads.WithLabelValues(result).Inc()
	}()
	begun := time.Now()
	rows, now, err := load(ctx, conn)
	if err != nil {
		return err
	}
	loaded := time.Now()
	snapshot, problems, err := compile(rows, f.snapshot.Load(), f.zones)
	if err != nil {
		return err
	}
	compiled := time.Now()
	f.whole = false
	f.store.metrics.loadSeconds.Observe(loaded.Sub(begun).Seconds())
	f.store.metrics.compSeconds.Observe(compiled.Sub(loaded).Seconds())
	f.save(&saved{Whole: true, Commit: now.commit, At: begun, Delta: logic.Delta{Rows: *rows}})
	f.publish(snapshot, problems, now, begun)
	f.store.log.Info("the config is live", "revision", now.revision, "problems", len(problems),
		"load", loaded.Sub(begun), "compile", compiled.Sub(loaded))
	return nil
}

// publish lets calls be decided on a snapshot, which was the newest at an instant.
func (f *Feed) publish(snapshot *logic.Snapshot, problems []logic.Problem, v version, at time.Time) {
	f.snapshot.Store(snapshot)
	f.verified.Store(int64(at.Sub(f.started)))
	f.served, f.problems, f.since, f.failure, f.noted = v, problems, time.Now(), "", false
	f.mu.Lock()
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	f.store.metrics.revision.Set(float64(v.revision))
	f.store.metrics.problems.Set(float64(len(problems)))
}

func (f *Feed) save(r *saved) {
	if f.saver != nil {
		f.saver.put(r)
	}
}

// confirmed notes that Postgres says that the snapshot is the newest.
func (f *Feed) confirmed() {
	if f.fromDisk.Swap(false) {
		f.store.metrics.fromDisk.Set(0)
		f.store.log.Info("Postgres is there: the config isn't the saved one any more", "revision", f.Revision())
	}
	if f.saver != nil {
		f.saver.touch()
	}
}

// restore takes the snapshot that was saved. It is what an engine starts with while Postgres is away, so that calls without money are
// answered.
func (f *Feed) restore() {
	var snapshot *logic.Snapshot
	var problems []logic.Problem
	at, err := f.saver.read(func(r *saved) (err error) {
		previous := snapshot
		made, told, err := guarded(r.Delta.Rows.Revision, func() (*logic.Snapshot, []logic.Problem) {
			if r.Whole {
				return logic.Compile(&r.Delta.Rows, previous, f.zones)
			}
			return previous.Apply(&r.Delta, f.zones)
		})
		if err == nil {
			snapshot, problems = made, told
		}
		return err
	})
	if err != nil {
		f.unsaved.Store(&err)
		f.store.log.Error("Postgres can't be had, and neither can the config that was saved: calls are refused", "error", err)
		return
	}
	if now := time.Now(); at.After(now) {
		at = now
	}
	f.fromDisk.Store(true)
	f.store.metrics.fromDisk.Set(1)
	f.publish(snapshot, problems, f.saver.last, at)
	f.store.log.Warn("Postgres can't be had: the config that was saved beside the engine is served", "revision", snapshot.Revision(), "age", f.Age())
}

// prune lets Postgres forget, now and then, what no engine needs any more.
func (f *Feed) prune(ctx context.Context, conn *pgx.Conn) {
	if time.Since(f.pruned) < pruneEvery {
		return
	}
	f.pruned = time.Now()
	ctx, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, "SELECT prune_config_change()"); err != nil {
		f.store.log.Warn("couldn't prune config_change", "error", err)
	}
}

// compile calls logic.Compile.
func compile(rows *logic.Rows, previous *logic.Snapshot, zones logic.Zones) (*logic.Snapshot, []logic.Problem, error) {
	return guarded(rows.Revision, func() (*logic.Snapshot, []logic.Problem) { return logic.Compile(rows, previous, zones) })
}

// guarded compiles. A panic there would be a bug, but it would take every engine down at once and again at each
// restart, for one odd row; so it counts as a load that failed, and the old snapshot serves on.
func guarded(revision int64, compile func() (*logic.Snapshot, []logic.Problem)) (s *logic.Snapshot, p []logic.Problem, err error) {
	defer func() {
		if bug := recover(); bug != nil {
			err = fmt.Errorf("couldn't compile revision %d: %v\n%s", revision, bug, debug.Stack())
		}
	}()
	s, p = compile()
	return s, p, nil
}
