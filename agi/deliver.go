package agi

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"ringmaster/rpc/api"
)

const (
	deliverParallel = 4
	deliverDeadline = 5 * time.Second
	deliverFirst    = 100 * time.Millisecond // backoff after a failure, doubled up to deliverLast
	deliverLast     = 5 * time.Second
	deliverRefused  = time.Minute // the same for an end that an engine cannot take now though it takes others
	inboxEvery      = 5 * time.Second

	// An end goes without its session, and nobody pays for the call, when every engine has refused the session in so many rounds in a row, over
	// a time in which any engine's feed has followed an edit of the session keys.
	sessionRounds   = 3
	sessionPatience = 30 * time.Second
)

// deliverer sends spooled ends to the engines until one has them.
type deliverer struct {
	spool   *spool
	asker   *asker
	node    string
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time
	signal  chan struct{}
	inbox   func() // takes over what the dialplan wrote itself

	mu      sync.Mutex
	refused map[string]refusals // by file; a restart begins anew
}

// refusals are the rounds in a row in which every engine refused an end's session.
type refusals struct {
	rounds int
	since  time.Time
}

func newDeliverer(s *spool, a *asker, node string, log *slog.Logger, m *metrics, now func() time.Time, inbox func()) *deliverer {
	return &deliverer{spool: s, asker: a, node: node, log: log, metrics: m, now: now, inbox: inbox, signal: make(chan struct{}, 1), refused: map[string]refusals{}}
}

// wake says that the spool has a new end.
func (d *deliverer) wake() {
	select {
	case d.signal <- struct{}{}:
	default:
	}
}

// run delivers until ctx is done. There is one file per call and one run at a time, so what is told of a call is told in order.
// Ends that an engine cannot store now hold up only themselves; when no engine answers at all the whole spool waits together.
func (d *deliverer) run(ctx context.Context) {
	retryAt := map[string]time.Time{} // ends an engine refused for now
	failures := map[string]int{}
	idle := 0 // rounds in which no engine answered
	inboxAt := time.Time{}
	for ctx.Err() == nil {
		if now := time.Now(); now.After(inboxAt) {
			d.inbox()
			inboxAt = now.Add(inboxEvery)
		}
		names, err := d.spool.pending()
		if err != nil {
			d.log.Error("couldn't read the spool", "error", err)
		}
		d.metrics.spoolDepth.Set(float64(len(names)))
		wait := min(inboxEvery, time.Until(inboxAt))
		var due []string
		for _, name := range names {
			if until := retryAt[name].Sub(d.now()); until > 0 {
				wait = min(wait, until)
				continue
			}
			due = append(due, name)
		}
		if len(due) > 0 {
			answered := d.round(ctx, due, func(name string) {
				wait := backoff(failures[name], deliverRefused)
				failures[name]++
				retryAt[name] = d.now().Add(wait)
			})
			if answered {
				idle = 0
				if len(retryAt) > 0 {
					forgetDelivered(d.spool, retryAt, failures)
				}
				continue // there may be more already
			}
			wait = backoff(idle, deliverLast)
			idle++
			// New ends do not hurry engines that are away.
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-d.signal:
		case <-time.After(max(wait, time.Millisecond)):
		}
	}
}

func backoff(failures int, last time.Duration) time.Duration {
	return min(deliverFirst<<min(failures, 16), last)
}

func forgetDelivered(s *spool, retryAt map[string]time.Time, failures map[string]int) {
	for name := range retryAt {
		if _, err := os.Stat(filepath.Join(s.folder, folderPending, name)); errors.Is(err, fs.ErrNotExist) {
			delete(retryAt, name)
			delete(failures, name)
		}
	}
}

// round sends each of names once, a few at a time, the first alone: it finds out whether any engine is there at all. Returns false
// when none is; what was not sent stays.
func (d *deliverer) round(ctx context.Context, names []string, later func(name string)) (answered bool) {
	var mu sync.Mutex
	send := func(name string) bool {
		err := d.deliver(ctx, name)
		if err == nil {
			return true
		}
		defer d.metrics.ends.WithLabelValues(endRetried).Inc()
		mu.Lock()
		defer mu.Unlock()
		if errors.Is(err, errNoEngine) && !refusedForNow(err) {
			d.log.Warn("no engine takes ends of calls", "waiting", len(names), "error", err)
			return false
		}
		d.log.Warn("an end of call is sent again later", "file", name, "error", err)
		later(name)
		return true
	}
	if !send(names[0]) {
		return false
	}
	slots := make(chan struct{}, deliverParallel)
	var group sync.WaitGroup
	stop := false
	for _, name := range names[1:] {
		slots <- struct{}{}
		mu.Lock()
		stopped := stop || ctx.Err() != nil
		mu.Unlock()
		if stopped {
			break
		}
		group.Go(func() {
			defer func() { <-slots }()
			if !send(name) {
				mu.Lock()
				stop = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return !stop
}

// refusedForNow says that an engine looked at this very end and could not take it, so that others may still pass, whatever further engines said.
func refusedForNow(err error) bool {
	return slices.ContainsFunc([]int{api.FaultInternal, api.FaultApplication, api.FaultAccountLocked, api.FaultSessionInvalid}, func(code int) bool {
		return errors.Is(err, &fault{Code: code})
	})
}

// outOfPatience notes whether every engine refused the end's session this time, and says when they have done so for long enough. After a
// round in which an engine was not heard it counts anew: that one may come back with the key.
func (d *deliverer) outOfPatience(name string, allRefused bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.refused[name]
	if r.rounds == 0 {
		r.since = d.now()
	}
	r.rounds++
	enough := allRefused && r.rounds >= sessionRounds && d.now().Sub(r.since) >= sessionPatience
	if !allRefused || enough {
		delete(d.refused, name)
	} else {
		d.refused[name] = r
	}
	return enough
}

// deliver sends one end. nil: it is not in the spool any more, because an engine has it or because it was moved aside.
func (d *deliverer) deliver(ctx context.Context, name string) error {
	r, err := d.spool.load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return d.reject(name, nil, err)
	}
	if r.Session != "" {
		err := d.send(ctx, r.members(d.node, true))
		var f *fault
		final := errors.As(err, &f) && !errors.Is(err, errNoEngine)
		unknown := final && f.Code == api.FaultSessionInvalid // to every engine
		enough := d.outOfPatience(name, unknown)
		switch {
		case err == nil:
			return d.delivered(name, endDelivered)
		case !final || unknown && !enough:
			return err
		}
		d.log.Error("the end is not taken with its session; sending it without", "call_id", r.CallID, "error", err)
	}
	err = d.send(ctx, r.members(d.node, false))
	if err == nil {
		if r.Session == "" {
			return d.delivered(name, endDelivered)
		}
		return d.delivered(name, endWithoutSession)
	}
	var f *fault
	if errors.As(err, &f) && !errors.Is(err, errNoEngine) {
		return d.reject(name, r, err)
	}
	return err
}

func (d *deliverer) send(ctx context.Context, members map[string]any) error {
	_, err := d.asker.ask(ctx, api.MethodCallEnd, members, deliverDeadline, 0)
	return err
}

func (d *deliverer) delivered(name, outcome string) error {
	d.metrics.ends.WithLabelValues(outcome).Inc()
	return d.spool.done(name)
}

func (d *deliverer) reject(name string, r *endRecord, why error) error {
	d.metrics.ends.WithLabelValues(endRejected).Inc()
	d.log.Error("no engine will take this end of a call; it is kept aside", "file", filepath.Join(d.spool.folder, folderRejected, name), "error", why)
	return d.spool.reject(folderPending, name, r, why.Error())
}

// members is the record as call.end carries it. Without a session it carries what identifies the call instead.
func (r *endRecord) members(node string, session bool) map[string]any {
	m := map[string]any{
		api.Cause: r.Cause, api.EndedAt: stamp(r.EndedAt), api.TalkSeconds: talkSeconds(r.Talk), api.HangupSource: r.HangupSource,
	}
	if !r.AnsweredAt.IsZero() {
		m[api.AnsweredAt] = stamp(r.AnsweredAt)
	}
	if len(r.Results) > 0 {
		m[api.Results] = resultMembers(r.Results)
	}
	if r.Fallback {
		m[api.Fallback] = true
	}
	if session {
		m[api.Session] = r.Session
		return m
	}
	m[api.CallID], m[api.Node], m[api.Channel], m[api.Trunk] = r.CallID, node, r.Channel, r.Trunk
	m[api.Caller], m[api.Called], m[api.StartedAt] = r.Caller, r.Called, stamp(r.StartedAt)
	if r.Presentation != "" {
		m[api.Presentation] = r.Presentation
	}
	return m
}
