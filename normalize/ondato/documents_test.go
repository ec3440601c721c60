package ondato

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

func TestFacts(t *testing.T) {
	o := mapped(t, hook("KycIdentification.Approved", `"applicationId":"A1","externalReferenceId":"ref-1","status":"Approved","statusReason":"ManuallyIdentified",
		"isCrossChecked":false,"completedUtc":"2026-03-02T09:00:11Z","setup":{"id":"S2","versionId":"V2"},
		"document":{"fullName":"Testa Sample","firstName":"Testa","middleName":"","lastName":"Sample","documentNumber":"X1","dateOfIssue":"2021-05-04",
		"dateOfExpiration":"2031-05-04","dateOfBirth":"1990-02-01","personalCode":"000.000","address":"1 Example Street","nationalityIso3":"ltu",
		"countryIso3":"USA","countryStateIso2":"GR","gender":"Female","type":"DriverLicense","category":"B",
		"files":[{"fileId":"F1","fileExtension":"jpeg","part":"Front","fileType":"DocumentPhoto"},{"fileId":"F2","part":"Back","fileType":"DocumentPhoto"},{"part":"Back"}]},
		"face":{"ageEstimation":30,"files":[{"fileId":"F3","fileType":"SelfieWithDoc"}]},
		"additionalFiles":[{"fileId":"F4","fileExtension":"Mp4","fileType":"ProofOfAddress"},{"fileId":"F5","fileType":"Recording"}]`), kycbridge.Settings{})
	if want := (event.Claims{
		"name": "Testa Sample", "given_name": "Testa", "family_name": "Sample", "birthdate": "1990-02-01", "gender": "female",
		"nationalities": []string{"LTU"}, "personal_number": "000.000",
		"address": map[string]string{"formatted": "1 Example Street"},
	}); !reflect.DeepEqual(o.ExtractedClaims, want) {
		t.Errorf("claims %v", o.ExtractedClaims)
	}
	if want := []event.Document{{
		DocumentID: "document", Type: "driving_permit", Subtype: "B", DocumentNumber: "X1", DateOfIssuance: "2021-05-04",
		DateOfExpiry: "2031-05-04", Issuer: &event.Issuer{CountryCode: "USA", Jurisdiction: "US-GR"},
	}}; !reflect.DeepEqual(o.Documents, want) {
		t.Errorf("documents %+v", o.Documents)
	}
	if want := []event.Media{
		{Kind: "document_front", MediaType: "image/jpeg", ProviderRef: "f1", Field: "document.files[0]"},
		{Kind: "document_back", ProviderRef: "f2", Field: "document.files[1]"},
		{Kind: "selfie", ProviderRef: "f3", Field: "face.files[0]"},
		{Kind: "proof_of_address", MediaType: "video/mp4", ProviderRef: "f4", Field: "additionalFiles[0]"},
		{Kind: "other", ProviderRef: "f5", Field: "additionalFiles[1]"},
	}; !reflect.DeepEqual(o.Media, want) {
		t.Errorf("media %+v", o.Media)
	}
	if want := map[string]any{"kyc_status": "Approved", "kyc_status_reason": "ManuallyIdentified",
		"kyc_is_cross_checked": false}; !reflect.DeepEqual(o.ProviderStatus, want) {
		t.Errorf("provider status %v", o.ProviderStatus)
	}
	if want := map[string]string{"idv_id": testIDV, "kyc_identification_id": testKYC, "kyc_setup_id": "s2",
		"application_id": "a1"}; !reflect.DeepEqual(o.References, want) {
		t.Errorf("references %v", o.References)
	}
	if o.FlowID != "" || o.ExternalReference != "ref-1" || o.EventID != "e1" ||
		o.EventName != "KycIdentification.Approved" {
		t.Errorf("flow %q reference %q event %q %q", o.FlowID, o.ExternalReference, o.EventID, o.EventName)
	}
	if o.Decision.DecidedAt != "2026-03-02T09:00:11Z" ||
		!o.OccurredAt.Equal(time.Date(2026, 3, 2, 9, 0, 12, 488664600, time.UTC)) {
		t.Errorf("decided %q occurred %v", o.Decision.DecidedAt, o.OccurredAt)
	}
}

// TestNumbersOfDocuments: a JSON number is read where the value is a number, and never as a name.
func TestNumbersOfDocuments(t *testing.T) {
	o := mapped(t, bareKYC(`"status":"Approved","externalReferenceId":42,"document":{"documentNumber":123456789,"personalCode":9876,"fullName":5,"firstName":true,"type":1,"category":2,"gender":3,"address":4}`), kycbridge.Settings{})
	if want := []event.Document{{DocumentID: "document", Type: "unknown",
		DocumentNumber: "123456789"}}; !reflect.DeepEqual(o.Documents, want) {
		t.Errorf("documents %+v", o.Documents)
	}
	if want := (event.Claims{"personal_number": "9876"}); !reflect.DeepEqual(o.ExtractedClaims, want) ||
		o.ExternalReference != "42" {
		t.Errorf("claims %v, external reference %q", o.ExtractedClaims, o.ExternalReference)
	}
	o = mapped(t, bareKYC(`"status":"Approved","document":{"documentNumber":1.5e9,"personalCode":-7}`),
		kycbridge.Settings{})
	if o.Documents != nil || o.ExtractedClaims != nil {
		t.Errorf("documents %+v, claims %v", o.Documents, o.ExtractedClaims)
	}
}

// TestLittleOfADocument: one value of a document is enough to be shown; the result of a check is none of it.
func TestLittleOfADocument(t *testing.T) {
	for member, want := range map[string]event.Document{
		`"documentNumber":"X0000001"`:     {DocumentNumber: "X0000001"},
		`"dateOfIssue":"2021-05-04"`:      {DateOfIssuance: "2021-05-04"},
		`"dateOfExpiration":"2031-05-04"`: {DateOfExpiry: "2031-05-04"},
		`"category":"B"`:                  {Subtype: "B"},
		`"countryIso3":"LTU"`:             {Issuer: &event.Issuer{CountryCode: "LTU"}},
		`"mrzVerified":true,"files":[]`:   {},
	} {
		o := mapped(t, bareKYC(`"status":"Approved","document":{`+member+`}`), kycbridge.Settings{})
		var documents []event.Document
		if want != (event.Document{}) {
			want.DocumentID, want.Type = "document", "unknown"
			documents = []event.Document{want}
		}
		if !reflect.DeepEqual(o.Documents, documents) {
			t.Errorf("%s: %+v", member, o.Documents)
		}
	}
}

// TestDates: a date is read if its meaning is certain; a date that is present and cannot be true is
// reported.
func TestDates(t *testing.T) {
	received := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct{ birth, expiry, wantBirth, wantExpiry, unread string }{
		{"1990-02-01", "2031-05-04", "1990-02-01", "2031-05-04", ""},
		{"1990-02-01T00:00:00Z", "04.05.2031", "1990-02-01", "2031-05-04", ""},
		{"01 FEB 1990", "04-05-2031", "1990-02-01", "2031-05-04", ""},
		{"1990-02", "2031-05", "1990", "", "date_of_expiry"},
		{"0001-01-01", "0001-01-01T00:00:00", "", "", "birthdate date_of_expiry"},
		{"2533-02-01", "2574-05-04", "", "", "birthdate date_of_expiry"},
		{"1410-06-21", "1455-05-04", "", "", "birthdate date_of_expiry"},
		{"2026-03-03", "2031-02-30", "", "", "birthdate date_of_expiry"},
		{"", "", "", "", ""},
	} {
		body := hook("KycIdentification.Approved",
			`"status":"Approved","document":{"type":"Passport","dateOfBirth":"`+c.birth+`","dateOfExpiration":"`+c.expiry+`"}`)
		o, err := mapPayload(kycbridge.Payload{Via: event.ViaCallback, ReceivedAt: received, Body: []byte(body)},
			kycbridge.Settings{})
		if err != nil || o.Decision.Outcome != event.OutcomeApproved {
			t.Fatalf("%+v, %v", o.Decision, err)
		}
		birth, _ := o.ExtractedClaims["birthdate"].(string)
		var unread []string
		for _, f := range normalizetest.CheckOf(o, event.CheckDataExtraction).Fields {
			unread = append(unread, f.Field)
		}
		slices.Sort(unread)
		if birth != c.wantBirth || o.Documents[0].DateOfExpiry != c.wantExpiry || strings.Join(unread, " ") != c.unread {
			t.Errorf("%q %q: birth %q, expiry %q, unread %v", c.birth, c.expiry, birth, o.Documents[0].DateOfExpiry, unread)
		}
	}
}

// TestCountries: identity data take alpha-3 codes, and the codes of ICAO 9303 that are not ISO codes.
func TestCountries(t *testing.T) {
	for raw, want := range map[string]string{"LTU": "LTU", "lt": "LTU", " LT ": "LTU", "D": "D", "UNO": "UNO",
		"RKS": "RKS", "uk": "GBR", "Lithuania": "", "440": "", "QQ": ""} {
		o := mapped(t, bareKYC(`"status":"Approved","document":{"type":"Passport","countryIso3":"`+raw+`","nationalityIso3":"`+raw+`"}`), kycbridge.Settings{})
		issuer, nationalities := "", ""
		if o.Documents[0].Issuer != nil {
			issuer = o.Documents[0].Issuer.CountryCode
		}
		if list, ok := o.ExtractedClaims["nationalities"].([]string); ok {
			nationalities = strings.Join(list, " ")
		}
		if issuer != want || nationalities != want {
			t.Errorf("%q: issuer %q, nationalities %q", raw, issuer, nationalities)
		}
	}
}
