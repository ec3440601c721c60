package kycbridge

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"kycbridge/event"
)

var (
	noon        = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	testAccount = &Account{Name: "acme", Provider: Provider{Name: "ondato"}, Environment: event.EnvironmentTest,
		Profile: event.ProfileFull}
)

// fact is an observation that was received minute minutes after noon and happened then.
func fact(minute int, o Observation) Fact {
	at := noon.Add(time.Duration(minute) * time.Minute)
	if o.OccurredAt.IsZero() {
		o.OccurredAt = at
	}
	if o.EventName == "" {
		o.EventName = "test"
	}
	return Fact{Observation: o, Account: testAccount, VerificationID: event.VerificationID("ondato", "acme", "idv-1"),
		Via: event.ViaCallback, ReceivedAt: at,
		Payload: event.PayloadRef{ID: fmt.Sprint("p", minute), Digest: Digest(nil), Mapping: "test"}}
}

func progress(s event.Status) Observation { return Observation{Effect: EffectProgress, Status: s} }
func submitted(s event.Status) Observation {
	return Observation{Effect: EffectProgress, Status: s, Submission: true}
}
func ended(s event.Status) Observation { return Observation{Effect: EffectEnd, Status: s} }

func verdict(outcome event.Outcome, stage event.Stage, actor event.ActorType) Observation {
	o := Observation{Effect: EffectVerdict, Status: event.StatusCompleted,
		Decision:  event.Decision{Outcome: outcome, Final: true, Stage: stage, ActorType: actor},
		Decisions: []event.DecisionStep{{Stage: stage, Outcome: outcome, ActorType: actor}}}
	if outcome == event.OutcomeReview {
		o.Status, o.Decision.Final = event.StatusInReview, false
	}
	return o
}

func bySystem(outcome event.Outcome) Observation {
	return verdict(outcome, event.StageSystem, event.ActorSystem)
}
func byHuman(outcome event.Outcome) Observation {
	return verdict(outcome, event.StageManualReview, event.ActorHuman)
}
func maker(outcome event.Outcome) Observation {
	return verdict(outcome, event.StageMaker, event.ActorHuman)
}
func checker(outcome event.Outcome) Observation {
	return verdict(outcome, event.StageChecker, event.ActorHuman)
}

func doubtBy(stage event.Stage, actor event.ActorType) Observation {
	return Observation{Effect: EffectDoubt, Status: event.StatusUnknown,
		Decision: event.Decision{Outcome: event.OutcomeNone, Stage: stage, ActorType: actor},
		Reasons:  []event.Reason{{Code: event.ReasonUnmappedStatus}}}
}

// ahead is o from a provider whose clock is wrong by decades.
func ahead(o Observation) Observation {
	o.OccurredAt = noon.AddDate(100, 0, 0)
	return o
}

func resubmit() Observation {
	return Observation{Effect: EffectReopen, Status: event.StatusRequiresInput,
		Decision: event.Decision{Outcome: event.OutcomeResubmit, Stage: event.StageManualReview,
			ActorType: event.ActorHuman},
		RequiredActions: []event.RequiredAction{{Action: "resubmit_document"}}}
}

func overdue() Observation {
	return Observation{Effect: EffectReopen, Status: event.StatusExpired, StatusDetail: event.DetailRenewalOverdue,
		Reasons: []event.Reason{{Code: "review.renewal_overdue"}}}
}

func renewalDue() Observation {
	return Observation{Effect: EffectNote, Status: event.StatusRequiresInput, StatusDetail: event.DetailRenewalDue,
		Decision:        event.Decision{Outcome: event.OutcomeApproved, Final: true},
		RequiredActions: []event.RequiredAction{{Action: "renew"}}}
}

// run applies facts in the given order and returns the last state with the kinds of all events.
func run(t *testing.T, facts ...Fact) (*Revision, []string) {
	t.Helper()
	var last *Revision
	var kinds []string
	for _, f := range facts {
		next, kind, noEvent := Next(last, f)
		if noEvent != "" {
			kinds = append(kinds, noEvent)
			continue
		}
		if last != nil {
			if next.Revision != last.Revision+1 || next.Supersedes != event.ID(last.VerificationID, last.Revision) {
				t.Fatalf("revision %d superseding %s after revision %d", next.Revision, next.Supersedes, last.Revision)
			}
		} else if next.Revision != 1 || next.Supersedes != "" {
			t.Fatalf("first revision is %d, superseding %q", next.Revision, next.Supersedes)
		}
		// The next step reads back the published data.
		body, err := json.Marshal(next.Data)
		if err != nil {
			t.Fatal(err)
		}
		last = new(Revision)
		if err := json.Unmarshal(body, &last.Data); err != nil {
			t.Fatal(err)
		}
		last.Memory = Recall(&event.Event{Data: last.Data}, next.Memory.Encode(), time.Time{}, "") // stored in a header
		kinds = append(kinds, string(kind))
	}
	return last, kinds
}

func TestNext(t *testing.T) {
	cases := map[string]struct {
		facts   []Fact
		kinds   string
		status  event.Status
		outcome event.Outcome
		final   bool
	}{
		"a life from start to approval": {
			[]Fact{fact(0, progress(event.StatusCreated)), fact(1, progress(event.StatusInProgress)),
				fact(2, progress(event.StatusProcessing)), fact(3, bySystem(event.OutcomeApproved))},
			"[updated updated updated completed]", event.StatusCompleted, event.OutcomeApproved, true},
		"the same again makes no event": {
			[]Fact{fact(0, bySystem(event.OutcomeApproved)), fact(0, bySystem(event.OutcomeApproved)),
				fact(1, bySystem(event.OutcomeApproved))},
			"[completed unchanged unchanged]", event.StatusCompleted, event.OutcomeApproved, true},
		"older progress is dropped": {
			[]Fact{fact(2, progress(event.StatusProcessing)), fact(1, progress(event.StatusInProgress))},
			"[updated old]", event.StatusProcessing, event.OutcomeNone, false},
		"progress never overwrites a verdict": {
			[]Fact{fact(0, bySystem(event.OutcomeRejected)), fact(1, progress(event.StatusProcessing))},
			"[completed unchanged]", event.StatusCompleted, event.OutcomeRejected, true},
		"progress never overwrites a review": {
			[]Fact{fact(0, bySystem(event.OutcomeReview)), fact(1, progress(event.StatusProcessing))},
			"[updated unchanged]", event.StatusInReview, event.OutcomeReview, false},
		"progress goes on after a resubmission request": {
			[]Fact{fact(0, resubmit()), fact(1, submitted(event.StatusInProgress))},
			"[updated updated]", event.StatusInProgress, event.OutcomeNone, false},
		"a sign of progress that submits nothing leaves a resubmission request": {
			[]Fact{fact(0, resubmit()), fact(1, progress(event.StatusInProgress))},
			"[updated unchanged]", event.StatusRequiresInput, event.OutcomeResubmit, false},
		"a verdict that comes late is applied over progress": {
			[]Fact{fact(2, progress(event.StatusProcessing)), fact(1, bySystem(event.OutcomeApproved))},
			"[updated completed]", event.StatusCompleted, event.OutcomeApproved, true},
		"an end closes": {
			[]Fact{fact(0, progress(event.StatusInProgress)), fact(1, ended(event.StatusExpired))},
			"[updated closed]", event.StatusExpired, event.OutcomeNone, false},
		"an end never overwrites a verdict": {
			[]Fact{fact(0, bySystem(event.OutcomeApproved)), fact(1, ended(event.StatusExpired))},
			"[completed unchanged]", event.StatusCompleted, event.OutcomeApproved, true},
		"one end does not become another": {
			[]Fact{fact(0, ended(event.StatusExpired)), fact(1, ended(event.StatusAbandoned))},
			"[closed unchanged]", event.StatusExpired, event.OutcomeNone, false},
		"progress never revives what ended": {
			[]Fact{fact(0, ended(event.StatusAbandoned)), fact(1, progress(event.StatusInProgress))},
			"[closed unchanged]", event.StatusAbandoned, event.OutcomeNone, false},
		"a verdict after the end counts": {
			[]Fact{fact(0, ended(event.StatusExpired)), fact(1, bySystem(event.OutcomeApproved))},
			"[closed completed]", event.StatusCompleted, event.OutcomeApproved, true},
		"approved becomes rejected": {
			[]Fact{fact(0, byHuman(event.OutcomeApproved)), fact(1, byHuman(event.OutcomeRejected))},
			"[completed completed]", event.StatusCompleted, event.OutcomeRejected, true},
		"rejected becomes approved": {
			[]Fact{fact(0, bySystem(event.OutcomeRejected)), fact(1, bySystem(event.OutcomeApproved))},
			"[completed completed]", event.StatusCompleted, event.OutcomeApproved, true},
		"a person overrides the machine": {
			[]Fact{fact(0, bySystem(event.OutcomeReview)), fact(1, byHuman(event.OutcomeApproved))},
			"[updated completed]", event.StatusCompleted, event.OutcomeApproved, true},
		"the same outcome by a person is a new decision": {
			[]Fact{fact(0, bySystem(event.OutcomeApproved)), fact(1, byHuman(event.OutcomeApproved))},
			"[completed completed]", event.StatusCompleted, event.OutcomeApproved, true},
		"the machine never overrides a person": {
			[]Fact{fact(0, byHuman(event.OutcomeRejected)), fact(1, bySystem(event.OutcomeApproved))},
			"[completed unchanged]", event.StatusCompleted, event.OutcomeRejected, true},
		"the machine's review does not undo a person's approval": {
			[]Fact{fact(0, byHuman(event.OutcomeApproved)), fact(1, bySystem(event.OutcomeReview))},
			"[completed unchanged]", event.StatusCompleted, event.OutcomeApproved, true},
		"the machine takes back its own approval": {
			[]Fact{fact(0, bySystem(event.OutcomeApproved)), fact(1, bySystem(event.OutcomeReview))},
			"[completed updated]", event.StatusInReview, event.OutcomeReview, false},
		"a maker never overrides a checker": {
			[]Fact{fact(0, checker(event.OutcomeRejected)), fact(1, maker(event.OutcomeApproved))},
			"[completed unchanged]", event.StatusCompleted, event.OutcomeRejected, true},
		"a checker overrides a maker": {
			[]Fact{fact(0, maker(event.OutcomeApproved)), fact(1, checker(event.OutcomeRejected))},
			"[completed completed]", event.StatusCompleted, event.OutcomeRejected, true},
		"a resubmission request takes back an approval": {
			[]Fact{fact(0, byHuman(event.OutcomeApproved)), fact(1, resubmit())},
			"[completed updated]", event.StatusRequiresInput, event.OutcomeResubmit, false},
		"renewal due leaves the approval standing": {
			[]Fact{fact(0, byHuman(event.OutcomeApproved)), fact(1, renewalDue())},
			"[completed updated]", event.StatusCompleted, event.OutcomeApproved, true},
		"renewal due of an unknown verification brings no verdict": {
			[]Fact{fact(0, renewalDue())},
			"[updated]", event.StatusRequiresInput, event.OutcomeNone, false},
		"renewal overdue ends it, and a new verdict revives it": {
			[]Fact{fact(0, byHuman(event.OutcomeApproved)), fact(1, overdue()), fact(2, bySystem(event.OutcomeApproved))},
			"[completed closed completed]", event.StatusCompleted, event.OutcomeApproved, true},
		"unknown is never a success and never hides one": {
			[]Fact{fact(0, progress(event.StatusUnknown)), fact(1, bySystem(event.OutcomeApproved)),
				fact(2, progress(event.StatusUnknown))},
			"[updated completed unchanged]", event.StatusCompleted, event.OutcomeApproved, true},
		"a decision in an unknown word takes back an approval": {
			[]Fact{fact(0, bySystem(event.OutcomeApproved)), fact(1, doubtBy(event.StageManualReview, event.ActorHuman)),
				fact(1, doubtBy(event.StageManualReview, event.ActorHuman))},
			"[completed updated unchanged]", event.StatusUnknown, event.OutcomeNone, false},
		"a machine's unknown word leaves a person's approval": {
			[]Fact{fact(0, byHuman(event.OutcomeApproved)), fact(1, doubtBy(event.StageSystem, event.ActorSystem))},
			"[completed unchanged]", event.StatusCompleted, event.OutcomeApproved, true},
		"an unknown word leaves a rejection": {
			[]Fact{fact(0, bySystem(event.OutcomeRejected)), fact(1, doubtBy(event.StageManualReview, event.ActorHuman))},
			"[completed unchanged]", event.StatusCompleted, event.OutcomeRejected, true},
		"a verdict that comes late makes nothing twice": {
			[]Fact{fact(3, progress(event.StatusProcessing)), fact(2, bySystem(event.OutcomeApproved)),
				fact(2, bySystem(event.OutcomeApproved)), fact(1, progress(event.StatusInProgress))},
			"[updated completed unchanged old]", event.StatusCompleted, event.OutcomeApproved, true},
		"a provider's clock ahead of ours holds off nothing": {
			[]Fact{fact(0, ahead(bySystem(event.OutcomeApproved))), fact(10, bySystem(event.OutcomeRejected))},
			"[completed completed]", event.StatusCompleted, event.OutcomeRejected, true},
		"nothing to say": {
			[]Fact{fact(0, Observation{Effect: EffectNone}), fact(1, Observation{Effect: EffectFetch}),
				fact(2, progress(event.StatusCreated))},
			"[ignored trigger updated]", event.StatusCreated, event.OutcomeNone, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			last, kinds := run(t, tc.facts...)
			if got := fmt.Sprint(kinds); got != tc.kinds {
				t.Errorf("events %s, want %s", got, tc.kinds)
			}
			if last.Status != tc.status || last.Decision.Outcome != tc.outcome || last.Decision.Final != tc.final {
				t.Errorf("ended as %s/%s final=%v, want %s/%s final=%v", last.Status, last.Decision.Outcome, last.Decision.Final,
					tc.status, tc.outcome, tc.final)
			}
		})
	}
}

func TestNextKeepsEarlierFacts(t *testing.T) {
	complete := bySystem(event.OutcomeApproved)
	complete.Documents = []event.Document{{DocumentID: "document", Type: "passport"}}
	complete.ExtractedClaims = event.Claims{"given_name": "Testa", "address": map[string]any{"country": "LT"}}
	complete.References = map[string]string{"kyc_identification_id": "k"}
	later := progress(event.StatusProcessing)
	later.References = map[string]string{"idv_id": "i"}
	later.ExternalReference = "ref-1"
	later.Session = &event.Session{Consent: &event.Consent{Given: true}}
	last, kinds := run(t, fact(0, complete), fact(1, later), fact(2, later))
	if got := fmt.Sprint(kinds); got != "[completed updated unchanged]" {
		t.Errorf("events %s", got)
	}
	if last.Status != event.StatusCompleted || len(last.Documents) != 1 || last.ExtractedClaims["given_name"] != "Testa" ||
		last.ExternalReference != "ref-1" || len(last.Provider.References) != 2 || !last.Session.Consent.Given {
		t.Errorf("facts were lost: %+v", last)
	}
}

func TestNextLateVerdictOnlyFillsGaps(t *testing.T) {
	newer := progress(event.StatusProcessing)
	newer.Documents = []event.Document{{DocumentID: "document", Type: "passport"}}
	older := bySystem(event.OutcomeRejected)
	older.Documents = []event.Document{{DocumentID: "document", Type: "idcard"}}
	older.ExternalReference = "ref-1"
	last, _ := run(t, fact(5, newer), fact(1, older))
	if last.Documents[0].Type != "passport" || last.ExternalReference != "ref-1" ||
		last.Decision.Outcome != event.OutcomeRejected {
		t.Errorf("got %+v", last)
	}
}

// TestAPolicyApprovesItsOwnPerson: a policy has judged the evidence in its own body, also if progress or an end with
// another person arrives before that.
func TestAPolicyApprovesItsOwnPerson(t *testing.T) {
	byPolicy := verdict(event.OutcomeApproved, event.StagePolicy, event.ActorSystem)
	approval := at(1, person("Testa", byPolicy))
	later := at(5, person("Other", progress(event.StatusProcessing)))
	for name, facts := range map[string][]Fact{
		"progress": {later, approval},
		"an end":   {at(5, person("Other", ended(event.StatusFailed))), approval},
		"in order": {approval, later},
	} {
		last, kinds := run(t, facts...)
		if got := last.ExtractedClaims["given_name"]; got != "Testa" || last.Checks[0].CheckID != "face-Testa" ||
			last.Decision.Outcome != event.OutcomeApproved {
			t.Errorf("%s, %s: %v, %s", name, kinds, got, last.Decision.Outcome)
		}
	}
}

func TestOutranks(t *testing.T) {
	cases := map[string]struct {
		a, b Fact
		want bool
	}{
		"newer verdict": {fact(2, bySystem(event.OutcomeApproved)),
			fact(1, bySystem(event.OutcomeRejected)), true},
		"older verdict": {fact(1, bySystem(event.OutcomeApproved)),
			fact(2, bySystem(event.OutcomeRejected)), false},
		"newer progress": {fact(2, progress(event.StatusProcessing)),
			fact(1, bySystem(event.OutcomeRejected)), false},
		"newer machine against a person": {fact(2, bySystem(event.OutcomeApproved)),
			fact(1, byHuman(event.OutcomeRejected)), false},
		"newer maker against a checker": {fact(2, maker(event.OutcomeApproved)),
			fact(1, checker(event.OutcomeRejected)), false},
		"newer person against the machine": {fact(2, byHuman(event.OutcomeApproved)),
			fact(1, bySystem(event.OutcomeRejected)), true},
		"newer resubmission": {fact(2, resubmit()), fact(1, byHuman(event.OutcomeApproved)), true},
		"newer unknown word": {fact(2, doubtBy(event.StageManualReview, event.ActorHuman)),
			fact(1, bySystem(event.OutcomeApproved)), true},
		"newer machine against a doubt about a person": {fact(2, bySystem(event.OutcomeApproved)),
			fact(1, doubtBy(event.StageManualReview, event.ActorUnspecified)), false},
		"newer machine against a doubt about a machine": {fact(2, bySystem(event.OutcomeApproved)),
			fact(1, doubtBy(event.StageSystem, event.ActorUnspecified)), true},
		"newer person against a doubt about a person": {fact(2, byHuman(event.OutcomeApproved)),
			fact(1, doubtBy(event.StageManualReview, event.ActorUnspecified)), true},
		"a tie is decided with care": {fact(1, bySystem(event.OutcomeRejected)),
			fact(1, bySystem(event.OutcomeApproved)), true},
		"a tie does not approve": {fact(1, bySystem(event.OutcomeApproved)),
			fact(1, bySystem(event.OutcomeRejected)), false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Outranks(tc.a, tc.b); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestIDs(t *testing.T) {
	id := event.VerificationID("ondato", "acme", "b0000000-0000-4000-8000-000000000001")
	if id != event.VerificationID("ondato", "acme", "b0000000-0000-4000-8000-000000000001") ||
		id == event.VerificationID("ondato", "acme2", "b0000000-0000-4000-8000-000000000001") {
		t.Error("a verification id is not made of provider, account and reference alone")
	}
	if id[14] != '5' || len(id) != 36 || event.ID(id, 1) == event.ID(id, 2) {
		t.Errorf("not UUIDv5: %s", id)
	}
	digest := Digest([]byte("x"))
	for event, want := range map[string]string{"e-1": "p.a.e-1", "": "p.a." + digest, "with space": "p.a." + digest,
		"line\nbreak": "p.a." + digest} {
		if got := PayloadID("p", "a", event, digest); got != want {
			t.Errorf("PayloadID(%q) = %s, want %s", event, got, want)
		}
	}
}

// TestAnUndecidedPollYieldsToTheVerdict: an open state is dated by the clock of kycbridge, a decision by
// the provider's, and the two differ.
func TestAnUndecidedPollYieldsToTheVerdict(t *testing.T) {
	asked := time.Date(2026, 3, 2, 10, 0, 10, 0, time.UTC)
	verdict := Fact{Observation: Observation{Effect: EffectVerdict, OccurredAt: asked.Add(-500 * time.Millisecond)},
		Via: event.ViaCallback, ReceivedAt: asked.Add(time.Second)}
	for _, effect := range []Effect{EffectReopen, EffectDoubt} {
		look := Fact{Observation: Observation{Effect: effect}, Via: event.ViaFetch, ReceivedAt: asked}
		if Outranks(look, verdict) {
			t.Errorf("effect %d outranks a verdict of half a second before", effect)
		}
		late := verdict
		late.OccurredAt = asked.Add(-time.Hour)
		if !Outranks(look, late) {
			t.Errorf("effect %d does not take back a verdict of an hour before", effect)
		}
	}
}

// mentions is a note whose status word stands for an outcome.
func mentions(outcome event.Outcome) Observation {
	return Observation{Effect: EffectNote, Status: event.StatusProcessing, Mentions: outcome}
}

// notice is a notice of kycbridge, minute minutes after noon.
func notice(minute int, kind NoticeKind) Fact {
	o := Observation{Effect: EffectNote, EventName: string(kind), Status: event.StatusCreated}
	via := event.ViaStart
	switch kind {
	case NoticeDeadline:
		o.Effect, o.Status, o.Reasons, via =
			EffectEnd, event.StatusExpired, []event.Reason{{Code: "session.expired"}}, event.ViaDeadline
	case NoticeUnknown:
		o.Effect, o.Status, o.StatusDetail, via = EffectEnd, event.StatusFailed, event.DetailUnknownToProvider, event.ViaFetch
	}
	f := fact(minute, o)
	f.Notice, f.Via = true, via
	return f
}

// TestFinishProtectsAddedFields: the cause in an event is protected like the rest of it.
func TestFinishProtectsAddedFields(t *testing.T) {
	const number = "234123412346"
	f := at(1, approved())
	f.EventName, f.EventID = "event "+number, number
	f.Payload = event.PayloadRef{ID: "ondato.acme.evt_1", AdmittedBy: number}
	account := *f.Account
	account.TrustFramework = number
	f.Account = &account
	next, _, _ := Next(nil, f)
	raw, err := json.Marshal(next.Data)
	if err != nil || strings.Contains(string(raw), number) {
		t.Errorf("%s, %v", raw, err)
	}
}

// TestReferenceKnownBeforeNumber: a reference that an earlier payload gave is hidden once a payload has the telephone
// number that it is, however old that payload is.
func TestReferenceKnownBeforeNumber(t *testing.T) {
	for profile, want := range map[event.Profile]string{event.ProfileMasked: "****0001", event.ProfileNone: ""} {
		account := *testAccount
		account.Profile = profile
		started, told := progress(event.StatusCreated), progress(event.StatusInProgress)
		started.ExternalReference, told.ExternalReference, told.ReferenceIsPhone = "5550100001", "5550100001", true
		for _, minute := range []int{-1, 1} {
			first, second := fact(0, started), fact(minute, told)
			first.Account, second.Account = &account, &account
			second.Reference = second.ExternalReference
			protectFacts(&second.Observation, profile)
			last, _, _ := Next(nil, first)
			d := clone(last)
			d.merge(second.Observation, minute < 0)
			if finish(&d, second); d.ExternalReference != want {
				t.Errorf("%s, minute %d: %q, want %q", profile, minute, d.ExternalReference, want)
			}
		}
	}
}
