package kycbridge

import (
	"maps"
	"slices"
	"strings"

	"kycbridge/event"
)

// turn says where the attempt of a fact stands beside the one whose facts the state holds.
type turn int

const (
	turnSame  turn = iota // the same, or none that is numbered
	turnOlder             // an attempt before it
	turnNewer             // an attempt after it
)

// otherAttempt reports whether f and g belong to two attempts.
func (f Fact) otherAttempt(g Fact) bool {
	return f.Attempt.ID != "" && g.Attempt.ID != "" && f.Attempt.ID != g.Attempt.ID
}

// turn finds the place of f's attempt, and remembers that it was seen. Attempts are ordered by the
// provider's time of their creation, if that can be true, else by which was seen first.
func (d *Revision) turn(f Fact) turn {
	if f.Attempt.ID == "" {
		return turnSame
	}
	seen := SeenAttempt{Key: keyOf(f.Attempt.ID)}
	if f.credits(f.Attempt.CreatedAt) {
		seen.CreatedAt = f.Attempt.CreatedAt
	}
	m := &d.Memory
	if m.Attempt == "" {
		d.adopt(f.Observation, seen)
	}
	at := slices.IndexFunc(m.Attempts, func(s SeenAttempt) bool { return s.Key == seen.Key })
	if at < 0 {
		at = m.insert(seen)
	}
	current := slices.IndexFunc(m.Attempts, func(s SeenAttempt) bool { return s.Key == m.Attempt })
	switch {
	case at < current:
		return turnOlder
	case at > current:
		return turnNewer
	}
	return turnSame
}

// adopt names the attempt of a state that has named none. An event of an earlier version tells it by
// its references; else what is known so far belongs to the first attempt that is named.
func (d *Revision) adopt(o Observation, first SeenAttempt) {
	for name, id := range o.References {
		if known := d.Provider.References[name]; id == o.Attempt.ID && known != "" && known != id {
			first = SeenAttempt{Key: keyOf(known)}
		}
	}
	d.Memory.Attempts, d.Memory.Attempt = []SeenAttempt{first}, first.Key
}

// insert puts a new attempt before those that are known to be created later, and says where.
func (m *Memory) insert(s SeenAttempt) int {
	if len(m.Attempts) >= maxAttempts {
		oldest := 0
		if m.Attempts[oldest].Key == m.Attempt {
			oldest++
		}
		m.Attempts = slices.Delete(m.Attempts, oldest, oldest+1)
	}
	at := len(m.Attempts)
	for at > 0 && !s.CreatedAt.IsZero() && m.Attempts[at-1].CreatedAt.After(s.CreatedAt) {
		at--
	}
	m.Attempts = slices.Insert(m.Attempts, at, s)
	return at
}

// begin makes d the state of f's attempt, a newer one of which nothing is known yet: an approval or a rejection,
// the facts and the reasons were those of the older one. What is the session's stays.
func (d *Revision) begin(f Fact) {
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
	m.Verdict, m.Reopened, m.Answered, m.Overruled = nil, nil, nil, nil
	m.Doubt, m.End, m.Denied, m.Before = nil, nil, nil, nil
	m.BegunAt = f.ReceivedAt
}

// heldBack reports whether the state holds the facts of an older attempt than f's. What earlier payloads
// told of f's attempt is not in the state then, because an approval stood.
func heldBack(last *Revision, f Fact) bool {
	if last == nil {
		return false
	}
	d := clone(*last)
	return d.turn(f) == turnNewer
}

// over lays the facts of f over those that earlier payloads told of its attempt.
func (f Fact) over(earlier []Observation) Fact {
	var d Revision
	for _, o := range append(slices.Clip(earlier), f.Observation) {
		d.merge(o, false)
	}
	f.Documents, f.ExtractedClaims, f.Checks = d.Documents, d.ExtractedClaims, d.Checks
	f.Risk, f.Media, f.Extensions = d.Risk, d.Media, d.Extensions
	return f
}
