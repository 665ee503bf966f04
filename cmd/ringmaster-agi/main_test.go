package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// parse reads a command line as main does.
func parse(t *testing.T, arguments ...string) (*options, error) {
	t.Helper()
	var o options
	parser, err := kong.New(&o, kong.DefaultEnvars("RINGMASTER_AGI"), kong.Vars{"version": "test"}, kong.Exit(func(int) { t.Fatal("exit") }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(arguments)
	return &o, err
}

func TestRefusals(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"--node", "n", "--engine", "http://127.0.0.1:1", "--metrics-listen", "", "--spool", t.TempDir()}
	for want, arguments := range map[string][]string{
		"nothing to say who it is with":   {},
		"is empty":                        {"--secret-file", empty},
		"couldn't read the file of --s":   {"--secret-file", "/nonexistent"},
		"couldn't read the file of --ami": {"--secret", "x", "--ami-secret-file", "/nonexistent"},
		`AMI address "192.0.2.1:5038" is`: {"--secret", "x", "--ami-user", "u", "--ami-secret", "y", "--ami-address", "192.0.2.1:5038"},
		"the secret not empty":            {"--secret", "x", "--ami-user", "u"},
		"give one of them":                {"--secret", "x", "--secret-file", empty},
		"go together":                     {"--secret", "x", "--tls-cert", empty},
		"couldn't load the client":        {"--tls-cert", empty, "--tls-key", empty},
		"holds no PEM certificate":        {"--secret", "x", "--tls-ca", empty},
		"is not loopback":                 {"--secret", "x", "--http-listen", "0.0.0.0:0"},
		`listen address "[::]:0"`:         {"--secret", "x", "--http-listen", "127.0.0.1:0", "--agi-listen", "[::]:0"},
		"plain http is for loopback only": {"--secret", "x", "--engine", "http://192.0.2.1:4570"},
		"want https://host:port":          {"--secret", "x", "--engine", "scp1"},
		`node name "a b"`:                 {"--secret", "x", "--node", "a b"},
		"deadline and heartbeat":          {"--secret", "x", "--deadline", "0s"},
		"1 of 1 engines cannot be used":   {"--secret", "x", "--check"},
		"couldn't listen for metrics":     {"--secret", "x", "--http-listen", "127.0.0.1:0", "--agi-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:99999"},
	} {
		o, err := parse(t, append(append([]string(nil), base...), arguments...)...)
		if err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			err = run(ctx, o)
			cancel()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", arguments, err, want)
		}
	}
	for _, arguments := range [][]string{{}, {"--node", "n"}, {"--engine", "http://127.0.0.1:1"}, {"--node", "n", "--engine", "x", "--log-level", "loud"}, {"--node", "n", "--engine", "x", "--log-format", "xml"}} {
		if _, err := parse(t, arguments...); err == nil {
			t.Errorf("%v is taken", arguments)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("RINGMASTER_AGI_NODE", "node7")
	t.Setenv("RINGMASTER_AGI_ENGINE", "https://a:1,https://b:1")
	t.Setenv("RINGMASTER_AGI_SECRET", "s")
	t.Setenv("RINGMASTER_AGI_DEADLINE", "700ms")
	o, err := parse(t)
	if err != nil || o.Node != "node7" || len(o.Engine) != 2 || o.Secret != "s" || o.Deadline != 700*time.Millisecond || o.HTTPListen != "127.0.0.1:4574" || o.AGIListen != "127.0.0.1:4573" {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestServesAndStops: a running agent has its metrics, in good form, and ends cleanly when it is told to.
func TestServesAndStops(t *testing.T) {
	engine := httptest.NewServer(http.NotFoundHandler())
	defer engine.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	metrics := l.Addr().String()
	l.Close()
	o, err := parse(t, "--node", "n", "--engine", engine.URL, "--secret", "s", "--http-listen", "127.0.0.1:0", "--agi-listen", "127.0.0.1:0", "--metrics-listen", metrics, "--spool", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, o) }()
	var body string
	for body == "" {
		select {
		case err := <-done:
			t.Fatalf("ended: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
		resp, err := http.Get("http://" + metrics + "/metrics")
		if err != nil {
			continue
		}
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		body = string(data)
	}
	for _, want := range []string{`ringmaster_agent_ask_seconds_bucket{method="call.start",le="0.025"} 0`, "ringmaster_agent_spool_ends 0", `ringmaster_agent_fallbacks_total{reason="no_engine"} 0`, "ringmaster_agent_agi_sessions 0", "ringmaster_agent_ami_up 0", `ringmaster_agent_extensions_total{outcome="done"} 0`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	resp, err := http.Get("http://" + metrics + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	health, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if got := string(health); got != "ok\nconversations are not extended: no AMI user is given\n" {
		t.Errorf("health: %q", got)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v %v", problems, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("end: %v", err)
	}
}
