package traffic

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Load posts webhooks with several callers until its context ends. A caller without a 200 repeats the
// payload, like a provider, or gives up, like a provider that crashed.
type Load struct {
	Post   func(ctx context.Context, body []byte) (Reply, error)
	Ledger *Ledger
	Run    uint32 // see Life.Run
	Seed   uint64
	Pace   *rate.Limiter
	n      atomic.Int64 // lives started
	done   sync.WaitGroup
}

// turns are the repeated verdicts of a long verification.
var turns = []string{SayApproved, SayProcessed, SayRejected, SayUpdated}

// Start starts the callers. Half of their payloads have a separate verification each and must lead to one event
// each; the other half change the verdict of a verification that the caller keeps for a while.
func (l *Load) Start(ctx context.Context, callers int) {
	for i := range callers {
		l.done.Go(func() {
			source := rand.New(rand.NewPCG(l.Seed, uint64(i)))
			kept := l.begin()
			for ctx.Err() == nil {
				if kept.Sent == 12 {
					kept = l.begin()
				}
				one := kept
				if source.IntN(2) == 0 {
					one = l.begin()
					l.Ledger.alone(one)
				}
				l.deliver(ctx, one, one.Next(turns[one.Sent%len(turns)]), source)
			}
		})
	}
}

// Wait returns when every caller has ended.
func (l *Load) Wait() { l.done.Wait() }

func (l *Load) begin() *Life { return &Life{Run: l.Run, N: int(l.n.Add(1))} }

// deliver sends one payload until it is answered 200, the caller gives up or ctx ends.
func (l *Load) deliver(ctx context.Context, one *Life, w Webhook, source *rand.Rand) {
	for l.Pace.Wait(ctx) == nil {
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		r, err := l.Post(attempt, w.Body)
		cancel()
		if l.Ledger.note(one.VerificationID(), w, r, err) || source.IntN(20) == 0 {
			return
		}
		select { // wait before the next attempt
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
