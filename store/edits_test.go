package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// fate is what Postgres shall do with an edit of the demo carrier's rows as they were at first.
type fate uint8

const (
	isTaken   fate = iota
	isRefused      // by the words that the kind says
	isEither       // it depends on chance
)

// kindOfEdit is one way in which operators change rows.
type kindOfEdit struct {
	name string
	fate fate
	says string // what must be read in a refusal: in its message, detail, hint or constraint
	sql  func(*rand.Rand) string
}

// good makes kinds of edits that must be taken.
func good(name string, sql func(*rand.Rand) string) kindOfEdit {
	return kindOfEdit{name: name, fate: isTaken, sql: sql}
}

// kindsOfEdit are all of them.
var kindsOfEdit = slices.Concat(goodEdits, badEdits, absurdEdits)

// settled has the checks done that are to come in this transaction: Postgres empties no table before.
const settled = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; "

// sql makes an edit of a fixed statement.
func sql(text string) func(*rand.Rand) string {
	return func(*rand.Rand) string { return text }
}

// one picks one of the texts.
func one(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// copyOfFreephone is a script with the steps of freephone.
const copyOfFreephone = `INSERT INTO script VALUES ('copied', 'hours') ON CONFLICT DO NOTHING;
	INSERT INTO script_parameter SELECT 'copied', parameter, type, default_value FROM script_parameter WHERE script = 'freephone' ON CONFLICT DO NOTHING;
	INSERT INTO step SELECT 'copied', step, sib, parameters FROM step WHERE script = 'freephone' ON CONFLICT DO NOTHING;
	INSERT INTO step_exit SELECT 'copied', step, exit, next_step FROM step_exit WHERE script = 'freephone' ON CONFLICT DO NOTHING`

// newService makes a service with its parameters and a number.
func newService(r *rand.Rand) string {
	return fmt.Sprintf(`INSERT INTO service (service, subscriber, script) VALUES ('%s', 'acme', 'freephone') ON CONFLICT DO NOTHING;
		INSERT INTO service_parameter SELECT '%[1]s', parameter, value FROM service_parameter WHERE service = 'acme_hotline' ON CONFLICT DO NOTHING;
		INSERT INTO service_number VALUES ('49800333333%d', '%s', '%[1]s') ON CONFLICT (number, match) DO UPDATE SET service = excluded.service`,
		one(r, "new_1", "new_2"), 3+r.IntN(2), one(r, "exact", "prefix"))
}

// goodEdits are edits as operators mean them.
var goodEdits = []kindOfEdit{
	good("hours moved", func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE calendar_window SET opens_at = '%02d:00', closes_at = '%02d:30' WHERE calendar = 'office_hours' AND weekdays = '1111100'", r.IntN(24), r.IntN(24))
	}),
	good("window added", func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('office_hours', '0000001', '%02d:15', '23:00') ON CONFLICT DO NOTHING", r.IntN(23))
	}),
	good("window of a season", func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at, valid_from, valid_to) VALUES ('always', '1111111', '%02d:00', '24:00', '2026-06-01', '2026-08-31') ON CONFLICT DO NOTHING", r.IntN(24))
	}),
	good("window taken out", sql("DELETE FROM calendar_window WHERE calendar = 'office_hours' AND weekdays = '0000010'")),
	good("time zone changed", func(r *rand.Rand) string {
		return "UPDATE calendar SET time_zone = '" + one(r, "Europe/Berlin", "UTC", "Asia/Tokyo") + "' WHERE calendar = 'office_hours'"
	}),
	good("CDRs kept for a year", sql("UPDATE cdr_retention SET keep_days = 366")),
	good("CDRs kept for ever", sql("UPDATE cdr_retention SET keep_days = NULL")),
	good("calendar added", sql("INSERT INTO calendar VALUES ('moon_hours', 'Pacific/Apia') ON CONFLICT DO NOTHING")),
	good("holiday added", func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO calendar_holiday VALUES ('%s', '2026-03-%02d', 'new') ON CONFLICT DO NOTHING", one(r, "office_hours", "always"), 1+r.IntN(3))
	}),
	good("yearly holiday with hours", sql("INSERT INTO calendar_holiday VALUES ('always', '2026-12-31', 'New Year''s Eve', true, '08:00', '12:00') ON CONFLICT DO NOTHING")),
	good("holidays deleted", func(r *rand.Rand) string {
		return "DELETE FROM calendar_holiday WHERE calendar = '" + one(r, "office_hours", "always") + "'"
	}),
	good("translation written", func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO translation VALUES ('acme_offices', '%s', '%s', '%s') ON CONFLICT (translation_table, key) DO UPDATE SET value = excluded.value, trunk = excluded.trunk",
			one(r, "berlin", "munich", "hamburg", "", "x"), one(r, "4930", "4989", "49891"), one(r, "office", "pstn"))
	}),
	good("translation deleted", func(r *rand.Rand) string {
		return "DELETE FROM translation WHERE translation_table = 'acme_offices' AND key = '" + one(r, "berlin", "munich", "hamburg", "", "x") + "'"
	}),
	good("translation of another key", func(r *rand.Rand) string {
		return fmt.Sprintf("DELETE FROM translation WHERE translation_table = 'acme_offices' AND key = '%s'; UPDATE translation SET key = '%[1]s' WHERE translation_table = 'acme_offices' AND key = '%s'",
			one(r, "munich", ""), one(r, "berlin", "x"))
	}),
	good("table of prefixes", func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO translation_table VALUES ('prefixes', 'prefix') ON CONFLICT DO NOTHING; INSERT INTO translation SELECT 'prefixes', i::text, 'x' FROM generate_series(1, %d) AS i ON CONFLICT DO NOTHING", 1+r.IntN(200))
	}),
	good("table deleted", sql("DELETE FROM translation_table WHERE translation_table = 'prefixes'")),
	good("code added", func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO screening_entry SELECT screening_list, '%s', %s FROM screening_list WHERE screening_list IN ('citybank_codes', 'other_codes') ON CONFLICT DO NOTHING",
			one(r, "4711", "1", "23"), one(r, "NULL", "'2026-01-01'", "'2027-01-01'"))
	}),
	good("code deleted", func(r *rand.Rand) string {
		return "DELETE FROM screening_entry WHERE screening_list <> 'standing_list' AND entry = '" + one(r, "4711", "081512", "1", "23") + "'"
	}),
	good("list by prefix", func(r *rand.Rand) string {
		return "UPDATE screening_list SET match = '" + one(r, "exact", "prefix") + "' WHERE screening_list = 'citybank_codes'"
	}),
	good("list renamed with what names it", func(r *rand.Rand) string {
		was, is := "citybank_codes", "other_codes"
		if r.IntN(2) == 0 {
			was, is = is, was
		}
		return fmt.Sprintf("UPDATE screening_list SET screening_list = '%s' WHERE screening_list = '%s'; UPDATE service_parameter SET value = '%s' WHERE value = '%[2]s'", is, was, is)
	}),
	good("list of more rows than are noted one by one", sql("INSERT INTO screening_list VALUES ('big') ON CONFLICT DO NOTHING; INSERT INTO screening_entry SELECT 'big', i::text FROM generate_series(1, 10001) AS i ON CONFLICT DO NOTHING")),
	good("method of a distribution", func(r *rand.Rand) string {
		return "UPDATE distribution SET method = '" + one(r, "percentage", "circular", "hierarchical", "hash") + "' WHERE distribution = 'acme_share'"
	}),
	good("weight of a branch", func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE distribution_branch SET weight = %d WHERE distribution = 'acme_share' AND position = %d", r.IntN(100), 1+r.IntN(2))
	}),
	good("branch added", func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO distribution_branch VALUES ('acme_share', %d, 'more', 10, '4989200100', 'office') ON CONFLICT DO NOTHING", 3+r.IntN(9))
	}),
	good("branch deleted", sql("DELETE FROM distribution_branch WHERE distribution = 'acme_share' AND branch IN ('more', 'hamburg')")),
	good("condition of a step", func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE step SET parameters = '{\"condition\": \"%s\"}' WHERE script = 'freephone' AND step = 'hours'", one(r, "open(hours)", "!open(hours)", "open(hours) || holiday(hours)"))
	}),
	good("exit led elsewhere", func(r *rand.Rand) string {
		return "UPDATE step_exit SET next_step = 'closed' WHERE script = 'freephone' AND exit = '" + one(r, "busy", "no_answer", "true") + "'"
	}),
	good("default of a script", func(r *rand.Rand) string {
		return "UPDATE script_parameter SET default_value = '" + one(r, "10", "20", "31") + "' WHERE parameter = 'ring_seconds' AND script = 'freephone'"
	}),
	good("script copied", sql(copyOfFreephone)),
	good("service on the copy", sql(copyOfFreephone+"; UPDATE service SET script = 'copied' WHERE service = 'acme_hotline'")),
	good("script with a step more", sql("INSERT INTO step VALUES ('freephone', 'sorry', 'interact', '{\"prompts\": [\"goodbye\"]}') ON CONFLICT DO NOTHING; INSERT INTO step_exit VALUES ('freephone', 'sorry', 'done', 'goodbye') ON CONFLICT DO NOTHING; UPDATE step_exit SET next_step = 'sorry' WHERE script = 'freephone' AND step = 'closed'")),
	good("parameter changed", func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE service_parameter SET value = '%s' WHERE parameter = 'hours' AND service = '%s'", one(r, "always", "office_hours"), one(r, "acme_hotline", "acme_freephone"))
	}),
	good("parameter with a default given", func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO service_parameter SELECT service, 'ring_seconds', '%d' FROM service WHERE service = 'acme_hotline' AND script IN ('freephone', 'copied') ON CONFLICT (service, parameter) DO UPDATE SET value = excluded.value", 5+r.IntN(50))
	}),
	good("parameter left to its default", sql("DELETE FROM service_parameter WHERE parameter = 'ring_seconds' AND service LIKE 'acme%'")),
	good("other targets", func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE service_parameter SET value = '4930%d@office,4940%d@pstn' WHERE parameter = 'second_office' AND service = 'acme_hotline'", r.IntN(1000), r.IntN(1000))
	}),
	good("service out of service", func(r *rand.Rand) string {
		return fmt.Sprintf("UPDATE service SET active = %v WHERE service = '%s'", r.IntN(3) > 0, one(r, "acme_hotline", "citybank_vault", "new_1"))
	}),
	good("language of a service", func(r *rand.Rand) string {
		return "UPDATE service SET language = '" + one(r, "en", "de", "pt_BR") + "' WHERE service = 'citybank_vault'"
	}),
	good("service with all of it", newService),
	good("service deleted with all of it", func(r *rand.Rand) string {
		return fmt.Sprintf("DELETE FROM service_number WHERE service = '%s'; DELETE FROM service WHERE service = '%[1]s'", one(r, "new_1", "new_2", "acme_hotline"))
	}),
	good("service renamed", func(r *rand.Rand) string {
		name := one(r, "new_1", "new_2")
		return fmt.Sprintf("UPDATE service SET service = '%s' WHERE service = '%s' AND NOT EXISTS (SELECT FROM service WHERE service = '%[1]s')", name, one(r, "new_1", "new_2", "citybank_vault"))
	}),
	good("service on another script", sql("UPDATE service SET script = 'security_screening' WHERE service = 'acme_hotline'; DELETE FROM service_parameter WHERE service = 'acme_hotline'; INSERT INTO service_parameter SELECT service, 'codes', (SELECT min(screening_list) FROM screening_list WHERE screening_list ~ 'codes') FROM service WHERE service = 'acme_hotline'; INSERT INTO service_parameter SELECT service, 'destination', '1@office' FROM service WHERE service = 'acme_hotline'")),
	good("number added", func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO service_number SELECT '498004444%03d', 'exact', min(service) FROM service WHERE service !~ 'bystander' ON CONFLICT DO NOTHING", r.IntN(1000))
	}),
	good("number changed", func(r *rand.Rand) string {
		number := 33 + r.IntN(2)
		return fmt.Sprintf("DELETE FROM service_number WHERE number = '4980033333%02d'; UPDATE service_number SET number = '4980033333%02[1]d' WHERE number = '4980033333%02d'", number, 67-number)
	}),
	good("number of another service", sql("UPDATE service_number SET service = (SELECT max(service) FROM service WHERE service !~ 'bystander') WHERE number = '498001234567'")),
	good("range of numbers", sql("INSERT INTO service_number SELECT '4980', 'prefix', min(service) FROM service WHERE service !~ 'bystander' ON CONFLICT DO NOTHING")),
	good("range over the bystanders", sql("INSERT INTO service_number SELECT p, 'prefix', min(service) FROM service, unnest(ARRAY['49', '4970', '49700000', '4970000000001']) AS p WHERE service !~ 'bystander' GROUP BY p ON CONFLICT DO NOTHING")),
	good("range taken back", sql("DELETE FROM service_number WHERE match = 'prefix' AND number <> '' AND service !~ 'bystander'")),
	good("default route", sql("INSERT INTO service_number SELECT '', 'prefix', min(service) FROM service WHERE service !~ 'bystander' ON CONFLICT DO NOTHING")),
	good("default route taken back, confirmed", sql("SELECT confirm_mass_change('test'); DELETE FROM service_number WHERE number = ''")),
	good("number deleted", sql("DELETE FROM service_number WHERE number = '499005550100'")),
	good("area written", func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO area_prefix VALUES ('%s', '%s') ON CONFLICT (prefix) DO UPDATE SET area = excluded.area", one(r, "4930", "4989", "33", ""), one(r, "berlin", "munich", "x"))
	}),
	good("area deleted", func(r *rand.Rand) string {
		return "DELETE FROM area_prefix WHERE prefix = '" + one(r, "4930", "4989", "33", "") + "'"
	}),
	good("node written", func(r *rand.Rand) string {
		return fmt.Sprintf("INSERT INTO node (node) VALUES ('n%d') ON CONFLICT (node) DO UPDATE SET in_service = %v, capacity = %d", 1+r.IntN(2), r.IntN(2) == 0, 1+r.IntN(90))
	}),
	good("secret of a node", sql("INSERT INTO node (node) VALUES ('n1') ON CONFLICT DO NOTHING; SELECT set_node_secret('n1', 'a long enough secret')")),
	good("certificate of a node", sql("INSERT INTO node (node, certificate_name) VALUES ('n2', 'n2.example') ON CONFLICT (node) DO UPDATE SET certificate_name = excluded.certificate_name")),
	good("node deleted", sql("DELETE FROM node WHERE node IN ('n1', 'n2')")),
	good("session key", sql("SELECT rotate_session_key()")),
	good("prompt changed", sql("UPDATE prompt SET file = 'other/sound' WHERE prompt = (SELECT min(prompt) FROM prompt)")),
	good("prompt added", sql("INSERT INTO prompt VALUES ('welcome', 'carrier/welcome', 'Welcome, ☎') ON CONFLICT DO NOTHING")),
	good("country code", func(r *rand.Rand) string {
		return "UPDATE numbering_plan SET country_code = '" + one(r, "49", "33") + "'"
	}),
	good("plan of a trunk", sql("INSERT INTO numbering_plan VALUES ('french', '33', '00', '0') ON CONFLICT DO NOTHING; UPDATE trunk SET numbering_plan = 'french' WHERE trunk = 'pstn'")),
	good("trunk added", sql("INSERT INTO trunk VALUES ('t', NULL, 'to nowhere') ON CONFLICT DO NOTHING")),
	good("trunk there and back", sql("UPDATE trunk SET trunk = 'office2' WHERE trunk = 'office'; UPDATE trunk SET trunk = 'office' WHERE trunk = 'office2'")),
	good("subscriber renamed", sql("UPDATE subscriber SET subscriber = 'city_bank' WHERE subscriber = 'citybank'")),
	good("descriptions", sql("UPDATE service SET description = 'x' WHERE service !~ 'bystander'; UPDATE subscriber SET name = 'y'; UPDATE calendar SET description = 'z'")),
	good("nothing changed", sql("UPDATE service SET active = active WHERE service = 'acme_hotline'; UPDATE translation SET value = value WHERE translation_table = 'acme_offices'")),
	good("checked in between", func(r *rand.Rand) string {
		return newService(r) + "; SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; " + newService(r)
	}),
	good("savepoint rolled back", sql("SAVEPOINT s; DELETE FROM calendar_window; ROLLBACK TO s; UPDATE calendar SET description = 'kept' WHERE calendar = 'always'")),
	good("all rolled back", sql("DELETE FROM service_number WHERE service !~ 'bystander'; ROLLBACK; BEGIN")),
	good("table emptied, confirmed", sql(settled+"SELECT confirm_mass_change('test'); TRUNCATE calendar_holiday")),
	good("with a comment", sql("SET LOCAL ringmaster.comment = 'ticket 4711'; UPDATE calendar SET description = 'commented' WHERE calendar = 'always'")),
	// An edit of more rows than are noted one by one cannot be undone.
	{name: "last edit undone", fate: isEither, says: "cannot be", sql: sql("SELECT rollback_to((SELECT revision - 1 FROM config_revision))")},
	good("many tables at once", func(r *rand.Rand) string {
		return "SELECT confirm_mass_change('test'); " + newService(r) + "; UPDATE calendar SET time_zone = 'Asia/Tokyo' WHERE calendar = 'office_hours'; UPDATE distribution SET method = 'hash' WHERE distribution = 'acme_share'; DELETE FROM area_prefix; INSERT INTO area_prefix VALUES ('4930', 'berlin')"
	}),
	good("the demo carrier anew", sql("SELECT saved.mend()")),
}
