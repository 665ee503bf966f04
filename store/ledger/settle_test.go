package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/logic/call"
)

// TestFirstEnds: of the ends of a call that share a transaction the first counts, but any that its node sent before the reaper's, who heard nothing.
func TestFirstEnds(t *testing.T) {
	lost := &ended{CDR: call.CDR{CallID: "a", Node: "n", Outcome: call.OutcomeNodeLost}}
	end := func(callID, node string, talk time.Duration) *ended {
		return &ended{CDR: call.CDR{CallID: callID, Node: node, Outcome: call.OutcomeAnswered, Talk: talk}}
	}
	for name, c := range map[string]struct {
		batch []*ended
		want  []time.Duration
	}{
		"two of a node":             {[]*ended{end("a", "n", 1), end("a", "n", 2)}, []time.Duration{1}},
		"the reaper's first":        {[]*ended{lost, end("a", "n", 1), end("a", "n", 2)}, []time.Duration{1}},
		"the reaper's last":         {[]*ended{end("a", "n", 1), lost}, []time.Duration{1}},
		"the reaper's alone, twice": {[]*ended{lost, lost}, []time.Duration{0}},
		"of other calls and nodes":  {[]*ended{lost, end("b", "n", 1), end("a", "m", 2)}, []time.Duration{0, 1, 2}},
	} {
		got := firstEnds(c.batch)
		if len(got) != len(c.want) {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		for i := range got {
			if got[i].Talk != c.want[i] {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

// TestIsInvalid: what Postgres will refuse for ever concerns one write, and must not hold up those that share its transaction.
func TestIsInvalid(t *testing.T) {
	for code, want := range map[string]bool{"22003": true, "23505": true, "0A000": true, "40001": false, "55P03": false, "57P01": false} {
		if got := isInvalid(fmt.Errorf("couldn't write: %w", &pgconn.PgError{Code: code})); got != want {
			t.Errorf("%s: %v", code, got)
		}
	}
}
