// Package web is the operator's page: the engine's state, what is wrong with the configuration, the nodes, the last
// calls, and the answer to "where does a call go, and why?".
//
// It is one HTML file with a little CSS and JavaScript, embedded, and three JSON resources behind it that only
// read. What it shows it asks of an Engine, which its user provides. It changes nothing, authenticates nobody and so
// belongs on the admin listener, next to the metrics.
package web

import (
	"context"
	"embed"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

// Engine is what the page shows. Its methods are called concurrently and obey ctx.
type Engine interface {
	// Status says how the engine is. It does not fail when Postgres is away: it says so in Warnings.
	Status(ctx context.Context) (Status, error)
	// LastCalls returns the newest CDRs first, at most limit.
	LastCalls(ctx context.Context, limit int) ([]Call, error)
	// Explain says what would become of a call, and which rows decide. It makes no call.
	Explain(ctx context.Context, question Question) (Explanation, error)
}

// Status is the state of one engine.
type Status struct {
	Version  string    `json:"version"`
	Ready    bool      `json:"ready"`     // it answers queries
	Revision int64     `json:"revision"`  // config version that it answers from
	LoadedAt time.Time `json:"loaded_at"` // when it began to
	Now      time.Time `json:"now"`       // the engine's clock, UTC
	Warnings []string  `json:"warnings"`
	Sizes    []Size    `json:"sizes"`
	Problems []Problem `json:"problems"`
	Nodes    []Node    `json:"nodes"`
}

// Size is how many rows of a table the engine holds.
type Size struct {
	Table string `json:"table"`
	Rows  int    `json:"rows"`
}

// Problem is a row that cannot be used; what it belongs to keeps its last good version.
type Problem struct {
	Table  string `json:"table"`
	Key    string `json:"key"`
	Reason string `json:"reason"`
}

// Node is an Asterisk node and when it was last heard of.
type Node struct {
	Name      string    `json:"name"`
	InService bool      `json:"in_service"`
	Capacity  int       `json:"capacity"` // channels it may carry
	Channels  int       `json:"channels"` // channels in use at the last heartbeat
	HeardAt   time.Time `json:"heard_at"` // zero: never
}

// Call is a CDR in short.
type Call struct {
	CallID      string    `json:"call_id"`
	StartedAt   time.Time `json:"started_at"`
	Node        string    `json:"node"`
	Trunk       string    `json:"trunk"`
	Caller      string    `json:"caller"`
	Called      string    `json:"called"`
	Service     string    `json:"service"`
	Path        string    `json:"path"` // steps walked, step:exit …
	Outcome     string    `json:"outcome"`
	TalkSeconds float64   `json:"talk_seconds"`
	Cause       int       `json:"cause"` // Q.850
}

// Question is a call that might come.
type Question struct {
	Called string
	Caller string
	Trunk  string
	At     time.Time // zero: now
}

// Explanation is what would become of it.
type Explanation struct {
	Revision     int64      `json:"revision"`
	Service      string     `json:"service"`
	At           time.Time  `json:"at"`
	Decisions    []Decision `json:"decisions"`
	Instructions []string   `json:"instructions"` // what the node would be told, in words
}

// Decision is one step of the way and the row that made it so.
type Decision struct {
	Step   string   `json:"step"`
	SIB    string   `json:"sib"`
	Exit   string   `json:"exit"`
	Next   string   `json:"next"`
	Table  string   `json:"table"`
	Key    string   `json:"key"`
	Reason string   `json:"reason"`
	Beaten []string `json:"beaten"`
}

// Limits of a request.
const (
	maxCalls    = 200
	maxField    = 64 // bytes of one form field
	askTimeout  = 3 * time.Second
	policyValue = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// Handler serves the page at / and what it needs below /page/. A browser on another site cannot read it: requests
// must name a host that is an IP address, localhost or one of hosts (against DNS rebinding), and cross-site
// requests are refused.
func Handler(engine Engine, hosts ...string) http.Handler {
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "page.html")
	})
	for _, name := range []string{"page.css", "page.js", "icon.svg"} {
		mux.HandleFunc("GET /page/"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, files, name)
		})
	}
	mux.HandleFunc("GET /page/status", answer(func(ctx context.Context, _ *http.Request) (any, error) { return engine.Status(ctx) }))
	mux.HandleFunc("GET /page/calls", answer(func(ctx context.Context, r *http.Request) (any, error) {
		limit, err := strconv.Atoi(r.FormValue("limit"))
		if err != nil || limit < 1 || limit > maxCalls {
			return nil, badRequest("limit must be a number from 1 to " + strconv.Itoa(maxCalls))
		}
		calls, err := engine.LastCalls(ctx, limit)
		if calls == nil {
			calls = []Call{}
		}
		return calls, err
	}))
	mux.HandleFunc("GET /page/explain", answer(func(ctx context.Context, r *http.Request) (any, error) {
		question, err := readQuestion(r)
		if err != nil {
			return nil, err
		}
		return engine.Explain(ctx, question)
	}))
	return guard(mux, hosts)
}

// badRequest is an error that is the asker's.
type badRequest string

func (b badRequest) Error() string { return string(b) }

func readQuestion(r *http.Request) (Question, error) {
	question := Question{}
	for _, field := range []struct {
		name  string
		value *string
	}{{"called", &question.Called}, {"caller", &question.Caller}, {"trunk", &question.Trunk}} {
		*field.value = strings.TrimSpace(r.FormValue(field.name))
		if len(*field.value) > maxField {
			return question, badRequest(field.name + " is longer than " + strconv.Itoa(maxField) + " characters")
		}
	}
	for _, number := range []struct{ name, value string }{{"called", question.Called}, {"caller", question.Caller}} {
		if strings.Trim(strings.TrimPrefix(number.value, "+"), "0123456789*#") != "" {
			return question, badRequest(number.name + " may hold digits, * and #, and begin with +")
		}
	}
	if question.Called == "" {
		return question, badRequest("which number is called? Give one, as it would be dialled")
	}
	if at := r.FormValue("at"); at != "" {
		instant, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return question, badRequest("at must be a time like 2026-11-24T03:15:00Z")
		}
		question.At = instant
	}
	return question, nil
}

// answer makes the handler of one JSON resource.
func answer(ask func(context.Context, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
		defer cancel()
		value, err := ask(ctx, r)
		status := http.StatusOK
		if err != nil {
			status = http.StatusServiceUnavailable
			if _, ok := err.(badRequest); ok {
				status = http.StatusBadRequest
			}
			value = struct {
				Error string `json:"error"`
			}{err.Error()}
		}
		body, err := json.Marshal(value)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
}

// guard sets the headers that keep the page to itself and refuses what comes from elsewhere.
func guard(next http.Handler, hosts []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policyValue)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		_, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil && host != "localhost" && !slices.Contains(hosts, host) {
			http.Error(w, "this page is not served under the name "+strconv.Quote(host)+"; use its address, or start the engine with --admin-host", http.StatusForbidden)
			return
		}
		if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" && r.URL.Path != "/" {
			http.Error(w, "not for other sites", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
