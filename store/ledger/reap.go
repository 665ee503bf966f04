package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic/call"
	"ringmaster/logic/charging"
)

// Times after which what is not heard of is closed. Nodes send a heartbeat every 5 seconds.
const (
	reapEvery    = 2 * time.Second
	tidyEvery    = 15               // of these times what a race may have left is looked for once: that looks at each live call
	suspectAfter = 15 * time.Second // three heartbeats
	lostAfter    = 60 * time.Second
	// vanishedAfter is how long a node may live without naming a call that holds something.
	vanishedAfter = 120 * time.Second
	// steadyFor is how long Postgres must have been there without failure before anything is closed: after an outage all nodes look lost.
	steadyFor = lostAfter
)

// Why calls are closed, as metrics label it.
const (
	closedNodeLost  = "node_lost"
	closedRestarted = "restarted"
	closedVanished  = "vanished"
)

// reap closes what is not heard of any more, until the context has ended. Of all engines one does it at a time.
func (l *Ledger) reap(ctx context.Context) {
	steady := l.now()
	for n := 1; ; n++ {
		select {
		case <-time.After(reapEvery):
		case <-ctx.Done():
			return
		}
		if err := l.reapOnce(ctx, l.now().Sub(steady) >= steadyFor, n%tidyEvery == 0); err != nil {
			if ctx.Err() != nil {
				return
			}
			steady = l.now()
			l.log.Debug("couldn't look for calls that are not heard of", "error", err)
		}
	}
}

// reaperLock is the advisory lock of whoever reaps.
const reaperLock = 4712

// joinsSQL says of this session whether it may read whole tables to join them. For thousands of live calls the planner would rather read all keys of CDRs, every two seconds, than look each up.
const joinsSQL = "set_config('enable_seqscan', $2, false), set_config('enable_hashjoin', $2, false), set_config('enable_mergejoin', $2, false)"

// lostCall is a call that is to be closed.
type lostCall struct {
	call.CDR
	reason string
}

// talkingSQL is since when people talk in a call that is lost, and for how long they did if that is over. A conversation that began before the newest charge was made is the one before it, which that charge does not pay for. Of the first
// charge it is taken so only when it is over: by the clock of a node it may have begun at any time.
const talkingSQL = `CASE WHEN (l.answered_at >= (SELECT max(r.created_at) FROM reservation r WHERE r.call_id = l.call_id AND r.node = l.node AND (r.charge > 1 OR l.talk_ms IS NOT NULL))) IS NOT FALSE THEN l.answered_at END, l.talk_ms`

// lostSQL finds calls that are not heard of: of nodes that are lost, of nodes that have started anew since, and those that their node, which lives, has not named for long. A call's last sign of life is the heartbeat
// that named it, or that it asked for something, and not the last heartbeat of its node: that may have died, started again without the call, and be lost now; or it lives, and its heartbeats do not come.
const lostSQL = `
SELECT coalesce(l.call_id, c.call_id), n.node, coalesce(l.channel, ''), coalesce(l.trunk, ''), coalesce(l.caller, ''), coalesce(l.called, ''), coalesce(l.dialled, ''), coalesce(l.presentation, 'allowed'),
	coalesce(l.service, ''), coalesce(l.subscriber, ''), coalesce(l.script, ''), coalesce(l.revision, 0), coalesce(l.started_at, n.registered_at), ` + talkingSQL + `,
	coalesce(l.seen_at, n.last_seen),
	CASE WHEN n.last_seen < now() - $1::interval THEN 'node_lost' WHEN l.started_at < n.registered_at - interval '5 seconds' THEN 'restarted' ELSE 'vanished' END
FROM node_status n CROSS JOIN LATERAL (SELECT unnest(n.calls) AS call_id) AS c FULL JOIN live_call l ON l.node = n.node AND l.call_id = c.call_id
WHERE n.node IS NOT NULL AND n.last_seen < now() - $1::interval AND coalesce(l.seen_at, n.last_seen) < now() - $1::interval AND NOT EXISTS (SELECT FROM cdr_key d WHERE d.call_id = c.call_id AND d.node = n.node)
UNION
SELECT l.call_id, l.node, l.channel, l.trunk, l.caller, l.called, l.dialled, l.presentation, l.service, l.subscriber, l.script, l.revision, l.started_at, ` + talkingSQL + `,
	l.seen_at,
	CASE WHEN n.last_seen < now() - $1::interval THEN 'node_lost' WHEN l.started_at < n.registered_at - interval '5 seconds' THEN 'restarted' ELSE 'vanished' END
FROM node_status n CROSS JOIN LATERAL (SELECT * FROM live_call o WHERE o.node = n.node AND o.seen_at < now() - interval '10 seconds' OFFSET 0) AS l
WHERE (n.last_seen < now() - $1::interval AND l.seen_at < now() - $1::interval
	OR (l.seen_at < now() - $2::interval OR l.started_at < n.registered_at - interval '5 seconds' AND l.seen_at < n.last_seen - interval '10 seconds') AND NOT l.call_id = ANY (n.calls))
	AND NOT EXISTS (SELECT FROM cdr_key d WHERE d.call_id = l.call_id AND d.node = l.node)
LIMIT 1000`

// Reap closes once what is not heard of, by the clock of Postgres, which also says when it last was: it marks nodes as suspect, ends the calls of lost ones, gives back what has expired, and forgets old places. With steady false, because Postgres has been there for too
// short a time to tell, it only marks.
func (l *Ledger) Reap(ctx context.Context, steady bool) error { return l.reapOnce(ctx, steady, true) }

func (l *Ledger) reapOnce(ctx context.Context, steady, tidy bool) error {
	ctx, cancel := context.WithTimeout(ctx, writeLast)
	defer cancel()
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("couldn't look for lost calls: %w", err)
	}
	defer conn.Release()
	var mine bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", reaperLock).Scan(&mine); err != nil || !mine {
		return err
	}
	defer func() {
		// A Postgres that freezes here keeps nobody: the connection is closed, and the lock with it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeFirst)
		defer cancel()
		_, _ = conn.Exec(ctx, "SELECT pg_advisory_unlock($1), "+joinsSQL, reaperLock, "on")
	}()
	if _, err := conn.Exec(ctx, "SELECT $1::bigint, "+joinsSQL, reaperLock, "off"); err != nil {
		return fmt.Errorf("couldn't look for lost calls: %w", err)
	}
	if _, err := conn.Exec(ctx, "UPDATE node_status SET state = 'suspect' WHERE state <> 'suspect' AND last_seen < now() - $1::interval", suspectAfter); err != nil {
		return fmt.Errorf("couldn't mark suspect nodes: %w", err)
	}
	if !steady {
		return nil
	}
	rows, err := conn.Query(ctx, lostSQL, lostAfter, vanishedAfter)
	if err != nil {
		return fmt.Errorf("couldn't look for lost calls: %w", err)
	}
	lost, err := pgx.CollectRows(rows, scanLost)
	if err != nil {
		return fmt.Errorf("couldn't look for lost calls: %w", err)
	}
	for i := range lost {
		if _, err := l.End(ctx, lost[i].CDR); errors.Is(err, ErrLocked) {
			continue // the next time, perhaps
		} else if err != nil {
			return err
		}
		l.metrics.closed.WithLabelValues(lost[i].reason).Inc()
		l.log.Warn("a call was closed that is not heard of", "call_id", lost[i].CallID, "node", lost[i].Node, "reason", lost[i].reason, "talk", lost[i].Talk)
	}
	statements := []string{
		// Once each of its calls has a record: there may be more than one look finds, and a node may have been lost since that look.
		"UPDATE node_status n SET calls = '{}' WHERE calls <> '{}' AND last_seen < now() - interval '60 seconds' AND NOT EXISTS (SELECT FROM unnest(n.calls) AS c (call_id) WHERE NOT EXISTS (SELECT FROM cdr_key d WHERE d.call_id = c.call_id AND d.node = n.node))",
		expireSQL,
		"UPDATE limit_place SET released_at = clock_timestamp() WHERE released_at IS NULL AND expires_at < now()",
	}
	if tidy {
		statements = append(statements,
			"DELETE FROM live_call l USING cdr_key c WHERE c.call_id = l.call_id AND c.node = l.node AND l.seen_at < now()", // noted while the call ended
			"UPDATE limit_place p SET released_at = clock_timestamp() FROM cdr_key c WHERE c.call_id = p.call_id AND c.node = p.node AND p.released_at IS NULL AND p.taken_at < now()",
			endedSQL,
			"DELETE FROM secret_failure WHERE at < now() - interval '1 day'",
			"DELETE FROM limit_place WHERE released_at < now() - interval '1 day'", // windows are no longer
		)
	}
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("couldn't give back what has expired: %w", err)
		}
	}
	return nil
}

// expireSQL gives back reservations whose call is not heard of and not known to be anywhere.
const expireSQL = `WITH locked AS MATERIALIZED (
		SELECT b.account FROM account_balance b WHERE b.account IN (SELECT account FROM reservation WHERE state = 'pending' AND expires_at < now()) ORDER BY b.account FOR UPDATE SKIP LOCKED),
	expired AS (UPDATE reservation r SET state = 'expired', settled_at = clock_timestamp() FROM locked k WHERE r.account = k.account AND r.state = 'pending' AND r.expires_at < now()
		RETURNING r.account, r.amount)
	UPDATE account_balance b SET pending = b.pending - e.amount FROM (SELECT account, sum(amount) AS amount FROM expired GROUP BY account) AS e WHERE b.account = e.account`

// endedSQL gives back what was granted to calls while they ended, by a transaction that was late.
const endedSQL = `WITH locked AS MATERIALIZED (
		SELECT b.account FROM account_balance b WHERE b.account IN (SELECT r.account FROM reservation r JOIN cdr_key c USING (call_id, node) WHERE r.state = 'pending' AND r.created_at < now())
		ORDER BY b.account FOR UPDATE SKIP LOCKED),
	voided AS (UPDATE reservation r SET state = 'voided', settled_at = clock_timestamp() FROM locked k, cdr_key c
		WHERE r.account = k.account AND c.call_id = r.call_id AND c.node = r.node AND r.state = 'pending' RETURNING r.account, r.amount)
	UPDATE account_balance b SET pending = b.pending - e.amount FROM (SELECT account, sum(amount) AS amount FROM voided GROUP BY account) AS e WHERE b.account = e.account`

func scanLost(row pgx.CollectableRow) (lost lostCall, err error) {
	c := &lost.CDR
	var presentation string
	var answered *time.Time
	var talked *int64
	var last time.Time
	if err := row.Scan(&c.CallID, &c.Node, &c.Channel, &c.Trunk, &c.Caller, &c.Called, &c.Dialled, &presentation, &c.Service, &c.Subscriber, &c.Script, &c.Revision, &c.StartedAt, &answered, &talked, &last,
		&lost.reason); err != nil {
		return lost, err
	}
	c.Presentation, _ = call.ParsePresentation(presentation)
	c.Outcome, c.EndedAt, c.Held = call.OutcomeNodeLost, last, true
	if last.Before(c.StartedAt) {
		c.EndedAt = c.StartedAt
	}
	if answered != nil && answered.Before(last) {
		lasted := last.Sub(*answered)
		if talked != nil {
			lasted = time.Duration(*talked) * time.Millisecond
		}
		// By the node's clock, so no longer than the call was by ours.
		c.AnsweredAt, c.Talk = *answered, max(min(lasted, last.Sub(c.StartedAt)+call.ClockSlack), 0)
		// The last charge pays for the conversation under way; those before are over, and hold what they cost.
		c.Finished = []charging.Finished{{Number: lastCharge, Talk: c.Talk.Milliseconds()}}
	}
	return lost, nil
}

// lastCharge stands for the newest charge of a call: who closes it does not know its number.
const lastCharge = -1
