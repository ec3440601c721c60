package event

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWordsOf(t *testing.T) {
	for s, want := range map[string]string{
		"journeyId": "journey id", "kyc_result_approved": "kyc result approved", "KYCResult2": "kyc result 2",
		"Finished Journey": "finished journey",
		"NotUnder18":       "not under 18", "IS_VIDO_UPLOADED": "is vido uploaded",
		"detailsOptical.imageQA": "details optical image qa", "x": "x", "": "", "__": "",
		"KycIdentification.Document.Created": "kyc identification document created", "mp4": "mp 4", "é1": "1", "ABc": "a bc",
	} {
		if got := strings.Join(wordsOf(s), " "); got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	}
}

func TestHarmlessWord(t *testing.T) {
	for _, s := range []string{
		"APPROVED", "kyc_result_approved", "LINK_EXPIRED", "Frozen", "On Hold", "KycIdentification.Paused", "NotUnder18",
		"200", "503", "rule.NotUnder18",
		"documents.0.validation.security_features", "Document Classification (Front)", "image.poor_quality",
		"some_new_status", "True", "n/a", "2 of 3",
	} {
		if !HarmlessWord(strings.ReplaceAll(s, "n/a", "na")) {
			t.Errorf("%q is not shown", s)
		}
	}
	for _, s := range []string{
		"", " ", "_", "Testa", "TESTA SAMPLE", "Testa_Approved", "approved by Testa", "testa@example.com",
		"+370 600 00001", "1234", "12 34 5", "1990-02-01",
		"203.0.113.7", "2001:db8::7", "X0000001", "AAAAA0000A", "Žoržas", "Approvéd", "approved\n", "approved 12345",
		"5e551000-0000-4000-8000-000000000001",
		strings.Repeat("approved ", 12),
	} {
		if HarmlessWord(s) {
			t.Errorf("%q is shown", s)
		}
	}
	if HarmlessWord("x_acme_selfie") || !HarmlessWord("x_acme_selfie", "acme") {
		t.Error("a provider's name is harmless where it is the provider")
	}
}

func TestHarmless(t *testing.T) {
	for _, c := range []struct {
		member string
		v      any
		want   bool
	}{
		{"status", "Approved", true},
		{"status", "Testa Sample", false},
		{"statusReason", "PoorPhotoQuality", true},
		{"reason", "Testa Sample was not recognised", false},
		{"name", "Approved", false},
		{"journeyId", "AB12CD34EF", true},
		{"journeyid", "65f000000000000000000001", true},
		{"journeyId", "Testa Sample", false},
		{"journeyId", "TESTA", false},
		{"journeyId", "1990-02-01", false},
		{"journeyId", someAadhaar, false},
		{"spot_check_journey_id", "5e551000-0000-4000-8000-000000000001", true},
		{"userId", "user-1", false},
		{"document_id", "X0000001", false},
		{"paid", "12", false},
		{"check_id", "face_match", true},
		{"check_id", "rule.testa", false},
		{"createdUtc", "2026-03-02T09:00:12.4886646Z", true},
		{"start_time", "2023-01-26T08:12:00.962462", true},
		{"start_time", "1740906030", true},
		{"completedAt", 1740906319271.0, true},
		{"createdAt", "2026-03-02 09:00:12+05:30", true},
		{"createdAt", "2026-03-02", false},
		{"createdAt", "2026-03-02T09:00 Testa", false},
		{"createdAt", "Testa", false},
		{"lat", "12.5123", false},
		{"format", "1740906030", false},
		{"matchPercentage", "97.50%", true},
		{"score", 0.967123456, true},
		{"score", "5550187342", false},
		{"country", "IN", true},
		{"countryCode", "LTU", true},
		{"country", "Testaland", false},
		{"dateOfBirth", "1990-02-01", false},
		{"gender", "Female", false},
		{"isValid", true, true},
		{"anything", nil, true},
		{"anything", "", true},
		{"status", map[string]any{"a": 1}, false},
		{"status", []any{"Approved"}, false},
		{"", "Approved", false},
	} {
		if got := Harmless(c.member, c.v); got != c.want {
			t.Errorf("%s %v: %v", c.member, c.v, got)
		}
	}
}

func TestDifferencesMasked(t *testing.T) {
	before := approvedState()
	before.Provider = ProviderData{Name: "acme", References: map[string]string{"journey_id": "J1"},
		Status: map[string]any{"status": "OPEN", "TESTA@example.com": 1}}
	after := approvedState()
	after.Provider = ProviderData{Name: "acme", References: map[string]string{"journey_id": "Testa"},
		Status: map[string]any{"status": "Testa", "TESTA@example.com": 2}}
	after.ExternalReference = "case-7"
	after.ExtractedClaims = Claims{"name": "Testa Sample"}
	after.Reasons = []Reason{{Code: "document.expired", ProviderCode: "Testa Sample", CheckID: "rule.testa"},
		{Code: "face.mismatch", ProviderCode: "FACE_MISMATCH"}}
	after.Checks[1].Type, after.Checks[1].ProviderCheck = "x_acme_selfie", "Testa"
	after.Checks[2].Details = map[string]any{"attempts": 2, "remark": "Testa", "Testa Sample": true}
	after.Decision.DecidedAt = "2026-03-03T10:00:00Z"
	after.Documents[1].Type = "idcard"

	shown := map[string]Difference{}
	for _, d := range Differences(&before, &after) {
		m := d.Masked()
		if d.Personal == cmp.Equal(d.Before, m.Before) && d.Path == m.Path && cmp.Equal(d.After, m.After) {
			t.Errorf("%s: personal is %v", d.Path, d.Personal)
		}
		shown[m.Path] = m
	}
	if text := asJSON(t, shown); strings.Contains(strings.ToLower(text), "testa") || strings.Contains(text, "P1234567") {
		t.Error(text)
	}
	for path, want := range map[string]Difference{
		"/decision/decided_at":            {Before: "2026-03-02T10:00:00Z", After: "2026-03-03T10:00:00Z"},
		"/provider/status/status":         {Before: "OPEN", After: maskedValue, Personal: true},
		"/provider/status/*":              {Before: maskedValue, After: maskedValue, Personal: true},
		"/provider/references/journey_id": {Before: "J1", After: maskedValue, Personal: true},
		"/external_reference":             {After: maskedValue, Personal: true},
		"/documents/1/type":               {Before: maskedValue, After: maskedValue, Personal: true},
		"/checks/1/type":                  {Before: "face_match", After: "x_acme_selfie"},
		"/checks/1/provider_check":        {After: maskedValue, Personal: true},
		"/checks/2/details": {After: map[string]any{"attempts": 2.0, "remark": maskedValue, "*": true},
			Personal: true},
		"/reasons": {After: []any{
			map[string]any{"code": "document.expired", "provider_code": maskedValue, "check_id": maskedValue},
			map[string]any{"code": "face.mismatch", "provider_code": "FACE_MISMATCH"},
		}, Personal: true},
	} {
		got, ok := shown[path]
		got.Path = ""
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Difference{})); diff != "" || !ok {
			t.Errorf("%s: %s", path, diff)
		}
	}
}
