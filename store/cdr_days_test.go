package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/migrations"
	"ringmaster/store"
	"ringmaster/store/ledger"
	"ringmaster/store/storetest"
)

// untouched runs statements as nobody but a test can: no trigger refuses or notes anything.
func untouched(t *testing.T, dsn, sql string) {
	t.Helper()
	if err := exec2(t, dsn, "BEGIN; SET LOCAL session_replication_role = replica; "+sql+"; COMMIT"); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// age makes records of calls ("" any) so many days older, as if they had been stored then; each day gets its partition.
func age(t *testing.T, dsn, call string, days int) {
	t.Helper()
	untouched(t, dsn, fmt.Sprintf(`SELECT add_cdr_day(d) FROM (SELECT DISTINCT ((recorded_at - interval '%[2]d days') AT TIME ZONE 'UTC')::date AS d FROM cdr WHERE call_id LIKE '%[1]s%%') AS x WHERE d NOT IN (SELECT day FROM cdr_days());
		UPDATE cdr SET recorded_at = recorded_at - interval '%[2]d days' WHERE call_id LIKE '%[1]s%%'; UPDATE cdr_key SET recorded_at = recorded_at - interval '%[2]d days' WHERE call_id LIKE '%[1]s%%'`, call, days))
}

// inDays says in which days the records are: "today 2, 3 ago 1, none 1".
func inDays(t *testing.T, dsn string) string {
	t.Helper()
	return ask[string](t, dsn, `SELECT coalesce(string_agg(concat_ws(' ', place, n), ', ' ORDER BY place), '') FROM (SELECT CASE c.tableoid WHEN 'cdr_default'::regclass THEN 'none'
			ELSE ((now() AT TIME ZONE 'UTC')::date - d.day)::text END AS place, count(*) AS n FROM cdr c LEFT JOIN cdr_days() AS d ON d.partition = c.tableoid GROUP BY 1) AS x`)
}

// TestOneRecordPerCallAcrossDays: ends that come again, later, twice at once, and after the call was closed, on another day than the first.
func TestOneRecordPerCallAcrossDays(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "10"})
	l := newLedger(t, dsn)
	askLedger(t, l, reserve("again", payBy("anna"), 60, 1))
	first := endLedger(t, l, over("again", 10*time.Second))
	if _, err := l.End(within(t), finished("free")); err != nil {
		t.Fatal(err)
	}
	askLedger(t, l, reserve("lost", payBy("anna"), 60, 1))
	lost := over("lost", 20*time.Second)
	lost.Outcome = "node_lost"
	endLedger(t, l, lost)
	age(t, dsn, "", 1)
	if got := inDays(t, dsn); got != "1 3" {
		t.Fatalf("the records are in %s", got)
	}
	for range 2 {
		if booked := endLedger(t, l, over("again", 10*time.Second)); fmt.Sprint(booked) != fmt.Sprint(first) || len(booked) != 1 {
			t.Errorf("the second time %v was charged, the first time %v", booked, first)
		}
		if _, err := l.End(within(t), finished("free")); err != nil {
			t.Fatal(err)
		}
		endLedger(t, l, over("lost", 30*time.Second)) // its real end
	}
	if got := inDays(t, dsn); got != "1 3" {
		t.Errorf("the records are in %s", got)
	}
	if got := balance(t, dsn, "anna") + ask[string](t, dsn, "SELECT string_agg(call_id || ' ' || talk_ms, ', ') FROM cdr_correction"); got != "9.6 0lost 30000" {
		t.Errorf("anna has %s", got)
	}
	wellKept(t, dsn)

	// Two write the same call at once, a little before and a little after midnight.
	before, after := dial(t, dsn), dial(t, dsn)
	const insert = "INSERT INTO cdr (call_id, node, outcome, started_at, ended_at, recorded_at) VALUES ('midnight', 'node1', 'busy', now(), now(), now() - interval '%d days')"
	if _, err := before.PgConn().Exec(t.Context(), "BEGIN; "+fmt.Sprintf(insert, 1)).ReadAll(); err != nil {
		t.Fatal(err)
	}
	second := make(chan int64, 1)
	go func() {
		tag, err := after.Exec(context.WithoutCancel(t.Context()), fmt.Sprintf(insert, 0))
		if err != nil {
			t.Error(err)
		}
		second <- tag.RowsAffected()
	}()
	await(t, func() bool {
		return ask[bool](t, dsn, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')")
	})
	if _, err := before.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if n := <-second; n != 0 || ask[int](t, dsn, "SELECT count(*) FROM cdr WHERE call_id = 'midnight'") != 1 {
		t.Errorf("the second one wrote %d rows", n)
	}
}

// TestNoRecordIsLostWithoutADay: nobody has made partitions for long, or the clock of Postgres is years off. Later each record gets its day, and nothing else changes.
func TestNoRecordIsLostWithoutADay(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	s := open(t, dsn)
	l := newLedger(t, dsn)
	untouched(t, dsn, "DO $$ DECLARE one record; BEGIN FOR one IN SELECT * FROM cdr_days() LOOP EXECUTE format('DROP TABLE %s', one.partition); END LOOP; END $$")
	for _, id := range []string{"old", "older", "new", "future"} {
		if _, err := l.End(within(t), finished(id)); err != nil {
			t.Fatal(err)
		}
	}
	oneEach(t, dsn, "old", "older", "new", "future")
	if got := inDays(t, dsn); got != "none 4" {
		t.Fatalf("the records are in %s", got)
	}
	untouched(t, dsn, `UPDATE cdr SET recorded_at = recorded_at - CASE call_id WHEN 'old' THEN interval '3 days' WHEN 'older' THEN '4 days' WHEN 'future' THEN '-70 years' ELSE '0' END;
		UPDATE cdr_key k SET recorded_at = c.recorded_at FROM cdr c WHERE c.call_id = k.call_id`)
	rows := "SELECT string_agg(to_jsonb(c)::text, E'\\n' ORDER BY call_id) FROM cdr c"
	were := ask[string](t, dsn, rows)
	if err := s.KeepCDRDaysOnce(within(t)); err != nil {
		t.Fatal(err)
	}
	// Today's records still go to cdr_default, so that is left alone. Days to come have partitions, and the one of tomorrow, unless it is about to begin.
	if days := ask[int](t, dsn, "SELECT count(*) FROM cdr_days() WHERE day > (now() AT TIME ZONE 'UTC')::date"); days < 6 || inDays(t, dsn) != "none 4" {
		t.Errorf("%d days to come, the records are in %s", days, inDays(t, dsn))
	}
	mustExec(t, dsn, "SELECT add_cdr_day((now() AT TIME ZONE 'UTC')::date)") // the next day
	for range 2 {
		if err := s.KeepCDRDaysOnce(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if got := inDays(t, dsn); got != "0 1, 3 1, 4 1, none 1" {
		t.Errorf("the records are in %s", got)
	}
	if are := ask[string](t, dsn, rows); are != were {
		t.Errorf("the records were\n%s\nand are\n%s", were, are)
	}
	oneEach(t, dsn, "old", "older", "new", "future")
	wellKept(t, dsn)
	for _, sql := range []string{"UPDATE cdr SET talk_ms = 0", "UPDATE cdr_default SET talk_ms = 0", "UPDATE cdr_key SET lost = true",
		ask[string](t, dsn, "SELECT format('UPDATE %s SET talk_ms = 0', partition) FROM cdr_days() LIMIT 1")} {
		if text := refusal(t, exec(t, dsn, sql)); !strings.Contains(text, "only ever added to") || !strings.Contains(text, "adjustment") {
			t.Errorf("%s: %s", sql, text)
		}
	}
}

// TestDaysAreMadeWhileCallsEnd: engines make partitions, at once, while others write and somebody reads.
func TestDaysAreMadeWhileCallsEnd(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	s, l := open(t, dsn), newLedger(t, dsn)
	stop := make(chan struct{})
	var keepers, writers sync.WaitGroup
	for range 3 {
		keepers.Go(func() {
			for !isDone(stop) {
				if err := exec2(t, dsn, "BEGIN; SELECT pg_advisory_xact_lock(4713); DO $$ DECLARE one record; BEGIN FOR one IN SELECT * FROM cdr_days() WHERE day > current_date + 2 LOOP EXECUTE format('DROP TABLE %s', one.partition); END LOOP; END $$; COMMIT"); err != nil {
					t.Error(err)
				}
				if err := s.KeepCDRDaysOnce(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for w := range 8 {
		writers.Go(func() {
			for n := range 40 {
				if _, err := l.End(t.Context(), finished(fmt.Sprintf("w%d-%d", w, n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	keepers.Wait()
	if n := ask[int](t, dsn, "SELECT count(DISTINCT call_id) FROM cdr"); n != 320 {
		t.Errorf("%d records of 320", n)
	}
	if err := s.KeepCDRDaysOnce(within(t)); err != nil {
		t.Fatal(err)
	}
	if days := ask[int](t, dsn, "SELECT count(*) FROM cdr_days() WHERE day > (now() AT TIME ZONE 'UTC')::date"); days < 6 {
		t.Errorf("%d days to come", days)
	}
}

// TestRetention: what goes, what stays, and that nothing is charged again.
func TestRetention(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "1", "bert": "1", "provider": ""})
	s, l := open(t, dsn), newLedger(t, dsn)
	shared := payBy("anna", "bert")
	shared.Credit = charging.Party{Account: "provider", Parts: 500_000}
	askLedger(t, l, reserve("old", shared, 10, 1))
	endLedger(t, l, over("old", 10*time.Second))
	askLedger(t, l, reserve("old-beyond", payBy("bert"), 50, 1))
	endLedger(t, l, over("old-beyond", 200*time.Second)) // the node let it go on: bert is below nothing
	askLedger(t, l, reserve("old-lost", payBy("anna"), 20, 1))
	lost := over("old-lost", 20*time.Second)
	lost.Outcome = "node_lost"
	endLedger(t, l, lost)
	if _, err := l.End(within(t), finished("old-free")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.End(within(t), finished("new")); err != nil {
		t.Fatal(err)
	}
	askLedger(t, l, reserve("pending", payBy("anna"), 5, 1))
	wellKept(t, dsn)
	age(t, dsn, "old", 40)
	keep := func() {
		t.Helper()
		if err := s.KeepCDRDaysOnce(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	stays := func(want, when string) {
		t.Helper()
		if got := inDays(t, dsn); got != want {
			t.Errorf("%s: the records are in %s, not %s", when, got, want)
		}
		wellKept(t, dsn)
	}
	keep()
	stays("0 1, 40 4", "kept for ever")
	operator := as(t, dsn, "operator")
	if text := refusal(t, exec(t, operator, "UPDATE cdr_retention SET keep_days = 34")); !strings.Contains(text, "keep_days_is_at_least_35") {
		t.Error(text)
	}
	mustExec(t, operator, "UPDATE cdr_retention SET keep_days = 40")
	if n := ask[int](t, operator, "SELECT count(*) FROM drop_cdr_days(at_once => true)"); n != 0 {
		t.Errorf("%d days are dropped that are as old as what is kept", n)
	}
	mustExec(t, operator, "UPDATE cdr_retention SET keep_days = 35")
	keep()
	stays("0 1, 40 4", "the edit can be taken back for a day")
	for _, held := range []struct{ sql, back string }{ // for a call of that day
		{"UPDATE reservation SET call_id = 'old-free' WHERE call_id = 'pending'", "UPDATE reservation SET call_id = 'pending' WHERE call_id = 'old-free'"},
		{"INSERT INTO live_call (call_id, node, started_at) VALUES ('old-free', 'node1', now())", "DELETE FROM live_call WHERE call_id = 'old-free'"},
		{"INSERT INTO limit_place (call_limit, key, call_id, node, expires_at) VALUES ('one', 'k', 'old-free', 'node1', now() + interval '1 hour')", "DELETE FROM limit_place"},
	} {
		untouched(t, dsn, held.sql)
		if n := ask[int](t, operator, "SELECT count(*) FROM drop_cdr_days(at_once => true)"); n != 0 {
			t.Errorf("%s: %d days were dropped", held.sql, n)
		}
		untouched(t, dsn, held.back)
	}
	mustExec(t, dsn, "UPDATE cdr_retention_since SET changed_at = changed_at - interval '25 hours'")
	keep()
	stays("0 1", "dropped")
	if got := ask[string](t, operator, "SELECT string_agg(((now() AT TIME ZONE 'UTC')::date - day) || ' ' || records, ', ') FROM cdr_dropped_day"); got != "40 4" {
		t.Errorf("dropped: %s", got)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM call_record WHERE call_id LIKE 'old%'"); n != 0 || ask[int](t, dsn, "SELECT count(*) FROM call_record") == 0 {
		t.Errorf("%d records of services are left", n)
	}
	// Ends that come again, and a real one.
	for range 2 {
		endLedger(t, l, over("old", 10*time.Second))
		endLedger(t, l, over("old-lost", 30*time.Second))
		if _, err := l.End(within(t), finished("old-free")); err != nil {
			t.Error(err)
		}
	}
	stays("0 1", "after ends that came again")
	if got := balance(t, dsn, "anna") + ", " + balance(t, dsn, "bert") + ", " + balance(t, dsn, "provider"); got != "0.65 0.05, -1.05 0, 0.05 0" {
		t.Errorf("balances %s", got)
	}
	// The books that are left still tell when something is wrong.
	if err := exec2(t, dsn, "BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM ledger_entry WHERE call_id = 'old' AND account = 'anna'; DO $$ BEGIN ASSERT 'dropped_charges_are_the_ledgers' IN (SELECT invariant FROM ledger_check), 'nobody noticed'; END $$; ROLLBACK"); err != nil {
		t.Error(err)
	}

	// 30 days later the keys go, but not those of lost calls, and a charge is booked once even so.
	untouched(t, dsn, "UPDATE cdr_key SET recorded_at = recorded_at - interval '30 days' WHERE call_id LIKE 'old%'; UPDATE cdr_dropped_day SET day = day - 30")
	keep()
	if got := ask[string](t, dsn, "SELECT string_agg(call_id, ' ' ORDER BY call_id) FROM cdr_key"); got != "new old-lost" {
		t.Errorf("keys that are left: %s", got)
	}
	wellKept(t, dsn)
	if _, err := l.End(within(t), over("old", 10*time.Second)); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("an end that comes after 70 days again: %v", err)
	}
	stays("0 1", "after an end that came again very late")
}

// TestDroppedDaysAreTold: an export that goes on with an old cursor, or from an old day, is told what it lacks.
func TestDroppedDaysAreTold(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	s, l := open(t, dsn), newLedger(t, dsn)
	var cursors []string
	for i, days := range []int{60, 50, 0} {
		id := fmt.Sprint("call-", i)
		if _, err := l.End(within(t), finished(id)); err != nil {
			t.Fatal(err)
		}
		cursors = append(cursors, ask[string](t, dsn, "SELECT concat_ws('/', written_by, node, call_id) FROM cdr WHERE call_id = $1", id))
		age(t, dsn, id, days)
	}
	read := func(after string, from time.Time) (calls string) {
		t.Helper()
		if _, err := s.ExportCDRs(within(t), after, from, always, func(record []*string) error {
			calls += *record[2] + " "
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return calls
	}
	await(t, func() bool { return read("", time.Time{}) == "call-0 call-1 call-2 " })
	if days, err := s.DroppedCDRs(within(t), "", time.Time{}, always); err != nil || len(days) > 0 {
		t.Errorf("%v, %v", days, err)
	}
	mustExec(t, dsn, "UPDATE cdr_retention SET keep_days = 35; SELECT drop_cdr_days(at_once => true)")
	for _, c := range []struct {
		after   string
		from    time.Time
		reads   string
		dropped string
	}{
		{"", time.Time{}, "call-2 ", "60 50 "},
		{cursors[0], time.Time{}, "call-2 ", "50 "},
		{cursors[1], time.Time{}, "call-2 ", ""},
		{"", time.Now().AddDate(0, 0, -55), "call-2 ", "50 "},
		{"", time.Now().AddDate(0, 0, -49), "call-2 ", ""},
	} {
		if got := read(c.after, c.from); got != c.reads {
			t.Errorf("after %q from %v: %s", c.after, c.from, got)
		}
		days, err := s.DroppedCDRs(within(t), c.after, c.from, always)
		if err != nil {
			t.Fatal(err)
		}
		var told string
		for _, one := range days {
			told += fmt.Sprintf("%d ", int(time.Since(one.Day).Hours()/24))
			if one.Records != 1 {
				t.Errorf("%d records of %v", one.Records, one.Day)
			}
		}
		if told != c.dropped {
			t.Errorf("after %q from %v: told of %q, not %q", c.after, c.from, told, c.dropped)
		}
	}
	if _, err := s.DroppedCDRs(within(t), "x", time.Time{}, always); !errors.Is(err, store.ErrCursor) {
		t.Error(err)
	}
}

// TestACallLooksAtNoOtherDay: with many days, nothing that engines do for a call reads those that are over.
func TestACallLooksAtNoOtherDay(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "100"})
	mustExec(t, dsn, "SELECT add_cdr_day((now() AT TIME ZONE 'UTC')::date - n) FROM generate_series(1, 30) AS n; INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('many', 1000)")
	const read = "SELECT coalesce(sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0)), 0)::int FROM pg_stat_user_tables t JOIN cdr_days() AS d ON d.partition = t.relid WHERE d.day %s"
	const past = "< (now() AT TIME ZONE 'UTC')::date - 2"
	await(t, func() bool { return ask[int](t, dsn, fmt.Sprintf(read, past)) > 0 }) // their indexes were made
	made := ask[int](t, dsn, fmt.Sprintf(read, past))
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Engine: "busy"})
	if err != nil {
		t.Fatal(err)
	}
	l := s.NewLedger()
	if err := l.Register(within(t), "node1", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 20 { // often enough for plans that are kept
		id := fmt.Sprint("call-", i)
		askLedger(t, l, reserve(id, payBy("anna"), 60, 1))
		askLedger(t, l, place(id, "many", charging.LimitRule{MaximumCalls: 1000}))
		if _, err := l.Heartbeat(within(t), "node1", "boot-1", 1, []charging.LiveCall{{CallID: id, AnsweredAt: time.Now()}}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			endLedger(t, l, over(id, 10*time.Second))
			if _, err := l.End(within(t), finished("free-"+id)); err != nil {
				t.Fatal(err)
			}
		}
		lost := over("lost-"+id, 0)
		lost.Outcome = "node_lost"
		endLedger(t, l, lost)
		endLedger(t, l, over("lost-"+id, 10*time.Second))
		askLedger(t, l, reserve("live-"+id, payBy("anna"), 1, 1))
		if err := l.Reap(within(t), true); err != nil {
			t.Fatal(err)
		}
		if _, err := s.LastCalls(within(t), 3); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	s.Close() // sessions tell of what they have read when they end
	await(t, func() bool { return ask[int](t, dsn, fmt.Sprintf(read, "= (now() AT TIME ZONE 'UTC')::date")) >= 20 })
	if n := ask[int](t, dsn, fmt.Sprintf(read, past)) - made; n != 0 {
		t.Errorf("days that are over were read %d times", n)
	}
	wellKept(t, dsn)
}

// TestMigrationKeepsEveryRecord: a database of before the days of cdr.
func TestMigrationKeepsEveryRecord(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	before := make(fstest.MapFS)
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if text, err := fs.ReadFile(migrations.Files, name); err != nil {
			t.Fatal(err)
		} else if name < "0022" {
			before[name] = &fstest.MapFile{Data: text}
		}
	}
	if err := store.MigrateFiles(t.Context(), dsn, before); err != nil {
		t.Fatal(err)
	}
	if err := exec2(t, dsn, `INSERT INTO account (account, currency, credit_limit) VALUES ('anna', 'EUR', 1000);
		INSERT INTO cdr (call_id, node, outcome, started_at, ended_at, recorded_at, charges, flags, legs, path, talk_ms, written_by)
			SELECT 'call-' || i, 'node' || i % 3, CASE WHEN i % 7 = 0 THEN 'node_lost' ELSE 'answered' END, now(), now(), now() - i * interval '5 hours',
				jsonb_build_array(jsonb_build_object('charge', 1, 'account', 'anna', 'amount', '0.01', 'currency', 'EUR')), ARRAY['excess', 'late'], '[{"trunk": "a"}]', 'a:b', i, (700 + i)::text::xid8
			FROM generate_series(1, 100) AS i;
		INSERT INTO call_record SELECT call_id, node, 0, now(), 'security', call_id FROM cdr;
		INSERT INTO cdr_correction (call_id, node, talk_ms, cause, ended_at) VALUES ('call-7', 'node1', 1, 16, now());
		INSERT INTO ledger_entry (account, kind, amount, call_id, node, charge) SELECT 'anna', 'charge', -0.01, call_id, node, 1 FROM cdr;
		SET ringmaster.booking = 'on'; UPDATE account_balance SET balance = -1`); err != nil {
		t.Fatal(err)
	}
	const rows = `SELECT md5(string_agg(to_jsonb(c)::text, '' ORDER BY call_id)) || count(*) FROM cdr c`
	const definition = `SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), CASE WHEN a.attname <> 'recorded_at' THEN col_description(a.attrelid, a.attnum) END), E'\n' ORDER BY attnum)
		|| (SELECT string_agg(conname || pg_get_constraintdef(oid), E'\n' ORDER BY conname) FROM pg_constraint WHERE conrelid = 'cdr'::regclass AND contype = 'c')
		|| (SELECT string_agg(grantee || ' ' || privilege_type, E'\n' ORDER BY grantee, privilege_type) FROM information_schema.role_table_grants WHERE table_name = 'cdr' AND grantee LIKE 'ringmaster%'
			AND privilege_type NOT IN ('DELETE', 'TRUNCATE')) -- by migration 0027, and refused with advice
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = 'cdr'::regclass AND a.attnum > 0`
	were, was := ask[string](t, dsn, rows), ask[string](t, dsn, definition)
	if err := store.Migrate(t.Context(), dsn, nil); err != nil {
		t.Fatal(err)
	}
	if are := ask[string](t, dsn, rows); are != were {
		t.Errorf("the records were %s and are %s", were, are)
	}
	if is := ask[string](t, dsn, definition); is != was {
		t.Errorf("cdr was\n%s\nand is\n%s", was, is)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM cdr_default") + ask[int](t, dsn, "SELECT count(*) FROM cdr c JOIN cdr_days() AS d ON d.partition = c.tableoid WHERE d.day <> (c.recorded_at AT TIME ZONE 'UTC')::date"); n > 0 {
		t.Errorf("%d records are not in their days", n)
	}
	wellKept(t, dsn)
	l := newLedger(t, dsn)
	for i := range 5 { // ends that were stored before come again, and new ones
		cdr := finished(fmt.Sprint("call-", i))
		cdr.Node = fmt.Sprint("node", i%3)
		if _, err := l.End(within(t), cdr); err != nil {
			t.Fatal(err)
		}
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM cdr"); n != 101 {
		t.Errorf("%d records", n)
	}
}

// TestTheReaperLooksCallsUp: with many keys of CDRs, and calls that live, it never reads all keys.
func TestTheReaperLooksCallsUp(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "100000"})
	mustExec(t, dsn, `INSERT INTO cdr_key SELECT 'call-' || i, 'node1', now(), false FROM generate_series(1, 20000) AS i;
		INSERT INTO node_status (node, boot_id, state, capacity, calls, registered_at, last_seen) SELECT 'node1', 'b', 'in_service', 1, array_agg('live-' || i), now() - interval '1 day', now() FROM generate_series(1, 3000) AS i;
		INSERT INTO live_call (call_id, node, started_at) SELECT 'live-' || i, 'node1', now() FROM generate_series(1, 3000) AS i;
		INSERT INTO reservation (call_id, node, charge, payer, account, state, amount, seconds, expires_at, terms, body) SELECT 'live-' || i, 'node1', 1, 1, 'anna', 'pending', 0.6, 60, now() + interval '1 hour', '{}', 7 FROM generate_series(1, 3000) AS i;
		INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('many', 5000);
		INSERT INTO limit_place (call_limit, key, call_id, node, expires_at) SELECT 'many', 'k', 'live-' || i, 'node1', now() + interval '1 hour' FROM generate_series(1, 3000) AS i;
		ANALYZE`)
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Engine: "reaper"})
	if err != nil {
		t.Fatal(err)
	}
	l := s.NewLedger()
	const scans = "SELECT coalesce(%s, 0)::int FROM pg_stat_user_tables WHERE relname = 'cdr_key'"
	before, looked := ask[int](t, dsn, fmt.Sprintf(scans, "seq_scan")), ask[int](t, dsn, fmt.Sprintf(scans, "idx_scan"))
	if err := l.Reap(within(t), true); err != nil {
		t.Fatal(err)
	}
	l.Close()
	s.Close()
	await(t, func() bool { return ask[int](t, dsn, fmt.Sprintf(scans, "idx_scan")) >= looked+3000 })
	if n := ask[int](t, dsn, fmt.Sprintf(scans, "seq_scan")) - before; n != 0 {
		t.Errorf("all keys were read %d times", n)
	}
}

// TestCallsAreLookedUp: ends and heartbeats go by their calls, not through all that is pending, also where the planner has last seen tables of which next to nothing was.
func TestCallsAreLookedUp(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"anna": "100000"})
	const add = `SET ringmaster.booking = 'on';
		INSERT INTO reservation (call_id, node, charge, payer, account, state, amount, seconds, expires_at, settled_at, terms, body)
			SELECT '%[1]s-' || i, 'node1', 1, 1, 'anna', '%[2]s', 0.6, 60, now() + interval '1 hour', %[3]s, '{}', 7 FROM generate_series(1, 3000) AS i;
		INSERT INTO limit_place (call_limit, key, call_id, node, expires_at, released_at) SELECT 'many', 'k', '%[1]s-' || i, 'node1', now() + interval '1 hour', %[3]s FROM generate_series(1, 3000) AS i;`
	mustExec(t, dsn, "INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('many', 5000); "+fmt.Sprintf(add, "old", "voided", "now()")+"ANALYZE")
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Engine: "busy"})
	if err != nil {
		t.Fatal(err)
	}
	l := s.NewLedger()
	if err := l.Register(within(t), "node1", "boot-1", 80, 0, nil); err != nil {
		t.Fatal(err)
	}
	heartbeat := func(id string) {
		t.Helper()
		if _, err := l.Heartbeat(within(t), "node1", "boot-1", 1, []charging.LiveCall{{CallID: id}}); err != nil {
			t.Fatal(err)
		}
	}
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = fmt.Sprint("call-", i)
		askLedger(t, l, reserve(ids[i], payBy("anna"), 60, 1))
	}
	for _, id := range ids[:10] { // often enough for plans that are kept
		heartbeat(id)
		endLedger(t, l, over(id, 10*time.Second))
	}
	mustExec(t, dsn, fmt.Sprintf(add, "live", "pending", "NULL")+`UPDATE account_balance SET pending = pending + 1800;
		INSERT INTO live_call (call_id, node, started_at) SELECT 'live-' || i, 'node1', now() FROM generate_series(1, 3000) AS i`)
	const read = `SELECT coalesce(sum(idx_tup_read), 0)::int + (SELECT coalesce(sum(seq_tup_read), 0)::int FROM pg_stat_user_tables WHERE relname IN ('reservation', 'limit_place'))
		FROM pg_stat_user_indexes WHERE relname IN ('reservation', 'limit_place')`
	await(t, func() bool { return ask[int](t, dsn, read) > 0 })
	before := ask[int](t, dsn, read)
	for _, id := range ids[10:] {
		heartbeat(id)
		endLedger(t, l, over(id, 10*time.Second))
	}
	l.Close()
	s.Close() // sessions tell of what they have read when they end
	await(t, func() bool { return ask[int](t, dsn, read) > before })
	if n := ask[int](t, dsn, read) - before; n > 3000 {
		t.Errorf("10 heartbeats and 10 ends have read %d entries of indexes and rows", n)
	}
	wellKept(t, dsn)
}
