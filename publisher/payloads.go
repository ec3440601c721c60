package publisher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// Append stores p durably under its id. A payload with a known id is not stored again; the answer then carries the
// digest of the stored one. An erased payload does not block another body under its id: p is stored then, unless it
// repeats a payload that was erased with its verification, however long ago. While its verification is being erased, p
// waits; if it was requested before the end of the erasure, Append returns kycbridge.ErrErased. p is no duplicate of
// itself: if the answer of the server is lost, p is sent again, and found stored. Nothing is stored in a log whose
// settings somebody has edited so that it may lose it.
func (s *Store) Append(ctx context.Context, p kycbridge.Payload) (kycbridge.Stored, error) {
	if err := s.unsafe.of(s.names.payloads()); err != nil {
		return kycbridge.Stored{}, err
	}
	k := kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
	m := message(s.names.payload(k), p)
	if err := s.seal(ctx, kycbridge.ShelfPayloads, m, p); err != nil {
		return kycbridge.Stored{}, err
	}
	s.barred(m, k)
	switch t, err := s.tombstoneOfErased(ctx, k); {
	case err != nil:
		return kycbridge.Stored{}, err
	case t == nil:
	case repeatsErased(t, p):
		return kycbridge.Stored{Duplicate: true, Digest: p.Digest}, nil
	case precedesErasure(t, p):
		return kycbridge.Stored{}, kycbridge.ErrErased
	default:
		continueAfter(m, t)
	}
	for {
		forgotten := s.recent.forgotten()
		sent := &pending{msg: m}
		ack, err := s.appendOnce(ctx, sent, k, p)
		if err != nil {
			return kycbridge.Stored{}, err
		}
		if !ack.Duplicate {
			s.recent.add(forgotten, ack.Sequence, payloadIDs(p))
			return kycbridge.Stored{Digest: p.Digest}, nil
		}
		kept, err := s.at(ctx, ack.Sequence)
		switch {
		case err == nil && kept.ID == p.ID && whole(kept):
			if err := s.confirm(ctx, ack.Sequence); err != nil {
				return kycbridge.Stored{}, fmt.Errorf("confirm the payload stored before: %w", err)
			}
			own := sent.lost && kept.ReceivedAt.Equal(p.ReceivedAt) && kept.Digest == p.Digest
			return kycbridge.Stored{Duplicate: !own, Digest: kept.Digest}, nil
		case errors.Is(err, jetstream.ErrMsgNotFound):
			erased, err := s.erasedBefore(ctx, k, p)
			if err != nil || erased {
				return kycbridge.Stored{Duplicate: erased, Digest: p.Digest}, err
			}
		case err != nil:
			return kycbridge.Stored{}, fmt.Errorf("read the payload stored before: %w", err)
		}
		// The stored payload was erased, is damaged, or its sequence was assigned again: the server remembers an
		// id for longer than its message.
		m.Header[nats.MsgIdHdr] = []string{p.ID + storedAgain + strconv.FormatUint(ack.Sequence, 10)}
	}
}

// confirm ensures that the payload at a sequence is durable. A server that fails to flush a batch
// acknowledges no message of it, but treats their ids as duplicates from then on, and reads the messages from
// memory; it stores nothing more until it is restarted. So a message is durable once any later one is stored.
func (s *Store) confirm(ctx context.Context, seq uint64) error {
	if s.payloads.order.flushed(seq) {
		return nil
	}
	return s.putProbe(ctx, 0)
}

// storedAgain separates, in a message id, the id of a payload that is stored again from the sequence of the earlier
// message with this id. No payload id contains it.
const storedAgain = "~"

// payloadID is the id of the payload that was stored with a message id.
func payloadID(messageID string) string {
	id, _, _ := strings.Cut(messageID, storedAgain)
	return id
}

// at reads the payload at a sequence of the log.
func (s *Store) at(ctx context.Context, seq uint64) (kycbridge.Payload, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.payloadLog.GetMsg(ctx, seq)
	if err != nil {
		return kycbridge.Payload{}, err
	}
	return s.payload(ctx, raw.Subject, raw.Header, raw.Data)
}

// payload decodes a message of the payload log. The error wraps ErrNoKey.
func (s *Store) payload(ctx context.Context, subject string, h nats.Header, body []byte) (kycbridge.Payload, error) {
	p := payloadOf(subject, h, body)
	return p, s.unseal(ctx, kycbridge.ShelfPayloads, h.Get(headerKey), &p)
}
