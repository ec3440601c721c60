package publisher

import (
	"errors"
	"fmt"
	"testing"

	"kycbridge"
	"kycbridge/event"
)

// TestPredicting: of a verification that another process has published, an event log predicts that it has no event;
// the server refuses what follows from that, and the next ones are read.
func TestPredicting(t *testing.T) {
	server, _, other := start(t, t.TempDir())
	bus, err := OpenBus(t.Context(), connect(t, server, "bus"), testNames, testMaxBody, 1)
	must(t, err)
	t.Cleanup(bus.Close)
	ctx, log := t.Context(), NewPredicting(bus)
	publish := func(l kycbridge.EventLog, p kycbridge.Payload, revision int, after uint64) error {
		e, body := eventOf(p, revision)
		return l.Publish(ctx, key(p), sealed(event.KindUpdated, e, body), after)
	}
	last := func(p kycbridge.Payload, fresh bool) kycbridge.State {
		t.Helper()
		state, err := log.Last(ctx, key(p), fresh)
		must(t, err)
		return state
	}

	unheard := payload("idv-new", "", "{}")
	if state := last(unheard, false); state.Data != nil || state.Read {
		t.Errorf("a verification without an event: %+v, want a prediction", state)
	}
	must(t, publish(log, unheard, 1, 0))
	if state := last(unheard, false); state.Data == nil || state.Data.Revision != 1 {
		t.Errorf("after its first event: %+v, want revision 1 from the cache", state)
	}

	known := payload("idv-known", "", "{}")
	must(t, publish(other, known, 1, 0))
	if state := last(known, false); state.Data != nil || state.Seq != 0 || state.Read {
		t.Fatalf("a verification of another process: %+v, want the prediction that it has none", state)
	}
	if err := publish(log, known, 1, 0); !errors.Is(err, kycbridge.ErrConflict) {
		t.Fatalf("an event from a wrong prediction: %v, want ErrConflict", err)
	}
	state := last(known, true)
	if state.Data == nil || state.Data.Revision != 1 || !state.Read {
		t.Fatalf("read after a conflict: %+v, want revision 1", state)
	}
	must(t, publish(log, known, 2, state.Seq))

	for i := range readsAfterConflict + 1 {
		p := payload(fmt.Sprint("idv-", i), "", "{}")
		must(t, publish(other, p, 1, 0))
		want := i < readsAfterConflict
		if state := last(p, false); state.Read != want {
			t.Errorf("%d verifications after a wrong prediction: read is %t, want %t", i, state.Read, want)
		}
	}
}
