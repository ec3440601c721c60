package rest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"kycbridge"
)

// Token is a cached credential. It is renewed by one caller at a time: before it expires, and once
// when the provider refuses it.
type Token struct {
	// Renew requests a token from the provider. A zero time: the provider does not report when it expires.
	Renew func(ctx context.Context) (value string, expires time.Time, err error)

	turn  chan struct{}
	value string
	until time.Time // renewed after this time; zero: only when it is refused

	refusal error     // the error of the last request, if the credentials were not accepted
	again   time.Time // no token is requested before this time

	doubted atomic.Pointer[doubt]
}

// refusedPause is the pause between two attempts with credentials that were not accepted: a provider
// may lock an account after repeated failures.
const refusedPause = 15 * time.Second

// NewToken makes an empty cache.
func NewToken(renew func(ctx context.Context) (string, time.Time, error)) *Token {
	return &Token{Renew: renew, turn: make(chan struct{}, 1)}
}

// With calls do with a token, and once more with a new one if the provider refused it.
func (t *Token) With(ctx context.Context, do func(token string) (Answer, error)) (Answer, error) {
	token, err := t.get(ctx, "")
	if err != nil {
		return Answer{}, err
	}
	answer, err := do(token)
	if !isRefused(err) || t.isDoubted(token) {
		return answer, err
	}
	if token, err = t.get(ctx, token); err != nil {
		return Answer{}, err
	}
	if answer, err = do(token); isRefused(err) {
		t.doubted.Store(&doubt{token, time.Now().Add(refusedPause)})
	}
	return answer, err
}

func isRefused(err error) bool {
	var e *kycbridge.ProviderError
	return errors.As(err, &e) && e.Kind == kycbridge.ProviderCredentials
}

// doubt is a token that was refused when it was new. Until then another one is not expected to help.
type doubt struct {
	token string
	until time.Time
}

func (t *Token) isDoubted(token string) bool {
	d := t.doubted.Load()
	return d != nil && d.token == token && time.Now().Before(d.until)
}

// get returns a token other than refused.
func (t *Token) get(ctx context.Context, refused string) (string, error) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return "", &kycbridge.ProviderError{Kind: kycbridge.ProviderUnreachable, Call: "token", Err: ctx.Err()}
	}
	defer func() { <-t.turn }()
	if t.value != "" && t.value != refused && (t.until.IsZero() || time.Now().Before(t.until)) {
		return t.value, nil
	}
	now := time.Now()
	if now.Before(t.again) {
		return "", t.refusal
	}
	value, expires, err := t.Renew(ctx)
	if err != nil {
		t.value = ""
		var e *kycbridge.ProviderError
		if errors.As(err, &e) {
			e.Sent = false // the call that needs the token was not sent
			switch e.Kind {
			case kycbridge.ProviderCredentials:
				t.refusal, t.again = err, time.Now().Add(refusedPause)
			case kycbridge.ProviderNotFound: // the token endpoint, not what the call is about
				e.Kind = kycbridge.ProviderUnavailable
			case kycbridge.ProviderInvalid: // by the configuration, not by the caller
				e.Kind = kycbridge.ProviderForbidden
			}
		}
		return "", err
	}
	t.value, t.until = value, time.Time{}
	if !expires.IsZero() {
		t.until = expires.Add(-min(30*time.Second, expires.Sub(now)/10))
	}
	return value, nil
}
