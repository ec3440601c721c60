package test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"

	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// TestOutage stops the external NATS three times under load, without restarting kycbridge: it answers 503 while NATS
// is unavailable, and continues by itself afterwards.
func TestOutage(t *testing.T) {
	long(t, "75 s")
	t.Parallel()
	source := random(t)
	server := newNATS(t)
	b := newBridge(t, fmt.Sprintf("store: {url: %q}\nbus: {url: %q}\n%s", server.url(), server.url(), oneAccount))
	b.start(t)
	l := &traffic.Load{Post: b.post, Ledger: traffic.NewLedger(), Run: source.Uint32(), Seed: source.Uint64(),
		Pace: rate.NewLimiter(400, 16)}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Wait() })
	l.Start(ctx, 16)
	for outage := range 3 {
		before := l.Ledger.Accepted.Load()
		wait.For(t, 20*time.Second, "payloads accepted before the outage",
			func() bool { return l.Ledger.Accepted.Load() > before+100 })
		<-time.After(time.Duration(source.Int64N(int64(500 * time.Millisecond))))
		server.kill()
		killed := time.Now()
		whileAway(t, b, &traffic.Life{Run: source.Uint32(), N: 1})
		refused := time.Since(killed)
		<-time.After(time.Duration(source.Int64N(int64(time.Second))))
		server.start(t)
		server.ready(t)
		back := time.Now()
		wait.For(t, 20*time.Second, "readiness back", func() bool { return b.readyz() == http.StatusOK })
		green := time.Since(back)
		firstAccepted(t, b, &traffic.Life{Run: source.Uint32(), N: 3})
		first := time.Since(back)
		published := firstEvent(t, b, server.url(), &traffic.Life{Run: source.Uint32(), N: 2})
		t.Logf("outage %d: first 503 after %s; with NATS back: ready after %s, first 200 after %s, callback to event in %s",
			outage+1, round(refused), round(green), round(first), round(published))
	}
	cancel()
	l.Wait()
	waited := b.settled(t, 100*time.Second)
	all := traffic.Histories(t, server.url())
	events := traffic.Sound(t, all).Events
	b.judge(t, l.Ledger, all)
	t.Logf("%d events; the last payload was worked %s after the load ended", events, round(waited))
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// whileAway checks that a callback is answered 503 with Retry-After, and that kycbridge is not ready.
func whileAway(t *testing.T, b *bridge, one *traffic.Life) {
	t.Helper()
	w := one.Next(traffic.SayApproved)
	wait.For(t, 15*time.Second, "503 while NATS is away", func() bool {
		r, err := b.post(t.Context(), w.Body)
		if err != nil {
			t.Fatalf("callback while NATS is away: %v", err)
		}
		return r.Code == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != ""
	})
	wait.For(t, 10*time.Second, "readiness red while NATS is away",
		func() bool { return b.readyz() == http.StatusServiceUnavailable })
}

// firstAccepted posts a new payload until it is answered 200.
func firstAccepted(t *testing.T, b *bridge, one *traffic.Life) {
	t.Helper()
	w := one.Next(traffic.SayApproved)
	wait.For(t, 30*time.Second, "a 200 with NATS back", func() bool {
		r, err := b.post(t.Context(), w.Body)
		return err == nil && r.Code == http.StatusOK
	})
}

// firstEvent posts a new payload and waits for its event, as a consumer receives it.
func firstEvent(t *testing.T, b *bridge, url string, one *traffic.Life) time.Duration {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("kyc.event.v1.ondato.acme.completed." + one.VerificationID())
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	began, w := time.Now(), one.Next(traffic.SayApproved)
	wait.For(t, 15*time.Second, "a callback accepted", func() bool {
		r, err := b.post(t.Context(), w.Body)
		return err == nil && r.Code == http.StatusOK
	})
	if _, err := sub.NextMsg(75 * time.Second); err != nil {
		t.Fatalf("event of a callback that was answered 200: %v", err)
	}
	return time.Since(began)
}

// TestBusAway keeps the store in the process and stops the external bus: callbacks are still answered 200,
// and their events are published when the bus is back, without a restart.
func TestBusAway(t *testing.T) {
	long(t, "15 s")
	t.Parallel()
	source := random(t)
	server := newNATS(t)
	b := newBridge(t, fmt.Sprintf("bus: {url: %q}\n%s", server.url(), oneAccount))
	b.start(t)
	run := source.Uint32()
	posted := map[string]bool{}
	accept := func(n int) {
		t.Helper()
		one := &traffic.Life{Run: run, N: n}
		for _, say := range traffic.WholeLife {
			r, err := b.post(t.Context(), one.Next(say).Body)
			if err != nil || r.Code != http.StatusOK {
				t.Fatalf("callback: %d %s %v", r.Code, r.Text, err)
			}
		}
		posted[one.VerificationID()] = true
	}
	accept(1)
	b.settled(t, 20*time.Second)
	server.kill()
	wait.For(t, 10*time.Second, "the metric says that the bus is away", func() bool {
		return strings.Contains(b.metrics(), `kycbridge_nats_connected{connection="bus"} 0`)
	})
	if b.readyz() != http.StatusOK {
		t.Error("not ready, though callbacks can be taken: the proxy would send none")
	}
	for n := range 20 {
		accept(n + 2)
	}
	server.start(t)
	server.ready(t)
	waited := b.settled(t, 75*time.Second)
	all := traffic.Histories(t, server.url())
	events := traffic.Sound(t, all).Events
	for vid := range posted {
		history := all[vid]
		if len(history) == 0 || history[len(history)-1].Data.Decision.Outcome != "approved" {
			t.Errorf("verification %s: %d events, its verdict is not among them", vid, len(history))
		}
	}
	t.Logf("%d payloads accepted while the bus was away; all worked %s after it was back; %d events of %d payloads",
		20*len(traffic.WholeLife), round(waited), events, 21*len(traffic.WholeLife))
}
