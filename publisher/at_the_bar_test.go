package publisher

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/internal/poll"
	"kycbridge/test/wait"
)

// watchesThen calls then before the n-th EraseWatches.
type watchesThen struct {
	*Store
	n    int
	then func()
}

func (s *watchesThen) EraseWatches(ctx context.Context, k kycbridge.Key) (int, error) {
	if s.n--; s.n == 0 {
		s.then()
	}
	return s.Store.EraseWatches(ctx, k)
}

// readsThen closes read when a payload has been read to be stored again, or the record of an erasure looked for.
type readsThen struct {
	*Store
	once sync.Once
	read chan struct{}
}

func (s *readsThen) KeptAt(ctx context.Context, shelf kycbridge.Shelf, seq uint64) (kycbridge.Kept, error) {
	k, err := s.Store.KeptAt(ctx, shelf, seq)
	s.once.Do(func() { close(s.read) })
	return k, err
}

func (s *readsThen) Tombstone(ctx context.Context, k kycbridge.Key) (*kycbridge.Tombstone, error) {
	t, err := s.Store.Tombstone(ctx, k)
	s.once.Do(func() { close(s.read) })
	return t, err
}

// TestReadmitAtTheBar: a replay of the quarantine reads a payload while a purge has its bar up and has not erased the
// payload yet. It does not store the payload again when the bar is lifted.
func TestReadmitAtTheBar(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	victim := payload("victim", "", `{"ref":"victim"}`)
	must(t, store.Quarantine(t.Context(), victim, kycbridge.QuarantineSchema, nil))
	readmitted := make(chan error, 1)
	purger, reader, reads := *tool, *tool, &readsThen{Store: store, read: make(chan struct{})}
	reader.Shelves = reads
	purger.Watches = &watchesThen{store, 1, func() {
		go func() {
			_, err := reader.Replay(context.Background(),
				archive.ReplayOptions{Filter: archive.Filter{Status: archive.StatusQuarantined}},
				func(r archive.Replayed) error { t.Logf("replay: %+v", r); return nil })
			readmitted <- err
		}()
		<-reads.read
	}}
	out, err := purger.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	t.Logf("purged: %+v", out)
	t.Log("replay ended:", <-readmitted)
	for _, k := range kept(t, store, kycbridge.KeptQuery{VerificationID: victim.VerificationID}) {
		t.Errorf("stored again after it was purged: %s", k.Body)
	}
}

func exportLine(p kycbridge.Payload) []byte {
	line, _ := json.Marshal(map[string]any{"shelf": "payloads", "id": p.ID, "provider": p.Provider, "account": p.Account,
		"verification_id": p.VerificationID, "reference": p.Reference, "via": p.Via, "received_at": p.ReceivedAt,
		"digest": p.Digest, "body": base64.StdEncoding.EncodeToString(p.Body)})
	return append(line, '\n')
}

// TestImportAtTheBar: an import reads a payload while a purge runs that has not written its tombstone yet.
func TestImportAtTheBar(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	victim := payload("victim", "", `{"ref":"victim"}`)
	victim.Reference = "victim"
	e, body := eventOf(victim, 1)
	must(t, bus.Publish(t.Context(), key(victim), sealed(event.KindUpdated, e, body), 0)) // its payload has expired
	imported := make(chan error, 1)
	purger, reader, reads := *tool, *tool, &readsThen{Store: store, read: make(chan struct{})}
	reader.Tombstones = reads
	purger.Watches = &watchesThen{store, 1, func() {
		go func() {
			out, err := reader.Import(context.Background(), bytes.NewReader(exportLine(victim)), false, nil)
			t.Logf("import: %+v", out)
			imported <- err
		}()
		<-reads.read
	}}
	out, err := purger.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	t.Logf("purged: %+v", out)
	t.Log("import ended:", <-imported)
	for _, k := range kept(t, store, kycbridge.KeptQuery{VerificationID: victim.VerificationID}) {
		t.Errorf("imported after it was purged: %s", k.Body)
	}
}

// TestErasedQuarantinedIsRepeated: a quarantined payload that was erased with its verification is repeated.
func TestErasedQuarantinedIsRepeated(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	victim := payload("victim", "", `{"ref":"victim"}`)
	must(t, store.Quarantine(t.Context(), victim, kycbridge.QuarantineSchema, nil))
	_, err := tool.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	must(t, store.Quarantine(t.Context(), victim, kycbridge.QuarantineSchema, nil))
	for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine}) {
		t.Errorf("quarantined again after it was purged: %s", k.Body)
	}
}

// withVictim is a store with a payload that is to be purged, and the tool for it.
func withVictim(t *testing.T) (*Store, *archive.Archive, kycbridge.Payload) {
	t.Helper()
	_, store, bus := start(t, t.TempDir())
	victim := payload("victim", "", `{"ref":"victim"}`)
	_, err := store.Append(t.Context(), victim)
	must(t, err)
	return store, purgeTool(t, store, bus), victim
}

// TestFetchedWithoutReferenceIsPurged: a fetched body that names no verification belongs to the one that was asked
// about.
func TestFetchedWithoutReferenceIsPurged(t *testing.T) {
	t.Parallel()
	store, tool, victim := withVictim(t)
	account := tool.Accounts[kycbridge.AccountKey{Provider: "ondato", Account: "acme"}]
	for _, body := range []string{`{"name":"Victim Person"}`, `{"name":"Victim Person"`} {
		r, err := tool.Intake.Ingest(t.Context(), account, kycbridge.Payload{Via: event.ViaFetch, Reference: "victim",
			ReceivedAt: time.Now(), Part: "kyc", Body: []byte(body)})
		must(t, err)
		t.Logf("%+v", r)
	}
	_, err := tool.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine}) {
		t.Errorf("after the purge of its verification: reference %q body %s", k.Reference, k.Body)
	}
}

// TestHoldDuringPurgeOld: a hold that is placed while payloads of an age are erased.
func TestHoldDuringPurgeOld(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	tool.Ageing, tool.Retention = store, kycbridge.Retention{Quarantine: time.Nanosecond}
	ref := "victim"
	id := event.VerificationID("ondato", "acme", ref)
	for i := range 100 {
		p := payload("x", "", fmt.Sprintf(`{"ref":%q,"n":%d}`, ref, i))
		p.VerificationID, p.Reference, p.ReceivedAt = "", "", time.Now()
		must(t, store.Quarantine(t.Context(), p, kycbridge.QuarantineUnidentified, nil))
	}
	var once sync.Once
	var left atomic.Int64
	held := make(chan struct{})
	counts, err := tool.PurgeOld(t.Context(), archive.Filter{Status: archive.StatusQuarantined},
		time.Now().Add(time.Hour), false,
		func(done int) {
			if done == 16 {
				once.Do(func() {
					go func() {
						defer close(held)
						h, err := tool.Hold(context.Background(), id, "court", "me", time.Time{})
						t.Logf("hold: active %v %v", h.Active, err)
						left.Store(int64(len(kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine}))))
					}()
				})
			}
		})
	must(t, err)
	t.Logf("%v", counts)
	<-held
	if left.Load() == 0 {
		t.Skip("the purge had ended before the hold was requested: this machine is too busy")
	}
	if n := len(kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine})); int64(n) != left.Load() {
		t.Errorf("%d were left when the hold was in effect, now %d", left.Load(), n)
	}
}

// TestHoldBeforePurgeOld: the same with a hold that was placed before.
func TestHoldBeforePurgeOld(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	tool.Ageing = store
	p := payload("x", "", `{"ref":"victim"}`)
	p.VerificationID, p.Reference, p.ReceivedAt = "", "", time.Now()
	must(t, store.Quarantine(t.Context(), p, kycbridge.QuarantineUnidentified, nil))
	_, err := tool.Hold(t.Context(), event.VerificationID("ondato", "acme", "victim"), "court", "me", time.Time{})
	must(t, err)
	counts, err := tool.PurgeOld(t.Context(), archive.Filter{Status: archive.StatusQuarantined},
		time.Now().Add(time.Hour), false, nil)
	must(t, err)
	t.Logf("%v", counts)
	if n := len(kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine})); n != 1 {
		t.Errorf("%d left", n)
	}
}

// TestHoldOfFetchedWithoutReference: a hold keeps fetched bodies that name no verification.
func TestHoldOfFetchedWithoutReference(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	tool.Ageing, tool.Retention = store, kycbridge.Retention{Quarantine: time.Nanosecond}
	victim := payload("victim", "", `{"ref":"victim"}`)
	_, err := store.Append(t.Context(), victim)
	must(t, err)
	account := tool.Accounts[kycbridge.AccountKey{Provider: "ondato", Account: "acme"}]
	_, err = tool.Intake.Ingest(t.Context(), account, kycbridge.Payload{Via: event.ViaFetch, Reference: "victim",
		ReceivedAt: time.Now(), Part: "kyc", Body: []byte(`{"name":"Victim Person"}`)})
	must(t, err)
	_, err = tool.Hold(t.Context(), victim.VerificationID, "court", "me", time.Time{})
	must(t, err)
	all, err := tool.Retain(t.Context(), false, false)
	must(t, err)
	t.Logf("%+v", all)
	if n := len(kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine})); n != 1 {
		t.Errorf("%d of 1 quarantined answer about the held verification are left", n)
	}
}

// TestUnknownAccountIsPurged: a purge erases callbacks that came before their account was configured.
func TestUnknownAccountIsPurged(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	account := tool.Accounts[kycbridge.AccountKey{Provider: "ondato", Account: "acme"}]
	account.Provider.Verify = func(kycbridge.Credentials, kycbridge.Request) (string, error) { return "test", nil }
	victim := payload("victim", "", `{"ref":"victim","name":"Victim Person"}`)
	tool.Intake.KeepUnknownAccount(t.Context(), "ondato", "acme", kycbridge.Request{Body: victim.Body,
		ReceivedAt: time.Now()})
	wait.For(t, 10*time.Second, "refused", func() bool {
		return len(kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfRefused})) == 1
	})
	other := payload("victim", "", `{"ref":"victim"}`)
	_, err := store.Append(t.Context(), other)
	must(t, err)
	_, err = tool.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfRefused}) {
		t.Errorf("after the purge: addressed to %v: %s", k.Addressed, k.Body)
	}
	_, err = tool.Replay(t.Context(), archive.ReplayOptions{Filter: archive.Filter{Status: archive.StatusRefused}},
		func(r archive.Replayed) error { t.Logf("%+v", r); return nil })
	must(t, err)
	for _, k := range kept(t, store, kycbridge.KeptQuery{VerificationID: victim.VerificationID}) {
		t.Errorf("admitted after the purge: %s", k.Body)
	}
}

// keptThen calls then after the first query of the refused callbacks of an account.
type keptThen struct {
	*Store
	then func()
}

func (s *keptThen) Kept(ctx context.Context, q kycbridge.KeptQuery, each func(kycbridge.Kept) error) error {
	err := s.Store.Kept(ctx, q, each)
	if q.Shelf == kycbridge.ShelfRefused && q.Provider == "ondato" && s.then != nil {
		s.then()
		s.then = nil
	}
	return err
}

// TestRefusedDuringPurge: while a purge reads the refused callbacks, one of its verification comes, and a later one to
// an account that is not configured, which the same round still reads. The next round finds the first one.
func TestRefusedDuringPurge(t *testing.T) {
	t.Parallel()
	store, tool, victim := withVictim(t)
	refused := func() int { return len(kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfRefused})) }
	refuse := func(r kycbridge.Request, p kycbridge.Payload) {
		before := refused()
		store.Refuse(t.Context(), p, r, "")
		wait.For(t, 10*time.Second, "refused", func() bool { return refused() == before+1 })
	}
	tool.Shelves = &keptThen{store, func() {
		refuse(kycbridge.Request{}, payload("victim", "", `{"ref":"victim","again":true}`))
		other := payload("other", "", `{"ref":"other"}`)
		other.Provider, other.Account = kycbridge.UnknownAccount, kycbridge.UnknownAccount
		other.Addressed = kycbridge.AccountKey{Provider: "ondato", Account: "acne"}
		refuse(kycbridge.Request{Path: "/ondato/acne"}, other)
	}}
	out, err := tool.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	if n := refused(); n != 1 || out.Refused != 1 {
		t.Errorf("%d refused callbacks are left, %d erased, want 1 of each", n, out.Refused)
	}
}

// TestFormerAccountIsPurged: an account is not configured any more. Its refused callbacks, and quarantined payloads
// that name their verification only in their body, are erased with it, and kept by a hold on it.
func TestFormerAccountIsPurged(t *testing.T) {
	t.Parallel()
	store, tool, victim := withVictim(t)
	k := kycbridge.AccountKey{Provider: "ondato", Account: "acme"}
	tool.Providers = map[string]kycbridge.Provider{"ondato": tool.Accounts[k].Provider}
	delete(tool.Accounts, k)
	tool.Ageing, tool.Retention = store, kycbridge.Retention{Quarantine: time.Millisecond}
	body := payload("", "", `{"ref":"victim"}`)
	body.VerificationID = ""
	store.Refuse(t.Context(), body, kycbridge.Request{}, "")
	must(t, store.Quarantine(t.Context(), body, kycbridge.QuarantineSchema, nil))
	count := func(shelf kycbridge.Shelf) int { return len(kept(t, store, kycbridge.KeptQuery{Shelf: shelf})) }
	wait.For(t, 10*time.Second, "refused", func() bool { return count(kycbridge.ShelfRefused) == 1 })
	_, err := tool.Hold(t.Context(), victim.VerificationID, "case 1", "alice", time.Time{})
	must(t, err)
	_, err = tool.Retain(t.Context(), false, true)
	must(t, err)
	if n := count(kycbridge.ShelfQuarantine); n != 1 {
		t.Errorf("%d quarantined payloads of the held verification are left", n)
	}
	_, err = tool.Release(t.Context(), victim.VerificationID, "closed", "alice")
	must(t, err)
	_, err = tool.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	if q, r := count(kycbridge.ShelfQuarantine), count(kycbridge.ShelfRefused); q+r > 0 {
		t.Errorf("after the purge %d quarantined and %d refused payloads are left", q, r)
	}
}

type unindexThen struct {
	*Store
	then func()
}

func (s unindexThen) Unindex(ctx context.Context, k kycbridge.Key) (int, error) {
	s.then()
	return s.Store.Unindex(ctx, k)
}

// TestRequestToWatchIsPurged: a request to watch a verification waits, because no process polls, while the verification
// is purged. It would fetch the erased data again. A request for another one remains.
func TestRequestToWatchIsPurged(t *testing.T) {
	t.Parallel()
	store, tool, victim := withVictim(t)
	request := func(body string) {
		t.Helper()
		_, err := store.js.Publish(t.Context(), testNames.Subject+".watch.ondato.acme", []byte(body))
		must(t, err)
	}
	request(`{"reference": "victim"}`)
	request(`{"reference": "another"}`)
	request(`no JSON`)
	erasure, err := tool.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	left := 0
	must(t, store.readSubject(t.Context(), store.polls, testNames.watches(), 1, func(m *jetstream.RawStreamMsg) error {
		left++
		if strings.Contains(string(m.Data), "victim") {
			t.Errorf("left: %s", m.Data)
		}
		return nil
	}))
	if left != 2 || erasure.Watches != 1 {
		t.Errorf("%d requests are left, %d erased", left, erasure.Watches)
	}
}

// TestPollInProgressIsPurged: a poll that ends during a purge leaves no timer.
func TestPollInProgressIsPurged(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	victim := payload("victim", "", `{"ref":"victim"}`)
	e, body := eventOf(victim, 1)
	must(t, bus.Publish(t.Context(), key(victim), sealed(event.KindUpdated, e, body), 0)) // its payloads have expired
	account := tool.Accounts[kycbridge.AccountKey{Provider: "ondato", Account: "acme"}]
	asked, answer, polled := make(chan bool), make(chan bool), make(chan error, 1)
	account.API.Fetch = func(_ context.Context, q kycbridge.Query) ([]kycbridge.Fetched, error) {
		close(asked)
		<-answer
		return []kycbridge.Fetched{{Part: "kyc", Body: []byte(`{"ref":"victim"}`)}}, nil
	}
	poller := &poll.Poller{Accounts: tool.Accounts, Intake: tool.Intake, Timers: store, History: store, Now: time.Now,
		Policy:     func(kycbridge.AccountKey) poll.Policy { return poll.Policy{Interval: time.Hour, Deadline: time.Hour} },
		Tombstones: store, Log: zap.NewNop(),
		State:   func(context.Context, kycbridge.Key, bool) (*event.Data, error) { return nil, nil },
		Observe: func(kycbridge.AccountKey, string) {}}
	go func() {
		polled <- poller.Work(context.Background(), kycbridge.Watch{Provider: "ondato", Account: "acme", Reference: "victim",
			Since: time.Now(), Deadline: time.Now().Add(time.Hour), Asked: true,
			Seen: map[string]kycbridge.Seen{"kyc": {PayloadID: "x",
				Digest: kycbridge.Digest([]byte(`{"ref":"victim"}`))}}}, false)
	}()
	<-asked
	tool.Unindex = unindexThen{store, func() { close(answer); t.Log("polled:", <-polled) }}
	_, err := tool.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	must(t, store.Watches(t.Context(), func(w kycbridge.Watch, _ bool) error {
		t.Errorf("after the purge there is a timer of %s", w.Reference)
		return nil
	}))
}
