package kycbridge

import (
	"encoding/json"
	"testing"
	"time"

	"kycbridge/event"
)

// TestNoticeOfAStart: the provider's answer to a start is in its payload, and its facts are in the
// observation, which decides nothing and has no time.
func TestNoticeOfAStart(t *testing.T) {
	account := &Account{Name: "acme", Provider: Provider{Name: "signzy", ReferenceName: "journey_id"}}
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	p, err := Notice{
		Notice: NoticeStarted, Reference: "AB12", At: at, ExternalReference: "case-1", FlowID: "f", FlowVersion: "7",
		Test:     true,
		LinkSent: true, ExpiresAt: at.Add(24 * time.Hour), Answer: json.RawMessage(`{"ttl":"24 hours"}`),
	}.Payload(account, event.ViaStart)
	if err != nil {
		t.Fatal(err)
	}
	var body struct{ Answer map[string]string }
	if err := json.Unmarshal(p.Body, &body); err != nil || body.Answer["ttl"] != "24 hours" || p.Via != event.ViaStart ||
		!p.Notice {
		t.Errorf("%s, %v", p.Body, err)
	}
	o, err := account.Observe(p)
	if err != nil {
		t.Fatal(err)
	}
	if o.Effect != EffectNote || o.Decision.Outcome != "" || o.FlowID != "f" || o.FlowVersion != "7" || !o.Test {
		t.Errorf("%+v", o)
	}
	if o.Session == nil || o.Session.ExpiresAt != "2026-03-03T09:00:00Z" || o.ExternalReference != "case-1" ||
		o.References["journey_id"] != "AB12" {
		t.Errorf("%+v", o)
	}
}
