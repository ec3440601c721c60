package idwise

import (
	"fmt"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

// TestFinalDecision: the final decision is a cross-check in both of its notations, in a webhook and in a
// result. If it contradicts the decision by precedence, neither is accepted.
func TestFinalDecision(t *testing.T) {
	const (
		doubt    = "doubt unknown none"
		approved = "verdict completed approved"
		rejected = "verdict completed rejected"
		review   = "verdict in_review review"
		resubmit = "reopen requires_input resubmit"
		progress = "progress in_progress"
	)
	for _, row := range []struct{ system, manual, final, want string }{
		{`"Complete"`, `null`, `null`, approved}, {`"Complete"`, `null`, `""`, approved},
		{`"Complete"`, `null`, `"Approved"`, approved},
		{`"Complete"`, `null`, `"Complete"`, approved}, {`"Complete"`, `""`, `"complete"`, approved},
		{`"Complete"`, `null`, `"Rejected"`, doubt}, {`"Complete"`, `null`, `"Refer"`, doubt},
		{`"Complete"`, `null`, `"Incomplete"`, doubt},
		{`"Complete"`, `null`, `"Resubmission Requested"`, doubt},
		{`"Refer"`, `null`, `null`, review}, {`"Refer"`, `null`, `"Refer"`, review}, {`"Refer"`, `null`, `"Approved"`, doubt},
		{`"Refer"`, `null`, `"Complete"`, doubt}, {`"Refer"`, `null`, `"Rejected"`, doubt},
		{`"Rejected"`, `null`, `"Rejected"`, rejected}, {`"Rejected"`, `null`, `"Approved"`, doubt},
		{`"Rejected"`, `null`, `"Complete"`, doubt},
		{`"Incomplete"`, `null`, `"Incomplete"`, progress}, {`"Incomplete"`, `null`, `null`, progress},
		{`"Incomplete"`, `null`, `"Complete"`, doubt},
		{`"Refer"`, `"Approved"`, `"Approved"`, approved}, {`"Refer"`, `"Approved"`, `null`, approved},
		{`"Refer"`, `"Approved"`, `"Rejected"`, doubt},
		{`"Refer"`, `"Approved"`, `"Refer"`, doubt}, {`"Complete"`, `"Rejected"`, `"Rejected"`, rejected},
		{`"Complete"`, `"Rejected"`, `"Complete"`, doubt},
		{`"Complete"`, `"Rejected"`, `"Approved"`, doubt},
		{`"Refer"`, `"Resubmission Requested"`, `"Refer"`, resubmit},
		{`"Complete"`, `"Resubmission Requested"`, `"Complete"`, resubmit},
		{`"Refer"`, `"Resubmission Requested"`, `null`, resubmit},
		{`"Refer"`, `"Resubmission Requested"`, `"Incomplete"`, resubmit},
		{`"Refer"`, `"Resubmission Requested"`, `"Approved"`, doubt},
		{`"Complete"`, `"Resubmission Requested"`, `"Rejected"`, doubt},
		{`null`, `null`, `"Approved"`, doubt}, {`null`, `null`, `"Rejected"`, doubt},
		{`null`, `null`, `"Incomplete"`, progress},
	} {
		for form, body := range map[string]string{
			"webhook": `{"event":"Updated Journey","body":{"journeyId":"j","systemDecision":%s,"manualDecision":%s,"finalDecision":%s}}`,
			"result":  `{"journey_id":"j","system_decision":%s,"manual_decision":%s,"final_decision":%s}`,
		} {
			o := mapBody(t, fmt.Sprintf(body, row.system, row.manual, row.final), kycbridge.Settings{})
			got := strings.Replace(normalizetest.Brief(o), " unconfirmed", "", 1)
			if !strings.HasPrefix(got, row.want) || (row.want == doubt) != strings.Contains(got, event.ReasonContradiction) {
				t.Errorf("%s %s/%s/%s: %s, want %s", form, row.system, row.manual, row.final, got, row.want)
			}
			if byMachine := o.Decision.ActorType == event.ActorSystem; row.want == doubt && byMachine {
				t.Errorf("%s %s/%s/%s: the doubt would give way to a person's approval", form, row.system, row.manual, row.final)
			}
		}
	}
}

// TestOddDecisions: a decision of an unexpected type, or with an unknown value, is never ignored.
func TestOddDecisions(t *testing.T) {
	for _, odd := range []string{`7`, `true`, `false`, `[]`, `{}`, `["Complete"]`, `{"value":"Approved"}`, `"Escalated"`,
		`1e300`, `"` + strings.Repeat("long ", 9_000) + `"`} {
		for _, name := range []string{"system", "manual", "final"} {
			words := map[string]string{"system": `"Complete"`, "manual": `"Approved"`, "final": `"Approved"`, name: odd}
			for form, body := range map[string]string{
				"webhook": `{"event":"Manually Reviewed","body":{"journeyId":"j","systemDecision":%s,"manualDecision":%s,"finalDecision":%s}}`,
				"result":  `{"journey_id":"j","system_decision":%s,"manual_decision":%s,"final_decision":%s}`,
			} {
				o := mapBody(t, fmt.Sprintf(body, words["system"], words["manual"], words["final"]), kycbridge.Settings{})
				if o.Effect != kycbridge.EffectDoubt || len(o.Reasons) != 1 || o.Reasons[0].Code != event.ReasonUnmappedStatus {
					t.Errorf("%s, %s is %.40s: %.200s", form, name, odd, normalizetest.Brief(o))
				}
			}
		}
	}
}

// TestReviewWithoutAWord: an event that reports a person's decision without its value is a doubt about
// that decision: the system's decision does not replace it.
func TestReviewWithoutAWord(t *testing.T) {
	for words, want := range map[string]kycbridge.Effect{
		`"systemDecision":"Complete"`: kycbridge.EffectDoubt,
		`"systemDecision":"Complete","manualDecision":null,"finalDecision":"Complete"`:    kycbridge.EffectDoubt,
		`"systemDecision":"Complete","manualDecision":"","finalDecision":"Approved"`:      kycbridge.EffectDoubt,
		`"systemDecision":"Refer","manualDecision":null`:                                  kycbridge.EffectDoubt,
		`"systemDecision":"Refer","manualDecision":"Approved","finalDecision":"Approved"`: kycbridge.EffectVerdict,
		`"systemDecision":"Complete","manualDecision":"Rejected"`:                         kycbridge.EffectVerdict,
	} {
		o := mapBody(t, `{"event":"Manually Reviewed","body":{"journeyId":"j",`+words+`}}`, kycbridge.Settings{})
		if o.Effect != want || want == kycbridge.EffectDoubt &&
			(o.Decision.Stage != event.StageManualReview || len(o.Decisions) > 0) {
			t.Errorf("%s: %s", words, normalizetest.Brief(o))
		}
	}
}

// TestUpdateByAReviewWithoutAWord: the same for an updated journey whose action is a review. The reviewer's decision
// may have another name, or be a final decision that is not the system's.
func TestUpdateByAReviewWithoutAWord(t *testing.T) {
	const doubt, verdict = kycbridge.EffectDoubt, kycbridge.EffectVerdict
	for words, want := range map[string]kycbridge.Effect{
		`"action":"Manual Review"`: doubt,
		`"action":"manual_review","manualDecision":null,"finalDecision":"Complete"`:  doubt,
		`"action":"Manual Review","manualDecision":null,"manualReviewDecision":null`: doubt,
		`"action":"Manual Review","manualReviewDecision":"Escalated"`:                doubt,
		`"action":"Manual Review","manualReviewDecision":"Approved"`:                 verdict,
		`"action":"Manual Review","manualDecision":"Approved"`:                       verdict,

		`"action":"Manual Review","manualReviewDetails":{"journeyReviewDecision":"Approved","reasonCode":"R1"}`: verdict,
		`"action":"Manual Review","manualReviewDetails":{"reasonCode":"R1"}`:                                    doubt,
		`"action":"Manual Review","manualDecision":null,"finalDecision":"Approved"`:                             verdict,
		`"action":"Step Update","manualDecision":null,"finalDecision":"Complete"`:                               verdict,
	} {
		body := `{"event":"Updated Journey","body":{"journeyId":"j","systemDecision":"Complete",` + words + `}}`
		o := mapBody(t, body, kycbridge.Settings{})
		if o.Effect != want || want == doubt && (o.Decision.Stage != event.StageManualReview || len(o.Decisions) > 0) {
			t.Errorf("%s: %s", words, normalizetest.Brief(o))
		}
	}
}

// TestOverdueOfARejection: an account that keeps approvals after the deadline keeps none whose notice says Rejected.
func TestOverdueOfARejection(t *testing.T) {
	for words, want := range map[string]string{
		`"manualDecision":"Rejected","finalDecision":"Rejected"`: "doubt unknown unconfirmed",
		`"systemDecision":"Complete"`:                            "note requires_input renewal_overdue",
	} {
		body := `{"event":"KYC Renewal Deadline Exceeded","body":{"journeyId":"j",` + words + `}}`
		o := mapBody(t, body, kycbridge.Settings{Own: Settings{RenewalOverdue: renewalKeep}})
		if got := normalizetest.Brief(o); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", words, got, want)
		}
	}
}

// reviewsOf puts a word into each place of the reviewer's decision in an updated journey.
func reviewsOf(word string) []string {
	return []string{
		`"manualReviewDecision":` + word, `"manualReviewDetails":{"journeyReviewDecision":` + word + `,"reasonCode":"R1"}`,
	}
}

// TestReviewsDisagree: the reviewer's decision in two places with two values is a doubt.
func TestReviewsDisagree(t *testing.T) {
	for _, words := range [][2]string{{"Approved", "Rejected"}, {"Rejected", "Approved"}} {
		for _, manual := range []string{`"Approved"`, "null", `null,"action":"Manual Review","finalDecision":"Approved"`} {
			body := `{"event":"Updated Journey","body":{"journeyId":"j","systemDecision":"Complete","manualDecision":` + manual +
				`,"manualReviewDecision":"` + words[0] + `","manualReviewDetails":{"journeyReviewDecision":"` + words[1] + `"}}}`
			if o := mapBody(t, body, kycbridge.Settings{}); o.Effect != kycbridge.EffectDoubt {
				t.Errorf("%s: %s", words, normalizetest.Brief(o))
			}
		}
	}
}

// TestReviewBesideTheDecision: the reviewer's decision under another name counts against a decision
// only if its value is known.
func TestReviewBesideTheDecision(t *testing.T) {
	for word, want := range map[string]kycbridge.Effect{
		`"Approved"`: kycbridge.EffectVerdict, `"Rejected"`: kycbridge.EffectDoubt,
		`"Resubmission Requested"`: kycbridge.EffectDoubt,
		`null`:                     kycbridge.EffectVerdict, `"Something"`: kycbridge.EffectVerdict,
		`{}`: kycbridge.EffectVerdict,
	} {
		for _, review := range reviewsOf(word) {
			body := `{"event":"Updated Journey","body":{"journeyId":"j","systemDecision":"Refer","manualDecision":"Approved",` + review + `}}`
			if o := mapBody(t, body, kycbridge.Settings{}); o.Effect != want {
				t.Errorf("%s: %s", review, normalizetest.Brief(o))
			}
		}
	}
}

// TestReviewOfAnUnknownWord: without the reviewer's decision under its documented name, one of an unknown value is a
// doubt: the system's approval does not replace it.
func TestReviewOfAnUnknownWord(t *testing.T) {
	for word, want := range map[string]kycbridge.Effect{
		`"Approved"`: kycbridge.EffectVerdict, `null`: kycbridge.EffectVerdict, `""`: kycbridge.EffectVerdict,
		`"Declined"`: kycbridge.EffectDoubt, `{}`: kycbridge.EffectDoubt, `7`: kycbridge.EffectDoubt,
		`"Rejected"`: kycbridge.EffectDoubt,
	} {
		for _, review := range reviewsOf(word) {
			body := `{"event":"Updated Journey","body":{"journeyId":"j","action":"Step Update","systemDecision":"Complete",
				"manualDecision":null,"finalDecision":"Complete",` + review + `}}`
			if o := mapBody(t, body, kycbridge.Settings{}); o.Effect != want {
				t.Errorf("%s: %s", review, normalizetest.Brief(o))
			}
		}
	}
}

// TestReviewAlone: a body without a decision may contain the reviewer's under another name. It decides nothing, and
// is not ignored while an approval is current.
func TestReviewAlone(t *testing.T) {
	for word, want := range map[string]string{
		`"Rejected"`: "doubt unknown unconfirmed none system unspecified system.contradiction",
		`"Approved"`: "doubt unknown unconfirmed none system unspecified system.contradiction",
		`"Declined"`: "doubt unknown unconfirmed none manual_review human system.unmapped_status",
		`null`:       "none: no decision in the body",
	} {
		for _, review := range reviewsOf(word) {
			body := `{"event":"AML Monitor Update","body":{"journeyId":"j",` + review + `}}`
			if got := normalizetest.Brief(mapBody(t, body, kycbridge.Settings{})); got != want {
				t.Errorf("%s: %s, want %s", review, got, want)
			}
		}
	}
}

// TestWordsOfARequest: an event that requests something is accepted unless its decisions contradict each
// other.
func TestWordsOfARequest(t *testing.T) {
	for words, want := range map[string]string{
		`"trigger":"KYC Renewal","systemDecision":"Complete","manualDecision":null,"finalDecision":"Complete"`:       "note requires_input renewal_due",
		`"trigger":"KYC Renewal","systemDecision":"Complete","manualDecision":null,"finalDecision":"Rejected"`:       "doubt unknown unconfirmed",
		`"trigger":"KYC Renewal","systemDecision":"Complete","manualDecision":"Rejected","finalDecision":"Rejected"`: "doubt unknown unconfirmed",
		`"trigger":"KYC Renewal","systemDecision":"Complete","manualDecision":"Rejected"`:                            "doubt unknown unconfirmed",
		`"trigger":"KYC Renewal","systemDecision":"Rejected"`:                                                        "doubt unknown unconfirmed",
		`"trigger":"KYC Renewal","systemDecision":"Refer","manualDecision":"Approved"`:                               "note requires_input renewal_due",
		`"trigger":"KYC Renewal","systemDecision":"Reassess"`:                                                        "doubt unknown unconfirmed",
		`"systemDecision":"Complete","manualDecision":"Approved","finalDecision":"Rejected"`:                         "doubt unknown unconfirmed",
		`"systemDecision":"Refer","manualDecision":null,"finalDecision":"Resubmission Requested"`:                    "reopen requires_input resubmit",
		`"systemDecision":"Refer","manualDecision":"Resubmit"`:                                                       "reopen requires_input resubmit",
		`"systemDecision":"Complete","manualDecision":"Approved","finalDecision":"Approved"`:                         "reopen requires_input resubmit",

		`"manualReviewDecision":"Resubmission Requested"`: "reopen requires_input resubmit",
		`"manualReviewDecision":"Rejected"`:               "doubt unknown unconfirmed",

		`"manualReviewDetails":{"journeyReviewDecision":"Resubmission Requested"}`: "reopen requires_input resubmit",
		`"manualReviewDetails":{"journeyReviewDecision":"Rejected"}`:               "doubt unknown unconfirmed",
	} {
		body := `{"event":"Verification Update Required","body":{"journeyId":"j",` + words + `}}`
		if got := normalizetest.Brief(mapBody(t, body, kycbridge.Settings{})); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", words, got, want)
		}
		if strings.HasPrefix(want, "doubt") {
			want = "fetch: result is fetched"
		}
		if got := normalizetest.Brief(mapBody(t, body, kycbridge.Settings{Confirm: true})); !strings.HasPrefix(got, want) {
			t.Errorf("confirmed, %s: %s, want %s", words, got, want)
		}
	}
}

// TestSubmissions: a submission by the applicant ends a request for resubmission; progress without a
// submission does not.
func TestSubmissions(t *testing.T) {
	for body, want := range map[string]bool{
		`{"event":"Finished Step","body":{"journeyId":"j"}}`:                                                               true,
		`{"event":"Step Submitted","body":{"journeyId":"j"}}`:                                                              true,
		`{"event":"Finished User Steps","body":{"journeyId":"j"}}`:                                                         true,
		`{"journey_id":"j","is_completed":true,"step_summaries":[]}`:                                                       true,
		`{"journey_id":"j","is_completed":"True"}`:                                                                         true,
		`{"journey_id":"j","is_completed":false,"step_summaries":[]}`:                                                      false,
		`{"journey_id":"j","is_completed":false,"step_summaries":[{"result":{"status":"Submitted"}}]}`:                     false,
		`{"journey_id":"j","is_completed":null,"step_summaries":[]}`:                                                       false,
		`{"journey_id":"j","is_completed":1,"step_summaries":{}}`:                                                          false,
		`{"journey_id":"j","system_decision":"Incomplete","manual_decision":null,"final_decision":null}`:                   false,
		`{"event":"Finished Journey","body":{"journeyId":"j","systemDecision":"Incomplete","finalDecision":"Incomplete"}}`: false,
	} {
		if o := mapBody(t, body, kycbridge.Settings{}); o.Effect != kycbridge.EffectProgress || o.Submission != want {
			t.Errorf("%s: submission %v, %s", body, o.Submission, normalizetest.Brief(o))
		}
	}
}
