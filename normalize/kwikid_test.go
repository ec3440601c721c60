package normalize

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"kycbridge"
)

func mapKwikID(t testing.TB, via kycbridge.Via, body string, s kycbridge.Settings) kycbridge.Observation {
	t.Helper()
	o, err := KwikID(kycbridge.Payload{Provider: "kwikid", Via: via, Body: []byte(body)}, s)
	if err != nil {
		t.Fatalf("map %s: %v", body, err)
	}
	return o
}

// TestKwikIDSessions holds every session_status of EVENT section 5 against an answer of get_details,
// with and without a second reviewer. Whether webhooks need confirmation changes nothing here.
func TestKwikIDSessions(t *testing.T) {
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
			body := string(fixtureBody(t, "kwikid", name))
			if want.checker == "" {
				want.checker = want.single
			}
			for _, confirm := range []bool{false, true} {
				o := mapKwikID(t, kycbridge.ViaPoll, body, kycbridge.Settings{Confirm: confirm})
				if got := brief(o); got != want.single {
					t.Errorf("one reviewer:\n got %s\nwant %s", got, want.single)
				}
				if !o.OccurredAt.IsZero() || o.EventName != "get_details" || o.Session.Channel != "video_call" {
					t.Errorf("observation: %+v", o)
				}
				unique(t, o)
				withhold(t, o, "203.0.113.7", "Example Ltd", "Example Institute", "100000", "Exampletown", "77.5", "All Successful", "unreadable")
				o = mapKwikID(t, kycbridge.ViaPoll, body, kycbridge.Settings{Confirm: confirm, Checker: true})
				if got := brief(o); got != want.checker {
					t.Errorf("maker and checker:\n got %s\nwant %s", got, want.checker)
				}
			}
		})
	}
}

// TestKwikIDWebhooks: the four events of the portal in bodies whose form is invented.
func TestKwikIDWebhooks(t *testing.T) {
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
			body := string(fixtureBody(t, "kwikid", name))
			for _, checker := range []bool{false, true} {
				o := mapKwikID(t, kycbridge.ViaCallback, body, kycbridge.Settings{Confirm: true, Checker: checker})
				if got := brief(o); got != "fetch: result is fetched" {
					t.Errorf("confirmed: %s", got)
				}
			}
			if got := brief(mapKwikID(t, kycbridge.ViaCallback, body, kycbridge.Settings{})); got != want.direct {
				t.Errorf("unconfirmed:\n got %s\nwant %s", got, want.direct)
			}
			if got := brief(mapKwikID(t, kycbridge.ViaCallback, body, kycbridge.Settings{Checker: true})); got != want.checker {
				t.Errorf("unconfirmed, with a checker:\n got %s\nwant %s", got, want.checker)
			}
		})
	}
}

func TestKwikIDWebhookForms(t *testing.T) {
	const none = "none: no known event label"
	for body, want := range map[string]string{
		`{"event":"maker_approved"}`:                                             "verdict completed unconfirmed approved maker human final [maker approved human]",
		`{"data":{"event_type":"CHECKER-REJECTED"}}`:                             "verdict completed unconfirmed rejected checker human final [checker rejected human] review.checker_rejected",
		`{"event":"kyc","type":"Maker Approved"}`:                                "verdict completed unconfirmed approved maker human final [maker approved human]",
		`{"event":"Approved"}`:                                                   none,
		`{"event":"Maker Approved","type":"Maker Rejected"}`:                     none, // two labels are none
		`{"status":"Maker Approved"}`:                                            none, // not under a key that names an event
		`{"a":{"b":{"c":{"event":"Maker Approved"}}}}`:                           none, // too deep to be the body's own
		`{"session_status":"kyc_result_approved"}`:                               none,
		`{"session_data":{"session_status":"kyc_result_approved"}}`:              none,
		`{"session_data":{"session_status":"kyc_result_approved"},"status":200}`: none, // a callback in the form of an answer
		`{}`: none,
	} {
		body = strings.Replace(`{"id":{"session_id":"5e551000-0000-4000-8000-000000000001"},`+body[1:], ",}", "}", 1)
		if got := brief(mapKwikID(t, kycbridge.ViaCallback, body, kycbridge.Settings{})); got != want {
			t.Errorf("%s:\n got %s\nwant %s", body, got, want)
		}
		if got := brief(mapKwikID(t, kycbridge.ViaCallback, body, kycbridge.Settings{Confirm: true})); got != "fetch: result is fetched" {
			t.Errorf("%s, confirmed: %s", body, got)
		}
	}
	for _, body := range []string{``, `[]`, `null`, `3`, `{"event"`} {
		if _, err := KwikID(kycbridge.Payload{Body: []byte(body)}, kycbridge.Settings{}); err == nil {
			t.Errorf("%s was read", body)
		}
	}
	o := mapKwikID(t, kycbridge.ViaCallback, string(fixtureBody(t, "kwikid", "webhook-maker-approved-assumed")), kycbridge.Settings{Confirm: true})
	if o.EventName != "Maker Approved" || o.ExternalReference != "user-0001" || o.ProviderStatus["event"] != "Maker Approved" ||
		o.References["session_id"] != "5e551000-0000-4000-8000-000000000001" {
		t.Errorf("observation: %+v", o)
	}
}

func TestKwikIDIdentity(t *testing.T) {
	for name, want := range map[string]kycbridge.Identity{
		"get-details-approved":             {Schema: "session", Reference: "5e551000-0000-4000-8000-000000000001", Event: "kyc_result_approved"},
		"get-details-rejected":             {Schema: "session", Reference: "5e551000-0000-4000-8000-000000000002", Event: "kyc_result_rejected"},
		"webhook-checker-approved-assumed": {Schema: "webhook", Reference: "5e551000-0000-4000-8000-000000000001", Event: "Checker Approved"},
		"webhook-checker-rejected-assumed": {Schema: "webhook", Reference: "5e551000-0000-4000-8000-000000000001", Event: "Checker Rejected"},
		"webhook-maker-approved-assumed":   {Schema: "webhook", Reference: "5e551000-0000-4000-8000-000000000001", Event: "Maker Approved"},
		"webhook-maker-rejected-assumed":   {Schema: "webhook", Reference: "5e551000-0000-4000-8000-000000000002", Event: "Maker Rejected"},
		"webhook-no-session-id-assumed":    {Schema: "webhook", Event: "Maker Approved", Missing: "/session_id"},
	} {
		got := IdentifyKwikID(docTree(t, fixtureBody(t, "kwikid", name)))
		got.Document = nil
		if got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
	deep := strings.Repeat(`{"a":`, 7) + `{"Session-ID":"5E551000-0000-4000-8000-00000000000A"}` + strings.Repeat(`}`, 7)
	const found = "5e551000-0000-4000-8000-00000000000a"
	for body, want := range map[string]string{
		deep:                 found,
		`{"a":` + deep + `}`: "", // one level too deep
		`[{"sessionId":"5E551000-0000-4000-8000-00000000000A"}]`:                                                                found,
		`{"session_id":"not-a-uuid","z":{"session_id":"5e551000-0000-4000-8000-00000000000a"}}`:                                 found,
		`{"b":{"session_id":"5e551000-0000-4000-8000-00000000000b"},"a":{"session_id":"5e551000-0000-4000-8000-00000000000a"}}`: found,
		`{"session_id":5}`: "", `{"session_id":"5e551000-0000-4000-8000-00000000000g"}`: "", `{"session_id":"5e5510000-000-4000-8000-00000000000a"}`: "",
		`null`: "", `"x"`: "", `3`: "", `[]`: "", `{}`: "",
	} {
		if got := IdentifyKwikID(docTree(t, []byte(body))); got.Reference != want || (got.Missing == "") != (want != "") {
			t.Errorf("identify %s = %+v, want %q", body, got, want)
		}
	}
	number := map[string]any{"status": json.Number("200"), "session_data": map[string]any{"session_status": "waiting", "session_id": "Opaque-1"}}
	if got := IdentifyKwikID(number); got.Schema != "session" || got.Reference != "Opaque-1" {
		t.Errorf("a body with json.Number: %+v", got)
	}
	if got := IdentifyKwikID(docTree(t, []byte(`{"status":200,"session_data":{"session_status":"waiting"}}`))); got.Missing != "/session_data/session_id" {
		t.Errorf("an answer without a session id: %+v", got)
	}
}

func TestKwikIDFeedback(t *testing.T) {
	for feedback, want := range map[string]string{
		`"{\"type\":\"Reject\",\"comment\":\"SEEDED\"}"`: "human",
		`{"type":"REJECTED","comment":"SEEDED"}`:         "human",
		`"{\"comment\":\"SEEDED\"}"`:                     "unspecified",
		`"{\"type\":\"Approve\"}"`:                       "unspecified",
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
		o := mapKwikID(t, kycbridge.ViaPoll, `{"status":200,"session_data":{"session_status":"kyc_result_rejected","agent_id":"agent-7","feedback":`+feedback+`}}`, kycbridge.Settings{})
		step, reason := o.Decisions[0], o.Reasons[0]
		if string(step.ActorType) != want || o.Decision.ActorType != step.ActorType {
			t.Errorf("feedback %s: %s, want %s", feedback, step.ActorType, want)
		}
		if human := want == "human"; human != (step.ActorRef == "agent-7") || human != (checkOf(o, "agent_review").Result == kycbridge.ResultFailed) {
			t.Errorf("feedback %s: %+v %+v", feedback, step, o.Checks)
		}
		if expired := want == "system"; expired != (reason.Code == "session.expired" && reason.Retryable != nil && *reason.Retryable) ||
			expired != (reason.Code != "review.maker_rejected") {
			t.Errorf("feedback %s: %+v", feedback, reason)
		}
		withhold(t, o, "SEEDED")
	}
}

func TestKwikIDDecoy(t *testing.T) {
	o := mapKwikID(t, kycbridge.ViaPoll, `{"status":200,"session_data":{"session_status":"waiting","extras":{"session_status":"kyc_result_approved"}}}`, kycbridge.Settings{})
	if got := brief(o); got != "progress created link_sent" || len(o.ProviderStatus) != 1 || o.ProviderStatus["session_status"] != "waiting" {
		t.Errorf("%s, %v", got, o.ProviderStatus)
	}
	o = mapKwikID(t, kycbridge.ViaPoll, `{"status":200,"session_data":{"session_status":"KYC_RESULT_APPROVED"}}`, kycbridge.Settings{})
	if got := brief(o); got != "progress unknown system.unmapped_status" {
		t.Errorf("another spelling: %s", got)
	}
	o = mapKwikID(t, kycbridge.ViaPoll, `{"status":200,"session_data":{"session_status":null}}`, kycbridge.Settings{})
	if got := brief(o); got != "progress unknown system.unmapped_status" {
		t.Errorf("no status: %s", got)
	}
}

func TestKwikIDSessionFacts(t *testing.T) {
	o := mapKwikID(t, kycbridge.ViaPoll, string(fixtureBody(t, "kwikid", "get-details-approved")), kycbridge.Settings{})
	india := &kycbridge.Issuer{CountryCode: "IND"}
	docs := []kycbridge.Document{
		{DocumentID: "pan", Type: "in_pan", DocumentNumber: "AAAAA0000A", Issuer: india}, {DocumentID: "aadhaar", Type: "in_aadhaar", Issuer: india},
	}
	if !reflect.DeepEqual(o.Documents, docs) {
		t.Errorf("documents: %+v", o.Documents)
	}
	claims := kycbridge.Claims{"name": "Testa Sample", "address": map[string]string{"formatted": "1 Example Street"}}
	if !reflect.DeepEqual(o.ExtractedClaims, claims) {
		t.Errorf("claims: %v", o.ExtractedClaims)
	}
	session := &kycbridge.Session{Channel: "video_call", StartedAt: "2026-03-02T09:00:00Z", EndedAt: "2026-03-02T09:10:00.25Z"}
	if !reflect.DeepEqual(o.Session, session) {
		t.Errorf("session: %+v", o.Session)
	}
	if o.ExternalReference != "user-0001" || o.References["link_id"] != "LinkExample1" || o.Decisions[0].ActorRef != "agent-01" {
		t.Errorf("observation: %+v", o)
	}
	for id, want := range map[string]string{
		"agent_review":                   "agent_review passed pvr",
		"overall_summary.selfie":         "x_kwikid_selfie passed ",
		"overall_summary.pan_card":       "document_authenticity passed vri",
		"overall_summary.aadhaar_card":   "document_authenticity passed vri",
		"overall_summary.qna":            "questionnaire passed ",
		"docs.signature_match.validator": "data_match failed ",
	} {
		c := checkOf(o, id)
		if got := c.Type + " " + string(c.Result) + " " + c.Method; got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if c := checkOf(o, "overall_summary.pan_card"); !reflect.DeepEqual(c.DocumentIDs, []string{"pan"}) {
		t.Errorf("pan card: %+v", c)
	}
	if len(o.Checks) != 6 || len(o.Media) != 9 {
		t.Errorf("%d checks, %d media", len(o.Checks), len(o.Media))
	}
	if m := o.Media[1]; m.Field != "session_data.pan_url" || m.ProviderRef != "https://files.example.com/kwikid/pan.jpg" || m.Kind != "document_front" {
		t.Errorf("media: %+v", m)
	}
	booked := mapKwikID(t, kycbridge.ViaPoll, `{"status":200,"session_data":{"session_status":"vkyc_requested","vkyc_start_time":1772530000}}`, kycbridge.Settings{})
	if booked.Session.StartedAt != "" {
		t.Errorf("a booked call has started: %+v", booked.Session)
	}
	if booked.Documents != nil || booked.ExtractedClaims != nil || booked.Media != nil || booked.Checks != nil {
		t.Errorf("facts out of nothing: %+v", booked)
	}
}

func TestKwikIDOddSessions(t *testing.T) {
	o := mapKwikID(t, kycbridge.ViaFetch, `{"status":200,"session_data":{"session_id":"5E551000-0000-4000-8000-00000000000A","session_status":"kyc_result_approved",
	  "user_id":17,"agent_id":{"a":1},"phone_number":"+919876543210","start_time":1772442000.5,"end_time":"soon","feedback":7,"link_id":["x"],
	  "customer_IP":"SEEDED-IP","agent_region":"SEEDED-REGION",
	  "extras":{"pan_number":null,"current_employer_name":"SEEDED-EMPLOYER","loan_amt":"SEEDED-LOAN","user_ip":"SEEDED-IP"},
	  "summary_data":{"docs":[{"name":"Aadhaar Card","details":{"aadhaar_number":"2345 6789 0123","name":"SEEDED-DETAIL"},"facematch_score":{"score":0.9}},
	    {"name":"Aadhaar Card","validator":{"success":"maybe","type":"x"}},null,"odd",{"name":"Voter Card","details":[]}],
	  "overall_summary":[null,{"title":"Pan Card"},{"title":"Extra Look","success":"true"},{"title":"Extra Look","success":false},5],
	  "qna":[{"q":"SEEDED-Q","a":"SEEDED-A"}],"user_info":{"location":"SEEDED-PLACE","latitude":12.345678,"longitude":77.654321}}}}`, kycbridge.Settings{})
	if got := brief(o); got != "verdict completed approved maker human final [maker approved human]" {
		t.Errorf("%s", got)
	}
	withhold(t, o, "SEEDED", "12.345678", "77.654321", "23456789", "2345 6789")
	if o.References["session_id"] != "5e551000-0000-4000-8000-00000000000a" || o.ExternalReference != "17" || o.Session.StartedAt != "2026-03-02T09:00:00.5Z" {
		t.Errorf("observation: %+v", o)
	}
	if len(o.Documents) != 1 || o.Documents[0].Type != "in_aadhaar" || o.Documents[0].DocumentNumber != "0123" {
		t.Errorf("documents: %+v", o.Documents)
	}
	if o.ExtractedClaims["phone_number"] != "+919876543210" {
		t.Errorf("claims: %v", o.ExtractedClaims)
	}
	for id, want := range map[string]string{
		"overall_summary.pan_card": "document_authenticity undetermined", "overall_summary.extra_look": "x_kwikid_extra_look passed",
		"overall_summary.extra_look_2": "x_kwikid_extra_look failed", "docs.aadhaar_card.facematch_score": "face_match undetermined",
		"docs.aadhaar_card.validator": "data_match undetermined",
	} {
		if c := checkOf(o, id); c.Type+" "+string(c.Result) != want {
			t.Errorf("%s: %+v, want %s", id, c, want)
		}
	}
	unique(t, o)
	for phone, want := range map[string]bool{"+14155550100": true, "5550100001": false, "+0123456789": false, "+1 415": false, "+": false, "+12345678901234567": false} {
		if e164(phone) != want {
			t.Errorf("e164(%q) = %v", phone, !want)
		}
	}
}

func FuzzKwikID(f *testing.F) {
	seedFixtures(f, "kwikid")
	f.Fuzz(func(t *testing.T, body []byte) {
		var doc any
		if json.Unmarshal(body, &doc) == nil {
			IdentifyKwikID(doc)
		}
		said := words(body)
		for _, via := range []kycbridge.Via{kycbridge.ViaCallback, kycbridge.ViaPoll} {
			for _, s := range []kycbridge.Settings{{}, {Confirm: true}, {Checker: true}} {
				o, err := KwikID(kycbridge.Payload{Provider: "kwikid", Via: via, Body: body}, s)
				if err != nil {
					continue
				}
				unique(t, o)
				if o.Decision.Outcome == kycbridge.OutcomeApproved && !said["kycresultapproved"] && !said["makerapproved"] && !said["checkerapproved"] {
					t.Errorf("approved out of nothing: %s", brief(o))
				}
				if s.Checker && o.Decision.Outcome != "" && o.Decision.Stage != kycbridge.StageChecker {
					t.Errorf("decided without a checker: %s", brief(o))
				}
				if _, err := json.Marshal(o); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// TestKwikIDStringsInPlaceOfObjects: any object of an answer may come as text, a number or null, and
// only session_status decides.
func TestKwikIDStringsInPlaceOfObjects(t *testing.T) {
	const approved = "verdict completed approved maker human final [maker approved human]"
	for _, instead := range []string{`"n/a"`, `""`, `"{}"`, `null`, `[]`, `7`, `true`} {
		for _, member := range []string{
			`"extras":` + instead, `"summary_data":` + instead, `"summary_data":{"docs":` + instead + `}`, `"summary_data":{"docs":[` + instead + `]}`,
			`"summary_data":{"docs":[{"name":"Pan Card","details":` + instead + `,"facematch_score":` + instead + `,"validator":` + instead + `}]}`,
			`"summary_data":{"overall_summary":` + instead + `}`, `"summary_data":{"overall_summary":[` + instead + `]}`,
			`"summary_data":{"qna":` + instead + `,"user_info":` + instead + `}`, `"captured_images":` + instead, `"agent_tl":` + instead,
		} {
			o := mapKwikID(t, kycbridge.ViaPoll, `{"status":200,"session_data":{"session_status":"kyc_result_approved",`+member+`}}`, kycbridge.Settings{})
			if got := brief(o); got != approved {
				t.Errorf("%s: %s", member, got)
			}
			unique(t, o)
		}
	}
}

// TestKwikIDSpellings: the vendor's slips are its names. What is spelled right is not its word, and
// the address of the customer is withheld in any letters.
func TestKwikIDSpellings(t *testing.T) {
	for status, want := range map[string]string{
		"agent_alloted": "progress in_progress agent_assigned", "agent_allotted": "progress unknown system.unmapped_status", "Agent_Alloted": "progress unknown system.unmapped_status",
	} {
		o := mapKwikID(t, kycbridge.ViaPoll, `{"status":200,"session_data":{"session_status":"`+status+`","IS_VIDO_UPLOADED":true,"is_video_uploaded":"SEEDED",
		  "customer_IP":"203.0.113.7","customer_ip":"203.0.113.8","CUSTOMER_IP":"203.0.113.9"}}`, kycbridge.Settings{})
		if got := brief(o); got != want {
			t.Errorf("%s: %s, want %s", status, got, want)
		}
		withhold(t, o, "203.0.113", "SEEDED")
	}
}

// TestKwikIDTimes: no form of time is defined, so each that can be meant is read, and what cannot be
// read is left out.
func TestKwikIDTimes(t *testing.T) {
	for start, want := range map[string]string{
		`"1772442000"`: "2026-03-02T09:00:00Z", `1772442000`: "2026-03-02T09:00:00Z", `"1772442000.25"`: "2026-03-02T09:00:00.25Z", `1772442000250`: "2026-03-02T09:00:00.25Z",
		`"2026-03-02T09:00:00"`: "2026-03-02T09:00:00Z", `"2026-03-02 09:00:00"`: "2026-03-02T09:00:00Z", `"2026-03-02T14:30:00+05:30"`: "2026-03-02T09:00:00Z",
		`""`: "", `null`: "", `"soon"`: "", `"02/03/2026 09:00"`: "", `0`: "", `{}`: "",
	} {
		o := mapKwikID(t, kycbridge.ViaPoll, `{"status":200,"session_data":{"session_status":"kyc_result_approved","start_time":`+start+`}}`, kycbridge.Settings{})
		if o.Session.StartedAt != want || o.Decision.Outcome != kycbridge.OutcomeApproved {
			t.Errorf("%s: %q %s, want %q", start, o.Session.StartedAt, o.Decision.Outcome, want)
		}
	}
}
