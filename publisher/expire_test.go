package publisher

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

var expiredAccount = kycbridge.AccountKey{Provider: "ondato", Account: "acme"}

// agedOf are the messages of an account that are stored.
func agedOf(t testing.TB, s *Store, a kycbridge.AccountKey) (all []kycbridge.Aged) {
	t.Helper()
	must(t, s.Aged(t.Context(), kycbridge.ShelfPayloads, a, time.Now().Add(time.Hour), 1, func(m kycbridge.Aged) error {
		all = append(all, m)
		return nil
	}))
	return all
}

// TestExpire: expired messages of one account are removed, those of another and later ones stay, the gaps are
// explained, and a copy of the files from before cannot be decrypted with the keys as they are now.
func TestExpire(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), masterKeys(t, "m")
	server, store, bus := start(t, dir)
	seal(t, store, masterOf(t, text))
	for n := range 40 {
		p := payload(fmt.Sprint("ref", n), fmt.Sprint("event", n), `{"a": 1}`)
		if n%4 == 3 {
			p.Account = "other"
			p.ID = "ondato.other.event" + fmt.Sprint(n)
		}
		_, err := store.Append(t.Context(), p)
		must(t, err)
	}
	stop := func() { bus.Close(); store.Close(); server.Close() }
	stop()
	copied := t.TempDir()
	must(t, os.CopyFS(filepath.Join(copied, "jetstream"), os.DirFS(filepath.Join(dir, "jetstream"))))
	server, store, bus = start(t, dir)
	seal(t, store, masterOf(t, text))
	other := kycbridge.AccountKey{Provider: "ondato", Account: "other"}
	mine, others := agedOf(t, store, expiredAccount), agedOf(t, store, other)
	if len(mine) != 30 || len(others) != 10 || len(agedOf(t, store, kycbridge.AccountKey{})) != 40 {
		t.Fatalf("%d and %d", len(mine), len(others))
	}
	remove := func(all []kycbridge.Aged, isAll bool) {
		t.Helper()
		var seqs []uint64
		var sealed []string
		for _, m := range all {
			seqs, sealed = append(seqs, m.Seq), append(sealed, m.Sealed)
		}
		must(t, store.DestroyKeys(t.Context(), kycbridge.ShelfPayloads, sealed))
		must(t, store.Expire(t.Context(), kycbridge.ShelfPayloads, expiredAccount, seqs, isAll))
	}
	remove(mine[:20], true)
	remove(mine[22:24], false)
	left := agedOf(t, store, expiredAccount)
	if len(left) != 8 || left[0].Seq != mine[20].Seq || left[2].Seq != mine[24].Seq ||
		len(agedOf(t, store, other)) != 10 {
		t.Errorf("%+v are left", left)
	}
	if n, err := store.Expired(t.Context(), kycbridge.ShelfPayloads); err != nil || n != 22 {
		t.Errorf("%d were removed, %v", n, err)
	}
	was, _, err := store.Erased(t.Context(), testNames.payloads())
	must(t, err)
	for _, m := range mine {
		if gone := !slices.ContainsFunc(left, func(l kycbridge.Aged) bool { return l.Seq == m.Seq }); was(m.Seq) != gone {
			t.Errorf("%d: gone %t, recorded %t", m.Seq, gone, was(m.Seq))
		}
	}
	stop()

	keysNow := filepath.Join("jetstream", ownAccount, "streams", testNames.keyPages())
	must(t, os.RemoveAll(filepath.Join(copied, keysNow)))
	must(t, os.CopyFS(filepath.Join(copied, keysNow), os.DirFS(filepath.Join(dir, keysNow))))
	_, store, _ = start(t, copied)
	seal(t, store, masterOf(t, text))
	for _, m := range mine {
		k, err := store.KeptAt(t.Context(), kycbridge.ShelfPayloads, m.Seq)
		opened := err == nil && string(k.Body) == `{"a": 1}`
		if kept := slices.ContainsFunc(left, func(l kycbridge.Aged) bool { return l.Seq == m.Seq }); opened != kept {
			t.Errorf("%d of the copy: opened %t, kept %t, %v", m.Seq, opened, kept, err)
		}
	}
}

// TestErasuresAreTidied: the records of complete buckets at the front are replaced by one, and explain the same.
func TestErasuresAreTidied(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	stream := testNames.payloads()
	record := func(first, last uint64) {
		must(t, store.AcceptMissing(t.Context(), stream, []kycbridge.Range{{first, last}}))
	}
	records := func() int {
		info, err := store.tombstones.Info(t.Context(), jetstream.WithSubjectFilter(testNames.join("erased", stream, "*")))
		must(t, err)
		return len(info.State.Subjects)
	}
	check := func(wantRecords int, gone ...kycbridge.Range) {
		t.Helper()
		must(t, store.TidyErasures(t.Context(), kycbridge.ShelfPayloads))
		was, _, err := store.Erased(t.Context(), stream)
		must(t, err)
		for _, seq := range []uint64{1, 8191, 8192, 16383, 16384, 20000, 24575, 24576, 30000} {
			want := slices.ContainsFunc(gone, func(r kycbridge.Range) bool { return r[0] <= seq && seq <= r[1] })
			if was(seq) != want {
				t.Errorf("%d: %t", seq, was(seq))
			}
		}
		if n := records(); n != wantRecords {
			t.Errorf("%d records, not %d", n, wantRecords)
		}
	}
	record(2, 20000)
	check(4, kycbridge.Range{2, 20000}) // three buckets, and that erasures are recorded
	record(1, 1)
	check(3, kycbridge.Range{1, 20000})
	record(20001, 24575)
	record(25000, 30000)
	check(3, kycbridge.Range{1, 24575}, kycbridge.Range{25000, 30000})
	held := payload("idv-1", "e1", "{}") // a worker has held it for long
	held.Seq, held.ReceivedAt = 5000, time.Now().Add(-time.Hour)
	must(t, store.payloadLog.Purge(t.Context(), jetstream.WithPurgeSequence(30001))) // as if so many had been stored
	if erased, err := store.WasErased(t.Context(), held); !erased || err != nil {
		t.Errorf("erased %v, %v", erased, err)
	}
}

// TestErasuresAreTidiedAtOnce: a process is stopped before it records how far all messages are erased, and another one
// gets further meanwhile. When the first one goes on, no erased message counts as missing.
func TestErasuresAreTidiedAtOnce(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	other, _ := openStreams(t, server)
	stream := testNames.payloads()
	must(t, store.AcceptMissing(t.Context(), stream, []kycbridge.Range{{1, 2*erasedBucket - 1}}))
	must(t, other.TidyErasures(t.Context(), kycbridge.ShelfPayloads))
	must(t, store.setFront(t.Context(), stream, erasedBucket-1))
	was, _, err := store.Erased(t.Context(), stream)
	must(t, err)
	for _, seq := range []uint64{1, erasedBucket - 1, erasedBucket, 2*erasedBucket - 1} {
		if !was(seq) {
			t.Errorf("the erased message %d counts as missing", seq)
		}
	}
}

// TestAgeLimitsMoveToTheService: the age limit of an earlier version is removed, and messages that expired
// before are not reported as missing. An operator's own limit remains, unless the configuration names a
// retention.
func TestAgeLimitsMoveToTheService(t *testing.T) {
	t.Parallel()
	const own = 100 * time.Hour
	longer := kycbridge.DefaultRetention()
	longer.Payloads, longer.Quarantine = 60*24*time.Hour, 60*24*time.Hour
	for name, c := range map[string]struct {
		have      time.Duration
		retention kycbridge.Retention
		want      time.Duration
		records   time.Duration
	}{
		"of an earlier version": {payloadAge, kycbridge.DefaultRetention(), 0, payloadAge + recordsLonger},
		"the operator's":        {own, kycbridge.DefaultRetention(), own, own},
		"configured":            {own, longer, 0, 60*24*time.Hour + recordsLonger},
		"unlimited":             {0, kycbridge.DefaultRetention(), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := StartEmbedded(EmbeddedOptions{Dir: t.TempDir(), Names: testNames, MaxBody: testMaxBody})
			must(t, err)
			t.Cleanup(server.Close)
			store, err := OpenStore(t.Context(), connect(t, server, "store"), testNames, testMaxBody, 1,
				kycbridge.DefaultRetention())
			must(t, err)
			for n := range 3 {
				_, err := store.Append(t.Context(), payload(fmt.Sprint("ref", n), fmt.Sprint("event", n), `{}`))
				must(t, err)
			}
			names := []string{testNames.payloads(), testNames.quarantine(), testNames.dispositions()}
			for _, stream := range names {
				found, err := store.js.Stream(t.Context(), stream)
				must(t, err)
				config := found.CachedInfo().Config
				config.MaxAge = c.have
				_, err = store.js.UpdateStream(t.Context(), config)
				must(t, err)
			}
			must(t, store.payloadLog.Purge(t.Context(), jetstream.WithPurgeSequence(3))) // as if two had expired
			store.Close()
			store, err = OpenStore(t.Context(), connect(t, server, "store"), testNames, testMaxBody, 1, c.retention)
			must(t, err)
			t.Cleanup(store.Close)
			for i, stream := range names {
				found, err := store.js.Stream(t.Context(), stream)
				must(t, err)
				if got := found.CachedInfo().Config.MaxAge; got != []time.Duration{c.want, c.want, c.records}[i] {
					t.Errorf("the age of %s is limited to %s", stream, got)
				}
			}
			streams, err := store.OwnAges(t.Context())
			if must(t, err); len(streams) != map[bool]int{true: 2}[c.want > 0] {
				t.Errorf("limited are %v", streams)
			}
			was, _, err := store.Erased(t.Context(), testNames.payloads())
			if must(t, err); c.have > 0 && c.want == 0 && (!was(1) || !was(2) || was(3)) {
				t.Error("what had expired is not explained")
			}
		})
	}
}

// BenchmarkExpire removes the older half of a store with two accounts in portions, as the retention does.
func BenchmarkExpire(b *testing.B) {
	server, err := StartEmbedded(EmbeddedOptions{Dir: b.TempDir(), Names: testNames, MaxBody: testMaxBody})
	must(b, err)
	b.Cleanup(server.Close)
	store, err := OpenStore(b.Context(), connect(b, server, "store"), testNames, testMaxBody, 1,
		kycbridge.DefaultRetention())
	must(b, err)
	b.Cleanup(store.Close)
	const many = 20_000
	for b.Loop() {
		b.StopTimer()
		pending := make(chan struct{}, 256)
		for n := range many {
			p := payload(fmt.Sprint("ref", n), fmt.Sprintf("event%d.%d", n, time.Now().UnixNano()), `{"a": 1}`)
			pending <- struct{}{}
			go func() {
				_, err := store.Append(b.Context(), p)
				must(b, err)
				<-pending
			}()
		}
		for range cap(pending) {
			pending <- struct{}{}
		}
		b.StartTimer()
		all := agedOf(b, store, expiredAccount)
		for portion := range slices.Chunk(all, 8192) {
			var seqs []uint64
			for _, m := range portion {
				seqs = append(seqs, m.Seq)
			}
			must(b, store.Expire(b.Context(), kycbridge.ShelfPayloads, expiredAccount, seqs, true))
		}
	}
	b.ReportMetric(many*float64(b.N)/b.Elapsed().Seconds(), "removed/s")
}

// TestNothingIsSearchedWhileNothingIsOld: the retention creates no consumer with a filter while the oldest message is
// too young, because the server visits all subjects for one.
func TestNothingIsSearchedWhileNothingIsOld(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	_, err := store.Append(t.Context(), payload("ref", "event", `{}`))
	must(t, err)
	created, err := store.nc.SubscribeSync("$JS.EVENT.ADVISORY.CONSUMER.CREATED." + testNames.payloads() + ".*")
	must(t, err)
	must(t, store.nc.Flush())
	search := func(before time.Time) (passed int) {
		t.Helper()
		must(t, store.Aged(t.Context(), kycbridge.ShelfPayloads, expiredAccount, before, 1, func(kycbridge.Aged) error {
			passed++
			return nil
		}))
		return passed
	}
	if passed := search(time.Now().Add(-time.Hour)); passed != 0 {
		t.Errorf("nothing is an hour old, and %d messages are passed", passed)
	}
	_, err = store.js.CreateOrUpdateConsumer(t.Context(), testNames.payloads(),
		jetstream.ConsumerConfig{Durable: "marker"})
	must(t, err)
	switch first, err := created.NextMsg(10 * time.Second); {
	case err != nil:
		t.Errorf("no message about the consumer of this test: %v", err)
	case !strings.HasSuffix(first.Subject, ".marker"):
		t.Errorf("the search for old messages created a consumer: %s", first.Subject)
	}
	if passed := search(time.Now().Add(time.Hour)); passed != 1 {
		t.Errorf("everything is old enough, and %d messages are passed", passed)
	}
	if _, err := created.NextMsg(10 * time.Second); err != nil {
		t.Errorf("a search without a consumer: %v", err)
	}
}
