package app

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/internal/archive"
	"kycbridge/internal/bundle"
	"kycbridge/internal/ledger"
	"kycbridge/internal/signing"
	"kycbridge/publisher"
)

const (
	ledgerPause = time.Second      // between checks for new messages
	signPause   = 20 * time.Second // between signed checkpoints, while there are new leaves
	signLast    = 5 * time.Second  // limit for the checkpoint at a stop
)

// ledgerOrigin names the log in its checkpoints.
func (s *system) ledgerOrigin() string { return "kycbridge/" + s.config.Names.StreamPrefix }

// witness checks the signatures of the log with the configured keys.
func (s *system) witness() (archive.Witness, error) {
	var public []ed25519.PublicKey
	if s.signing != nil {
		public = s.signing.Public()
	}
	v, err := ledger.NewVerifiers(public...)
	return archive.Witness{Verifiers: v, Origin: s.ledgerOrigin()}, err
}

// keepLedger extends the tamper-evident log and signs it, until ctx ends.
func (a *App) keepLedger(ctx context.Context, bus *publisher.Bus) {
	l := publisher.NewLedger(a.store, bus)
	failing := false
	signed := time.Time{}
	for ctx.Err() == nil {
		err := extendLedger(ctx, l)
		if err == nil && time.Since(signed) >= signPause {
			if _, err = a.signLedger(ctx, l); err == nil {
				signed = time.Now()
			}
		}
		if err != nil && !failing && ctx.Err() == nil {
			a.log.Warn("the tamper-evident log cannot be extended, trying again", zap.Error(err))
		}
		failing = err != nil
		sleep(ctx, ledgerPause)
	}
	// Everything that is stored now is signed before the process ends.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), signLast)
	defer cancel()
	if extendLedger(last, l) == nil {
		_, _ = a.signLedger(last, l) // if it fails, the next process signs it
	}
}

// extendLedger adds leaves for everything that is stored now.
func extendLedger(ctx context.Context, l *publisher.Ledger) error {
	if err := l.Genesis(ctx); err != nil {
		return err
	}
	for more := 1; more > 0 && ctx.Err() == nil; {
		var err error
		if more, err = l.Extend(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *system) signLedger(ctx context.Context, l *publisher.Ledger) ([]byte, error) {
	return l.Sign(ctx, s.ledgerOrigin(),
		func(c ledger.Checkpoint) ([]byte, error) { return c.Sign(s.signing.Private()) })
}

// ledgerBehind is how long the oldest unsigned leaf has been waiting for a signature.
func (s *system) ledgerBehind(ctx context.Context) (time.Duration, error) {
	bus := s.bus.Load()
	if bus == nil {
		return 0, errors.New("the bus has not been reached yet")
	}
	return publisher.NewLedger(s.store, bus).Behind(ctx)
}

// MakeBundle creates the evidence bundle of a verification from everything that is stored now. unproven is the
// number of messages that are not in the log and so not in the bundle: they were stored before the log began.
func MakeBundle(
	ctx context.Context, a *archive.Archive, c *Config, about bundle.About,
) (made []byte, unproven int, err error) {
	s := newSystem(c, zap.NewNop())
	if err := s.loadSigning(); err != nil {
		return nil, 0, err
	}
	l, ok := a.Ledger.(*publisher.Ledger)
	if !ok || s.signing == nil {
		return nil, 0, errors.New("a bundle needs the tamper-evident log: configure integrity.log and " +
			"integrity.signing_key_file")
	}
	if err := extendLedger(ctx, l); err != nil {
		return nil, 0, err
	}
	if _, err := s.signLedger(ctx, l); err != nil {
		return nil, 0, err
	}
	signed, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, 0, err
	}
	checkpoint, err := a.Witness.Verifiers.Open(signed)
	if err != nil {
		return nil, 0, fmt.Errorf("the newest of the log: %w", err)
	}
	k, err := a.KeyOf(ctx, about.VerificationID)
	if err != nil {
		return nil, 0, err
	}
	proven, unproven, err := a.Evidence(ctx, k, checkpoint)
	if err != nil {
		return nil, 0, err
	}
	about.Provider, about.Account, about.Mapping, about.MadeAt = k.Provider, k.Account, Mapping, time.Now().UTC()
	if about.ErasedAt, about.PartlyErasedAt, err = erasedAt(ctx, a, k); err != nil {
		return nil, 0, err
	}
	b := bundle.Bundle{About: about, Checkpoint: signed}
	for _, p := range proven {
		b.Messages = append(b.Messages, bundle.Message{Message: p.Message, Leaf: p.Leaf, Proof: p.Proof, Body: p.Body})
	}
	made, err = bundle.Write(b, s.signing.Private())
	return made, unproven, err
}

// erasedAt is when a verification was erased the last time, or partly erased if that erasure is not finished; zero if
// it was not.
func erasedAt(ctx context.Context, a *archive.Archive, k kycbridge.Key) (whole, partly time.Time, err error) {
	erased, err := a.Tombstones.Tombstone(ctx, k)
	switch {
	case err != nil || erased == nil:
		return whole, partly, err
	case erased.Unfinished:
		return whole, erased.At.UTC(), nil
	}
	return erased.At.UTC(), partly, nil
}

// VerifierKey is the public key of the log in the format of signed notes.
func VerifierKey(c *Config) (string, error) {
	s := newSystem(c, zap.NewNop())
	if err := s.loadSigning(); err != nil {
		return "", err
	}
	if s.signing == nil {
		return "", errors.New("integrity.signing_key is not configured; " + signing.Advice)
	}
	return ledger.VerifierKey(s.signing.Public()[0])
}

// LastCheckpoint is the newest signed checkpoint of the log of a configuration.
func LastCheckpoint(ctx context.Context, c *Config, access StoreAccess) ([]byte, error) {
	own := *c // reach changes it
	s := newSystem(&own, zap.NewNop())
	s.anyMaster = true
	defer s.close()
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	if err := s.reach(ctx, access); err != nil {
		return nil, err
	}
	signed, err := publisher.NewLedger(s.store, nil).Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if signed == nil {
		return nil, errors.New("there is no checkpoint yet: integrity.log has to be configured, and one is signed within a " +
			"minute")
	}
	return signed, nil
}
