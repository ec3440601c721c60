package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/publisher/segments"
)

// gathering collects the entries of one batch.
type gathering struct {
	*Indexer
	digests *digester
	today   uint16
	entries []segments.Entry
	room    int // for so many entries
	new     map[segments.Key]bool
}

// gather reads from a position onward, for one batch of entries.
func (x *Indexer) gather(
	ctx context.Context, key segments.Secret, at *segments.Position, end segments.Position,
) ([]segments.Entry, error) {
	g := &gathering{Indexer: x, digests: newDigester(key), today: segments.Day(time.Now()), new: map[segments.Key]bool{}}
	// Events take half of the room at most, so that payloads are found as soon as their events under load too.
	g.room = indexRoom / 2 * x.store.index.sizes.Segment
	if at.Events < end.Events {
		if err := g.events(ctx, &at.Events, end.Events); err != nil {
			return nil, err
		}
	}
	g.room = indexRoom * x.store.index.sizes.Segment
	if at.Payloads < end.Payloads {
		if err := g.payloads(ctx, kycbridge.ShelfPayloads, &at.Payloads, end.Payloads); err != nil {
			return nil, err
		}
	}
	if at.Quarantine < end.Quarantine && !g.full() {
		if err := g.payloads(ctx, kycbridge.ShelfQuarantine, &at.Quarantine, end.Quarantine); err != nil {
			return nil, err
		}
	}
	return g.entries, nil
}

// full reports whether the entries fill the room.
func (g *gathering) full() bool { return len(g.entries) >= g.room }

// add adds an entry of an owner, and the entry by which its id is found, unless they are known to exist. With passing
// they expire when payloads do.
func (g *gathering) add(table byte, o owner, k kind, d digest, passing bool) {
	key := ownerKey(table, o, k, d)
	if g.new[key] || g.known.Contains(key) {
		return
	}
	g.new[key] = true
	expires := uint16(0)
	if age := g.store.longestShelf(); passing && age > 0 {
		expires = g.today + uint16(age/(24*time.Hour)) + 1
	}
	if id, ok := idKeyOf(key); ok {
		g.entries = append(g.entries, segments.Entry{Key: id, Expires: expires})
	}
	if expires > 0 {
		expires += indexGrace
	}
	g.entries = append(g.entries, segments.Entry{Key: key, Expires: expires})
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
	if g.remembered(&g.bus.recent, at, end) {
		return nil
	}
	read := 0
	// All subjects: the size of a page is then counted without a lookup of each subject.
	err := g.bus.readSubject(ctx, g.bus.stream, ">", *at+1, func(raw *jetstream.RawStreamMsg) error {
		var ids eventIDs
		if isEvent(raw.Header) && json.Unmarshal(raw.Data, &ids) == nil &&
			strings.HasSuffix(raw.Subject, "."+ids.Data.VerificationID) {
			g.open(&ids)
			g.verification(indexedIDs{verification: ids.Data.VerificationID, external: ids.Data.ExternalReference,
				references: referencesOf(ids.Data.Provider.References)})
		}
		*at = raw.Sequence
		if read++; read >= indexRead || g.full() || raw.Sequence >= end {
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
	*at = max(*at, end) // messages up to end that were not read were removed
	return nil
}

// remembered adds the ids of the messages after a position that this process remembers, up to the first one that it
// does not, and reports whether there were any.
func (g *gathering) remembered(recent *recentIDs, at *uint64, end uint64) (any bool) {
	for *at < end && !g.full() {
		ids, ok := recent.at(*at + 1)
		if !ok {
			return any
		}
		g.verification(ids)
		any = true
		*at++
	}
	return any
}

// open adds the id that an encrypted event contains in its personal members. Without the key this id of the event is
// not indexed until the index is built again.
func (g *gathering) open(ids *eventIDs) {
	d := event.Data{PII: ids.Data.PII}
	if g.bus.open(&d) == nil && d.ExternalReference != "" {
		ids.Data.ExternalReference = d.ExternalReference
	}
}

// verification adds the ids by which a verification is found.
func (g *gathering) verification(ids indexedIDs) {
	o, ok := ownerOf(ids.verification)
	if !ok {
		return
	}
	g.add(ofVerification, o, kindOurs, digest{}, false)
	if ids.external != "" {
		g.add(ofVerification, o, kindExternal, g.digests.of(ids.external), false)
	}
	if ids.payload != "" {
		g.add(ofVerification, o, kindPayload, g.digests.of(ids.payload), true)
	}
	for _, reference := range ids.references {
		g.add(ofVerification, o, kindReference, g.digests.of(reference), false)
	}
}

// payloads adds the ids of payloads of the log or of quarantine.
func (g *gathering) payloads(ctx context.Context, shelf kycbridge.Shelf, at *uint64, end uint64) error {
	if shelf == kycbridge.ShelfPayloads && g.remembered(&g.store.recent, at, end) {
		return nil
	}
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
		if read++; read >= indexRead || g.full() || *at >= end {
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

// payload adds the ids of a payload. One in quarantine is found by its position too, whether it has a verification or
// not.
func (g *gathering) payload(k kycbridge.Kept) {
	ids := payloadIDs(k.Payload)
	if k.Shelf != kycbridge.ShelfQuarantine {
		g.verification(ids)
		return
	}
	g.add(ofPlace, placeOf(k.Seq), kindQuarantined, g.digests.of(ids.payload), true)
	if o, ok := ownerOf(ids.verification); ok {
		g.add(ofVerification, o, kindPlace, atPlace(k.Seq), true)
	}
	ids.payload = ""
	g.verification(ids)
}
