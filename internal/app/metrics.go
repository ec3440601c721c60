package app

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kycbridge"
	"kycbridge/handlers"
)

// metrics are what Prometheus reads. Labels hold configured names and our own words, never a byte
// from outside and nothing personal.
type metrics struct {
	registry   *prometheus.Registry
	payloads   *prometheus.CounterVec
	acked      *prometheus.HistogramVec
	events     *prometheus.CounterVec
	noEvent    *prometheus.CounterVec
	failures   *prometheus.CounterVec
	eventDelay *prometheus.HistogramVec
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
		eventDelay: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kycbridge_receipt_to_event_seconds",
			Help: "Time from the receipt of a payload to its published event.", Buckets: coarse}, []string{"provider"}),
	}
	m.registry.MustRegister(m.payloads, m.acked, m.events, m.noEvent, m.failures, m.eventDelay,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watch adds gauges that are read when they are asked for.
func (m *metrics) watch(backlog func(context.Context) (int, error), dropped func() int64, connected map[string]func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kycbridge_backlog_payloads",
		Help: "Stored payloads that have not been processed yet; -1 while the store does not tell."}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n, err := backlog(ctx)
		if err != nil {
			return -1
		}
		return float64(n)
	}))
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
	default:
		m.noEvent.WithLabelValues(p.Provider, p.Account, done.NoEvent).Inc()
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
