package normalize

import (
	"regexp"
	"strings"
	"testing"

	"kycbridge"
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
		if got := documentType(c.label, c.country); got != c.want {
			t.Errorf("documentType(%q, %q) = %q, want %q", c.label, c.country, got, c.want)
		}
	}
	if got := documentType(strings.Repeat("Long Label ", 100), ""); len(got) > maxLabel {
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
		d := newDocument(c.label, c.country, c.number)
		if d.Type != c.wantType || d.DocumentNumber != c.wantNumber {
			t.Errorf("newDocument(%q, %q, %q) = %s %s, want %s %s", c.label, c.country, c.number, d.Type, d.DocumentNumber, c.wantType, c.wantNumber)
		}
	}
}

func TestGender(t *testing.T) {
	for in, want := range map[string]string{
		"M": "male", "f": "female", "Male": "male", "FEMALE": "female", "<": "unspecified", "X": "unspecified",
		"T": "transgender", "Transgender": "transgender", "": "", "NA": "", "1": "", "2": "", "Non-Binary": "non_binary",
	} {
		if got := gender(in); got != want {
			t.Errorf("gender(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCodes(t *testing.T) {
	for in, want := range map[string]string{
		"LTU": "LTU", "ind": "IND", " D ": "D", "XXA": "XXA", "": "", "LTUX": "", "L1U": "", "ÅLA": "", "IN\nD": "",
	} {
		if got := alpha3(in); got != want {
			t.Errorf("alpha3(%q) = %q, want %q", in, got, want)
		}
	}
	for _, c := range []struct{ state, country, want string }{
		{"IN-MH", "IND", "IN-MH"}, {"MH", "IND", "IN-MH"}, {"ca", "USA", "US-CA"}, {"GR", "LTU", ""}, {"", "USA", ""},
		{"Maharashtra", "IND", ""},
	} {
		if got := region(c.state, c.country); got != c.want {
			t.Errorf("region(%q, %q) = %q, want %q", c.state, c.country, got, c.want)
		}
	}
}

func TestTriState(t *testing.T) {
	for in, want := range map[text]kycbridge.Result{
		"True": kycbridge.ResultPassed, "true": kycbridge.ResultPassed, "TRUE": kycbridge.ResultPassed,
		"False": kycbridge.ResultFailed, "false": kycbridge.ResultFailed,
		"None": kycbridge.ResultNotPerformed, "NA": kycbridge.ResultNotPerformed, "Not Started": kycbridge.ResultNotPerformed,
		"yes": kycbridge.ResultUndetermined, "1": kycbridge.ResultUndetermined,
	} {
		if got, ok := triState(in); got != want || !ok {
			t.Errorf("triState(%q) = %q %v, want %q", in, got, ok, want)
		}
	}
	if _, ok := triState(""); ok {
		t.Error("what was not sent is a check")
	}
}

func TestWorst(t *testing.T) {
	field := func(results ...kycbridge.Result) (fields []kycbridge.CheckField) {
		for _, r := range results {
			fields = append(fields, kycbridge.CheckField{Result: r})
		}
		return fields
	}
	const (
		passed, failed = kycbridge.ResultPassed, kycbridge.ResultFailed
		unsure, none   = kycbridge.ResultUndetermined, kycbridge.ResultNotPerformed
	)
	for _, c := range []struct {
		fields []kycbridge.CheckField
		want   kycbridge.Result
	}{
		{nil, none}, {field(none, none), none}, {field(none, passed), passed}, {field(passed, none), passed},
		{field(passed, unsure), unsure}, {field(unsure, passed), unsure}, {field(unsure, failed), failed},
	} {
		if got := worst(c.fields); got != c.want {
			t.Errorf("worst(%v) = %q, want %q", c.fields, got, c.want)
		}
	}
}

var (
	codePattern   = regexp.MustCompile(`^[a-z]+\.[a-z0-9_]+$`)
	typePattern   = regexp.MustCompile(`^x_[a-z0-9_]+$`)
	detailPattern = regexp.MustCompile(`^([a-z][a-z0-9_]*)?$`)
)

// checkTypes is the vocabulary of EVENT section 6.
var checkTypes = map[string]bool{
	kycbridge.CheckDocumentRecognition: true, kycbridge.CheckDocumentAccepted: true, kycbridge.CheckDocumentAuthenticity: true,
	kycbridge.CheckDocumentExpiry: true, kycbridge.CheckImageQuality: true, kycbridge.CheckMRZ: true, kycbridge.CheckBarcode: true,
	kycbridge.CheckChip: true, kycbridge.CheckDataExtraction: true, kycbridge.CheckDataConsistency: true,
	kycbridge.CheckDataMatch: true, kycbridge.CheckDatabase: true, kycbridge.CheckFaceMatch: true, kycbridge.CheckLiveness: true,
	kycbridge.CheckFaceDuplicate: true, kycbridge.CheckDuplicate: true, kycbridge.CheckAge: true, kycbridge.CheckAML: true,
	kycbridge.CheckGeolocation: true, kycbridge.CheckIPRisk: true, kycbridge.CheckDeviceRisk: true, kycbridge.CheckContactOTP: true,
	kycbridge.CheckQuestionnaire: true, kycbridge.CheckAgentReview: true,
}

// lawful checks what holds of every observation, whatever the payload says.
func lawful(t *testing.T, o kycbridge.Observation) {
	t.Helper()
	if o.Effect == kycbridge.EffectNone || o.Effect == kycbridge.EffectFetch {
		if o.Ignored == "" {
			t.Error("nothing to publish and no word why")
		}
		return
	}
	if o.Status == "" || o.EventName == "" && o.Effect == kycbridge.EffectVerdict || len(o.References) == 0 || !detailPattern.MatchString(o.StatusDetail) {
		t.Errorf("status %q detail %q event %q references %v", o.Status, o.StatusDetail, o.EventName, o.References)
	}
	d := o.Decision
	if d.Final && (o.Status != kycbridge.StatusCompleted || d.Outcome != kycbridge.OutcomeApproved && d.Outcome != kycbridge.OutcomeRejected) {
		t.Errorf("final %q in status %q", d.Outcome, o.Status)
	}
	if d.Outcome != "" && d.Outcome != kycbridge.OutcomeNone && o.Effect != kycbridge.EffectVerdict {
		t.Errorf("outcome %q with effect %d", d.Outcome, o.Effect)
	}
	if (o.Effect == kycbridge.EffectEnd) != o.Status.Closed() {
		t.Errorf("effect %d in status %q", o.Effect, o.Status)
	}
	for _, r := range o.Reasons {
		if !codePattern.MatchString(r.Code) {
			t.Errorf("reason code %q", r.Code)
		}
	}
	seen := map[string]bool{}
	for _, c := range o.Checks {
		if !checkTypes[c.Type] && !typePattern.MatchString(c.Type) {
			t.Errorf("check type %q", c.Type)
		}
		if seen[c.CheckID] || c.CheckID == "" {
			t.Errorf("check id %q is not unique", c.CheckID)
		}
		seen[c.CheckID] = true
		if c.Score != nil && !(*c.Score >= 0 && *c.Score <= 1) {
			t.Errorf("score %v", *c.Score)
		}
		if c.Result == "" {
			t.Errorf("check %q without result", c.CheckID)
		}
	}
	for _, doc := range o.Documents {
		if doc.Type == "" || doc.DocumentID == "" {
			t.Errorf("document %+v", doc)
		}
	}
}
