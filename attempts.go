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
	sameAttempt  attemptOrder = iota // the same attempt, or the fact has no attempt id
	olderAttempt                     // an attempt before it
	newerAttempt                     // an attempt after it
)

// otherAttempt reports whether f and g belong to two attempts.
func (f Fact) otherAttempt(g Fact) bool {
	return f.Attempt.ID != "" && g.Attempt.ID != "" && f.Attempt.ID != g.Attempt.ID
}

// attemptOrder returns the position of f's attempt, and records the attempt. Attempts are ordered by the provider's
// creation time, if it is plausible, else by their first occurrence.
func (d *Revision) attemptOrder(f Fact) attemptOrder {
	if f.Attempt.ID == "" {
		return sameAttempt
	}
	seen := SeenAttempt{Key: keyOf(f.Attempt.ID)}
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
	case m.Attempts[at].CreatedAt.IsZero():
		m.Attempts[at].CreatedAt = seen.CreatedAt // an earlier fact did not state it
	}
	current := slices.IndexFunc(m.Attempts, func(s SeenAttempt) bool { return s.Key == m.Attempt })
	switch {
	case at < current:
		return olderAttempt
	case at > current:
		return newerAttempt
	}
	return sameAttempt
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
	m.Doubt, m.End, m.Denied, m.Before = nil, nil, nil, nil
	m.BegunAt = f.ReceivedAt
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
