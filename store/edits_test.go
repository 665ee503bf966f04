package store_test

import (
	"fmt"
	"math/rand/v2"
)

// sql makes an edit of a fixed statement.
func sql(text string) func(*rand.Rand) string {
	return func(*rand.Rand) string { return text }
}

// absurdEdits are what tired, hurried and playful people write. Postgres refuses most; what it takes, the compilation must live with.
var absurdEdits = []func(r *rand.Rand) string{
	sql("INSERT INTO service_number VALUES ('+498001', 'exact', 'acme_hotline')"),
	sql("INSERT INTO service_number VALUES ('0800 12', 'exact', 'acme_hotline')"),
	sql("INSERT INTO service_number VALUES ('4980012345678901', 'exact', 'acme_hotline')"),
	sql("INSERT INTO service_number VALUES ('', 'exact', 'acme_hotline')"),
	sql("INSERT INTO service_number VALUES ('498001', 'regex', 'acme_hotline')"),
	sql("INSERT INTO service_number VALUES ('498001', 'exact', 'nobody')"),
	sql("INSERT INTO service_number VALUES (NULL, 'exact', 'acme_hotline')"),
	sql("INSERT INTO translation VALUES ('acme_offices', repeat('1', 65), 'x')"),
	sql("INSERT INTO translation VALUES ('acme_offices', 'y', repeat('1', 300))"),
	sql(`INSERT INTO translation VALUES ('acme_offices', E'a\nb', 'x')`),
	sql("INSERT INTO translation VALUES ('acme_offices', 'z', '$(rm -rf /)', 'office')"),
	sql("INSERT INTO translation VALUES ('nothing', 'y', 'x')"),
	sql("INSERT INTO translation_table VALUES (repeat('x', 1000000))"),
	sql("INSERT INTO translation_table VALUES ('unused_' || (random() * 10)::int) ON CONFLICT DO NOTHING"),
	sql("UPDATE distribution_branch SET weight = -1"),
	sql("UPDATE distribution_branch SET weight = 0"),
	sql("UPDATE distribution_branch SET position = 1"),
	sql("UPDATE distribution SET method = 'luck'"),
	sql("DELETE FROM distribution_branch"),
	sql("INSERT INTO script VALUES ('headless', 'begin')"),
	sql("INSERT INTO script VALUES ('loop', 'a'); INSERT INTO step VALUES ('loop', 'a', 'compare', '{\"condition\": \"true\"}'); INSERT INTO step_exit VALUES ('loop', 'a', 'true', 'a'), ('loop', 'a', 'false', 'a')"),
	sql("DELETE FROM step WHERE step = 'hours'"),
	sql("DELETE FROM step_exit WHERE script = 'freephone' AND step = 'hours'"),
	sql("UPDATE step_exit SET next_step = 'nowhere' WHERE script = 'freephone'"),
	sql("INSERT INTO step VALUES ('freephone', 'extra', 'nonsense', '{}')"),
	sql("INSERT INTO step VALUES ('freephone', 'extra', 'compare', '[]')"),
	sql("INSERT INTO step VALUES ('freephone', 'extra', 'log', '{}')"),
	func(r *rand.Rand) string {
		return fmt.Sprintf(`UPDATE step SET parameters = jsonb_build_object('condition', repeat('(', %d) || 'true' || repeat(')', %[1]d)) WHERE script = 'freephone' AND step = 'hours'`, 1+r.IntN(4000))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf(`UPDATE step SET parameters = '{"condition": %s}' WHERE script = 'freephone' AND step = 'hours'`,
			one(r, "1", "null", `"1"`, `"caller"`, `"x.y.z"`, `"open(hours) && open(hours)"`, `["a"]`, `"caller.matches(''(a+)+$'')"`))
	},
	sql("UPDATE step SET parameters = parameters || jsonb_build_object('x', repeat('x', 20000))"),
	sql("INSERT INTO service (service, subscriber, script) VALUES ('bare', 'acme', 'freephone')"),
	sql("INSERT INTO service (service, subscriber, script) VALUES ('a b', 'acme', 'freephone')"),
	sql("INSERT INTO service (service, subscriber, script) VALUES ('lost', 'nobody', 'freephone')"),
	sql("UPDATE service SET script = 'security_screening' WHERE service = 'acme_hotline'"),
	sql("UPDATE service SET language = 'klingon' WHERE service = 'acme_hotline'"),
	sql("INSERT INTO service_parameter VALUES ('acme_hotline', 'colour', 'blue')"),
	sql("UPDATE service_parameter SET value = 'a@b' WHERE parameter = 'second_office'"),
	sql("UPDATE service_parameter SET value = '4930@office,4940@office,4950@pstn' WHERE parameter = 'second_office' AND service = 'acme_hotline'"),
	sql("DELETE FROM service_parameter WHERE parameter = 'offices'"),
	sql("UPDATE script_parameter SET type = 'trunk' WHERE parameter = 'hours'"),
	sql("DELETE FROM script_parameter WHERE parameter = 'hours'"),
	sql("UPDATE calendar_window SET weekdays = '0000000'"),
	sql("UPDATE calendar_window SET opens_at = '25:00'"),
	sql("UPDATE calendar_window SET valid_from = '2027-01-01', valid_to = '2026-01-01'"),
	sql("UPDATE calendar_window SET valid_from = '-infinity', valid_to = 'infinity'"),
	sql("INSERT INTO calendar VALUES ('moon', 'Moon/Sea')"),
	sql("DELETE FROM calendar WHERE calendar = 'always'"),
	sql("DELETE FROM trunk WHERE trunk = 'office'"),
	sql("DELETE FROM script"),
	sql("DELETE FROM prompt"),
	sql("DELETE FROM session_key"),
	sql("DELETE FROM numbering_plan"),
	sql("UPDATE numbering_plan SET international_prefix = national_prefix"),
	sql("SELECT set_node_secret('n1', 'short')"),
	sql("SELECT rotate_session_key(0)"),
	sql("INSERT INTO node (node, capacity) VALUES ('n3', 0)"),
	sql("UPDATE node SET capacity = 1 / 0"),
	sql("UPDATE node SET capacity = 'many'"),
	sql("INSERT INTO area_prefix VALUES ('49x', 'x')"),
	sql("UPDATE prompt SET file = '../../etc/passwd'"),
	sql("UPDATE service SET service = service || service || service || service || service"),
	sql("DELETE FROM audit_log"),
}
