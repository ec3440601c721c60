package kycbridge

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
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

// full is a full set of documents, of which one was taken a moment ago.
func full(t *testing.T) *Documents {
	t.Helper()
	var d Documents
	for n := range mostWaiting + 1 {
		d.put(Payload{ID: fmt.Sprint(n)}, document.Object{})
	}
	if d.take(Payload{ID: "0"}) == nil || d.take(Payload{ID: fmt.Sprint(mostWaiting)}) != nil {
		t.Fatal("the limit is another one")
	}
	d.put(Payload{ID: "last"}, document.Object{})
	return &d
}

// TestCallbacksWaitForRoom: while as many documents wait as may, a callback waits until one is taken, in the order of
// arrival.
func TestCallbacksWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := full(t)
		var mu sync.Mutex
		var admitted []int
		for n := range 3 {
			go func() {
				d.WaitForRoom(t.Context(), 1)
				mu.Lock()
				defer mu.Unlock()
				admitted = append(admitted, n)
			}()
			synctest.Wait()
		}
		if len(admitted) > 0 {
			t.Fatalf("without room: %v", admitted)
		}
		for want := 1; want <= 3; want++ {
			d.take(Payload{ID: fmt.Sprint(want)})
			d.put(Payload{ID: fmt.Sprint("next-", want)}, document.Object{}) // of the one that was admitted
			synctest.Wait()
			if len(admitted) != want || admitted[want-1] != want-1 {
				t.Fatalf("after %d documents were taken: %v", want, admitted)
			}
		}
	})
}

// TestCallbacksDoNotWaitInVain: a callback waits for a moment at most, and not at all while nothing is processed or if
// other processes do that.
func TestCallbacksDoNotWaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waited := func(ctx context.Context, d *Documents) time.Duration {
			began := time.Now()
			d.WaitForRoom(ctx, 1)
			return time.Since(began)
		}
		d := full(t)
		if got := waited(t.Context(), d); got != roomWait || len(d.waiting) > 0 {
			t.Errorf("nothing is taken: %s, and %d still wait", got, len(d.waiting))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if got := waited(ctx, d); got != time.Millisecond || len(d.waiting) > 0 {
			t.Errorf("the request ends: %s, and %d still wait", got, len(d.waiting))
		}
		time.Sleep(roomIdle)
		d.take(Payload{ID: "tried again"}) // the bus is away, and the workers try what they hold
		if got := waited(t.Context(), d); got > 0 {
			t.Errorf("nothing is processed: %s", got)
		}
		if got := waited(t.Context(), nil); got > 0 {
			t.Errorf("other processes normalize: %s", got)
		}
		if got := waited(t.Context(), &Documents{taken: time.Now()}); got > 0 {
			t.Errorf("with room: %s", got)
		}
		began := time.Now()
		(&Documents{taken: began}).WaitForRoom(t.Context(), 2*maxDocuments)
		if got := time.Since(began); got > 0 {
			t.Errorf("a body that never has room, while nothing waits: %s", got)
		}
	})
}

// TestABurstDoesNotWait: callbacks that wait take places of receive.concurrency, so only some of a burst do.
func TestABurstDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := full(t)
		for range mostDelayed {
			go d.WaitForRoom(t.Context(), 1)
		}
		synctest.Wait()
		began := time.Now()
		d.WaitForRoom(t.Context(), 1)
		if got := time.Since(began); got > 0 {
			t.Errorf("one more waited %s", got)
		}
		d.since = time.Now().Add(-2 * documentAge) // nobody has taken these documents
		d.put(Payload{ID: "later"}, document.Object{})
		synctest.Wait()
		if len(d.waiting) > 0 {
			t.Errorf("%d wait for the documents that were dropped", len(d.waiting))
		}
	})
}

// TestAllAreAdmittedWhenPlacesAreFree: callbacks that were admitted and not stored leave their places free.
func TestAllAreAdmittedWhenPlacesAreFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := full(t)
		done := 0
		var mu sync.Mutex
		for range 20 {
			go func() {
				d.WaitForRoom(t.Context(), 1)
				mu.Lock()
				defer mu.Unlock()
				done++
			}()
		}
		synctest.Wait()
		for id := range d.byID {
			d.take(Payload{ID: id})
			if len(d.byID) < mostWaiting-5 {
				break
			}
		}
		synctest.Wait()
		if done != 6 {
			t.Errorf("%d admitted for 6 places", done)
		}
		for id := range d.byID {
			d.take(Payload{ID: id})
		}
		synctest.Wait()
		if done != 20 {
			t.Errorf("%d of 20 admitted although nothing waits", done)
		}
	})
}
