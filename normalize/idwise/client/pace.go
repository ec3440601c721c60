package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"kycbridge"
)

const (
	// maxJourneys is how many journeys are remembered before those whose time is over are forgotten.
	maxJourneys = 1024
	// maxDoublings bounds how the distance grows while IDWise refuses.
	maxDoublings = 5
)

// pace keeps the summaries of each journey apart. A journey is remembered while somebody waits for
// it and until its distance is over, so the account's rate bounds how many there are.
type pace struct {
	interval time.Duration

	mu       sync.Mutex
	journeys map[string]*turn
}

// turn is one journey's. next and refusals belong to whoever holds it.
type turn struct {
	held     chan struct{}
	next     time.Time
	refusals int // in a row
	users    int // who hold it or wait for it; guarded by pace.mu
}

func newPace(interval time.Duration) *pace {
	return &pace{interval: interval, journeys: map[string]*turn{}}
}

// enter waits for a journey's turn. leave must be told how the call ended.
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

// ended sets when the next call may come. A refusal that names no time gets the one that we keep to.
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

// join finds or makes a journey's turn, and forgets others that nobody needs.
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

// allows reports whether ctx lives for so long.
func allows(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || wait <= 0 || time.Until(deadline) > wait
}

// until waits for a moment; it returns why ctx ended if that was first.
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
