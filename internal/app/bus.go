package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kycbridge/publisher"
)

// externalBusTimeout is how long a start waits for an external bus. Payloads can be accepted without it.
const externalBusTimeout = 3 * time.Second

// startBus opens the bus and, if normalize is set, turns stored payloads into events until Stop. If the store is on
// another server, an unreachable bus delays the start by externalBusTimeout only: payloads are accepted and wait.
func (a *App) startBus(ctx context.Context, normalize bool) error {
	opened := make(chan error, 1)
	a.untilStop(func(life context.Context) { a.runBus(life, normalize, opened) })
	one := a.config.Store.URL == a.config.Bus.URL
	patience := connectTimeout
	if !one {
		patience = externalBusTimeout
	}
	select {
	case err := <-opened:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
	}
	if one {
		return fmt.Errorf("the bus at %s does not answer", publisher.Redacted(a.config.Bus.URL))
	}
	a.log.Warn("the bus is unavailable: payloads are accepted, their events wait for it")
	return nil
}

// runBus opens the bus, sends the result to opened, and works with the bus until ctx ends.
func (a *App) runBus(ctx context.Context, normalize bool, opened chan<- error) {
	bus, err := a.openBus(ctx)
	if err != nil {
		opened <- err
		a.ended(ctx, "normalizer", err)
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer bus.Close()
	var keeping sync.WaitGroup // of the tamper-evident log, which is signed once more before the bus is closed
	defer keeping.Wait()
	bus.RecordErasures(a.store)
	a.bus.Store(bus)
	a.checkEventsEnd(ctx, bus)
	running.Go(func() { bus.Maintain(ctx, a.log, a.reinspect) })
	if normalize {
		running.Go(func() { publisher.NewIndexer(a.store, bus).Run(ctx, a.log) })
		if a.config.Integrity.Log {
			keeping.Go(func() { a.keepLedger(ctx, bus) })
		}
	}
	readers, err := a.serveReaders(ctx)
	defer readers.close()
	opened <- err
	switch {
	case err == nil && normalize:
		err = a.normalize(ctx, bus)
	case err == nil:
		<-ctx.Done()
	}
	a.ended(ctx, "normalizer", err)
}
