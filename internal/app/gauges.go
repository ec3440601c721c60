package app

import (
	"context"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kycbridge"
	"kycbridge/publisher"
)

// watchPace adds the gauge of slowed callbacks.
func (m *metrics) watchPace(p *pace) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kycbridge_callbacks_slowed",
		Help: "1 while callbacks are slowed down, because events were more than three seconds of work behind; else 0."},
		func() float64 {
			if p.slows() {
				return 1
			}
			return 0
		}))
}

// watch adds gauges that are read on demand.
func (m *metrics) watch(store *publisher.Store, connected map[string]func() bool) {
	m.gauge(prometheus.GaugeOpts{Name: "kycbridge_backlog_payloads",
		Help: "Stored payloads that have not been processed yet; -1 while the store does not tell."}, count(store.Backlog))
	m.gauge(prometheus.GaugeOpts{Name: "kycbridge_backlog_oldest_seconds",
		Help: "How long the oldest of them has been stored; 0 if there is none, -1 while the store does not tell."},
		seconds(store.OldestPayload))
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "kycbridge_refused_dropped_total",
		Help: "Refused callbacks that were not kept: too large, too many at once, or the store away."},
		func() float64 { return float64(store.Dropped()) }))
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "kycbridge_key_failures_total",
		Help: "Stored bodies that could not be encrypted or decrypted, because no key could be had."},
		func() float64 { return float64(store.KeyFailures()) }))
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "kycbridge_access_dropped_total",
		Help: "Records of the access log that were not stored: the store was away for long, or the process ended meanwhile."},
		func() float64 { return float64(store.AccessesDropped()) }))
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kycbridge_clock_ahead_seconds",
		Help: "By how much the clock of this process is ahead of that of the NATS server; negative if it is behind."},
		func() float64 { return store.ClockAhead().Seconds() }))
	m.gauge(prometheus.GaugeOpts{Name: "kycbridge_holds",
		Help: "Verifications that are held now; -1 while the store does not tell."}, count(store.ActiveHolds))
	for _, stream := range store.Streams() {
		m.watchForeign(stream, store.Foreign)
	}
	for name, up := range connected {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kycbridge_nats_connected",
			Help: "1 while the connection is up.", ConstLabels: prometheus.Labels{"connection": name}},
			func() float64 { return yes(up()) }))
	}
}

// watchLedger adds a gauge of how long leaves of the tamper-evident log have been waiting for a signature.
func (m *metrics) watchLedger(behind func(context.Context) (time.Duration, error)) {
	m.gauge(prometheus.GaugeOpts{Name: "kycbridge_log_unsigned_seconds",
		Help: "How long the newest leaves of the tamper-evident log wait for a signed checkpoint; -1 while nobody can tell."},
		seconds(behind))
}

// watchForeign counts the foreign messages of a stream.
func (m *metrics) watchForeign(stream string, passedOver func(stream string) int) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "kycbridge_foreign_messages_total",
		Help:        "Messages that somebody else put into a stream of ours, each time that one was passed over.",
		ConstLabels: prometheus.Labels{"stream": stream}}, func() float64 { return float64(passedOver(stream)) }))
}

// watchReady adds a gauge for each part of /readyz.
func (m *metrics) watchReady(parts map[string]func(context.Context) error) {
	for name, check := range parts {
		m.gauge(prometheus.GaugeOpts{Name: "kycbridge_ready",
			Help: "1 while a part does its work; /readyz is green when all are.", ConstLabels: prometheus.Labels{"part": name}},
			func(ctx context.Context) (float64, error) { return yes(check(ctx) == nil), nil })
	}
}

// watchDisk adds the disk usage of an embedded store.
func (m *metrics) watchDisk(measure func() (publisher.Disk, error)) {
	for name, about := range map[string]struct {
		help string
		of   func(publisher.Disk) uint64
	}{
		"kycbridge_embedded_store_bytes": {"Messages in the embedded store, bytes.",
			func(d publisher.Disk) uint64 { return d.Stored }},
		"kycbridge_embedded_disk_free_bytes": {"What is free for us on the disk of the embedded store.",
			func(d publisher.Disk) uint64 { return d.Free }},
		"kycbridge_embedded_disk_bytes": {"Size of the disk of the embedded store.",
			func(d publisher.Disk) uint64 { return d.Size }},
	} {
		m.gauge(prometheus.GaugeOpts{Name: name, Help: about.help + " -1 if it cannot be measured."},
			func(context.Context) (float64, error) {
				d, err := measure()
				return float64(about.of(d)), err
			})
	}
}

// build adds the version of the program.
func (m *metrics) build(version string) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kycbridge_build_info",
		Help:        "1; the labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": version, "mapping": Mapping, "goversion": runtime.Version()}},
		func() float64 { return 1 }))
}

func yes(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// count and seconds convert functions that read a count or a duration for use with gauge.
func count(ask func(context.Context) (int, error)) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		n, err := ask(ctx)
		return float64(n), err
	}
}

func seconds(ask func(context.Context) (time.Duration, error)) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		d, err := ask(ctx)
		return d.Seconds(), err
	}
}

// gauge adds a number that is read from the store on demand.
func (m *metrics) gauge(o prometheus.GaugeOpts, ask func(context.Context) (float64, error)) prometheus.Collector {
	g := prometheus.NewGaugeFunc(o, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n, err := ask(ctx)
		if err != nil {
			return -1
		}
		return n
	})
	m.registry.MustRegister(g)
	return g
}

// watchOpen adds a gauge of the number of open sessions. watchDue adds gauges of an account's due sessions and of
// the delay of the longest-overdue one; unwatch removes them.
func (m *metrics) watchOpen(open func(context.Context) (int, error)) {
	m.gauge(prometheus.GaugeOpts{Name: "kycbridge_poll_sessions",
		Help: "Open sessions that are asked about; -1 while the store does not tell."}, count(open))
}

func (m *metrics) watchDue(a kycbridge.AccountKey, store *publisher.Store) (unwatch func()) {
	of := prometheus.Labels{"provider": a.Provider, "account": a.Account}
	due := m.gauge(prometheus.GaugeOpts{Name: "kycbridge_poll_due", ConstLabels: of,
		Help: "Open sessions whose time to be asked about has come; -1 while the store does not tell."},
		count(func(ctx context.Context) (int, error) { return store.Due(ctx, a) }))
	late := m.gauge(prometheus.GaugeOpts{Name: "kycbridge_poll_late_seconds", ConstLabels: of,
		Help: "How long the one of them that has waited longest is overdue; 0 if none is due, -1 while the store does not " +
			"tell."},
		seconds(func(ctx context.Context) (time.Duration, error) { return store.OldestDue(ctx, a) }))
	return func() {
		m.registry.Unregister(due)
		m.registry.Unregister(late)
	}
}
