package logic_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringmaster/logic"
	"ringmaster/logic/transcript"
	"ringmaster/migrations"
	"ringmaster/testdata/demo"
)

// readRows reads rows written as SQL: "include scripts", "include demo" and INSERTs, each on lines of its own.
func readRows(t testing.TB, sql string) *logic.Rows {
	t.Helper()
	read, err := transcript.Read("test", sql, func(name string) (string, error) {
		if name == "demo" {
			return demo.SQL, nil
		}
		return migrations.Scripts()
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := read.Rows
	rows.Revision = 1
	rows.SessionKeys = []logic.SessionKeyRow{sessionKey(1)}
	return &rows
}

func sessionKey(id int64) logic.SessionKeyRow {
	return logic.SessionKeyRow{SessionKeyID: id, Secret: []byte(fmt.Sprintf("the secret of session key %6d", id)), CreatedAt: time.Unix(1e9+id, 0)}
}

// demoRows are the shipped scripts and the demo carrier.
func demoRows(t testing.TB) *logic.Rows { return readRows(t, "include scripts\ninclude demo\n") }

// compile compiles rows that have no problem.
func compile(t testing.TB, rows *logic.Rows) *logic.Snapshot {
	t.Helper()
	snapshot, problems := logic.Compile(rows, nil, time.LoadLocation)
	for _, p := range problems {
		t.Errorf("%s %s: %s", p.Table, p.Key, p.Reason)
	}
	if t.Failed() {
		t.FailNow()
	}
	return snapshot
}

// monday is a time at which the demo's offices are open.
var monday = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// start runs a new call up to its first reply and returns its instructions, one a line.
func start(snapshot *logic.Snapshot, call *logic.Session, caller, called string) string {
	call.Reset()
	call.CallID, call.Node, call.Caller, call.Called, call.StartedAt = "call-1", "node", caller, called, monday
	return step(snapshot, call, logic.Event{Kind: logic.EventStart})
}

// step runs one event; every turn of a circular distribution is the first.
func step(snapshot *logic.Snapshot, call *logic.Session, event logic.Event) string {
	var out logic.Outcome
	snapshot.Step(call, event, monday, &out)
	for out.Ask.Kind != logic.AskNothing {
		snapshot.Step(call, logic.Event{Kind: logic.EventAnswer}, monday, &out)
	}
	var lines []string
	for i := range out.Instructions {
		lines = append(lines, transcript.FormatInstruction(&out.Instructions[i]))
	}
	return strings.Join(lines, "\n")
}

func results(t testing.TB, text string) logic.Event {
	t.Helper()
	parsed, err := transcript.ParseResults(text)
	if err != nil {
		t.Fatal(err)
	}
	return logic.Event{Kind: logic.EventReport, Results: parsed}
}
