package kycbridge

import (
	"time"

	"kycbridge/event"
)

// clockSlack is the tolerated difference between a provider's clock and kycbridge's.
const clockSlack = 5 * time.Minute

// earliestYear: a time before it is an unset field and not the time of a verification.
const earliestYear = 2000

// Moment is when a fact happened, as far as that is known.
type Moment struct {
	At       time.Time       `json:"at,omitzero"`        // zero: untimed, and no earlier verdict has a time
	Untimed  bool            `json:"untimed,omitempty"`  // the fact has no time; At is that of an earlier verdict
	Ours     bool            `json:"ours,omitempty"`     // At is of kycbridge's clock: the provider states no time
	Doubt    bool            `json:"doubt,omitempty"`    // the fact is a doubt
	Counters bool            `json:"counters,omitempty"` // it is an answer of the API that does not approve
	Exact    bool            `json:"exact,omitempty"`    // and not one of an open check: At is not reduced by clockSlack
	Received time.Time       `json:"received,omitzero"`  // when the fact's payload was received, by kycbridge's clock
	Payload  string          `json:"payload,omitempty"`  // its id
	Stage    event.Stage     `json:"stage,omitempty"`    // the stage that the fact comes from
	Actor    event.ActorType `json:"actor,omitempty"`    // who decided, if it is a decision
	Approves bool            `json:"approves,omitempty"` // the fact is an approval
}

// below reports whether m ranks lower than o, independent of their times.
func (m Moment) below(o Moment) bool { return isBelow(m.decision(), o.decision()) }

// decision is the decision at m as far as ranks depend on it: an approval or not.
func (m Moment) decision() event.Decision {
	d := event.Decision{Outcome: event.OutcomeRejected, Stage: m.Stage, ActorType: m.Actor}
	if m.Approves {
		d.Outcome = event.OutcomeApproved
	}
	return d
}

// settles reports whether a verdict with m's instant and stage ends a doubt. A doubt without a time is
// ended by a fact that was received after it.
func (m Moment) settles(doubt Moment) bool {
	if doubt.At.IsZero() && !m.Received.After(doubt.Received) {
		return false
	}
	return m.after(doubt) && !m.below(doubt)
}

// untimed reports whether the provider's time of f cannot be trusted: it is missing where the provider
// documents one, cannot be read, is after the receipt or implausibly early.
func (f Fact) untimed() bool {
	return f.Untimed || !f.OccurredAt.IsZero() && !f.couldHaveHappenedAt(f.OccurredAt)
}

// couldHaveHappenedAt reports whether something in f can have happened at t.
func (f Fact) couldHaveHappenedAt(t time.Time) bool {
	return !t.After(f.ReceivedAt.Add(clockSlack)) && t.Year() >= earliestYear
}

// isCounterAnswer reports whether f is an answer of the provider's API about a decision that does not approve.
func (f Fact) isCounterAnswer() bool {
	isUndecided := f.Effect == EffectVerdict && f.Decision.Outcome == event.OutcomeNone
	return f.Via.Asked() && !f.OurClock && f.Effect.Decisive() && !isUndecided &&
		f.Decision.Outcome != event.OutcomeApproved
}

// approves reports whether f is an approval.
func (f Fact) approves() bool {
	return f.Effect == EffectVerdict && f.Decision.Outcome == event.OutcomeApproved
}

// moment is when f happened. If the provider states no time, kycbridge's clock is used: for a requested body, the time
// of the request. An answer that does not approve always has the time of the request: it states what held then, and the
// provider's time in it may be that of an earlier decision.
func (f Fact) moment() Moment {
	m := Moment{
		Doubt: f.Effect == EffectDoubt, Received: f.ReceivedAt, Payload: f.Payload.ID,
		Stage: f.Decision.Stage, Actor: f.Decision.ActorType,
		Approves: f.approves(),
	}
	if m.Doubt && m.Stage == event.StageMaker {
		m.Stage, m.Actor = "", "" // the session contradicts itself: the doubt is not attributed to either reviewer
	}
	switch {
	case f.untimed():
		m.Untimed = true
	case f.isCounterAnswer():
		m.At, m.Ours, m.Counters = f.ReceivedAt, true, true
		m.Exact = f.Effect == EffectVerdict || f.Effect == EffectDoubt && !f.OccurredAt.IsZero()
	case f.OccurredAt.IsZero(), f.Via.Asked() && f.denies():
		m.At, m.Ours = f.ReceivedAt, true
	default:
		m.At, m.Ours = f.OccurredAt, f.OurClock
	}
	return m
}

// after reports whether m is newer than o. An answer that does not approve is newer than all that was received before
// it was requested. Otherwise instants of one clock are compared directly. An instant of kycbridge's clock is
// reduced by clockSlack before it is compared with one of the provider's: a poll with an undecided result does not
// state since when it is undecided, and the verdict that follows it must count as newer. An answer about a check that
// has ended is not reduced: an approval counts only if it is certain that it was given afterwards. A doubt by
// kycbridge's clock is also newer if it was received after the other.
func (m Moment) after(o Moment) bool {
	switch {
	case m.Counters && m.Received.After(o.Received):
		return true
	case o.Counters && o.Received.After(m.Received):
		return false
	case m.Ours == o.Ours:
		return m.At.After(o.At)
	case m.Exact:
		return !o.At.After(m.At)
	case m.Ours:
		return m.At.Add(-clockSlack).After(o.At) || m.Doubt && m.Received.After(o.Received)
	}
	return !o.after(m)
}

// eventTime is the time of the event as the provider states it, or the time of receipt if it states none that
// can be trusted.
func (f Fact) eventTime() time.Time {
	if f.OccurredAt.IsZero() || f.untimed() {
		return f.ReceivedAt
	}
	return f.OccurredAt
}

// stale reports whether something newer than f has been applied. An instant of kycbridge's clock is compared
// with both; the provider's with kycbridge's only beyond clockSlack. An untimed fact is older than any timed one.
func (f Fact) stale(d *Revision) bool {
	m, at := &d.Memory, f.moment()
	switch {
	case at.At.IsZero():
		isDated := !m.Until.IsZero() || !m.Asked.IsZero()
		return isDated || m.HasProviderFact && f.ReceivedAt.Before(event.ParseInstant(d.Provider.Event.ReceivedAt))
	case at.Ours:
		return at.At.Before(m.Asked) || at.At.Before(m.Until)
	}
	return at.At.Before(m.Until) || at.At.Before(m.Asked.Add(-clockSlack))
}

// isOutdated reports whether f is outranked by the known verdict, because that is newer. At the same
// instant the one that does not approve wins. The applicant's answer to a request is no verdict: a result that is
// requested together with the summary that shows the answer counts.
func (f Fact) isOutdated(d *Revision) bool {
	if f.untimed() {
		return false
	}
	at := f.moment()
	// An overruled verdict still outdates older verdicts; it no longer settles a doubt.
	over := d.Memory.Overruled
	if f.Effect == EffectVerdict && over != nil && !f.Known.Weighed && over.after(at) && !over.below(at) {
		return true
	}
	threshold := d.Memory.threshold(at)
	if threshold == nil || threshold.At.IsZero() || at.after(*threshold) {
		return false
	}
	isVerdict := threshold != d.Memory.Answered
	return threshold.after(at) || isVerdict && f.Decision.Outcome == event.OutcomeApproved &&
		d.Decision.Outcome != event.OutcomeApproved
}

// threshold is the moment that a verdict must be newer than; nil: any counts. A verdict of a higher stage
// (a person's beside a machine's, a checker's beside a maker's) counts even if the other is newer, but
// not if the verification was reopened after it. A verdict of a lower stage than a request for
// resubmission counts only after the applicant's answer.
func (m *Memory) threshold(word Moment) *Moment {
	switch {
	case m.Verdict != nil && m.Verdict.below(word):
		return m.Reopened
	case m.Answered != nil && word.below(*m.Verdict):
		return m.Answered
	}
	return m.Verdict
}

// repeatsVerdict reports whether f has the verdict of d, and no newer one.
func (f Fact) repeatsVerdict(d *Revision) bool {
	standing := d.Memory.Verdict
	return carriesVerdict(d, f.Observation) && (standing == nil || !f.moment().after(*standing))
}

// yields reports whether a verdict must not replace a decision of a higher stage: a machine's never
// replaces a person's, a maker's never a checker's. Providers repeat both after the higher decision was
// made.
func (f Fact) yields(to event.Decision) bool {
	isOfSession := f.Effect == EffectDoubt && f.Decision.Stage == event.StageMaker
	return (f.Effect == EffectVerdict || f.Effect == EffectDoubt) && !isOfSession && isBelow(f.Decision, to)
}

// isBelow reports whether to was decided at a higher stage than d: by a person if d is a machine's, by a
// checker if d is a maker's. A maker's verdict that does not approve is not below a checker's approval: the session has
// changed since, or the two contradict each other.
func isBelow(d, to event.Decision) bool {
	if to.Outcome == event.OutcomeNone || to.Outcome == "" {
		return false
	}
	bySystem := d.Stage == event.StageSystem && d.ActorType == event.ActorSystem
	byMaker := d.Stage == event.StageMaker && (d.Outcome == event.OutcomeApproved || to.Outcome != event.OutcomeApproved)
	return bySystem && (to.Stage == event.StageManualReview || to.Stage == event.StageChecker) ||
		byMaker && to.Stage == event.StageChecker
}

// Late reports whether f concerns the verdict and cannot be judged by the last event alone: it is older
// than the last applied fact, or a decisive fact is current. Before it is applied, the stored payloads are
// searched for one that outranks it, because a newer verdict that changed nothing left no event.
func Late(last *Revision, f Fact) bool {
	if last == nil || f.Notice {
		return false
	}
	if f.untimed() { // a fact of the newer attempt, or a note, may contradict it
		return f.approves() || f.isVerdictOrDoubt() && holdsOlderAttempt(last, f)
	}
	if !f.Effect.Decisive() {
		return f.denies() && last.Decision.Outcome == event.OutcomeApproved // a newer approval may still be stored
	}
	if f.Account.API.Fetch != nil {
		return true // a poll that changed nothing may have shown that nothing is decided any more
	}
	m := &last.Memory
	mayBeDenied := m.hasDenial() || !m.UntimedAt.IsZero() // beside a fact without a time, a note may have counted as old
	return f.stale(last) || last.Decision.Outcome != event.OutcomeNone || last.Status.Terminal() ||
		m.Verdict != nil || m.Doubt != nil || f.approves() && mayBeDenied
}

// contests reports whether f may revoke an approval without outranking it: a doubt, a note, another verdict without a
// time, of another source or of the maker beside a checker's, or one about another attempt. It may have changed nothing
// before the approval was published.
func (f Fact) contests(approval Fact) bool {
	isVerdict := f.Effect.Decisive() && !f.approves()
	switch {
	case f.Notice || !approval.approves():
		return false
	case f.otherAttempt(approval):
		return isVerdict
	}
	isMakers := approvesAsChecker(approval.Decision) && makersOutcome(f.Decisions) == event.OutcomeRejected
	return f.Effect == EffectDoubt || f.denies() || isVerdict && (f.untimed() || f.Cross != (Cross{})) || isMakers
}

// Outranks reports whether a is a verdict, resubmission or renewal that b must yield to: newer, and not a
// machine's against a person's. Attempts are ordered by Next, not here.
func Outranks(a, b Fact) bool {
	if a.Notice || a.untimed() || !a.Effect.Decisive() || a.yields(b.Decision) || a.otherAttempt(b) {
		return false
	}
	x, y := a.moment(), b.moment()
	if a.Effect == EffectVerdict && b.Effect == EffectDoubt && x.below(y) {
		return false // a machine's verdict ends no doubt about a person's decision
	}
	if x.after(y) || y.after(x) {
		return x.after(y)
	}
	// At the same instant the one that does not approve wins.
	return b.Decision.Outcome == event.OutcomeApproved && a.Decision.Outcome != event.OutcomeApproved
}
