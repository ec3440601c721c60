package kycbridge

import (
	"time"

	"kycbridge/event"
)

// A payload without an event leaves no trace in the state, and may be processed again at any later time,
// if its worker stopped before acknowledging it. Its first late processing cannot be distinguished from
// its second. A payload that was received before the fact that changed the state is therefore judged as if
// it had been processed then, unless its own time shows which of the two is newer.

// applyBeforeOurEnd applies f, which was received before the end that kycbridge had set, as if it had been processed
// then. open is the state before that end. A session that f leaves open stays ended: its deadline has passed, or the
// provider did not know it, and nobody polls it any more.
func applyBeforeOurEnd(last, open *Revision, f Fact) (next Revision, noEvent string) {
	next, noEvent = applyFact(open, f)
	if noEvent != "" {
		return Revision{}, noEvent
	}
	before, after := clone(*open), clone(next)
	finish(&before, f)
	finish(&after, f)
	if same(&before, &after) {
		return Revision{}, NoEventUnchanged
	}
	if !next.Status.Terminal() {
		next.endAgain(last)
	}
	return next, ""
}

// endAgain ends d as kycbridge has ended last.
func (d *Revision) endAgain(last *Revision) {
	before := d.standing(last.Memory.Before.EndedAt)
	d.Status, d.StatusDetail, d.Decision = last.Status, last.StatusDetail, last.Decision
	d.Reasons, d.RequiredActions, d.Payload.Confirmed = last.Reasons, last.RequiredActions, last.Payload.Confirmed
	d.Memory.Before = &before
}

// approvedAtReceipt reports whether an approval, revoked since, was current when f was received. A fact of
// a newer attempt had no effect then, and an end did not close the verification.
func (d *Revision) approvedAtReceipt(f Fact) bool { return d.Memory.FellAt.After(f.ReceivedAt) }

// isSuperseded reports whether f, which decides nothing, adds nothing to the facts that were received
// after it: those without a time, or with the same time.
func (d *Revision) isSuperseded(f Fact) bool {
	m, at := &d.Memory, f.moment()
	if f.Effect.Decisive() {
		return false
	}
	isTie := at.At.Equal(m.Until) && !at.Ours || at.At.Equal(m.Asked) && at.Ours
	return m.UntimedAt.After(f.ReceivedAt) || isTie && m.LastReceivedAt.After(f.ReceivedAt)
}

// untimedVerdictAfter reports whether a verdict without a time was received after f and is in effect:
// f is judged as if it had arrived before that verdict.
func (d *Revision) untimedVerdictAfter(f Fact) bool {
	m := &d.Memory
	// The applicant's answer does not undo an untimed request, nor does the end of the session.
	isInEffect := d.Decision.Outcome != event.OutcomeNone || m.Answered != nil || d.Status.Closed()
	isUntimed := m.Verdict != nil && m.Verdict.Received.After(f.ReceivedAt) &&
		(m.Verdict.Untimed || m.Verdict.Received.Equal(m.UntimedAt)) // an earlier version did not record it
	return isUntimed && isInEffect || d.saysUntimed() && m.UntimedAt.After(f.ReceivedAt)
}

// changedAfterReceipt reports whether f was received while another state was current: an attempt or a request
// that is over, a revoked approval, or no verdict while one is in doubt now. If f is an end, it ended that
// state.
func (d *Revision) changedAfterReceipt(f Fact) bool {
	m := &d.Memory
	isReopened := m.Reopened != nil && m.Reopened.happenedAfter(f.ReceivedAt)
	isLater := func(t time.Time) bool { return t.After(f.ReceivedAt) }
	isDecided := d.inDoubt() && m.Verdict != nil &&
		(isLater(m.Verdict.Received) || m.Doubt != nil && isLater(m.Doubt.Received))
	return isReopened || isDecided || m.BegunAt.After(f.ReceivedAt) || d.approvedAtReceipt(f)
}

// verdictAfterReceipt reports whether f, which has no time, was received before the known verdict or
// doubt: that is newer, unless it ranks lower. If the known verdict and f both have no time and differ,
// neither is newer (differsUntimed).
func (d *Revision) verdictAfterReceipt(f Fact) bool {
	since := func(m *Moment) bool {
		return m != nil && m.Received.After(f.ReceivedAt) && !m.below(f.moment())
	}
	m := &d.Memory
	return f.untimed() && (since(m.Verdict) && !d.differsUntimed(f) ||
		m.Doubt != nil && f.Effect != EffectDoubt && since(&m.Doubt.Moment))
}

// differsUntimed reports whether f, a verdict, a request or a doubt, and the current verdict have no time and
// differ. Callbacks that arrive at the same moment are stored in either order, so it must not matter which of
// the two was received first.
func (d *Revision) differsUntimed(f Fact) bool {
	m := &d.Memory
	isAnswered := m.Answered != nil && m.Answered.Received.After(f.ReceivedAt)
	differs := f.Effect == EffectDoubt ||
		f.Decision.Outcome != event.OutcomeNone && f.Decision.Outcome != d.Decision.Outcome
	return differs && m.Verdict != nil && m.Verdict.At.IsZero() && !isAnswered && !d.changedAfterReceipt(f)
}

// endedInDoubt reports whether f was received before the end of a session whose verdict was in doubt, and
// is in doubt too: with f before it, the end would have closed the session as well.
func (d *Revision) endedInDoubt(f Fact) bool {
	end, doubt := d.Memory.End, d.Memory.Doubt
	isDoubted := f.Effect == EffectVerdict && f.Decision.Outcome != event.OutcomeRejected
	if end == nil || doubt == nil || !d.Status.Closed() || !isDoubted {
		return false
	}
	return f.ReceivedAt.Before(end.Received) && doubt.Received.Before(end.Received) && !f.moment().settles(doubt.Moment)
}

// happenedAfter reports whether the fact of m happened after t, an instant of kycbridge's clock. An untimed fact
// happened no later than it was received, but takes effect only then.
func (m Moment) happenedAfter(t time.Time) bool {
	switch {
	case m.At.IsZero():
		return m.Received.After(t)
	case m.Ours:
		return m.At.After(t)
	}
	return m.At.Add(-clockSlack).After(t)
}
