package kycbridge

import (
	"slices"

	"kycbridge/event"
)

// decide applies a verdict, a doubt or a reopening.
func (d *Revision) decide(f Fact, stale bool) (noEvent string) {
	o := d.withMaker(f)
	switch {
	case d.repeatsRevoked(f), d.yieldsToHigherStage(f) && stale:
		return NoEventOld
	case d.yieldsToHigherStage(f):
		if f.Effect == EffectVerdict {
			d.Memory.recordOverruled(f.moment())
		}
		d.mergeOutranked(o)
		return ""
	case d.saysUntimed() && d.untimedVerdictAfter(f), d.verdictAfterReceipt(f):
		return NoEventOld
	case f.Effect == EffectDoubt:
		return d.doubt(f, stale)
	case f.untimed() && (d.Decision.Outcome != event.OutcomeNone || d.inDoubt()):
		return d.resolveUntimed(f)
	case d.untimedVerdictAfter(f) && !f.isOutdated(d):
		return d.resolveUntimed(f)
	case f.isOutdated(d) || stale && f.repeatsVerdict(d) || !o.Status.Terminal() && d.endedAfter(f) || d.answeredSince(f),
		d.endedInDoubt(f):
		return NoEventOld
	}
	if f.Effect == EffectReopen {
		isUndecided := d.Decision.Outcome == event.OutcomeNone || d.Decision.Outcome == event.OutcomeResubmit
		d.Memory.Revoked = d.revokedBy(o)
		d.Memory.Undecided = d.Memory.Revoked == nil && isUndecided
	}
	was, known := *d, d.Reasons
	confirmed := f.Via.Asked() && o.StatusDetail != event.DetailUnconfirmed || d.Payload.Confirmed && carriesVerdict(d, o)
	d.merge(o, stale)
	d.setStatus(o)
	d.Payload.Confirmed = confirmed && d.Decision.Outcome != event.OutcomeNone
	d.Memory.recordVerdict(f)
	d.applyAnswer(f, was)
	switch {
	case d.applyDoubt(known) || d.Decision.Outcome != event.OutcomeApproved:
	case d.Memory.isDenied(f, *d.Memory.Verdict):
		o.Reasons = known
		d.setStatus(asDoubt(o))
	case d.overrulesMaker(f):
		d.review(o.Decisions)
	}
	return ""
}

// applyDoubt applies the remembered doubt again, if it is set: an approval becomes unknown. The reasons keep
// the provider's own text if known (the earlier reasons) contains it. It reports whether it changed d.
func (d *Revision) applyDoubt(known []event.Reason) bool {
	if d.Memory.Doubt == nil || !mayDoubt(d) {
		return false
	}
	d.setStatus(Observation{Status: event.StatusUnknown, Reasons: d.Memory.Doubt.reasons(known)})
	return true
}

// yieldsToHigherStage reports whether f must not replace a decision of a higher stage. A decision that a
// doubt or an untimed verdict revoked still counts here: a person's approval in doubt is not replaced by a
// machine's.
func (d *Revision) yieldsToHigherStage(f Fact) bool {
	if f.yields(d.Decision) {
		return true
	}
	if f.Effect != EffectVerdict {
		return false
	}
	m := &d.Memory
	v := m.Verdict
	isReopening := v != nil && m.Reopened != nil && v.Payload == m.Reopened.Payload
	if isReopening || v != nil && v.Stage != "" {
		return !isReopening && f.moment().below(*v)
	}
	if !d.inDoubt() && (m.Doubt == nil || !d.Status.Closed()) {
		return false
	}
	// An event of an earlier version does not state who made the verdict.
	return slices.ContainsFunc(d.Decisions, func(s event.DecisionStep) bool {
		isVerdict := s.Outcome == event.OutcomeApproved || s.Outcome == event.OutcomeRejected
		return isVerdict && f.yields(event.Decision{Outcome: s.Outcome, Stage: s.Stage, ActorType: s.ActorType})
	})
}

// doubt applies a doubt. A doubt that is not outdated revokes the current verdict, if mayDoubt permits that,
// and is remembered: it also applies to an earlier decision that arrives later.
func (d *Revision) doubt(f Fact, stale bool) (noEvent string) {
	m := &d.Memory
	if f.isOutdated(d) && !d.contradicts(f) {
		return NoEventOld
	}
	if f.Mentions == "" { // else f was a note, which Memory.Denials records: it concerns approvals only
		was := m.Doubt
		m.Doubt = was.merge(f.doubt())
		if was != nil && was.Payload != f.Payload.ID && m.Doubt.Payload == was.Payload {
			return NoEventOld
		}
	}
	d.merge(f.Observation, stale)
	if mayDoubt(d) {
		d.setStatus(f.Observation)
	}
	return ""
}

// endedAfter reports whether the provider has ended the session after f, which left it open. An end
// without a time takes effect when it is received, and a poll that found the session open does not
// contradict an end that was received after it.
func (d *Revision) endedAfter(f Fact) bool {
	end := d.Memory.End
	if end == nil || !d.Status.Closed() {
		return false
	}
	isLook := f.Effect == EffectReopen && f.Decision.Outcome == event.OutcomeNone
	return end.after(f.moment()) || (end.At.IsZero() || isLook) && end.Received.After(f.ReceivedAt)
}

// answeredSince reports whether f requests a resubmission that the applicant has made since then: an answer
// that is newer than f also answers f, even if it was given to an earlier request.
func (d *Revision) answeredSince(f Fact) bool {
	return f.Decision.Outcome == event.OutcomeResubmit && d.Memory.Answered != nil && d.Memory.Answered.after(f.moment())
}

// applyAnswer restores the status from before the request f if the applicant's answer to f was received before f: that
// status is the progress since the answer. was is d before f was applied.
func (d *Revision) applyAnswer(f Fact, was Revision) {
	isProgress := was.Decision.Outcome == event.OutcomeNone && !was.Status.Terminal() && !was.inDoubt()
	if f.Decision.Outcome != event.OutcomeResubmit || f.Known.Answer == nil || !isProgress {
		return
	}
	d.Status, d.StatusDetail, d.Decision = was.Status, was.StatusDetail, was.Decision
	d.Reasons, d.RequiredActions, d.Payload.Confirmed = was.Reasons, was.RequiredActions, was.Payload.Confirmed
	d.Memory.Answered = f.Known.Answer
}

// resolveUntimed compares two verdicts of which one is untimed, f and the current one: they are equal, or
// their order is unknown.
func (d *Revision) resolveUntimed(f Fact) (noEvent string) {
	if f.Decision.Outcome == event.OutcomeNone {
		return NoEventOld // a reopening: the current verdict counts as newer
	}
	if f.Decision.Outcome == d.Decision.Outcome || d.Decision.Outcome == event.OutcomeReview && d.saysUntimed() {
		return NoEventUnchanged
	}
	d.reviewUntimed()
	mergeMap(&d.Provider.Status, f.ProviderStatus, false)
	return ""
}

// reviewUntimed turns the current decision into a review, because it is not known whether another one is newer.
func (d *Revision) reviewUntimed() {
	by := d.Decision
	d.setStatus(Observation{
		Status:   event.StatusInReview,
		Decision: event.Decision{Outcome: event.OutcomeReview, Stage: by.Stage, ActorType: by.ActorType},
		Reasons:  []event.Reason{{Code: event.ReasonUntimed}},
	})
}

func (d *Revision) saysUntimed() bool {
	return slices.ContainsFunc(d.Reasons, func(r event.Reason) bool { return r.Code == event.ReasonUntimed })
}

// checkContradiction returns the observation of f, or a doubt if known facts contradict it: a note with another
// outcome than the current approval, or two differing sources of one decision. A note that contradicts an
// approval is remembered: an older approval may still arrive.
func (d *Revision) checkContradiction(f Fact) Observation {
	o, m, at, contradicts := f.Observation, &d.Memory, f.moment(), d.contradicts(f)
	m.Cross, _ = m.Cross.merge(f.cross())
	switch {
	case o.Effect == EffectVerdict && o.Cross != (Cross{}) && m.Cross.disagrees():
		return asDoubt(o)
	case f.denies():
		m.recordDenial(at, m.Verdict)
		if f.Attempt.ID == "" && m.Attempt != "" {
			m.OfSession.recordDenial(at, nil)
		}
		// Requested a moment after the approval, the answer may be outdated: it is of an open check. What another source
		// says of the same decision is not, whichever was received first.
		isOld := f.Known.Outranked || f.Via.Asked() && !at.At.IsZero() && m.Verdict != nil && m.Verdict.after(at)
		if d.Decision.Outcome == event.OutcomeApproved && (!isOld || contradicts) {
			return asDoubt(o)
		}
	}
	return o
}

// denies reports whether f decides nothing and mentions another outcome than an approval.
func (f Fact) denies() bool {
	return !f.Effect.Decisive() && f.Mentions != "" && f.Mentions != event.OutcomeApproved
}

// contradicts reports whether an approval is current, and f is the last word of another source of that decision, which
// does not approve. It does not matter which of the two was received first.
func (d *Revision) contradicts(f Fact) bool {
	merged, isNews := d.Memory.Cross.merge(f.cross())
	return isNews && merged.disagrees() && d.Decision.Outcome == event.OutcomeApproved
}

// asDoubt turns o into a doubt: of its decision only the stage and actor remain.
func asDoubt(o Observation) Observation {
	o.Effect, o.Status, o.StatusDetail, o.RequiredActions = EffectDoubt, event.StatusUnknown, "", nil
	by := o.Decision
	isIts := func(s event.DecisionStep) bool { return s.Stage == by.Stage }
	o.Decisions = slices.DeleteFunc(slices.Clone(o.Decisions), isIts)
	o.Decision = event.Decision{Outcome: event.OutcomeNone, Stage: by.Stage, ActorType: by.ActorType}
	isReason := func(r event.Reason) bool {
		return r.Code == event.ReasonContradiction || r.Code == event.ReasonUnmappedStatus
	}
	if !slices.ContainsFunc(o.Reasons, isReason) {
		o.Reasons = []event.Reason{{Code: event.ReasonContradiction}}
	}
	return o
}

// carriesVerdict reports whether d already has the verdict of o.
func carriesVerdict(d *Revision, o Observation) bool {
	decision := o.Decision
	if decision.Outcome == "" || o.Effect == EffectDoubt {
		decision = event.Decision{Outcome: event.OutcomeNone}
	}
	return d.Status == o.Status && d.Decision == decision
}

// inDoubt reports whether the status is unknown because of a decision, not because no decision is known.
func (d *Revision) inDoubt() bool {
	m := &d.Memory
	isDenied := m.hasDenial() && m.Verdict != nil && m.Verdict.Approves
	return d.Status == event.StatusUnknown && (m.Doubt != nil || isDenied)
}

// mayDoubt reports whether a doubt changes the current state: a rejection, an end and a request for
// resubmission do not change.
func mayDoubt(d *Revision) bool {
	return d.Decision.Outcome == event.OutcomeApproved || !d.Status.Terminal() &&
		d.Decision.Outcome != event.OutcomeResubmit
}

// mergeDecisions replaces the step of each stage that news contains and keeps the others, in the order of
// the stages.
func mergeDecisions(old, news []event.DecisionStep) []event.DecisionStep {
	merged := []event.DecisionStep{}
	for _, stage := range []event.Stage{event.StageSystem, event.StageMaker, event.StageChecker, event.StageManualReview,
		event.StagePolicy} {
		at := func(s event.DecisionStep) bool { return s.Stage == stage }
		if i := slices.IndexFunc(news, at); i >= 0 {
			merged = append(merged, news[i])
		} else if i := slices.IndexFunc(old, at); i >= 0 {
			merged = append(merged, old[i])
		}
	}
	return merged
}
