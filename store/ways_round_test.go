package store_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"ringmaster/migrations"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// TestTriggerFunctionsAreNotBorrowed: who hangs a function that may more than they on a table of their own has it write what they like.
func TestTriggerFunctionsAreNotBorrowed(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	accounts(t, dsn, map[string]string{"acme": "1"})
	revisionBefore, entries := revision(t, dsn), ask[int](t, dsn, "SELECT count(*) FROM audit_log")
	for _, role := range []string{"viewer", "operator", "engine"} {
		for name, sql := range map[string]string{
			"money": `CREATE TEMP TABLE adjustment (account text, amount numeric, reason text, at timestamptz, by text);
				CREATE TRIGGER a BEFORE INSERT ON pg_temp.adjustment FOR EACH ROW EXECUTE FUNCTION public.book_adjustment(); INSERT INTO pg_temp.adjustment VALUES ('acme', 123456, 'a present')`,
			"a revision": `CREATE TEMP TABLE trunk (trunk text);
				CREATE TRIGGER a AFTER INSERT ON pg_temp.trunk FOR EACH STATEMENT EXECUTE FUNCTION public.note_config_edit(); INSERT INTO pg_temp.trunk VALUES ('x')`,
			"history": `CREATE TEMP TABLE trunk (trunk text);
				CREATE TRIGGER a AFTER INSERT ON pg_temp.trunk REFERENCING NEW TABLE AS is_now FOR EACH STATEMENT EXECUTE FUNCTION public.note_config_rows('small', '', '', '', 'trunk'); INSERT INTO pg_temp.trunk VALUES ('x')`,
		} {
			if text := refusal(t, exec(t, as(t, dsn, role), sql)); !strings.HasPrefix(text, "42501") {
				t.Errorf("%s of a %s: %s", name, role, text)
			}
		}
	}
	if got := balance(t, dsn, "acme"); !strings.HasPrefix(got, "1") || strings.Contains(got, "123") {
		t.Errorf("acme has %s", got)
	}
	if revision(t, dsn) != revisionBefore || ask[int](t, dsn, "SELECT count(*) FROM audit_log") != entries {
		t.Error("history was written")
	}
	// Functions of migrations to come too: nobody may call what does more than they may, but who was granted it by name.
	if got := ask[string](t, dsn, `SELECT coalesce(string_agg(p.oid::regprocedure::text, ', '), '') FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
		WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef AND a.privilege_type = 'EXECUTE' AND a.grantee = 0`); got != "" {
		t.Errorf("everybody may call %s, which runs as its owner: REVOKE EXECUTE ON FUNCTION … FROM PUBLIC, and GRANT it to who needs it", got)
	}
	if got := ask[string](t, dsn, `SELECT coalesce(string_agg(DISTINCT p.oid::regprocedure::text || ' by ' || a.grantee::regrole, ', '), '') FROM pg_proc p, aclexplode(p.proacl) AS a
		WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype = 'trigger'::regtype AND p.prosecdef AND a.grantee <> p.proowner`); got != "" {
		t.Errorf("trigger functions that can be borrowed: %s", got)
	}
}

// TestTruncatePassesByNoRule: what a DELETE may not do, no TRUNCATE may.
func TestTruncatePassesByNoRule(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	operator := as(t, dsn, "operator")
	before := revision(t, dsn)
	for _, tables := range []string{"numbering_plan CASCADE", "service_parameter", "script_parameter", "calendar CASCADE", "trunk CASCADE", "prompt", "distribution CASCADE",
		"screening_list CASCADE", "translation_table CASCADE", "step CASCADE", "script CASCADE", "service CASCADE", "tariff CASCADE", "call_limit"} {
		text := refusal(t, exec(t, operator, "BEGIN; SELECT confirm_mass_change('x'); TRUNCATE "+tables+"; COMMIT"))
		if !strings.HasPrefix(text, "23001 | TRUNCATE of ") || !strings.Contains(text, "DELETE FROM") {
			t.Errorf("%s: %s", tables, text)
		}
	}
	if revision(t, dsn) != before {
		t.Fatal("something was changed")
	}
	conn := dial(t, dsn)
	for _, table := range []string{"screening_entry", "calendar_holiday", "calendar_window", "translation", "distribution_branch", "area_prefix", "service_number", "step_exit"} {
		was := contents(t, conn)
		mustExec(t, operator, "BEGIN; SELECT confirm_mass_change('x'); TRUNCATE "+table+"; COMMIT")
		if n := ask[int](t, dsn, "SELECT count(*) FROM "+table); n != 0 {
			t.Fatalf("%d rows of %s", n, table)
		}
		mustExec(t, operator, fmt.Sprintf("SELECT rollback_to(%d)", revision(t, dsn)-1))
		if contents(t, conn) != was {
			t.Errorf("%s is not what it was", table)
		}
	}
	last := revision(t, dsn)
	mustExec(t, operator, "INSERT INTO screening_list VALUES ('big'); INSERT INTO screening_entry SELECT 'big', i::text FROM generate_series(1, 10001) AS i")
	mustExec(t, operator, "BEGIN; SELECT confirm_mass_change('x'); TRUNCATE screening_entry; COMMIT")
	if text := refusal(t, exec(t, operator, fmt.Sprintf("SELECT rollback_to(%d)", last))); !strings.Contains(text, "cannot be undone") {
		t.Error(text)
	}
	mustExec(t, operator, "TRUNCATE screening_entry") // of nothing
}

// TestNumbersDoNotAllGoUnasked: a carrier has few numbers at first, and may forget a WHERE.
func TestNumbersDoNotAllGoUnasked(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	if text := refusal(t, exec(t, dsn, "DELETE FROM service_number")); !strings.HasPrefix(text, "RM001") || !strings.Contains(text, "No call would be answered") {
		t.Error(text)
	}
	mustExec(t, dsn, "BEGIN; SELECT confirm_mass_change('x'); DELETE FROM service_number; COMMIT")
}

// TestKeysAreNotRenamedPastTheRules: a renamed key is a row that is gone and one that has come.
func TestKeysAreNotRenamedPastTheRules(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, "INSERT INTO service_parameter VALUES ('acme_hotline', 'ring_seconds', '20')")
	before := revision(t, dsn)
	for name, c := range map[string]struct{ sql, says string }{
		"parameter of a service":       {"UPDATE service_parameter SET parameter = 'closed_prompt', value = 'closed' WHERE service = 'acme_hotline' AND parameter = 'hours'", "lacks: hours"},
		"parameter of another service": {"INSERT INTO service (service, subscriber, script) VALUES ('x', 'acme', 'freephone'); UPDATE service_parameter SET service = 'x' WHERE service = 'acme_hotline'", `service "acme_hotline" lacks`},
		"parameter of a script":        {"UPDATE script_parameter SET parameter = 'ring_secs' WHERE script = 'freephone' AND parameter = 'ring_seconds'", "is in use"},
		"entry before its list":        {"SET CONSTRAINTS ALL DEFERRED; INSERT INTO screening_entry VALUES ('newpfx', 'abc def'); INSERT INTO screening_list VALUES ('newpfx', 'prefix')", `"newpfx" cannot compare by prefix`},
		"key before its table":         {"SET CONSTRAINTS ALL DEFERRED; INSERT INTO translation VALUES ('newpfx', 'abc def', 'x'); INSERT INTO translation_table VALUES ('newpfx', 'prefix')", `"newpfx" cannot compare by prefix`},
		"entry before its name":        {"INSERT INTO screening_list VALUES ('old', 'prefix'); SET CONSTRAINTS ALL DEFERRED; INSERT INTO screening_entry VALUES ('newpfx', 'abc def'); UPDATE screening_list SET screening_list = 'newpfx' WHERE screening_list = 'old'", `"newpfx" cannot compare by prefix`},
		"holiday at infinity":          {"INSERT INTO calendar_holiday VALUES ('always', 'infinity', 'x')", "a_holiday_is_a_day"},
		"holiday before Christ":        {"INSERT INTO calendar_holiday VALUES ('always', '0044-03-15 BC', 'x')", "holiday_is_in_the_years_1_to_9999"},
		"holiday of the far end":       {"INSERT INTO calendar_holiday VALUES ('always', '294276-01-01', 'x')", "holiday_is_in_the_years_1_to_9999"},
		"window before Christ":         {"UPDATE calendar_window SET valid_from = '0044-03-15 BC'", "valid_from_and_valid_to_are_in_the_years_1_to_9999"},
		"window of the far end":        {"UPDATE calendar_window SET valid_to = '294276-01-01'", "valid_from_and_valid_to_are_in_the_years_1_to_9999"},
	} {
		err := exec(t, dsn, "BEGIN; "+c.sql+"; COMMIT")
		if err == nil {
			t.Errorf("%s: it went through", name)
		} else if text := refusal(t, err) + err.Error(); !strings.Contains(text, c.says) {
			t.Errorf("%s: %s", name, text)
		}
	}
	if got := revision(t, dsn); got != before {
		t.Fatalf("refused edits made %d revisions", got-before)
	}
	for name, sql := range map[string]string{
		"service":              "UPDATE service SET service = 'hotline' WHERE service = 'acme_hotline'",
		"script":               "UPDATE script SET script = 'fph' WHERE script = 'freephone'",
		"parameter everywhere": "UPDATE script_parameter SET parameter = 'opening' WHERE parameter = 'hours'; UPDATE service_parameter SET parameter = 'opening' WHERE parameter = 'hours'",
		"list of prefixes":     "INSERT INTO screening_list VALUES ('newpfx', 'prefix'); INSERT INTO screening_entry VALUES ('newpfx', '49')",
		"first and last day":   "INSERT INTO calendar_holiday VALUES ('always', '0001-01-01', 'x', true), ('always', '9999-12-31', 'x', false); UPDATE calendar_window SET valid_from = '0001-01-01', valid_to = 'infinity' WHERE calendar = 'always'",
	} {
		if err := exec(t, dsn, "BEGIN; "+sql+"; COMMIT"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := feed(t, open(t, dsn))
	live(t, f, dsn)
	if got := ask[string](t, dsn, "SELECT coalesce(string_agg(table_name || ' ' || row_key || ': ' || reason, E'\n'), '') FROM config_problem WHERE table_name ~ 'calendar'"); got != "" {
		t.Errorf("engines cannot use\n%s", got)
	}
}

// TestTwoOperatorsAtOnceLeaveNothingDangling: each looks whether what the other is about to change is as it must be.
func TestTwoOperatorsAtOnceLeaveNothingDangling(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	one, other := dial(t, dsn), dial(t, dsn)
	const rate = "INSERT INTO tariff_rate (tariff, prefix, price_per_minute, valid_from) VALUES ('skew', '', 1, '2026-01-%02d')"
	mustExec(t, dsn, "INSERT INTO tariff (tariff, currency) VALUES ('skew', 'EUR')")
	for name, c := range map[string]struct{ before, first, second, dangling string }{
		"calendar": {"INSERT INTO calendar VALUES ('skew', 'UTC') ON CONFLICT DO NOTHING; UPDATE service_parameter SET value = 'always' WHERE service = 'acme_hotline' AND parameter = 'hours'",
			"DELETE FROM calendar WHERE calendar = 'skew'", "UPDATE service_parameter SET value = 'skew' WHERE service = 'acme_hotline' AND parameter = 'hours'",
			"SELECT count(*) FROM service_parameter WHERE value = 'skew' AND NOT EXISTS (SELECT FROM calendar WHERE calendar = 'skew')"},
		"parameter": {"INSERT INTO script_parameter VALUES ('freephone', 'skew', 'text', 'x') ON CONFLICT DO NOTHING; DELETE FROM service_parameter WHERE parameter = 'skew'",
			"DELETE FROM script_parameter WHERE parameter = 'skew'", "INSERT INTO service_parameter VALUES ('acme_hotline', 'skew', 'y')",
			"SELECT count(*) FROM service_parameter WHERE parameter = 'skew' AND NOT EXISTS (SELECT FROM script_parameter WHERE parameter = 'skew')"},
		"rates": {"DELETE FROM tariff_rate", fmt.Sprintf(rate, 1), fmt.Sprintf(rate, 2), "SELECT greatest(count(*) - 1, 0) FROM tariff_rate"},
	} {
		refused := 0
		for try := range 40 {
			mustExec(t, dsn, "BEGIN; "+c.before+"; COMMIT")
			for conn, sql := range map[*pgx.Conn]string{one: c.first, other: c.second} {
				if _, err := conn.Exec(within(t), "BEGIN; "+sql, pgx.QueryExecModeSimpleProtocol); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			var wg sync.WaitGroup
			errs := make([]error, 2)
			for i, conn := range []*pgx.Conn{one, other} {
				wg.Go(func() { _, errs[i] = conn.Exec(within(t), "COMMIT") })
			}
			wg.Wait()
			for _, err := range errs {
				if err != nil {
					refused++
					if text := refusal(t, err); !strings.HasPrefix(text, "23") {
						t.Fatalf("%s: %s", name, text)
					}
				}
			}
			if n := ask[int](t, dsn, c.dangling); n != 0 {
				t.Fatalf("%s: try %d left %d dangling, %v", name, try, n, errs)
			}
		}
		if refused != 40 {
			t.Errorf("%s: %d of 40 were refused", name, refused)
		}
	}
}

// TestAForgottenTransactionKeepsNobodyWaiting: not at COMMIT either, when a foreign key has to wait for it.
func TestAForgottenTransactionKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, "INSERT INTO step VALUES ('freephone', 'spare', 'log', '{}')")
	forgotten := dial(t, dsn)
	if _, err := forgotten.Exec(within(t), "BEGIN; DELETE FROM step WHERE step = 'spare'; UPDATE calendar SET description = 'x'", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	mustExec(t, dsn, "SET lock_timeout = '10s'; INSERT INTO trunk VALUES ('a')")
	waits := make(chan error)
	go func() {
		conn, err := pgx.Connect(context.Background(), dsn)
		if err == nil {
			_, err = conn.Exec(context.Background(), "UPDATE step_exit SET next_step = 'spare' WHERE script = 'freephone' AND step = 'closed'")
			conn.Close(context.Background())
		}
		waits <- err
	}()
	if text := refusal(t, <-waits); !strings.HasPrefix(text, "55P03") {
		t.Error(text)
	}
	mustExec(t, dsn, "SET lock_timeout = '10s'; INSERT INTO trunk VALUES ('b')")
	if _, err := forgotten.Exec(within(t), "COMMIT"); err != nil {
		t.Error(err)
	}
}

// TestRefusalsSayWhatToDo: what has no other rule than a foreign key or a domain is refused with advice as well.
func TestRefusalsSayWhatToDo(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, "INSERT INTO tariff (tariff, currency) VALUES ('t', 'EUR'); INSERT INTO tariff_rate (tariff_rate_id, tariff, prefix, price_per_minute) VALUES (700, 't', '', 1), (701, 't', '33', 1); SELECT setval(pg_get_serial_sequence('tariff_rate', 'tariff_rate_id'), 701)")
	for name, c := range map[string]struct {
		sql  string
		says []string
	}{
		"number of no service":      {"INSERT INTO service_number VALUES ('49800900', 'exact', 'nobody')", []string{`23503 | service "nobody" does not exist | Key (service)=(nobody) is not present in table "service".`, "SELECT service FROM service"}},
		"number moved to none":      {"UPDATE service_number SET service = 'nobody' WHERE number = '498001234567'", []string{`service "nobody" does not exist`}},
		"translation on no trunk":   {"UPDATE translation SET trunk = 'moon' WHERE key = 'berlin'", []string{`trunk "moon" does not exist`, "SELECT trunk FROM trunk"}},
		"branch on no trunk":        {"UPDATE distribution_branch SET trunk = 'moon'", []string{`trunk "moon" does not exist`, "SELECT trunk FROM trunk"}},
		"exit to no step":           {"UPDATE step_exit SET next_step = 'nirvana' WHERE script = 'freephone' AND step = 'closed'", []string{`step "freephone.nirvana" does not exist`, "WHERE script = 'freephone'"}},
		"exit of no step":           {"INSERT INTO step_exit VALUES ('freephone', 'nirvana', 'done', 'closed')", []string{`step "freephone.nirvana" does not exist`}},
		"script of no step":         {"INSERT INTO script VALUES ('mine', 'begin')", []string{`step "mine.begin" does not exist`, "in the same transaction"}},
		"national number":           {"INSERT INTO service_number VALUES ('08001234568', 'exact', 'acme_hotline')", []string{`23514 | "08001234568" is not an E.164 number`, "acme_hotline", "Did you mean 498001234568?"}},
		"number with a plus":        {"INSERT INTO service_number SELECT '+498001234568', 'exact', 'acme_hotline'", []string{"Did you mean 498001234568?"}},
		"international number":      {"INSERT INTO service_number SELECT '0033 800-1234', 'exact', 'acme_hotline'", []string{"Did you mean 338001234?"}},
		"number of letters":         {"INSERT INTO service_number SELECT '49800CALLNOW', 'exact', 'acme_hotline'", []string{`"49800CALLNOW" is not`, "For example"}},
		"price below zero":          {"INSERT INTO tariff_rate (tariff, prefix, price_per_minute) SELECT 't', '49', -0.5", []string{"23514 | price_per_minute cannot be -0.5", `tariff t for prefix "49"`, "price 0"}},
		"fee below zero":            {"UPDATE tariff_rate SET connect_fee = -1", []string{"connect_fee cannot be -1"}},
		"price that is no number":   {"UPDATE tariff_rate SET maximum_charge = 'NaN'", []string{"maximum_charge cannot be NaN"}},
		"overlapping rate":          {"INSERT INTO tariff_rate (tariff, prefix, price_per_minute, valid_from) VALUES ('t', '', 2, '2026-06-01')", []string{"Rate 700 holds", "SET valid_to = '2026-06-01 00:00:00+00' WHERE tariff_rate_id = 700"}},
		"rate that is overlapped":   {"INSERT INTO tariff_rate (tariff_rate_id, tariff, prefix, price_per_minute, valid_from) VALUES (900, 't', '', 2, '2026-06-01'); UPDATE tariff_rate SET price_per_minute = 2 WHERE tariff_rate_id = 700", []string{"Rate 700 holds", "WHERE tariff_rate_id = 700"}},
		"old rate moved over a new": {"UPDATE tariff_rate SET prefix = '', valid_from = '2020-01-01' WHERE tariff_rate_id = 701", []string{"Rate 700 holds", "WHERE tariff_rate_id = 700"}},
		"rate from ever":            {"UPDATE tariff_rate SET valid_from = '2026-01-01' WHERE tariff_rate_id = 700; INSERT INTO tariff_rate (tariff, prefix, price_per_minute) VALUES ('t', '', 2)", []string{"Rate 700 holds", "Give the newer one a valid_from"}},
	} {
		text := refusal(t, exec(t, dsn, "SET timezone = 'UTC'; BEGIN; "+c.sql+"; COMMIT"))
		for _, want := range c.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", name, want, text)
			}
		}
		if strings.HasSuffix(text, " | ") || strings.Contains(text, " |  | ") {
			t.Errorf("%s: without DETAIL or HINT: %s", name, text)
		}
	}
	// In any order, where the keys are put off.
	mustExec(t, dsn, `BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO service_number VALUES ('49800900', 'exact', 'late'), ('49800901', 'exact', 'never'); DELETE FROM service_number WHERE service = 'never';
		INSERT INTO translation VALUES ('acme_offices', 'late', '1', 'late'); INSERT INTO distribution_branch VALUES ('acme_share', 9, 'late', 1, '1', 'late'); INSERT INTO trunk VALUES ('late');
		INSERT INTO service (service, subscriber, script) VALUES ('late', 'acme', 'freephone'); INSERT INTO service_parameter SELECT 'late', parameter, value FROM service_parameter WHERE service = 'acme_hotline'; COMMIT`)
	mustExec(t, dsn, "UPDATE trunk SET trunk = 'later' WHERE trunk = 'late'; UPDATE service SET service = 'later' WHERE service = 'late'")
}

// TestWhatChangesNothingMakesNoRevision: rollback_to(revision - 1) undoes the last edit, and not a statement that did nothing.
func TestWhatChangesNothingMakesNoRevision(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, "DELETE FROM account_country")
	operator := as(t, dsn, "operator")
	before := revision(t, dsn)
	for _, sql := range []string{"UPDATE service SET active = false WHERE false", "UPDATE service SET active = active", "DELETE FROM trunk WHERE trunk = 'none'", "INSERT INTO trunk VALUES ('office') ON CONFLICT DO NOTHING",
		"BEGIN; SELECT confirm_mass_change('x'); TRUNCATE account_country; COMMIT", "BEGIN; SAVEPOINT s; INSERT INTO trunk VALUES ('x'); ROLLBACK TO s; COMMIT",
		"BEGIN; SET CONSTRAINTS ALL IMMEDIATE; UPDATE service SET active = false WHERE false; COMMIT"} {
		mustExec(t, operator, sql)
		if got := revision(t, dsn); got != before {
			t.Fatalf("%s made revision %d of %d", sql, got, before)
		}
	}
	for _, sql := range []string{"INSERT INTO trunk VALUES ('y')", "BEGIN; SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO trunk VALUES ('z'); COMMIT",
		"BEGIN; SAVEPOINT s; INSERT INTO trunk VALUES ('x'); ROLLBACK TO s; INSERT INTO trunk VALUES ('x'); COMMIT"} {
		mustExec(t, operator, sql)
		if got := revision(t, dsn); got != before+1 {
			t.Fatalf("%s made revision %d of %d", sql, got, before)
		}
		before++
	}
	mustExec(t, operator, "UPDATE service SET active = false WHERE false")
	mustExec(t, operator, fmt.Sprintf("SELECT rollback_to(%d)", before-1))
	if got := ask[int](t, dsn, "SELECT count(*) FROM trunk WHERE trunk IN ('x', 'y', 'z')"); got != 2 {
		t.Errorf("%d trunks are left", got)
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM config_edit"); n != 0 {
		t.Errorf("%d edits are left open", n)
	}
}

// TestReasonsControlNoTerminal: who reads audit_log with psql reads texts.
func TestReasonsControlNoTerminal(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, `BEGIN; SELECT set_config('ringmaster.comment', E'ticket\x1b[2J 7\r\n\u009b1mé\u202e', true); SELECT confirm_mass_change(E'gone\x1b[1A\x07'); TRUNCATE calendar_holiday; COMMIT`)
	if got := ask[string](t, dsn, "SELECT concat_ws('|', h.comment, l.comment, l.after ->> 'reason') FROM config_history h JOIN audit_log l USING (revision) WHERE l.operation = 'CONFIRM'"); got != "ticket [2J 7 1mé|ticket [2J 7 1mé|gone [1A" {
		t.Errorf("%q", got)
	}
	if text := refusal(t, exec(t, dsn, `SELECT confirm_mass_change(E'\x1b\r')`)); !strings.Contains(text, "needs a reason") {
		t.Error(text)
	}
}

// TestMigrationLeavesOddDays: a database in use may have days that no engine can use. They are told of, and not deleted.
func TestMigrationLeavesOddDays(t *testing.T) {
	t.Parallel()
	dsn := storetest.Empty(t)
	before := make(fstest.MapFS)
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name < "0026" {
			text, err := migrations.Files.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			before[name] = &fstest.MapFile{Data: text}
		}
	}
	if err := store.MigrateFiles(t.Context(), dsn, before); err != nil {
		t.Fatal(err)
	}
	loadDemo(t, dsn)
	mustExec(t, dsn, `INSERT INTO calendar VALUES ('c', 'UTC'); INSERT INTO calendar_holiday VALUES ('c', '0044-03-15 BC', 'x');
		INSERT INTO tariff (tariff, currency) VALUES ('t', 'EUR'); INSERT INTO tariff_rate (tariff, prefix, price_per_minute) VALUES ('t', '', 0.123456)`)
	was := contents(t, dial(t, dsn))
	if err := store.Migrate(t.Context(), dsn, nil); err != nil {
		t.Fatal(err)
	}
	if is := contents(t, dial(t, dsn)); is != was {
		t.Errorf("the tables were\n%s\nand are\n%s", was, is)
	}
	live(t, feed(t, open(t, dsn)), dsn)
	await(t, func() bool {
		return ask[int](t, dsn, "SELECT count(*) FROM config_problem WHERE table_name = 'calendar' AND row_key = 'c'") > 0
	})
	mustExec(t, dsn, "DELETE FROM calendar_holiday WHERE calendar = 'c'; ALTER TABLE calendar_holiday VALIDATE CONSTRAINT holiday_is_in_the_years_1_to_9999")
}
