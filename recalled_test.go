package kycbridge

import (
	"fmt"
	"testing"
	"time"
)

// TestRecalledFactOfAnotherPayload: a fact is not taken for the same callback that was received again, and stored under
// the same sequence because the log had lost the first one.
func TestRecalledFactOfAnotherPayload(t *testing.T) {
	r := new(Recalled)
	for _, at := range []time.Time{noon, noon.Add(time.Second)} {
		p := Payload{ID: "p1", Digest: "d1", Seq: 20, ReceivedAt: at}
		f, err := r.get(testAccount, p, recalledFrom, func() (Fact, error) { return Fact{ReceivedAt: p.ReceivedAt}, nil })
		if err != nil || !f.ReceivedAt.Equal(at) {
			t.Errorf("received at %s, not %s (%v)", f.ReceivedAt, at, err)
		}
	}
}

// TestRecalledFactsOfSmallBodies: facts are limited in number too, because those of small bodies take as much memory.
func TestRecalledFactsOfSmallBodies(t *testing.T) {
	r, most := new(Recalled), 0
	for n := range uint64(4 * recalledBytes / recalledLeast) {
		p := Payload{ID: fmt.Sprint("p", n), Seq: n + 1, Body: []byte("{}")}
		if _, err := r.get(testAccount, p, recalledFrom, func() (Fact, error) { return Fact{}, nil }); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(r.facts))
	}
	if most > recalledBytes/recalledLeast {
		t.Errorf("%d facts were kept", most)
	}
}
