package test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// TestKill kills the process twenty times at random moments, under load and also during its start, and then checks
// the effect of every payload that was answered 200.
func TestKill(t *testing.T) {
	long(t, "80 s")
	t.Parallel()
	source := random(t)
	b := newBridge(t, oneAccount)
	b.start(t)
	l := &traffic.Load{Post: b.post, Ledger: traffic.NewLedger(), Run: source.Uint32(), Seed: source.Uint64(),
		Pace: rate.NewLimiter(800, 24)}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Wait() })
	l.Start(ctx, 24)

	var slowest time.Duration
	for round := range 20 {
		before := l.Ledger.Accepted.Load()
		wait.For(t, 20*time.Second, "payloads accepted in this round",
			func() bool { return l.Ledger.Accepted.Load() > before+10 })
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
	l.Wait()
	waited := b.settled(t, 75*time.Second)
	all := traffic.Histories(t, b.eventsURL())
	events := traffic.Sound(t, all).Events
	l.Ledger.Judge(t, all)
	t.Logf("24 kills; slowest start %s; %d events; the last payload was worked %s after the load ended",
		slowest.Round(time.Millisecond), events, waited.Round(time.Millisecond))
}
