package kycbridge

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

var (
	noon        = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	testAccount = &Account{Name: "acme", Provider: Provider{Name: "ondato"}, Environment: EnvironmentTest, Profile: ProfileFull}
)

// fact is an observation that arrived minutes after noon and speaks of that moment.
func fact(minute int, o Observation) Fact {
	at := noon.Add(time.Duration(minute) * time.Minute)
	if o.OccurredAt.IsZero() {
		o.OccurredAt = at
	}
	if o.EventName == "" {
		o.EventName = "test"
	}
	return Fact{Observation: o, Account: testAccount, VerificationID: VerificationID("ondato", "acme", "idv-1"), Via: ViaCallback, ReceivedAt: at,
		Payload: PayloadRef{ID: fmt.Sprint("p", minute), Digest: Digest(nil), Mapping: "test"}}
}

func progress(s Status) Observation { return Observation{Effect: EffectProgress, Status: s} }
func ended(s Status) Observation    { return Observation{Effect: EffectEnd, Status: s} }

func verdict(outcome Outcome, stage Stage, actor ActorType) Observation {
	o := Observation{Effect: EffectVerdict, Status: StatusCompleted,
		Decision:  Decision{Outcome: outcome, Final: true, Stage: stage, ActorType: actor},
		Decisions: []DecisionStep{{Stage: stage, Outcome: outcome, ActorType: actor}}}
	if outcome == OutcomeReview {
		o.Status, o.Decision.Final = StatusInReview, false
	}
	return o
}

func bySystem(outcome Outcome) Observation { return verdict(outcome, StageSystem, ActorSystem) }
func byHuman(outcome Outcome) Observation  { return verdict(outcome, StageManualReview, ActorHuman) }
func maker(outcome Outcome) Observation    { return verdict(outcome, StageMaker, ActorHuman) }
func checker(outcome Outcome) Observation  { return verdict(outcome, StageChecker, ActorHuman) }

func doubtBy(stage Stage, actor ActorType) Observation {
	return Observation{Effect: EffectDoubt, Status: StatusUnknown, Decision: Decision{Outcome: OutcomeNone, Stage: stage, ActorType: actor},
		Reasons: []Reason{{Code: ReasonUnmappedStatus}}}
}

// ahead is o as a provider sends it whose clock is wrong by decades.
func ahead(o Observation) Observation {
	o.OccurredAt = noon.AddDate(100, 0, 0)
	return o
}

func resubmit() Observation {
	return Observation{Effect: EffectReopen, Status: StatusRequiresInput,
		Decision:        Decision{Outcome: OutcomeResubmit, Stage: StageManualReview, ActorType: ActorHuman},
		RequiredActions: []RequiredAction{{Action: "resubmit_document"}}}
}

func overdue() Observation {
	return Observation{Effect: EffectReopen, Status: StatusExpired, StatusDetail: DetailRenewalOverdue, Reasons: []Reason{{Code: "review.renewal_overdue"}}}
}

func renewalDue() Observation {
	return Observation{Effect: EffectNote, Status: StatusRequiresInput, StatusDetail: DetailRenewalDue,
		Decision: Decision{Outcome: OutcomeApproved, Final: true}, RequiredActions: []RequiredAction{{Action: "renew"}}}
}

// run applies facts in the order given and returns the last state with the kinds of all events.
func run(t *testing.T, facts ...Fact) (*Data, []string) {
	t.Helper()
	var last *Data
	var kinds []string
	for _, f := range facts {
		next, kind, noEvent := Next(last, f)
		if noEvent != "" {
			kinds = append(kinds, noEvent)
			continue
		}
		if last != nil {
			if next.Revision != last.Revision+1 || next.Supersedes != EventID(last.VerificationID, last.Revision) {
				t.Fatalf("revision %d superseding %s after revision %d", next.Revision, next.Supersedes, last.Revision)
			}
		} else if next.Revision != 1 || next.Supersedes != "" {
			t.Fatalf("first revision is %d, superseding %q", next.Revision, next.Supersedes)
		}
		// What is published is what the next step reads back.
		body, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		last = new(Data)
		if err := json.Unmarshal(body, last); err != nil {
			t.Fatal(err)
		}
		last.Until, last.UntilID = next.Until, next.UntilID // travel in headers
		kinds = append(kinds, string(kind))
	}
	return last, kinds
}

func TestNext(t *testing.T) {
	cases := map[string]struct {
		facts   []Fact
		kinds   string
		status  Status
		outcome Outcome
		final   bool
	}{
		"a life from start to approval": {
			[]Fact{fact(0, progress(StatusCreated)), fact(1, progress(StatusInProgress)), fact(2, progress(StatusProcessing)), fact(3, bySystem(OutcomeApproved))},
			"[updated updated updated completed]", StatusCompleted, OutcomeApproved, true},
		"the same again makes no event": {
			[]Fact{fact(0, bySystem(OutcomeApproved)), fact(0, bySystem(OutcomeApproved)), fact(1, bySystem(OutcomeApproved))},
			"[completed unchanged unchanged]", StatusCompleted, OutcomeApproved, true},
		"older progress is dropped": {
			[]Fact{fact(2, progress(StatusProcessing)), fact(1, progress(StatusInProgress))},
			"[updated old]", StatusProcessing, OutcomeNone, false},
		"progress never overwrites a verdict": {
			[]Fact{fact(0, bySystem(OutcomeRejected)), fact(1, progress(StatusProcessing))},
			"[completed unchanged]", StatusCompleted, OutcomeRejected, true},
		"progress never overwrites a review": {
			[]Fact{fact(0, bySystem(OutcomeReview)), fact(1, progress(StatusProcessing))},
			"[updated unchanged]", StatusInReview, OutcomeReview, false},
		"progress goes on after a resubmission request": {
			[]Fact{fact(0, resubmit()), fact(1, progress(StatusInProgress))},
			"[updated updated]", StatusInProgress, OutcomeNone, false},
		"a verdict that comes late is applied over progress": {
			[]Fact{fact(2, progress(StatusProcessing)), fact(1, bySystem(OutcomeApproved))},
			"[updated completed]", StatusCompleted, OutcomeApproved, true},
		"an end closes": {
			[]Fact{fact(0, progress(StatusInProgress)), fact(1, ended(StatusExpired))},
			"[updated closed]", StatusExpired, OutcomeNone, false},
		"an end never overwrites a verdict": {
			[]Fact{fact(0, bySystem(OutcomeApproved)), fact(1, ended(StatusExpired))},
			"[completed unchanged]", StatusCompleted, OutcomeApproved, true},
		"one end does not become another": {
			[]Fact{fact(0, ended(StatusExpired)), fact(1, ended(StatusAbandoned))},
			"[closed unchanged]", StatusExpired, OutcomeNone, false},
		"progress never revives what ended": {
			[]Fact{fact(0, ended(StatusAbandoned)), fact(1, progress(StatusInProgress))},
			"[closed unchanged]", StatusAbandoned, OutcomeNone, false},
		"a verdict after the end counts": {
			[]Fact{fact(0, ended(StatusExpired)), fact(1, bySystem(OutcomeApproved))},
			"[closed completed]", StatusCompleted, OutcomeApproved, true},
		"approved becomes rejected": {
			[]Fact{fact(0, byHuman(OutcomeApproved)), fact(1, byHuman(OutcomeRejected))},
			"[completed completed]", StatusCompleted, OutcomeRejected, true},
		"rejected becomes approved": {
			[]Fact{fact(0, bySystem(OutcomeRejected)), fact(1, bySystem(OutcomeApproved))},
			"[completed completed]", StatusCompleted, OutcomeApproved, true},
		"a person overrides the machine": {
			[]Fact{fact(0, bySystem(OutcomeReview)), fact(1, byHuman(OutcomeApproved))},
			"[updated completed]", StatusCompleted, OutcomeApproved, true},
		"the same outcome by a person is a new decision": {
			[]Fact{fact(0, bySystem(OutcomeApproved)), fact(1, byHuman(OutcomeApproved))},
			"[completed completed]", StatusCompleted, OutcomeApproved, true},
		"the machine never overrides a person": {
			[]Fact{fact(0, byHuman(OutcomeRejected)), fact(1, bySystem(OutcomeApproved))},
			"[completed unchanged]", StatusCompleted, OutcomeRejected, true},
		"the machine's review does not undo a person's approval": {
			[]Fact{fact(0, byHuman(OutcomeApproved)), fact(1, bySystem(OutcomeReview))},
			"[completed unchanged]", StatusCompleted, OutcomeApproved, true},
		"the machine takes back its own approval": {
			[]Fact{fact(0, bySystem(OutcomeApproved)), fact(1, bySystem(OutcomeReview))},
			"[completed updated]", StatusInReview, OutcomeReview, false},
		"a maker never overrides a checker": {
			[]Fact{fact(0, checker(OutcomeRejected)), fact(1, maker(OutcomeApproved))},
			"[completed unchanged]", StatusCompleted, OutcomeRejected, true},
		"a checker overrides a maker": {
			[]Fact{fact(0, maker(OutcomeApproved)), fact(1, checker(OutcomeRejected))},
			"[completed completed]", StatusCompleted, OutcomeRejected, true},
		"a resubmission request takes back an approval": {
			[]Fact{fact(0, byHuman(OutcomeApproved)), fact(1, resubmit())},
			"[completed updated]", StatusRequiresInput, OutcomeResubmit, false},
		"renewal due leaves the approval standing": {
			[]Fact{fact(0, byHuman(OutcomeApproved)), fact(1, renewalDue())},
			"[completed updated]", StatusCompleted, OutcomeApproved, true},
		"renewal due of an unknown verification brings no verdict": {
			[]Fact{fact(0, renewalDue())},
			"[updated]", StatusRequiresInput, OutcomeNone, false},
		"renewal overdue ends it, and a new verdict revives it": {
			[]Fact{fact(0, byHuman(OutcomeApproved)), fact(1, overdue()), fact(2, bySystem(OutcomeApproved))},
			"[completed closed completed]", StatusCompleted, OutcomeApproved, true},
		"unknown is never a success and never hides one": {
			[]Fact{fact(0, progress(StatusUnknown)), fact(1, bySystem(OutcomeApproved)), fact(2, progress(StatusUnknown))},
			"[updated completed unchanged]", StatusCompleted, OutcomeApproved, true},
		"a decision in an unknown word takes back an approval": {
			[]Fact{fact(0, bySystem(OutcomeApproved)), fact(1, doubtBy(StageManualReview, ActorHuman)), fact(1, doubtBy(StageManualReview, ActorHuman))},
			"[completed updated unchanged]", StatusUnknown, OutcomeNone, false},
		"a machine's unknown word leaves a person's approval": {
			[]Fact{fact(0, byHuman(OutcomeApproved)), fact(1, doubtBy(StageSystem, ActorSystem))},
			"[completed unchanged]", StatusCompleted, OutcomeApproved, true},
		"an unknown word leaves a rejection": {
			[]Fact{fact(0, bySystem(OutcomeRejected)), fact(1, doubtBy(StageManualReview, ActorHuman))},
			"[completed unchanged]", StatusCompleted, OutcomeRejected, true},
		"a verdict that comes late makes nothing twice": {
			[]Fact{fact(3, progress(StatusProcessing)), fact(2, bySystem(OutcomeApproved)), fact(2, bySystem(OutcomeApproved)), fact(1, progress(StatusInProgress))},
			"[updated completed old old]", StatusCompleted, OutcomeApproved, true},
		"a provider's clock ahead of ours holds off nothing": {
			[]Fact{fact(0, ahead(bySystem(OutcomeApproved))), fact(10, bySystem(OutcomeRejected))},
			"[completed completed]", StatusCompleted, OutcomeRejected, true},
		"nothing to say": {
			[]Fact{fact(0, Observation{Effect: EffectNone}), fact(1, Observation{Effect: EffectFetch}), fact(2, progress(StatusCreated))},
			"[ignored trigger updated]", StatusCreated, OutcomeNone, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			last, kinds := run(t, tc.facts...)
			if got := fmt.Sprint(kinds); got != tc.kinds {
				t.Errorf("events %s, want %s", got, tc.kinds)
			}
			if last.Status != tc.status || last.Decision.Outcome != tc.outcome || last.Decision.Final != tc.final {
				t.Errorf("ended as %s/%s final=%v, want %s/%s final=%v", last.Status, last.Decision.Outcome, last.Decision.Final, tc.status, tc.outcome, tc.final)
			}
		})
	}
}

func TestNextKeepsWhatEarlierMessagesTold(t *testing.T) {
	told := bySystem(OutcomeApproved)
	told.Documents = []Document{{DocumentID: "document", Type: "passport"}}
	told.ExtractedClaims = Claims{"given_name": "Testa", "address": map[string]any{"country": "LT"}}
	told.References = map[string]string{"kyc_identification_id": "k"}
	later := progress(StatusProcessing)
	later.References = map[string]string{"idv_id": "i"}
	later.ExternalReference = "ref-1"
	later.Session = &Session{Consent: &Consent{Given: true}}
	last, kinds := run(t, fact(0, told), fact(1, later), fact(2, later))
	if got := fmt.Sprint(kinds); got != "[completed updated unchanged]" {
		t.Errorf("events %s", got)
	}
	if last.Status != StatusCompleted || len(last.Documents) != 1 || last.ExtractedClaims["given_name"] != "Testa" ||
		last.ExternalReference != "ref-1" || len(last.Provider.References) != 2 || !last.Session.Consent.Given {
		t.Errorf("facts were lost: %+v", last)
	}
}

func TestNextLateVerdictOnlyFillsGaps(t *testing.T) {
	newer := progress(StatusProcessing)
	newer.Documents = []Document{{DocumentID: "document", Type: "passport"}}
	older := bySystem(OutcomeRejected)
	older.Documents = []Document{{DocumentID: "document", Type: "idcard"}}
	older.ExternalReference = "ref-1"
	last, _ := run(t, fact(5, newer), fact(1, older))
	if last.Documents[0].Type != "passport" || last.ExternalReference != "ref-1" || last.Decision.Outcome != OutcomeRejected {
		t.Errorf("got %+v", last)
	}
}

func TestOutranks(t *testing.T) {
	cases := map[string]struct {
		a, b Fact
		want bool
	}{
		"newer verdict":                    {fact(2, bySystem(OutcomeApproved)), fact(1, bySystem(OutcomeRejected)), true},
		"older verdict":                    {fact(1, bySystem(OutcomeApproved)), fact(2, bySystem(OutcomeRejected)), false},
		"newer progress":                   {fact(2, progress(StatusProcessing)), fact(1, bySystem(OutcomeRejected)), false},
		"newer machine against a person":   {fact(2, bySystem(OutcomeApproved)), fact(1, byHuman(OutcomeRejected)), false},
		"newer maker against a checker":    {fact(2, maker(OutcomeApproved)), fact(1, checker(OutcomeRejected)), false},
		"newer person against the machine": {fact(2, byHuman(OutcomeApproved)), fact(1, bySystem(OutcomeRejected)), true},
		"newer resubmission":               {fact(2, resubmit()), fact(1, byHuman(OutcomeApproved)), true},
		"newer unknown word":               {fact(2, doubtBy(StageManualReview, ActorHuman)), fact(1, bySystem(OutcomeApproved)), true},
		"a tie is decided with care":       {fact(1, bySystem(OutcomeRejected)), fact(1, bySystem(OutcomeApproved)), true},
		"a tie does not approve":           {fact(1, bySystem(OutcomeApproved)), fact(1, bySystem(OutcomeRejected)), false},
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
	id := VerificationID("ondato", "acme", "b0000000-0000-4000-8000-000000000001")
	if id != VerificationID("ondato", "acme", "b0000000-0000-4000-8000-000000000001") || id == VerificationID("ondato", "acme2", "b0000000-0000-4000-8000-000000000001") {
		t.Error("a verification id is not made of provider, account and reference alone")
	}
	if id[14] != '5' || len(id) != 36 || EventID(id, 1) == EventID(id, 2) {
		t.Errorf("not UUIDv5: %s", id)
	}
	digest := Digest([]byte("x"))
	for event, want := range map[string]string{"e-1": "p.a.e-1", "": "p.a." + digest, "with space": "p.a." + digest, "line\nbreak": "p.a." + digest} {
		if got := PayloadID("p", "a", event, digest); got != want {
			t.Errorf("PayloadID(%q) = %s, want %s", event, got, want)
		}
	}
}

// TestALookThatFoundNothingDecidedYieldsToTheVerdict: what is open was seen by our clock, what was
// decided is dated by the provider's, and the two differ.
func TestALookThatFoundNothingDecidedYieldsToTheVerdict(t *testing.T) {
	asked := time.Date(2026, 3, 2, 10, 0, 10, 0, time.UTC)
	verdict := Fact{Observation: Observation{Effect: EffectVerdict, OccurredAt: asked.Add(-500 * time.Millisecond)}, Via: ViaCallback, ReceivedAt: asked.Add(time.Second)}
	for _, effect := range []Effect{EffectReopen, EffectDoubt} {
		look := Fact{Observation: Observation{Effect: effect}, Via: ViaFetch, ReceivedAt: asked}
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
