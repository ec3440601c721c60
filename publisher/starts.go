package publisher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// errNotOurs means that another program wrote the message.
var errNotOurs = errors.New("read start: it is not ours")

// reservation is the stored state of a start under its idempotency key.
type reservation struct {
	Fingerprint string                  `json:"fingerprint"`
	Receipt     *kycbridge.StartReceipt `json:"receipt,omitempty"` // nil: in progress, or interrupted
}

// Reserve reserves an idempotency key for a start. If a start with this key was completed, it returns its
// receipt. It returns kycbridge.ErrKeyReused if the key belongs to another request, and kycbridge.ErrKeyPending
// if the start is in progress or was interrupted. Keys expire after a day.
func (s *Store) Reserve(
	ctx context.Context, a kycbridge.AccountKey, key, fingerprint string,
) (*kycbridge.StartReceipt, error) {
	subject := s.names.start(a, key)
	err := s.putStart(ctx, subject, reservation{Fingerprint: fingerprint}, 0)
	var refused *jetstream.APIError
	if !errors.As(err, &refused) || !wrongLast(refused) {
		return nil, err
	}
	before, seq, err := s.readStart(ctx, subject)
	switch {
	case errors.Is(err, errNotOurs):
		return nil, s.putStart(ctx, subject, reservation{Fingerprint: fingerprint}, seq)
	case err != nil:
		return nil, err
	case before.Fingerprint != fingerprint:
		return nil, kycbridge.ErrKeyReused
	case before.Receipt == nil:
		return nil, kycbridge.ErrKeyPending
	}
	return before.Receipt, nil
}

// Complete stores the receipt of a reserved start.
func (s *Store) Complete(
	ctx context.Context, a kycbridge.AccountKey, key, fingerprint string, r kycbridge.StartReceipt,
) error {
	subject := s.names.start(a, key)
	_, seq, err := s.readStart(ctx, subject)
	if err != nil {
		return err
	}
	return s.putStart(ctx, subject, reservation{Fingerprint: fingerprint, Receipt: &r}, seq)
}

// Release frees the key of a start that created nothing.
func (s *Store) Release(ctx context.Context, a kycbridge.AccountKey, key string) error {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	return s.starts.Purge(ctx, jetstream.WithPurgeSubject(s.names.start(a, key)))
}

func (s *Store) putStart(ctx context.Context, subject string, value reservation, after uint64) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write start: %w", err)
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	_, err = s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: body},
		jetstream.WithExpectLastSequencePerSubject(after))
	if err != nil {
		return fmt.Errorf("remember start: %w: %w", kycbridge.ErrUnavailable, err)
	}
	return nil
}

func (s *Store) readStart(ctx context.Context, subject string) (reservation, uint64, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.starts.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return reservation{}, 0, fmt.Errorf("read start: %w: %w", kycbridge.ErrUnavailable, err)
	}
	var value reservation
	if err := json.Unmarshal(raw.Data, &value); err != nil {
		s.countForeign(s.names.starts())
		return reservation{}, raw.Sequence, errNotOurs
	}
	return value, raw.Sequence, nil
}

// start is the subject of an idempotency key. It contains a digest of the key: the key itself, which is arbitrary
// text of the caller, is not stored.
func (n Names) start(a kycbridge.AccountKey, key string) string {
	sum := sha256.Sum256([]byte(key))
	return n.join("start", a.Provider, a.Account, hex.EncodeToString(sum[:]))
}
