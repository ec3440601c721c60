package test

import (
	"strconv"
	"strings"
	"testing"

	"kycbridge"
)

// TestModelOutcomes: histories in which the provider takes back an approval, or in which the order of two statements is
// not known, with the state that the contract leaves no doubt about. Each history ends as the model says, too.
func TestModelOutcomes(t *testing.T) {
	t.Parallel()
	table, err := sharedProviders()
	if err != nil {
		t.Fatal(err)
	}
	for history, want := range map[string]string{
		// An answer of the API states what holds when it is requested, whatever time it contains.
		"ondato: approved, fetched_rejected_then@6":                     "completed/rejected",
		"ondato: by_a_person, fetched_rejected_then@6":                  "completed/rejected",
		"ondato: approved, fetched_rejected":                            "completed/rejected",
		"ondato: approved, fetched_awaiting":                            "processing/none",
		"ondato: approved, unfinished":                                  "unknown/none",
		"ondato: approved, unknown":                                     "unknown/none",
		"ondato: fetched_rejected_then@6, approved@3":                   "completed/rejected",
		"ondato: rejected, fetched_approved_then@6":                     "completed/rejected",
		"ondato: rejected, fetched_approved_then":                       "completed/approved",
		"ondato: fetched_rejected_then, approved":                       "completed/approved",
		"signzy policy: completed+, other_face+/3@6":                    "completed/rejected",
		"signzy policy: completed+, covered_face+/3@6":                  "in_review/review",
		"signzy policy: other_face+, completed+/3@6":                    "completed/rejected",
		"ondato: approved, unfinished, approved":                        "completed/approved",
		"ondato: approved, fetched_rejected_then@6, drop 1, approved@9": "completed/rejected",

		// A status that does not belong to its event decides nothing, and no approval remains beside a rejection.
		"ondato: approved, processed_rejected":             "unknown/none",
		"ondato: approved, created_rejected":               "unknown/none",
		"ondato: approved, expired_rejected":               "unknown/none",
		"ondato: approved, idv_rejected":                   "unknown/none",
		"ondato: approved, processed_approved":             "completed/approved",
		"ondato: approved, processed":                      "completed/approved",
		"ondato: approved, processed_rejected@6":           "completed/approved",
		"ondato: processed_rejected, approved@6":           "unknown/none",
		"ondato: processed_rejected, approved":             "completed/approved",
		"ondato: rejected, processed_rejected":             "completed/rejected",
		"signzy policy: completed+, unseen:5":              "unknown/none",
		"signzy policy: unseen:5, completed+":              "completed/approved",
		"signzy policy: completed+, unseen@6:5":            "completed/approved",
		"signzy policy: completed+, terminated":            "unknown/none",
		"signzy policy: completed+, terminated@6":          "completed/approved",
		"signzy policy: terminated, completed+":            "completed/approved",
		"signzy policy: terminated, completed+@6":          "unknown/none",
		"signzy policy: other_face+, terminated":           "completed/rejected",
		"kwikid: session checker_approved, session unseen": "unknown/none",
		"kwikid: session approved, session unseen":         "unknown/none",
		"kwikid: session unseen, session approved":         "completed/approved",

		// What a session contains about the checker counts while the session goes on, too.
		"kwikid: session checker_approved, session in_call_refused":  "unknown/none",
		"kwikid: session approved, session in_call_refused":          "unknown/none",
		"kwikid: session checker_approved, session in_call_odd":      "unknown/none",
		"kwikid: session checker_approved, session in_call_locked":   "unknown/none",
		"kwikid: session checker_approved, session expired_locked":   "unknown/none",
		"kwikid: session checker_approved, session in_call_approved": "completed/approved",
		"kwikid: session checker_approved, session in_call":          "completed/approved",
		"kwikid: session in_call_refused":                            "in_progress/none",
		"kwikid: session in_call_refused, session checker_approved":  "completed/approved",

		// A maker's verdict after the checker's approval, and before it.
		"kwikid: session checker_approved, session rejected":                        "completed/rejected",
		"kwikid: session checker_approved, session locked":                          "in_review/none",
		"kwikid: hook Checker Approved, session locked":                             "in_review/none",
		"kwikid: session checker_approved, session timed_out":                       "completed/rejected",
		"kwikid checker: session checker_approved, session rejected":                "unknown/none",
		"kwikid checker: session checker_approved, session locked":                  "in_review/none",
		"kwikid checker: session checker_approved, session approved":                "completed/approved",
		"kwikid: session locked, session checker_approved":                          "completed/approved",
		"kwikid: hook Maker Rejected, hook Checker Approved":                        "in_review/review",
		"kwikid checker: hook Maker Rejected, hook Checker Approved":                "in_review/review",
		"kwikid: session rejected, hook Checker Approved":                           "in_review/review",
		"kwikid: hook Checker Rejected, hook Maker Rejected, hook Checker Approved": "in_review/review",
		"kwikid: hook Maker Rejected, hook Maker Approved, hook Checker Approved":   "completed/approved",
		"kwikid: hook Checker Approved, hook Maker Rejected":                        "completed/rejected",

		"kwikid: hook Maker Rejected, hook Checker Approved, hook Maker Approved, " +
			"hook Checker Approved": "completed/approved",

		// An attempt without a time of creation is not known to be newer than one with a time.
		"ondato: rejected/1, approved/12":             "in_review/review",
		"ondato: rejected/1, created/12, approved/12": "in_review/review",
		"ondato: rejected/1, approved/2":              "completed/approved",
		"ondato: rejected/11, approved/12":            "completed/approved", // the contract: by first sight
		"ondato: approved/1, rejected/12":             "completed/rejected",
		"ondato: created/1, approved/12, rejected/1":  "in_review/review",
		"ondato: rejected/1, created/12, approved/2":  "completed/approved",
		"ondato: rejected/2, created/11, approved/1":  "completed/rejected",
	} {
		t.Run(history, func(t *testing.T) {
			account, acts := parseHistory(t, history)
			provider, policy, _ := strings.Cut(account, " ")
			var own map[string]any
			write := ondato
			switch {
			case policy == "policy":
				own, write = map[string]any{"policy": signzyPolicy}, signzy(t, true)
			case provider == "kwikid":
				own, write = map[string]any{"checker": policy == "checker"}, kwikid(policy == "checker")
			}
			c := newProductPath(table[provider], kycbridge.Settings{Own: table[provider].Decode(own)})
			if err := c.run(acts, write); err != nil {
				t.Error(err)
			}
			if s := c.seen(); s.Status+"/"+s.Outcome != want {
				t.Errorf("ended as %s/%s, want %s", s.Status, s.Outcome, want)
			}
		})
	}
}

// parseHistory reads a provider's account and its acts, in the form word+/attempt@at:which; + is a person.
func parseHistory(t *testing.T, text string) (account string, history []act) {
	t.Helper()
	account, text, _ = strings.Cut(text, ": ")
	for _, token := range strings.Split(text, ", ") {
		a := act{Attempt: 1}
		if which, isDrop := strings.CutPrefix(token, "drop "); isDrop {
			token = "drop:" + which
		}
		for _, part := range []struct {
			mark string
			to   *int
		}{{":", &a.Which}, {"@", &a.At}, {"/", &a.Attempt}} {
			before, number, found := strings.Cut(token, part.mark)
			if token = before; !found {
				continue
			}
			var err error
			if *part.to, err = strconv.Atoi(number); err != nil {
				t.Fatal(err)
			}
		}
		a.Do, a.Person = strings.CutSuffix(token, "+")
		history = append(history, a)
	}
	return account, history
}
