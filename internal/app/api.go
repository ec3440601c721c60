package app

import (
	"context"
	"fmt"
	"maps"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/handlers"
	"kycbridge/internal/start"
)

// apiOptions configure the API of verifications on the operators' listener.
func (a *App) apiOptions() handlers.APIOptions {
	starter := &start.Starter{Receipts: a.store, Watcher: a.poller, PublicURL: a.config.PublicURL}
	return handlers.APIOptions{
		Accounts: liveAccounts{a.system},
		Holders:  a.holders,
		Access:   accessLog{a},
		Starter:  starter, Submitter: starter,
		Watcher:  a.poller,
		States:   a,
		Media:    a,
		Decode:   decodeRequest,
		Validate: a.schemas.ValidateAPI,
		ValidateStart: func(account *kycbridge.Account, doc any) []kycbridge.FieldError {
			object, _ := doc.(map[string]any)
			return account.Provider.Validate("start", object)
		},
		MaxStart:      int64(a.config.Admin.MaxStart),
		SpoolDir:      a.config.DataDir,
		CompareConfig: func() any { return a.CompareConfig() },
		OpenAPI:       a.schemas.OpenAPI(),
		Logger:        a.log,
		Now:           time.Now,

		ObserveStranger: func() { a.metrics.stranger(strangerAtAPI) },
	}
}

// decodeRequest parses the body of an API request.
func decodeRequest(body []byte) (any, []kycbridge.FieldError) {
	doc, faults := document.Decode(body)
	return map[string]any(doc), faults
}

// State is the last published state of a verification, or kycbridge.ErrNotFound.
func (a *App) State(ctx context.Context, k kycbridge.Key) (*event.Data, error) {
	last, err := a.lastState(ctx, k, true)
	if err == nil && last == nil {
		return nil, fmt.Errorf("read last event: %w", kycbridge.ErrNotFound)
	}
	return last, err
}

// Media opens an image or video in the state of a verification. The provider's reference to it is looked up in the
// stored payloads: for an address that opens without credentials, events contain only a placeholder.
func (a *App) Media(
	ctx context.Context, account *kycbridge.Account, m kycbridge.MediaRef,
) (kycbridge.MediaAnswer, error) {
	if account.API.Media == nil {
		return kycbridge.MediaAnswer{}, fmt.Errorf("open media: %w", kycbridge.ErrUnsupported)
	}
	reference := account.Provider.Canonical(m.Reference)
	k := kycbridge.Key{Provider: account.Provider.Name, Account: account.Name,
		VerificationID: event.VerificationID(account.Provider.Name, account.Name, reference)}
	request := kycbridge.MediaRequest{Reference: reference, References: map[string]string{}}
	err := a.store.History(ctx, k, func(p kycbridge.Payload) error {
		o, err := account.Observe(p)
		if err != nil {
			return nil // it contains no readable reference
		}
		maps.Copy(request.References, o.References)
		for _, media := range o.Media {
			if m.Ref != "" && (media.ProviderRef == m.Ref || media.Field == m.Ref ||
				event.HideAadhaar(media.ProviderRef) == m.Ref) {
				request.Ref = media.ProviderRef
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return kycbridge.MediaAnswer{}, fmt.Errorf("read stored payloads: %w: %w", kycbridge.ErrUnavailable, err)
	case request.Ref == "":
		return kycbridge.MediaAnswer{}, fmt.Errorf("open media: %w", kycbridge.ErrNotFound)
	}
	return account.API.Media(ctx, request)
}
