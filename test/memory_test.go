package test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"kycbridge"
	"kycbridge/internal/app"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

// memory stands where the streams stand, for tests that look at one payload and its event only.
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

func (m *memory) Refuse(context.Context, kycbridge.Payload, kycbridge.Request) {}

func (m *memory) Last(context.Context, kycbridge.Key, bool) (kycbridge.State, error) {
	return kycbridge.State{Read: true}, nil
}

func (m *memory) Publish(_ context.Context, _ kycbridge.Key, _ kycbridge.Kind, _ *kycbridge.Event, body []byte, _ uint64) error {
	m.event = body
	return nil
}

func (m *memory) History(context.Context, kycbridge.Key, func(kycbridge.Payload) error) error {
	return nil
}

// path is Intake and Normalizer around a memory, with one account made for a fixture.
type path struct {
	memory     memory
	account    *kycbridge.Account
	intake     kycbridge.Intake
	normalizer kycbridge.Normalizer
}

func newPath(set *schemas.Set, c fixture.Case) *path {
	p := &path{account: &kycbridge.Account{
		Name: "acme", Provider: app.Providers(set)[c.Provider], Environment: kycbridge.EnvironmentTest,
		Profile: c.Profile, Settings: c.Settings, TrustFramework: c.Trust,
	}}
	p.intake = kycbridge.Intake{Decode: app.Decode, Log: &p.memory, Quarantine: &p.memory, Refusals: &p.memory}
	p.normalizer = kycbridge.Normalizer{
		Accounts: kycbridge.Accounts{{Provider: c.Provider, Account: "acme"}: p.account},
		Events:   &p.memory, Log: &p.memory, Quarantine: &p.memory,
		Mapping:    app.Mapping,
		TypePrefix: "io.kycbridge", SourcePrefix: "/kycbridge", MaxAttempts: 1,
		Now: func() time.Time { return recorded },
	}
	return p
}

// theSchemas are compiled once for all fixtures.
var theSchemas = sync.OnceValues(schemas.New)

// eventOf hands a fixture in and returns the event it becomes where nothing is known of the
// verification, or {"no_event": why}.
func eventOf(c fixture.Case) ([]byte, error) {
	set, err := theSchemas()
	if err != nil {
		return nil, err
	}
	p := newPath(set, c)
	ctx := context.Background()
	receipt, err := p.intake.Ingest(ctx, p.account, kycbridge.Payload{Via: c.Via, ReceivedAt: received, ContentType: "application/json", Body: c.Body})
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
