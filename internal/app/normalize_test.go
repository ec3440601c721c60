package app

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kycbridge"
)

// TestFewLinesAboutRetries: a bus that takes nothing fails every payload at each attempt. The log says so in a few
// lines, and at level debug in all.
func TestFewLinesAboutRetries(t *testing.T) {
	core, lines := observer.New(zap.DebugLevel)
	w := payloadWorker{App: &App{system: &system{log: zap.New(core)}}, retryLines: newRetryLines()}
	for range 1000 {
		w.logProcessed(kycbridge.Payload{}, kycbridge.Processed{}, 1, time.Second, errors.New("not published"))
	}
	warnings := lines.FilterLevelExact(zap.WarnLevel).Len()
	if warnings == 0 || warnings > 20 || lines.Len() != 1000 {
		t.Errorf("%d lines, %d of them warnings", lines.Len(), warnings)
	}
}

// TestEventsAreRegeneratedOnce: an event that is still missing after it was to be regenerated is not regenerated again
// and again, but one that is lost later is.
func TestEventsAreRegeneratedOnce(t *testing.T) {
	state := &integrity{}
	for _, inspection := range []struct {
		lost []uint64
		from uint64
	}{{[]uint64{9, 5}, 5}, {[]uint64{5}, 0}, {[]uint64{5, 7}, 7}, {nil, 0}, {[]uint64{5}, 5}} {
		ends := map[uint64]bool{}
		for _, seq := range inspection.lost {
			ends[seq] = true
		}
		if from := state.firstNew(ends); from != inspection.from {
			t.Errorf("lost events of payloads %v: regenerated from %d, want %d", inspection.lost, from, inspection.from)
		}
		state.regenerated = ends
	}
}
