package traffic

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// Reply is the answer that a caller received.
type Reply struct {
	Code           int
	Header         http.Header
	Text           string
	Status         string `json:"status"`
	PayloadID      string `json:"payload_id"`
	VerificationID string `json:"verification_id"`
}

// ReplyOf decodes an answer. Problem documents have a number for a status, so only receipts are decoded
// further.
func ReplyOf(res *http.Response) (Reply, error) {
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return Reply{}, err
	}
	r := Reply{Code: res.StatusCode, Header: res.Header, Text: string(text)}
	if r.Code == http.StatusOK {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// Ledger records the answers to callers, mainly the payloads that were answered 200 (promised), by verification.
type Ledger struct {
	// Proxied: a proxy in front of kycbridge gives its own answers 502, 503 and 504.
	Proxied  bool
	Accepted atomic.Int64

	mu       sync.Mutex
	promised map[string]map[string]bool // verification id, payload id
	newest   map[string]Webhook         // the newest verdict that was answered 200, by verification
	single   map[string]bool            // verifications of one payload
	answers  map[int]int                // by status; 0: no answer came
	faults   []string                   // answers that callers must not receive
	last     time.Time                  // of the last 200
	silence  time.Duration              // the longest time between two of them
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{promised: map[string]map[string]bool{}, newest: map[string]Webhook{}, single: map[string]bool{},
		answers: map[int]int{}}
}

// alone records that a verification has one payload only.
func (l *Ledger) alone(one *Life) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.single[one.VerificationID()] = true
}

// Release returns a verification of one payload that was answered 200, and forgets it; "" if there is none. The caller
// erases it.
func (l *Ledger) Release() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for vid := range l.promised {
		if l.single[vid] {
			delete(l.promised, vid)
			return vid
		}
	}
	return ""
}

// note records an answer and reports whether it was 200.
func (l *Ledger) note(vid string, w Webhook, r Reply, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		r.Code = 0
	}
	l.answers[r.Code]++
	switch r.Code {
	case http.StatusOK:
		if r.PayloadID != w.PayloadID || r.VerificationID != vid || r.Status != kycbridge.ReceiptAccepted &&
			r.Status != kycbridge.ReceiptDuplicate {
			l.faults = append(l.faults, "200 "+r.Text)
		}
		l.promise(vid, w)
	case 0:
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if !l.Proxied && (r.Code != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "") {
			l.faults = append(l.faults, http.StatusText(r.Code)+" without Retry-After: "+r.Text)
		}
	default:
		l.faults = append(l.faults, r.Text)
	}
	return r.Code == http.StatusOK
}

// promise records a 200.
func (l *Ledger) promise(vid string, w Webhook) {
	if l.promised[vid] == nil {
		l.promised[vid] = map[string]bool{}
	}
	l.promised[vid][w.PayloadID] = true
	if w.Verdict != "" && !w.At.Before(l.newest[vid].At) {
		l.newest[vid] = w
	}
	now := time.Now()
	if !l.last.IsZero() {
		l.silence = max(l.silence, now.Sub(l.last))
	}
	l.last = now
	l.Accepted.Add(1)
}

// Silence is the longest time between two answers 200 since the last call.
func (l *Ledger) Silence() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	longest := l.silence
	l.silence, l.last = 0, time.Now()
	return longest
}

// Verdict is the result of comparing a ledger with the published events.
type Verdict struct {
	Promised int         // payloads that were answered 200
	Lost     int         // those of them without an effect
	Without  []string    // the verifications of lost payloads
	Answers  map[int]int // by status; 0: no answer came
}

// Judge compares the promised payloads with the published events. A verification of one payload has
// exactly its event; one whose verdict flips ends with the newest promised verdict, or with a newer one
// that was stored without an answer.
func (l *Ledger) Judge(t *testing.T, all map[string][]Record) Verdict {
	t.Helper()
	v := Verdict{Answers: l.answers}
	for vid, payloads := range l.promised {
		v.Promised += len(payloads)
		history := all[vid]
		if len(history) == 0 {
			v.Lost += len(payloads)
			v.Without = append(v.Without, vid)
			t.Errorf("verification %s has no event, %d payloads of it were answered 200", vid, len(payloads))
			continue
		}
		last, newest := history[len(history)-1].Data, l.newest[vid]
		if told := event.ParseInstant(last.Decision.DecidedAt); told.Before(event.ParseInstant(newest.DecidedAt)) {
			v.Lost++
			v.Without = append(v.Without, vid)
			t.Errorf("verification %s ends with the verdict of %s, that of %s was answered 200", vid, last.Decision.DecidedAt,
				newest.DecidedAt)
		}
		if l.single[vid] && (len(history) != 1 || !payloads[history[0].Data.Payload.ID]) {
			v.Lost++
			v.Without = append(v.Without, vid)
			t.Errorf("verification %s: its only payload %v made %d events", vid, payloads, len(history))
		}
	}
	for _, f := range l.faults {
		t.Errorf("answered %s", f)
	}
	t.Logf("%d payloads promised for %d verifications, %d lost; answers by status (0: none) %v", v.Promised,
		len(l.promised), v.Lost, v.Answers)
	return v
}
