package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"ringmaster/store/storetest"
)

// TestBadEditsAreRefusedReadably does what operators do wrong. Each must be refused by a constraint whose name, or a
// message whose words, say what is wrong, and must leave the revision alone.
func TestBadEditsAreRefusedReadably(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	before := ask[int64](t, dsn, "SELECT revision FROM config_revision")
	service := `INSERT INTO service (service, subscriber, script) VALUES ('x', 'acme', 'freephone');
		INSERT INTO service_parameter VALUES ('x', 'hours', 'always'), ('x', 'offices', 'acme_offices'), ('x', 'elsewhere', 'acme_share')`
	for _, c := range []struct {
		name, sql string
		want      []string // in the constraint's name, message, detail or hint
	}{
		{"national number", `INSERT INTO service_number VALUES ('08001234567', 'exact', 'acme_freephone')`, []string{"country_code_first"}},
		{"number with plus", `INSERT INTO service_number VALUES ('+498001234567', 'exact', 'acme_freephone')`, []string{"without_plus"}},
		{"number too long", `INSERT INTO service_number VALUES ('4980012345678901', 'exact', 'acme_freephone')`, []string{"up_to_15_digits"}},
		{"number with letters", `INSERT INTO service_number VALUES ('49800CALLNOW', 'exact', 'acme_freephone')`, []string{"digits"}},
		{"number of no service", `INSERT INTO service_number VALUES ('498009999999', 'exact', 'nobody')`, []string{"service_of_a_number_must_exist"}},
		{"number twice", `INSERT INTO service_number VALUES ('498001234567', 'exact', 'acme_hotline')`, []string{"already exists"}},
		{"match", `INSERT INTO service_number VALUES ('4980', 'regex', 'acme_hotline')`, []string{"match_is_exact_or_prefix"}},
		{"service with a number deleted", `DELETE FROM service WHERE service = 'acme_freephone'`, []string{"service_number"}},
		{"trunk of a target renamed", `UPDATE trunk SET trunk = 'buero' WHERE trunk = 'office'`, []string{`trunk "office" is in use`, "acme_", "second_office, a target"}},
		{"prompt that a script names by default", `DELETE FROM prompt WHERE prompt = 'closed'`, []string{`prompt "closed" is in use`, "freephone.closed_prompt by default"}},
		{"default numbering plan renamed", `UPDATE numbering_plan SET numbering_plan = 'germany'`, []string{`plan "default" cannot go`, "Change its columns"}},
		{"default numbering plan deleted", `DELETE FROM numbering_plan`, []string{`plan "default" cannot go`}},
		{"megabyte name", `INSERT INTO subscriber VALUES (repeat('a', 1000000))`, []string{"1_to_40"}},
		{"empty name", `INSERT INTO subscriber VALUES ('')`, []string{"1_to_40"}},
		{"name with syntax", `INSERT INTO trunk VALUES ('office,30,g')`, []string{"letters_digits"}},
		{"name with newline", `INSERT INTO trunk VALUES (E'office\nx')`, []string{"letters_digits"}},
		{"target with syntax", `UPDATE translation SET value = '4930&SIP/evil' WHERE key = 'berlin'`, []string{"with_a_trunk_the_value_is_a_number"}},
		{"target on no trunk", `UPDATE translation SET trunk = 'nowhere' WHERE key = 'berlin'`, []string{"trunk_of_a_translation_must_exist"}},
		{"trunk in use deleted", `DELETE FROM trunk WHERE trunk = 'office'`, []string{"trunk"}},
		{"time zone", `INSERT INTO calendar VALUES ('c', 'Europe/Berln')`, []string{"Europe/Berln", "Europe/Berlin"}},
		{"time zone in small letters", `INSERT INTO calendar VALUES ('c', 'europe/berlin')`, []string{"Europe/Berlin"}},
		{"time zone that is an abbreviation", `INSERT INTO calendar VALUES ('c', 'CEST')`, []string{"does not exist"}},
		{"weekdays", `INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('always', 'Mon-Fri', '08:00', '18:00')`, []string{"seven_of_0_and_1"}},
		{"no weekday", `INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('always', '0000000', '08:00', '18:00')`, []string{"at_least_one_weekday"}},
		{"window of no calendar", `INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('n', '1111111', '08:00', '18:00')`, []string{"calendar_of_a_window_must_exist"}},
		{"half a holiday", `INSERT INTO calendar_holiday (calendar, holiday, name, opens_at) VALUES ('always', '2026-01-02', 'x', '09:00')`, []string{"both_opens_at_and_closes_at"}},
		{"the same yearly holiday twice", `INSERT INTO calendar_holiday (calendar, holiday, name, yearly) VALUES ('office_hours', '2030-05-01', 'x', true)`, []string{"a_yearly_holiday_stands_once_in_its_calendar"}},
		{"validity backwards", `INSERT INTO screening_entry VALUES ('citybank_codes', '1', now(), now() - interval '1 day')`, []string{"valid_from_is_before_valid_to"}},
		{"weight below zero", `UPDATE distribution_branch SET weight = -1`, []string{"weight_is_0_to_1000000"}},
		{"method", `UPDATE distribution SET method = 'random'`, []string{"method_is_percentage"}},
		{"branch twice", `INSERT INTO distribution_branch VALUES ('acme_share', 3, 'berlin', 1, '1', 'office')`, []string{"a_branch_stands_once"}},
		{"language", `UPDATE service SET language = 'german'`, []string{"language_is_like_en"}},
		{"prompt file with a path upwards", `INSERT INTO prompt VALUES ('p', '../../etc/passwd')`, []string{"file_is_a_sound_name"}},
		{"prefix key", `INSERT INTO translation_table VALUES ('p', 'prefix'); INSERT INTO translation VALUES ('p', 'berlin', 'x')`, []string{"not a prefix", "E.164"}},
		{"SIB", `INSERT INTO step VALUES ('freephone', 'z', 'goto', '{}')`, []string{"sib_is_one_of_the_building_blocks"}},
		{"parameters", `UPDATE step SET parameters = '[1]'`, []string{"parameters_are_a_json_object"}},
		{"exit to no step", `UPDATE step_exit SET next_step = 'nirvana' WHERE step = 'closed'`, []string{"next_step_of_an_exit_must_exist"}},
		{"exit of no step", `INSERT INTO step_exit VALUES ('freephone', 'nirvana', 'done', 'closed')`, []string{"step_of_an_exit_must_exist"}},
		{"script that loses a step", `DELETE FROM step WHERE script = 'freephone' AND step = 'goodbye'`, []string{"next_step_of_an_exit_must_exist"}},
		{"script that loses its first step", `DELETE FROM step WHERE script = 'freephone' AND step = 'hours'`, []string{"first_step_of_a_script_must_exist"}},
		{"script in use deleted", `DELETE FROM script WHERE script = 'freephone'`, []string{"script_of_a_service_must_exist"}},
		{"parameter unknown", `INSERT INTO service_parameter VALUES ('acme_freephone', 'colour', 'red')`, []string{"no parameter", "second_office"}},
		{"parameter dangling", `UPDATE service_parameter SET value = 'nowhere' WHERE parameter = 'offices'`, []string{`translation_table "nowhere" does not exist`, "same transaction"}},
		{"parameter no integer", `INSERT INTO service_parameter VALUES ('acme_freephone', 'ring_seconds', 'long')`, []string{"not a whole number"}},
		{"parameter no target", `UPDATE service_parameter SET value = '4930200200' WHERE parameter = 'second_office'`, []string{"number@trunk"}},
		{"parameter on no trunk", `UPDATE service_parameter SET value = '4930200200@moon' WHERE parameter = 'second_office'`, []string{`trunk "moon"`}},
		{"required parameter not given", service, []string{"lacks: second_office", "INSERT INTO service_parameter"}},
		{"required parameter deleted", `DELETE FROM service_parameter WHERE parameter = 'offices'`, []string{"lacks: offices"}},
		{"script changed under the parameters", `UPDATE service SET script = 'security_screening' WHERE service = 'acme_hotline'`, []string{"lacks"}},
		{"required parameter added to a script in use", `INSERT INTO script_parameter VALUES ('freephone', 'colour', 'text')`, []string{"lacks: colour", "default_value"}},
		{"parameter of a script made required", `UPDATE script_parameter SET default_value = NULL WHERE parameter = 'ring_seconds' AND script = 'freephone'`, []string{"lacks: ring_seconds"}},
		{"parameter of a script of another type", `UPDATE script_parameter SET type = 'integer' WHERE parameter = 'offices'`, []string{"acme_offices", "not a whole number", "would be of type integer"}},
		{"parameter of a script deleted", `DELETE FROM script_parameter WHERE parameter = 'offices'`, []string{"is in use", "acme_"}},
		{"named calendar deleted", `DELETE FROM calendar WHERE calendar = 'office_hours'`, []string{"in use", "acme_freephone.hours"}},
		{"named list renamed", `UPDATE screening_list SET screening_list = 'c2' WHERE screening_list = 'citybank_codes'`, []string{"in use", "citybank_vault.codes"}},
		{"short secret", `INSERT INTO node (node) VALUES ('n'); SELECT set_node_secret('n', 'secret')`, []string{"too short", "12"}},
		{"secret of no node", `SELECT set_node_secret('nobody', 'long enough for this')`, []string{"does not exist", "INSERT INTO node"}},
		{"secret in clear", `INSERT INTO node (node, secret_sha256) VALUES ('n', 'secret')`, []string{"use_set_node_secret"}},
		{"no session key", `SELECT rotate_session_key(0)`, []string{"at least one", "not charged by it"}},
		{"all session keys deleted", `DELETE FROM session_key`, []string{"rotate_session_key()", "rotate_session_key(1)", "not charged by it"}},
		{"cap per hour that is no number", `UPDATE account SET spend_per_hour = 'NaN' WHERE account = 'acme'`, []string{"spend_per_hour_is_above_0_up_to_1000000000"}},
		{"cap per day that is no number", `UPDATE account SET spend_per_day = 'NaN' WHERE account = 'acme'`, []string{"spend_per_day_is_above_0_up_to_1000000000"}},
		{"cap of all the money there is", `UPDATE account SET spend_per_day = 1000000000.01 WHERE account = 'acme'`, []string{"spend_per_day_is_above_0_up_to_1000000000"}},
		{"credit that is no number", `UPDATE account SET credit_limit = 'NaN' WHERE account = 'acme'`, []string{"credit_limit_is_0_to_1000000000"}},
		{"cap of an outage that is no number", `UPDATE service SET outage_cap = 'NaN' WHERE service = 'acme_hotline'`, []string{"outage_cap_is_0_or_more"}},
		{"price that is no number", `UPDATE tariff_rate SET price_per_minute = 'NaN' WHERE tariff = (SELECT min(tariff) FROM tariff)`, []string{"a_price_is_0_to_1000000"}},
		{"highest charge that is no number", `UPDATE tariff_rate SET maximum_charge = 'NaN' WHERE tariff = (SELECT min(tariff) FROM tariff)`, []string{"a_price_is_0_to_1000000"}},
		{"rounding to no number", `UPDATE tariff SET rounding_unit = 'NaN'`, []string{"rounding_unit_is_above_0_up_to_1000"}},
		{"voucher of no number", `SELECT add_voucher('GOLD-0001', 'NaN', 'EUR')`, []string{"amount_is_above_0"}},
		{"adjustment of no number", `INSERT INTO adjustment (account, amount, reason) VALUES ('acme', 'NaN', 'x')`, []string{"amount_is_at_most_1000000000_either_way"}},
		{"adjustment of too much", `INSERT INTO adjustment (account, amount, reason) VALUES ('acme', 10000000000, 'x')`, []string{"amount_is_at_most_1000000000_either_way"}},
		{"adjustment of nothing", `INSERT INTO adjustment (account, amount, reason) VALUES ('acme', 0, 'x')`, []string{"amount_is_not_0"}},
		{"retention longer than there are dates", `UPDATE cdr_retention SET keep_days = 2147483647`, []string{"keep_days_is_at_most_36500"}},
		{"rate from never", `UPDATE tariff_rate SET valid_from = 'infinity' WHERE tariff = (SELECT min(tariff) FROM tariff)`, []string{"does_not_begin_at_infinity"}},
		{"rate until never", `UPDATE tariff_rate SET valid_to = '-infinity' WHERE tariff = (SELECT min(tariff) FROM tariff)`, []string{"nor_end_at_minus_infinity"}},
		{"holiday of no day", `INSERT INTO calendar_holiday (calendar, holiday, name, yearly) VALUES ('always', 'infinity', 'x', true)`, []string{"a_holiday_is_a_day"}},
		{"account that was booked in deleted", `DELETE FROM account WHERE account = 'line_1'`, []string{`account "line_1" cannot be deleted`, "SET state = 'closed'"}},
		{"account that was booked in renamed", `UPDATE account SET account = 'line_9' WHERE account = 'line_1'`, []string{`account "line_1" cannot be renamed`, "SET state = 'closed'"}},
		{"two plans' prefixes", `UPDATE numbering_plan SET national_prefix = '00'`, []string{"international_and_national_prefix_differ"}},
		{"second revision", `INSERT INTO config_revision VALUES (false, 7)`, []string{"config_revision_has_one_row"}},
		{"CDR of a negative talk", `INSERT INTO cdr (call_id, node, outcome, started_at, ended_at, talk_ms) VALUES ('c', 'n', 'answered', now(), now(), -1)`, []string{"talk_ms_is_not_negative"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := exec(t, dsn, "BEGIN; "+c.sql+"; COMMIT")
			var pg *pgconn.PgError
			if !errors.As(err, &pg) {
				t.Fatalf("not refused: %v", err)
			}
			said := strings.Join([]string{pg.ConstraintName, pg.Message, pg.Detail, pg.Hint}, "\n")
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("the refusal doesn't say %q:\n%s", want, said)
				}
			}
			if strings.HasPrefix(pg.Code, "42") || strings.HasPrefix(pg.Code, "XX") {
				t.Errorf("SQLSTATE %s is a mistake of ours: %s", pg.Code, said)
			}
		})
	}
	if got := ask[int64](t, dsn, "SELECT revision FROM config_revision"); got != before {
		t.Errorf("refused edits made %d revisions", got-before)
	}
}

// What belongs together may be written in any order, as long as it is in one transaction.
func TestGoodEditsInOddOrdersGoThrough(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	for _, c := range []struct{ name, sql string }{
		{"service before its parameters' tables", `BEGIN;
			INSERT INTO service (service, subscriber, script) VALUES ('x', 'acme', 'freephone');
			INSERT INTO service_parameter VALUES ('x', 'hours', 'x_hours'), ('x', 'offices', 'acme_offices'), ('x', 'elsewhere', 'acme_share'), ('x', 'second_office', '1@x_trunk,2@office');
			INSERT INTO calendar VALUES ('x_hours', 'Africa/Windhoek');
			INSERT INTO trunk VALUES ('x_trunk');
			COMMIT`},
		{"service of another script", `BEGIN;
			UPDATE service SET script = 'security_screening' WHERE service = 'acme_hotline';
			DELETE FROM service_parameter WHERE service = 'acme_hotline';
			INSERT INTO service_parameter VALUES ('acme_hotline', 'codes', 'citybank_codes'), ('acme_hotline', 'destination', '1@office');
			COMMIT`},
		{"exits before steps", `BEGIN;
			INSERT INTO script VALUES ('mine', 'a');
			INSERT INTO step_exit VALUES ('mine', 'a', 'done', 'b');
			INSERT INTO step VALUES ('mine', 'a', 'interact', '{"prompts": ["closed"]}'), ('mine', 'b', 'bcp', '{"action": "release"}');
			COMMIT`},
		{"rename of a service", `UPDATE service SET service = 'acme_0800' WHERE service = 'acme_freephone'`},
		{"rename of a script", `BEGIN; UPDATE script SET script = 'sec' WHERE script = 'security_screening'; COMMIT`},
		{"service with all of it", `BEGIN; DELETE FROM service_number WHERE service = 'citybank_vault'; DELETE FROM service WHERE service = 'citybank_vault'; COMMIT`},
		{"secret", `INSERT INTO node (node) VALUES ('n1'); SELECT set_node_secret('n1', 'a long enough secret')`},
		{"required parameter with its values", `BEGIN;
			INSERT INTO script_parameter VALUES ('freephone', 'colour', 'text');
			INSERT INTO service_parameter SELECT service, 'colour', 'red' FROM service WHERE script = 'freephone';
			COMMIT`},
		{"session key", `SELECT rotate_session_key(); SELECT rotate_session_key(); SELECT rotate_session_key()`},
	} {
		if err := exec(t, dsn, c.sql); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n := ask[int](t, dsn, "SELECT count(*) FROM session_key"); n != 2 {
		t.Errorf("%d session keys after rotations, want 2", n)
	}
	if !ask[bool](t, dsn, "SELECT secret_sha256 = sha256('a long enough secret') FROM node WHERE node = 'n1'") {
		t.Error("the stored secret isn't the SHA-256")
	}
	if n := ask[int](t, dsn, "SELECT count(DISTINCT secret) FROM session_key"); n != 2 {
		t.Error("session keys repeat")
	}
}
