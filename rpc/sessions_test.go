package rpc

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

// Sessions that are forged, damaged, too old or another node's are refused, each with its fault.
func TestSessionsRefused(t *testing.T) {
	t.Parallel()
	e := startEngine(t, func(c *Config) { c.SessionLifetime = time.Hour })
	session := e.must("call.start", startOf("j-1", "08003"))["session"].(string)
	results := []any{members{"op": "collect", "status": "digits", "digits": "1234"}}
	middle := len(session) / 2
	other := byte('A')
	if session[middle] == other {
		other = 'B'
	}
	for name, forged := range map[string]string{
		"empty": "", "one letter": "x", "cut": session[:len(session)-1], "longer": session + "A", "damaged": session[:middle] + string(other) + session[middle+1:],
		"not base64": "$$$$", "no text": strings.Repeat("A", 4000), "padding": session + "=", "doubled": session + session,
	} {
		if len(forged) > wire.MaxString {
			forged = forged[:wire.MaxString]
		}
		_, err := e.call("call.report", members{"session": forged, "results": results})
		t.Run(name, func(t *testing.T) { wantFault(t, err, api.FaultSessionInvalid, "session") })
		if forged != "" { // an empty session is none
			_, err = e.call("call.end", members{"session": forged})
			t.Run("end "+name, func(t *testing.T) { wantFault(t, err, api.FaultSessionInvalid, "session") })
		}
	}
	for _, method := range []string{"call.report", "call.end"} {
		_, err := e.callAs(nodeB, secretB, method, members{"session": session, "results": results})
		wantFault(t, err, api.FaultNotYourCall, "session")
	}
	e.clock.advance(2 * time.Hour)
	_, err := e.call("call.report", members{"session": session, "results": results})
	wantFault(t, err, api.FaultSessionExpired, "session")
	if len(e.ledger.cdrs) > 0 {
		t.Fatalf("a refused end left a CDR: %v", e.ledger.cdrs)
	}
	// The end of a call is taken however late.
	e.must("call.end", members{"session": session, "cause": 16})
	e.ledger.cdr(t, "j-1")
}

func TestReportRefusals(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	session := e.must("call.start", startOf("k-1", "08003"))["session"]
	good := members{"op": "collect", "status": "digits", "digits": "1234"}
	many := make([]any, contract.MaxResults+1)
	for i := range many {
		many[i] = good
	}
	for name, c := range map[string]struct {
		report any
		word   string
	}{
		"no session":          {members{"results": []any{good}}, "session: is missing"},
		"no results":          {members{"session": session}, "results: is missing"},
		"results a struct":    {members{"session": session, "results": good}, "results: is struct, must be array"},
		"too many":            {members{"session": session, "results": many}, "has 65 elements"},
		"not structs":         {members{"session": session, "results": []any{good, "x"}}, "results[1]: is string, must be struct"},
		"no op":               {members{"session": session, "results": []any{good.with(members{"op": nil})}}, "results[0]: member op: is missing"},
		"unknown op":          {members{"session": session, "results": []any{good.with(members{"op": "sing"})}}, `no such instruction: "sing"`},
		"unknown status":      {members{"session": session, "results": []any{good.with(members{"status": "ok"})}}, `no such status: "ok"`},
		"digits with letters": {members{"session": session, "results": []any{good.with(members{"digits": "12x4"})}}, "member digits"},
		"digits too long":     {members{"session": session, "results": []any{good.with(members{"digits": strings.Repeat("1", 65)})}}, "member digits"},
		"dial status":         {members{"session": session, "results": []any{good.with(members{"dial_status": "A B"})}}, "member dial_status"},
		"target negative":     {members{"session": session, "results": []any{good.with(members{"target": -1})}}, "member target: must be 0 to 7, is -1"},
		"target too high":     {members{"session": session, "results": []any{good.with(members{"target": 8})}}, "member target"},
		"cause too high":      {members{"session": session, "results": []any{good.with(members{"cause": 128})}}, "member cause"},
		"cause a string":      {members{"session": session, "results": []any{good.with(members{"cause": "16"})}}, "member cause: is string, must be int"},
		"talk negative":       {members{"session": session, "results": []any{good.with(members{"talk_seconds": -0.5})}}, "member talk_seconds"},
		"talk endless":        {members{"session": session, "results": []any{good.with(members{"talk_seconds": math.MaxFloat64})}}, "member talk_seconds"},
	} {
		_, err := e.call("call.report", c.report)
		t.Run(name, func(t *testing.T) {
			wantFault(t, err, api.FaultInvalidParameters, c.word)
			if strings.Contains(err.Error(), "12x4") {
				t.Error("what the caller dialled is repeated")
			}
		})
	}
	e.must("call.report", members{"session": session, "results": []any{good}}) // nothing was applied
}

// A call that no engine was asked about ends with a CDR of its own.
func TestEndFallback(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	end := members{
		"call_id": "l-1", "caller": "+49301112222", "called": "08001", "channel": "PJSIP/x", "trunk": "softswitch", "presentation": "restricted",
		"started_at": "2026-04-01T11:59:00.250Z", "answered_at": "2026-04-01T11:59:05+00:00", "ended_at": time.Date(2026, 4, 1, 11, 59, 30, 0, time.UTC),
		"talk_seconds": 25, "cause": 16, "hangup_source": "PJSIP/x",
	}
	e.must("call.end", end)
	cdr := e.ledger.cdr(t, "l-1")
	if cdr.Outcome != "fallback" || cdr.Node != nodeA || cdr.Dialled != "08001" || cdr.Talk != 25*time.Second || cdr.Trunk != "softswitch" ||
		!cdr.StartedAt.Equal(time.Date(2026, 4, 1, 11, 59, 0, 250e6, time.UTC)) || cdr.Presentation.String() != "restricted" || cdr.Service != "" {
		t.Fatalf("%+v", cdr)
	}
	for name, c := range map[string]struct {
		changes members
		word    string
	}{
		"no call_id":    {members{"call_id": nil}, "call_id"},
		"bad call_id":   {members{"call_id": "a b"}, "call_id"},
		"no called":     {members{"called": nil}, "called"},
		"bad caller":    {members{"caller": "x"}, "caller"},
		"bad start":     {members{"started_at": "yesterday"}, "started_at"},
		"bad end":       {members{"ended_at": "2026-04-01 12:00"}, "ended_at"},
		"bad answer":    {members{"answered_at": ""}, "answered_at"},
		"before time":   {members{"answered_at": "0001-01-01T00:00:00Z"}, "answered_at"},
		"after time":    {members{"ended_at": time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, "ended_at"},
		"talk negative": {members{"talk_seconds": -1}, "talk_seconds"},
		"cause":         {members{"cause": 1000}, "cause"},
		"hangup source": {members{"hangup_source": "a\nb"}, "hangup_source"},
		"results":       {members{"results": []any{1}}, "results[0]"},
	} {
		_, err := e.call("call.end", end.with(members{"call_id": "l-2"}).with(c.changes))
		t.Run(name, func(t *testing.T) { wantFault(t, err, api.FaultInvalidParameters, c.word) })
	}
	if len(e.ledger.cdrs) != 1 {
		t.Fatalf("%d CDRs, want 1", len(e.ledger.cdrs))
	}
}

// call.end is acknowledged only when the ledger has it, and may be sent any number of times.
func TestEndIsDurable(t *testing.T) {
	t.Parallel()
	e := startEngine(t, func(c *Config) {
		c.EndTimeout, c.InVain = 50*time.Millisecond, func(err error) bool { return errors.Is(err, errNever) }
		c.Locked = func(err error) bool { return errors.Is(err, errLocked) }
	})
	session := e.must("call.start", startOf("m-1", "08001"))["session"]
	end := members{"session": session, "call_id": "m-1", "cause": 16}

	_, err := e.call("call.end", end.with(members{"call_id": "m-2"}))
	wantFault(t, err, api.FaultInvalidParameters, "call_id")

	e.ledger.mu.Lock()
	e.ledger.fail = errors.New("the disk is full")
	e.ledger.mu.Unlock()
	_, err = e.call("call.end", end)
	wantFault(t, err, api.FaultNotDurable)
	if strings.Contains(err.Error(), "disk") {
		t.Error("a node is told what is wrong with the database")
	}

	e.ledger.mu.Lock()
	e.ledger.fail = errLocked
	e.ledger.mu.Unlock()
	_, err = e.call("call.end", end)
	wantFault(t, err, api.FaultAccountLocked)

	e.ledger.mu.Lock()
	e.ledger.fail, e.ledger.hold = nil, make(chan struct{})
	e.ledger.mu.Unlock()
	_, err = e.call("call.end", end)
	wantFault(t, err, api.FaultNotDurable)
	if !strings.Contains(e.log.String(), context.DeadlineExceeded.Error()) {
		t.Errorf("the log does not say that the deadline passed: %s", e.log)
	}

	e.ledger.mu.Lock()
	e.ledger.hold = nil
	e.ledger.mu.Unlock()
	for range 3 {
		e.must("call.end", end)
	}

	// What can never be stored is told apart, so that the node does not send it for ever.
	e.ledger.mu.Lock()
	e.ledger.fail = errNever
	e.ledger.mu.Unlock()
	_, err = e.call("call.end", end)
	wantFault(t, err, api.FaultApplication)
	if len(e.ledger.cdrs) != 1 {
		t.Fatalf("%d CDRs, want 1", len(e.ledger.cdrs))
	}
}

var errNever = errors.New("such a record can never be stored")

var errLocked = errors.New("an account is locked")

// A node that names its calls like another node's does not speak of its own calls.
func TestCallsOfAnotherNode(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	for _, id := range []string{nodeA + "-1700000000.5", "somebody-1700000000.5", "node-b.1700000000.5", "-x", nodeB, "node-b-1-2"} {
		e.must("call.start", startOf(id, "08001"))
	}
	const id = nodeB + "-1700000000.5"
	_, err := e.call("call.start", startOf(id, "08001"))
	wantFault(t, err, api.FaultNotYourCall, "call_id")
	_, err = e.call("call.end", members{"call_id": id, "called": "08001"})
	wantFault(t, err, api.FaultNotYourCall, "call_id")
	if len(e.ledger.cdrs) > 0 {
		t.Fatal("node A has written a CDR of node B's call")
	}
	if _, err := e.callAs(nodeB, secretB, "call.end", members{"call_id": id, "called": "08001"}); err != nil {
		t.Fatal(err)
	}
}

// The budget is a deadline: an answer that is not decided by then is not given.
func TestBudget(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	e.clock.setStep(13 * time.Millisecond) // a query reads the clock four times: decided after 26 ms
	_, err := e.call("call.start", startOf("n-1", "08001"))
	wantFault(t, err, api.FaultOverBudget)
	e.clock.setStep(12 * time.Millisecond) // decided after 24 ms, written after 36
	if _, err := e.call("call.start", startOf("n-1", "08001")); err != nil {
		t.Fatal(err)
	}
	e.clock.setStep(8 * time.Millisecond)
	if _, err := e.call("call.start", startOf("n-2", "08001")); err != nil {
		t.Fatal(err)
	}
	for metric, want := range map[string]float64{
		`ringmaster_rpc_over_budget_total{method="call.start",result="refused"}`: 1,
		`ringmaster_rpc_over_budget_total{method="call.start",result="late"}`:    1,
		`ringmaster_rpc_requests_total{class="unavailable",method="call.start"}`: 1,
		`ringmaster_rpc_requests_total{class="ok",method="call.start"}`:          2,
	} {
		if got := e.metric(t, metric); got != want {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
}
