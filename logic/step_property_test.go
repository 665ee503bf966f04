package logic_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ringmaster/logic"
)

// worldRows is what random scripts find: two trunks, prompts, tables and lists of both kinds, distributions of all methods.
const worldRows = `
INSERT INTO numbering_plan (numbering_plan, country_code, international_prefix, national_prefix) VALUES ('default', '49', '00', '0');
INSERT INTO trunk (trunk) VALUES ('office'), ('pstn');
INSERT INTO prompt (prompt, file) VALUES ('hello', 'hello-world');
INSERT INTO area_prefix (prefix, area) VALUES ('', 'world'), ('49', 'germany'), ('4930', 'berlin');
INSERT INTO calendar (calendar, time_zone) VALUES ('hours', 'Europe/Berlin');
INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('hours', '1111100', '08:00', '18:00');
INSERT INTO screening_list (screening_list, match) VALUES ('list', 'prefix');
INSERT INTO screening_entry (screening_list, entry, valid_from, valid_to) VALUES ('list', '4930', NULL, NULL), ('list', '1', '2026-01-01', NULL), ('list', '2', NULL, '2026-01-01');
INSERT INTO translation_table (translation_table, match) VALUES ('areas', 'exact'), ('prefixes', 'prefix');
INSERT INTO translation (translation_table, key, value, trunk) VALUES
    ('areas', 'berlin', '4930200100', 'office'), ('areas', 'germany', 'just text', NULL),
    ('prefixes', '', '0', 'pstn'), ('prefixes', '49', '*21#', 'office'), ('prefixes', '4930', '1@office,2@pstn,3@nowhere', NULL);
INSERT INTO distribution (distribution, method) VALUES ('percentage', 'percentage'), ('circular', 'circular'), ('hierarchical', 'hierarchical'), ('hash', 'hash');
INSERT INTO distribution_branch (distribution, position, branch, weight, value, trunk) VALUES
    ('percentage', 1, 'a', 1, '1', 'office'), ('percentage', 2, 'b', 0, '2', 'office'), ('percentage', 3, 'c', 9, '3', 'pstn'),
    ('circular', 1, 'a', 1, '1', 'office'), ('circular', 2, 'b', 0, '2', 'office'), ('circular', 3, 'c', 9, '3', 'pstn'),
    ('hierarchical', 1, 'a', 1, '1', 'office'), ('hierarchical', 2, 'b', 0, '2', 'office'), ('hierarchical', 3, 'c', 9, '3', 'pstn'),
    ('hash', 1, 'a', 1, '1', 'office'), ('hash', 2, 'b', 0, '2', 'office'), ('hash', 3, 'c', 9, '3', 'pstn');
INSERT INTO script (script, first_step) VALUES ('s', 's0');
INSERT INTO script_parameter (script, parameter, type, default_value) VALUES
    ('s', 'areas', 'translation_table', 'areas'), ('s', 'prefixes', 'translation_table', 'prefixes'), ('s', 'list', 'screening_list', 'list'),
    ('s', 'hours', 'calendar', 'hours'), ('s', 'hello', 'prompt', 'hello'), ('s', 'where', 'target', '1@office,2@pstn'), ('s', 'n', 'integer', '3'),
    ('s', 'percentage', 'distribution', 'percentage'), ('s', 'circular', 'distribution', 'circular'),
    ('s', 'hierarchical', 'distribution', 'hierarchical'), ('s', 'hash', 'distribution', 'hash');
INSERT INTO subscriber (subscriber) VALUES ('acme');
INSERT INTO service (service, subscriber, script) VALUES ('acme_one', 'acme', 's');
INSERT INTO service_number (number, match, service) VALUES ('', 'prefix', 'acme_one');
`

// randomStep is a way to write a step: its exits lead on, and when it waits they may lead back.
type randomStep struct {
	sib        string
	parameters []string
	exits      []string
	waits      bool
}

var randomSteps = []randomStep{
	{"translate", []string{`{"table": "${areas}", "key": "${origin}"}`, `{"table": "${prefixes}", "into": "a"}`, `{"table": "${prefixes}", "key": "${digits}${caller}", "into": "b"}`}, []string{"found", "not_found"}, false},
	{"screen", []string{`{"list": "${list}"}`, `{"list": "${list}", "value": "${digits}"}`}, []string{"in", "out"}, false},
	{"compare", []string{`{"condition": "open(hours)"}`, `{"condition": "attempt > 1 || cause == 17"}`, `{"condition": "caller.startsWith(digits) && !holiday(hours)"}`,
		`{"condition": "count / (count - count) > 1"}`, `{"condition": "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, a+b+c+d > 0))))"}`}, []string{"true", "false"}, false},
	{"algorithm", []string{`{"expression": "count + n", "type": "integer", "into": "count"}`, `{"expression": "count * 9223372036854775807", "type": "integer", "into": "count"}`}, []string{"done"}, false},
	{"algorithm", []string{`{"expression": "a + a + caller", "into": "a"}`, `{"expression": "'\\u0000\\n' + b", "into": "b"}`, `{"expression": "caller + '@pstn'", "into": "target"}`}, []string{"done"}, false},
	{"distribute", []string{`{"distribution": "${percentage}"}`, `{"distribution": "${circular}"}`, `{"distribution": "${hierarchical}"}`, `{"distribution": "${hash}", "into": "a"}`}, []string{"done"}, false},
	{"distribute", []string{`{"distribution": "${circular}"}`, `{"distribution": "${percentage}"}`}, []string{"done", "c"}, false},
	{"verify", []string{`{"value": "${digits}", "luhn": true}`, `{"value": "${caller}", "pattern": "49.*", "maximum": "${n}"}`}, []string{"ok", "wrong"}, false},
	{"log", []string{`{"kind": "k", "text": "${a} ${b} ${now} ${digits}"}`}, []string{"done"}, false},
	{"interact", []string{`{"prompts": ["${hello}", "${hello}"]}`, `{"prompts": ["${hello}"], "answer": false}`}, []string{"done"}, false},
	{"interact", []string{`{"maximum": 1}`, `{"prompts": ["${hello}"], "minimum": 0, "maximum": "${n}", "into": "a"}`, `{"minimum": 32, "maximum": "${n}"}`}, []string{"digits", "timeout", "1", "*"}, true},
	{"bcp", []string{`{"action": "connect", "target": "${target}"}`, `{"action": "connect", "target": "${a}", "timeout": "${n}", "caller_id": "${called}"}`, `{"action": "connect", "target": "${where}", "maximum_seconds": 60, "warning_seconds": 5}`,
		`{"action": "connect", "target": "${digits}@pstn"}`}, []string{"busy", "no_answer", "unreachable"}, true},
	{"bcp", []string{`{"action": "connect", "target": "${where}", "caller_id": "${a}"}`}, []string{"busy", "answer"}, true},
	{"bcp", []string{`{"action": "release", "cause": 21}`, `{"action": "continue"}`}, nil, false},
}

// randomSnapshot compiles a random script that an operator could have written. Its first steps set the variables that the others use.
func randomSnapshot(t *rapid.T, rows logic.Rows) *logic.Snapshot {
	n := rapid.IntRange(1, 30).Draw(t, "steps")
	rows.Steps = []logic.StepRow{
		{Script: "s", Step: "v1", SIB: "algorithm", Parameters: []byte(`{"expression": "0", "type": "integer", "into": "count"}`)},
		{Script: "s", Step: "v2", SIB: "algorithm", Parameters: []byte(`{"expression": "''", "into": "a"}`)},
		{Script: "s", Step: "v3", SIB: "algorithm", Parameters: []byte(`{"expression": "caller", "into": "b"}`)},
		{Script: "s", Step: "v4", SIB: "algorithm", Parameters: []byte(`{"expression": "caller", "into": "digits"}`)},
		{Script: "s", Step: "v5", SIB: "algorithm", Parameters: []byte(`{"expression": "'1@office'", "into": "target"}`)},
	}
	rows.Scripts = []logic.ScriptRow{{Script: "s", FirstStep: "v1"}}
	name := func(i int) string { return fmt.Sprint("s", i) }
	rows.StepExits = nil
	for i := range rows.Steps {
		next := name(0)
		if i+1 < len(rows.Steps) {
			next = rows.Steps[i+1].Step
		}
		rows.StepExits = append(rows.StepExits, logic.StepExitRow{Script: "s", Step: rows.Steps[i].Step, Exit: "done", NextStep: next})
	}
	for i := range n {
		kind := rapid.SampledFrom(randomSteps).Draw(t, "sib")
		if i == n-1 {
			kind = randomSteps[len(randomSteps)-1]
		} else if kind.exits == nil {
			kind = randomSteps[0]
		}
		rows.Steps = append(rows.Steps, logic.StepRow{Script: "s", Step: name(i), SIB: kind.sib, Parameters: []byte(rapid.SampledFrom(kind.parameters).Draw(t, "parameters"))})
		for j, exit := range kind.exits {
			next := i + 1
			if j > 0 && kind.waits {
				next = rapid.IntRange(0, n-1).Draw(t, "next")
			} else if j > 0 {
				next = rapid.IntRange(i+1, n-1).Draw(t, "next")
			}
			rows.StepExits = append(rows.StepExits, logic.StepExitRow{Script: "s", Step: name(i), Exit: exit, NextStep: name(next)})
		}
	}
	rows.Revision = rapid.Int64Range(1, 1<<40).Draw(t, "revision")
	snapshot, problems := logic.Compile(&rows, nil, time.LoadLocation)
	if len(problems) > 0 {
		t.Fatalf("%v", problems)
	}
	return snapshot
}

func randomResults(t *rapid.T) []logic.Result {
	var all []logic.Result
	for range rapid.IntRange(0, 4).Draw(t, "results") {
		all = append(all, logic.Result{
			Op:     rapid.SampledFrom([]logic.Op{logic.OpConnect, logic.OpCollect, logic.OpConnect, logic.OpCollect, logic.OpPlay, logic.OpRelease}).Draw(t, "op"),
			Status: logic.Status(rapid.SampledFrom([]int{0, 1, 2, 3, 4, 5, 6, 8, 1, 1, 4, 4, 7, 99}).Draw(t, "status")),
			Digits: rapid.SampledFrom([]string{"1", "*", "", "12", "4930200100", "A#", strings.Repeat("9", 64), "x&y"}).Draw(t, "digits"),
			Target: rapid.SampledFrom([]int{0, 0, 0, 1, -1, 7, 1 << 40}).Draw(t, "target"),
			Cause:  rapid.SampledFrom([]int{17, 0, 127, -1, 1 << 30}).Draw(t, "cause"),
			Talk:   time.Duration(rapid.Int64().Draw(t, "talk")),
		})
	}
	return all
}

// clone copies a session, so that nothing of the copy is shared.
func clone(call *logic.Session) *logic.Session {
	copied := *call
	copied.Variables, copied.Path, copied.Legs = slices.Clone(call.Variables), slices.Clone(call.Path), slices.Clone(call.Legs)
	copied.Records, copied.Targets = slices.Clone(call.Records), slices.Clone(call.Targets)
	return &copied
}

// run steps an event to its reply; the shell's turns count from 0.
func run(t *rapid.T, snapshot *logic.Snapshot, call *logic.Session, event logic.Event, trace *logic.Trace) []logic.Instruction {
	out := logic.Outcome{Trace: trace}
	for turn := range uint64(logic.StepBudget) {
		snapshot.Step(call, event, monday, &out)
		if out.Ask.Kind == logic.AskNothing {
			return out.Instructions
		}
		event = logic.Event{Kind: logic.EventAnswer, Turn: turn*turn<<60 + turn}
	}
	t.Fatal("asks without end")
	return nil
}

// TestAnyCall plays random calls over random scripts, with a script edited under the call at times. No call panics, walks for ever or is left
// without an answer; what a node is told is always something it may obey; the same inputs give the same outcome, and being traced changes
// nothing.
func TestAnyCall(t *testing.T) {
	rows := *readRows(t, worldRows)
	rapid.Check(t, func(t *rapid.T) {
		snapshot := randomSnapshot(t, rows)
		call := &logic.Session{CallID: rapid.StringMatching(`[a-z0-9.-]{1,40}`).Draw(t, "call id"), Node: "node", StartedAt: monday,
			Caller:       rapid.SampledFrom([]string{"", "+49301112222", "0301112222", "004989", "12345", "*21#", "+", "0"}).Draw(t, "caller"),
			Called:       rapid.SampledFrom([]string{"08001234567", "+498001234567", "0", "00", "+", "*21#", "110", strings.Repeat("9", 32)}).Draw(t, "called"),
			Presentation: logic.Presentation(rapid.IntRange(0, 2).Draw(t, "presentation"))}
		event := logic.Event{Kind: logic.EventStart}
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			waited := call.Step != "" || event.Kind == logic.EventStart
			hungUp := slices.ContainsFunc(event.Results, func(r logic.Result) bool { return r.Status == logic.StatusHangup })
			before, second, traced := clone(call), clone(call), clone(call)
			instructions := run(t, snapshot, call, event, nil)
			checkReply(t, call, instructions, waited && !hungUp)
			if call.Attempt-before.Attempt > 1 || call.Attempt > logic.RedirectBudget {
				t.Fatalf("%d connects", call.Attempt)
			}
			for name, other := range map[string]*logic.Session{"the second time": second, "traced": traced} {
				var trace *logic.Trace
				if other == traced {
					trace = new(logic.Trace)
				}
				if again := run(t, snapshot, other, event, trace); fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", instructions) || fmt.Sprintf("%+v", *other) != fmt.Sprintf("%+v", *call) {
					t.Fatalf("%s: %+v, %+v\nnot %+v, %+v", name, again, *other, instructions, *call)
				}
				if trace != nil && waited && len(trace.Decisions) == 0 {
					t.Fatalf("nothing is said of %+v", instructions)
				}
			}
			token := snapshot.Keys().Seal(nil, call, monday.Add(time.Hour))
			opened := new(logic.Session)
			if state := snapshot.Keys().Open(token, "node", monday, opened); len(token) > logic.MaxTokenLength || state != logic.TokenGood {
				t.Fatalf("a token of %d bytes opens as %v", len(token), state)
			}
			if fmt.Sprintf("%+v", opened.Variables) != fmt.Sprintf("%+v", call.Variables) || opened.Step != call.Step {
				t.Fatalf("%+v became %+v", *call, *opened)
			}
			call = opened
			event = logic.Event{Kind: logic.EventReport, Results: randomResults(t)}
			if rapid.IntRange(0, 9).Draw(t, "edit") == 0 {
				snapshot = randomSnapshot(t, rows)
			}
		}
		end := logic.EndEvent{Results: randomResults(t), Talk: time.Duration(rapid.Int64().Draw(t, "end's talk"))}
		cdr := logic.EndCall(call, end, monday)
		if cdr.Outcome == "" || len(cdr.Legs) > logic.MaxLegs || cdr.Talk < 0 || !reflect.DeepEqual(cdr, logic.EndCall(call, end, monday)) {
			t.Fatalf("%+v", cdr)
		}
	})
}

// checkReply checks what a node is told: instructions that it may obey, ended by one that says who speaks next.
func checkReply(t *rapid.T, call *logic.Session, instructions []logic.Instruction, wanted bool) {
	if !wanted {
		if len(instructions) > 0 || call.Step != "" {
			t.Fatalf("nobody is there to hear %+v", instructions)
		}
		return
	}
	if len(instructions) == 0 {
		t.Fatal("no instructions")
	}
	if len(instructions) > logic.StepBudget+2 {
		t.Fatalf("%d instructions", len(instructions))
	}
	for i := range instructions {
		in := &instructions[i]
		last := i == len(instructions)-1
		ends := in.Op == logic.OpCollect || in.Op == logic.OpConnect || in.Op == logic.OpContinue || in.Op == logic.OpRelease
		waits := in.Op == logic.OpCollect || in.Op == logic.OpConnect
		if ends != last || last && waits != (call.Step != "") {
			t.Fatalf("instruction %d of %+v, waiting in %q", i, instructions, call.Step)
		}
		switch in.Op {
		case logic.OpConnect:
			if len(in.Targets) == 0 || len(in.Targets) > logic.MaxTargets || in.CallerID != "" && !logic.ValidNumber(in.CallerID) {
				t.Fatalf("%+v", in)
			}
			for _, target := range in.Targets {
				if target.Trunk != "office" && target.Trunk != "pstn" || !logic.ValidNumber(target.Number) || target.Timeout < 1 || target.Timeout > 300 {
					t.Fatalf("%+v", target)
				}
			}
		case logic.OpCollect, logic.OpPlay:
			if in.Op == logic.OpCollect && (in.Minimum < 0 || in.Minimum > in.Maximum || in.Maximum < 1 || in.Maximum > logic.MaxNumberLength) {
				t.Fatalf("%+v", in)
			}
			for _, file := range in.Prompts {
				if file != "hello-world" {
					t.Fatalf("%+v", in)
				}
			}
		case logic.OpRelease:
			if in.Cause < 1 || in.Cause > 127 || call.Release != in.Cause {
				t.Fatalf("%+v, session %d", in, call.Release)
			}
		}
	}
}
