package logic_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ringmaster/logic"
)

// spoil changes one random thing in operators' rows: a field, or a row taken out or written twice. Much of it no constraint of Postgres would let
// pass; a compiler must stand it all the same.
func spoil(t *rapid.T, rows *logic.Rows) {
	tables := reflect.ValueOf(rows).Elem()
	var filled []int
	for i := range tables.NumField() {
		if f := tables.Field(i); f.Kind() == reflect.Slice && f.Len() > 0 {
			filled = append(filled, i)
		}
	}
	table := tables.Field(rapid.SampledFrom(filled).Draw(t, "table"))
	at := rapid.IntRange(0, table.Len()-1).Draw(t, "row")
	row := table.Index(at)
	switch rapid.IntRange(0, 9).Draw(t, "how") {
	case 0:
		table.Set(reflect.AppendSlice(table.Slice3(0, at, at), table.Slice(at+1, table.Len())))
		return
	case 1:
		table.Set(reflect.Append(table, row))
		return
	}
	field := row.Field(rapid.IntRange(0, row.NumField()-1).Draw(t, "field"))
	switch field.Interface().(type) {
	case string:
		field.SetString(rapid.SampledFrom([]string{"", "x", "4930", "+49", "prefix", "exact", "hash", "circular", "hierarchical", "ring", "done", "timeout", "interact", "bcp",
			"office", "4930@office", "caller", "9999999999999999999999", "\x00\xff", "${x}", strings.Repeat("9", 400), "0000000", "1111111", "UTC", "integer", "target"}).Draw(t, "text"))
	case int:
		field.SetInt(rapid.SampledFrom([]int64{0, -1, 1, 86400, 86401, 1 << 31, 1 << 62, -1 << 63}).Draw(t, "number"))
	case int64:
		field.SetInt(rapid.Int64().Draw(t, "number"))
	case bool:
		field.SetBool(!field.Bool())
	case []byte:
		field.SetBytes([]byte(rapid.SampledFrom([]string{"", "{", "[]", "null", "{}", `{"into": 7}`, `{"maximum": "${most_tries}", "prompts": [null]}`, `{"target": "${", "action": "connect"}`,
			`{"expression": "", "into": "x"}`, `{"condition": "` + strings.Repeat("(", 5000) + `"}`}).Draw(t, "bytes")))
	case *string:
		field.Set(reflect.Zero(field.Type()))
	case time.Time:
		field.Set(reflect.ValueOf(rapid.SampledFrom([]time.Time{{}, monday, time.Unix(-1<<60, 0), time.Unix(1<<60, 0)}).Draw(t, "time")))
	default:
		t.Fatalf("no way to spoil a %s", field.Type())
	}
}

// TestAnyRows compiles spoilt rows on top of good ones and of each other. Whatever operators write, compiling ends, problems are told in order and
// once, the services that are not concerned go on, and every call gets an answer.
func TestAnyRows(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rows := demoRows(t)
		snapshot := compile(t, rows)
		for range rapid.IntRange(1, 3).Draw(r, "edits") {
			for range rapid.IntRange(1, 4).Draw(r, "changes") {
				spoil(r, rows)
			}
			if rapid.IntRange(0, 4).Draw(r, "restart") == 0 {
				snapshot = nil
			}
			var problems []logic.Problem
			snapshot, problems = logic.Compile(rows, snapshot, time.LoadLocation)
			for i, p := range problems {
				if p.Table == "" || p.Reason == "" || i > 0 && problems[i-1] == p {
					r.Fatalf("problem %d: %+v", i, p)
				}
			}
			for _, called := range []string{"08001234567", "08002222222", "09005550100", "0800", ""} {
				call := &logic.Session{CallID: "call-1", Node: "node", Caller: "0301112222", Called: called, StartedAt: monday}
				event := logic.Event{Kind: logic.EventStart}
				for range 4 {
					instructions := run(r, snapshot, call, event, new(logic.Trace))
					if len(instructions) == 0 {
						r.Fatal("no instructions")
					}
					if call.Step == "" {
						break
					}
					event = logic.Event{Kind: logic.EventReport, Results: []logic.Result{{Op: instructions[len(instructions)-1].Op, Status: logic.StatusDigits, Digits: "4711"}}}
				}
			}
		}
	})
}
