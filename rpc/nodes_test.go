package rpc

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ringmaster/logic/charging"
	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
)

func TestNodes(t *testing.T) {
	t.Parallel()
	e := startEngine(t, func(c *Config) {
		c.Engines = []string{"https://scp1.example:8443/RPC2", "https://scp2.example:8443/RPC2"}
		c.Budget, c.EndTimeout = 20*time.Millisecond, 50*time.Millisecond
	})
	report := members{"node": nodeA, "boot_id": "boot-1", "capacity": 80, "channels": 2, "calls": []any{"a-1", "a-2"}}
	want := members{"state": "in_service", "gaps": []any{}, "extensions": []any{}, "engines": []any{"https://scp1.example:8443/RPC2", "https://scp2.example:8443/RPC2"}}
	for _, method := range []string{"node.register", "node.heartbeat"} {
		if got := e.must(method, report); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", method, got, want)
		}
	}
	if want := []string{nodeA + " boot-1 80 2 [a-1 a-2]"}; !slices.Equal(e.ledger.registered, want) {
		t.Errorf("registered %q, want %q", e.ledger.registered, want)
	}
	if want := []string{nodeA + " boot-1 2 [a-1 a-2]"}; !slices.Equal(e.ledger.heartbeats, want) {
		t.Errorf("heartbeats %q, want %q", e.ledger.heartbeats, want)
	}
	talking := report.with(members{"talking": []any{members{"call_id": "a-2", "answered_at": time.Date(2026, 11, 23, 9, 0, 5, 0, time.UTC)}, members{"call_id": "gone"}}})
	e.ledger.extensions = []charging.Extension{{CallID: "a-2", Charge: 1, Seconds: 600, Final: true}}
	extended := members{"call_id": "a-2", "charge": 1, "maximum_seconds": 600, "final": true}
	if got := e.must("node.heartbeat", talking); !reflect.DeepEqual(got["extensions"], []any{extended}) {
		t.Errorf("%v", got)
	}
	if want := nodeA + " boot-1 2 [a-1 a-2@09:00:05]"; e.ledger.heartbeats[1] != want {
		t.Errorf("heartbeats %q, want %q", e.ledger.heartbeats, want)
	}
	e.must("node.heartbeat", report.with(members{"talking": []any{members{"call_id": "a-1", "talk_seconds": 41.5},
		members{"call_id": "a-2", "talk_seconds": 3, "final": true, "over": true, "answered_at": "2026-11-23T09:00:05Z"}}}))
	if want := nodeA + " boot-1 2 [a-1+41.5s a-2@09:00:05+3s!.]"; e.ledger.heartbeats[2] != want {
		t.Errorf("heartbeats %q, want %q", e.ledger.heartbeats, want)
	}
	e.ledger.extensions = nil
	got, err := e.callAs(nodeB, secretB, "node.heartbeat", members{"node": nodeB, "boot_id": "x", "channels": 0})
	if err != nil || got.(members)["state"] != "out_of_service" {
		t.Errorf("a node that operators took out: %v, %v", got, err)
	}

	// Calls that begin with another node's name are left out, and the rest counts: a heartbeat must not be lost for one odd name.
	foreign := report.with(members{"calls": []any{nodeB + "-foreign.77", "a-1", nodeA + "-1.2", "nobody-3"}, "talking": []any{members{"call_id": nodeB + "-foreign.77", "talk_seconds": 5}, members{"call_id": "a-1", "talk_seconds": 7}}})
	e.must("node.heartbeat", foreign)
	e.must("node.register", foreign)
	if got, want := e.ledger.heartbeats[len(e.ledger.heartbeats)-1], nodeA+" boot-1 2 [a-1+7s node-a-1.2 nobody-3]"; got != want {
		t.Errorf("heartbeat %q, want %q", got, want)
	}
	if got, want := e.ledger.registered[len(e.ledger.registered)-1], nodeA+" boot-1 80 2 [a-1+7s node-a-1.2 nobody-3]"; got != want {
		t.Errorf("registered %q, want %q", got, want)
	}
	if got := e.metric(t, "ringmaster_rpc_foreign_calls_total"); got != 2 {
		t.Errorf("%v calls of other nodes counted, want 2", got)
	}
	if log := e.log.String(); !strings.Contains(log, nodeB+"-foreign.77") {
		t.Errorf("the log does not name the call: %s", log)
	}

	for name, c := range map[string]struct {
		changes members
		code    int
	}{
		"another node":            {members{"node": nodeB}, api.FaultNotYourCall},
		"no node":                 {members{"node": nil}, api.FaultInvalidParameters},
		"no boot id":              {members{"boot_id": nil}, api.FaultInvalidParameters},
		"empty boot id":           {members{"boot_id": ""}, api.FaultInvalidParameters},
		"capacity":                {members{"capacity": -1}, api.FaultInvalidParameters},
		"channels":                {members{"channels": 1 << 30}, api.FaultInvalidParameters},
		"calls of ints":           {members{"calls": []any{"a", 5}}, api.FaultInvalidParameters},
		"calls with space":        {members{"calls": []any{"a b"}}, api.FaultInvalidParameters},
		"talking of texts":        {members{"talking": []any{"a"}}, api.FaultInvalidParameters},
		"talking since yesterday": {members{"talking": []any{members{"call_id": "a-1", "answered_at": "yesterday"}}}, api.FaultInvalidParameters},
		"talked before":           {members{"talking": []any{members{"call_id": "a-1", "talk_seconds": -1}}}, api.FaultInvalidParameters},
		"talked in words":         {members{"talking": []any{members{"call_id": "a-1", "talk_seconds": "5"}}}, api.FaultInvalidParameters},
		"over in words":           {members{"talking": []any{members{"call_id": "a-1", "over": "yes"}}}, api.FaultInvalidParameters},
		"final in words":          {members{"talking": []any{members{"call_id": "a-1", "final": "yes"}}}, api.FaultInvalidParameters},
		"too many calls":          {members{"calls": slices.Repeat([]any{"a"}, contract.MaxLiveCalls+1)}, api.FaultInvalidParameters},
	} {
		for _, method := range []string{"node.register", "node.heartbeat"} {
			_, err := e.call(method, report.with(c.changes))
			t.Run(method+" "+name, func(t *testing.T) { wantFault(t, err, c.code) })
		}
	}

	// While the ledger is away, a node learns its state but is not registered.
	for name, break_ := range map[string]func(){
		"failing": func() { e.ledger.fail = errors.New("away") },
		"frozen":  func() { e.ledger.hold = make(chan struct{}) },
	} {
		e.ledger.mu.Lock()
		e.ledger.fail, e.ledger.hold = nil, nil
		break_()
		e.ledger.mu.Unlock()
		if got := e.must("node.heartbeat", report); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: heartbeat: %v", name, got)
		}
		_, err := e.call("node.register", report)
		t.Run(name, func(t *testing.T) { wantFault(t, err, api.FaultNotDurable) })
	}
	if got := e.metric(t, "ringmaster_rpc_heartbeats_unrecorded_total"); got != 2 {
		t.Errorf("%v heartbeats counted as not recorded, want 2", got)
	}
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	for _, c := range []struct {
		called string
		want   members
	}{
		{"08001", members{"action": "connect", "trunk": "office", "number": "4930200100", "service": "acme_plain", "revision": "41",
			"targets": []any{members{"trunk": "office", "number": "4930200100", "timeout": 20}}}},
		{"+498003", members{"action": "dialogue", "service": "acme_dialogue", "revision": "41"}},
		{"12345", members{"action": "release", "cause": 1, "revision": "41"}},
	} {
		if got := e.must("number.translate", members{"called": c.called, "caller": "0301112222"}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got  %v\nwant %v", c.called, got, c.want)
		}
	}
	e.must("number.translate", members{"called": "08001", "at": "2030-01-01T00:00:00Z"})
	e.must("number.translate", members{"called": "08001", "at": time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), "trunk": "softswitch"})
	for name, p := range map[string]members{
		"no called": {"caller": "1"}, "bad called": {"called": "x"}, "bad caller": {"called": "1", "caller": "x"},
		"bad at": {"called": "1", "at": "noon"}, "at an int": {"called": "1", "at": 5}, "bad trunk": {"called": "1", "trunk": "a b"},
	} {
		_, err := e.call("number.translate", p)
		t.Run(name, func(t *testing.T) { wantFault(t, err, api.FaultInvalidParameters) })
	}
}

func TestDialplanTranslate(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		body, want string
	}{
		{"called=08001&caller=%2B49301112222", "status=OK&action=connect&trunk=office&number=4930200100&timeout=20&service=acme_plain&revision=41"},
		{"called=08001&caller=anonymous", "status=OK&action=connect&trunk=office&number=4930200100&timeout=20&service=acme_plain&revision=41"},
		{"called=08003", "status=OK&action=dialogue&service=acme_dialogue&revision=41"},
		{"called=%2B12345&trunk=softswitch&x=y", "status=OK&action=release&cause=1&revision=41"},
	} {
		response, body := e.post(nodeA, secretA, "/dialplan/translate", form, c.body)
		if response.StatusCode != 200 || body != c.want || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %s %q, want %q", c.body, response.Status, body, c.want)
		}
	}
	for _, c := range []string{"", "caller=1", "called=x", "called=", "called=1&called=2", "called=%zz", "called=1%0A2", "called=1&trunk=a%20b", "called=1;2", "called=${EXTEN}"} {
		response, body := e.post(nodeA, secretA, "/dialplan/translate", form, c)
		values, err := url.ParseQuery(body)
		if response.StatusCode != 200 || err != nil || values.Get("status") != "INVALID" || values.Get("reason") == "" {
			t.Errorf("%q: %s %q", c, response.Status, body)
		}
		if strings.ContainsAny(body, "\r\n\x00,|(){}[]\"'\\;@$<> ") {
			t.Errorf("%q: dialplan syntax in %q", c, body)
		}
	}
	for name, c := range map[string]struct {
		node, secret, contentType string
		want                      int
	}{
		"right": {nodeA, secretA, form, 200}, "no node": {"", "", form, 401}, "wrong secret": {nodeA, secretB, form, 401}, "XML": {nodeA, secretA, "text/xml", 415},
	} {
		if response, _ := e.post(c.node, c.secret, "/dialplan/translate", c.contentType, "called=08001"); response.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", name, response.Status, c.want)
		}
	}
	// Over the budget it says so in its own words.
	e.clock.setStep(20 * time.Millisecond)
	if _, body := e.post(nodeA, secretA, "/dialplan/translate", form, "called=08001"); !strings.HasPrefix(body, "status=UNAVAILABLE&reason=") {
		t.Errorf("over the budget: %q", body)
	}
	e.queries.Add(DefaultMaxQueries)
	if response, _ := e.post(nodeA, secretA, "/dialplan/translate", form, "called=08001"); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("over the cap: %s", response.Status)
	}
}
