package oracle

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"
)

// Answer is a 200 for a delivery.
type Answer struct {
	Sent, At       time.Time
	Status         string `json:"status"`
	PayloadID      string `json:"payload_id"`
	VerificationID string `json:"verification_id"`
}

// Delivery is one callback: its bytes, its fact, and its answers.
type Delivery struct {
	Of      *Verification
	Account string // path of the account
	Name    string
	EventID string // the provider's; "" if it sends none
	Body    []byte
	Digest  string
	Want    string // accepted or quarantined
	Fact    Fact
	Delay   time.Duration
	Repeats []time.Duration // delivered again after these times
	Twin    *Delivery       // another body with the same provider event id

	mu      sync.Mutex
	tries   int
	first   time.Time // when it was first sent
	answers []Answer
}

// Verification is one verification at a provider, with its deliveries.
type Verification struct {
	Provider, Account, Reference string
	Deliveries                   []*Delivery
	InOrder                      bool // each is sent after the previous one was accepted
	Watched                      bool // a watch of it was requested

	mu     sync.Mutex
	open   int       // unfinished deliveries
	purged time.Time // when its purge began
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func (d *Delivery) sending() (try int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tries++; d.first.IsZero() {
		d.first = time.Now()
	}
	return d.tries
}

func (d *Delivery) answered(a Answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers = append(d.answers, a)
}

// taken returns the answers, the number of attempts and the time of the first attempt.
func (d *Delivery) taken() (answers []Answer, tries int, first time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Answer(nil), d.answers...), d.tries, d.first
}

func (v *Verification) add(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open += n
}

// erasing marks v as purged from now on, if it is idle.
func (v *Verification) erasing() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open > 0 || !v.purged.IsZero() || len(v.Deliveries) == 0 {
		return false
	}
	v.purged = time.Now()
	return true
}

func (v *Verification) erased() (at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.purged
}

// deliveries returns the current deliveries: a purge adds one.
func (v *Verification) deliveries() []*Delivery {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]*Delivery(nil), v.Deliveries...)
}

// id is kycbridge's id of v; "" before the first answer.
func (v *Verification) id() string {
	for _, d := range v.deliveries() {
		if answers, _, _ := d.taken(); len(answers) > 0 && answers[0].VerificationID != "" {
			return answers[0].VerificationID
		}
	}
	return ""
}

// Ledger records everything sent and answered.
type Ledger struct {
	mu            sync.Mutex
	verifications []*Verification
	strange       map[int][]string // answers other than 200 and 503
	lastTaken     time.Time
	count         int           // of answers 200
	silence       time.Duration // the longest time between two of them
}

func (l *Ledger) open(v *Verification) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verifications = append(l.verifications, v)
}

func (l *Ledger) all() []*Verification {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*Verification(nil), l.verifications...)
}

func (l *Ledger) note(code int, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch code {
	case 200:
		now := time.Now()
		if !l.lastTaken.IsZero() {
			l.silence = max(l.silence, now.Sub(l.lastTaken))
		}
		l.lastTaken, l.count = now, l.count+1
	case 503:
	default:
		if l.strange == nil {
			l.strange = map[int][]string{}
		}
		l.strange[code] = append(l.strange[code], string(body[:min(len(body), 200)]))
	}
}

// longest is the longest time between two answers 200.
func (l *Ledger) longest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.silence
}

func (l *Ledger) taken() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}
