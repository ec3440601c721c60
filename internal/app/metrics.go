package app

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kycbridge"
	"kycbridge/handlers"
)

// metrics are what Prometheus reads. Labels hold configured names and our own words, and nothing
// personal. Of what comes from outside only the names of new fields stand in one, if they look like
// names, and no more than a bounded number of them.
type metrics struct {
	registry   *prometheus.Registry
	payloads   *prometheus.CounterVec
	acked      *prometheus.HistogramVec
	events     *prometheus.CounterVec
	noEvent    *prometheus.CounterVec
	failures   *prometheus.CounterVec
	unmapped   *prometheus.CounterVec
	newValues  *prometheus.CounterVec
	eventDelay *prometheus.HistogramVec
	calls      *prometheus.CounterVec
	callTime   *prometheus.HistogramVec
	looks      *prometheus.CounterVec
	apiPaused  *prometheus.GaugeVec
	badWatches prometheus.Counter
}

// fine covers answers in memory speed up to the request timeout; delays may grow while a bus is away.
var (
	fine   = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	coarse = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30, 300, 3600}
)

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		payloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_payloads_total",
			Help: "Callbacks by what was answered: accepted, duplicate, quarantined, or why not."}, []string{"provider", "account", "outcome"}),
		acked: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kycbridge_acknowledge_seconds",
			Help: "Time from the request to its answer.", Buckets: fine}, []string{"provider"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_events_total",
			Help: "Published events."}, []string{"provider", "account", "kind"}),
		noEvent: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_payloads_without_event_total",
			Help: "Processed payloads that led to no event, by why: ignored, trigger, old, unchanged."}, []string{"provider", "account", "why"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_process_failures_total",
			Help: "Failed attempts to process a stored payload; each is tried again or quarantined."}, []string{"provider", "account"}),
		unmapped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_unmapped_statuses_total",
			Help: "Events whose status or decision is a word of the provider that the mapping does not know."}, []string{"provider", "account"}),
		newValues: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_new_values_total",
			Help: "Payloads with a field or a word that the schema does not know, by where it stands; other: beyond 100 places of a provider."}, []string{"provider", "account", "kind", "pointer"}),
		eventDelay: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kycbridge_receipt_to_event_seconds",
			Help: "Time from the receipt of a payload to its published event.", Buckets: coarse}, []string{"provider"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_provider_calls_total",
			Help: "Attempts to call a provider's API by how they ended: ok, or what went wrong."}, []string{"provider", "account", "call", "outcome"}),
		callTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kycbridge_provider_call_seconds",
			Help: "Time from a call of a provider's API to its answer.", Buckets: fine}, []string{"provider", "call"}),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_poll_looks_total",
			Help: "Looks at open sessions by what came of them: news, unchanged, ended, unknown, deadline, or what went wrong."}, []string{"provider", "account", "outcome"}),
		apiPaused: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kycbridge_provider_paused",
			Help: "1 while so many calls to a provider fail that none is sent (circuit breaker)."}, []string{"provider", "account"}),
		badWatches: prometheus.NewCounter(prometheus.CounterOpts{Name: "kycbridge_watch_requests_dropped_total",
			Help: "Requests on the watch subject that made no sense."}),
	}
	m.registry.MustRegister(m.payloads, m.acked, m.events, m.noEvent, m.failures, m.unmapped, m.newValues, m.eventDelay,
		m.calls, m.callTime, m.looks, m.apiPaused, m.badWatches,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watch adds gauges that are read when they are asked for.
func (m *metrics) watch(backlog func(context.Context) (int, error), dropped func() int64, connected map[string]func() bool) {
	m.gauge(prometheus.GaugeOpts{Name: "kycbridge_backlog_payloads",
		Help: "Stored payloads that have not been processed yet; -1 while the store does not tell."}, backlog)
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "kycbridge_refused_dropped_total",
		Help: "Refused callbacks that were not kept: too large, too many at once, or the store away."}, func() float64 { return float64(dropped()) }))
	for name, up := range connected {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kycbridge_nats_connected",
			Help: "1 while the connection is up.", ConstLabels: prometheus.Labels{"connection": name}}, func() float64 {
			if up() {
				return 1
			}
			return 0
		}))
	}
}

// gauge adds a number that the store tells when it is asked.
func (m *metrics) gauge(o prometheus.GaugeOpts, ask func(context.Context) (int, error)) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(o, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n, err := ask(ctx)
		if err != nil {
			return -1
		}
		return float64(n)
	}))
}

// watchOpen adds the number of open sessions, watchDue that of an account's due ones.
func (m *metrics) watchOpen(open func(context.Context) (int, error)) {
	m.gauge(prometheus.GaugeOpts{Name: "kycbridge_poll_sessions",
		Help: "Open sessions that are asked about; -1 while the store does not tell."}, open)
}

func (m *metrics) watchDue(a kycbridge.AccountKey, due func(context.Context) (int, error)) {
	m.gauge(prometheus.GaugeOpts{Name: "kycbridge_poll_due",
		Help:        "Open sessions whose time to be asked about has come; -1 while the store does not tell.",
		ConstLabels: prometheus.Labels{"provider": a.Provider, "account": a.Account}}, due)
}

// called counts an attempt to call a provider.
func (m *metrics) called(a kycbridge.AccountKey, call, outcome string, took time.Duration) {
	m.calls.WithLabelValues(a.Provider, a.Account, call, outcome).Inc()
	m.callTime.WithLabelValues(a.Provider, call).Observe(took.Seconds())
}

// looked counts a look at an open session.
func (m *metrics) looked(a kycbridge.AccountKey, outcome string) {
	m.looks.WithLabelValues(a.Provider, a.Account, outcome).Inc()
}

func (m *metrics) paused(a kycbridge.AccountKey, paused bool) {
	v := 0.0
	if paused {
		v = 1
	}
	m.apiPaused.WithLabelValues(a.Provider, a.Account).Set(v)
}

func (m *metrics) refusedWatch() { m.badWatches.Inc() }

// received counts an answered callback.
func (m *metrics) received(o handlers.Outcome) {
	m.payloads.WithLabelValues(o.Provider, o.Account, o.Outcome).Inc()
	m.acked.WithLabelValues(o.Provider).Observe(o.Duration.Seconds())
}

// processed counts one attempt to turn a stored payload into an event.
func (m *metrics) processed(p kycbridge.Payload, done kycbridge.Processed, err error) {
	switch {
	case err != nil:
		m.failures.WithLabelValues(p.Provider, p.Account).Inc()
	case done.Event != nil:
		m.events.WithLabelValues(p.Provider, p.Account, string(done.Kind)).Inc()
		m.eventDelay.WithLabelValues(p.Provider).Observe(time.Since(p.ReceivedAt).Seconds())
		if slices.ContainsFunc(done.Event.Data.Reasons, func(r kycbridge.Reason) bool { return r.Code == kycbridge.ReasonUnmappedStatus }) {
			m.unmapped.WithLabelValues(p.Provider, p.Account).Inc()
		}
	default:
		m.noEvent.WithLabelValues(p.Provider, p.Account, done.NoEvent).Inc()
	}
}

// newValue counts something in a worked payload that the schema does not know.
func (m *metrics) newValue(p kycbridge.Payload, kind, pointer string) {
	m.newValues.WithLabelValues(p.Provider, p.Account, kind, pointer).Inc()
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
