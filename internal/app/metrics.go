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
	"kycbridge/event"
	"kycbridge/handlers"
)

// metrics are the Prometheus metrics. Labels contain configured names and fixed words, and nothing personal. The
// only external text in labels is the names of new fields, if they look like names, and their number is limited.
type metrics struct {
	registry       *prometheus.Registry
	payloads       *prometheus.CounterVec
	admitted       *prometheus.CounterVec
	acked          *prometheus.HistogramVec
	events         *prometheus.CounterVec
	noEvent        *prometheus.CounterVec
	quarantine     *prometheus.CounterVec
	failures       *prometheus.CounterVec
	unmapped       *prometheus.CounterVec
	newValues      *prometheus.CounterVec
	eventDelay     *prometheus.HistogramVec
	calls          *prometheus.CounterVec
	callTime       *prometheus.HistogramVec
	looks          *prometheus.CounterVec
	apiPaused      *prometheus.GaugeVec
	invalidWatches prometheus.Counter
	removed        *prometheus.CounterVec // by the retention
	readers        *prometheus.CounterVec
	handshakes     *prometheus.CounterVec
	tokens         *prometheus.CounterVec
	certificates   *prometheus.GaugeVec
	strangers      *prometheus.CounterVec
	configs        *prometheus.GaugeVec
	configApplied  prometheus.Gauge
	configRefused  prometheus.Gauge
	reloads        *prometheus.CounterVec
}

// Buckets of histograms, in seconds. fine covers answer times up to the request timeout; coarse covers delays, which
// grow while a bus is unavailable.
var (
	fine   = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	coarse = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30, 300, 3600}
)

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		payloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_payloads_total",
			Help: "Callbacks by what was answered: accepted, duplicate, quarantined, or why not."},
			[]string{"provider", "account", "outcome"}),
		admitted: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_admitted_total",
			Help: "Callbacks with a valid credential, by its place among those of its kind in the configuration: first, later."},
			[]string{"provider", "account", "credential"}),
		acked: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kycbridge_acknowledge_seconds",
			Help: "Time from the request to its answer.", Buckets: fine}, []string{"provider"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_events_total",
			Help: "Published events."}, []string{"provider", "account", "kind"}),
		noEvent: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_payloads_without_event_total",
			Help: "Processed payloads that led to no event, by why: ignored, trigger, old, unchanged, erased."},
			[]string{"provider", "account", "why"}),
		quarantine: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_quarantined_total",
			Help: "Payloads put into quarantine, pushed, fetched or stored before, by why: malformed, schema, unidentified, " +
				"foreign, unmapped."}, []string{"provider", "account", "reason"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_process_failures_total",
			Help: "Failed attempts to process a stored payload; each is tried again or quarantined."},
			[]string{"provider", "account"}),
		unmapped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_unmapped_statuses_total",
			Help: "Events whose status or decision is a word of the provider that the mapping does not know."},
			[]string{"provider", "account"}),
		newValues: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_new_values_total",
			Help: "Payloads with a field or a word that the schema does not know, by where it stands; other: beyond 100 " +
				"places of a provider."}, []string{"provider", "account", "kind", "pointer"}),
		eventDelay: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kycbridge_receipt_to_event_seconds",
			Help: "Time from the receipt of a payload to its published event.", Buckets: coarse}, []string{"provider"}),
		invalidWatches: prometheus.NewCounter(prometheus.CounterOpts{Name: "kycbridge_watch_requests_dropped_total",
			Help: "Requests on the watch subject that made no sense."}),
		readers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_reader_requests_total",
			Help: "Requests of NATS users who read events, by the user and by what became of them: served, refused, dropped."},
			[]string{"reader", "outcome"}),
		handshakes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_tls_handshake_failures_total",
			Help: "TLS handshakes that failed, by the listener and by how: plain_http, client_certificate, " +
				"refused_by_client, timeout, closed, protocol."}, []string{"listener", "how"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_oauth2_tokens_total",
			Help: "Requests for an access token by what was answered: issued, or why not."},
			[]string{"provider", "account", "outcome"}),
		certificates: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kycbridge_tls_certificate_expiry_timestamp_seconds",
			Help: "When the certificate expires that a listener uses, Unix seconds."}, []string{"listener"}),
	}
	m.ofProviders()
	m.ofConfigurations()
	m.ofRetention()
	m.ofStrangers()
	m.registry.MustRegister(m.payloads, m.admitted, m.acked, m.events, m.noEvent, m.quarantine, m.failures, m.unmapped,
		m.newValues, m.eventDelay, m.invalidWatches, m.readers, m.handshakes, m.tokens, m.certificates,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// ofProviders adds the metrics of calls to providers' APIs.
func (m *metrics) ofProviders() {
	m.calls = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_provider_calls_total",
		Help: "Attempts to call a provider's API by how they ended: ok, or what went wrong."},
		[]string{"provider", "account", "call", "outcome"})
	m.callTime = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kycbridge_provider_call_seconds",
		Help: "Time from a call of a provider's API to its answer.", Buckets: fine}, []string{"provider", "call"})
	m.looks = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_poll_looks_total",
		Help: "Looks at open sessions by what came of them: news, unchanged, ended, unknown, deadline, unread, or " +
			"what went wrong."}, []string{"provider", "account", "outcome"})
	m.apiPaused = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kycbridge_provider_paused",
		Help: "1 while so many calls to a provider fail that none is sent (circuit breaker)."},
		[]string{"provider", "account"})
	m.registry.MustRegister(m.calls, m.callTime, m.looks, m.apiPaused)
}

// ofConfigurations adds the metrics of the configuration in use and of its reloads.
func (m *metrics) ofConfigurations() {
	m.configs = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kycbridge_config_info",
		Help: "1; the label says which configuration is in use. It does not depend on the values of secrets."},
		[]string{"version"})
	m.configApplied = prometheus.NewGauge(prometheus.GaugeOpts{Name: "kycbridge_config_applied_timestamp_seconds",
		Help: "When the configuration in use was read: at the start or at the last reload that was applied, Unix seconds."})
	m.configRefused = prometheus.NewGauge(prometheus.GaugeOpts{Name: "kycbridge_config_refused",
		Help: "1 while the configuration in its files cannot be used, and the one before is in use."})
	m.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_config_reloads_total",
		Help: "Times the configuration was read again, by what came of it: applied, refused."}, []string{"result"})
	for _, result := range []string{"applied", "refused"} {
		m.reloads.WithLabelValues(result)
	}
	m.registry.MustRegister(m.configs, m.configApplied, m.configRefused, m.reloads)
}

// ofRetention adds the counter of messages that the retention has removed.
func (m *metrics) ofRetention() {
	m.removed = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_retention_removed_total",
		Help: "Messages that this process has removed because they were older than their retention, by class: payloads, " +
			"quarantine; of events, verifications."}, []string{"class"})
	for _, class := range []kycbridge.Class{kycbridge.ClassPayloads, kycbridge.ClassQuarantine, kycbridge.ClassEvents} {
		m.removed.WithLabelValues(string(class))
	}
	m.registry.MustRegister(m.removed)
}

// Where somebody without a valid token tries to use the listener of operators.
const (
	strangerAtAPI     = "api"
	strangerAtConsole = "console"
)

// ofStrangers adds the counter of requests to operators' routes without a valid token.
func (m *metrics) ofStrangers() {
	m.strangers = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kycbridge_admin_refused_total",
		Help: "Requests of the API and sign-ins at the console without a valid token or certificate."}, []string{"where"})
	for _, where := range []string{strangerAtAPI, strangerAtConsole} {
		m.strangers.WithLabelValues(where)
	}
	m.registry.MustRegister(m.strangers)
}

func (m *metrics) stranger(where string) { m.strangers.WithLabelValues(where).Inc() }

// configVersion shows which configuration is in use.
func (m *metrics) configVersion(version string) {
	m.configs.Reset()
	m.configs.WithLabelValues(version).Set(1)
}

// called counts an attempt to call a provider.
func (m *metrics) called(a kycbridge.AccountKey, call, outcome string, took time.Duration) {
	m.calls.WithLabelValues(a.Provider, a.Account, call, outcome).Inc()
	m.callTime.WithLabelValues(a.Provider, call).Observe(took.Seconds())
}

// polled counts a poll of an open session.
func (m *metrics) polled(a kycbridge.AccountKey, outcome string) {
	m.looks.WithLabelValues(a.Provider, a.Account, outcome).Inc()
}

func (m *metrics) paused(a kycbridge.AccountKey, paused bool) {
	v := 0.0
	if paused {
		v = 1
	}
	m.apiPaused.WithLabelValues(a.Provider, a.Account).Set(v)
}

func (m *metrics) refusedWatch() { m.invalidWatches.Inc() }

// readerRequest counts a request of a reader of events.
func (m *metrics) readerRequest(reader, outcome string) {
	m.readers.WithLabelValues(reader, outcome).Inc()
}

// received counts an answered callback.
func (m *metrics) received(o handlers.Outcome) {
	m.payloads.WithLabelValues(o.Provider, o.Account, o.Outcome).Inc()
	m.acked.WithLabelValues(o.Provider).Observe(o.Duration.Seconds())
	if o.Credential != "" {
		m.admitted.WithLabelValues(o.Provider, o.Account, o.Credential).Inc()
	}
}

// processed counts one attempt to turn a stored payload into an event.
func (m *metrics) processed(p kycbridge.Payload, done kycbridge.Processed, err error) {
	switch {
	case err != nil:
		m.failures.WithLabelValues(p.Provider, p.Account).Inc()
	case done.Event != nil:
		m.events.WithLabelValues(p.Provider, p.Account, string(done.Kind)).Inc()
		m.eventDelay.WithLabelValues(p.Provider).Observe(time.Since(p.ReceivedAt).Seconds())
		if slices.ContainsFunc(done.Event.Data.Reasons,
			func(r event.Reason) bool { return r.Code == event.ReasonUnmappedStatus }) {
			m.unmapped.WithLabelValues(p.Provider, p.Account).Inc()
		}
	case done.Before > 0: // an earlier attempt published its event
	default:
		m.noEvent.WithLabelValues(p.Provider, p.Account, done.NoEvent).Inc()
	}
}

// countedQuarantine counts quarantined payloads from any source.
type countedQuarantine struct {
	keep    kycbridge.Quarantine
	metrics *metrics
}

// Quarantine stores and counts a payload.
func (q countedQuarantine) Quarantine(
	ctx context.Context, p kycbridge.Payload, reason string, errors []kycbridge.FieldError,
) error {
	err := q.keep.Quarantine(ctx, p, reason, errors)
	if err == nil {
		q.metrics.quarantine.WithLabelValues(p.Provider, p.Account, reason).Inc()
	}
	return err
}

// tokenRequested counts an answered request for an access token.
func (m *metrics) tokenRequested(o handlers.Outcome) {
	m.tokens.WithLabelValues(o.Provider, o.Account, o.Outcome).Inc()
}

// newValue counts a value in a processed payload that the schema does not know.
func (m *metrics) newValue(p kycbridge.Payload, kind, pointer string) {
	m.newValues.WithLabelValues(p.Provider, p.Account, kind, pointer).Inc()
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
