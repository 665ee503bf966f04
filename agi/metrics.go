package agi

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/rpc/api"
)

// Labels' values. All sets are fixed: nothing that a caller, an engine or a row can choose becomes a label.
const (
	outcomeAnswered = "answered" // a reply in time
	outcomeFault    = "fault"    // the query was refused as such
	outcomeFailed   = "failed"   // every engine failed
	outcomeDeadline = "deadline" // nobody answered in time

	fallbackNoEngine = "no_engine" // no engine answered
	fallbackFault    = "fault"     // an engine refused the query
	fallbackInvalid  = "invalid"   // a value, of the call or of the reply, was not in the grammar
	fallbackUnknown  = "unknown"   // a report for a call without a session

	extendDone   = "done"   // Asterisk has it
	extendFailed = "failed" // Asterisk did not take it, or there is no connection to it
	extendUnable = "unable" // the conversation was connected with a limit that cannot be moved
	extendStale  = "stale"  // the conversation is over

	endSpooled        = "spooled"         // taken from the dialplan, on disk
	endCollected      = "collected"       // taken from the inbox
	endDelivered      = "delivered"       // an engine has it
	endWithoutSession = "without_session" // an engine has it, but did not take the session
	endRetried        = "retried"         // sent and not acknowledged
	endRejected       = "rejected"        // moved aside
)

// metrics is what the agent counts.
type metrics struct {
	asks       *prometheus.CounterVec
	askSeconds *prometheus.HistogramVec
	hedges     prometheus.Counter
	failovers  prometheus.Counter
	up         *prometheus.GaugeVec
	fallbacks  *prometheus.CounterVec
	ends       *prometheus.CounterVec
	spoolDepth prometheus.Gauge
	sessions   prometheus.Gauge
	amiUp      prometheus.Gauge
	extensions *prometheus.CounterVec
	warnings   *prometheus.CounterVec
}

// newMetrics registers with reg. calls and spoolAge are read when scraped.
func newMetrics(reg prometheus.Registerer, calls, spoolAge func() float64) *metrics {
	m := &metrics{
		asks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringmaster_agent_asks_total", Help: "Queries to engines, by method and what came of them."}, []string{"method", "outcome"}),
		askSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ringmaster_agent_ask_seconds", Help: "Time from asking the engines to the answer, network and failover included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}, []string{"method"}),
		hedges: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ringmaster_agent_hedges_total", Help: "Queries also sent to a further engine because nobody had answered yet."}),
		failovers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ringmaster_agent_failovers_total", Help: "Queries sent to a further engine because one had failed."}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ringmaster_agent_engine_up", Help: "1 while the engine answers, by configured engine."}, []string{"engine"}),
		fallbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringmaster_agent_fallbacks_total", Help: "Steps answered with UNAVAILABLE, by reason."}, []string{"reason"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringmaster_agent_ends_total", Help: "Ends of calls, by what happened to them; one end passes several."}, []string{"event"}),
		spoolDepth: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ringmaster_agent_spool_ends", Help: "Ends of calls that no engine has acknowledged."}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ringmaster_agent_agi_sessions", Help: "FastAGI sessions open now."}),
		amiUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ringmaster_agent_ami_up", Help: "1 while the agent is logged in at Asterisk's manager interface, by which conversations are extended."}),
		extensions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringmaster_agent_extensions_total", Help: "Extensions of conversations that engines told, again with each heartbeat, by what came of them."}, []string{"outcome"}),
		warnings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringmaster_agent_warnings_total", Help: "Callers of conversations that can be extended warned before the cut, by what came of it."}, []string{"outcome"}),
	}
	reg.MustRegister(m.asks, m.askSeconds, m.hedges, m.failovers, m.up, m.fallbacks, m.ends, m.spoolDepth, m.sessions, m.amiUp, m.extensions, m.warnings,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ringmaster_agent_calls", Help: "Live calls that the agent knows."}, calls),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ringmaster_agent_spool_oldest_age_seconds", Help: "Age of the oldest end of a call that no engine has acknowledged, 0 when there is none."}, spoolAge))
	for _, method := range []string{api.MethodCallStart, api.MethodCallReport, api.MethodCallEnd, api.MethodNodeRegister, api.MethodNodeHeartbeat} {
		for _, o := range []string{outcomeAnswered, outcomeFault, outcomeFailed, outcomeDeadline} {
			m.asks.WithLabelValues(method, o)
		}
		m.askSeconds.WithLabelValues(method)
	}
	for _, r := range []string{fallbackNoEngine, fallbackFault, fallbackInvalid, fallbackUnknown} {
		m.fallbacks.WithLabelValues(r)
	}
	for _, o := range []string{extendDone, extendFailed, extendUnable, extendStale} {
		m.extensions.WithLabelValues(o)
	}
	for _, o := range []string{extendDone, extendFailed} {
		m.warnings.WithLabelValues(o)
	}
	for _, e := range []string{endSpooled, endCollected, endDelivered, endWithoutSession, endRetried, endRejected} {
		m.ends.WithLabelValues(e)
	}
	return m
}

func (m *metrics) asked(method, outcome string, took time.Duration) {
	m.asks.WithLabelValues(method, outcome).Inc()
	m.askSeconds.WithLabelValues(method).Observe(took.Seconds())
}

func (m *metrics) amiIs(up bool) {
	value := 0.0
	if up {
		value = 1
	}
	m.amiUp.Set(value)
}

func (m *metrics) engineUp(name string, up bool) {
	value := 0.0
	if up {
		value = 1
	}
	m.up.WithLabelValues(name).Set(value)
}
