package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/test/wait"
)

// TestPublishingRetries simulates a cluster whose leader fails: the first message that reaches it is never
// answered, then for a moment there is no responder, then a new leader answers.
func TestPublishingRetries(t *testing.T) {
	t.Parallel()
	for name, batch := range map[string]int{"one by one": 1, "as a batch": batchWorth} {
		t.Run(name, func(t *testing.T) {
			server, _, _ := start(t, t.TempDir())
			c := connect(t, server, "store")
			c.disk, c.sharesFlush = flushedByServer{}, false // as for a cluster
			var received atomic.Int32
			const subject = "leader.elected"
			silent, err := c.nc.Subscribe(subject, func(*nats.Msg) { received.Add(1) })
			if err != nil || c.nc.Flush() != nil {
				t.Fatal(err)
			}
			answering := time.AfterFunc(answerTimeout/2, func() {
				_ = silent.Unsubscribe()
				time.AfterFunc(answerTimeout, func() {
					_, _ = c.nc.Subscribe(subject, func(m *nats.Msg) {
						if m.Reply != "" {
							_ = m.Respond(fmt.Appendf(nil, `{"stream":"ELECTED","seq":%d}`, batch))
						}
					})
				})
			})
			defer answering.Stop()
			committer := newCommitter(c, "")
			defer committer.Close()
			members := pendingTo(t, subject, batch)
			began := time.Now()
			committer.commit(members)
			for i, p := range members {
				if got := <-p.ack; got.err != nil || got.pub.Stream != "ELECTED" || got.pub.Sequence != uint64(i+1) {
					t.Errorf("message %d: %+v", i, got)
				}
			}
			if took := time.Since(began); received.Load() != int32(batch) || took > 2*answerTimeout {
				t.Errorf("%d messages reached the failed leader; acknowledged after %s", received.Load(), took)
			}
			if committer.health.failed() {
				t.Error("a message that was acknowledged in the end counts as failed")
			}
		})
	}
}

// pendingTo are messages that wait for a batch.
func pendingTo(t *testing.T, subject string, n int) []*pending {
	members := make([]*pending, n)
	for i := range members {
		members[i] = &pending{msg: &nats.Msg{Subject: subject, Header: nats.Header{nats.MsgIdHdr: {fmt.Sprint(i)}}},
			ctx: t.Context(), ack: make(chan ack, 1)}
	}
	return members
}

// TestConditionIsChecked: a message that was not answered is sent again only if its condition still holds. The others
// of its batch are.
func TestConditionIsChecked(t *testing.T) {
	for name, batch := range map[string]int{"one by one": 1, "as a batch": batchWorth} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _, _ := start(t, t.TempDir())
			c := connect(t, server, "store")
			c.disk, c.sharesFlush = flushedByServer{}, false // as for a cluster
			var received, checked atomic.Int32
			const subject = "leader.silent"
			_, err := c.nc.Subscribe(subject, func(m *nats.Msg) {
				received.Add(1)
				if m.Header.Get("Nats-Batch-Id") == "" && received.Load() > 1 { // each of a batch that is sent again
					_ = m.Respond([]byte(`{"stream":"SILENT","seq":1}`))
				}
			})
			must(t, err)
			committer := newCommitter(c, "")
			defer committer.Close()
			members := pendingTo(t, subject, batch)
			members[0].condition = condition{time.Now(), func(context.Context) error {
				checked.Add(1)
				return kycbridge.ErrConflict
			}}
			committer.commit(members)
			if got := <-members[0].ack; !errors.Is(got.err, kycbridge.ErrConflict) {
				t.Errorf("a message whose condition no longer holds: %+v", got)
			}
			for _, p := range members[1:] {
				if got := <-p.ack; got.err != nil {
					t.Errorf("another one of its batch: %v", got.err)
				}
			}
			if want := 2*batch - 1; int(received.Load()) != want || checked.Load() == 0 {
				t.Errorf("%d messages sent and the condition checked %d times, want %d messages", received.Load(), checked.Load(),
					want)
			}
			if committer.health.failed() {
				t.Error("a condition that does not hold counts as a failed write")
			}
		})
	}
}

// TestPublishingGivesUp: a message that the server refuses is not retried, and the committer does not wait
// for a caller that has given up.
func TestPublishingGivesUp(t *testing.T) {
	t.Parallel()
	server, _, _ := start(t, t.TempDir())
	c := connect(t, server, "store")
	committer := newCommitter(c, "")
	defer committer.Close()
	var asked atomic.Int32
	_, err := c.nc.Subscribe("leader.refuses", func(m *nats.Msg) {
		asked.Add(1)
		_ = m.Respond([]byte(`{"error":{"code":503,"err_code":10077,"description":"no room"}}`))
	})
	if err != nil {
		t.Fatal(err)
	}
	var refused *jetstream.APIError
	if _, err := committer.Publish(t.Context(), &nats.Msg{Subject: "leader.refuses"}); !errors.As(err, &refused) ||
		asked.Load() != 1 {
		t.Errorf("%v after %d attempts", err, asked.Load())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := committer.Publish(ctx, &nats.Msg{Subject: "leader.away"}); err == nil ||
		time.Since(began) > 2*time.Second*wait.Slowdown {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

// TestAnswerOf: the short way to read an acknowledgement takes only what the decoder would read the same.
func TestAnswerOf(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]*jetstream.PubAck{
		`{"stream":"KYC_EVENTS","seq":7}`:                     {Stream: "KYC_EVENTS", Sequence: 7},
		`{"stream":"KYC_EVENTS", "seq":7}`:                    {Stream: "KYC_EVENTS", Sequence: 7},
		`{"stream":"KYC_EVENTS","seq":7,"duplicate":true}`:    {Stream: "KYC_EVENTS", Sequence: 7, Duplicate: true},
		`{"stream":"KYC_EVENTS","domain":"hub","seq":7}`:      {Stream: "KYC_EVENTS", Sequence: 7, Domain: "hub"},
		`{"stream":"KYC\u005fEVENTS","seq":7}`:                {Stream: "KYC_EVENTS", Sequence: 7},
		`{"seq":7,"stream":"KYC_EVENTS"}`:                     {Stream: "KYC_EVENTS", Sequence: 7},
		`{"stream":"","seq":7}`:                               nil,
		`{"stream":"KYC_EVENTS","seq":-7}`:                    nil,
		`{"stream":"KYC_EVENTS","seq":7`:                      nil,
		`{"stream":"KYC_EVENTS","seq":7}}`:                    nil,
		`{"error":{"code":400,"err_code":10071},"stream":""}`: nil,
		``: nil,
	} {
		got, err := answerOf([]byte(answer))
		if want == nil && err == nil || want != nil && (err != nil || *got != *want) {
			t.Errorf("%s: %+v, %v; want %+v", answer, got, err, want)
		}
	}
}
