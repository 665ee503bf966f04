package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic"
)

// NodeState is a node as operators configured it, with what it last said of itself.
type NodeState struct {
	Node      string
	InService bool
	Capacity  int       // channels it may carry
	Channels  int       // in use when it was last seen
	LastSeen  time.Time // zero: never
}

// Nodes lists the operators' nodes by name.
func (s *Store) Nodes(ctx context.Context) ([]NodeState, error) {
	rows, err := s.pool.Query(ctx, `SELECT node, in_service, n.capacity, coalesce(s.channels, 0), coalesce(s.last_seen, '0001-01-01Z')
		FROM node n LEFT JOIN node_status s USING (node) ORDER BY node`)
	if err != nil {
		return nil, fmt.Errorf("couldn't read node_status: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[NodeState])
	if err != nil {
		return nil, fmt.Errorf("couldn't read node_status: %w", err)
	}
	return list, nil
}

// lately is how far back LastCalls looks first: a partition for each day more costs time, and hundreds of locks in Postgres.
const lately = 2 * 24 * time.Hour

// LastCalls lists the newest CDRs by the start of their calls, without legs and records.
func (s *Store) LastCalls(ctx context.Context, limit int) ([]logic.CDR, error) {
	list, err := s.lastCalls(ctx, time.Now().Add(-lately), limit)
	if err == nil && len(list) < limit {
		list, err = s.lastCalls(ctx, time.Time{}, limit)
	}
	return list, err
}

// lastCalls is LastCalls of those that were stored since an instant.
func (s *Store) lastCalls(ctx context.Context, since time.Time, limit int) ([]logic.CDR, error) {
	rows, err := s.pool.Query(ctx, `SELECT call_id, node, trunk, caller, called, service, path, outcome, started_at, talk_ms, cause
		FROM cdr WHERE recorded_at >= $2 ORDER BY started_at DESC LIMIT $1`, limit, since)
	if err != nil {
		return nil, fmt.Errorf("couldn't read cdr: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c logic.CDR, err error) {
		var talk int64
		err = row.Scan(&c.CallID, &c.Node, &c.Trunk, &c.Caller, &c.Called, &c.Service, &c.Path, &c.Outcome, &c.StartedAt, &talk, &c.Cause)
		c.Talk = time.Duration(talk) * time.Millisecond
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("couldn't read cdr: %w", err)
	}
	return list, nil
}

// ServedSince says since when this engine serves the config revision that it serves; zero when it has not noted it yet.
func (s *Store) ServedSince(ctx context.Context) (since time.Time, err error) {
	var noted *time.Time
	err = s.pool.QueryRow(ctx, "SELECT revision_since FROM engine_status WHERE engine = $1", s.engine).Scan(&noted)
	switch {
	case errors.Is(err, pgx.ErrNoRows) || err == nil && noted == nil:
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("couldn't read engine_status: %w", err)
	}
	return *noted, nil
}
