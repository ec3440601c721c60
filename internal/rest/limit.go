package rest

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"kycbridge"
)

// limit limits the calls of one account: with a token bucket, and additionally with a strict limit that
// counts a call from its beginning until one window after its end. The provider receives a call some time
// between its beginning and its end. It therefore never receives more calls than the limit within any
// window, whatever the delays of the network.
type limit struct {
	pace   *rate.Limiter
	slots  chan struct{} // calls under way
	window time.Duration
	counts chan struct{} // calls that count in the window

	mu    sync.Mutex
	until time.Time // end of a pause that the provider requested
}

func newLimit(perSecond float64, concurrency int) *limit {
	n := max(1, int(math.Floor(perSecond)))
	return &limit{
		pace:  rate.NewLimiter(rate.Limit(perSecond), 1),
		slots: make(chan struct{}, concurrency),
		// 2.5 per second allow 2 in any second, 0.5 per second allow one in any two seconds.
		window: max(time.Second, time.Duration(float64(n)/perSecond*float64(time.Second))),
		counts: make(chan struct{}, n),
	}
}

// patience is how long a call may wait for its turn, in addition to its own timeout.
func (l *limit) patience() time.Duration { return max(10*time.Second, 2*l.window) }

// hold prevents new calls for d.
func (l *limit) hold(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(d); until.After(l.until) {
		l.until = until
	}
}

func (l *limit) held() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until)
}

// acquire waits for a turn. release ends the call.
func (l *limit) acquire(ctx context.Context, call string) (release func(), err error) {
	busy := func() error {
		return &kycbridge.ProviderError{Kind: kycbridge.ProviderRateLimited, Call: call,
			RetryAfter: max(l.held(), time.Second), Err: context.Cause(ctx)}
	}
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, busy()
	}
	select {
	case l.counts <- struct{}{}:
	case <-ctx.Done():
		<-l.slots
		return nil, busy()
	}
	if !l.turn(ctx) {
		<-l.slots
		<-l.counts
		return nil, busy()
	}
	return func() {
		<-l.slots
		time.AfterFunc(l.window, func() { <-l.counts })
	}, nil
}

// turn waits for the token bucket and for the end of a requested pause, which may begin during the wait.
func (l *limit) turn(ctx context.Context) bool {
	for {
		for wait := l.held(); wait > 0; wait = l.held() {
			if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait || !sleep(ctx, wait) {
				return false
			}
		}
		if l.pace.Wait(ctx) != nil {
			return false
		}
		if l.held() <= 0 {
			return true
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
