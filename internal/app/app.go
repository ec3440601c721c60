package app

import (
	"context"
	"errors"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"kycbridge"
	"kycbridge/handlers"
	"kycbridge/internal/console"
	"kycbridge/internal/poll"
)

// Mapping is the version of the mappings. Every event contains it, and it changes when a mapping changes.
const Mapping = "2"

// Roles are the tasks of a process. The zero value has none; AllRoles is the default.
type Roles struct{ Receive, Normalize, Poll bool }

// AllRoles is one process with all tasks.
func AllRoles() Roles { return Roles{Receive: true, Normalize: true, Poll: true} }

// App is a running bridge on a system.
type App struct {
	*system
	metrics          *metrics
	day              *console.Day // the console's statistics of the last day
	intake           *kycbridge.Intake
	pace             *pace                // of the callbacks
	documents        *kycbridge.Documents // from the intake to the normalizer; nil: this process does not normalize
	poller           *poll.Poller
	callbacks        *handlers.Callbacks // nil: this process receives none
	polling          *polling            // nil: this process does not poll
	roles            Roles
	source           *Source // nil: the configuration is not read again
	reloadNow        chan struct{}
	setLogLevel      func(string)          // nil: the level cannot be changed
	tried            map[string]string     // the keys in the files at the last reload; nil: the files could not be used
	unapplied        error                 // why the last reload failed, if the reason is not in the files
	triedAt          time.Time             // the last reload
	version          string                // of the program
	spans            sdktrace.SpanExporter // for tests
	tracing          *tracing              // nil: no traces
	addr             struct{ callbacks, admin string }
	invalidWatchLogs rate.Sometimes // log lines about invalid requests to watch
	droppedLogs      rate.Sometimes // log lines about dropped records of the access log
	handshakeLogs    rate.Sometimes // log lines about refused client certificates
	diskLogs         rate.Sometimes // log lines about a disk that is nearly full
	inspectNow       chan struct{}  // holds one request at most to inspect the stored messages
}

// Start starts everything in the order of processing: store, normalizer with its bus, receiver. On an
// error the started parts are stopped again.
func Start(ctx context.Context, config *Config, roles Roles, log *zap.Logger, options ...Option) (_ *App, err error) {
	a := &App{
		system:           newSystem(config, log),
		metrics:          newMetrics(),
		day:              console.NewDay(time.Now),
		invalidWatchLogs: rate.Sometimes{First: 10, Interval: time.Minute},
		droppedLogs:      rate.Sometimes{First: 1, Interval: time.Minute},
		handshakeLogs:    rate.Sometimes{First: 10, Interval: time.Minute},
		diskLogs:         rate.Sometimes{First: 1, Interval: time.Hour},
		inspectNow:       make(chan struct{}, 1),
		roles:            roles,
		reloadNow:        make(chan struct{}, 1),
		pace:             &pace{log: log},
	}
	a.observe = a.metrics.readerRequest
	for _, option := range options {
		option(a)
	}
	if roles.Normalize {
		a.documents = &kycbridge.Documents{}
	}
	defer func() {
		if err != nil {
			a.Stop()
		}
	}()
	if err = a.prepare(ctx); err != nil {
		return nil, err
	}
	if err = a.startStore(ctx); err != nil {
		return nil, err
	}
	ready := map[string]func(context.Context) error{"store": a.store.Ready}
	if err = a.startWork(ctx, roles, ready); err != nil {
		return nil, err
	}
	if roles.Receive {
		if err = a.startReceiver(ready); err != nil {
			return nil, err
		}
	}
	if err = a.startAdmin(ready); err != nil {
		return nil, err
	}
	a.metrics.watchReady(ready)
	a.startWatching(roles)
	a.metrics.configVersion(config.Version())
	a.metrics.configApplied.SetToCurrentTime()
	if a.source != nil {
		a.untilStop(a.watchConfig)
	}
	return a, nil
}

// prepare initializes everything that needs no other process: traces, schemas and accounts.
func (a *App) prepare(ctx context.Context) (err error) {
	if a.tracing, err = a.startTracing(ctx); err != nil {
		return err
	}
	return a.load()
}

// startStore opens the store, requests the results of lost payloads from providers again, and creates the
// intake.
func (a *App) startStore(ctx context.Context) error {
	if err := a.openStore(ctx); err != nil {
		return err
	}
	a.checkStoreEnd(ctx)
	a.maintainStore()
	a.connectAPIs(a.live.Load(), nil)
	if a.embedded != nil && a.config.Store.IsEmbedded() {
		if err := a.fetchLost(ctx); err != nil {
			return err
		}
	}
	a.intake = &kycbridge.Intake{MaxBody: int(a.config.Receive.MaxBody), Log: a.store,
		Quarantine: countedQuarantine{a.store, a.metrics}, Refusals: a.store, Documents: a.documents, Pace: a.pace.wait}
	if a.embedded != nil && a.config.Store.IsEmbedded() {
		// This process alone processes what it stores.
		a.pace.documents = a.documents
	}
	a.poller = a.newPoller()
	return nil
}

// startWork starts the normalizer and the poller according to the roles, and adds their requirements to ready.
func (a *App) startWork(ctx context.Context, roles Roles, ready map[string]func(context.Context) error) error {
	connected := map[string]func() bool{"store": a.store.Connected}
	if roles.Normalize || roles.Poll || a.config.Admin.open() {
		connected["bus"] = a.busConnected
		if !roles.Receive || a.config.Store.URL == a.config.Bus.URL {
			ready["bus"] = a.busReady // otherwise callbacks are accepted even without the bus
		}
		if err := a.startBus(ctx, roles.Normalize); err != nil {
			return err
		}
	}
	if roles.Poll {
		a.startPolling()
	}
	a.metrics.watch(a.store, connected)
	a.metrics.watchForeign(a.names().EventStream(), a.foreignEvents)
	if a.config.Integrity.Log {
		a.metrics.watchLedger(a.ledgerBehind)
	}
	a.metrics.build(a.version)
	return nil
}

// startWatching starts the checks of stored messages and of the disk.
func (a *App) startWatching(roles Roles) {
	if roles.Normalize {
		a.watchIntegrity()
	}
	if roles.Receive {
		a.metrics.watchPace(a.pace)
		a.untilStop(a.watchPace)
	}
	if a.embedded != nil {
		a.metrics.watchDisk(a.embedded.Disk)
		a.untilStop(a.watchDisk)
	}
}

// Failed receives an error if a part of a running app ends unexpectedly.
func (a *App) Failed() <-chan error { return a.failed }

// Stop drains and stops in the reverse order of the start. Every payload that was answered 200 is already durable,
// so an unclean stop loses none of them.
func (a *App) Stop() { a.close() }

// StopWithin is Stop with a limit: after patience, remaining operations are abandoned (for example those that wait
// for a store that does not answer), and the process must end. It returns whether everything was stopped.
func (a *App) StopWithin(patience time.Duration) bool {
	stopped := make(chan struct{})
	go func() { // ends with the process
		defer close(stopped)
		a.Stop()
	}()
	select {
	case <-stopped:
		return true
	case <-time.After(patience):
		return false
	}
}

// CallbackAddr is where providers post; "" without the receive role.
func (a *App) CallbackAddr() string { return a.addr.callbacks }

// AdminAddr is where health and metrics are served.
func (a *App) AdminAddr() string { return a.addr.admin }

// ClientURL is where consumers reach the embedded server; "" without one.
func (a *App) ClientURL() string {
	if a.embedded == nil {
		return ""
	}
	return a.embedded.ClientURL()
}

// ConfigVersion identifies the configuration in use.
func (a *App) ConfigVersion() string { return a.live.Load().config.Version() }

// Accounts are the accounts in use.
func (a *App) Accounts() kycbridge.Accounts { return a.live.Load().accounts }

// Ingest stores a body that was fetched from a provider, without authentication.
func (a *App) Ingest(ctx context.Context, account *kycbridge.Account, p kycbridge.Payload) (kycbridge.Receipt, error) {
	return a.intake.Ingest(ctx, account, p)
}

// Progress returns the number of unprocessed payloads and the number of events.
func (a *App) Progress(ctx context.Context) (backlog, events int, err error) {
	if backlog, err = a.store.Backlog(ctx); err != nil {
		return 0, 0, err
	}
	bus := a.bus.Load()
	if bus == nil {
		return backlog, 0, errors.New("the bus has not been reached yet")
	}
	events, err = bus.Events(ctx)
	return backlog, events, err
}
