package app

import (
	"context"
	"slices"

	"github.com/nats-io/nats.go"

	"kycbridge/publisher"
)

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
