package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/event"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// copyOfStream copies the folder of a stream and returns a function that restores the copy.
func copyOfStream(t *testing.T, dir, stream string) (restore func()) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", stream))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	backup := t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(found[0])); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.RemoveAll(found[0]); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(found[0], os.DirFS(backup)); err != nil {
			t.Fatal(err)
		}
	}
}

// reject posts a rejection of each verification from first to last, newer than the earlier messages.
func (b *bridge) reject(t *testing.T, first, last int) {
	t.Helper()
	for n := first; n <= last; n++ {
		r, err := b.post(t.Context(), kycHook(n, 2, "Rejected", "Rejected", "PoorPhotoQuality"))
		if err != nil || r.Code != http.StatusOK {
			t.Fatalf("callback %d is answered %d, %v; the end of the log:\n%s", n, r.Code, err, b.stderr.tail())
		}
	}
}

// content is the part of a record that must be the same after a regeneration.
func content(t *testing.T, r traffic.Record) string {
	t.Helper()
	data, err := json.Marshal(r.Data)
	if err != nil {
		t.Fatal(err)
	}
	return r.ID + " " + string(data)
}

// histories waits until each verification from first to last has this number of revisions.
func (b *bridge) histories(t *testing.T, url string, first, last, revisions int) map[string][]traffic.Record {
	t.Helper()
	var all map[string][]traffic.Record
	wait.For(t, 30*time.Second, fmt.Sprintf("%d revisions of each", revisions), func() bool {
		all = traffic.Histories(t, url)
		for n := first; n <= last; n++ {
			if len(all[idOf(n)]) != revisions {
				return false
			}
		}
		return true
	})
	return all
}

// TestEventsFromAnOlderCopy restores an older copy of the event stream, and then removes the whole stream. The
// events after the copy are regenerated with the same ids and content, and they and all later ones state
// that the history was restored. The next revision follows them, and the report accounts for everything.
func TestEventsFromAnOlderCopy(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.start(t)
	b.approve(t, 1, 6)
	b.settled(t, 20*time.Second)
	b.stop(t)
	restore := copyOfStream(t, b.dir, "KYC_EVENTS")
	b.start(t)
	b.reject(t, 1, 4)
	b.approve(t, 7, 9)
	b.settled(t, 20*time.Second)
	b.histories(t, b.eventsURL(), 5, 9, 1)
	before := b.histories(t, b.eventsURL(), 1, 4, 2)
	wait.For(t, 20*time.Second, "it is written down how far the stream reaches", func() bool {
		return len(filesWith(t, filepath.Join(b.dir, "jetstream"), []string{`KYC_EVENTS.reach{"last":13}`})) > 0
	})
	for _, damage := range []struct {
		name string
		do   func()
	}{{"older", restore}, {"gone", func() { remove(t, b.dir, "KYC_EVENTS") }}} {
		name := damage.name
		b.stop(t)
		damage.do()
		b.start(t)
		after := b.histories(t, b.eventsURL(), 1, 4, 2)
		b.histories(t, b.eventsURL(), 5, 9, 1)
		for n := 1; n <= 9; n++ {
			for i, r := range after[idOf(n)] {
				if now, then := content(t, r), content(t, before[idOf(n)][i]); now != then {
					t.Errorf("%s: revision %d of %d is\n%s, it was\n%s", name, i+1, n, now, then)
				}
				if again := name == "gone" || i == 1 || n > 6; again != (r.RestoredTime != "") {
					t.Errorf("%s: revision %d of %d says restoredtime %q", name, i+1, n, r.RestoredTime)
				}
			}
		}
		if said := strings.Count(b.stderr.String(), "a stream has become shorter"); said != 1 {
			t.Errorf("%s: it is reported %d times:\n%s", name, said, b.stderr.String())
		}
		if r := b.report(t); r.code != 0 {
			t.Errorf("%s: the report says %+v", name, r)
		}
	}
	b.reject(t, 5, 5)
	if b.histories(t, b.eventsURL(), 5, 5, 2)[idOf(5)][1].RestoredTime == "" {
		t.Error("what follows does not say that the history was restored")
	}
}

// TestEventsCutOff damages the event stream of an external NATS under a running kycbridge, so that the server drops
// the messages after the damage. The events are regenerated, and a consumer that had read all of them receives them
// again.
func TestEventsCutOff(t *testing.T) {
	t.Parallel()
	server, b := external(t)
	b.approve(t, 1, 60)
	b.settled(t, 20*time.Second)
	received := func() (restored map[string]string) {
		nc, err := nats.Connect(server.url())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		consumer, err := js.CreateOrUpdateConsumer(t.Context(), "KYC_EVENTS",
			jetstream.ConsumerConfig{Durable: "onboarding", AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			t.Fatal(err)
		}
		batch, err := consumer.Fetch(100, jetstream.FetchMaxWait(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		restored = map[string]string{}
		for m := range batch.Messages() {
			var e event.Event
			if err := errors.Join(json.Unmarshal(m.Data(), &e), m.DoubleAck(t.Context())); err != nil {
				t.Fatal(err)
			}
			restored[e.Subject] = e.RestoredTime
		}
		return restored
	}
	if n := len(received()); n != 60 {
		t.Fatalf("the consumer hears %d verifications", n)
	}
	server.terminate(t)
	block := blocks(t, filepath.Dir(server.config)+"/store", "KYC_EVENTS")[0]
	flip(t, block, func(raw []byte) int { return recordAt(raw, 30) }, 3)
	server.start(t)
	server.ready(t)
	wait.For(t, 20*time.Second, "readiness back", func() bool { return b.readyz() == http.StatusOK })
	b.approve(t, 101, 105)
	b.settled(t, 20*time.Second)
	all := b.histories(t, server.url(), 1, 60, 1)
	again := received()
	for n := 1; n <= 60; n++ {
		r := all[idOf(n)][0]
		if after := r.Seq > 30; after != (r.RestoredTime != "") || after != (again[idOf(n)] != "") {
			t.Errorf("event %d of %d says restoredtime %q; the consumer has heard %q", r.Seq, n, r.RestoredTime, again[idOf(n)])
		}
	}
	if said := strings.Count(b.stderr.String(), "a stream has become shorter: "); said != 1 {
		t.Errorf("it is reported %d times:\n%s", said, b.stderr.String())
	}
	if r := b.report(t); r.code != 0 {
		t.Errorf("the report says %+v", r)
	}
}

// TestAllDataRestoredFromAnOlderCopy replaces all data of an external NATS by an older copy under a running
// kycbridge. The data contains no trace of the loss, but the process detects it. It is logged, the report lists the
// sequences of the log, and new events state that the history was restored.
func TestAllDataRestoredFromAnOlderCopy(t *testing.T) {
	t.Parallel()
	server, b := external(t)
	b.approve(t, 1, 6)
	b.settled(t, 20*time.Second)
	data, backup := filepath.Dir(server.config)+"/store", t.TempDir()
	server.terminate(t)
	if err := os.CopyFS(backup, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	server.start(t)
	server.ready(t)
	wait.For(t, 20*time.Second, "readiness back", func() bool { return b.readyz() == http.StatusOK })
	b.approve(t, 7, 9)
	b.settled(t, 20*time.Second)
	server.terminate(t)
	if err := errors.Join(os.RemoveAll(data), os.CopyFS(data, os.DirFS(backup))); err != nil {
		t.Fatal(err)
	}
	server.start(t)
	server.ready(t)
	wait.For(t, 20*time.Second, "readiness back", func() bool { return b.readyz() == http.StatusOK })
	b.approve(t, 101, 102)
	b.reject(t, 5, 5)
	all := b.histories(t, server.url(), 101, 102, 1)
	for _, r := range []traffic.Record{all[idOf(101)][0], b.histories(t, server.url(), 5, 5, 2)[idOf(5)][1]} {
		if r.RestoredTime == "" {
			t.Errorf("revision %d of %s does not say that the history was restored", r.Data.Revision, r.Subject)
		}
	}
	wait.For(t, 20*time.Second, "both streams are told to be shorter", func() bool {
		log := b.stderr.String()
		return strings.Contains(log, `had_come_to":9`) && strings.Count(log, "has become shorter") == 2
	})
	wait.For(t, 20*time.Second, "the report names what is gone", func() bool {
		r := b.report(t)
		return r.code == 1 && r.MissingAll == 3 && r.Missing[0].Seq == 7 && r.Missing[2].Seq == 9
	})
}

// TestRestoredByConfiguration states in the configuration that all data was restored from an older copy: new events
// state it, also after the setting is removed.
func TestRestoredByConfiguration(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.start(t)
	b.approve(t, 1, 2)
	b.settled(t, 20*time.Second)
	b.stop(t)
	before, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, b.config, string(before)+"integrity: {restored: 2026-03-02T09:00:00Z}\n")
	b.start(t)
	b.reject(t, 1, 1)
	first := b.histories(t, b.eventsURL(), 1, 1, 2)
	b.stop(t)
	writeFile(t, b.config, string(before))
	b.start(t)
	b.reject(t, 2, 2)
	second := b.histories(t, b.eventsURL(), 2, 2, 2)
	for _, history := range [][]traffic.Record{first[idOf(1)], second[idOf(2)]} {
		if history[0].RestoredTime != "" || history[1].RestoredTime != "2026-03-02T09:00:00Z" {
			t.Errorf("restoredtime is %q and then %q", history[0].RestoredTime, history[1].RestoredTime)
		}
	}
}
