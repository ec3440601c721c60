package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// expireAtOnce is how many single messages are removed at the same time.
const expireAtOnce = 16

// A message that was stored while the server's clock was ahead seems to be younger than the messages after it. So a
// search for old messages does not end at the first one that is too young.
const (
	lookPast   = 16          // messages in a row that are too young end the search
	mostAhead  = 100_000     // messages from the future that a search reads at most
	clockSlack = time.Minute // tolerance for the clocks of two machines
)

// fromTheFuture reports whether a message has a time that has not come yet.
func fromTheFuture(at, now time.Time) bool { return at.After(now.Add(clockSlack)) }

// passed counts the messages that a search for old ones has passed, because they are too young.
type passed struct {
	now    time.Time
	young  int // since the last old one
	future int
	any    bool
}

// pass counts a message; the error ends the search.
func (p *passed) pass(at time.Time) error {
	if p.any = true; fromTheFuture(at, p.now) {
		p.future++
	} else {
		p.young++
	}
	if p.young >= lookPast || p.future >= mostAhead {
		return errScanned
	}
	return nil
}

// shelfFilter matches the messages of an account on a shelf, and with the zero account those of all accounts.
func (s *Store) shelfFilter(shelf kycbridge.Shelf, a kycbridge.AccountKey) string {
	provider, account := orAny(a.Provider), orAny(a.Account)
	if shelf == kycbridge.ShelfQuarantine {
		return s.names.quarantined(provider, account, "*")
	}
	return s.names.payload(kycbridge.Key{Provider: provider, Account: account, VerificationID: "*"})
}

// Aged passes the messages of an account on a shelf that were stored before a time, oldest first, from a
// sequence on, foreign ones too. With the zero account it passes those of all accounts. each may return
// kycbridge.ErrEnough to stop. A few younger messages, and those from the future, do not keep later ones from being
// passed.
func (s *Store) Aged(
	ctx context.Context, shelf kycbridge.Shelf, a kycbridge.AccountKey, before time.Time, from uint64,
	each func(kycbridge.Aged) error,
) error {
	stream, err := s.shelf(shelf)
	if err != nil {
		return fmt.Errorf("read aged payloads: %w", err)
	}
	// The filter of a scan makes the server visit every subject of the account, and nothing is stored meanwhile: some
	// tenths of a second with a million verifications. So it is avoided while nothing is old enough.
	oldest, err := s.firstStored(ctx, stream)
	if err != nil {
		return fmt.Errorf("read aged payloads: %w", err)
	}
	if !oldest.Before(before) {
		return nil
	}
	o := scanOptions{subjects: []string{s.shelfFilter(shelf, a)}, headers: true, from: from}
	left := passed{now: s.clocks.read()}
	err = s.scanAll(ctx, stream, o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		at := s.clocks.here(stream, meta.Timestamp)
		if !at.Before(before) {
			return left.pass(at)
		}
		left.young = 0
		one := agedMessage(shelf, m.Subject(), m.Headers(), meta.Sequence.Stream, at)
		one.Behind = left.any
		return each(one)
	})
	if err != nil && !errors.Is(err, kycbridge.ErrEnough) {
		return fmt.Errorf("read aged payloads: %w", err)
	}
	return nil
}

// agedMessage describes a message of a shelf.
func agedMessage(shelf kycbridge.Shelf, subject string, h nats.Header, seq uint64, at time.Time) kycbridge.Aged {
	m := kycbridge.Aged{Seq: seq, At: at, Sealed: h.Get(headerKey)}
	tokens := strings.Split(subject, ".")
	if n := len(tokens); n >= 4 { // at least one token before the three names
		m.Key = kycbridge.Key{Provider: tokens[n-3], Account: tokens[n-2], VerificationID: tokens[n-1]}
	}
	if shelf == kycbridge.ShelfQuarantine {
		m.VerificationID = h.Get(headerVerification)
	}
	return m
}

// Expire removes messages of an account from a shelf, given by their sequences in ascending order, and records the
// removal. whole means that these are all messages of the account up to the last sequence: the server then removes
// them in one operation. Their bytes are not overwritten.
func (s *Store) Expire(
	ctx context.Context, shelf kycbridge.Shelf, a kycbridge.AccountKey, seqs []uint64, whole bool,
) error {
	name, err := s.shelf(shelf)
	if err != nil || len(seqs) == 0 {
		return err
	}
	if err := s.recordExpiry(ctx, name, seqs); err != nil {
		return err
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	stream := s.shelves[orPayloads(shelf)]
	if whole && a != (kycbridge.AccountKey{}) {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(s.shelfFilter(shelf, a)),
			jetstream.WithPurgeSequence(seqs[len(seqs)-1]+1))
	} else {
		err = eachAtOnce(seqs, expireAtOnce, func(seq uint64) error { return removeOne(ctx, stream, seq) })
	}
	if err != nil {
		return fmt.Errorf("remove expired messages of stream %s: %w", name, err)
	}
	if err := s.countExpired(ctx, name, len(seqs)); err != nil {
		return err
	}
	return s.disk.flushAll(ctx)
}

// expiredIn is the subject of the message with the number of messages of a stream that were removed because of
// their age.
func (n Names) expiredIn(stream string) string { return n.join("erased", stream, "expired") }

// countExpired adds to the number of messages that were removed.
func (s *Store) countExpired(ctx context.Context, stream string, n int) error {
	for {
		total, at, err := s.expired(ctx, stream)
		if err != nil {
			return err
		}
		body, err := json.Marshal(reachMessage{total + uint64(n)})
		if err != nil {
			return fmt.Errorf("count expired messages: %w", err)
		}
		_, err = s.js.PublishMsg(ctx, &nats.Msg{Subject: s.names.expiredIn(stream), Data: body},
			jetstream.WithExpectLastSequencePerSubject(at))
		if refused, ok := errors.AsType[*jetstream.APIError](err); ok && wrongLast(refused) && ctx.Err() == nil {
			continue // another process has just counted
		}
		return err
	}
}

// expired is the number of messages of a stream that were removed because of their age, and the sequence of its
// record.
func (s *Store) expired(ctx context.Context, stream string) (n, seq uint64, err error) {
	raw, err := s.tombstones.GetLastMsgForSubject(ctx, s.names.expiredIn(stream))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("count expired messages: %w", err)
	}
	var m reachMessage
	_ = json.Unmarshal(raw.Data, &m) // an unreadable record is replaced
	return m.Last, raw.Sequence, nil
}

// Expired is how many messages of a shelf were removed because of their age, by all processes.
func (s *Store) Expired(ctx context.Context, shelf kycbridge.Shelf) (int, error) {
	stream, err := s.shelf(shelf)
	if err != nil {
		return 0, err
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	n, _, err := s.expired(ctx, stream)
	return int(n), err
}

// removeOne removes a message; a missing one is no error.
func removeOne(ctx context.Context, stream jetstream.Stream, seq uint64) error {
	err := stream.DeleteMsg(ctx, seq)
	if err == nil {
		return nil
	}
	// The answer does not distinguish a missing message from one that cannot be removed.
	if _, gone := stream.GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
		return nil
	}
	return err
}

// recordExpiry records that messages are about to be removed, with one write for each bucket.
func (s *Store) recordExpiry(ctx context.Context, stream string, seqs []uint64) error {
	for len(seqs) > 0 {
		bucket := seqs[0] / erasedBucket
		n := slices.IndexFunc(seqs, func(seq uint64) bool { return seq/erasedBucket != bucket })
		if n < 0 {
			n = len(seqs)
		}
		var gone []kycbridge.Range
		for _, seq := range seqs[:n] {
			if last := len(gone) - 1; last >= 0 && gone[last][1]+1 == seq {
				gone[last][1] = seq
				continue
			}
			gone = append(gone, kycbridge.Range{seq, seq})
		}
		if err := s.recordErased(ctx, stream, gone...); err != nil {
			return err
		}
		seqs = seqs[n:]
	}
	return nil
}

// erasedFront is the subject of the message with the sequence up to which all messages of a stream are erased.
func (n Names) erasedFront(stream string) string { return n.join("erased", stream, "front") }

// front is the sequence up to which all messages of a stream are erased; 0 if none are.
func (s *Store) front(ctx context.Context, stream string) (uint64, error) {
	front, _, err := s.frontAt(ctx, stream)
	return front, err
}

// frontAt is front, with the sequence of its record.
func (s *Store) frontAt(ctx context.Context, stream string) (front, seq uint64, err error) {
	raw, err := s.tombstones.GetLastMsgForSubject(ctx, s.names.erasedFront(stream))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read erasures: %w", err)
	}
	var m reachMessage
	_ = json.Unmarshal(raw.Data, &m) // an unreadable record is replaced
	return m.Last, raw.Sequence, nil
}

// setFront records the front of a stream. A higher one, which another process has recorded meanwhile, remains: the
// records of single erasures before it are removed, and without them the gaps would look like damage.
func (s *Store) setFront(ctx context.Context, stream string, last uint64) error {
	body, err := json.Marshal(reachMessage{last})
	if err != nil {
		return fmt.Errorf("write down erasures: %w", err)
	}
	for {
		known, at, err := s.frontAt(ctx, stream)
		if err != nil || at > 0 && known >= last {
			return err
		}
		_, err = s.js.PublishMsg(ctx, &nats.Msg{Subject: s.names.erasedFront(stream), Data: body},
			jetstream.WithExpectLastSequencePerSubject(at))
		if refused, ok := errors.AsType[*jetstream.APIError](err); ok && wrongLast(refused) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("write down erasures: %w", err)
		}
		return nil
	}
}

// TidyErasures replaces the records of buckets at the front of a shelf whose messages are all erased by one record
// with the sequence up to which all messages are erased. Without it the number of records would grow without limit.
func (s *Store) TidyErasures(ctx context.Context, shelf kycbridge.Shelf) error {
	stream, err := s.shelf(shelf)
	if err != nil {
		return err
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	front, err := s.front(ctx, stream)
	if err != nil {
		return err
	}
	began := front
	for {
		// Sequence 0 does not exist: the first bucket begins with 1.
		bucket := (front + 1) / erasedBucket
		known, _, err := s.readErased(ctx, s.names.erasedIn(stream, front+1))
		if err != nil {
			return err
		}
		last := bucket*erasedBucket + erasedBucket - 1
		if !known.has(kycbridge.Range{front + 1, last}) {
			break
		}
		front = last
	}
	if front == began {
		return nil
	}
	if err := s.setFront(ctx, stream, front); err != nil {
		return err
	}
	for seq := began + 1; seq <= front; seq += erasedBucket {
		if err := s.tombstones.Purge(ctx, jetstream.WithPurgeSubject(s.names.erasedIn(stream, seq))); err != nil {
			return fmt.Errorf("tidy records of erasures: %w", err)
		}
	}
	return nil
}

// eachAtOnce calls work for each of all, several at the same time, and returns the first error.
func eachAtOnce(all []uint64, atOnce int, work func(uint64) error) error {
	errs := make(chan error, atOnce)
	next := make(chan uint64)
	for range atOnce {
		go func() {
			var err error
			for seq := range next {
				if err == nil {
					err = work(seq)
				}
			}
			errs <- err
		}()
	}
	for _, seq := range all {
		next <- seq
	}
	close(next)
	var first error
	for range atOnce {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

// longestShelf is the longest retention of payloads, accepted or quarantined; 0: unlimited.
func (s *Store) longestShelf() time.Duration {
	a, b := s.retention().Longest(kycbridge.ClassPayloads), s.retention().Longest(kycbridge.ClassQuarantine)
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

// OwnAges are the streams of payloads for which the operator has set an age limit on the server. The server removes
// older messages, also those of a held verification.
func (s *Store) OwnAges(ctx context.Context) (streams []string, err error) {
	for _, name := range []string{s.names.payloads(), s.names.quarantine()} {
		stream, err := s.js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look up stream %s: %w", name, err)
		}
		if stream.CachedInfo().Config.MaxAge > 0 {
			streams = append(streams, name)
		}
	}
	return streams, nil
}
