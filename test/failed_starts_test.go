package test

import (
	"fmt"
	"strings"
	"testing"

	"kycbridge/internal/simulate"
)

// TestFailedStartsWithStatus200: a 200 that reports a failure, or is about another user, starts nothing: the caller
// receives a problem with the provider's own text, and no session is watched.
func TestFailedStartsWithStatus200(t *testing.T) {
	t.Parallel()
	w, api := frozenWorld(t, nil), describedAPI(t)
	forms := `{"provider":"kwikid","account":"acme","external_reference":"user-0001","options":` + kwikidForms(t) + `}`
	quoted := fmt.Sprintf("%q", providersWords)
	for name, tt := range map[string]struct {
		provider, call, start string // "": a good start
		answer                string
		status                int
		problem, words        string
		doubt                 bool
	}{
		"signzy: error object": {"signzy", "create-journey-url", "", `{"error":{"message":` + quoted + `,"status":400}}`,
			422, "provider_invalid", providersWords, false},
		"signzy: another user": {"signzy", "create-journey-url", "",
			`{"journeyId":"J1","journeyUrl":"https://kyc.example.com/J1","userId":"case-9"}`, 502, "provider_malformed", "",
			true},
		"ondato: reason": {"ondato", "create_identity_verification", "", `{"reason":"ValidationFailed","message":` +
			quoted + `}`, 422, "provider_invalid", providersWords, false},
		"idwise: no success": {"idwise", "start-journey", "", `{"success":false,"message":` + quoted + `}`, 422,
			"provider_invalid", providersWords, false},
		"idwise: other reference": {"idwise", "start-journey", "", `{"journey_id":"j1","reference_no":"case-9"}`, 502,
			"provider_malformed", "", true},
		"kwikid: no success": {"kwikid", "sendLink", "", `{"success":false,"message":` + quoted + `}`, 422,
			"provider_invalid", providersWords, false},
		"kwikid: forms refused": {"kwikid", "push_user_data", forms, `{"success":false,"msg":` + quoted + `}`, 422,
			"provider_invalid", providersWords, false},
		"kwikid: forms that made a session": {"kwikid", "push_user_data", forms,
			`{"success":false,"msg":` + quoted + `,"session_id":"5e551000-0000-4000-8000-0000000000ff"}`, 502,
			"provider_malformed", providersWords, true},
		"kwikid: forms of another user": {"kwikid", "push_user_data", forms,
			`{"success":true,"session_id":"5e551000-0000-4000-8000-0000000000ff","track":{"user_id":"user-0002"}}`, 502,
			"provider_malformed", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			w.sims[tt.provider].Can(tt.call,
				simulate.Canned{Status: 200, ContentType: "application/json", Body: []byte(tt.answer)})
			body := tt.start
			if body == "" {
				body = goodStart(tt.provider, "case-1")
			}
			m := api.wantProblem(t, w, w.mustSend(t, body, "", nil), tt.status, tt.problem)
			if words, _ := m["provider_message"].(string); words != tt.words {
				t.Errorf("the provider's words are %q", words)
			}
			if doubt := m["may_have_started"] == true; doubt != tt.doubt {
				t.Errorf("may_have_started %v", doubt)
			}
		})
	}
	if n := w.sessions(t); n != 0 {
		t.Errorf("%d sessions are watched", n)
	}
	if receipt := w.started(t, forms, ""); !strings.HasPrefix(receipt.Reference, "5e551000") || receipt.URL != "" {
		t.Errorf("%+v", receipt)
	}
}
