package publisher

import (
	"strings"
	"testing"
	"time"

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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// TestNothingIsErasedWithUnsafeHolds: while the stream of holds or that of erased verifications may lose messages, no
// hold is stored, no erasure begins and no open session is scheduled in a stream that may lose it.
func TestNothingIsErasedWithUnsafeHolds(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	k := key(payload("idv-1", "e1", "{}"))
	hold := func() error {
		return store.PutHold(t.Context(), kycbridge.Hold{Provider: k.Provider, Account: k.Account,
			VerificationID: k.VerificationID, Reason: "a case", By: "legal", Since: time.Now()})
	}
	claim := func() error {
		end, err := store.ClaimOne(t.Context(), kycbridge.Key{Provider: k.Provider, Account: k.Account,
			VerificationID: "v2"}, time.Now())
		if err == nil {
			end()
		}
		return err
	}
	watch := func() error {
		return store.Schedule(t.Context(), kycbridge.Watch{Provider: "kwikid", Account: "acme", Reference: "s1"},
			time.Now().Add(time.Hour))
	}
	for name, puts := range map[string][]func() error{
		testNames.holds():      {hold, claim},
		testNames.tombstones(): {claim},
		testNames.polls():      {watch},
	} {
		edited(t, store.Connection, name, func(c *jetstream.StreamConfig) {
			c.Discard, c.MaxMsgs = jetstream.DiscardOld, 1000
		})
		_, err := store.Repair(t.Context())
		must(t, err)
		for i, put := range puts {
			if err := put(); err == nil || !strings.Contains(err.Error(), "nats stream edit "+name) {
				t.Errorf("%s, %d: %v", name, i, err)
			}
		}
		edited(t, store.Connection, name, func(c *jetstream.StreamConfig) {
			c.MaxMsgs = -1
			if name != testNames.polls() {
				c.Discard = jetstream.DiscardNew
			}
		})
		_, err = store.Repair(t.Context())
		must(t, err)
		for _, put := range puts {
			must(t, put())
		}
	}
}

// TestNoLimitDropsMessages: a limit that an operator sets on a stream makes it refuse new messages or prevents the
// start. It never drops old ones: of an open session that would be its only timer.
func TestNoLimitDropsMessages(t *testing.T) {
	t.Parallel()
	wanted := append(storeStreams(testNames, testMaxBody, 1, kycbridge.DefaultRetention()),
		busStreams(testNames, testMaxBody, 1)...)
	limits := map[string]func(*jetstream.StreamConfig){
		"bytes":                func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 30 },
		"messages":             func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 },
		"messages per subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 2 },
	}
	for _, w := range wanted {
		if broken := brokenPromises(w.config, w); len(broken) > 0 {
			t.Errorf("%s as kycbridge creates it: %v", w.config.Name, broken)
		}
		for limit, set := range limits {
			edited := w.config
			set(&edited)
			if !w.bounded && edited.Discard == jetstream.DiscardOld && len(brokenPromises(edited, w)) == 0 {
				t.Errorf("%s with a limit of %s drops messages, and is accepted", w.config.Name, limit)
			}
		}
	}
}
