package test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/test/traffic"
)

// TestLiveEventsAreStored sends the payloads of the same verifications to three processes on one NATS at
// the same time. A live subscriber receives exactly the content of the stream, in its order.
func TestLiveEventsAreStored(t *testing.T) {
	t.Parallel()
	server := newNATS(t)
	external := fmt.Sprintf("store: {url: %q}\nbus: {url: %q}\n%s", server.url(), server.url(), oneAccount)
	var processes []*bridge
	for range 3 {
		b := newBridge(t, external)
		b.start(t)
		processes = append(processes, b)
	}
	nc, err := nats.Connect(server.url())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	live, err := nc.SubscribeSync("kyc.event.v1.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := live.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for n := range 60 {
		one := &traffic.Life{Run: 0x4ea4d, N: n}
		var all sync.WaitGroup
		for i, say := range []string{traffic.SayApproved, traffic.SayRejected, traffic.SayApproved, traffic.SayRejected,
			traffic.SayApproved, traffic.SayUpdated} {
			body := one.Next(say).Body
			all.Go(func() {
				if r, err := processes[i%3].post(context.Background(), body); err != nil || r.Code != 200 {
					t.Errorf("callback: %d %s %v", r.Code, r.Text, err)
				}
			})
		}
		all.Wait()
	}
	processes[0].settled(t, 30*time.Second)
	held := eventsIn(t, nc)
	var received []string
	for range held {
		m, err := live.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("received %d of %d events: %v", len(received), len(held), err)
		}
		received = append(received, eventLine(t, m.Subject, m.Data))
	}
	if diff := cmp.Diff(held, received); diff != "" {
		t.Errorf("(-held +received):\n%s", diff)
	}
	if m, err := live.NextMsg(500 * time.Millisecond); err == nil {
		t.Errorf("received an event that the stream does not hold: %s", eventLine(t, m.Subject, m.Data))
	}
	traffic.Sound(t, traffic.Histories(t, server.url()))
	t.Logf("%d events", len(held))
}

// eventsIn are the events of the stream, oldest first.
func eventsIn(t *testing.T, nc *nats.Conn) (events []string) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(t.Context(), "KYC_EVENTS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for left := uint64(1); left > 0; {
		m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		events, left = append(events, eventLine(t, m.Subject(), m.Data())), meta.NumPending
	}
	return events
}

// eventLine is an event in a line.
func eventLine(t *testing.T, subject string, body []byte) string {
	t.Helper()
	var e struct {
		ID   string `json:"id"`
		Data struct {
			Revision int            `json:"revision"`
			Status   string         `json:"status"`
			Decision map[string]any `json:"decision"`
			Payload  map[string]any `json:"payload"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	return fmt.Sprint(subject, " ", e.ID, " ", e.Data.Revision, " ", e.Data.Status, " ", e.Data.Decision["outcome"], " ",
		e.Data.Payload["id"])
}
