// Package start starts verifications at providers, and submits their steps and decisions: one call that is
// never repeated blindly, then a watch, then the answer.
package start

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// Receipts store starts by their idempotency key. If Reserve returned nil, the caller makes the start, and
// calls Complete or Release afterwards.
type Receipts interface {
	// Reserve returns the receipt of a start that was made under this key, kycbridge.ErrKeyReused if that
	// was another request, and kycbridge.ErrKeyPending if it has not been completed.
	Reserve(ctx context.Context, a kycbridge.AccountKey, key, fingerprint string) (*kycbridge.StartReceipt, error)
	Complete(ctx context.Context, a kycbridge.AccountKey, key, fingerprint string, r kycbridge.StartReceipt) error
	Release(ctx context.Context, a kycbridge.AccountKey, key string) error
}

// Watcher durably watches started verifications.
type Watcher interface {
	Started(ctx context.Context, a *kycbridge.Account, s kycbridge.Started,
		externalReference string) (verificationID string, err error)
	// Submitted polls a verification soon after a submission, and watches it if it is unwatched.
	Submitted(ctx context.Context, a *kycbridge.Account, reference string) error
}

// Starter starts verifications.
type Starter struct {
	Receipts  Receipts
	Watcher   Watcher
	PublicURL string // kycbridge's address for providers; "" if none is configured
}

const (
	storeTimeout = 20 * time.Second // for storing the result of an executed call
	storePause   = 250 * time.Millisecond
)

// Start creates a verification at the provider of a. With a key, a repeated start returns the first
// receipt. Errors: kycbridge.ErrUnsupported, ErrKeyReused, ErrKeyPending, ErrUnavailable, a
// *kycbridge.ProviderError, or a *kycbridge.UnwatchedError.
func (s *Starter) Start(
	ctx context.Context, a *kycbridge.Account, r kycbridge.StartRequest, key, fingerprint string,
) (kycbridge.StartReceipt, error) {
	if a.API.Start == nil {
		return kycbridge.StartReceipt{}, fmt.Errorf("start: %w", kycbridge.ErrUnsupported)
	}
	at := kycbridge.AccountKey{Provider: a.Provider.Name, Account: a.Name}
	if key != "" {
		first, err := s.Receipts.Reserve(ctx, at, key, fingerprint)
		if err != nil {
			return kycbridge.StartReceipt{}, err
		}
		if first != nil {
			first.Repeated = true
			return *first, nil
		}
	}
	s.address(a, &r)
	started, err := a.API.Start(ctx, r)
	// From here on a caller that disconnects must not leave anything half done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err != nil {
		if key != "" && isCertainlyUnsent(err) {
			_ = s.Receipts.Release(ctx, at, key) // on failure the key stays pending until it expires
		}
		return kycbridge.StartReceipt{}, err
	}
	return s.keep(ctx, a, at, started, r.ExternalReference, key, fingerprint)
}

// Submit sends a part of a verification and has the verification polled soon afterwards. send is called
// once; its error is returned unchanged. Any other is a *kycbridge.UnwatchedError.
func (s *Starter) Submit(
	ctx context.Context, a *kycbridge.Account, reference string, send func(context.Context) error,
) error {
	if err := send(ctx); err != nil || a.API.Fetch == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	err := retryUntilStored(ctx, func() error { return s.Watcher.Submitted(ctx, a, reference) })
	if err != nil {
		receipt := kycbridge.StartReceipt{Reference: reference,
			VerificationID: event.VerificationID(a.Provider.Name, a.Name, a.Provider.Canonical(reference))}
		return &kycbridge.UnwatchedError{Receipt: receipt, Err: err}
	}
	return nil
}

// address adds the callback address and credential to a request.
func (s *Starter) address(a *kycbridge.Account, r *kycbridge.StartRequest) {
	if s.PublicURL != "" {
		r.CallbackURL = strings.TrimRight(s.PublicURL, "/") + "/webhooks/" + a.Provider.Name + "/" + a.Name
	}
	if keys := a.Credentials.Keys; len(keys) > 0 {
		r.CallbackKey = keys[0]
	}
}

// keep stores the result of a start: the watch and its event, then the receipt.
func (s *Starter) keep(ctx context.Context, a *kycbridge.Account, at kycbridge.AccountKey, started kycbridge.Started,
	externalReference, key, fingerprint string) (kycbridge.StartReceipt, error) {
	receipt := kycbridge.StartReceipt{
		VerificationID: event.VerificationID(at.Provider, at.Account, a.Provider.Canonical(started.Reference)),
		Reference:      started.Reference, URL: started.URL, ExpiresAt: event.Instant(started.ExpiresAt),
	}
	err := retryUntilStored(ctx, func() error {
		_, err := s.Watcher.Started(ctx, a, started, externalReference)
		return err
	})
	if err != nil {
		return receipt, &kycbridge.UnwatchedError{Receipt: receipt, Err: err}
	}
	if key != "" {
		// If this fails the key stays pending: a repeated start is refused and not made again.
		_ = retryUntilStored(ctx, func() error { return s.Receipts.Complete(ctx, at, key, fingerprint, receipt) })
	}
	return receipt, nil
}

// isCertainlyUnsent reports whether a failed start has created nothing.
func isCertainlyUnsent(err error) bool {
	var e *kycbridge.ProviderError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Kind {
	case kycbridge.ProviderCredentials, kycbridge.ProviderForbidden, kycbridge.ProviderInvalid, kycbridge.ProviderNotFound,
		kycbridge.ProviderRateLimited, kycbridge.ProviderPaused:
		return true
	}
	return !e.Sent
}

// retryUntilStored repeats try until it succeeds or ctx ends: the provider has acted, and only this process
// knows the result.
func retryUntilStored(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(storePause):
		case <-ctx.Done():
			return err
		}
	}
}
