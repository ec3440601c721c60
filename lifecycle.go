package kycbridge

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"kycbridge/event"
)

// Why an observation led to no event. The words are recorded and counted; they hold no data.
const (
	NoEventIgnored   = "ignored"   // the mapping says that there is nothing to publish
	NoEventTrigger   = "trigger"   // only a trigger, the result is fetched
	NoEventOld       = "old"       // older than what has been applied
	NoEventUnchanged = "unchanged" // tells nothing new
	NoEventErased    = "erased"    // was erased before its event was published
)

// Fact is an observation with where and when it came from: all that the lifecycle reads.
type Fact struct {
	Observation
	Account        *Account
	VerificationID string
	Payload        event.PayloadRef
	Via            event.Via
	Notice         bool // our own words, no fact of the provider
	OurClock       bool // OccurredAt is of our clock: the time of the callback that asked for the body
	Known          Known
	ReceivedAt     time.Time
	Traceparent    string
}

// Revision is one revision of a verification as the lifecycle sees it: what the event says, and what is
// remembered beside it.
type Revision struct {
	event.Data
	Memory Memory
}

// Published is what the event of d says; nil where there is no revision.
func (d *Revision) Published() *event.Data {
	if d == nil {
		return nil
	}
	return &d.Data
}

// Known is what the stored payloads of the same attempt say about a fact.
type Known struct {
	Weighed   bool    // the verdict that is remembered as overruled is among them
	Outranked bool    // one of them is a verdict that the fact must give way to
	Denied    *Moment // the newest note that mentioned another outcome than an approval
	Doubt     *Doubt  // a doubt that the fact does not settle; nil: none
}

// Next applies f to the last published state of its verification (nil: none yet) and returns the
// next state with the kind of event it makes, or why there is none. It is pure.
//
// Rules (EVENT section 8): older never overwrites newer; a sign of progress never overwrites a
// verdict; a terminal status changes only on a verdict, a resubmission, a renewal or a new attempt;
// a machine's verdict never replaces a person's; what changes nothing makes no event.
func Next(last *Revision, f Fact) (next Revision, kind event.Kind, noEvent string) {
	switch {
	case f.Effect == EffectNone:
		noEvent = NoEventIgnored
	case f.Effect == EffectFetch:
		noEvent = NoEventTrigger
	case last == nil:
		next = first(f)
		return next, kindOf(nil, &next), ""
	case last.Memory.applied(f, last.Payload.Mapping):
		noEvent = NoEventUnchanged
	case f.Notice:
		next, noEvent = noticed(last, f)
	default:
		next, noEvent = heard(last, f)
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

// first makes revision 1.
func first(f Fact) Revision {
	d := Revision{Data: event.Data{
		VerificationID: f.VerificationID,
		Revision:       1,
		Account:        f.Account.Name,
		Status:         event.StatusCreated,
		Decision:       event.Decision{Outcome: event.OutcomeNone},
		Decisions:      []event.DecisionStep{},
		Reasons:        []event.Reason{},
		Checks:         []event.Check{},
	}}
	d.Provider = event.ProviderData{Name: f.Account.Provider.Name, References: map[string]string{}, Status: map[string]any{}}
	switch {
	case !f.Notice:
		d.turn(f)
		f.Observation = d.contradicted(f)
		d.apply(f, false, true)
	case f.Effect == EffectEnd:
		d.merge(f.Observation, false)
		d.end(f)
	default:
		d.merge(f.Observation, false)
		d.enter(f.Observation)
	}
	d.Memory.note(f, false)
	finish(&d, f)
	return d
}

// noticed applies a notice of ours, which is no fact of the provider: it sets no instant that one must
// pass, and what the provider has said since counts more.
func noticed(last *Revision, f Fact) (next Revision, noEvent string) {
	next = clone(*last)
	since := f.ReceivedAt.Before(last.Memory.HeardAt) ||
		!isNotice(last.Provider.Event) && f.ReceivedAt.Before(event.ParseInstant(last.Provider.Event.ReceivedAt))
	switch {
	case f.Effect != EffectEnd:
		next.merge(f.Observation, since || last.Memory.Heard)
	case since:
		return Revision{}, NoEventOld
	case last.Status.Terminal():
		return Revision{}, NoEventUnchanged
	default:
		next.merge(f.Observation, false)
		next.end(f)
	}
	next.Memory.note(f, false)
	return next, ""
}

// heard applies what the provider said.
func heard(last *Revision, f Fact) (next Revision, noEvent string) {
	next = clone(*last)
	revived := next.giveWay()
	if revived && f.ReceivedAt.Before(last.Memory.Before.EndedAt) {
		return news(&next, f)
	}
	at := next.turn(f)
	isOld := at == turnOlder || f.Known.Outranked && f.Effect.Decisive()
	switch {
	case isOld && revived:
		next.Memory.note(f, at == turnOlder || f.stale(&next))
		return next, ""
	case isOld:
		return Revision{}, NoEventOld
	case at == turnNewer && !f.judges() && (next.Decision.Outcome == event.OutcomeApproved || next.stoodFor(f)):
		return Revision{}, NoEventUnchanged // the approval stands, with its facts, until the new attempt's own verdict
	case at == turnNewer:
		next.begin(f)
	}
	next.Memory.learn(f.Known, f.moment())
	f.Observation = next.contradicted(f)
	stale := f.stale(&next) || next.overtook(f)
	if noEvent = next.apply(f, stale, at == turnNewer || last.Memory.Attempt != next.Memory.Attempt); noEvent != "" && !revived {
		return Revision{}, noEvent
	}
	next.Memory.note(f, stale)
	if last.Decision.Outcome == event.OutcomeApproved && next.Decision.Outcome != event.OutcomeApproved {
		next.Memory.FellAt = f.ReceivedAt
	}
	return next, ""
}

// judges reports whether f says what came of an attempt.
func (f Fact) judges() bool { return f.Effect == EffectVerdict || f.Effect == EffectDoubt }

// openEnd reports whether f is an end whose time cannot be trusted, of a session that is open: when it
// ended is not known, that it did is.
func openEnd(d *Revision, f Fact) bool {
	return f.Effect == EffectEnd && f.untimed() && d.Decision.Outcome == event.OutcomeNone && !d.openedAfter(f)
}

// apply changes d by what the provider said, or says why it changes nothing. What is older than what
// is known and decides nothing counts only as the first word on an attempt.
func (d *Revision) apply(f Fact, stale, begins bool) (noEvent string) {
	switch {
	case f.Effect.Decisive():
		return d.decide(f, stale)
	case stale && !begins && !openEnd(d, f):
		return NoEventOld
	case f.Effect == EffectNote && d.Memory.Heard:
		d.merge(f.Observation, stale)
		applyNote(d, f.Observation)
	case f.Effect == EffectNote:
		d.merge(f.Observation, stale)
		o := f.Observation
		o.Decision = event.Decision{} // a note about a verification that is not known brings no verdict
		d.enter(o)
	default:
		d.merge(f.Observation, stale)
		if mayProceed(d, f) && (!stale || openEnd(d, f)) {
			d.proceed(f)
		}
	}
	return ""
}

// proceed applies a sign of progress or an end.
func (d *Revision) proceed(f Fact) {
	at := f.moment()
	isAnswer := d.Decision.Outcome == event.OutcomeResubmit && f.Effect != EffectEnd
	known := d.Reasons
	d.enter(f.Observation)
	switch {
	case f.Effect == EffectEnd:
		d.Memory.End = &at
	case isAnswer:
		d.Memory.Answered = &at
		d.distrust(known) // the request for resubmission had replaced it
	}
}

// end applies an end that no provider told, and keeps what it covers.
func (d *Revision) end(f Fact) {
	before := Standing{
		EndedAt: f.ReceivedAt, Status: d.Status, StatusDetail: d.StatusDetail, Decision: d.Decision,
		Reasons: d.Reasons, RequiredActions: d.RequiredActions, Confirmed: d.Payload.Confirmed,
	}
	d.enter(f.Observation)
	d.Memory.Before = &before
}

// giveWay brings back what an end of ours has covered: any word of the provider shows that it was none. One
// that was received before the end has to tell something new for that (news).
func (d *Revision) giveWay() (revived bool) {
	was := d.Memory.Before
	if was == nil {
		return false
	}
	d.Status, d.StatusDetail, d.Decision = was.Status, was.StatusDetail, was.Decision
	d.Reasons, d.RequiredActions, d.Payload.Confirmed = was.Reasons, was.RequiredActions, was.Confirmed
	d.Memory.Before = nil
	return true
}

// mayProceed reports whether a sign of progress or an end may change the status of d. An end does not close
// a review that was opened because the time of a verdict is not known, nor one that a reviewer has opened: the
// session had its verdict.
func mayProceed(d *Revision, f Fact) bool {
	if d.Status.Terminal() {
		return false
	}
	if f.Effect == EffectEnd {
		if d.openedAfter(f) {
			return false
		}
		isByPerson := d.Decision.Stage == event.StageChecker || d.Decision.Stage == event.StageManualReview
		return d.Decision.Outcome != event.OutcomeReview || !isByPerson && !f.untimed() && !d.saysUntimed()
	}
	return d.Decision.Outcome == event.OutcomeNone && !d.inDoubt() || d.Decision.Outcome == event.OutcomeResubmit && f.Submission
}

// enter takes status, decision and what explains them from o.
func (d *Revision) enter(o Observation) {
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

// applyNote leaves status and decision alone and adds what is newly due. A status word that is not
// known changes nothing; it stands in provider.status.
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

// finish adds what every revision carries: its cause, its payload, its account's settings.
func finish(d *Revision, f Fact) {
	d.Environment = f.Account.Environment
	if d.Memory.Test = d.Memory.Test || f.Test; d.Memory.Test {
		d.Environment = event.EnvironmentTest // once the provider has said so, it stays
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
	event.Protect(&d.Data, f.Account.Profile)
	if f.Account.TrustFramework != "" && f.Account.Profile != event.ProfileNone {
		d.VerifiedClaims = event.NewVerifiedClaims(&d.Data, f.Account.TrustFramework)
	}
}

// kindOf names the event that leads from last to next.
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

// same reports whether two states differ in nothing but what caused them and when it came. They are
// compared as written, because a state that was read back holds other Go types than a new one.
func same(last, next *Revision) bool {
	a, b := *last, *next
	for _, d := range []*Revision{&a, &b} {
		d.Provider.Event, d.Payload, d.Revision, d.Supersedes = event.ProviderEvent{}, event.PayloadRef{}, 0, ""
		// All in them but the framework derives from the rest, and their time may be the message's.
		if d.VerifiedClaims != nil {
			framework := d.VerifiedClaims.Verification["trust_framework"]
			d.VerifiedClaims = &event.VerifiedClaims{Verification: map[string]any{"trust_framework": framework}}
		}
	}
	before, err1 := json.Marshal(&a.Data)
	after, err2 := json.Marshal(&b.Data)
	return err1 == nil && err2 == nil && bytes.Equal(before, after)
}

// clone copies what Next writes to; slices are replaced, never written into.
func clone(d Revision) Revision {
	d.Provider.References = maps.Clone(d.Provider.References)
	d.Provider.Status = maps.Clone(d.Provider.Status)
	d.Memory = d.Memory.clone()
	return d
}
