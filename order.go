package kycbridge

import (
	"time"

	"kycbridge/event"
)

// clockSlack is how far a provider's clock and ours may lie apart.
const clockSlack = 5 * time.Minute

// earliestYear: a time before it is an unset field and not the time of a verification.
const earliestYear = 2000

// Moment is when a fact happened, as far as that is known.
type Moment struct {
	At       time.Time       `json:"at,omitzero"`     // zero: untimed
	Ours     bool            `json:"ours,omitempty"`  // At is of our clock: the provider states no time
	Doubt    bool            `json:"doubt,omitempty"` // the fact is a doubt
	Received time.Time       `json:"received,omitzero"`
	Payload  string          `json:"payload,omitempty"`
	Stage    event.Stage     `json:"stage,omitempty"` // whose word the fact is
	Actor    event.ActorType `json:"actor,omitempty"`
}

// below reports whether the word of m counts less than that of o, whenever either was said.
func (m Moment) below(o Moment) bool {
	d := event.Decision{Stage: m.Stage, ActorType: m.Actor}
	return isBelow(d, event.Decision{Outcome: event.OutcomeApproved, Stage: o.Stage})
}

// settles reports whether a word of m's instant and stage ends a doubt. One without a time is ended by what was
// received after it.
func (m Moment) settles(doubt Moment) bool {
	if doubt.At.IsZero() && !m.Received.After(doubt.Received) {
		return false
	}
	return m.after(doubt) && !m.below(doubt)
}

// untimed reports whether the provider's time of f cannot be trusted: it is missing where the
// provider documents one, cannot be read, lies beyond the receipt or before anything can have happened.
func (f Fact) untimed() bool {
	return f.Untimed || !f.OccurredAt.IsZero() && !f.credits(f.OccurredAt)
}

// credits reports whether something that f tells can have happened at t.
func (f Fact) credits(t time.Time) bool {
	return !t.After(f.ReceivedAt.Add(clockSlack)) && t.Year() >= earliestYear
}

// moment is when f happened. A provider that states no time is heard at our time: of a body that we
// asked for, the time of the question.
func (f Fact) moment() Moment {
	m := Moment{
		Doubt: f.Effect == EffectDoubt, Received: f.ReceivedAt, Payload: f.Payload.ID,
		Stage: f.Decision.Stage, Actor: f.Decision.ActorType,
	}
	if m.Doubt && m.Stage == event.StageMaker {
		m.Stage, m.Actor = "", "" // of the session that contradicts itself: no word of one reviewer against the other
	}
	switch {
	case f.untimed():
	case f.OccurredAt.IsZero():
		m.At, m.Ours = f.ReceivedAt, true
	default:
		m.At, m.Ours = f.OccurredAt, f.OurClock
	}
	return m
}

// after reports whether m is newer than o. Instants of one clock are compared as they are. Among the
// provider's instants one of ours counts as clockSlack earlier: a look that shows that nothing is
// decided does not say since when, and the verdict that follows it must count as the newer one. A
// doubt that was read after the other was received is newer all the same.
func (m Moment) after(o Moment) bool {
	switch {
	case m.Ours == o.Ours:
		return m.At.After(o.At)
	case m.Ours:
		return m.At.Add(-clockSlack).After(o.At) || m.Doubt && m.Received.After(o.Received)
	}
	return !o.after(m)
}

// eventTime is the time of the event as the provider states it, or ours where it states none that
// can be trusted.
func (f Fact) eventTime() time.Time {
	if f.OccurredAt.IsZero() || f.untimed() {
		return f.ReceivedAt
	}
	return f.OccurredAt
}

// stale reports whether something newer than f has been applied. Our clock is compared with both; the
// provider's with ours only beyond clockSlack. An untimed fact is older than anything that has a time.
func (f Fact) stale(d *Revision) bool {
	m, at := &d.Memory, f.moment()
	switch {
	case at.At.IsZero():
		isDated := !m.Until.IsZero() || !m.Asked.IsZero()
		return isDated || m.Heard && f.ReceivedAt.Before(event.ParseInstant(d.Provider.Event.ReceivedAt))
	case at.Ours:
		return at.At.Before(m.Asked) || at.At.Before(m.Until)
	}
	return at.At.Before(m.Until) || at.At.Before(m.Asked.Add(-clockSlack))
}

// outdated reports whether f has to give way to what d knows of the verdict, because that is newer. At
// the same instant the one that does not approve wins.
func (f Fact) outdated(d *Revision) bool {
	if f.untimed() {
		return false
	}
	at := f.moment()
	// An overruled verdict still makes older verdicts old; it settles no doubt any more.
	over := d.Memory.Overruled
	if f.Effect == EffectVerdict && over != nil && !f.Known.Weighed && over.after(at) && !over.below(at) {
		return true
	}
	bar := d.Memory.bar(at)
	if bar == nil || bar.At.IsZero() || at.after(*bar) {
		return false
	}
	return bar.after(at) || f.Decision.Outcome == event.OutcomeApproved && d.Decision.Outcome != event.OutcomeApproved
}

// bar is the moment that a word on the verdict must be newer than; nil: any counts. A word of a higher
// stage (a person's beside a machine's, a checker's beside a maker's) counts although the other's verdict
// is newer, but not if the verification was reopened after it. A word of a lower stage than a request for
// resubmission counts only after the applicant's answer.
func (m *Memory) bar(word Moment) *Moment {
	switch {
	case m.Verdict != nil && m.Verdict.below(word):
		return m.Reopened
	case m.Answered != nil && word.below(*m.Verdict):
		return m.Answered
	}
	return m.Verdict
}

// repeats reports whether f tells the verdict that d carries, and no newer one.
func (f Fact) repeats(d *Revision) bool {
	standing := d.Memory.Verdict
	return stands(d, f.Observation) && (standing == nil || !f.moment().after(*standing))
}

// yields reports whether a verdict must leave standing what was decided at a higher stage: a
// machine's word never replaces a person's, a maker's never a checker's. Providers repeat both
// after the higher decision was made.
func (f Fact) yields(to event.Decision) bool {
	isOfSession := f.Effect == EffectDoubt && f.Decision.Stage == event.StageMaker
	return (f.Effect == EffectVerdict || f.Effect == EffectDoubt) && !isOfSession && isBelow(f.Decision, to)
}

// isBelow reports whether to was decided, and at a higher stage than d: by a person where d is a
// machine's, by a checker where d is a maker's.
func isBelow(d, to event.Decision) bool {
	if to.Outcome == event.OutcomeNone || to.Outcome == "" {
		return false
	}
	bySystem := d.Stage == event.StageSystem && d.ActorType == event.ActorSystem
	return bySystem && (to.Stage == event.StageManualReview || to.Stage == event.StageChecker) ||
		d.Stage == event.StageMaker && to.Stage == event.StageChecker
}

// Late reports whether f is about the verdict and cannot be judged by the last event alone: it is
// older than the last applied fact, or something decisive stands. Before it is applied, the stored
// payloads are searched for one that outranks it, because a newer verdict that changed nothing left
// no event behind.
func Late(last *Revision, f Fact) bool {
	if last == nil || f.Notice {
		return false
	}
	if f.untimed() {
		return f.judges() && heldBack(last, f) // what was held back may deny it
	}
	if !f.Effect.Decisive() {
		return f.denies() && last.Decision.Outcome == event.OutcomeApproved // an approval that is newer still may be stored
	}
	if f.Account.API.Fetch != nil {
		return true // a look that changed nothing may have shown that nothing is decided any more
	}
	return f.stale(last) || last.Decision.Outcome != event.OutcomeNone || last.Status.Terminal() ||
		last.Memory.Verdict != nil || last.Memory.Doubt != nil
}

// Outranks reports whether a is a verdict, resubmission or renewal that b must give way to: newer,
// and not a machine's word against a person's. Attempts are ordered by Next, not here.
func Outranks(a, b Fact) bool {
	if a.Notice || a.untimed() || !a.Effect.Decisive() || a.yields(b.Decision) || a.otherAttempt(b) {
		return false
	}
	x, y := a.moment(), b.moment()
	if a.Effect == EffectVerdict && b.Effect == EffectDoubt && x.below(y) {
		return false // a machine's word ends no doubt about what a person decided
	}
	if x.after(y) || y.after(x) {
		return x.after(y)
	}
	return b.Decision.Outcome == event.OutcomeApproved && a.Decision.Outcome != event.OutcomeApproved // the careful side of a tie
}
