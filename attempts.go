package kycbridge

import (
	"maps"
	"slices"
	"strings"

	"kycbridge/event"
)

// attemptOrder is the position of a fact's attempt relative to the attempt in the state.
type attemptOrder int

const (
	sameAttempt    attemptOrder = iota // the same attempt, or the fact has no attempt id
	olderAttempt                       // an attempt before it
	newerAttempt                       // an attempt after it
	unknownAttempt                     // an attempt that may be older or newer than the one that has been decided
)

// otherAttempt reports whether f and g belong to two attempts.
func (f Fact) otherAttempt(g Fact) bool {
	return f.Attempt.ID != "" && g.Attempt.ID != "" && f.Attempt.ID != g.Attempt.ID
}

// isOtherAttempt reports whether f belongs to another attempt than the one whose facts d holds.
func (d *Revision) isOtherAttempt(f Fact) bool {
	return f.Attempt.ID != "" && d.Memory.Attempt != "" && keyOf(f.Attempt.ID) != d.Memory.Attempt
}

// attemptOrder returns the position of f's attempt, and records the attempt. Attempts are ordered by the provider's
// creation time, if it is plausible; if no time of the two is known, by their first occurrence.
func (d *Revision) attemptOrder(f Fact) attemptOrder {
	if f.Attempt.ID == "" {
		return sameAttempt
	}
	seen := SeenAttempt{Key: keyOf(f.Attempt.ID), SeenAt: f.ReceivedAt}
	if f.couldHaveHappenedAt(f.Attempt.CreatedAt) {
		seen.CreatedAt = f.Attempt.CreatedAt
	}
	m := &d.Memory
	if m.Attempt == "" {
		d.adopt(f.Observation, seen)
	}
	at := slices.IndexFunc(m.Attempts, func(s SeenAttempt) bool { return s.Key == seen.Key })
	switch {
	case at < 0:
		at = m.insert(seen)
	case m.Attempts[at].CreatedAt.IsZero() && !seen.CreatedAt.IsZero(): // an earlier fact did not state it
		seen.SeenAt = m.Attempts[at].SeenAt
		at = m.redate(at, seen)
	}
	current := slices.IndexFunc(m.Attempts, func(s SeenAttempt) bool { return s.Key == m.Attempt })
	switch untimed := m.Attempts[at].CreatedAt.IsZero(); {
	case at > current && d.wasSeenBefore(f, m.Attempts[at], m.Attempts[current]):
		return olderAttempt
	case untimed != m.Attempts[current].CreatedAt.IsZero() && untimed == (at > current):
		return d.uncertainOrder(f, untimed)
	case at < current:
		return olderAttempt
	case at > current:
		return newerAttempt
	}
	return sameAttempt
}

// uncertainOrder is the position of f's attempt if one of the two has no time of creation and was seen later: that does
// not prove that it is newer. untimed: f's attempt is that one.
func (d *Revision) uncertainOrder(f Fact, untimed bool) attemptOrder {
	isDecided := d.Decision.Outcome != event.OutcomeNone || d.Memory.Verdict != nil || d.Memory.Doubt != nil
	isApproved, refuses := d.Decision.Outcome == event.OutcomeApproved, d.refuses(f)
	switch {
	case untimed && f.ReceivedAt.Before(d.Memory.BegunAt):
		return olderAttempt // it was seen before
	case untimed && isDecided && (!isApproved || !refuses), !untimed && isApproved && refuses:
		return unknownAttempt
	case untimed || !isDecided && refuses:
		return newerAttempt
	}
	return olderAttempt
}

// refuses reports whether f is a verdict that does not approve, or a doubt. A doubt that was received before the
// current attempt began, or before its verdict, is older than those.
func (d *Revision) refuses(f Fact) bool {
	m := &d.Memory
	if f.Effect != EffectDoubt {
		return f.Effect == EffectVerdict && !f.approves()
	}
	return !f.ReceivedAt.Before(m.BegunAt) && (m.Verdict == nil || !f.ReceivedAt.Before(m.Verdict.Received))
}

// decideUnordered applies f, a fact of an attempt that may be older or newer than the one that has been decided. An
// approval does not replace another decision, and does not remain beside one.
func (d *Revision) decideUnordered(f Fact) (noEvent string) {
	isApproved := d.Decision.Outcome == event.OutcomeApproved
	isApproval := f.approves()
	switch {
	case !isApproval && !d.refuses(f), isApproval && d.approvedAtReceipt(f):
		return NoEventOld
	case isApproval == isApproved || d.Decision.Outcome == event.OutcomeReview && d.saysUntimed():
		return NoEventUnchanged
	}
	if isApproved {
		d.Memory.recordDenial(f.moment(), nil) // the next approval must be newer
	}
	d.reviewUntimed()
	return ""
}

// adopt sets the attempt of a state without one. An event of an earlier version has its id among the
// references; otherwise the known facts belong to the first attempt that a fact names.
func (d *Revision) adopt(o Observation, first SeenAttempt) {
	for name, id := range o.References {
		if known := d.Provider.References[name]; id == o.Attempt.ID && known != "" && known != id {
			first = SeenAttempt{Key: keyOf(known)}
		}
	}
	d.Memory.Attempts, d.Memory.Attempt = []SeenAttempt{first}, first.Key
	d.Memory.OfSession = d.Memory.Denials // until now no fact has named an attempt
}

// insert inserts a new attempt before those that were created later, and returns its index.
func (m *Memory) insert(s SeenAttempt) int {
	if len(m.Attempts) >= maxAttempts {
		oldest := 0
		if m.Attempts[oldest].Key == m.Attempt {
			oldest++
		}
		m.Attempts = slices.Delete(m.Attempts, oldest, oldest+1)
	}
	at := len(m.Attempts)
	if !s.CreatedAt.IsZero() {
		// Of attempts whose time is not known, only the first occurrence is known.
		isLater := func(known SeenAttempt) bool { return known.CreatedAt.After(s.CreatedAt) }
		if first := slices.IndexFunc(m.Attempts, isLater); first >= 0 {
			at = first
		}
	}
	m.Attempts = slices.Insert(m.Attempts, at, s)
	return at
}

// startAttempt resets d to f's attempt, a newer one without known facts: approval or rejection, facts and
// reasons belonged to the older one. The fields of the session are kept.
func (d *Revision) startAttempt(f Fact) {
	a := f.Attempt
	d.Status, d.StatusDetail, d.Decision = event.StatusInProgress, "", event.Decision{Outcome: event.OutcomeNone}
	d.Decisions, d.Reasons, d.RequiredActions = []event.DecisionStep{}, []event.Reason{}, nil
	d.Documents, d.ExtractedClaims, d.Checks, d.Risk, d.Media, d.Extensions = nil, nil, []event.Check{}, nil, nil, nil
	d.Payload.Confirmed = false
	if a.Prefix != "" {
		maps.DeleteFunc(d.Provider.References, func(k, _ string) bool { return strings.HasPrefix(k, a.Prefix) })
		maps.DeleteFunc(d.Provider.Status, func(k string, _ any) bool { return strings.HasPrefix(k, a.Prefix) })
	}
	m := &d.Memory
	m.Attempt, m.Cross = keyOf(a.ID), Cross{}
	m.Verdict, m.Reopened, m.Answered, m.Overruled, m.Revoked = nil, nil, nil, nil, nil
	m.Doubt, m.End, m.Denials, m.Before, m.Maker = nil, nil, m.OfSession, nil, nil
	m.BegunAt, m.Undecided = f.ReceivedAt, false
}

// holdsOlderAttempt reports whether the state holds the facts of an older attempt than f's. Earlier facts
// of f's attempt are not in the state then, because an approval was current.
func holdsOlderAttempt(last *Revision, f Fact) bool {
	if last == nil {
		return false
	}
	d := clone(*last)
	return d.attemptOrder(f) == newerAttempt
}

// withEarlier merges the facts of f over those of earlier payloads of its attempt.
func (f Fact) withEarlier(earlier []Observation) Fact {
	var d Revision
	for _, o := range append(slices.Clip(earlier), f.Observation) {
		d.merge(o, false)
	}
	f.Documents, f.ExtractedClaims, f.Checks = d.Documents, d.ExtractedClaims, d.Checks
	f.Risk, f.Media, f.Extensions = d.Risk, d.Media, d.Extensions
	return f
}

// wasSeenBefore reports whether f, a fact of another attempt than current, was received before current was seen, and is
// processed after a rejection, a review or a doubt about it. No times of creation order the two attempts.
func (d *Revision) wasSeenBefore(f Fact, of, current SeenAttempt) bool {
	isOrdered := !of.CreatedAt.IsZero() && !current.CreatedAt.IsZero()
	isRefused := d.Decision.Outcome == event.OutcomeRejected || d.Decision.Outcome == event.OutcomeReview ||
		d.Memory.Doubt != nil
	return !isOrdered && isRefused && f.ReceivedAt.Before(current.SeenAt)
}

// redate sets the time of creation of the attempt at an index, and returns its new index. The attempt keeps its place
// unless the time of another one shows that it is wrong: it does not become newer than one whose time is not known.
func (m *Memory) redate(at int, s SeenAttempt) int {
	m.Attempts = slices.Delete(m.Attempts, at, at+1)
	for i, known := range m.Attempts {
		if i >= at && !known.CreatedAt.IsZero() && known.CreatedAt.Before(s.CreatedAt) {
			at = i + 1
		}
	}
	isLater := func(known SeenAttempt) bool { return known.CreatedAt.After(s.CreatedAt) }
	if first := slices.IndexFunc(m.Attempts, isLater); first >= 0 && first < at {
		at = first
	}
	m.Attempts = slices.Insert(m.Attempts, at, s)
	return at
}
