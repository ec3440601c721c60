package signzy

import (
	"reflect"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

// TestOccurred: an end occurred at its completedAt, or at updatedAt if that is later; without a readable
// completedAt its time is not trusted.
func TestOccurred(t *testing.T) {
	for _, c := range []struct{ members, want string }{
		{`"currentStatus":"COMPLETED","completedAt":1772442319271,"updatedAt":"2026-03-02T09:05:17.157Z"`,
			"2026-03-02T09:05:19.271Z"},
		{`"currentStatus":"COMPLETED","completedAt":1772442319271,"updatedAt":"2026-03-02T10:00:00Z"`,
			"2026-03-02T10:00:00Z"},
		{`"currentStatus":"COMPLETED","completedAt":1772442319271`, "2026-03-02T09:05:19.271Z"},
		{`"currentStatus":"COMPLETED","completedAt":1772442319271,"updatedAt":[]`, "2026-03-02T09:05:19.271Z"},
		{`"currentStatus":"TERMINATED","completedAt":"1772442319271"`, "2026-03-02T09:05:19.271Z"},
		{`"currentStatus":"COMPLETED","completedAt":null,"updatedAt":"2026-03-02T10:00:00Z"`, "untimed"},
		{`"currentStatus":"COMPLETED","completedAt":"","updatedAt":"2026-03-02T10:00:00Z"`, "untimed"},
		{`"currentStatus":"COMPLETED","completedAt":"yesterday","updatedAt":"2026-03-02T10:00:00Z"`, "untimed"},
		{`"currentStatus":"COMPLETED","completedAt":{}`, "untimed"},
		{`"currentStatus":"COMPLETED","completedAt":946598400000,"updatedAt":"2026-03-02T10:00:00Z"`, "untimed"},
		{`"currentStatus":"UNSEEN","completedAt":"yesterday","updatedAt":"2026-03-02T10:00:00Z"`, "untimed"},
		{`"currentStatus":"COMPLETED","updatedAt":"2026-03-02T10:00:00Z"`, "untimed"},
		{`"currentStatus":"TERMINATED"`, "untimed"},
		{`"currentStatus":"GONE","updatedAt":"2026-03-02T10:00:00Z"`, "untimed"},
		{`"currentStatus":"IN_PROGRESS","updatedAt":"2026-03-02T10:00:00Z"`, "2026-03-02T10:00:00Z"},
		{`"currentStatus":"IN_PROGRESS"`, "untimed"},
		{`"journeyUrl":"https://kyc.example.com/A","createdAt":1772442000000`, "2026-03-02T09:00:00Z"},
		{`"journeyUrl":"https://kyc.example.com/A"`, "untimed"},
	} {
		o := mapBody(t, `{"journeyId":"A",`+c.members+`}`,
			kycbridge.Settings{Own: Settings{FlowStatuses: map[string]string{"GONE": "abandoned"}}})
		got := event.Instant(o.OccurredAt)
		if o.Untimed {
			got += "untimed"
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.members, got, c.want)
		}
	}
}

// TestContradiction: a status and a step that name different ends are a contradiction, with and without a
// policy.
func TestContradiction(t *testing.T) {
	for _, c := range []struct{ status, step string }{
		{"COMPLETED", "RETRIES_EXCEEDED"}, {"TERMINATED", "COMPLETE"}, {"completed", "retries exceeded"},
	} {
		for _, s := range []kycbridge.Settings{{}, strict} {
			body := strings.Replace(clean, `"currentStatus":"COMPLETED","step":"COMPLETE"`,
				`"currentStatus":"`+c.status+`","step":"`+c.step+`"`, 1)
			o := judged(t, parse(t, body), s)
			if o.Effect != kycbridge.EffectDoubt || o.Status != event.StatusUnknown || o.Decision.Final ||
				normalizetest.ReasonCodes(o) != event.ReasonContradiction {
				t.Errorf("%s %s: %s", c.status, c.step, normalizetest.Brief(o))
			}
		}
	}
}

// TestTestFlow: a flow with a test flag that is set, or that cannot be read, is never reported as live.
func TestTestFlow(t *testing.T) {
	for flow, want := range map[string]bool{
		`"flow":{"test":true}`: true, `"flow":{"test":"True"}`: true, `"flow":{"test":1}`: true, `"flow":{"test":{}}`: true,
		`"flow":{"test":"yes"}`: true,
		`"test":true`:           true, `"flow":{"TEST":true}`: true,
		`"flow":{"test":false}`: false, `"flow":{"test":"False"}`: false, `"flow":{"test":null}`: false,
		`"flow":{"test":0}`: false, `"flow":{}`: false, `"flow":"test"`: false,
	} {
		body := `{"journeyId":"A","currentStatus":"COMPLETED",` + flow + `}`
		wrapped := `{"data":{"journeyId":"A","currentStatus":"COMPLETED"},` + flow + `}`
		for _, body := range []string{body, wrapped} {
			if o := mapBody(t, body, kycbridge.Settings{}); o.Test != want {
				t.Errorf("%s: %v", body, o.Test)
			}
		}
	}
}

// TestMedia: captured and cropped pictures are reported by their address; for a picture inside the body
// only its place is reported, and nothing of its content.
func TestMedia(t *testing.T) {
	picture := strings.Repeat("iVBORw0K", 5000)
	o := mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED","capturedData":{"location":{"latitude":12.5123,"longitude":77.5123},
		"images":{"frontDoc":"data:image/png;base64,iVBORw0K","backDoc":"`+picture+`","selfie":"https://files.example.com/2.jpeg?a=b","frontDoc2":"https://files.example.com/9.png"}},
		"documentIntelligence":{"graphicFields":{"fieldList":[
			[{"fieldType":"Portrait","value":"https://files.example.com/3.png"},{"fieldType":"ghost portrait","value":"`+picture+`"}],
			[{"fieldType":"signature","value":""},{"fieldType":"cropped document","docSide":"back","value":"https://files.example.com/4.png"},
			 {"fieldType":"cropped document","value":"https://files.example.com/5.png"},{"value":"https://files.example.com/6.png"},"x",null],
			"x"]}}}`, kycbridge.Settings{})
	var got []string
	for _, m := range o.Media {
		got = append(got, m.Kind+" "+m.ProviderRef)
	}
	want := []string{
		"document_front capturedData.images.frontDoc", "document_back capturedData.images.backDoc",
		"selfie https://files.example.com/2.jpeg?a=b",
		"document_front https://files.example.com/9.png", "portrait https://files.example.com/3.png",
		"ghost_portrait documentIntelligence.graphicFields.fieldList.0.1.value",
		"document_back https://files.example.com/4.png", "document_front https://files.example.com/5.png",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("media %q", got)
	}
	normalizetest.Withhold(t, o, "iVBORw0K", "12.5123", "77.5123")
	if o := mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED","capturedData":{"images":{"frontDoc":"","backDoc":"NA","selfie":null}}}`, kycbridge.Settings{}); o.Media == nil || len(o.Media) != 0 {
		t.Errorf("no picture: %v", o.Media)
	}
}

// TestAttempts: the number of the applicant's attempts is reported if it is a valid count.
func TestAttempts(t *testing.T) {
	for value, want := range map[string]map[string]any{
		`2`: {"document_attempts": 2}, `"3"`: {"document_attempts": 3}, `-1`: nil, `1.5`: nil, `1e300`: nil, `"many"`: nil,
		`null`: nil, `{}`: nil,
	} {
		o := mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED","documentIntelligence":{"attempts":`+value+`}}`,
			kycbridge.Settings{})
		if !reflect.DeepEqual(o.Extensions, want) {
			t.Errorf("%s: %v", value, o.Extensions)
		}
	}
}

// TestGroups: a journey without documents, pictures or checks leaves those that are known unchanged.
func TestGroups(t *testing.T) {
	o := mapBody(t, `{"journeyId":"A","currentStatus":"IN_PROGRESS"}`, kycbridge.Settings{})
	if o.Documents != nil || o.ExtractedClaims != nil || o.Media != nil || o.Checks != nil {
		t.Errorf("%+v", o)
	}
	o = mapBody(t, `{"journeyId":"A","currentStatus":"IN_PROGRESS","capturedData":{"images":{}},"documentIntelligence":{"graphicFields":{}},"selfieAnalysis":{"attempts":1}}`, kycbridge.Settings{})
	if o.Documents == nil || o.Media == nil || o.Checks == nil {
		t.Errorf("%+v", o)
	}
}
