package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
)

const (
	indexAtOnce = 950                    // entries of one batch; the server allows 1000 messages
	indexRead   = 1500                   // messages of a stream that are read for one batch
	indexPause  = 500 * time.Millisecond // between two checks of idle streams
	indexApart  = 5 * time.Second        // before this process checks again while another one writes the index
	// indexShare limits indexing in favor of payload processing: it pauses for this multiple of its
	// working time.
	indexShare      = 2
	indexKnown      = 1 << 16 // entries that are known to exist
	indexReferences = 32      // of one event
)

// Indexer writes the index of stored events and payloads, many entries in one atomic batch with the
// position up to which all is indexed. One process at a time writes it: the position is replaced by
// compare-and-set.
type Indexer struct {
	store *Store
	bus   *Bus
	known *lru.Cache[string, struct{}] // valid while the position is the one that this process wrote
	wrote uint64                       // sequence of that position
}

// NewIndexer creates an indexer of a store and a bus.
func NewIndexer(s *Store, b *Bus) *Indexer {
	known, _ := lru.New[string, struct{}](indexKnown) // fails for a size below 1 only
	return &Indexer{store: s, bus: b, known: known}
}

// indexPosition holds the sequences of the streams up to which everything is indexed.
type indexPosition struct {
	Payloads   uint64 `json:"payloads"`
	Quarantine uint64 `json:"quarantine"`
	Events     uint64 `json:"events"`
	Tombstones uint64 `json:"tombstones"`
}

// errIndexedElsewhere means that another process has just written the position.
var errIndexedElsewhere = errors.New("another process writes the index")

// Run indexes until ctx ends.
func (x *Indexer) Run(ctx context.Context, log *zap.Logger) {
	var warning rateLimitedWarning
	failed := 0 // in a row
	for ctx.Err() == nil {
		began := time.Now()
		more, err := x.round(ctx)
		switch rest := indexShare * time.Since(began); {
		case errors.Is(err, errIndexedElsewhere):
			pause(ctx, indexApart)
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
			pause(ctx, indexPause)
		}
	}
}

// CatchUp indexes everything that is stored and not indexed yet. progress receives the number of messages
// left.
func (x *Indexer) CatchUp(ctx context.Context, progress func(kycbridge.IndexLag)) error {
	for {
		more, err := x.round(ctx)
		if err != nil && !errors.Is(err, errIndexedElsewhere) {
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
	s := x.store
	if err := s.index.stream.Purge(ctx, jetstream.WithPurgeSubject(s.names.join("index.*.>"))); err != nil {
		return fmt.Errorf("empty the index: %w", err)
	}
	for {
		_, seq, err := s.indexPosition(ctx)
		if err != nil {
			return err
		}
		_, err = x.commit(ctx, nil, indexPosition{}, seq)
		if err == nil {
			return x.CatchUp(ctx, progress)
		}
		if !errors.Is(err, errIndexedElsewhere) {
			return err
		}
	}
}

// Lag is the number of stored messages that are not indexed yet.
func (x *Indexer) Lag(ctx context.Context) (kycbridge.IndexLag, error) {
	at, _, err := x.store.indexPosition(ctx)
	if err != nil {
		return kycbridge.IndexLag{}, err
	}
	end, err := x.end(ctx)
	if err != nil {
		return kycbridge.IndexLag{}, err
	}
	behind := func(at, end uint64) int { return int(max(end, at) - at) }
	return kycbridge.IndexLag{Events: behind(at.Events, end.Events),
		Payloads: behind(at.Payloads, end.Payloads) + behind(at.Quarantine, end.Quarantine)}, nil
}

// end is the current end of the streams.
func (x *Indexer) end(ctx context.Context) (end indexPosition, err error) {
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

// round writes one batch and reports whether there is more to index.
func (x *Indexer) round(ctx context.Context) (more bool, err error) {
	at, seq, err := x.store.indexPosition(ctx)
	if err != nil {
		return false, err
	}
	if seq == 0 || seq != x.wrote { // another process has written, or the index was rebuilt
		x.known.Purge()
	}
	if seq == 0 {
		x.store.forgetIndexKey()
	}
	end, err := x.end(ctx)
	if err != nil {
		return false, err
	}
	at.restartShortened(end)
	erased, err := x.dropErased(ctx, at.Tombstones, end.Tombstones)
	if err != nil {
		return false, err
	}
	before := at
	at.Tombstones = end.Tombstones
	entries, err := x.gather(ctx, &at, end)
	if err != nil {
		return false, err
	}
	moved := at.Payloads != before.Payloads || at.Quarantine != before.Quarantine || at.Events != before.Events
	if !moved && !erased && seq != 0 {
		return false, nil
	}
	if x.wrote, err = x.commit(ctx, entries, at, seq); err != nil {
		return false, err
	}
	return at.Payloads < end.Payloads || at.Quarantine < end.Quarantine || at.Events < end.Events, nil
}

// restartShortened sets the position of a stream that has become shorter back, so that it is indexed
// again.
func (at *indexPosition) restartShortened(end indexPosition) {
	for mine, last := range map[*uint64]uint64{&at.Payloads: end.Payloads, &at.Quarantine: end.Quarantine,
		&at.Events: end.Events, &at.Tombstones: end.Tombstones} {
		if *mine > last {
			*mine = 0
		}
	}
}

// dropErased erases the entries of verifications that were erased since: their events may have been read
// before the erasure, and indexed after it.
func (x *Indexer) dropErased(ctx context.Context, from, end uint64) (erased bool, err error) {
	if from >= end {
		return false, nil
	}
	s := x.store
	o := scanOptions{subjects: []string{s.names.join("tombstone.>")}, from: from + 1}
	err = s.scanAll(ctx, s.names.tombstones(), o, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		t, ok := s.tombstoneOf(m.Subject(), m.Data())
		if !ok {
			return nil
		}
		erased = true
		_, err := s.Unindex(ctx, kycbridge.Key{Provider: t.Provider, Account: t.Account, VerificationID: t.VerificationID})
		return err
	})
	if erased {
		x.known.Purge()
	}
	return erased, err
}

// entry is an index entry to be written.
type entry struct {
	subject string
	passing bool // it expires together with payloads
}

// gathering collects the entries of one batch.
type gathering struct {
	*Indexer
	key     []byte
	entries []entry
	new     map[string]bool
}

// gather reads from a position onward, for one batch of entries.
func (x *Indexer) gather(ctx context.Context, at *indexPosition, end indexPosition) ([]entry, error) {
	key, err := x.store.indexKey(ctx)
	if err != nil {
		return nil, err
	}
	g := &gathering{Indexer: x, key: key, new: map[string]bool{}}
	if at.Events < end.Events {
		if err := g.events(ctx, &at.Events, end.Events); err != nil {
			return nil, err
		}
	}
	if at.Payloads < end.Payloads {
		if err := g.payloads(ctx, kycbridge.ShelfPayloads, &at.Payloads, end.Payloads); err != nil {
			return nil, err
		}
	}
	if at.Quarantine < end.Quarantine && len(g.entries) < indexAtOnce {
		if err := g.payloads(ctx, kycbridge.ShelfQuarantine, &at.Quarantine, end.Quarantine); err != nil {
			return nil, err
		}
	}
	return g.entries, nil
}

// add adds an entry unless it is known to exist.
func (g *gathering) add(subject string, passing bool) {
	if subject == "" || g.new[subject] || g.known.Contains(subject) {
		return
	}
	g.new[subject] = true
	g.entries = append(g.entries, entry{subject, passing})
}

// eventIDs are the ids in an event.
type eventIDs struct {
	Data struct {
		VerificationID    string `json:"verification_id"`
		ExternalReference string `json:"external_reference"`
		Provider          struct {
			References map[string]string `json:"references"`
		} `json:"provider"`
		PII event.PII `json:"pii"`
	} `json:"data"`
}

// events adds the ids in events. Foreign messages have none.
func (g *gathering) events(ctx context.Context, at *uint64, end uint64) error {
	read := 0
	// All subjects: the size of a page is then counted without a lookup of each subject.
	err := g.bus.stored(ctx, g.bus.stream, ">", *at+1, func(raw *jetstream.RawStreamMsg) error {
		var ids eventIDs
		if isEvent(raw.Header) && json.Unmarshal(raw.Data, &ids) == nil &&
			strings.HasSuffix(raw.Subject, "."+ids.Data.VerificationID) {
			g.open(&ids)
			g.event(ids)
		}
		*at = raw.Sequence
		if read++; read >= indexRead || len(g.entries) >= indexAtOnce*3/4 || raw.Sequence >= end {
			return kycbridge.ErrEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, kycbridge.ErrEnough):
		return nil
	case err != nil:
		return fmt.Errorf("read events for the index: %w", err)
	}
	*at = max(*at, end) // the rest was removed
	return nil
}

// open adds the id that an encrypted event has among its personal members. Without the key the event has no such
// entry until the index is built again.
func (g *gathering) open(ids *eventIDs) {
	d := event.Data{PII: ids.Data.PII}
	if g.bus.open(&d) == nil && d.ExternalReference != "" {
		ids.Data.ExternalReference = d.ExternalReference
	}
}

func (g *gathering) event(ids eventIDs) {
	owner := ownerOf(ids.Data.VerificationID)
	if owner == "" {
		return
	}
	g.add(g.store.ourSubject(ids.Data.VerificationID), false)
	if external := ids.Data.ExternalReference; external != "" {
		g.add(g.store.indexSubject(g.key, kycbridge.IndexExternal, external, owner), false)
	}
	names := slices.Sorted(maps.Keys(ids.Data.Provider.References))
	for _, name := range names[:min(len(names), indexReferences)] {
		if reference := ids.Data.Provider.References[name]; reference != "" {
			g.add(g.store.indexSubject(g.key, kycbridge.IndexReference, reference, owner), false)
		}
	}
}

// payloads adds the ids of payloads of the log or of quarantine.
func (g *gathering) payloads(ctx context.Context, shelf kycbridge.Shelf, at *uint64, end uint64) error {
	stream, err := g.store.shelf(shelf)
	if err != nil {
		return err
	}
	read, enough := 0, false
	o := scanOptions{from: *at + 1, headers: true}
	err = g.store.scanAll(ctx, stream, o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		if ours(m.Headers()) && !isBar(m.Subject()) {
			g.payload(keptOf(shelf, m.Subject(), m.Headers(), nil, meta.Sequence.Stream))
		}
		*at = meta.Sequence.Stream
		if read++; read >= indexRead || len(g.entries) >= indexAtOnce || *at >= end {
			enough = true
			return kycbridge.ErrEnough
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read payloads for the index: %w", err)
	}
	if !enough {
		*at = max(*at, end)
	}
	return nil
}

func (g *gathering) payload(k kycbridge.Kept) {
	owner := ownerOf(k.VerificationID)
	if k.Shelf == kycbridge.ShelfQuarantine {
		if owner != "" {
			g.add(g.store.names.join("index.at", owner, placeOf(k.Seq)), true)
		}
		owner = placeOf(k.Seq)
	}
	g.add(g.store.indexSubject(g.key, kycbridge.IndexPayload, kycbridge.LocalPayloadID(k.Payload), owner), true)
	if k.VerificationID == "" {
		return
	}
	g.add(g.store.ourSubject(k.VerificationID), false)
	if owner = ownerOf(k.VerificationID); k.Reference != "" && owner != "" {
		g.add(g.store.indexSubject(g.key, kycbridge.IndexReference, k.Reference, owner), false)
	}
}

// commit writes entries and the position in one batch, if the position is still the one at seq.
func (x *Indexer) commit(ctx context.Context, entries []entry, at indexPosition, seq uint64) (uint64, error) {
	body, err := json.Marshal(at)
	if err != nil {
		return 0, fmt.Errorf("write the position of the index: %w", err)
	}
	s := x.store
	batch := make([]*pending, 0, len(entries)+1)
	for _, e := range entries {
		m := nats.NewMsg(e.subject)
		if e.passing {
			if age := s.longestShelf(); age > 0 {
				m.Header.Set(jetstream.MsgTTLHeader, age.String())
			}
		}
		batch = append(batch, &pending{msg: m, ctx: ctx})
	}
	m := &nats.Msg{Subject: s.names.join("index.position"), Data: body, Header: nats.Header{}}
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprint(seq))
	ack, err := s.index.writes.atomic(append(batch, &pending{msg: m, ctx: ctx}))
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused) && wrongLast(refused):
		return 0, errIndexedElsewhere
	case err != nil:
		return 0, fmt.Errorf("write the index: %w", err)
	}
	for _, e := range entries {
		x.known.Add(e.subject, struct{}{})
	}
	return ack.Sequence, nil
}

// indexPosition reads the position of the index; sequence 0 if it is empty.
func (s *Store) indexPosition(ctx context.Context) (at indexPosition, seq uint64, err error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.index.stream.GetLastMsgForSubject(ctx, s.names.join("index.position"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return at, 0, nil
	}
	if err != nil {
		return at, 0, fmt.Errorf("read the position of the index: %w", err)
	}
	if json.Unmarshal(raw.Data, &at) != nil {
		at = indexPosition{} // a foreign message: all is indexed once more
	}
	return at, raw.Sequence, nil
}

// forgetIndexKey discards the cached key: the stream may have been replaced.
func (s *Store) forgetIndexKey() {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	s.index.key = nil
}
