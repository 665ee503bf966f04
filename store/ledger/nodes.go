package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic/charging"
	"ringmaster/store/ledger/record"
)

// maxLiveCalls is how many calls of one node are noted.
const maxLiveCalls = 2000

// nodeReport is what a node said of itself.
type nodeReport struct {
	Node     string    `json:"node"`
	BootID   string    `json:"boot_id"`
	Capacity *int      `json:"capacity"` // only at registration
	Channels int       `json:"channels"`
	Calls    []string  `json:"calls"`
	Talking  []talking `json:"talking"`
}

// talking is a call in which people talk: since when by the node's clock, or, if it said so, for how long.
type talking struct {
	CallID     string  `json:"call_id"`
	AnsweredAt *string `json:"answered_at"`
	TalkMS     int64   `json:"talk_ms"` // 0: not said
	Final      bool    `json:"-"`       // no more is to be held for it
}

// Register notes that a node has started: its boot id, new at each start, the channels it may carry, those in use and the ids
// of its live calls.
func (l *Ledger) Register(ctx context.Context, node, bootID string, capacity, channels int, calls []charging.LiveCall) error {
	return l.report(ctx, newNodeReport(node, bootID, &capacity, channels, calls))
}

func newNodeReport(node, bootID string, capacity *int, channels int, calls []charging.LiveCall) nodeReport {
	r := nodeReport{Node: node, BootID: bootID, Capacity: capacity, Channels: channels}
	for _, one := range calls {
		r.Calls = append(r.Calls, one.CallID)
		if !one.Talking() {
			continue
		}
		t := talking{CallID: one.CallID, TalkMS: one.Talk.Milliseconds(), Final: one.Final}
		if !one.AnsweredAt.IsZero() {
			at := record.Instant(one.AnsweredAt)
			t.AnsweredAt = &at
		}
		r.Talking = append(r.Talking, t)
	}
	return r
}

// Heartbeat notes that a node is alive, with its channels in use and its live calls, and extends what those of them hold in which people talk. It returns what was extended; what is extended after ctx has ended is
// told with the next heartbeat.
func (l *Ledger) Heartbeat(ctx context.Context, node, bootID string, channels int, calls []charging.LiveCall) ([]charging.Extension, error) {
	r := newNodeReport(node, bootID, nil, channels, calls)
	var done <-chan extended
	if running := slices.DeleteFunc(slices.Clone(r.Talking), func(t talking) bool { return t.Final }); len(running) > 0 {
		done = l.extendSoon(r.Node, running)
	}
	if err := l.report(ctx, r); err != nil || done == nil {
		return nil, err
	}
	select {
	case came := <-done:
		return came.extensions, came.err
	case <-ctx.Done():
		return nil, fmt.Errorf("couldn't extend what calls hold in time: %w", ctx.Err())
	}
}

func (l *Ledger) report(ctx context.Context, r nodeReport) error {
	if err := l.nodes.do(ctx, r); err != nil {
		return fmt.Errorf("couldn't note what node %q reports: %w", r.Node, err)
	}
	return nil
}

// upsertNodes notes a list of reports, at most one per node, given as JSON, and the nodes among them that registered: only those
// say their capacity.
const upsertNodes = `
INSERT INTO node_status AS s (node, boot_id, state, capacity, channels, calls, registered_at, last_seen)
SELECT g.node, g.boot_id, CASE WHEN n.in_service THEN 'in_service' ELSE 'out_of_service' END,
	coalesce(g.capacity, n.capacity, 0), g.channels,
	ARRAY(SELECT jsonb_array_elements_text(g.calls)), now(), now()
FROM jsonb_to_recordset($1::jsonb) AS g (node text, boot_id text, capacity integer, channels integer, calls jsonb)
LEFT JOIN node n USING (node)
ORDER BY g.node
ON CONFLICT (node) DO UPDATE SET boot_id = excluded.boot_id, state = excluded.state,
	channels = excluded.channels, calls = excluded.calls, last_seen = excluded.last_seen,
	capacity = CASE WHEN excluded.node = ANY ($2::text[]) THEN excluded.capacity ELSE s.capacity END,
	registered_at = CASE WHEN s.boot_id = excluded.boot_id THEN s.registered_at ELSE excluded.registered_at END`

func (l *Ledger) writeNodes(ctx context.Context, batch []nodeReport) error {
	last := make(map[string]int, len(batch))
	reports := make([]nodeReport, 0, len(batch))
	for _, r := range batch {
		r.Node, r.BootID = record.Cut(r.Node, record.MaxText), record.Cut(r.BootID, record.MaxText)
		r.Channels = max(0, r.Channels)
		if r.Capacity != nil {
			capacity := max(0, *r.Capacity)
			r.Capacity = &capacity
		}
		calls := make([]string, 0, min(len(r.Calls), maxLiveCalls))
		for _, id := range r.Calls[:min(len(r.Calls), maxLiveCalls)] {
			calls = append(calls, record.Cut(id, record.MaxText))
		}
		r.Calls = calls
		// The newest report of a node is the true one.
		if i, ok := last[r.Node]; ok {
			if r.Capacity == nil {
				r.Capacity = reports[i].Capacity
			}
			reports[i] = r
			continue
		}
		last[r.Node] = len(reports)
		reports = append(reports, r)
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
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(forgottenSQL, string(list))
		b.Queue(upsertNodes, string(list), registered)
		b.Queue(seenSQL, string(list))
		b.Queue(leaseReservationsSQL, string(list))
		b.Queue(leasePlacesSQL, string(list))
		return tx.SendBatch(ctx, b).Close()
	})
}

// The statements that keep what the live calls of a list of reports hold. A row that somebody has locked is left out: its call ends, or asks for more, and the next heartbeat comes soon. To wait for it could be
// in a circle, for there are many, and others go through them in another order.
const (
	// A node that has started anew does not name the calls that it carried before. They are noted for the reaper, those too that hold nothing: each has its record.
	forgottenSQL = `INSERT INTO live_call (call_id, node, started_at, seen_at)
		SELECT c.call_id, s.node, s.registered_at, s.last_seen
		FROM jsonb_to_recordset($1::jsonb) AS g (node text, boot_id text, calls jsonb) JOIN node_status s USING (node), unnest(s.calls) AS c (call_id)
		WHERE s.boot_id <> g.boot_id AND NOT g.calls ? c.call_id AND NOT EXISTS (SELECT FROM cdr_key d WHERE d.call_id = c.call_id AND d.node = s.node)
		ORDER BY 1, 2 ON CONFLICT DO NOTHING`
	// How long people have talked becomes since when by the clock of Postgres: now() is last_seen too (upsertNodes), so that a lost node's call has talked for just what its last heartbeat said.
	seenSQL = `WITH given AS (SELECT g.node, c.call_id, min(CASE WHEN t.talk_ms > 0 THEN now() - t.talk_ms * interval '1 millisecond' ELSE t.answered_at END) AS answered_at
			FROM jsonb_to_recordset($1::jsonb) AS g (node text, calls jsonb, talking jsonb) CROSS JOIN LATERAL jsonb_array_elements_text(g.calls) AS c (call_id)
			LEFT JOIN LATERAL jsonb_to_recordset(coalesce(nullif(g.talking, 'null'), '[]')) AS t (call_id text, answered_at timestamptz, talk_ms bigint) ON t.call_id = c.call_id GROUP BY 1, 2),
		mine AS MATERIALIZED (SELECT l.call_id, l.node, g.answered_at FROM live_call l JOIN given g USING (call_id, node) FOR UPDATE OF l SKIP LOCKED)
		UPDATE live_call l SET seen_at = now(), answered_at = m.answered_at FROM mine m WHERE l.call_id = m.call_id AND l.node = m.node`
	leaseReservationsSQL = `WITH mine AS MATERIALIZED (
			SELECT r.call_id, r.node, r.charge, r.payer FROM jsonb_to_recordset($1::jsonb) AS g (node text, calls jsonb), jsonb_array_elements_text(g.calls) AS c (call_id), reservation r
			WHERE r.call_id = c.call_id AND r.node = g.node AND r.state = 'pending' AND r.expires_at < clock_timestamp() + interval '5 minutes' FOR UPDATE OF r SKIP LOCKED)
		UPDATE reservation r SET expires_at = clock_timestamp() + interval '10 minutes' FROM mine m WHERE r.call_id = m.call_id AND r.node = m.node AND r.charge = m.charge AND r.payer = m.payer`
	leasePlacesSQL = `WITH mine AS MATERIALIZED (
			SELECT p.call_limit, p.key, p.call_id, p.node FROM jsonb_to_recordset($1::jsonb) AS g (node text, calls jsonb), jsonb_array_elements_text(g.calls) AS c (call_id), limit_place p
			WHERE p.call_id = c.call_id AND p.node = g.node AND p.released_at IS NULL AND p.expires_at < clock_timestamp() + interval '5 minutes' FOR UPDATE OF p SKIP LOCKED)
		UPDATE limit_place p SET expires_at = clock_timestamp() + interval '10 minutes' FROM mine m WHERE p.call_limit = m.call_limit AND p.key = m.key AND p.call_id = m.call_id AND p.node = m.node`
)
