package app

import (
	"context"
	"slices"

	"github.com/nats-io/nats.go"

	"kycbridge/publisher"
)

// serveReaders answers the readers of external servers until ends are closed. The caller must close ends after an
// error too. The embedded server serves its own readers. Requests to watch go to the store, all others to the bus.
func (s *system) serveReaders(ctx context.Context) (ends closers, err error) {
	one := s.config.Store.URL == s.config.Bus.URL
	if !s.config.Bus.IsEmbedded() {
		ends, err = s.serveReadersOf(ctx, s.config.Bus, publisher.ReadersOptions{Events: true, Watches: one})
	}
	if err == nil && !one && !s.config.Store.IsEmbedded() {
		var more closers
		more, err = s.serveReadersOf(ctx, s.config.Store, publisher.ReadersOptions{Watches: true})
		ends = append(ends, more...)
	}
	return ends, err
}

// serveReadersOf answers the readers of one external server until ends are closed. The caller must close ends after
// an error too.
func (s *system) serveReadersOf(
	ctx context.Context, server Server, o publisher.ReadersOptions,
) (ends closers, err error) {
	nodes, err := s.nodes(ctx, server)
	if err != nil {
		return nil, err
	}
	ends = append(ends, nodes.Close)
	o.Names, o.Observe, o.Log, o.Nodes = s.names(), s.observe, s.log, nodes
	for _, o.Owner = range slices.Concat(server.Readers, []string{""}) {
		if o.Owner == "" {
			o.Others = server.Readers
		}
		connection, err := s.connect(ctx, "readers", server, publisher.LimitReadRate())
		if err != nil {
			return ends, err
		}
		readers, err := publisher.NewReaders(connection, o)
		if err != nil {
			return ends, err
		}
		ends = append(ends, readers.Close)
	}
	return ends, nil
}

// nodes are the nodes of an external cluster.
func (s *system) nodes(ctx context.Context, server Server) (*publisher.Nodes, error) {
	home, err := s.connect(ctx, publisher.NodesConnection, server)
	if err != nil {
		return nil, err
	}
	return publisher.NewNodes(home,
		func(ctx context.Context, address string, more ...nats.Option) (*publisher.Connection, error) {
			return s.dial(ctx, publisher.Dial{Name: publisher.NodesConnection, URL: address, Once: true}, server, more...)
		}, s.log), nil
}
