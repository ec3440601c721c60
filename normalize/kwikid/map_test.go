package kwikid

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
	"kycbridge/normalize/values"
)

func mapKwikID(t testing.TB, via event.Via, body string, s kycbridge.Settings) kycbridge.Observation {
	t.Helper()
	o, err := mapPayload(kycbridge.Payload{Provider: "kwikid", Via: via, Body: []byte(body)}, s)
	if err != nil {
		t.Fatalf("map %s: %v", body, err)
	}
	return o
}

// TestSessions checks every session_status of docs/consume.md against an answer of get_details, with and
// without a second reviewer. Whether webhooks need confirmation makes no difference here.
func TestSessions(t *testing.T) {
	for name, want := range map[string]struct{ single, checker string }{
		"get-details-waiting":          {"progress created link_sent", ""},
		"get-details-vkyc-requested":   {"progress in_progress call_scheduled", ""},
		"get-details-agent-alloted":    {"progress in_progress agent_assigned", ""},
		"get-details-request-accepted": {"progress in_progress call_in_progress", ""},
		"get-details-request-rejected": {"progress requires_input session.declined_by_agent <rejoin_call  >", ""},
		"get-details-approved": {
			"verdict completed approved maker human final [maker approved human]",
			"progress in_review awaiting_second_review [maker approved human]",
		},
		"get-details-rejected": {
			"verdict completed rejected maker unspecified final [maker rejected unspecified] review.maker_rejected",
			"progress in_review awaiting_second_review [maker rejected unspecified] review.maker_rejected",
		},
		"get-details-rejected-auto-after-expiry": {
			"verdict completed rejected maker system final [maker rejected system] session.expired",
			"progress in_review awaiting_second_review [maker rejected system] session.expired",
		},
		"get-details-superseded-kyc-rejected": {"end canceled session.superseded", ""},
		"get-details-session-expired":         {"end expired session.expired", ""},
		"get-details-user-abandoned":          {"end abandoned session.abandoned", ""},
		"get-details-unknown-status":          {"progress unknown system.unmapped_status", ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := string(normalizetest.Fixture(t, "kwikid", name))
			if want.checker == "" {
				want.checker = want.single
			}
			for _, confirm := range []bool{false, true} {
				o := mapKwikID(t, event.ViaPoll, body, kycbridge.Settings{Confirm: confirm})
				if got := normalizetest.Brief(o); got != want.single {
					t.Errorf("one reviewer:\n got %s\nwant %s", got, want.single)
				}
				if !o.OccurredAt.IsZero() || o.EventName != "get_details" || o.Session.Channel != "video_call" {
					t.Errorf("observation: %+v", o)
				}
				normalizetest.Unique(t, o)
				normalizetest.Withhold(t, o, "203.0.113.7", "Example Ltd", "Example Institute", "100000", "Exampletown", "77.5",
					"All Successful", "unreadable")
				o = mapKwikID(t, event.ViaPoll, body, kycbridge.Settings{Confirm: confirm, Own: Settings{Checker: true}})
				if got := normalizetest.Brief(o); got != want.checker {
					t.Errorf("maker and checker:\n got %s\nwant %s", got, want.checker)
				}
			}
		})
	}
}

// TestWebhooks: the four events of the portal in bodies whose form is assumed.
func TestWebhooks(t *testing.T) {
	for name, want := range map[string]struct{ direct, checker string }{
		"webhook-maker-approved-assumed": {
			"verdict completed unconfirmed approved maker human final [maker approved human]",
			"progress in_review awaiting_second_review [maker approved human]",
		},
		"webhook-no-session-id-assumed": {"none: no session id", "none: no session id"},
		"webhook-maker-rejected-assumed": {
			"verdict completed unconfirmed rejected maker human final [maker rejected human] review.maker_rejected",
			"progress in_review awaiting_second_review [maker rejected human] review.maker_rejected",
		},
		"webhook-checker-approved-assumed": {
			"verdict completed unconfirmed approved checker human final [checker approved human]",
			"verdict completed unconfirmed approved checker human final [checker approved human]",
		},
		"webhook-checker-rejected-assumed": {
			"verdict completed unconfirmed rejected checker human final [checker rejected human] review.checker_rejected",
			"verdict completed unconfirmed rejected checker human final [checker rejected human] review.checker_rejected",
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := string(normalizetest.Fixture(t, "kwikid", name))
			for _, checker := range []bool{false, true} {
				o := mapKwikID(t, event.ViaCallback, body, kycbridge.Settings{Confirm: true, Own: Settings{Checker: checker}})
				if got := normalizetest.Brief(o); got != "fetch: result is fetched" {
					t.Errorf("confirmed: %s", got)
				}
			}
			if got := normalizetest.Brief(mapKwikID(t, event.ViaCallback, body, kycbridge.Settings{})); got != want.direct {
				t.Errorf("unconfirmed:\n got %s\nwant %s", got, want.direct)
			}
			if got := normalizetest.Brief(mapKwikID(t, event.ViaCallback, body,
				kycbridge.Settings{Own: Settings{Checker: true}})); got != want.checker {
				t.Errorf("unconfirmed, with a checker:\n got %s\nwant %s", got, want.checker)
			}
		})
	}
}

func TestWebhookForms(t *testing.T) {
	const (
		none     = "none: no known event label"
		approved = "verdict completed unconfirmed approved maker human final [maker approved human]"
		makers   = "doubt unknown none maker human system.contradiction"
		checkers = "doubt unknown none checker human system.contradiction"
	)
	for body, want := range map[string]string{
		`{"event":"maker_approved"}`:                                                            "verdict completed unconfirmed approved maker human final [maker approved human]",
		`{"data":{"event_type":"CHECKER-REJECTED"}}`:                                            "verdict completed unconfirmed rejected checker human final [checker rejected human] review.checker_rejected",
		`{"event":"kyc_checker_approved"}`:                                                      "verdict completed unconfirmed approved checker human final [checker approved human]",
		`{"event":"KYC_CHECKER_REJECTED"}`:                                                      "verdict completed unconfirmed rejected checker human final [checker rejected human] review.checker_rejected",
		`{"event_name":"kyc_maker_approved"}`:                                                   approved,
		`{"type":"kyc_maker_rejected"}`:                                                         "verdict completed unconfirmed rejected maker human final [maker rejected human] review.maker_rejected",
		`{"event":"kyc_checker_approved","type":"Checker Approved"}`:                            "verdict completed unconfirmed approved checker human final [checker approved human]",
		`{"event":"kyc_checker_approved","status":"kyc_maker_rejected"}`:                        checkers,
		`{"event":"Checker Approved","status":"kyc_checker_rejected"}`:                          checkers,
		`{"event":"kyc_approved"}`:                                                              none,
		`{"event":"kyc_rejected"}`:                                                              none,
		`{"event":"kyc","type":"Maker Approved"}`:                                               "verdict completed unconfirmed approved maker human final [maker approved human]",
		`{"event":"Maker Approved","session_data":{"session_status":"kyc_result_rejected"}}`:    "doubt unknown none maker human system.contradiction",
		`{"event":"Checker Approved","session_data":{"audit_result":"0"}}`:                      "doubt unknown none checker human system.contradiction",
		`{"event":"Checker Approved","session_status":["kyc_result_approved"]}`:                 "doubt unknown none checker human system.contradiction",
		`{"event":"Checker Approved","session_data":{"session_status":"kyc_request_accepted"}}`: "verdict completed unconfirmed approved checker human final [checker approved human]",
		`{"event":"Checker Rejected","session_data":{"session_status":"kyc_result_approved"}}`:  "verdict completed unconfirmed rejected checker human final [checker rejected human] review.checker_rejected",
		`{"event":"Approved"}`:                                                                  none,
		`{"event":"Maker Approved","type":"Maker Rejected"}`:                                    makers,
		`{"event":"Maker Approved","type":"Checker Approved"}`:                                  none, // two different labels count as none
		`{"event":"Checker Approved","status":"Checker Rejected"}`:                              checkers,
		`{"event":"Checker Rejected","data":{"result":"CHECKER_APPROVED"}}`:                     checkers,
		`{"event":"Maker Approved","data":{"session_status":"kyc_rejected"}}`:                   makers,
		`{"event":"Maker Approved","data":[{"feedback":{"type":"Reject"}}]}`:                    makers,
		`{"event":"Checker Approved","a":{"session_data":{"audit_result":"0"}}}`:                checkers,
		`{"event":"Checker Approved","auditor_feedback":"Redo/Reopen - no sound"}`:              checkers,
		`{"event":"Checker Approved","auditor_fdbk_code":"Rejected"}`:                           checkers,
		`{"event":"Checker Approved","auditor_fdbk":"Case rejected"}`:                           checkers,
		`{"event":"Checker Approved","auditor_feedback":"Rejected"}`:                            checkers,
		`{"event":"Maker Approved","status":"kyc_result_rejected"}`:                             makers,
		`{"event":"Maker Approved","status":"Checker Rejected"}`:                                makers,
		`{"event":"Checker Approved","status":"rejected"}`:                                      checkers,
		`{"event":"Checker Approved","labels":["Checker Rejected"]}`:                            checkers,
		`{"event":"Checker Approved","data":{"results":["Maker Rejected"]}}`:                    checkers,
		`{"event":"Checker Rejected","history":["Maker Approved"]}`:                             "verdict completed unconfirmed rejected checker human final [checker rejected human] review.checker_rejected",
		`{"event":["Maker Approved"]}`:                                                          none,
		`{"event":"Maker Approved","data":{"result":"KYC_RESULT_REJECTED"}}`:                    makers,
		`{"event":"Maker Approved","extras":{"session_status":"kyc_rejected"}}`:                 approved, // not the session's status
		`{"event":"Maker Approved","a":{"b":{"c":{"d":"Checker Rejected"}}}}`:                   makers,
		`{"event":"Maker Approved","a":{"b":{"c":{"d":["Rejected"]}}}}`:                         makers,
		`{"event":"Checker Approved","a":{"b":{"session_data":{"audit_result":"0"}}}}`:          checkers,
		`{"event":"Maker Approved","a":[{"b":{"c":{"feedback":"Reopen"}}}]}`:                    makers,
		`{"event":"Maker Approved","a":{"b":{"extras":{"session_status":"kyc_rejected"}}}}`:     approved,
		`{"event":"Maker Rejected","a":{"b":{"c":{"d":"Maker Approved"}}}}`:                     "verdict completed unconfirmed rejected maker human final [maker rejected human] review.maker_rejected",
		// This key does not name an event.
		`{"status":"Maker Approved"}`:                                            none,
		`{"a":{"b":{"c":{"event":"Maker Approved"}}}}`:                           none, // nested too deeply
		`{"session_status":"kyc_result_approved"}`:                               none,
		`{"session_data":{"session_status":"kyc_result_approved"}}`:              none,
		`{"session_data":{"session_status":"kyc_result_approved"},"status":200}`: none, // a callback in the form of an answer
		`{}`: none,
	} {
		body = strings.Replace(`{"id":{"session_id":"5e551000-0000-4000-8000-000000000001"},`+body[1:], ",}", "}", 1)
		if got := normalizetest.Brief(mapKwikID(t, event.ViaCallback, body, kycbridge.Settings{})); got != want {
			t.Errorf("%s:\n got %s\nwant %s", body, got, want)
		}
		if got := normalizetest.Brief(mapKwikID(t, event.ViaCallback, body,
			kycbridge.Settings{Confirm: true})); got != "fetch: result is fetched" {
			t.Errorf("%s, confirmed: %s", body, got)
		}
	}
	for _, body := range []string{``, `[]`, `null`, `3`, `{"event"`} {
		if _, err := mapPayload(kycbridge.Payload{Body: []byte(body)}, kycbridge.Settings{}); err == nil {
			t.Errorf("%s was read", body)
		}
	}
	o := mapKwikID(t, event.ViaCallback, string(normalizetest.Fixture(t, "kwikid", "webhook-maker-approved-assumed")),
		kycbridge.Settings{Confirm: true})
	if o.EventName != "Maker Approved" || o.ExternalReference != "user-0001" ||
		o.ProviderStatus["event"] != "Maker Approved" ||
		o.References["session_id"] != "5e551000-0000-4000-8000-000000000001" {
		t.Errorf("observation: %+v", o)
	}
}

// TestOpposedTrigger: a checker's label that its own body contradicts is not passed on with the fetch.
func TestOpposedTrigger(t *testing.T) {
	for body, want := range map[string]string{
		`{"session_id":"5e551000-0000-4000-8000-000000000001","event":"Checker Approved"}`:                                 "Checker Approved",
		`{"session_id":"5e551000-0000-4000-8000-000000000001","event":"kyc_checker_rejected"}`:                             "Checker Rejected",
		`{"session_id":"5e551000-0000-4000-8000-000000000001","event":"Checker Approved","status":"Checker Rejected"}`:     "",
		`{"session_id":"5e551000-0000-4000-8000-000000000001","event":"Checker Rejected","data":{"x":"Checker Approved"}}`: "",
		`{"session_id":"5e551000-0000-4000-8000-000000000001","event":"Checker Approved","status":"rejected"}`:             "",
	} {
		o := mapKwikID(t, event.ViaCallback, body, kycbridge.Settings{Confirm: true})
		if o.Effect != kycbridge.EffectFetch || o.Trigger != want {
			t.Errorf("%s: effect %d, trigger %q, want %q", body, o.Effect, o.Trigger, want)
		}
	}
}

// TestLinesWithoutTitles: a line of the summary counts without a title that can be read.
func TestLinesWithoutTitles(t *testing.T) {
	for _, title := range []string{``, `"title":"ИМЯ",`, `"title":{},`} {
		o := mapKwikID(t, event.ViaFetch, `{"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001",
			"session_status":"waiting","summary_data":{"overall_summary":[{`+title+`"success":false},{}]}}}`, kycbridge.Settings{})
		c := normalizetest.CheckOf(o, "overall_summary.other")
		if c.Type != "x_kwikid_summary" || c.Result != event.ResultFailed || len(o.Checks) != 1 {
			t.Errorf("%q: %+v of %d", title, c, len(o.Checks))
		}
	}
}

// TestTitles: what the summary of a running portal lists, under titles that the vendor's sample does not have.
func TestTitles(t *testing.T) {
	o := mapKwikID(t, event.ViaFetch, `{"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001",
		"session_status":"waiting","summary_data":{
		"docs":[{"name":"Aadhaar","details":{"aadhaar_number":"XXXXXXXX4321"}}],
		"overall_summary":[{"title":"Questions","success":true},{"title":"Aadhaar","success":false}]}}}`, kycbridge.Settings{})
	want := []event.Document{{DocumentID: "aadhaar", Type: "in_aadhaar", DocumentNumber: "4321",
		Issuer: &event.Issuer{CountryCode: "IND"}}}
	if !reflect.DeepEqual(o.Documents, want) {
		t.Errorf("documents: %+v", o.Documents)
	}
	for id, want := range map[string]string{
		"overall_summary.questions": "questionnaire passed []",
		"overall_summary.aadhaar":   "document_authenticity failed [aadhaar]",
	} {
		c := normalizetest.CheckOf(o, id)
		if got := fmt.Sprint(c.Type, " ", c.Result, " ", c.DocumentIDs); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

// TestNames: a session without an applicant's name has the name on which its documents agree.
func TestNames(t *testing.T) {
	const pan, aadhaar = `{"name":"Pan Card","details":{`, `{"name":"Aadhaar Card","details":{`
	for _, row := range []struct{ extras, docs, want string }{
		{`{}`, pan + `"name":"TESTA SAMPLE","fathers_name":"TESTO SAMPLE"}}`, "TESTA SAMPLE"},
		{`{}`, pan + `"fathers_name":"TESTO SAMPLE"}}`, "<nil>"},
		{`{}`, pan + `"name":"TESTA SAMPLE"}},` + aadhaar + `"Name":"Testa  Sample"}}`, "TESTA SAMPLE"},
		{`{}`, pan + `"name":"TESTA SAMPLE"}},` + aadhaar + `"name":"TESTB SAMPLE"}}`, "<nil> differ"},
		{`{}`, pan + `"name":"TESTA SAMPLE"}},{"name":"Signature Match","details":{"name":"TESTB SAMPLE"}}`, "TESTA SAMPLE"},
		{`{"applicant_name":"Testa S"}`, pan + `"name":"TESTA SAMPLE"}},` + aadhaar + `"name":"TESTB SAMPLE"}}`, "Testa S"},
	} {
		o := mapKwikID(t, event.ViaFetch, `{"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001",
			"session_status":"waiting","extras":`+row.extras+`,"summary_data":{"docs":[`+row.docs+`]}}}`, kycbridge.Settings{})
		got := fmt.Sprint(o.ExtractedClaims["name"])
		for _, f := range normalizetest.CheckOf(o, "docs.data_consistency").Fields {
			if f.Field == "name" {
				got += " differ"
			}
		}
		if got != row.want {
			t.Errorf("%s %s: %s, want %s", row.extras, row.docs, got, row.want)
		}
	}
}

// TestNoValue: a text that means that there is no value, or a boolean, is no fact about a person: not a name, an
// address, a number, an image, a link or an agent.
func TestNoValue(t *testing.T) {
	for _, none := range []string{`"None"`, `"NA"`, `"null"`, `" "`, `"-"`, `false`, `true`, `null`} {
		body := strings.ReplaceAll(`{"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001",
			"session_status":"kyc_result_approved","feedback":{"type":"Approve"},"agent_id":NONE,"link_id":NONE,
			"selfie_url":NONE,"pan_url":NONE,"aadhaar_url":NONE,
			"extras":{"applicant_name":NONE,"current_address":NONE,"pan_number":NONE},
			"summary_data":{"docs":[{"name":"Pan Card","front_url":NONE,
				"details":{"pa_number":NONE,"dob":NONE,"name":NONE}}]}}}`, "NONE", none)
		o := mapKwikID(t, event.ViaFetch, body, kycbridge.Settings{})
		if len(o.ExtractedClaims) != 0 || len(o.Media) != 0 || o.References["link_id"] != "" {
			t.Errorf("%s: claims %v, media %v, references %v", none, o.ExtractedClaims, o.Media, o.References)
		}
		if len(o.Documents) != 1 || o.Documents[0].DocumentNumber != "" || o.Decisions[0].ActorRef != "" {
			t.Errorf("%s: documents %v, decisions %v", none, o.Documents, o.Decisions)
		}
		if o.Decision.Outcome != event.OutcomeApproved {
			t.Errorf("%s: %+v", none, o.Decision)
		}
	}
}

// TestNoLocation: a text that means that there is no value is no location.
func TestNoLocation(t *testing.T) {
	located := func(member string) bool {
		o := mapKwikID(t, event.ViaFetch, `{"status":200,"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001",
			"session_status":"user_abandoned",`+member+`}}`, kycbridge.Settings{})
		return normalizetest.CheckOf(o, "geolocation").CheckID != ""
	}
	for _, none := range []string{`"None"`, `"NA"`, `"null"`, `" "`, `"-"`, `""`, `"{}"`, `{}`, `null`, `false`} {
		for _, member := range []string{`"location":` + none, `"summary_data":{"user_info":{"location":` + none + `}}`} {
			if located(member) {
				t.Errorf("%s is a location", member)
			}
		}
	}
	for _, some := range []string{`"1 Example Road"`, `"19.1,73.2"`, `{"lat":19.1}`, `"{\"lat\":19.1,\"lng\":73.2}"`} {
		for _, member := range []string{`"location":` + some, `"summary_data":{"user_info":{"location":` + some + `}}`} {
			if !located(member) {
				t.Errorf("%s is no location", member)
			}
		}
	}
}

// TestCoordinatesOfSummary: the coordinates in a summary are a location, and are not in the observation.
func TestCoordinatesOfSummary(t *testing.T) {
	for members, want := range map[string]string{
		`"lat":19.145,"lng":73.249`:     "geolocation undetermined",
		`"lat":"19.145","lng":"73.249"`: "geolocation undetermined",
		`"lat":null,"lng":null`:         " ",
		`"lat":19.145`:                  " ",
	} {
		o := mapKwikID(t, event.ViaFetch, `{"status":200,"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001",
			"session_status":"kyc_result_approved","summary_data":{"docs":[],`+members+`}}}`, kycbridge.Settings{})
		c := normalizetest.CheckOf(o, "geolocation")
		if got := c.Type + " " + string(c.Result); got != want {
			t.Errorf("%s: %q, want %q", members, got, want)
		}
		if told := fmt.Sprintf("%+v", o); strings.Contains(told, "19.145") || strings.Contains(told, "73.249") {
			t.Errorf("%s: %s", members, told)
		}
	}
}

// TestMediaOfBanks: a session of a bank has files that the vendor's sample lacks. Each is told once, by its address and
// its place.
func TestMediaOfBanks(t *testing.T) {
	o := mapKwikID(t, event.ViaFetch, `{"status":200,"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001",
		"session_status":"kyc_result_approved","aadhaar_url":null,"aadhaarback_url":null,"undefined_url":null,
		"aadhaarpdf_url":"https://files.example.com/aadhaar_redacted.pdf","aadhaar_xml":"https://files.example.com/a.xml",
		"signature_url":"https://files.example.com/signature.jpg","summary_pdf_url":"https://files.example.com/s.pdf",
		"summary_json_url":"https://files.example.com/s.json",
		"summary_data":{"docs":[{"name":"Pan Card","front_url":"NA"},
			{"name":"Signature Match","signature_url":"https://files.example.com/signature.jpg"},
			{"name":"Signature Match","signature_url":"https://files.example.com/another.jpg"}]}}}`, kycbridge.Settings{})
	want := []event.Media{
		{Kind: "document", ProviderRef: "https://files.example.com/aadhaar_redacted.pdf",
			Field: "session_data.aadhaarpdf_url"},
		{Kind: "signature", ProviderRef: "https://files.example.com/signature.jpg", Field: "session_data.signature_url"},
		{Kind: "summary", ProviderRef: "https://files.example.com/s.json", Field: "session_data.summary_json_url"},
		{Kind: "summary", ProviderRef: "https://files.example.com/s.pdf", Field: "session_data.summary_pdf_url"},
		{Kind: "signature", ProviderRef: "https://files.example.com/another.jpg",
			Field: "session_data.summary_data.docs.2.signature_url"},
	}
	if !reflect.DeepEqual(o.Media, want) {
		t.Errorf("media: %+v", o.Media)
	}
}

// TestDetails: the data of the documents in the summary, in any spelling of the members; disagreements are
// reported.
func TestDetails(t *testing.T) {
	const pan, aadhaar = `{"name":"Pan Card",`, `{"name":"Aadhaar Card",`
	for docs, want := range map[string]string{
		pan + `"details":{"pa_number":"AAAPT0000A","dob":"21-06-1990"}}`:                                              "AAAPT0000A 1990-06-21",
		pan + `"details":{"Pa_Number":"AAAPT0000A","DOB":"21.06.1990"}}`:                                              "AAAPT0000A 1990-06-21",
		pan + `"details":{"PAN Number":"AAAPT0000A","Date Of Birth":"21/06/1990"}}`:                                   "AAAPT0000A 1990-06-21",
		pan + `"details":{"dob":"21-06-1990","date_of_birth":"22-06-1990"}}`:                                          " differ",
		pan + `"details":{"dob":"21-06-1990","date_of_birth":"1990-06-21"}}`:                                          " 1990-06-21",
		pan + `"details":{"pan":"AAAPT0000A","pan_number":"aaapt 0000a"}},` + pan + `"details":{"pan":"AAAPT0000B"}}`: " numbers differ",
		pan + `"details":{"pan":"AAAPT0000A","pan_number":"aaapt 0000a"}}`:                                            "aaapt 0000a ",
		aadhaar + `"details":{"uid":"XXXXXXXX1234"}},` + aadhaar + `"details":{"uid":"XXXXXXXX4321"}}`:                " numbers differ",
		pan + `"details":{"dob":"21-06-90"}}`:                                                                         " unread",
		pan + `"details":{"dob":"21-06-1990"}},` + aadhaar + `"details":{"dob":"1990-06-21"}}`:                        " 1990-06-21",
		pan + `"details":{"dob":"21-06-1990"}},` + aadhaar + `"details":{"dob":"1990"}}`:                              " 1990-06-21",
		aadhaar + `"details":{"dob":"1990"}},` + pan + `"details":{"dob":"21-06-1990"}}`:                              " 1990-06-21",
		aadhaar + `"details":{"dob":"1991"}},` + pan + `"details":{"dob":"21-06-1990"}}`:                              " differ",
		pan + `"details":{"dob":"21-06-1990"}},` + aadhaar + `"details":{"dob":"22-06-1990"}}`:                        " differ",
		pan + `"details":{"dob":"21-06-1990"}},{"name":"Signature Match","details":{"dob":"22-06-1990"}}`:             " 1990-06-21",
		pan + `"facematch_score":{"selfie_pan_match":98}}`:                                                            "  0.98",
		pan + `"facematch_score":{"Selfie_PAN_Match":"98"}}`:                                                          "  0.98",
		aadhaar + `"facematch_score":{"selfie_aadhaar_match":91}}`:                                                    "  0.91",
		pan + `"facematch_score":{"selfie_pan_match":98,"selfie_aadhaar_match":91}}`:                                  " ",
		pan + `"facematch_score":{"selfie_pan_match":150}}`:                                                           " ",
		pan + `"facematch_score":{"threshold":60}}`:                                                                   " ",
	} {
		o := mapKwikID(t, event.ViaPoll, `{"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001",
			"session_status":"waiting","summary_data":{"docs":[`+docs+`]}}}`, kycbridge.Settings{})
		birth, _ := o.ExtractedClaims["birthdate"].(string)
		got := o.Documents[0].DocumentNumber + " " + birth
		for _, c := range o.Checks {
			switch {
			case c.Type == event.CheckDataExtraction:
				got += "unread"
			case c.Type == event.CheckDataConsistency && c.Result == event.ResultFailed &&
				c.Fields[0].Field == "birthdate":
				got += "differ"
			case c.Type == event.CheckDataConsistency && c.Fields[0].Field == "document_number":
				got += "numbers differ"
			case c.Score != nil:
				got += fmt.Sprint(" ", *c.Score)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", docs, got, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	for name, want := range map[string]kycbridge.Identity{
		"get-details-approved": {Schema: "session", Reference: "5e551000-0000-4000-8000-000000000001",
			Event: "kyc_result_approved"},
		"get-details-rejected": {Schema: "session", Reference: "5e551000-0000-4000-8000-000000000002",
			Event: "kyc_result_rejected"},
		"webhook-checker-approved-assumed": {Schema: "webhook", Reference: "5e551000-0000-4000-8000-000000000001",
			Event: "Checker Approved"},
		"webhook-checker-rejected-assumed": {Schema: "webhook", Reference: "5e551000-0000-4000-8000-000000000001",
			Event: "Checker Rejected"},
		"webhook-maker-approved-assumed": {Schema: "webhook", Reference: "5e551000-0000-4000-8000-000000000001",
			Event: "Maker Approved"},
		"webhook-maker-rejected-assumed": {Schema: "webhook", Reference: "5e551000-0000-4000-8000-000000000002",
			Event: "Maker Rejected"},
		"webhook-no-session-id-assumed": {Schema: "webhook", Event: "Maker Approved", Missing: "/session_id"},
	} {
		got := identify(decode(t, normalizetest.Fixture(t, "kwikid", name)))
		got.Document = nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
	deep := strings.Repeat(`{"a":`, 7) + `{"Session-ID":"5E551000-0000-4000-8000-00000000000A"}` + strings.Repeat(`}`, 7)
	const found = "5e551000-0000-4000-8000-00000000000a"
	for body, want := range map[string]string{
		deep:                 found,
		`{"a":` + deep + `}`: "", // one level too deep
		// Two sessions: it is not known which of them the body describes.
		`{"session_id":"not-a-uuid","z":{"session_id":"5e551000-0000-4000-8000-00000000000a"}}`:                                 "",
		`{"b":{"session_id":"5e551000-0000-4000-8000-00000000000b"},"a":{"session_id":"5e551000-0000-4000-8000-00000000000a"}}`: "",
		`{"session_id":"5e551000-0000-4000-8000-00000000000b","sessionId":"5e551000-0000-4000-8000-00000000000a"}`:              "",
		`{"b":{"session_id":"5E551000-0000-4000-8000-00000000000A"},"a":{"sessionId":"5e551000-0000-4000-8000-00000000000a"}}`:  found,
		`{"session_id":"","a":{"session_id":"5e551000-0000-4000-8000-00000000000a"}}`:                                           found,
		`{"session_id":5}`: "", `{"session_id":"5e551000-0000-4000-8000-00000000000g"}`: "",
		`{"session_id":"5e5510000-000-4000-8000-00000000000a"}`: "",
		`{}`: "",
	} {
		if got := identify(decode(t, []byte(body))); got.Reference != want || (got.Missing == "") != (want != "") {
			t.Errorf("identify %s = %+v, want %q", body, got, want)
		}
	}
	number := map[string]any{"status": json.Number("200"),
		"session_data": map[string]any{"session_status": "waiting", "session_id": "Opaque-1"}}
	if got := identify(number); got.Schema != "session" || got.Reference != "Opaque-1" {
		t.Errorf("a body with json.Number: %+v", got)
	}
	if got := identify(decode(t, []byte(`{"status":200,"session_data":{"session_status":"waiting"}}`))); got.Missing != "/session_data/session_id" {
		t.Errorf("an answer without a session id: %+v", got)
	}
}

// polled is an answer of get_details with these members of its session.
func polled(members string) string {
	return `{"status":200,"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001","agent_id":"agent-7",` +
		members + `}}`
}

// TestMentions: what a session that decides nothing contains beside its status. Only the checker's approval, and
// nothing about the checker, leave an older approval.
func TestMentions(t *testing.T) {
	const rejected, none = event.OutcomeRejected, event.OutcomeNone
	for members, want := range map[string]event.Outcome{
		`"session_status":"kyc_request_accepted"`:                                     "",
		`"session_status":"kyc_request_accepted","audit_result":"1"`:                  "",
		`"session_status":"kyc_request_accepted","audit_result":"1","audit_lock":"a"`: "",
		`"session_status":"kyc_request_accepted","audit_result":0`:                    rejected,
		`"session_status":"waiting","auditor_feedback":"Rejected: another person"`:    rejected,
		`"session_status":"waiting","audit_result":"7"`:                               none,
		`"session_status":"waiting","audit_lock":"auditor-2"`:                         none,
		`"session_status":"waiting","auditor_fdbk":"please REVISIT"`:                  none,
		`"session_status":"session_expired","audit_lock":"auditor-2"`:                 none,
		`"session_status":"session_expired"`:                                          "",
		`"session_status":"waiting","auditor_feedback":"Case rejected"`:               none,
		`"session_status":"kyc_request_accepted","feedback":{"type":"Reject"}`:        rejected,
		`"session_status":"session_expired","feedback":{"type":"Reject"}`:             rejected,
		`"session_status":"kyc_request_accepted","feedback":"{\"type\":\"Reopen\"}"`:  none,
		`"session_status":"kyc_request_accepted","feedback":{"type":"Approve"}`:       "",
		`"session_status":"kyc_paused"`:                                               none,
		`"session_status":"kyc_result_approved"`:                                      "",
	} {
		if o := mapKwikID(t, event.ViaPoll, polled(members), kycbridge.Settings{}); o.Mentions != want {
			t.Errorf("%s: mentions %q, want %q", members, o.Mentions, want)
		}
	}
	second := kycbridge.Settings{Own: Settings{Checker: true}}
	for status, want := range map[string]event.Outcome{"kyc_result_approved": "", "kyc_result_rejected": rejected} {
		if o := mapKwikID(t, event.ViaPoll, polled(`"session_status":"`+status+`"`), second); o.Mentions != want {
			t.Errorf("%s, and a checker: mentions %q, want %q", status, o.Mentions, want)
		}
	}
}

// TestWordsBesideASession: an answer that refuses the person beside the session that approves contradicts itself, at
// whatever place. The status in extras is not the session's own.
func TestWordsBesideASession(t *testing.T) {
	const (
		approved     = "verdict completed approved maker human final [maker approved human]"
		contradicted = "doubt unknown none maker human system.contradiction"
	)
	for beside, want := range map[string]string{
		`"session_status":"kyc_result_rejected"`:            contradicted,
		`"audit_result":"0"`:                                contradicted,
		`"audit_result":"7"`:                                contradicted,
		`"auditor_feedback":"Rejected"`:                     contradicted,
		`"data":[{"session_status":"kyc_result_rejected"}]`: contradicted,
		`"session_status":"session_expired"`:                approved, // perhaps that of an earlier call
		`"audit_result":"1"`:                                approved,
		`"extras":{"session_status":"kyc_result_rejected"}`: approved,
		`"result":"kyc_result_rejected"`:                    approved, // not a member that says so of a session
	} {
		const status = `"session_status":"kyc_result_approved"`
		inside := polled(status + `,"summary_data":{` + beside + `}`)
		top := strings.Replace(polled(status), `"status":200`, beside, 1)
		for _, body := range []string{inside, top} {
			if got := normalizetest.Brief(mapKwikID(t, event.ViaPoll, body, kycbridge.Settings{})); got != want {
				t.Errorf("%s:\n got %s\nwant %s", body, got, want)
			}
		}
	}
}

// TestChecker: what a session contains about the checker takes precedence over the maker's decision,
// whatever the account's setting for checkers.
func TestChecker(t *testing.T) {
	const (
		approved = `"session_status":"kyc_result_approved","feedback":"{\"type\":\"Approve\"}"`
		rejected = `"session_status":"kyc_result_rejected","feedback":{"type":"Reject"}`

		bothApproved = "verdict completed approved checker human final [maker approved human] [checker approved human]"
		refused      = "verdict completed rejected checker human final [maker approved human] [checker rejected human] " +
			"review.checker_rejected"
		bothRejected = "verdict completed rejected checker human final [maker rejected human] [checker rejected human] " +
			"review.maker_rejected review.checker_rejected"
		overruled = "verdict in_review review checker human [maker rejected human] [checker approved human] " +
			"review.maker_rejected review.manual_review_required"
		locked       = "verdict in_review awaiting_second_review none maker human [maker approved human]"
		revisit      = "reopen in_review awaiting_second_review [maker approved human]"
		doubt        = "doubt unknown none checker human system.unmapped_status"
		contradicted = "doubt unknown none maker human system.contradiction"
		makerDoubt   = "doubt unknown none maker human system.unmapped_status"

		checkerContradicted = "doubt unknown none checker human system.contradiction"
	)
	for members, want := range map[string]string{
		approved + `,"audit_result":"1"`:                                    bothApproved,
		approved + `,"audit_result":1`:                                      bothApproved,
		approved + `,"audit_result":true`:                                   bothApproved,
		approved + `,"audit_result":"True","audit_lock":true`:               bothApproved,
		approved + `,"AUDIT_RESULT":"0"`:                                    refused,
		approved + `,"audit_result":0`:                                      refused,
		approved + `,"audit_result":false`:                                  refused,
		rejected + `,"audit_result":"0"`:                                    bothRejected,
		rejected + `,"audit_result":"1"`:                                    overruled,
		approved + `,"audit_result":"2"`:                                    doubt,
		approved + `,"audit_result":"approved"`:                             doubt,
		approved + `,"audit_result":1.0`:                                    doubt,
		approved + `,"audit_result":"0.0"`:                                  doubt,
		approved + `,"audit_result":"1.5"`:                                  doubt,
		approved + `,"audit_result":"1."`:                                   doubt,
		approved + `,"audit_result":".0"`:                                   doubt,
		approved + `,"audit_lock":1.0`:                                      locked,
		approved + `,"audit_lock":".0"`:                                     locked,
		approved + `,"audit_lock":0.0`:                                      locked,
		approved + `,"audit_result":{"a":1}`:                                doubt,
		approved + `,"audit_result":[1]`:                                    doubt,
		approved + `,"audit_result":"-1"`:                                   doubt,
		approved + `,"audit_lock":[]`:                                       locked,
		approved + `,"auditor_fdbk":["please REVISIT"]`:                     revisit,
		approved + `,"audit_lock":true`:                                     locked,
		approved + `,"audit_lock":"1","audit_result":null`:                  locked,
		approved + `,"audit_lock":"auditor-2","audit_result":""`:            locked,
		approved + `,"audit_result":"1","auditor_fdbk":"REVISIT: sound"`:    revisit,
		approved + `,"auditor_feedback":"{\"comment\":\"please revisit\"}"`: revisit,
		approved + `,"audit_lock":false`: "verdict completed approved maker human " +
			"final [maker approved human]",
		approved + `,"audit_lock":0,"audit_result":null`: "verdict completed approved maker human " +
			"final [maker approved human]",
		`"session_status":"waiting","audit_result":"1"`:            "progress created link_sent",
		`"session_status":"kyc_result_pending","audit_result":"1"`: makerDoubt,

		// The auditor's words beside the result, or without one beside the maker's verdict.
		approved + `,"audit_result":"1","auditor_feedback":"Rejected"`:                                    checkerContradicted,
		approved + `,"audit_result":"0","auditor_feedback":"Approved"`:                                    checkerContradicted,
		approved + `,"auditor_feedback":"Rejected: not audible"`:                                          checkerContradicted,
		approved + `,"audit_lock":false,"auditor_fdbk":[{"a":{"type":"REJECT"}}]`:                         checkerContradicted,
		approved + `,"audit_result":"0","auditor_feedback":"Rejected"`:                                    refused,
		approved + `,"audit_result":"1","auditor_feedback":"Approved"`:                                    bothApproved,
		approved + `,"audit_result":"1","auditor_feedback":"no reason to reject"`:                         bothApproved,
		approved + `,"auditor_feedback":"Case rejected: not the same person"`:                             checkerContradicted,
		approved + `,"auditor_fdbk":"Not  Approved"`:                                                      checkerContradicted,
		approved + `,"auditor_fdbk_code":"A1_DECLINED"`:                                                   checkerContradicted,
		approved + `,"auditor_feedback":"Approved, no reason to reject"`:                                  "verdict completed approved maker human final [maker approved human]",
		approved + `,"auditor_feedback":"projected on a wall"`:                                            "verdict completed approved maker human final [maker approved human]",
		approved + `,"audit_result":"0","auditor_feedback":"Case rejected"`:                               refused,
		approved + `,"audit_lock":true,"auditor_feedback":"Case rejected"`:                                locked,
		approved + `,"audit_result":"1","auditor_feedback":[{"type":"REVISIT"}]`:                          revisit,
		approved + `,"auditor_feedback":"Redo/Reopen - no sound, REJECT"`:                                 checkerContradicted,
		approved + `,"audit_result":"1","auditor_feedback":"REOPEN: no sound"`:                            checkerContradicted,
		approved + `,"audit_result":"1","auditor_feedback":{"type":"Reopen"}`:                             checkerContradicted,
		approved + `,"audit_result":"0","auditor_feedback":"Redo/Reopen - no sound, REJECT"`:              refused,
		approved + `,"audit_lock":true,"auditor_feedback":"Redo/Reopen - no sound"`:                       locked,
		approved + `,"audit_result":"1","auditor_feedback":"nothing to redo"`:                             bothApproved,
		approved + `,"auditor_feedback":"Approved","auditor_fdbk_code":"Redo/Reopen - no sound, REJECT"`:  checkerContradicted,
		approved + `,"audit_result":"1","auditor_fdbk_code":"Rejected"`:                                   checkerContradicted,
		approved + `,"audit_result":"1","auditor_fdbk_code":"REVISIT"`:                                    revisit,
		approved + `,"audit_result":"1","auditor_feedback":"Approved","auditor_fdbk_code":"None"`:         bothApproved,
		approved + `,"audit_result":"0","auditor_feedback":"Rejected","auditor_fdbk_code":"A1"`:           refused,
		rejected + `,"audit_result":"0","auditor_fdbk_code":"Redo/Reopen - no sound, REJECT"`:             bothRejected,
		approved + `,"audit_lock":true,"auditor_feedback":"Rejected"`:                                     locked,
		approved + `,"audit_result":"1","auditor_feedback":"{\"type\":\"Reject\"}"`:                       checkerContradicted,
		approved + `,"auditor_fdbk":"{\"type\":\"Reject\"}"`:                                              checkerContradicted,
		approved + `,"auditor_fdbk":["\"{\\\"type\\\":\\\"Reject\\\"}\""]`:                                checkerContradicted,
		approved + `,"audit_result":"1","auditor_feedback":"[{\"type\":\"Reject\",\"score\":NaN}]"`:       checkerContradicted,
		approved + `,"auditor_feedback":"[Rejected]"`:                                                     checkerContradicted,
		approved + `,"audit_result":"1","auditor_feedback":"{\"type\":\"Approve\"}"`:                      bothApproved,
		rejected + `,"audit_result":"0","auditor_feedback":"{\"type\":NaN}"`:                              bothRejected,
		`"session_status":"kyc_rejected","audit_result":"0"`:                                              checkerContradicted,
		`"session_status":"session_expired","auditor_feedback":"Rejected: not the same person"`:           checkerContradicted,
		`"session_status":"session_expired","audit_result":0`:                                             checkerContradicted,
		`"session_status":"call_dropped","audit_result":"0"`:                                              checkerContradicted,
		`"session_status":"kyc_rejected","audit_result":"1"`:                                              "end canceled session.superseded",
		`"session_status":"vkyc_requested","audit_result":"0"`:                                            "progress in_progress call_scheduled",
		`"session_status":"KYC_RESULT_REJECTED"`:                                                          makerDoubt,
		`"session_status":"kyc_result_revoked"`:                                                           makerDoubt,
		`"session_status":["kyc_result_rejected"]`:                                                        makerDoubt,
		`"session_status":"kyc_result_approved","feedback":"[all documents seen]"`:                        "verdict completed approved maker human final [maker approved human]",
		`"session_status":"kyc_result_approved","feedback":"{\"type\": \"Rej"`:                            "doubt unknown none maker human system.unmapped_status",
		`"session_status":"kyc_result_approved","feedback":"[{\"type\":\"Reject\",\"score\":NaN}]"`:       makerDoubt,
		`"session_status":"kyc_result_approved","feedback":"[ { \"type\": \"Rej"`:                         makerDoubt,
		`"session_status":"kyc_result_approved","feedback":"[Reject]"`:                                    contradicted,
		`"session_status":"kyc_result_approved","feedback":{"feedback":{"type":"Reject"}}`:                contradicted,
		`"session_status":"kyc_result_approved","feedback":{"feedback":{"type":"Hold"}}`:                  makerDoubt,
		`"session_status":"kyc_result_approved","feedback":{"type":"Approve","data":[{"type":"Reject"}]}`: contradicted,
		`"session_status":"kyc_result_approved","feedback":{"type":"Approve","device":{"type":"phone"}}`:  "verdict completed approved maker human final [maker approved human]",
		`"session_status":"kyc_result_approved","feedback":["Reject"]`:                                    contradicted,
		`"session_status":"kyc_result_approved","feedback":["{\"type\":\"Reject\"}"]`:                     contradicted,
		`"session_status":"kyc_result_approved","feedback":"\"Reject\""`:                                  contradicted,
		`"session_status":"kyc_result_approved","feedback":"\"{\\\"type\\\":\\\"Reject\\\"}\""`:           contradicted,
		`"session_status":"kyc_result_approved","feedback":[{"type":"Reject"},{"type":"Approve"}]`:        "doubt unknown none maker human system.unmapped_status",

		`"session_status":"kyc_result_approved","feedback":{"type":"Hold"}`:                       "doubt unknown none maker human system.unmapped_status",
		`"session_status":"kyc_result_approved","feedback":{"type":["Approve"]}`:                  "doubt unknown none maker human system.unmapped_status",
		`"session_status":"kyc_result_approved","feedback":[{"type":"Reject"}]`:                   contradicted,
		`"session_status":"kyc_result_approved","feedback":{"type":"Reject"}`:                     contradicted,
		`"session_status":"kyc_result_approved","feedback":"Reject"`:                              contradicted,
		`"session_status":"kyc_result_approved","feedback":" REOPEN "`:                            contradicted,
		`"session_status":"kyc_result_approved","feedback":"nothing to reject"`:                   "verdict completed approved maker human final [maker approved human]",
		`"session_status":"kyc_result_approved","feedback":{"type":"rejected"},"audit_result":1`:  contradicted,
		`"session_status":"kyc_result_approved","feedback":"{\"type\":\"Reopen\"}"`:               contradicted,
		`"session_status":"kyc_result_rejected","feedback":"{\"type\":\"Approve\"}"`:              contradicted,
		`"session_status":"kyc_result_rejected","feedback":"{\"type\":\"Reopen\"}"`:               "reopen requires_input resubmit maker human review.resubmission_requested <rejoin_call  >",
		`"session_status":"kyc_result_rejected","feedback":{"type":"Re-schedule"},"audit_lock":1`: "reopen requires_input resubmit maker human review.resubmission_requested <rejoin_call  >",
	} {
		for _, s := range []kycbridge.Settings{{}, {Own: Settings{Checker: true}}} {
			got := normalizetest.Brief(mapKwikID(t, event.ViaPoll, polled(members), s))
			if own(s).Checker && want == "verdict completed approved maker human final [maker approved human]" {
				want = "progress in_review awaiting_second_review [maker approved human]"
			}
			if got != want {
				t.Errorf("%s, checker %t:\n got %s\nwant %s", members, own(s).Checker, got, want)
			}
		}
	}
}

// TestCheckerRejectsAnEndedSession: an approval does not remain if a checker rejects and the session that is fetched
// then has no verdict.
func TestCheckerRejectsAnEndedSession(t *testing.T) {
	const doubt = "doubt unknown none checker human system.contradiction"
	for members, want := range map[string]string{
		`"session_status":"kyc_rejected"`:              doubt,
		`"session_status":"session_expired"`:           doubt,
		`"session_status":"call_dropped"`:              doubt,
		`"session_status":"kyc_result_partial_update"`: "doubt unknown none maker human system.unmapped_status",
		`"session_status":"kyc_request_accepted"`:      "progress in_progress call_in_progress",
	} {
		o, err := mapPayload(kycbridge.Payload{Via: event.ViaFetch, Trigger: "Checker Rejected",
			Body: []byte(polled(members))}, kycbridge.Settings{})
		if got := normalizetest.Brief(o); err != nil || got != want {
			t.Errorf("%s:\n got %s %v\nwant %s", members, got, err, want)
		}
	}
}

// TestCheckerTwoWays: the checker's decision in a webhook and the one in the session come from the same
// person, so if they disagree neither is accepted.
func TestCheckerTwoWays(t *testing.T) {
	const withChecker = `null,"audit_lock":"auditor-2"`
	for _, c := range []struct{ trigger, audit, want string }{
		{"Checker Approved", withChecker, "verdict in_review awaiting_second_review none maker human [maker approved human]"},
		{"Checker Approved", `"1"`, "verdict completed approved checker human final [maker approved human] [checker " +
			"approved human]"},
		{"Checker Rejected", `"0"`, "verdict completed rejected checker human final [maker approved human] [checker " +
			"rejected human] review.checker_rejected"},
		{"Checker Approved", `"0"`, "doubt unknown none checker human system.contradiction"},
		{"Checker Rejected", `"1"`, "doubt unknown none checker human system.contradiction"},
		{"Checker Approved", `null`, "verdict completed unconfirmed approved checker human final [maker approved human] " +
			"[checker approved human]"},
	} {
		body := polled(`"session_status":"kyc_result_approved","audit_result":` + c.audit)
		o, err := mapPayload(kycbridge.Payload{Via: event.ViaFetch, Trigger: c.trigger, Body: []byte(body)},
			kycbridge.Settings{Own: Settings{Checker: true}})
		if got := normalizetest.Brief(o); err != nil || got != c.want {
			t.Errorf("%s, audit_result %s:\n got %s %v\nwant %s", c.trigger, c.audit, got, err, c.want)
		}
		if o.Cross.Callback == "" || strings.HasPrefix(c.audit, "null") != (o.Cross.API == "") {
			t.Errorf("%s, audit_result %s: %+v", c.trigger, c.audit, o.Cross)
		}
	}
}

// TestAskedForIsTheAnswer: the way in which a body was received decides what it is, not its top-level
// status.
func TestAskedForIsTheAnswer(t *testing.T) {
	for _, status := range []string{`200`, `"200"`, `"success"`, `null`, `{"code":200}`, `true`} {
		body := `{"status":` + status +
			`,"session_data":{"session_id":"5E551000-0000-4000-8000-000000000001","session_status":"kyc_result_approved"}}`
		for _, via := range []event.Via{event.ViaPoll, event.ViaFetch} {
			id := Identify(decode(t, []byte(body)), via)
			if id.Schema != "session" || id.Reference != "5e551000-0000-4000-8000-000000000001" {
				t.Errorf("status %s via %s: %+v", status, via, id)
			}
			if o := mapKwikID(t, via, body, kycbridge.Settings{}); o.Decision.Outcome != event.OutcomeApproved {
				t.Errorf("status %s via %s: %s", status, via, normalizetest.Brief(o))
			}
		}
		if o := mapKwikID(t, event.ViaCallback, body, kycbridge.Settings{}); o.Decision.Outcome == event.OutcomeApproved {
			t.Errorf("status %s as a callback: %s", status, normalizetest.Brief(o))
		}
	}
}

func TestFeedback(t *testing.T) {
	for feedback, want := range map[string]string{
		`"{\"type\":\"Reject\",\"comment\":\"SEEDED\"}"`: "human",
		`{"type":"REJECTED","comment":"SEEDED"}`:         "human",
		`"{\"comment\":\"SEEDED\"}"`:                     "unspecified",
		`"SEEDED but no JSON"`:                           "unspecified",
		`"[\"SEEDED\"]"`:                                 "unspecified",
		`"{\"type\":{\"a\":1}}"`:                         "system",
		`"{\"type\":\"\",\"comment\":null}"`:             "system",
		`""`:                                             "system",
		`"  "`:                                           "system",
		`"{}"`:                                           "system",
		`"null"`:                                         "system",
		`null`:                                           "system",
		`{}`:                                             "system",
		`[]`:                                             "system",
	} {
		o := mapKwikID(t, event.ViaPoll,
			`{"status":200,"session_data":{"session_status":"kyc_result_rejected","agent_id":"agent-7","feedback":`+feedback+`}}`, kycbridge.Settings{})
		step, reason := o.Decisions[0], o.Reasons[0]
		if string(step.ActorType) != want || o.Decision.ActorType != step.ActorType {
			t.Errorf("feedback %s: %s, want %s", feedback, step.ActorType, want)
		}
		if human := want == "human"; human != (step.ActorRef == "agent-7") ||
			human != (normalizetest.CheckOf(o, "agent_review").Result == event.ResultFailed) {
			t.Errorf("feedback %s: %+v %+v", feedback, step, o.Checks)
		}
		if expired := want == "system"; expired != (reason.Code == "session.expired" && reason.Retryable != nil &&
			*reason.Retryable) ||
			expired != (reason.Code != "review.maker_rejected") {
			t.Errorf("feedback %s: %+v", feedback, reason)
		}
		normalizetest.Withhold(t, o, "SEEDED")
	}
}

func TestDecoy(t *testing.T) {
	o := mapKwikID(t, event.ViaPoll,
		`{"status":200,"session_data":{"session_status":"waiting","extras":{"session_status":"kyc_result_approved"}}}`,
		kycbridge.Settings{})
	if got := normalizetest.Brief(o); got != "progress created link_sent" || len(o.ProviderStatus) != 1 ||
		o.ProviderStatus["session_status"] != "waiting" {
		t.Errorf("%s, %v", got, o.ProviderStatus)
	}
	o = mapKwikID(t, event.ViaPoll, `{"status":200,"session_data":{"session_status":"KYC_RESULT_APPROVED"}}`,
		kycbridge.Settings{})
	if got := normalizetest.Brief(o); got != "doubt unknown none maker human system.unmapped_status" {
		t.Errorf("another spelling: %s", got)
	}
	o = mapKwikID(t, event.ViaPoll, `{"status":200,"session_data":{"session_status":null}}`, kycbridge.Settings{})
	if got := normalizetest.Brief(o); got != "progress unknown system.unmapped_status" {
		t.Errorf("no status: %s", got)
	}
}

func TestSessionFacts(t *testing.T) {
	o := mapKwikID(t, event.ViaPoll, string(normalizetest.Fixture(t, "kwikid", "get-details-approved")),
		kycbridge.Settings{})
	india := &event.Issuer{CountryCode: "IND"}
	docs := []event.Document{
		{DocumentID: "pan", Type: "in_pan", DocumentNumber: "AAAAA0000A", Issuer: india},
		{DocumentID: "aadhaar", Type: "in_aadhaar", Issuer: india},
	}
	if !reflect.DeepEqual(o.Documents, docs) {
		t.Errorf("documents: %+v", o.Documents)
	}
	claims := event.Claims{"name": "Testa Sample", "phone_number": "+915550100001",
		"address": map[string]string{"formatted": "1 Example Street"}}
	if !reflect.DeepEqual(o.ExtractedClaims, claims) {
		t.Errorf("claims: %v", o.ExtractedClaims)
	}
	session := &event.Session{Channel: "video_call", StartedAt: "2026-03-02T09:00:00Z", EndedAt: "2026-03-02T09:10:00.25Z"}
	if !reflect.DeepEqual(o.Session, session) {
		t.Errorf("session: %+v", o.Session)
	}
	if o.ExternalReference != "user-0001" || o.References["link_id"] != "LinkExample1" ||
		o.Decisions[0].ActorRef != "agent-01" {
		t.Errorf("observation: %+v", o)
	}
	for id, want := range map[string]string{
		"agent_review":                   "agent_review passed pvr",
		"overall_summary.selfie":         "x_kwikid_selfie passed ",
		"overall_summary.pan_card":       "document_authenticity passed vri",
		"overall_summary.aadhaar_card":   "document_authenticity passed vri",
		"overall_summary.qna":            "questionnaire passed ",
		"docs.signature_match.validator": "data_match failed ",
		"geolocation":                    "geolocation undetermined ",
	} {
		c := normalizetest.CheckOf(o, id)
		if got := c.Type + " " + string(c.Result) + " " + c.Method; got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if c := normalizetest.CheckOf(o, "overall_summary.pan_card"); !reflect.DeepEqual(c.DocumentIDs, []string{"pan"}) {
		t.Errorf("pan card: %+v", c)
	}
	if len(o.Checks) != 7 || len(o.Media) != 9 {
		t.Errorf("%d checks, %d media", len(o.Checks), len(o.Media))
	}
	if m := o.Media[1]; m.Field != "session_data.pan_url" ||
		m.ProviderRef != "https://files.example.com/kwikid/pan.jpg" || m.Kind != "document_front" {
		t.Errorf("media: %+v", m)
	}
	booked := mapKwikID(t, event.ViaPoll,
		`{"status":200,"session_data":{"session_status":"vkyc_requested","vkyc_start_time":1772530000}}`,
		kycbridge.Settings{})
	if booked.Session.StartedAt != "" {
		t.Errorf("a booked call has started: %+v", booked.Session)
	}
	if booked.Documents != nil || booked.ExtractedClaims != nil || booked.Media != nil || booked.Checks != nil {
		t.Errorf("facts out of nothing: %+v", booked)
	}
}

func TestOddSessions(t *testing.T) {
	o := mapKwikID(t, event.ViaFetch, `{"status":200,"session_data":{"session_id":"5E551000-0000-4000-8000-00000000000A","session_status":"kyc_result_approved",
	  "user_id":17,"agent_id":{"a":1},"phone_number":"+919876543210","start_time":1772442000.5,"end_time":"soon","feedback":7,"link_id":["x"],
	  "customer_IP":"SEEDED-IP","agent_region":"SEEDED-REGION",
	  "extras":{"pan_number":null,"current_employer_name":"SEEDED-EMPLOYER","loan_amt":"SEEDED-LOAN","user_ip":"SEEDED-IP"},
	  "summary_data":{"docs":[{"name":"Aadhaar Card","details":{"aadhaar_number":"2345 6789 0123","fathers_name":"SEEDED-DETAIL","address":"SEEDED-ADDRESS"},"facematch_score":{"score":0.9}},
	    {"name":"Aadhaar Card","validator":{"success":"maybe","type":"x"}},null,"odd",{"name":"Voter Card","details":[]}],
	  "overall_summary":[null,{"title":"Pan Card"},{"title":"Extra Look","success":"true"},{"title":"Extra Look","success":false},5],
	  "qna":[{"q":"SEEDED-Q","a":"SEEDED-A"}],"user_info":{"location":"SEEDED-PLACE","latitude":12.345678,"longitude":77.654321}}}}`, kycbridge.Settings{})
	if got := normalizetest.Brief(o); got != "verdict completed approved maker human final [maker approved human]" {
		t.Errorf("%s", got)
	}
	normalizetest.Withhold(t, o, "SEEDED", "12.345678", "77.654321", "23456789", "2345 6789")
	if o.References["session_id"] != "5e551000-0000-4000-8000-00000000000a" || o.ExternalReference != "17" ||
		o.Session.StartedAt != "2026-03-02T09:00:00.5Z" {
		t.Errorf("observation: %+v", o)
	}
	if len(o.Documents) != 1 || o.Documents[0].Type != "in_aadhaar" || o.Documents[0].DocumentNumber != "0123" {
		t.Errorf("documents: %+v", o.Documents)
	}
	if o.ExtractedClaims["phone_number"] != "+919876543210" {
		t.Errorf("claims: %v", o.ExtractedClaims)
	}
	for id, want := range map[string]string{
		"overall_summary.pan_card":          "document_authenticity undetermined",
		"overall_summary.extra_look":        "x_kwikid_extra_look passed",
		"overall_summary.extra_look_2":      "x_kwikid_extra_look failed",
		"docs.aadhaar_card.facematch_score": "face_match undetermined",
		"docs.aadhaar_card.validator":       "data_match undetermined",
	} {
		if c := normalizetest.CheckOf(o, id); c.Type+" "+string(c.Result) != want {
			t.Errorf("%s: %+v, want %s", id, c, want)
		}
	}
	normalizetest.Unique(t, o)
	for phone, want := range map[string]bool{"+14155550100": true, "5550100001": false, "+0123456789": false,
		"+1 415": false, "+": false, "+12345678901234567": false} {
		if values.E164(phone) != want {
			t.Errorf("e164(%q) = %v", phone, !want)
		}
	}
}

func FuzzMap(f *testing.F) {
	normalizetest.Seed(f, "kwikid")
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, faults := reader().Decode(body)
		if len(faults) > 0 {
			return
		}
		identify(doc)
		said := normalizetest.Words(body)
		for _, via := range []event.Via{event.ViaCallback, event.ViaPoll} {
			for _, s := range []kycbridge.Settings{{}, {Confirm: true}, {Own: Settings{Checker: true}}} {
				o, err := mapPayload(kycbridge.Payload{Provider: "kwikid", Via: via, Body: body}, s)
				if err != nil {
					continue
				}
				normalizetest.Unique(t, o)
				if o.Decision.Outcome == event.OutcomeApproved && !said["kycresultapproved"] && !said["makerapproved"] &&
					!said["checkerapproved"] {
					t.Errorf("approved out of nothing: %s", normalizetest.Brief(o))
				}
				if own(s).Checker && o.Decision.Outcome != "" && o.Decision.Stage != event.StageChecker {
					t.Errorf("decided without a checker: %s", normalizetest.Brief(o))
				}
				if _, err := json.Marshal(o); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// TestStringsInPlaceOfObjects: any object of an answer may be text, a number or null instead, and only
// session_status decides.
func TestStringsInPlaceOfObjects(t *testing.T) {
	const approved = "verdict completed approved maker human final [maker approved human]"
	for _, instead := range []string{`"n/a"`, `""`, `"{}"`, `null`, `[]`, `7`, `true`} {
		for _, member := range []string{
			`"extras":` + instead, `"summary_data":` + instead, `"summary_data":{"docs":` + instead + `}`,
			`"summary_data":{"docs":[` + instead + `]}`,
			`"summary_data":{"docs":[{"name":"Pan Card","details":` + instead + `,"facematch_score":` + instead +
				`,"validator":` + instead + `}]}`,
			`"summary_data":{"overall_summary":` + instead + `}`, `"summary_data":{"overall_summary":[` + instead + `]}`,
			`"summary_data":{"qna":` + instead + `,"user_info":` + instead + `}`, `"captured_images":` + instead,
			`"agent_tl":` + instead,
		} {
			o := mapKwikID(t, event.ViaPoll,
				`{"status":200,"session_data":{"session_status":"kyc_result_approved",`+member+`}}`, kycbridge.Settings{})
			if got := normalizetest.Brief(o); got != approved {
				t.Errorf("%s: %s", member, got)
			}
			normalizetest.Unique(t, o)
		}
	}
}

// TestSummaryAsText: the parts of a summary mean the same if they are JSON inside a string.
func TestSummaryAsText(t *testing.T) {
	const details, match, validator, overall = `{"pa_number":"AAAPT0000A","dob":"21-06-1990","name":"TESTA SAMPLE"}`,
		`{"selfie_pan_match":98}`, `{"success":false,"type":"isSignatureVerify"}`, `[{"success":true,"title":"Selfie"}]`
	asText := func(s string) string { return strconv.Quote(s) }
	observed := func(details, match, validator, overall string, docsForm func(string) string) string {
		docs := docsForm(`[{"name":"Pan Card","details":` + details + `,"facematch_score":` + match +
			`},{"name":"Signature Match","validator":` + validator + `}]`)
		o := mapKwikID(t, event.ViaPoll, `{"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001",
			"session_status":"waiting","summary_data":{"docs":`+docs+`,"overall_summary":`+overall+`}}}`, kycbridge.Settings{})
		raw, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	asIs := func(s string) string { return s }
	want := observed(details, match, validator, overall, asIs)
	if !strings.Contains(want, "1990-06-21") {
		t.Fatalf("%s", want)
	}
	for name, got := range map[string]string{
		"details":         observed(asText(details), match, validator, overall, asIs),
		"facematch_score": observed(details, asText(match), validator, overall, asIs),
		"validator":       observed(details, match, asText(validator), overall, asIs),
		"overall_summary": observed(details, match, validator, asText(overall), asIs),
		"docs":            observed(details, match, validator, overall, asText),
		"docs, details":   observed(asText(details), match, validator, overall, asText),
	} {
		if got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}
}

// TestSpellings: the misspellings of the provider are the valid names, and correct spellings are unknown.
// The customer's IP address is withheld in any letter case.
func TestSpellings(t *testing.T) {
	for status, want := range map[string]string{
		"agent_alloted": "progress in_progress agent_assigned", "agent_allotted": "progress unknown system.unmapped_status",
		"Agent_Alloted": "progress unknown system.unmapped_status",
	} {
		o := mapKwikID(t, event.ViaPoll, `{"status":200,"session_data":{"session_status":"`+status+`","IS_VIDO_UPLOADED":true,"is_video_uploaded":"SEEDED",
		  "customer_IP":"203.0.113.7"}}`, kycbridge.Settings{})
		if got := normalizetest.Brief(o); got != want {
			t.Errorf("%s: %s, want %s", status, got, want)
		}
		normalizetest.Withhold(t, o, "203.0.113", "SEEDED")
	}
}

// TestTimes: the provider defines no format for times, so each plausible format is read, and what cannot
// be read is left out.
func TestTimes(t *testing.T) {
	for start, want := range map[string]string{
		`"1772442000"`: "2026-03-02T09:00:00Z", `1772442000`: "2026-03-02T09:00:00Z",
		`"1772442000.25"`: "2026-03-02T09:00:00.25Z", `1772442000250`: "2026-03-02T09:00:00.25Z",
		`"2026-03-02T09:00:00"`: "2026-03-02T09:00:00Z", `"2026-03-02 09:00:00"`: "2026-03-02T09:00:00Z",
		`"2026-03-02T14:30:00+05:30"`: "2026-03-02T09:00:00Z",
		`""`:                          "", `null`: "", `"soon"`: "", `"02/03/2026 09:00"`: "", `0`: "", `{}`: "",
	} {
		o := mapKwikID(t, event.ViaPoll,
			`{"status":200,"session_data":{"session_status":"kyc_result_approved","start_time":`+start+`}}`,
			kycbridge.Settings{})
		if o.Session.StartedAt != want || o.Decision.Outcome != event.OutcomeApproved {
			t.Errorf("%s: %q %s, want %q", start, o.Session.StartedAt, o.Decision.Outcome, want)
		}
	}
}

// TestFreeTextIsNoType: an agent's own text in the place of a type makes the approval doubtful and is not published.
func TestFreeTextIsNoType(t *testing.T) {
	const text = "Applicant Sample was impatient and left early"
	body := `{"status":200,"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001",` +
		`"session_status":"kyc_result_approved","feedback":{"type":"` + text + `"}}}`
	o := mapKwikID(t, event.ViaPoll, body, kycbridge.Settings{})
	said, err := json.Marshal(o)
	if err != nil || o.Effect != kycbridge.EffectDoubt || strings.Contains(strings.ToLower(string(said)), "impatient") {
		t.Errorf("%s, %v", said, err)
	}
}
