package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/store"
	"ringmaster/store/storetest"
)

// refusal is Postgres' whole answer to a statement that it must refuse.
func refusal(t *testing.T, err error) string {
	t.Helper()
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		t.Fatalf("it isn't refused: %v", err)
	}
	return strings.Join([]string{refused.Code, refused.Message, refused.Detail, refused.Hint}, " | ")
}

// contents is every operators' table, row by row, but for what a rollback leaves alone: session keys and secrets.
func contents(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	var all strings.Builder
	for _, table := range store.LoadedTables() {
		if table == "session_key" {
			continue
		}
		var text string
		if err := conn.QueryRow(t.Context(), "SELECT coalesce(string_agg(r, E'\\n' ORDER BY r), '') FROM (SELECT (to_jsonb(t) - 'secret_sha256')::text AS r FROM "+table+" AS t) AS rows").Scan(&text); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s\n%s\n", table, text)
	}
	return all.String()
}

func TestAuditLogTellsBeforeAndAfter(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	before := revision(t, dsn)
	mustExec(t, dsn, `BEGIN; SET LOCAL ringmaster.comment = 'ticket 7'; UPDATE service SET active = false WHERE service = 'acme_hotline';
		UPDATE service SET active = active; INSERT INTO node (node) VALUES ('n1'); SELECT set_node_secret('n1', 'a long enough secret');
		UPDATE translation SET key = 'bonn' WHERE key = 'berlin'; SELECT rotate_session_key(1); COMMIT`)
	got := ask[string](t, dsn, `SELECT string_agg(concat_ws(' ', by, comment, table_name, operation, row_key, before ->> 'active', after ->> 'active', after ->> 'secret_sha256'), E'\n' ORDER BY audit_id)
		FROM audit_log WHERE revision = $1 AND table_name <> 'session_key'`, before+1)
	want := `postgres ticket 7 service UPDATE acme_hotline true false
postgres ticket 7 node INSERT n1
postgres ticket 7 node UPDATE n1 (not kept)
postgres ticket 7 translation DELETE acme_offices.berlin
postgres ticket 7 translation INSERT acme_offices.bonn`
	if lines := strings.Split(got, "\n"); len(lines) != 5 || strings.Join(lines[:3], "\n") != strings.Join(strings.Split(want, "\n")[:3], "\n") ||
		!strings.Contains(got, "DELETE acme_offices.berlin") || !strings.Contains(got, "INSERT acme_offices.bonn") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if n := ask[int](t, dsn, `SELECT count(*) FROM audit_log l, session_key k WHERE l.before::text LIKE '%' || encode(k.secret, 'hex') || '%' OR l.after::text LIKE '%' || encode(k.secret, 'hex') || '%'`); n > 0 {
		t.Error("a session key stands in audit_log")
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM audit_log WHERE table_name = 'session_key' AND revision = $1", before+1); n < 2 {
		t.Errorf("%d entries of session_key", n)
	}
	if got := ask[string](t, dsn, "SELECT comment FROM config_history WHERE revision = $1", before+1); got != "ticket 7" {
		t.Errorf("comment %q", got)
	}
	for _, sql := range []string{"DELETE FROM audit_log", "UPDATE audit_log SET by = 'nobody'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"} {
		if text := refusal(t, exec(t, dsn, sql)); !strings.Contains(text, "audit_log cannot be changed") || !strings.Contains(text, "rollback_to") {
			t.Errorf("%s: %s", sql, text)
		}
	}
}

func TestDiffIsTheNetChange(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	s := open(t, dsn)
	a := revision(t, dsn)
	mustExec(t, dsn, "INSERT INTO trunk VALUES ('short')")
	mustExec(t, dsn, "DELETE FROM trunk WHERE trunk = 'short'; UPDATE service SET language = 'de' WHERE service = 'acme_hotline'")
	mustExec(t, dsn, "BEGIN; SET LOCAL ringmaster.comment = 'french'; UPDATE service SET language = 'fr' WHERE service = 'acme_hotline'; COMMIT")
	b := revision(t, dsn)
	list, err := s.Diff(t.Context(), a, b)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Table != "service" || list[0].Operation != "UPDATE" || list[0].Key != "acme_hotline" || list[0].Revision != b || list[0].Comment != "french" ||
		!strings.Contains(string(list[0].Before), `"en"`) || !strings.Contains(string(list[0].After), `"fr"`) {
		t.Errorf("diff %+v", list)
	}
	if list, err = s.Diff(t.Context(), b, a); err != nil || len(list) != 1 || !strings.Contains(string(list[0].After), `"en"`) {
		t.Errorf("backwards %+v, %v", list, err)
	}
	if _, err = s.Diff(t.Context(), a, b+1); err == nil || !strings.Contains(refusal(t, err), fmt.Sprintf("to %d", b)) {
		t.Errorf("a revision that is not there: %v", err)
	}
}

// TestRollbackBringsBackAnyRevision: after random edits, every revision can be had again.
func TestRollbackBringsBackAnyRevision(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	bystanders(t, dsn, 100)
	s, conn, anna := open(t, dsn), dial(t, dsn), operator(t, dsn)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	was := map[int64]string{revision(t, dsn): contents(t, conn)}
	base := revision(t, dsn)
	done, refused := 0, 0
	for n := 0; done < scale(6); n++ {
		if n > 50*scale(6) {
			t.Fatalf("only %d rollbacks", done)
		}
		if edit(t, anna, r); n%4 < 3 {
			was[revision(t, dsn)] = contents(t, conn)
			continue
		}
		now := contents(t, conn)
		was[revision(t, dsn)] = now
		to := base + r.Int64N(revision(t, dsn)-base+1)
		want, known := was[to]
		if !known {
			continue // one of two revisions of one transaction
		}
		last := revision(t, dsn)
		_, err := s.Rollback(t.Context(), to, "test", true)
		if contents(t, conn) != now || revision(t, dsn) != last {
			t.Fatal("a dry run changed something")
		}
		changes, again := s.Rollback(t.Context(), to, "test", false)
		if (err == nil) != (again == nil) {
			t.Fatalf("seed %d: dry run: %v, then %v", seed, err, again)
		}
		if err != nil {
			if text := refusal(t, err); !strings.HasPrefix(text, "0A000") || !strings.Contains(text, "in one statement") && !strings.Contains(text, "its secret is not kept") {
				t.Fatalf("seed %d: rollback to %d: %s", seed, to, text)
			}
			refused++
			base = revision(t, dsn) // what came before can't be had again
			continue
		}
		if got := contents(t, conn); got != want {
			t.Fatalf("seed %d: rollback to %d made\n%s\nwant\n%s", seed, to, got, want)
		}
		if len(changes) > 0 && revision(t, dsn) != last+1 {
			t.Fatalf("a rollback of %d rows made revision %d after %d", len(changes), revision(t, dsn), last)
		}
		was[revision(t, dsn)] = want
		done++
	}
	t.Logf("%d rollbacks, %d refused", done, refused)
}

func TestRollbackSaysWhatItCannotUndo(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, "INSERT INTO node (node) VALUES ('n1'); SELECT set_node_secret('n1', 'a long enough secret')")
	s := open(t, dsn)
	before := revision(t, dsn)
	mustExec(t, dsn, "DELETE FROM node")
	if _, err := s.Rollback(t.Context(), before, "", false); !strings.Contains(refusal(t, err), "set_node_secret('n1'") {
		t.Errorf("%v", err)
	}
	mustExec(t, dsn, "INSERT INTO screening_list VALUES ('big'); INSERT INTO screening_entry SELECT 'big', i::text FROM generate_series(1, 10001) AS i")
	if _, err := s.Rollback(t.Context(), before+1, "", true); !strings.Contains(refusal(t, err), "Roll back to "+fmt.Sprint(before+2)) {
		t.Errorf("%v", err)
	}
	if err := exec(t, dsn, fmt.Sprintf("BEGIN; INSERT INTO trunk VALUES ('x'); SELECT rollback_to(%d); COMMIT", before+2)); !strings.Contains(refusal(t, err), "COMMIT or ROLLBACK") {
		t.Errorf("%v", err)
	}
}

func TestMassChangesAreHeldUntilConfirmed(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, `INSERT INTO screening_list VALUES ('big'); INSERT INTO screening_entry SELECT 'big', i::text FROM generate_series(1, 98) AS i;
		INSERT INTO service_number VALUES ('', 'prefix', 'acme_hotline')`)
	before := revision(t, dsn)
	for name, sql := range map[string]string{
		"a fifth":               "DELETE FROM screening_entry WHERE length(entry) = 2 AND entry < '31'",
		"bit by bit":            "DELETE FROM screening_entry WHERE entry IN ('1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12'); DELETE FROM screening_entry WHERE entry LIKE '9_'",
		"a cascade":             "DELETE FROM screening_list WHERE screening_list = 'big'",
		"no WHERE":              "UPDATE screening_entry SET valid_to = now()",
		"TRUNCATE":              "TRUNCATE calendar_holiday",
		"the default route":     "DELETE FROM service_number WHERE number = ''",
		"default route renamed": "UPDATE service_number SET number = '49' WHERE number = ''",
	} {
		text := refusal(t, exec(t, dsn, sql))
		if !strings.HasPrefix(text, "RM001") || !strings.Contains(text, "SELECT confirm_mass_change('why')") {
			t.Errorf("%s: %s", name, text)
		}
	}
	for name, sql := range map[string]string{
		"less":          "BEGIN; DELETE FROM screening_entry WHERE entry < '2' AND entry > '1'; ROLLBACK",
		"small tables":  "BEGIN; DELETE FROM calendar_holiday; ROLLBACK",
		"savepoint":     "BEGIN; SAVEPOINT s; DELETE FROM screening_entry WHERE entry LIKE '2_'; ROLLBACK TO s; DELETE FROM screening_entry WHERE entry LIKE '3_'; ROLLBACK TO s; DELETE FROM screening_entry WHERE entry LIKE '4_'; ROLLBACK",
		"another route": "BEGIN; UPDATE service_number SET service = 'acme_freephone' WHERE number = ''; ROLLBACK",
	} {
		if err := exec(t, dsn, sql); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if revision(t, dsn) != before {
		t.Fatal("something was changed")
	}
	mustExec(t, dsn, "BEGIN; SELECT confirm_mass_change('acme has left'); DELETE FROM screening_list WHERE screening_list = 'big'; DELETE FROM service_number WHERE number = ''; COMMIT")
	got := ask[string](t, dsn, "SELECT string_agg(table_name || ': ' || (after ->> 'reason'), ', ' ORDER BY table_name) FROM audit_log WHERE operation = 'CONFIRM' AND revision = $1", before+1)
	if got != "screening_entry: acme has left, service_number: acme has left" {
		t.Errorf("noted: %s", got)
	}
	if err := exec(t, dsn, "TRUNCATE calendar_holiday"); err == nil {
		t.Error("the confirmation outlived its transaction")
	}
	if text := refusal(t, exec(t, dsn, "SELECT confirm_mass_change(' ')")); !strings.Contains(text, "reason") {
		t.Error(text)
	}
}

func TestWaitForRevision(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	s := open(t, dsn)
	if text := refusal(t, exec(t, dsn, "SELECT wait_for_revision(timeout => '10 ms')")); !strings.Contains(text, "No engine") {
		t.Error(text)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.WaitForRevision(short, 0); !errors.Is(err, store.ErrNoEngines) {
		t.Errorf("got %v", err)
	}
	feed(t, s)
	mustExec(t, dsn, "INSERT INTO engine_status VALUES ('gone', 1, NULL, NULL, now(), now() - interval '16 s')")
	mustExec(t, dsn, "INSERT INTO node (node) VALUES ('n1')")
	if got, want := ask[int64](t, dsn, "SELECT wait_for_revision(timeout => '30 s')"), revision(t, dsn); got != want {
		t.Errorf("waited for %d, want %d", got, want)
	}
	if got, err := s.WaitForRevision(within(t), 0); err != nil || got != revision(t, dsn) {
		t.Errorf("waited for %d, %v", got, err)
	}
	mustExec(t, dsn, "INSERT INTO engine_status VALUES ('slow', 1, NULL, 'out of memory', now(), now() + interval '1 hour')")
	if text := refusal(t, exec(t, dsn, "SELECT wait_for_revision(timeout => '10 ms')")); !strings.Contains(text, "slow serves 1: out of memory") || strings.Contains(text, "gone") {
		t.Error(text)
	}
	short, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.WaitForRevision(short, 0); err == nil || !strings.Contains(err.Error(), "slow serves 1: out of memory") {
		t.Errorf("got %v", err)
	}
	for sql, want := range map[string]string{
		"BEGIN; INSERT INTO node (node) VALUES ('n2'); SELECT wait_for_revision(); COMMIT": "before COMMIT",
		"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT wait_for_revision(); COMMIT":        "outside of a transaction",
		"SELECT wait_for_revision(1000000)":                                                "not committed yet",
	} {
		if text := refusal(t, exec(t, dsn, sql)); !strings.Contains(text, want) {
			t.Errorf("%s: %s", sql, text)
		}
	}
}

// The call by which later migrations make an operators' table gives it all that the first ones have.
func TestMakeOperatorTable(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	mustExec(t, dsn, `CREATE TABLE novelty (novelty label PRIMARY KEY, pin text); CALL make_operator_table('novelty', 'small', '', '', 'pin', 'novelty')`)
	const triggers = `SELECT string_agg(tgname || ' ' || tgtype || ' ' || coalesce(tgoldtable, '') || coalesce(tgnewtable, ''), E'\n' ORDER BY tgname) FROM pg_trigger
		WHERE tgrelid = $1::regclass AND tgname ~ '^(note|check_mass)_'`
	if got, want := ask[string](t, dsn, triggers, "novelty"), ask[string](t, dsn, triggers, "node"); got != want {
		t.Errorf("triggers\n%s\nwant\n%s", got, want)
	}
	before := revision(t, dsn)
	mustExec(t, as(t, dsn, "operator"), "INSERT INTO novelty VALUES ('a', '1234')")
	if got := ask[string](t, dsn, "SELECT row_key || (after ->> 'pin') FROM audit_log WHERE revision = $1", before+1); got != "a(not kept)" {
		t.Errorf("noted %s", got)
	}
	mustExec(t, dsn, "ALTER TABLE novelty ADD COLUMN price integer; UPDATE novelty SET price = 1")
	mustExec(t, dsn, "UPDATE novelty SET price = 2")
	mustExec(t, dsn, fmt.Sprintf("SELECT rollback_to(%d)", revision(t, dsn)-1))
	if got := ask[string](t, dsn, "SELECT concat(pin, ' ', price) FROM novelty"); got != "1234 1" {
		t.Errorf("rolled back to %s", got)
	}
	mustExec(t, dsn, "DELETE FROM novelty")
	if text := refusal(t, exec(t, dsn, fmt.Sprintf("SELECT rollback_to(%d)", revision(t, dsn)-1))); !strings.Contains(text, "novelty \"a\" cannot be brought back") {
		t.Error(text)
	}
	if text := refusal(t, exec(t, as(t, dsn, "viewer"), "SELECT pin FROM novelty")); !strings.HasPrefix(text, "42501") {
		t.Error(text)
	}
}

func TestMatchIsChangedOnlyWhenTheKeysFit(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	mustExec(t, dsn, `INSERT INTO translation_table VALUES ('words'); INSERT INTO translation VALUES ('words', 'berlin', 'x'), ('words', '49', 'y');
		INSERT INTO screening_list VALUES ('words'); INSERT INTO screening_entry VALUES ('words', 'berlin')`)
	for sql, table := range map[string]string{"UPDATE translation_table SET match = 'prefix'": "translation_table", "UPDATE screening_list SET match = 'prefix'": "screening_list"} {
		if text := refusal(t, exec(t, dsn, sql)); !strings.Contains(text, table+` "words" cannot compare by prefix`) || !strings.Contains(text, `"berlin"`) {
			t.Error(text)
		}
	}
	mustExec(t, dsn, `BEGIN; UPDATE translation_table SET match = 'prefix'; DELETE FROM translation WHERE key = 'berlin'; COMMIT`)
}

// What is old goes when the owner says so, and what a rollback needs stays.
func TestAuditLogIsPrunedByItsOwnerOnly(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	for i := range 120 {
		mustExec(t, dsn, fmt.Sprintf("UPDATE subscriber SET name = 'name %d' WHERE subscriber = 'acme'", i))
	}
	newest := revision(t, dsn)
	if got := ask[int64](t, dsn, "SELECT pruned FROM prune_audit_log()"); got != 0 {
		t.Fatalf("%d young entries were pruned", got)
	}
	mustExec(t, dsn, "UPDATE config_history SET changed_at = changed_at - interval '401 days'")
	if got := ask[int64](t, dsn, "SELECT pruned FROM prune_audit_log()"); got != 0 {
		t.Fatalf("%d entries of the newest 1000 revisions were pruned", got)
	}
	// Revision newest - 110 is young: all after it must stay, though older than 400 days, and the one before can be rolled back to.
	mustExec(t, dsn, fmt.Sprintf("UPDATE config_history SET changed_at = clock_timestamp() WHERE revision = %d", newest-110))
	entries := ask[int64](t, dsn, "SELECT count(*) FROM audit_log")
	oldest, pruned := newest-111, int64(0)
	if got := ask[int64](t, dsn, "SELECT oldest_revision FROM prune_audit_log('400 days', 100)"); got != oldest {
		t.Fatalf("the oldest revision is %d, want %d", got, oldest)
	}
	if pruned = entries - ask[int64](t, dsn, "SELECT count(*) FROM audit_log"); pruned < 8 || entries-pruned != 111 {
		t.Fatalf("%d of %d entries were pruned", pruned, entries)
	}
	if n := ask[int64](t, dsn, "SELECT pruned FROM prune_audit_log('400 days', 100)"); n != 0 {
		t.Fatalf("%d more were pruned", n)
	}
	mustExec(t, dsn, fmt.Sprintf("SELECT rollback_to(%d)", oldest))
	if got, want := ask[string](t, dsn, "SELECT name FROM subscriber WHERE subscriber = 'acme'"), fmt.Sprintf("name %d", 119-111); got != want {
		t.Errorf("rolled back to %q, want %q", got, want)
	}
	for name, c := range map[string]struct{ dsn, sql, want string }{
		"further back":   {dsn, fmt.Sprintf("SELECT rollback_to(%d)", oldest-1), fmt.Sprintf("The history goes from revision %d", oldest)},
		"too young":      {dsn, "SELECT prune_audit_log('1 day')", "at least 30 days"},
		"too few":        {dsn, "SELECT prune_audit_log('400 days', 1)", "100 revisions"},
		"by hand":        {dsn, "DELETE FROM audit_entry", "prune_audit_log()"},
		"by an operator": {as(t, dsn, "operator"), "SELECT prune_audit_log()", "permission denied"},
		"by an engine":   {as(t, dsn, "engine"), "SELECT prune_audit_log()", "permission denied"},
	} {
		if text := refusal(t, exec(t, c.dsn, c.sql)); !strings.Contains(text, c.want) {
			t.Errorf("%s: %s", name, text)
		}
	}
	// An engine goes on across it.
	f := feed(t, open(t, dsn))
	mustExec(t, dsn, "UPDATE subscriber SET name = 'after' WHERE subscriber = 'acme'")
	live(t, f, dsn)
}

// TestRollbackOfARowThatTookAnothersPlace: one opening time was deleted, and another was made the same in one edit.
func TestRollbackOfARowThatTookAnothersPlace(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	mustExec(t, dsn, `INSERT INTO calendar VALUES ('c', 'UTC');
		INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('c', '1111100', '08:00', '12:00'), ('c', '1111100', '13:00', '17:00')`)
	windows := func() string {
		return ask[string](t, dsn, "SELECT string_agg(calendar_window_id || ' ' || opens_at, ', ' ORDER BY calendar_window_id) FROM calendar_window")
	}
	before := windows()
	mustExec(t, dsn, `BEGIN; DELETE FROM calendar_window WHERE opens_at = '08:00'; UPDATE calendar_window SET opens_at = '08:00', closes_at = '12:00' WHERE opens_at = '13:00'; COMMIT`)
	if windows() == before {
		t.Fatal("nothing was edited")
	}
	mustExec(t, dsn, fmt.Sprintf("SELECT rollback_to(%d)", revision(t, dsn)-1))
	if got := windows(); got != before {
		t.Errorf("%s, want %s", got, before)
	}
}

// TestRollbackOfRowsThatSwapped what only one of them may have.
func TestRollbackOfRowsThatSwapped(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, `INSERT INTO calendar (calendar, time_zone) VALUES ('swaps', 'UTC');
		INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('swaps', '1000000', '08:00', '12:00'), ('swaps', '1000000', '13:00', '17:00');
		INSERT INTO distribution (distribution, method) SELECT 'swaps', method FROM distribution LIMIT 1;
		INSERT INTO distribution_branch (distribution, position, branch) VALUES ('swaps', 1, 'left'), ('swaps', 2, 'right');
		INSERT INTO tariff (tariff, currency) VALUES ('swaps', 'EUR');
		INSERT INTO tariff_rate (tariff, prefix, price_per_minute) VALUES ('swaps', '4', 1), ('swaps', '5', 2)`)
	conn := dial(t, dsn)
	before, at := contents(t, conn), revision(t, dsn)
	mustExec(t, dsn, `BEGIN; UPDATE calendar_window SET opens_at = '01:00', closes_at = '02:00' WHERE calendar = 'swaps' AND opens_at = '08:00'; UPDATE calendar_window SET opens_at = '08:00', closes_at = '12:00' WHERE opens_at = '13:00' AND calendar = 'swaps';
		UPDATE calendar_window SET opens_at = '13:00', closes_at = '17:00' WHERE opens_at = '01:00' AND calendar = 'swaps'; COMMIT`)
	mustExec(t, dsn, `BEGIN; UPDATE distribution_branch SET branch = 'other' WHERE branch = 'left'; UPDATE distribution_branch SET branch = 'left' WHERE branch = 'right'; UPDATE distribution_branch SET branch = 'right' WHERE branch = 'other'; COMMIT`)
	mustExec(t, dsn, `BEGIN; UPDATE tariff_rate SET prefix = '6' WHERE prefix = '4' AND tariff = 'swaps'; UPDATE tariff_rate SET prefix = '4' WHERE prefix = '5' AND tariff = 'swaps'; UPDATE tariff_rate SET prefix = '5' WHERE prefix = '6' AND tariff = 'swaps'; COMMIT`)
	if contents(t, conn) == before {
		t.Fatal("nothing was swapped")
	}
	mustExec(t, dsn, fmt.Sprintf("SELECT rollback_to(%d)", at))
	if got := contents(t, conn); got != before {
		t.Errorf("after the rollback:\n%s\nwant\n%s", got, before)
	}
}

// TestRollbackLeavesCustomersAlone: a customer who came since, with money, keeps no other edit from being undone, and nobody's account changes with it.
func TestRollbackLeavesCustomersAlone(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	anna := as(t, dsn, "operator")
	before := revision(t, dsn)
	mustExec(t, anna, `INSERT INTO subscriber (subscriber) VALUES ('gizmos'), ('nobody'); INSERT INTO account (account, subscriber, currency) VALUES ('gizmos', 'gizmos', 'EUR');
		INSERT INTO adjustment (account, amount, reason) VALUES ('gizmos', 5, 'test'); INSERT INTO card (card, account) VALUES ('8912340099', 'gizmos'); SELECT set_card_pin('8912340099', '4711');
		INSERT INTO account_number VALUES ('4930999', 'gizmos'); INSERT INTO account_country VALUES ('gizmos', '49')`)
	mustExec(t, anna, "INSERT INTO account (account, currency) SELECT 'many_' || i, 'EUR' FROM generate_series(1, 10001) AS i") // more than are noted one by one
	mustExec(t, anna, "UPDATE account SET spend_per_hour = 5, state = 'blocked' WHERE account = 'acme'; UPDATE secret_budget SET failures = 4 WHERE scope = 'card'")
	mustExec(t, anna, "UPDATE service SET language = 'fr' WHERE service = 'acme_hotline'")
	const customers = `SELECT (SELECT count(*) || string_agg(a::text, ' ' ORDER BY account) FROM account a) || (SELECT string_agg(to_jsonb(c)::text, ' ' ORDER BY card) FROM card c)
		|| (SELECT string_agg(n::text, ' ' ORDER BY number) FROM account_number n) || (SELECT string_agg(c::text, ' ' ORDER BY c) FROM account_country c) || (SELECT string_agg(b::text, ' ' ORDER BY b) FROM secret_budget b)`
	was := ask[string](t, dsn, customers)
	changes, err := open(t, anna).Rollback(t.Context(), before, "the wrong language", false)
	if err != nil {
		t.Fatal(refusal(t, err))
	}
	var said []string
	for _, c := range changes {
		said = append(said, strings.TrimSpace(c.Table+" "+c.Operation+" "+c.Key))
	}
	want := "account LEFT acme, account LEFT gizmos, account LEFT many rows, account_country LEFT gizmos.49, account_number LEFT 4930999, card LEFT 8912340099, secret_budget LEFT card, service UPDATE acme_hotline, subscriber LEFT gizmos, subscriber DELETE nobody"
	if got := strings.Join(said, ", "); got != want {
		t.Errorf("it did %s\nwant %s", got, want)
	}
	if is := ask[string](t, dsn, customers); is != was {
		t.Errorf("customers were\n%.1000s\nand are\n%.1000s", was, is)
	}
	if got := ask[string](t, dsn, "SELECT language FROM service WHERE service = 'acme_hotline'"); got != "en" {
		t.Errorf("the language is %s", got)
	}
	wellKept(t, dsn)
	// A subscriber's name that is taken back takes his accounts with it, and nothing else of them.
	renamed := revision(t, dsn)
	mustExec(t, anna, "UPDATE subscriber SET subscriber = 'city_bank' WHERE subscriber = 'citybank'; UPDATE account SET maximum_calls = 7 WHERE account = 'citybank'")
	mustExec(t, anna, fmt.Sprintf("SELECT rollback_to(%d)", renamed))
	if got := ask[string](t, dsn, "SELECT concat_ws(' ', subscriber, maximum_calls, (SELECT count(*) FROM subscriber WHERE subscriber = 'city_bank')) FROM account WHERE account = 'citybank'"); got != "citybank 7 0" {
		t.Errorf("the account became %s", got)
	}
	mustExec(t, anna, "UPDATE account SET maximum_calls = NULL WHERE account = 'citybank'")
	// psql is told by a notice. What is left is told each time.
	var told *pgconn.Notice
	config, err := pgx.ParseConfig(anna)
	if err != nil {
		t.Fatal(err)
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { told = n }
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), fmt.Sprintf("SELECT rollback_to(%d)", before)); err != nil {
		t.Fatal(err)
	}
	if told == nil || told.Message != "8 rows of customers stay as they are" || !strings.Contains(told.Detail, "account gizmos") || !strings.Contains(told.Hint, fmt.Sprintf("config_diff(%d, ", before)) || !strings.Contains(told.Hint, "UPDATE account") {
		t.Errorf("told %+v", told)
	}
}
