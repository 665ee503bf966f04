package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ringmaster/logic"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// feed runs a feed until the test ends and waits for its first snapshot.
func feed(t *testing.T, s *store.Store) *store.Feed {
	t.Helper()
	f := s.NewFeed(time.LoadLocation)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	if err := f.Wait(within(t), 1); err != nil {
		t.Fatal(err)
	}
	return f
}

func revision(t *testing.T, dsn string) int64 {
	t.Helper()
	return ask[int64](t, dsn, "SELECT revision FROM config_revision")
}

// live waits until the feed serves what is committed.
func live(t *testing.T, f *store.Feed, dsn string) {
	t.Helper()
	if err := f.Wait(within(t), revision(t, dsn)); err != nil {
		t.Fatal(err)
	}
}

func TestLoadReadsTheDemoCarrier(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, `
		INSERT INTO node (node, certificate_name, capacity, in_service) VALUES ('n1', 'n1.example', 90, false);
		SELECT set_node_secret('n1', 'a long enough secret');
		INSERT INTO screening_entry VALUES ('citybank_codes', '99', '1999-12-31 23:00+00', 'infinity');
		INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at, valid_from, valid_to) VALUES ('always', '0000001', '22:30:15', '06:00', '1999-12-31', NULL);
		INSERT INTO service_number VALUES ('', 'prefix', 'acme_hotline')`)
	s := open(t, dsn)
	rows, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		got  any
		want string
	}{
		{"plans", rows.NumberingPlans, "[{default 49 00 0}]"},
		{"trunks", len(rows.Trunks), "2"},
		{"node", fmt.Sprintf("%s %d %s %d %v", rows.Nodes[0].Node, len(rows.Nodes[0].SecretSHA256), rows.Nodes[0].CertificateName, rows.Nodes[0].Capacity, rows.Nodes[0].InService), "n1 32 n1.example 90 false"},
		{"key", len(rows.SessionKeys[0].Secret), "32"},
		{"areas", len(rows.AreaPrefixes), "5"},
		{"branches", rows.Branches, "[{acme_share 1 berlin 70 4930200100 office} {acme_share 2 hamburg 30 4940200100 office}]"},
		{"numbers", len(rows.ServiceNumbers), "8"},
		{"parameters", len(rows.ServiceParameters), "26"},
		{"first steps", rows.Scripts, "[{account_card begin} {freephone hours} {freephone_charged hours} {premium_rate hours} {security_screening begin} {split_charging rate}]"},
	} {
		if got := fmt.Sprint(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, got, c.want)
		}
	}
	window := rows.CalendarWindows[len(rows.CalendarWindows)-1]
	if window.OpensAt != 22*3600+30*60+15 || window.ClosesAt != 6*3600 || !window.ValidFrom.Equal(time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)) || !window.ValidTo.IsZero() {
		t.Errorf("window %+v", window)
	}
	if rows.CalendarWindows[2].ClosesAt != 86400 {
		t.Errorf("24:00 became %d", rows.CalendarWindows[2].ClosesAt)
	}
	for _, h := range rows.CalendarHolidays {
		if h.Name == "Heiligabend" && (h.OpensAt != 8*3600 || h.ClosesAt != 12*3600 || !h.Yearly || h.Holiday.Day() != 24) {
			t.Errorf("holiday %+v", h)
		}
	}
	for _, e := range rows.ScreeningEntries {
		if e.Entry == "99" && (!e.ValidFrom.Equal(time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC)) || !e.ValidTo.IsZero()) {
			t.Errorf("entry %+v", e)
		}
	}
	for _, p := range rows.ScriptParameters {
		if p.Parameter == "hours" && p.DefaultValue != nil || p.Parameter == "ring_seconds" && p.DefaultValue == nil {
			t.Errorf("parameter %+v", p)
		}
	}
	for _, st := range rows.Steps {
		if st.Step == "hours" && string(st.Parameters) != `{"condition": "open(hours)"}` {
			t.Errorf("step %s", st.Parameters)
		}
	}
	if snapshot, problems := logic.Compile(rows, nil, time.LoadLocation); snapshot == nil || len(problems) > 0 {
		t.Errorf("the demo carrier has problems: %v", problems)
	}
}

// A load sees one instant: rows that are changed together are loaded together.
func TestLoadNeverSeesHalfAnEdit(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, "INSERT INTO service_parameter VALUES ('acme_freephone', 'ring_seconds', '49')")
	s, conn := open(t, dsn), dial(t, dsn)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			// Tables that Load reads far apart.
			_, err := conn.Exec(context.WithoutCancel(ctx), fmt.Sprintf(`BEGIN; UPDATE numbering_plan SET country_code = '%d';
				UPDATE service_parameter SET value = '%d' WHERE parameter = 'ring_seconds'; COMMIT`, i%900+1, i%900+1))
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer wg.Wait()
	defer cancel()
	last := int64(0)
	for changes := 0; changes < 30; {
		rows, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ring := ""
		for _, p := range rows.ServiceParameters {
			if p.Parameter == "ring_seconds" {
				ring = p.Value
			}
		}
		if ring != rows.NumberingPlans[0].CountryCode {
			t.Fatalf("revision %d is a mix: %s and %s", rows.Revision, ring, rows.NumberingPlans[0].CountryCode)
		}
		if rows.Revision != last {
			changes++
		}
		last = rows.Revision
	}
}

func TestEditIsLiveWithoutReload(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	f := feed(t, open(t, dsn))
	if !f.Ready() || f.Revision() != revision(t, dsn) {
		t.Fatalf("serves revision %d", f.Revision())
	}
	if _, ok := f.Snapshot().Node("n1"); ok {
		t.Fatal("a node nobody made")
	}
	mustExec(t, dsn, "INSERT INTO node (node) VALUES ('n1')")
	live(t, f, dsn)
	if _, ok := f.Snapshot().Node("n1"); !ok {
		t.Fatal("the edit isn't live")
	}
	got := int64(0)
	await(t, func() bool {
		got = ask[int64](t, dsn, "SELECT revision FROM engine_status WHERE engine = 'test' AND error IS NULL AND revision_since <= last_seen")
		return got == f.Revision()
	})
}

func TestProblemsComeAndGo(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	s := open(t, dsn)
	f := feed(t, s)
	count := func() int { return ask[int](t, dsn, "SELECT count(*) FROM config_problem") }
	mustExec(t, dsn, `UPDATE step SET parameters = '{"condition": "open("}' WHERE script = 'freephone' AND step = 'hours'`)
	live(t, f, dsn)
	await(t, func() bool { return count() > 0 })
	problems, err := s.Problems(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if problems[0].Table != "step" || problems[0].Key != "freephone.hours" || problems[0].Reason == "" {
		t.Errorf("problem %+v", problems[0])
	}
	since := ask[time.Time](t, dsn, "SELECT min(since) FROM config_problem")
	// Another edit doesn't make it younger.
	mustExec(t, dsn, "INSERT INTO trunk VALUES ('t')")
	live(t, f, dsn)
	await(t, func() bool {
		return ask[int64](t, dsn, "SELECT revision FROM config_check") == f.Revision()
	})
	if !ask[time.Time](t, dsn, "SELECT min(since) FROM config_problem").Equal(since) {
		t.Error("the problem's since changed")
	}
	// An engine that is behind doesn't overwrite it.
	mustExec(t, dsn, `UPDATE step SET parameters = '{"condition": "open(hours)"}' WHERE script = 'freephone' AND step = 'hours'`)
	live(t, f, dsn)
	await(t, func() bool { return count() == 0 })
}

// What can't be loaded is said in engine_status, and what was loaded goes on being served.
func TestFailedLoadIsTold(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	f := feed(t, open(t, dsn))
	had := f.Revision()
	mustExec(t, dsn, "INSERT INTO trunk VALUES ('t'); ALTER TABLE numbering_plan RENAME TO gone")
	await(t, func() bool {
		return ask[bool](t, dsn, "SELECT count(*) = 1 FROM engine_status WHERE error LIKE '%numbering_plan%'")
	})
	if f.Revision() != had {
		t.Fatalf("serves revision %d", f.Revision())
	}
	mustExec(t, dsn, "ALTER TABLE gone RENAME TO numbering_plan")
	live(t, f, dsn)
	await(t, func() bool { return ask[bool](t, dsn, "SELECT error IS NULL FROM engine_status") })
}

// The connection that listens dies without a word, with an edit in the gap.
func TestEditIsNotMissedWhenTheConnectionDiesInSilence(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	proxy := storetest.NewProxy(t, dsn)
	f := feed(t, open(t, proxy.DSN()))
	for i := range 2 {
		proxy.Silence()
		mustExec(t, dsn, fmt.Sprintf("INSERT INTO node (node) VALUES ('n%d')", i))
		live(t, f, dsn)
		if _, ok := f.Snapshot().Node(fmt.Sprint("n", i)); !ok {
			t.Fatal("the edit isn't live")
		}
	}
	// And with a clean cut.
	proxy.Cut()
	mustExec(t, dsn, "INSERT INTO node (node) VALUES ('cut')")
	live(t, f, dsn)
}

func TestFeedServesWhatItHasWhilePostgresIsAway(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	proxy := storetest.NewProxy(t, dsn)
	s := open(t, proxy.DSN())
	f := feed(t, s)
	had := f.Snapshot()
	proxy.Mute()
	mustExec(t, dsn, "INSERT INTO node (node) VALUES ('away')")
	<-proxy.Dropped()
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := f.Wait(short, revision(t, dsn)); err == nil || !strings.Contains(err.Error(), "is served") {
		t.Fatalf("got %v", err)
	}
	if f.Snapshot() != had || f.Age() <= 0 {
		t.Fatal("the snapshot went away with Postgres")
	}
	proxy.Heal()
	proxy.Cut()
	live(t, f, dsn)
}

// An engine can be started before its database is there or migrated.
func TestFeedWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	s := open(t, dsn)
	f := s.NewFeed(time.LoadLocation)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	if f.Ready() || f.Snapshot() != nil || f.Revision() != 0 {
		t.Fatal("ready without a database")
	}
	if err := store.Migrate(t.Context(), dsn, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Wait(within(t), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != context.Canceled {
		t.Fatal(err)
	}
}
