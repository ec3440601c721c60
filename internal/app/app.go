package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/handlers"
	"kycbridge/publisher"
	"kycbridge/schemas"
)

// Mapping is the version of the mappings; it stands in every event and changes when a mapping does.
const Mapping = "1"

// connectPatience is how long a start waits for streams and consumers to be ready.
const connectPatience = 30 * time.Second

// Roles are what a process does. The zero value does nothing; AllRoles is the default.
type Roles struct{ Receive, Normalize bool }

// AllRoles is one process for everything.
func AllRoles() Roles { return Roles{Receive: true, Normalize: true} }

// App is a running bridge.
type App struct {
	config   *Config
	log      *zap.Logger
	accounts kycbridge.Accounts
	schemas  *schemas.Set
	metrics  *metrics
	embedded *publisher.Embedded
	store    *publisher.Store
	bus      *publisher.Bus
	intake   *kycbridge.Intake
	addr     struct{ callbacks, admin string }
	failed   chan error // a server or worker that ended by itself
	stops    []func()   // last in, first out
}

// Start brings everything up in the order of the path: store, bus, normalizer, receiver. On an
// error whatever had started is stopped again.
func Start(ctx context.Context, config *Config, roles Roles, log *zap.Logger) (_ *App, err error) {
	a := &App{config: config, log: log, metrics: newMetrics(), failed: make(chan error, 4)}
	defer func() {
		if err != nil {
			a.Stop()
		}
	}()
	if a.schemas, err = schemas.New(); err != nil {
		return nil, fmt.Errorf("compile schemas: %w", err)
	}
	if a.accounts, err = config.BuildAccounts(Providers(a.schemas)); err != nil {
		return nil, err
	}
	if err = a.openStreams(ctx); err != nil {
		return nil, err
	}
	a.intake = &kycbridge.Intake{Decode: Decode, Log: a.store, Quarantine: a.store, Refusals: a.store}
	a.metrics.watch(a.store.Backlog, map[string]func() bool{"store": a.store.Connected, "bus": a.bus.Connected})
	if roles.Normalize {
		a.startNormalizer()
	}
	ready := map[string]func(context.Context) error{"store": a.store.Ready, "bus": a.bus.Ready}
	if roles.Receive {
		if err = a.startReceiver(ready); err != nil {
			return nil, err
		}
	}
	if err = a.startAdmin(ready); err != nil {
		return nil, err
	}
	return a, nil
}

// Failed yields an error if a part of a running app ends by itself.
func (a *App) Failed() <-chan error { return a.failed }

// Stop drains and stops in the reverse order of the start. Whatever was answered 200 is durable
// before it, so nothing is lost however it ends.
func (a *App) Stop() {
	for _, stop := range slices.Backward(a.stops) {
		stop()
	}
	a.stops = nil
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

// Ingest takes a body that was fetched from a provider, past authentication.
func (a *App) Ingest(ctx context.Context, account *kycbridge.Account, p kycbridge.Payload) (kycbridge.Receipt, error) {
	return a.intake.Ingest(ctx, account, p)
}

// Progress tells how many stored payloads are still to be worked, and how many events there are.
func (a *App) Progress(ctx context.Context) (backlog, events int, err error) {
	if backlog, err = a.store.Backlog(ctx); err != nil {
		return 0, 0, err
	}
	events, err = a.bus.Events(ctx)
	return backlog, events, err
}

// Known tells the configuration what the table of providers knows.
func Known() Catalog {
	c := Catalog{APIKeys: map[string][]string{}, PolicyKeys: map[string][]string{}, ConfirmByDefault: map[string]bool{}}
	for _, p := range providers() {
		c.Names = append(c.Names, p.Name)
		c.APIKeys[p.Name], c.PolicyKeys[p.Name], c.ConfirmByDefault[p.Name] = p.apiKeys, p.policyKeys, p.ConfirmByDefault
	}
	return c
}

// Providers is the table of providers by name, with their schemas put in.
func Providers(set *schemas.Set) map[string]kycbridge.Provider {
	table := map[string]kycbridge.Provider{}
	for _, p := range providers() {
		p.Validate = func(schema string, doc any) []kycbridge.FieldError {
			return fieldErrors(set.Validate(p.Name, schema, doc))
		}
		table[p.Name] = p.Provider
	}
	return table
}

// openStreams starts the embedded server if either side wants it, and opens both sides.
func (a *App) openStreams(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	c := a.config
	names := publisher.Names{Subject: c.Names.SubjectPrefix, Stream: c.Names.StreamPrefix}
	maxBody := c.Receive.MaxBody
	if c.Store.IsEmbedded() || c.Bus.IsEmbedded() {
		server, err := publisher.StartEmbedded(publisher.EmbeddedOptions{
			Dir: c.DataDir, Listen: c.Embedded.Listen, Users: embeddedUsers(c.Embedded), Names: names, MaxBody: maxBody})
		if err != nil {
			return err
		}
		a.embedded = server
		a.stops = append(a.stops, server.Close)
	}
	connection, err := a.connect(ctx, "store", c.Store, maxBody)
	if err != nil {
		return err
	}
	if a.store, err = publisher.OpenStore(ctx, connection, names, maxBody, max(c.Store.Replicas, 1)); err != nil {
		connection.Close()
		return err
	}
	a.stops = append(a.stops, a.store.Close)
	if connection, err = a.connect(ctx, "bus", c.Bus, maxBody); err != nil {
		return err
	}
	if a.bus, err = publisher.OpenBus(ctx, connection, names, maxBody, max(c.Bus.Replicas, 1)); err != nil {
		connection.Close()
		return err
	}
	a.stops = append(a.stops, a.bus.Close)
	if a.embedded != nil {
		a.embedded.Staged(names)
	}
	return nil
}

func (a *App) connect(ctx context.Context, name string, c Server, maxBody int) (*publisher.Connection, error) {
	d := publisher.Dial{Name: name, URL: c.URL}
	if c.IsEmbedded() {
		d.URL, d.Options = "", a.embedded.Dial()
	} else {
		d.Options = natsOptions(c)
	}
	return publisher.Connect(ctx, d, publisher.LargestMessage(maxBody), a.log)
}

// startNormalizer turns stored payloads into events until Stop.
func (a *App) startNormalizer() {
	n := &kycbridge.Normalizer{
		Accounts:     a.accounts,
		Events:       a.bus,
		Log:          a.store,
		Quarantine:   a.store,
		Validate:     EventValidator(a.schemas),
		Mapping:      Mapping,
		TypePrefix:   a.config.Names.TypePrefix,
		SourcePrefix: a.config.Names.SourcePrefix,
		MaxAttempts:  a.config.Normalize.MaxAttempts,
		Now:          time.Now,
	}
	work := func(ctx context.Context, p kycbridge.Payload, attempt int) time.Duration {
		done, retryIn, err := n.Work(ctx, p, attempt)
		a.metrics.processed(p, done, err)
		a.logProcessed(p, done, attempt, retryIn, err)
		return retryIn
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.store.Consume(ctx, a.config.Normalize.Workers, work, a.log); err != nil {
			a.failed <- fmt.Errorf("normalizer: %w", err)
		}
	})
	a.stops = append(a.stops, func() { cancel(); running.Wait() })
}

// logProcessed says what became of a payload; what went as it should is said at debug level only,
// because the receipt was logged already.
func (a *App) logProcessed(p kycbridge.Payload, done kycbridge.Processed, attempt int, retryIn time.Duration, err error) {
	fields := []zap.Field{zap.String("provider", p.Provider), zap.String("account", p.Account),
		zap.String("payload_id", p.ID), zap.String("verification_id", p.VerificationID)}
	switch {
	case err != nil && retryIn > 0:
		a.log.Warn("payload not processed, trying again", append(fields, zap.Int("attempt", attempt), zap.Duration("in", retryIn), zap.Error(err))...)
	case err != nil:
		a.log.Error("payload quarantined, no event came of it", append(fields, zap.Int("attempt", attempt), zap.Error(err))...)
	case done.Event != nil:
		a.log.Debug("event published", append(fields, zap.String("kind", string(done.Kind)),
			zap.Int("revision", done.Event.Data.Revision), zap.String("status", string(done.Event.Data.Status)))...)
	default:
		a.log.Debug("no event", append(fields, zap.String("why", done.NoEvent))...)
	}
}

// startReceiver serves callbacks.
func (a *App) startReceiver(ready map[string]func(context.Context) error) error {
	r := a.config.Receive
	callbacks := handlers.NewCallbacks(handlers.CallbackOptions{
		Accounts:       a.accounts,
		Receiver:       a.intake,
		Logger:         a.log,
		MaxBody:        int64(r.MaxBody),
		Concurrency:    r.Concurrency,
		RatePerSecond:  r.RequestsPerSecond,
		Timeout:        r.Timeout,
		TrustedProxies: a.config.Proxies(),
		Observe:        a.metrics.received,
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

// startAdmin serves health and metrics.
func (a *App) startAdmin(ready map[string]func(context.Context) error) error {
	admin := handlers.NewAdmin(handlers.AdminOptions{Ready: ready, Metrics: a.metrics.handler(), Logger: a.log})
	addr, stop, err := a.serve("admin", a.config.Admin.Listen, admin)
	if err != nil {
		return err
	}
	a.addr.admin = addr
	a.stops = append(a.stops, stop)
	return nil
}

// serve runs an HTTP server until stop, which waits for the requests under way.
func (a *App) serve(name, listen string, h http.Handler) (addr string, stop func(), err error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", listen)
	if err != nil {
		return "", nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          zap.NewStdLog(zap.NewNop()), // a caller's broken connection is not our news
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("serve %s: %w", name, err)
		}
	})
	stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), a.config.Receive.Drain)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			server.Close()
		}
		running.Wait()
	}
	return listener.Addr().String(), stop, nil
}

// EventValidator checks a written event against the open event schema.
func EventValidator(set *schemas.Set) func(body []byte) []kycbridge.FieldError {
	return func(body []byte) []kycbridge.FieldError {
		doc, faults := schemas.Decode(body)
		if len(faults) == 0 {
			faults = set.ValidateEvent(doc)
		}
		return fieldErrors(faults)
	}
}

// Decode reads a body for Intake.
func Decode(body []byte) (any, []kycbridge.FieldError) {
	doc, faults := schemas.Decode(body)
	return doc, fieldErrors(faults)
}

func fieldErrors(faults []schemas.Fault) []kycbridge.FieldError {
	if len(faults) == 0 {
		return nil
	}
	errs := make([]kycbridge.FieldError, len(faults))
	for i, f := range faults {
		errs[i] = kycbridge.FieldError(f)
	}
	return errs
}
