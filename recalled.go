package kycbridge

import (
	"slices"
	"sync"
	"time"
)

// Limits of Recalled.
const (
	// recalledFrom is the position in a history, the oldest payload being at 1, from which facts are kept: those of a
	// short history are cheap.
	recalledFrom = 16
	// recalledBytes limits the facts by the bytes of their bodies. A fact takes up to four times as much memory.
	recalledBytes = 8 << 20
	// recalledLeast is what a fact counts at least: that of a small body takes memory too.
	recalledLeast = 1 << 10
	// recalledRevisions limits the revisions that are kept.
	recalledRevisions = 1 << 14
	// recalledAge is how long facts and revisions are kept.
	recalledAge = time.Minute
)

// Recalled keeps the facts of long histories. To judge a late payload, all payloads of its verification are read: if
// hundreds are late, each would be mapped hundreds of times, while others wait for the same worker. A fact follows from
// its payload and the account alone, and a fact is only taken for a payload that the log has returned: an erased one
// counts no longer. The zero value is empty, a nil one stays empty.
type Recalled struct {
	mu        sync.Mutex
	facts     map[recalledPayload]Fact
	bytes     int
	forget    *time.Timer // empties both; nil: they are empty
	revisions map[string]recalledRevision
}

// recalledRevision is the revision of the event of a payload that was processed together with an earlier one.
type recalledRevision struct {
	seq      uint64 // of the payload
	revision int
}

// recalledPayload identifies what a fact follows from. A log that has lost its end gives the sequence of a payload to
// another one, which may be the same callback, received later.
type recalledPayload struct {
	account    *Account
	seq        uint64
	id, digest string
	received   int64 // nanoseconds since 1970
}

// get returns the fact of a payload, which is mapped if its fact is not kept. position is that of the payload in its
// history.
func (r *Recalled) get(a *Account, p Payload, position int, mapped func() (Fact, error)) (Fact, error) {
	if r == nil || position < recalledFrom || p.Seq == 0 {
		return mapped()
	}
	of := recalledPayload{a, p.Seq, p.ID, p.Digest, p.ReceivedAt.UnixNano()}
	r.mu.Lock()
	f, ok := r.facts[of]
	r.mu.Unlock()
	if ok {
		return f, nil
	}
	f, err := mapped()
	if err == nil {
		r.put(of, f, max(len(p.Body), recalledLeast))
	}
	return f, err
}

func (r *Recalled) put(of recalledPayload, f Fact, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.facts == nil || r.bytes+size > recalledBytes {
		r.facts, r.bytes = map[recalledPayload]Fact{}, 0
		r.forgetLater()
	}
	r.facts[of] = f.clipped()
	r.bytes += size
}

// forgetLater empties r after recalledAge: facts are about persons, who may be erased. r.mu is held.
func (r *Recalled) forgetLater() {
	if r.forget != nil {
		return
	}
	r.forget = time.AfterFunc(recalledAge, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.facts, r.bytes, r.revisions, r.forget = nil, 0, nil, nil
	})
}

// processed keeps the revision of the event of a payload that was processed together with an earlier one, until its own
// turn.
func (r *Recalled) processed(p Payload, revision int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.revisions == nil || len(r.revisions) >= recalledRevisions {
		r.revisions = map[string]recalledRevision{}
		r.forgetLater()
	}
	r.revisions[p.ID] = recalledRevision{p.Seq, revision}
}

// revision is what processed keeps of a payload; 0: nothing, and it may have an event nevertheless.
func (r *Recalled) revision(p Payload) int {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.revisions[p.ID]
	delete(r.revisions, p.ID)
	if kept.seq != p.Seq {
		return 0
	}
	return kept.revision
}

// clipped is f without room for more elements: f is used several times, and events are made from it by appending.
func (f Fact) clipped() Fact {
	f.Decisions, f.Reasons, f.RequiredActions = slices.Clip(f.Decisions), slices.Clip(f.Reasons),
		slices.Clip(f.RequiredActions)
	f.Checks, f.Documents, f.Media = slices.Clip(f.Checks), slices.Clip(f.Documents), slices.Clip(f.Media)
	return f
}
