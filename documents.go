package kycbridge

import (
	"sync"
	"time"

	"kycbridge/document"
)

// Limits of Documents.
const (
	// maxDocuments limits the documents that wait, by the bytes of their bodies. A decoded document takes
	// four times as much memory.
	maxDocuments = 4 << 20
	// documentAge is the minimum time that a document waits. One that is not taken by then belongs to a
	// payload that another process handles.
	documentAge = time.Minute
)

// Documents holds the documents that an Intake has decoded until the Normalizer of the same process maps
// them, so that a body is decoded once. It is only a shortcut: a document that is absent is decoded from
// the stored body. The zero value is empty, a nil one stays empty.
type Documents struct {
	mu    sync.Mutex
	byID  map[string]decoded
	bytes int
	since time.Time // when byID was empty
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
	if len(d.byID) == 0 || d.bytes+len(p.Body) > maxDocuments && time.Since(d.since) > documentAge {
		d.byID, d.bytes, d.since = map[string]decoded{}, 0, time.Now()
	}
	if d.bytes+len(p.Body) > maxDocuments {
		return
	}
	d.byID[p.ID] = decoded{doc: doc, digest: p.Digest, encoding: p.Header[headerEncoding], bytes: len(p.Body)}
	d.bytes += len(p.Body)
}

// take removes the document of p and returns it; nil if p has none, or it was decoded from other bytes.
func (d *Documents) take(p Payload) document.Object {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	held, ok := d.byID[p.ID]
	if !ok {
		return nil
	}
	delete(d.byID, p.ID)
	d.bytes -= held.bytes
	if held.digest != p.Digest || held.encoding != p.Header[headerEncoding] {
		return nil
	}
	return held.doc
}
