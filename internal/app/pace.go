package app

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"kycbridge"
)

const (
	// paceEvery is how often the backlog is measured.
	paceEvery = 250 * time.Millisecond
	// paceOver is the window over which the rate of processing is measured, in intervals of paceEvery.
	paceOver = 20
	// paceRecent is the newest part of the window: if processing becomes slower, the limit of callbacks is reduced at
	// once.
	paceRecent = 4
	// paceDrop is the smallest share of the window's rate to which this reduces the limit, so that a short stop of
	// processing does not stop callbacks.
	paceDrop = 0.25
	// paceFrom is the backlog from which callbacks are slowed down, and paceUntil the one at which that ends, as the time
	// that the processing takes. With paceFrom at two seconds the backlog reaches three and a half if callbacks arrive at
	// four times the rate of processing until the next measurement, and some more if processing becomes slower.
	paceFrom, paceUntil = 2 * time.Second, time.Second
	// paceLeast is a backlog that does not begin to slow callbacks down. It does not end that either: from many
	// connections such a backlog would return at once.
	paceLeast = 1000
	// paceSteady is the backlog, as the time that its processing takes, at which all processes together store as many
	// payloads as are processed. For each second more they store a quarter less, but at least paceSlowest and at most
	// paceFastest, as shares of the rate of processing. A large backlog that an outage has left must not keep callbacks
	// from being stored.
	paceSteady               = 1500 * time.Millisecond
	paceSlowest, paceFastest = 0.4, 1.2
	// paceOwn is the smallest part of that rate for one process, if others have stored nearly all payloads.
	paceOwn = 0.1
	// paceWait is how long a callback waits for its turn before it is answered 503.
	paceWait = 3 * time.Second
	// paceRefuse is how long a callback waits before it is answered 503 if its turn would come later than that. Senders
	// may repeat it at once, and refusing them again and again takes processor time that the events need.
	paceRefuse = time.Second
)

// progress is a measurement of the payload log.
type progress struct {
	at        time.Time
	backlog   int    // stored and not processed, without those that were tried in vain
	retried   int    // tried in vain: they wait for a key or for their account, and keep no worker from the others
	processed uint64 // in all
	own       uint64 // callbacks that this process has let through
}

// stored is the number of payloads that all processes have stored.
func (p progress) stored() uint64 { return p.processed + uint64(p.backlog) + uint64(p.retried) }

// pace slows callbacks down while payloads are stored faster than they are processed to events: a provider that is
// answered later sends its next callback later, and one that is answered 503 sends the callback again. Without
// pace, the delay of events grows for as long as an overload lasts. It never acts while nothing can be processed,
// because NATS is unavailable for example: then payloads are accepted and wait.
type pace struct {
	log *zap.Logger

	own     atomic.Uint64
	mu      sync.Mutex
	samples []progress
	limit   *rate.Limiter // nil: callbacks are not slowed down
	// documents are those that wait for the normalizer of this process. A callback waits a moment for room among them,
	// so that events are a fraction of a second behind. nil: other processes normalize too, or this one does not.
	documents *kycbridge.Documents
}

// wait returns when a callback of so many bytes may be stored. It returns ErrBusy if that takes too long.
func (p *pace) wait(ctx context.Context, size int) error {
	p.documents.WaitForRoom(ctx, size)
	p.mu.Lock()
	limit := p.limit
	p.mu.Unlock()
	if limit == nil {
		p.own.Add(1)
		return nil
	}
	turn, cancel := context.WithTimeout(ctx, paceWait)
	defer cancel()
	if err := limit.Wait(turn); err != nil { // at once, if its turn comes too late
		select {
		case <-time.After(paceRefuse):
		case <-turn.Done():
		}
		return fmt.Errorf("events are behind: %w", kycbridge.ErrBusy)
	}
	p.own.Add(1)
	return nil
}

// note takes a measurement and decides whether callbacks are slowed down until the next.
func (p *pace) note(now progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples = append(p.samples, now)
	p.samples = p.samples[max(0, len(p.samples)-paceOver-1):]
	perSecond := rateOf(p.samples)
	if perSecond <= 0 || len(p.samples) <= paceOver {
		p.free(now.backlog)
		return
	}
	behind := time.Duration(float64(now.backlog) / perSecond * float64(time.Second))
	recent := rateOf(p.samples[max(0, len(p.samples)-paceRecent-1):])
	allowed := rate.Limit(paceShare(behind) * p.ownPart() * max(min(recent, perSecond), paceDrop*perSecond))
	switch {
	case p.limit != nil && behind < paceUntil:
		p.free(now.backlog)
	case p.limit != nil:
		p.limit.SetLimit(allowed)
	case behind > paceFrom && now.backlog >= paceLeast:
		p.limit = rate.NewLimiter(allowed, max(1, int(perSecond/10)))
		p.log.Warn("events are behind by more than the time they may take: callbacks are slowed down",
			zap.Int("backlog", now.backlog), zap.Int("processed_per_second", int(perSecond)), zap.Duration("limit", paceFrom))
	}
}

// free ends the slowing down.
func (p *pace) free(backlog int) {
	if p.limit != nil {
		p.log.Info("callbacks are no longer slowed down", zap.Int("backlog", backlog))
	}
	p.limit = nil
}

// paceShare is the rate at which all processes together store payloads while callbacks are slowed down, as a share of
// the rate of processing.
func paceShare(behind time.Duration) float64 {
	return min(max(1-(behind-paceSteady).Seconds()/4, paceSlowest), paceFastest)
}

// ownPart is the part of the rate that this process may store: its part of what all processes have stored in the
// window.
func (p *pace) ownPart() float64 {
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	before, after := first.stored(), last.stored()
	if own := last.own - first.own; after > before && own < after-before {
		return max(float64(own)/float64(after-before), paceOwn)
	}
	return 1
}

// rateOf is the number of payloads processed per second; 0 if none was processed.
func rateOf(samples []progress) float64 {
	first, last := samples[0], samples[len(samples)-1]
	took := last.at.Sub(first.at).Seconds()
	if took <= 0 || last.processed <= first.processed { // the log may have become shorter
		return 0
	}
	return float64(last.processed-first.processed) / took
}

// watchPace measures until ctx ends. A failed measurement discards the window.
func (a *App) watchPace(ctx context.Context) {
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p, err := a.store.Progress(ctx)
			if bus := a.bus.Load(); err != nil || bus != nil && !bus.Connected() {
				a.pace.forget()
				continue
			}
			a.pace.note(progress{at: now, backlog: p.Backlog - p.Retried, retried: p.Retried, processed: p.Processed,
				own: a.pace.own.Load()})
		case <-ctx.Done():
			return
		}
	}
}

// forget discards the measurements: while nothing can be processed, callbacks are not slowed down.
func (p *pace) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples, p.limit = nil, nil
}

// slows reports whether callbacks are slowed down.
func (p *pace) slows() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit != nil
}
