package normalize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kycbridge"
)

var effectNames = map[kycbridge.Effect]string{
	kycbridge.EffectNone: "none", kycbridge.EffectFetch: "fetch", kycbridge.EffectProgress: "progress", kycbridge.EffectDoubt: "doubt",
	kycbridge.EffectEnd: "end", kycbridge.EffectVerdict: "verdict", kycbridge.EffectReopen: "reopen", kycbridge.EffectNote: "note",
}

// brief is what the lifecycle reads of an observation, in one line.
func brief(o kycbridge.Observation) string {
	if o.Effect == kycbridge.EffectNone || o.Effect == kycbridge.EffectFetch {
		return effectNames[o.Effect] + ": " + o.Ignored
	}
	parts := []string{effectNames[o.Effect], string(o.Status)}
	if o.StatusDetail != "" {
		parts = append(parts, o.StatusDetail)
	}
	if o.Decision.Outcome != "" {
		parts = append(parts, string(o.Decision.Outcome), string(o.Decision.Stage), string(o.Decision.ActorType))
	}
	if o.Decision.Final {
		parts = append(parts, "final")
	}
	for _, step := range o.Decisions {
		parts = append(parts, fmt.Sprintf("[%s %s %s]", step.Stage, step.Outcome, step.ActorType))
	}
	for _, reason := range o.Reasons {
		parts = append(parts, reason.Code)
	}
	for _, action := range o.RequiredActions {
		parts = append(parts, fmt.Sprintf("<%s %s %s>", action.Action, action.ProviderStep, action.Deadline))
	}
	return strings.Join(parts, " ")
}

func mapIDWise(t testing.TB, body string, s kycbridge.Settings) kycbridge.Observation {
	t.Helper()
	via := kycbridge.ViaCallback
	if !strings.Contains(body, `"event"`) {
		via = kycbridge.ViaFetch // a result or a summary
	}
	o, err := IDWise(kycbridge.Payload{Provider: "idwise", Via: via, Body: []byte(body)}, s)
	if err != nil {
		t.Fatalf("map %s: %v", body, err)
	}
	return o
}

// TestIDWiseFixtures holds every row of EVENT section 5 against a body of the vendor's form, with and
// without a result being fetched.
func TestIDWiseFixtures(t *testing.T) {
	const fetched = "fetch: result is fetched"
	for name, want := range map[string]struct{ confirm, direct string }{
		"finished-step":    {"progress in_progress", "progress in_progress"},
		"step-submitted":   {"progress in_progress", "progress in_progress"},
		"finished-journey": {fetched, "verdict completed unconfirmed approved system system final [system approved system]"},
		"finished-user-steps": {
			"progress processing steps_submitted", "progress processing steps_submitted",
		},
		"finished-journey-refer":           {fetched, "verdict in_review unconfirmed review system system [system review system]"},
		"finished-journey-old-no-event-id": {fetched, "verdict in_review unconfirmed review system system [system review system]"},
		"finished-journey-rejected":        {fetched, "verdict completed unconfirmed rejected system system final [system rejected system]"},
		"finished-journey-incomplete":      {fetched, "progress in_progress"},
		"manually-reviewed-approved": {
			fetched, "verdict completed unconfirmed approved manual_review human final [system review system] [manual_review approved human]",
		},
		"manually-reviewed-rejected": {
			fetched, "verdict completed unconfirmed rejected manual_review human final [system review system] [manual_review rejected human]",
		},
		"updated-journey-step-update": {fetched, "verdict completed unconfirmed approved system system final [system approved system]"},
		"updated-journey-aml-amend":   {fetched, "verdict in_review unconfirmed review system system [system review system]"},
		"updated-journey-aml-ogm-update": {
			fetched, "verdict completed unconfirmed approved manual_review human final [system review system] [manual_review approved human]",
		},
		"updated-journey-manual-review": {
			fetched, "verdict completed unconfirmed approved manual_review human final [system review system] [manual_review approved human]",
		},
		"aml-monitor-update":     {fetched, "verdict in_review unconfirmed review system system [system review system]"},
		"finished-spot-check":    {fetched, "verdict completed unconfirmed approved system system final [system approved system]"},
		"finished-ongoing-check": {fetched, "verdict completed unconfirmed approved system system final [system approved system]"},
		"unknown-event":          {fetched, "none: type not mapped"},
		"verification-update-required": {
			"reopen requires_input resubmit manual_review human [system review system] [manual_review resubmit human] review.resubmission_requested <resubmit_other 0 >",
			"reopen requires_input resubmit manual_review human [system review system] [manual_review resubmit human] review.resubmission_requested <resubmit_other 0 >",
		},
		"verification-update-required-kyc-renewal": {
			"note requires_input renewal_due review.renewal_due <renew 0 >", "note requires_input renewal_due review.renewal_due <renew 0 >",
		},
		"kyc-renewal-deadline-exceeded": {
			"reopen expired renewal_overdue review.renewal_overdue <renew 0 2026-09-15T00:00:00Z>",
			"reopen expired renewal_overdue review.renewal_overdue <renew 0 2026-09-15T00:00:00Z>",
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
			"verdict completed approved manual_review human final [system review system] [manual_review approved human] document.type_not_accepted",
			"verdict completed approved manual_review human final [system review system] [manual_review approved human] document.type_not_accepted",
		},
		"journey-result-manual-rejected": {
			"verdict completed rejected manual_review human final [system review system] [manual_review rejected human] document.type_not_accepted",
			"verdict completed rejected manual_review human final [system review system] [manual_review rejected human] document.type_not_accepted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := string(fixtureBody(t, "idwise", name))
			if got := brief(mapIDWise(t, body, kycbridge.Settings{Confirm: true})); got != want.confirm {
				t.Errorf("confirmed:\n got %s\nwant %s", got, want.confirm)
			}
			o := mapIDWise(t, body, kycbridge.Settings{})
			if got := brief(o); got != want.direct {
				t.Errorf("unconfirmed:\n got %s\nwant %s", got, want.direct)
			}
			if !o.OccurredAt.IsZero() {
				t.Errorf("occurred_at = %v, but IDWise sends no time", o.OccurredAt)
			}
		})
	}
}

func TestIDWiseIdentity(t *testing.T) {
	for name, want := range map[string]kycbridge.Identity{
		"finished-journey":                 {Schema: "webhook", Reference: "65f000000000000000000001", EventID: "e0000000-0000-4000-8000-000000000001", Event: "Finished Journey"},
		"finished-journey-old-no-event-id": {Schema: "webhook", Reference: "65f000000000000000000001", Event: "Finished Journey"},
		"finished-spot-check":              {Schema: "webhook", Reference: "65f000000000000000000002", EventID: "e0000000-0000-4000-8000-000000000017", Event: "Finished Spot Check"},
		"finished-ongoing-check":           {Schema: "webhook", Reference: "65f000000000000000000003", EventID: "e0000000-0000-4000-8000-000000000018", Event: "Finished Ongoing Check"},
		"journey-summary-completed":        {Schema: "summary", Reference: "65f000000000000000000001", Event: "get-journey-summary"},
		"journey-result-refer":             {Schema: "result", Reference: "65f000000000000000000001", Event: "get-journey-result"},
	} {
		got := IdentifyIDWise(docTree(t, fixtureBody(t, "idwise", name)))
		if got.Document == nil {
			t.Errorf("%s: no document", name)
		}
		got.Document = nil
		if got != want {
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
		`{}`:                                                                "/body/journeyId", `[]`: "/body/journeyId", `null`: "/body/journeyId", `"x"`: "/body/journeyId", `3`: "/body/journeyId",
	} {
		if got := IdentifyIDWise(docTree(t, []byte(body))); got.Reference != "" || got.Missing != missing || got.Schema == "" {
			t.Errorf("identify %s = %+v, want %s missing", body, got, missing)
		}
	}
	if got := IdentifyIDWise(map[string]any{"journey_id": json.Number("12"), "model_version": "3.0"}); got.Reference != "12" || got.Schema != "result" {
		t.Errorf("a journey id as a number: %+v", got)
	}
}

func TestIDWiseDecisions(t *testing.T) {
	hook := func(event, members string) string { return `{"event":"` + event + `","body":{` + members + `}}` }
	for name, row := range map[string]struct{ body, want string }{
		"final decision never decides": {
			hook("Finished Journey", `"systemDecision":"Refer","finalDecision":"Approved"`),
			"verdict in_review unconfirmed review system system [system review system]",
		},
		"final decision alone decides nothing": {hook("Finished Journey", `"finalDecision":"Approved"`), "none: no decision in the body"},
		"a reviewer overrules an approval": {
			hook("Updated Journey", `"systemDecision":"Complete","manualDecision":"Rejected","finalDecision":"Complete"`),
			"verdict completed unconfirmed rejected manual_review human final [system approved system] [manual_review rejected human]",
		},
		"an unknown reviewer's word hides the system's": {
			hook("Manually Reviewed", `"systemDecision":"Complete","manualDecision":"Escalated"`), "doubt unknown unconfirmed none manual_review human system.unmapped_status",
		},
		"an unknown system decision": {hook("Finished Journey", `"systemDecision":"Reassess"`), "doubt unknown unconfirmed none system system system.unmapped_status"},
		"Approved is no word of the system": {
			hook("Finished Journey", `"systemDecision":"Approved"`), "doubt unknown unconfirmed none system system system.unmapped_status",
		},
		"resubmission in a review": {
			hook("Manually Reviewed", `"systemDecision":"Complete","manualDecision":"Resubmission Requested"`),
			"reopen requires_input unconfirmed resubmit manual_review human [system approved system] [manual_review resubmit human] review.resubmission_requested <resubmit_other  >",
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
			`{"journey_id":"j","documents":{},"system_decision":null,"manual_decision":null,"final_decision":"Approved"}`, "progress in_progress",
		},
		"result with an unknown decision": {`{"journey_id":"j","system_decision":"Reassess"}`, "doubt unknown none system system system.unmapped_status"},
		"result that asks for resubmission": {
			`{"journey_id":"j","system_decision":"Refer","manual_decision":"Resubmission Requested","selfie":{"status":"Refer"},
			  "documents":{"0":{"has_passed_rules":false},"1":{"has_passed_rules":true}}}`,
			"reopen requires_input resubmit manual_review human [system review system] [manual_review resubmit human] review.resubmission_requested <resubmit_document 0 > <resubmit_selfie  >",
		},
		"answer of start-journey": {`{"journey_id":"j","reference_no":"r","is_completed":false,"step_summaries":[]}`, "progress in_progress"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := brief(mapIDWise(t, row.body, kycbridge.Settings{})); got != row.want {
				t.Errorf("\n got %s\nwant %s", got, row.want)
			}
		})
	}
	overdue := string(fixtureBody(t, "idwise", "kyc-renewal-deadline-exceeded"))
	keep := brief(mapIDWise(t, overdue, kycbridge.Settings{Confirm: true, RenewalOverdue: "keep"}))
	if want := "note requires_input renewal_overdue review.renewal_overdue <renew 0 2026-09-15T00:00:00Z>"; keep != want {
		t.Errorf("keep: %s", keep)
	}
	if got := brief(mapIDWise(t, overdue, kycbridge.Settings{RenewalOverdue: "expire"})); !strings.HasPrefix(got, "reopen expired") {
		t.Errorf("expire: %s", got)
	}
	for _, body := range []string{``, `[]`, `null`, `3`, `{}`, `{"event":`, `{"body":{}}`} {
		if _, err := IDWise(kycbridge.Payload{Body: []byte(body)}, kycbridge.Settings{}); err == nil {
			t.Errorf("%s was read", body)
		}
	}
}

// TestIDWiseOneFactTwoWays: a webhook and the result of one fact name their decisions alike.
func TestIDWiseOneFactTwoWays(t *testing.T) {
	hook := mapIDWise(t, string(fixtureBody(t, "idwise", "manually-reviewed-approved")), kycbridge.Settings{})
	result := mapIDWise(t, string(fixtureBody(t, "idwise", "journey-result-manual-approved")), kycbridge.Settings{})
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
	steps := mapIDWise(t, string(fixtureBody(t, "idwise", "finished-user-steps")), kycbridge.Settings{})
	if _, ok := steps.ProviderStatus["system_decision"]; ok || steps.ProviderStatus["interim_system_decision"] != "Incomplete" {
		t.Errorf("an interim decision stands as the decision: %v", steps.ProviderStatus)
	}
	aml := mapIDWise(t, string(fixtureBody(t, "idwise", "aml-monitor-update")), kycbridge.Settings{Confirm: true})
	if aml.ProviderStatus["previous_system_decision"] != "Complete" || aml.EventName != "AML Monitor Update" || aml.EventID == "" {
		t.Errorf("aml monitor update: %+v", aml)
	}
	spot := mapIDWise(t, string(fixtureBody(t, "idwise", "finished-spot-check")), kycbridge.Settings{})
	if spot.Product != "spot_check" || spot.References["spot_check_journey_id"] == "" || spot.ExternalReference != "ref-1001" {
		t.Errorf("spot check: %+v", spot)
	}
}

func checkOf(o kycbridge.Observation, id string) kycbridge.Check {
	if i := slices.IndexFunc(o.Checks, func(c kycbridge.Check) bool { return c.CheckID == id }); i >= 0 {
		return o.Checks[i]
	}
	return kycbridge.Check{}
}

func TestIDWiseResult(t *testing.T) {
	o := mapIDWise(t, string(fixtureBody(t, "idwise", "journey-result-refer")), kycbridge.Settings{Confirm: true})
	for id, want := range map[string]struct {
		kind   string
		result kycbridge.Result
	}{
		"rule_results.document_validation": {"document_authenticity", kycbridge.ResultFailed},
		"aml":                              {"aml", kycbridge.ResultFailed},
		"documents.0.validation":           {"document_authenticity", kycbridge.ResultFailed},
		"documents.0.validation.document_classification_front": {"document_recognition", kycbridge.ResultFailed},
		"documents.0.validation.security_features":             {"document_authenticity", kycbridge.ResultUndetermined},
		"documents.0.data_extraction":                          {"data_extraction", kycbridge.ResultWarning},
		"documents.0.face_match":                               {"face_match", kycbridge.ResultPassed},
		"selfie.liveness":                                      {"liveness", kycbridge.ResultFailed},
		"screening_checks.additional_face_db.0":                {"x_idwise_screening", kycbridge.ResultUndetermined},
	} {
		if c := checkOf(o, id); c.Type != want.kind || c.Result != want.result {
			t.Errorf("%s is %q %q, want %q %q", id, c.Type, c.Result, want.kind, want.result)
		}
	}
	face := checkOf(o, "documents.0.face_match")
	if face.Score == nil || *face.Score != 0.99 || face.ScoreRaw == nil || face.ScoreRaw.Value != 99 || face.Method != "bvr" {
		t.Errorf("face match: %+v", face)
	}
	aml := checkOf(o, "aml")
	if aml.Score != nil || !reflect.DeepEqual(aml.Details["match_scores"], []float64{82}) || !slices.Equal(aml.Reasons, []string{"aml.pep"}) {
		t.Errorf("aml: %+v", aml)
	}
	wantDocs := []kycbridge.Document{{DocumentID: "0", Type: "passport", Issuer: &kycbridge.Issuer{CountryCode: "EXL"}}}
	if !reflect.DeepEqual(o.Documents, wantDocs) {
		t.Errorf("documents: %+v", o.Documents)
	}
	wantClaims := kycbridge.Claims{
		"name": "Jane Sample", "given_name": "Jane", "family_name": "Sample", "birthdate": "1990-02-01", "personal_number": "000000000",
	}
	if !reflect.DeepEqual(o.ExtractedClaims, wantClaims) {
		t.Errorf("claims: %v", o.ExtractedClaims)
	}
	wantSession := &kycbridge.Session{StartedAt: "2026-03-02T09:00:00.962462Z", EndedAt: "2026-03-02T09:03:00.454774Z"}
	if !reflect.DeepEqual(o.Session, wantSession) {
		t.Errorf("session: %+v", o.Session)
	}
	wantMedia := []kycbridge.Media{
		{Kind: "selfie", ProviderRef: "img-selfie-1"}, {Kind: "document_front", ProviderRef: "img-doc-front-1"},
		{Kind: "document_front_cropped", ProviderRef: "img-doc-crop-1"}, {Kind: "document_portrait", ProviderRef: "img-doc-portrait-1"},
		{Kind: "additional_face", ProviderRef: "img-extra-1"},
	}
	if !reflect.DeepEqual(o.Media, wantMedia) {
		t.Errorf("media: %+v", o.Media)
	}
	if o.FlowID != "f1000000-0000-4000-8000-000000000001" || o.EventName != "get-journey-result" {
		t.Errorf("flow %q, event %q", o.FlowID, o.EventName)
	}
	again := mapIDWise(t, string(fixtureBody(t, "idwise", "journey-result-refer")), kycbridge.Settings{})
	if !reflect.DeepEqual(o, again) {
		t.Error("a result read twice gives two observations")
	}
}

func TestIDWiseRules(t *testing.T) {
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
		o := mapIDWise(t, `{"system_decision":"Refer","rule_results":{"`+rule+`":{"result":"Failed"}}}`, kycbridge.Settings{})
		c := checkOf(o, "rule_results."+rule)
		if got := c.Type + " " + strings.Join(c.Reasons, " "); got != want || c.Result != kycbridge.ResultFailed {
			t.Errorf("failed rule %s: %q %q, want %q", rule, got, c.Result, want)
		}
		o = mapIDWise(t, `{"system_decision":"Refer","rule_results":{"`+rule+`":{"result":"Passed"}}}`, kycbridge.Settings{})
		if c := checkOf(o, "rule_results."+rule); c.Result != kycbridge.ResultPassed || o.Reasons != nil {
			t.Errorf("passed rule %s: %+v, reasons %v", rule, c, o.Reasons)
		}
		o = mapIDWise(t, `{"system_decision":"Refer","rule_results":{"`+rule+`":{"result":"Whatever"}}}`, kycbridge.Settings{})
		if c := checkOf(o, "rule_results."+rule); c.Result != kycbridge.ResultUndetermined {
			t.Errorf("rule %s with a word not known: %+v", rule, c)
		}
	}
}

func TestIDWiseAML(t *testing.T) {
	for name, row := range map[string]struct {
		body   string
		result kycbridge.Result
		codes  string
	}{
		"disabled":           {`"aml":{"applicability":"Disabled"}`, kycbridge.ResultNotPerformed, ""},
		"skipped":            {`"aml":{"applicability":"Skipped"}`, kycbridge.ResultNotPerformed, ""},
		"not ready":          {`"aml":{"applicability":"Not Ready Yet"}`, kycbridge.ResultNotPerformed, ""},
		"no match":           {`"aml":{"applicability":"Applicable","matches":[]}`, kycbridge.ResultPassed, ""},
		"nothing said":       {`"aml":{}`, kycbridge.ResultUndetermined, ""},
		"a word not known":   {`"aml":{"applicability":"Later"}`, kycbridge.ResultUndetermined, ""},
		"matches, no rule":   {`"aml":{"applicability":"Applicable","matches":[{"score":1,"datasets":["Sanctions"]}]}`, kycbridge.ResultWarning, "aml.sanctions"},
		"passed but not run": {`"aml":{"applicability":"Disabled"},"rule_results":{"no_aml_records":{"result":"Passed"}}`, kycbridge.ResultNotPerformed, ""},
		"dismissed matches": {
			`"aml":{"applicability":"Applicable","matches":[{"datasets":["Sanctions"]}]},"rule_results":{"no_aml_records":{"result":"Passed"}}`,
			kycbridge.ResultPassed, "",
		},
		"failed, lists not told": {`"rule_results":{"no_aml_records":{"result":"Failed"}}`, kycbridge.ResultFailed, ""},
		"every list": {
			`"rule_results":{"no_aml_records":{"result":"Failed"}},"aml":{"applicability":"Applicable","matches":[
			  {"datasets":["Adverse Media","Insolvency"]},{"datasets":["Sanctions","Politically Exposed Person","Fitness Probity"]}]}`,
			kycbridge.ResultFailed, "aml.adverse_media aml.watchlist aml.pep aml.sanctions",
		},
	} {
		o := mapIDWise(t, `{"system_decision":"Refer",`+row.body+`}`, kycbridge.Settings{})
		if c := checkOf(o, "aml"); c.Result != row.result || strings.Join(c.Reasons, " ") != row.codes || len(o.Reasons) != len(c.Reasons) {
			t.Errorf("%s: %q %v, want %q %s", name, c.Result, c.Reasons, row.result, row.codes)
		}
	}
	if o := mapIDWise(t, `{"system_decision":"Refer"}`, kycbridge.Settings{}); len(o.Checks) != 0 {
		t.Errorf("checks out of nothing: %+v", o.Checks)
	}
}

func TestIDWiseLiveness(t *testing.T) {
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
		o := mapIDWise(t, `{"system_decision":"Refer","selfie":`+selfie+`}`, kycbridge.Settings{})
		c := checkOf(o, "selfie.liveness")
		if got := string(c.Result) + " " + strings.Join(c.Reasons, " "); got != want {
			t.Errorf("selfie %s: %q, want %q", selfie, got, want)
		}
	}
}

func TestIDWiseOddResults(t *testing.T) {
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
	o := mapIDWise(t, body, kycbridge.Settings{})
	if o.References["journey_id"] != "12" || o.Session != nil || o.Decision.Outcome != kycbridge.OutcomeApproved {
		t.Errorf("observation: %+v", o)
	}
	want := kycbridge.Document{
		DocumentID: "0", Type: "in_aadhaar", DocumentNumber: "0123", DateOfExpiry: "2030-12-31", Issuer: &kycbridge.Issuer{CountryCode: "IND"},
	}
	if len(o.Documents) != 4 || !reflect.DeepEqual(o.Documents[0], want) {
		t.Errorf("documents: %+v", o.Documents)
	}
	claims := kycbridge.Claims{
		"name": "Asha Rao", "gender": "female", "nationalities": []string{"IND"}, "personal_number": "0123",
		"address": map[string]string{"formatted": "1 Road"},
	}
	if !reflect.DeepEqual(o.ExtractedClaims, claims) {
		t.Errorf("claims: %v", o.ExtractedClaims)
	}
	media := []kycbridge.Media{
		{Kind: "document_front", ProviderRef: "https://files.example.com/a.jpg", Field: "documents.0.images.front_image_path"},
		{Kind: "document_back", ProviderRef: "b-1"},
	}
	if !reflect.DeepEqual(o.Media, media) {
		t.Errorf("media: %+v", o.Media)
	}
	for id, result := range map[string]kycbridge.Result{
		"documents.0.face_match": kycbridge.ResultPassed, "documents.3.face_match": kycbridge.ResultFailed, "documents.4.face_match": "",
		"documents.5.face_match": "", "device_intelligence": kycbridge.ResultUndetermined, "documents.0.validation.mrz": kycbridge.ResultFailed,
		"documents.0.validation.mrz_2": kycbridge.ResultPassed, "documents.0.validation.image_quality": kycbridge.ResultPassed,
	} {
		if c := checkOf(o, id); c.Result != result {
			t.Errorf("%s = %q, want %q", id, c.Result, result)
		}
	}
	unique(t, o)
}

// unique fails where two checks share an id.
func unique(t testing.TB, o kycbridge.Observation) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range o.Checks {
		if c.CheckID == "" || c.Type == "" || c.Result == "" || seen[c.CheckID] {
			t.Errorf("check %q is incomplete or there twice", c.CheckID)
		}
		seen[c.CheckID] = true
	}
}

// withhold fails if any of words stands anywhere in the observation.
func withhold(t testing.TB, o kycbridge.Observation, words ...string) {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		if bytes.Contains(raw, []byte(word)) {
			t.Errorf("%q stands in the observation: %s", word, raw)
		}
	}
}

func TestIDWiseWithholds(t *testing.T) {
	o := mapIDWise(t, `{"journey_id":"j","system_decision":"Refer","aml":{"applicability":"Applicable","matches":[{"score":90,
	  "name":"SEEDED-NAME","aliases":["SEEDED-ALIAS"],"addresses":["SEEDED-ADDRESS"],"notes":["SEEDED-NOTE"],"datesOfBirth":["SEEDED-DOB",1990],
	  "countries":["SEEDED-COUNTRY"],"datasets":["Sanctions"]}]},
	  "rule_results":{"no_aml_records":{"result":"Failed","information":"SEEDED-INFO","tips":"SEEDED-TIP","details":[{"result_description":"SEEDED-TEXT"}]}},
	  "device_intelligence":{"ip":"SEEDED-IP","location":{"lat":12.345678}},
	  "documents":{"0":{"document_type":"Passport","extracted_fields":{"MRZ Line 1":{"value":"SEEDED-MRZ","read_accuracy":"High"}}}}}`, kycbridge.Settings{})
	withhold(t, o, "SEEDED", "12.345678")
	hook := mapIDWise(t, `{"event":"Verification Update Required","body":{"journeyId":"j","comment":"SEEDED-COMMENT",
	  "requiredSteps":[{"stepId":"0","reasonCode":"`+strings.Repeat("LONG", 100)+`"}]}}`, kycbridge.Settings{})
	withhold(t, hook, "SEEDED", strings.Repeat("LONG", 17))
	if hook.Reasons[0].ProviderCode != strings.Repeat("LONG", 16) {
		t.Errorf("reason: %+v", hook.Reasons)
	}
}

// words lists the strings of a body, folded, keys and repeated members included.
func words(body []byte) map[string]bool {
	found := map[string]bool{}
	dec := json.NewDecoder(bytes.NewReader(body))
	for {
		token, err := dec.Token()
		if err == io.EOF || err != nil {
			return found
		}
		if s, ok := token.(string); ok {
			found[fold(s)] = true
		}
	}
}

func FuzzIDWise(f *testing.F) {
	seedFixtures(f, "idwise")
	f.Add([]byte(`{"event":"Finished Journey","body":{"systemDecision":"Complete","systemDecision":null}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var doc any
		if json.Unmarshal(body, &doc) == nil {
			IdentifyIDWise(doc)
		}
		said := words(body)
		for _, s := range []kycbridge.Settings{{}, {Confirm: true}, {RenewalOverdue: "keep"}} {
			o, err := IDWise(kycbridge.Payload{Provider: "idwise", Body: body}, s)
			if err != nil {
				continue
			}
			unique(t, o)
			if o.Decision.Outcome == kycbridge.OutcomeApproved && !said["complete"] && !said["approved"] {
				t.Errorf("approved out of nothing: %s", brief(o))
			}
			if o.Decision.Final && o.Status != kycbridge.StatusCompleted {
				t.Errorf("final while %s", o.Status)
			}
			if _, err := json.Marshal(o); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestIDWiseReferences: the caller's reference has three spellings, and a journey's id two forms.
func TestIDWiseReferences(t *testing.T) {
	for _, id := range []string{"65f000000000000000000001", "a0000000-0000-4000-8000-000000000001"} {
		for name, body := range map[string]string{
			"webhook": `{"event":"Finished Journey","body":{"journeyId":"` + id + `","referenceNo":"ref-1001","systemDecision":"Complete"}}`,
			"summary": `{"journey_id":"` + id + `","reference_no":"ref-1001","is_completed":true,"step_summaries":[]}`,
			"result":  `{"journey_id":"` + id + `","reference_number":"ref-1001","system_decision":"Complete","model_version":"3.0"}`,
		} {
			if got := IdentifyIDWise(docTree(t, []byte(body))); got.Reference != id {
				t.Errorf("%s: identity %+v", name, got)
			}
			if o := mapIDWise(t, body, kycbridge.Settings{}); o.ExternalReference != "ref-1001" || o.References["journey_id"] != id {
				t.Errorf("%s: %q %v", name, o.ExternalReference, o.References)
			}
		}
	}
}

// TestIDWiseStepIDs: a step's id is a number in one body and text in another, and means the same.
func TestIDWiseStepIDs(t *testing.T) {
	for _, member := range []string{"0", `"0"`} {
		o := mapIDWise(t, `{"event":"Verification Update Required","body":{"journeyId":"j","requiredSteps":[{"stepId":`+member+`}]}}`, kycbridge.Settings{})
		if len(o.RequiredActions) != 1 || o.RequiredActions[0].ProviderStep != "0" {
			t.Errorf("webhook, %s: %+v", member, o.RequiredActions)
		}
		o = mapIDWise(t, `{"journey_id":"j","is_completed":false,"step_summaries":[{"definition":{"step_id":`+member+`},"result":{"has_passed_rules":null,"is_concluded":null}}]}`, kycbridge.Settings{})
		if got := brief(o); got != "progress in_progress" {
			t.Errorf("summary, %s: %s", member, got)
		}
	}
}

// TestIDWiseImageKeys: the sample and the table name the images of a document differently.
func TestIDWiseImageKeys(t *testing.T) {
	for _, images := range []string{
		`{"input_image_path":"front","back_side_image_path":"back","front_side_cropped_image_path":"crop","back_side_cropped_image_path":null}`,
		`{"front_image_path":"front","back_image_path":"back","front_cropped_image_path":"crop","back_cropped_image_path":null}`,
	} {
		o := mapIDWise(t, `{"journey_id":"j","system_decision":"Complete","documents":{"0":{"document_type":"Passport","images":`+images+`}}}`, kycbridge.Settings{})
		want := []kycbridge.Media{{Kind: "document_front", ProviderRef: "front"}, {Kind: "document_back", ProviderRef: "back"}, {Kind: "document_front_cropped", ProviderRef: "crop"}}
		if !reflect.DeepEqual(o.Media, want) {
			t.Errorf("%s: %+v", images, o.Media)
		}
	}
}

// TestIDWiseTimesWithoutZone: they are read as UTC, and one with a zone keeps its moment.
func TestIDWiseTimesWithoutZone(t *testing.T) {
	for start, want := range map[string]string{
		"2026-03-02T09:00:00.962462": "2026-03-02T09:00:00.962462Z", "2026-03-02T09:00:00": "2026-03-02T09:00:00Z", "2026-03-02T14:30:00+05:30": "2026-03-02T09:00:00Z",
	} {
		o := mapIDWise(t, `{"journey_id":"j","system_decision":"Complete","start_time":"`+start+`"}`, kycbridge.Settings{})
		if o.Session == nil || o.Session.StartedAt != want {
			t.Errorf("%s: %+v, want %s", start, o.Session, want)
		}
	}
}
