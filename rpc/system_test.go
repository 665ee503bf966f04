package rpc

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
)

func TestIntrospection(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	result, err := e.call("system.listMethods")
	if err != nil {
		t.Fatal(err)
	}
	names := result.([]any)
	if len(names) != len(registry(true)) || !slices.Contains(names, any("call.start")) || !slices.Contains(names, any("validator1.echoStructTest")) {
		t.Fatalf("listMethods: %v", names)
	}
	for _, name := range names {
		signatures, err := e.call("system.methodSignature", name)
		if err != nil || len(signatures.([]any)) == 0 {
			t.Errorf("methodSignature(%s): %v, %v", name, signatures, err)
		}
		help, err := e.call("system.methodHelp", name)
		if err != nil || len(help.(string)) < 20 {
			t.Errorf("methodHelp(%s): %v, %v", name, help, err)
		}
	}
	signatures, err := e.call("system.methodSignature", "validator1.manyTypesTest")
	if want := []any{[]any{"array", "int", "boolean", "string", "double", "dateTime.iso8601", "base64"}}; err != nil || !reflect.DeepEqual(signatures, want) {
		t.Errorf("signature of manyTypesTest: %v, %v", signatures, err)
	}
	help, _ := e.call("system.methodHelp", "call.start")
	if !strings.Contains(help.(string), "call_id (string): ") || !strings.Contains(help.(string), "trunk (string, optional): ") {
		t.Errorf("help of call.start: %v", help)
	}
	capabilities := e.must("system.getCapabilities")
	for name, version := range map[string]int{"xmlrpc": 1, "faults_interop": 20010516, "introspection": 1, "system.multicall": 1} {
		if c, ok := capabilities[name].(members); !ok || c["specVersion"] != version || !strings.HasPrefix(c["specUrl"].(string), "http") {
			t.Errorf("capability %s: %v", name, capabilities[name])
		}
	}
	for _, method := range []string{"system.methodSignature", "system.methodHelp"} {
		_, err := e.call(method, "no.such")
		wantFault(t, err, api.FaultNoSuchMethod, "no.such")
		_, err = e.call(method)
		wantFault(t, err, api.FaultInvalidParameters)
		_, err = e.call(method, 5)
		wantFault(t, err, api.FaultInvalidParameters, "is int, must be string")
	}
	_, err = e.call("system.listMethods", 1)
	wantFault(t, err, api.FaultInvalidParameters)
	_, err = e.call("no.such")
	wantFault(t, err, api.FaultNoSuchMethod, "no.such")
}

func TestValidatorIsOptional(t *testing.T) {
	t.Parallel()
	e := startEngine(t, func(c *Config) { c.Validator = false })
	_, err := e.call("validator1.easyStructTest", members{"moe": 1, "larry": 2, "curly": 3})
	wantFault(t, err, api.FaultNoSuchMethod)
	names, _ := e.call("system.listMethods")
	if slices.Contains(names.([]any), any("validator1.easyStructTest")) {
		t.Error("listMethods has it nevertheless")
	}
}

func TestMulticall(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	element := func(method any, parameters ...any) members {
		return members{"methodName": method, "params": append([]any{}, parameters...)}
	}
	sum := members{"moe": 1, "larry": 2, "curly": 3}
	result, err := e.call("system.multicall", []any{
		element("validator1.easyStructTest", sum),
		element("no.such"),
		element("call.start", startOf("t-1", "08001")),
		"not a struct",
		members{"methodName": "system.listMethods"},
		members{"methodName": 5, "params": []any{}},
		members{"methodName": "system.listMethods", "params": members{}},
		element("system.multicall", []any{}),
		element("call.start", startOf("t-1", "08002")),
		element("validator1.easyStructTest", sum),
	})
	if err != nil {
		t.Fatal(err)
	}
	results := result.([]any)
	if len(results) != 10 {
		t.Fatalf("%d results: %v", len(results), results)
	}
	for _, i := range []int{0, 9} {
		if !reflect.DeepEqual(results[i], []any{6}) {
			t.Errorf("result %d: %v, want [6]", i, results[i])
		}
	}
	if started, ok := results[2].([]any); !ok || len(started) != 1 || started[0].(members)["session"] == "" {
		t.Errorf("result 2: %v", results[2])
	}
	for i, code := range map[int]int{1: api.FaultNoSuchMethod, 3: api.FaultInvalidParameters, 4: api.FaultInvalidParameters, 5: api.FaultInvalidParameters,
		6: api.FaultInvalidParameters, 7: api.FaultMulticall, 8: api.FaultCallIDReused} {
		fault, ok := results[i].(members)
		if !ok || len(fault) != 2 || fault["faultCode"] != code || fault["faultString"] == "" {
			t.Errorf("result %d: %v, want fault %d", i, results[i], code)
		}
	}
	// A call that was made in a multicall is the same call outside of it.
	again := e.must("call.start", startOf("t-1", "08001"))
	if !reflect.DeepEqual(again, results[2].([]any)[0]) {
		t.Errorf("outside: %v, inside: %v", again, results[2])
	}
	if got := e.metric(t, `ringmaster_rpc_requests_total{class="ok",method="call.start"}`); got != 2 {
		t.Errorf("call.start was counted %v times, want 2", got)
	}

	if empty, err := e.call("system.multicall", []any{}); err != nil || len(empty.([]any)) != 0 {
		t.Errorf("an empty multicall: %v, %v", empty, err)
	}
	many := make([]any, contract.MaxMulticall+1)
	for i := range many {
		many[i] = element("validator1.easyStructTest", sum)
	}
	_, err = e.call("system.multicall", many)
	wantFault(t, err, api.FaultMulticall)
	if full, err := e.call("system.multicall", many[1:]); err != nil || len(full.([]any)) != contract.MaxMulticall {
		t.Errorf("a full multicall: %v", err)
	}
	_, err = e.call("system.multicall", "x")
	wantFault(t, err, api.FaultInvalidParameters)
	_, err = e.call("system.multicall")
	wantFault(t, err, api.FaultInvalidParameters)
}

// Each element of a multicall has a budget of its own.
func TestMulticallBudget(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	e.clock.setStep(8 * time.Millisecond)
	var calls []any
	for _, id := range []string{"u-1", "u-2", "u-3", "u-4"} {
		calls = append(calls, members{"methodName": "call.start", "params": []any{startOf(id, "08001")}})
	}
	result, err := e.call("system.multicall", calls)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range result.([]any) {
		if _, ok := r.([]any); !ok {
			t.Errorf("element %d: %v", i, r)
		}
	}
}

// A multicall sends the ends of many calls at once.
func TestMulticallEnds(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	var ends []any
	for _, id := range []string{"v-1", "v-2", "v-3"} {
		ends = append(ends, members{"methodName": "call.end", "params": []any{members{"call_id": id, "called": "08001"}}})
	}
	if _, err := e.call("system.multicall", ends); err != nil {
		t.Fatal(err)
	}
	if len(e.ledger.cdrs) != 3 || e.queries.Load() != 0 || e.ends.Load() != 0 {
		t.Fatalf("%d CDRs, in flight %d and %d", len(e.ledger.cdrs), e.queries.Load(), e.ends.Load())
	}
}

func TestValidator(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	stooges := func(moe, larry, curly int) members { return members{"moe": moe, "larry": larry, "curly": curly} }
	strs := make([]any, 150)
	for i := range strs {
		strs[i] = strings.Repeat("x", i%3)
	}
	strs[0], strs[149] = "first", "last"
	at := time.Date(2026, 4, 1, 12, 30, 45, 0, time.UTC)
	for _, c := range []struct {
		method     string
		parameters []any
		want       any
	}{
		{"arrayOfStructsTest", []any{[]any{stooges(1, 2, 3), stooges(4, 5, -6).with(members{"shemp": 9}), stooges(0, 0, 10)}}, 7},
		{"arrayOfStructsTest", []any{[]any{}}, 0},
		{"countTheEntities", []any{`<<>&&&'"""" x`}, members{"ctLeftAngleBrackets": 2, "ctRightAngleBrackets": 1, "ctAmpersands": 3, "ctApostrophes": 1, "ctQuotes": 4}},
		{"easyStructTest", []any{stooges(10, 20, -5)}, 25},
		{"echoStructTest", []any{members{"a": []any{1, "<&>", members{"deep": 2.5}}, "b": true}}, members{"a": []any{1, "<&>", members{"deep": 2.5}}, "b": true}},
		{"manyTypesTest", []any{-7, true, "ü", 3.25, at, []byte{0, 255}}, []any{-7, true, "ü", 3.25, at, []byte{0, 255}}},
		{"moderateSizeArrayCheck", []any{strs}, "firstlast"},
		{"nestedStructTest", []any{members{"2000": members{"04": members{"01": stooges(1, 2, 4), "02": stooges(9, 9, 9)}}, "1999": members{}}}, 7},
		{"simpleStructReturnTest", []any{-3}, members{"times10": -30, "times100": -300, "times1000": -3000}},
	} {
		got, err := e.call("validator1."+c.method, c.parameters...)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.method, got, err, c.want)
		}
	}
	for _, c := range []struct {
		method     string
		parameters []any
	}{
		{"arrayOfStructsTest", []any{[]any{1}}}, {"arrayOfStructsTest", []any{members{}}}, {"arrayOfStructsTest", []any{[]any{members{"curly": "x"}}}},
		{"arrayOfStructsTest", []any{[]any{members{"curly": 1 << 31}}}}, {"arrayOfStructsTest", []any{[]any{members{"curly": 1<<31 - 1}, members{"curly": 1}}}},
		{"countTheEntities", []any{1}}, {"easyStructTest", []any{members{"moe": 1}}}, {"easyStructTest", nil}, {"echoStructTest", []any{"x"}},
		{"manyTypesTest", []any{1, true, "x", 3.25, at}}, {"manyTypesTest", []any{1, true, "x", 3, at, []byte{}}},
		{"moderateSizeArrayCheck", []any{[]any{}}}, {"moderateSizeArrayCheck", []any{[]any{1, 2}}},
		{"nestedStructTest", []any{members{"2000": members{"04": 1}}}}, {"simpleStructReturnTest", []any{"x"}}, {"simpleStructReturnTest", []any{1 << 30}},
	} {
		_, err := e.call("validator1."+c.method, c.parameters...)
		t.Run(c.method, func(t *testing.T) { wantFault(t, err, api.FaultInvalidParameters) })
	}
}
