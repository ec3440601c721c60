package idwise

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

func mapBody(t testing.TB, body string, s kycbridge.Settings) kycbridge.Observation {
	t.Helper()
	via := event.ViaCallback
	if !strings.Contains(body, `"event":`) {
		via = event.ViaFetch // a result or a summary
	}
	o, err := mapPayload(kycbridge.Payload{Provider: "idwise", Via: via, Body: []byte(body)}, s)
	if err != nil {
		t.Fatalf("map %s: %v", body, err)
	}
	return o
}

// TestFixtures checks every row of docs/consume.md against a body in the provider's form, with and without
// fetching the result.
func TestFixtures(t *testing.T) {
	const fetched = "fetch: result is fetched"
	for name, want := range map[string]struct{ confirm, direct string }{
		"finished-step":    {"progress in_progress", "progress in_progress"},
		"step-submitted":   {"progress in_progress", "progress in_progress"},
		"finished-journey": {fetched, "verdict completed unconfirmed approved system system final [system approved system]"},
		"finished-user-steps": {
			"progress processing steps_submitted", "progress processing steps_submitted",
		},
		"finished-journey-refer": {fetched,
			"verdict in_review unconfirmed review system system [system review system]"},
		"finished-journey-old-no-event-id": {fetched,
			"verdict in_review unconfirmed review system system [system review system]"},
		"finished-journey-rejected": {fetched,
			"verdict completed unconfirmed rejected system system final [system rejected system]"},
		"finished-journey-incomplete": {fetched, "progress in_progress"},
		"manually-reviewed-approved": {
			fetched, "verdict completed unconfirmed approved manual_review human final [system review system] [manual_review " +
				"approved human]",
		},
		"manually-reviewed-rejected": {
			fetched, "verdict completed unconfirmed rejected manual_review human final [system review system] [manual_review " +
				"rejected human]",
		},
		"updated-journey-step-update": {fetched,
			"verdict completed unconfirmed approved system system final [system approved system]"},
		"updated-journey-aml-amend": {fetched, "verdict in_review unconfirmed review system system [system review system]"},
		"updated-journey-aml-ogm-update": {
			fetched, "verdict completed unconfirmed approved manual_review human final [system review system] [manual_review " +
				"approved human]",
		},
		"updated-journey-manual-review": {
			fetched, "verdict completed unconfirmed approved manual_review human final [system review system] [manual_review " +
				"approved human]",
		},
		"aml-monitor-update": {fetched, "verdict in_review unconfirmed review system system [system review system]"},
		"finished-spot-check": {fetched,
			"verdict completed unconfirmed approved system system final [system approved system]"},
		"finished-ongoing-check": {fetched,
			"verdict completed unconfirmed approved system system final [system approved system]"},
		"unknown-event": {fetched, "none: type not mapped"},
		"verification-update-required": {
			"reopen requires_input resubmit manual_review human [system review system] [manual_review resubmit human] " +
				"review.resubmission_requested <resubmit_other 0 >",
			"reopen requires_input resubmit manual_review human [system review system] [manual_review resubmit human] " +
				"review.resubmission_requested <resubmit_other 0 >",
		},
		"verification-update-required-kyc-renewal": {
			"note requires_input renewal_due review.renewal_due <renew 0 >",
			"note requires_input renewal_due review.renewal_due <renew 0 >",
		},
		"kyc-renewal-deadline-exceeded": {
			"reopen expired renewal_overdue review.renewal_overdue <renew 0 2026-09-15T00:00:00Z>",
			"reopen expired renewal_overdue review.renewal_overdue <renew 0 2026-09-15T00:00:00Z>",
		},
		"verification-update-required-contradicts": {
			fetched, "doubt unknown unconfirmed none system unspecified system.contradiction",
		},
		"updated-journey-old-wording": {fetched,
			"verdict completed unconfirmed approved system system final [system approved system]"},
		"journey-result-final-contradicts": {
			"doubt unknown none manual_review unspecified system.contradiction",
			"doubt unknown none manual_review unspecified system.contradiction",
		},
		"journey-result-resubmission": {
			"reopen requires_input resubmit manual_review human [system review system] [manual_review resubmit human] " +
				"review.resubmission_requested face.not_found <resubmit_document 0 > <resubmit_selfie  >",
			"reopen requires_input resubmit manual_review human [system review system] [manual_review resubmit human] " +
				"review.resubmission_requested face.not_found <resubmit_document 0 > <resubmit_selfie  >",
		},
		"journey-result-two-persons": {
			"verdict completed approved system system final [system approved system]",
			"verdict completed approved system system final [system approved system]",
		},
		"journey-result-odd-leaves": {
			"verdict completed approved system system final [system approved system]",
			"verdict completed approved system system final [system approved system]",
		},
		"journey-summary-in-progress": {"progress in_progress", "progress in_progress"},
		"journey-summary-completed":   {"progress processing steps_submitted", "progress processing steps_submitted"},
		"journey-result-complete": {
			"verdict completed approved system system final [system approved system]",
			"verdict completed approved system system final [system approved system]",
		},
		"journey-result-incomplete": {"progress in_progress", "progress in_progress"},
		"journey-result-refer": {
			"verdict in_review review system system [system review system] document.not_authentic aml.pep face.occluded",
			"verdict in_review review system system [system review system] document.not_authentic aml.pep face.occluded",
		},
		"journey-result-rejected": {
			"verdict completed rejected system system final [system rejected system] data.underage",
			"verdict completed rejected system system final [system rejected system] data.underage",
		},
		"journey-result-manual-approved": {
			"verdict completed approved manual_review human final [system review system] [manual_review approved human] " +
				"document.type_not_accepted",
			"verdict completed approved manual_review human final [system review system] [manual_review approved human] " +
				"document.type_not_accepted",
		},
		"journey-result-manual-rejected": {
			"verdict completed rejected manual_review human final [system review system] [manual_review rejected human] " +
				"document.type_not_accepted",
			"verdict completed rejected manual_review human final [system review system] [manual_review rejected human] " +
				"document.type_not_accepted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := string(normalizetest.Fixture(t, "idwise", name))
			if got := normalizetest.Brief(mapBody(t, body, kycbridge.Settings{Confirm: true})); got != want.confirm {
				t.Errorf("confirmed:\n got %s\nwant %s", got, want.confirm)
			}
			o := mapBody(t, body, kycbridge.Settings{})
			if got := normalizetest.Brief(o); got != want.direct {
				t.Errorf("unconfirmed:\n got %s\nwant %s", got, want.direct)
			}
			if !o.OccurredAt.IsZero() {
				t.Errorf("occurred_at = %v, but IDWise sends no time", o.OccurredAt)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	for name, want := range map[string]kycbridge.Identity{
		"finished-journey": {Schema: "webhook", Reference: "65f000000000000000000001",
			EventID: "e0000000-0000-4000-8000-000000000001", Event: "Finished Journey"},
		"finished-journey-old-no-event-id": {Schema: "webhook", Reference: "65f000000000000000000001",
			Event: "Finished Journey"},
		"finished-spot-check": {Schema: "webhook", Reference: "65f000000000000000000002",
			EventID: "e0000000-0000-4000-8000-000000000017", Event: "Finished Spot Check"},
		"finished-ongoing-check": {Schema: "webhook", Reference: "65f000000000000000000003",
			EventID: "e0000000-0000-4000-8000-000000000018", Event: "Finished Ongoing Check"},
		"journey-summary-completed": {Schema: "summary", Reference: "65f000000000000000000001",
			Event: "get-journey-summary"},
		"journey-result-refer": {Schema: "result", Reference: "65f000000000000000000001",
			Event: "get-journey-result"},
	} {
		got := identify(decode(t, normalizetest.Fixture(t, "idwise", name)))
		if got.Document == nil {
			t.Errorf("%s: no document", name)
		}
		got.Document = nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
	for body, missing := range map[string]string{
		`{"event":"Finished Journey","body":{}}`:                            "/body/journeyId",
		`{"event":"Finished Journey","body":[]}`:                            "/body/journeyId",
		`{"event":"Finished Journey"}`:                                      "/body/journeyId",
		`{"event":"Finished Spot Check","body":{"journeyId":"j"}}`:          "/body/spotCheckJourneyId",
		`{"event":"finished_ongoing_check","body":{"journeyId":"j"}}`:       "/body/ongoingCheckId",
		`{"event":"Finished Journey","body":{"journeyId":{"$oid":"65f0"}}}`: "/body/journeyId",
		`{"step_summaries":[]}`:                                             "/journey_id",
		`{"system_decision":"Complete"}`:                                    "/journey_id",
		`{"event":7,"body":{"journey":"j"}}`:                                "/body/journeyId",
		`{}`:                                                                "/body/journeyId",
	} {
		if got := identify(decode(t, []byte(body))); got.Reference != "" || got.Missing != missing || got.Schema == "" {
			t.Errorf("identify %s = %+v, want %s missing", body, got, missing)
		}
	}
	if got := identify(map[string]any{"journey_id": json.Number("12"), "model_version": "3.0"}); got.Reference != "12" ||
		got.Schema != "result" {
		t.Errorf("a journey id as a number: %+v", got)
	}
}

// TestMisspeltMonitorUpdate: the vendor's page on this webhook says that the event's name lacks a letter. An update
// that is not recognised would leave the old approval.
func TestMisspeltMonitorUpdate(t *testing.T) {
	const body = `,"body":{"journeyId":"j","systemDecision":"Refer","manualDecision":null,"previousSystemDecision":"Complete"}}`
	for _, s := range []kycbridge.Settings{{}, {Confirm: true}} {
		want := mapBody(t, `{"event":"AML Monitor Update"`+body, s)
		got := mapBody(t, `{"event":"AML Monior Update"`+body, s)
		if got.Effect == kycbridge.EffectNone || normalizetest.Brief(got) != normalizetest.Brief(want) {
			t.Errorf("confirm %t:\n got %s\nwant %s", s.Confirm, normalizetest.Brief(got), normalizetest.Brief(want))
		}
	}
}

func TestDecisions(t *testing.T) {
	const disagreement = "doubt unknown unconfirmed none"
	hook := func(event, members string) string { return `{"event":"` + event + `","body":{` + members + `}}` }
	for name, row := range map[string]struct{ body, want string }{
		"final decision alone is not believed": {hook("Finished Journey", `"finalDecision":"Approved"`), disagreement +
			" system unspecified system.contradiction"},
		"final decision alone, undecided": {hook("Finished Journey", `"finalDecision":"Incomplete"`),
			"progress in_progress"},
		"a reviewer overrules an approval": {
			hook("Updated Journey", `"systemDecision":"Complete","manualDecision":"Rejected","finalDecision":"Rejected"`),
			"verdict completed unconfirmed rejected manual_review human final [system approved system] [manual_review " +
				"rejected human]",
		},
		"an unknown reviewer's word hides the system's": {
			hook("Manually Reviewed", `"systemDecision":"Complete","manualDecision":"Escalated"`),
			"doubt unknown unconfirmed none manual_review human system.unmapped_status",
		},
		"an unknown system decision": {hook("Finished Journey", `"systemDecision":"Reassess"`),
			"doubt unknown unconfirmed none system system system.unmapped_status"},
		"Approved is no word of the system": {
			hook("Finished Journey", `"systemDecision":"Approved"`),
			"doubt unknown unconfirmed none system system system.unmapped_status",
		},
		"resubmission in a review": {
			hook("Manually Reviewed", `"systemDecision":"Complete","manualDecision":"Resubmission Requested"`),
			"reopen requires_input unconfirmed resubmit manual_review human [system approved system] [manual_review resubmit " +
				"human] review.resubmission_requested <resubmit_other  >",
		},
		"event and decision in another spelling": {
			hook("finished_journey", `"systemDecision":"COMPLETE"`),
			"verdict completed unconfirmed approved system system final [system approved system]",
		},
		"update required for a reason not known": {
			hook("Verification Update Required", `"trigger":"Something Else"`),
			"reopen requires_input resubmit manual_review human review.resubmission_requested <resubmit_other  >",
		},
		"renewal with the steps as numbers": {
			hook("Verification Update Required", `"trigger":"KYC Renewal","requiredSteps":[{"stepId":0},{"stepId":"1"}]`),
			"note requires_input renewal_due review.renewal_due <renew 0 > <renew 1 >",
		},
		"unknown members": {
			hook("Finished Step", `"new":{"deep":[1]},"requiredSteps":"none"`), "progress in_progress",
		},
		"no body": {`{"event":"Finished Journey"}`, "none: no decision in the body"},
		"result without a decision": {
			`{"journey_id":"j","documents":{},"system_decision":null,"manual_decision":null,"final_decision":null}`,
			"progress in_progress",
		},
		"result with an unknown decision": {`{"journey_id":"j","system_decision":"Reassess"}`,
			"doubt unknown none system system system.unmapped_status"},
		"result that asks for resubmission": {
			`{"journey_id":"j","system_decision":"Refer","manual_decision":"Resubmission Requested","selfie":{"status":"Refer"},
			  "documents":{"0":{"has_passed_rules":false},"1":{"has_passed_rules":true}}}`,
			"reopen requires_input resubmit manual_review human [system review system] [manual_review resubmit human] " +
				"review.resubmission_requested <resubmit_document 0 > <resubmit_selfie  >",
		},
		"answer of start-journey": {`{"journey_id":"j","reference_no":"r","is_completed":false,"step_summaries":[]}`,
			"progress in_progress"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := normalizetest.Brief(mapBody(t, row.body, kycbridge.Settings{})); got != row.want {
				t.Errorf("\n got %s\nwant %s", got, row.want)
			}
		})
	}
	overdue := string(normalizetest.Fixture(t, "idwise", "kyc-renewal-deadline-exceeded"))
	keep := normalizetest.Brief(mapBody(t, overdue,
		kycbridge.Settings{Confirm: true, Own: Settings{RenewalOverdue: "keep"}}))
	if want := "note requires_input renewal_overdue review.renewal_overdue <renew 0 2026-09-15T00:00:00Z>"; keep != want {
		t.Errorf("keep: %s", keep)
	}
	if got := normalizetest.Brief(mapBody(t, overdue,
		kycbridge.Settings{Own: Settings{RenewalOverdue: "expire"}})); !strings.HasPrefix(got, "reopen expired") {
		t.Errorf("expire: %s", got)
	}
	for _, body := range []string{``, `[]`, `null`, `3`, `{}`, `{"event":`, `{"body":{}}`} {
		if _, err := mapPayload(kycbridge.Payload{Body: []byte(body)}, kycbridge.Settings{}); err == nil {
			t.Errorf("%s was read", body)
		}
	}
}

// TestOneFactTwoWays: a webhook and a result about the same fact use the same names for their decisions.
func TestOneFactTwoWays(t *testing.T) {
	hook := mapBody(t, string(normalizetest.Fixture(t, "idwise", "manually-reviewed-approved")), kycbridge.Settings{})
	result := mapBody(t, string(normalizetest.Fixture(t, "idwise", "journey-result-manual-approved")),
		kycbridge.Settings{})
	want := map[string]any{"system_decision": "Refer", "manual_decision": "Approved", "final_decision": "Approved"}
	if !reflect.DeepEqual(hook.ProviderStatus, want) || !reflect.DeepEqual(result.ProviderStatus, want) {
		t.Errorf("provider.status: webhook %v, result %v", hook.ProviderStatus, result.ProviderStatus)
	}
	if hook.ExternalReference != "ref-1001" || result.ExternalReference != "ref-1001" {
		t.Errorf("external reference: webhook %q, result %q", hook.ExternalReference, result.ExternalReference)
	}
	if hook.References["journey_id"] != result.References["journey_id"] || result.References["applicant_id"] == "" {
		t.Errorf("references: webhook %v, result %v", hook.References, result.References)
	}
	steps := mapBody(t, string(normalizetest.Fixture(t, "idwise", "finished-user-steps")), kycbridge.Settings{})
	if _, ok := steps.ProviderStatus["system_decision"]; ok ||
		steps.ProviderStatus["interim_system_decision"] != "Incomplete" {
		t.Errorf("an interim decision stands as the decision: %v", steps.ProviderStatus)
	}
	aml := mapBody(t, string(normalizetest.Fixture(t, "idwise", "aml-monitor-update")), kycbridge.Settings{Confirm: true})
	if aml.ProviderStatus["previous_system_decision"] != "Complete" || aml.EventName != "AML Monitor Update" ||
		aml.EventID == "" {
		t.Errorf("aml monitor update: %+v", aml)
	}
	spot := mapBody(t, string(normalizetest.Fixture(t, "idwise", "finished-spot-check")), kycbridge.Settings{})
	if spot.Product != "spot_check" || spot.References["spot_check_journey_id"] == "" ||
		spot.ExternalReference != "ref-1001" {
		t.Errorf("spot check: %+v", spot)
	}
}

func TestResult(t *testing.T) {
	o := mapBody(t, string(normalizetest.Fixture(t, "idwise", "journey-result-refer")), kycbridge.Settings{Confirm: true})
	for id, want := range map[string]struct {
		kind   string
		result event.Result
	}{
		"rule_results.document_validation": {"document_authenticity", event.ResultFailed},
		"aml":                              {"aml", event.ResultFailed},
		"documents.0.validation":           {"document_authenticity", event.ResultFailed},
		"documents.0.validation.document_classification_front": {"document_recognition", event.ResultFailed},
		"documents.0.validation.security_features":             {"document_authenticity", event.ResultUndetermined},
		"documents.0.data_extraction":                          {"data_extraction", event.ResultWarning},
		"documents.0.face_match":                               {"face_match", event.ResultPassed},
		"selfie.liveness":                                      {"liveness", event.ResultFailed},
		"screening_checks.additional_face_db.0":                {"x_idwise_screening", event.ResultUndetermined},
	} {
		if c := normalizetest.CheckOf(o, id); c.Type != want.kind || c.Result != want.result {
			t.Errorf("%s is %q %q, want %q %q", id, c.Type, c.Result, want.kind, want.result)
		}
	}
	face := normalizetest.CheckOf(o, "documents.0.face_match")
	if face.Score == nil || *face.Score != 0.99 || face.ScoreRaw == nil || face.ScoreRaw.Value != 99 ||
		face.Method != "bvr" {
		t.Errorf("face match: %+v", face)
	}
	aml := normalizetest.CheckOf(o, "aml")
	if aml.Score != nil || !reflect.DeepEqual(aml.Details["match_scores"], []float64{82}) ||
		!slices.Equal(aml.Reasons, []string{"aml.pep"}) {
		t.Errorf("aml: %+v", aml)
	}
	wantDocs := []event.Document{{DocumentID: "0", Type: "passport", Issuer: &event.Issuer{CountryCode: "EXL"}}}
	if !reflect.DeepEqual(o.Documents, wantDocs) {
		t.Errorf("documents: %+v", o.Documents)
	}
	wantClaims := event.Claims{
		"name": "Jane Sample", "given_name": "Jane", "family_name": "Sample", "birthdate": "1990-02-01",
		"personal_number": "000000000",
	}
	if !reflect.DeepEqual(o.ExtractedClaims, wantClaims) {
		t.Errorf("claims: %v", o.ExtractedClaims)
	}
	wantSession := &event.Session{StartedAt: "2026-03-02T09:00:00.962462Z", EndedAt: "2026-03-02T09:03:00.454774Z"}
	if !reflect.DeepEqual(o.Session, wantSession) {
		t.Errorf("session: %+v", o.Session)
	}
	wantMedia := []event.Media{
		{Kind: "selfie", ProviderRef: "img-selfie-1"}, {Kind: "document_front", ProviderRef: "img-doc-front-1"},
		{Kind: "document_front_cropped", ProviderRef: "img-doc-crop-1"},
		{Kind: "document_portrait", ProviderRef: "img-doc-portrait-1"},
		{Kind: "additional_face", ProviderRef: "img-extra-1"},
	}
	if !reflect.DeepEqual(o.Media, wantMedia) {
		t.Errorf("media: %+v", o.Media)
	}
	if o.FlowID != "f1000000-0000-4000-8000-000000000001" || o.EventName != "get-journey-result" {
		t.Errorf("flow %q, event %q", o.FlowID, o.EventName)
	}
	again := mapBody(t, string(normalizetest.Fixture(t, "idwise", "journey-result-refer")), kycbridge.Settings{})
	if !reflect.DeepEqual(o, again) {
		t.Error("a result read twice gives two observations")
	}
}

func TestRules(t *testing.T) {
	for rule, want := range map[string]string{
		"document_validation":    "document_authenticity document.not_authentic",
		"unrecognized_document":  "document_recognition document.not_recognized",
		"proof_policy":           "document_accepted document.type_not_accepted",
		"expired_document":       "document_expiry document.expired",
		"same_subject":           "data_consistency data.inconsistent",
		"no_duplicate_documents": "duplicate document.duplicate",
		"no_duplicate_applicant": "duplicate risk.duplicate_applicant",
		"under_age":              "age data.underage",
		"approved_nationality":   "x_idwise_approved_nationality data.nationality_not_accepted",
		"Some New-Rule":          "x_idwise_some_new_rule ",
	} {
		o := mapBody(t, `{"system_decision":"Refer","rule_results":{"`+rule+`":{"result":"Failed"}}}`, kycbridge.Settings{})
		c := normalizetest.CheckOf(o, "rule_results."+rule)
		if got := c.Type + " " + strings.Join(c.Reasons, " "); got != want || c.Result != event.ResultFailed {
			t.Errorf("failed rule %s: %q %q, want %q", rule, got, c.Result, want)
		}
		o = mapBody(t, `{"system_decision":"Refer","rule_results":{"`+rule+`":{"result":"Passed"}}}`, kycbridge.Settings{})
		if c := normalizetest.CheckOf(o, "rule_results."+rule); c.Result != event.ResultPassed || o.Reasons != nil {
			t.Errorf("passed rule %s: %+v, reasons %v", rule, c, o.Reasons)
		}
		o = mapBody(t, `{"system_decision":"Refer","rule_results":{"`+rule+`":{"result":"Whatever"}}}`, kycbridge.Settings{})
		if c := normalizetest.CheckOf(o, "rule_results."+rule); c.Result != event.ResultUndetermined {
			t.Errorf("rule %s with a word not known: %+v", rule, c)
		}
	}
}

func TestAML(t *testing.T) {
	for name, row := range map[string]struct {
		body   string
		result event.Result
		codes  string
	}{
		"disabled":         {`"aml":{"applicability":"Disabled"}`, event.ResultNotPerformed, ""},
		"skipped":          {`"aml":{"applicability":"Skipped"}`, event.ResultNotPerformed, ""},
		"not ready":        {`"aml":{"applicability":"Not Ready Yet"}`, event.ResultNotPerformed, ""},
		"no match":         {`"aml":{"applicability":"Applicable","matches":[]}`, event.ResultPassed, ""},
		"nothing said":     {`"aml":{}`, event.ResultUndetermined, ""},
		"no list":          {`"aml":{"applicability":"Applicable"}`, event.ResultUndetermined, ""},
		"null for a list":  {`"aml":{"applicability":"Applicable","matches":null}`, event.ResultUndetermined, ""},
		"a word not known": {`"aml":{"applicability":"Later"}`, event.ResultUndetermined, ""},
		"matches, no rule": {`"aml":{"applicability":"Applicable","matches":[{"score":1,"datasets":["Sanctions"]}]}`,
			event.ResultWarning, "aml.sanctions"},
		"passed but not run": {`"aml":{"applicability":"Disabled"},"rule_results":{"no_aml_records":{"result":"Passed"}}`,
			event.ResultNotPerformed, ""},
		"dismissed matches": {
			`"aml":{"applicability":"Applicable","matches":[{"datasets":["Sanctions"]}]},"rule_results":{"no_aml_records":{"result":"Passed"}}`,
			event.ResultPassed, "",
		},
		"failed, lists not told": {`"rule_results":{"no_aml_records":{"result":"Failed"}}`, event.ResultFailed, ""},
		"every list": {
			`"rule_results":{"no_aml_records":{"result":"Failed"}},"aml":{"applicability":"Applicable","matches":[
			  {"datasets":["Adverse Media","Insolvency"]},{"datasets":["Sanctions","Politically Exposed Person","Fitness Probity"]}]}`,
			event.ResultFailed, "aml.adverse_media aml.watchlist aml.pep aml.sanctions",
		},
		"linked to a politician": {
			`"aml":{"applicability":"Applicable","matches":[{"datasets":["Linked to a Politically Exposed Persons"]}]}`,
			event.ResultWarning, "aml.pep",
		},
		"lists of which none is a politician's": {
			`"aml":{"applicability":"Applicable","matches":[{"datasets":["People of Interest","Regulatory Enforcement List"]}]}`,
			event.ResultWarning, "aml.watchlist",
		},
	} {
		o := mapBody(t, `{"system_decision":"Refer",`+row.body+`}`, kycbridge.Settings{})
		if c := normalizetest.CheckOf(o, "aml"); c.Result != row.result || strings.Join(c.Reasons, " ") != row.codes ||
			len(o.Reasons) != len(c.Reasons) {
			t.Errorf("%s: %q %v, want %q %s", name, c.Result, c.Reasons, row.result, row.codes)
		}
	}
	if o := mapBody(t, `{"system_decision":"Refer"}`, kycbridge.Settings{}); len(o.Checks) != 0 {
		t.Errorf("checks out of nothing: %+v", o.Checks)
	}
}

func TestLiveness(t *testing.T) {
	for selfie, want := range map[string]string{
		`{"status":"Complete","is_live":true}`:                                             "passed ",
		`{"status":"Complete","is_live":false}`:                                            "passed ",
		`{"status":"Not Started","is_live":false}`:                                         "not_performed ",
		`{"status":"Refer","is_live":false}`:                                               "failed face.not_live",
		`{"status":"Refer","is_live":true}`:                                                "failed ",
		`{"status":"Refer","is_live":false,"liveness_status_code":"FACE_TOO_CLOSE"}`:       "failed face.badly_positioned",
		`{"status":"Refer","is_live":false,"liveness_status_code":"FACE_CLOSE_TO_BORDER"}`: "failed face.badly_positioned",
		`{"status":"Refer","is_live":false,"liveness_status_code":"FACE_CROPPED"}`:         "failed face.badly_positioned",
		`{"status":"Refer","is_live":false,"liveness_status_code":"FACE_TOO_SMALL"}`:       "failed face.badly_positioned",
		`{"status":"Refer","is_live":false,"liveness_status_code":"FACE_IS_OCCLUDED"}`:     "failed face.occluded",
		`{"status":"Refer","is_live":false,"liveness_status_code":"FACE_NOT_FOUND"}`:       "failed face.not_found",
		`{"status":"Refer","is_live":false,"liveness_status_code":"TOO_MANY_FACES"}`:       "failed face.multiple",
		`{"status":"Refer","is_live":false,"liveness_status_code":"SOMETHING_NEW"}`:        "failed face.not_live",
		`{"status":"","is_live":false}`:                                                    "undetermined ",
		`{"status":"Odd","is_live":true}`:                                                  "undetermined ",
	} {
		o := mapBody(t, `{"system_decision":"Refer","selfie":`+selfie+`}`, kycbridge.Settings{})
		c := normalizetest.CheckOf(o, "selfie.liveness")
		if got := string(c.Result) + " " + strings.Join(c.Reasons, " "); got != want {
			t.Errorf("selfie %s: %q, want %q", selfie, got, want)
		}
	}
}

func TestOddResults(t *testing.T) {
	body := `{"journey_id":12,"system_decision":"Complete","start_time":"yesterday","end_time":null,"selfie":null,"aml":"none",
	  "rule_results":[],"device_intelligence":{"x":1},"screening_checks":{"s":{"face_match_results":"no"}},
	  "documents":{
	    "0":{"document_type":"Aadhaar Card","issuing_country_code":"IND","face_match_result":"Passed",
	      "extracted_fields":{"Document Number":{"value":"2345 6789 0123"},"Personal Number":{"value":234567890123},"Full Name":{"value":"Asha Rao","read_accuracy":"High"},
	        "Full Name Native":{"value":"other script"},"Sex":{"value":"F"},"Nationality":{"value":"ind"},"Issue Date":{"value":"2015"},"Expiry Date":{"value":"31/12/2030"},
	        "Odd":7,"Address":{"value":"1 Road"}},
	      "images":{"front_image_path":"https://files.example.com/a.jpg","back_image_path":"b-1","other":{}},
	      "validation_result":{"validation_checks":[{"name":"MRZ","result":"Failed"},{"name":"MRZ","result":"Passed"},{"name":"Image Quality","result":"Passed"},{"name":""}]}},
	    "1":"odd","2":{"progress":"NotStarted"},
	    "3":{"document_type":"Passport","face_match_result":{"is_matched":false,"score":"12.5"},"extracted_fields":"none"},
	    "4":{"document_type":"Passport","face_match_result":null},"5":{"document_type":"Passport","face_match_result":""}}}`
	o := mapBody(t, body, kycbridge.Settings{})
	if o.References["journey_id"] != "12" || o.Session != nil || o.Decision.Outcome != event.OutcomeApproved {
		t.Errorf("observation: %+v", o)
	}
	want := event.Document{
		DocumentID: "0", Type: "in_aadhaar", DocumentNumber: "0123", DateOfExpiry: "2030-12-31",
		Issuer: &event.Issuer{CountryCode: "IND"},
	}
	if len(o.Documents) != 4 || !reflect.DeepEqual(o.Documents[0], want) {
		t.Errorf("documents: %+v", o.Documents)
	}
	claims := event.Claims{
		"name": "Asha Rao", "gender": "female", "nationalities": []string{"IND"}, "personal_number": "0123",
		"address": map[string]string{"formatted": "1 Road"},
	}
	if !reflect.DeepEqual(o.ExtractedClaims, claims) {
		t.Errorf("claims: %v", o.ExtractedClaims)
	}
	media := []event.Media{
		{Kind: "document_front", ProviderRef: "https://files.example.com/a.jpg",
			Field: "documents.0.images.front_image_path"},
		{Kind: "document_back", ProviderRef: "b-1"},
	}
	if !reflect.DeepEqual(o.Media, media) {
		t.Errorf("media: %+v", o.Media)
	}
	for id, result := range map[string]event.Result{
		"documents.0.face_match": event.ResultPassed, "documents.3.face_match": event.ResultFailed,
		"documents.4.face_match": "",
		"documents.5.face_match": "", "device_intelligence": event.ResultUndetermined,
		"documents.0.validation.mrz":   event.ResultFailed,
		"documents.0.validation.mrz_2": event.ResultPassed, "documents.0.validation.image_quality": event.ResultPassed,
	} {
		if c := normalizetest.CheckOf(o, id); c.Result != result {
			t.Errorf("%s = %q, want %q", id, c.Result, result)
		}
	}
	normalizetest.Unique(t, o)
}

func TestWithholds(t *testing.T) {
	o := mapBody(t, `{"journey_id":"j","system_decision":"Refer","aml":{"applicability":"Applicable","matches":[{"score":90,
	  "name":"SEEDED-NAME","aliases":["SEEDED-ALIAS"],"addresses":["SEEDED-ADDRESS"],"notes":["SEEDED-NOTE"],"datesOfBirth":["SEEDED-DOB",1990],
	  "countries":["SEEDED-COUNTRY"],"datasets":["Sanctions"]}]},
	  "rule_results":{"no_aml_records":{"result":"Failed","information":"SEEDED-INFO","tips":"SEEDED-TIP","details":[{"result_description":"SEEDED-TEXT"}]}},
	  "device_intelligence":{"ip":"SEEDED-IP","location":{"lat":12.345678}},
	  "documents":{"0":{"document_type":"Passport","extracted_fields":{"MRZ Line 1":{"value":"SEEDED-MRZ","read_accuracy":"High"}}}}}`, kycbridge.Settings{})
	normalizetest.Withhold(t, o, "SEEDED", "12.345678")
	hook := mapBody(t, `{"event":"Verification Update Required","body":{"journeyId":"j","comment":"SEEDED-COMMENT",
	  "requiredSteps":[{"stepId":"0","reasonCode":"`+strings.Repeat("LONG", 100)+`"}]}}`, kycbridge.Settings{})
	normalizetest.Withhold(t, hook, "SEEDED", strings.Repeat("LONG", 17))
	if hook.Reasons[0].ProviderCode != strings.Repeat("LONG", 16) {
		t.Errorf("reason: %+v", hook.Reasons)
	}
}

func FuzzMap(f *testing.F) {
	normalizetest.Seed(f, "idwise")
	f.Add([]byte(`{"event":"Finished Journey","body":{"systemDecision":"Complete","systemDecision":null}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, faults := reader().Decode(body)
		if len(faults) > 0 {
			return
		}
		identify(doc)
		said := normalizetest.Words(body)
		for _, s := range []kycbridge.Settings{{}, {Confirm: true}, {Own: Settings{RenewalOverdue: "keep"}}} {
			o, err := mapPayload(kycbridge.Payload{Provider: "idwise", Body: body}, s)
			if err != nil {
				continue
			}
			normalizetest.Unique(t, o)
			if o.Decision.Outcome == event.OutcomeApproved && !said["complete"] && !said["approved"] {
				t.Errorf("approved out of nothing: %s", normalizetest.Brief(o))
			}
			if o.Decision.Final && o.Status != event.StatusCompleted {
				t.Errorf("final while %s", o.Status)
			}
			if _, err := json.Marshal(o); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestReferences: the caller's reference has three spellings, and a journey's id two forms.
func TestReferences(t *testing.T) {
	for _, id := range []string{"65f000000000000000000001", "a0000000-0000-4000-8000-000000000001"} {
		for name, body := range map[string]string{
			"webhook": `{"event":"Finished Journey","body":{"journeyId":"` + id +
				`","referenceNo":"ref-1001","systemDecision":"Complete"}}`,
			"summary": `{"journey_id":"` + id + `","reference_no":"ref-1001","is_completed":true,"step_summaries":[]}`,
			"result": `{"journey_id":"` + id +
				`","reference_number":"ref-1001","system_decision":"Complete","model_version":"3.0"}`,
		} {
			if got := identify(decode(t, []byte(body))); got.Reference != id {
				t.Errorf("%s: identity %+v", name, got)
			}
			if o := mapBody(t, body, kycbridge.Settings{}); o.ExternalReference != "ref-1001" ||
				o.References["journey_id"] != id {
				t.Errorf("%s: %q %v", name, o.ExternalReference, o.References)
			}
		}
	}
}

// TestStepIDs: a step's id is a number in one body and text in another, with the same meaning.
func TestStepIDs(t *testing.T) {
	for _, member := range []string{"0", `"0"`} {
		o := mapBody(t, `{"event":"Verification Update Required","body":{"journeyId":"j","requiredSteps":[{"stepId":`+member+`}]}}`, kycbridge.Settings{})
		if len(o.RequiredActions) != 1 || o.RequiredActions[0].ProviderStep != "0" {
			t.Errorf("webhook, %s: %+v", member, o.RequiredActions)
		}
		o = mapBody(t, `{"journey_id":"j","is_completed":false,"step_summaries":[{"definition":{"step_id":`+member+`},"result":{"has_passed_rules":null,"is_concluded":null}}]}`, kycbridge.Settings{})
		if got := normalizetest.Brief(o); got != "progress in_progress" {
			t.Errorf("summary, %s: %s", member, got)
		}
	}
}

// TestImageKeys: the sample and the table of the provider use different names for the images of a
// document.
func TestImageKeys(t *testing.T) {
	for _, images := range []string{
		`{"input_image_path":"front","back_side_image_path":"back","front_side_cropped_image_path":"crop","back_side_cropped_image_path":null}`,
		`{"front_image_path":"front","back_image_path":"back","front_cropped_image_path":"crop","back_cropped_image_path":null}`,
	} {
		o := mapBody(t, `{"journey_id":"j","system_decision":"Complete","documents":{"0":{"document_type":"Passport","images":`+images+`}}}`, kycbridge.Settings{})
		want := []event.Media{{Kind: "document_front", ProviderRef: "front"}, {Kind: "document_back", ProviderRef: "back"},
			{Kind: "document_front_cropped", ProviderRef: "crop"}}
		if !reflect.DeepEqual(o.Media, want) {
			t.Errorf("%s: %+v", images, o.Media)
		}
	}
}

// TestTimesWithoutZone: times without a zone are read as UTC, and a time with a zone keeps its instant.
func TestTimesWithoutZone(t *testing.T) {
	for start, want := range map[string]string{
		"2026-03-02T09:00:00.962462": "2026-03-02T09:00:00.962462Z", "2026-03-02T09:00:00": "2026-03-02T09:00:00Z",
		"2026-03-02T14:30:00+05:30": "2026-03-02T09:00:00Z",
	} {
		o := mapBody(t, `{"journey_id":"j","system_decision":"Complete","start_time":"`+start+`"}`, kycbridge.Settings{})
		if o.Session == nil || o.Session.StartedAt != want {
			t.Errorf("%s: %+v, want %s", start, o.Session, want)
		}
	}
}

// TestRepeats: a result repeats the current decision, as do webhooks that are sent for any change of the journey.
func TestRepeats(t *testing.T) {
	hook := func(event, members string) string { return `{"event":"` + event + `","body":{` + members + `}}` }
	decided := `"systemDecision":"Complete"`
	for body, want := range map[string]bool{
		`{"journey_id":"j","system_decision":"Complete"}`:                 true,
		hook("AML Monitor Update", decided):                               true,
		hook("Updated Journey", decided):                                  true,
		hook("Finished Journey", decided):                                 false,
		hook("Manually Reviewed", decided+`,"manualDecision":"Approved"`): false,
	} {
		if got := mapBody(t, body, kycbridge.Settings{}).Repeats; got != want {
			t.Errorf("%s: %t", body, got)
		}
	}
}
