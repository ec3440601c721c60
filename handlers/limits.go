package handlers

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// CallbackLimits are the options of callbacks that can change while they are served.
type CallbackLimits struct {
	Concurrency    int            // payloads at the Receiver at once; 0: DefaultConcurrency
	RatePerSecond  float64        // requests per second over all accounts; 0: no limit
	Burst          int            // requests at once under RatePerSecond; 0: one second's worth
	Timeout        time.Duration  // for the Receiver; 0: DefaultTimeout
	TrustedProxies []netip.Prefix // their X-Forwarded-For is trusted
}

// limits are CallbackLimits in use. A request reads them once, and returns its slot to the same limits.
type limits struct {
	CallbackLimits
	limiter *rate.Limiter // nil: no limit
	slots   chan struct{}
}

// newLimits adds the defaults to l. It keeps the slots and the rate limiter of the previous limits (before, nil at
// first) if their numbers are unchanged, so that running requests still count.
func newLimits(l CallbackLimits, before *limits) *limits {
	if l.Concurrency <= 0 {
		l.Concurrency = DefaultConcurrency
	}
	if l.Burst <= 0 {
		l.Burst = max(1, int(l.RatePerSecond))
	}
	if l.Timeout <= 0 {
		l.Timeout = DefaultTimeout
	}
	next := &limits{CallbackLimits: l}
	if before != nil && before.Concurrency == l.Concurrency {
		next.slots = before.slots
	} else {
		next.slots = make(chan struct{}, l.Concurrency)
	}
	switch {
	case before != nil && before.RatePerSecond == l.RatePerSecond && before.Burst == l.Burst:
		next.limiter = before.limiter
	case l.RatePerSecond > 0:
		next.limiter = rate.NewLimiter(rate.Limit(l.RatePerSecond), l.Burst)
	}
	return next
}

// allow reports whether the rate allows one more request, and counts it.
func (l *limits) allow() bool { return l.limiter == nil || l.limiter.Allow() }

// acquire takes one of the slots at the Receiver. It returns errBusy if none is free soon.
func (l *limits) acquire(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	default:
	}
	wait := time.NewTimer(slotWait)
	defer wait.Stop()
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-wait.C:
		return errBusy
	case <-ctx.Done():
		return fmt.Errorf("wait for a slot: %w", errInterrupted)
	}
}

func (l *limits) release() { <-l.slots }

// SetLimits replaces the limits. Running requests finish with the limits that they began with.
func (h *Callbacks) SetLimits(l CallbackLimits) { h.limits.Store(newLimits(l, h.limits.Load())) }
