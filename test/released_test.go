package test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/fixture"
)

// releasedEvents contains the events that mapping 1 published for the fixtures of its time. Every event that was ever
// released stays here.
const releasedEvents = "fixture/released/1"

// keptPath is a path whose verification was processed by an earlier mapping: its payload is stored and its event
// published.
type keptPath struct {
	*path
	published *kycbridge.Revision
	again     *event.Event
}

func (k *keptPath) Last(context.Context, kycbridge.Key, bool) (kycbridge.State, error) {
	return kycbridge.State{Data: k.published, Seq: 1, Read: true}, nil
}

func (k *keptPath) Publish(_ context.Context, _ kycbridge.Key, e kycbridge.Outgoing, after uint64) error {
	if after != 1 {
		return fmt.Errorf("published after %d", after)
	}
	k.again = e.Event
	return nil
}

func (k *keptPath) WasErased(context.Context, kycbridge.Payload) (bool, error) { return false, nil }

func (k *keptPath) History(_ context.Context, _ kycbridge.Key, each func(kycbridge.Payload) error) error {
	return each(*k.memory.stored)
}

// replayed lists the changes that a replay with the current mapping makes in the event that mapping 1 published for a
// fixture: one line per place.
func replayed(t *testing.T, c fixture.Case, old []byte) []string {
	t.Helper()
	set, err := sharedSchemas()
	if err != nil {
		t.Fatal(err)
	}
	then, err := event.Decode(old)
	if err != nil {
		t.Fatal(err)
	}
	k := &keptPath{path: newPath(set, c), published: &kycbridge.Revision{Data: then.Data}}
	at := c.ReceivedAt
	if at.IsZero() {
		at = received
	}
	stored := kycbridge.Payload{Via: c.Via, ReceivedAt: at, ContentType: "application/json", Body: c.Body}
	receipt, err := k.intake.Ingest(t.Context(), k.account, stored)
	if err != nil || receipt.Status == kycbridge.ReceiptQuarantined {
		t.Fatalf("%+v %v", receipt, err)
	}
	k.normalizer.Events, k.normalizer.Log = k, k
	r := kycbridge.Replayer{
		Normalizer: &k.normalizer,
		Examine:    k.intake.Decode,
		Unmapped:   func(string) bool { return false },
		Base: func(context.Context, kycbridge.Key, []kycbridge.Payload) (*kycbridge.Revision, error) {
			return nil, nil
		},
	}
	out, again, err := r.Replay(t.Context(),
		kycbridge.Key{Provider: c.Provider, Account: "acme", VerificationID: receipt.VerificationID})
	if err != nil || out.Blocked != "" {
		t.Fatalf("%v, blocked by %s", err, out.Why)
	}
	var lines []string
	for _, d := range out.Differences() {
		lines = append(lines, c.Dir()+" "+d.Path)
	}
	if (again != nil) != (len(lines) > 0) || again != nil &&
		(again.Data.Revision != then.Data.Revision+1 || again.Data.Payload.Mapping != "2") {
		t.Errorf("%d differences, event %+v", len(lines), again)
	}
	return lines
}

// TestReplayFromMapping1: a replay of what mapping 1 has published makes exactly the changes in differences.txt. Each
// line was reviewed when it was added.
func TestReplayFromMapping1(t *testing.T) {
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	var lines []string
	for _, c := range cases {
		old, err := os.ReadFile(filepath.Join(releasedEvents, filepath.FromSlash(c.Dir())+".json"))
		if os.IsNotExist(err) {
			continue // a later fixture, or one without an event
		}
		if err != nil {
			t.Fatal(err)
		}
		read++
		lines = append(lines, replayed(t, c, old)...)
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	list := filepath.Join(releasedEvents, "differences.txt")
	if *update {
		if err := os.WriteFile(list, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" || read < 60 {
		t.Errorf("%d events of mapping 1; the differences are others (-listed +found):\n%s", read, diff)
	}
}
