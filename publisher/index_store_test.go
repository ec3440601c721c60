package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/publisher/segments"
)

// smallSegments makes an index that has many segments with few entries.
func smallSegments(s *Store) { s.index.sizes = segments.Sizes{Segment: 16, Step: 64} }

// indexSubjectsOf are the subjects in the stream of the index, without their prefix.
func indexSubjectsOf(t testing.TB, s *Store) (subjects []string) {
	t.Helper()
	info, err := s.index.stream.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	must(t, err)
	for subject := range info.State.Subjects {
		subjects = append(subjects, strings.TrimPrefix(subject, s.names.join("index.")))
	}
	slices.Sort(subjects)
	return subjects
}

// checkIndexStream checks that the stream holds the current manifest, its key and its segments, and nothing else.
func checkIndexStream(t testing.TB, s *Store) {
	t.Helper()
	m, err := s.readManifest(t.Context())
	must(t, err)
	want := []string{"manifest", strings.TrimPrefix(s.secretSubject(m.name), s.names.join("index."))}
	for name := range m.Named() {
		want = append(want, strings.TrimPrefix(s.segmentSubject(name), s.names.join("index.")))
	}
	slices.Sort(want)
	if got := indexSubjectsOf(t, s); !slices.Equal(got, want) {
		t.Errorf("the stream holds %v, want %v", got, want)
	}
}

func publishIndex(t testing.TB, s *Store, subject string, body []byte) {
	t.Helper()
	_, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: s.names.join(subject), Data: body})
	must(t, err)
}

// TestIndexOfEarlierVersions: an index with a subject for each entry is removed, and built anew. So is one that a
// process of an earlier version writes beside the new one.
func TestIndexOfEarlierVersions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, store, bus := start(t, dir)
	indexed(t, store, bus, 1, "case-one")
	old := func() {
		publishIndex(t, store, "index.key", make([]byte, 32))
		publishIndex(t, store, "index.our.abcd.0123.456789abcdef0123456789ab", nil)
		publishIndex(t, store, "index.id.e.aaaa.bbbb.cccccccc.an-owner", nil)
		publishIndex(t, store, "index.at.an-owner.q1", nil)
		publishIndex(t, store, "index.position", []byte(`{"payloads":1,"quarantine":0,"events":1,"tombstones":0}`))
	}
	old()
	for n, x := range []*Indexer{NewIndexer(store, bus), NewIndexer(store, bus)} {
		must(t, x.CatchUp(t.Context(), nil))
		if got := standingFor(t, store, "case-one", false); len(got) != 1 {
			t.Errorf("%d: found %v", n, got)
		}
		checkIndexStream(t, store)
		if inIndex(t, dir, "an-owner") {
			t.Errorf("%d: an old entry is left in a file of the stream", n)
		}
		old()
	}
}

// searchedSegment is the last segment that a search for an id reads.
func searchedSegment(t testing.TB, s *Store, m *manifest, id string) (name segments.Name) {
	t.Helper()
	for _, r := range searched(m.Digests, id, false) {
		_, err := m.Search(r, segments.Day(time.Now()), 0, nil, func(part segments.Segment) (segments.Body, error) {
			name = part.Name
			return s.segment(t.Context(), part)
		})
		must(t, err)
	}
	return name
}

// TestDamagedIndexIsBuiltAgain: what is missing or damaged in the index is noticed, and the index is built again.
func TestDamagedIndexIsBuiltAgain(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	smallSegments(store)
	for n := range 20 {
		indexed(t, store, bus, n, fmt.Sprintf("case-%d", n))
	}
	x := NewIndexer(store, bus)
	for what, damage := range map[string]func(m *manifest){
		"a segment is missing": func(m *manifest) {
			must(t, store.removeSegment(t.Context(), searchedSegment(t, store, m, "case-7")))
		},
		"a segment is damaged": func(m *manifest) {
			subject := store.segmentSubject(searchedSegment(t, store, m, "case-7"))
			publishIndex(t, store, strings.TrimPrefix(subject, store.names.join("")), []byte("not a segment"))
		},
		"the manifest is damaged": func(*manifest) { publishIndex(t, store, "index.manifest", []byte("not a manifest")) },
		"the key is missing": func(m *manifest) {
			must(t, store.index.stream.Purge(t.Context(), jetstream.WithPurgeSubject(store.secretSubject(m.name))))
			store.index.last = nil // as in another process
		},
		"a process of an earlier version has emptied it": func(*manifest) {
			must(t, store.index.stream.Purge(t.Context(), jetstream.WithPurgeSubject(store.names.join("index.*.>"))))
			store.index.last = nil
		},
	} {
		must(t, x.Rebuild(t.Context(), nil))
		m, err := store.readManifest(t.Context())
		must(t, err)
		damage(m)
		store.index.cached.Purge()
		restarted := false
		for n := range 20 {
			_, err := store.Indexed(t.Context(), fmt.Sprintf("case-%d", n), false)
			if restarted = restarted || errors.Is(err, errIndexRestarted); err != nil && !restarted {
				t.Errorf("%s: %v", what, err)
			}
		}
		if lag, err := x.Lag(t.Context()); err != nil || lag.Total() == 0 {
			t.Errorf("%s: behind by %+v, %v; want all of it", what, lag, err)
		}
		must(t, x.CatchUp(t.Context(), nil))
		for n := range 20 {
			if got := standingFor(t, store, fmt.Sprintf("case-%d", n), false); len(got) != 1 {
				t.Errorf("%s: then found %v", what, got)
			}
		}
		checkIndexStream(t, store)
	}
}

// TestDamageIsNoticedByAnErasure: an erasure that cannot read the index erases all of it.
func TestDamageIsNoticedByAnErasure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, store, bus := start(t, dir)
	k := indexed(t, store, bus, 1, "case-one")
	must(t, NewIndexer(store, bus).CatchUp(t.Context(), nil))
	m, err := store.readManifest(t.Context())
	must(t, err)
	must(t, store.removeSegment(t.Context(), m.Runs[0].Segments[0].Name))
	if _, err := store.Unindex(t.Context(), k); err != nil {
		t.Error(err)
	}
	if inIndex(t, dir, string(m.secret[:])) {
		t.Error("the key of what was erased is left")
	}
	checkIndexStream(t, store)
}

// TestWhatIsNotInTheIndexIsRemoved: a killed server may have stored a part of a batch, and a killed
// process may have left the messages that its change has replaced. Messages that are newer than the
// manifest may belong to a batch in progress.
func TestWhatIsNotInTheIndexIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, store, bus := start(t, dir)
	left := segments.NewSecret()
	publishIndex(t, store, "index.segment.0123456789abcdef", []byte("left"))
	publishIndex(t, store, "index.secret.0123456789abcdef", left[:])
	k := indexed(t, store, bus, 1, "case-one")
	x := NewIndexer(store, bus)
	must(t, x.CatchUp(t.Context(), nil))
	publishIndex(t, store, "index.secret.fedcba9876543210", []byte("newer"))
	if _, err := store.Unindex(t.Context(), key(payload("other", "e", "{}"))); err != nil { // finds nothing
		t.Error(err)
	}
	if inIndex(t, dir, string(left[:])) {
		t.Error("a key that is not used is left after an erasure")
	}
	if got := indexSubjectsOf(t, store); !slices.Contains(got, "secret.fedcba9876543210") {
		t.Errorf("what is newer than the manifest is removed: %v", got)
	}
	if _, err := store.Unindex(t.Context(), k); err != nil {
		t.Error(err)
	}
	x.tidied = time.Time{}
	must(t, x.CatchUp(t.Context(), nil))
	checkIndexStream(t, store)
}

// TestQuarantineIsIndexed: a payload in quarantine is found by its id and by its verification, and its entries are
// erased with the verification.
func TestQuarantineIsIndexed(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	p := payload("idv-1", "event-00000001", "{}")
	must(t, store.Quarantine(t.Context(), p, kycbridge.QuarantineUnmapped, nil))
	must(t, NewIndexer(store, bus).CatchUp(t.Context(), nil))
	found, err := store.Indexed(t.Context(), "event-00000001", false)
	if err != nil || len(found) != 1 || found[0].Shelf != kycbridge.ShelfQuarantine || found[0].Seq != 1 {
		t.Errorf("found %+v, %v", found, err)
	}
	places, err := store.QuarantinedOf(t.Context(), p.VerificationID)
	if err != nil || !slices.Equal(places, []uint64{1}) {
		t.Errorf("in quarantine: %v, %v", places, err)
	}
	if n, err := store.Unindex(t.Context(), key(p)); err != nil || n < 3 {
		t.Errorf("erased %d, %v", n, err)
	}
	found, err = store.Indexed(t.Context(), "event-00000001", false)
	places, placesErr := store.QuarantinedOf(t.Context(), p.VerificationID)
	if err != nil || placesErr != nil || len(found)+len(places) > 0 {
		t.Errorf("left after the erasure: %v %v, %v %v", found, places, err, placesErr)
	}
}

// TestIDsOfPayloadsExpire: the entries of a payload expire after the longest retention of a shelf, those
// of an event never do, and an entry of an owner outlasts the one that it leads to.
func TestIDsOfPayloadsExpire(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	indexed(t, store, bus, 1, "case-one")
	must(t, NewIndexer(store, bus).CatchUp(t.Context(), nil))
	m, err := store.readManifest(t.Context())
	must(t, err)
	all := func(today uint16) []segments.Entry {
		found, err := m.Search(segments.Range{Last: segments.Beginning().Last}, today, 0, nil,
			func(part segments.Segment) (segments.Body, error) { return store.segment(t.Context(), part) })
		must(t, err)
		return found
	}
	today := segments.Day(time.Now())
	longest := uint16(store.longestShelf() / (24 * time.Hour))
	for _, c := range []struct {
		day  uint16
		want int
	}{{today, 7}, {today + longest, 7}, {today + longest + 2, 6}, {today + longest + indexGrace + 2, 5}} {
		if got := all(c.day); len(got) != c.want {
			t.Errorf("after %d days %d entries count, want %d", c.day-today, len(got), c.want)
		}
	}
}

// TestIndexersReadersAndPurges: two indexers write while verifications are erased and searched, and work
// is interrupted at any point. In the end all verifications that exist are found, and nothing is left of
// the others.
func TestIndexersReadersAndPurges(t *testing.T) {
	t.Parallel()
	server, store, bus := start(t, t.TempDir())
	second, err := OpenStore(t.Context(), connect(t, server, "second"), testNames, testMaxBody, 1,
		kycbridge.DefaultRetention())
	must(t, err)
	t.Cleanup(second.Close)
	indexAtOnce(t, store, second, bus, 150)
}

// TestIndexInACluster: the same through two nodes of a cluster.
func TestIndexInACluster(t *testing.T) {
	t.Parallel()
	urls := cluster(t, 3)
	store, bus := join(t, urls[0])
	second, _ := join(t, urls[1])
	indexAtOnce(t, store, second, bus, 60)
}

func indexAtOnce(t *testing.T, store, second *Store, bus *Bus, verifications int) {
	smallSegments(store)
	smallSegments(second)
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for _, s := range []*Store{store, second} {
		working.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				broken, cancel := context.WithTimeout(ctx, time.Duration(n%17*3+3)*time.Millisecond)
				_ = NewIndexer(s, bus).CatchUp(broken, nil) // as if the process were killed
				cancel()
				pause(ctx, 5*time.Millisecond)
			}
		})
	}
	working.Go(func() {
		for ctx.Err() == nil {
			if _, err := second.Indexed(ctx, "case-7", false); err != nil && ctx.Err() == nil {
				t.Errorf("a search while the index is written: %v", err)
			}
			pause(ctx, time.Millisecond)
		}
	})
	isErased := func(n int) bool { return n%5 == 0 }
	var keys []kycbridge.Key
	for n := range verifications {
		keys = append(keys, indexed(t, store, bus, n, fmt.Sprintf("case-%d", n)))
		if before := n - 10; before >= 0 && isErased(before) {
			purgeForTest(t, second, bus, keys[before])
		}
	}
	stop()
	working.Wait()
	for n := verifications - 10; n < verifications; n++ {
		if isErased(n) {
			purgeForTest(t, store, bus, keys[n])
		}
	}
	eventually(t, "the index has caught up", func() bool { // a busy cluster may not deliver for a while, so it is repeated
		return NewIndexer(second, bus).CatchUp(t.Context(), nil) == nil
	})
	for n, k := range keys {
		got := standingFor(t, store, fmt.Sprintf("case-%d", n), false)
		if isErased(n) && got != nil || !isErased(n) && !slices.Contains(got, "external_reference "+k.VerificationID) {
			t.Errorf("%d: found %v", n, got)
		}
	}
	checkIndexStream(t, store)
	checkErased(t, store, keys, isErased)
}

// purgeForTest erases a verification as a purge does.
func purgeForTest(t *testing.T, s *Store, bus *Bus, k kycbridge.Key) {
	t.Helper()
	must(t, s.Kept(t.Context(), kycbridge.KeptQuery{Provider: k.Provider, Account: k.Account,
		VerificationID: k.VerificationID, HeadersOnly: true}, func(p kycbridge.Kept) error {
		return s.Erase(t.Context(), kycbridge.ShelfPayloads, p.Seq, true)
	}))
	_, err := bus.EraseEvents(t.Context(), k)
	must(t, err)
	_, err = s.Unindex(t.Context(), k)
	must(t, err)
	must(t, s.WriteTombstone(t.Context(),
		kycbridge.Tombstone{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID, At: time.Now()}))
}

// checkErased checks that no entry and no part of the manifest names an erased verification.
func checkErased(t *testing.T, s *Store, keys []kycbridge.Key, isErased func(int) bool) {
	t.Helper()
	m, err := s.readManifest(t.Context())
	must(t, err)
	gone := map[owner]bool{}
	for n, k := range keys {
		o, _ := ownerOf(k.VerificationID)
		gone[o] = isErased(n)
	}
	names := func(key segments.Key) bool {
		o, _, _ := ofOwner(key)
		return gone[o] || gone[owner(key[14:])]
	}
	entries, runs := 0, len(m.Runs)
	for _, r := range m.Runs {
		if names(r.Next) {
			t.Error("the position of a merge is an erased entry")
		}
		for _, part := range r.Segments {
			all, err := s.segment(t.Context(), part)
			must(t, err)
			for i := range all.Len() {
				e := all.At(i)
				if entries++; names(e.Key) || names(part.First) {
					t.Fatal("an entry of an erased verification is left")
				}
			}
		}
	}
	t.Logf("%d entries in %d runs", entries, runs)
}
