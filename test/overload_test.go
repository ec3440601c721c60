package test

import (
	"context"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kycbridge/test/wait"
)

// manySenders are so many connections that callbacks which wait for a moment each still arrive too fast.
const manySenders = 700

// TestOverload: callbacks arrive faster than four workers make events of them. From a few connections they wait for a
// moment, so that events stay close behind. From many they are slowed down before events are far behind, none is lost,
// and when the load ends the events catch up.
func TestOverload(t *testing.T) {
	long(t, "half a minute")
	b := newBridge(t, "normalize: {workers: 4}\n"+oneAccount)
	b.start(t)
	value := func(name string) float64 {
		v, ok := b.metric(name)
		if !ok {
			return -1
		}
		return v
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var sending sync.WaitGroup
	var next, accepted, refused atomic.Int64
	send := func() {
		for ctx.Err() == nil {
			n := int(next.Add(1))
			for ctx.Err() == nil {
				reply, err := b.post(t.Context(), kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified"))
				if err == nil && reply.Code == http.StatusOK {
					accepted.Add(1)
					break
				}
				if err != nil || reply.Code != http.StatusServiceUnavailable {
					t.Errorf("callback %d: %d, %v", n, reply.Code, err)
					return
				}
				refused.Add(1)
			}
		}
	}
	for range 24 {
		sending.Go(send)
	}
	time.Sleep(5 * time.Second)
	// 512 decoded bodies wait at most, beside those in work and those that are just being stored.
	if few := value("kycbridge_backlog_payloads"); few < 0 || few > 700 || accepted.Load() < 1000 {
		t.Errorf("from 24 connections: %d accepted, %.0f wait", accepted.Load(), few)
	}
	for range manySenders {
		sending.Go(send)
	}
	wait.For(t, time.Minute, "callbacks are slowed down", func() bool { return value("kycbridge_callbacks_slowed") == 1 })
	// The speed of a busy machine changes from second to second. The promise limits the backlog in seconds of work, and
	// that it decreases to this limit or to 1,000 payloads. Three fifths of the rate of processing are left for that:
	// where processing has become four times slower, it takes a quarter of a minute.
	seconds, after := math.Inf(1), math.Inf(1)
	slowedAt, refusedBefore := time.Now(), refused.Load()
	for window := 0; window < 9 && seconds > 5 && after > 1000; window++ {
		before, began, backlog := accepted.Load(), time.Now(), value("kycbridge_backlog_payloads")
		time.Sleep(10 * time.Second)
		took := time.Since(began).Seconds()
		after = value("kycbridge_backlog_payloads")
		taken := float64(accepted.Load() - before)
		done := taken + backlog - after // processed meanwhile
		seconds = after / (done / took)
		t.Logf("%d accepted, %d answered 503; slowed down to %.0f a second while %.0f were processed; %.0f waited, %.0f s "+
			"later %.0f, %.1f s of work", accepted.Load(), refused.Load(), taken/took, done/took, backlog, took, after, seconds)
	}
	// A connection repeats its callback as soon as it is answered 503. That takes a while, so that answering 503 does not
	// take the processor time that events need.
	if perSecond := float64(refused.Load()-refusedBefore) / time.Since(slowedAt).Seconds(); perSecond > manySenders {
		t.Errorf("%.0f callbacks a second are answered 503", perSecond)
	}
	stop()
	sending.Wait()
	if seconds > 5 && after > 1000 {
		t.Errorf("callbacks are slowed down, and %.1f s of work wait", seconds)
	}
	wait.For(t, time.Minute, "the events catch up", func() bool { return value("kycbridge_backlog_payloads") == 0 })
	if slowed := func() bool { return value("kycbridge_callbacks_slowed") == 0 }; !slowed() {
		wait.For(t, 10*time.Second, "callbacks are no longer slowed down", slowed)
	}
	events, err := b.operator(t).Stream(t.Context(), "KYC_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if n := events.CachedInfo().State.Msgs; n != uint64(accepted.Load()) {
		t.Errorf("%d events of %d accepted callbacks", n, accepted.Load())
	}
}
