package publisher

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"kycbridge"
	"kycbridge/event"
)

const (
	// recentMessages limits how many messages of a stream are remembered: more than the indexer takes at once, so that
	// it finds most of them here even if it is a second behind.
	recentMessages = 1 << 13
	// recentLength limits the characters of the ids of one message. The ids of real messages have some 150.
	recentLength = 512
)

// indexedIDs are the ids in a message by which its verification is found.
type indexedIDs struct {
	verification string
	external     string   // of an event
	payload      string   // of a payload, without the prefixes of its account and of digests
	references   []string // of the provider
}

// recentIDs remembers the ids of the messages of a stream that this process has stored last. The indexer takes them
// from here, because reading a message back costs more than the rest of its work. It reads what is missing here:
// messages of other processes, and those that were pushed out.
type recentIDs struct {
	mu    sync.Mutex
	on    bool
	slots []recentID // the message at sequence n is in slot n modulo the length; nil: nothing was remembered lately
	times uint64     // how often something was forgotten
}

type recentID struct {
	seq uint64 // 0: none
	ids indexedIDs
}

// remember makes r remember messages from now on.
func (r *recentIDs) remember() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = true
}

// remembers reports whether r remembers messages.
func (r *recentIDs) remembers() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.on
}

// forgotten is how often something was forgotten so far. It is asked for before a message is sent, for add.
func (r *recentIDs) forgotten() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.times
}

// add remembers the message at a sequence, unless its ids are very long. If something was forgotten since the message
// was sent, its verification may have been erased meanwhile, and it is not remembered.
func (r *recentIDs) add(forgotten, seq uint64, ids indexedIDs) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on || r.times != forgotten {
		return
	}
	if r.slots == nil {
		r.slots = make([]recentID, recentMessages)
	}
	length := len(ids.external) + len(ids.payload)
	for _, reference := range ids.references {
		length += len(reference)
	}
	slot := &r.slots[seq%uint64(len(r.slots))]
	if *slot = (recentID{}); length > recentLength {
		return
	}
	slot.seq, slot.ids = seq, ids.clone()
}

// at returns the ids of the message at a sequence; ok is false if they are not remembered.
func (r *recentIDs) at(seq uint64) (ids indexedIDs, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.slots) == 0 {
		return indexedIDs{}, false
	}
	slot := r.slots[seq%uint64(len(r.slots))]
	return slot.ids, slot.seq == seq
}

// forget forgets the messages of verifications.
func (r *recentIDs) forget(verifications map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times++
	for i := range r.slots {
		if verifications[r.slots[i].ids.verification] {
			r.slots[i] = recentID{}
		}
	}
}

// clear forgets all messages, and releases the memory.
func (r *recentIDs) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times++
	r.slots = nil
}

// clone copies the ids: they are parts of a body that should not stay in memory for them. The copies are parts of one
// text, so that a garbage collection visits two objects for each message.
func (d indexedIDs) clone() indexedIDs {
	text := strings.Join(append([]string{d.verification, d.external, d.payload}, d.references...), "")
	next := func(id string) string {
		var copied string
		copied, text = text[:len(id)], text[len(id):]
		return copied
	}
	copied := indexedIDs{verification: next(d.verification), external: next(d.external), payload: next(d.payload),
		references: slices.Clone(d.references)}
	for i, reference := range copied.references {
		copied.references[i] = next(reference)
	}
	return copied
}

// idsOf are the ids in an event whose personal members are not encrypted, or were decrypted.
func idsOf(d *event.Data) indexedIDs {
	return indexedIDs{verification: d.VerificationID, external: d.ExternalReference,
		references: referencesOf(d.Provider.References)}
}

// referencesOf are the references of an event that are indexed, in the order of their names.
func referencesOf(all map[string]string) (references []string) {
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names[:min(len(names), indexReferences)] {
		if reference := all[name]; reference != "" {
			references = append(references, reference)
		}
	}
	return references
}

// payloadIDs are the ids of a payload.
func payloadIDs(p kycbridge.Payload) indexedIDs {
	ids := indexedIDs{verification: p.VerificationID, payload: kycbridge.LocalPayloadID(p)}
	if p.Reference != "" {
		ids.references = []string{p.Reference}
	}
	return ids
}
