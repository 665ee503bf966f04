package replay_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ringmaster/logic"
	"ringmaster/logic/replay"
	"ringmaster/logic/transcript"
)

// compile makes a snapshot of the demo carrier, the shipped scripts and more rows, after edit has changed them.
func compile(t testing.TB, more string, edit func(*logic.Rows)) *logic.Snapshot {
	t.Helper()
	files := map[string]string{"demo": "../../testdata/demo/carrier.sql"}
	text := "include demo\n"
	entries, err := os.ReadDir("../../migrations")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range entries {
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
	if edit != nil {
		edit(&read.Rows)
	}
	snapshot, problems := logic.Compile(&read.Rows, nil, time.LoadLocation)
	for _, problem := range problems {
		if problem.Table != "session_key" {
			t.Fatal(problem)
		}
	}
	return snapshot
}

func translate(key, value string) func(*logic.Rows) {
	return func(r *logic.Rows) {
		for i := range r.Translations {
			if r.Translations[i].Key == key {
				r.Translations[i].Value = value
			}
		}
	}
}

func parameter(service, name, value string) func(*logic.Rows) {
	return func(r *logic.Rows) {
		r.ServiceParameters = slices.DeleteFunc(r.ServiceParameters, func(p logic.ServiceParameterRow) bool { return p.Service == service && p.Parameter == name })
		r.ServiceParameters = append(r.ServiceParameters, logic.ServiceParameterRow{Service: service, Parameter: name, Value: value})
	}
}

// call is a recorded call of a caller in Berlin on a Tuesday morning; legs are number:status.
func call(dialled string, outcome logic.CallOutcome, path string, legs ...string) *logic.CDR {
	cdr := &logic.CDR{CallID: "c1", Caller: "49301112222", Dialled: dialled, Called: dialled, Outcome: outcome, Path: path,
		StartedAt: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}
	for _, one := range legs {
		number, word, _ := strings.Cut(one, ":")
		status, ok := logic.ParseStatus(word)
		if !ok {
			panic(word)
		}
		cdr.Legs = append(cdr.Legs, logic.Leg{Number: number, Trunk: "office", Status: status, Cause: 17})
	}
	return cdr
}

const circular = `INSERT INTO distribution (distribution, method) VALUES ('ring', 'circular');
INSERT INTO distribution_branch (distribution, position, branch, value, trunk) VALUES ('ring', 1, 'a', '491', 'office'), ('ring', 2, 'b', '492', 'office'), ('ring', 3, 'c', '493', 'office');
INSERT INTO translation_table (translation_table, match) VALUES ('none', 'exact');
INSERT INTO service (service, subscriber, script) VALUES ('circle', 'acme', 'freephone');
INSERT INTO service_parameter (service, parameter, value) VALUES ('circle', 'hours', 'always'), ('circle', 'offices', 'none'), ('circle', 'elsewhere', 'ring'), ('circle', 'second_office', '499@office');
INSERT INTO service_number (number, match, service) VALUES ('498007777777', 'exact', 'circle');
`

func TestCompare(t *testing.T) {
	answered := call("08002222222", logic.CallAnswered, "", "4930200100:busy", "4930200200:answer")
	for _, c := range []struct {
		name    string
		cdr     *logic.CDR
		more    string
		edit    func(*logic.Rows)
		at      time.Time // of the side after
		kind    replay.Kind
		before  []string // targets
		after   []string
		outcome string // before
		unknown string // after, a part of it
	}{
		{"nothing changes", answered, "", nil, time.Time{}, replay.Same, []string{"4930200100@office", "4930200200@office"}, []string{"4930200100@office", "4930200200@office"}, "answered", ""},
		{"another office", answered, "", translate("berlin", "4930200777"), time.Time{}, replay.Target, []string{"4930200100@office", "4930200200@office"}, []string{"4930200777@office"}, "answered", "4930200777@office was not tried then"},
		{"another second office", answered, "", parameter("acme_hotline", "second_office", "4930@pstn"), time.Time{}, replay.Target, []string{"4930200100@office", "4930200200@office"},
			[]string{"4930200100@office", "4930@pstn"}, "answered", "4930@pstn was not tried then"},
		{"an office that nobody asks for", answered, "", translate("munich", "4989"), time.Time{}, replay.Same, []string{"4930200100@office", "4930200200@office"}, []string{"4930200100@office", "4930200200@office"}, "answered", ""},
		{"the second first", answered, "", translate("berlin", "4930200200"), time.Time{}, replay.Target, []string{"4930200100@office", "4930200200@office"}, []string{"4930200200@office"}, "answered", ""},
		{"a longer ring", answered, "", parameter("acme_hotline", "ring_seconds", "55"), time.Time{}, replay.Treatment, []string{"4930200100@office", "4930200200@office"}, []string{"4930200100@office", "4930200200@office"}, "answered", ""},
		{"another service", answered, "", func(r *logic.Rows) {
			for i := range r.ServiceNumbers {
				r.ServiceNumbers[i].Service = "acme_freephone"
			}
		}, time.Time{}, replay.Service, []string{"4930200100@office", "4930200200@office"}, []string{"4930200100@office", "4930200200@office"}, "answered", ""},
		{"closed", answered, "", parameter("acme_hotline", "hours", "office_hours"), time.Date(2026, 12, 25, 10, 0, 0, 0, time.UTC), replay.Target, []string{"4930200100@office", "4930200200@office"}, nil, "answered", ""},
		{"closed then, with other words", call("08001234567", logic.CallReleased, "", nil...), "", nil, time.Date(2026, 12, 25, 10, 0, 0, 0, time.UTC), replay.Target, []string{"4930200100@office"}, nil, "", ""},
		{"all busy", call("08002222222", logic.CallBusy, "", "4930200100:busy", "4930200200:busy"), "", nil, time.Time{}, replay.Same, []string{"4930200100@office", "4930200200@office"}, []string{"4930200100@office", "4930200200@office"}, "busy", ""},
		{"hung up while it rang", call("08002222222", logic.CallAbandoned, ""), "", nil, time.Time{}, replay.Same, []string{"4930200100@office"}, []string{"4930200100@office"}, "abandoned", ""},
		{"a leg that hung up", call("08002222222", logic.CallAbandoned, "", "4930200100:hangup"), "", nil, time.Time{}, replay.Same, []string{"4930200100@office"}, []string{"4930200100@office"}, "abandoned", ""},
		{"no service", call("0800", logic.CallReleased, ""), "", nil, time.Time{}, replay.Same, nil, nil, "released", ""},
		{"the turn that it was", call("08007777777", logic.CallAnswered, "", "493:answer"), circular, nil, time.Time{}, replay.Same, []string{"493@office"}, []string{"493@office"}, "answered", ""},
		{"a code", call("09005550100", logic.CallAnswered, "begin:done ask:digits form:ok known:in admit:answer", "4930200900:answer"), "", parameter("citybank_vault", "destination", "4940@office"), time.Time{},
			replay.Same, nil, nil, "", "what the caller dialled at step ask is not kept"},
		{"no code", call("09005550100", logic.CallAbandoned, "begin:done ask:timeout count:done enough:false wrong:done"), "", parameter("citybank_vault", "most_tries", "1"), time.Time{}, replay.Outcome, nil, nil, "abandoned", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := replay.Side{Snapshot: compile(t, c.more, nil)}.Walk(c.cdr, false)
			after := replay.Side{Snapshot: compile(t, c.more, c.edit), At: c.at}.Walk(c.cdr, false)
			if kind := replay.Compare(&before, &after); kind != c.kind {
				t.Errorf("the kind is %q, want %q", kind, c.kind)
			}
			if !slices.Equal(before.Targets, c.before) || !slices.Equal(after.Targets, c.after) {
				t.Errorf("targets %q and %q, want %q and %q", before.Targets, after.Targets, c.before, c.after)
			}
			if before.Outcome != c.outcome || !strings.Contains(after.Unknown, c.unknown) || (c.unknown == "") != (after.Unknown == "") {
				t.Errorf("outcome %q (%s), after %q; want %q, %q", before.Outcome, before.Unknown, after.Unknown, c.outcome, c.unknown)
			}
		})
	}
}

// TestTurnOfARemovedBranch: a call that a branch got which is no more goes elsewhere.
func TestTurnOfARemovedBranch(t *testing.T) {
	cdr := call("08007777777", logic.CallAnswered, "", "493:answer")
	after := compile(t, circular, func(r *logic.Rows) {
		r.Branches = slices.DeleteFunc(r.Branches, func(b logic.BranchRow) bool { return b.Value == "493" })
	})
	a, b := replay.Side{Snapshot: compile(t, circular, nil)}.Walk(cdr, true), replay.Side{Snapshot: after}.Walk(cdr, true)
	if kind := replay.Compare(&a, &b); kind != replay.Target {
		t.Errorf("%q: %v and %v", kind, a, b)
	}
	// Turns that were tried and not taken leave no decision behind.
	picks := 0
	for _, d := range a.Decisions {
		if strings.Contains(d.Reason, "it is the turn of") {
			picks++
			if d.Reason != "it is the turn of 493@office" {
				t.Error(d.Reason)
			}
		}
	}
	if picks != 1 {
		t.Errorf("%d decisions tell of a turn", picks)
	}
}

func TestReport(t *testing.T) {
	r := replay.New(replay.Side{Snapshot: compile(t, "", nil)}, replay.Side{Snapshot: compile(t, "", translate("berlin", "4930200777"))}, 2)
	for i := range 5 {
		cdr := call("08002222222", logic.CallAnswered, "", "4930200100:answer")
		cdr.CallID = fmt.Sprintf("c%d", i)
		r.Add(cdr)
	}
	r.Add(call("09005550100", logic.CallAnswered, "begin:done ask:digits"))
	report := r.Report()
	if want := (replay.Tally{Calls: 6, Same: 1, Elsewhere: 5, Unknown: 1}); report.Total != want {
		t.Errorf("%+v, want %+v", report.Total, want)
	}
	if len(report.Services) != 2 || report.Services[0] != (replay.Tally{Service: "acme_hotline", Calls: 5, Elsewhere: 5}) {
		t.Errorf("%+v", report.Services)
	}
	if len(report.Differences) != 2 || report.Differences[1].CallID != "c1" || len(report.Differences[0].After.Decisions) == 0 {
		t.Errorf("%+v", report.Differences)
	}
}

// TestAnyRecord: whatever a CDR says, it is walked to an end, and two sides that are one never differ.
func TestAnyRecord(t *testing.T) {
	snapshot := compile(t, circular, nil)
	rapid.Check(t, func(t *rapid.T) {
		pick := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, "word") }
		cdr := call(pick("08002222222", "08001234567", "09005550100", "08007777777", "", "x", "+49"), logic.CallOutcome(pick("answered", "abandoned", "busy", "fallback", "")),
			pick("", "ask:digits", "ask:timeout ask:timeout", "begin:done ask:123 ask:timeout ask:", ":::", "ask"))
		cdr.Caller = pick("", "49301112222", "+49", "x")
		for range rapid.IntRange(0, 12).Draw(t, "legs") {
			cdr.Legs = append(cdr.Legs, logic.Leg{Number: pick("4930200100", "4930200200", "493", ""), Trunk: pick("office", "pstn"), Status: logic.Status(rapid.IntRange(0, 9).Draw(t, "status"))})
		}
		a, b := replay.Side{Snapshot: snapshot}.Walk(cdr, false), replay.Side{Snapshot: snapshot}.Walk(cdr, true)
		if kind := replay.Compare(&a, &b); kind != replay.Same {
			t.Fatalf("%q: %+v and %+v", kind, a, b)
		}
		if (a.Outcome == "") == (a.Unknown == "") {
			t.Fatalf("neither or both: %+v", a)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	snapshot := compile(b, "", nil)
	r := replay.New(replay.Side{Snapshot: snapshot}, replay.Side{Snapshot: snapshot}, 10)
	cdr := call("08002222222", logic.CallAnswered, "", "4930200100:busy", "4930200200:answer")
	for b.Loop() {
		r.Add(cdr)
	}
}

// TestCost: the same way at another price is a difference, and what was refused then is refused again.
func TestCost(t *testing.T) {
	dearer := func(r *logic.Rows) {
		for i := range r.TariffRates {
			if r.TariffRates[i].Tariff == "reverse" && r.TariffRates[i].Prefix == "4930" {
				r.TariffRates[i].PricePerMinute *= 2
			}
		}
	}
	paid := call("08005550800", logic.CallAnswered, "hours:true rate:granted", "4930200110:answer")
	paid.Legs[0].TalkMilliseconds = 59_001
	sides := [2]replay.Side{{Snapshot: compile(t, "", nil)}, {Snapshot: compile(t, "", dearer)}}
	before, after := sides[0].Walk(paid, false), sides[1].Walk(paid, false)
	if got := replay.Compare(&before, &after); got != replay.Cost || len(before.Cost) != 1 || !strings.HasPrefix(before.Cost[0], "0.03 EUR for 60 s") || !strings.HasPrefix(after.Cost[0], "0.06 EUR for 60 s") {
		t.Errorf("%q: %v, then %v", got, before, after)
	}
	if before, same := sides[0].Walk(paid, false), sides[0].Walk(paid, true); replay.Compare(&before, &same) != replay.Same {
		t.Errorf("%v, then %v", before, same)
	}
	paid.Caller = "49891112222" // rated by another prefix
	before, after = sides[0].Walk(paid, false), sides[1].Walk(paid, false)
	if got := replay.Compare(&before, &after); got != replay.Same || len(before.Cost) != 1 {
		t.Errorf("%q: %v", got, before)
	}
	refused := call("08005550800", logic.CallReleased, "hours:true rate:refused")
	if route := sides[0].Walk(refused, false); route.Outcome != "released" || len(route.Cost) > 0 {
		t.Errorf("%v", route)
	}
}
