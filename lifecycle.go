package kycbridge

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"kycbridge/event"
)

// Why an observation led to no event. These words are recorded and counted; they contain no data.
const (
	NoEventIgnored   = "ignored"   // the mapping found nothing to publish
	NoEventTrigger   = "trigger"   // only a trigger, the result is fetched
	NoEventOld       = "old"       // older than the applied facts
	NoEventUnchanged = "unchanged" // contains nothing new
	NoEventErased    = "erased"    // was erased before its event was published
)

// Fact is an observation with its source and times: the complete input of the lifecycle.
type Fact struct {
	Observation
	Reference      string // ExternalReference before the profile was applied to it
	Account        *Account
	VerificationID string
	Payload        event.PayloadRef // the payload that states it
	Via            event.Via        // how kycbridge received it
	Erased         int              // the newest erased revision: a history that begins with the fact goes on from it
	Notice         bool             // from kycbridge, not from the provider
	JudgeAgain     bool             // even if it has made an event
	Ordered        bool             // the payloads that are stored before it have been processed
	// OurClock: OccurredAt is of kycbridge's clock: the time of the callback that triggered the fetch.
	OurClock    bool
	Known       Known     // from the stored payloads; empty unless the fact is late
	ReceivedAt  time.Time // of the payload, by kycbridge's clock
	Traceparent string    // W3C trace context of the callback, or ""
}

// Revision is one revision of a verification in the lifecycle: the event data and the memory beside it.
type Revision struct {
	event.Data
	Memory Memory // lifecycle state that is not part of the event
}

// Published is the event data of d; nil if there is no revision.
func (d *Revision) Published() *event.Data {
	if d == nil {
		return nil
	}
	return &d.Data
}

// Known holds what the stored payloads of the same attempt contain about a fact.
type Known struct {
	Weighed   bool           // one of them is as new as the verdict that is remembered as overruled
	Outranked bool           // one of them is a verdict that outranks the fact
	Denials                  // the notes with another outcome than an approval
	Cross     Cross          // the last outcome of each source, since the last reopening
	Doubt     *Doubt         // a doubt that the fact does not settle; nil: none
	Revoked   *Revoked       // the approval that the newest reopening has revoked, if it had no event then
	Reopened  *Moment        // the newest reopening, if the state does not contain it
	Answered  *Moment        // when the applicant last submitted a step
	Answer    *Moment        // and when first after the fact
	Maker     *MakersVerdict // the maker's newest verdict
}

// Next applies f to the last published state of its verification (nil: none yet) and returns the next
// state with the kind of its event, or the reason for no event. It is pure.
// Rules (docs/consume.md, Which facts count): an older fact never overwrites a newer one; progress never overwrites a
// verdict; a terminal status changes only on a verdict, a resubmission, a renewal or a new attempt; a
// machine's verdict never replaces a person's; a fact that changes nothing makes no event.
func Next(last *Revision, f Fact) (next Revision, kind event.Kind, noEvent string) {
	switch {
	case f.Effect == EffectNone:
		noEvent = NoEventIgnored
	case f.Effect == EffectFetch:
		noEvent = NoEventTrigger
	case last == nil:
		next = newRevision(f)
		return next, kindOf(nil, &next), ""
	case !f.isJudgedAgain(last) && last.Memory.applied(f, last.Payload.Mapping):
		noEvent = NoEventUnchanged
	case f.Notice:
		next, noEvent = applyNotice(last, f)
	default:
		next, noEvent = applyFact(last, f)
	}
	if noEvent != "" {
		return Revision{}, "", noEvent
	}
	finish(&next, f)
	if same(last, &next) {
		return Revision{}, "", NoEventUnchanged
	}
	next.Revision = last.Revision + 1
	next.Supersedes = event.ID(last.VerificationID, last.Revision)
	return next, kindOf(last, &next), ""
}

// isJudgedAgain reports whether f is judged although it has made an event. A reopening has settled what was said
// before it.
func (f Fact) isJudgedAgain(last *Revision) bool {
	reopened := last.Memory.Reopened
	return f.JudgeAgain && (reopened == nil || !reopened.after(f.moment()))
}

// newRevision creates the first revision: 1, or the one after those that were erased.
func newRevision(f Fact) Revision {
	d := Revision{Data: event.Data{
		VerificationID: f.VerificationID,
		Revision:       f.Erased + 1,
		Account:        f.Account.Name,
		Status:         event.StatusCreated,
		Decision:       event.Decision{Outcome: event.OutcomeNone},
		Decisions:      []event.DecisionStep{},
		Reasons:        []event.Reason{},
		Checks:         []event.Check{},
	}}
	d.Provider = event.ProviderData{Name: f.Account.Provider.Name, References: map[string]string{},
		Status: map[string]any{}}
	switch {
	case !f.Notice:
		d.attemptOrder(f)
		f.Observation = d.checkContradiction(f)
		d.apply(f, false, true)
		d.recordMaker(f)
	case f.Effect == EffectEnd:
		d.merge(f.Observation, false)
		d.applyOurEnd(f)
	default:
		d.merge(f.Observation, false)
		d.setStatus(f.Observation)
	}
	d.Memory.recordApplied(f, false)
	finish(&d, f)
	return d
}

// applyNotice applies a notice of kycbridge, which is no fact of the provider: it sets no instant that a
// fact must exceed, and later facts of the provider outrank it.
func applyNotice(last *Revision, f Fact) (next Revision, noEvent string) {
	next = clone(*last)
	since := f.ReceivedAt.Before(last.Memory.LastReceivedAt) ||
		!isNotice(last.Provider.Event) && f.ReceivedAt.Before(event.ParseInstant(last.Provider.Event.ReceivedAt))
	switch {
	case f.Effect != EffectEnd:
		next.merge(f.Observation, since || last.Memory.HasProviderFact)
	case since:
		return Revision{}, NoEventOld
	case last.Status.Terminal():
		return Revision{}, NoEventUnchanged
	default:
		next.merge(f.Observation, false)
		next.applyOurEnd(f)
	}
	next.Memory.recordApplied(f, false)
	return next, ""
}

// applyFact applies a fact of the provider.
func applyFact(last *Revision, f Fact) (next Revision, noEvent string) {
	next = clone(*last)
	revived := next.revokeOurEnd()
	if revived && f.ReceivedAt.Before(last.Memory.Before.EndedAt) {
		return applyBeforeOurEnd(last, &next, f)
	}
	at := next.attemptOrder(f)
	if at == newerAttempt && !f.isVerdictOrDoubt() &&
		(next.Decision.Outcome == event.OutcomeApproved || next.approvedAtReceipt(f)) {
		return Revision{}, NoEventUnchanged // the approval stays current, with its facts, until the new attempt's own verdict
	}
	stale, noEvent := next.applyOfAttempt(f, at, last.Memory.Attempt)
	if noEvent != "" && !revived {
		return Revision{}, noEvent
	}
	next.recordMaker(f)
	next.Memory.recordApplied(f, stale)
	if last.Decision.Outcome == event.OutcomeApproved && next.Decision.Outcome != event.OutcomeApproved {
		next.Memory.FellAt = f.ReceivedAt
	}
	return next, ""
}

// applyOfAttempt applies f, whose attempt has the position at; was is the attempt of the state before f. stale reports
// whether something newer than f has been applied.
func (d *Revision) applyOfAttempt(f Fact, at attemptOrder, was string) (stale bool, noEvent string) {
	switch {
	case d.makerRefutes(f):
		d.review(f.Decisions)
		return true, ""
	case at == olderAttempt || f.Known.Outranked && f.Effect.Decisive() && !d.contradicts(f):
		return at == olderAttempt || f.stale(d), NoEventOld
	case at == unknownAttempt:
		return true, d.decideUnordered(f)
	case at == newerAttempt:
		d.startAttempt(f)
	}
	d.Memory.addStored(f.Known, f.moment())
	isOther := f.Effect == EffectVerdict && f.Decision.Outcome != event.OutcomeRejected
	known := d.Decision.Outcome
	if isOther && known == event.OutcomeRejected || f.approves() && known == event.OutcomeReview {
		d.Memory.Cross, _ = d.Memory.Cross.merge(f.Known.Cross) // the rejection of another source changed nothing
	}
	f.Observation = d.checkContradiction(f)
	stale = f.stale(d) || d.isSuperseded(f)
	return stale, d.apply(f, stale, at == newerAttempt || was != d.Memory.Attempt)
}

// isVerdictOrDoubt reports whether f states the result of an attempt.
func (f Fact) isVerdictOrDoubt() bool { return f.Effect == EffectVerdict || f.Effect == EffectDoubt }

// isUntimedEnd reports whether f is an end with an untrusted time, of an open session: it is certain that
// it ended, but not when.
func isUntimedEnd(d *Revision, f Fact) bool {
	return f.Effect == EffectEnd && f.untimed() && d.Decision.Outcome == event.OutcomeNone && !d.changedAfterReceipt(f)
}

// apply changes d by a fact of the provider, or returns why it changes nothing. A fact that is older than
// the known ones and decides nothing counts only as the first one of an attempt.
func (d *Revision) apply(f Fact, stale, begins bool) (noEvent string) {
	switch {
	case f.Effect.Decisive():
		return d.decide(f, stale)
	case stale && !begins && !isUntimedEnd(d, f):
		return NoEventOld
	case f.Effect == EffectNote && d.Memory.HasProviderFact:
		d.merge(f.Observation, stale)
		applyNote(d, f.Observation)
	case f.Effect == EffectNote:
		d.merge(f.Observation, stale)
		o := f.Observation
		o.Decision = event.Decision{} // a note about an unknown verification sets no verdict
		d.setStatus(o)
	default:
		d.merge(f.Observation, stale)
		if mayProceed(d, f) && (!stale || isUntimedEnd(d, f)) {
			d.applyProgress(f)
		}
	}
	return ""
}

// applyProgress applies progress or an end.
func (d *Revision) applyProgress(f Fact) {
	at := f.moment()
	isAnswer := d.Decision.Outcome == event.OutcomeResubmit && f.Effect != EffectEnd
	known := d.Reasons
	d.setStatus(f.Observation)
	switch {
	case f.Effect == EffectEnd:
		d.Memory.End = &at
	case isAnswer:
		d.Memory.Answered = &at
		d.applyDoubt(known) // the request for resubmission had replaced it
	}
}

// applyOurEnd applies an end that kycbridge has set, and keeps the previous state.
func (d *Revision) applyOurEnd(f Fact) {
	before := d.standing(f.ReceivedAt)
	d.setStatus(f.Observation)
	d.Memory.Before = &before
}

// standing is the state of d to restore if an end that kycbridge sets is revoked.
func (d *Revision) standing(endedAt time.Time) Standing {
	return Standing{
		EndedAt: endedAt, Status: d.Status, StatusDetail: d.StatusDetail, Decision: d.Decision,
		Reasons: d.Reasons, RequiredActions: d.RequiredActions, Confirmed: d.Payload.Confirmed,
	}
}

// revokeOurEnd restores the state before an end that kycbridge had set: any fact of the provider shows
// that the session had not ended, unless it was received before the end (applyBeforeOurEnd).
func (d *Revision) revokeOurEnd() (revived bool) {
	was := d.Memory.Before
	if was == nil {
		return false
	}
	d.Status, d.StatusDetail, d.Decision = was.Status, was.StatusDetail, was.Decision
	d.Reasons, d.RequiredActions, d.Payload.Confirmed = was.Reasons, was.RequiredActions, was.Confirmed
	d.Memory.Before = nil
	return true
}

// mayProceed reports whether progress or an end may change the status of d. An end does not close a review
// that was opened because the time of a verdict is not known, nor one that a reviewer has opened: the
// session had its verdict.
func mayProceed(d *Revision, f Fact) bool {
	if d.Status.Terminal() {
		return false
	}
	if f.Effect == EffectEnd {
		if d.changedAfterReceipt(f) {
			return false
		}
		isByPerson := d.Decision.Stage == event.StageChecker || d.Decision.Stage == event.StageManualReview
		return d.Decision.Outcome != event.OutcomeReview || !isByPerson && !f.untimed() && !d.saysUntimed()
	}
	return d.Decision.Outcome == event.OutcomeNone && !d.inDoubt() || d.Decision.Outcome == event.OutcomeResubmit &&
		f.Submission
}

// setStatus copies status, decision and their explanations from o.
func (d *Revision) setStatus(o Observation) {
	d.Status, d.StatusDetail = o.Status, o.StatusDetail
	d.Decision = o.Decision
	if d.Decision.Outcome == "" || o.Effect == EffectDoubt {
		d.Decision = event.Decision{Outcome: event.OutcomeNone}
	}
	d.Decisions = mergeDecisions(d.Decisions, o.Decisions)
	d.Reasons = append([]event.Reason{}, o.Reasons...)
	d.RequiredActions = o.RequiredActions
	d.Payload.Confirmed = false
	d.Memory.Before = nil
}

// applyNote keeps status and decision and adds new required actions. An unknown status value changes
// nothing; it is in provider.status.
func applyNote(d *Revision, o Observation) {
	if o.StatusDetail == event.DetailRenewalDue || o.StatusDetail == event.DetailRenewalOverdue {
		d.StatusDetail = o.StatusDetail
	}
	for _, reason := range o.Reasons {
		isKnown := slices.ContainsFunc(d.Reasons, func(r event.Reason) bool { return r.Code == reason.Code })
		if o.Status != event.StatusUnknown && !isKnown {
			d.Reasons = append(slices.Clip(d.Reasons), reason)
		}
	}
	if o.RequiredActions != nil {
		d.RequiredActions = o.RequiredActions
	}
}

// finish adds the fields of every revision: its cause, its payload, its account's settings.
func finish(d *Revision, f Fact) {
	d.Environment = f.Account.Environment
	if d.Memory.Test = d.Memory.Test || f.Test; d.Memory.Test {
		d.Environment = event.EnvironmentTest // once the provider has marked it as a test, it stays one
	}
	occurred := f.OccurredAt
	if f.untimed() {
		occurred = time.Time{}
	}
	d.Provider.Event = event.ProviderEvent{
		Name:       f.EventName,
		ID:         f.EventID,
		OccurredAt: event.Instant(occurred),
		ReceivedAt: event.Instant(f.ReceivedAt),
		Via:        f.Via,
	}
	confirmed := d.Payload.Confirmed
	d.Payload = f.Payload
	d.Payload.Confirmed = confirmed
	d.VerifiedClaims = nil
	if f.Reference != "" && d.ExternalReference == f.Reference {
		d.ExternalReference = f.ExternalReference // was known before the telephone number that it is
	}
	event.Protect(&d.Data, f.Account.Profile)
	if f.Account.TrustFramework != "" && f.Account.Profile != event.ProfileNone {
		d.VerifiedClaims = event.NewVerifiedClaims(&d.Data, f.Account.TrustFramework)
	}
}

// kindOf is the kind of the event from last to next.
func kindOf(last, next *Revision) event.Kind {
	switch {
	case next.Status == event.StatusCompleted && (last == nil || last.Status != next.Status || !sameVerdict(last, next)):
		return event.KindCompleted
	case next.Status.Closed() && (last == nil || last.Status != next.Status):
		return event.KindClosed
	}
	return event.KindUpdated
}

func sameVerdict(last, next *Revision) bool {
	a, b := last.Decision, next.Decision
	return a.Outcome == b.Outcome && a.Final == b.Final && a.Stage == b.Stage && a.ActorType == b.ActorType
}

// same reports whether two states differ only in their cause and receipt. They are compared as JSON,
// because a state that was read back holds other Go types than a new one.
func same(last, next *Revision) bool {
	a, b := *last, *next
	for _, d := range []*Revision{&a, &b} {
		d.Provider.Event, d.Payload, d.Revision, d.Supersedes = event.ProviderEvent{}, event.PayloadRef{}, 0, ""
		// Verified claims are derived from the rest, except the framework, and their time may be that of the
		// message.
		if d.VerifiedClaims != nil {
			framework := d.VerifiedClaims.Verification["trust_framework"]
			d.VerifiedClaims = &event.VerifiedClaims{Verification: map[string]any{"trust_framework": framework}}
		}
	}
	before, err1 := json.Marshal(&a.Data)
	after, err2 := json.Marshal(&b.Data)
	return err1 == nil && err2 == nil && bytes.Equal(before, after)
}

// clone copies the fields that Next modifies; slices are replaced, never modified.
func clone(d Revision) Revision {
	d.Provider.References = maps.Clone(d.Provider.References)
	d.Provider.Status = maps.Clone(d.Provider.Status)
	d.Memory = d.Memory.clone()
	return d
}
