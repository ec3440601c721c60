package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap/zaptest"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/wait"
)

var testNames = Names{Subject: "kyc", Stream: "KYC"}

const testMaxBody = 1 << 20

// start runs a real server in process and opens the store and the bus on it.
func start(t testing.TB, dir string) (*Embedded, *Store, *Bus) {
	t.Helper()
	server, err := StartEmbedded(EmbeddedOptions{Dir: dir, Listen: "127.0.0.1:0", Names: testNames, MaxBody: testMaxBody})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	store, bus := openStreams(t, server)
	return server, store, bus
}

// openStreams opens store and bus of a server, as one of its processes.
func openStreams(t testing.TB, server *Embedded) (*Store, *Bus) {
	t.Helper()
	store, err := OpenStore(t.Context(), connect(t, server, "store"), testNames, testMaxBody, 1,
		kycbridge.DefaultRetention())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	bus, err := OpenBus(t.Context(), connect(t, server, "bus"), testNames, testMaxBody, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	return store, bus
}

func connect(t testing.TB, server *Embedded, name string) *Connection {
	t.Helper()
	c, err := Connect(t.Context(), Dial{Name: name, Options: server.Dial(), Server: server}, testMaxBody,
		zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close) // before the server stops: what is logged about a lost connection may come after the test
	return c
}

func payload(reference, eventID, body string) kycbridge.Payload {
	digest := kycbridge.Digest([]byte(body))
	return kycbridge.Payload{
		ID:             kycbridge.PayloadID("ondato", "acme", eventID, digest),
		Provider:       "ondato",
		Account:        "acme",
		VerificationID: event.VerificationID("ondato", "acme", reference),
		Via:            event.ViaCallback,
		ReceivedAt:     time.Date(2026, 3, 2, 9, 0, 0, 123456789, time.UTC),
		ContentType:    "application/json",
		Digest:         digest,
		Event:          "KycIdentification.Approved",
		Header:         map[string]string{"User-Agent": "provider/1.0"},
		Body:           []byte(body),
	}
}

func key(p kycbridge.Payload) kycbridge.Key {
	return kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
}

func TestAppendStoresAPayloadOnceUnchanged(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	p := payload("idv-1", "event-1", `{"a": 1}`)
	for i, wantDuplicate := range []bool{false, true, true} {
		stored, err := store.Append(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if stored.Duplicate != wantDuplicate || stored.Digest != p.Digest {
			t.Errorf("append %d: got %+v, want duplicate %v of digest %s", i, stored, wantDuplicate, p.Digest)
		}
	}
	other := payload("idv-1", "event-1", `{"a": 2}`)
	stored, err := store.Append(t.Context(), other)
	if err != nil || !stored.Duplicate || stored.Digest != p.Digest {
		t.Errorf("another body under a known id: got %+v, %v; want a duplicate with the digest of the first", stored, err)
	}
	var read []kycbridge.Payload
	if err := store.History(t.Context(), key(p),
		func(q kycbridge.Payload) error { read = append(read, q); return nil }); err != nil {
		t.Fatal(err)
	}
	p.Header, p.Seq = nil, 1 // request headers are stored for diagnosis, not read back
	if len(read) != 1 || fmt.Sprint(read[0]) != fmt.Sprint(p) {
		t.Errorf("read back %+v, want %+v", read, p)
	}
}

func TestGroupCommitAnswersEachCaller(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	const posts, distinct = 600, 200
	var duplicates atomic.Int64
	var wg sync.WaitGroup
	for i := range posts {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p := payload(fmt.Sprint("idv-", i%distinct), fmt.Sprint("event-", i%distinct), fmt.Sprintf(`{"n":%d}`, i%distinct))
			stored, err := store.Append(context.Background(), p)
			if err != nil {
				t.Error(err)
			}
			if stored.Duplicate {
				duplicates.Add(1)
			}
			if stored.Digest != p.Digest {
				t.Errorf("post %d: digest %s, want %s", i, stored.Digest, p.Digest)
			}
		}()
	}
	wg.Wait()
	if got := duplicates.Load(); got != posts-distinct {
		t.Errorf("%d duplicates, want %d", got, posts-distinct)
	}
	// Beside them the log may hold a probe, by which a duplicate was confirmed.
	if got := len(kept(t, store, kycbridge.KeptQuery{})); got != distinct {
		t.Errorf("%d payloads stored, want %d", got, distinct)
	}
}

func TestStoredPayloadsSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := payload("idv-1", "event-1", `{}`)
	t.Run("before", func(t *testing.T) { // its clean-ups stop the server
		_, store, _ := start(t, dir)
		if _, err := store.Append(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	})
	_, again, _ := start(t, dir)
	stored, err := again.Append(t.Context(), p)
	if err != nil || !stored.Duplicate {
		t.Errorf("after a restart: %+v, %v; want the duplicate to be known", stored, err)
	}
}

func eventOf(p kycbridge.Payload, revision int) (*event.Event, []byte) {
	e := &event.Event{ID: event.ID(p.VerificationID, revision),
		Data: event.Data{VerificationID: p.VerificationID, Revision: revision}}
	body, _ := json.Marshal(e)
	return e, body
}

func sealed(kind event.Kind, e *event.Event, body []byte) kycbridge.Outgoing {
	return kycbridge.Outgoing{Event: e, Kind: kind, Body: body}
}

func TestPublishIsACompareAndSet(t *testing.T) {
	t.Parallel()
	server, _, bus := start(t, t.TempDir())
	other, err := OpenBus(t.Context(), connect(t, server, "bus"), testNames, testMaxBody, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	ctx, p := t.Context(), payload("idv-1", "", "{}")
	publish := func(b *Bus, kind event.Kind, revision int, after uint64) error {
		e, body := eventOf(p, revision)
		return b.Publish(ctx, key(p), sealed(kind, e, body), after)
	}
	if err := publish(bus, event.KindUpdated, 1, 0); err != nil {
		t.Fatal(err)
	}
	if err := publish(other, event.KindCompleted, 1, 0); !errors.Is(err, kycbridge.ErrConflict) {
		t.Errorf("a second revision 1 of another kind: %v, want ErrConflict", err)
	}
	last, err := other.Last(ctx, key(p), false)
	if err != nil || last.Data == nil || last.Data.Revision != 1 || !last.Read {
		t.Fatalf("last event: %+v, %v", last, err)
	}
	if err := publish(other, event.KindCompleted, 2, last.Seq); err != nil {
		t.Fatal(err)
	}
	remembered, _ := bus.Last(ctx, key(p), false)
	if remembered.Data.Revision != 1 || remembered.Read {
		t.Errorf("the other bus remembers %+v, want its own revision 1", remembered)
	}
	if err := publish(bus, event.KindUpdated, 2, remembered.Seq); !errors.Is(err, kycbridge.ErrConflict) {
		t.Errorf("publish after a stale memory: %v, want ErrConflict", err)
	}
	if fresh, _ := bus.Last(ctx, key(p), false); fresh.Data.Revision != 2 {
		t.Errorf("after a conflict the memory says revision %d, want 2", fresh.Data.Revision)
	}
}

func TestConsumeWorksInOrderAndRetries(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	for i := range 40 {
		body := fmt.Sprintf(`{"n":%d}`, i)
		if _, err := store.Append(t.Context(), payload(fmt.Sprint("idv-", i%4), fmt.Sprint("e", i), body)); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	seen := map[string][]string{}
	failed := map[string]bool{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	worked := make(chan struct{}, 100)
	go func() {
		done <- store.Consume(ctx, ConsumeOptions{Workers: 3, Log: zaptest.NewLogger(t), Hold: func() bool { return true },
			Work: func(_ context.Context, p kycbridge.Payload, attempt int) (kycbridge.Disposition, time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				if p.ID == "ondato.acme.e39" && !failed[p.ID] {
					failed[p.ID] = true
					return kycbridge.Disposition{}, 50 * time.Millisecond
				}
				seen[p.VerificationID] = append(seen[p.VerificationID], string(p.Body))
				worked <- struct{}{}
				return kycbridge.Disposition{Revision: 1}, 0
			}})
	}()
	for range 40 {
		select {
		case <-worked:
		case <-time.After(20 * time.Second):
			t.Fatal("not all payloads were worked")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	recorded := map[uint64]int{}
	must(t, store.Dispositions(t.Context(), time.Time{},
		func(d kycbridge.Disposition) error { recorded[d.Seq] = d.Revision; return nil }))
	if len(recorded) != 40 || recorded[1] != 1 || recorded[40] != 1 {
		t.Errorf("recorded what became of %d payloads of 40: %v", len(recorded), recorded)
	}
	for i := range 4 {
		id := event.VerificationID("ondato", "acme", fmt.Sprint("idv-", i))
		for n, body := range seen[id] {
			if want := fmt.Sprintf(`{"n":%d}`, n*4+i); body != want {
				t.Errorf("verification %d, delivery %d: %s, want %s", i, n, body, want)
			}
		}
	}
}

func TestAStuckPayloadBlocksNoOther(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	stuck := payload("idv-stuck", "stuck", `{}`)
	if _, err := store.Append(t.Context(), stuck); err != nil {
		t.Fatal(err)
	}
	const healthy = 300
	for i := range healthy {
		if _, err := store.Append(t.Context(), payload(fmt.Sprint("idv-", i), fmt.Sprint("e", i), "{}")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	worked := make(chan struct{}, healthy)
	ended := make(chan error, 1)
	go func() {
		ended <- store.Consume(ctx, ConsumeOptions{Workers: 2, Log: zaptest.NewLogger(t), Hold: func() bool { return false },
			Work: func(_ context.Context, p kycbridge.Payload, _ int) (kycbridge.Disposition, time.Duration) {
				if p.ID == stuck.ID {
					return kycbridge.Disposition{}, 50 * time.Millisecond
				}
				worked <- struct{}{}
				return kycbridge.Disposition{Revision: 1}, 0
			}})
	}()
	for range healthy {
		select {
		case <-worked:
		case <-time.After(20 * time.Second):
			t.Fatal("the healthy payloads wait behind the stuck one")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestQuarantineAndRefusals(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	p := payload("", "", `not json`)
	p.VerificationID = ""
	if err := store.Quarantine(t.Context(), p, kycbridge.QuarantineMalformed,
		[]kycbridge.FieldError{{Path: "", Message: "must be JSON"}}); err != nil {
		t.Fatal(err)
	}
	quarantine, _ := store.js.Stream(t.Context(), "KYC_QUARANTINE")
	m, err := quarantine.GetLastMsgForSubject(t.Context(), "kyc.quarantine.ondato.acme.malformed")
	if err != nil || string(m.Data) != "not json" || !strings.Contains(m.Header.Get(headerErrors), "must be JSON") {
		t.Errorf("quarantined message: %+v, %v", m, err)
	}
	store.Refuse(t.Context(), p, kycbridge.Request{Header: map[string][]string{"Authorization": {"Basic abc"}}},
		"no credential was sent")
	refused, _ := store.js.Stream(t.Context(), "KYC_REFUSED")
	deadline := time.Now().Add(10 * time.Second * wait.Slowdown)
	for {
		m, err = refused.GetLastMsgForSubject(t.Context(), "kyc.refused.ondato.acme")
		if err == nil || time.Now().After(deadline) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err != nil || m.Header.Get("Http-Authorization") != "Basic abc" {
		t.Errorf("refused message: %+v, %v", m, err)
	}
}

func TestSecondProcessOnTheDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir)
	_, err := StartEmbedded(EmbeddedOptions{Dir: dir, Names: testNames, MaxBody: testMaxBody})
	if err == nil || !strings.Contains(err.Error(), "in use by another kycbridge") {
		t.Errorf("got %v, want the directory to be named as in use", err)
	}
}

func TestConsumersReadOnlyEvents(t *testing.T) {
	t.Parallel()
	server, store, bus := start(t, t.TempDir())
	p := payload("idv-1", "e1", `{}`)
	if _, err := store.Append(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	e, body := eventOf(p, 1)
	if err := bus.Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), 0); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(server.ClientURL(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, _ := jetstream.New(nc, jetstream.WithDefaultTimeout(500*time.Millisecond))
	consumer, err := js.OrderedConsumer(t.Context(), "KYC_EVENTS",
		jetstream.OrderedConsumerConfig{FilterSubjects: []string{"kyc.event.v1.ondato.>"}})
	if err != nil {
		t.Fatalf("an event consumer: %v", err)
	}
	if m, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second)); err != nil ||
		m.Headers().Get(nats.MsgIdHdr) != e.ID {
		t.Errorf("reading an event: %v, %v", m, err)
	}
	if _, err := js.Stream(t.Context(), "KYC_PAYLOADS"); err == nil {
		t.Error("a consumer can look at the payload stream")
	}
	if _, err := js.Publish(t.Context(), "kyc.event.v1.ondato.acme.completed."+p.VerificationID,
		[]byte("{}")); err == nil {
		t.Error("a consumer can publish an event")
	}
	if m, err := nc.Request("$JS.API.STREAM.MSG.GET.KYC_PAYLOADS", []byte(`{"seq":1}`),
		500*time.Millisecond); !refusedBy(m, err) {
		t.Errorf("a consumer can read a payload: %s", m.Data)
	}
}

// refusedBy reports whether a request was refused: with an error, or without an answer.
func refusedBy(m *nats.Msg, err error) bool {
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	return err != nil || json.Unmarshal(m.Data, &answer) == nil && answer.Error != nil
}

func TestUserIsLimitedToItsSubjects(t *testing.T) {
	t.Parallel()
	const password = "synthetic-password"
	server, err := StartEmbedded(EmbeddedOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", Names: testNames,
		MaxBody: testMaxBody,
		Users: []User{{Username: "live", Password: password, Subscribe: []string{"kyc.event.v1.ondato.>"}},
			{Username: "full", Password: password}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	bus, err := OpenBus(t.Context(), connect(t, server, "bus"), testNames, testMaxBody, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	silent := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	if nc, err := nats.Connect(server.ClientURL(), silent); err == nil {
		nc.Close()
		t.Error("a client without a user is let in")
	}
	live, err := nats.Connect(server.ClientURL(), silent, nats.UserInfo("live", password))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	full, err := nats.Connect(server.ClientURL(), silent, nats.UserInfo("full", password))
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	mine, _ := live.SubscribeSync("kyc.event.v1.ondato.>")
	other, _ := live.SubscribeSync("kyc.event.v1.signzy.>")
	if err := live.FlushTimeout(2 * time.Second); err != nil {
		t.Fatal(err)
	}
	for _, provider := range []string{"signzy", "ondato"} {
		p := payload("idv-1", "", "{}")
		p.Provider = provider
		e, body := eventOf(p, 1)
		e.ID = event.ID(provider, 1)
		if err := bus.Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := mine.NextMsg(5 * time.Second); err != nil {
		t.Errorf("the subject of its own: %v", err)
	}
	if _, err := other.NextMsg(100 * time.Millisecond); err == nil {
		t.Error("a subject that is not its own")
	}
	for _, request := range []string{"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.KYC_EVENTS",
		"$JS.API.STREAM.MSG.GET.KYC_EVENTS", "$JS.API.STREAM.PURGE.KYC_EVENTS", "$JS.API.STREAM.DELETE.KYC_EVENTS"} {
		if m, err := live.Request(request, []byte(`{"seq":1}`), 200*time.Millisecond); !refusedBy(m, err) {
			t.Errorf("live may ask %s: %s", request, m.Data)
		}
	}
	for _, request := range []string{"$JS.API.STREAM.INFO.KYC_PAYLOADS", "$JS.API.STREAM.PURGE.KYC_EVENTS",
		"$JS.API.STREAM.DELETE.KYC_EVENTS", "$JS.API.STREAM.UPDATE.KYC_EVENTS"} {
		if m, err := full.Request(request, nil, 200*time.Millisecond); !refusedBy(m, err) {
			t.Errorf("full may ask %s: %s", request, m.Data)
		}
	}
	if m, err := full.Request("$JS.API.STREAM.INFO.KYC_EVENTS", nil, 2*time.Second); err != nil ||
		strings.Contains(string(m.Data), `"error"`) {
		t.Errorf("full may not ask for the event stream: %v", err)
	}
}

// TestUsersDoNotReceiveEachOthersAnswers: a user with some events does not receive others by subscribing
// to the replies of a user who reads them from the stream.
func TestUsersDoNotReceiveEachOthersAnswers(t *testing.T) {
	t.Parallel()
	server, err := StartEmbedded(EmbeddedOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", Names: testNames,
		MaxBody: testMaxBody, Users: []User{
			{Username: "all", Password: "password-of-all"},
			{Username: "few", Password: "password-of-few", Subscribe: []string{"kyc.event.v1.idwise.>"}},
		}})
	must(t, err)
	t.Cleanup(server.Close)
	bus, err := OpenBus(t.Context(), connect(t, server, "bus"), testNames, testMaxBody, 1)
	must(t, err)
	t.Cleanup(bus.Close)
	p := payload("idv-1", "event-1", "{}")
	e, body := eventOf(p, 1)
	must(t, bus.Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), 0))
	few, err := nats.Connect(server.ClientURL(), nats.UserInfo("few", "password-of-few"))
	must(t, err)
	t.Cleanup(few.Close)
	inboxSub, err := few.SubscribeSync("_INBOX.>")
	must(t, err)
	must(t, few.Flush())
	all, err := nats.Connect(server.ClientURL(), nats.UserInfo("all", "password-of-all"))
	must(t, err)
	t.Cleanup(all.Close)
	js, err := jetstream.New(all)
	must(t, err)
	consumer, err := js.OrderedConsumer(t.Context(), "KYC_EVENTS", jetstream.OrderedConsumerConfig{})
	must(t, err)
	m, err := consumer.Next()
	must(t, err)
	if len(m.Data()) == 0 {
		t.Error("the reader got nothing")
	}
	must(t, few.Flush())
	if received, err := inboxSub.NextMsg(300 * time.Millisecond); err == nil {
		t.Errorf("received %d bytes on %s", len(received.Data), received.Subject)
	}
}

// TestConsumersCannotPublishThroughReplies tries to have replies of the server stored as payloads or events.
func TestConsumersCannotPublishThroughReplies(t *testing.T) {
	t.Parallel()
	server, store, bus := start(t, t.TempDir())
	p := payload("idv-1", "e1", `{"name":"Testa"}`)
	e, body := eventOf(p, 1)
	if err := bus.Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), 0); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(server.ClientURL(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	inboxSub, err := nc.SubscribeSync("_INBOX.>")
	if err != nil {
		t.Fatal(err)
	}
	target := "kyc.payload.ondato.acme." + p.VerificationID
	for _, reply := range []string{target, "kyc.event.v1.ondato.acme.completed." + p.VerificationID, "kyc.poll.due.x"} {
		for _, request := range []string{"$JS.API.INFO", "$JS.API.DIRECT.GET.KYC_EVENTS", "$JS.API.STREAM.INFO.KYC_EVENTS"} {
			if err := nc.PublishRequest(request, reply, []byte(`{"seq":1}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	push, _ := json.Marshal(map[string]any{"stream_name": "KYC_EVENTS", "config": map[string]any{
		"name": "push", "deliver_subject": target, "ack_policy": "none", "deliver_policy": "all"}})
	if _, err := nc.Request("$JS.API.CONSUMER.CREATE.KYC_EVENTS.push", push, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(t.Context(), p); err != nil { // its acknowledgement goes to an internal inbox
		t.Fatal(err)
	}
	if err := nc.FlushTimeout(2 * time.Second); err != nil {
		t.Fatal(err)
	}
	var seen []string
	if err := store.History(t.Context(), key(p),
		func(q kycbridge.Payload) error { seen = append(seen, q.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[0] != p.ID {
		t.Errorf("payloads of the verification: %v, want ours alone", seen)
	}
	if n, err := bus.Events(t.Context()); err != nil || n != 1 {
		t.Errorf("%d events (%v), want 1", n, err)
	}
	if m, err := inboxSub.NextMsg(200 * time.Millisecond); err == nil && strings.Contains(string(m.Data), "KYC_PAYLOADS") {
		t.Errorf("received an answer that was not for the client: %s", m.Data)
	}
}

func TestUnsafeStreamSettingsAreRefused(t *testing.T) {
	t.Parallel()
	all := storeStreams(testNames, testMaxBody, 1, kycbridge.DefaultRetention())
	want := all[slices.IndexFunc(all, func(s stream) bool { return s.config.Name == testNames.payloads() })]
	cases := map[string]struct {
		change func(*jetstream.StreamConfig)
		says   string
	}{
		"as we make it":      {func(*jetstream.StreamConfig) {}, ""},
		"older features off": {func(c *jetstream.StreamConfig) { c.AllowDirect, c.AllowAtomicPublish = false, false }, ""},
		"other subjects":     {func(c *jetstream.StreamConfig) { c.Subjects = []string{"legacy.payload.>"} }, ""},
		"duplicate window":   {func(c *jetstream.StreamConfig) { c.Duplicates = 2 * time.Minute }, "--dupe-window=48h"},
		"discard old with size": {func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardOld, 1<<30 },
			"--discard=new"},
		"work queue": {func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
			"retention is"},
		"small messages": {func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1024 }, "--max-msg-size="},
		"memory": {func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
			"storage is memory"},
		"one a subject": {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "--max-msgs-per-subject=-1"},
		"a day only": {func(c *jetstream.StreamConfig) { c.MaxAge, c.Duplicates = 24*time.Hour, 24*time.Hour },
			"--max-age="},
		"no ack": {func(c *jetstream.StreamConfig) { c.NoAck, c.AllowAtomicPublish = true, false }, "--ack"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server, err := StartEmbedded(EmbeddedOptions{Dir: t.TempDir(), Names: testNames, MaxBody: testMaxBody})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Close)
			c := connect(t, server, "store")
			t.Cleanup(c.Close)
			existing := want.config
			tc.change(&existing)
			if _, err := c.js.CreateStream(t.Context(), existing); err != nil {
				t.Fatal(err)
			}
			store, err := OpenStore(t.Context(), c, testNames, testMaxBody, 1, kycbridge.DefaultRetention())
			if tc.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				store.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want it to say %q", err, tc.says)
			}
		})
	}
}

// TestPrefixOfAnotherConfiguration: a process with a changed prefix finds streams of the old one. It changes nothing
// about them, because other processes may use them, and says which key to correct.
func TestPrefixOfAnotherConfiguration(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	subjects := func() (all []string) {
		t.Helper()
		for s := range store.js.ListStreams(t.Context()).Info() {
			all = append(all, s.Config.Name+" "+strings.Join(s.Config.Subjects, " "))
		}
		slices.Sort(all)
		return all
	}
	before := subjects()
	c := connect(t, server, "other")
	t.Cleanup(c.Close)
	for says, names := range map[string]Names{
		"names.subject_prefix other: write": {Subject: "other", Stream: testNames.Stream},
		"names.stream_prefix of that":       {Subject: testNames.Subject, Stream: "OTHER"},
	} {
		_, err := OpenStore(t.Context(), c, names, testMaxBody, 1, kycbridge.DefaultRetention())
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("store of %v: got %v, want it to say %q", names, err, says)
		}
		_, err = OpenBus(t.Context(), c, names, testMaxBody, 1)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "nats stream edit") {
			t.Errorf("bus of %v: got %v, want it to say %q", names, err, says)
		}
	}
	if after := subjects(); !slices.Equal(after, before) {
		t.Errorf("streams were %q, and are %q", before, after)
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"nats://user:pass@host:4222":             "nats://host:4222",
		"nats://token@host:4222":                 "nats://host:4222",
		"nats://host:4222":                       "nats://host:4222",
		"nats://u:p@a:4222, nats://u2:p2@b:4222": "nats://a:4222,nats://b:4222",
	} {
		if got := Redacted(in); got != want {
			t.Errorf("Redacted(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestMemoryStagingOfEarlierVersions: earlier versions linked the staging folders of streams to memory. A
// start after such a process was killed removes the links and what is left there.
func TestMemoryStagingOfEarlierVersions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	t.Run("first process", func(t *testing.T) {
		_, store, _ := start(t, dir)
		_, err := store.Append(t.Context(), payload("idv-1", "e1", "{}"))
		must(t, err)
	})
	left, err := os.MkdirTemp(filepath.Split(memoryStaging))
	if err != nil {
		t.Skip("no memory file system: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(left) })
	link, target := stagingFolder(dir, "KYC_PAYLOADS"), filepath.Join(left, "KYC_PAYLOADS")
	_ = os.Remove(link)
	must(t, errors.Join(os.Mkdir(target, 0o700), os.Symlink(target, link)))
	t.Run("next process", func(t *testing.T) {
		_, store, _ := start(t, dir)
		if info, err := store.payloadLog.Info(t.Context()); err != nil || info.State.Msgs != 1 {
			t.Errorf("%d payloads after the restart (%v), want 1", info.State.Msgs, err)
		}
	})
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("%s is left by the killed process: %v", left, err)
	}
	if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink != 0 {
		t.Errorf("%s is still a link", link)
	}
}

// TestAbandonedBatchesAreRemoved: files of a batch that the server cannot finish any more are removed, those
// of a batch that it may be staging are not.
func TestAbandonedBatchesAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, _, _ := start(t, dir)
	folder := stagingFolder(dir, "KYC_INDEX")
	old, young := filepath.Join(folder, "old"), filepath.Join(folder, "young")
	must(t, errors.Join(os.MkdirAll(old, 0o700), os.MkdirAll(young, 0o700)))
	long := time.Now().Add(-2 * stagedFor)
	must(t, os.Chtimes(old, long, long))
	server.RemoveStaleBatches(testNames)
	_, gone := os.Stat(old)
	_, kept := os.Stat(young)
	if !os.IsNotExist(gone) || kept != nil {
		t.Errorf("the abandoned batch: %v, the recent one: %v", gone, kept)
	}
}
