package store_test

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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

// one picks one of the texts.
func one(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// randomEdits are statements as operators write them: good, odd, and some that Postgres refuses.
var randomEdits = []func(r *rand.Rand) string{
	func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE calendar_window SET opens_at = '%02d:00', closes_at = '%02d:30' WHERE calendar = 'office_hours'", r.IntN(24), r.IntN(24))
	},
	func(r *rand.Rand) string {
		return "UPDATE calendar SET time_zone = '" + one(r, "Europe/Berlin", "UTC", "Asia/Tokyo", "Mars/Olympus") + "' WHERE calendar = 'office_hours'"
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO calendar_holiday VALUES ('%s', '2026-03-%02d', 'new') ON CONFLICT DO NOTHING", one(r, "office_hours", "always"), 1+r.IntN(3))
	},
	func(r *rand.Rand) string {
		return "DELETE FROM calendar_holiday WHERE calendar = '" + one(r, "office_hours", "always") + "'"
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO translation VALUES ('acme_offices', '%s', '%s', '%s') ON CONFLICT (translation_table, key) DO UPDATE SET value = excluded.value, trunk = excluded.trunk",
			one(r, "berlin", "munich", "hamburg", "", "x"), one(r, "4930", "4989", "49891"), one(r, "office", "pstn"))
	},
	func(r *rand.Rand) string {
		return "DELETE FROM translation WHERE key = '" + one(r, "berlin", "munich", "hamburg", "", "x") + "'"
	},
	func(r *rand.Rand) string {
		return "UPDATE translation SET key = '" + one(r, "berlin", "munich", "") + "' WHERE key = '" + one(r, "berlin", "munich", "", "x") + "'"
	},
	func(r *rand.Rand) string {
		return "UPDATE translation_table SET match = '" + one(r, "exact", "prefix") + "'"
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO screening_entry VALUES ('citybank_codes', '%s', %s, NULL) ON CONFLICT DO NOTHING", one(r, "4711", "1", "23"), one(r, "NULL", "'2026-01-01'", "'2027-01-01'"))
	},
	func(r *rand.Rand) string {
		return "DELETE FROM screening_entry WHERE entry = '" + one(r, "4711", "081512", "1", "23") + "'"
	},
	func(r *rand.Rand) string {
		return "UPDATE screening_list SET match = '" + one(r, "exact", "prefix") + "'"
	},
	func(r *rand.Rand) string { // a rename, with what refers to it
		was, is := "citybank_codes", "other_codes"
		if r.IntN(2) == 0 {
			was, is = is, was
		}
		return fmt.Sprintf("UPDATE screening_list SET screening_list = '%s' WHERE screening_list = '%s'; UPDATE service_parameter SET value = '%s' WHERE value = '%[2]s'", is, was, is)
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE distribution SET method = '%s'; UPDATE distribution_branch SET weight = %d WHERE position = 1",
			one(r, "percentage", "circular", "hierarchical", "hash"), r.IntN(100))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE step SET parameters = '{\"condition\": \"%s\"}' WHERE script = 'freephone' AND step = 'hours'", one(r, "open(hours)", "!open(hours)", "open("))
	},
	func(r *rand.Rand) string {
		return "UPDATE step_exit SET next_step = 'closed' WHERE script = 'freephone' AND exit = '" + one(r, "busy", "no_answer", "true") + "'"
	},
	func(r *rand.Rand) string {
		return "UPDATE script_parameter SET default_value = '" + one(r, "10", "20", "soon") + "' WHERE parameter = 'ring_seconds'"
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE service_parameter SET value = '%s' WHERE parameter = 'hours' AND service = '%s'", one(r, "always", "office_hours", "never"), one(r, "acme_hotline", "acme_freephone"))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE service SET active = %v, language = '%s' WHERE service = '%s'", r.IntN(3) > 0, one(r, "en", "de"), one(r, "acme_hotline", "citybank_vault", "new_1"))
	},
	func(r *rand.Rand) string {
		name, match := one(r, "new_1", "new_2"), one(r, "exact", "prefix")
		return fmt.Sprintf(`INSERT INTO service (service, subscriber, script) VALUES ('%s', 'acme', 'freephone') ON CONFLICT DO NOTHING;
			INSERT INTO service_parameter SELECT '%[1]s', parameter, value FROM service_parameter WHERE service = 'acme_hotline' ON CONFLICT DO NOTHING;
			INSERT INTO service_number VALUES ('49800333333%d', '%s', '%[1]s') ON CONFLICT (number, match) DO UPDATE SET service = excluded.service`, name, 3+r.IntN(2), match)
	},
	func(r *rand.Rand) string {
		name := one(r, "new_1", "new_2", "acme_hotline")
		return fmt.Sprintf("DELETE FROM service_number WHERE service = '%s'; DELETE FROM service WHERE service = '%[1]s'", name)
	},
	func(r *rand.Rand) string {
		return "UPDATE service SET service = '" + one(r, "new_1", "new_2") + "' WHERE service = '" + one(r, "new_1", "new_2", "citybank_vault") + "'"
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE service_number SET number = '4980033333%02d' WHERE number = '4980033333%02d'", 33+r.IntN(2), 33+r.IntN(2))
	},
	func(r *rand.Rand) string {
		return "INSERT INTO service_number SELECT '4980', 'prefix', min(service) FROM service ON CONFLICT DO NOTHING"
	},
	func(*rand.Rand) string { return "DELETE FROM service_number WHERE number = '4980'" },
	func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO area_prefix VALUES ('%s', '%s') ON CONFLICT (prefix) DO UPDATE SET area = excluded.area", one(r, "4930", "4989", "33"), one(r, "berlin", "munich", "x"))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO node (node) VALUES ('n%d') ON CONFLICT (node) DO UPDATE SET in_service = %v, capacity = %d", 1+r.IntN(2), r.IntN(2) == 0, 1+r.IntN(90))
	},
	func(r *rand.Rand) string { return "SELECT rotate_session_key()" },
	func(r *rand.Rand) string {
		return "UPDATE prompt SET file = 'other/sound' WHERE prompt = (SELECT min(prompt) FROM prompt)"
	},
	func(r *rand.Rand) string {
		return "UPDATE numbering_plan SET country_code = '" + one(r, "49", "49", "33") + "'"
	},
	func(r *rand.Rand) string {
		return "INSERT INTO trunk VALUES ('t') ON CONFLICT DO NOTHING; UPDATE trunk SET trunk = 'office2' WHERE trunk = 'office'; UPDATE trunk SET trunk = 'office' WHERE trunk = 'office2'"
	},
	func(r *rand.Rand) string {
		return "UPDATE service SET description = 'x'; UPDATE subscriber SET name = 'y'"
	},
	func(r *rand.Rand) string { return "SET CONSTRAINTS ALL IMMEDIATE" },
	func(r *rand.Rand) string {
		return "SAVEPOINT s; DELETE FROM calendar_window; ROLLBACK TO s; UPDATE calendar SET description = 'kept' WHERE calendar = 'always'"
	},
	func(r *rand.Rand) string {
		return "INSERT INTO screening_list VALUES ('big') ON CONFLICT DO NOTHING; INSERT INTO screening_entry SELECT 'big', i::text FROM generate_series(1, 10001) AS i ON CONFLICT DO NOTHING"
	},
	func(*rand.Rand) string { return "TRUNCATE calendar_holiday" }, // held
	func(*rand.Rand) string { return "SELECT confirm_mass_change('test'); TRUNCATE calendar_holiday" },
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
		kinds := randomEdits
		if r.IntN(8) == 0 {
			kinds = absurdEdits
		}
		statements[i] = kinds[r.IntN(len(kinds))](r)
	}
	sql = strings.Join(statements, ";\n")
	_, err := conn.Exec(t.Context(), "BEGIN;\n"+sql+";\nCOMMIT", pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		return sql, true
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || !readable(refused) {
		t.Fatalf("%s\n%v", sql, err)
	}
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	return sql, false
}

// readable reports whether a refusal is one that was meant, and says what is wrong: a constraint with a name that reads as the error, a hint, or what
// Postgres says of a value that is none.
func readable(refused *pgconn.PgError) bool {
	switch refused.Code[:2] {
	case "22":
		return true
	case "23":
		return refused.Hint != "" || strings.Count(refused.ConstraintName, "_") >= 3 || refused.Code == "23502" || refused.Code == "23505"
	case "RM", "42":
		return refused.Hint != "" && (refused.Code[:2] == "RM" || refused.Code == "42501")
	}
	return false
}

// bystander has so many numbers of a service whose script, calendar and tables no edit concerns.
func bystander(t *testing.T, dsn string, numbers int) {
	t.Helper()
	mustExec(t, dsn, fmt.Sprintf(`BEGIN;
		INSERT INTO script VALUES ('bystander', 'begin');
		INSERT INTO step VALUES ('bystander', 'begin', 'compare', '{"condition": "open(hours)"}'), ('bystander', 'open', 'bcp', '{"action": "connect", "target": "${office}"}'),
			('bystander', 'end', 'bcp', '{"action": "release", "cause": 31}');
		INSERT INTO step_exit VALUES ('bystander', 'begin', 'true', 'open'), ('bystander', 'begin', 'false', 'end'), ('bystander', 'open', 'busy', 'end'), ('bystander', 'open', 'no_answer', 'end'), ('bystander', 'open', 'unreachable', 'end');
		INSERT INTO script_parameter VALUES ('bystander', 'hours', 'calendar'), ('bystander', 'office', 'target');
		INSERT INTO calendar VALUES ('bystanding', 'UTC');
		INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('bystanding', '1111111', '06:00', '18:00');
		INSERT INTO trunk VALUES ('standing');
		INSERT INTO service (service, subscriber, script) SELECT 'bystander_' || i, 'acme', 'bystander' FROM generate_series(0, 9) AS i;
		INSERT INTO service_parameter SELECT 'bystander_' || i, 'hours', 'bystanding' FROM generate_series(0, 9) AS i;
		INSERT INTO service_parameter SELECT 'bystander_' || i, 'office', '4930' || i || '@standing' FROM generate_series(0, 9) AS i;
		INSERT INTO service_number SELECT (4970000000000 + i)::text, 'exact', 'bystander_' || i %% 10 FROM generate_series(1, %d) AS i; COMMIT`, numbers))
}

// undisturbed asks for a bystander's number.
func undisturbed(t *testing.T, what string, s *logic.Snapshot, i int) {
	t.Helper()
	call := &logic.Session{CallID: "c", Node: "node", Caller: "+331", Called: "+" + strconv.Itoa(4970000000000+i), StartedAt: noon}
	var out logic.Outcome
	s.Step(call, logic.Event{Kind: logic.EventStart}, noon, &out)
	want := fmt.Sprintf("4930%d", i%10)
	for j := range out.Instructions {
		if strings.Contains(transcript.FormatInstruction(&out.Instructions[j]), want) {
			return
		}
	}
	t.Fatalf("%s\nnumber %s got %v", what, call.Called, out.Instructions)
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
	bystander(t, dsn, numbers)
	s, registry := counted(t, dsn)
	f := feed(t, s)
	conn := dial(t, dsn)
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

// Edits in gaps, of which the feed sees several at once.
func TestFeedMissesNothingInGaps(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	proxy := storetest.NewProxy(t, dsn)
	s, registry := counted(t, proxy.DSN())
	f := feed(t, s)
	direct, conn := open(t, dsn), dial(t, dsn)
	number := 0
	for range scale(2) {
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
}

// What the journal can't tell is loaded as a whole.
func TestFeedLoadsEverythingWhenTheJournalDoesNotReachBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, edit string }{
		"pruned":      {"SELECT 1", "INSERT INTO trunk VALUES ('x'); SET CONSTRAINTS ALL IMMEDIATE; SELECT prune_config_change(0)"},
		"many rows":   {"INSERT INTO screening_list VALUES ('big')", "INSERT INTO screening_entry SELECT 'big', i::text FROM generate_series(1, 10001) AS i"},
		"truncated":   {"SELECT 1", "SELECT confirm_mass_change('test'); TRUNCATE screening_entry"},
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

// Each kind of edit by itself is taken or refused readably.
func TestEveryKindOfEditIsTakenOrRefusedReadably(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	conn := dial(t, dsn)
	r := rand.New(rand.NewPCG(1, 1))
	refusals := 0
	for _, kind := range slices.Concat(randomEdits, absurdEdits) {
		for range 8 {
			sql := kind(r)
			_, err := conn.Exec(t.Context(), "BEGIN;\n"+sql+";\nSET CONSTRAINTS ALL IMMEDIATE", pgx.QueryExecModeSimpleProtocol)
			var refused *pgconn.PgError
			if errors.As(err, &refused) {
				if refusals++; !readable(refused) {
					t.Errorf("%s\n%v", sql, err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if refusals < len(absurdEdits) {
		t.Errorf("only %d were refused", refusals)
	}
}
