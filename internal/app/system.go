package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge/publisher"
)

// connectTimeout is how long a start waits for NATS.
const connectTimeout = 30 * time.Second

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
	a.stageBatches()
	if a.embedded == nil || !c.Store.IsEmbedded() {
		return nil
	}
	return a.explained(a.store.RecordLost(ctx, a.embedded.Lost(a.names())))
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
	a.stageBatches()
	return bus, nil
}

func (a *App) connect(ctx context.Context, name string, c Server, more ...nats.Option) (*publisher.Connection, error) {
	return a.dial(ctx, publisher.Dial{Name: name, URL: c.URL, Closed: a.fail}, c, more...)
}

// dial connects by the options of a server.
func (a *App) dial(
	ctx context.Context, d publisher.Dial, c Server, more ...nats.Option,
) (*publisher.Connection, error) {
	if c.IsEmbedded() {
		d.URL, d.Options = "", a.embedded.Dial()
	} else {
		d.Options = append(natsOptions(c), more...)
	}
	return publisher.Connect(ctx, d, publisher.LargestMessage(a.config.Receive.MaxBody), a.log)
}

// stageBatches speeds up group commit on the existing embedded streams.
func (a *App) stageBatches() {
	if a.embedded != nil {
		a.embedded.StageInMemory(a.names())
	}
}

// explained adds the state of an embedded store's disk to an error that it may have caused.
func (a *App) explained(err error) error {
	if a.embedded == nil {
		return err
	}
	return a.embedded.Explain(err)
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

// foreignEvents is the number of foreign messages in the event stream.
func (a *App) foreignEvents(stream string) int {
	if bus := a.bus.Load(); bus != nil {
		return bus.Foreign(stream)
	}
	return 0
}
