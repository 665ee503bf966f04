package rpc

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"ringmaster/rpc/wire"
)

// serveBody sends a body to the handler as node A.
func (e *engine) serveBody(path, contentType string, content []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(content))
	r.Header.Set("Content-Length", strconv.Itoa(len(content)))
	r.Header.Set("Content-Type", contentType)
	r.SetBasicAuth(nodeA, secretA)
	w := httptest.NewRecorder()
	e.Handler().ServeHTTP(w, r)
	return w
}

// atRest checks that no query has left anything behind.
func (e *engine) atRest(t *testing.T) {
	t.Helper()
	if q, n := e.queries.Load(), e.ends.Load(); q != 0 || n != 0 {
		t.Fatalf("in flight at rest: %d queries, %d ends", q, n)
	}
	if log := e.log.String(); strings.Contains(log, "ran into a bug") {
		t.Fatal(log)
	}
}

// FuzzXMLRPC: whatever the body is, the reply is a methodResponse, no query runs into a bug, and none is left in flight.
func FuzzXMLRPC(f *testing.F) {
	for _, body := range hostileBodies() {
		f.Add([]byte(body))
	}
	session := startEngine(f, nil).must("call.start", startOf("fuzz", "08003"))["session"]
	results := []any{members{"op": "collect", "status": "digits", "digits": "1234", "target": 1, "cause": 17, "talk_seconds": 1.5, "dial_status": "BUSY"}}
	f.Add([]byte(encodeCall("call.start", startOf("fuzz-1", "08001"))))
	f.Add([]byte(encodeCall("call.report", members{"session": session, "results": results})))
	f.Add([]byte(encodeCall("call.end", members{"session": session, "cause": 16, "talk_seconds": 5, "answered_at": "2026-04-01T12:00:00Z", "results": results})))
	f.Add([]byte(encodeCall("call.end", members{"call_id": "fuzz-2", "called": "08001", "started_at": "2026-04-01T12:00:00.5+02:00"})))
	f.Add([]byte(encodeCall("number.translate", members{"called": "08002", "at": "2026-04-01T12:00:00Z"})))
	f.Add([]byte(encodeCall("node.heartbeat", members{"node": nodeA, "boot_id": "b", "channels": 1, "calls": []any{"a"}})))
	f.Add([]byte(encodeCall("system.methodHelp", "call.start")))
	f.Add([]byte(encodeCall("system.multicall", []any{members{"methodName": "system.multicall", "params": []any{[]any{}}},
		members{"methodName": "call.start", "params": []any{startOf("fuzz-3", "08002")}}})))
	f.Add([]byte(encodeCall("validator1.nestedStructTest", members{"2000": members{"04": members{"01": members{"moe": 1, "larry": 2, "curly": 3}}}})))
	e := startEngine(f, nil)
	f.Fuzz(func(t *testing.T, content []byte) {
		w := e.serveBody("/RPC2", "text/xml", content)
		if len(content) > wire.MaxBody {
			if w.Code != http.StatusRequestEntityTooLarge {
				t.Fatalf("%d bytes got %d", len(content), w.Code)
			}
			return
		}
		var fault *wire.Fault
		if _, err := reply(w.Body.String()); w.Code != http.StatusOK || err != nil && !errors.As(err, &fault) {
			t.Fatalf("%d: %v", w.Code, err)
		}
		e.atRest(t)
	})
}

// FuzzDialplanForm: whatever the form is, the reply is one line of pairs that a dialplan can take apart.
func FuzzDialplanForm(f *testing.F) {
	for _, form := range []string{"called=08001&caller=%2B49301112222", "called=08003", "called=1&called=2", "%zz", "called=1&trunk=a%20b", ";", "called=${EXTEN}"} {
		f.Add([]byte(form))
	}
	e := startEngine(f, nil)
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > wire.MaxBody {
			return
		}
		w := e.serveBody("/dialplan/translate", "application/x-www-form-urlencoded", content)
		line := w.Body.String()
		values, err := url.ParseQuery(line)
		status := values.Get("status")
		if w.Code != http.StatusOK || err != nil || status != "OK" && status != "INVALID" {
			t.Fatalf("%d %q: %v", w.Code, line, err)
		}
		if strings.Trim(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=&%+-_.~") != "" {
			t.Fatalf("%q has what a dialplan could take for its own", line)
		}
		e.atRest(t)
	})
}
