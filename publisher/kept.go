package publisher

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// Kept reads the messages of a shelf, oldest first, up to the end at the time of the call. each may return
// kycbridge.ErrEnough to stop; any other error stops too and is returned. Foreign messages are skipped.
// The digest shows whether a body is unchanged.
func (s *Store) Kept(ctx context.Context, q kycbridge.KeptQuery, each func(kycbridge.Kept) error) error {
	shelf, err := s.shelf(q.Shelf)
	if err != nil {
		return fmt.Errorf("read kept payloads: %w", err)
	}
	filter, err := s.keptSubjects(q)
	if err != nil {
		return fmt.Errorf("read kept payloads: %w", err)
	}
	if q.VerificationID != "" && orPayloads(q.Shelf) == kycbridge.ShelfPayloads {
		return s.keptOfOne(ctx, filter[0], q, each)
	}
	// Only the subjects of the log contain the verification. On other shelves headers are read first, and then
	// only the matching bodies.
	filterFirst := q.VerificationID != ""
	o := scanOptions{subjects: filter, since: q.Since, from: q.From, headers: q.HeadersOnly || filterFirst}
	return s.scanAll(ctx, shelf, o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		if isBar(m.Subject()) {
			return nil
		}
		if !ours(m.Headers()) {
			s.countForeign(shelf)
			return nil
		}
		if meta.Timestamp.Before(q.Since) || filterFirst && m.Headers().Get(headerVerification) != q.VerificationID {
			return nil
		}
		if filterFirst && !q.HeadersOnly {
			k, err := s.KeptAt(ctx, q.Shelf, meta.Sequence.Stream)
			if errors.Is(err, kycbridge.ErrNotFound) {
				return nil
			}
			if err := unlessUnread(q, k, err); err != nil {
				return err
			}
			return each(k)
		}
		if q.HeadersOnly {
			return each(keptOf(q.Shelf, m.Subject(), m.Headers(), nil, meta.Sequence.Stream))
		}
		k, err := s.kept(ctx, q.Shelf, m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream)
		if err := unlessUnread(q, k, err); err != nil {
			return err
		}
		return each(k)
	})
}

// unlessUnread is err, which ends a query, unless the query passes payloads that cannot be decrypted and k is one.
func unlessUnread(q kycbridge.KeptQuery, k kycbridge.Kept, err error) error {
	if q.Unread && k.Unread != "" {
		return nil
	}
	return err
}

// keptOfOne reads the payloads of one verification from the log.
func (s *Store) keptOfOne(
	ctx context.Context, subject string, q kycbridge.KeptQuery, each func(kycbridge.Kept) error,
) error {
	end, err := s.newest(ctx, s.names.payloads())
	if err != nil {
		return fmt.Errorf("read kept payloads: %w", err)
	}
	err = s.readSubject(ctx, s.payloadLog, subject, q.From, func(raw *jetstream.RawStreamMsg) error {
		if raw.Sequence > end {
			return kycbridge.ErrEnough
		}
		if raw.Time.Before(q.Since) {
			return nil
		}
		if !ours(raw.Header) {
			s.countForeign(s.names.payloads())
			return nil
		}
		if q.HeadersOnly {
			k := keptOf(q.Shelf, raw.Subject, raw.Header, raw.Data, raw.Sequence)
			k.Body = nil
			return each(k)
		}
		k, err := s.kept(ctx, q.Shelf, raw.Subject, raw.Header, raw.Data, raw.Sequence)
		if err := unlessUnread(q, k, err); err != nil {
			return err
		}
		return each(k)
	})
	if errors.Is(err, kycbridge.ErrEnough) {
		return nil
	}
	return err
}

// keptSubjects are the filters of a query; none if it selects the whole shelf.
func (s *Store) keptSubjects(q kycbridge.KeptQuery) ([]string, error) {
	for what, v := range map[string]string{"provider": q.Provider, "account": q.Account, "verification": q.VerificationID,
		"reason": q.Reason} {
		if v != "" && !token(v) {
			return nil, fmt.Errorf("no %s is called that", what)
		}
	}
	provider, account := orAny(q.Provider), orAny(q.Account)
	filter, all := "", q.Provider == "" && q.Account == ""
	switch q.Shelf {
	case kycbridge.ShelfQuarantine:
		filter, all = s.names.quarantined(provider, account, orAny(q.Reason)), all && q.Reason == ""
	case kycbridge.ShelfRefused:
		filter = s.names.refusal(provider, account)
	default:
		filter, all = s.names.payload(kycbridge.Key{Provider: provider, Account: account,
			VerificationID: orAny(q.VerificationID)}), all && q.VerificationID == ""
	}
	if all {
		return nil, nil
	}
	return []string{filter}, nil
}

// KeptAt reads one kept payload, or returns kycbridge.ErrNotFound. If its body cannot be decrypted at present, the
// payload is returned beside the error, with Unread.
func (s *Store) KeptAt(ctx context.Context, shelf kycbridge.Shelf, seq uint64) (kycbridge.Kept, error) {
	if _, err := s.shelf(shelf); err != nil {
		return kycbridge.Kept{}, fmt.Errorf("read kept payload: %w", err)
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if seq == 0 {
		return kycbridge.Kept{}, fmt.Errorf("read kept payload: %w", kycbridge.ErrNotFound)
	}
	raw, err := s.shelves[orPayloads(shelf)].GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return kycbridge.Kept{}, fmt.Errorf("read kept payload %d of %s: %w", seq, orPayloads(shelf), kycbridge.ErrNotFound)
	}
	if err != nil {
		return kycbridge.Kept{}, fmt.Errorf("read kept payload %d of %s: %w", seq, orPayloads(shelf), err)
	}
	if !ours(raw.Header) {
		return kycbridge.Kept{}, fmt.Errorf("read kept payload %d of %s: %w", seq, orPayloads(shelf), kycbridge.ErrNotFound)
	}
	k, err := s.kept(ctx, shelf, raw.Subject, raw.Header, raw.Data, raw.Sequence)
	if err != nil {
		return k, fmt.Errorf("read kept payload %d of %s: %w", seq, orPayloads(shelf), err)
	}
	return k, nil
}

// Put stores a payload on its shelf as it was stored elsewhere: id, bytes, headers and the time at which
// it was received. An existing one reports Duplicate, and so does an erased one during the duplicate
// window. Its fields come from outside, so they are checked: a wrong digest or invalid names are an error.
func (s *Store) Put(ctx context.Context, k kycbridge.Kept) (kycbridge.Stored, error) {
	if err := checkPlacement(k); err != nil {
		return kycbridge.Stored{}, fmt.Errorf("put payload: %w", err)
	}
	var ack jetstream.PubAck
	var err error
	switch k.Shelf {
	case kycbridge.ShelfQuarantine:
		ack, err = s.putQuarantined(ctx, k.Payload, k.Reason, k.Errors)
	case kycbridge.ShelfRefused:
		var r kycbridge.Request
		if k.Request != nil {
			r = *k.Request
		}
		ack, err = s.putRefused(ctx, refusedPayload{k.Payload, s.refusal(k.Payload, r, k.Reason)})
	default:
		stored, err := s.Append(ctx, k.Payload)
		if err != nil {
			return kycbridge.Stored{}, fmt.Errorf("put payload: %w: %w", kycbridge.ErrUnavailable, err)
		}
		return stored, nil
	}
	if err != nil {
		return kycbridge.Stored{}, fmt.Errorf("put payload: %w: %w", kycbridge.ErrUnavailable, err)
	}
	return kycbridge.Stored{Duplicate: ack.Duplicate, Digest: k.Digest}, nil
}

// checkPlacement reports why k cannot be stored under its names.
func checkPlacement(k kycbridge.Kept) error {
	switch {
	case k.Shelf != "" && k.Shelf != kycbridge.ShelfPayloads && k.Shelf != kycbridge.ShelfQuarantine &&
		k.Shelf != kycbridge.ShelfRefused:
		return fmt.Errorf("there is no shelf %q", k.Shelf)
	case !token(k.Provider) || !token(k.Account):
		return errors.New("provider and account must be letters, digits, '-' and '_'")
	case orPayloads(k.Shelf) == kycbridge.ShelfPayloads && !token(k.VerificationID), k.VerificationID != "" &&
		!token(k.VerificationID):
		return errors.New("verification id must be letters, digits and '-'")
	case k.Shelf == kycbridge.ShelfQuarantine && !token(k.Reason):
		return errors.New("reason must be a word")
	case !whole(k.Payload):
		return errors.New("digest is not that of the body, or the id not of the account")
	case headerText(k.ID) != k.ID:
		return errors.New("id must be printable ASCII")
	}
	return nil
}

// kept decodes a message of a shelf with its body. The error wraps ErrNoKey. Under an altered page of keys the body is
// empty, which is no error: the others can be listed.
func (s *Store) kept(
	ctx context.Context, shelf kycbridge.Shelf, subject string, h nats.Header, body []byte, seq uint64,
) (kycbridge.Kept, error) {
	k := keptOf(shelf, subject, h, body, seq)
	err := s.unseal(ctx, k.Shelf, k.Key, &k.Payload)
	if err != nil {
		id, _, _, _ := parseKeyName(k.Key)
		k.Unread = pageName(k.Shelf, id)
	}
	if err != nil && !errors.Is(err, errAltered) {
		return k, err
	}
	if k.Request != nil {
		k.Request.Body = k.Body
	}
	return k, nil
}

// shelf is the name of the stream that stores a shelf.
func (s *Store) shelf(shelf kycbridge.Shelf) (string, error) {
	switch orPayloads(shelf) {
	case kycbridge.ShelfPayloads:
		return s.names.payloads(), nil
	case kycbridge.ShelfQuarantine:
		return s.names.quarantine(), nil
	case kycbridge.ShelfRefused:
		return s.names.refused(), nil
	}
	return "", fmt.Errorf("there is no shelf %q", shelf)
}

func orPayloads(s kycbridge.Shelf) kycbridge.Shelf {
	if s == "" {
		return kycbridge.ShelfPayloads
	}
	return s
}
