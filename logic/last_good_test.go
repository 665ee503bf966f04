package logic_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ringmaster/logic"
)

// edit compiles edited rows on top of the snapshot before.
func edit(t *testing.T, rows *logic.Rows, previous *logic.Snapshot) (*logic.Snapshot, []logic.Problem) {
	t.Helper()
	rows.Revision = previous.Revision() + 1
	return logic.Compile(rows, previous, time.LoadLocation)
}

const (
	fromBerlin = "connect 4930200100@office timeout=20"
	hotline    = "498002222222"
	freephone  = "498001234567"
)

// wantFirst places a call from Berlin and compares the first instruction.
func wantFirst(t *testing.T, snapshot *logic.Snapshot, called, want string) {
	t.Helper()
	var call logic.Session
	if got := start(snapshot, &call, "49301112222", called); got != want {
		t.Errorf("%s: got %q, want %q", called, got, want)
	}
	if call.Revision != snapshot.Revision() {
		t.Errorf("the call says revision %d", call.Revision)
	}
}

// TestLastGoodService: a service with a bad parameter keeps all of its last good version, also the tables it was compiled with, while
// every other service gets the new version; and it heals by itself.
func TestLastGoodService(t *testing.T) {
	rows := demoRows(t)
	snapshot := compile(t, rows)
	wantFirst(t, snapshot, freephone, fromBerlin)

	// In one edit: the table that both services use changes, and acme_freephone gets a bad parameter.
	rows.Translations[0].Value = "4930999"
	parameter("second_office", "nonsense")(rows)
	snapshot, problems := edit(t, rows, snapshot)
	if len(problems) != 1 || problems[0].Key != "acme_freephone.second_office" {
		t.Fatalf("%v", problems)
	}
	wantFirst(t, snapshot, freephone, fromBerlin)
	wantFirst(t, snapshot, hotline, "connect 4930999@office timeout=20")

	// It stays so over further edits of other rows.
	rows.Branches[0].Weight = 1
	snapshot, problems = edit(t, rows, snapshot)
	if len(problems) != 1 {
		t.Fatalf("%v", problems)
	}
	wantFirst(t, snapshot, freephone, fromBerlin)

	parameter("second_office", "4930200200@office")(rows)
	snapshot, problems = edit(t, rows, snapshot)
	if len(problems) != 0 {
		t.Fatalf("%v", problems)
	}
	wantFirst(t, snapshot, freephone, "connect 4930999@office timeout=20")
}

// TestLastGoodTrunk: Postgres carries a trunk's new name into the tables that refer to it, but not into parameters of the type target.
// The services that still say the old one have a problem, and calls go on by it until that is mended.
func TestLastGoodTrunk(t *testing.T) {
	rows := demoRows(t)
	snapshot := compile(t, rows)

	rename := func(from, to string) {
		for i := range rows.Trunks {
			if rows.Trunks[i].Trunk == from {
				rows.Trunks[i].Trunk = to
			}
		}
		for i := range rows.Translations {
			if rows.Translations[i].Trunk == from {
				rows.Translations[i].Trunk = to
			}
		}
		for i := range rows.Branches {
			if rows.Branches[i].Trunk == from {
				rows.Branches[i].Trunk = to
			}
		}
	}
	rename("office", "bureau")
	for range 2 { // and over further edits of other rows
		var problems []logic.Problem
		if snapshot, problems = edit(t, rows, snapshot); !slices.ContainsFunc(problems, func(p logic.Problem) bool { return p.Key == "acme_freephone.second_office" }) {
			t.Fatalf("%v", problems)
		}
		wantFirst(t, snapshot, freephone, fromBerlin)
		rows.Prompts[0].File = "another"
	}

	for i := range rows.ServiceParameters {
		value := &rows.ServiceParameters[i].Value
		if *value = strings.ReplaceAll(*value, "@office", "@bureau"); *value == "office" {
			*value = "bureau"
		}
	}
	snapshot, problems := edit(t, rows, snapshot)
	if len(problems) != 0 {
		t.Fatalf("%v", problems)
	}
	wantFirst(t, snapshot, freephone, "connect 4930200100@bureau timeout=20")
}

// TestLastGoodScript: a script that no longer compiles keeps its last good version for the services on it, a new service is made on that
// version too, and other scripts get theirs.
func TestLastGoodScript(t *testing.T) {
	rows := demoRows(t)
	snapshot := compile(t, rows)
	hours := slices.IndexFunc(rows.Steps, func(s logic.StepRow) bool { return s.Script == "freephone" && s.Step == "hours" })
	good := rows.Steps[hours].Parameters
	rows.Steps[hours].Parameters = []byte(`{"condition": "open(hours"}`)
	rows.Services = append(rows.Services, logic.ServiceRow{Service: "new", Subscriber: "acme", Script: "freephone", Language: "en", Active: true})
	for _, p := range rows.ServiceParameters {
		if p.Service == "acme_hotline" {
			rows.ServiceParameters = append(rows.ServiceParameters, logic.ServiceParameterRow{Service: "new", Parameter: p.Parameter, Value: p.Value})
		}
	}
	rows.ServiceNumbers = append(rows.ServiceNumbers, logic.ServiceNumberRow{Number: "498003333333", Match: "exact", Service: "new"})
	for range 3 { // the last good version is handed on from edit to edit
		var problems []logic.Problem
		snapshot, problems = edit(t, rows, snapshot)
		if len(problems) != 1 || problems[0].Table != "step" || problems[0].Key != "freephone.hours" {
			t.Fatalf("%v", problems)
		}
		wantFirst(t, snapshot, freephone, fromBerlin)
		wantFirst(t, snapshot, "498003333333", fromBerlin)
		wantFirst(t, snapshot, "499005550100", "answer\ncollect agent-pass digits=4..12")
	}
	rows.Steps[hours].Parameters = good
	if _, problems := edit(t, rows, snapshot); len(problems) != 0 {
		t.Fatalf("%v", problems)
	}
}

// TestLastGoodTable: a table, list, calendar or distribution with a bad row is not served with a hole in it.
func TestLastGoodTable(t *testing.T) {
	for name, spoil := range map[string]func(*logic.Rows){
		"one bad row":      func(r *logic.Rows) { r.Translations[0].Trunk = "moon" },
		"words as digits":  func(r *logic.Rows) { r.TranslationTables[0].Match = "prefix" },
		"table of no kind": func(r *logic.Rows) { r.TranslationTables[0].Match = "both" },
		"calendar's zone":  func(r *logic.Rows) { r.Calendars[0].TimeZone, r.CalendarWindows = "Mars/Olympus", nil },
		"no calendar":      func(r *logic.Rows) { r.Calendars, r.CalendarWindows = nil, nil },
		"distribution":     func(r *logic.Rows) { r.Branches = nil },
	} {
		t.Run(name, func(t *testing.T) {
			rows := demoRows(t)
			rows.Branches[0].Value, rows.Branches[1].Value = "4999", "4999" // where calls go that the table does not know
			snapshot := compile(t, rows)
			spoil(rows)
			for range 3 {
				var problems []logic.Problem
				if snapshot, problems = edit(t, rows, snapshot); len(problems) == 0 {
					t.Fatal("nobody is told")
				}
				wantFirst(t, snapshot, freephone, fromBerlin)
			}
			snapshot, problems := edit(t, demoRows(t), snapshot)
			if len(problems) != 0 {
				t.Fatalf("%v", problems)
			}
			wantFirst(t, snapshot, freephone, fromBerlin)
		})
	}
	t.Run("screening list", func(t *testing.T) {
		rows := demoRows(t)
		snapshot := compile(t, rows)
		rows.ScreeningLists[0].Match = "prefix"
		rows.ScreeningEntries = append(rows.ScreeningEntries, logic.ScreeningEntryRow{ScreeningList: "citybank_codes", Entry: "x"})
		snapshot, problems := edit(t, rows, snapshot)
		if len(problems) == 0 {
			t.Fatal("nobody is told")
		}
		// By prefix 47119 would be let in.
		var call logic.Session
		start(snapshot, &call, "4930", "499005550100")
		if got := step(snapshot, &call, results(t, "answer done; collect digits digits=47119")); !strings.HasPrefix(got, "play auth-incorrect") {
			t.Errorf("47119 was let in: %s", got)
		}
	})
}

// TestServiceCanAlwaysBeTurnedOff: active is obeyed even while the rest of the service or its script does not compile.
func TestServiceCanAlwaysBeTurnedOff(t *testing.T) {
	for name, spoil := range map[string]func(*logic.Rows){
		"service": parameter("hours", "nonsense"),
		"script":  func(r *logic.Rows) { r.Scripts[0].FirstStep = "nowhere" },
	} {
		rows := demoRows(t)
		snapshot := compile(t, rows)
		spoil(rows)
		for _, active := range []bool{true, false, true} {
			rows.Services[0].Active = active
			snapshot, _ = edit(t, rows, snapshot)
			want := map[bool]string{true: fromBerlin, false: "release cause=31"}[active]
			t.Run(fmt.Sprint(name, active), func(t *testing.T) { wantFirst(t, snapshot, freephone, want) })
		}
	}
}

// TestNeverCompiled: the number of a service that has never compiled is not answered by another service's range.
func TestNeverCompiled(t *testing.T) {
	rows := demoRows(t)
	parameter("hours", "nonsense")(rows)
	rows.ServiceNumbers = append(rows.ServiceNumbers, logic.ServiceNumberRow{Match: "prefix", Service: "acme_hotline"})
	snapshot, problems := logic.Compile(rows, nil, time.LoadLocation)
	if len(problems) != 2 {
		t.Errorf("%v", problems)
	}
	wantFirst(t, snapshot, freephone, "release cause=41")
	wantFirst(t, snapshot, "498007777777", fromBerlin)

	snapshot, problems = edit(t, demoRows(t), snapshot)
	if len(problems) != 0 {
		t.Errorf("%v", problems)
	}
	wantFirst(t, snapshot, freephone, fromBerlin)
}

// TestLastGoodKeys: without a session key the keys in force stay, so that calls go on.
func TestLastGoodKeys(t *testing.T) {
	rows := demoRows(t)
	snapshot := compile(t, rows)
	rows.SessionKeys = nil
	for range 2 {
		var problems []logic.Problem
		snapshot, problems = edit(t, rows, snapshot)
		if len(problems) != 1 || !snapshot.Keys().Usable() {
			t.Fatalf("usable: %v, %v", snapshot.Keys().Usable(), problems)
		}
	}
}

// TestEditBetweenTwoQueries: whatever an operator does to a call's service while the call waits, it gets an answer, and its CDR keeps what
// had happened.
func TestEditBetweenTwoQueries(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*logic.Rows)
		want string
	}{
		{"nothing", func(*logic.Rows) {}, "connect 4930200200@office timeout=20"},
		{"another second office", parameter("second_office", "4930777@pstn"), "connect 4930777@pstn timeout=20"},
		{"service deleted", func(r *logic.Rows) {
			r.Services = slices.DeleteFunc(r.Services, func(s logic.ServiceRow) bool { return s.Service == "acme_freephone" })
			r.ServiceNumbers = nil
		}, "release cause=41"},
		{"service turned off", func(r *logic.Rows) { r.Services[0].Active = false }, "connect 4930200200@office timeout=20"},
		{"another script", func(r *logic.Rows) {
			r.Services[0].Script = "security_screening"
			r.ServiceParameters = append(slices.DeleteFunc(r.ServiceParameters, func(p logic.ServiceParameterRow) bool { return p.Service == "acme_freephone" }),
				logic.ServiceParameterRow{Service: "acme_freephone", Parameter: "codes", Value: "citybank_codes"},
				logic.ServiceParameterRow{Service: "acme_freephone", Parameter: "destination", Value: "4930@office"})
		}, "release cause=41"},
		{"step renamed", func(r *logic.Rows) { renameStep(r, "ring", "dial") }, "release cause=41"},
		{"step releases now", func(r *logic.Rows) {
			setStep(r, "ring", "bcp", `{"action": "release", "cause": 34}`)
			r.StepExits = slices.DeleteFunc(r.StepExits, func(e logic.StepExitRow) bool { return e.Step == "ring" })
			r.Steps = slices.DeleteFunc(r.Steps, func(s logic.StepRow) bool { return s.Step == "second" })
		}, "release cause=41"},
		{"busy unwired", func(r *logic.Rows) {
			r.StepExits = slices.DeleteFunc(r.StepExits, func(e logic.StepExitRow) bool { return e.Step == "ring" && e.Exit == "busy" })
		}, "release cause=17"},
		{"trunk gone", func(r *logic.Rows) { r.Trunks = r.Trunks[1:] }, "connect 4930200200@office timeout=20"}, // the last good version, until the parameter is mended
	} {
		t.Run(c.name, func(t *testing.T) {
			rows := demoRows(t)
			snapshot := compile(t, rows)
			var call logic.Session
			if got := start(snapshot, &call, "49301112222", freephone); got != fromBerlin {
				t.Fatal(got)
			}
			c.edit(rows)
			snapshot, _ = edit(t, rows, snapshot)
			if got := step(snapshot, &call, results(t, "connect busy cause=17")); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			cdr := logic.EndCall(&call, logic.EndEvent{Cause: 16}, monday)
			if len(cdr.Legs) != 1 || cdr.Legs[0].Number != "4930200100" || cdr.Legs[0].Status != logic.StatusBusy || cdr.Outcome != logic.CallBusy || cdr.Service != "acme_freephone" {
				t.Errorf("%+v", cdr)
			}
		})
	}
}

// TestServiceMadeAgainBetweenTwoQueries: a service that was deleted during a call, and made again with a mistake, has no script yet: the call is
// released, as if the service were gone.
func TestServiceMadeAgainBetweenTwoQueries(t *testing.T) {
	rows := demoRows(t)
	snapshot := compile(t, rows)
	var call logic.Session
	if got := start(snapshot, &call, "49301112222", freephone); got != fromBerlin {
		t.Fatal(got)
	}
	services, numbers := rows.Services, rows.ServiceNumbers
	rows.Services, rows.ServiceNumbers = slices.DeleteFunc(slices.Clone(services), func(s logic.ServiceRow) bool { return s.Service == "acme_freephone" }), nil
	snapshot, _ = edit(t, rows, snapshot)
	rows.Services, rows.ServiceNumbers = services, numbers
	parameter("second_office", "nonsense")(rows)
	snapshot, problems := edit(t, rows, snapshot)
	if len(problems) == 0 {
		t.Fatal("no problem")
	}
	if got := step(snapshot, &call, results(t, "connect busy cause=17")); got != "release cause=41" {
		t.Error(got)
	}
}

func setStep(r *logic.Rows, step, sib, parameters string) {
	for i := range r.Steps {
		if r.Steps[i].Step == step {
			r.Steps[i].SIB, r.Steps[i].Parameters = sib, []byte(parameters)
		}
	}
}

func renameStep(r *logic.Rows, from, to string) {
	for i := range r.Steps {
		if r.Steps[i].Step == from {
			r.Steps[i].Step = to
		}
	}
	for i := range r.StepExits {
		if r.StepExits[i].Step == from {
			r.StepExits[i].Step = to
		}
		if r.StepExits[i].NextStep == from {
			r.StepExits[i].NextStep = to
		}
	}
}
