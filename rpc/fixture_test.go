package rpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/rpc/endpoint"
	"ringmaster/rpc/wire"
)

// The nodes of the fixture and their secrets.
const (
	nodeA, secretA = "node-a", "sesame-a"
	nodeB, secretB = "node-b", "sesame-b"
)

// fixtureRows are a small carrier: a number that connects, one that distributes in turn, and one that asks for digits.
func fixtureRows(revision int64) *logic.Rows {
	secret := func(s string) []byte {
		sum := sha256.Sum256([]byte(s))
		return sum[:]
	}
	return &logic.Rows{
		Revision:       revision,
		NumberingPlans: []logic.NumberingPlanRow{{NumberingPlan: "default", CountryCode: "49", InternationalPrefix: "00", NationalPrefix: "0"}},
		Trunks:         []logic.TrunkRow{{Trunk: "softswitch"}, {Trunk: "office"}},
		Nodes: []logic.NodeRow{
			{Node: nodeA, SecretSHA256: secret(secretA), Capacity: 80, InService: true},
			{Node: nodeB, SecretSHA256: secret(secretB), Capacity: 80},
			{Node: "node-c", CertificateName: "node-c.example", Capacity: 80, InService: true},
		},
		SessionKeys: []logic.SessionKeyRow{{SessionKeyID: 1, Secret: bytes.Repeat([]byte{7}, 32), CreatedAt: time.Unix(1, 0)}},
		Prompts:     []logic.PromptRow{{Prompt: "code", File: "ringmaster/code"}, {Prompt: "closed", File: "ringmaster/closed"}},
		Distributions: []logic.DistributionRow{
			{Distribution: "desks", Method: "circular"},
		},
		Branches: []logic.BranchRow{
			{Distribution: "desks", Position: 1, Branch: "one", Weight: 1, Value: "4930200101", Trunk: "office"},
			{Distribution: "desks", Position: 2, Branch: "two", Weight: 1, Value: "4930200102", Trunk: "office"},
			{Distribution: "desks", Position: 3, Branch: "three", Weight: 1, Value: "4930200103", Trunk: "office"},
		},
		Scripts: []logic.ScriptRow{
			{Script: "plain", FirstStep: "ring"}, {Script: "turns", FirstStep: "pick"}, {Script: "dialogue", FirstStep: "ask"},
		},
		ScriptParameters: []logic.ScriptParameterRow{
			{Script: "plain", Parameter: "first", Type: "target"},
			{Script: "plain", Parameter: "second", Type: "target"},
			{Script: "turns", Parameter: "desks", Type: "distribution"},
			{Script: "dialogue", Parameter: "prompt", Type: "prompt"},
			{Script: "dialogue", Parameter: "destination", Type: "target"},
		},
		Steps: []logic.StepRow{
			{Script: "plain", Step: "ring", SIB: "bcp", Parameters: []byte(`{"action": "connect", "target": "${first}", "timeout": 20}`)},
			{Script: "plain", Step: "second", SIB: "bcp", Parameters: []byte(`{"action": "connect", "target": "${second}", "timeout": 20}`)},
			{Script: "turns", Step: "pick", SIB: "distribute", Parameters: []byte(`{"distribution": "${desks}", "into": "desk"}`)},
			{Script: "turns", Step: "ring", SIB: "bcp", Parameters: []byte(`{"action": "connect", "target": "${desk}", "timeout": 20}`)},
			{Script: "dialogue", Step: "ask", SIB: "interact", Parameters: []byte(`{"prompts": ["${prompt}"], "minimum": 4, "maximum": 8, "into": "code"}`)},
			{Script: "dialogue", Step: "admit", SIB: "bcp", Parameters: []byte(`{"action": "connect", "target": "${destination}", "timeout": 20}`)},
			{Script: "dialogue", Step: "reject", SIB: "bcp", Parameters: []byte(`{"action": "release", "cause": 21}`)},
		},
		StepExits: []logic.StepExitRow{
			{Script: "plain", Step: "ring", Exit: "busy", NextStep: "second"},
			{Script: "turns", Step: "pick", Exit: "done", NextStep: "ring"},
			{Script: "dialogue", Step: "ask", Exit: "digits", NextStep: "admit"},
			{Script: "dialogue", Step: "ask", Exit: "timeout", NextStep: "reject"},
		},
		Subscribers: []logic.SubscriberRow{{Subscriber: "acme"}},
		Services: []logic.ServiceRow{
			{Service: "acme_plain", Subscriber: "acme", Script: "plain", Language: "en", Active: true},
			{Service: "acme_turns", Subscriber: "acme", Script: "turns", Language: "en", Active: true},
			{Service: "acme_dialogue", Subscriber: "acme", Script: "dialogue", Language: "de", Active: true},
		},
		ServiceParameters: []logic.ServiceParameterRow{
			{Service: "acme_plain", Parameter: "first", Value: "4930200100@office"},
			{Service: "acme_plain", Parameter: "second", Value: "4930200200@office"},
			{Service: "acme_turns", Parameter: "desks", Value: "desks"},
			{Service: "acme_dialogue", Parameter: "prompt", Value: "code"},
			{Service: "acme_dialogue", Parameter: "destination", Value: "4930200300@office"},
		},
		ServiceNumbers: []logic.ServiceNumberRow{
			{Number: "498001", Match: "exact", Service: "acme_plain"},
			{Number: "498002", Match: "exact", Service: "acme_turns"},
			{Number: "498003", Match: "exact", Service: "acme_dialogue"},
		},
	}
}

func compileFixture(t testing.TB, revision int64) *logic.Snapshot {
	t.Helper()
	return compileRows(t, fixtureRows(revision))
}

func compileRows(t testing.TB, rows *logic.Rows) *logic.Snapshot {
	t.Helper()
	snapshot, problems := logic.Compile(rows, nil, time.LoadLocation)
	if len(problems) > 0 {
		t.Fatalf("the fixture does not compile: %v", problems)
	}
	return snapshot
}

// source is a Source that a test can change.
type source struct{ atomic.Pointer[logic.Snapshot] }

func (s *source) Snapshot() *logic.Snapshot { return s.Load() }

// ledger is a Ledger in memory, with the semantics of the real one: one CDR per call id.
type ledger struct {
	mu         sync.Mutex
	cdrs       map[string]logic.CDR
	registered []string
	asked      []charging.Ask
	extensions []charging.Extension
	answers    map[charging.Kind]charging.Answer
	heartbeats []string
	fail       error         // what every write ends with
	hold       chan struct{} // not nil: writes wait for it to close, or for their deadline
}

func (l *ledger) wait(ctx context.Context) error {
	l.mu.Lock()
	hold, fail := l.hold, l.fail
	l.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fail
}

func (l *ledger) End(ctx context.Context, cdr logic.CDR) ([]charging.Booked, error) {
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cdrs == nil {
		l.cdrs = make(map[string]logic.CDR)
	}
	if _, ok := l.cdrs[cdr.CallID]; !ok {
		l.cdrs[cdr.CallID] = cdr
	}
	var booked []charging.Booked
	for _, finished := range cdr.Finished {
		booked = append(booked, charging.Booked{Charge: finished.Number, Account: "anna", Amount: "0.50", Currency: "EUR", Tariff: "minutes", Seconds: (finished.Talk + 999) / 1000})
	}
	return booked, nil
}

// Ask grants what its answers say, by kind.
func (l *ledger) Ask(ctx context.Context, ask *charging.Ask) (charging.Answer, error) {
	if err := l.wait(ctx); err != nil {
		return charging.Answer{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, *ask)
	return l.answers[ask.Kind], nil
}

func (l *ledger) Recharge(ctx context.Context, account, voucher string) (charging.Answer, error) {
	if err := l.wait(ctx); err != nil {
		return charging.Answer{}, err
	}
	switch {
	case account != "anna":
		return charging.Answer{State: charging.StateRefused, Reason: charging.ReasonNoAccount}, nil
	case voucher != "V-1":
		return charging.Answer{State: charging.StateRefused, Reason: charging.ReasonVoucher}, nil
	}
	return charging.Answer{State: charging.StateGranted, Account: account, Balance: 12_500_000, Currency: "EUR"}, nil
}

func (l *ledger) Register(ctx context.Context, node, bootID string, capacity, channels int, calls []charging.LiveCall) error {
	if err := l.wait(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.registered = append(l.registered, fmt.Sprint(node, " ", bootID, " ", capacity, " ", channels, " ", names(calls)))
	return nil
}

func (l *ledger) Heartbeat(ctx context.Context, node, bootID string, channels int, calls []charging.LiveCall) ([]charging.Extension, error) {
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heartbeats = append(l.heartbeats, fmt.Sprint(node, " ", bootID, " ", channels, " ", names(calls)))
	return l.extensions, nil
}

// names writes live calls, and since when people talk in them.
func names(calls []charging.LiveCall) (list []string) {
	for _, one := range calls {
		text := one.CallID
		if !one.AnsweredAt.IsZero() {
			text += "@" + one.AnsweredAt.UTC().Format(time.TimeOnly)
		}
		if one.Talk > 0 {
			text += "+" + one.Talk.String()
		}
		if one.Final {
			text += "!"
		}
		if one.Over {
			text += "."
		}
		list = append(list, text)
	}
	return list
}

func (l *ledger) cdr(t *testing.T, callID string) logic.CDR {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	cdr, ok := l.cdrs[callID]
	if !ok {
		t.Fatalf("there is no CDR of %q", callID)
	}
	return cdr
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
	// step is added at each reading.
	step time.Duration
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.step)
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) setStep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step = d
}

// engine is a server under test behind a real HTTP listener.
type engine struct {
	*Server
	t      testing.TB
	url    string
	client *http.Client
	ledger *ledger
	source *source
	clock  *clock
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startEngine serves the fixture; change may alter the configuration.
func startEngine(t testing.TB, change func(*Config)) *engine {
	t.Helper()
	return startEndpoint(t, change, nil)
}

// startEndpoint is startEngine with limits of its own on the listener.
func startEndpoint(t testing.TB, change func(*Config), limit func(*endpoint.Endpoint)) *engine {
	t.Helper()
	e := &engine{
		t: t, ledger: &ledger{}, source: &source{}, log: &lockedBuffer{},
		clock: &clock{now: time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)},
	}
	e.source.Store(compileFixture(t, 41))
	config := Config{
		Source: e.source, Ledger: e.ledger, Registry: prometheus.NewRegistry(), Now: e.clock.read, Validator: true,
		Logger: slog.New(slog.NewTextHandler(e.log, nil)),
	}
	if change != nil {
		change(&config)
	}
	server, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	e.Server = server
	listen := endpoint.Endpoint{Address: "127.0.0.1:0", Handler: server.Handler()}
	if limit != nil {
		limit(&listen)
	}
	service, err := server.Listen(listen)
	if err != nil {
		t.Fatal(err)
	}
	e.url = "http://" + service.Addr().String()
	e.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	done := make(chan error, 1)
	go func() { done <- service.Serve() }()
	t.Cleanup(func() {
		e.client.CloseIdleConnections()
		_ = service.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return e
}

// post sends a body as a node and returns the response with its body.
func (e *engine) post(node, secret, path, contentType, body string) (*http.Response, string) {
	e.t.Helper()
	r, err := http.NewRequest(http.MethodPost, e.url+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	if node != "" {
		r.SetBasicAuth(node, secret)
	}
	r.Header.Set("Content-Type", contentType)
	response, err := e.client.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return response, string(text)
}

// encodeCall makes a methodCall with one parameter, which is any of what encode takes.
func encodeCall(method string, parameters ...any) string {
	var w wire.Writer
	w.BeginCall(method)
	for _, p := range parameters {
		w.BeginParam()
		encode(&w, p)
		w.EndParam()
	}
	w.EndCall()
	return string(w.Buf)
}

type members map[string]any

func encode(w *wire.Writer, v any) {
	switch v := v.(type) {
	case string:
		w.String(v)
	case int:
		w.Int(int64(v))
	case bool:
		w.Boolean(v)
	case float64:
		w.Double(v)
	case time.Time:
		w.DateTime(v)
	case []byte:
		w.Base64(v)
	case []any:
		w.BeginArray()
		for _, element := range v {
			encode(w, element)
		}
		w.EndArray()
	case members:
		w.BeginStruct()
		for name, m := range v {
			w.BeginMember(name)
			encode(w, m)
			w.EndMember()
		}
		w.EndStruct()
	default:
		panic(fmt.Sprintf("no XML-RPC for %T", v))
	}
}

// decode is the opposite of encode.
func decode(v wire.Value) any {
	switch v.Kind() {
	case wire.String:
		return v.Text()
	case wire.Int:
		return int(v.Int())
	case wire.Boolean:
		return v.Bool()
	case wire.Double:
		return v.Double()
	case wire.DateTime:
		return v.Time()
	case wire.Base64:
		return v.AppendBase64(nil)
	case wire.Array:
		list := []any{}
		for element := range v.Elements() {
			list = append(list, decode(element))
		}
		return list
	case wire.Struct:
		m := members{}
		for name, member := range v.Members() {
			m[string(name)] = decode(member)
		}
		return m
	}
	return nil
}

// reply reads a methodResponse: a result, or a *wire.Fault.
func reply(body string) (any, error) {
	var d wire.Document
	if err := d.ParseResponse([]byte(body)); err != nil {
		return nil, fmt.Errorf("couldn't parse %.200q: %w", body, err)
	}
	if fault := d.Fault(); fault != nil {
		return nil, fault
	}
	return decode(d.Param(0)), nil
}

// call makes one call as node A and returns its result or fault.
func (e *engine) call(method string, parameters ...any) (any, error) {
	e.t.Helper()
	return e.callAs(nodeA, secretA, method, parameters...)
}

func (e *engine) callAs(node, secret, method string, parameters ...any) (any, error) {
	e.t.Helper()
	response, body := e.post(node, secret, "/RPC2", "text/xml", encodeCall(method, parameters...))
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %s: %s", response.Status, body)
	}
	return reply(body)
}

// must is call for what has to succeed with a struct.
func (e *engine) must(method string, parameters ...any) members {
	e.t.Helper()
	result, err := e.call(method, parameters...)
	if err != nil {
		e.t.Fatalf("%s: %v", method, err)
	}
	m, ok := result.(members)
	if !ok {
		e.t.Fatalf("%s returned %v", method, result)
	}
	return m
}

// wantFault checks that err is a fault with that code, whose message says all of the words.
func wantFault(t testing.TB, err error, code int, words ...string) {
	t.Helper()
	var fault *wire.Fault
	if !errors.As(err, &fault) {
		t.Fatalf("got %v, want fault %d", err, code)
	}
	if fault.Code != code {
		t.Fatalf("got %v, want fault %d", err, code)
	}
	for _, word := range words {
		if !strings.Contains(fault.Message, word) {
			t.Fatalf("fault %d says %q, want it to say %q", code, fault.Message, word)
		}
	}
}

// with gives a copy of m with changes; a nil value takes a member out.
func (m members) with(changes members) members {
	c := members{}
	for name, v := range m {
		c[name] = v
	}
	for name, v := range changes {
		if v == nil {
			delete(c, name)
		} else {
			c[name] = v
		}
	}
	return c
}
