package kycbridge

import (
	"maps"
	"time"
)

// Class is a class of data with a retention.
type Class string

// The classes whose retention the service enforces itself. The server enforces that of refused callbacks and
// of starts.
const (
	ClassPayloads   Class = "payloads"
	ClassQuarantine Class = "quarantine"
	ClassEvents     Class = "events"
)

// Retention is how long data is kept, by class. 0: forever.
type Retention struct {
	Payloads   time.Duration                   // after a payload was stored
	Quarantine time.Duration                   // after a payload was stored
	Refused    time.Duration                   // after a callback was refused; a limit of bytes may remove it earlier
	Events     time.Duration                   // after the last event of a verification that has ended
	Starts     time.Duration                   // of idempotency keys
	Accounts   map[AccountKey]AccountRetention // only accounts with a retention of their own
}

// AccountRetention replaces the retention of classes for one account. nil: it is not replaced.
type AccountRetention struct{ Payloads, Quarantine, Events *time.Duration }

// DefaultRetention is the retention without configuration.
func DefaultRetention() Retention {
	const day = 24 * time.Hour
	return Retention{Payloads: 30 * day, Quarantine: 30 * day, Refused: 3 * day, Starts: day}
}

// Of is the retention of a class of an account; 0: forever. The zero account is all that are not configured: the
// longest retention counts for them, because an account whose name was changed by mistake is among them.
func (r Retention) Of(c Class, a AccountKey) time.Duration {
	if a == (AccountKey{}) {
		return r.Longest(c)
	}
	return r.with(c, r.Accounts[a])
}

// with is the retention of a class of an account with settings of its own.
func (r Retention) with(c Class, own AccountRetention) time.Duration {
	switch {
	case c == ClassQuarantine && own.Quarantine != nil:
		return *own.Quarantine
	case c == ClassQuarantine:
		return r.Quarantine
	case c == ClassEvents && own.Events != nil:
		return *own.Events
	case c == ClassEvents:
		return r.Events
	case own.Payloads != nil:
		return *own.Payloads
	}
	return r.Payloads
}

// Longest is the longest retention of a class, of any account; 0: forever.
func (r Retention) Longest(c Class) time.Duration {
	longest := r.with(c, AccountRetention{})
	for _, own := range r.Accounts {
		if d := r.with(c, own); d == 0 || longest == 0 {
			longest = 0
		} else {
			longest = max(longest, d)
		}
	}
	return longest
}

// Including is r with the retention of further accounts. That of an account which r knows is not replaced.
func (r Retention) Including(others map[AccountKey]AccountRetention) Retention {
	all := maps.Clone(others)
	if all == nil {
		all = map[AccountKey]AccountRetention{}
	}
	maps.Copy(all, r.Accounts)
	r.Accounts = all
	return r
}

// Limit is the time before which data of a class of an account is due at a time; zero: none is.
func (r Retention) Limit(c Class, a AccountKey, now time.Time) time.Time {
	if age := r.Of(c, a); age > 0 {
		return now.Add(-age)
	}
	return time.Time{}
}

// Aged is a stored message that may be due.
type Aged struct {
	Key              // VerificationID is "" if the message does not name one
	Seq    uint64    // in its stream
	At     time.Time // when it was stored, by the clock of this process
	Sealed string    // name of the key of an encrypted body; "": it is not encrypted
	Behind bool      // a younger message of the account is before it: the clock was ahead
}

// Due reports whether a message of a class is to be removed at a time: it is older than its retention, and no
// hold keeps its verification.
func (r Retention) Due(c Class, m Aged, hold *Hold, now time.Time) bool {
	limit := r.Limit(c, AccountKey{m.Provider, m.Account}, now)
	return !limit.IsZero() && m.At.Before(limit) && (hold == nil || !hold.Holds(now))
}
