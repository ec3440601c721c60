package kycbridge

import (
	"context"
	"slices"
	"sync"
	"time"

	"kycbridge/document"
)

// Limits of Documents.
const (
	// maxDocuments limits the documents that wait, by the bytes of their bodies. A decoded document takes
	// four times as much memory.
	maxDocuments = 4 << 20
	// mostWaiting limits their number: enough to keep the workers of a Normalizer busy.
	mostWaiting = 512
	// documentAge is the minimum time that a document waits. One that is not taken by then belongs to a
	// payload that another process handles.
	documentAge = time.Minute

	// roomWait is how long a callback waits at most until a document is taken.
	roomWait = 200 * time.Millisecond
	// mostDelayed limits the callbacks that wait for room: those that wait count against receive.concurrency, and a burst
	// must not be refused because of them.
	mostDelayed = 128
	// roomIdle is how long after a document was taken callbacks still wait for room.
	roomIdle = time.Second
)

// Documents holds the documents that an Intake has decoded until the Normalizer of the same process maps
// them, so that a body is decoded once. It is only a shortcut: a document that is absent is decoded from
// the stored body. The zero value is empty, a nil one stays empty.
type Documents struct {
	mu    sync.Mutex
	byID  map[string]decoded
	bytes int
	since time.Time // when byID was empty

	taken   time.Time       // when the Normalizer last took a document
	waiting []chan struct{} // callbacks that wait for room, in the order of their arrival
}

// decoded is a document, and what identifies the body that it was decoded from.
type decoded struct {
	doc              document.Object
	digest, encoding string // of the body
	bytes            int
}

// put holds the document of p. While too many wait, it does nothing: the first ones are needed first.
func (d *Documents) put(p Payload, doc document.Object) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.byID[p.ID]; known {
		return // the first payload with this id is the one that may be stored
	}
	if len(d.byID) == 0 || d.full(len(p.Body)) && time.Since(d.since) > documentAge {
		d.byID, d.bytes, d.since = map[string]decoded{}, 0, time.Now()
		d.letIn()
	}
	if d.full(len(p.Body)) {
		return
	}
	d.byID[p.ID] = decoded{doc: doc, digest: p.Digest, encoding: p.Header[headerEncoding], bytes: len(p.Body)}
	d.bytes += len(p.Body)
}

// full reports whether there is no room for a document of a body of so many bytes.
func (d *Documents) full(size int) bool {
	return len(d.byID) >= mostWaiting || d.bytes+size > maxDocuments
}

// WaitForRoom delays a callback of so many bytes while the documents that wait leave no room for its own, by roomWait
// at most: events would fall behind by seconds before a provider noticed anything, and each body would be decoded a
// second time. It does not wait while nothing is processed, because the bus is unavailable for example, nor while
// mostDelayed others do.
func (d *Documents) WaitForRoom(ctx context.Context, size int) {
	turn := d.queue(size)
	if turn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, roomWait)
	defer cancel()
	select {
	case <-turn:
	case <-ctx.Done():
		d.leave(turn)
	}
}

// queue returns nil if there is room for a body of so many bytes, or if waiting would be in vain. Otherwise the
// channel is closed when it is the turn of the callback.
func (d *Documents) queue(size int) chan struct{} {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.byID) == 0 || !d.full(size) || time.Since(d.taken) > roomIdle || len(d.waiting) >= mostDelayed {
		return nil
	}
	turn := make(chan struct{})
	d.waiting = append(d.waiting, turn)
	return turn
}

// leave removes a callback from those that wait.
func (d *Documents) leave(turn chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = slices.DeleteFunc(d.waiting, func(c chan struct{}) bool { return c == turn })
}

// letIn ends the wait of the callback that has waited longest, after a document was removed. If many places are free,
// because callbacks that were let in were not stored, it ends the wait of all.
func (d *Documents) letIn() {
	n := min(len(d.waiting), 1)
	if len(d.byID) < mostWaiting/2 && d.bytes < maxDocuments/2 {
		n = len(d.waiting)
	}
	for _, turn := range d.waiting[:n] {
		close(turn)
	}
	d.waiting = slices.Delete(d.waiting, 0, n)
}

// take removes the document of a payload that is processed and returns it; nil if p has none, or it was decoded from
// other bytes.
func (d *Documents) take(p Payload) document.Object {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	doc := d.remove(p)
	if doc != nil { // a payload that is tried again in vain has none
		d.taken = time.Now()
	}
	return doc
}

// drop removes the document of a payload that was not stored.
func (d *Documents) drop(p Payload) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remove(p)
}

func (d *Documents) remove(p Payload) document.Object {
	held, ok := d.byID[p.ID]
	if !ok {
		return nil
	}
	delete(d.byID, p.ID)
	d.bytes -= held.bytes
	d.letIn()
	if held.digest != p.Digest || held.encoding != p.Header[headerEncoding] {
		return nil
	}
	return held.doc
}
