package console

import (
	"slices"
	"testing"

	"kycbridge"
	"kycbridge/event"
)

// TestOrigins: copied values are found at their source, and none of them is shown.
func TestOrigins(t *testing.T) {
	body := `{"payload":{"status":"Approved","document":{"firstName":"Testa","jane@example.com":"Example","number":12345}}}`
	d := &event.Data{ExtractedClaims: event.Claims{"given_name": "Testa", "note": "Example"}}
	d.Provider.Status = map[string]any{"kyc_status": "Approved"}
	d.Documents = []event.Document{{DocumentNumber: "12345"}}
	got := originsOf(kycbridge.Kept{Payload: kycbridge.Payload{Body: []byte(body)}}, d)
	want := []origin{
		{"/documents/0/document_number", "/payload/document/number"},
		{"/extracted_claims/given_name", "/payload/document/firstName"},
		{"/extracted_claims/note", "/payload/document/*"},
		{"/provider/status/kyc_status", "/payload/status"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("origins %q", got)
	}
}
