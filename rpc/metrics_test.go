package rpc

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"ringmaster/logic"
	"ringmaster/rpc/contract"
	"ringmaster/rpc/endpoint"
	"ringmaster/rpc/wire"
)

// metric reads one counter or gauge, named as Prometheus writes it, with the labels in alphabetical order.
func (e *engine) metric(t testing.TB, name string) float64 {
	t.Helper()
	families, err := e.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if seriesName(family, m) == name {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func seriesName(family *dto.MetricFamily, m *dto.Metric) string {
	var labels []string
	for _, l := range m.GetLabel() {
		labels = append(labels, l.GetName()+"="+strconv.Quote(l.GetValue()))
	}
	if len(labels) == 0 {
		return family.GetName()
	}
	return family.GetName() + "{" + strings.Join(labels, ",") + "}"
}

func TestMetricsLint(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	e.must("call.end", members{"session": e.must("call.start", startOf("o-1", "08001"))["session"]})
	problems, err := testutil.GatherAndLint(e.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// An expression that fails during a call is counted by its script, in each way to ask; the call goes on with the exit false.
func TestFailedExpressionsAreCounted(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	rows := fixtureRows(42)
	rows.Scripts = append(rows.Scripts, logic.ScriptRow{Script: "failing", FirstStep: "ask"})
	rows.Steps = append(rows.Steps,
		logic.StepRow{Script: "failing", Step: "ask", SIB: "compare", Parameters: []byte(`{"condition": "1 / (size(caller) - size(caller)) == 0"}`)},
		logic.StepRow{Script: "failing", Step: "count", SIB: "algorithm", Parameters: []byte(`{"expression": "string(1 % (size(caller) - size(caller)))", "into": "x"}`)},
		logic.StepRow{Script: "failing", Step: "yes", SIB: "bcp", Parameters: []byte(`{"action": "release", "cause": 17}`)},
		logic.StepRow{Script: "failing", Step: "no", SIB: "bcp", Parameters: []byte(`{"action": "release", "cause": 21}`)})
	rows.StepExits = append(rows.StepExits, logic.StepExitRow{Script: "failing", Step: "ask", Exit: "true", NextStep: "yes"},
		logic.StepExitRow{Script: "failing", Step: "ask", Exit: "false", NextStep: "count"}, logic.StepExitRow{Script: "failing", Step: "count", Exit: "done", NextStep: "no"})
	rows.Services = append(rows.Services, logic.ServiceRow{Service: "acme_failing", Subscriber: "acme", Script: "failing", Language: "en", Active: true})
	rows.ServiceNumbers = append(rows.ServiceNumbers, logic.ServiceNumberRow{Number: "498009", Match: "exact", Service: "acme_failing"})
	e.source.Store(compileRows(t, rows))
	const name = `ringmaster_rpc_expression_failures_total{script="failing"}`
	e.must("call.start", startOf("f-1", "08001"))
	if got := e.must("number.translate", members{"called": "08009"})["cause"]; got != 21 {
		t.Errorf("released with cause %v", got)
	}
	if got := e.metric(t, name); got != 2 {
		t.Errorf("%s is %v", name, got)
	}
	e.must("call.start", startOf("f-2", "08009"))
	e.must("call.start", startOf("f-2", "08009")) // sent again: nothing is decided
	if got := e.metric(t, name); got != 4 {
		t.Errorf("%s is %v", name, got)
	}
}

// The budget is a bucket of its own.
func TestBudgetBucket(t *testing.T) {
	t.Parallel()
	if !slices.Contains(budgetBuckets, DefaultBudget.Seconds()) || !slices.IsSorted(budgetBuckets) {
		t.Fatalf("buckets %v, want 0.025 among them, in order", budgetBuckets)
	}
	recorder := httptest.NewRecorder()
	startEngine(t, nil).AdminHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`ringmaster_rpc_phase_duration_seconds_bucket{method="call.start",phase="decide",le="0.025"} 0`,
		`ringmaster_rpc_request_duration_seconds_bucket{method="call.start",le="0.025"} 0`,
	} {
		if !strings.Contains(recorder.Body.String(), want) {
			t.Errorf("/metrics does not have %s", want)
		}
	}
}

// Whatever is sent, the label values are those of fixed sets.
func TestLabelsAreFixed(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	allowed := map[string][]string{
		"phase": phaseNames[:], "class": classNames[:], "reason": authFailureNames[:], "result": append([]string{"refused", "late"}, stateNames[:]...), "ask": {"money", "place", "secret", "balance"},
		"cap": {endpoint.LimitAddress, endpoint.LimitAll}, "script": {"plain", "turns", "dialogue", "none", "other"},
		"outcome": {"answered", "busy", "no_answer", "unreachable", "abandoned", "released", "continued", "fallback"},
		"method":  {otherMethod, labelDialplanTranslate}, "status": nil,
	}
	for _, m := range registry(true) {
		allowed["method"] = append(allowed["method"], m.Name)
	}
	for _, status := range httpRefusals {
		allowed["status"] = append(allowed["status"], strconv.Itoa(status))
	}
	series := func() int {
		families, err := e.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, family := range families {
			if strings.HasPrefix(family.GetName(), "promhttp_") {
				continue // the library's own
			}
			for _, m := range family.GetMetric() {
				n++
				for _, l := range m.GetLabel() {
					if !slices.Contains(allowed[l.GetName()], l.GetValue()) {
						t.Errorf("%s: the label %s has the value %q", family.GetName(), l.GetName(), l.GetValue())
					}
				}
			}
		}
		return n
	}
	before := series()
	for i := range 50 {
		wild := "wild" + strconv.Itoa(i)
		_, _ = e.call(wild)
		_, _ = e.call("call.start", startOf(wild, "08001"+strconv.Itoa(i)))
		_, _ = e.call("call.end", members{"call_id": wild, "called": "1", "hangup_source": wild})
		_, _ = e.call("system.multicall", []any{members{"methodName": wild, "params": []any{}}})
		e.post(wild, wild, "/RPC2", "text/xml", "<x/>")
		e.post(nodeA, secretA, "/"+wild, wild, "<x/>")
		e.post(nodeA, secretA, "/dialplan/translate", "application/x-www-form-urlencoded", "called="+wild)
	}
	// Scripts in tokens that the snapshot does not have are "other".
	session := e.must("call.start", startOf("p-1", "08001"))["session"]
	rows := fixtureRows(42)
	rows.Services, rows.ServiceNumbers, rows.ServiceParameters = rows.Services[1:], rows.ServiceNumbers[1:], rows.ServiceParameters[2:]
	rows.Scripts, rows.ScriptParameters, rows.Steps, rows.StepExits = rows.Scripts[1:], rows.ScriptParameters[2:], rows.Steps[2:], rows.StepExits[1:]
	e.source.Store(compileRows(t, rows))
	e.must("call.end", members{"session": session})
	if got := e.metric(t, `ringmaster_rpc_call_ends_total{outcome="abandoned",script="other"}`); got != 1 {
		t.Errorf("an end of a call of a deleted script is counted %v times as other", got)
	}
	if after := series(); after-before > 3 {
		t.Errorf("requests made %d new series", after-before)
	}
}

// Every query is in the counts, with the phases it went through.
func TestMetricsCount(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	start := startOf("q-1", "08001")
	session := e.must("call.start", start)["session"]
	e.must("call.start", start)
	_, _ = e.call("call.start", start.with(members{"called": "08002"}))
	_, _ = e.call("call.start", start.with(members{"called": "x"}))
	_, _ = e.call("no.such")
	e.must("call.end", members{"session": session, "cause": 16, "results": []any{members{"op": "connect", "status": "answer"}}})
	e.post(nodeA, secretB, "/RPC2", "text/xml", "")
	e.post("", "", "/RPC2", "text/xml", "")
	e.post(nodeA, secretA, "/RPC2", "text/xml", "no XML")
	e.post(nodeA, secretA, "/RPC2", "text/plain", "x")
	e.post(nodeA, secretA, "/dialplan/translate", "application/x-www-form-urlencoded", "called=08001")
	for name, want := range map[string]float64{
		`ringmaster_rpc_requests_total{class="ok",method="call.start"}`:                     2,
		`ringmaster_rpc_requests_total{class="refused",method="call.start"}`:                1,
		`ringmaster_rpc_requests_total{class="invalid",method="call.start"}`:                1,
		`ringmaster_rpc_requests_total{class="protocol",method="other"}`:                    2,
		`ringmaster_rpc_requests_total{class="ok",method="call.end"}`:                       1,
		`ringmaster_rpc_requests_total{class="ok",method="dialplan.translate"}`:             1,
		`ringmaster_rpc_idempotent_replays_total{method="call.start"}`:                      1,
		`ringmaster_rpc_phase_duration_seconds{method="call.start",phase="decode"}`:         3,
		`ringmaster_rpc_phase_duration_seconds{method="call.start",phase="decide"}`:         1,
		`ringmaster_rpc_phase_duration_seconds{method="call.start",phase="encode"}`:         4,
		`ringmaster_rpc_phase_duration_seconds{method="call.end",phase="ledger"}`:           1,
		`ringmaster_rpc_phase_duration_seconds{method="dialplan.translate",phase="decide"}`: 1,
		`ringmaster_rpc_request_duration_seconds{method="call.start"}`:                      4,
		`ringmaster_rpc_auth_failures_total{reason="credentials"}`:                          1,
		`ringmaster_rpc_auth_failures_total{reason="missing"}`:                              1,
		`ringmaster_rpc_http_refusals_total{status="401"}`:                                  2,
		`ringmaster_rpc_http_refusals_total{status="415"}`:                                  1,
		`ringmaster_rpc_call_ends_total{outcome="answered",script="plain"}`:                 1,
		`ringmaster_rpc_panics_total`:                                                       0,
		`ringmaster_rpc_queries_in_flight`:                                                  0,
		`ringmaster_rpc_ends_in_flight`:                                                     0,
	} {
		if got := e.metric(t, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// A bug in a query is that query's fault −32603, counted and logged with its stack; the engine goes on.
func TestPanic(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	e.byName["system.listMethods"].serve = func(*Server, *query, contract.Parameters) *wire.Fault { panic("a bug in the test") }
	for range 3 {
		_, err := e.call("system.listMethods")
		wantFault(t, err, -32603)
		if strings.Contains(err.Error(), "bug in the test") {
			t.Error("the node is told about the bug")
		}
	}
	if log := e.log.String(); !strings.Contains(log, "a bug in the test") || !strings.Contains(log, "metrics_test.go") || !strings.Contains(log, "node="+nodeA) {
		t.Errorf("the log says %q", log)
	}
	for name, want := range map[string]float64{
		`ringmaster_rpc_panics_total`: 3, `ringmaster_rpc_queries_in_flight`: 0,
		`ringmaster_rpc_requests_total{class="internal",method="system.listMethods"}`: 3,
	} {
		if got := e.metric(t, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	e.must("call.start", startOf("r-1", "08001"))
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	e := startEngine(t, func(c *Config) { c.Warnings = func() []string { return []string{"Postgres is away"} } })
	get := func(path, peer string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.RemoteAddr = peer
		w := httptest.NewRecorder()
		e.AdminHandler().ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Result().Body)
		return w.Code, string(body)
	}
	const near, far = "127.0.0.1:1", "192.0.2.1:1"
	for _, c := range []struct {
		path, peer string
		status     int
		says       string
	}{
		{"/metrics", far, 200, "ringmaster_rpc_requests_total"},
		{"/healthz", far, 200, `{"ready":true,"revision":"41","warnings":["Postgres is away"]}`},
		{"/readyz", far, 200, `"ready":true`},
		{"/debug/pprof/", near, 200, "goroutine"},
		{"/debug/pprof/goroutine?debug=1", near, 200, "goroutine profile"},
		{"/debug/pprof/cmdline", "[::1]:5", 200, ""},
		{"/debug/pprof/", far, 404, ""},
		{"/debug/pprof/heap", far, 404, ""},
		{"/RPC2", near, 404, ""},
		{"/", near, 404, ""},
	} {
		if status, body := get(c.path, c.peer); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("GET %s from %s: %d %.80q, want %d and %q", c.path, c.peer, status, body, c.status, c.says)
		}
	}
	e.source.Store(nil)
	if status, body := get("/healthz", far); status != 200 || !strings.Contains(body, `"ready":false`) {
		t.Errorf("/healthz without a snapshot: %d %s", status, body)
	}
	if status, _ := get("/readyz", far); status != 503 {
		t.Errorf("/readyz without a snapshot: %d", status)
	}
}

// The clock is the real one unless another is given.
func TestRealClock(t *testing.T) {
	t.Parallel()
	e := startEngine(t, func(c *Config) { c.Now, c.Budget = nil, time.Minute })
	before := time.Now().UTC().Truncate(time.Millisecond)
	e.must("call.end", members{"session": e.must("call.start", startOf("s-1", "08001"))["session"]})
	if started := e.ledger.cdr(t, "s-1").StartedAt; started.Before(before) || started.After(time.Now()) {
		t.Fatalf("started at %v, not before %v", started, before)
	}
}
