package store

import "github.com/prometheus/client_golang/prometheus"

// metrics are this package's own. No label has a value that a caller or operator can choose.
type metrics struct {
	feedUp        prometheus.Gauge
	feedReconnect prometheus.Counter
	loads         *prometheus.CounterVec
	loadSeconds   prometheus.Histogram
	compSeconds   prometheus.Histogram
	deltas        *prometheus.CounterVec
	applySeconds  prometheus.Histogram
	fromDisk      prometheus.Gauge
	revision      prometheus.Gauge
	problems      prometheus.Gauge

	registry prometheus.Registerer
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		registry: registry,
		feedUp: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ringmaster_feed_connected",
			Help: "Whether the connection that hears of operators' edits is up."}),
		feedReconnect: prometheus.NewCounter(prometheus.CounterOpts{Name: "ringmaster_feed_disconnects_total",
			Help: "Times the connection that hears of operators' edits was lost or could not be made."}),
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringmaster_config_loads_total",
			Help: "Loads of the operators' tables, by result."}, []string{"result"}),
		loadSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "ringmaster_config_load_seconds",
			Help: "Time to read the operators' tables.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 14)}),
		compSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "ringmaster_config_compile_seconds",
			Help: "Time to compile the operators' tables.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		deltas: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ringmaster_config_deltas_total",
			Help: "Edits taken over by loading only what was touched, by result; none: they had come with others; impossible: everything was loaded instead."}, []string{"result"}),
		applySeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "ringmaster_config_apply_seconds",
			Help: "Time to load and compile what edits touched.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		fromDisk: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ringmaster_config_from_disk",
			Help: "Whether the served config is the one saved beside the engine, which Postgres has not confirmed yet; ringmaster_config_age_seconds says how old it is."}),
		revision: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ringmaster_config_revision",
			Help: "Config revision that is served; 0 before the first load."}),
		problems: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ringmaster_config_problems",
			Help: "Rows that cannot be used, as listed in config_problem."}),
	}
	m.loads.WithLabelValues("ok")
	m.loads.WithLabelValues("failed")
	for _, result := range []string{"ok", "none", "impossible", "failed"} {
		m.deltas.WithLabelValues(result)
	}
	if registry != nil {
		registry.MustRegister(m.feedUp, m.feedReconnect, m.loads, m.loadSeconds, m.compSeconds, m.deltas, m.applySeconds, m.fromDisk, m.revision, m.problems)
	}
	return m
}
