package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/pki"
	"kycbridge/test/wait"
)

// kept collects the results of a query.
func kept(t testing.TB, s *Store, q kycbridge.KeptQuery) []kycbridge.Kept {
	t.Helper()
	var all []kycbridge.Kept
	if err := s.Kept(t.Context(), q, func(k kycbridge.Kept) error { all = append(all, k); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// shelved stores one payload on each shelf and returns the expected results.
func shelved(t *testing.T, s *Store) map[kycbridge.Shelf]kycbridge.Kept {
	t.Helper()
	p := payload("idv-1", "event-1", `{"a": 1}`)
	p.Reference, p.Header = "idv/1 *.>", map[string]string{"User-Agent": "provider/1.0", "X-Request-Id": "r-1"}
	_, err := s.Append(t.Context(), p)
	must(t, err)
	bad := payload("idv-1", "", `{"a": "bad"}`)
	faults := []kycbridge.FieldError{{Path: "/a", Message: "must be a number"}}
	must(t, s.Quarantine(t.Context(), bad, kycbridge.QuarantineSchema, faults))
	no := payload("", "", `{"a": "refused"}`)
	no.VerificationID, no.Header = "", map[string]string{"User-Agent": "provider/1.0"}
	r := kycbridge.Request{Header: http.Header{"Authorization": {"Basic abc"}, "User-Agent": {"provider/1.0"}},
		Query: url.Values{"token": {"t&1"}}, Body: no.Body, ReceivedAt: no.ReceivedAt}
	s.Refuse(t.Context(), no, r, "no credential was sent")
	eventually(t, "the refused one is kept",
		func() bool { return len(kept(t, s, kycbridge.KeptQuery{Shelf: kycbridge.ShelfRefused})) == 1 })
	return map[kycbridge.Shelf]kycbridge.Kept{
		kycbridge.ShelfPayloads: {Payload: p, Shelf: kycbridge.ShelfPayloads, Seq: 1, Size: len(p.Body)},
		kycbridge.ShelfQuarantine: {Payload: bad, Shelf: kycbridge.ShelfQuarantine, Seq: 1, Size: len(bad.Body),
			Reason: kycbridge.QuarantineSchema, Errors: faults},
		kycbridge.ShelfRefused: {Payload: no, Shelf: kycbridge.ShelfRefused, Seq: 1, Size: len(no.Body),
			Reason: "no credential was sent", Request: &r},
	}
}

func TestEveryShelfRoundTrips(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	for shelf, want := range shelved(t, store) {
		at, err := store.KeptAt(t.Context(), shelf, 1)
		must(t, err)
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("%s, at its sequence (-want +got):\n%s", shelf, diff)
		}
		if diff := cmp.Diff([]kycbridge.Kept{want}, kept(t, store, kycbridge.KeptQuery{Shelf: shelf})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", shelf, diff)
		}
		bare := want
		bare.Body = nil
		if want.Request != nil {
			r := *want.Request
			r.Body, bare.Request = nil, &r
		}
		if diff := cmp.Diff([]kycbridge.Kept{bare}, kept(t, store, kycbridge.KeptQuery{Shelf: shelf, HeadersOnly: true}),
			cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s without bodies (-want +got):\n%s", shelf, diff)
		}
		for _, seq := range []uint64{0, 2, 1 << 40} {
			if _, err := store.KeptAt(t.Context(), shelf, seq); !errors.Is(err, kycbridge.ErrNotFound) {
				t.Errorf("%s at %d: %v, want ErrNotFound", shelf, seq, err)
			}
		}
	}
	if _, err := store.KeptAt(t.Context(), "cellar", 1); err == nil {
		t.Error("a shelf that is none")
	}
	if err := store.Kept(t.Context(), kycbridge.KeptQuery{Shelf: "cellar"}, nil); err == nil {
		t.Error("a shelf that is none")
	}
}

func TestKeptSelects(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	for i := range 12 {
		p := payload(fmt.Sprint("idv-", i%3), fmt.Sprint("e", i), fmt.Sprintf(`{"n":%d}`, i))
		if i >= 6 {
			p.Account, p.ID = "other", fmt.Sprint("ondato.other.e", i)
		}
		_, err := store.Append(t.Context(), p)
		must(t, err)
		must(t, store.Quarantine(t.Context(), p, []string{kycbridge.QuarantineSchema, kycbridge.QuarantineUnmapped}[i%2],
			nil))
	}
	sixth, err := store.payloadLog.GetMsg(t.Context(), 6)
	must(t, err)
	idv := event.VerificationID("ondato", "acme", "idv-1") // 1 4 7 10
	for name, tc := range map[string]struct {
		q    kycbridge.KeptQuery
		want []uint64
	}{
		"account":                  {kycbridge.KeptQuery{Account: "other"}, []uint64{7, 8, 9, 10, 11, 12}},
		"provider":                 {kycbridge.KeptQuery{Provider: "signzy"}, nil},
		"verification":             {kycbridge.KeptQuery{VerificationID: idv}, []uint64{2, 5, 8, 11}},
		"verification and account": {kycbridge.KeptQuery{VerificationID: idv, Account: "acme"}, []uint64{2, 5}},
		"from":                     {kycbridge.KeptQuery{From: 11}, []uint64{11, 12}},
		"from a later one":         {kycbridge.KeptQuery{From: 13}, nil},
		"since":                    {kycbridge.KeptQuery{Since: sixth.Time, Account: "acme"}, []uint64{6}},
		"since and from": {kycbridge.KeptQuery{Since: sixth.Time, From: 2, VerificationID: idv},
			[]uint64{8, 11}},
		"since tomorrow": {kycbridge.KeptQuery{Since: time.Now().Add(24 * time.Hour)}, nil},
		"quarantine: reason": {kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine,
			Reason: kycbridge.QuarantineUnmapped, Account: "acme"}, []uint64{2, 4, 6}},
		"quarantine: verification": {kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine, VerificationID: idv},
			[]uint64{2, 5, 8, 11}},
		"quarantine: all of a reason": {kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine, VerificationID: idv,
			Reason: kycbridge.QuarantineUnmapped}, []uint64{2, 8}},
		"refused":               {kycbridge.KeptQuery{Shelf: kycbridge.ShelfRefused}, nil},
		"refused: verification": {kycbridge.KeptQuery{Shelf: kycbridge.ShelfRefused, VerificationID: idv}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, headers := range []bool{false, true} {
				tc.q.HeadersOnly = headers
				var got []uint64
				for _, k := range kept(t, store, tc.q) {
					got = append(got, k.Seq)
					if n := int(k.Seq) - 1; (string(k.Body) == fmt.Sprintf(`{"n":%d}`, n)) == headers ||
						k.Size != len(fmt.Sprintf(`{"n":%d}`, n)) {
						t.Errorf("headers only %v: sequence %d has body %q and size %d", headers, k.Seq, k.Body, k.Size)
					}
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("headers only %v (-want +got):\n%s", headers, diff)
				}
			}
		})
	}
	for _, q := range []kycbridge.KeptQuery{{Provider: "*"}, {Account: "a.b"}, {VerificationID: ">"},
		{Reason: "a b", Shelf: kycbridge.ShelfQuarantine}} {
		if err := store.Kept(t.Context(), q, func(kycbridge.Kept) error { return nil }); err == nil {
			t.Errorf("%+v is no error", q)
		}
	}
	n := 0
	must(t, store.Kept(t.Context(), kycbridge.KeptQuery{}, func(kycbridge.Kept) error {
		if n++; n == 3 {
			return kycbridge.ErrEnough
		}
		return nil
	}))
	wrong := errors.New("wrong")
	if err := store.Kept(t.Context(), kycbridge.KeptQuery{}, func(kycbridge.Kept) error { return wrong }); n != 3 ||
		!errors.Is(err, wrong) {
		t.Errorf("ended after %d, want 3; error %v, want the caller's", n, err)
	}
}

// TestKeptStopsAtTheInitialEnd reads while messages are added and erased.
func TestKeptStopsAtTheInitialEnd(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	for i := range 20 {
		_, err := store.Append(t.Context(), payload("idv-1", fmt.Sprint("e", i), "{}"))
		must(t, err)
	}
	var seen []uint64
	began := time.Now()
	must(t, store.Kept(t.Context(), kycbridge.KeptQuery{}, func(k kycbridge.Kept) error {
		seen = append(seen, k.Seq)
		must(t, store.Erase(t.Context(), kycbridge.ShelfPayloads, k.Seq, false))
		_, err := store.Append(t.Context(), payload("idv-1", fmt.Sprint("later", k.Seq), "{}"))
		return err
	}))
	if len(seen) != 20 || seen[19] != 20 || time.Since(began) > scanTimeout {
		t.Errorf("read %v in %s", seen, time.Since(began))
	}
}

func TestPutCopiesAShelf(t *testing.T) {
	t.Parallel()
	_, from, _ := start(t, t.TempDir())
	want := shelved(t, from)
	_, to, _ := start(t, t.TempDir())
	for shelf, k := range want {
		for i, duplicate := range []bool{false, true} {
			k.Seq = 77 // of another store
			if stored, err := to.Put(t.Context(), k); err != nil || stored.Duplicate != duplicate &&
				shelf != kycbridge.ShelfRefused {
				t.Errorf("%s, put %d: %+v, %v", shelf, i, stored, err)
			}
		}
		k.Seq = 1
		if diff := cmp.Diff([]kycbridge.Kept{k}, kept(t, to, kycbridge.KeptQuery{Shelf: shelf})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", shelf, diff)
		}
	}
	good := want[kycbridge.ShelfPayloads]
	for name, change := range map[string]func(*kycbridge.Kept){
		"no verification":      func(k *kycbridge.Kept) { k.VerificationID = "" },
		"a wildcard":           func(k *kycbridge.Kept) { k.VerificationID = "*" },
		"a dot":                func(k *kycbridge.Kept) { k.Account, k.ID = "a.b", "ondato.a.b.1" },
		"another body":         func(k *kycbridge.Kept) { k.Body = []byte("{}") },
		"another account's id": func(k *kycbridge.Kept) { k.ID = "ondato.other.1" },
		"an id of two lines":   func(k *kycbridge.Kept) { k.ID += "\r\nNats-Rollup: all" },
		"no reason":            func(k *kycbridge.Kept) { k.Shelf = kycbridge.ShelfQuarantine },
		"no such shelf":        func(k *kycbridge.Kept) { k.Shelf = "cellar" },
	} {
		k := good
		change(&k)
		if _, err := to.Put(t.Context(), k); err == nil {
			t.Errorf("%s: put", name)
		}
	}
}

func TestPositionFollowsTheNormalizer(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	at := func(want kycbridge.Position) func() bool {
		return func() bool {
			got, err := store.Position(t.Context())
			must(t, err)
			return got == want
		}
	}
	eventually(t, "nothing is there", at(kycbridge.Position{Whole: true}))
	for i := range 5 {
		_, err := store.Append(t.Context(), payload("idv-1", fmt.Sprint("e", i), "{}"))
		must(t, err)
	}
	eventually(t, "without a consumer all is pending", at(kycbridge.Position{Last: 5, Pending: 5, Whole: true}))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		_ = store.Consume(ctx, ConsumeOptions{Workers: 1, Log: zaptest.NewLogger(t), Hold: func() bool { return true },
			Work: func(ctx context.Context, p kycbridge.Payload, _ int) (kycbridge.Disposition, time.Duration) {
				if p.ID == "ondato.acme.e3" && p.VerificationID == event.VerificationID("ondato", "acme", "idv-1") {
					<-ctx.Done()
					return kycbridge.Disposition{}, time.Second
				}
				return kycbridge.Disposition{Revision: 1}, 0
			}})
	})
	eventually(t, "three are done", at(kycbridge.Position{Floor: 3, Last: 5, Pending: 2, Whole: true}))
	for seq := uint64(4); seq <= 5; seq++ {
		must(t, store.Erase(t.Context(), kycbridge.ShelfPayloads, seq, true))
	}
	cancel()
	running.Wait()
	eventually(t, "what is erased is pending no more", at(kycbridge.Position{Floor: 5, Last: 5}))
}

func TestWatchesAreListedWithTheirDueness(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	must(t, store.Schedule(t.Context(), watch("later"), time.Now().Add(time.Hour)))
	must(t, store.Trigger(t.Context(), watch("now")))
	must(t, store.Schedule(t.Context(), watch("both"), time.Now().Add(time.Hour)))
	must(t, store.Trigger(t.Context(), watch("both")))
	for _, subject := range []string{store.names.due("kwikid", "acme", watch("x").Key().VerificationID),
		"kyc.watch.kwikid.acme", "kyc.poll.due.odd"} {
		_, err := store.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte(`{"reference":"x"}`)})
		must(t, err)
	}
	var got []string
	must(t, store.Watches(t.Context(), func(w kycbridge.Watch, due bool) error {
		got = append(got, fmt.Sprint(w.Reference, " ", due))
		return nil
	}))
	if diff := cmp.Diff([]string{"later false", "now true", "both false", "both true"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRevisionsAndPublished(t *testing.T) {
	t.Parallel()
	_, _, bus := start(t, t.TempDir())
	p := payload("idv-1", "", "{}")
	other := payload("idv-2", "", "{}")
	other.Provider = "signzy"
	var half time.Time
	for i, kind := range []event.Kind{event.KindUpdated, event.KindCompleted, event.KindUpdated} {
		after := uint64(0)
		if i > 0 {
			half = time.Now()
			after = uint64(i*2 - 1)
		}
		e, body := eventOf(p, i+1)
		first := sealed(kind, e, body)
		first.Memory = kycbridge.Memory{Until: p.ReceivedAt.Add(time.Duration(i)), UntilID: fmt.Sprint("ondato.acme.", i)}
		must(t, bus.Publish(t.Context(), key(p), first, after))
		after = 0
		if i > 0 {
			after = uint64(i * 2)
		}
		e, body = eventOf(other, i+1)
		must(t, bus.Publish(t.Context(), key(other), sealed(kind, e, body), after))
	}
	var revisions []string
	must(t, bus.Revisions(t.Context(), key(p), func(s kycbridge.State) error {
		revisions = append(revisions,
			fmt.Sprint(s.Seq, s.Data.Revision, s.Read, " ", s.Data.Memory.UntilID, " ", s.Data.Memory.Until.Nanosecond()))
		return nil
	}))
	if diff := cmp.Diff([]string{"1 1 true ondato.acme.0 123456789", "3 2 true ondato.acme.1 123456790",
		"5 3 true ondato.acme.2 123456791"}, revisions); diff != "" {
		t.Error(diff)
	}
	published := func(provider, account string, since time.Time) (all []kycbridge.EventMeta) {
		must(t, bus.Published(t.Context(), provider, account, since,
			func(m kycbridge.EventMeta) error { all = append(all, m); return nil }))
		return all
	}
	all := published("", "", time.Time{})
	if len(all) != 6 {
		t.Fatalf("published: %+v", all)
	}
	want := kycbridge.EventMeta{Key: key(p), Seq: 3, ID: event.ID(p.VerificationID, 2), Kind: event.KindCompleted,
		At: all[2].At, PayloadID: "ondato.acme.1", Until: all[2].Until}
	if diff := cmp.Diff(want, all[2]); diff != "" || time.Since(all[2].At) > time.Minute ||
		all[2].Until.Nanosecond() != 123456790 {
		t.Error(diff)
	}
	if n, m, o := len(published("signzy", "", time.Time{})), len(published("ondato", "acme", half)), len(published("",
		"nobody", time.Time{})); n != 3 || m != 1 || o != 0 {
		t.Errorf("%d of a provider, %d since, %d of an unknown account", n, m, o)
	}
	must(t, bus.Revisions(t.Context(), key(p), func(kycbridge.State) error { return kycbridge.ErrEnough }))
}

// TestRevisionOf: the event of a payload is found among those of its verification; that of a replay, which names the
// newest payload too, is not taken for it.
func TestRevisionOf(t *testing.T) {
	t.Parallel()
	_, _, bus := start(t, t.TempDir())
	p := payload("idv-1", "", "{}")
	for i, named := range []struct{ id, via string }{{"a", "callback"}, {"b", "replay"}, {"b", "poll"}} {
		e, _ := eventOf(p, i+1)
		e.Data.Payload.ID, e.Data.Provider.Event.Via = named.id, event.Via(named.via)
		body, err := json.Marshal(e)
		must(t, err)
		must(t, bus.Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), uint64(i)))
	}
	unreadable := &nats.Msg{Subject: testNames.put(key(p), event.KindUpdated), Data: []byte("no event"),
		Header: nats.Header{"Content-Type": {eventType}, nats.MsgIdHdr: {"damaged"}}}
	_, err := bus.js.PublishMsg(t.Context(), unreadable)
	must(t, err)
	for id, want := range map[string]int{"a": 1, "b": 3, "c": 0} {
		if got, err := bus.RevisionOf(t.Context(), key(p), id); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", id, got, err, want)
		}
	}
}

func TestSendToAStreamOrSubscribers(t *testing.T) {
	t.Parallel()
	_, _, bus := start(t, t.TempDir())
	_, err := bus.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "THEIRS", Subjects: []string{"theirs.>"}})
	must(t, err)
	for range 2 {
		must(t, bus.Send(t.Context(), "theirs.kyc", []byte(`{"a":1}`), "id-1"))
	}
	theirs, err := bus.js.Stream(t.Context(), "THEIRS")
	must(t, err)
	m, err := theirs.GetLastMsgForSubject(t.Context(), "theirs.kyc")
	must(t, err)
	if n := theirs.CachedInfo().State.Msgs; n != 1 || m.Header.Get("Content-Type") != "application/cloudevents+json" ||
		m.Header.Get(nats.MsgIdHdr) != "id-1" {
		t.Errorf("%d in the stream, %v", n, m.Header)
	}
	listener, err := bus.nc.SubscribeSync("live.kyc")
	must(t, err)
	must(t, bus.Send(t.Context(), "live.kyc", []byte(`{"a":1}`), "id-1"))
	if received, err := listener.NextMsg(5 * time.Second); err != nil || string(received.Data) != `{"a":1}` ||
		received.Header.Get("Content-Type") != "application/cloudevents+json" {
		t.Errorf("received %v, %v", received, err)
	}
	must(t, bus.Send(t.Context(), "nobody.listens", []byte(`{}`), "id-2"))
}

// benchStore is a store with many payloads, 20 a verification, and every 20th one quarantined too.
func benchStore(b *testing.B, n int) (*Store, string) {
	b.Helper()
	server, err := StartEmbedded(EmbeddedOptions{Dir: b.TempDir(), Names: testNames, MaxBody: testMaxBody})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Close)
	store, err := OpenStore(b.Context(), connect(b, server, "store"), testNames, testMaxBody, 1,
		kycbridge.DefaultRetention())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(store.Close)
	const writers = 512
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := w; i < n; i += writers {
				p := payload(fmt.Sprint("idv-", i%(n/20)), fmt.Sprint("e", i), fmt.Sprintf(`{"n":%d,"pad":"%0200d"}`, i, i))
				if _, err := store.Append(context.Background(), p); err != nil {
					b.Error(err)
					return
				}
				if i%20 == 0 {
					if err := store.Quarantine(context.Background(), p, kycbridge.QuarantineSchema, nil); err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	return store, event.VerificationID("ondato", "acme", fmt.Sprint("idv-", n/20-20))
}

// BenchmarkKept measures reading from a full store: go test -bench Kept -run - ./publisher
func BenchmarkKept(b *testing.B) {
	n := 1_000_000
	if testing.Short() {
		n = 20_000
	}
	store, verification := benchStore(b, n)
	first := func(b *testing.B, q kycbridge.KeptQuery) {
		for b.Loop() {
			found := false
			if err := store.Kept(b.Context(), q,
				func(kycbridge.Kept) error { found = true; return kycbridge.ErrEnough }); err != nil || !found {
				b.Fatal(found, err)
			}
		}
	}
	b.Run("first of a verification", func(b *testing.B) { first(b, kycbridge.KeptQuery{VerificationID: verification}) })
	b.Run("first of a verification and account", func(b *testing.B) {
		first(b, kycbridge.KeptQuery{VerificationID: verification, Provider: "ondato", Account: "acme"})
	})
	b.Run("first of a verification in quarantine", func(b *testing.B) {
		first(b, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine, VerificationID: verification})
	})
	for name, q := range map[string]kycbridge.KeptQuery{
		"a verification":      {VerificationID: verification},
		"all, headers":        {HeadersOnly: true},
		"all":                 {},
		"an account, headers": {Provider: "ondato", Account: "acme", HeadersOnly: true},
	} {
		b.Run(name, func(b *testing.B) {
			read := 0
			for b.Loop() {
				if err := store.Kept(b.Context(), q, func(kycbridge.Kept) error { read++; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(read)/float64(b.N), "items/op")
			b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "items/s")
		})
	}
	b.Run("erase", func(b *testing.B) {
		seq := uint64(n / 2)
		for b.Loop() {
			if err := store.Erase(b.Context(), kycbridge.ShelfPayloads, seq, true); err != nil {
				b.Fatal(err)
			}
			seq += 7919
			if seq > uint64(n) {
				seq -= uint64(n) - 1
			}
		}
	})
}

// TestRefusedCertificate: a refused callback keeps the verified certificate of its client, so that it can be
// authenticated again, and one with another certificate is another message.
func TestRefusedCertificate(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	p := payload("", "", `{"a":1}`)
	p.VerificationID = ""
	ca := pki.NewAuthority(t, "ca")
	certs := map[string]bool{}
	for _, name := range []string{"one", "two"} {
		leaf := ca.Client(t, name).Leaf
		certs[string(leaf.Raw)] = true
		for range 2 { // repeated by the sender
			store.Refuse(t.Context(), p, kycbridge.Request{Header: http.Header{}, Certificate: leaf}, "wrong credential")
		}
	}
	store.Refuse(t.Context(), p, kycbridge.Request{Header: http.Header{}}, "no credential was sent")
	refused, err := store.js.Stream(t.Context(), "KYC_REFUSED")
	if err != nil {
		t.Fatal(err)
	}
	wait.For(t, 10*time.Second, "three refused callbacks", func() bool {
		info, err := refused.Info(t.Context())
		return err == nil && info.State.Msgs == 3
	})
	without := 0
	for seq := uint64(1); seq <= 3; seq++ {
		raw, err := refused.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		k := keptOf(kycbridge.ShelfRefused, raw.Subject, raw.Header, raw.Data, seq)
		switch {
		case k.Request.Certificate == nil:
			without++
		case !certs[string(k.Request.Certificate.Raw)]:
			t.Error("another certificate")
		default:
			delete(certs, string(k.Request.Certificate.Raw))
		}
	}
	if len(certs) != 0 || without != 1 {
		t.Errorf("%d certificates are missing, %d messages have none", len(certs), without)
	}
}

// TestDeliveredAgain: a payload that an earlier process was working on is marked, and a new one is not. The number of
// deliveries does not show it: it begins anew with each process.
func TestDeliveredAgain(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	put := func(id string) {
		_, err := store.Append(t.Context(), payload(id, "of-"+id, "{}"))
		must(t, err)
	}
	consume := func(n int, done bool) (again []bool) {
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second*wait.Slowdown)
		defer stop()
		must(t, store.Consume(ctx, ConsumeOptions{Workers: 1, Exclusive: true, Log: zap.NewNop(),
			Hold: func() bool { return true },
			Work: func(_ context.Context, p kycbridge.Payload, _ int) (kycbridge.Disposition, time.Duration) {
				if again = append(again, p.Again); len(again) == n {
					stop()
				}
				if !done {
					return kycbridge.Disposition{}, time.Second
				}
				return kycbridge.Disposition{Revision: 1}, 0
			}}))
		return again
	}
	_, err := store.makeNormalizer(t.Context())
	must(t, err)
	put("idv-1")
	if again := consume(1, false); !slices.Equal(again, []bool{false}) {
		t.Errorf("at first: %v", again)
	}
	put("idv-2")
	if again := consume(2, true); !slices.Equal(again, []bool{true, false}) {
		t.Errorf("in the next process: %v", again)
	}
	must(t, store.js.DeleteConsumer(t.Context(), testNames.payloads(), Consumer))
	if again := consume(2, true); !slices.Equal(again, []bool{true, true}) {
		t.Errorf("after the consumer was deleted: %v", again)
	}
	put("idv-3")
	if again := consume(1, true); !slices.Equal(again, []bool{false}) {
		t.Errorf("a new payload after that: %v", again)
	}
}
