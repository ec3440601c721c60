package test

import (
	"testing"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

// TestForeignApplication: an account with application ids accepts no body of another application, however its id is
// written, and accepts a body without an application.
func TestForeignApplication(t *testing.T) {
	t.Parallel()
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	ondato := app.Providers(set)["ondato"]
	const own, other = "A0000000-0000-4000-8000-00000000000A", "a0000000-0000-4000-8000-00000000000b"
	for _, tt := range []struct {
		ours   []string
		sent   string
		reason string
	}{
		{ours: nil, sent: other},
		{ours: []string{own}, sent: own},
		{ours: []string{own}, sent: "a0000000-0000-4000-8000-00000000000a"},
		{ours: []string{own, other}, sent: other},
		{ours: []string{own}, sent: ""},
		{ours: []string{own}, sent: other, reason: kycbridge.QuarantineForeign},
	} {
		p := newPath(set, cases[0])
		identify := p.account.Provider.Identify
		p.account.Provider.Foreign = ondato.Foreign
		p.account.Settings.Own = ondato.Decode(map[string]any{"application_ids": tt.ours})
		p.account.Provider.Identify = func(doc document.Object, via event.Via) kycbridge.Identity {
			id := identify(doc, via)
			id.Application = tt.sent
			return id
		}
		got, err := p.intake.Ingest(t.Context(), p.account,
			kycbridge.Payload{Via: cases[0].Via, ReceivedAt: received, Body: cases[0].Body})
		if err != nil || got.Reason != tt.reason || (p.memory.stored == nil) != (tt.reason != "") ||
			(len(got.Errors) > 0) != (tt.reason != "") {
			t.Errorf("of %q at an account of %q: %+v, %v", tt.sent, tt.ours, got, err)
		}
	}
}
