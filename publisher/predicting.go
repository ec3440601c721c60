package publisher

import (
	"context"
	"errors"
	"sync/atomic"

	"kycbridge"
)

// readsAfterConflict is how many last events are read after a wrong prediction. It bounds what wrong predictions cost,
// each of them a refused message and an event computed twice, to a few percent.
const readsAfterConflict = 64

// Predicting is the event log for the Normalizer. A payload whose verification has no cached event is usually the
// first one of its verification. So Last does not read the log for it, but predicts that there is no event: if there
// is one, the server refuses the event that was computed from the prediction, because of its compare-and-set, and the
// Normalizer reads the log.
type Predicting struct {
	*Bus
	reads atomic.Int64 // last events to be read before the next prediction
}

// NewPredicting returns the event log for a Normalizer.
func NewPredicting(b *Bus) *Predicting { return &Predicting{Bus: b} }

// Last returns the last published revision of a verification, from the cache, or predicts that there is none; with
// fresh set it reads the log.
func (p *Predicting) Last(ctx context.Context, k kycbridge.Key, fresh bool) (kycbridge.State, error) {
	if fresh {
		return p.Bus.Last(ctx, k, true)
	}
	if known, ok := p.last.get(k); ok {
		return known, nil
	}
	if p.reads.Load() > 0 {
		p.reads.Add(-1)
		return p.Bus.Last(ctx, k, true)
	}
	return kycbridge.State{}, nil
}

// Publish is Publish of the Bus. A refused first event was a wrong prediction.
func (p *Predicting) Publish(ctx context.Context, k kycbridge.Key, e kycbridge.Sealed, after uint64) error {
	err := p.Bus.Publish(ctx, k, e, after)
	if after == 0 && errors.Is(err, kycbridge.ErrConflict) {
		p.reads.Store(readsAfterConflict)
	}
	return err
}
