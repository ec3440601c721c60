package test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

// memory replaces the streams, for tests of one payload and its event.
type memory struct {
	stored      *kycbridge.Payload
	quarantined []kycbridge.FieldError
	event       []byte
}

func (m *memory) Append(_ context.Context, p kycbridge.Payload) (kycbridge.Stored, error) {
	m.stored = &p
	return kycbridge.Stored{Digest: p.Digest}, nil
}

func (m *memory) Quarantine(_ context.Context, _ kycbridge.Payload, _ string, faults []kycbridge.FieldError) error {
	m.quarantined = faults
	return nil
}

func (m *memory) Refuse(context.Context, kycbridge.Payload, kycbridge.Request, string) {}

func (m *memory) Last(context.Context, kycbridge.Key, bool) (kycbridge.State, error) {
	return kycbridge.State{Read: true}, nil
}

func (m *memory) Publish(_ context.Context, _ kycbridge.Key, e kycbridge.Outgoing, _ uint64) error {
	m.event = e.Body
	return nil
}

func (m *memory) History(context.Context, kycbridge.Key, func(kycbridge.Payload) error) error {
	return nil
}

func (m *memory) WasErased(context.Context, kycbridge.Payload) (bool, error) { return false, nil }

// path is Intake and Normalizer with a memory in place of the streams, and one account for a fixture.
type path struct {
	memory     memory
	account    *kycbridge.Account
	intake     kycbridge.Intake
	normalizer kycbridge.Normalizer
}

func newPath(set *schemas.Set, c fixture.Case) *path {
	return pathOf(app.Providers(set)[c.Provider], c)
}

// pathOf is newPath for many paths: making the table of providers takes longer than processing a body.
func pathOf(provider kycbridge.Provider, c fixture.Case) *path {
	p := &path{account: &kycbridge.Account{
		Name: "acme", Provider: provider, Environment: event.EnvironmentTest,
		Profile: c.Profile, Settings: c.SettingsAt(provider), TrustFramework: c.Trust,
	}}
	p.intake = kycbridge.Intake{Log: &p.memory, Quarantine: &p.memory, Refusals: &p.memory}
	p.normalizer = kycbridge.Normalizer{
		Accounts: kycbridge.Accounts{{Provider: c.Provider, Account: "acme"}: p.account},
		Events:   &p.memory, Log: &p.memory, Quarantine: &p.memory,
		Mapping:    app.Mapping,
		TypePrefix: "io.kycbridge", SourcePrefix: "/kycbridge", MaxAttempts: 1,
		Now: func() time.Time { return recorded },
	}
	return p
}

// sharedSchemas are compiled once for all fixtures.
var sharedSchemas = sync.OnceValues(schemas.New)

// sharedProviders is the table of providers with sharedSchemas.
var sharedProviders = sync.OnceValues(func() (map[string]kycbridge.Provider, error) {
	set, err := sharedSchemas()
	if err != nil {
		return nil, err
	}
	return app.Providers(set), nil
})

// eventOf processes a fixture and returns the event it becomes if nothing is known about the verification, or
// {"no_event": why}.
func eventOf(c fixture.Case) ([]byte, error) {
	set, err := sharedSchemas()
	if err != nil {
		return nil, err
	}
	p := newPath(set, c)
	ctx := context.Background()
	placement := ""
	if c.Via == event.ViaCallback {
		placement = "header"
	}
	at := c.ReceivedAt
	if at.IsZero() {
		at = received
	}
	receipt, err := p.intake.Ingest(ctx, p.account,
		kycbridge.Payload{Via: c.Via, Placement: placement, ReceivedAt: at, ContentType: "application/json", Body: c.Body})
	if err != nil {
		return nil, err
	}
	if receipt.Status == kycbridge.ReceiptQuarantined {
		return json.Marshal(map[string]any{"no_event": "quarantined: " + receipt.Reason, "errors": receipt.Errors})
	}
	done, err := p.normalizer.Process(ctx, *p.memory.stored)
	if err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	if done.Event == nil {
		return json.Marshal(map[string]any{"no_event": done.NoEvent})
	}
	return p.memory.event, nil
}
