package kycbridge

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kycbridge/event"
)

// TestAttempts: facts belong to the attempt that they name.
func TestAttempts(t *testing.T) {
	rejected := person("OTHER", of("1", bySystem(event.OutcomeRejected)))
	rejected.Reasons = []event.Reason{{Code: "face.mismatch"}}
	rejected.ProviderStatus["kyc_status_reason"] = "FacesDoesNotMatch"
	created := of("2", progress(event.StatusInProgress))
	bare := of("2", bySystem(event.OutcomeApproved))
	approved := person("SAMPLE", bare)
	edited := person("OTHER", of("1", Observation{Effect: EffectNote, Mentions: event.OutcomeRejected}))
	handed := person("SAMPLE", of("2", progress(event.StatusProcessing)))
	old := person("OTHER", of("1", bySystem(event.OutcomeApproved)))
	early := of("2", progress(event.StatusInProgress))
	early.Attempt.CreatedAt = noon.Add(-time.Hour)
	pinned := rejected
	pinned.Attempt.CreatedAt = noon.AddDate(100, 0, 0)
	approved.Attempt.CreatedAt = noon
	first := rejected
	first.Attempt.CreatedAt = noon
	cases := map[string]struct {
		facts   []Fact
		want    string
		ends    string
		attempt string
		name    any // extracted_claims.given_name
	}{
		"a newer attempt's verdict brings none of the older person": {
			[]Fact{at(1, rejected), at(2, bare)},
			"completed completed", "completed/approved", "2", nil,
		},
		"its first message clears the older one's facts and reasons": {
			[]Fact{at(1, rejected), at(2, created)},
			"completed updated", "in_progress/none", "2", nil,
		},
		"and its verdict has its own": {
			[]Fact{at(1, rejected), at(2, created), at(3, approved)},
			"completed updated completed", "completed/approved", "2", "SAMPLE",
		},
		"a late fact of an older attempt changes nothing": {
			[]Fact{at(1, rejected), at(2, approved), at(3, edited)},
			"completed completed old", "completed/approved", "2", "SAMPLE",
		},
		"a late verdict of an older attempt changes nothing": {
			[]Fact{at(1, rejected), at(2, approved), at(5, of("1", byHuman(event.OutcomeRejected)))},
			"completed completed old", "completed/approved", "2", "SAMPLE",
		},
		"an approval stands, with its facts, until the newer attempt's verdict": {
			[]Fact{at(1, old), at(2, handed)},
			"completed unchanged", "completed/approved", "1", "OTHER",
		},
		"which then takes it over": {
			[]Fact{at(1, old), at(2, handed), at(3, of("2", bySystem(event.OutcomeRejected)))},
			"completed unchanged completed", "completed/rejected", "2", nil,
		},
		"an end of the newer attempt leaves an approval": {
			[]Fact{at(1, old), at(2, of("2", ended(event.StatusExpired)))},
			"completed unchanged", "completed/approved", "1", "OTHER",
		},
		"a newer attempt in doubt takes it back": {
			[]Fact{at(1, old), at(2, of("2", contradiction()))},
			"completed updated", "unknown/none system.contradiction", "2", nil,
		},
		"a newer attempt's verdict counts though an older one's is dated later": {
			[]Fact{at(9, rejected), at(5, approved)},
			"completed completed", "completed/approved", "2", "SAMPLE",
		},
		"a machine's verdict on a newer attempt counts against a person's on the older one": {
			[]Fact{at(1, of("1", byHuman(event.OutcomeRejected))), at(2, approved)},
			"completed completed", "completed/approved", "2", "SAMPLE",
		},
		"an undated verdict on a newer attempt counts": {
			[]Fact{at(1, rejected), undated(60, approved)},
			"completed completed", "completed/approved", "2", "SAMPLE",
		},
		"a newer attempt opens what has ended": {
			[]Fact{at(1, of("1", ended(event.StatusExpired))), at(2, created)},
			"closed updated", "in_progress/none", "2", nil,
		},
		"an attempt that was created before is older, whenever it is seen": {
			[]Fact{at(1, first), at(2, early)},
			"completed old", "completed/rejected face.mismatch", "1", "OTHER",
		},
		"a time of creation that cannot be true orders nothing": {
			[]Fact{at(1, pinned), at(2, approved)},
			"completed completed", "completed/approved", "2", "SAMPLE",
		},
		"a newer attempt's stale sign of progress opens all the same": {
			[]Fact{at(9, rejected), at(2, person("SAMPLE", created))},
			"completed updated", "in_progress/none", "2", "SAMPLE",
		},
		"facts of one attempt are collected": {
			[]Fact{at(1, created), at(2, handed), at(3, bare)},
			"updated updated completed", "completed/approved", "2", "SAMPLE",
		},
		"a message of the session names no attempt of its own": {
			[]Fact{at(1, rejected), at(2, session("2"))},
			"completed updated", "completed/rejected face.mismatch", "1", "OTHER",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			last, kinds := run(t, tc.facts...)
			if got := strings.Join(kinds, " "); got != tc.want {
				t.Errorf("events %s, want %s", got, tc.want)
			}
			if got := ends(last); got != tc.ends {
				t.Errorf("ended as %s, want %s", got, tc.ends)
			}
			references := last.Provider.References
			if references["kyc_identification_id"] != tc.attempt || references["idv_id"] != "i" {
				t.Errorf("references %v, want attempt %s", references, tc.attempt)
			}
			if got := last.ExtractedClaims["given_name"]; got != tc.name {
				t.Errorf("given_name %v, want %v", got, tc.name)
			}
			raw, err := json.Marshal(last)
			isThere := strings.Contains(string(raw), "OTHER") || strings.Contains(string(raw), "FacesDoesNotMatch")
			if err != nil || isThere != (tc.attempt == "1") {
				t.Errorf("the older attempt is there: %v, %v\n%s", isThere, err, raw)
			}
		})
	}
}

// session is a message of the whole session that names an attempt among its references.
func session(attempt string) Observation {
	o := progress(event.StatusInProgress)
	o.References = map[string]string{"idv_id": "i", "kyc_identification_id": attempt}
	o.ProviderStatus = map[string]any{"idv_status": "InProgress"}
	return o
}

// TestVerifiedClaimsRestOnTheApprovedAttempt: verified claims contain no data of an attempt other than the
// approved one.
func TestVerifiedClaimsRestOnTheApprovedAttempt(t *testing.T) {
	vouching := *testAccount
	vouching.TrustFramework = "de_test"
	facts := []Fact{at(1, person("OTHER", of("1", rejected()))), at(2, of("2", approved()))}
	for i := range facts {
		facts[i].Account = &vouching
	}
	last, _ := run(t, facts...)
	if raw, err := json.Marshal(last.VerifiedClaims); err != nil || strings.Contains(string(raw), "OTHER") {
		t.Errorf("vouches for %s, %v", raw, err)
	}
}

// TestAttemptsOfAnEarlierVersion: an event without stored attempts belongs to the attempt in its
// references.
func TestAttemptsOfAnEarlierVersion(t *testing.T) {
	before, _, _ := Next(nil, at(1, person("OTHER", of("1", bySystem(event.OutcomeRejected)))))
	e := event.Event{Type: "io.kycbridge.verification.completed.v1", Data: before.Data}
	before.Memory = Recall(&e, "", noon.Add(time.Minute), before.Payload.ID)
	same, _, _ := Next(&before, at(2, person("OTHER", of("1", byHuman(event.OutcomeRejected)))))
	newer, _, _ := Next(&before, at(2, of("2", progress(event.StatusInProgress))))
	if ends(&same) != "completed/rejected" || len(same.Documents) != 1 {
		t.Errorf("the same attempt: %s, %v", ends(&same), same.Documents)
	}
	if ends(&newer) != "in_progress/none" || len(newer.Documents) != 0 {
		t.Errorf("a newer one: %s, %v", ends(&newer), newer.Documents)
	}
}

// TestAttemptsWithoutATime: an older attempt is older than one whose time was not known at first, and than one before
// an attempt whose time is not known.
func TestAttemptsWithoutATime(t *testing.T) {
	older, newer := at(1, approved()).OccurredAt, at(10, approved()).OccurredAt
	m := Memory{Attempts: []SeenAttempt{{Key: "a", CreatedAt: newer}, {Key: "b"}}, Attempt: "b"}
	if at := m.insert(SeenAttempt{Key: "c", CreatedAt: older}); at != 0 {
		t.Errorf("an older attempt is number %d, after a newer one", at)
	}
	d := Revision{Memory: Memory{Attempts: []SeenAttempt{{Key: keyOf("a")}}, Attempt: keyOf("a")}}
	f := at(20, of("a", approved()))
	f.Attempt.CreatedAt = newer
	if order := d.attemptOrder(f); order != sameAttempt {
		t.Fatalf("the same attempt is %d", order)
	}
	f = at(21, of("c", approved()))
	f.Attempt.CreatedAt = older
	if order := d.attemptOrder(f); order != olderAttempt {
		t.Errorf("an older attempt is %d", order)
	}
}

// TestAttemptsOfUnknownOrder: an attempt without a time of creation that is seen after one with a time is not known to
// be newer. Its approval does not replace what was decided about the other one, and does not remain beside it.
func TestAttemptsOfUnknownOrder(t *testing.T) {
	dated := func(attempt string, minute int, o Observation) Observation {
		o = of(attempt, o)
		o.Attempt.CreatedAt = at(minute, o).OccurredAt
		return o
	}
	created := progress(event.StatusInProgress)
	checkRule(t, map[string]ruleCase{
		"an approval after a rejection": {
			[]Fact{at(10, dated("1", 1, rejected())), at(20, of("2", approved()))},
			"completed updated", "in_review/review system.untimed",
		},
		"with its first message before": {
			[]Fact{at(10, dated("1", 1, rejected())), at(15, of("2", created)), at(20, of("2", approved()))},
			"completed old updated", "in_review/review system.untimed",
		},
		"an approval after a doubt": {
			[]Fact{at(10, dated("1", 1, contradiction())), at(20, of("2", approved()))},
			"updated updated", "in_review/review system.untimed",
		},
		"a doubt leaves a rejection": {
			[]Fact{at(10, dated("1", 1, rejected())), at(20, of("2", contradiction()))},
			"completed unchanged", "completed/rejected",
		},
		"a rejection after an approval": {
			[]Fact{at(10, dated("1", 1, approved())), at(20, of("2", rejected()))},
			"completed completed", "completed/rejected",
		},
		"the other order": {
			[]Fact{at(10, of("2", approved())), at(20, dated("1", 1, rejected()))},
			"completed completed", "completed/rejected",
		},
		"a rejection of the other attempt, which was seen before": {
			[]Fact{at(5, dated("1", 1, created)), at(10, of("2", approved())), at(20, dated("1", 1, rejected()))},
			"updated completed updated", "in_review/review system.untimed",
		},
		"and the approval once more": {
			[]Fact{at(5, dated("1", 1, created)), at(10, of("2", approved())), at(20, dated("1", 1, rejected())),
				at(15, of("2", approved()))},
			"updated completed updated updated", "unknown/none system.contradiction",
		},
		"a rejection while nothing is decided": {
			[]Fact{at(5, dated("1", 1, created)), at(6, of("2", created)), at(10, dated("1", 1, rejected())),
				at(20, of("2", approved()))},
			"updated updated completed updated", "in_review/review system.untimed",
		},
		"a time that is stated later, of the one that was seen first": {
			[]Fact{at(10, of("1", approved())), at(20, of("2", rejected())), at(30, dated("1", 1, approved()))},
			"completed completed old", "completed/rejected",
		},
		"progress with it": {
			[]Fact{at(10, of("1", approved())), at(20, of("2", rejected())), at(30, dated("1", 1, created))},
			"completed completed old", "completed/rejected",
		},
		"an approval that was received before a rejection of the other one": {
			[]Fact{heardAt(20, 21, of("2", rejected())), heardAt(10, 11, of("1", approved()))},
			"completed old", "completed/rejected",
		},
		"a time that shows that it is newer": {
			[]Fact{at(10, dated("1", 1, rejected())), at(15, of("2", created)), at(20, dated("2", 11, approved()))},
			"completed old completed", "completed/approved",
		},
		"a time that shows that it is older": {
			[]Fact{at(10, dated("1", 5, rejected())), at(20, dated("2", 1, approved()))},
			"completed old", "completed/rejected",
		},
		"a time that shows it too late": {
			[]Fact{at(6, dated("1", 5, created)), at(7, of("2", created)), at(20, dated("2", 1, approved())),
				at(30, dated("1", 5, rejected()))},
			"updated updated completed completed", "completed/rejected",
		},
		"no time of either: the one seen later is newer": {
			[]Fact{at(10, of("1", rejected())), at(20, of("2", approved()))},
			"completed completed", "completed/approved",
		},
	})
}
