package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/handlers"
	"kycbridge/internal/console"
	"kycbridge/internal/poll"
	"kycbridge/publisher"
	"kycbridge/schemas"
)

// Mapping is the version of the mappings; it is in every event and changes with a mapping.
const Mapping = "2"

const (
	// connectTimeout is how long a start waits for NATS.
	connectTimeout = 30 * time.Second
	// externalBusTimeout is how long it waits for an external bus, without which payloads can still be
	// accepted.
	externalBusTimeout = 3 * time.Second
	// diskTimeout is how long an embedded store may refuse all writes.
	diskTimeout = 20 * time.Second
)

// Roles are the tasks of a process. The zero value has none; AllRoles is the default.
type Roles struct{ Receive, Normalize, Poll bool }

// AllRoles is one process with all tasks.
func AllRoles() Roles { return Roles{Receive: true, Normalize: true, Poll: true} }

// App is a running bridge.
type App struct {
	config           *Config
	log              *zap.Logger
	accounts         kycbridge.Accounts
	schemas          *schemas.Set
	metrics          *metrics
	day              *console.Day // the console's statistics of the last day
	embedded         *publisher.Embedded
	store            *publisher.Store
	bus              atomic.Pointer[publisher.Bus] // nil until it is connected
	intake           *kycbridge.Intake
	documents        *kycbridge.Documents // from the intake to the normalizer; nil: this process does not normalize
	policies         map[kycbridge.AccountKey]poll.Policy
	poller           *poll.Poller
	version          string                // of the program
	spans            sdktrace.SpanExporter // for tests
	tracing          *tracing              // nil: no traces
	addr             struct{ callbacks, admin string }
	invalidWatchLogs rate.Sometimes // log lines about invalid requests to watch
	inspectNow       chan struct{}  // holds one request at most to inspect the stored messages
	failed           chan error     // a server or worker that ended unexpectedly
	stops            []func()       // last in, first out
}

// Start starts everything in the order of processing: store, normalizer with its bus, receiver. On an
// error the started parts are stopped again.
func Start(ctx context.Context, config *Config, roles Roles, log *zap.Logger, options ...Option) (_ *App, err error) {
	a := &App{config: config, log: log, metrics: newMetrics(), day: console.NewDay(time.Now), failed: make(chan error, 4),
		inspectNow:       make(chan struct{}, 1),
		invalidWatchLogs: rate.Sometimes{First: 10, Interval: time.Minute}}
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
	return a, nil
}

// prepare initializes everything without other processes: traces, schemas and accounts.
func (a *App) prepare(ctx context.Context) (err error) {
	if a.tracing, err = a.startTracing(ctx); err != nil {
		return err
	}
	if a.schemas, err = schemas.New(); err != nil {
		return fmt.Errorf("compile schemas: %w", err)
	}
	a.accounts, err = a.config.BuildAccounts(Providers(a.schemas))
	return err
}

// startStore opens the store, requests the results of lost payloads from providers again, and creates the
// intake.
func (a *App) startStore(ctx context.Context) error {
	if err := a.openStore(ctx); err != nil {
		return err
	}
	a.checkStoreEnd(ctx)
	a.maintainStore()
	a.connectAPIs()
	if a.embedded != nil && a.config.Store.IsEmbedded() {
		if err := a.fetchLost(ctx); err != nil {
			return err
		}
	}
	a.intake = &kycbridge.Intake{MaxBody: int(a.config.Receive.MaxBody), Log: a.store,
		Quarantine: countedQuarantine{a.store, a.metrics}, Refusals: a.store, Documents: a.documents}
	a.poller = a.newPoller()
	return nil
}

// startWork starts the normalizer and the poller, as the roles say, and adds their requirements to ready.
func (a *App) startWork(ctx context.Context, roles Roles, ready map[string]func(context.Context) error) error {
	connected := map[string]func() bool{"store": a.store.Connected}
	if roles.Normalize || roles.Poll || len(a.config.Admin.Tokens) > 0 {
		connected["bus"] = a.busConnected
		if !roles.Receive || a.config.Store.URL == a.config.Bus.URL {
			ready["bus"] = a.busReady // otherwise callbacks can be accepted without it, and should be
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
	a.metrics.build(a.version)
	return nil
}

// startWatching starts the checks of stored messages and of the disk.
func (a *App) startWatching(roles Roles) {
	if roles.Normalize {
		a.watchIntegrity()
	}
	if a.embedded != nil {
		a.metrics.watchDisk(a.embedded.Disk)
		a.watchDisk()
	}
}

// Failed receives an error if a part of a running app ends unexpectedly.
func (a *App) Failed() <-chan error { return a.failed }

// fail reports that a part has ended unexpectedly; the first report is sufficient.
func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default:
	}
}

// Stop drains and stops in the reverse order of the start. Every payload that was answered 200 is already
// durable, so an unclean end loses nothing.
func (a *App) Stop() {
	for _, stop := range slices.Backward(a.stops) {
		stop()
	}
	a.stops = nil
}

// StopWithin is Stop for a process that ends after a part has failed: operations that wait for that part,
// such as a request to the store, are abandoned after the timeout.
func (a *App) StopWithin(patience time.Duration) {
	stopped := make(chan struct{})
	go func() { // ends with the process
		defer close(stopped)
		a.Stop()
	}()
	select {
	case <-stopped:
	case <-time.After(patience):
	}
}

// CallbackAddr is where providers post; "" without the receive role.
func (a *App) CallbackAddr() string { return a.addr.callbacks }

// AdminAddr is where health and metrics are served.
func (a *App) AdminAddr() string { return a.addr.admin }

// ClientURL is where consumers reach the embedded server; "" if there is none.
func (a *App) ClientURL() string {
	if a.embedded == nil {
		return ""
	}
	return a.embedded.ClientURL()
}

// Accounts are the configured accounts.
func (a *App) Accounts() kycbridge.Accounts { return a.accounts }

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

// Providers is the table of providers by name, with their schemas.
func Providers(set *schemas.Set) map[string]kycbridge.Provider {
	table := map[string]kycbridge.Provider{}
	for _, p := range providers() {
		p.Read = document.NewReader(set.MemberNames(p.Name), p.Forms).Decode
		p.Validate = func(schema string, doc document.Object) []kycbridge.FieldError {
			return set.Validate(p.Name, schema, doc)
		}
		p.NewValues = newValuesOf(set, p.Provider)
		p.Words = wordsOf(set, p.Provider)
		table[p.Name] = p.Provider
	}
	return table
}

// openStore starts the embedded server if store or bus needs it, and opens the store.
func (a *App) openStore(ctx context.Context) error {
	c := a.config
	if c.Store.IsEmbedded() || c.Bus.IsEmbedded() {
		server, err := publisher.StartEmbedded(publisher.EmbeddedOptions{
			Dir: c.DataDir, Listen: c.Embedded.Address(), Users: embeddedUsers(c.Embedded), Names: a.names(),
			MaxBody: c.Receive.MaxBody,
			Scrub:   c.Integrity.Scrub, Log: a.log, Observe: a.metrics.readerRequest, Closed: a.fail})
		if err != nil {
			return err
		}
		a.embedded = server
		a.stops = append(a.stops, server.Close)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout) // opening a large store may have taken longer
	defer cancel()
	connection, err := a.connect(ctx, "store", c.Store)
	if err != nil {
		return err
	}
	if a.store, err = publisher.OpenStore(ctx, connection, a.names(), c.Receive.MaxBody,
		max(c.Store.Replicas, 1)); err != nil {
		connection.Close()
		if connection.Forbidden() {
			return fmt.Errorf("%w: %w", publisher.ErrForbidden, err)
		}
		return a.explained(err)
	}
	a.stops = append(a.stops, a.store.Close)
	if a.embedded == nil || !c.Store.IsEmbedded() {
		return nil
	}
	return a.explained(a.store.RecordLost(ctx, a.embedded.Lost(a.names())))
}

// explained adds the state of an embedded store's disk to an error that it may have caused.
func (a *App) explained(err error) error {
	if a.embedded == nil {
		return err
	}
	return a.embedded.Explain(err)
}

// maintainStore checks and repairs the streams and consumers of the store until Stop.
func (a *App) maintainStore() {
	life, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.store.Maintain(life, a.log, a.reinspect) })
	a.stops = append(a.stops, func() { end(); running.Wait() })
}

// openBus opens the bus; it waits while no server answers, until ctx ends.
func (a *App) openBus(ctx context.Context) (*publisher.Bus, error) {
	connection, err := a.connect(ctx, "bus", a.config.Bus)
	if err != nil {
		return nil, err
	}
	bus, err := publisher.OpenBus(ctx, connection, a.names(), a.config.Receive.MaxBody, max(a.config.Bus.Replicas, 1))
	if err != nil {
		connection.Close()
		return nil, err
	}
	return bus, nil
}

// foreignEvents is the number of foreign messages in the event stream.
func (a *App) foreignEvents(stream string) int {
	if bus := a.bus.Load(); bus != nil {
		return bus.Foreign(stream)
	}
	return 0
}

func (a *App) names() publisher.Names {
	return publisher.Names{Subject: a.config.Names.SubjectPrefix, Stream: a.config.Names.StreamPrefix}
}

func (a *App) busReady(ctx context.Context) error {
	if bus := a.bus.Load(); bus != nil {
		return bus.Ready(ctx)
	}
	return errors.New("not reached yet")
}

func (a *App) busConnected() bool {
	bus := a.bus.Load()
	return bus != nil && bus.Connected()
}

func (a *App) connect(ctx context.Context, name string, c Server, more ...nats.Option) (*publisher.Connection, error) {
	return a.dial(ctx, publisher.Dial{Name: name, URL: c.URL, Closed: a.fail}, c, more...)
}

// dial connects by the options of a server.
func (a *App) dial(
	ctx context.Context, d publisher.Dial, c Server, more ...nats.Option,
) (*publisher.Connection, error) {
	if c.IsEmbedded() {
		d.URL, d.Options, d.Server = "", a.embedded.Dial(), a.embedded
	} else {
		d.Options = append(natsOptions(c), more...)
	}
	return publisher.Connect(ctx, d, publisher.LargestMessage(a.config.Receive.MaxBody), a.log)
}

// startBus opens the bus and, if normalize is set, turns stored payloads into events until Stop. An
// unreachable bus does not delay the start if the store is another system: payloads are accepted and wait.
func (a *App) startBus(ctx context.Context, normalize bool) error {
	life, end := context.WithCancel(context.Background())
	opened := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() {
		bus, err := a.openBus(life)
		if err == nil {
			bus.RecordErasures(a.store)
			a.bus.Store(bus)
			defer bus.Close()
			a.checkEventsEnd(life, bus)
			running.Go(func() { bus.Maintain(life, a.log, a.reinspect) })
			if normalize {
				running.Go(func() { publisher.NewIndexer(a.store, bus).Run(life, a.log) })
			}
			var stop func()
			stop, err = a.serveReaders(life)
			defer stop()
		}
		opened <- err
		switch {
		case err == nil && normalize:
			err = a.normalize(life, bus)
		case err == nil:
			<-life.Done()
		}
		if err != nil && life.Err() == nil {
			a.fail(fmt.Errorf("normalizer: %w", err))
		}
	})
	a.stops = append(a.stops, func() { end(); running.Wait() })
	patience := connectTimeout
	if a.config.Store.URL != a.config.Bus.URL {
		patience = externalBusTimeout
	}
	select {
	case err := <-opened:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
	}
	if a.config.Store.URL == a.config.Bus.URL {
		return fmt.Errorf("the bus at %s does not answer", publisher.Redacted(a.config.Bus.URL))
	}
	a.log.Warn("the bus is unavailable: payloads are accepted, their events wait for it")
	return nil
}

// serveReaders answers the readers of external servers until stop; those of the embedded server are served
// by it. Requests to watch go to the store, all others to the bus.
func (a *App) serveReaders(ctx context.Context) (stop func(), err error) {
	var ends []func()
	stop = func() {
		for _, end := range slices.Backward(ends) {
			end()
		}
	}
	serve := func(server Server, o publisher.ReadersOptions) error {
		o.Names, o.Observe, o.Log = a.names(), a.metrics.readerRequest, a.log
		nodes, err := a.nodes(ctx, server)
		if err != nil {
			return err
		}
		ends = append(ends, nodes.Close)
		o.Nodes = nodes
		for _, o.Owner = range slices.Concat(server.Readers, []string{""}) {
			if o.Owner == "" {
				o.Others = server.Readers
			}
			connection, err := a.connect(ctx, "readers", server, publisher.LimitReadRate())
			if err != nil {
				return err
			}
			readers, err := publisher.NewReaders(connection, o)
			if err != nil {
				return err
			}
			ends = append(ends, readers.Close)
		}
		return nil
	}
	one := a.config.Store.URL == a.config.Bus.URL
	if !a.config.Bus.IsEmbedded() {
		err = serve(a.config.Bus, publisher.ReadersOptions{Events: true, Watches: one})
	}
	if err == nil && !one && !a.config.Store.IsEmbedded() {
		err = serve(a.config.Store, publisher.ReadersOptions{Watches: true})
	}
	return stop, err
}

// nodes are the nodes of an external cluster.
func (a *App) nodes(ctx context.Context, server Server) (*publisher.Nodes, error) {
	home, err := a.connect(ctx, publisher.NodesConnection, server)
	if err != nil {
		return nil, err
	}
	return publisher.NewNodes(home,
		func(ctx context.Context, address string, more ...nats.Option) (*publisher.Connection, error) {
			return a.dial(ctx, publisher.Dial{Name: publisher.NodesConnection, URL: address, Once: true}, server, more...)
		}, a.log), nil
}

// normalize processes the payload log until ctx ends.
func (a *App) normalize(ctx context.Context, bus *publisher.Bus) error {
	n := newNormalizer(a.accounts, a.store, bus, a.config)
	n.Quarantine = countedQuarantine{a.store, a.metrics}
	n.Documents = a.documents
	newValues := newNewValueCounter(a.log, a.metrics)
	return a.store.Consume(ctx, publisher.ConsumeOptions{
		Workers:   a.config.Normalize.Workers,
		Exclusive: a.config.Store.IsEmbedded(), // ensured by the lock on its directory
		Log:       a.log,
		Hold:      func() bool { return !bus.Connected() || !a.store.Connected() },
		Work: func(ctx context.Context, p kycbridge.Payload, attempt int) (kycbridge.Disposition, time.Duration) {
			var done kycbridge.Processed
			var retryIn time.Duration
			a.tracing.traceProcess(ctx, p, func(ctx context.Context, p kycbridge.Payload) (_ kycbridge.Processed, err error) {
				done, retryIn, err = n.Work(ctx, p, attempt)
				if err == nil || ctx.Err() == nil { // an interruption by a shutdown is no failure
					a.processed(p, done, err)
					a.logProcessed(p, done, attempt, retryIn, err)
					newValues.add(p, done.New)
				}
				return done, err
			})
			return done.Disposition(), retryIn
		},
	})
}

// watchDisk ends the app when the embedded server has stored nothing for a while: after a failed write,
// for example on a full disk, it refuses all others until it is restarted.
func (a *App) watchDisk() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(diskTimeout / 6)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			a.store.Probe(ctx)
			a.embedded.RemoveStaleBatches(a.names())
			failing := a.store.FailingFor()
			if bus := a.bus.Load(); bus != nil && a.config.Bus.IsEmbedded() {
				failing = max(failing, bus.FailingFor())
			}
			if failing >= diskTimeout {
				a.fail(fmt.Errorf("the embedded store in %s has stored nothing for %s: is the disk full? It has to be restarted",
					a.config.DataDir, diskTimeout))
				return
			}
		}
	})
	a.stops = append(a.stops, func() { cancel(); running.Wait() })
}

// logProcessed logs the result of a payload; a success only at debug level, because the receipt was logged
// already.
func (a *App) logProcessed(
	p kycbridge.Payload, done kycbridge.Processed, attempt int, retryIn time.Duration, err error,
) {
	fields := []zap.Field{zap.String("provider", p.Provider), zap.String("account", p.Account),
		zap.String("payload_id", p.ID), zap.String("verification_id", p.VerificationID)}
	switch {
	case errors.Is(err, publisher.ErrEndLost):
		a.log.Debug("payload waits until lost events are regenerated", fields...) // the loss itself has one line
	case err != nil && retryIn > 0:
		a.log.Warn("payload not processed, trying again",
			append(fields, zap.Int("attempt", attempt), zap.Duration("in", retryIn), zap.Error(err))...)
	case err != nil:
		a.log.Error("payload quarantined, no event came of it",
			append(fields, zap.Int("attempt", attempt), zap.Error(err))...)
	case done.Event != nil:
		a.log.Debug("event published", append(fields, zap.String("kind", string(done.Kind)),
			zap.Int("revision", done.Event.Data.Revision), zap.String("status", string(done.Event.Data.Status)))...)
	default:
		a.log.Debug("no event", append(fields, zap.String("why", done.NoEvent))...)
	}
}

// receiver is the intake, with traces if they are enabled.
func (a *App) receiver() interface {
	handlers.Receiver
	poll.Ingester
} {
	if a.tracing == nil {
		return a.intake
	}
	return receiver{a.intake, a.tracing}
}

// startReceiver serves callbacks.
func (a *App) startReceiver(ready map[string]func(context.Context) error) error {
	r := a.config.Receive
	callbacks := handlers.NewCallbacks(handlers.CallbackOptions{
		Accounts:       a.accounts,
		Receiver:       a.receiver(),
		Logger:         a.log,
		MaxBody:        int64(r.MaxBody),
		Concurrency:    r.Concurrency,
		RatePerSecond:  r.RequestsPerSecond,
		Timeout:        r.Timeout,
		TrustedProxies: a.config.Proxies(),
		Observe:        a.received,
		KeepUnknown:    a.intake.KeepUnknownAccount,
	})
	ready["receiver"] = callbacks.Ready
	addr, stop, err := a.serve("callbacks", a.config.Listen, callbacks)
	if err != nil {
		return err
	}
	a.addr.callbacks = addr
	a.stops = append(a.stops, func() {
		callbacks.Drain()
		stop()
	})
	return nil
}

// startAdmin serves health, metrics, the API and the console.
func (a *App) startAdmin(ready map[string]func(context.Context) error) error {
	consoleHandler := a.newConsole()
	admin := handlers.NewAdmin(handlers.AdminOptions{Ready: ready, Metrics: a.metrics.handler(), Console: consoleHandler,
		Logger: a.log})
	handlers.AddAPI(admin, a.apiOptions())
	handlers.AddPayloads(admin, a.apiOptions(), a.PayloadTool())
	addr, stop, err := a.serve("admin", a.config.Admin.Listen, admin)
	if err != nil {
		consoleHandler.Close()
		return err
	}
	a.addr.admin = addr
	a.stops = append(a.stops, func() {
		consoleHandler.Close() // its live views would not end by themselves
		stop()
	})
	return nil
}

// serve runs an HTTP server until stop, which waits for running requests.
func (a *App) serve(name, listen string, h http.Handler) (addr string, stop func(), err error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", listen)
	if err != nil {
		return "", nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	var working sync.WaitGroup
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			working.Add(1)
			defer working.Done()
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		// OPTIONS * is an ordinary request: counted, and no 200.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     zap.NewStdLog(zap.NewNop()), // a caller's broken connection is not logged
	}
	var running sync.WaitGroup
	running.Go(func() {
		err := server.Serve(newEarlyRefusalListener(listener, a.countEarlyRefusal))
		if !errors.Is(err, http.ErrServerClosed) {
			a.fail(fmt.Errorf("serve %s: %w", name, err))
		}
	})
	stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), a.config.Receive.Drain)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			server.Close()
		}
		running.Wait()
		// A start at a slow provider could not be stored after the store is closed.
		working.Wait()
	}
	return listener.Addr().String(), stop, nil
}
