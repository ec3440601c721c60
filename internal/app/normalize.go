package app

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/publisher"
)

// normalize processes the payload log until ctx ends.
func (a *App) normalize(ctx context.Context, bus *publisher.Bus) error {
	n := a.newNormalizer(bus)
	n.Quarantine = countedQuarantine{a.store, a.metrics}
	newValues := newNewValueCounter(a.log, a.metrics)
	return a.store.Consume(ctx, publisher.ConsumeOptions{
		Workers:   a.config.Normalize.Workers,
		Exclusive: a.config.Store.IsEmbedded(), // ensured by the lock on its directory
		Log:       a.log,
		Hold:      func() bool { return !bus.Connected() || !a.store.Connected() },
		Work: func(ctx context.Context, p kycbridge.Payload, attempt int) (kycbridge.Disposition, time.Duration) {
			var done kycbridge.Processed
			var retryIn time.Duration
			a.tracing.traceProcess(ctx, p, func(ctx context.Context, p kycbridge.Payload) (_ kycbridge.Processed, err error) {
				done, retryIn, err = n.Work(ctx, p, attempt)
				if err == nil || ctx.Err() == nil { // an interruption by a shutdown is no failure
					a.processed(p, done, err)
					a.logProcessed(p, done, attempt, retryIn, err)
					newValues.add(p, done.New)
				}
				return done, err
			})
			return done.Disposition(), retryIn
		},
	})
}

// logProcessed logs the result of a payload; a success only at debug level, because the receipt was logged
// already.
func (a *App) logProcessed(
	p kycbridge.Payload, done kycbridge.Processed, attempt int, retryIn time.Duration, err error,
) {
	fields := []zap.Field{zap.String("provider", p.Provider), zap.String("account", p.Account),
		zap.String("payload_id", p.ID), zap.String("verification_id", p.VerificationID)}
	switch {
	case errors.Is(err, publisher.ErrEndLost):
		a.log.Debug("payload waits until lost events are regenerated", fields...) // the loss itself has one line
	case err != nil && retryIn > 0:
		a.log.Warn("payload not processed, trying again",
			append(fields, zap.Int("attempt", attempt), zap.Duration("in", retryIn), zap.Error(err))...)
	case err != nil:
		a.log.Error("payload quarantined, no event came of it",
			append(fields, zap.Int("attempt", attempt), zap.Error(err))...)
	case done.Event != nil:
		a.log.Debug("event published", append(fields, zap.String("kind", string(done.Kind)),
			zap.Int("revision", done.Event.Data.Revision), zap.String("status", string(done.Event.Data.Status)))...)
	default:
		a.log.Debug("no event", append(fields, zap.String("why", done.NoEvent))...)
	}
}
