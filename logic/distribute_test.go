package logic_test

import (
	"fmt"
	"math"
	"testing"

	"ringmaster/logic"
)

// distributeRows is a script that distributes twice, one after the other, and connects to what came of the second.
func distributeRows(t *testing.T, method string) *logic.Rows {
	return readRows(t, `
INSERT INTO numbering_plan (numbering_plan, country_code, international_prefix, national_prefix) VALUES ('default', '49', '00', '0');
INSERT INTO trunk (trunk) VALUES ('office');
INSERT INTO distribution (distribution, method) VALUES ('first', '`+method+`'), ('second', '`+method+`');
INSERT INTO distribution_branch (distribution, position, branch, weight, value, trunk) VALUES
    ('first', 1, 'a', 50, '1', 'office'), ('first', 2, 'b', 0, '2', 'office'), ('first', 3, 'c', 50, '3', 'office'),
    ('second', 1, 'a', 70, '1', 'office'), ('second', 2, 'b', 0, '2', 'office'), ('second', 3, 'c', 30, '3', 'office');
INSERT INTO script (script, first_step) VALUES ('s', 'one');
INSERT INTO script_parameter (script, parameter, type, default_value) VALUES ('s', 'first', 'distribution', 'first'), ('s', 'second', 'distribution', 'second');
INSERT INTO step (script, step, sib, parameters) VALUES
    ('s', 'one', 'distribute', '{"distribution": "${first}", "into": "first_target"}'), ('s', 'two', 'distribute', '{"distribution": "${second}"}'),
    ('s', 'ring', 'bcp', '{"action": "connect", "target": "${target}"}');
INSERT INTO step_exit (script, step, exit, next_step) VALUES ('s', 'one', 'done', 'two'), ('s', 'two', 'done', 'ring');
INSERT INTO subscriber (subscriber) VALUES ('acme');
INSERT INTO service (service, subscriber, script) VALUES ('acme_one', 'acme', 's');
INSERT INTO service_number (number, match, service) VALUES ('', 'prefix', 'acme_one');
`)
}

// picks places n calls and counts which branches the two distributions picked.
func picks(t *testing.T, snapshot *logic.Snapshot, n int, caller func(i int) string) map[[2]string]int {
	t.Helper()
	counts := make(map[[2]string]int)
	turns := make(map[string]uint64)
	var out logic.Outcome
	for i := range n {
		call := logic.Session{CallID: fmt.Sprintf("node-1763888400.%d", i), Caller: caller(i), Called: "110"}
		event := logic.Event{Kind: logic.EventStart}
		for snapshot.Step(&call, event, monday, &out); out.Ask.Kind != logic.AskNothing; snapshot.Step(&call, event, monday, &out) {
			event = logic.Event{Kind: logic.EventAnswer, Turn: turns[out.Ask.Name]}
			turns[out.Ask.Name]++
		}
		counts[[2]string{call.Value("first_target"), call.Value("target")}]++
	}
	return counts
}

// near fails when got is further from want than four standard deviations of so many draws.
func near(t *testing.T, what string, got, n int, want float64) {
	t.Helper()
	if deviation := math.Abs(float64(got) - float64(n)*want); deviation > 4*math.Sqrt(float64(n)*want*(1-want)) {
		t.Errorf("%s: %d of %d, want about %.0f", what, got, n, float64(n)*want)
	}
}

// TestShares: percentage and hash come out right over many calls, and one distribution behind another does not see a skewed part of them.
func TestShares(t *testing.T) {
	const n = 20_000
	callers := func(i int) string { return fmt.Sprintf("4930%07d", i) }
	for method, caller := range map[string]func(int) string{"percentage": callers, "hash": callers} {
		counts := picks(t, compile(t, distributeRows(t, method)), n, caller)
		for pair, share := range map[[2]string]float64{{"1@office", "1@office"}: .35, {"1@office", "3@office"}: .15, {"3@office", "1@office"}: .35, {"3@office", "3@office"}: .15} {
			near(t, fmt.Sprint(method, pair), counts[pair], n, share)
		}
		if len(counts) != 4 {
			t.Errorf("%s: a branch of weight 0 was picked: %v", method, counts)
		}
	}
	unknown := picks(t, compile(t, distributeRows(t, "hash")), n, func(int) string { return "" })
	near(t, "hash of unknown callers", unknown[[2]string{"1@office", "1@office"}], n, .35)
	if one := picks(t, compile(t, distributeRows(t, "hash")), 500, func(int) string { return "4930111" }); len(one) != 1 {
		t.Errorf("one caller went to %v", one)
	}
}

// TestCircularIsExact: each branch has its turn, weights or not, and each distribution its own.
func TestCircularIsExact(t *testing.T) {
	counts := picks(t, compile(t, distributeRows(t, "circular")), 300, func(int) string { return "" })
	for _, branch := range []string{"1@office", "2@office", "3@office"} {
		if counts[[2]string{branch, branch}] != 100 {
			t.Errorf("%v", counts)
		}
	}
}
