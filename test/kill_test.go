package test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"kycbridge"
)

// ledger is what the callers know: the payloads that were answered 200, by verification.
type ledger struct {
	mu       sync.Mutex
	promised map[string]map[string]bool // verification id, payload id
	newest   map[string]webhook         // the last verdict that was promised, by verification
	single   map[string]bool            // verifications of one payload
	answers  map[int]int                // by status; 0: no answer came
	faults   []string                   // answers that no one should get
	accepted atomic.Int64
}

func newLedger() *ledger {
	return &ledger{promised: map[string]map[string]bool{}, newest: map[string]webhook{}, single: map[string]bool{}, answers: map[int]int{}}
}

// alone takes down that a life has one payload only.
func (l *ledger) alone(one *life) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.single[one.verificationID()] = true
}

// note takes down an answer and reports whether it was a promise.
func (l *ledger) note(vid string, w webhook, r reply, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		r.code = 0
	}
	l.answers[r.code]++
	switch r.code {
	case http.StatusOK:
		if r.PayloadID != w.payloadID || r.VerificationID != vid || r.Status != kycbridge.ReceiptAccepted && r.Status != kycbridge.ReceiptDuplicate {
			l.faults = append(l.faults, "200 "+r.text)
		}
		if l.promised[vid] == nil {
			l.promised[vid] = map[string]bool{}
		}
		l.promised[vid][w.payloadID] = true
		if w.verdict != "" && !w.at.Before(l.newest[vid].at) {
			l.newest[vid] = w
		}
		l.accepted.Add(1)
	case http.StatusServiceUnavailable:
		if r.header.Get("Retry-After") == "" {
			l.faults = append(l.faults, "503 without Retry-After: "+r.text)
		}
	case 0:
	default:
		l.faults = append(l.faults, r.text)
	}
	return r.code == http.StatusOK
}

// load posts webhooks with several callers until ctx ends. A caller that got no 200 sends the same
// payload again, as a provider does, or gives it up, as a provider that died does.
type load struct {
	b      *bridge
	ledger *ledger
	run    uint32
	seed   uint64
	pace   *rate.Limiter
	n      atomic.Int64 // lives begun
	done   sync.WaitGroup
}

// turns are what the webhooks of a kept life say, over and over.
var turns = []string{sayApproved, sayProcessed, sayRejected, sayUpdated}

// start begins with callers. Half of their payloads are a verification each and must make one event
// each; the other half flip the verdict of a verification that the caller keeps for a while.
func (l *load) start(ctx context.Context, callers int) {
	for i := range callers {
		l.done.Go(func() {
			source := rand.New(rand.NewPCG(l.seed, uint64(i)))
			kept := l.begin()
			for ctx.Err() == nil {
				if kept.told == 12 {
					kept = l.begin()
				}
				one := kept
				if source.IntN(2) == 0 {
					one = l.begin()
					l.ledger.alone(one)
				}
				l.deliver(ctx, one, one.next(turns[one.told%len(turns)]), source)
			}
		})
	}
}

func (l *load) begin() *life { return &life{run: l.run, n: int(l.n.Add(1))} }

// deliver sends one payload until it is promised, given up or ctx ends.
func (l *load) deliver(ctx context.Context, one *life, w webhook, source *rand.Rand) {
	for l.pace.Wait(ctx) == nil {
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		r, err := l.b.post(attempt, w.body)
		cancel()
		if l.ledger.note(one.verificationID(), w, r, err) || source.IntN(20) == 0 {
			return
		}
		select { // a caller that nobody answers does not spin
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// judge compares what was promised with what was published. A verification of one payload has the
// one event of it; one whose verdict flips ends with the newest verdict that was promised, or with
// a newer one whose caller never learned that it was stored.
func (l *ledger) judge(t *testing.T, all map[string][]record) {
	t.Helper()
	promised, missing := 0, 0
	for vid, payloads := range l.promised {
		promised += len(payloads)
		history := all[vid]
		if len(history) == 0 {
			missing += len(payloads)
			t.Errorf("verification %s has no event, %d payloads of it were answered 200", vid, len(payloads))
			continue
		}
		last, newest := history[len(history)-1].Data, l.newest[vid]
		if told := kycbridge.ParseInstant(last.Decision.DecidedAt); told.Before(kycbridge.ParseInstant(newest.decidedAt)) {
			t.Errorf("verification %s ends with the verdict of %s, that of %s was answered 200", vid, last.Decision.DecidedAt, newest.decidedAt)
		}
		if l.single[vid] && (len(history) != 1 || !payloads[history[0].Data.Payload.ID]) {
			missing++
			t.Errorf("verification %s: its only payload %v made %d events", vid, payloads, len(history))
		}
	}
	for _, f := range l.faults {
		t.Errorf("answered %s", f)
	}
	t.Logf("%d payloads promised for %d verifications, %d missing; answers by status (0: none) %v", promised, len(l.promised), missing, l.answers)
}

// TestKill kills the process twenty times at moments it cannot foresee, under load, and in its
// start too, and then asks for the effect of everything that was answered 200.
func TestKill(t *testing.T) {
	long(t, "80 s")
	t.Parallel()
	source := random(t)
	b := newBridge(t, oneAccount)
	b.start(t)
	l := &load{b: b, ledger: newLedger(), run: source.Uint32(), seed: source.Uint64(), pace: rate.NewLimiter(800, 24)}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.done.Wait() })
	l.start(ctx, 24)

	var slowest time.Duration
	for round := range 20 {
		before := l.ledger.accepted.Load()
		eventually(t, 20*time.Second, "payloads accepted in this round", func() bool { return l.ledger.accepted.Load() > before+10 })
		<-time.After(time.Duration(source.Int64N(int64(time.Second))))
		b.kill()
		if round%5 == 4 {
			b.launch(t)
			<-time.After(time.Duration(source.Int64N(int64(150 * time.Millisecond))))
			b.kill()
		}
		began := time.Now()
		b.start(t)
		slowest = max(slowest, time.Since(began))
	}
	cancel()
	l.done.Wait()
	waited := b.settled(t, 75*time.Second)
	all := histories(t, b.eventsURL())
	events := sound(t, all)
	l.ledger.judge(t, all)
	t.Logf("24 kills; slowest start %s; %d events; the last payload was worked %s after the load ended", slowest.Round(time.Millisecond), events, waited.Round(time.Millisecond))
}
