package logic_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"ringmaster/logic"
)

// TestStepsSideBySide: one snapshot serves any number of calls at once.
func TestStepsSideBySide(t *testing.T) {
	snapshot := compile(t, demoRows(t))
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			var out logic.Outcome
			var call logic.Session
			for i := range 200 {
				call.Reset()
				call.CallID, call.Node, call.Called = fmt.Sprint(worker, "-", i), "node", "08002222222"
				snapshot.Step(&call, logic.Event{Kind: logic.EventStart}, monday, &out)
				if len(out.Instructions) != 1 || out.Instructions[0].Op != logic.OpConnect {
					t.Errorf("%+v", out.Instructions)
					return
				}
				token := snapshot.Keys().Seal(nil, &call, monday)
				if state := snapshot.Keys().Open(token, "node", monday, &call); state != logic.TokenGood {
					t.Errorf("state %v", state)
					return
				}
				snapshot.Step(&call, logic.Event{Kind: logic.EventReport, Results: []logic.Result{{Op: logic.OpConnect, Status: logic.StatusBusy}}}, monday, &out)
				if len(call.Legs) != 1 || out.Instructions[0].Targets[0].Number != "4930200200" {
					t.Errorf("%+v %+v", call, out.Instructions)
					return
				}
			}
		})
	}
	group.Wait()
}

// TestStepBudget: a script that is sound, and still longer than one query may walk, ends in a release and not in a hang.
func TestStepBudget(t *testing.T) {
	rows := readRows(t, tiny)
	for i := range logic.StepBudget + 1 {
		name, next := fmt.Sprint("s", i), fmt.Sprint("s", i+1)
		if i == 0 {
			name = "one"
		}
		if i == logic.StepBudget {
			next = "end"
		}
		rows.Steps = append(rows.Steps, logic.StepRow{Script: "s", Step: name, SIB: "log", Parameters: []byte(`{"kind": "k"}`)})
		rows.StepExits = append(rows.StepExits, logic.StepExitRow{Script: "s", Step: name, Exit: "done", NextStep: next})
	}
	snapshot := compile(t, rows)
	var call logic.Session
	if got := start(snapshot, &call, "1", "49800"); got != "release cause=25" {
		t.Error(got)
	}
	if len(call.Records) != logic.MaxRecords || len(call.Path) > logic.MaxPathLength {
		t.Errorf("%d records, a path of %d bytes", len(call.Records), len(call.Path))
	}
	var out logic.Outcome
	out.Trace = new(logic.Trace)
	call.Reset()
	call.Called = "49800"
	snapshot.Step(&call, logic.Event{Kind: logic.EventStart}, monday, &out)
	last := out.Trace.Decisions[len(out.Trace.Decisions)-1]
	if !strings.Contains(last.Reason, "has walked 64 steps") || last.Step != "s64" {
		t.Errorf("%+v", last)
	}
}

// TestVariableWithoutRoom: a value that a call cannot carry is not used by half, and explain says so.
func TestVariableWithoutRoom(t *testing.T) {
	rows := readRows(t, tiny)
	rows.Steps = append(rows.Steps,
		logic.StepRow{Script: "s", Step: "one", SIB: "algorithm", Parameters: []byte(`{"expression": "caller + '` + strings.Repeat("1", 250) + `'", "into": "long"}`)},
		logic.StepRow{Script: "s", Step: "two", SIB: "log", Parameters: []byte(`{"kind": "k", "text": "<${long}>"}`)})
	rows.StepExits = append(rows.StepExits, logic.StepExitRow{Script: "s", Step: "one", Exit: "done", NextStep: "two"}, logic.StepExitRow{Script: "s", Step: "two", Exit: "done", NextStep: "end"})
	snapshot := compile(t, rows)
	call := logic.Session{Caller: "49301112222", Called: "49800"}
	out := logic.Outcome{Trace: new(logic.Trace)}
	snapshot.Step(&call, logic.Event{Kind: logic.EventStart}, monday, &out)
	if len(call.Records) != 1 || call.Records[0].Text != "<>" {
		t.Errorf("%+v", call.Records)
	}
	if text := fmt.Sprint(out.Trace.Decisions); !strings.Contains(text, "long has no room among the call's variables") {
		t.Error(text)
	}
}
