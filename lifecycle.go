package kycbridge

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Why an observation led to no event. The words are recorded and counted; they hold no data.
const (
	NoEventIgnored   = "ignored"   // the mapping says that there is nothing to publish
	NoEventTrigger   = "trigger"   // only a trigger, the result is fetched
	NoEventOld       = "old"       // older than what has been applied
	NoEventUnchanged = "unchanged" // tells nothing new
)

// Fact is an observation with where and when it came from: all that the lifecycle reads.
type Fact struct {
	Observation
	Account        *Account
	VerificationID string
	Payload        PayloadRef
	Via            Via
	ReceivedAt     time.Time
	Traceparent    string
}

// clockSlack is how far a provider's clock may be ahead of ours.
const clockSlack = 5 * time.Minute

// At is the instant by which facts of one verification are ordered: the provider's time, or ours
// where it sends none or one that lies ahead, which would hold off all that follows.
func (f Fact) At() time.Time {
	if f.OccurredAt.IsZero() && (f.Via == ViaFetch || f.Via == ViaPoll) && (f.Effect == EffectReopen || f.Effect == EffectDoubt) {
		// A look shows that nothing is decided, or nothing known; since when, the provider does not say.
		// Of our clock and of its own the verdict that follows must count as the newer one.
		return f.ReceivedAt.Add(-clockSlack)
	}
	if f.OccurredAt.IsZero() || f.OccurredAt.After(f.ReceivedAt.Add(clockSlack)) {
		return f.ReceivedAt
	}
	return f.OccurredAt
}

// eventTime is the time of the event as the provider states it, or ours where it states none.
func (f Fact) eventTime() time.Time {
	if f.OccurredAt.IsZero() {
		return f.ReceivedAt
	}
	return f.OccurredAt
}

// NewestAt is the instant of the newest fact that d knows.
func (d *Data) NewestAt() time.Time {
	if !d.Until.IsZero() {
		return d.Until
	}
	if t := ParseInstant(d.Provider.Event.OccurredAt); !t.IsZero() {
		return t
	}
	return ParseInstant(d.Provider.Event.ReceivedAt)
}

// Late reports whether f is about the verdict and cannot be judged by the last event alone: it is
// older than the last applied fact, or it would replace a verdict. Before it is applied, the stored
// payloads are searched for one that outranks it, because a newer verdict that changed nothing left
// no event behind.
func Late(last *Data, f Fact) bool {
	if last == nil || !f.Effect.Decisive() {
		return false
	}
	return f.At().Before(last.NewestAt()) || last.Decision.Outcome != OutcomeNone || last.Status.Terminal()
}

// Outranks reports whether a is a verdict, resubmission or renewal that b must give way to: newer,
// and not a machine's word against a person's.
func Outranks(a, b Fact) bool {
	if !a.Effect.Decisive() || a.yields(b.Decision) {
		return false
	}
	if a.At().Equal(b.At()) {
		return b.Decision.Outcome == OutcomeApproved && a.Decision.Outcome != OutcomeApproved // the careful side of a tie
	}
	return a.At().After(b.At())
}

// yields reports whether a verdict must leave standing what was decided at a higher stage: a
// machine's word never replaces a person's, a maker's never a checker's. Providers repeat both
// after the higher decision was made.
func (f Fact) yields(to Decision) bool {
	if f.Effect != EffectVerdict && f.Effect != EffectDoubt || to.Outcome == OutcomeNone {
		return false
	}
	bySystem := f.Decision.Stage == StageSystem && f.Decision.ActorType == ActorSystem
	return bySystem && (to.Stage == StageManualReview || to.Stage == StageChecker) ||
		f.Decision.Stage == StageMaker && to.Stage == StageChecker
}

// Next applies f to the last published state of its verification (nil: none yet) and returns the
// next state with the kind of event it makes, or why there is none. It is pure.
//
// Rules (EVENT section 8): older never overwrites newer; a sign of progress never overwrites a
// verdict; a terminal status changes only on a verdict, a resubmission, a renewal or a new attempt;
// a machine's verdict never replaces a person's; what changes nothing makes no event.
func Next(last *Data, f Fact) (next Data, kind Kind, noEvent string) {
	switch f.Effect {
	case EffectNone:
		return Data{}, "", NoEventIgnored
	case EffectFetch:
		return Data{}, "", NoEventTrigger
	}
	if last == nil {
		return first(f)
	}
	if f.Payload.ID == last.UntilID && f.Payload.Mapping == last.Payload.Mapping && f.Via != ViaReplay {
		return Data{}, "", NoEventUnchanged // the newest fact itself, delivered again
	}
	stale := f.At().Before(last.NewestAt())
	if stale && (!f.Effect.Decisive() || stands(last, f.Observation)) {
		return Data{}, "", NoEventOld
	}
	next = clone(*last)
	mergeFacts(&next, f.Observation, stale)
	switch {
	case f.Effect == EffectNote:
		applyNote(&next, f.Observation)
	case mayChange(last, f):
		applyState(&next, f.Observation)
	}
	finish(&next, f)
	if same(last, &next) {
		return Data{}, "", NoEventUnchanged
	}
	next.Until = last.NewestAt()
	if !stale {
		next.Until, next.UntilID = f.At(), f.Payload.ID
	}
	next.Revision = last.Revision + 1
	next.Supersedes = EventID(last.VerificationID, last.Revision)
	return next, kindOf(last, &next), ""
}

// first makes revision 1.
func first(f Fact) (Data, Kind, string) {
	d := Data{
		VerificationID: f.VerificationID,
		Revision:       1,
		Account:        f.Account.Name,
		Provider:       ProviderData{Name: f.Account.Provider.Name, References: map[string]string{}, Status: map[string]any{}},
		Decisions:      []DecisionStep{},
		Reasons:        []Reason{},
		Checks:         []Check{},
	}
	mergeFacts(&d, f.Observation, false)
	o := f.Observation
	if o.Effect == EffectNote {
		o.Decision = Decision{} // a note about a verification that is not known brings no verdict
	}
	applyState(&d, o)
	finish(&d, f)
	d.Until, d.UntilID = f.At(), f.Payload.ID
	return d, kindOf(nil, &d), ""
}

// stands reports whether the verdict of o is the one that last carries already.
func stands(last *Data, o Observation) bool {
	decision := o.Decision
	if decision.Outcome == "" || o.Effect == EffectDoubt {
		decision = Decision{Outcome: OutcomeNone}
	}
	return last.Status == o.Status && last.Decision == decision
}

// mayChange reports whether f may touch status and decision of last.
func mayChange(last *Data, f Fact) bool {
	switch f.Effect {
	case EffectVerdict:
		return !f.yields(last.Decision)
	case EffectReopen:
		return true
	case EffectDoubt:
		if last.Decision.Outcome == OutcomeApproved {
			return !f.yields(last.Decision)
		}
		return !last.Status.Terminal() && last.Decision.Outcome != OutcomeReview
	case EffectProgress:
		return !last.Status.Terminal() && last.Decision.Outcome != OutcomeReview
	case EffectEnd:
		return !last.Status.Terminal()
	}
	return false
}

// applyState takes status, decision and what explains them from o.
func applyState(d *Data, o Observation) {
	d.Status, d.StatusDetail = o.Status, o.StatusDetail
	d.Decision = o.Decision
	if d.Decision.Outcome == "" || o.Effect == EffectDoubt {
		d.Decision = Decision{Outcome: OutcomeNone}
	}
	d.Decisions = mergeDecisions(d.Decisions, o.Decisions)
	d.Reasons = append([]Reason{}, o.Reasons...)
	d.RequiredActions = o.RequiredActions
}

// applyNote leaves status and decision alone and adds what is newly due.
func applyNote(d *Data, o Observation) {
	if o.StatusDetail == DetailRenewalDue || o.StatusDetail == DetailRenewalOverdue {
		d.StatusDetail = o.StatusDetail
	}
	for _, reason := range o.Reasons {
		if !slices.ContainsFunc(d.Reasons, func(r Reason) bool { return r.Code == reason.Code }) {
			d.Reasons = append(slices.Clip(d.Reasons), reason)
		}
	}
	if o.RequiredActions != nil {
		d.RequiredActions = o.RequiredActions
	}
}

// mergeDecisions replaces the step of each stage that news speaks of and keeps the others, in the
// order of the stages.
func mergeDecisions(old, news []DecisionStep) []DecisionStep {
	merged := []DecisionStep{}
	for _, stage := range []Stage{StageSystem, StageMaker, StageChecker, StageManualReview, StagePolicy} {
		at := func(s DecisionStep) bool { return s.Stage == stage }
		if i := slices.IndexFunc(news, at); i >= 0 {
			merged = append(merged, news[i])
		} else if i := slices.IndexFunc(old, at); i >= 0 {
			merged = append(merged, old[i])
		}
	}
	return merged
}

// mergeFacts lays what o tells over what d knows. A stale o only fills gaps.
func mergeFacts(d *Data, o Observation, stale bool) {
	over(&d.ExternalReference, o.ExternalReference, stale)
	over(&d.Provider.Product, o.Product, stale)
	over(&d.Provider.FlowID, o.FlowID, stale)
	over(&d.Provider.FlowVersion, o.FlowVersion, stale)
	overMap(&d.Provider.References, o.References, stale)
	// What the provider said of the verdict goes with the verdict, however late it comes.
	overMap(&d.Provider.Status, o.ProviderStatus, stale && !o.Effect.Decisive())
	overMap(&d.Extensions, o.Extensions, stale)
	overList(&d.Checks, o.Checks, stale)
	overList(&d.Documents, o.Documents, stale)
	overList(&d.Media, o.Media, stale)
	if len(o.ExtractedClaims) > 0 && (!stale || len(d.ExtractedClaims) == 0) {
		d.ExtractedClaims = o.ExtractedClaims
	}
	if o.Risk != nil && (!stale || d.Risk == nil) {
		d.Risk = o.Risk
	}
	d.Session = mergeSession(d.Session, o.Session, stale)
}

func over(dst *string, src string, stale bool) {
	if src != "" && (!stale || *dst == "") {
		*dst = src
	}
}

func overList[T any](dst *[]T, src []T, stale bool) {
	if len(src) > 0 && (!stale || len(*dst) == 0) {
		*dst = src
	}
}

func overMap[V any](dst *map[string]V, src map[string]V, stale bool) {
	for k, v := range src {
		if _, known := (*dst)[k]; known && stale {
			continue
		}
		if *dst == nil {
			*dst = make(map[string]V, len(src))
		}
		(*dst)[k] = v
	}
}

// mergeSession merges member by member: a later message often knows the end and not the beginning.
func mergeSession(d, o *Session, stale bool) *Session {
	if o == nil {
		return d
	}
	m := Session{}
	if d != nil {
		m = *d
	}
	over(&m.Channel, o.Channel, stale)
	over(&m.CreatedAt, o.CreatedAt, stale)
	over(&m.StartedAt, o.StartedAt, stale)
	over(&m.SubmittedAt, o.SubmittedAt, stale)
	over(&m.EndedAt, o.EndedAt, stale)
	over(&m.ExpiresAt, o.ExpiresAt, stale)
	over(&m.Country, o.Country, stale)
	over(&m.CountrySource, o.CountrySource, stale)
	if o.Consent != nil && (!stale || m.Consent == nil) {
		m.Consent = o.Consent
	}
	if m == (Session{}) {
		return nil
	}
	return &m
}

// finish adds what every revision carries: its cause, its payload, its account's settings.
func finish(d *Data, f Fact) {
	d.Environment = f.Account.Environment
	d.Provider.Event = ProviderEvent{
		Name:       f.EventName,
		ID:         f.EventID,
		OccurredAt: Instant(f.OccurredAt),
		ReceivedAt: Instant(f.ReceivedAt),
		Via:        f.Via,
	}
	d.Payload = f.Payload
	d.VerifiedClaims = nil
	withoutNumbers(d)
	Protect(d, f.Account.Profile)
	if f.Account.TrustFramework != "" && f.Account.Profile != ProfileNone {
		d.VerifiedClaims = NewVerifiedClaims(d, f.Account.TrustFramework)
	}
}

// withoutNumbers keeps Aadhaar numbers and VIDs out of the provider's codes and words, which are
// carried verbatim otherwise.
func withoutNumbers(d *Data) {
	if !indianEvent(d.Documents) {
		return
	}
	for i, reason := range d.Reasons {
		if code := maskNumbersIn(reason.ProviderCode, identityNumber); code != reason.ProviderCode {
			d.Reasons = slices.Clone(d.Reasons) // the last event keeps its own
			d.Reasons[i].ProviderCode = code
		}
	}
	for k, v := range d.Provider.Status {
		if s, ok := v.(string); ok {
			d.Provider.Status[k] = maskNumbersIn(s, identityNumber)
		}
	}
}

// kindOf names the event that leads from last to next.
func kindOf(last, next *Data) Kind {
	switch {
	case next.Status == StatusCompleted && (last == nil || last.Status != StatusCompleted || !sameVerdict(last.Decision, next.Decision)):
		return KindCompleted
	case next.Status.Closed() && (last == nil || last.Status != next.Status):
		return KindClosed
	}
	return KindUpdated
}

func sameVerdict(a, b Decision) bool {
	return a.Outcome == b.Outcome && a.Final == b.Final && a.Stage == b.Stage && a.ActorType == b.ActorType
}

// same reports whether two states differ in nothing but what caused them and when it came. They are
// compared as written, because a state that was read back holds other Go types than a new one.
func same(last, next *Data) bool {
	a, b := *last, *next
	for _, d := range []*Data{&a, &b} {
		d.Provider.Event, d.Payload, d.Revision, d.Supersedes = ProviderEvent{}, PayloadRef{}, 0, ""
		// All in them but the framework derives from the rest, and their time may be the message's.
		if d.VerifiedClaims != nil {
			d.VerifiedClaims = &VerifiedClaims{Verification: map[string]any{"trust_framework": d.VerifiedClaims.Verification["trust_framework"]}}
		}
	}
	before, err1 := json.Marshal(&a)
	after, err2 := json.Marshal(&b)
	return err1 == nil && err2 == nil && bytes.Equal(before, after)
}

// clone copies what Next writes to; slices are replaced, never written into.
func clone(d Data) Data {
	d.Provider.References = maps.Clone(d.Provider.References)
	d.Provider.Status = maps.Clone(d.Provider.Status)
	d.Extensions = maps.Clone(d.Extensions)
	return d
}
