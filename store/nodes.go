package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// maxLiveCalls is how many calls of one node are noted.
const maxLiveCalls = 2000

// nodeReport is what a node said of itself.
type nodeReport struct {
	Node     string   `json:"node"`
	BootID   string   `json:"boot_id"`
	Capacity *int     `json:"capacity"` // only at registration
	Channels int      `json:"channels"`
	Calls    []string `json:"calls"`
}

// Register notes that a node has started: its boot id, new at each start, the channels it may carry, those in use and the ids
// of its live calls.
func (l *Ledger) Register(ctx context.Context, node, bootID string, capacity, channels int, calls []string) error {
	return l.report(ctx, nodeReport{Node: node, BootID: bootID, Capacity: &capacity, Channels: channels, Calls: calls})
}

// Heartbeat notes that a node is alive, with its channels in use and the ids of its live calls.
func (l *Ledger) Heartbeat(ctx context.Context, node, bootID string, channels int, calls []string) error {
	return l.report(ctx, nodeReport{Node: node, BootID: bootID, Channels: channels, Calls: calls})
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
	ARRAY(SELECT jsonb_array_elements_text(g.calls)), clock_timestamp(), clock_timestamp()
FROM jsonb_to_recordset($1::jsonb) AS g (node text, boot_id text, capacity integer, channels integer, calls jsonb)
LEFT JOIN node n USING (node)
ORDER BY g.node
ON CONFLICT (node) DO UPDATE SET boot_id = excluded.boot_id, state = excluded.state,
	channels = excluded.channels, calls = excluded.calls, last_seen = excluded.last_seen,
	capacity = CASE WHEN excluded.node = ANY ($2::text[]) THEN excluded.capacity ELSE s.capacity END,
	registered_at = CASE WHEN s.boot_id = excluded.boot_id THEN s.registered_at ELSE excluded.registered_at END`

func (s *Store) writeNodes(ctx context.Context, batch []nodeReport) error {
	last := make(map[string]int, len(batch))
	reports := make([]nodeReport, 0, len(batch))
	for _, r := range batch {
		r.Node, r.BootID = cut(r.Node, maxCDRText), cut(r.BootID, maxCDRText)
		r.Channels = max(0, r.Channels)
		if r.Capacity != nil {
			capacity := max(0, *r.Capacity)
			r.Capacity = &capacity
		}
		calls := make([]string, 0, min(len(r.Calls), maxLiveCalls))
		for _, id := range r.Calls[:min(len(r.Calls), maxLiveCalls)] {
			calls = append(calls, cut(id, maxCDRText))
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
	_, err = s.pool.Exec(ctx, upsertNodes, string(list), registered)
	return err
}
