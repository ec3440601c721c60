package publisher

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"kycbridge"
	"kycbridge/event"
)

// TestPredicting: of a verification that another process has published, an event log assumes that it has no event; the
// server refuses what follows from that, and the next ones are read.
func TestPredicting(t *testing.T) {
	t.Parallel()
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

	first := payload("idv-new", "", "{}")
	if state := last(first, false); state.Data != nil || state.Read {
		t.Errorf("a verification without an event: %+v, want an assumption", state)
	}
	must(t, publish(log, first, 1, 0))
	if state := last(first, false); state.Data == nil || state.Data.Revision != 1 {
		t.Errorf("after its first event: %+v, want revision 1 from the cache", state)
	}

	known := payload("idv-known", "", "{}")
	must(t, publish(other, known, 1, 0))
	if state := last(known, false); state.Data != nil || state.Seq != 0 || state.Read {
		t.Fatalf("a verification of another process: %+v, want the assumption that it has none", state)
	}
	if err := publish(log, known, 1, 0); !errors.Is(err, kycbridge.ErrConflict) {
		t.Fatalf("an event from a wrong assumption: %v, want ErrConflict", err)
	}
	state := last(known, true)
	if state.Data == nil || state.Data.Revision != 1 || !state.Read {
		t.Fatalf("read after a conflict: %+v, want revision 1", state)
	}
	must(t, publish(log, known, 2, state.Seq))

	for i := range fewestReads + 1 {
		p := payload(fmt.Sprint("idv-", i), "", "{}")
		must(t, publish(other, p, 1, 0))
		want := i < fewestReads
		if state := last(p, false); state.Read != want {
			t.Errorf("%d verifications after a wrong assumption: read is %t, want %t", i, state.Read, want)
		}
	}
}

// TestWrongAssumptionsAreRare: whatever share of the verifications is new, with 128 workers at once, few assumptions
// are wrong; if all are new, all are assumed again after a while.
func TestWrongAssumptionsAreRare(t *testing.T) {
	t.Parallel()
	const verifications, workers = 100_000, 128
	random := rand.New(rand.NewPCG(1, 2))
	for _, share := range []float64{0, 0.1, 0.5, 0.9, 1} {
		p := NewPredicting(nil)
		p.learn(kycbridge.Key{}, false) // after a wrong one
		type outcome struct {
			k     kycbridge.Key
			right bool
		}
		var working []outcome
		wrong, read := 0, 0
		for i := range verifications {
			k, right := kycbridge.Key{VerificationID: fmt.Sprint(i)}, random.Float64() < share
			switch assumed := p.assumes(k); {
			case !assumed:
				read++
				if right { // the read finds none, so its event is published under the same condition
					p.learn(k, true)
				}
			default:
				working = append(working, outcome{k, right})
				if !right {
					wrong++
				}
			}
			if len(working) == workers || i%workers == 0 {
				for _, o := range working {
					p.learn(o.k, o.right)
				}
				working = working[:0]
			}
		}
		t.Logf("%3.0f %% new: %d of %d read, %d assumptions wrong", 100*share, read, verifications, wrong)
		if limit := verifications / 33; wrong > limit {
			t.Errorf("%3.0f %% new: %d assumptions wrong, want %d at most", 100*share, wrong, limit)
		}
		if share == 1 && read > 16*fewestReads {
			t.Errorf("all new, and %d were read", read)
		}
	}
}
