package traffic

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/event"
)

// Record is one event as it is stored in the stream.
type Record struct {
	event.Event
	On  string // the NATS subject
	Seq uint64 // in the stream
}

// Histories reads all events in the order of the stream, grouped by verification.
func Histories(t *testing.T, url string, options ...nats.Option) map[string][]Record {
	t.Helper()
	nc, err := nats.Connect(url, options...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, "KYC_EVENTS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]Record{}
	if info.NumPending == 0 {
		return all
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		r, left := readRecord(t, messages)
		all[r.Subject] = append(all[r.Subject], r)
		if left == 0 {
			return all
		}
	}
}

func readRecord(t *testing.T, messages jetstream.MessagesContext) (r Record, left uint64) {
	t.Helper()
	m, err := messages.Next()
	if err != nil {
		t.Fatalf("read events: %v", err)
	}
	meta, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Decode(m.Data())
	if err != nil {
		t.Fatalf("event at %d: %v", meta.Sequence.Stream, err)
	}
	return Record{Event: e, On: m.Subject(), Seq: meta.Sequence.Stream}, meta.NumPending
}

// Describe formats a history for the message of a failed test.
func Describe(history []Record) string {
	var b strings.Builder
	for _, r := range history {
		d := r.Data
		fmt.Fprintf(&b, "\n  r%d %s %s %s %s/%s payload %s", d.Revision, r.Time, d.Provider.Event.Name, d.Status,
			d.Decision.Outcome, d.Provider.Status["kyc_status"], d.Payload.ID)
	}
	return b.String()
}

// Soundness counts the violations of the invariants of every history.
type Soundness struct {
	Events  int
	Doubled int // event ids or payloads that occur twice
	Forked  int // events outside the single sequence of revisions
}

// Sound checks the invariants of every history: a single sequence of revisions from 1 without fork or gap, each
// revision superseding the previous one, and no event id or payload twice.
func Sound(t *testing.T, all map[string][]Record) (s Soundness) {
	t.Helper()
	ids := map[string]bool{}
	for v, history := range all {
		payloads := map[string]bool{}
		for i, r := range history {
			s.Events++
			supersedes := ""
			if i > 0 {
				supersedes = event.ID(v, i)
			}
			if r.Data.Revision != i+1 || r.ID != event.ID(v, i+1) || r.Data.Supersedes != supersedes {
				s.Forked++
				t.Errorf("verification %s: event %d of the stream is revision %d, id %s, supersedes %q", v, i+1, r.Data.Revision,
					r.ID, r.Data.Supersedes)
			}
			if ids[r.ID] || payloads[r.Data.Payload.ID] {
				if s.Doubled++; s.Doubled <= 3 {
					t.Errorf("verification %s: revision %d repeats an event id or the payload of another:%s", v, r.Data.Revision,
						Describe(history))
				}
			}
			ids[r.ID], payloads[r.Data.Payload.ID] = true, true
			kind := strings.TrimSuffix(strings.TrimPrefix(r.Type, "io.kycbridge.verification."), ".v1")
			if want := "kyc.event.v1.ondato.acme." + kind + "." + v; r.On != want || r.Data.VerificationID != v {
				t.Errorf("subject %s, expected %s", r.On, want)
			}
		}
	}
	if s.Doubled > 0 {
		t.Errorf("%d events repeat an event id or the payload of another", s.Doubled)
	}
	return s
}
