package agi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"ringmaster/rpc/api"
)

// scripted is an engine that says what a test wants, over real HTTP. Its documents are written out, not made by a codec.
type scripted struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	answer func(method, body string) string // the methodResponse; empty: hang up
	status int
}

func newScripted(t testing.TB, answer func(method, body string) string) *scripted {
	t.Helper()
	s := &scripted{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		body := string(data)
		_, rest, _ := strings.Cut(body, "<methodName>")
		method, _, _ := strings.Cut(rest, "</methodName>")
		s.mu.Lock()
		s.bodies = append(s.bodies, body)
		status := s.status
		s.mu.Unlock()
		if user, secret, ok := r.BasicAuth(); !ok || user != "node1" || secret != "geheim" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if status != 0 {
			w.WriteHeader(status)
			return
		}
		text := s.answer(method, body)
		if text == "" {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *scripted) asked(method string) (bodies []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bodies {
		if strings.Contains(b, "<methodName>"+method+"</methodName>") {
			bodies = append(bodies, b)
		}
	}
	return bodies
}

func response(members string) string {
	return `<?xml version="1.0"?><methodResponse><params><param><value><struct>` + members + `</struct></value></param></params></methodResponse>`
}

func faultResponse(code, text string) string {
	return `<?xml version="1.0"?><methodResponse><fault><value><struct><member><name>faultCode</name><value><int>` + code +
		`</int></value></member><member><name>faultString</name><value><string>` + text + `</string></value></member></struct></value></fault></methodResponse>`
}

func stringMember(name, value string) string {
	return "<member><name>" + name + "</name><value><string>" + value + "</string></value></member>"
}

func intMember(name, value string) string {
	return "<member><name>" + name + "</name><value><int>" + value + "</int></value></member>"
}

func arrayMember(name string, values ...string) string {
	return "<member><name>" + name + "</name><value><array><data>" + strings.Join(values, "") + "</data></array></value></member>"
}

func structValue(members ...string) string {
	return "<value><struct>" + strings.Join(members, "") + "</struct></value>"
}

// told is a reply with a session and instructions.
func told(session string, instructions ...string) string {
	return response(stringMember("session", session) + arrayMember("instructions", instructions...) + stringMember("revision", "7"))
}

func releaseWith(cause string) string {
	return structValue(stringMember("op", "release"), intMember("cause", cause))
}

func testAsker(t *testing.T, urls ...string) *asker {
	t.Helper()
	m := newMetrics(prometheus.NewRegistry(), func() float64 { return 0 }, func() float64 { return 0 })
	a, err := newAsker(urls, "node1", "geheim", nil, testLog(t), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.client.CloseIdleConnections)
	return a
}

func TestAskFailsOver(t *testing.T) {
	good := newScripted(t, func(string, string) string { return told("s1", releaseWith("16")) })
	for name, bad := range map[string]*scripted{
		"not ready":        newScripted(t, func(string, string) string { return faultResponse("106", "no snapshot yet") }),
		"overloaded":       newScripted(t, func(string, string) string { return faultResponse("105", "shed") }),
		"over budget":      newScripted(t, func(string, string) string { return faultResponse("104", "late") }),
		"hangs up":         newScripted(t, func(string, string) string { return "" }),
		"not XML":          newScripted(t, func(string, string) string { return "<html>hello" }),
		"other document":   newScripted(t, func(string, string) string { return response(intMember("session", "1")) }),
		"no value at all":  newScripted(t, func(string, string) string { return "<methodResponse/>" }),
		"truncated struct": newScripted(t, func(string, string) string { return "<methodResponse><params><param><value><struct>" }),
	} {
		t.Run(name, func(t *testing.T) {
			a := testAsker(t, bad.URL, good.URL)
			r, err := a.ask(t.Context(), api.MethodCallStart, map[string]any{}, 10*time.Second, 0)
			if err != nil || r.Session != "s1" {
				t.Fatalf("got %+v, %v", r, err)
			}
			if n := testutil.ToFloat64(a.metrics.failovers); n != 1 {
				t.Errorf("failovers counted: %v", n)
			}
		})
	}
	for _, status := range []int{401, 404, 429, 500, 503} {
		bad := newScripted(t, nil)
		bad.status = status
		a := testAsker(t, bad.URL, good.URL)
		if r, err := a.ask(t.Context(), api.MethodCallStart, map[string]any{}, 10*time.Second, 0); err != nil || r.Session != "s1" {
			t.Errorf("HTTP %d: got %+v, %v", status, r, err)
		}
	}
	t.Run("nobody listens", func(t *testing.T) {
		gone := httptest.NewServer(nil)
		gone.Close()
		a := testAsker(t, gone.URL, good.URL)
		for range 2 {
			if r, err := a.ask(t.Context(), api.MethodCallStart, map[string]any{}, 10*time.Second, 0); err != nil || r.Session != "s1" {
				t.Fatalf("got %+v, %v", r, err)
			}
		}
		if n := testutil.ToFloat64(a.metrics.failovers); n != 1 {
			t.Errorf("the engine that is down was asked first again: %v failovers", n)
		}
	})
}

func TestAskWrongQueryIsFinal(t *testing.T) {
	bad := newScripted(t, func(string, string) string { return faultResponse("-32602", "member called: is missing") })
	other := newScripted(t, func(string, string) string { return told("s1", releaseWith("16")) })
	a := testAsker(t, bad.URL, other.URL)
	_, err := a.ask(t.Context(), api.MethodCallStart, map[string]any{}, 10*time.Second, 0)
	var f *fault
	if !errors.As(err, &f) || f.Code != api.FaultInvalidParameters {
		t.Fatalf("got %v", err)
	}
	if n := len(other.asked(api.MethodCallStart)); n != 0 {
		t.Errorf("the other engine was asked %d times", n)
	}
}

// TestAskSessionInvalidIsFinalWhenAllSaySo: one engine may be behind by a session key; an engine that was not heard may be the one that knows it.
func TestAskSessionInvalidIsFinalWhenAllSaySo(t *testing.T) {
	saying := func(code string) string {
		return newScripted(t, func(string, string) string { return faultResponse(code, "no") }).URL
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, c := range map[string]struct {
		engines []string
		final   bool
	}{
		"the only one": {[]string{saying("101")}, true},
		"all":          {[]string{saying("101"), saying("101"), saying("101")}, true},
		"one is gone":  {[]string{saying("101"), gone.URL, saying("101")}, false},
		"one is busy":  {[]string{saying("105"), saying("101")}, false},
	} {
		a := testAsker(t, c.engines...)
		_, err := a.ask(t.Context(), api.MethodCallEnd, map[string]any{}, 10*time.Second, 0)
		if !errors.Is(err, &fault{Code: api.FaultSessionInvalid}) || errors.Is(err, errNoEngine) == c.final {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestAskHedges: the first engine is silent until the test ends; the answer comes from the second, long before the deadline.
func TestAskHedges(t *testing.T) {
	release := make(chan struct{})
	silent := newScripted(t, func(string, string) string { <-release; return told("late", releaseWith("16")) })
	good := newScripted(t, func(string, string) string { return told("s1", releaseWith("16")) })
	defer close(release)
	a := testAsker(t, silent.URL, good.URL)
	r, err := a.ask(t.Context(), api.MethodCallStart, map[string]any{}, time.Minute, 10*time.Millisecond)
	if err != nil || r.Session != "s1" {
		t.Fatalf("got %+v, %v", r, err)
	}
	if n := testutil.ToFloat64(a.metrics.hedges); n != 1 {
		t.Errorf("hedges counted: %v", n)
	}
}

func TestAskDeadline(t *testing.T) {
	release := make(chan struct{})
	silent := newScripted(t, func(string, string) string { <-release; return "" })
	defer close(release)
	a := testAsker(t, silent.URL)
	_, err := a.ask(t.Context(), api.MethodCallStart, map[string]any{}, 50*time.Millisecond, 10*time.Millisecond)
	if !errors.Is(err, errNoEngine) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if n := testutil.ToFloat64(a.metrics.asks.WithLabelValues(api.MethodCallStart, outcomeDeadline)); n != 1 {
		t.Errorf("deadlines counted: %v", n)
	}
}

// TestAskStaleConnection: an engine that was restarted closes kept-alive connections; the next query must not fail for it.
func TestAskStaleConnection(t *testing.T) {
	good := newScripted(t, func(string, string) string { return told("s1", releaseWith("16")) })
	a := testAsker(t, good.URL)
	for i := range 20 {
		if _, err := a.ask(t.Context(), api.MethodCallStart, map[string]any{}, 10*time.Second, 0); err != nil {
			t.Fatalf("query %d: %v", i, err)
		}
		good.CloseClientConnections()
	}
}

func TestAskProbeFindsEngineUp(t *testing.T) {
	ready := atomic.Bool{}
	e := newScripted(t, func(string, string) string {
		if !ready.Load() {
			return faultResponse("106", "no snapshot yet")
		}
		return response("")
	})
	a := testAsker(t, e.URL)
	_, _ = a.ask(t.Context(), api.MethodCallStart, map[string]any{}, 10*time.Second, 0)
	if !a.engines[0].down {
		t.Fatal("an engine without a snapshot counts as up")
	}
	ready.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { a.probe(ctx, 10*time.Millisecond, time.Second); close(done) }()
	for {
		e := a.engines[0]
		e.mu.Lock()
		down := e.down
		e.mu.Unlock()
		if !down {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
}

func TestEngineAddresses(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry(), func() float64 { return 0 }, func() float64 { return 0 })
	for _, bad := range []string{"", "scp1:4580", "ftp://scp1", "http://scp1:4580", "http://192.0.2.1:4580", "https://user:pw@scp1", "http://127.0.0.1.example.net"} {
		if _, err := newAsker([]string{bad}, "n", "s", nil, testLog(t), m); err == nil {
			t.Errorf("%q is taken as an engine", bad)
		}
	}
	for given, want := range map[string]string{
		"http://127.0.0.1:4580": "http://127.0.0.1:4580/RPC2", "https://scp1/": "https://scp1/RPC2",
		"http://[::1]:4580/xmlrpc": "http://[::1]:4580/xmlrpc", "https://scp1.example.net:4580": "https://scp1.example.net:4580/RPC2",
	} {
		a, err := newAsker([]string{given}, "n", "s", nil, testLog(t), m)
		if err != nil || a.engines[0].url != want {
			t.Errorf("%s: %v, %v", given, a, err)
		}
	}
}

func TestListenLoopbackOnly(t *testing.T) {
	for _, bad := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "localhost:0", "127.0.0.1", ""} {
		if l, err := listenLoopback("HTTP", bad); err == nil {
			l.Close()
			t.Errorf("%q is listened on", bad)
		}
	}
	for _, good := range []string{"127.0.0.1:0", "127.4.5.6:0"} {
		l, err := listenLoopback("HTTP", good)
		if err != nil {
			t.Errorf("%s: %v", good, err)
			continue
		}
		l.Close()
	}
}

// testLog writes to the test's own log.
func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
