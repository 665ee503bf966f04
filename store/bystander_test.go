package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/logic"
	"ringmaster/logic/transcript"
)

// bystanderSecret is that of the node named standing.
const bystanderSecret = "stands by and asks"

// bystanders adds to the demo carrier what no edit concerns: a hundred services with so many numbers, their script, calendar, list, table, distribution,
// trunk and node. It also makes saved.mend(), which puts everything else back as it is now.
func bystanders(t *testing.T, dsn string, numbers int) {
	t.Helper()
	mustExec(t, dsn, fmt.Sprintf(`BEGIN;
		INSERT INTO area_prefix SELECT '33' || i, 'france' FROM generate_series(100, 199) AS i; -- enough to be held when they are changed all at once
		INSERT INTO script VALUES ('bystander', 'begin');
		INSERT INTO script_parameter VALUES ('bystander', 'hours', 'calendar'), ('bystander', 'blocked', 'screening_list'), ('bystander', 'offices', 'translation_table'),
			('bystander', 'spread', 'distribution'), ('bystander', 'second_office', 'target'), ('bystander', 'ring_seconds', 'integer');
		INSERT INTO step VALUES ('bystander', 'begin', 'compare', '{"condition": "open(hours)"}'),
			('bystander', 'listed', 'screen', '{"list": "${blocked}", "value": "${caller}"}'),
			('bystander', 'place', 'translate', '{"table": "${offices}", "key": "${called}", "into": "office"}'),
			('bystander', 'share', 'distribute', '{"distribution": "${spread}", "into": "office"}'),
			('bystander', 'ring', 'bcp', '{"action": "connect", "target": "${office}", "timeout": "${ring_seconds}"}'),
			('bystander', 'second', 'bcp', '{"action": "connect", "target": "${second_office}", "timeout": "${ring_seconds}"}'),
			('bystander', 'end', 'bcp', '{"action": "release", "cause": 31}');
		INSERT INTO step_exit VALUES ('bystander', 'begin', 'true', 'listed'), ('bystander', 'begin', 'false', 'end'), ('bystander', 'listed', 'in', 'end'), ('bystander', 'listed', 'out', 'place'),
			('bystander', 'place', 'found', 'ring'), ('bystander', 'place', 'not_found', 'share'), ('bystander', 'share', 'done', 'ring'),
			('bystander', 'ring', 'busy', 'second'), ('bystander', 'ring', 'no_answer', 'second'), ('bystander', 'ring', 'unreachable', 'second');
		INSERT INTO trunk VALUES ('standing');
		INSERT INTO calendar VALUES ('standing_hours', 'UTC');
		INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('standing_hours', '1111111', '06:00', '18:00');
		INSERT INTO screening_list VALUES ('standing_list', 'prefix');
		INSERT INTO screening_entry VALUES ('standing_list', '3399');
		INSERT INTO translation_table VALUES ('standing_offices', 'prefix');
		INSERT INTO translation SELECT 'standing_offices', (49700000000 + block)::text, '4931' || block, 'standing' FROM generate_series(0, %[1]d / 100, 2) AS block;
		INSERT INTO distribution VALUES ('standing_spread', 'hash');
		INSERT INTO distribution_branch SELECT 'standing_spread', i, 'b' || i, 1, '4932' || i, 'standing' FROM generate_series(1, 3) AS i;
		INSERT INTO subscriber VALUES ('standing');
		INSERT INTO service (service, subscriber, script) SELECT 'bystander_' || i, 'standing', 'bystander' FROM generate_series(0, 99) AS i;
		INSERT INTO service_parameter SELECT 'bystander_' || i, p.parameter, CASE p.parameter WHEN 'ring_seconds' THEN (10 + i)::text WHEN 'second_office' THEN '4930' || i || '@standing' ELSE p.value END
			FROM generate_series(0, 99) AS i, (VALUES ('hours', 'standing_hours'), ('blocked', 'standing_list'), ('offices', 'standing_offices'), ('spread', 'standing_spread'), ('second_office', ''), ('ring_seconds', '')) AS p (parameter, value);
		INSERT INTO service_number SELECT (4970000000000 + i)::text, 'exact', 'bystander_' || i %% 100 FROM generate_series(1, %[1]d) AS i;
		INSERT INTO node (node) VALUES ('standing'); SELECT set_node_secret('standing', '%[2]s'); COMMIT`, numbers, bystanderSecret))
	mustExec(t, dsn, "INSERT INTO trunk VALUES ('undone')") // an edit of its own: "last edit undone" as the first of all edits would take the bystanders away
	mustExec(t, dsn, `BEGIN; CREATE SCHEMA saved;
		CREATE FUNCTION saved.concerned(name text) RETURNS text LANGUAGE sql AS
			$$ SELECT CASE name WHEN 'service_number' THEN 't.service IN (SELECT service FROM public.service WHERE service !~ ''^bystander'')' ELSE 't::text !~ ''bystander|standing''' END $$;
		DO $$
		DECLARE
			name text;
		BEGIN
			CREATE TABLE saved.operator_table AS SELECT tgrelid::regclass::text AS name FROM pg_trigger WHERE tgname = 'note_config_edit' AND has_table_privilege('ringmaster_operator', tgrelid, 'SELECT') -- those without secrets
				ORDER BY tgrelid = 'service_number'::regclass DESC; -- while its services are there
			FOR name IN SELECT o.name FROM saved.operator_table o LOOP
				EXECUTE format('CREATE TABLE saved.%I AS SELECT * FROM %1$I t WHERE %s', name, saved.concerned(name));
			END LOOP;
		END $$;
		CREATE FUNCTION saved.mend() RETURNS void LANGUAGE plpgsql AS $$
		DECLARE
			name text;
		BEGIN
			PERFORM confirm_mass_change('the demo carrier anew');
			SET CONSTRAINTS ALL DEFERRED;
			DELETE FROM node WHERE node <> 'standing';
			FOR name IN SELECT o.name FROM saved.operator_table o LOOP
				EXECUTE format('DELETE FROM public.%I t WHERE %s AND t::text NOT IN (SELECT s::text FROM saved.%1$I s)', name, saved.concerned(name));
			END LOOP;
			FOR name IN SELECT o.name FROM saved.operator_table o LOOP -- what went with its parents, too
				EXECUTE format('INSERT INTO public.%I OVERRIDING SYSTEM VALUE SELECT * FROM saved.%1$I ON CONFLICT DO NOTHING', name);
			END LOOP;
		END $$;
		GRANT USAGE ON SCHEMA saved TO ringmaster_operator; GRANT SELECT ON ALL TABLES IN SCHEMA saved TO ringmaster_operator; COMMIT`)
	mustExec(t, dsn, "ANALYZE")
}

// bystanderTarget is where a call to number i of the bystanders goes: to the number, or to one that begins so.
func bystanderTarget(i int) (number string, timeout int) {
	if block := i / 100; block%2 == 0 {
		return fmt.Sprintf("4931%d", block), 10 + i%100
	}
	return "4932", 10 + i%100
}

// bystanderNumber is number i, counted from 1.
func bystanderNumber(i int) string { return fmt.Sprint("+", 4970000000000+i) }

// undisturbed asks for a bystander's number.
func undisturbed(t *testing.T, what string, s *logic.Snapshot, i int) {
	t.Helper()
	call := &logic.Session{CallID: "c", Node: "node", Caller: "+331", Called: bystanderNumber(i), StartedAt: noon}
	var out logic.Outcome
	s.Step(call, logic.Event{Kind: logic.EventStart}, noon, &out)
	number, timeout := bystanderTarget(i)
	if len(out.Instructions) == 1 {
		if got := transcript.FormatInstruction(&out.Instructions[0]); strings.HasPrefix(got, "connect "+number) && strings.HasSuffix(got, fmt.Sprintf("@standing timeout=%d", timeout)) {
			return
		}
	}
	t.Fatalf("%s\nnumber %s got %v", what, call.Called, out.Instructions)
}

// operator is a connection of somebody with the rights of ringmaster_operator.
func operator(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn := dial(t, dsn)
	if _, err := conn.Exec(t.Context(), "SET ROLE ringmaster_operator"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// try runs statements in a transaction and returns the refusal, which must be readable.
func try(t *testing.T, conn *pgx.Conn, sql string) *pgconn.PgError {
	t.Helper()
	_, err := conn.Exec(t.Context(), "BEGIN;\n"+sql+";\nCOMMIT", pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		return nil
	}
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) || !readable(refusal) {
		t.Fatalf("%.2000s\nrefused by %v\n%+v", sql, err, refusal)
	}
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	return refusal
}

// readable reports whether a refusal is meant for the operator: one of ours with a hint, a constraint whose name reads as the error, or what Postgres
// says of the operator's own statement. What fails inside of a function and was not raised there on purpose is a mistake of ours.
func readable(refusal *pgconn.PgError) bool {
	if refusal.Hint != "" {
		return refusal.Code[:2] != "XX"
	}
	if strings.Contains(refusal.Where, "PL/pgSQL") {
		return false
	}
	switch refusal.Code[:2] {
	case "22", "42": // a value that is none; a statement that is none, or of what is not the operator's
		return true
	case "23":
		return strings.Count(refusal.ConstraintName, "_") >= 3 || refusal.Code == "23502" && refusal.ColumnName != "" || refusal.Code == "23505" && refusal.Detail != ""
	}
	return false
}

// words are all that a refusal says.
func words(refusal *pgconn.PgError) string {
	return strings.Join([]string{refusal.ConstraintName, refusal.Message, refusal.Detail, refusal.Hint}, "\n")
}
