package lint_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ringmaster/logic"
	"ringmaster/logic/lint"
	"ringmaster/logic/rows"
	"ringmaster/logic/transcript"
)

var now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// carrier reads the demo carrier and more rows.
func carrier(t testing.TB, more string) *rows.Rows {
	t.Helper()
	files := map[string]string{"demo": "../../testdata/demo/carrier.sql"}
	text := "include demo\n"
	scripts, err := os.ReadDir("../../migrations")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range scripts {
		if strings.Contains(file.Name(), "scripts") {
			files[file.Name()] = "../../migrations/" + file.Name()
			text = "include " + file.Name() + "\n" + text
		}
	}
	read, err := transcript.Read("carrier", text+more, func(name string) (string, error) {
		content, err := os.ReadFile(files[name])
		return string(content), err
	})
	if err != nil {
		t.Fatal(err)
	}
	return &read.Rows
}

func check(t testing.TB, r *rows.Rows) []lint.Finding {
	t.Helper()
	snapshot, problems := logic.Compile(r, nil, time.LoadLocation)
	for _, problem := range problems {
		if problem.Table != "session_key" {
			t.Fatalf("the rows don't compile: %v", problem)
		}
	}
	return lint.Check(r, snapshot.Normalise, time.LoadLocation, now)
}

func TestDemoCarrierHasNoWarning(t *testing.T) {
	for _, finding := range check(t, carrier(t, "")) {
		if finding.Severity >= lint.Warning {
			t.Error(finding)
		}
	}
}

// service is one more freephone service, with one thing other than usual.
func service(name, number, parameter, value string) string {
	given := map[string]string{"hours": "always", "offices": "acme_offices", "elsewhere": "acme_share", "second_office": "4930200200@office", parameter: value}
	text := fmt.Sprintf("INSERT INTO service (service, subscriber, script) VALUES ('%s', 'acme', 'freephone');\n", name)
	if number != "" {
		text += fmt.Sprintf("INSERT INTO service_number (number, match, service) VALUES ('%s', 'exact', '%s');\n", number, name)
	}
	for _, key := range []string{"hours", "offices", "elsewhere", "second_office"} {
		text += fmt.Sprintf("INSERT INTO service_parameter (service, parameter, value) VALUES ('%s', '%s', '%s');\n", name, key, given[key])
	}
	return text
}

const calendar = "INSERT INTO calendar (calendar, time_zone) VALUES ('c', 'UTC');\n"

func windows(of ...string) string {
	text := calendar
	for _, one := range of {
		f := strings.Fields(one)
		text += fmt.Sprintf("INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('c', '%s', '%s', '%s');\n", f[0], f[1], f[2])
	}
	return text
}

// offices is a freephone service with offices and a share of its own.
func offices(rows, branches string) string {
	text := "INSERT INTO translation_table (translation_table) VALUES ('o');\nINSERT INTO distribution (distribution, method) VALUES ('d', 'percentage');\n"
	if rows != "" {
		text += "INSERT INTO translation (translation_table, key, value, trunk) VALUES " + rows + ";\n"
	}
	text += "INSERT INTO distribution_branch (distribution, position, branch, weight, value, trunk) VALUES " + branches + ";\n"
	return text + strings.NewReplacer("acme_offices", "o", "acme_share", "d").Replace(service("s", "49777", "", ""))
}

// longScript is a script of steps in a row before its end, with a service.
func longScript(steps int) string {
	var text, exits strings.Builder
	for i := range steps {
		fmt.Fprintf(&text, "('long', 's%03d', 'log', '{\"kind\": \"x\", \"text\": \"y\"}'), ", i)
		next := fmt.Sprintf("s%03d", i+1)
		if i == steps-1 {
			next = "bye"
		}
		fmt.Fprintf(&exits, "('long', 's%03d', 'done', '%s'), ", i, next)
	}
	return "INSERT INTO script (script, first_step) VALUES ('long', 's000');\nINSERT INTO step (script, step, sib, parameters) VALUES " + text.String() +
		"('long', 'bye', 'bcp', '{\"action\": \"release\"}');\nINSERT INTO step_exit (script, step, exit, next_step) VALUES " + strings.TrimSuffix(exits.String(), ", ") + ";\n"
}

// bands are two rates of one prefix, each while a calendar of its own is open: c by UTC until one day, d in a zone from a day on.
func bands(c, d, zone, to, from string) string {
	day := func(s string) string {
		if s == "" {
			return "NULL"
		}
		return "'" + s + "'"
	}
	c0, c1, _ := strings.Cut(c, " ")
	d0, d1, _ := strings.Cut(d, " ")
	return calendar + "INSERT INTO calendar (calendar, time_zone) VALUES ('d', '" + zone + "');\n" +
		fmt.Sprintf("INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('c', '1111100', '%s', '%s'), ('d', '1100000', '%s', '%s');\n", c0, c1, d0, d1) +
		fmt.Sprintf("INSERT INTO tariff_rate (tariff, prefix, calendar, price_per_minute, valid_to, valid_from) VALUES ('card', '44', 'c', 0.1, %s, NULL), ('card', '44', 'd', 0.2, NULL, %s);\n", day(to), day(from))
}

const dollars = "INSERT INTO account (account, currency) VALUES ('dollars', 'USD');\n"

// split is a service for which callers and an account pay.
func split(account, perMille string) string {
	return fmt.Sprintf(`INSERT INTO service (service, subscriber, script) VALUES ('s', 'acme', 'split_charging');
INSERT INTO service_parameter (service, parameter, value) VALUES ('s', 'tariff', 'premium'), ('s', 'account', '%s'), ('s', 'subscriber_per_mille', '%s'), ('s', 'destination', '4930@office');`, account, perMille)
}

func prefixTable(entries ...string) string {
	text := "INSERT INTO translation_table (translation_table, match) VALUES ('p', 'prefix');\n"
	for _, one := range entries {
		key, value, _ := strings.Cut(one, "=")
		text += fmt.Sprintf("INSERT INTO translation (translation_table, key, value, trunk) VALUES ('p', '%s', '%s', 'pstn');\n", key, value)
	}
	return text
}

// TestFindings holds each check to what it finds and to what it leaves alone: the findings of the kind that the carrier has besides the demo's.
func TestFindings(t *testing.T) {
	ten := func(prefix string) (entries []string) {
		for i := range 10 {
			entries = append(entries, fmt.Sprintf("%s%d=%d", prefix, i, 100+i))
		}
		return entries
	}
	numbers := func(prefix string, digits int) string {
		text := ""
		for i := range 10 {
			text += fmt.Sprintf("INSERT INTO service_number (number, match, service) VALUES ('%s%0*d', 'exact', 'acme_hotline');\n", prefix, digits, i)
		}
		return text
	}
	for _, c := range []struct {
		name, sql, kind string
		want            []string // severity: table key, and a part of the reason behind |
	}{
		{"redundant longer prefix", prefixTable("49=1", "4930=1", "4989=2"), "redundant_prefix", []string{"note: translation p.4930|as \"49\" does"}},
		{"same value under another parent", prefixTable("49=1", "4930=2", "49301=1"), "redundant_prefix", nil},
		{"shadowed prefix", prefixTable(append(ten("49"), "49=1")...), "shadowed_prefix", []string{"warning: translation p.49|decides nothing"}},
		{"shadowed two levels down", prefixTable(append(append(ten("49"), ten("485")...), "4=1", "40=1", "41=1", "42=1", "43=1", "44=1", "45=1", "46=1", "47=1", "480=1", "481=1", "482=1", "483=1",
			"484=1", "486=1", "487=1", "488=1", "489=1")...), "shadowed_prefix", []string{"warning: translation p.4|decides nothing"}},
		{"one digit is free", prefixTable(append(ten("49")[:9], "49=1")...), "shadowed_prefix", nil},
		{"redundant area", "INSERT INTO area_prefix (prefix, area) VALUES ('49301', 'berlin');", "redundant_prefix", []string{"note: area_prefix 49301|berlin"}},
		{"redundant number", "INSERT INTO service_number (number, match, service) VALUES ('49800222', 'prefix', 'acme_hotline');", "redundant_number", []string{"note: service_number 498002222222|range 49800222*"}},
		{"number of another service in a range", "INSERT INTO service_number (number, match, service) VALUES ('49800222', 'prefix', 'acme_freephone');", "redundant_number", nil},
		{"range within a longer range", "INSERT INTO service_number (number, match, service) VALUES ('498', 'prefix', 'acme_hotline'), ('49800222', 'prefix', 'acme_freephone');", "redundant_number", nil},
		{"range of exact numbers", "INSERT INTO service_number (number, match, service) VALUES ('49777', 'prefix', 'acme_freephone');\n" + numbers("49777", 1), "shadowed_prefix",
			[]string{"warning: service_number 49777|all 10 numbers of 6 digits"}},
		{"range of ten in a hundred", "INSERT INTO service_number (number, match, service) VALUES ('49777', 'prefix', 'acme_freephone');\n" + numbers("49777", 2), "shadowed_prefix", nil},

		{"overlap", windows("1111100 08:00 12:00", "0000100 11:00 14:00"), "overlapping_windows", []string{"warning: calendar_window c.|on Friday it overlaps"}},
		{"overlap over midnight", windows("0000001 22:00 06:00", "1000000 05:00 07:00"), "overlapping_windows", []string{"warning: calendar_window c.|on Monday it overlaps"}},
		{"one after the other", windows("1111100 08:00 12:00", "1111100 12:00 14:00"), "overlapping_windows", nil},
		{"validity apart", calendar + `INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at, valid_to) VALUES ('c', '1111111', '08:00', '12:00', '2026-12-31');
INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at, valid_from) VALUES ('c', '1111111', '08:00', '12:00', '2027-01-01');`, "overlapping_windows", nil},
		{"gap of a second", windows("1111111 08:00 11:59:59", "1111111 12:00 14:00"), "short_gap", []string{"warning: calendar_window c.|opens 1 seconds after"}},
		{"lunch", windows("1111111 08:00 12:00", "1111111 13:00 14:00"), "short_gap", nil},
		{"last minute of the day", windows("1111111 00:00 23:59"), "short_gap", []string{"warning: calendar_window c.|closes at 23:59"}},
		{"weekday without a window", windows("1111110 08:00 12:00"), "closed_weekday", []string{"note: calendar c|on Sunday"}},
		{"every weekday, by a night", windows("1111110 20:00 08:00"), "closed_weekday", nil},
		{"never open", calendar, "never_open", []string{"warning: calendar c|never open"}},
		{"open by a holiday", calendar + "INSERT INTO calendar_holiday (calendar, holiday, name, opens_at, closes_at) VALUES ('c', '2027-01-01', 'x', '08:00', '12:00');", "never_open", nil},
		{"tariff without rates", "INSERT INTO tariff (tariff, currency) VALUES ('empty', 'EUR');", "no_rates", []string{"warning: tariff empty|it has no rates"}},
		{"expired rate", "INSERT INTO tariff_rate (tariff, prefix, price_per_minute, valid_to) VALUES ('card', '44', 0.1, '2020-01-01');", "expired_rate", []string{"note: tariff_rate card.44|it held until 2020-01-01"}},
		{"unused tariff", "INSERT INTO tariff (tariff, currency) VALUES ('idle', 'EUR'); INSERT INTO tariff_rate (tariff, prefix, price_per_minute) VALUES ('idle', '', 1);", "unused",
			[]string{"note: tariff idle|no service names it"}},
		{"number without a price", `INSERT INTO tariff (tariff, currency) VALUES ('abroad', 'EUR');
INSERT INTO tariff_rate (tariff, prefix, price_per_minute) VALUES ('abroad', '33', 1), ('abroad', '4988', 1);
INSERT INTO service (service, subscriber, script) VALUES ('advice', 'acme', 'premium_rate');
INSERT INTO service_parameter (service, parameter, value) VALUES ('advice', 'hours', 'always'), ('advice', 'tariff', 'abroad'), ('advice', 'provider', 'acme'), ('advice', 'destination', '4930@office'), ('advice', 'price_prompt', 'price');
INSERT INTO service_number (number, service) VALUES ('499009', 'advice'), ('498811', 'advice');`, "no_price", []string{"warning: service_number 499009|tariff abroad has no rate"}},
		{"bands that overlap", bands("08:00 12:00", "11:00 14:00", "UTC", "", ""), "overlapping_bands", []string{"warning: tariff_rate card.44|on Monday at 11:00 its calendar d is open as well as c of rate"}},
		{"bands that touch", bands("08:00 12:00", "12:00 14:00", "UTC", "", ""), "overlapping_bands", nil},
		{"bands over midnight", bands("22:00 06:00", "05:00 07:00", "UTC", "", ""), "overlapping_bands", []string{"warning: tariff_rate card.44|on Tuesday at 05:00"}},
		{"bands of two zones", bands("08:00 12:00", "12:30 14:00", "Europe/Berlin", "", ""), "overlapping_bands", []string{"warning: tariff_rate card.44|on Monday at 12:30"}},
		{"bands of two zones in summer", bands("08:00 12:00", "13:30 14:00", "Europe/Berlin", "", ""), "overlapping_bands", []string{"warning: tariff_rate card.44|on Monday at 13:30"}},
		{"bands of two zones that never meet", bands("08:00 12:00", "14:00 16:00", "Europe/Berlin", "", ""), "overlapping_bands", nil},
		{"bands of two zones a day apart", bands("22:00 23:00", "11:30 13:00", "Pacific/Auckland", "", ""), "overlapping_bands", []string{"warning: tariff_rate card.44|on Tuesday at 11:30"}},
		{"bands that follow each other", bands("08:00 12:00", "11:00 14:00", "UTC", "2027-01-01", "2027-01-01"), "overlapping_bands", nil},
		{"bands that hold together for a day", bands("08:00 12:00", "11:00 14:00", "UTC", "2027-01-02", "2027-01-01"), "overlapping_bands", []string{"warning: tariff_rate card.44|on Monday at 11:00"}},
		{"a band that is over", bands("08:00 12:00", "11:00 14:00", "UTC", "2026-11-01", ""), "overlapping_bands", nil},
		{"a band and all other times", calendar + "INSERT INTO tariff_rate (tariff, prefix, calendar, price_per_minute) VALUES ('card', '44', NULL, 0.1), ('card', '44', 'always', 0.2);", "overlapping_bands", nil},
		{"a payer in another currency", dollars + split("dollars", "500"), "other_currency", []string{"error: service s|account dollars is in USD and tariff premium in EUR: its calls are refused (step rate)"}},
		{"a payer of nothing", dollars + split("dollars", "0"), "other_currency", nil},
		{"a payer in the tariff's currency", split("acme", "500"), "other_currency", nil},
		{"the only payer", dollars + `INSERT INTO service (service, subscriber, script) VALUES ('s', 'acme', 'freephone_charged');
INSERT INTO service_parameter (service, parameter, value) VALUES ('s', 'hours', 'always'), ('s', 'tariff', 'card'), ('s', 'account', 'dollars'), ('s', 'destination', '4930@office');`, "other_currency",
			[]string{"error: service s|account dollars is in USD and tariff card in EUR: its calls are refused (step rate)"}},
		{"a provider in another currency", dollars + `INSERT INTO service (service, subscriber, script) VALUES ('s', 'acme', 'premium_rate');
INSERT INTO service_parameter (service, parameter, value) VALUES ('s', 'hours', 'always'), ('s', 'tariff', 'premium'), ('s', 'provider', 'dollars'), ('s', 'destination', '4930@office'), ('s', 'price_prompt', 'price');`, "other_currency",
			[]string{"warning: service s|flagged unpaid (step rate); name an account in EUR, or a tariff in USD"}},
		{"a literal account", dollars + `INSERT INTO script (script, first_step) VALUES ('lit', 'rate');
INSERT INTO script_parameter (script, parameter, type, default_value) VALUES ('lit', 'tariff', 'tariff', 'card');
INSERT INTO step (script, step, sib, parameters) VALUES ('lit', 'rate', 'charge', '{"tariff": "${tariff}", "account": "dollars"}'), ('lit', 'end', 'bcp', '{"action": "release", "cause": 16}');
INSERT INTO step_exit (script, step, exit, next_step) VALUES ('lit', 'rate', 'granted', 'end'), ('lit', 'rate', 'refused', 'end');
INSERT INTO service (service, subscriber, script) VALUES ('s', 'acme', 'lit');`, "other_currency", []string{"error: service s|account dollars"}},
		{"past holiday", "INSERT INTO calendar_holiday (calendar, holiday, name) VALUES ('always', '2026-11-20', 'x');", "past_holiday", []string{"note: calendar_holiday always.x|2026-11-20"}},
		{"yearly holiday", "INSERT INTO calendar_holiday (calendar, holiday, name, yearly) VALUES ('always', '2020-11-20', 'x', true);", "past_holiday", nil},
		{"leap day", "INSERT INTO calendar_holiday (calendar, holiday, name, yearly) VALUES ('always', '2028-02-29', 'x', true);", "leap_day", []string{"warning: calendar_holiday always.x|leap"}},
		{"past window", calendar + "INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at, valid_to) VALUES ('c', '1111111', '08:00', '12:00', '2026-10-31');", "past_window", []string{"note: calendar_window c.|2026-10-31"}},

		{"expired entries", "INSERT INTO screening_entry (screening_list, entry, valid_to) VALUES ('citybank_codes', '2', '2026-11-24T08:00:00Z'), ('citybank_codes', '1', '2026-11-01T00:00:00Z'), ('citybank_codes', '3', '2026-12-01T00:00:00Z');",
			"expired_entry", []string{"note: screening_entry citybank_codes.1|2 entries"}},
		{"expired entry", "INSERT INTO screening_entry (screening_list, entry, valid_to) VALUES ('citybank_codes', '1', '2026-11-01T00:00:00Z');", "expired_entry",
			[]string{"note: screening_entry citybank_codes.1|1 entry of list citybank_codes expired"}},
		{"hidden by an expired entry", "INSERT INTO screening_list (screening_list, match) VALUES ('p', 'prefix');\nINSERT INTO screening_entry (screening_list, entry) VALUES ('p', '49');\nINSERT INTO screening_entry (screening_list, entry, valid_to) VALUES ('p', '4930', '2026-11-01T00:00:00Z');",
			"hidden_prefix", []string{"warning: screening_entry p.4930|although \"49\" is"}},
		{"redundant entry", "INSERT INTO screening_list (screening_list, match) VALUES ('p', 'prefix');\nINSERT INTO screening_entry (screening_list, entry) VALUES ('p', '49'), ('p', '4930');", "redundant_prefix", []string{"note: screening_entry p.4930|by \"49\""}},
		{"exact list", "INSERT INTO screening_list (screening_list, match) VALUES ('p', 'exact');\nINSERT INTO screening_entry (screening_list, entry) VALUES ('p', '49'), ('p', '4930');", "redundant_prefix", nil},

		{"office without a trunk", offices("('o', 'berlin', '4930200100', NULL), ('o', 'munich', '4989200100', 'office'), ('o', 'bonn', '492281@pstn', NULL)", "('d', 1, 'a', 1, '4930@office', NULL)"), "no_target",
			[]string{`warning: translation o.berlin|"4930200100" has no trunk: service s connects to it`}},
		{"branch without a target", offices("('o', 'berlin', '4930200100', 'office')", "('d', 1, 'a', 1, '', NULL), ('d', 2, 'b', 0, '', NULL), ('d', 3, 'c', 1, '4930@moon', NULL), ('d', 4, 'e', 1, '4930@office,4931', NULL)"), "no_target",
			[]string{`warning: distribution_branch d.a|"" is no target`, `warning: distribution_branch d.c|trunk "moon" of "4930@moon"`, `warning: distribution_branch d.e|"4931" has no trunk`}},
		{"a table that nobody connects to", "INSERT INTO translation_table (translation_table) VALUES ('o');\nINSERT INTO translation (translation_table, key, value) VALUES ('o', 'a', 'b');\n", "no_target", nil},
		{"a number that is made a target of", `INSERT INTO translation_table (translation_table) VALUES ('o');
INSERT INTO translation (translation_table, key, value) VALUES ('o', 'a', '4930');
INSERT INTO script (script, first_step) VALUES ('made', 'find');
INSERT INTO script_parameter (script, parameter, type) VALUES ('made', 'table', 'translation_table');
INSERT INTO step (script, step, sib, parameters) VALUES ('made', 'find', 'translate', '{"table": "${table}", "key": "a", "into": "to"}'), ('made', 'make', 'algorithm', '{"expression": "to + \"@pstn\"", "into": "to"}'),
('made', 'ring', 'bcp', '{"action": "connect", "target": "${to}"}');
INSERT INTO step_exit (script, step, exit, next_step) VALUES ('made', 'find', 'found', 'make'), ('made', 'find', 'not_found', 'ring'), ('made', 'make', 'done', 'ring');
INSERT INTO service (service, subscriber, script) VALUES ('made', 'acme', 'made');
INSERT INTO service_parameter (service, parameter, value) VALUES ('made', 'table', 'o');`, "no_target", nil},
		{"65 steps", longScript(64), "long_way", []string{"warning: step long.s000|has 65 steps, and a query walks 64"}},
		{"64 steps", longScript(63), "long_way", nil},
		{"idle branch", "INSERT INTO distribution_branch (distribution, position, branch, weight, value) VALUES ('acme_share', 3, 'x', 0, '1');", "idle_branch", []string{"note: distribution_branch acme_share.x|weight is 0"}},
		{"no number", service("a", "", "", ""), "no_number", []string{"warning: service a|no number"}},
		{"inactive", "INSERT INTO service (service, subscriber, script, active) VALUES ('a', 'acme', 'freephone', false);\nINSERT INTO service_number (number, match, service) VALUES ('49777', 'exact', 'a');\n" +
			"INSERT INTO service_parameter (service, parameter, value) VALUES ('a', 'hours', 'always'), ('a', 'offices', 'acme_offices'), ('a', 'elsewhere', 'acme_share'), ('a', 'second_office', '498002222222@pstn');",
			"inactive_service", []string{"note: service a|its 1 number"}},
		{"unused list", "INSERT INTO screening_list (screening_list, match) VALUES ('nobodys', 'exact');", "unused", []string{"note: screening_list nobodys|no service"}},
		{"unused script", "INSERT INTO script (script, first_step) VALUES ('s', 'go');\nINSERT INTO step (script, step, sib, parameters) VALUES ('s', 'go', 'bcp', '{\"action\": \"release\", \"cause\": \"${code_two}\"}');\n" +
			"INSERT INTO script_parameter (script, parameter, type, default_value) VALUES ('s', 'code', 'integer', '16'), ('s', 'code_two', 'integer', '16');",
			"unused", []string{"note: script s|follows", "note: script_parameter s.code|no step"}},

		{"to itself", service("a", "498007777777", "second_office", "08007777777@pstn"), "forwarding_loop", []string{"warning: service a|service a → service_parameter a.second_office (08007777777@pstn) → service a"}},
		{"two services", service("a", "498007777771", "second_office", "+498007777772@pstn") + service("b", "498007777772", "second_office", "4930555@pstn,08007777771@pstn"), "forwarding_loop",
			[]string{"warning: service a|service a → service_parameter a.second_office (+498007777772@pstn) → service b → service_parameter b.second_office (08007777771@pstn) → service a"}},
		{"a table and a distribution", service("a", "498007777771", "offices", "t") + service("b", "498007777772", "elsewhere", "d") +
			"INSERT INTO translation_table (translation_table, match) VALUES ('t', 'exact');\nINSERT INTO translation (translation_table, key, value, trunk) VALUES ('t', 'berlin', '498007777772', 'pstn');\n" +
			"INSERT INTO distribution (distribution, method) VALUES ('d', 'circular');\nINSERT INTO distribution_branch (distribution, position, branch, value, trunk) VALUES ('d', 1, 'x', '498007777771', 'pstn');",
			"forwarding_loop", []string{"warning: service a|translation t.berlin (498007777772@pstn) → service b → parameter elsewhere → distribution d → distribution_branch d.x (498007777771@pstn) → service a"}},
		{"a chain", service("a", "498007777771", "second_office", "498007777772@pstn") + service("b", "498007777772", "second_office", "4930555@pstn"), "forwarding_loop", nil},
		{"by a range", service("a", "498007777771", "second_office", "498007777771@pstn") + "INSERT INTO service_number (number, match, service) VALUES ('4930', 'prefix', 'acme_hotline');", "forwarding_loop",
			[]string{"note: service acme_hotline|(4930", "warning: service a|service a → "}},
		{"by the range of all numbers", "INSERT INTO service_number (number, match, service) VALUES ('', 'prefix', 'acme_hotline');", "forwarding_loop", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := check(t, carrier(t, ""))
			var got []string
			for _, finding := range check(t, carrier(t, c.sql)) {
				if finding.Check == c.kind && !slices.Contains(before, finding) {
					got = append(got, finding.String())
				}
			}
			slices.Sort(got)
			if len(got) != len(c.want) {
				t.Fatalf("found %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				head, reason, _ := strings.Cut(want, "|")
				if !strings.HasPrefix(got[i], head) || !strings.Contains(got[i], reason) {
					t.Errorf("found %q, want %q", got[i], want)
				}
			}
		})
	}
}

func TestManyOfAKindAreCounted(t *testing.T) {
	r := new(rows.Rows)
	for i := range 250 {
		r.ScreeningLists = append(r.ScreeningLists, rows.ScreeningListRow{ScreeningList: fmt.Sprintf("list%03d", i), Match: "exact"})
	}
	found := lint.Check(r, nil, nil, now)
	if len(found) != 101 || !strings.Contains(found[100].String(), "and 150 more of this kind") {
		t.Errorf("%d findings, the last %v", len(found), found[len(found)-1])
	}
}

func TestSeverityWords(t *testing.T) {
	for _, severity := range []lint.Severity{lint.Note, lint.Warning, lint.Error} {
		var read lint.Severity
		if err := read.UnmarshalText([]byte(severity.String())); err != nil || read != severity {
			t.Errorf("%v is read as %v, %v", severity, read, err)
		}
	}
	var read lint.Severity
	if err := read.UnmarshalText([]byte("fatal")); err == nil {
		t.Error("fatal is a severity")
	}
}

// TestWhateverIsWritten: no rows make it panic, and the same rows give the same findings.
func TestWhateverIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, "word") }
		name := func() string { return pick("", "a", "b", "c", "freephone") }
		digits := func() string { return rapid.StringMatching(`[0-9*#+]{0,4}`).Draw(t, "digits") }
		target := func() string {
			return pick(digits(), digits()+"@t", digits()+"@t,"+digits()+"@t", "${p}@t", "@", ",", "é\x00@t")
		}
		when := func() time.Time {
			return rapid.SampledFrom([]time.Time{{}, now, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0), time.Date(-5000, 2, 29, 0, 0, 0, 0, time.UTC)}).Draw(t, "when")
		}
		seconds := func() int { return rapid.IntRange(-10, 100000).Draw(t, "seconds") }
		r := new(rows.Rows)
		for range rapid.IntRange(0, 30).Draw(t, "rows") {
			switch rapid.IntRange(0, 18).Draw(t, "table") {
			case 0:
				r.Services = append(r.Services, rows.ServiceRow{Service: name(), Script: name(), Active: rapid.Bool().Draw(t, "active")})
			case 1:
				r.ServiceNumbers = append(r.ServiceNumbers, rows.ServiceNumberRow{Number: digits(), Match: pick("exact", "prefix", "x"), Service: name()})
			case 2:
				r.ServiceParameters = append(r.ServiceParameters, rows.ServiceParameterRow{Service: name(), Parameter: pick("p", "q"), Value: pick(target(), name())})
			case 3:
				value := target()
				r.ScriptParameters = append(r.ScriptParameters, rows.ScriptParameterRow{Script: name(), Parameter: pick("p", "q", ""),
					Type: pick("target", "translation_table", "distribution", "x"), DefaultValue: rapid.SampledFrom([]*string{nil, &value}).Draw(t, "default")})
			case 4:
				r.Steps = append(r.Steps, rows.StepRow{Script: name(), Step: name(), SIB: pick("bcp", "x"),
					Parameters: []byte(pick("", "{", "[]", `{"target": 1}`, `{"target": "`+digits()+`@t"}`, `{"target": "${p}@t"}`))})
			case 5:
				r.Translations = append(r.Translations, rows.TranslationRow{TranslationTable: name(), Key: digits(), Value: target(), Trunk: pick("", "t")})
			case 6:
				r.TranslationTables = append(r.TranslationTables, rows.TranslationTableRow{TranslationTable: name(), Match: pick("exact", "prefix")})
			case 7:
				r.ScreeningEntries = append(r.ScreeningEntries, rows.ScreeningEntryRow{ScreeningList: name(), Entry: digits(), ValidFrom: when(), ValidTo: when()})
			case 8:
				r.ScreeningLists = append(r.ScreeningLists, rows.ScreeningListRow{ScreeningList: name(), Match: pick("exact", "prefix")})
			case 9:
				r.CalendarWindows = append(r.CalendarWindows, rows.CalendarWindowRow{CalendarWindowID: int64(seconds()), Calendar: name(),
					Weekdays: pick("1111111", "0000000", "", "1", "11111111111", "0000001"), OpensAt: seconds(), ClosesAt: seconds(), ValidFrom: when(), ValidTo: when()})
			case 10:
				r.Calendars = append(r.Calendars, rows.CalendarRow{Calendar: name()})
			case 11:
				r.CalendarHolidays = append(r.CalendarHolidays, rows.CalendarHolidayRow{Calendar: name(), Holiday: when(), Yearly: rapid.Bool().Draw(t, "yearly"), OpensAt: seconds(), ClosesAt: seconds()})
			case 12:
				r.Branches = append(r.Branches, rows.BranchRow{Distribution: name(), Branch: name(), Weight: rapid.IntRange(-1, 1).Draw(t, "weight"), Value: target(), Trunk: pick("", "t")})
			case 13:
				r.Distributions = append(r.Distributions, rows.DistributionRow{Distribution: name(), Method: pick("percentage", "circular")})
			case 14:
				r.AreaPrefixes = append(r.AreaPrefixes, rows.AreaPrefixRow{Prefix: digits(), Area: name()})
			case 15:
				r.Scripts = append(r.Scripts, rows.ScriptRow{Script: name(), FirstStep: name()})
			case 16:
				r.TariffRates = append(r.TariffRates, rows.TariffRateRow{TariffRateID: int64(seconds()), Tariff: name(), Prefix: digits(), Calendar: name(), ValidFrom: when(), ValidTo: when()})
			case 17:
				r.Tariffs = append(r.Tariffs, rows.TariffRow{Tariff: name(), Currency: pick("EUR", "USD", "")})
				r.Accounts = append(r.Accounts, rows.AccountRow{Account: name(), Currency: pick("EUR", "USD", "")})
			case 18:
				r.Steps = append(r.Steps, rows.StepRow{Script: name(), Step: name(), SIB: "charge",
					Parameters: []byte(pick("", "{", "[]", `{"tariff": 1}`, `{"tariff": "${p}", "account": "${q}", "second_account": "a", "second_per_mille": []}`))})
			}
		}
		first := lint.Check(r, nil, nil, now)
		if again := lint.Check(r, nil, nil, now); !slices.Equal(first, again) {
			t.Fatalf("two answers:\n%v\n%v", first, again)
		}
	})
}

// chain is a carrier of n services, each of which forwards to the next, and the last to the first.
func chain(n, numbersEach int) *rows.Rows {
	r := &rows.Rows{Scripts: []rows.ScriptRow{{Script: "s"}}, ScriptParameters: []rows.ScriptParameterRow{{Script: "s", Parameter: "to", Type: "target"}}}
	number := func(service, i int) string { return "49" + strconv.Itoa(10000000+service*numbersEach+i) }
	for i := range n {
		name := "service" + strconv.Itoa(i)
		r.Services = append(r.Services, rows.ServiceRow{Service: name, Script: "s", Active: true})
		r.ServiceParameters = append(r.ServiceParameters, rows.ServiceParameterRow{Service: name, Parameter: "to", Value: number((i+1)%n, 0) + "@pstn"})
		for j := range numbersEach {
			r.ServiceNumbers = append(r.ServiceNumbers, rows.ServiceNumberRow{Number: number(i, j), Match: "exact", Service: name})
		}
	}
	return r
}

// TestLongCircle: a circle through fifty thousand services is found, and said in words that can be read.
func TestLongCircle(t *testing.T) {
	found := lint.Check(chain(50_000, 1), nil, nil, now)
	index := slices.IndexFunc(found, func(f lint.Finding) bool { return f.Check == "forwarding_loop" })
	if index < 0 {
		t.Fatal("the circle wasn't found")
	}
	if reason := found[index].Reason; !strings.Contains(reason, "…") || len(reason) > 2000 {
		t.Errorf("%d bytes: %.300s", len(reason), reason)
	}
}

// BenchmarkCheck is a carrier of a million numbers with a range over them.
func BenchmarkCheck(b *testing.B) {
	r := chain(100_000, 10)
	r.ServiceNumbers = append(r.ServiceNumbers, rows.ServiceNumberRow{Number: "491", Match: "prefix", Service: "service0"})
	r.TranslationTables = append(r.TranslationTables, rows.TranslationTableRow{TranslationTable: "p", Match: "prefix"})
	for i := range 1_000_000 {
		r.Translations = append(r.Translations, rows.TranslationRow{TranslationTable: "p", Key: strconv.Itoa(i), Value: strconv.Itoa(i % 7), Trunk: "pstn"})
	}
	for b.Loop() {
		lint.Check(r, nil, nil, now)
	}
}
