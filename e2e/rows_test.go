//go:build e2e

package e2e

import (
	"fmt"
	"strings"
)

// The trunks of the tests are called phones that behave in one way each; on Asterisk each is a PJSIP endpoint.
const (
	trunkAnswers = "answers" // rings 200 ms, answers, and waits for the end
	trunkShort   = "short"   // the same, and hangs up shortTalk after the answer
	trunkBusy    = "busy"    // 486
	trunkSilent  = "silent"  // rings for ever
	trunkGone    = "gone"    // nobody listens there
	trunkOffice  = "office"  // the demo carrier's: behaves by number, as the transcript says that is played
)

// Calendars of the tests, made around the time of the test.
const (
	openNow   = "open_now"
	closedNow = "closed_now"
)

// carrierRows are what all tests share. The engine's clock is the real one, so the calendars move instead: one whose opening
// hours are around now, one whose hours begin later today (or after midnight).
const carrierRows = `
INSERT INTO numbering_plan (numbering_plan, country_code, international_prefix, national_prefix) VALUES ('default', '49', '00', '0');
INSERT INTO trunk (trunk) VALUES ('answers'), ('short'), ('busy'), ('silent'), ('gone'), ('softswitch'), ('softswitch-agi'), ('softswitch-plain');
INSERT INTO prompt (prompt, file) VALUES
    ('closed', 'ss-noservice'), ('enter_code', 'agent-pass'), ('wrong_code', 'beep'), ('goodbye', 'vm-goodbye');
INSERT INTO area_prefix (prefix, area) VALUES ('4930', 'berlin'), ('4989', 'munich');
INSERT INTO calendar (calendar, time_zone) VALUES ('open_now', 'Europe/Berlin'), ('closed_now', 'Europe/Berlin');
INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at)
    SELECT c, '1111111', date_trunc('minute', (now() AT TIME ZONE 'Europe/Berlin') + o)::time, date_trunc('minute', (now() AT TIME ZONE 'Europe/Berlin') + o + '4h')::time
    FROM (VALUES ('open_now', '-2h'::interval), ('closed_now', '2h'::interval)) AS v (c, o);
INSERT INTO subscriber (subscriber) VALUES ('acme');
INSERT INTO screening_list (screening_list, match) VALUES ('codes', 'exact');
INSERT INTO screening_entry (screening_list, entry) VALUES ('codes', '4711'), ('codes', '081512');
`

// service is a service of one scenario: its own number, and numbers of its own at the trunks, so that every
// call at a phone can be told from all others.
type service struct {
	name   string
	called string // as callers dial it
	rows   string // SQL
}

// Numbers of the offices of service n.
func berlin(n int) string    { return fmt.Sprintf("49301%05d", n) }
func munich(n int) string    { return fmt.Sprintf("49891%05d", n) }
func elsewhere(n int) string { return fmt.Sprintf("49401%05d", n) }
func second(n int) string    { return fmt.Sprintf("49309%05d", n) }

// offices say at which trunk each office of a freephone service is; empty means trunkAnswers.
type offices struct {
	berlin, munich, elsewhere, second string
	hours                             string // calendar, empty: openNow
	ring                              int    // seconds, 0: 10
	inactive                          bool
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// freephone is service number n on the shipped script freephone.
func freephone(n int, o offices) service {
	s := service{name: fmt.Sprintf("freephone_%d", n), called: fmt.Sprintf("0800%07d", n)}
	if o.ring == 0 {
		o.ring = 10
	}
	s.rows = strings.NewReplacer(
		"$name", s.name, "$number", "49"+s.called[1:],
		"$berlin", berlin(n), "$trunkBerlin", or(o.berlin, trunkAnswers), "$munich", munich(n), "$trunkMunich", or(o.munich, trunkAnswers),
		"$elsewhere", elsewhere(n), "$trunkElsewhere", or(o.elsewhere, trunkAnswers), "$second", second(n)+"@"+or(o.second, trunkAnswers),
		"$hours", or(o.hours, openNow), "$ring", fmt.Sprint(o.ring), "$active", fmt.Sprint(!o.inactive),
	).Replace(`
INSERT INTO translation_table (translation_table, match) VALUES ('$name', 'exact');
INSERT INTO translation (translation_table, key, value, trunk) VALUES ('$name', 'berlin', '$berlin', '$trunkBerlin'), ('$name', 'munich', '$munich', '$trunkMunich');
INSERT INTO distribution (distribution, method) VALUES ('$name', 'percentage');
INSERT INTO distribution_branch (distribution, position, branch, weight, value, trunk) VALUES ('$name', 1, 'only', 100, '$elsewhere', '$trunkElsewhere');
INSERT INTO service (service, subscriber, script, language, active) VALUES ('$name', 'acme', 'freephone', 'en', $active);
INSERT INTO service_parameter (service, parameter, value) VALUES
    ('$name', 'hours', '$hours'), ('$name', 'offices', '$name'), ('$name', 'elsewhere', '$name'), ('$name', 'second_office', '$second'), ('$name', 'ring_seconds', '$ring');
INSERT INTO service_number (number, match, service) VALUES ('$number', 'exact', '$name');
`)
	return s
}

// vault is service number n on the shipped script security_screening; behind the code is an office at a trunk.
func vault(n int, trunk string) service {
	s := service{name: fmt.Sprintf("vault_%d", n), called: fmt.Sprintf("0900%07d", n)}
	s.rows = strings.NewReplacer("$name", s.name, "$number", "49"+s.called[1:], "$target", second(n)+"@"+trunk).Replace(`
INSERT INTO service (service, subscriber, script, language) VALUES ('$name', 'acme', 'security_screening', 'en');
INSERT INTO service_parameter (service, parameter, value) VALUES ('$name', 'codes', 'codes'), ('$name', 'destination', '$target');
INSERT INTO service_number (number, match, service) VALUES ('$number', 'exact', '$name');
`)
	return s
}
