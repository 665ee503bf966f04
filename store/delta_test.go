package store_test

import (
	"flag"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/logic"
	"ringmaster/logic/transcript"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// answers asks a snapshot for many kinds of calls, with the reasons.
func answers(s *logic.Snapshot) string {
	var all strings.Builder
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for _, called := range []string{"08001234567", "08002222222", "08003333333", "08009", "09005550100", "+33", "+498003333334"} {
		for _, caller := range []string{"+49301", "+49891", "+331", ""} {
			call := &logic.Session{CallID: "c" + caller, Node: "node", Caller: caller, Called: called, StartedAt: at}
			out := logic.Outcome{Trace: &logic.Trace{}}
			event := logic.Event{Kind: logic.EventStart}
			for range 8 {
				s.Step(call, event, at, &out)
				if event = (logic.Event{Kind: logic.EventAnswer}); out.Ask.Kind == logic.AskNothing {
					break
				}
			}
			fmt.Fprintf(&all, "%s → %s\n", caller, called)
			for i := range out.Instructions {
				fmt.Fprintf(&all, "  > %s\n", transcript.FormatInstruction(&out.Instructions[i]))
			}
			for _, d := range out.Trace.Decisions {
				fmt.Fprintf(&all, "  %s %s\n", transcript.FormatDecision(d), d.Beaten)
			}
		}
	}
	for _, name := range []string{"n1", "n2"} {
		node, ok := s.Node(name)
		fmt.Fprintf(&all, "%s %v %v %v %d\n", name, ok, node.InService, node.HasSecret, node.Capacity)
	}
	return all.String()
}

// scale is how many times more than usual -rapid.checks asks for.
func scale(n int) int {
	checks, err := strconv.Atoi(flag.Lookup("rapid.checks").Value.String())
	if err != nil {
		panic(err)
	}
	return max(1, n*checks/100)
}

// edit runs a random transaction and reports whether Postgres took it.
func edit(t *testing.T, conn *pgx.Conn, r *rand.Rand) (sql string, taken bool) {
	t.Helper()
	statements := make([]string, 1+r.IntN(4))
	for i := range statements {
		kinds := goodEdits
		switch r.IntN(16) {
		case 0:
			kinds = badEdits
		case 1, 2:
			kinds = absurdEdits
		}
		statements[i] = kinds[r.IntN(len(kinds))].sql(r)
	}
	sql = strings.Join(statements, ";\n")
	return sql, try(t, conn, sql) == nil
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// counted is a store whose metrics can be read.
func counted(t *testing.T, dsn string) (*store.Store, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Engine: "test", Registry: registry, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, registry
}

// deltas says how many edits were taken over by themselves.
func deltas(t *testing.T, registry *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "ringmaster_config_deltas_total" && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatal("no such metric")
	return 0
}

// same compares a snapshot with the dumb twin that was compiled of all rows.
func same(t *testing.T, what string, got, want *logic.Snapshot) {
	t.Helper()
	if g, w := answers(got), answers(want); g != w {
		t.Fatalf("%s\nthe feed's snapshot answers:\n%s\none that was compiled of all rows:\n%s", what, g, w)
	}
	if g, w := got.Problems(), want.Problems(); !slices.Equal(g, w) {
		t.Fatalf("%s\nproblems %v\nwant %v", what, g, w)
	}
	if g, w := fmt.Sprint(got.Revision(), got.Sizes()), fmt.Sprint(want.Revision(), want.Sizes()); g != w {
		t.Fatalf("%s\nrevision and sizes %s\nwant %s", what, g, w)
	}
}

// TestFeedFollowsRandomEdits is the property of the incremental feed: whatever operators commit, it serves what a load and compilation of
// everything would.
func TestFeedFollowsRandomEdits(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	numbers := scale(1500)
	bystanders(t, dsn, numbers)
	s, registry := counted(t, dsn)
	f := feed(t, s)
	conn := operator(t, dsn)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	rows, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	whole, _ := logic.Compile(rows, nil, time.LoadLocation)
	taken, wanted := 0, scale(150)
	for range 20 * wanted {
		sql, ok := edit(t, conn, r)
		if !ok {
			continue
		}
		live(t, f, dsn)
		if rows, err = s.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		whole, _ = logic.Compile(rows, whole, time.LoadLocation)
		same(t, fmt.Sprintf("seed %d, after %s", seed, sql), f.Snapshot(), whole)
		for range 100 {
			undisturbed(t, fmt.Sprintf("seed %d, after %s", seed, sql), f.Snapshot(), 1+r.IntN(numbers))
		}
		if taken++; taken == wanted {
			break
		}
	}
	for i := range numbers {
		undisturbed(t, "at the end", f.Snapshot(), 1+i)
	}
	if taken < wanted {
		t.Fatalf("only %d edits of %d were taken", taken, wanted)
	}
	if n := deltas(t, registry, "ok"); n < float64(wanted)/2 {
		t.Fatalf("only %v of %d edits were taken over by themselves", n, wanted)
	}
	if n := deltas(t, registry, "failed"); n > 0 {
		t.Fatalf("%v edits could not be taken over by themselves", n)
	}
}

// TestNoEditIsMissedInACut cuts the connections half-open -cuts times, with edits in each gap, of which the feed sees several at once. Staleness is what the metric says of it: the longest that the served config was not known
// to be the newest, while the connections were cut and edits committed.
func TestNoEditIsMissedInACut(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	proxy := storetest.NewProxy(t, dsn)
	s, registry := counted(t, proxy.DSN())
	f := feed(t, s)
	direct, conn := open(t, dsn), dial(t, dsn)
	const allowed = 5 // seconds
	if bound := store.FeedBound.Seconds(); bound >= allowed {
		t.Errorf("by its own times the feed may be stale for %v s", bound)
	}
	stalest := watchAge(t, registry)
	number := 0
	for range *cuts {
		proxy.Silence() // half-open
		for range 5 {
			number++
			if _, err := conn.Exec(t.Context(), fmt.Sprintf(`BEGIN; INSERT INTO service_number VALUES ('498003333%03d', 'exact', 'acme_hotline');
				UPDATE service_parameter SET value = '4930200%03d@office' WHERE parameter = 'second_office';
				INSERT INTO translation VALUES ('acme_offices', 'x%[1]d', '4930'); COMMIT`, number, number), pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatal(err)
			}
		}
		live(t, f, dsn)
		rows, err := direct.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		whole, _ := logic.Compile(rows, nil, time.LoadLocation)
		same(t, "after a gap", f.Snapshot(), whole)
	}
	if deltas(t, registry, "ok") == 0 {
		t.Fatal("no edit was taken over by itself")
	}
	worst := stalest()
	t.Logf("%d cuts with %d edits in the gaps: stale for at most %.2f s", *cuts, number, worst)
	if *cuts >= 50 && worst > allowed { // where other tests take the processor away, a time says nothing
		t.Errorf("ringmaster_config_age_seconds has been %v", worst)
	}
}

// watchAge reads ringmaster_config_age_seconds all the time until it is asked for the highest value.
func watchAge(t *testing.T, registry *prometheus.Registry) (stalest func() float64) {
	t.Helper()
	done := make(chan struct{})
	highest := make(chan float64)
	go func() {
		worst, tick := 0.0, time.NewTicker(5*time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				worst = max(worst, gauge(registry, "ringmaster_config_age_seconds"))
			case <-done:
				highest <- worst
				return
			}
		}
	}()
	return func() float64 { close(done); return <-highest }
}

// gauge is the value of a gauge without labels; far too much when there is none.
func gauge(registry *prometheus.Registry, name string) float64 {
	families, err := registry.Gather()
	if err != nil {
		return math.Inf(1)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return math.Inf(1)
}

// What the journal can't tell is loaded as a whole.
func TestFeedLoadsEverythingWhenTheJournalDoesNotReachBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, edit string }{
		"pruned":      {"SELECT 1", "INSERT INTO trunk VALUES ('x'); SET CONSTRAINTS ALL IMMEDIATE; SELECT prune_config_change(0)"},
		"many rows":   {"INSERT INTO screening_list VALUES ('big')", "INSERT INTO screening_entry SELECT 'big', i::text FROM generate_series(1, 10001) AS i"},
		"truncated":   {"INSERT INTO screening_list VALUES ('big'); INSERT INTO screening_entry SELECT 'big', i::text FROM generate_series(1, 10001) AS i", "SELECT confirm_mass_change('test'); TRUNCATE screening_entry"},
		"failed over": {"SELECT 1", "UPDATE config_history SET commit_id = gen_random_uuid(); INSERT INTO trunk VALUES ('x')"},
		"odd kind":    {"SELECT 1", "INSERT INTO trunk VALUES ('x'); UPDATE config_change SET kind = 'novelty'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := storetest.Database(t)
			loadDemo(t, dsn)
			mustExec(t, dsn, c.before)
			s, registry := counted(t, dsn)
			f := feed(t, s)
			mustExec(t, dsn, c.edit)
			live(t, f, dsn)
			rows, err := s.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			whole, _ := logic.Compile(rows, nil, time.LoadLocation)
			same(t, name, f.Snapshot(), whole)
			if deltas(t, registry, "ok") > 0 || deltas(t, registry, "impossible") == 0 {
				t.Fatal("not everything was loaded")
			}
		})
	}
}

// A database that lost its last commits in a failover counts the same revision again for another edit.
func TestFeedSeesAnotherCommitOfTheSameRevision(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	f := feed(t, open(t, dsn))
	mustExec(t, dsn, "INSERT INTO node (node) VALUES ('n1')")
	live(t, f, dsn)
	mustExec(t, dsn, `BEGIN; DELETE FROM node; INSERT INTO node (node) VALUES ('n2'); COMMIT;
		BEGIN; UPDATE config_revision SET revision = revision - 1;
		DELETE FROM config_history WHERE revision = (SELECT revision FROM config_revision);
		UPDATE config_history SET revision = revision - 1 WHERE revision > (SELECT revision FROM config_revision); COMMIT`)
	await(t, func() bool {
		_, there := f.Snapshot().Node("n2")
		return there && f.Revision() == revision(t, dsn)
	})
}

func TestJournalIsPruned(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	mustExec(t, dsn, "INSERT INTO trunk VALUES ('a'); INSERT INTO trunk VALUES ('b')")
	mustExec(t, dsn, "INSERT INTO calendar VALUES ('c', 'UTC')")
	if n := ask[int64](t, dsn, "SELECT prune_config_change(1, '1 day')"); n == 0 {
		t.Fatal("nothing was pruned")
	}
	if got := ask[string](t, dsn, "SELECT string_agg(kind || ' ' || object, ', ') FROM config_change"); got != "calendar c" {
		t.Fatalf("left: %s", got)
	}
	if n := ask[int64](t, dsn, "SELECT prune_config_change()"); n != 0 {
		t.Fatalf("%d young changes were pruned", n)
	}
}
