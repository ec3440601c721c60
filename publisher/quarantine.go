package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// Quarantine stores p with the reason and the errors, durably. It returns kycbridge.ErrErased if p was erased with its
// verification: a payload of the log, or one that was requested before.
func (s *Store) Quarantine(
	ctx context.Context, p kycbridge.Payload, reason string, faults []kycbridge.FieldError,
) error {
	_, err := s.putQuarantined(ctx, p, reason, faults)
	return err
}

// putQuarantined stores p unless it is there already. The server remembers an id for longer than its message, which may
// have been removed or readmitted since: then p is stored once more, unless it was erased with its verification. It is
// also stored once more, in place of the earlier message, if it is not certain that the earlier one is durable (see
// confirm).
func (s *Store) putQuarantined(
	ctx context.Context, p kycbridge.Payload, reason string, faults []kycbridge.FieldError,
) (jetstream.PubAck, error) {
	if err := s.unsafe.of(s.names.quarantine()); err != nil {
		return jetstream.PubAck{}, err
	}
	m := s.quarantined(p, reason, faults)
	if err := s.seal(ctx, kycbridge.ShelfQuarantine, m, p); err != nil {
		return jetstream.PubAck{}, err
	}
	// After p has waited for its key: a whole purge may have taken place meanwhile.
	if repeated, err := s.erasedWithVerification(ctx, p); repeated || err != nil {
		return jetstream.PubAck{Duplicate: repeated}, err
	}
	unconfirmed := uint64(0)
	for id := m.Header.Get(nats.MsgIdHdr); ; {
		ack, err := s.quarantine.Publish(ctx, m)
		if err != nil || !ack.Duplicate {
			if err == nil && unconfirmed > 0 {
				ack.Duplicate = true
				_ = s.Erase(ctx, kycbridge.ShelfQuarantine, unconfirmed, true) // else it is listed twice
			}
			return ack, err
		}
		there, err := s.KeptAt(ctx, kycbridge.ShelfQuarantine, ack.Sequence)
		switch {
		case err == nil && there.ID == p.ID && whole(there.Payload):
			if s.quarantine.order.flushed(ack.Sequence) {
				return ack, nil
			}
			unconfirmed = ack.Sequence
		case err != nil && !errors.Is(err, kycbridge.ErrNotFound):
			return ack, err
		case p.VerificationID != "":
			k := kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
			if erased, err := s.erasedBefore(ctx, k, p); erased || err != nil {
				return ack, err
			}
		}
		m.Header[nats.MsgIdHdr] = []string{id + storedAgain + strconv.FormatUint(ack.Sequence, 10)}
	}
}

// erasedWithVerification reports whether p repeats a callback that was erased with its verification. The error is
// kycbridge.ErrErased if p was requested before the erasure, or was erased from the log.
func (s *Store) erasedWithVerification(ctx context.Context, p kycbridge.Payload) (repeated bool, err error) {
	switch {
	case p.VerificationID == "":
		return false, nil
	case p.Seq > 0: // a payload of the log, where repetitions are recognized
		erased, err := s.WasErased(ctx, p)
		if err == nil && erased {
			err = kycbridge.ErrErased
		}
		return false, err
	}
	k := kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
	t, err := s.tombstoneOfErased(ctx, k)
	switch {
	case err != nil || t == nil:
		return false, err
	case repeatsErased(t, p):
		return true, nil
	case precedesErasure(t, p):
		return false, kycbridge.ErrErased
	}
	return false, nil
}

// quarantined is the message of a payload in quarantine.
func (s *Store) quarantined(p kycbridge.Payload, reason string, faults []kycbridge.FieldError) *nats.Msg {
	m := message(s.names.quarantined(p.Provider, p.Account, reason), p)
	if p.VerificationID != "" {
		m.Header[headerVerification] = []string{p.VerificationID}
	}
	if list, err := json.Marshal(faults); err == nil && len(list) < headRoom/4 {
		m.Header[headerErrors] = []string{string(list)}
	}
	// The same body may fail for different reasons over time.
	m.Header[nats.MsgIdHdr] = []string{p.ID + "." + reason}
	return m
}
