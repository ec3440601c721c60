package event

import "testing"

// TestNamesInTheFormOfIDs: file names, phone numbers and dates of birth have the form of an id or an instant, and
// names in other scripts contain no word that a vocabulary of English could miss.
func TestNamesInTheFormOfIDs(t *testing.T) {
	hidden := []string{"jane-sample-1985", "jane_sample_7.jpg", "ID/jane1985", "RSSMRA85T10A562S", "SAMPLE850412AB9",
		"850412345", "\u0416\u0430\u043d\u043d\u0430 \u0421\u044d\u043c\u043f\u043b", "\u091c\u0947\u0928",
		"9876543210", "9876543210123",
		"1985-04-12T08:15:00Z", "2005-04-12T00:00:00Z", "2005-04-12T00:00:00.000+00:00"}
	for _, text := range hidden {
		d := Data{
			Media:     []Media{{Kind: "selfie", ProviderRef: text, Field: "files/0"}},
			Documents: []Document{{DocumentID: "document", Type: "passport", Subtype: text}},
			Reasons:   []Reason{{Code: "document.expired", ProviderCode: text}},
			Checks:    []Check{{CheckID: "mrz", Type: "mrz", ProviderResult: text}},
		}
		d.Provider.Status = map[string]any{"status_reason": text}
		Protect(&d, ProfileNone)
		shown := map[string]any{
			"media": d.Media[0].ProviderRef, "subtype": d.Documents[0].Subtype, "reason": d.Reasons[0].ProviderCode,
			"result": d.Checks[0].ProviderResult, "status": d.Provider.Status["status_reason"],
		}
		for member, value := range shown {
			if value == text {
				t.Errorf("%s shows %q", member, text)
			}
		}
	}
}

// TestReferencesAreShown: ids of images, words and times of events stay.
func TestReferencesAreShown(t *testing.T) {
	for _, ref := range []string{"1f2d3c4b-5a69-4788-8796-a5b4c3d2e1f0", "66b1c2d3e4f5a6b7c8d9e0f1", "front/image_2.jpg",
		"faces/6XQ5C3ZJW4V7ZK2N4MZB3S5Y2A", "img-doc-front-1", "img-extra-1"} {
		d := Data{Media: []Media{{Kind: "selfie", ProviderRef: ref, Field: "files/0"}}}
		Protect(&d, ProfileNone)
		if len(d.Media) != 1 || d.Media[0].ProviderRef != ref {
			t.Errorf("%q: %+v", ref, d.Media)
		}
	}
	for _, at := range []string{"2026-03-02T09:00:12.488Z", "1740906000", "1740906000123"} {
		d := Data{Reasons: []Reason{{Code: "document.expired", ProviderCode: at}}}
		Protect(&d, ProfileNone)
		if d.Reasons[0].ProviderCode != at {
			t.Errorf("%q: %+v", at, d.Reasons)
		}
	}
}
