package publisher

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
)

// TestAcknowledgementsThatPull: an acknowledgement that asks for the next events is limited like a pull.
func TestAcknowledgementsThatPull(t *testing.T) {
	t.Parallel()
	h := newReadersFixture(t, t.TempDir(), testUsers...)
	for i := range 40 {
		p := payload(fmt.Sprint("idv-", i), fmt.Sprint("event-", i), "{}")
		e, body := eventOf(p, 1)
		e.ID = event.ID(p.VerificationID, 1)
		h.publishFirst(key(p), sealed(event.KindUpdated, e, body))
	}
	nc, js := h.client("crm")
	cons, err := js.CreateConsumer(t.Context(), testNames.events(), jetstream.ConsumerConfig{Durable: "c",
		AckPolicy: jetstream.AckExplicitPolicy})
	must(t, err)
	m, err := cons.Next()
	must(t, err)
	// The budget of bytes of the reader is used up: no pull is forwarded now.
	h.server.proxy.users["crm"].sendBudget.spend(40 * sendBurst)
	inbox := nc.NewInbox()
	got, err := nc.SubscribeSync(inbox)
	must(t, err)
	must(t, nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+testNames.events()+".c", inbox,
		[]byte(`{"batch":1,"no_wait":true}`)))
	if pulled, err := got.NextMsg(time.Second); err == nil {
		t.Fatalf("a pull is forwarded: %v", pulled.Subject)
	}
	must(t, nc.PublishRequest(m.Reply(), inbox, []byte(`+NXT {"batch":10000,"expires":5000000000}`)))
	n := 0
	for {
		m, err := got.NextMsg(time.Second)
		if err != nil {
			break
		}
		if m.Header.Get("Status") == "" {
			n++
		}
	}
	if n > 0 {
		t.Errorf("%d events by an acknowledgement, while the budget of pulls is used up", n)
	}
}

// TestUnreadableQuarantinedIsRepeated: a quarantined payload whose stored body cannot be read any more is repeated.
func TestUnreadableQuarantinedIsRepeated(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "2026-11")))
	p := payload("idv-1", "", `{"a": 1}`)
	q := payload("idv-1", "", `{"a": 2}`)
	must(t, store.Quarantine(t.Context(), p, kycbridge.QuarantineSchema, nil))
	_, err := store.Append(t.Context(), q)
	must(t, err)
	for _, shelf := range []kycbridge.Shelf{kycbridge.ShelfQuarantine, kycbridge.ShelfPayloads} {
		k, err := store.KeptAt(t.Context(), shelf, 1)
		must(t, err)
		must(t, store.DestroyKeys(t.Context(), shelf, []string{k.Key})) // its page is damaged, or was lost
	}
	must(t, store.Quarantine(t.Context(), p, kycbridge.QuarantineSchema, nil)) // answered 200
	_, err = store.Append(t.Context(), q)
	must(t, err)
	readable := func(shelf kycbridge.Shelf) (n int) {
		for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: shelf}) {
			if kycbridge.Digest(k.Body) == k.Digest {
				n++
			}
		}
		return n
	}
	if readable(kycbridge.ShelfPayloads) == 0 || readable(kycbridge.ShelfQuarantine) == 0 {
		t.Error("the repeated callback was answered 200, and no stored copy can be read")
	}
}
