package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/simulate"
)

// stored are the bodies of a verification's stored payloads that were received by via.
func (w *world) stored(t *testing.T, verificationID string, via event.Via) (bodies [][]byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"http://"+w.app.AdminAddr()+"/v1/payloads/export?verification="+verificationID, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+worldToken)
	req.Header.Set("X-Reason", "a test")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(res.Body)
		t.Fatalf("%d %s", res.StatusCode, raw)
	}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		var parcel struct {
			Via  event.Via `json:"via"`
			Body []byte    `json:"body"`
		}
		if err := json.Unmarshal(lines.Bytes(), &parcel); err != nil {
			t.Fatal(err)
		}
		if parcel.Via == via {
			bodies = append(bodies, parcel.Body)
		}
	}
	return bodies
}

// TestAnswersToStartsAreKept: a provider's answer to a start is a stored payload, without the applicant's
// address or a credential, and the event contains its link and flow.
func TestAnswersToStartsAreKept(t *testing.T) {
	t.Parallel()
	w := frozenWorld(t, nil)
	members := map[string][]string{
		"signzy": {"journeyId", "createdAt", "ttl", "flowId", "version"},
		"ondato": {"id"},
		"idwise": {"journey_id", "reference_no", "is_completed"},
		"kwikid": {"session_id", "link_id", "link_expiry_time", "validity_duration"},
	}
	for _, provider := range everyProvider {
		t.Run(provider, func(t *testing.T) {
			receipt := w.started(t, goodStart(provider, "case-1"), "key-1")
			events := w.until(receipt.VerificationID, "it begins", func(events []event.Event) bool { return len(events) > 0 })
			bodies := w.stored(t, receipt.VerificationID, event.ViaStart)
			if len(bodies) != 1 {
				t.Fatalf("%d payloads of the start", len(bodies))
			}
			var notice struct{ Answer map[string]any }
			if err := json.Unmarshal(bodies[0], &notice); err != nil {
				t.Fatal(err)
			}
			for _, member := range members[provider] {
				if notice.Answer[member] == nil {
					t.Errorf("%s is missing in %s", member, bodies[0])
				}
			}
			for _, secret := range append(w.secrets(), receipt.URL, "://") {
				if secret != "" && bytes.Contains(bodies[0], []byte(secret)) {
					t.Errorf("an address or a secret is stored: %s", bodies[0])
				}
			}
			d := events[0].Data
			if d.Payload.Digest != kycbridge.Digest(bodies[0]) || d.Provider.Event.Via != event.ViaStart {
				t.Errorf("the event is not of this payload: %+v", d.Payload)
			}
			if d.Session == nil || d.Session.ExpiresAt != receipt.ExpiresAt {
				t.Errorf("session %+v, receipt %+v", d.Session, receipt)
			}
			if want := map[string]string{"signzy": "1"}[provider]; d.Provider.FlowVersion != want {
				t.Errorf("flow version %q", d.Provider.FlowVersion)
			}
		})
	}
}

// TestSignzyStartAnswers: ttl and version reach the event in any wrapper, and a requested ttl takes precedence over
// one in words.
func TestSignzyStartAnswers(t *testing.T) {
	t.Parallel()
	w := frozenWorld(t, nil)
	created := time.Now().Add(-time.Second).Truncate(time.Millisecond)
	for name, tt := range map[string]struct {
		options, answer string // of the request; the answer without journeyId
		life            time.Duration
		version         string
	}{
		"ttl":             {"", `"ttl": "24 hours", "flow": {"version": 7}`, 24 * time.Hour, "7"},
		"asked":           {`,"options":{"validity_seconds":1800}`, `"ttl": "24 hours", "version": 8`, 30 * time.Minute, "8"},
		"ttl that is odd": {"", `"ttl": {"hours": 24}, "flow": []`, time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			id := strings.ToUpper(strings.ReplaceAll(name, " ", ""))
			at, _ := json.Marshal(created.UnixMilli())
			w.sims["signzy"].Can(createCalls["signzy"],
				simulate.Canned{Status: 200, ContentType: "application/json", Body: []byte(
					`{"result": {"journeyId": "` + id + `", "journeyUrl": "https://kyc.example.com/` + id + `", "createdAt": ` +
						string(at) + `, ` + tt.answer + `}}`)})
			receipt := w.started(t, strings.TrimSuffix(goodStart("signzy", "case-1"), "}")+tt.options+"}", "")
			events := w.until(receipt.VerificationID, "it begins", func(events []event.Event) bool { return len(events) > 0 })
			d := events[0].Data
			if want := event.Instant(created.Add(tt.life)); receipt.ExpiresAt != want || d.Session == nil ||
				d.Session.ExpiresAt != want {
				t.Errorf("receipt %s, session %+v, want %s", receipt.ExpiresAt, d.Session, want)
			}
			if d.Provider.FlowVersion != tt.version {
				t.Errorf("flow version %q, want %q", d.Provider.FlowVersion, tt.version)
			}
			if !slices.ContainsFunc(w.stored(t, receipt.VerificationID, event.ViaStart),
				func(b []byte) bool { return bytes.Contains(b, []byte(`"ttl"`)) }) {
				t.Error("the answer is not kept")
			}
		})
	}
}
