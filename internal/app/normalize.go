package app

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/time/rate"

	"kycbridge"
	"kycbridge/publisher"
)

// normalize processes the payload log until ctx ends.
func (a *App) normalize(ctx context.Context, bus *publisher.Bus) error {
	n := a.newNormalizer(bus, liveAccounts{a.system})
	n.Quarantine = countedQuarantine{a.store, a.metrics}
	n.Documents = a.documents
	w := payloadWorker{App: a, normalizer: n, newValues: newNewValueCounter(a.log, a.metrics),
		retryLines: newRetryLines()}
	return a.store.Consume(ctx, publisher.ConsumeOptions{
		Workers:   a.config.Normalize.Workers,
		Exclusive: a.config.Store.IsEmbedded(), // ensured by the lock on its directory
		Log:       a.log,
		Hold:      func() bool { return !bus.Connected() || !a.store.Connected() },
		Work:      w.work,
	})
}

// payloadWorker processes stored payloads, and traces, counts and logs each attempt.
type payloadWorker struct {
	*App
	normalizer *kycbridge.Normalizer
	newValues  *newValueCounter
	retryLines *rate.Limiter // of the log lines about payloads that are tried again
}

// newRetryLines allows ten lines a minute: a store or a bus that takes nothing fails all payloads at once, each again
// and again.
func newRetryLines() *rate.Limiter { return rate.NewLimiter(rate.Every(time.Minute/10), 10) }

// work makes one attempt at a stored payload; a failed one is repeated after the returned time.
func (w payloadWorker) work(
	ctx context.Context, p kycbridge.Payload, attempt int,
) (kycbridge.Disposition, time.Duration) {
	ctx, p, end := w.tracing.startProcess(ctx, p)
	done, retryIn, err := w.normalizer.Work(ctx, p, attempt)
	if err == nil || ctx.Err() == nil { // an interruption by a shutdown is no failure
		w.processed(p, done, err)
		w.logProcessed(p, done, attempt, retryIn, err)
		w.newValues.add(p, done.New)
	}
	end(done, err)
	return done.Disposition(), retryIn
}

// logProcessed logs the result of a payload; a success only at debug level, because the receipt was logged
// already, and so a failure that is one of many.
func (w payloadWorker) logProcessed(
	p kycbridge.Payload, done kycbridge.Processed, attempt int, retryIn time.Duration, err error,
) {
	fields := []zap.Field{zap.String("provider", p.Provider), zap.String("account", p.Account),
		zap.String("payload_id", p.ID), zap.String("verification_id", p.VerificationID)}
	switch {
	case errors.Is(err, publisher.ErrEndLost):
		w.log.Debug("payload waits until lost events are regenerated", fields...) // the loss itself has one line
	case err != nil && retryIn > 0:
		level := zapcore.WarnLevel
		if !w.retryLines.Allow() {
			level = zapcore.DebugLevel
		}
		w.log.Log(level, "payload not processed, trying again",
			append(fields, zap.Int("attempt", attempt), zap.Duration("in", retryIn), zap.Error(err))...)
	case err != nil:
		w.log.Error("payload quarantined, no event came of it",
			append(fields, zap.Int("attempt", attempt), zap.Error(err))...)
	case done.Event != nil:
		w.log.Debug("event published", append(fields, zap.String("kind", string(done.Kind)),
			zap.Int("revision", done.Event.Data.Revision), zap.String("status", string(done.Event.Data.Status)))...)
	case done.Before > 0:
		w.log.Debug("event published by an earlier attempt", append(fields, zap.Int("revision", done.Before))...)
	default:
		w.log.Debug("no event", append(fields, zap.String("why", done.NoEvent))...)
	}
}
