package web

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// desk is an Engine whose answers a test sets.
type desk struct {
	asked Question
	calls []Call
	limit int
	err   error
}

func (d *desk) Status(context.Context) (Status, error) {
	return Status{Version: "v1", Ready: true, Revision: 7, Now: time.Unix(0, 0).UTC()}, d.err
}

func (d *desk) LastCalls(_ context.Context, limit int) ([]Call, error) {
	d.limit = limit
	return d.calls, d.err
}

func (d *desk) Explain(_ context.Context, question Question) (Explanation, error) {
	d.asked = question
	return Explanation{Revision: 7, Service: "freephone", Instructions: []string{"release"}}, d.err
}

func get(t *testing.T, d *desk, path string, header ...string) (int, string, http.Header) {
	t.Helper()
	request := httptest.NewRequest("GET", path, nil)
	request.Host = "127.0.0.1:8081"
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			request.Host = header[i+1]
		}
	}
	recorder := httptest.NewRecorder()
	Handler(d, "desk.example").ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String(), recorder.Header()
}

func TestResources(t *testing.T) {
	d := &desk{}
	for path, want := range map[string]string{
		"/": "Where does a call go?", "/page/page.js": "use strict", "/page/page.css": ":root", "/page/icon.svg": "<svg",
		"/page/status": `"revision":7`, "/page/calls?limit=3": "[]", "/page/explain?called=0800123": `"service":"freephone"`,
	} {
		code, body, header := get(t, d, path)
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d, no %q in %q", path, code, want, body)
		}
		if policy := header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
	if d.limit != 3 {
		t.Errorf("limit %d arrived", d.limit)
	}
	if code, _, _ := get(t, d, "/page/other"); code != 404 {
		t.Errorf("an unknown path got %d", code)
	}
}

func TestQuestion(t *testing.T) {
	d := &desk{}
	code, body, _ := get(t, d, "/page/explain?called=%2B4930&caller=%20030%20&trunk=west&at=2026-11-24T03:15:00Z")
	want := Question{Called: "+4930", Caller: "030", Trunk: "west", At: time.Date(2026, 11, 24, 3, 15, 0, 0, time.UTC)}
	if code != 200 || d.asked != want {
		t.Errorf("%d %s: asked %+v", code, body, d.asked)
	}
	for path, want := range map[string]string{
		"/page/explain":                                   "which number is called",
		"/page/explain?called=12<script>":                 "called may hold digits",
		"/page/explain?called=1&caller=x":                 "caller may hold digits",
		"/page/explain?called=1&at=noon":                  "at must be a time",
		"/page/explain?called=" + strings.Repeat("1", 65): "longer than 64",
		"/page/calls":                                     "limit must be a number",
		"/page/calls?limit=1000":                          "limit must be a number",
	} {
		code, body, header := get(t, d, path)
		var refusal struct{ Error string }
		if err := json.Unmarshal([]byte(body), &refusal); err != nil || code != 400 || !strings.Contains(refusal.Error, want) {
			t.Errorf("%s: %d %s", path, code, body)
		}
		if header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s", path, header.Get("Content-Type"))
		}
	}
}

func TestEngineFails(t *testing.T) {
	d := &desk{err: errors.New("couldn't read the last calls: Postgres is away")}
	if code, body, _ := get(t, d, "/page/calls?limit=1"); code != 503 || !strings.Contains(body, "Postgres is away") {
		t.Errorf("%d %s", code, body)
	}
}

func TestHTMLIsEscapedInJSON(t *testing.T) {
	d := &desk{calls: []Call{{Caller: "</script><b>"}}}
	if _, body, _ := get(t, d, "/page/calls?limit=1"); strings.Contains(body, "<") {
		t.Errorf("markup went through: %s", body)
	}
}

func TestGuard(t *testing.T) {
	d := &desk{}
	for host, want := range map[string]int{
		"127.0.0.1:8081": 200, "[::1]:8081": 200, "localhost:8081": 200, "desk.example": 200,
		"rebound.example:8081": 403, "": 403,
	} {
		if code, _, _ := get(t, d, "/page/status", "Host", host); code != want {
			t.Errorf("host %q: %d, want %d", host, code, want)
		}
	}
	if code, _, _ := get(t, d, "/page/status", "Sec-Fetch-Site", "cross-site"); code != 403 {
		t.Errorf("another site got %d", code)
	}
	if code, _, _ := get(t, d, "/", "Sec-Fetch-Site", "cross-site"); code != 200 {
		t.Errorf("a link from another site got %d", code)
	}
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest("POST", "/page/explain", strings.NewReader("called=1"))
	request.Host = "localhost"
	Handler(d).ServeHTTP(recorder, request)
	if recorder.Code != 405 {
		t.Errorf("POST got %d", recorder.Code)
	}
}

// TestAssetsKeepToThemselves: the policy would stop these in the browser; this says so before.
func TestAssetsKeepToThemselves(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|https?://|\son\w+=|<style|<script>|style=`)
	entries, err := fs.ReadDir(assets, "assets")
	if err != nil || len(entries) != 4 {
		t.Fatalf("%d assets, %v", len(entries), err)
	}
	for _, entry := range entries {
		text, err := fs.ReadFile(assets, "assets/"+entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range forbidden.FindAllString(strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", ""), -1) {
			t.Errorf("%s has %q", entry.Name(), found)
		}
	}
}
