package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"kycbridge"
)

const (
	// paceEvery is how often the backlog is measured.
	paceEvery = 500 * time.Millisecond
	// paceOver is the window over which the rate of processing is measured.
	paceOver = 10
	// paceAhead is how much work may wait for events before callbacks are slowed down: the time that
	// processing it takes.
	paceAhead = 5 * time.Second
	// paceLeast is a backlog that never slows callbacks down.
	paceLeast = 1000
	// paceShare is the share of the processing rate at which callbacks are taken meanwhile: the backlog
	// shrinks.
	paceShare = 0.8
	// paceWait is how long a callback waits for its turn before it is answered 503.
	paceWait = 3 * time.Second
)

// progress is a measurement of the payload log.
type progress struct {
	at        time.Time
	backlog   int    // stored and not processed
	processed uint64 // in all
}

// pace slows callbacks down while more payloads are stored than become events: a provider that is answered
// later sends later, and one that is answered 503 sends again. Without it answers run ahead of events for as
// long as an overload lasts. It never acts while nothing can be processed, because NATS is unavailable for
// example: then payloads are accepted and wait.
type pace struct {
	log *zap.Logger

	mu      sync.Mutex
	samples []progress
	limit   *rate.Limiter // nil: callbacks are not slowed down
}

// wait returns when a callback may be stored. It returns ErrBusy if that takes too long.
func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	limit := p.limit
	p.mu.Unlock()
	if limit == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, paceWait)
	defer cancel()
	if err := limit.Wait(ctx); err != nil {
		return fmt.Errorf("events are behind: %w", kycbridge.ErrBusy)
	}
	return nil
}

// note takes a measurement and decides whether callbacks are slowed down until the next.
func (p *pace) note(now progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples = append(p.samples, now)
	p.samples = p.samples[max(0, len(p.samples)-paceOver-1):]
	perSecond := p.perSecond()
	ahead := float64(now.backlog) > perSecond*paceAhead.Seconds()
	switch {
	case perSecond <= 0 || now.backlog < paceLeast || !ahead || len(p.samples) <= paceOver:
		if p.limit != nil {
			p.log.Info("callbacks are no longer slowed down", zap.Int("backlog", now.backlog))
		}
		p.limit = nil
	case p.limit == nil:
		p.limit = rate.NewLimiter(rate.Limit(paceShare*perSecond), max(1, int(perSecond/10)))
		p.log.Warn("events are behind by more than the time they may take: callbacks are slowed down",
			zap.Int("backlog", now.backlog), zap.Int("processed_per_second", int(perSecond)), zap.Duration("limit", paceAhead))
	default:
		p.limit.SetLimit(rate.Limit(paceShare * perSecond))
	}
}

// perSecond is the rate of processing over the window; 0 if a payload was processed in none of it.
func (p *pace) perSecond() float64 {
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	took := last.at.Sub(first.at).Seconds()
	if took <= 0 || last.processed <= first.processed { // the log may have become shorter
		return 0
	}
	return float64(last.processed-first.processed) / took
}

// watchPace measures until ctx ends. A measurement that fails ends the window.
func (a *App) watchPace(ctx context.Context) {
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			backlog, processed, err := a.store.Progress(ctx)
			if bus := a.bus.Load(); err != nil || bus != nil && !bus.Connected() {
				a.pace.forget()
				continue
			}
			a.pace.note(progress{at: now, backlog: backlog, processed: processed})
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
