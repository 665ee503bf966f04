package rpc

import (
	"strings"
	"sync"
	"testing"
	"time"

	"ringmaster/rpc/api"
)

// post1 sends a body and returns the reply's bytes.
func (e *engine) post1(method string, p ...any) string {
	_, body := e.post(nodeA, secretA, "/RPC2", "text/xml", encodeCall(method, p...))
	return body
}

// The same call_id with the same members gets the same answer, byte for byte; with others, a fault.
func TestStartAgain(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	start := startOf("h-1", "08002") // a circular distribution: decided anew, it would go elsewhere
	first := e.post1("call.start", start)
	e.clock.advance(time.Minute)
	e.source.Store(compileFixture(t, 42))
	for range 3 {
		if again := e.post1("call.start", start); again != first {
			t.Fatalf("the answer has changed:\n%s\n%s", first, again)
		}
	}
	// How it is spelt in XML is not what counts, nor are members that mean nothing.
	spelt := strings.ReplaceAll(encodeCall("call.start", start.with(members{"unknown": 1})), "<member>", "\n  <member >")
	if _, again := e.post(nodeA, secretA, "/xmlrpc", "application/xml", spelt); again != first {
		t.Fatalf("another spelling got another answer:\n%s\n%s", first, again)
	}
	if other := e.post1("call.start", startOf("h-2", "08002")); other == first {
		t.Fatal("another call got the same answer")
	}
	for name, value := range map[string]string{"caller": "+49301112223", "called": "08001", "channel": "x", "presentation": "restricted", "trunk": "office"} {
		_, err := e.call("call.start", start.with(members{name: value}))
		wantFault(t, err, api.FaultCallIDReused, "call_id")
	}
	// What stands side by side must not run into one another.
	_, err := e.call("call.start", start.with(members{"channel": "PJSIP/softswitch-00000001+", "caller": "49301112222"}))
	wantFault(t, err, api.FaultCallIDReused)
	// Another node's call of the same name is another call.
	if _, err := e.callAs(nodeB, secretB, "call.start", start.with(members{"node": nodeB})); err != nil {
		t.Fatal(err)
	}
	if again := e.post1("call.start", start); again != first {
		t.Fatal("the answer has changed after all")
	}
}

func TestReportAgain(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	session := e.must("call.start", startOf("h-3", "08003"))["session"]
	report := members{"session": session, "results": []any{members{"op": "collect", "status": "digits", "digits": "1234"}}}
	first := e.post1("call.report", report)
	e.clock.advance(time.Second)
	if again := e.post1("call.report", report); again != first {
		t.Fatalf("the answer has changed:\n%s\n%s", first, again)
	}
	for _, result := range []members{
		{"op": "collect", "status": "digits", "digits": "1235"}, {"op": "collect", "status": "timeout"},
		{"op": "collect", "status": "digits", "digits": "1234", "cause": 1},
	} {
		_, err := e.call("call.report", report.with(members{"results": []any{result}}))
		wantFault(t, err, api.FaultCallIDReused, "session")
	}
	// Node B does not get what node A was answered.
	_, err := e.callAs(nodeB, secretB, "call.report", report)
	wantFault(t, err, api.FaultNotYourCall)
}

// Many at once get one answer.
func TestStartAtOnce(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	const n = 16
	answers := make([]string, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Add(1)
		go func() {
			defer wait.Done()
			answers[i] = e.post1("call.start", startOf("h-4", "08002"))
		}()
	}
	wait.Wait()
	for _, a := range answers {
		if a != answers[0] || !strings.Contains(a, "<name>session</name>") {
			t.Fatalf("%q and %q", a, answers[0])
		}
	}
}

// A circular distribution takes its branches in turn, each as often as the others.
func TestTurns(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	count := make(map[string]int)
	for i := range 9 {
		got := e.must("call.start", startOf("i-"+string(rune('a'+i)), "08002"))
		count[got["instructions"].([]any)[0].(members)["targets"].([]any)[0].(members)["number"].(string)]++
	}
	if len(count) != 3 || count["4930200101"] != 3 || count["4930200102"] != 3 || count["4930200103"] != 3 {
		t.Fatalf("9 calls went to %v", count)
	}
}
