package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"kycbridge"
)

const (
	// maxJourneys is the number of stored journeys from which on a new one removes the idle ones.
	maxJourneys = 1024
	// maxDoublings limits how often the interval doubles while IDWise refuses calls.
	maxDoublings = 5
)

// pace keeps the minimum interval between the summaries of each journey. If maxJourneys are stored, a new
// journey removes those that no call uses and whose interval has passed, so the account's call rate limits
// their number.
type pace struct {
	interval time.Duration

	mu       sync.Mutex
	journeys map[string]*turn
}

// turn is the state of one journey. Only the goroutine that holds it may use next and refusals.
type turn struct {
	held     chan struct{}
	next     time.Time
	refusals int // in a row
	users    int // goroutines that hold it or wait for it; guarded by pace.mu
}

func newPace(interval time.Duration) *pace {
	return &pace{interval: interval, journeys: map[string]*turn{}}
}

// enter waits until the journey's next call is allowed. The caller passes the error of the call to leave.
func (p *pace) enter(ctx context.Context, journeyID string) (leave func(error), err error) {
	t := p.join(journeyID)
	select {
	case t.held <- struct{}{}:
	case <-ctx.Done():
		p.part(t)
		return nil, tooEarly(p.interval, context.Cause(ctx))
	}
	end := func() {
		<-t.held
		p.part(t)
	}
	if wait := time.Until(t.next); !allows(ctx, wait) {
		end()
		return nil, tooEarly(wait, errors.New("the last summary of this journey is too recent"))
	}
	if err := until(ctx, t.next); err != nil {
		wait := time.Until(t.next)
		end()
		return nil, tooEarly(wait, err)
	}
	return func(err error) {
		p.ended(t, err)
		end()
	}, nil
}

func tooEarly(wait time.Duration, err error) error {
	return &kycbridge.ProviderError{Kind: kycbridge.ProviderRateLimited, Call: callSummary,
		RetryAfter: max(wait, time.Millisecond), Err: err}
}

// ended sets when the next call is allowed. A refusal that names no time gets kycbridge's own interval.
func (p *pace) ended(t *turn, err error) {
	var e *kycbridge.ProviderError
	failed := errors.As(err, &e)
	if failed && !e.Sent {
		return
	}
	distance := p.interval
	switch {
	case failed && e.Kind == kycbridge.ProviderRateLimited:
		t.refusals = min(t.refusals+1, maxDoublings)
		distance = max(p.interval<<t.refusals, e.RetryAfter)
		e.RetryAfter = distance
	case err == nil:
		t.refusals = 0
	}
	t.next = time.Now().Add(distance)
}

// join finds or makes a journey's turn, and removes other turns that are no longer needed.
func (p *pace) join(journeyID string) *turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.journeys[journeyID]
	if t == nil {
		if len(p.journeys) >= maxJourneys {
			p.forget(time.Now())
		}
		t = &turn{held: make(chan struct{}, 1)}
		p.journeys[journeyID] = t
	}
	t.users++
	return t
}

func (p *pace) forget(now time.Time) {
	for id, t := range p.journeys {
		if t.users == 0 && t.next.Before(now) {
			delete(p.journeys, id)
		}
	}
}

func (p *pace) part(t *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.users--
}

// allows reports whether ctx does not end within wait.
func allows(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || wait <= 0 || time.Until(deadline) > wait
}

// until waits for a time; if ctx ends first, it returns the cause.
func until(ctx context.Context, at time.Time) error {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
