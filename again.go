package kycbridge

import (
	"time"

	"kycbridge/event"
)

// A payload that made no event leaves no trace in the state, and may be worked again at any later time: its
// worker ended before it had acknowledged it. Nor can the first late working of a payload be told from its
// second. What was received before the news that changed the state is therefore judged as if it had been
// worked then, where its own time does not say which of the two is the newer.

// news applies f to d, which is open because f brought it back from an end of ours. f was received before that
// end: it brings nothing back if it tells nothing new, as the end was made of all that was known.
func news(d *Revision, f Fact) (next Revision, noEvent string) {
	next, noEvent = heard(d, f)
	if noEvent != "" {
		return Revision{}, noEvent
	}
	before, after := clone(*d), clone(next)
	finish(&before, f)
	finish(&after, f)
	if same(&before, &after) {
		return Revision{}, NoEventUnchanged
	}
	return next, ""
}

// stoodFor reports whether an approval, taken back since, stood when f was received. A fact of a newer attempt
// began nothing then, and an end ended nothing.
func (d *Revision) stoodFor(f Fact) bool { return d.Memory.FellAt.After(f.ReceivedAt) }

// overtook reports whether f, which decides nothing, tells no more than what was received after it: that states
// no time, or the same.
func (d *Revision) overtook(f Fact) bool {
	m, at := &d.Memory, f.moment()
	if f.Effect.Decisive() {
		return false
	}
	isTie := at.At.Equal(m.Until) && !at.Ours || at.At.Equal(m.Asked) && at.Ours
	return m.UntimedAt.After(f.ReceivedAt) || isTie && m.HeardAt.After(f.ReceivedAt)
}

// untimedSince reports whether a verdict without a time was received after f and counts: f is weighed as if it had
// been there before.
func (d *Revision) untimedSince(f Fact) bool {
	m := &d.Memory
	isIts := m.Verdict != nil && m.Verdict.Received.Equal(m.UntimedAt) && d.Decision.Outcome != event.OutcomeNone
	return m.UntimedAt.After(f.ReceivedAt) && (isIts || d.saysUntimed())
}

// openedAfter reports whether f, an end, was received while something else stood: an attempt or a request that
// is over, an approval that was taken back, or no verdict where one is in doubt now. It ended what was then.
func (d *Revision) openedAfter(f Fact) bool {
	m := &d.Memory
	isReopened := m.Reopened != nil && m.Reopened.begunAfter(f.ReceivedAt)
	isLater := func(t time.Time) bool { return t.After(f.ReceivedAt) }
	isDecided := d.inDoubt() && m.Verdict != nil &&
		(isLater(m.Verdict.Received) || m.Doubt != nil && isLater(m.Doubt.Received))
	return isReopened || isDecided || m.BegunAt.After(f.ReceivedAt) || d.stoodFor(f)
}

// weighedSince reports whether f, which states no time, was received before the verdict or the doubt that is known:
// that is the newer word, unless it counts less.
func (d *Revision) weighedSince(f Fact) bool {
	since := func(m *Moment) bool {
		return m != nil && m.Received.After(f.ReceivedAt) && !m.below(f.moment())
	}
	m := &d.Memory
	return f.untimed() && (since(m.Verdict) || m.Doubt != nil && f.Effect != EffectDoubt && since(&m.Doubt.Moment))
}

// endedInDoubt reports whether f was received before the end of a session whose verdict was in doubt, and is in
// doubt too: with f before it, the end had closed the session as well.
func (d *Revision) endedInDoubt(f Fact) bool {
	end, doubt := d.Memory.End, d.Memory.Doubt
	isDoubted := f.Effect == EffectVerdict && f.Decision.Outcome != event.OutcomeRejected
	if end == nil || doubt == nil || !d.Status.Closed() || !isDoubted {
		return false
	}
	return f.ReceivedAt.Before(end.Received) && doubt.Received.Before(end.Received) && !f.moment().settles(doubt.Moment)
}

// begunAfter reports whether what m is of happened after t, an instant of our clock. An untimed fact happened
// no later than it was received, but is news only then.
func (m Moment) begunAfter(t time.Time) bool {
	switch {
	case m.At.IsZero():
		return m.Received.After(t)
	case m.Ours:
		return m.At.After(t)
	}
	return m.At.Add(-clockSlack).After(t)
}
