package publisher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

const (
	barTTL   = 3 * time.Second // a bar expires by itself, so a purge that was killed blocks payloads no longer than this
	barAgain = time.Second     // how often it is renewed
	// barLast is how long a bar remains after an erasure has ended: by then all appends that waited for it,
	// and the answers to payloads stored just before, are finished. The server allows no shorter TTL.
	barLast  = time.Second
	barPause = 25 * time.Millisecond // before the retry of a payload that a bar blocked
)

// Bar blocks payloads of a verification from being stored in the log until lift is called: the server itself
// refuses them, from any process. Appends wait meanwhile.
func (s *Store) Bar(ctx context.Context, k kycbridge.Key) (lift func(), err error) {
	if err := s.putBar(ctx, k, barTTL); err != nil {
		return nil, err
	}
	renewing, end := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for pause(renewing, barAgain); renewing.Err() == nil; pause(renewing, barAgain) {
			_ = s.putBar(renewing, k, barTTL) // renewed before it expires
		}
	})
	return func() {
		end()
		running.Wait()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
		defer cancel()
		_ = s.putBar(last, k, barLast) // on failure the previous bar expires by itself
	}, nil
}

// putBar writes a bar and removes the earlier ones.
func (s *Store) putBar(ctx context.Context, k kycbridge.Key, ttl time.Duration) error {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	m := &nats.Msg{Subject: s.names.bar(k), Header: nats.Header{jetstream.MsgTTLHeader: {ttl.String()}}}
	ack, err := s.js.PublishMsg(ctx, m)
	if err != nil {
		return fmt.Errorf("keep payloads out of the log: %w", err)
	}
	if err := s.recordErasing(ctx, s.names.payloads(), ack.Sequence); err != nil { // on failure the bar expires by itself
		return fmt.Errorf("keep payloads out of the log: %w", err)
	}
	if err := s.payloadLog.Purge(ctx, jetstream.WithPurgeSubject(m.Subject),
		jetstream.WithPurgeSequence(ack.Sequence)); err != nil {
		return fmt.Errorf("keep payloads out of the log: %w", err)
	}
	return nil
}

// barred makes the server refuse m while a bar exists.
func (s *Store) barred(m *nats.Msg, k kycbridge.Key) {
	m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.Itoa(0)}
	m.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{s.names.bar(k)}
}

// appendOnce publishes p as the message that is sent. While a bar blocks it, appendOnce waits until the bar is removed,
// for publishTimeout at most. If p was requested, or read from where it was kept, before the end of the erasure, it
// returns kycbridge.ErrErased.
func (s *Store) appendOnce(
	ctx context.Context, sent *pending, k kycbridge.Key, p kycbridge.Payload,
) (jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	sent.ctx = ctx
	for {
		ack, err := s.payloads.publish(sent)
		var refused *jetstream.APIError
		if !errors.As(err, &refused) || !wrongLast(refused) {
			return ack, err
		}
		if refused.ErrorCode == wrongLastSequence { // else two payloads of one verification collided in a cluster
			pause(ctx, barPause)
		}
		if ctx.Err() != nil {
			return ack, fmt.Errorf("the verification is being erased: %w", ctx.Err())
		}
		t, _, err := s.readTombstone(ctx, k)
		switch {
		case err != nil:
			return ack, err
		case t != nil && precedesErasure(t, p):
			return ack, kycbridge.ErrErased
		case t != nil:
			continueAfter(sent.msg, t)
		}
	}
}

// erasedBefore reports whether p repeats a payload that was erased with its verification.
func (s *Store) erasedBefore(ctx context.Context, k kycbridge.Key, p kycbridge.Payload) (bool, error) {
	t, _, err := s.readTombstone(ctx, k)
	return err == nil && t != nil && repeatsErased(t, p), err
}
