package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/rpc/api"
	"ringmaster/rpc/endpoint"
	"ringmaster/rpc/recent"
	"ringmaster/rpc/wire"
)

// Defaults of Config.
const (
	DefaultBudget          = 25 * time.Millisecond
	DefaultEndTimeout      = 5 * time.Second
	DefaultSessionLifetime = 24 * time.Hour
	DefaultMaxQueries      = 1_024
	DefaultMaxEnds         = 1_024
	DefaultRecentAnswers   = 16_384
)

// Source gives the snapshot that queries are answered from: nil before the first one is loaded. It is asked once
// per query and must not block.
type Source interface {
	Snapshot() *logic.Snapshot
}

// Ledger makes durable what must be. Each method returns nil only when the record is durable; doing it again does
// nothing. They are called concurrently, and obey ctx.
type Ledger interface {
	// End records the one CDR of a call, charges what it did cost, and returns that: the first time and every time after.
	End(ctx context.Context, cdr logic.CDR) ([]charging.Booked, error)
	// Ask takes what a call asks for: money, a place in a limit, a try of a secret. What is granted is durable; what is granted after ctx has ended is given back by the
	// ledger itself. On an error nothing is held.
	Ask(ctx context.Context, ask *charging.Ask) (charging.Answer, error)
	// Register records that node has started, with bootID new at each start, room for capacity channels, and
	// channels in use by calls.
	Register(ctx context.Context, node, bootID string, capacity, channels int, calls []charging.LiveCall) error
	// Heartbeat records that node is alive, with channels in use by calls, and returns which of them may go on for longer than they were granted.
	Heartbeat(ctx context.Context, node, bootID string, channels int, calls []charging.LiveCall) ([]charging.Extension, error)
	// Recharge redeems a voucher for an account, once, and returns what the account may spend then. The same voucher for the same account again is no error.
	Recharge(ctx context.Context, account, voucher string) (charging.Answer, error)
}

// Config is what a Server is made of. Source, Ledger and Registry are needed; zero values of the rest are the defaults.
type Config struct {
	Source   Source
	Ledger   Ledger
	Registry *prometheus.Registry // the server's metrics are registered here; the admin listener serves all of it

	Now             func() time.Time // time.Now
	Budget          time.Duration    // DefaultBudget: request read to reply written
	EndTimeout      time.Duration    // DefaultEndTimeout: how long an end of call may wait to become durable
	SessionLifetime time.Duration    // DefaultSessionLifetime: how long a node may report with a session token
	Validator       bool             // serve validator1.*
	Engines         []string         // URLs of the engines in service, told to nodes; may be empty
	MaxQueries      int              // DefaultMaxQueries in flight; new calls are shed at three quarters of it
	MaxEnds         int              // DefaultMaxEnds in flight, waiting for the ledger
	RecentAnswers   int              // DefaultRecentAnswers remembered
	InVain          func(error) bool // whether an error of the ledger says that trying again is in vain; nil: none does
	Locked          func(error) bool // whether it says that somebody keeps an account locked, which concerns this call only; nil: none does
	Warnings        func() []string  // what is wrong though the engine serves, for /healthz; may be nil
	Logger          *slog.Logger     // slog.Default()
}

// Server serves the contract. Make it with New.
type Server struct {
	source   Source
	ledger   Ledger
	registry *prometheus.Registry
	now      func() time.Time
	logger   *slog.Logger
	warnings func() []string
	inVain   func(error) bool
	locked   func(error) bool

	budget          time.Duration
	endTimeout      time.Duration
	sessionLifetime time.Duration
	maxQueries      int64
	maxEnds         int64
	engines         []string

	methods  []*method
	byName   map[string]*method
	metrics  *metrics
	recent   *recent.Table
	turns    turns
	blind    allowances
	queries  atomic.Int64 // in flight
	ends     atomic.Int64 // in flight, waiting for the ledger
	pool     sync.Pool    // of *query
	handler  http.Handler
	admin    http.Handler
	unparsed *methodMetrics // counts what never came to a method
}

// New makes a server, or says what is wrong with its configuration.
func New(c Config) (*Server, error) {
	switch {
	case c.Source == nil || c.Ledger == nil || c.Registry == nil:
		return nil, errors.New("couldn't make the RPC server: Source, Ledger and Registry are needed")
	case c.Budget < 0 || c.EndTimeout < 0 || c.SessionLifetime < 0:
		return nil, errors.New("couldn't make the RPC server: a duration is negative")
	case c.MaxQueries < 0 || c.MaxEnds < 0 || c.RecentAnswers < 0:
		return nil, errors.New("couldn't make the RPC server: a limit is negative")
	}
	s := &Server{
		source: c.Source, ledger: c.Ledger, registry: c.Registry, now: c.Now, logger: c.Logger, warnings: c.Warnings, inVain: c.InVain, locked: c.Locked,
		budget:          orDefault(c.Budget, DefaultBudget),
		endTimeout:      orDefault(c.EndTimeout, DefaultEndTimeout),
		sessionLifetime: orDefault(c.SessionLifetime, DefaultSessionLifetime),
		maxQueries:      int64(orDefault(c.MaxQueries, DefaultMaxQueries)),
		maxEnds:         int64(orDefault(c.MaxEnds, DefaultMaxEnds)),
		engines:         c.Engines,
		recent:          recent.New(orDefault(c.RecentAnswers, DefaultRecentAnswers)),
		byName:          make(map[string]*method),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	s.methods = registry(c.Validator)
	labels := []string{otherMethod, labelDialplanTranslate}
	for _, m := range s.methods {
		s.byName[m.Name] = m
		labels = append(labels, m.Name)
	}
	var err error
	s.metrics, err = newMetrics(c.Registry, labels,
		func() float64 { return float64(s.queries.Load()) }, func() float64 { return float64(s.ends.Load()) })
	if err != nil {
		return nil, fmt.Errorf("couldn't register the RPC metrics: %w", err)
	}
	s.unparsed = s.metrics.of(otherMethod)
	s.pool.New = func() any { return &query{server: s} }
	if s.handler, err = mount(s, s.routes()); err != nil {
		return nil, err
	}
	if s.admin, err = mount(s, s.adminRoutes()); err != nil {
		return nil, err
	}
	return s, nil
}

// Handler serves the call listener: XML-RPC and the dialplan's form. It refuses everything else.
func (s *Server) Handler() http.Handler { return s.handler }

// AdminHandler serves the second listener: metrics, health, profiles. It is not for nodes.
func (s *Server) AdminHandler() http.Handler { return s.admin }

// Listen opens a socket for one of the server's handlers. Connections it refuses are in the server's metrics.
func (s *Server) Listen(e endpoint.Endpoint) (*endpoint.Service, error) {
	if e.Logger == nil {
		e.Logger = s.logger
	}
	e.Refused = func(limit string) { s.metrics.connections.WithLabelValues(limit).Inc() }
	return e.Listen()
}

func orDefault[T int | time.Duration](given, otherwise T) T {
	if given == 0 {
		return otherwise
	}
	return given
}

func (s *Server) routes() []route {
	return []route{
		{http.MethodPost, api.PathRPC, policyNode, asNode(s, (*Server).serveXMLRPC, writeXMLFault)},
		{http.MethodPost, api.PathRPCAlias, policyNode, asNode(s, (*Server).serveXMLRPC, writeXMLFault)},
		{http.MethodPost, api.PathDialplanTranslate, policyNode, asNode(s, (*Server).serveDialplanTranslate, writeFormFault)},
	}
}

// policy says who may use a route.
type policy uint8

const (
	policyUndeclared policy = iota // nobody: a server with such a route is not made
	policyNode                     // a node that has authenticated; asNode sees to it
	policyOpen                     // whoever reaches the (second) listener
	policyLoopback                 // whoever reaches it from the same machine
)

// route is one path of a listener.
type route struct {
	method  string
	path    string
	policy  policy
	handler http.Handler
}

// mount makes the router of a listener: the given routes and a refusal of everything else.
func mount(s *Server, routes []route) (http.Handler, error) {
	router := chi.NewRouter()
	for _, r := range routes {
		handler := r.handler
		switch _, authenticates := handler.(nodeHandler); {
		case r.policy == policyNode && authenticates, r.policy == policyOpen && !authenticates:
		case r.policy == policyLoopback && !authenticates:
			handler = s.loopbackOnly(handler)
		default:
			return nil, fmt.Errorf("couldn't serve %s %s: no policy says who may use it", r.method, r.path)
		}
		router.Method(r.method, r.path, handler)
	}
	router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, http.StatusNotFound, "no such path")
	})
	allow := make(map[string]string)
	for _, r := range routes {
		allow[r.path] = r.method
	}
	router.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		if allow[r.URL.Path] == "" { // chi asks for the method first when it does not know it
			s.refuse(w, http.StatusNotFound, "no such path")
			return
		}
		w.Header().Set("Allow", allow[r.URL.Path])
		s.refuse(w, http.StatusMethodNotAllowed, "this path takes "+allow[r.URL.Path]+" only")
	})
	return router, nil
}

// refuse answers a request that never becomes a query. It closes the connection, for what is left of the body is not worth
// reading; but not to shed load, for a new connection costs more than a query.
func (s *Server) refuse(w http.ResponseWriter, status int, message string) {
	if c := s.metrics.refusals[status]; c != nil {
		c.Inc()
	}
	h := w.Header()
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="ringmaster", charset="UTF-8"`)
	}
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	} else {
		h.Set("Connection", "close")
	}
	http.Error(w, message, status)
}

// nodeHandler serves authenticated nodes.
type nodeHandler struct {
	server *Server
	serve  func(*Server, *query, http.ResponseWriter, *http.Request)
	fault  func(http.ResponseWriter, *query, *wire.Fault)
}

// asNode makes the handler of a policyNode route: serve is called for authenticated nodes only; fault tells the
// client of a bug in it.
func asNode(s *Server, serve func(*Server, *query, http.ResponseWriter, *http.Request), fault func(http.ResponseWriter, *query, *wire.Fault)) nodeHandler {
	return nodeHandler{s, serve, fault}
}

func (h nodeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := h.server
	snapshot := s.source.Snapshot()
	if snapshot == nil {
		s.refuse(w, http.StatusServiceUnavailable, "no snapshot yet: the engine has just started; try another engine")
		return
	}
	node, failure := authenticate(snapshot, r)
	if failure != authGood {
		s.metrics.failures[failure].Inc()
		s.refuse(w, http.StatusUnauthorized, "a node's name and secret (HTTP Basic) or its client certificate is needed")
		return
	}
	q := s.pool.Get().(*query)
	q.snapshot, q.node, q.ctx = snapshot, node, r.Context()
	if !h.run(q, w, r) {
		return // q's state is unknown after a panic
	}
	if q.reusable() {
		s.pool.Put(q)
	}
}

// run serves one query and is where a panic ends, for the whole engine.
func (h nodeHandler) run(q *query, w http.ResponseWriter, r *http.Request) (ok bool) {
	defer func() {
		if ok {
			return
		}
		v := recover()
		h.server.panicked(q, v)
		q.writer.Reset()
		h.fault(w, q, &wire.Fault{Code: api.FaultInternal, Message: "internal error; it is in the engine's log"})
	}()
	h.serve(h.server, q, w, r)
	return true
}
