package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kycbridge/publisher"
)

// externalBusTimeout is how long a start waits for an external bus, without which payloads can still be
// accepted.
const externalBusTimeout = 3 * time.Second

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
