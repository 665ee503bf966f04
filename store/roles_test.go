package store_test

import (
	"net/url"
	"strings"
	"sync"
	"testing"

	"ringmaster/store"
	"ringmaster/store/storetest"
)

// as is the address by which a session has a role.
func as(t *testing.T, dsn, role string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("role", "ringmaster_"+role)
	u.RawQuery = query.Encode()
	return u.String()
}

func TestRolesMayNotDoWhatOthersDo(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, "INSERT INTO node (node) VALUES ('n1')")
	every := []string{
		"CREATE TABLE mine ()", "DROP TABLE cdr", "ALTER TABLE service DISABLE TRIGGER ALL", "SET session_replication_role = replica; DELETE FROM service",
		"DELETE FROM cdr", "UPDATE cdr SET talk_ms = 0", "TRUNCATE cdr", "DELETE FROM call_record", "UPDATE config_revision SET revision = 0",
		"DELETE FROM config_history", "UPDATE config_history SET changed_by = 'x'", "DELETE FROM config_change", "INSERT INTO config_change VALUES (1, '*', '', '')",
		"DELETE FROM audit_entry", "INSERT INTO audit_entry (edit, table_name, operation) VALUES (1, 'x', 'INSERT')", "INSERT INTO migration VALUES (9999, 'x', '', now(), 'x')",
		"SELECT hold_mass_change('a', 'b', 'c')", "DELETE FROM config_edit", "CREATE ROLE mine", "SET ROLE postgres; DROP ROLE ringmaster_viewer",
		"DELETE FROM cdr_key", "TRUNCATE cdr_key", "DROP TABLE cdr_default", "DELETE FROM cdr_default", "SELECT add_cdr_day('2030-01-01')", "DELETE FROM cdr_dropped_day", "UPDATE cdr_dropped_charge SET amount = 0",
		"UPDATE cdr_retention_since SET changed_at = '2020-01-01'",
	}
	editing := []string{
		"INSERT INTO trunk VALUES ('x')", "UPDATE service SET active = false", "DELETE FROM service_number", "TRUNCATE service_number", "SELECT rotate_session_key()",
		"SELECT set_node_secret('n1', 'a long enough secret')", "INSERT INTO session_key (secret) VALUES (decode(repeat('00', 32), 'hex'))", "UPDATE cdr_retention SET keep_days = 35",
	}
	writing := []string{
		"INSERT INTO cdr (call_id, node, outcome, started_at, ended_at) VALUES ('c', 'n', 'busy', now(), now())", "INSERT INTO call_record VALUES ('c', 'n', 0, now(), 'k', 't')",
		"UPDATE node_status SET channels = 0", "DELETE FROM node_status", "DELETE FROM engine_status", "INSERT INTO config_problem VALUES ('a', 'b', 'c')", "UPDATE config_check SET revision = 0",
		"SELECT prune_config_change(0)", "SELECT make_cdr_days()", "SELECT forget_cdr_keys()", "INSERT INTO cdr_key VALUES ('c', 'n', now(), false)",
	}
	secret := []string{"SELECT secret FROM session_key", "SELECT * FROM session_key", "SELECT secret_sha256 FROM node", "SELECT to_jsonb(n) FROM node n"}
	for role, lists := range map[string][][]string{
		"engine":   {every, editing, {"DELETE FROM node_status", "UPDATE call_record SET text = ''"}},
		"operator": {every, writing, secret},
		"viewer":   {every, editing, writing, secret, {"DELETE FROM audit_log", "SELECT drop_cdr_days()"}},
	} {
		address := as(t, dsn, role)
		for _, list := range lists {
			for _, sql := range list {
				if strings.HasPrefix(sql, "SET ROLE") {
					continue // the tests' own session may
				}
				if err := exec(t, address, sql); err == nil {
					t.Errorf("%s may %s", role, sql)
				} else if text := refusal(t, err); !strings.HasPrefix(text, "42501") {
					t.Errorf("%s: %s: %s", role, sql, text)
				}
			}
		}
	}
}

func TestRolesMayDoTheirWork(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	engine := open(t, as(t, dsn, "engine"))
	f := feed(t, engine)
	if err := engine.Check(t.Context()); err != nil {
		t.Error(err)
	}
	operator := as(t, dsn, "operator")
	mustExec(t, operator, `INSERT INTO node (node) VALUES ('n1'); SELECT set_node_secret('n1', 'a long enough secret'); SELECT rotate_session_key();
		UPDATE node SET in_service = false WHERE node = 'n1';
		INSERT INTO calendar VALUES ('mine', 'Europe/Paris'); INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('mine', '1111100', '08:00', '17:00');
		UPDATE service_parameter SET value = 'mine' WHERE service = 'acme_hotline' AND parameter = 'hours';
		UPDATE step SET parameters = '{"condition": "open("}' WHERE script = 'freephone' AND step = 'hours'`)
	live(t, f, dsn)
	await(t, func() bool { return ask[int](t, operator, "SELECT count(*) FROM config_problem") > 0 })
	if err := engine.KeepCDRDaysOnce(t.Context()); err != nil {
		t.Error(err)
	}
	l := engine.NewLedger()
	t.Cleanup(l.Close)
	if _, err := l.End(within(t), finished("c1")); err != nil {
		t.Error(err)
	}
	before := ask[int64](t, operator, "SELECT wait_for_revision(timeout => '30 s')")
	mustExec(t, operator, "BEGIN; SELECT confirm_mass_change('gone'); TRUNCATE service_number; COMMIT")
	if _, err := open(t, operator).Rollback(t.Context(), before, "", false); err != nil {
		t.Error(err)
	}
	after := revision(t, dsn)
	mustExec(t, operator, "DELETE FROM calendar_window WHERE calendar = 'mine'; UPDATE node SET capacity = 5")
	if _, err := open(t, operator).Rollback(t.Context(), after, "as it was", false); err != nil {
		t.Error(err)
	}
	live(t, f, dsn)
	if node, ok := f.Snapshot().Node("n1"); !ok || node.Capacity == 5 || !node.HasSecret {
		t.Errorf("node %+v", node)
	}
	if text := refusal(t, exec(t, operator, "DELETE FROM audit_log")); !strings.Contains(text, "cannot be changed") {
		t.Error(text)
	}
	viewer := as(t, dsn, "viewer")
	for _, sql := range []string{"SELECT * FROM audit_log", "SELECT * FROM cdr", "SELECT node, capacity FROM node", "SELECT * FROM service_number", "SELECT config_diff(1, 1)"} {
		if err := exec(t, viewer, strings.Replace(sql, "(1, 1)", "((SELECT min(revision) FROM config_history), (SELECT max(revision) FROM config_history))", 1)); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// Roles are the server's, so databases that are migrated at once make them at once.
func TestRolesAreMadeByManyDatabasesAtOnce(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		mustExec(t, server.DSN("postgres"), "CREATE DATABASE "+name)
	}
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			if err := store.Migrate(t.Context(), server.DSN(name), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
