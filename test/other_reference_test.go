package test

import (
	"fmt"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

// TestAnswerAboutAnother: an answer of a provider's API about a verification other than the requested one makes no
// event, whatever its content (decision 22).
func TestAnswerAboutAnother(t *testing.T) {
	t.Parallel()
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
		if c.Via == event.ViaCallback {
			continue
		}
		tried[c.Provider]++
		p := newPath(set, c)
		fetched := kycbridge.Payload{Via: c.Via, ReceivedAt: received, ContentType: "application/json",
			Reference: "somebody-else", Body: c.Body}
		got, err := p.intake.Ingest(t.Context(), p.account, fetched)
		if err != nil || got.Status != kycbridge.ReceiptQuarantined || got.Reason != kycbridge.QuarantineUnidentified ||
			p.memory.stored != nil {
			t.Errorf("%s: %+v, %v", c.Dir(), got, err)
		}
	}
	for _, provider := range []string{"signzy", "ondato", "idwise", "kwikid"} {
		if tried[provider] == 0 {
			t.Errorf("%s: no fixture is an answer", provider)
		}
	}
}

// TestBlankReference: a blank provider's id is invalid. Otherwise all bodies with a blank id would belong to one
// verification, although they are about different persons.
func TestBlankReference(t *testing.T) {
	table, err := sharedProviders()
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{
		"signzy": `{"journeyId":%q,"currentStatus":"COMPLETED","step":"COMPLETE"}`,
		"ondato": `{"id":"e","type":"KycIdentification.Approved","createdUtc":"2025-03-02T09:00:00Z","payload":{"id":"k","identityVerificationId":%q,"status":"Approved"}}`,
		"idwise": `{"event":"Finished Journey","body":{"eventId":"e","journeyId":%q,"systemDecision":"Complete"}}`,
		"kwikid": `{"status":200,"session_data":{"session_id":%q,"session_status":"kyc_result_approved"}}`,
	}
	for provider, body := range bodies {
		for reference, refused := range map[string]string{"": "unidentified", " ": "unidentified",
			"\t\u00a0": "unidentified", "d0900000-0000-4000-8000-000000000001": ""} {
			via := event.ViaCallback
			if provider == "kwikid" {
				via = event.ViaPoll
			}
			is, err := ingest(table[provider],
				fixture.Case{Provider: provider, Via: via, Profile: event.ProfileFull, Body: fmt.Appendf(nil, body, reference)})
			if err != nil || is.refused != refused {
				t.Errorf("%s: the reference %q: %+v, %v", provider, reference, is, err)
			}
		}
	}
}
