package test

import (
	"context"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/event"
)

// TestReplayKilled: a replay with other settings, during live traffic, is killed five times and run again. Every
// verification gets exactly one revision from it, and no history forks or has a gap.
func TestReplayKilled(t *testing.T) {
	t.Parallel()
	const verifications = 4000
	rnd := random(t)
	b := newBridge(t, oneAccount)
	b.start(t)
	post := func(n, seq int, event, status string) bool {
		r, err := b.post(t.Context(), kycHook(n, seq, event, status, ""))
		return err == nil && r.Code == 200
	}
	var posting sync.WaitGroup
	for worker := range 32 {
		posting.Go(func() {
			for n := worker; n < verifications; n += 32 {
				if !post(n, 1, "Processed", "Awaiting") {
					t.Errorf("payload of verification %d was not taken", n)
				}
			}
		})
	}
	posting.Wait()
	b.settled(t, time.Minute)

	// The account now has a reviewer, so what was processing is in review.
	raw, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	other := b.config + ".reviewed.yaml"
	writeFile(t, other, strings.Replace(string(raw), "    confirm: false\n",
		"    confirm: false\n    manual_review: true\n", 1))

	// Live traffic: verdicts for some verifications that are being replayed, and new verifications.
	live, stop := context.WithCancel(t.Context())
	var traffic sync.WaitGroup
	var verdicts atomic.Int32
	traffic.Go(func() {
		for n := 0; live.Err() == nil && n < verifications; n += 20 {
			if post(n, 2, "Approved", "Approved") {
				verdicts.Add(1)
			}
			post(verifications+n, 1, "Processed", "Awaiting")
			time.Sleep(2 * time.Millisecond) // a steady trickle
		}
	})
	replay := func() *process {
		return startProcess(t, "kycbridge", "payloads", "replay", "--config", other, "--yes", "--until",
			time.Now().Add(time.Minute).UTC().Format(time.RFC3339))
	}
	kills := 0
	for range 5 {
		p := replay()
		select {
		case <-p.ended:
		case <-time.After(time.Duration(150+rnd.IntN(350)) * time.Millisecond):
			p.kill()
			kills++
		}
	}
	stop()
	traffic.Wait()
	b.settled(t, time.Minute)
	last := replay()
	<-last.ended
	if code := last.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("the last replay ended with %d:\n%s", code, last.stderr.tail())
	}
	t.Logf("killed %d times; the last run said: %s", kills, strings.TrimSpace(last.stderr.tail()))
	again := replay()
	<-again.ended
	if !strings.Contains(again.stdout.String()+again.stderr.String(), " 0 ") {
		t.Logf("a further run said: %s", again.stderr.tail())
	}
	checkReplayed(t, b, verifications, int(verdicts.Load()))
}

// checkReplayed reads every history: no gap, no fork, and one replayed revision for each verification in review.
func checkReplayed(t *testing.T, b *bridge, verifications, verdicts int) {
	t.Helper()
	nc, err := nats.Connect(b.eventsURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(t.Context(), "KYC_EVENTS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	histories := map[string][]event.Event{}
	for range consumer.CachedInfo().NumPending {
		m, err := messages.Next()
		if err != nil {
			t.Fatal(err)
		}
		e, err := event.Decode(m.Data())
		if err != nil {
			t.Fatal(err)
		}
		histories[e.Data.VerificationID] = append(histories[e.Data.VerificationID], e)
	}
	approved, reviewed := 0, 0
	for id, events := range histories {
		replayed := 0
		for i, e := range events {
			if e.Data.Revision != i+1 {
				t.Fatalf("%s has revision %d at place %d\n%s", id, e.Data.Revision, i+1, historyOf(events))
			}
			if e.Data.Provider.Event.Via == event.ViaReplay {
				replayed++
			}
		}
		switch d := events[len(events)-1].Data; {
		case d.Decision.Outcome == event.OutcomeApproved:
			approved++
		case d.Status == event.StatusInReview && replayed == 1:
			reviewed++
		default:
			t.Fatalf("%s was replayed %d times\n%s", id, replayed, historyOf(events))
		}
		if replayed > 1 {
			t.Fatalf("%s was replayed %d times\n%s", id, replayed, historyOf(events))
		}
	}
	if approved != verdicts || approved+reviewed != len(histories) || len(histories) < verifications {
		t.Errorf("%d histories: %d approved of %d, %d in review", len(histories), approved, verdicts, reviewed)
	}
}
