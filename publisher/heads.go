package publisher

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// mostHeads is the maximum number of subjects of a verification that are read: it has one for each kind of event.
const mostHeads = 16

// Head is the last event of the verification with this internal id, with provider and account from its
// subject. It returns kycbridge.ErrNotFound if the verification has no event.
func (b *Bus) Head(ctx context.Context, verificationID string) (kycbridge.Key, kycbridge.State, error) {
	k, newest, err := b.head(ctx, verificationID)
	if err != nil {
		return k, kycbridge.State{}, err
	}
	state, err := b.revision(newest)
	return k, state, err
}

// KeyOf returns provider and account of a verification with events, of any account, without reading their content. It
// returns kycbridge.ErrNotFound if the verification has no event.
func (b *Bus) KeyOf(ctx context.Context, verificationID string) (kycbridge.Key, error) {
	k, _, err := b.head(ctx, verificationID)
	return k, err
}

// head is the message of the last event of a verification.
func (b *Bus) head(
	ctx context.Context, verificationID string,
) (k kycbridge.Key, newest *jetstream.RawStreamMsg, err error) {
	if !token(verificationID) {
		return k, nil, fmt.Errorf("read last event: %w", kycbridge.ErrNotFound)
	}
	filter := b.names.event(kycbridge.Key{Provider: "*", Account: "*", VerificationID: verificationID}, "*")
	err = b.newestOf(ctx, b.names.events(), filter, mostHeads, func(raw *jetstream.RawStreamMsg) error {
		if isEvent(raw.Header) && (newest == nil || raw.Sequence > newest.Sequence) {
			newest = raw
		}
		return nil
	})
	if err == nil && newest == nil {
		err = kycbridge.ErrNotFound
	}
	if err != nil {
		return k, nil, fmt.Errorf("read last event: %w", err)
	}
	tokens := strings.Split(newest.Subject, ".")
	n := len(tokens)
	return kycbridge.Key{Provider: tokens[n-4], Account: tokens[n-3], VerificationID: verificationID}, newest, nil
}

// KeyOf returns provider and account of a verification with stored payloads. It returns
// kycbridge.ErrNotFound if the verification has no stored payload.
func (s *Store) KeyOf(ctx context.Context, verificationID string) (found kycbridge.Key, err error) {
	if !token(verificationID) {
		return found, fmt.Errorf("look for payloads: %w", kycbridge.ErrNotFound)
	}
	filter := s.names.payload(kycbridge.Key{Provider: "*", Account: "*", VerificationID: verificationID})
	err = s.newestOf(ctx, s.names.payloads(), filter, mostHeads, func(raw *jetstream.RawStreamMsg) error {
		if k, ok := keyOf(raw.Subject); ok && ours(raw.Header) {
			found = k
		}
		return nil
	})
	if err == nil && found.VerificationID == "" {
		err = kycbridge.ErrNotFound
	}
	if err != nil {
		return found, fmt.Errorf("look for payloads: %w", err)
	}
	return found, nil
}
