package publisher

import (
	"context"
	"errors"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/publisher/segments"
)

const (
	indexRead  = 1500                   // messages of a stream that are read for one batch
	indexPause = 500 * time.Millisecond // between two checks of idle streams
	indexApart = 5 * time.Second        // before this process checks again while another one writes the index
	// indexShare limits indexing in favor of payload processing: it pauses for this multiple of its
	// working time.
	indexShare = 2
	// indexRoom is how many segments of new entries a round writes at most, 2 MiB. It has to take what is stored until
	// the next round: a message that is read back costs several times as much as one whose ids are remembered.
	indexRoom       = 16
	indexKnown      = 1 << 14 // cached keys of entries that exist
	indexReferences = 32      // references of one event that are indexed
	// indexTidy is how often the stream is searched for messages that are not part of the index.
	indexTidy = 10 * time.Minute
	// indexGrace is the number of days by which the entries of an owner are valid longer than the entries that an
	// erasure finds through them, so that it finds these as long as they are stored.
	indexGrace = 30
)

// Indexer writes the index of stored events and payloads: the entries of many messages at once, with the position up
// to which all is indexed. One process at a time writes it: the manifest is replaced by compare-and-set.
type Indexer struct {
	store  *Store
	bus    *Bus
	known  *lru.Cache[segments.Key, struct{}] // valid while the manifest is the one that this process wrote
	wrote  uint64                             // sequence of that manifest
	looked look                               // of dropErased, the last one
	tidied time.Time                          // when tidy last searched the stream
	left   uint64                             // events that the last round has left
	worked time.Time                          // when a message was indexed last; zero: the caches are released since
}

// look says that the index of a manifest has no entries of verifications whose tombstone is not after a sequence.
type look struct{ manifest, tombstones uint64 }

// NewIndexer creates an indexer of a store and a bus.
func NewIndexer(s *Store, b *Bus) *Indexer {
	x := &Indexer{store: s, bus: b}
	x.release()
	return x
}

// release empties the caches of this process.
func (x *Indexer) release() {
	x.known, _ = lru.New[segments.Key, struct{}](indexKnown) // fails for a size below 1 only
	x.store.recent.clear()
	x.bus.recent.clear()
	x.worked = time.Time{}
}

// errIndexedElsewhere means that another process has just moved the position.
var errIndexedElsewhere = errors.New("another process writes the index")

// Run indexes until ctx ends.
func (x *Indexer) Run(ctx context.Context, log *zap.Logger) {
	// Only the process of an embedded server knows that no other one has replaced the messages of a stream.
	if x.store.ownServer && x.bus.ownServer {
		x.store.recent.remember()
		x.bus.recent.remember()
	}
	var warning rateLimitedWarning
	failed := 0 // in a row
	for ctx.Err() == nil {
		began := time.Now()
		more, err := x.round(ctx)
		rest := indexShare * time.Since(began)
		if x.bus.recent.remembers() && x.left > recentMessages/4 && x.left < recentMessages {
			rest = 0 // soon they would be pushed out of those whose ids are remembered
		}
		switch {
		case errors.Is(err, errIndexedElsewhere):
			pause(ctx, indexApart)
		case errors.Is(err, errIndexRestarted):
			log.Error("the index of ids was damaged and is built again: until then some ids are not found")
			pause(ctx, indexApart) // limits the rate if the disk damages the index each time
		case err != nil && ctx.Err() == nil:
			if failed++; failed > 1 { // a short unavailability of the store is logged elsewhere
				warning.warn(log, "the index of ids cannot be written, trying again: new ids are not found yet", zap.Error(err))
			}
			pause(ctx, indexApart)
		case more:
			failed = 0
			warning.reset()
			pause(ctx, min(rest, indexPause))
		default:
			failed = 0
			warning.reset()
			if !x.worked.IsZero() && time.Since(x.worked) > cachedIdle {
				x.release()
			}
			pause(ctx, indexPause)
		}
	}
}

// CatchUp indexes everything that is stored and not indexed yet. progress receives the number of messages
// left.
func (x *Indexer) CatchUp(ctx context.Context, progress func(kycbridge.IndexLag)) error {
	for {
		more, err := x.round(ctx)
		if err != nil && !errors.Is(err, errIndexedElsewhere) && !errors.Is(err, errIndexRestarted) {
			return err
		}
		if err == nil && !more {
			return nil
		}
		if progress != nil {
			if lag, err := x.Lag(ctx); err == nil {
				progress(lag)
			}
		}
	}
}

// Rebuild deletes the index and creates it again from the stored messages.
func (x *Indexer) Rebuild(ctx context.Context, progress func(kycbridge.IndexLag)) error {
	for {
		m, err := x.store.readManifest(ctx)
		if err != nil {
			return err
		}
		err = x.store.emptyIndex(ctx, m)
		if err == nil {
			return x.CatchUp(ctx, progress)
		}
		if !errors.Is(err, errIndexChanged) {
			return err
		}
	}
}

// Lag is the number of stored messages that are not indexed yet.
func (x *Indexer) Lag(ctx context.Context) (kycbridge.IndexLag, error) {
	m, err := x.store.readManifest(ctx)
	if err != nil {
		return kycbridge.IndexLag{}, err
	}
	end, err := x.end(ctx)
	if err != nil {
		return kycbridge.IndexLag{}, err
	}
	at := m.At
	behind := func(at, end uint64) int { return int(max(end, at) - at) }
	return kycbridge.IndexLag{Events: behind(at.Events, end.Events),
		Payloads: behind(at.Payloads, end.Payloads) + behind(at.Quarantine, end.Quarantine)}, nil
}

// end is the current end of the streams.
func (x *Indexer) end(ctx context.Context) (end segments.Position, err error) {
	n := x.store.names
	for stream, at := range map[string]*uint64{n.payloads(): &end.Payloads, n.quarantine(): &end.Quarantine,
		n.tombstones(): &end.Tombstones} {
		if *at, err = x.store.newest(ctx, stream); err != nil {
			return end, err
		}
	}
	end.Events, err = x.bus.newest(ctx, n.events())
	return end, err
}

// round indexes some messages, and continues the merges of the index. It reports whether there is more to do.
func (x *Indexer) round(ctx context.Context) (more bool, err error) {
	if err := x.tidy(ctx); err != nil {
		return false, err
	}
	tombstones, erased, err := x.dropErased(ctx)
	if err != nil {
		return false, err
	}
	var before *manifest
	err = x.store.searchIndex(ctx, func(m *manifest) error {
		before = m
		more, err = x.write(ctx, m, tombstones, erased)
		return err
	})
	if !errors.Is(err, errIndexChanged) {
		return more, err
	}
	now, err := x.store.readManifest(ctx)
	if err == nil && now.At != before.At {
		err = errIndexedElsewhere
	}
	return true, err // if the position is unchanged, an erasure has changed the index meanwhile
}

// write indexes the next messages after those of a manifest.
func (x *Indexer) write(ctx context.Context, m *manifest, tombstones uint64, erased bool) (more bool, err error) {
	if m.seq == 0 || m.seq != x.wrote { // another process has written, or the index was emptied
		x.release() // it may have dropped the entries of erased verifications whose ids are still remembered here
	}
	end, err := x.end(ctx) // after the manifest is read: the streams contain all messages up to its positions by then
	if err != nil {
		return false, err
	}
	c := x.store.changeIndex(ctx, m, nil)
	restartShortened(&c.At, end)
	entries, err := x.gather(ctx, c.Digests, &c.At, end)
	if err != nil {
		return false, err
	}
	x.left = max(end.Events, c.At.Events) - c.At.Events
	if len(entries) > 0 {
		x.worked = time.Now()
	}
	c.Add(entries)
	if more, err = c.Merge(); err == nil && !more {
		more, err = c.Sweep()
	}
	if err != nil || c.At == m.At && m.known && !erased && !c.Changed(&m.Manifest) {
		return false, err
	}
	c.At.Tombstones = tombstones
	if x.wrote, err = x.store.commitIndex(ctx, m, c, false); err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.Key[0] != byID { // only entries of owners are looked up
			x.known.Add(e.Key, struct{}{})
		}
	}
	if !m.known { // the segments of a lost or damaged manifest are still stored
		if err := x.store.removeGarbage(ctx); err != nil {
			return false, err
		}
	}
	return more || c.At.Payloads < end.Payloads || c.At.Quarantine < end.Quarantine || c.At.Events < end.Events, nil
}

// restartShortened sets the position of a stream that has become shorter back, so that it is indexed again.
func restartShortened(at *segments.Position, end segments.Position) {
	for mine, last := range map[*uint64]uint64{&at.Payloads: end.Payloads, &at.Quarantine: end.Quarantine,
		&at.Events: end.Events} {
		if *mine > last {
			*mine = 0
		}
	}
}

// dropErased erases the entries of verifications that were erased since the index was last written: their events may
// have been read before the erasure, and indexed after it. It returns the end of the stream of tombstones, which has
// other records too: while the index does not change, none is read twice.
func (x *Indexer) dropErased(ctx context.Context) (end uint64, erased bool, err error) {
	s := x.store
	m, err := s.readManifest(ctx)
	if err != nil {
		return 0, false, err
	}
	last := m.At.Tombstones
	if x.looked.manifest == m.seq {
		last = max(last, x.looked.tombstones)
	}
	if end, err = s.newest(ctx, s.names.tombstones()); err != nil || last == end {
		return end, false, err
	}
	o := scanOptions{subjects: []string{s.names.join("tombstone.>")}, from: last + 1}
	if last > end {
		o.from = 1 // the stream has become shorter
	}
	var owners []owner
	ids := map[string]bool{}
	drop := func() error {
		s.recent.forget(ids)
		x.bus.recent.forget(ids)
		clear(ids)
		_, err := s.unindex(ctx, owners)
		owners, erased = owners[:0], true
		return err
	}
	err = s.scanAll(ctx, s.names.tombstones(), o, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		t, ok := s.tombstoneOf(m.Subject(), m.Data())
		if o, is := ownerOf(t.VerificationID); ok && is {
			owners = append(owners, o)
			ids[t.VerificationID] = true
		}
		if len(owners) < unindexAtOnce {
			return nil
		}
		return drop()
	})
	if err == nil && len(owners) > 0 {
		err = drop()
	}
	if err == nil {
		x.looked = look{m.seq, end}
	}
	return end, erased, err
}

// tidy removes from the stream the messages that are not part of the index: an index in the form of earlier versions,
// and what a killed process did not remove.
func (x *Indexer) tidy(ctx context.Context) error {
	if time.Since(x.tidied) < indexTidy {
		return nil
	}
	err := x.store.removeOldIndex(ctx)
	if err == nil {
		err = x.store.removeGarbage(ctx)
	}
	if err == nil {
		x.tidied = time.Now()
	}
	return err
}
