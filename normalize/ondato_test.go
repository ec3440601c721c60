package normalize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"kycbridge"
)

const (
	testIDV = "b0000000-0000-4000-8000-000000000001"
	testKYC = "c0000000-0000-4000-8000-000000000001"
)

// ondatoHook is a webhook with members of a payload beside its ids.
func ondatoHook(kind, members string) string {
	ids := `"id":"` + testIDV + `"`
	if strings.HasPrefix(strings.ToLower(kind), "kyc") {
		ids = `"id":"` + testKYC + `","identityVerificationId":"` + testIDV + `"`
	}
	return fmt.Sprintf(`{"id":"e1","applicationId":"a1","createdUtc":"2026-03-02T09:00:12.4886646Z","payload":{%s,%s},"type":%q}`, ids, members, kind)
}

func ondatoBareKYC(members string) string {
	return `{"id":"` + testKYC + `","identityVerificationId":"` + testIDV + `",` + members + `}`
}

func ondatoBareIDV(members string) string { return `{"id":"` + testIDV + `",` + members + `}` }

func mapOndato(t *testing.T, body string, s kycbridge.Settings) kycbridge.Observation {
	t.Helper()
	via := kycbridge.ViaCallback
	if !strings.Contains(body, `"payload"`) {
		via = kycbridge.ViaFetch // the answer to a GET
	}
	o, err := Ondato(kycbridge.Payload{Body: []byte(body), Via: via}, s)
	if err != nil {
		t.Fatalf("Ondato: %v", err)
	}
	lawful(t, o)
	return o
}

func reasonCodes(o kycbridge.Observation) string {
	var list []string
	for _, r := range o.Reasons {
		list = append(list, r.Code)
	}
	return strings.Join(list, " ")
}

// outcomeOf treats the zero value as what it means.
func outcomeOf(o kycbridge.Observation) kycbridge.Outcome {
	if o.Decision.Outcome == "" {
		return kycbridge.OutcomeNone
	}
	return o.Decision.Outcome
}

// TestOndatoStatuses is EVENT section 5, row by row.
func TestOndatoStatuses(t *testing.T) {
	const (
		progress, end, verdict = kycbridge.EffectProgress, kycbridge.EffectEnd, kycbridge.EffectVerdict
		doubtful               = kycbridge.EffectDoubt
		reopen, note           = kycbridge.EffectReopen, kycbridge.EffectNote
		changed                = "IdentityVerification.StatusChanged"
	)
	manual := kycbridge.Settings{ManualReview: true}
	for _, c := range []struct {
		name     string
		body     string
		settings kycbridge.Settings
		effect   kycbridge.Effect
		status   kycbridge.Status
		detail   string
		outcome  kycbridge.Outcome
		final    bool
		actor    kycbridge.ActorType
		reasons  string
	}{
		{name: "idv pending", body: ondatoHook(changed, `"status":"Pending"`), effect: progress, status: "created"},
		{name: "idv in progress", body: ondatoHook(changed, `"status":"InProgress"`), effect: progress, status: "in_progress"},
		{name: "idv in progress, wiki", body: ondatoHook(changed, `"status":"in progress"`), effect: progress, status: "in_progress"},
		{name: "idv in progress, old name", body: ondatoHook("Idv.StatusChanged", `"status":"InProgress"`), effect: progress, status: "in_progress"},
		{name: "idv in progress, sdk", body: ondatoHook(changed, `"status":"IN_PROGRESS"`), effect: progress, status: "in_progress"},
		{name: "consented", body: ondatoHook("IdentityVerification.Consented", `"status":"InProgress"`), effect: progress, status: "in_progress"},
		{name: "consented, old name", body: ondatoHook("Idv.Consented", `"status":"InProgress"`), effect: progress, status: "in_progress"},
		{name: "idv suspended", body: ondatoHook(changed, `"status":"SUSPENDED"`), effect: progress, status: "in_progress", detail: "suspended"},
		{name: "idv completed is no approval", body: ondatoHook(changed, `"status":"Completed","step":{"kycIdentification":{"isSuccess":true}}`), effect: progress, status: "processing", detail: "steps_submitted"},
		{name: "idv aborted", body: ondatoHook(changed, `"status":"Aborted"`), effect: end, status: "abandoned", reasons: "session.aborted_by_user"},
		{name: "idv expired", body: ondatoHook(changed, `"status":"Expired"`), effect: end, status: "expired"},
		{name: "idv unknown", body: ondatoHook(changed, `"status":"Failed"`), effect: progress, status: "unknown", reasons: "system.unmapped_status"},
		{name: "idv approved is no value", body: ondatoHook(changed, `"status":"Approved"`), effect: progress, status: "unknown", reasons: "system.unmapped_status"},
		{name: "idv status missing", body: ondatoHook(changed, `"x":1`), effect: progress, status: "unknown", reasons: "system.unmapped_status"},
		{name: "idv status an object", body: ondatoHook(changed, `"status":{"a":1}`), effect: progress, status: "unknown", reasons: "system.unmapped_status"},

		{name: "kyc created", body: ondatoHook("KycIdentification.Created", `"status":"Unfinished"`), effect: progress, status: "in_progress"},
		{name: "kyc created, awaiting", body: ondatoHook("KycIdentification.Created", `"status":"Awaiting"`), effect: progress, status: "in_progress"},
		{name: "kyc processed", body: ondatoHook("KycIdentification.Processed", `"status":"Awaiting"`), effect: progress, status: "processing", detail: "steps_submitted"},
		{name: "kyc processed, manual review", body: ondatoHook("KycIdentification.Processed", `"status":"Awaiting"`), settings: manual, effect: progress, status: "in_review", detail: "steps_submitted"},
		{name: "kyc processed, stale reason", body: ondatoHook("KycIdentification.Processed", `"status":"Awaiting","statusReason":"Sanctioned"`), effect: progress, status: "processing", detail: "steps_submitted"},
		{name: "kyc processed disagrees", body: ondatoHook("KycIdentification.Processed", `"status":"Approved"`), effect: progress, status: "unknown", reasons: "system.unmapped_status"},
		{name: "kyc approved by machine", body: ondatoHook("KycIdentification.Approved", `"status":"Approved","statusReason":"AutomaticallyIdentified"`), effect: verdict, status: "completed", outcome: "approved", final: true, actor: "system"},
		{name: "kyc approved by machine, sdk", body: ondatoHook("KycIdentification.Approved", `"status":"APPROVED","statusReason":"AUTOMATICALLY_IDENTIFIED"`), effect: verdict, status: "completed", outcome: "approved", final: true, actor: "system"},
		{name: "kyc approved by a person", body: ondatoHook("KycIdentification.Approved", `"status":"Approved","statusReason":"ManuallyIdentified"`), effect: verdict, status: "completed", outcome: "approved", final: true, actor: "human"},
		{name: "kyc approved, no reason", body: ondatoHook("KycIdentification.Approved", `"status":"Approved"`), effect: verdict, status: "completed", outcome: "approved", final: true, actor: "unspecified"},
		{name: "kyc approved, stale reason", body: ondatoHook("KycIdentification.Approved", `"status":"Approved","statusReason":"PoorPhotoQuality"`), effect: verdict, status: "completed", outcome: "approved", final: true, actor: "unspecified"},
		{name: "kyc approved disagrees", body: ondatoHook("KycIdentification.Approved", `"status":"Rejected","statusReason":"Sanctioned"`), effect: doubtful, status: "unknown", actor: "unspecified", reasons: "system.unmapped_status"},
		{name: "kyc approved without status", body: ondatoHook("KycIdentification.Approved", `"x":1`), effect: doubtful, status: "unknown", actor: "unspecified", reasons: "system.unmapped_status"},
		{name: "kyc rejected disagrees", body: ondatoHook("KycIdentification.Rejected", `"status":"Approved"`), effect: doubtful, status: "unknown", actor: "unspecified", reasons: "system.unmapped_status"},
		{name: "kyc rejected", body: ondatoHook("KycIdentification.Rejected", `"status":"Rejected","statusReason":"PoorPhotoQuality"`), effect: verdict, status: "completed", outcome: "rejected", final: true, actor: "unspecified", reasons: "image.poor_quality"},
		{name: "kyc rejected, leftover reason", body: ondatoHook("KycIdentification.Rejected", `"status":"Rejected","statusReason":"AutomaticallyIdentified"`), effect: verdict, status: "completed", outcome: "rejected", final: true, actor: "unspecified", reasons: "review.other"},
		{name: "kyc rejected, no reason", body: ondatoHook("KycIdentification.Rejected", `"status":"Rejected"`), effect: verdict, status: "completed", outcome: "rejected", final: true, actor: "unspecified"},
		{name: "kyc updated", body: ondatoHook("KycIdentification.Updated", `"status":"Approved","statusReason":"ManuallyIdentified"`), effect: note, status: "processing", detail: "steps_submitted"},
		{name: "kyc expired, old", body: ondatoHook("KycIdentification.Expired", `"status":"Unfinished"`), effect: end, status: "expired"},
		{name: "kyc unknown status", body: ondatoHook("KycIdentification.Approved", `"status":"Approvedish"`), effect: doubtful, status: "unknown", actor: "unspecified", reasons: "system.unmapped_status"},

		{name: "fetched idv", body: ondatoBareIDV(`"status":"Completed"`), effect: progress, status: "processing", detail: "steps_submitted"},
		{name: "fetched idv unknown", body: ondatoBareIDV(`"status":"Approved"`), effect: progress, status: "unknown", reasons: "system.unmapped_status"},
		{name: "fetched kyc unfinished", body: ondatoBareKYC(`"status":"Unfinished"`), effect: progress, status: "in_progress"},
		{name: "fetched kyc awaiting reopens", body: ondatoBareKYC(`"status":"Awaiting","statusReason":"PoorPhotoQuality"`), effect: reopen, status: "processing", detail: "steps_submitted"},
		{name: "fetched kyc awaiting a reviewer", body: ondatoBareKYC(`"status":"awaiting"`), settings: manual, effect: reopen, status: "in_review", detail: "steps_submitted"},
		{name: "fetched kyc approved", body: ondatoBareKYC(`"status":"Approved","statusReason":"ManuallyIdentified"`), effect: verdict, status: "completed", outcome: "approved", final: true, actor: "human"},
		{name: "fetched kyc rejected", body: ondatoBareKYC(`"status":"Rejected","statusReason":"DuplicatedInfo"`), effect: verdict, status: "completed", outcome: "rejected", final: true, actor: "unspecified", reasons: "risk.duplicate_applicant"},
		{name: "fetched kyc unknown", body: ondatoBareKYC(`"status":"Escalated"`), effect: doubtful, status: "unknown", actor: "unspecified", reasons: "system.unmapped_status"},
		{name: "fetched kyc without status", body: ondatoBareKYC(`"x":1`), effect: doubtful, status: "unknown", actor: "unspecified", reasons: "system.unmapped_status"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := mapOndato(t, c.body, c.settings)
			if c.outcome == "" {
				c.outcome = kycbridge.OutcomeNone
			}
			if o.Effect != c.effect || o.Status != c.status || o.StatusDetail != c.detail {
				t.Errorf("effect %d status %q %q, want %d %q %q", o.Effect, o.Status, o.StatusDetail, c.effect, c.status, c.detail)
			}
			if outcomeOf(o) != c.outcome || o.Decision.Final != c.final || o.Decision.ActorType != c.actor {
				t.Errorf("decision %+v, want %q %v %q", o.Decision, c.outcome, c.final, c.actor)
			}
			if reasonCodes(o) != c.reasons {
				t.Errorf("reasons %q, want %q", reasonCodes(o), c.reasons)
			}
			wantStage := map[kycbridge.ActorType]kycbridge.Stage{"human": "manual_review", "system": "system", "unspecified": "system", "": ""}[c.actor]
			if o.Decision.Stage != wantStage || len(o.Decisions) != map[bool]int{true: 1}[c.final] {
				t.Errorf("stage %q decisions %v", o.Decision.Stage, o.Decisions)
			}
		})
	}
}

func TestOndatoIgnores(t *testing.T) {
	for _, kind := range []string{
		"Form.Created", "Form.Updated", "Form.Completed", "KybIdentification.Created", "KybIdentification.Approved",
		"KybIdentification.Rejected", "KybIdentification.Document.Updated", "NewResource.NewEvent", "KycIdentification.Started",
		"KycIdentification.ConsentAgreementAccepted", "KycIdentification.Cross_checked", "KycIdentification.Corss_checked",
		"KycIdentification.Completed", "verification.completed", "",
	} {
		o := mapOndato(t, `{"id":"e1","payload":{"id":"1","identityVerificationId":"2","status":"Approved"},"type":"`+kind+`"}`, kycbridge.Settings{})
		if o.Effect != kycbridge.EffectNone || o.Ignored != "type not mapped" || o.Decision.Outcome != "" {
			t.Errorf("%q: %+v", kind, o)
		}
	}
}

// TestOndatoReasons covers every documented statusReason in both casings.
func TestOndatoReasons(t *testing.T) {
	for _, c := range []struct {
		pascal, screaming, code string
		retryable               bool
	}{
		{"MissingDocumentPhoto", "MISSING_DOCUMENT_PHOTO", "document.missing", true},
		{"DocumentNotAccepted", "DOCUMENT_NOT_ACCEPTED", "document.type_not_accepted", true},
		{"DataDoesNotMatch", "DATA_DOES_NOT_MATCH", "data.mismatch", true},
		{"Sanctioned", "SANCTIONED", "aml.sanctions", false},
		{"MissingSelfiePhoto", "MISSING_SELFIE_PHOTO", "face.missing", true},
		{"FacesDoesNotMatch", "FACES_DOES_NOT_MATCH", "face.mismatch", true},
		{"PoorPhotoQuality", "POOR_PHOTO_QUALITY", "image.poor_quality", true},
		{"PoorPhotoLighting", "POOR_PHOTO_LIGHTING", "image.too_dark", true},
		{"BlurredPhoto", "BLURRED_PHOTO", "image.blurred", true},
		{"BadMediaFormat", "BAD_MEDIA_FORMAT", "image.wrong_format", true},
		{"Miscellaneous", "MISCELLANEOUS", "review.other", false},
		{"PossibleFraudAttempt", "POSSIBLE_FRAUD_ATTEMPT", "risk.fraud_suspected", false},
		{"UnrelatedPhoto", "UNRELATED_PHOTO", "image.wrong_content", true},
		{"MoreThanOnePerson", "MORE_THAN_ONE_PERSON", "face.multiple", true},
		{"ProhibitedCountryOrState", "PROHIBITED_COUNTRY_OR_STATE", "document.country_not_accepted", false},
		{"DocumentIsExpired", "DOCUMENT_IS_EXPIRED", "document.expired", true},
		{"DocumentWithNonLatinCharacters", "DOCUMENT_WITH_NON_LATIN_CHARACTERS", "document.script_not_supported", true},
		{"PartOfDocumentIsCovered", "PART_OF_DOCUMENT_IS_COVERED", "image.obscured", true},
		{"NameMismatch", "NAME_MISMATCH", "data.mismatch", true},
		{"ExpirationDateMismatch", "EXPIRATION_DATE_MISMATCH", "data.mismatch", true},
		{"IncorrectInformationProvided", "INCORRECT_INFORMATION_PROVIDED", "data.mismatch", true},
		{"PartOfFaceIsCovered", "PART_OF_FACE_IS_COVERED", "face.occluded", true},
		{"UnderagePerson", "UNDERAGE_PERSON", "data.underage", false},
		{"ProhibitedNationality", "PROHIBITED_NATIONALITY", "data.nationality_not_accepted", false},
		{"DocAndBioAgeDoesntMatch", "DOC_AND_BIO_AGE_DOESNT_MATCH", "data.age_mismatch", false},
		{"DuplicatedInfo", "DUPLICATED_INFO", "risk.duplicate_applicant", false},
	} {
		for _, raw := range []string{c.pascal, c.screaming} {
			o := mapOndato(t, ondatoHook("KycIdentification.Rejected", `"status":"Rejected","statusReason":"`+raw+`"`), kycbridge.Settings{})
			want := []kycbridge.Reason{{Code: c.code, Retryable: &c.retryable, ProviderCode: raw}}
			if !reflect.DeepEqual(o.Reasons, want) {
				t.Errorf("%s: %+v, want %s retryable %v", raw, o.Reasons, c.code, c.retryable)
			}
		}
	}
	o := mapOndato(t, ondatoHook("KycIdentification.Rejected", `"status":"Rejected","statusReason":"NewReason"`), kycbridge.Settings{})
	if want := []kycbridge.Reason{{Code: "review.other", ProviderCode: "NewReason"}}; !reflect.DeepEqual(o.Reasons, want) {
		t.Errorf("unknown reason: %+v", o.Reasons)
	}
	if len(ondatoReasons) != 26 {
		t.Errorf("%d reasons, the sheet has 26", len(ondatoReasons))
	}
}

func TestOndatoChecks(t *testing.T) {
	o := mapOndato(t, ondatoHook("KycIdentification.Approved", `"status":"Approved","document":{"type":"IdCard","mrzVerified":false,
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
		"rule.NotUnder18.2 age failed",
		"fraud_check.DocumentManipulation document_authenticity passed",
		"mrz mrz failed",
		"ocr_validations data_consistency failed",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("checks\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	fields := o.Checks[len(o.Checks)-1].Fields
	if want := []kycbridge.CheckField{{Field: "given_name", Result: "passed"}, {Field: "birthdate", Result: "failed"}, {Field: "category", Result: "undetermined"}}; !reflect.DeepEqual(fields, want) {
		t.Errorf("fields %+v", fields)
	}
}

func TestOndatoFacts(t *testing.T) {
	o := mapOndato(t, ondatoHook("KycIdentification.Approved", `"applicationId":"A1","externalReferenceId":"ref-1","status":"Approved","statusReason":"ManuallyIdentified",
		"isCrossChecked":false,"completedUtc":"2026-03-02T09:00:11Z","setup":{"id":"S2","versionId":"V2"},
		"document":{"fullName":"Testa Sample","firstName":"Testa","middleName":"","lastName":"Sample","documentNumber":"X1","dateOfIssue":"2021-05-04",
		"dateOfExpiration":"2031-05-04","dateOfBirth":"1990-02-01","personalCode":"000.000","address":"1 Example Street","nationalityIso3":"ltu",
		"countryIso3":"USA","countryStateIso2":"GR","gender":"Female","type":"DriverLicense","category":"B",
		"files":[{"fileId":"F1","fileExtension":"jpeg","part":"Front","fileType":"DocumentPhoto"},{"fileId":"F2","part":"Back","fileType":"DocumentPhoto"},{"part":"Back"}]},
		"face":{"ageEstimation":30,"files":[{"fileId":"F3","fileType":"SelfieWithDoc"}]},
		"additionalFiles":[{"fileId":"F4","fileExtension":"Mp4","fileType":"ProofOfAddress"},{"fileId":"F5","fileType":"Recording"}]`), kycbridge.Settings{})
	if want := (kycbridge.Claims{
		"name": "Testa Sample", "given_name": "Testa", "family_name": "Sample", "birthdate": "1990-02-01", "gender": "female",
		"nationalities": []string{"LTU"}, "personal_number": "000.000", "address": map[string]string{"formatted": "1 Example Street"},
	}); !reflect.DeepEqual(o.ExtractedClaims, want) {
		t.Errorf("claims %v", o.ExtractedClaims)
	}
	if want := []kycbridge.Document{{
		DocumentID: "document", Type: "driving_permit", Subtype: "B", DocumentNumber: "X1", DateOfIssuance: "2021-05-04",
		DateOfExpiry: "2031-05-04", Issuer: &kycbridge.Issuer{CountryCode: "USA", Jurisdiction: "US-GR"},
	}}; !reflect.DeepEqual(o.Documents, want) {
		t.Errorf("documents %+v", o.Documents)
	}
	if want := []kycbridge.Media{
		{Kind: "document_front", MediaType: "image/jpeg", ProviderRef: "f1", Field: "document.files[0]"},
		{Kind: "document_back", ProviderRef: "f2", Field: "document.files[1]"},
		{Kind: "selfie", ProviderRef: "f3", Field: "face.files[0]"},
		{Kind: "proof_of_address", MediaType: "video/mp4", ProviderRef: "f4", Field: "additionalFiles[0]"},
		{Kind: "other", ProviderRef: "f5", Field: "additionalFiles[1]"},
	}; !reflect.DeepEqual(o.Media, want) {
		t.Errorf("media %+v", o.Media)
	}
	if want := map[string]any{"kyc_status": "Approved", "kyc_status_reason": "ManuallyIdentified", "kyc_is_cross_checked": false}; !reflect.DeepEqual(o.ProviderStatus, want) {
		t.Errorf("provider status %v", o.ProviderStatus)
	}
	if want := map[string]string{"idv_id": testIDV, "kyc_identification_id": testKYC, "kyc_setup_id": "s2", "application_id": "a1"}; !reflect.DeepEqual(o.References, want) {
		t.Errorf("references %v", o.References)
	}
	if o.FlowID != "" || o.ExternalReference != "ref-1" || o.EventID != "e1" || o.EventName != "KycIdentification.Approved" {
		t.Errorf("flow %q reference %q event %q %q", o.FlowID, o.ExternalReference, o.EventID, o.EventName)
	}
	if o.Decision.DecidedAt != "2026-03-02T09:00:11Z" || !o.OccurredAt.Equal(time.Date(2026, 3, 2, 9, 0, 12, 488664600, time.UTC)) {
		t.Errorf("decided %q occurred %v", o.Decision.DecidedAt, o.OccurredAt)
	}
}

func TestOndatoSession(t *testing.T) {
	o := mapOndato(t, ondatoHook("IdentityVerification.StatusChanged", `"status":"Suspended","createdUtc":"2026-03-02T08:55:00.12Z","setup":{"id":"S1","versionId":"V1"},
		"step":{"kycIdentification":{"id":"C1","isSuccess":true},"consent":{"isConsented":true,"consentedUtc":"2026-03-02T08:57:11.684Z"}}`), kycbridge.Settings{})
	if want := (kycbridge.Session{CreatedAt: "2026-03-02T08:55:00.12Z", Consent: &kycbridge.Consent{Given: true, At: "2026-03-02T08:57:11.684Z"}}); !reflect.DeepEqual(*o.Session, want) {
		t.Errorf("session %+v", o.Session)
	}
	if want := []kycbridge.RequiredAction{{Action: "resume"}}; !reflect.DeepEqual(o.RequiredActions, want) {
		t.Errorf("actions %v", o.RequiredActions)
	}
	if o.FlowID != "s1" || o.FlowVersion != "v1" || o.References["kyc_identification_id"] != "c1" || o.ProviderStatus["idv_kyc_is_success"] != true {
		t.Errorf("flow %q %q references %v status %v", o.FlowID, o.FlowVersion, o.References, o.ProviderStatus)
	}
	o = mapOndato(t, ondatoHook("IdentityVerification.StatusChanged", `"status":"Aborted","modifiedUtc":"2026-03-02T08:58:40.441Z","step":{"consent":{"isConsented":false,"consentedUtc":"2026-03-02T08:57:11Z"}},
		"externalReferenceId":"`+strings.Repeat("x", 129)+`"`), kycbridge.Settings{})
	if want := (kycbridge.Session{EndedAt: "2026-03-02T08:58:40.441Z", Consent: &kycbridge.Consent{}}); !reflect.DeepEqual(*o.Session, want) {
		t.Errorf("session %+v", o.Session)
	}
	if o.ExternalReference != "" {
		t.Error("a reference that is too long is carried")
	}
}

func TestOndatoTimeOfFetchedBodies(t *testing.T) {
	at := func(body string) string {
		return kycbridge.Instant(mapOndato(t, body, kycbridge.Settings{}).OccurredAt)
	}
	for _, c := range []struct{ body, want string }{
		{ondatoBareIDV(`"status":"Completed","createdUtc":"2026-03-02T08:55:00Z","modifiedUtc":"2026-03-02T09:00:03.973Z"`), "2026-03-02T09:00:03.973Z"},
		{ondatoBareIDV(`"status":"Completed","createdUtc":"2026-03-02T08:55:00Z"`), ""},
		{ondatoBareKYC(`"status":"Approved","createdUtc":"2026-03-02T08:55:00Z","completedUtc":"2026-03-02T09:00:11Z"`), "2026-03-02T09:00:11Z"},
		{ondatoBareKYC(`"status":"Awaiting","createdUtc":"2026-03-02T08:55:00Z","completedUtc":"2026-03-02T09:00:11Z"`), ""},
	} {
		if got := at(c.body); got != c.want {
			t.Errorf("%s: %q, want %q", c.body, got, c.want)
		}
	}
}

func TestIdentifyOndato(t *testing.T) {
	for _, c := range []struct{ name, body, schema, reference, eventID, event string }{
		{"idv", ondatoHook("IdentityVerification.StatusChanged", `"status":"x"`), "callback", testIDV, "e1", "IdentityVerification.StatusChanged"},
		{"idv, old name", ondatoHook("Idv.Consented", `"status":"x"`), "callback", testIDV, "e1", "Idv.Consented"},
		{"kyc", ondatoHook("KycIdentification.Approved", `"status":"x"`), "callback", testIDV, "e1", "KycIdentification.Approved"},
		{"upper-case ids", `{"id":"E","type":"Idv.X","payload":{"id":"ABC"}}`, "callback", "abc", "E", "Idv.X"},
		{"kyc without its parent", `{"id":"E","type":"KycIdentification.Approved","payload":{"id":"ABC"}}`, "callback", "", "E", "KycIdentification.Approved"},
		{"pascal-case envelope", `{"Id":"E","Type":"KycIdentification.Approved","Payload":{"identityVerificationId":"B"}}`, "callback", "b", "E", "KycIdentification.Approved"},
		{"form", `{"id":"E","type":"Form.Created","payload":{"id":"F","identityVerificationId":"B"}}`, "callback", "b", "E", "Form.Created"},
		{"kyb", `{"id":"E","type":"KybIdentification.Document.Created","payload":{"id":"D"}}`, "callback", "d", "E", "KybIdentification.Document.Created"},
		{"unknown without ids", `{"id":"E","type":"New.Event","payload":7}`, "callback", "e", "E", "New.Event"},
		{"type only", `{"id":"E","type":"New.Event"}`, "callback", "e", "E", "New.Event"},
		{"fetched kyc", ondatoBareKYC(`"status":"Awaiting"`), "kyc", testIDV, "", "get-identification"},
		{"fetched idv", ondatoBareIDV(`"status":"Pending"`), "idv", testIDV, "", "get-identity-verification"},
		{"error body", `{"reason":"NotFound","message":"x"}`, "callback", "", "", ""},
		{"array", `[{"id":"E"}]`, "callback", "", "", ""},
		{"null", `null`, "callback", "", "", ""},
		{"odd types", `{"id":["E"],"type":{"a":1},"payload":[1]}`, "callback", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := IdentifyOndato(anyTree(t, []byte(c.body)))
			if id.Schema != c.schema || id.Reference != c.reference || id.EventID != c.eventID || id.Event != c.event || id.At != "" {
				t.Errorf("%+v", id)
			}
			if id.Reference == "" && id.Missing == "" {
				t.Error("no word where the reference was looked for")
			}
		})
	}
}

func TestIdentifyOndatoWritesEnvelopeKeysOneWay(t *testing.T) {
	id := IdentifyOndato(anyTree(t, []byte(`{"ID":"1","ApplicationId":"2","CREATEDUTC":"3","Payload":{"Id":"4"},"Type":"5","DeliveredUtc":"6","IsDelivered":true,"Extra":7}`)))
	want := map[string]any{
		"id": "1", "applicationId": "2", "createdUtc": "3", "payload": map[string]any{"Id": "4"}, "type": "5",
		"deliveredUtc": "6", "isDelivered": true, "Extra": json.Number("7"),
	}
	if !reflect.DeepEqual(id.Document, want) {
		t.Errorf("document %v", id.Document)
	}
}

func TestOndatoRefusesWhatCannotBeRead(t *testing.T) {
	for _, body := range []string{"", "null", "[]", `"x"`, "7", "{", "{}", `{"status":"Approved"}`, `{"id":"secret-value",}`,
		`{"type":"KycIdentification.Approved","payload":{"id":"1","status":"Approved"}}`, `{"type":"Idv.StatusChanged"}`} {
		_, err := Ondato(kycbridge.Payload{Body: []byte(body)}, kycbridge.Settings{})
		if err == nil || strings.Contains(err.Error(), "secret-value") {
			t.Errorf("%q: error %v", body, err)
		}
	}
}

// anyTree decodes a body as the validation does.
func anyTree(t testing.TB, body []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// fixturesOf reads the bodies of a provider by case.
func fixturesOf(t testing.TB, provider string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "test", "fixture", "testdata", provider, "*", "body.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures of %s: %v", provider, err)
	}
	bodies := map[string][]byte{}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bodies[filepath.Base(filepath.Dir(path))] = body
	}
	return bodies
}

func TestOndatoFixtures(t *testing.T) {
	for name, body := range fixturesOf(t, "ondato") {
		t.Run(name, func(t *testing.T) {
			if id := IdentifyOndato(anyTree(t, body)); id.Reference == "" {
				t.Errorf("identity %+v", id)
			}
			mapOndato(t, string(body), kycbridge.Settings{})
		})
	}
}

func FuzzOndato(f *testing.F) {
	for _, body := range fixturesOf(f, "ondato") {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var doc any
		if json.Unmarshal(body, &doc) == nil {
			IdentifyOndato(doc)
		}
		o, err := Ondato(kycbridge.Payload{Body: body}, kycbridge.Settings{})
		if err != nil {
			return
		}
		lawful(t, o)
		if status, _ := o.ProviderStatus["kyc_status"].(string); o.Decision.Outcome == kycbridge.OutcomeApproved && fold(status) != "approved" {
			t.Errorf("approved on kyc status %q", status)
		}
	})
}

// TestOndatoTypeComesLast: whatever stands first in a body, the type decides what it is.
func TestOndatoTypeComesLast(t *testing.T) {
	members := []string{`"id":"e1"`, `"createdUtc":"2026-03-02T09:00:12Z"`, `"payload":{"id":"` + testKYC + `","identityVerificationId":"` + testIDV + `","status":"Approved"}`, `"type":"KycIdentification.Approved"`}
	for range members {
		members = append(members[1:], members[0])
		o := mapOndato(t, "{"+strings.Join(members, ",")+"}", kycbridge.Settings{})
		if o.Decision.Outcome != kycbridge.OutcomeApproved || o.EventName != "KycIdentification.Approved" {
			t.Errorf("%s first: %+v", members[0], o.Decision)
		}
	}
}

// TestOndatoFractions: instants have any number of digits behind the second.
func TestOndatoFractions(t *testing.T) {
	for fraction, want := range map[string]string{"": "", ".7": ".7", ".77": ".77", ".684": ".684", ".4886646": ".4886646"} {
		body := ondatoHook("KycIdentification.Approved", `"status":"Approved","completedUtc":"2026-03-02T09:00:11`+fraction+`Z"`)
		body = strings.Replace(body, "12.4886646Z", "12"+fraction+"Z", 1)
		o := mapOndato(t, body, kycbridge.Settings{})
		if o.Decision.DecidedAt != "2026-03-02T09:00:11"+want+"Z" || kycbridge.Instant(o.OccurredAt) != "2026-03-02T09:00:12"+want+"Z" {
			t.Errorf("%q: decided %q, occurred %v", fraction, o.Decision.DecidedAt, o.OccurredAt)
		}
	}
}

// TestOndatoNumbersOrText: what comes as a number here and as text there breaks nothing.
func TestOndatoNumbersOrText(t *testing.T) {
	for _, members := range []string{
		`"registration":{"phoneNumber":370600000001}`, `"registration":{"phoneNumber":"370600000001"}`, `"registration":{"phoneNumber":null}`,
		`"face":{"ageEstimation":30}`, `"face":{"ageEstimation":"Age30AndOver"}`, `"face":{"ageEstimation":null}`,
	} {
		for _, body := range []string{ondatoHook("KycIdentification.Approved", `"status":"Approved",`+members), ondatoBareKYC(`"status":"Approved",` + members)} {
			if o := mapOndato(t, body, kycbridge.Settings{}); o.Decision.Outcome != kycbridge.OutcomeApproved {
				t.Errorf("%s: %+v", members, o.Decision)
			}
		}
		if o := mapOndato(t, ondatoBareIDV(`"status":"Completed",`+members), kycbridge.Settings{}); o.Status != kycbridge.StatusProcessing {
			t.Errorf("%s: %+v", members, o)
		}
	}
}
