package test

import (
	"testing"

	"kycbridge"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

// TestAnswerAboutAnother: an answer of a provider's API that speaks of another verification than the
// one that was asked about becomes nobody's event, whatever it says (decision 22).
func TestAnswerAboutAnother(t *testing.T) {
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]int{}
	for _, c := range cases {
		if c.Via == kycbridge.ViaCallback {
			continue
		}
		tried[c.Provider]++
		p := newPath(set, c)
		fetched := kycbridge.Payload{Via: c.Via, ReceivedAt: received, ContentType: "application/json", Reference: "somebody-else", Body: c.Body}
		got, err := p.intake.Ingest(t.Context(), p.account, fetched)
		if err != nil || got.Status != kycbridge.ReceiptQuarantined || got.Reason != kycbridge.QuarantineUnidentified || p.memory.stored != nil {
			t.Errorf("%s: %+v, %v", c.Dir(), got, err)
		}
	}
	for _, provider := range []string{"signzy", "ondato", "idwise", "kwikid"} {
		if tried[provider] == 0 {
			t.Errorf("%s: no fixture is an answer", provider)
		}
	}
}
