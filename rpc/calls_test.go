package rpc

import (
	"reflect"
	"testing"
	"time"

	"ringmaster/logic"
	"ringmaster/rpc/api"
)

func startOf(callID, called string) members {
	return members{
		"call_id": callID, "node": nodeA, "channel": "PJSIP/softswitch-00000001", "caller": "+49301112222",
		"called": called, "presentation": "allowed", "trunk": "softswitch",
	}
}

func TestCallStartConnects(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	got := e.must("call.start", startOf("a-1", "08001"))
	session, _ := got["session"].(string)
	if session == "" {
		t.Fatalf("no session in %v", got)
	}
	delete(got, "session")
	want := members{
		"instructions": []any{members{
			"op": "connect", "targets": []any{members{"trunk": "office", "number": "4930200100", "timeout": 20}},
		}},
		"revision": "41", "service": "acme_plain",
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}

	got = e.must("call.report", members{"session": session, "results": []any{
		members{"op": "connect", "status": "busy", "dial_status": "BUSY", "target": 0, "cause": 17, "talk_seconds": 0.0}}})
	instruction := got["instructions"].([]any)[0].(members)
	if number := instruction["targets"].([]any)[0].(members)["number"]; number != "4930200200" {
		t.Fatalf("after busy: %v, want the second target", got)
	}

	ended := e.must("call.end", members{"session": got["session"], "call_id": "a-1", "cause": 16,
		"answered_at": time.Date(2026, 4, 1, 12, 0, 5, 0, time.UTC), "ended_at": "2026-04-01T12:00:17.345Z", "talk_seconds": 12.345,
		"results": []any{members{"op": "connect", "status": "answer", "dial_status": "ANSWER", "target": 0, "cause": 16, "talk_seconds": 12.345}}})
	if want := (members{"call_id": "a-1", "charges": []any{}}); !reflect.DeepEqual(ended, want) {
		t.Fatalf("call.end: %v, want %v", ended, want)
	}
	cdr := e.ledger.cdr(t, "a-1")
	if cdr.Outcome != logic.CallAnswered || cdr.Talk != 12345*time.Millisecond || len(cdr.Legs) != 2 || cdr.Node != nodeA ||
		cdr.Caller != "49301112222" || cdr.Called != "498001" || cdr.Dialled != "08001" || cdr.Service != "acme_plain" || cdr.Revision != 41 ||
		!cdr.AnsweredAt.Equal(time.Date(2026, 4, 1, 12, 0, 5, 0, time.UTC)) ||
		!cdr.EndedAt.Equal(time.Date(2026, 4, 1, 12, 0, 17, 345e6, time.UTC)) || cdr.Cause != 16 {
		t.Fatalf("CDR: %+v", cdr)
	}
}

func TestCallDialogue(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	got := e.must("call.start", startOf("a-2", "08003"))
	want := []any{
		members{"op": "answer"},
		members{"op": "collect", "prompts": []any{"ringmaster/code"}, "language": "de", "minimum": 4, "maximum": 8,
			"terminator": "#", "first_timeout": 5, "digit_timeout": 3},
	}
	if !reflect.DeepEqual(got["instructions"], want) {
		t.Fatalf("got  %v\nwant %v", got["instructions"], want)
	}
	right := e.must("call.report", members{"session": got["session"], "results": []any{
		members{"op": "answer", "status": "done"}, members{"op": "collect", "status": "digits", "digits": "1234"}}})
	if op := right["instructions"].([]any)[0].(members)["op"]; op != "connect" {
		t.Fatalf("after the code: %v", right)
	}

	got = e.must("call.start", startOf("a-3", "08003"))
	wrong := e.must("call.report", members{"session": got["session"], "results": []any{
		members{"op": "answer", "status": "done"}, members{"op": "collect", "status": "timeout"}}})
	if want := []any{members{"op": "release", "cause": 21}}; !reflect.DeepEqual(wrong["instructions"], want) {
		t.Fatalf("after no code: %v, want %v", wrong["instructions"], want)
	}
}

func TestCallStartUnknownNumber(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	got := e.must("call.start", startOf("a-4", "099999"))
	if want := []any{members{"op": "release", "cause": 1}}; !reflect.DeepEqual(got["instructions"], want) {
		t.Fatalf("got %v, want %v", got["instructions"], want)
	}
	if _, ok := got["service"]; ok {
		t.Fatalf("a service is named for a number that has none: %v", got)
	}
}

// Bad members are refused with their name, and change nothing.
func TestCallStartRefusals(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	good := startOf("a-5", "08001")
	long := make([]byte, 129)
	for i := range long {
		long[i] = 'x'
	}
	for name, c := range map[string]struct {
		changes members
		code    int
		word    string
	}{
		"no call_id":           {members{"call_id": nil}, api.FaultInvalidParameters, "call_id: is missing"},
		"empty call_id":        {members{"call_id": ""}, api.FaultInvalidParameters, "call_id"},
		"call_id with a space": {members{"call_id": "a b"}, api.FaultInvalidParameters, "call_id"},
		"call_id not ASCII":    {members{"call_id": "ä"}, api.FaultInvalidParameters, "call_id"},
		"call_id too long":     {members{"call_id": string(long)}, api.FaultInvalidParameters, "call_id"},
		"call_id an int":       {members{"call_id": 5}, api.FaultInvalidParameters, "call_id: is int, must be string"},
		"no called":            {members{"called": nil}, api.FaultInvalidParameters, "called: is missing"},
		"called empty":         {members{"called": ""}, api.FaultInvalidParameters, "called"},
		"called with a colon":  {members{"called": "0800:1"}, api.FaultInvalidParameters, "called"},
		"called dial syntax":   {members{"called": "1&PJSIP/2"}, api.FaultInvalidParameters, "called"},
		"called a line break":  {members{"called": "1\n2"}, api.FaultInvalidParameters, "called"},
		"called SQL":           {members{"called": "1'; DROP TABLE cdr"}, api.FaultInvalidParameters, "called"},
		"called only plus":     {members{"called": "+"}, api.FaultInvalidParameters, "called"},
		"called two pluses":    {members{"called": "++49"}, api.FaultInvalidParameters, "called"},
		"called 33 digits":     {members{"called": "012345678901234567890123456789012"}, api.FaultInvalidParameters, "called"},
		"caller letters":       {members{"caller": "anonymous"}, api.FaultInvalidParameters, "caller"},
		"presentation unknown": {members{"presentation": "maybe"}, api.FaultInvalidParameters, "presentation"},
		"presentation boolean": {members{"presentation": true}, api.FaultInvalidParameters, "presentation: is boolean"},
		"trunk with a space":   {members{"trunk": "a b"}, api.FaultInvalidParameters, "trunk"},
		"channel control":      {members{"channel": "a\tb"}, api.FaultInvalidParameters, "channel"},
		"node another":         {members{"node": nodeB}, api.FaultNotYourCall, "node"},
		"node unknown":         {members{"node": "nobody"}, api.FaultNotYourCall, "node"},
	} {
		_, err := e.call("call.start", good.with(c.changes))
		t.Run(name, func(t *testing.T) { wantFault(t, err, c.code, c.word) })
	}
	_, err := e.call("call.start")
	wantFault(t, err, api.FaultInvalidParameters, "one struct")
	_, err = e.call("call.start", good, good)
	wantFault(t, err, api.FaultInvalidParameters, "one struct")
	_, err = e.call("call.start", "x")
	wantFault(t, err, api.FaultInvalidParameters, "must be struct")
	// None of them has been remembered, and members that nobody knows are ignored.
	e.must("call.start", good.with(members{"a_member_of_next_year": members{"deep": []any{1}}}))
}
