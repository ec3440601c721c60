package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/internal/keys"
	"kycbridge/internal/signing"
	"kycbridge/publisher"
	"kycbridge/schemas"
)

// connectTimeout is how long a start waits for NATS.
const connectTimeout = 30 * time.Second

// system is the configuration of a process and everything that the process has opened. An App runs on a system; a
// command that needs no running App opens its own.
type system struct {
	config    *Config
	log       *zap.Logger
	schemas   *schemas.Set                  // with accounts: from load
	providers map[string]kycbridge.Provider // from load
	live      atomic.Pointer[live]          // what a reload replaces: from load
	signing   *signing.Keys                 // of events; nil: they are not signed
	embedded  *publisher.Embedded           // nil: store and bus are other servers
	store     *publisher.Store              // from openStore
	bus       atomic.Pointer[publisher.Bus] // nil until it is connected
	observe   func(reader, outcome string)  // receives the requests of readers of events; may be nil
	failed    chan error                    // a server or worker that ended unexpectedly
	master    *keys.Master                  // of stored bodies; nil: they are not encrypted
	// anyMaster: the store may be opened without the master keys that its bodies need.
	anyMaster bool
	stops     closers // of what was opened and started
}

// closers close what was opened or started, in the order of the starts.
type closers []func()

// close closes all, the last first.
func (c closers) close() {
	for _, end := range slices.Backward(c) {
		end()
	}
}

// newSystem creates a system that has opened nothing yet.
func newSystem(config *Config, log *zap.Logger) *system {
	return &system{config: config, log: log, failed: make(chan error, 4)}
}

// load compiles the schemas, reads the keys of events and builds the accounts.
func (s *system) load() (err error) {
	if s.schemas, err = schemas.New(); err != nil {
		return fmt.Errorf("compile schemas: %w", err)
	}
	if err := s.loadSigning(); err != nil {
		return err
	}
	s.providers = Providers(s.schemas)
	accounts, err := s.config.BuildAccounts(s.providers)
	if err != nil {
		return err
	}
	first, err := newLive(s.config, accounts)
	if err == nil {
		s.live.Store(first)
	}
	return err
}

// loadSigning reads the keys that sign events and the log.
func (s *system) loadSigning() (err error) {
	if key := s.config.Integrity.SigningKey.Reveal(); key != "" {
		if s.signing, err = signing.Parse(key); err != nil {
			return fmt.Errorf("integrity.signing_key: %w", err)
		}
	}
	return nil
}

// onStop adds a function that close calls, before those that were added earlier.
func (s *system) onStop(stop func()) { s.stops = append(s.stops, stop) }

// untilStop starts functions in the background; close ends their context and waits for them.
func (s *system) untilStop(works ...func(context.Context)) {
	life, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, work := range works {
		running.Go(func() { work(life) })
	}
	s.onStop(func() { end(); running.Wait() })
}

// close stops and closes everything in the reverse order of the start.
func (s *system) close() {
	s.stops.close()
	s.stops = nil
}

// fail reports that a part has ended unexpectedly; the first report is sufficient.
func (s *system) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// ended reports the error with which a part has ended, unless ctx has ended.
func (s *system) ended(ctx context.Context, part string, err error) {
	if err != nil && ctx.Err() == nil {
		s.fail(fmt.Errorf("%s: %w", part, err))
	}
}

// names are the configured names in NATS.
func (s *system) names() publisher.Names {
	return publisher.Names{Subject: s.config.Names.SubjectPrefix, Stream: s.config.Names.StreamPrefix}
}

// openStore starts the embedded server if store or bus needs it, and opens the store.
func (s *system) openStore(ctx context.Context) error {
	if err := s.startEmbedded(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout) // opening a large store may have taken longer
	defer cancel()
	c := s.config
	connection, err := s.connect(ctx, "store", c.Store)
	if err != nil {
		return err
	}
	if s.store, err = publisher.OpenStore(ctx, connection, s.names(), c.Receive.MaxBody,
		max(c.Store.Replicas, 1), c.retention()); err != nil {
		connection.Close()
		if connection.Forbidden() {
			return fmt.Errorf("%w: %w", publisher.ErrForbidden, err)
		}
		return s.explained(err)
	}
	s.onStop(s.store.Close)
	if c.Integrity.Log {
		s.store.WithSalts()
	}
	if err := s.sealStore(ctx); err != nil {
		return err
	}
	if s.embedded == nil || !c.Store.IsEmbedded() {
		return nil
	}
	if err := s.store.RecordDamaged(ctx, s.embedded.DamagedRecords(s.names())); err != nil {
		return s.explained(err)
	}
	if err := s.embedded.ForgetDamagedRecords(); err != nil {
		return s.explained(err)
	}
	return s.explained(s.store.RecordLost(ctx, s.embedded.Lost(s.names())))
}

// startEmbedded starts the embedded server if store or bus needs it.
func (s *system) startEmbedded() error {
	c := s.config
	if !c.Store.IsEmbedded() && !c.Bus.IsEmbedded() {
		return nil
	}
	server, err := publisher.StartEmbedded(publisher.EmbeddedOptions{
		Dir:     c.DataDir,
		Listen:  c.Embedded.Address(),
		Users:   embeddedUsers(c.Embedded),
		Names:   s.names(),
		MaxBody: c.Receive.MaxBody,
		Scrub:   c.Integrity.Scrub,
		Log:     s.log,
		Observe: s.observe,
		Closed:  s.fail,
	})
	if err != nil {
		return err
	}
	s.embedded = server
	s.onStop(server.Close)
	return nil
}

// openBus opens the bus; it waits while no server answers, until ctx ends.
func (s *system) openBus(ctx context.Context) (*publisher.Bus, error) {
	c := s.config
	connection, err := s.connect(ctx, "bus", c.Bus)
	if err != nil {
		return nil, err
	}
	bus, err := publisher.OpenBus(ctx, connection, s.names(), c.Receive.MaxBody, max(c.Bus.Replicas, 1))
	if err != nil {
		connection.Close()
		return nil, err
	}
	if c.Integrity.Log {
		bus.WithSalts()
	}
	if s.signing != nil {
		bus.SignWith(s.signing.Sign)
	}
	bus.SealWith(liveSealer{s})
	return bus, nil
}

// connect connects to a configured server.
func (s *system) connect(
	ctx context.Context, name string, c Server, more ...nats.Option,
) (*publisher.Connection, error) {
	return s.dial(ctx, publisher.Dial{Name: name, URL: c.URL, Closed: s.fail}, c, more...)
}

// dial connects with the options of a server.
func (s *system) dial(
	ctx context.Context, d publisher.Dial, c Server, more ...nats.Option,
) (*publisher.Connection, error) {
	if c.IsEmbedded() {
		d.URL, d.Options, d.Server = "", s.embedded.Dial(), s.embedded
	} else {
		d.Options = append(natsOptions(c), more...)
	}
	return publisher.Connect(ctx, d, publisher.LargestMessage(s.config.Receive.MaxBody), s.log)
}

// explained adds the state of an embedded store's disk to an error that it may have caused.
func (s *system) explained(err error) error {
	if s.embedded == nil {
		return err
	}
	return s.embedded.Explain(err)
}

// busReady returns an error while the bus cannot be used.
func (s *system) busReady(ctx context.Context) error {
	if bus := s.bus.Load(); bus != nil {
		return bus.Ready(ctx)
	}
	return errors.New("not reached yet")
}

// busConnected reports whether the connection to the bus is up.
func (s *system) busConnected() bool {
	bus := s.bus.Load()
	return bus != nil && bus.Connected()
}

// foreignEvents is the number of foreign messages in the event stream.
func (s *system) foreignEvents(stream string) int {
	if bus := s.bus.Load(); bus != nil {
		return bus.Foreign(stream)
	}
	return 0
}
