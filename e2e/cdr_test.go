//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// cdr is the row of one call.
type cdr struct {
	CallID, Node, Trunk, Caller, Called, Dialled, Service, Path, Outcome, HangupSource string
	StartedAt, EndedAt                                                                 time.Time
	AnsweredAt                                                                         *time.Time
	TalkMS                                                                             int64
	Cause                                                                              int
	Legs                                                                               []leg
	RecordedAt                                                                         time.Time
}

type leg struct {
	Trunk  string `json:"trunk"`
	Number string `json:"number"`
	Status any    `json:"status"`
	TalkMS int64  `json:"talk_ms"`
}

func (c cdr) String() string {
	return fmt.Sprintf("%s: %s → %s, service %s, %s, talk %d ms, cause %d, answered %v, path %s, legs %v",
		c.CallID, c.Caller, c.Called, c.Service, c.Outcome, c.TalkMS, c.Cause, c.AnsweredAt, c.Path, c.Legs)
}

// talk is the conversation in seconds and milliseconds.
func (c cdr) talk() time.Duration { return time.Duration(c.TalkMS) * time.Millisecond }

// numbers are the numbers that rang, in order.
func (c cdr) numbers() string {
	var n []string
	for _, l := range c.Legs {
		n = append(n, l.Number)
	}
	return strings.Join(n, " ")
}

// cdrsOf reads the CDRs of a caller's number (E.164). Each call of the tests has a caller's number of its own.
func (s *stack) cdrsOf(caller string) ([]cdr, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	rows, err := s.db.Query(ctx, `SELECT call_id, node, trunk, caller, called, dialled, service, path, outcome, hangup_source,
		started_at, ended_at, answered_at, talk_ms, cause, legs, recorded_at FROM cdr WHERE caller = $1`, caller)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[cdr])
}

// cdr waits for the call's CDR.
func (s *stack) cdr(t testing.TB, caller string, limit time.Duration) cdr {
	t.Helper()
	var got []cdr
	eventually(t, limit, "CDR of "+caller, func() (err error) {
		if got, err = s.cdrsOf(caller); err == nil && len(got) == 0 {
			err = fmt.Errorf("no CDR yet")
		}
		return err
	})
	if len(got) != 1 {
		t.Errorf("%d CDRs for one call: %v", len(got), got)
	}
	return got[0]
}

// checkAllCDRs says whether there is exactly one CDR for each call that was placed, and none besides.
func (s *stack) checkAllCDRs(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var all, different int
	if err := s.db.QueryRow(ctx, "SELECT count(*), count(DISTINCT caller) FROM cdr").Scan(&all, &different); err != nil {
		t.Fatal(err)
	}
	if placed := int(s.calls.Load()); all != placed || different != placed {
		t.Errorf("%d calls were placed, but there are %d CDRs of %d callers", placed, all, different)
	}
}

// near fails the test unless got is within tolerance of want.
func near(t testing.TB, what string, got, want, tolerance time.Duration) {
	t.Helper()
	if d := got - want; d < -tolerance || d > tolerance {
		t.Errorf("%s is %v, want %v ± %v", what, got, want, tolerance)
	}
}

// sameTalk compares a conversation in a CDR with what the phones saw.
func sameTalk(t testing.TB, c cdr, got, want time.Duration) {
	t.Helper()
	if got > want+talkTooLong || got < want-talkTooShort {
		t.Errorf("the conversation is %v in the CDR and was %v: %v", got, want, c)
	}
}
