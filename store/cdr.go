package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic"
)

// CDRFilter says which call detail records are wanted.
type CDRFilter struct {
	Since, Until time.Time // of the call's beginning; Until is the first instant that is not wanted
	Service      string    // empty: any
	Limit        int       // at most so many; 0: all
}

// EachCDR calls visit with each record, in the order in which the calls began, until visit returns an error. What is visited is reused for the next
// record. What services recorded about the calls (call_record) is left out.
func (s *Store) EachCDR(ctx context.Context, f CDRFilter, visit func(*logic.CDR) error) error {
	var limit *int
	if f.Limit > 0 {
		limit = &f.Limit
	}
	rows, err := s.pool.Query(ctx, `SELECT call_id, node, channel, trunk, caller, called, dialled, presentation, service, subscriber, script, path, revision,
			outcome, started_at, ended_at, talk_ms, cause, legs
		FROM cdr WHERE started_at >= $1 AND started_at < $2 AND ($3 = '' OR service = $3) ORDER BY started_at, call_id LIMIT $4`, f.Since, f.Until, f.Service, limit)
	if err != nil {
		return fmt.Errorf("couldn't read call records: %w", err)
	}
	var cdr logic.CDR
	var presentation, outcome string
	var talk int64
	var legs []byte
	_, err = pgx.ForEachRow(rows, []any{&cdr.CallID, &cdr.Node, &cdr.Channel, &cdr.Trunk, &cdr.Caller, &cdr.Called, &cdr.Dialled, &presentation, &cdr.Service,
		&cdr.Subscriber, &cdr.Script, &cdr.Path, &cdr.Revision, &outcome, &cdr.StartedAt, &cdr.EndedAt, &talk, &cdr.Cause, &legs}, func() error {
		cdr.Presentation, _ = logic.ParsePresentation(presentation) // one of the three, by a CHECK
		cdr.Outcome, cdr.Talk = logic.CallOutcome(outcome), time.Duration(talk)*time.Millisecond
		if err := readLegs(&cdr, legs); err != nil {
			return fmt.Errorf("call %s: %w", cdr.CallID, err)
		}
		return visit(&cdr)
	})
	if err != nil {
		return fmt.Errorf("couldn't read call records: %w", err)
	}
	return nil
}

// readLegs reads the attempts to reach somebody.
func readLegs(cdr *logic.CDR, text []byte) error {
	var legs []struct {
		logic.Leg
		Status string `json:"status"` // in words
	}
	if err := json.Unmarshal(text, &legs); err != nil {
		return fmt.Errorf("its legs: %w", err)
	}
	cdr.Legs = cdr.Legs[:0]
	for _, one := range legs {
		status, ok := logic.ParseStatus(one.Status)
		if !ok {
			return fmt.Errorf("its legs: status %q is unknown", one.Status)
		}
		one.Leg.Status = status
		cdr.Legs = append(cdr.Legs, one.Leg)
	}
	return nil
}
