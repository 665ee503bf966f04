package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"pgregory.net/rapid"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/store"
	"ringmaster/store/ledger"
	"ringmaster/store/storetest"
)

var began = time.Date(2026, 11, 23, 9, 30, 0, 123_000_000, time.UTC)

// finished is a CDR with something in each field.
func finished(id string) logic.CDR {
	return logic.CDR{
		CallID: id, Node: "node1", Channel: "PJSIP/softswitch-1", Trunk: "pstn", Caller: "493012345", Called: "498001234567",
		Dialled: "08001234567", Presentation: logic.PresentationRestricted, Service: "acme_freephone", Subscriber: "acme",
		Script: "freephone", Path: "hours:true office:found ring:busy second:answer", Revision: 7, Outcome: logic.CallAnswered,
		StartedAt: began, AnsweredAt: began.Add(3 * time.Second), EndedAt: began.Add(45 * time.Second), Talk: 42 * time.Second,
		Cause: 16, HangupSource: "caller",
		Legs: []logic.Leg{{Trunk: "office", Number: "4930200100", Status: logic.StatusBusy, DialStatus: "BUSY", Cause: 17},
			{Trunk: "office", Number: "4930200200", Status: logic.StatusAnswer, DialStatus: "ANSWER", Cause: 16, TalkMilliseconds: 42000}},
		Records: []logic.Record{{At: began, Kind: "security", Text: "first"}, {At: began, Kind: "security", Text: "second"}},
	}
}

func newLedger(t *testing.T, dsn string) *store.Ledger {
	t.Helper()
	l := open(t, dsn).NewLedger()
	t.Cleanup(l.Close)
	return l
}

// ended is the error of a write that returns something too.
func ended[T any](_ T, err error) error { return err }

// oneEach checks that each call has exactly one CDR and its two records.
func oneEach(t *testing.T, dsn string, ids ...string) {
	t.Helper()
	if n := ask[int](t, dsn, "SELECT count(*) FROM cdr WHERE call_id = ANY ($1)", ids); n != len(ids) {
		t.Errorf("%d of %d calls have a CDR", n, len(ids))
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM call_record WHERE call_id = ANY ($1)", ids); n != 2*len(ids) {
		t.Errorf("%d calls have %d records, want two each", len(ids), n)
	}
}

func TestEndStoresAllOfACDR(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	l := newLedger(t, dsn)
	if _, err := l.End(within(t), finished("call-1")); err != nil {
		t.Fatal(err)
	}
	got := ask[string](t, dsn, "SELECT (to_jsonb(c) - 'recorded_at' - 'written_by')::text FROM cdr c")
	want := `{"call_id":"call-1","node":"node1","channel":"PJSIP/softswitch-1","trunk":"pstn","caller":"493012345","called":"498001234567",
		"dialled":"08001234567","presentation":"restricted","service":"acme_freephone","subscriber":"acme","script":"freephone",
		"path":"hours:true office:found ring:busy second:answer","revision":7,"outcome":"answered","started_at":"2026-11-23T09:30:00.123+00:00",
		"answered_at":"2026-11-23T09:30:03.123+00:00","ended_at":"2026-11-23T09:30:45.123+00:00","talk_ms":42000,"cause":16,"hangup_source":"caller","charges":[],"flags":[],
		"legs":[{"trunk":"office","number":"4930200100","status":"busy","dial_status":"BUSY","cause":17,"talk_ms":0},
		{"trunk":"office","number":"4930200200","status":"answer","dial_status":"ANSWER","cause":16,"talk_ms":42000}]}`
	var g, w any
	if err := errors.Join(json.Unmarshal([]byte(got), &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(g) != fmt.Sprint(w) {
		t.Errorf("stored %v\nwant   %v", g, w)
	}
	if got := ask[string](t, dsn, "SELECT string_agg(position || kind || text, ' ' ORDER BY position) FROM call_record"); got != "0securityfirst 1securitysecond" {
		t.Errorf("records: %s", got)
	}
}

// TestANodeCannotTakeTheRecordOfAnother: a node names its own calls, so what it says of a name that another node uses is another call.
func TestANodeCannotTakeTheRecordOfAnother(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	l := newLedger(t, dsn)
	theirs, ours := finished("call-1"), finished("call-1")
	theirs.Node, theirs.Outcome, theirs.Talk = "node2", logic.CallFallback, 0
	for _, cdr := range []logic.CDR{theirs, ours, theirs, ours} {
		if _, err := l.End(within(t), cdr); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask[string](t, dsn, "SELECT string_agg(node || ' ' || outcome || ' ' || talk_ms, ', ' ORDER BY node) FROM cdr"); got != "node1 answered 42000, node2 fallback 0" {
		t.Errorf("stored: %s", got)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM call_record WHERE node = 'node1'"); n != 2 {
		t.Errorf("%d records", n)
	}
}

func TestOddBytesDontLoseACDR(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	l := newLedger(t, dsn)
	c := finished("odd")
	c.Channel, c.Caller, c.Path = "PJSIP\x00/\xff", string(make([]byte, 100_000)), "a:b\x00"
	c.Cause, c.Talk, c.AnsweredAt = 4711, -time.Second, time.Time{}
	c.Legs[0].DialStatus = "\x00\xfe"
	c.Records[0].Text = "\x00"
	if _, err := l.End(within(t), c); err != nil {
		t.Fatal(err)
	}
	oneEach(t, dsn, "odd")
	if got := ask[string](t, dsn, "SELECT concat(channel, path, cause, talk_ms, answered_at IS NULL) FROM cdr"); got != "PJSIP/a:b00t" {
		t.Errorf("stored %q", got)
	}
}

// One bad CDR in a batch fails alone.
func TestInvalidCDRFailsAlone(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	l := newLedger(t, dsn)
	var wg sync.WaitGroup
	var ids []string
	for i := range 50 {
		id := fmt.Sprintf("good-%d", i)
		ids = append(ids, id)
		wg.Go(func() {
			if _, err := l.End(within(t), finished(id)); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			bad := finished(fmt.Sprintf("bad-%d", i))
			bad.Outcome = "nonsense"
			if _, err := l.End(within(t), bad); !errors.Is(err, ledger.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	oneEach(t, dsn, ids...)
	if n := ask[int](t, dsn, "SELECT count(*) FROM cdr"); n != 50 {
		t.Errorf("%d CDRs", n)
	}
}

// Whatever is resent, by however many callers, through however many engines: one CDR per call.
func TestOneCDRPerCallUnderDuplicatesAndConcurrency(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	engines := []*store.Ledger{newLedger(t, dsn), newLedger(t, dsn)}
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		sends := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 60).Draw(rt, "calls")
		by := rapid.SliceOfN(rapid.IntRange(0, 1), len(sends), len(sends)).Draw(rt, "engines")
		var wg sync.WaitGroup
		var mu sync.Mutex
		var failed error
		seen := make(map[string]bool)
		for i, call := range sends {
			id := fmt.Sprintf("r%d-%d", round, call)
			seen[id] = true
			wg.Go(func() {
				if _, err := engines[by[i]].End(within(t), finished(id)); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed = err
				}
			})
		}
		wg.Wait()
		if failed != nil {
			rt.Fatal(failed)
		}
		var ids []string
		for id := range seen {
			ids = append(ids, id)
		}
		oneEach(t, dsn, ids...)
	})
}

func TestBatchesShareTransactions(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	registry := prometheus.NewPedanticRegistry()
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Engine: "test", Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := s.NewLedger()
	defer l.Close()
	// While the table is locked the calls pile up; then they go through together.
	conn := dial(t, dsn)
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE cdr"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	const calls = 100
	for i := range calls {
		wg.Go(func() {
			if _, err := l.End(within(t), finished(fmt.Sprint("c", i))); err != nil {
				t.Error(err)
			}
		})
	}
	await(t, func() bool { return depth(t, registry) == calls })
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if n := ask[int](t, dsn, "SELECT count(DISTINCT xmin::text) FROM cdr"); n >= calls/2 {
		t.Errorf("%d calls took %d transactions", calls, n)
	}
	await(t, func() bool { return depth(t, registry) == 0 })
	s.NewFeed(time.LoadLocation) // its metrics as well
	for _, p := range lint(t, registry) {
		t.Errorf("metric %s: %s", p.Metric, p.Text)
	}
}

func depth(t *testing.T, registry *prometheus.Registry) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "ringmaster_store_queue_depth" && m.GetLabel()[0].GetValue() == "cdr" {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatal("no metric of the queue's depth")
	return 0
}

func TestNodesReport(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	mustExec(t, dsn, "INSERT INTO node (node, in_service) VALUES ('n1', true), ('n2', false)")
	l := newLedger(t, dsn)
	report := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	report(l.Register(within(t), "n1", "boot-1", 80, 0, nil))
	registered := ask[time.Time](t, dsn, "SELECT registered_at FROM node_status")
	report(ended(l.Heartbeat(within(t), "n1", "boot-1", 2, []charging.LiveCall{{CallID: "c1"}, {CallID: "c2\x00"}})))
	report(l.Register(within(t), "n2", "boot-x", -1, 1, nil))
	got := ask[string](t, dsn, "SELECT string_agg(concat_ws('|', node, boot_id, state, capacity, channels, calls), ' ' ORDER BY node) FROM node_status")
	if want := "n1|boot-1|in_service|80|2|{c1,c2} n2|boot-x|out_of_service|0|1|{}"; got != want {
		t.Errorf("noted %s\nwant  %s", got, want)
	}
	if !ask[time.Time](t, dsn, "SELECT registered_at FROM node_status WHERE node = 'n1'").Equal(registered) {
		t.Error("a heartbeat changed the time of registration")
	}
	report(ended(l.Heartbeat(within(t), "n1", "boot-2", 0, nil)))
	if ask[time.Time](t, dsn, "SELECT registered_at FROM node_status WHERE node = 'n1'").Equal(registered) {
		t.Error("another boot id didn't change the time of registration")
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if _, err := l.Heartbeat(within(t), fmt.Sprint("m", i%3), "b", i, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := ask[int](t, dsn, "SELECT count(*) FROM node_status"); n != 5 {
		t.Errorf("%d nodes", n)
	}
}

// Each outcome that logic knows is one that Postgres takes.
func TestEveryOutcomeIsStored(t *testing.T) {
	t.Parallel()
	l := newLedger(t, storetest.Database(t))
	for _, outcome := range []logic.CallOutcome{logic.CallAnswered, logic.CallBusy, logic.CallNoAnswer, logic.CallUnreachable,
		logic.CallAbandoned, logic.CallReleased, logic.CallContinued, logic.CallFallback} {
		c := finished(string(outcome))
		c.Outcome = outcome
		if _, err := l.End(within(t), c); err != nil {
			t.Error(err)
		}
	}
}

// What the operator's page shows.
func TestReports(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	mustExec(t, dsn, "INSERT INTO node (node, capacity) VALUES ('n1', 90), ('n2', 80)")
	s := open(t, dsn)
	l := s.NewLedger()
	t.Cleanup(l.Close)
	early, late := finished("early"), finished("late")
	late.StartedAt = late.StartedAt.Add(time.Hour)
	for _, err := range []error{ended(l.End(within(t), late)), ended(l.End(within(t), early)), ended(l.Heartbeat(within(t), "n1", "b", 3, nil))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	calls, err := s.LastCalls(within(t), 1)
	if err != nil || len(calls) != 1 || calls[0].CallID != "late" || calls[0].Talk != 42*time.Second {
		t.Errorf("last calls %+v, %v", calls, err)
	}
	nodes, err := s.Nodes(within(t))
	if err != nil || len(nodes) != 2 || nodes[0].Channels != 3 || nodes[0].LastSeen.IsZero() || nodes[1].Capacity != 80 || !nodes[1].LastSeen.IsZero() {
		t.Errorf("nodes %+v, %v", nodes, err)
	}
	if since, err := s.ServedSince(within(t)); err != nil || !since.IsZero() {
		t.Errorf("served since %v, %v", since, err)
	}
	feed(t, s)
	await(t, func() bool {
		since, err := s.ServedSince(within(t))
		return err == nil && !since.IsZero()
	})
}

func TestClosedLedgerRefuses(t *testing.T) {
	t.Parallel()
	l := open(t, storetest.Database(t)).NewLedger()
	l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.End(ctx, finished("late")); err == nil {
		t.Error("a closed ledger stored a CDR")
	}
}

func lint(t *testing.T, registry *prometheus.Registry) []promlint.Problem {
	t.Helper()
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	return problems
}
