package publisher

import (
	"context"
	"errors"
	"sync"

	"kycbridge"
)

// How many last events are read between two assumptions, after one was wrong. A wrong one costs a refused message and
// an event that is computed twice, and with an external server the batch of the message is sent one by one.
const (
	fewestReads = 64
	mostReads   = 8192
)

// Predicting is the event log for the Normalizer. A payload whose verification has no cached event is often the first
// one of its verification. So Last does not read the log for it, but assumes that there is no event: if there is one,
// the server refuses the event that was computed from the assumption, because of its compare-and-set, and the
// Normalizer reads the log. After a wrong assumption the last events are read, but for one now and then: when several
// of those in a row are right, everything is assumed again.
type Predicting struct {
	*Bus

	mu    sync.Mutex
	pause int           // last events that are read between two assumptions; 0: none, everything is assumed
	left  int           // of them until the next assumption
	trial kycbridge.Key // the verification of the last assumption, while pause is not 0
}

// NewPredicting returns the event log for a Normalizer.
func NewPredicting(b *Bus) *Predicting { return &Predicting{Bus: b} }

// Last returns the last published revision of a verification, from the cache, or assumes that there is none; with
// fresh set it reads the log.
func (p *Predicting) Last(ctx context.Context, k kycbridge.Key, fresh bool) (kycbridge.State, error) {
	if fresh {
		return p.Bus.Last(ctx, k, true)
	}
	if known, ok := p.last.get(k); ok {
		return known, nil
	}
	if p.assumes(k) {
		return kycbridge.State{}, nil
	}
	return p.Bus.Last(ctx, k, true)
}

// Publish is Publish of the Bus.
func (p *Predicting) Publish(ctx context.Context, k kycbridge.Key, e kycbridge.Outgoing, after uint64) error {
	err := p.Bus.Publish(ctx, k, e, after)
	if conflict := errors.Is(err, kycbridge.ErrConflict); after == 0 && (err == nil || conflict) {
		p.learn(k, !conflict)
	}
	return err
}

// assumes reports whether a verification is assumed to have no event.
func (p *Predicting) assumes(k kycbridge.Key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pause == 0 {
		return true
	}
	if p.left > 0 {
		p.left--
		return false
	}
	p.left, p.trial = p.pause, k
	return true
}

// learn adapts to whether a verification had no event.
func (p *Predicting) learn(k kycbridge.Key, right bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.pause == 0 && right, p.pause > 0 && k != p.trial:
		return
	case right:
		p.pause /= 2
	default:
		p.pause = min(max(2*p.pause, fewestReads), mostReads)
	}
	p.left, p.trial = p.pause, kycbridge.Key{}
}
