package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/model"
)

// kwikidSessions are the sessions of KwikID: status, type of the feedback, audit_result, audit_lock, auditor_feedback.
var kwikidSessions = map[string][5]string{
	"waiting":          {"waiting"},
	"scheduled":        {"vkyc_requested"},
	"in_call":          {"kyc_request_accepted"},
	"call_declined":    {"kyc_request_rejected"},
	"superseded":       {"kyc_rejected"},
	"expired":          {"session_expired"},
	"abandoned":        {"user_abandoned"},
	"unseen":           {"kyc_paused"},
	"approved":         {"kyc_result_approved", "Approve"},
	"rejected":         {"kyc_result_rejected", "Reject"},
	"timed_out":        {"kyc_result_rejected"},
	"approved_but":     {"kyc_result_approved", "Reject"},
	"again":            {"kyc_result_rejected", "Reopen"},
	"checker_approved": {"kyc_result_approved", "Approve", "1"},
	"checker_rejected": {"kyc_result_approved", "Approve", "0"},
	"both_rejected":    {"kyc_result_rejected", "Reject", "0"},
	"overruled":        {"kyc_result_rejected", "Reject", "1"},
	"checker_odd":      {"kyc_result_approved", "Approve", "7"},
	"locked":           {"kyc_result_approved", "Approve", "", "auditor-2"},
	"revisit":          {"kyc_result_approved", "Approve", "", "", "please REVISIT"},
	"in_call_refused":  {"kyc_request_accepted", "", "0"},
	"in_call_odd":      {"kyc_request_accepted", "", "7"},
	"in_call_locked":   {"kyc_request_accepted", "", "", "auditor-2"},
	"in_call_approved": {"kyc_request_accepted", "", "1"},
	"expired_refused":  {"session_expired", "", "0"},
	"expired_locked":   {"session_expired", "", "", "auditor-2"},
}

const kwikidID = "5e551000-0000-4000-8000-000000000001"

// kwikid writes an act as an answer of get_details or as a webhook. Neither contains a time: a webhook has the time
// of its receipt, a session the time of the request.
func kwikid(checker bool) func(n int, a act) message {
	return func(n int, a act) message {
		at := 10 * (n + 10)
		m := message{at: minute(at), via: event.ViaPoll, ref: kwikidID}
		if noticed(&m, a, n) {
			return m
		}
		if name, isHook := strings.CutPrefix(a.Do, "hook "); isHook {
			stage, outcome, _ := strings.Cut(name, " ")
			m.via = event.ViaCallback
			m.fact = model.KwikIDWebhook(stage == "Checker", strings.ToLower(outcome), checker)
			m.fact.At = at
			m.body = fmt.Sprintf(`{"event": %q, "session_id": %q, "n": %d}`, name, kwikidID, n)
			return m
		}
		w := kwikidSessions[strings.TrimPrefix(a.Do, "session ")]
		m.fact = model.KwikID(model.KwikIDSession{
			Status: w[0], Feedback: w[1], Audit: w[2], Locked: w[3] != "", Revisit: w[4] != "", Checker: checker,
		})
		m.fact.At = at
		more := ""
		for i, name := range []string{"audit_result", "audit_lock", "auditor_feedback"} {
			if w[i+2] != "" {
				more += fmt.Sprintf(`, %q: %q`, name, w[i+2])
			}
		}
		if w[1] != "" {
			more += fmt.Sprintf(`, "feedback": {"type": %q}`, w[1])
		}
		m.body = fmt.Sprintf(`{"status": 200, "session_data": {"session_id": %q, "session_status": %q, "look": %d%s}}`,
			kwikidID, w[0], n, more)
		return m
	}
}

// kwikidActs are the acts of KwikID's histories.
func kwikidActs(notices ...string) []string {
	does := append([]string{"again", "drop"}, notices...)
	for word := range kwikidSessions {
		does = append(does, "session "+word)
	}
	for _, hook := range []string{"Maker Approved", "Maker Rejected", "Checker Approved", "Checker Rejected"} {
		does = append(does, "hook "+hook)
	}
	slices.Sort(does)
	return does
}

// TestModelKwikID: the product and the model agree after every step of random histories of an account that also
// decides from webhooks, with a second reviewer and without.
func TestModelKwikID(t *testing.T) {
	t.Parallel()
	for name, checker := range map[string]bool{"a maker alone": false, "a maker and a checker": true} {
		t.Run(name, func(t *testing.T) {
			histories(t, "kwikid", map[string]any{"checker": checker}, acts(kwikidActs("start", "watch", "deadline")),
				kwikid(checker))
		})
	}
}

// TestModelKwikIDLate: the same for messages that are processed later than others that arrived after them.
func TestModelKwikIDLate(t *testing.T) {
	t.Parallel()
	for name, checker := range map[string]bool{"a maker alone": false, "a maker and a checker": true} {
		t.Run(name, func(t *testing.T) {
			write := kwikid(checker)
			histories(t, "kwikid", map[string]any{"checker": checker}, acts(kwikidActs("start", "watch")),
				func(n int, a act) message {
					m, late := write(n, a), 35*(a.At/3)
					if m.notice == "" {
						m.at, m.fact.At = m.at.Add(-time.Duration(late)*time.Minute), m.fact.At-late
					}
					return m
				})
		})
	}
}

// TestRejectionStoredAfterAReview: a checker's rejection by webhook, stored after a session with a review that was
// requested later, contradicts the approval of the next session.
func TestRejectionStoredAfterAReview(t *testing.T) {
	table, err := sharedProviders()
	if err != nil {
		t.Fatal(err)
	}
	p, write := newProductPath(table["kwikid"], kycbridge.Settings{Own: table["kwikid"].Decode(nil)}), kwikid(false)
	for _, m := range []message{
		write(1, act{Do: "session overruled"}),
		write(0, act{Do: "hook Checker Rejected"}),
		write(2, act{Do: "session checker_approved"}),
	} {
		if _, err := p.receive(m); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.seen(); got.Outcome != "none" || !got.Contradiction {
		t.Errorf("%+v", got)
	}
}
