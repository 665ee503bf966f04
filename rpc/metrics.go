package rpc

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/logic"
	"ringmaster/logic/charging"
	"ringmaster/rpc/api"
	"ringmaster/rpc/endpoint"
	"ringmaster/rpc/wire"
)

// phase is a part of the time that a query takes.
type phase uint8

const (
	phaseDecode phase = iota // bytes to typed members
	phaseDecide              // the step function
	phaseLedger              // waiting for what must be durable
	phaseEncode              // result to bytes
	numPhases
)

var phaseNames = [numPhases]string{"decode", "decide", "ledger", "encode"}

// class sorts answers by who has to do something about them.
type class uint8

const (
	classOK          class = iota
	classProtocol          // −327xx, −32600, −32601: the client does not speak the protocol
	classInvalid           // −32602: the client sent bad members
	classRefused           // 100–103, 108: the client may not do that
	classUnavailable       // 104–107: the engine cannot do it now
	classInternal          // −32603: a bug
	numClasses
)

var classNames = [numClasses]string{"ok", "protocol", "invalid", "refused", "unavailable", "internal"}

func classOf(fault *wire.Fault) class {
	switch {
	case fault == nil:
		return classOK
	case fault.Code == api.FaultInternal:
		return classInternal
	case fault.Code == api.FaultInvalidParameters:
		return classInvalid
	case fault.Code >= api.FaultOverBudget && fault.Code <= api.FaultNotDurable, fault.Code == api.FaultAccountLocked:
		return classUnavailable
	case fault.Code > 0:
		return classRefused
	}
	return classProtocol
}

// otherMethod is the label of every method name that is not in the registry.
const otherMethod = "other"

// budgetBuckets are the upper bounds of the duration histograms, in seconds, with an exact 0.025: the budget. Those
// above are for what waits for the ledger.
var budgetBuckets = []float64{0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5}

// methodMetrics are one method's observers, made ahead so that a query looks nothing up.
type methodMetrics struct {
	phases  [numPhases]prometheus.Observer
	total   prometheus.Observer
	classes [numClasses]prometheus.Counter
	refused prometheus.Counter // over budget, answered with a fault
	late    prometheus.Counter // over budget when the answer was written
	replays prometheus.Counter
}

// metrics are what the server counts. Every label has a fixed set of values, but script, whose values are the names
// in the snapshot.
type metrics struct {
	methods     map[string]*methodMetrics
	refusals    map[int]prometheus.Counter
	failures    [numAuthFailures]prometheus.Counter
	panics      prometheus.Counter
	soft        prometheus.Counter
	foreign     prometheus.Counter
	calls       *prometheus.CounterVec
	expressions *prometheus.CounterVec
	connections *prometheus.CounterVec
	asks        [charging.KindBalance + 1][charging.StateBlind + 1]prometheus.Counter
}

// httpRefusals are the HTTP statuses that the server refuses requests with.
var httpRefusals = []int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed,
	http.StatusRequestTimeout, http.StatusLengthRequired, http.StatusRequestEntityTooLarge,
	http.StatusUnsupportedMediaType, http.StatusServiceUnavailable,
}

func newMetrics(registerer prometheus.Registerer, methods []string, inFlight, endsInFlight func() float64) (*metrics, error) {
	phases := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "ringmaster_rpc_phase_duration_seconds", Buckets: budgetBuckets,
		Help: "Time of one phase of a query: decode, decide, ledger, encode.",
	}, []string{"method", "phase"})
	total := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "ringmaster_rpc_request_duration_seconds", Buckets: budgetBuckets,
		Help: "Time from request read to reply written. The budget is the bucket 0.025.",
	}, []string{"method"})
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringmaster_rpc_requests_total",
		Help: "Queries by method and class of answer: ok, protocol, invalid, refused, unavailable, internal.",
	}, []string{"method", "class"})
	overBudget := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringmaster_rpc_over_budget_total",
		Help: "Queries that took longer than the budget: refused (fault 104 instead of an answer) or late (the answer was written after it).",
	}, []string{"method", "result"})
	replays := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringmaster_rpc_idempotent_replays_total",
		Help: "Queries that were sent again and got the answer they had got before.",
	}, []string{"method"})
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringmaster_rpc_http_refusals_total",
		Help: "Requests refused before their body was looked at, by HTTP status.",
	}, []string{"status"})
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringmaster_rpc_auth_failures_total",
		Help: "Requests that were not let in: missing, malformed, credentials, certificate.",
	}, []string{"reason"})
	m := &metrics{
		methods:  make(map[string]*methodMetrics),
		refusals: make(map[int]prometheus.Counter),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ringmaster_rpc_panics_total", Help: "Queries that ran into a bug; each is in the log with its stack.",
		}),
		soft: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ringmaster_rpc_heartbeats_unrecorded_total", Help: "Heartbeats that were answered though the ledger could not record them in time.",
		}),
		foreign: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ringmaster_rpc_foreign_calls_total", Help: "Calls that nodes named in heartbeats though they begin with another node's name; they were left out, and the log names them.",
		}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringmaster_rpc_call_ends_total", Help: "Ended calls by script (none: no service) and outcome. An end that is sent again counts again.",
		}, []string{"script", "outcome"}),
		expressions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringmaster_rpc_expression_failures_total",
			Help: "Expressions of scripts that failed during a query, because they cost too much or divide by zero, by script. A condition counts as false then.",
		}, []string{"script"}),
		connections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringmaster_rpc_connections_refused_total", Help: "Connections closed at once because a cap was reached: address or all.",
		}, []string{"cap"}),
	}
	for _, name := range methods {
		mm := &methodMetrics{
			total:   total.WithLabelValues(name),
			refused: overBudget.WithLabelValues(name, "refused"),
			late:    overBudget.WithLabelValues(name, "late"),
			replays: replays.WithLabelValues(name),
		}
		for p := range numPhases {
			mm.phases[p] = phases.WithLabelValues(name, phaseNames[p])
		}
		for c := range numClasses {
			mm.classes[c] = requests.WithLabelValues(name, classNames[c])
		}
		m.methods[name] = mm
	}
	for _, status := range httpRefusals {
		m.refusals[status] = refusals.WithLabelValues(strconv.Itoa(status))
	}
	for f := authMissing; f < numAuthFailures; f++ {
		m.failures[f] = failures.WithLabelValues(authFailureNames[f])
	}
	for _, c := range []string{endpoint.LimitAddress, endpoint.LimitAll} {
		m.connections.WithLabelValues(c)
	}
	asks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringmaster_rpc_asks_total",
		Help: "What calls asked the ledger for (money, place, secret, balance), and what became of it: unavailable, granted, refused, conflict, or blind (on_outage allowed it).",
	}, []string{"ask", "result"})
	for kind, name := range askNames {
		for state, result := range stateNames {
			m.asks[kind][state] = asks.WithLabelValues(name, result)
		}
	}
	for _, collector := range []prometheus.Collector{
		asks,
		phases, total, requests, overBudget, replays, refusals, failures, m.panics, m.soft, m.foreign, m.calls, m.expressions, m.connections,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ringmaster_rpc_queries_in_flight", Help: "Queries read and not yet answered, without ends of calls.",
		}, inFlight),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ringmaster_rpc_ends_in_flight", Help: "Queries that wait for the ledger: ends of calls and registrations.",
		}, endsInFlight),
	} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// of gives the metrics of a method; a name outside the registry is "other".
func (m *metrics) of(name string) *methodMetrics {
	if mm := m.methods[name]; mm != nil {
		return mm
	}
	return m.methods[otherMethod]
}

// askNames and stateNames are the labels of what calls ask the ledger.
var (
	askNames   = map[charging.Kind]string{charging.KindReserve: "money", charging.KindLimit: "place", charging.KindSecret: "secret", charging.KindBalance: "balance"}
	stateNames = [charging.StateBlind + 1]string{"unavailable", "granted", "refused", "conflict", "blind"}
)

func (m *metrics) asked(kind charging.Kind, state charging.State) { m.asks[kind][state].Inc() }

// ended counts one end of a call.
func (m *metrics) ended(snapshot *logic.Snapshot, cdr *logic.CDR) {
	m.calls.WithLabelValues(scriptLabel(snapshot, cdr.Script), string(cdr.Outcome)).Inc()
}

// failed counts expressions of a script that failed in a query.
func (m *metrics) failed(snapshot *logic.Snapshot, script string, expressions int) {
	m.expressions.WithLabelValues(scriptLabel(snapshot, script)).Add(float64(expressions))
}

// scriptLabel is a script's name if the snapshot has it: it has come in with a token.
func scriptLabel(snapshot *logic.Snapshot, script string) string {
	if script == "" {
		return "none"
	}
	for _, name := range snapshot.Scripts() {
		if name == script {
			return name
		}
	}
	return otherMethod
}

func (mm *methodMetrics) observe(p phase, d time.Duration) { mm.phases[p].Observe(d.Seconds()) }
