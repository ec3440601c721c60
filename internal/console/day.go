package console

import (
	"sync"
	"time"

	"kycbridge"
	"kycbridge/event"
)

const (
	span         = 5 * time.Minute // of one bucket
	buckets      = int(24 * time.Hour / span)
	maxNewValues = 50  // remembered new values of an account
	maxKinds     = 64  // counted outcomes of an account
	maxOthers    = 256 // counted accounts beyond the configured ones
)

// delays are the upper bounds of the classes of time between receipt and event.
var delays = [...]time.Duration{
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second, 5 * time.Minute,
}

// Day is the in-memory activity of this process in the last day: counts in buckets of five minutes by
// account. It contains outcomes and times and no value of a payload.
type Day struct {
	now  func() time.Time
	live *live

	mu       sync.Mutex
	accounts map[kycbridge.AccountKey]*accountDay
}

// accountDay is the activity of one account.
type accountDay struct {
	buckets [buckets]bucket

	callbacks map[string]*counted // by the answer
	calls     map[string]*counted // by call and outcome
	paused    bool
	fresh     []seenValue
}

// bucket is the activity of five minutes.
type bucket struct {
	number    int64 // number of five minutes since 1970; a different one belongs to an earlier day
	callbacks uint32
	refused   uint32 // callbacks that were neither accepted nor duplicates
	approved  uint32
	rejected  uint32
	other     uint32 // events with another outcome
	delays    [len(delays) + 1]uint32
}

// counted is how often something happened since the process started, and when last.
type counted struct {
	Count int
	Last  time.Time
}

// seenValue is a new value in payloads.
type seenValue struct {
	kycbridge.NewValue
	First time.Time
}

// NewDay creates a Day without activity.
func NewDay(now func() time.Time) *Day {
	if now == nil {
		now = time.Now
	}
	return &Day{now: now, accounts: map[kycbridge.AccountKey]*accountDay{}}
}

// setLive connects live views to callbacks and calls.
func (d *Day) setLive(l *live) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.live = l
}

// account is the activity of an account; nil above the limit of accounts.
func (d *Day) account(key kycbridge.AccountKey) *accountDay {
	a, ok := d.accounts[key]
	if !ok && len(d.accounts) < maxOthers {
		a = &accountDay{callbacks: map[string]*counted{}, calls: map[string]*counted{}}
		d.accounts[key] = a
	}
	return a
}

// bucketAt is the bucket of a time, cleared if it belonged to an earlier day.
func (a *accountDay) bucketAt(t time.Time) *bucket {
	number := t.UnixNano() / int64(span)
	b := &a.buckets[number%int64(buckets)]
	if b.number != number {
		*b = bucket{number: number}
	}
	return b
}

// countIn counts one of a few kinds.
func countIn(m map[string]*counted, kind string, at time.Time) {
	c, ok := m[kind]
	if !ok {
		if len(m) >= maxKinds {
			return
		}
		c = &counted{}
		m[kind] = c
	}
	c.Count++
	c.Last = at
}

// taken reports whether a callback was stored, now or before.
func taken(outcome string) bool {
	return outcome == kycbridge.ReceiptAccepted || outcome == kycbridge.ReceiptDuplicate ||
		outcome == kycbridge.ReceiptQuarantined
}

// Received counts a callback and its answer.
func (d *Day) Received(key kycbridge.AccountKey, outcome, verificationID string) {
	at := d.now()
	d.mu.Lock()
	if a := d.account(key); a != nil {
		countIn(a.callbacks, outcome, at)
		b := a.bucketAt(at)
		if b.callbacks++; !taken(outcome) {
			b.refused++
		}
	}
	l := d.live
	d.mu.Unlock()
	if l.watched() {
		l.add(callbackRow(key, outcome, verificationID, at))
	}
}

// Called counts a call of a provider's API and its outcome.
func (d *Day) Called(key kycbridge.AccountKey, call, outcome string, took time.Duration) {
	at := d.now()
	d.mu.Lock()
	if a := d.account(key); a != nil {
		countIn(a.calls, call+" "+outcome, at)
	}
	l := d.live
	d.mu.Unlock()
	if l.watched() {
		l.add(callRow(key, call, outcome, took, at))
	}
}

// Published counts an event of this process, and the delay since the receipt of its payload.
func (d *Day) Published(key kycbridge.AccountKey, outcome event.Outcome, delay time.Duration) {
	at := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.account(key)
	if a == nil {
		return
	}
	b := a.bucketAt(at)
	switch outcome {
	case event.OutcomeApproved:
		b.approved++
	case event.OutcomeRejected:
		b.rejected++
	default:
		b.other++
	}
	class := 0
	for class < len(delays) && delay > delays[class] {
		class++
	}
	b.delays[class]++
}

// Paused records whether calls to a provider are paused.
func (d *Day) Paused(key kycbridge.AccountKey, paused bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := d.account(key); a != nil {
		a.paused = paused
	}
}

// NewValue records a value that a provider's schema does not contain.
func (d *Day) NewValue(key kycbridge.AccountKey, v kycbridge.NewValue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.account(key)
	if a == nil || len(a.fresh) >= maxNewValues {
		return
	}
	for _, known := range a.fresh {
		if known.NewValue == v {
			return
		}
	}
	a.fresh = append(a.fresh, seenValue{v, d.now()})
}
