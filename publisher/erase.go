package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// Erase removes one kept payload. With secure its bytes are overwritten in the file before it returns. The
// server rewrites the file for this each time (up to 8 MB and a flush), and the space of the old file becomes free
// space of the disk. Without secure, and for expired messages, the bytes stay in the file until the server rewrites
// it; clients cannot read them, and they cannot be overwritten any more. A missing payload is no error.
func (s *Store) Erase(ctx context.Context, shelf kycbridge.Shelf, seq uint64, secure bool) error {
	if _, err := s.shelf(shelf); err != nil {
		return fmt.Errorf("erase payload: %w", err)
	}
	if seq == 0 {
		return nil
	}
	if err := s.Erasing(ctx, shelf, []uint64{seq}); err != nil {
		return fmt.Errorf("erase payload %d of %s: %w", seq, orPayloads(shelf), err)
	}
	if err := s.destroyKeyOf(ctx, orPayloads(shelf), seq); err != nil {
		return fmt.Errorf("erase payload %d of %s: %w", seq, orPayloads(shelf), err)
	}
	if err := s.erase(ctx, s.shelves[orPayloads(shelf)], seq, secure); err != nil {
		return fmt.Errorf("erase payload %d of %s: %w", seq, orPayloads(shelf), err)
	}
	return s.disk.flushAll(ctx)
}

// destroyKeyOf destroys the key of a stored body, if it is encrypted: copies of the body elsewhere cannot be
// decrypted afterwards.
func (s *Store) destroyKeyOf(ctx context.Context, shelf kycbridge.Shelf, seq uint64) error {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.shelves[shelf].GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	name := raw.Header.Get(headerKey)
	if name == "" || s.sealer.pages.destroyed(shelf, name) {
		return nil
	}
	page, _, _, _ := parseKeyName(name)
	if left, _, err := s.readKeysLeft(ctx, s.names.keysLeftOf(shelf, page)); err != nil || isLeft(left, name) {
		return err // the caller has tried just now, and the key service may take long to fail
	}
	return s.DestroyKeys(ctx, shelf, []string{name})
}

// erase removes a message; a missing one is no error.
func (c *Connection) erase(ctx context.Context, stream jetstream.Stream, seq uint64, secure bool) error {
	ctx, cancel := c.whileUp(ctx)
	defer cancel()
	if c.erasing != nil {
		// Recorded before the removal: an unrecorded gap looks like damage.
		if err := c.erasing(ctx, stream.CachedInfo().Config.Name, seq); err != nil {
			return err
		}
	}
	remove := stream.DeleteMsg
	if secure {
		remove = stream.SecureDeleteMsg
	}
	err := remove(ctx, seq)
	if err == nil {
		return nil
	}
	// The answer does not distinguish a missing message from one that cannot be removed.
	if _, gone := stream.GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
		return nil
	}
	return err
}

// eraseAll erases the messages of a stream on a subject, oldest first: an interrupted run leaves the newest
// messages, so that an old message is never the newest one.
func (c *Connection) eraseAll(
	ctx context.Context, stream jetstream.Stream, subject string, of func(*jetstream.RawStreamMsg) bool,
) (n int, err error) {
	err = c.readSubject(ctx, stream, subject, 1, func(raw *jetstream.RawStreamMsg) error {
		if of != nil && !of(raw) {
			return nil
		}
		if err := c.erase(ctx, stream, raw.Sequence, true); err != nil {
			return err
		}
		n++
		return nil
	})
	if err == nil && n > 0 {
		err = c.disk.flushAll(ctx)
	}
	return n, err
}

// EraseWatches erases the timer of a verification, its due watches and the receipts of the starts that
// created it, and returns how many messages it erased. A poller that is requesting the session at this moment
// sets the timer again; the caller must erase once more when the poller is done.
// It cannot erase messages that the server has already removed: timers that were replaced or have fired, and
// processed due watches. Their bytes (the reference and digests of bodies, no part of a body) stay in the
// block file until it is full and the server has rewritten it. The id of the verification stays in
// sched.db until the timer's time has passed.
func (s *Store) EraseWatches(ctx context.Context, k kycbridge.Key) (int, error) {
	erased := 0
	for _, subject := range []string{s.names.timer(k), s.names.due(k.Provider, k.Account, k.VerificationID)} {
		n, err := s.eraseAll(ctx, s.polls, subject, nil)
		erased += n
		if err != nil {
			return erased, fmt.Errorf("erase watches: %w", err)
		}
	}
	n, err := s.eraseStarts(ctx, k)
	return erased + n, err
}

// EraseRequests erases those requests to watch a verification of an account that no process has handled yet and that of
// selects by their bodies, and returns how many there were.
func (s *Store) EraseRequests(ctx context.Context, a kycbridge.AccountKey, of func(body []byte) bool) (int, error) {
	n, err := s.eraseAll(ctx, s.polls, s.names.watch(a), func(m *jetstream.RawStreamMsg) bool { return of(m.Data) })
	if err != nil {
		return n, fmt.Errorf("erase requests to watch: %w", err)
	}
	return n, nil
}

// eraseStarts erases the receipts that name a verification. They are stored under their idempotency keys,
// so all receipts of the account are read: those of one day.
func (s *Store) eraseStarts(ctx context.Context, k kycbridge.Key) (int, error) {
	var found []uint64
	o := scanOptions{subjects: []string{s.names.join("start", k.Provider, k.Account, "*")}}
	err := s.scanAll(ctx, s.names.starts(), o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		if !bytes.Contains(m.Data(), []byte(k.VerificationID)) {
			return nil
		}
		var r reservation
		if json.Unmarshal(m.Data(), &r) == nil && r.Receipt != nil && r.Receipt.VerificationID == k.VerificationID {
			found = append(found, meta.Sequence.Stream)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("look for receipts: %w", err)
	}
	for i, seq := range found {
		if err := s.erase(ctx, s.starts, seq, true); err != nil {
			return i, fmt.Errorf("erase receipt: %w", err)
		}
	}
	if len(found) == 0 {
		return 0, nil
	}
	return len(found), s.disk.flushAll(ctx)
}

// EraseEvents erases every event of a verification and returns how many there were.
func (b *Bus) EraseEvents(ctx context.Context, k kycbridge.Key) (int, error) {
	defer b.last.remove(k)
	n, err := b.eraseAll(ctx, b.stream, b.names.anyEvent(k), nil)
	if err != nil {
		return n, fmt.Errorf("erase events: %w", err)
	}
	return n, nil
}

// ExpireEvents erases the events of a verification up to a sequence and returns how many there were. A later one
// stays.
func (b *Bus) ExpireEvents(ctx context.Context, k kycbridge.Key, until uint64) (int, error) {
	defer b.last.remove(k)
	n, err := b.eraseAll(ctx, b.stream, b.names.anyEvent(k),
		func(raw *jetstream.RawStreamMsg) bool { return raw.Sequence <= until })
	if err != nil {
		return n, fmt.Errorf("erase events: %w", err)
	}
	return n, nil
}

// WriteTombstone records that a verification was erased. A later tombstone replaces an earlier one, and keeps what that
// says about repetitions and the newest revision: two purges of a verification may run at the same time, and the second
// one does not find what the first one has erased.
func (s *Store) WriteTombstone(ctx context.Context, t kycbridge.Tombstone) error {
	k := kycbridge.Key{Provider: t.Provider, Account: t.Account, VerificationID: t.VerificationID}
	if err := checkKey(k); err != nil {
		return fmt.Errorf("write tombstone: %w", err)
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	for {
		seq, err := s.putTombstone(ctx, k, t)
		if refused, ok := errors.AsType[*jetstream.APIError](err); ok && wrongLast(refused) && ctx.Err() == nil {
			continue // another process has just written one
		}
		if err != nil {
			return fmt.Errorf("store tombstone: %w", err)
		}
		return s.recordGuarded(ctx, s.guarded()[s.names.tombstones()], seq)
	}
}

// putTombstone stores t in place of the tombstone that is stored now, and returns its sequence.
func (s *Store) putTombstone(ctx context.Context, k kycbridge.Key, t kycbridge.Tombstone) (uint64, error) {
	earlier, last, err := s.readTombstone(ctx, k)
	if err != nil {
		return 0, err
	}
	if earlier != nil {
		t = t.Following(earlier.Tombstone)
	}
	body, err := json.Marshal(t)
	if err != nil {
		return 0, err
	}
	ack, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: s.names.tombstone(k), Data: body},
		jetstream.WithExpectLastSequencePerSubject(last))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// storedTombstone is a tombstone and when the server stored it, by the clock of this process.
type storedTombstone struct {
	kycbridge.Tombstone
	stored time.Time
}

// Tombstone reads the tombstone of a verification; nil if it was not erased.
func (s *Store) Tombstone(ctx context.Context, k kycbridge.Key) (*kycbridge.Tombstone, error) {
	t, _, err := s.readTombstone(ctx, k)
	if err != nil || t == nil {
		return nil, err
	}
	return &t.Tombstone, nil
}

// readTombstone reads the tombstone of a verification and its sequence; nil if it was not erased.
func (s *Store) readTombstone(ctx context.Context, k kycbridge.Key) (t *storedTombstone, seq uint64, err error) {
	if err := checkKey(k); err != nil {
		return nil, 0, fmt.Errorf("read tombstone: %w", err)
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.tombstones.GetLastMsgForSubject(ctx, s.names.tombstone(k))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read tombstone: %w", err)
	}
	if read, ok := s.tombstoneOf(raw.Subject, raw.Data); ok {
		t = &storedTombstone{read, s.clocks.here(s.names.tombstones(), raw.Time)}
	}
	return t, raw.Sequence, nil
}

// ErasedSince reports whether a verification was erased since a time.
func (s *Store) ErasedSince(ctx context.Context, k kycbridge.Key, since time.Time) (bool, error) {
	t, _, err := s.readTombstone(ctx, k)
	return err == nil && t != nil && t.isAfter(since), err
}

// tombstoneOf decodes a tombstone; ok is false for a foreign message.
func (s *Store) tombstoneOf(subject string, body []byte) (t kycbridge.Tombstone, ok bool) {
	err := json.Unmarshal(body, &t)
	if err != nil || subject != s.names.tombstone(kycbridge.Key{Provider: t.Provider, Account: t.Account,
		VerificationID: t.VerificationID}) {
		s.countForeign(s.names.tombstones())
		return t, false
	}
	return t, true
}

// Tombstones reads which verifications were erased, in the order in which the tombstones were written.
func (s *Store) Tombstones(ctx context.Context, each func(kycbridge.Tombstone) error) error {
	return s.scanAll(ctx, s.names.tombstones(), scanOptions{subjects: []string{s.names.join("tombstone.>")}},
		func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
			if t, ok := s.tombstoneOf(m.Subject(), m.Data()); ok {
				return each(t)
			}
			return nil
		})
}
