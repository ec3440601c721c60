package app

import (
	"context"
	"fmt"
	"time"
)

// diskTimeout is how long an embedded store may refuse all writes before the app ends.
const diskTimeout = 20 * time.Second

// maintainStore checks and repairs the streams and consumers of the store until Stop.
func (a *App) maintainStore() {
	a.untilStop(func(ctx context.Context) { a.store.Maintain(ctx, a.log, a.reinspect) }, a.sweepKeys, a.retain)
}

// watchDisk ends the app when the embedded server has stored nothing for a while: after a failed write,
// for example on a full disk, it refuses all others until it is restarted. It returns when ctx ends.
func (a *App) watchDisk(ctx context.Context) {
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
}
