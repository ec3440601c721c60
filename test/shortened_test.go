package test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

// TestOldNeverOverwritesNewWithAShortLog: the published verdict counts as a fact, independent of the payload log: for
// late payloads, and for a replay.
func TestOldNeverOverwritesNewWithAShortLog(t *testing.T) {
	t.Parallel()
	s := newStore(t, "{bearer: [token-long-enough]}")
	// A step is one of: a message, given by its status and its minute; "drop", which removes the payload or event at a
	// place, counted from 0, or all payloads; and "replay".
	cases := []struct {
		name  string
		steps []string
		want  event.Outcome
	}{
		{"a late older approval, the log empty", []string{"Rejected 2", "drop all", "Approved 1"}, event.OutcomeRejected},
		{"a newer approval, the log empty", []string{"Rejected 2", "drop all", "Approved 3"}, event.OutcomeApproved},
		{"a late older rejection, the log empty", []string{"Approved 2", "drop all", "Rejected 1"}, event.OutcomeApproved},
		{"a replay without the newest verdict", []string{"Approved 1", "Rejected 2", "drop payload 1", "replay"},
			event.OutcomeRejected},
		{"a replay without the newest verdict and its event",
			[]string{"Approved 1", "Rejected 2", "Updated 3", "drop payload 1", "drop event 1", "replay"},
			event.OutcomeRejected},
		{"a replay without the verdict that an older one came after",
			[]string{"Rejected 2", "Approved 1", "drop payload 0", "replay"}, event.OutcomeRejected},
	}
	for n, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, step := range c.steps {
				s.step(t, n, step)
			}
			state, err := s.app.State(t.Context(), kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: idOf(n)})
			if err != nil || state.Decision.Outcome != c.want {
				t.Errorf("%+v, %v; want %s", state.Decision, err, c.want)
			}
		})
	}
}

// step runs one step with verification n.
func (s *store) step(t *testing.T, n int, step string) {
	t.Helper()
	words := strings.Fields(step)
	switch words[0] {
	case "replay":
		s.replay(archive.ReplayOptions{Filter: archive.Filter{Verification: idOf(n)}})
	case "drop":
		s.drop(t, n, words[1], strings.Join(words[2:], ""))
	default:
		status := words[0]
		if status == "Updated" {
			status = "Rejected"
		}
		body := kycHook(n, int(words[1][0]-'0'), words[0], status, "")
		if words[0] == "Updated" {
			body = []byte(strings.Replace(string(body), `"type":"Passport"`, `"type":"IdCard"`, 1))
		}
		if _, err := s.app.Ingest(t.Context(), s.account,
			kycbridge.Payload{Via: event.ViaCallback, ReceivedAt: time.Now(), ContentType: "application/json",
				Body: body}); err != nil {
			t.Fatal(err)
		}
		s.settled(time.Minute)
	}
}

// drop removes payloads or an event of verification n, as retention, damage or a purge does.
func (s *store) drop(t *testing.T, n int, what, place string) {
	t.Helper()
	nc, err := nats.Connect(s.app.ClientURL(), nats.UserInfo("kycbridge", operatorPassword(t, s.dir)))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	name, subject := "KYC_PAYLOADS", "kyc.payload.ondato.acme."+idOf(n)
	if what == "event" {
		name, subject = "KYC_EVENTS", "kyc.event.v1.ondato.acme.*."+idOf(n)
	}
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for seq, at := uint64(1), '0'; ; at++ {
		raw, err := stream.GetMsg(t.Context(), seq, jetstream.WithGetMsgSubject(subject))
		if err != nil {
			return // no more messages
		}
		if what == "all" || place == string(at) {
			if err := stream.DeleteMsg(t.Context(), raw.Sequence); err != nil {
				t.Fatal(err)
			}
		}
		seq = raw.Sequence + 1
	}
}
