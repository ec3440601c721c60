package values

import (
	"strings"
	"testing"

	"kycbridge/event"
)

func TestDocumentType(t *testing.T) {
	for _, c := range []struct{ label, country, want string }{
		{"Passport", "IND", "passport"},
		{"IdCard", "LTU", "idcard"},
		{"ID Card", "", "idcard"},
		{"NATIONAL_ID", "", "idcard"},
		{"DriverLicense", "LTU", "driving_permit"},
		{"Driver's License", "USA", "driving_permit"},
		{"Driving License", "IND", "driving_permit"},
		{"ResidencePermit", "", "residence_permit"},
		{"Aadhaar Card", "", "in_aadhaar"},
		{"masked aadhar (front)", "USA", "in_aadhaar"},
		{"PAN Card", "IND", "in_pan"},
		{"pan", "", "in_pan"},
		{"Indian PAN card", "", "in_pan"},
		{"India - Voter ID", "USA", "in_voter_id"},
		{"Voter ID", "IND", "in_voter_id"},
		{"Voter ID", "MEX", "voter_id"},
		{"Emirates ID", "ARE", "ae_emirates_id"},
		{"StudentCard 2", "", "student_card_2"},
		{"Seaman's Book", "", "seamans_book"},
		{"  ", "", "unknown"},
		{"паспорт", "", "unknown"},
		{"\x00\xff;DROP'\n", "", "drop"},
	} {
		if got := DocumentType(c.label, c.country); got != c.want {
			t.Errorf("documentType(%q, %q) = %q, want %q", c.label, c.country, got, c.want)
		}
	}
	if got := DocumentType(strings.Repeat("Long Label ", 100), ""); len(got) > MaxLabel {
		t.Errorf("a long label gives %d bytes", len(got))
	}
}

func TestNewDocumentGuardsAadhaarNumbers(t *testing.T) {
	for _, c := range []struct{ label, country, number, wantType, wantNumber string }{
		{"Aadhaar", "IND", "2345 6789 0123", "in_aadhaar", "0123"},
		{"ID Card", "IND", "234567890123", "in_aadhaar", "0123"},
		{"ID Card", "IND", "9123-4567-8901-2345", "in_aadhaar", "2345"},
		{"ID Card", "IND", "1234", "idcard", "1234"},
		{"ID Card", "LTU", "234567890123", "idcard", "234567890123"},
		{"Driving License", "IND", "234567890123", "driving_permit", "234567890123"},
	} {
		d := NewDocument(c.label, c.country, c.number)
		if d.Type != c.wantType || d.DocumentNumber != c.wantNumber {
			t.Errorf("newDocument(%q, %q, %q) = %s %s, want %s %s", c.label, c.country, c.number, d.Type, d.DocumentNumber,
				c.wantType, c.wantNumber)
		}
	}
}

func TestGender(t *testing.T) {
	for in, want := range map[string]string{
		"M": "male", "f": "female", "Male": "male", "FEMALE": "female", "<": "unspecified", "X": "unspecified",
		"T": "transgender", "Transgender": "transgender", "": "", "NA": "", "1": "", "2": "", "Non-Binary": "non_binary",
	} {
		if got := Gender(in); got != want {
			t.Errorf("gender(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCodes(t *testing.T) {
	for in, want := range map[string]string{
		"LTU": "LTU", "ind": "IND", " D ": "D", "XXA": "XXA", "": "", "LTUX": "", "L1U": "", "ÅLA": "", "IN\nD": "",
	} {
		if got := Alpha3(in); got != want {
			t.Errorf("alpha3(%q) = %q, want %q", in, got, want)
		}
	}
	for _, c := range []struct{ state, country, want string }{
		{"IN-MH", "IND", "IN-MH"}, {"MH", "IND", "IN-MH"}, {"ca", "USA", "US-CA"}, {"GR", "LTU", ""}, {"", "USA", ""},
		{"Maharashtra", "IND", ""},
	} {
		if got := Region(c.state, c.country); got != c.want {
			t.Errorf("region(%q, %q) = %q, want %q", c.state, c.country, got, c.want)
		}
	}
}

func TestTriState(t *testing.T) {
	for in, want := range map[string]event.Result{
		"True": event.ResultPassed, "true": event.ResultPassed, "TRUE": event.ResultPassed,
		"False": event.ResultFailed, "false": event.ResultFailed,
		"None": event.ResultNotPerformed, "NA": event.ResultNotPerformed, "Not Started": event.ResultNotPerformed,
		"yes": event.ResultUndetermined, "1": event.ResultUndetermined,
	} {
		if got, ok := TriState(in); got != want || !ok {
			t.Errorf("triState(%q) = %q %v, want %q", in, got, ok, want)
		}
	}
	if _, ok := TriState(""); ok {
		t.Error("what was not sent is a check")
	}
}

func TestWorst(t *testing.T) {
	field := func(results ...event.Result) (fields []event.CheckField) {
		for _, r := range results {
			fields = append(fields, event.CheckField{Result: r})
		}
		return fields
	}
	const (
		passed, failed = event.ResultPassed, event.ResultFailed
		unsure, none   = event.ResultUndetermined, event.ResultNotPerformed
	)
	for _, c := range []struct {
		fields []event.CheckField
		want   event.Result
	}{
		{nil, none}, {field(none, none), none}, {field(none, passed), passed}, {field(passed, none), passed},
		{field(passed, unsure), unsure}, {field(unsure, passed), unsure}, {field(unsure, failed), failed},
	} {
		if got := Worst(c.fields); got != c.want {
			t.Errorf("worst(%v) = %q, want %q", c.fields, got, c.want)
		}
	}
}

// TestPlaceholders: a text without a letter or a digit is no name, no number and no address, in whatever script.
func TestPlaceholders(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"-", ""}, {" -- ", ""}, {".", ""}, {"\u200b", ""}, {"***", ""}, {"<<<", ""},
		{" O ", "O"}, {"-5", "-5"}, {"测试", "测试"}, {"१२", "१२"},
	} {
		claims := event.Claims{}
		SetNames(claims, c.text, c.text, "", "")
		if got, _ := claims["given_name"].(string); got != c.want || len(claims) != 2*min(1, len(c.want)) {
			t.Errorf("the name %q gives %v", c.text, claims)
		}
		if d := NewDocument("Passport", "LTU", c.text); d.DocumentNumber != c.want {
			t.Errorf("the number %q gives %q", c.text, d.DocumentNumber)
		}
	}
}
