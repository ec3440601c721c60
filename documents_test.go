package kycbridge

import (
	"testing"
	"time"

	"kycbridge/document"
)

// TestDocumentsAreOfTheirBytes: a document is handed over once, and only for the bytes that it was decoded
// from.
func TestDocumentsAreOfTheirBytes(t *testing.T) {
	doc := document.Object{"id": "1"}
	one := Payload{ID: "p.a.1", Digest: "sha256:1", Body: []byte(`{"id":"1"}`)}
	altered, packed := one, one
	altered.Digest = "sha256:2"
	packed.Header = map[string]string{headerEncoding: "gzip"}
	for name, c := range map[string]struct {
		asked Payload
		want  bool
	}{
		"the same":       {one, true},
		"another id":     {Payload{ID: "p.a.2", Digest: one.Digest}, false},
		"another body":   {altered, false},
		"other encoding": {packed, false},
	} {
		var d Documents
		d.put(one, doc)
		if got := d.take(c.asked) != nil; got != c.want {
			t.Errorf("%s: handed over %v, want %v", name, got, c.want)
		}
		if c.want && d.take(c.asked) != nil {
			t.Errorf("%s: handed over twice", name)
		}
	}
	var none *Documents
	none.put(one, doc)
	if none.take(one) != nil {
		t.Error("nil holds a document")
	}
}

// TestDocumentsAreLimited: a backlog fills the memory up to a limit, and documents that are not taken are
// dropped.
func TestDocumentsAreLimited(t *testing.T) {
	var d Documents
	body := make([]byte, maxDocuments/4)
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		d.put(Payload{ID: id, Body: body}, document.Object{})
	}
	if d.bytes > maxDocuments || len(d.byID) != 4 {
		t.Fatalf("%d documents of %d bytes wait", len(d.byID), d.bytes)
	}
	if d.take(Payload{ID: "5"}) != nil || d.take(Payload{ID: "1"}) == nil {
		t.Error("the first ones are processed first, so they are the ones to keep")
	}
	d.put(Payload{ID: "6", Body: body}, document.Object{})
	d.since = time.Now().Add(-2 * documentAge)
	d.put(Payload{ID: "7", Body: body}, document.Object{})
	if len(d.byID) != 1 || d.bytes != len(body) || d.take(Payload{ID: "7"}) == nil || d.bytes != 0 {
		t.Errorf("after %s: %d documents of %d bytes", documentAge, len(d.byID), d.bytes)
	}
}
