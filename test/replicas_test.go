package test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/traffic"
)

// TestReplicas sends the same thousand payloads in any order, each twice, to two processes on one NATS, and finds one
// history per verification with the result of ordered processing.
func TestReplicas(t *testing.T) {
	long(t, "30 s")
	t.Parallel()
	source := random(t)
	for range 3 {
		seed := source.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) { replicas(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func replicas(t *testing.T, source *rand.Rand) {
	server := newNATS(t)
	external := fmt.Sprintf("store: {url: %q}\nbus: {url: %q}\n%s", server.url(), server.url(), oneAccount)
	both := [2]*bridge{newBridge(t, external), newBridge(t, external)}
	for _, b := range both {
		b.start(t)
	}
	newest, payloads := crowd(source, 50, 20)
	began := time.Now()
	duplicates := deliverTwice(t, both, payloads, source)
	sent := time.Since(began)
	both[0].settled(t, 75*time.Second)
	worked := time.Since(began)

	all := traffic.Histories(t, server.url())
	events := traffic.Sound(t, all).Events
	for vid, w := range newest {
		history := all[vid]
		if len(history) == 0 {
			t.Errorf("verification %s has no event", vid)
			continue
		}
		last := history[len(history)-1].Data
		if last.Status != event.StatusCompleted || last.Decision.Outcome != w.Verdict || !last.Decision.Final ||
			last.Decision.DecidedAt != w.DecidedAt {
			t.Errorf("verification %s ends as %s %+v, its newest verdict is %s of %s", vid, last.Status, last.Decision,
				w.Verdict, w.DecidedAt)
		}
		if explained := len(last.Reasons) > 0; explained != (w.Verdict == event.OutcomeRejected) {
			t.Errorf("verification %s ends %s with reasons %v", vid, w.Verdict, last.Reasons)
		}
	}
	if len(all) != len(newest) || duplicates != len(payloads) {
		t.Errorf("%d histories of %d verifications; %d duplicates of %d payloads", len(all), len(newest), duplicates,
			len(payloads))
	}
	t.Logf("%d payloads sent twice in %s, all worked after %s; %d events, %d verifications", len(payloads), round(sent),
		round(worked), events, len(all))
}

// crowd writes verifications of steps payloads each: the usual beginning, and then random ones, most of them
// verdicts. It returns the payloads and the newest verdict of each verification.
func crowd(source *rand.Rand, lives, steps int) (newest map[string]traffic.Webhook, payloads [][]byte) {
	newest = map[string]traffic.Webhook{}
	later := []string{traffic.SayRejected, traffic.SayApproved, traffic.SayRejected, traffic.SayApproved,
		traffic.SayUpdated, traffic.SayProcessed, traffic.SayCompleted}
	run := source.Uint32()
	for n := range lives {
		one := &traffic.Life{Run: run, N: n}
		for step := range steps {
			say := traffic.WholeLife[min(step, len(traffic.WholeLife)-1)]
			if step >= len(traffic.WholeLife) {
				say = later[source.IntN(len(later))]
			}
			w := one.Next(say)
			if w.Verdict != "" {
				newest[one.VerificationID()] = w
			}
			payloads = append(payloads, w.Body)
		}
	}
	return newest, payloads
}

// deliverTwice posts every payload twice, shuffled, to either process, with sixteen callers, and returns how many
// were duplicates.
func deliverTwice(t *testing.T, both [2]*bridge, payloads [][]byte, source *rand.Rand) (duplicates int) {
	t.Helper()
	type delivery struct {
		to   *bridge
		body []byte
	}
	queue := make(chan delivery, 2*len(payloads))
	for _, i := range source.Perm(2 * len(payloads)) {
		queue <- delivery{both[source.IntN(2)], payloads[i%len(payloads)]}
	}
	close(queue)
	var mu sync.Mutex
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for d := range queue {
				r, err := d.to.post(context.Background(), d.body)
				if err != nil || r.Code != http.StatusOK {
					t.Errorf("callback: %d %s %v", r.Code, r.Text, err)
				}
				if r.Status == kycbridge.ReceiptDuplicate {
					mu.Lock()
					duplicates++
					mu.Unlock()
				}
			}
		})
	}
	callers.Wait()
	return duplicates
}

// TestLateVerdict sends a verdict after newer facts, and its successors: a late verdict does not allow facts that are
// older than the applied ones, and a repeated one adds nothing.
func TestLateVerdict(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.start(t)
	for n, c := range []struct {
		name    string
		order   []int // of the webhooks 0, 1: approved; 2, 3: processed
		events  int
		address string // of the last event
	}{
		{"older facts after it", []int{3, 0, 2}, 2, "4 Example Street"},
		{"repeated", []int{2, 1, 1}, 2, "3 Example Street"},
		{"repeated after newer facts", []int{1, 2, 1}, 2, "2 Example Street"}, // the approval keeps its person
	} {
		one := &traffic.Life{Run: 0x1a, N: n}
		webhooks := []traffic.Webhook{one.Next(traffic.SayApproved), one.Next(traffic.SayApproved),
			one.Next(traffic.SayProcessed), one.Next(traffic.SayProcessed)}
		for i, at := range c.order {
			// A provider that repeats a message gives it a new id, so it is stored again.
			body := bytes.Replace(webhooks[at].Body, []byte(`"id":"e`), fmt.Appendf(nil, `"id":"e%d`, i), 1)
			if r, err := b.post(t.Context(), body); err != nil || r.Status != kycbridge.ReceiptAccepted {
				t.Fatalf("%s: %d %s %v", c.name, r.Code, r.Text, err)
			}
		}
		b.settled(t, 20*time.Second)
		history := traffic.Histories(t, b.eventsURL())[one.VerificationID()]
		last := history[len(history)-1].Data
		claim, _ := last.ExtractedClaims["address"].(map[string]any)
		if len(history) != c.events || last.Decision.Outcome != event.OutcomeApproved || claim["formatted"] != c.address {
			t.Errorf("%s: %d events, expected %d; the last says %s, address %v, expected %s:%s",
				c.name, len(history), c.events, last.Decision.Outcome, claim["formatted"], c.address, traffic.Describe(history))
		}
	}
}
