package test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"kycbridge"
)

// kwikidForms are the options of a start that consists of forms: the documented request.
func kwikidForms(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../normalize/kwikid/client/testdata/push-user-data-request.json")
	if err != nil {
		t.Fatal(err)
	}
	var request struct{ Data, Extras json.RawMessage }
	if err := json.Unmarshal(raw, &request); err != nil {
		t.Fatal(err)
	}
	options, err := json.Marshal(map[string]json.RawMessage{"forms": request.Data, "extras": request.Extras})
	if err != nil {
		t.Fatal(err)
	}
	return string(options)
}

// TestInvalidFormsAreRefused: content that KwikID's forms cannot hold is refused with the pointer of its
// field, before anything is sent.
func TestInvalidFormsAreRefused(t *testing.T) {
	t.Parallel()
	w, api := frozenWorld(t, nil), describedAPI(t)
	const fields = "/user_form_data/"
	for name, tt := range map[string]struct{ old, new, path, message string }{
		"31 February": {`"dob":"01-FEB-1990"`, `"dob":"31-FEB-1990"`, "0" + fields + "BASIC_INFORMATION/dob",
			"must be a date that exists, as DD-MON-YYYY: 01-FEB-1990"},
		"29 February of no leap": {`"dobDeclaration":"01-FEB-1990"`, `"dobDeclaration":"29-FEB-1991"`, "3" + fields +
			"FATCA_DECLARATION/dobDeclaration", "must be a date that exists, as DD-MON-YYYY: 01-FEB-1990"},
		"a day to come": {`"dob":"01-FEB-1990"`, `"dob":"01-FEB-2099"`, "0" + fields + "BASIC_INFORMATION/dob",
			"must not lie ahead of today"},
		"blank name": {`"applicantFirstName":"Testa"`, `"applicantFirstName":"  "`, "0" + fields +
			"PERSONAL_INFORMATION/applicantFirstName", "must not be blank"},
		"blank place": {`"placeDeclaration":"Exampletown"`, `"placeDeclaration":"\u00a0"`, "3" + fields +
			"FATCA_DECLARATION/placeDeclaration", "must not be blank"},
		"PAN in lower case": {`"pan":"AAAAA0000A"`, `"pan":"aaaaa0000a"`, "0" + fields + "BASIC_INFORMATION/pan",
			"must be a PAN: five capital letters, four digits and a capital letter, such as AAAAA0000A"},
		"a video that is nothing": {`"docPerVerVideo":"https://files.example.com/kyc/video.mp4"`,
			`"docPerVerVideo":"a video"`, "4" + fields + "DOCUMENT_COLLECTION/docPerVerVideo",
			"must be an http or https address, or base64 without line breaks"},
	} {
		t.Run(name, func(t *testing.T) {
			options := kwikidForms(t)
			if strings.Count(options, tt.old) != 1 {
				t.Fatalf("%d times %s in the forms", strings.Count(options, tt.old), tt.old)
			}
			got := w.mustSend(t, `{"provider":"kwikid","account":"acme","external_reference":"case-1","options":`+strings.Replace(options, tt.old, tt.new, 1)+`}`, "", nil)
			problem := "invalid_request"
			if tt.message == "must not lie ahead of today" {
				problem = "provider_invalid"
			}
			api.wantProblem(t, w, got, 422, problem)
			var said struct{ Errors []kycbridge.FieldError }
			if err := json.Unmarshal(got.body, &said); err != nil || len(said.Errors) != 1 ||
				said.Errors[0].Path != "/options/forms/"+tt.path || said.Errors[0].Message != tt.message {
				t.Errorf("%s", got.body)
			}
		})
	}
	if calls := w.sims["kwikid"].Stats().Calls; len(calls) > 0 || w.sessions(t) != 0 {
		t.Errorf("calls %v", calls)
	}
}

// TestStartsAsProvidersDocumentThem: documented requests are accepted unchanged.
func TestStartsAsProvidersDocumentThem(t *testing.T) {
	t.Parallel()
	w := frozenWorld(t, nil)
	for name, body := range map[string]string{
		"kwikid: ten digits":     `{"provider":"kwikid","account":"acme","external_reference":"case-1","person":{"phone_number":"5550100001"}}`,
		"kwikid: forms":          `{"provider":"kwikid","account":"acme","external_reference":"case-1","person":{"phone_number":"5550100001"},"options":` + kwikidForms(t) + `}`,
		"signzy: digits":         `{"provider":"signzy","account":"acme","external_reference":"case-1","person":{"phone_number":"5550100001","name":"Jane Sample"},"options":{"redirect_seconds":0}}`,
		"ondato: a whole name":   `{"provider":"ondato","account":"acme","external_reference":"case-1","person":{"name":"Testa Middle Sample"}}`,
		"idwise: AML by a whole": `{"provider":"idwise","account":"acme","external_reference":"case-1","person":{"name":"Testa Sample"},"options":{"aml":true}}`,
	} {
		t.Run(name, func(t *testing.T) { w.started(t, body, "") })
	}
	journey := w.started(t, goodStart("idwise", "case-2"), "").Reference
	step := `{"image":"aW1hZ2UtZnJvbnQ=","additional_data":{"source":"kycbridge"}}`
	var answer struct{ Status string }
	if status := w.api("POST", startsPath+"/idwise/acme/"+journey+"/steps/0", step, &answer); status != 200 ||
		answer.Status != "submitted" {
		t.Errorf("a step with additional_data: %d %+v", status, answer)
	}
}
