package logic_test

import (
	"fmt"
	"testing"
	"time"

	"ringmaster/logic"
)

// carrierRows are the demo carrier with n more freephone numbers, a service for each hundred of them.
func carrierRows(t testing.TB, n int) *logic.Rows {
	rows := demoRows(t)
	var given []logic.ServiceParameterRow
	for _, p := range rows.ServiceParameters {
		if p.Service == "acme_hotline" {
			given = append(given, p)
		}
	}
	rows.ServiceNumbers = append(make([]logic.ServiceNumberRow, 0, n+len(rows.ServiceNumbers)), rows.ServiceNumbers...)
	service := ""
	for i := range n {
		if i%100 == 0 {
			service = fmt.Sprintf("service_%d", i/100)
			rows.Services = append(rows.Services, logic.ServiceRow{Service: service, Subscriber: "acme", Script: "freephone", Language: "en", Active: true})
			for _, p := range given {
				rows.ServiceParameters = append(rows.ServiceParameters, logic.ServiceParameterRow{Service: service, Parameter: p.Parameter, Value: p.Value})
			}
		}
		rows.ServiceNumbers = append(rows.ServiceNumbers, logic.ServiceNumberRow{Number: fmt.Sprintf("49801%07d", i), Match: "exact", Service: service})
	}
	return rows
}

// freephoneCalls makes call i of freephone with memory used again, as rpc does, and steps it.
func freephoneCalls(snapshot *logic.Snapshot, numbers int) func(i int) *logic.Outcome {
	called := make([]string, 1<<10)
	for i := range called {
		called[i] = fmt.Sprintf("0801%07d", i*7919%numbers)
	}
	var call logic.Session
	var out logic.Outcome
	return func(i int) *logic.Outcome {
		call.Reset()
		call.CallID, call.Node, call.Caller, call.Called, call.StartedAt = "node-1763888400.1", "node", "+49301112222", called[i%len(called)], monday
		snapshot.Step(&call, logic.Event{Kind: logic.EventStart}, monday, &out)
		return &out
	}
}

// TestFreephoneAllocations: a ceiling for the commonest query.
func TestFreephoneAllocations(t *testing.T) {
	call := freephoneCalls(compile(t, carrierRows(t, 1000)), 1000)
	if out := call(0); len(out.Instructions) != 1 || out.Instructions[0].Op != logic.OpConnect {
		t.Fatalf("%+v", out.Instructions)
	}
	if n := testing.AllocsPerRun(1000, func() { call(1) }); n > 3 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFreephone(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			call := freephoneCalls(compile(b, carrierRows(b, n)), n)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if out := call(i); out.Instructions[0].Op != logic.OpConnect {
					b.Fatal("no connect")
				}
				i++
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rows := carrierRows(b, n)
			previous := compile(b, rows)
			b.ReportAllocs()
			for b.Loop() {
				if _, problems := logic.Compile(rows, previous, time.LoadLocation); len(problems) > 0 {
					b.Fatal(problems)
				}
			}
		})
	}
}
