package ledger

import "github.com/prometheus/client_golang/prometheus"

// metrics are this package's own. No label has a value that a caller or operator can choose.
type metrics struct {
	queueDepth *prometheus.GaugeVec
	batchSize  *prometheus.HistogramVec
	commits    *prometheus.HistogramVec
	retries    *prometheus.CounterVec
	late       *prometheus.CounterVec
	refused    *prometheus.CounterVec
	cdrs       prometheus.Counter
	duplicates prometheus.Counter
	voided     prometheus.Counter
	forgotten  prometheus.Counter
	excess     prometheus.Counter
	unpaid     prometheus.Counter
	closed     *prometheus.CounterVec
}

// The queues, as metrics label them.
const (
	queueCDR  = "cdr"
	queueNode = "node"
	queueAsk  = "ask"
	// Tries of PINs wait apart.
	queueSecret = "secret"
)

func newMetrics(registry prometheus.Registerer) *metrics {
	byQueue := []string{"queue"}
	m := &metrics{
		queueDepth: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ringmaster_store_queue_depth",
			Help: "Writes that wait for Postgres; queue cdr is the backlog of call detail records."}, byQueue),
		batchSize: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ringmaster_store_batch_size",
			Help: "Writes that shared one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 9)}, byQueue),
		commits: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ringmaster_store_commit_seconds",
			Help: "Time of one such transaction, commit included.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}, byQueue),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringmaster_store_retries_total",
			Help: "Transactions that failed or ended unknown and were done again."}, byQueue),
		late: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringmaster_store_late_total",
			Help: "Writes whose caller had to leave before they were stored."}, byQueue),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringmaster_store_refused_total",
			Help: "Writes refused because the queue was full or Postgres can never take them."}, []string{"queue", "reason"}),
		cdrs: prometheus.NewCounter(prometheus.CounterOpts{Name: "ringmaster_cdrs_stored_total",
			Help: "Call detail records stored."}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{Name: "ringmaster_cdrs_repeated_total",
			Help: "Ends of calls that had been stored before."}),
		voided: prometheus.NewCounter(prometheus.CounterOpts{Name: "ringmaster_ledger_voided_total",
			Help: "Reservations and places that were granted too late for their call, and given back."}),
		forgotten: prometheus.NewCounter(prometheus.CounterOpts{Name: "ringmaster_ledger_unvoided_total",
			Help: "Reservations that were granted too late and could not be given back at once: they expire by themselves."}),
		excess: prometheus.NewCounter(prometheus.CounterOpts{Name: "ringmaster_ledger_excess_total",
			Help: "Charges of conversations that went on for longer than they were granted: their node did not keep the limit."}),
		unpaid: prometheus.NewCounter(prometheus.CounterOpts{Name: "ringmaster_ledger_unpaid_total",
			Help: "Charges for which there was no account, of calls that were admitted while Postgres was away."}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringmaster_ledger_calls_closed_total",
			Help: "Calls that were closed because they were not heard of again: node_lost, restarted (their node was) or vanished (their node lives and does not know them)."}, []string{"reason"}),
	}
	for _, q := range []string{queueCDR, queueNode, queueAsk, queueSecret} {
		m.queueDepth.WithLabelValues(q)
		m.batchSize.WithLabelValues(q)
		m.commits.WithLabelValues(q)
		m.retries.WithLabelValues(q)
		m.late.WithLabelValues(q)
		m.refused.WithLabelValues(q, "full")
		m.refused.WithLabelValues(q, "invalid")
	}
	for _, reason := range []string{closedNodeLost, closedRestarted, closedVanished} {
		m.closed.WithLabelValues(reason)
	}
	if registry != nil {
		registry.MustRegister(m.queueDepth, m.batchSize, m.commits, m.retries, m.late, m.refused, m.cdrs, m.duplicates, m.voided, m.forgotten, m.excess, m.unpaid, m.closed)
	}
	return m
}
