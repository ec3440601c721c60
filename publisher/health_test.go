package publisher

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/test/wait"
)

// TestOnlyAWriteClearsAFailure: answers from the server's memory do not end a failure; otherwise a store
// that fails would never be restarted while a provider repeats known callbacks.
func TestOnlyAWriteClearsAFailure(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	for name, c := range map[string]struct {
		pub  *jetstream.PubAck
		err  error
		ends bool
	}{
		"stored":               {pub: &jetstream.PubAck{Sequence: 2}, ends: true},
		"known id":             {pub: &jetstream.PubAck{Sequence: 1, Duplicate: true}},
		"lost compare-and-set": {err: &jetstream.APIError{Code: 400, ErrorCode: 10071}},
	} {
		t.Run(name, func(t *testing.T) {
			var h health
			h.note(time.Now(), nil, full)
			h.first = h.first.Add(-time.Minute)
			h.note(time.Now(), c.pub, c.err)
			h.note(time.Now(), nil, full)
			if failing := h.failingFor(); (failing < time.Minute) != c.ends {
				t.Errorf("failing for %s", failing)
			}
		})
	}
}

// TestUnansweredWrites: one write without an answer counts for a moment. Where no write is answered any more, the
// store stays unready from one failure to the next.
func TestUnansweredWrites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failing time.Duration
		failed  bool
	}{"one": {10 * time.Second, false}, "several": {20 * time.Second, true}} {
		var h health
		h.note(time.Now().Add(-c.failing), nil, context.DeadlineExceeded)
		h.first, h.last = h.first.Add(-2*momentary), h.last.Add(-2*momentary)
		if h.failed() != c.failed {
			t.Errorf("%s: %s after it the store counts as failed: %t", name, 2*momentary, h.failed())
		}
	}
}

// TestALimitOfTheAccountIsAFailure: a server that refuses every write is not ready, also if it reports that as a fault
// of the request, and the reason is known.
func TestALimitOfTheAccountIsAFailure(t *testing.T) {
	t.Parallel()
	for _, code := range takesNothing {
		var h health
		h.note(time.Now(), nil, &jetstream.APIError{Code: 400, ErrorCode: code, Description: "limit reached"})
		if err := h.fault("the last write"); err == nil || !strings.Contains(err.Error(), "limit reached") {
			t.Errorf("%d: %v", code, err)
		}
	}
	var h health
	h.note(time.Now(), nil, &jetstream.APIError{Code: 400, ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence})
	if err := h.fault("the last write"); err != nil {
		t.Errorf("a lost compare-and-set: %v", err)
	}
}

// TestAHangingCommitIsAFailure: a write that is not answered in time counts as failed, though the commit
// that it waits for has not ended.
func TestAHangingCommitIsAFailure(t *testing.T) {
	t.Parallel()
	server, _, _ := start(t, t.TempDir())
	connection := connect(t, server, "another")
	defer connection.Close()
	connection.sharesFlush = false                                               // as for an external server
	c := &committer{conn: connection, in: make(chan *pending), ctx: t.Context()} // nothing reads from it
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Publish(ctx, &nats.Msg{Subject: "kyc.payload.x.y.z"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if !c.health.failing() {
		t.Error("it does not count as a failure")
	}
}

// TestAProbeIsNoLoss: a probe that expires before the normalizer has read it leaves a gap in the log that is explained.
func TestAProbeIsNoLoss(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	must(t, store.confirm(t.Context(), 1)) // nothing is known to be stored at 1 or later
	wait.For(t, 20*time.Second, "the probe has expired", func() bool {
		info, err := store.payloadLog.Info(t.Context())
		return err == nil && info.State.Msgs == 0 && info.State.LastSeq == 1
	})
	erased, _, err := store.Erased(t.Context(), testNames.payloads())
	if err != nil || !erased(1) {
		t.Errorf("its place in the log is taken for a loss, %v", err)
	}
}
