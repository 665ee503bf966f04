// Package heartbeat notes what nodes say of themselves: that they live, with their calls, and how long people have talked in those. What their calls hold is kept by it.
//
// It does not extend what calls hold, and closes nothing: that is package ledger.
package heartbeat

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ringmaster/logic/charging"
	"ringmaster/store/ledger/record"
)

// maxLiveCalls is how many calls of one node are noted.
const maxLiveCalls = 2000

// Report is what a node said of itself.
type Report struct {
	Node     string   `json:"node"`
	BootID   string   `json:"boot_id"`
	Capacity *int     `json:"capacity"` // only at registration
	Channels int      `json:"channels"`
	Calls    []string `json:"calls"`
	Live     []Live   `json:"live"` // the same calls, each once
}

// Live is a call that goes on, with its conversation: since when by the node's clock, or, if it said so, for how long.
type Live struct {
	CallID     string  `json:"call_id"`
	AnsweredAt *string `json:"answered_at"`
	TalkMS     int64   `json:"talk_ms"` // 0: not said
	Over       bool    `json:"over"`    // so long it was: nothing has followed it
	Final      bool    `json:"-"`       // no more is to be held for it
}

// Grows reports whether people talk in the call now, and might for longer than is granted.
func (l *Live) Grows() bool { return (l.AnsweredAt != nil || l.TalkMS > 0) && !l.Final && !l.Over }

// NewReport makes a report of what a node said. A nil capacity: it did not register, but sent a heartbeat.
func NewReport(node, bootID string, capacity *int, channels int, calls []charging.LiveCall) Report {
	r := Report{Node: record.Cut(node, record.MaxText), BootID: record.Cut(bootID, record.MaxText), Channels: max(0, channels), Calls: []string{}, Live: []Live{}}
	if capacity != nil {
		most := max(0, *capacity)
		r.Capacity = &most
	}
	known := make(map[string]bool, len(calls))
	for _, one := range calls[:min(len(calls), maxLiveCalls)] {
		id := record.Cut(one.CallID, record.MaxText)
		if known[id] {
			continue
		}
		known[id] = true
		live := Live{CallID: id, TalkMS: max(one.Talk.Milliseconds(), 0), Over: one.Over, Final: one.Final}
		if !one.AnsweredAt.IsZero() {
			at := record.Instant(one.AnsweredAt)
			live.AnsweredAt = &at
		}
		r.Calls, r.Live = append(r.Calls, id), append(r.Live, live)
	}
	return r
}

// Write notes reports in one transaction. The newest report of a node is the true one. What calls hold is looked up after the statement byKeys, which has the planner go by keys.
func Write(ctx context.Context, pool *pgxpool.Pool, byKeys string, batch []Report) error {
	last := make(map[string]int, len(batch))
	reports := make([]Report, 0, len(batch))
	for _, r := range batch {
		i, known := last[r.Node]
		if !known {
			last[r.Node] = len(reports)
			reports = append(reports, r)
			continue
		}
		if r.Capacity == nil {
			r.Capacity = reports[i].Capacity
		}
		reports[i] = r
	}
	registered := make([]string, 0, len(reports))
	for _, r := range reports {
		if r.Capacity != nil {
			registered = append(registered, r.Node)
		}
	}
	list, err := json.Marshal(reports)
	if err != nil {
		return fmt.Errorf("couldn't write node reports as JSON: %w", err)
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(forgottenSQL, string(list))
		b.Queue(statusSQL, string(list), registered)
		b.Queue(seenSQL, string(list))
		b.Queue(byKeys)
		b.Queue(leaseReservationsSQL, string(list))
		b.Queue(leasePlacesSQL, string(list))
		return tx.SendBatch(ctx, b).Close()
	})
}

// The statements that note a list of reports, at most one per node, given as JSON. A row of what a live call holds that somebody has locked is left out: its call ends, or asks for more, and the next heartbeat
// comes soon. To wait for it could be in a circle, for there are many, and others go through them in another order.
const (
	// A node that has started anew does not name the calls that it carried before. They are noted for the reaper, those too that hold nothing: each has its record.
	forgottenSQL = `INSERT INTO live_call (call_id, node, started_at, seen_at)
		SELECT c.call_id, s.node, s.registered_at, s.last_seen
		FROM jsonb_to_recordset($1::jsonb) AS g (node text, boot_id text, calls jsonb) JOIN node_status s USING (node), unnest(s.calls) AS c (call_id)
		WHERE s.boot_id <> g.boot_id AND NOT g.calls ? c.call_id AND NOT EXISTS (SELECT FROM cdr_key d WHERE d.call_id = c.call_id AND d.node = s.node)
		ORDER BY 1, 2 ON CONFLICT DO NOTHING`
	// Only the nodes that registered ($2) say their capacity.
	statusSQL = `INSERT INTO node_status AS s (node, boot_id, state, capacity, channels, calls, registered_at, last_seen)
		SELECT g.node, g.boot_id, CASE WHEN n.in_service THEN 'in_service' ELSE 'out_of_service' END, coalesce(g.capacity, n.capacity, 0), g.channels,
			ARRAY(SELECT jsonb_array_elements_text(g.calls)), now(), now()
		FROM jsonb_to_recordset($1::jsonb) AS g (node text, boot_id text, capacity integer, channels integer, calls jsonb) LEFT JOIN node n USING (node) ORDER BY g.node
		ON CONFLICT (node) DO UPDATE SET boot_id = excluded.boot_id, state = excluded.state, channels = excluded.channels, calls = excluded.calls, last_seen = excluded.last_seen,
			capacity = CASE WHEN excluded.node = ANY ($2::text[]) THEN excluded.capacity ELSE s.capacity END,
			registered_at = CASE WHEN s.boot_id = excluded.boot_id THEN s.registered_at ELSE excluded.registered_at END`
	// How long people have talked becomes since when by the clock of Postgres: now() is last_seen too (statusSQL), so that a lost node's call has talked for just what its last heartbeat said. A conversation that is over keeps its length, and
	// the beginning that it had while it went on; of one that no heartbeat told of before it was over, the node says when it began.
	seenSQL = `WITH given AS MATERIALIZED (SELECT g.node, c.* FROM jsonb_to_recordset($1::jsonb) AS g (node text, live jsonb),
			jsonb_to_recordset(g.live) AS c (call_id text, answered_at timestamptz, talk_ms bigint, over boolean)),
		mine AS MATERIALIZED (SELECT l.call_id, l.node, CASE WHEN g.over THEN g.talk_ms END AS talk_ms, CASE
				WHEN g.talk_ms = 0 THEN g.answered_at
				WHEN NOT g.over THEN now() - g.talk_ms * interval '1 millisecond'
				WHEN l.answered_at IS NOT NULL AND coalesce(l.talk_ms, g.talk_ms) = g.talk_ms THEN l.answered_at
				ELSE least(g.answered_at, now() - g.talk_ms * interval '1 millisecond') END AS answered_at
			FROM live_call l JOIN given g USING (call_id, node) FOR UPDATE OF l SKIP LOCKED)
		UPDATE live_call l SET seen_at = now(), answered_at = m.answered_at, talk_ms = m.talk_ms FROM mine m WHERE l.call_id = m.call_id AND l.node = m.node`
	leaseReservationsSQL = `WITH mine AS MATERIALIZED (
			SELECT o.* FROM jsonb_to_recordset($1::jsonb) AS g (node text, calls jsonb), jsonb_array_elements_text(g.calls) AS c (call_id),
				LATERAL (SELECT r.call_id, r.node, r.charge, r.payer FROM reservation r
					WHERE r.call_id = c.call_id AND r.node = g.node AND r.settled_at IS NULL AND r.expires_at < clock_timestamp() + interval '5 minutes' OFFSET 0 FOR UPDATE SKIP LOCKED) AS o)
		UPDATE reservation r SET expires_at = clock_timestamp() + interval '10 minutes' FROM mine m WHERE r.call_id = m.call_id AND r.node = m.node AND r.charge = m.charge AND r.payer = m.payer`
	leasePlacesSQL = `WITH mine AS MATERIALIZED (
			SELECT o.* FROM jsonb_to_recordset($1::jsonb) AS g (node text, calls jsonb), jsonb_array_elements_text(g.calls) AS c (call_id),
				LATERAL (SELECT p.call_limit, p.key, p.call_id, p.node FROM limit_place p
					WHERE p.call_id = c.call_id AND p.node = g.node AND coalesce(p.released_at, 'infinity') = 'infinity' AND p.expires_at < clock_timestamp() + interval '5 minutes' OFFSET 0 FOR UPDATE SKIP LOCKED) AS o)
		UPDATE limit_place p SET expires_at = clock_timestamp() + interval '10 minutes' FROM mine m WHERE p.call_limit = m.call_limit AND p.key = m.key AND p.call_id = m.call_id AND p.node = m.node`
)
