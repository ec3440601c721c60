package schemas

import (
	"reflect"
	"strings"
	"testing"
)

// minimalEvent has the required members; completeEvent adds one of each optional part.
const minimalEvent = `{
 "specversion": "1.0", "type": "io.kycbridge.verification.completed.v1", "source": "/kycbridge/ondato/acme",
 "id": "0f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0", "subject": "1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0",
 "time": "2026-03-02T09:00:12.4886646Z", "datacontenttype": "application/json",
 "dataschema": "urn:kycbridge:schema:verification:1.1", "partitionkey": "1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0",
 "recordedtime": "2026-03-02T09:00:13Z",
 "data": {
  "verification_id": "1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0", "revision": 1, "account": "acme", "environment": "test",
  "provider": {
   "name": "ondato", "references": {"idv_id": "b1"}, "status": {"status": "Approved", "attempts": 1},
   "event": {"name": "KycIdentification.Approved", "received_at": "2026-03-02T09:00:13Z", "via": "callback"}},
  "status": "completed", "decision": {"outcome": "approved", "final": true}, "decisions": [], "reasons": [], "checks": [],
  "pii": {"profile": "full"},
  "payload": {"id": "p1", "digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000", "mapping": "1"}}}`

const optionalParts = `"documents": [{"document_id": "d1", "type": "passport", "date_of_expiry": "2031-05-04", "issuer": {"country_code": "LTU"}}],
  "extracted_claims": {"given_name": "Jane", "address": {"locality": "X"}},
  "verified_claims": {"verification": {"trust_framework": "eidas", "time": "x"}, "claims": {"given_name": "Jane"}},
  "session": {"channel": "web", "consent": {"given": true, "at": "2026-03-02T08:57:11Z"}}, "extensions": {"any": {"thing": 1}},
  "payload"`

func completeEvent() string {
	event := strings.Replace(minimalEvent, `"payload"`, optionalParts, 1)
	return strings.Replace(event, `"checks": []`,
		`"checks": [{"check_id": "c1", "type": "face_match", "result": "passed", "score": 0.975, "details": {"any": {}}}]`, 1)
}

func TestValidEvents(t *testing.T) {
	closed, err := Closed()
	if err != nil {
		t.Fatal(err)
	}
	for name, event := range map[string]string{"minimal": minimalEvent, "fuller": completeEvent()} {
		t.Run(name, func(t *testing.T) {
			doc := decoded(t, []byte(event))
			if faults := newSet(t).ValidateEvent(doc); faults != nil {
				t.Errorf("open: %v", faults)
			}
			if faults := closed.Validate(doc); faults != nil {
				t.Errorf("closed: %v", faults)
			}
		})
	}
}

func TestInvalidEvents(t *testing.T) {
	type faults = []Fault
	tests := map[string]struct {
		from, to string
		want     faults
	}{
		"id no uuid": {`"id": "0f2d3c4b-5a69`, `"id": "0f2d`,
			faults{{Path: "/id", Message: "must be a UUID, such as 1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0"}}},
		"time no instant": {`"2026-03-02T09:00:12.4886646Z"`, `"yesterdayZ"`,
			faults{{Path: "/time", Message: "must be a time by RFC 3339, such as 2026-03-02T09:00:00Z"}}},
		"time with a zone": {`12.4886646Z"`, `12+02:00"`,
			faults{{Path: "/time", Message: "has not the form that is asked for"}}},
		"wrong version": {`"specversion": "1.0"`, `"specversion": "0.3"`,
			faults{{Path: "/specversion", Message: `must be "1.0"`}}},
		"unknown kind": {`completed.v1`, `finished.v1`,
			faults{{Path: "/type", Message: "has not the form that is asked for"}}},
		"revision zero": {`"revision": 1`, `"revision": 0`,
			faults{{Path: "/data/revision", Message: "must be at least 1"}}},
		"revision missing": {`"revision": 1,`, ``, faults{{Path: "/data/revision", Message: "is required"}}},
		"no reference": {`{"idv_id": "b1"}`, `{}`,
			faults{{Path: "/data/provider/references", Message: "must not be empty"}}},
		"environment": {`"test"`, `"staging"`,
			faults{{Path: "/data/environment", Message: `must be one of "live", "test"`}}},
		"final while in review": {`"status": "completed"`, `"status": "in_review"`,
			faults{{Path: "/data/status", Message: `must be "completed"`}}},
		"date": {`2031-05-04`, `2031-02-30`,
			faults{{Path: "/data/documents/0/date_of_expiry",
				Message: "must be a date that exists, as YYYY-MM-DD: 1990-02-01"}}},
		"check type": {`"face_match"`, `"palm_reading"`,
			faults{{Path: "/data/checks/0/type", Message: "has none of the allowed forms"}}},
		"score": {`0.975`, `97.5`, faults{{Path: "/data/checks/0/score", Message: "must be at most 1"}}},
		"claims in none": {`"profile": "full"`, `"profile": "none"`,
			faults{{Path: "/data", Message: "is not allowed in this form"}}},
	}
	set := newSet(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			doc := decoded(t, []byte(changed(t, test.from, test.to)))
			if got := set.ValidateEvent(doc); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %v\nwant %v", got, test.want)
			}
		})
	}
}

// The open schema accepts unknown members everywhere; the closed one finds them all, except those of maps.
func TestClosedEvent(t *testing.T) {
	closed, err := Closed()
	if err != nil {
		t.Fatal(err)
	}
	set := newSet(t)
	for path, from := range map[string]string{
		"/extra": `"specversion"`, "/data/extra": `"verification_id"`, "/data/provider/extra": `"references"`,
		"/data/provider/event/extra": `"received_at"`, "/data/decision/extra": `"outcome"`, "/data/pii/extra": `"profile"`,
		"/data/payload/extra": `"digest"`, "/data/documents/0/extra": `"document_id"`, "/data/checks/0/extra": `"check_id"`,
		"/data/documents/0/issuer/extra": `"country_code"`, "/data/session/consent/extra": `"given"`,
		"/data/verified_claims/extra": `"verification"`,
	} {
		t.Run(path, func(t *testing.T) {
			doc := decoded(t, []byte(changed(t, from, `"extra": 1, `+from)))
			if faults := set.ValidateEvent(doc); faults != nil {
				t.Errorf("open: %v", faults)
			}
			if got, want := closed.Validate(doc), []Fault{{Path: path,
				Message: "is not a known member"}}; !reflect.DeepEqual(got, want) {
				t.Errorf("closed: %v, want %v", got, want)
			}
		})
	}
}

func changed(t *testing.T, from, to string) string {
	t.Helper()
	event := completeEvent()
	if !strings.Contains(event, from) {
		t.Fatalf("the event has no %s", from)
	}
	return strings.Replace(event, from, to, 1)
}
