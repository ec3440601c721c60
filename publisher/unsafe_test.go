package publisher

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// edited changes the settings of a stream, as an operator does.
func edited(t *testing.T, c *Connection, name string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	stream, err := c.js.Stream(t.Context(), name)
	must(t, err)
	config := stream.CachedInfo().Config
	change(&config)
	_, err = c.js.UpdateStream(t.Context(), config)
	must(t, err)
}

// TestNothingIsStoredInAnEditedStream: a log that may lose what it acknowledges takes no callback, until its settings
// are corrected. Quarantine is another stream.
func TestNothingIsStoredInAnEditedStream(t *testing.T) {
	_, store, _ := start(t, t.TempDir())
	p := payload("idv-1", "e1", "{}")
	for name, put := range map[string]func() error{
		testNames.payloads(): func() error { _, err := store.Append(t.Context(), p); return err },
		testNames.quarantine(): func() error {
			return store.Quarantine(t.Context(), p, kycbridge.QuarantineSchema, nil)
		},
	} {
		must(t, put())
		edited(t, store.Connection, name, func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardOld, 1 })
		_, err := store.Repair(t.Context())
		must(t, err)
		if err := put(); err == nil || !strings.Contains(err.Error(), "nats stream edit "+name+" --discard=new") {
			t.Errorf("%s takes a message: %v", name, err)
		}
		edited(t, store.Connection, name, func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardNew, -1 })
		_, err = store.Repair(t.Context())
		must(t, err)
		must(t, put())
	}
}

// TestAnEditedStreamIsNotReady: a setting that a start refuses makes a running process unready until it is corrected,
// and the reason contains the correction. Everything else is still repaired.
func TestAnEditedStreamIsNotReady(t *testing.T) {
	_, store, bus := start(t, t.TempDir())
	small := func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardOld, 1<<20 }
	back := func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardNew, -1 }
	edited(t, store.Connection, testNames.payloads(), small)
	edited(t, bus.Connection, testNames.events(), small)
	must(t, store.js.DeleteStream(t.Context(), testNames.starts()))
	if repaired, err := store.Repair(t.Context()); err != nil || len(repaired.Streams) != 1 {
		t.Errorf("%+v, %v", repaired, err)
	}
	_, err := bus.Repair(t.Context())
	must(t, err)
	for name, ready := range map[string]error{
		testNames.payloads(): store.Ready(t.Context()), testNames.events(): bus.Ready(t.Context())} {
		if ready == nil || !strings.Contains(ready.Error(), "nats stream edit "+name+" --discard=new") {
			t.Errorf("%s: %v", name, ready)
		}
	}
	edited(t, store.Connection, testNames.payloads(), back)
	edited(t, bus.Connection, testNames.events(), back)
	for range 2 {
		_, err = store.Repair(t.Context())
		must(t, err)
		_, err = bus.Repair(t.Context())
		must(t, err)
	}
	must(t, store.Ready(t.Context()))
	must(t, bus.Ready(t.Context()))
}

// TestAnEditedStreamIsFoundBesideAnError: a stream that cannot be checked or repaired does not hide that another one
// was edited, nor does what is known of a stream end because of it.
func TestAnEditedStreamIsFoundBesideAnError(t *testing.T) {
	_, store, _ := start(t, t.TempDir())
	loses := func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardOld, 1 }
	p := payload("idv-1", "e1", "{}")
	_, err := store.Append(t.Context(), p)
	must(t, err)
	edited(t, store.Connection, testNames.access(), func(c *jetstream.StreamConfig) { c.Subjects = []string{"other.>"} })
	edited(t, store.Connection, testNames.payloads(), loses)
	for range 2 {
		if _, err := store.Repair(t.Context()); err == nil || !strings.Contains(err.Error(), testNames.access()) {
			t.Errorf("repaired: %v", err)
		}
		if _, err := store.Append(t.Context(), p); err == nil || !strings.Contains(err.Error(), testNames.payloads()) {
			t.Errorf("the log takes a message: %v", err)
		}
	}
}

// TestNothingIsStoredBesideAnEditedStreamOfKeys: a body without its key is lost, so nothing that is encrypted is stored
// while the stream of keys may lose them.
func TestNothingIsStoredBesideAnEditedStreamOfKeys(t *testing.T) {
	server, store, _ := start(t, t.TempDir())
	sealing, _ := openStreams(t, server)
	seal(t, sealing, masterOf(t, masterKeys(t, "m")))
	p := payload("idv-1", "e1", "{}")
	name := testNames.keyPages()
	edited(t, store.Connection, name, func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardOld, 1 })
	for _, s := range []*Store{store, sealing} {
		_, err := s.Repair(t.Context())
		must(t, err)
	}
	const correction = "nats stream edit KYC_KEYS --discard=new"
	if _, err := sealing.Append(t.Context(), p); err == nil || !strings.Contains(err.Error(), correction) {
		t.Errorf("the log takes a message: %v", err)
	}
	err := sealing.Quarantine(t.Context(), p, kycbridge.QuarantineSchema, nil)
	if err == nil || !strings.Contains(err.Error(), correction) {
		t.Errorf("quarantine takes a message: %v", err)
	}
	_, err = store.Append(t.Context(), p)
	must(t, err)
}
