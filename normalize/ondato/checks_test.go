package ondato

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

// TestReasons covers every documented statusReason in both casings.
func TestReasons(t *testing.T) {
	for _, c := range []struct {
		pascal, screaming, code string
		retryable               bool
		check                   string
	}{
		{"MissingDocumentPhoto", "MISSING_DOCUMENT_PHOTO", "document.missing", true, ""},
		{"DocumentNotAccepted", "DOCUMENT_NOT_ACCEPTED", "document.type_not_accepted", true, ""},
		{"DataDoesNotMatch", "DATA_DOES_NOT_MATCH", "data.mismatch", true, "data_match"},
		{"Sanctioned", "SANCTIONED", "aml.sanctions", false, "aml"},
		{"MissingSelfiePhoto", "MISSING_SELFIE_PHOTO", "face.missing", true, ""},
		{"FacesDoesNotMatch", "FACES_DOES_NOT_MATCH", "face.mismatch", true, ""},
		{"PoorPhotoQuality", "POOR_PHOTO_QUALITY", "image.poor_quality", true, "image_quality"},
		{"PoorPhotoLighting", "POOR_PHOTO_LIGHTING", "image.too_dark", true, "image_quality"},
		{"BlurredPhoto", "BLURRED_PHOTO", "image.blurred", true, "image_quality"},
		{"BadMediaFormat", "BAD_MEDIA_FORMAT", "image.wrong_format", true, ""},
		{"Miscellaneous", "MISCELLANEOUS", "review.other", false, ""},
		{"PossibleFraudAttempt", "POSSIBLE_FRAUD_ATTEMPT", "risk.fraud_suspected", false, ""},
		{"UnrelatedPhoto", "UNRELATED_PHOTO", "image.wrong_content", true, ""},
		{"MoreThanOnePerson", "MORE_THAN_ONE_PERSON", "face.multiple", true, ""},
		{"ProhibitedCountryOrState", "PROHIBITED_COUNTRY_OR_STATE", "document.country_not_accepted", false, ""},
		{"DocumentIsExpired", "DOCUMENT_IS_EXPIRED", "document.expired", true, ""},
		{"DocumentWithNonLatinCharacters", "DOCUMENT_WITH_NON_LATIN_CHARACTERS", "document.script_not_supported", true, ""},
		{"PartOfDocumentIsCovered", "PART_OF_DOCUMENT_IS_COVERED", "image.obscured", true, ""},
		{"NameMismatch", "NAME_MISMATCH", "data.mismatch", true, ""},
		{"ExpirationDateMismatch", "EXPIRATION_DATE_MISMATCH", "data.mismatch", true, ""},
		{"IncorrectInformationProvided", "INCORRECT_INFORMATION_PROVIDED", "data.mismatch", true, ""},
		{"PartOfFaceIsCovered", "PART_OF_FACE_IS_COVERED", "face.occluded", true, ""},
		{"UnderagePerson", "UNDERAGE_PERSON", "data.underage", false, ""},
		{"ProhibitedNationality", "PROHIBITED_NATIONALITY", "data.nationality_not_accepted", false, ""},
		{"DocAndBioAgeDoesntMatch", "DOC_AND_BIO_AGE_DOESNT_MATCH", "data.age_mismatch", false, ""},
		{"DuplicatedInfo", "DUPLICATED_INFO", "risk.duplicate_applicant", false, ""},
	} {
		for _, raw := range []string{c.pascal, c.screaming} {
			o := mapped(t, hook("KycIdentification.Rejected", `"status":"Rejected","rules":[],"statusReason":"`+raw+`"`),
				kycbridge.Settings{})
			want := []event.Reason{{Code: c.code, Retryable: &c.retryable, ProviderCode: raw, CheckID: c.check}}
			if !reflect.DeepEqual(o.Reasons, want) {
				t.Errorf("%s: %+v, want %s retryable %v", raw, o.Reasons, c.code, c.retryable)
			}
			if got := normalizetest.CheckOf(o, c.check); c.check != "" &&
				(got.Result != "failed" || got.Type != c.check || !slices.Equal(got.Reasons, []string{c.code})) {
				t.Errorf("%s: check %+v", raw, got)
			}
			if c.check == "" && len(o.Checks) > 0 {
				t.Errorf("%s: checks %+v", raw, o.Checks)
			}
			o = mapped(t, hook("KycIdentification.Rejected", `"status":"Rejected","statusReason":"`+raw+`"`),
				kycbridge.Settings{})
			if o.Checks != nil || o.Reasons[0].CheckID != "" {
				t.Errorf("%s in a body without checks: %+v, %+v", raw, o.Checks, o.Reasons)
			}
		}
	}
	o := mapped(t, hook("KycIdentification.Rejected", `"status":"Rejected","statusReason":"NewReason"`),
		kycbridge.Settings{})
	if want := []event.Reason{{Code: "review.other", ProviderCode: "NewReason"}}; !reflect.DeepEqual(o.Reasons, want) {
		t.Errorf("unknown reason: %+v", o.Reasons)
	}
	if len(reasons) != 26 {
		t.Errorf("%d reasons, the sheet has 26", len(reasons))
	}
}

func TestChecks(t *testing.T) {
	o := mapped(t, hook("KycIdentification.Approved", `"status":"Approved","document":{"type":"IdCard","mrzVerified":false,
		"ocrValidations":[{"key":"FirstName","isValid":true},{"key":"DateOfBirth","isValid":"false"},{"key":"Category"}]},
		"rules":[{"name":"DocumentNotExpired","status":"Success"},{"name":"DocumentTypeNotProhibited","status":"SUCCESS"},
		{"name":"DocumentHasBothSides","status":"Fail"},{"name":"DocumentHasFace","status":"Unavailable"},
		{"name":"NotUnder18","status":"Success"},{"name":"SelfieAndDocumentFacesMatch","status":"New"},
		{"name":"SuccessfulPassiveLivenessCheck"},{"name":"SelfieHasFace","status":"Success"},{"name":"NotUnder18","status":"Fail"},{}],
		"fraudChecks":[{"name":"DocumentManipulation","status":"Success"}]`), kycbridge.Settings{})
	var got []string
	for _, c := range o.Checks {
		got = append(got, c.CheckID+" "+c.Type+" "+string(c.Result))
	}
	want := []string{
		"rule.DocumentNotExpired document_expiry passed",
		"rule.DocumentTypeNotProhibited document_accepted passed",
		"rule.DocumentHasBothSides document_recognition failed",
		"rule.DocumentHasFace document_recognition undetermined",
		"rule.NotUnder18 age passed",
		"rule.SelfieAndDocumentFacesMatch face_match undetermined",
		"rule.SuccessfulPassiveLivenessCheck liveness undetermined",
		"rule.SelfieHasFace x_ondato_selfie_has_face passed",
		"rule.NotUnder18_2 age failed",
		"fraud_check.DocumentManipulation document_authenticity passed",
		"mrz mrz failed",
		"ocr_validations data_consistency failed",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("checks\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	fields := o.Checks[len(o.Checks)-1].Fields
	if want := []event.CheckField{{Field: "given_name", Result: "passed"}, {Field: "birthdate", Result: "failed"},
		{Field: "category", Result: "undetermined"}}; !reflect.DeepEqual(fields, want) {
		t.Errorf("fields %+v", fields)
	}
}

// TestAgentReview: an approval by a person is a check; the same reason beside another status is a leftover
// of an earlier one.
func TestAgentReview(t *testing.T) {
	for members, want := range map[string]event.Result{
		`"status":"Approved","statusReason":"ManuallyIdentified"`:      "passed",
		`"status":"APPROVED","statusReason":"MANUALLY_IDENTIFIED"`:     "passed",
		`"status":"Approved","statusReason":"AutomaticallyIdentified"`: "",
		`"status":"Approved","statusReason":["ManuallyIdentified"]`:    "",
		`"status":"Rejected","statusReason":"ManuallyIdentified"`:      "",
		`"status":"Awaiting","statusReason":"ManuallyIdentified"`:      "",
		`"status":"Awaiting","statusReason":"BlurredPhoto"`:            "",
		`"status":"Approved","statusReason":"BlurredPhoto"`:            "",
	} {
		o := mapped(t, bareKYC(`"fraudChecks":[],`+members), kycbridge.Settings{})
		got := normalizetest.CheckOf(o, event.CheckAgentReview)
		if got.Result != want || want == "" && len(o.Checks) > 0 {
			t.Errorf("%s: checks %+v", members, o.Checks)
		}
	}
}

// TestMRZ: the result counts whether it is a boolean or text.
func TestMRZ(t *testing.T) {
	for raw, want := range map[string]event.Result{
		`true`: "passed", `"True"`: "passed", `false`: "failed", `"False"`: "failed", `"FALSE"`: "failed",
		`"perhaps"`: "undetermined", `1`: "undetermined", `null`: "", `""`: "", `{}`: "", `[false]`: "",
	} {
		o := mapped(t, bareKYC(`"status":"Approved","document":{"type":"Passport","mrzVerified":`+raw+`}`),
			kycbridge.Settings{})
		if got := normalizetest.CheckOf(o, "mrz").Result; got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}

// TestFieldsWithoutNames: a field that is not valid counts, even if its name or its place in the list cannot be read.
func TestFieldsWithoutNames(t *testing.T) {
	valid := `{"key":"FirstName","isValid":true},`
	for entries, want := range map[string]event.Result{
		valid + `{"isValid":false}`:             "failed",
		valid + `{"key":5,"isValid":false}`:     "failed",
		valid + `{"key":"ИМЯ","isValid":false}`: "failed",
		valid + `{}`:    "undetermined",
		valid + `false`: "undetermined",
		strings.Repeat(valid, 100) + `{"key":"LastName","isValid":false}`: "failed",
		`{"isValid":true}`: "passed",
	} {
		o := mapped(t, bareKYC(`"status":"Approved","document":{"type":"Passport","ocrValidations":[`+entries+`]}`),
			kycbridge.Settings{})
		got := normalizetest.CheckOf(o, "ocr_validations")
		if got.Result != want || len(got.Fields) > 100 {
			t.Errorf("%s: %q with %d fields, want %q", entries, got.Result, len(got.Fields), want)
		}
		if f := got.Fields; len(f) == 2 && f[1].Field != "other" {
			t.Errorf("%s: fields %+v", entries, f)
		}
	}
	o := mapped(t, bareKYC(`"status":"Approved","rules":[{"name":"ИМЯ","status":"Fail"},{"status":"Fail"},{}]`),
		kycbridge.Settings{})
	for _, id := range []string{"rule.ИМЯ", "rule.other"} {
		if got := normalizetest.CheckOf(o, id); got.Type != "x_ondato_rule" || got.Result != "failed" || len(o.Checks) != 2 {
			t.Errorf("%s: %+v of %d", id, got, len(o.Checks))
		}
	}
}
