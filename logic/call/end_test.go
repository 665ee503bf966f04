package call_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ringmaster/logic/call"
	"ringmaster/logic/charging"
)

func leg(status call.Status) call.Leg {
	return call.Leg{Trunk: "office", Number: "4930", Status: status}
}

func result(op call.Op, status call.Status) call.Result { return call.Result{Op: op, Status: status} }

func TestOutcome(t *testing.T) {
	ringing := []call.Target{{"office", "4930", 20}}
	legs := func(all ...call.Status) (made []call.Leg) {
		for _, one := range all {
			made = append(made, leg(one))
		}
		return made
	}
	for _, c := range []struct {
		name string
		call call.Session
		end  call.EndEvent
		want call.Outcome
	}{
		{"nothing but an end", call.Session{}, call.EndEvent{}, call.OutcomeAbandoned},
		{"answered, as the end says", call.Session{Targets: ringing}, call.EndEvent{Talk: time.Second, Results: []call.Result{result(call.OpConnect, call.StatusAnswer)}}, call.OutcomeAnswered},
		{"busy, as the end says", call.Session{Targets: ringing}, call.EndEvent{Results: []call.Result{result(call.OpConnect, call.StatusBusy)}}, call.OutcomeBusy},
		{"no answer", call.Session{Legs: legs(call.StatusNoAnswer), Release: 19}, call.EndEvent{}, call.OutcomeNoAnswer},
		{"no answer in time", call.Session{Legs: legs(call.StatusTimeout)}, call.EndEvent{}, call.OutcomeNoAnswer},
		{"failed", call.Session{Legs: legs(call.StatusFailed)}, call.EndEvent{}, call.OutcomeUnreachable},
		{"unreachable", call.Session{Legs: legs(call.StatusBusy, call.StatusUnreachable), Release: 27}, call.EndEvent{}, call.OutcomeUnreachable},
		{"fallback in mid-call", call.Session{Answered: true}, call.EndEvent{Talk: time.Second, Fallback: true}, call.OutcomeFallback},
		{"fallback after busy", call.Session{Legs: legs(call.StatusBusy)}, call.EndEvent{Fallback: true}, call.OutcomeFallback},
		{"fallback after a conversation", call.Session{Legs: legs(call.StatusAnswer)}, call.EndEvent{Fallback: true}, call.OutcomeAnswered},
		{"hung up while it rang", call.Session{Targets: ringing}, call.EndEvent{Results: []call.Result{result(call.OpConnect, call.StatusHangup)}}, call.OutcomeAbandoned},
		{"hung up while it rang, reported before", call.Session{Legs: legs(call.StatusHangup), HungUp: true}, call.EndEvent{}, call.OutcomeAbandoned},
		{"hung up at a prompt after busy", call.Session{Legs: legs(call.StatusBusy)}, call.EndEvent{Results: []call.Result{result(call.OpCollect, call.StatusHangup)}}, call.OutcomeAbandoned},
		{"the same, reported before", call.Session{Legs: legs(call.StatusBusy), HungUp: true}, call.EndEvent{}, call.OutcomeAbandoned},
		{"spoke to somebody, then hung up at a prompt", call.Session{Legs: legs(call.StatusAnswer)}, call.EndEvent{Talk: time.Minute, Results: []call.Result{result(call.OpCollect, call.StatusHangup)}}, call.OutcomeAnswered},
		{"spoke to somebody, then busy", call.Session{Legs: legs(call.StatusAnswer, call.StatusBusy)}, call.EndEvent{}, call.OutcomeAnswered},
		{"released", call.Session{Release: 16}, call.EndEvent{Cause: 16, Talk: time.Second}, call.OutcomeReleased},
		{"continued", call.Session{Continued: true}, call.EndEvent{Talk: time.Second}, call.OutcomeContinued},
		{"continued after busy", call.Session{Continued: true, Legs: legs(call.StatusBusy)}, call.EndEvent{}, call.OutcomeContinued},
		{"the agent is gone, but they talked", call.Session{Targets: ringing}, call.EndEvent{Talk: time.Second}, call.OutcomeAnswered},
		{"the same after busy", call.Session{Targets: ringing, Legs: legs(call.StatusBusy)}, call.EndEvent{Talk: time.Second}, call.OutcomeAnswered},
		{"the agent is gone, and only we had answered", call.Session{Targets: ringing, Answered: true}, call.EndEvent{Talk: time.Second}, call.OutcomeAbandoned},
		{"a target that was never told", call.Session{Targets: ringing}, call.EndEvent{Results: []call.Result{{Op: call.OpConnect, Status: call.StatusBusy, Target: 7}}}, call.OutcomeAbandoned},
		{"an answer without a connect", call.Session{}, call.EndEvent{Talk: time.Hour, Results: []call.Result{result(call.OpConnect, call.StatusAnswer)}}, call.OutcomeAbandoned},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := c.call
			cdr := call.EndCall(&c.call, c.end, now)
			if cdr.Outcome != c.want {
				t.Errorf("%s, want %s", cdr.Outcome, c.want)
			}
			if again := call.EndCall(&c.call, c.end, now); !reflect.DeepEqual(again, cdr) {
				t.Errorf("the second time %+v", again)
			}
			if !reflect.DeepEqual(before, c.call) {
				t.Errorf("the session has changed: %+v", c.call)
			}
		})
	}
}

func TestEndTimes(t *testing.T) {
	started := now.Add(-time.Minute)
	c := call.Session{CallID: "c", StartedAt: started}
	if cdr := call.EndCall(&c, call.EndEvent{}, now); cdr.EndedAt != now || cdr.StartedAt != started || !cdr.AnsweredAt.IsZero() {
		t.Errorf("%+v", cdr)
	}
	local := now.Add(-time.Second).In(time.FixedZone("x", 3600))
	if cdr := call.EndCall(&c, call.EndEvent{EndedAt: local, Talk: -time.Hour}, now); cdr.EndedAt != local.UTC() || cdr.Talk != 0 {
		t.Errorf("%+v", cdr)
	}
	fallback := call.FallbackCDR(&call.Session{CallID: "c", Called: "110"}, call.EndEvent{Talk: time.Second, EndedAt: local}, now)
	if fallback.Outcome != call.OutcomeFallback || fallback.StartedAt != local.UTC().Add(-time.Second) || fallback.Called != "110" {
		t.Errorf("%+v", fallback)
	}
}

// TestLegs: whatever a node reports, a call keeps few legs, the last of them, those that were answered, and only what a CDR can hold.
func TestLegs(t *testing.T) {
	c := call.Session{Targets: []call.Target{{"office", "1", 20}, {"office", "2", 20}}}
	c.AddLegs([]call.Result{
		{Op: call.OpPlay}, {Op: call.OpConnect, Target: -1}, {Op: call.OpConnect, Target: 2}, {Op: call.OpConnect, Target: 1 << 40},
		{Op: call.OpConnect, Target: 1, Status: call.StatusAnswer, Cause: -3, Talk: -time.Second, DialStatus: strings.Repeat("A", 500)},
	})
	if len(c.Legs) != 1 || c.Legs[0].Number != "2" || c.Legs[0].Cause != 0 || c.Legs[0].TalkMilliseconds != 0 || len(c.Legs[0].DialStatus) != call.MaxDialStatus {
		t.Fatalf("%+v", c.Legs)
	}
	for i := range 100 {
		c.AddLegs([]call.Result{{Op: call.OpConnect, Status: call.StatusBusy, Cause: i}})
	}
	if len(c.Legs) != call.MaxLegs || c.LastCause() != 99 || !slices.ContainsFunc(c.Legs, func(l call.Leg) bool { return l.Status == call.StatusAnswer }) {
		t.Errorf("%+v", c.Legs)
	}
}

func TestRecordsFitAnyDatabase(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain", "plain"},
		{"two\nlines\x00 and \x7f\u0085", "two lines  and   "},
		{"bad \xff byte", "bad � byte"},
		{strings.Repeat("ü", 60), strings.Repeat("ü", call.MaxRecordLength/2)},
		{"a" + strings.Repeat("ü", 60), "a" + strings.Repeat("ü", call.MaxRecordLength/2-1)},
		{strings.Repeat("\xff", 90), strings.Repeat("�", call.MaxRecordLength/3)},
	} {
		var session call.Session
		if !session.AddRecord(call.Record{Text: c.text}) || session.Records[0].Text != c.want || !utf8.ValidString(session.Records[0].Text) {
			t.Errorf("%q became %q, want %q", c.text, session.Records[0].Text, c.want)
		}
	}
	var session call.Session
	for i := range 2 * call.MaxRecords {
		if kept := session.AddRecord(call.Record{}); kept != (i < call.MaxRecords) {
			t.Errorf("record %d: %v", i, kept)
		}
	}
}

func TestVariables(t *testing.T) {
	var c call.Session
	if !c.Set("a", "1") || !c.Set("b", "2") || !c.Set("a", "3") || c.Value("a") != "3" || c.Value("b") != "2" || c.Value("c") != "" || len(c.Variables) != 2 {
		t.Errorf("%+v", c.Variables)
	}
	// What does not fit leaves the variable empty: neither cut, nor with the value of before.
	if c.Set("a", strings.Repeat("x", call.MaxValueLength+1)) || c.Value("a") != "" {
		t.Errorf("%+v", c.Variables)
	}
	for _, name := range []string{"a", "b", "d"} {
		c.Set(name, strings.Repeat("x", call.MaxValueLength))
	}
	bytes := 0
	for _, v := range c.Variables {
		bytes += len(v.Name) + len(v.Value)
	}
	if bytes > call.MaxVariableBytes || c.Value("d") != "" {
		t.Errorf("%d bytes: %+v", bytes, c.Variables)
	}
	for i := range 100 {
		c.Set(strings.Repeat("v", i), "")
	}
	if len(c.Variables) > call.MaxVariables {
		t.Errorf("%d variables", len(c.Variables))
	}
}

func TestPathIsBounded(t *testing.T) {
	var c call.Session
	for range 200 {
		c.AppendPath("some_step", "done")
	}
	if len(c.Path) > call.MaxPathLength || !strings.HasPrefix(string(c.Path), "some_step:done some_step:done ") || !strings.HasSuffix(string(c.Path), " some_step:done") {
		t.Errorf("%s", c.Path)
	}
}

func TestNumbersAndTargets(t *testing.T) {
	for number, want := range map[string]bool{"4930": true, "+4930": true, "*21#": true, "": false, "+": false, "++49": false, "49+30": false, "49 30": false,
		"4930@x": false, "4930&": false, "49\n": false, "４９": false, strings.Repeat("1", 32): true, strings.Repeat("1", 33): false, "+" + strings.Repeat("1", 32): true} {
		if call.ValidNumber(number) != want {
			t.Errorf("%q: %v", number, !want)
		}
	}
	for target, want := range map[string]bool{"1@a": true, "+1@a-b_C9": true, "1": false, "@a": false, "1@": false, "1@a@b": false, "1@a/b": false, "1@a,2@b": false, "1@a b": false} {
		got, ok := call.ParseTarget(target)
		if ok != want || ok && call.FormatTarget(got.Number, got.Trunk) != target {
			t.Errorf("%q: %v %+v", target, ok, got)
		}
	}
	for name, want := range map[string]bool{"a/b": true, "/a": false, "a/": false, "a//b": false, "..": false, "": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false} {
		if call.ValidName(name, true) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, status := range []call.Status{call.StatusDone, call.StatusDigits, call.StatusTimeout, call.StatusAnswer, call.StatusBusy, call.StatusNoAnswer, call.StatusUnreachable, call.StatusHangup, call.StatusFailed} {
		if back, ok := call.ParseStatus(status.String()); !ok || back != status {
			t.Errorf("%s", status)
		}
	}
	for _, op := range []call.Op{call.OpAnswer, call.OpPlay, call.OpCollect, call.OpConnect, call.OpContinue, call.OpRelease} {
		if back, ok := call.ParseOp(op.String()); !ok || back != op {
			t.Errorf("%s", op)
		}
	}
	if _, ok := call.ParseStatus("unknown"); ok || call.Status(200).String() != "unknown" {
		t.Error("a status that there is not")
	}
}

// TestTalkIsSaidOnce: how long the last conversation was stands in its result, at the end of the call, or in both; the record, the leg and what is charged agree.
func TestTalkIsSaidOnce(t *testing.T) {
	targets := []call.Target{{"office", "4930", 20}}
	answered := func(talk time.Duration) call.Result {
		return call.Result{Op: call.OpConnect, Status: call.StatusAnswer, Talk: talk}
	}
	reported := func(charge int, seconds int64) []call.Leg {
		return []call.Leg{{Trunk: "office", Number: "4930", Status: call.StatusAnswer, TalkMilliseconds: 1000 * seconds, Charge: charge}}
	}
	paid := func(charge int, seconds int64) []charging.Finished {
		return []charging.Finished{{Number: charge, Talk: 1000 * seconds}}
	}
	for _, c := range []struct {
		name     string
		call     call.Session
		end      call.EndEvent
		talk     time.Duration
		legs     []int64 // seconds
		finished []charging.Finished
	}{
		{"both", call.Session{Targets: targets, Payment: 1}, call.EndEvent{Talk: 2 * time.Second, Results: []call.Result{answered(2 * time.Second)}}, 2 * time.Second, []int64{2}, paid(1, 2)},
		{"the end only", call.Session{Targets: targets, Payment: 1}, call.EndEvent{Talk: 2 * time.Second, Results: []call.Result{answered(0)}}, 2 * time.Second, []int64{2}, paid(1, 2)},
		{"the result only", call.Session{Targets: targets, Payment: 1}, call.EndEvent{Results: []call.Result{answered(2 * time.Second)}}, 2 * time.Second, []int64{2}, paid(1, 2)},
		{"the end, and no result", call.Session{Targets: targets, Payment: 1}, call.EndEvent{Talk: 2 * time.Second}, 2 * time.Second, nil, paid(1, 2)},
		{"neither", call.Session{Targets: targets, Payment: 1}, call.EndEvent{Results: []call.Result{answered(0)}}, 0, []int64{0}, nil},
		{"nobody pays", call.Session{Targets: targets}, call.EndEvent{Talk: 2 * time.Second, Results: []call.Result{answered(0)}}, 2 * time.Second, []int64{2}, nil},
		{"busy after an announcement", call.Session{Targets: targets, Payment: 1, Answered: true}, call.EndEvent{Talk: 9 * time.Second, Results: []call.Result{result(call.OpConnect, call.StatusBusy)}}, 9 * time.Second, []int64{0}, nil},
		// Follow-on calls: the end tells of the last conversation, whatever came after it.
		{"a second conversation, the end only", call.Session{Targets: targets, Legs: reported(1, 61), Talk: paid(1, 61), Charge: 2, Payment: 2},
			call.EndEvent{Talk: 2 * time.Second, Results: []call.Result{answered(0)}}, 2 * time.Second, []int64{61, 2}, append(paid(1, 61), paid(2, 2)...)},
		{"a second conversation, the result only", call.Session{Targets: targets, Legs: reported(1, 61), Talk: paid(1, 61), Charge: 2, Payment: 2},
			call.EndEvent{Results: []call.Result{answered(2 * time.Second)}}, 2 * time.Second, []int64{61, 2}, append(paid(1, 61), paid(2, 2)...)},
		{"a second conversation by the same charge", call.Session{Targets: targets, Legs: reported(1, 61), Talk: paid(1, 61), Charge: 1, Payment: 1},
			call.EndEvent{Talk: 2 * time.Second, Results: []call.Result{answered(0)}}, 2 * time.Second, []int64{61, 2}, paid(1, 63)},
		{"busy after a conversation", call.Session{Targets: targets, Legs: reported(1, 61), Talk: paid(1, 61), Charge: 1, Payment: 1},
			call.EndEvent{Talk: 61 * time.Second, Results: []call.Result{result(call.OpConnect, call.StatusBusy)}}, 61 * time.Second, []int64{61, 0}, paid(1, 61)},
		{"reported with its length, the end has none", call.Session{Legs: reported(1, 61), Talk: paid(1, 61), Charge: 1, Payment: 1}, call.EndEvent{}, 61 * time.Second, []int64{61}, paid(1, 61)},
		{"reported without its length", call.Session{Legs: reported(1, 0), Charge: 1, Payment: 1}, call.EndEvent{Talk: 61 * time.Second}, 61 * time.Second, []int64{61}, paid(1, 61)},
		// The ledger was told then that it was over, and gave back what it held.
		{"reported without its length, and charged anew since", call.Session{Legs: reported(1, 0), Charge: 2, Payment: 2}, call.EndEvent{Talk: 61 * time.Second}, 61 * time.Second, []int64{0}, nil},
		// Who talked after that, nobody pays for.
		{"the node went on by itself", call.Session{Targets: targets, Charge: 1, Payment: 1}, call.EndEvent{Talk: 9 * time.Second, Fallback: true, Results: []call.Result{answered(0)}}, 9 * time.Second, []int64{0}, nil},
		{"the dialplan went on", call.Session{Legs: reported(1, 0), Charge: 1, Payment: 1, Continued: true}, call.EndEvent{Talk: 9 * time.Second}, 9 * time.Second, []int64{0}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.call.StartedAt = now.Add(-time.Hour)
			before := slices.Clone(c.call.Legs)
			cdr := call.EndCall(&c.call, c.end, now)
			var legs []int64
			for _, leg := range cdr.Legs {
				legs = append(legs, leg.TalkMilliseconds/1000)
			}
			if cdr.Talk != c.talk || !slices.Equal(legs, c.legs) || !slices.Equal(cdr.Finished, c.finished) {
				t.Errorf("talk %v, legs %v, charged %v; want %v, %v, %v", cdr.Talk, legs, cdr.Finished, c.talk, c.legs, c.finished)
			}
			if !slices.Equal(c.call.Legs, before) {
				t.Errorf("the session has changed: %+v", c.call)
			}
		})
	}
}

// TestTheEndComesToAnEngineWhoseClockIsBehind: no more is charged than that engine saw of the call, and the record says that something is wrong with times.
func TestTheEndComesToAnEngineWhoseClockIsBehind(t *testing.T) {
	began := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for behind, want := range map[time.Duration]struct {
		talk int64
		cut  bool
	}{0: {50_000, false}, 2 * time.Second: {50_000, false}, 20 * time.Second: {37_000, true}, time.Minute: {0, true}} {
		c := call.Session{CallID: "call-1", Node: "node", StartedAt: began, Charge: 1, Payment: 1, Granted: 3600, Held: true, Targets: []call.Target{{Trunk: "pstn", Number: "4930"}}}
		end := call.EndEvent{Results: []call.Result{{Op: call.OpConnect, Status: call.StatusAnswer, Talk: 50 * time.Second}}, Talk: 50 * time.Second, EndedAt: began.Add(55 * time.Second)}
		cdr := call.EndCall(&c, end, began.Add(55*time.Second-behind))
		if len(cdr.Finished) != 1 || cdr.Finished[0].Talk != want.talk || cdr.TimesCorrected != want.cut {
			t.Errorf("%v behind: %+v, corrected %v", behind, cdr.Finished, cdr.TimesCorrected)
		}
	}
}
