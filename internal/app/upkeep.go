package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"kycbridge/publisher"
)

// nearlyFull is the share of free space below which the log warns, and the alert KycbridgeDiskNearlyFull.
const nearlyFull = 0.1

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
		a.warnOfFullDisk()
		stopped, why := a.embedded.Stopped()
		if errors.Is(why, publisher.ErrDisplaced) || errors.Is(why, publisher.ErrDamaged) {
			a.fail(why) // at once: the server writes into files that are not its own, or that no start finds
			return
		}
		failing := a.store.FailingFor()
		if bus := a.bus.Load(); bus != nil && a.config.Bus.IsEmbedded() {
			failing = max(failing, bus.FailingFor())
		}
		if stopped >= diskTimeout {
			a.fail(a.embedded.Explain(why))
			return
		}
		if failing >= diskTimeout {
			a.fail(fmt.Errorf("the embedded store in %s has stored nothing for %s: is the disk full? It has to be restarted",
				a.config.DataDir, diskTimeout))
			return
		}
	}
}

// warnOfFullDisk logs, once an hour, that little is left of the disk of the embedded store.
func (a *App) warnOfFullDisk() {
	d, err := a.embedded.Disk()
	if err != nil || float64(d.Free) >= nearlyFull*float64(d.Size) {
		return
	}
	a.diskLogs.Do(func() {
		a.log.Warn("the disk of the embedded store is nearly full: when it is, callbacks are answered 503",
			zap.String("data_dir", a.config.DataDir), zap.Uint64("free_bytes", d.Free), zap.Uint64("bytes", d.Size))
	})
}
