package publisher

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

const (
	// claimTTL is how long the claim of a killed process makes holds wait.
	claimTTL   = 30 * time.Second
	claimAgain = 5 * time.Second       // how often a claim is renewed
	claimPause = 25 * time.Millisecond // before the retry of a hold that a claim blocked
	claimWait  = 40 * time.Second      // how long such a hold is retried
)

// hold is the subject of the hold on a verification.
func (n Names) hold(k kycbridge.Key) string {
	return n.join("hold", k.Provider, k.Account, k.VerificationID)
}

// claim is the subject of a claim to erase a verification; with the zero key, of a claim to erase any verifications
// that are not held. The id "*" matches all claims of the key.
func (n Names) claim(k kycbridge.Key, id string) string {
	if k == (kycbridge.Key{}) {
		return n.join("erasing.any", id)
	}
	return n.join("erasing.one", k.Provider, k.Account, k.VerificationID, id)
}

// PutHold stores a hold durably, in place of an earlier one on the same verification. While an erasure that the
// hold could not stop is in progress, it waits: when it returns, no data of the verification is erased until the
// hold ends. A release is stored only in place of the hold that it releases: if another one was placed meanwhile, that
// remains, and PutHold returns kycbridge.ErrConflict.
func (s *Store) PutHold(ctx context.Context, h kycbridge.Hold) error {
	k := h.Key()
	if err := checkKey(k); err != nil {
		return fmt.Errorf("store hold: %w", err)
	}
	body, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("store hold: %w", err)
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, claimWait)
	defer stop()
	if _, err := s.noteLostRecords(ctx); err != nil { // before the stream becomes longer
		return fmt.Errorf("store hold: %w", err)
	}
	seq, err := s.putUnless(ctx, &nats.Msg{Subject: s.names.hold(k), Data: body}, func() error {
		claimed, err := s.claimed(ctx, s.names.claim(k, "*"), s.names.claim(kycbridge.Key{}, "*"))
		switch {
		case err != nil:
			return err
		case claimed:
			return errClaimed
		}
		return s.releases(ctx, h)
	})
	if err != nil {
		return fmt.Errorf("store hold: %w", err)
	}
	return s.recordGuarded(ctx, s.guarded()[s.names.holds()], seq)
}

// releases returns kycbridge.ErrConflict if h is the release of another hold than the stored one.
func (s *Store) releases(ctx context.Context, h kycbridge.Hold) error {
	if h.Released.IsZero() {
		return nil
	}
	stored, err := s.Hold(ctx, h.Key())
	if err == nil && stored != nil && !stored.IsSame(h) {
		return kycbridge.ErrConflict
	}
	return err
}

// errClaimed means that an erasure is in progress and the check must be repeated later.
var errClaimed = fmt.Errorf("an erasure is going on: %w", kycbridge.ErrBusy)

// putUnless publishes m if check has returned nil and nothing was stored in the stream of holds since, and returns its
// sequence. It repeats a check that returns errClaimed. Nothing is stored while the stream may lose holds.
func (s *Store) putUnless(ctx context.Context, m *nats.Msg, check func() error) (seq uint64, err error) {
	if err := s.unsafe.of(s.names.holds()); err != nil {
		return 0, err
	}
	for {
		info, err := s.legalHolds.Info(ctx)
		if err != nil {
			return 0, err
		}
		err = check()
		if errors.Is(err, errClaimed) && ctx.Err() == nil {
			pause(ctx, claimPause)
			continue
		}
		if err != nil {
			return 0, err
		}
		ack, err := s.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequence(info.State.LastSeq))
		if refused, ok := errors.AsType[*jetstream.APIError](err); ok && wrongLast(refused) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return 0, err
		}
		return ack.Sequence, nil
	}
}

// claimed reports whether a message exists on one of the subjects.
func (s *Store) claimed(ctx context.Context, subjects ...string) (bool, error) {
	for _, subject := range subjects {
		info, err := s.legalHolds.Info(ctx, jetstream.WithSubjectFilter(subject))
		if err != nil {
			return false, err
		}
		if len(info.State.Subjects) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// Hold reads the hold on a verification, also one that has ended; nil if there never was one.
func (s *Store) Hold(ctx context.Context, k kycbridge.Key) (*kycbridge.Hold, error) {
	if err := checkKey(k); err != nil {
		return nil, fmt.Errorf("read hold: %w", err)
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.legalHolds.GetLastMsgForSubject(ctx, s.names.hold(k))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read hold: %w", err)
	}
	h, ok := s.holdOf(raw.Subject, raw.Data)
	if !ok {
		return nil, nil
	}
	return &h, nil
}

// holdOf decodes a hold; ok is false for a foreign message.
func (s *Store) holdOf(subject string, body []byte) (h kycbridge.Hold, ok bool) {
	if json.Unmarshal(body, &h) != nil || subject != s.names.hold(h.Key()) {
		s.countForeign(s.names.holds())
		return h, false
	}
	return h, true
}

// Holds reads all holds, also those that have ended, oldest first.
func (s *Store) Holds(ctx context.Context) (all []kycbridge.Hold, err error) {
	bounded, cancel := s.whileUp(ctx)
	defer cancel()
	info, err := s.legalHolds.Info(bounded, jetstream.WithSubjectFilter(s.names.join("hold.>")))
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	for subject := range info.State.Subjects {
		tokens := strings.Split(strings.TrimPrefix(subject, s.names.join("hold.")), ".")
		if len(tokens) != 3 {
			s.countForeign(s.names.holds())
			continue
		}
		k := kycbridge.Key{Provider: tokens[0], Account: tokens[1], VerificationID: tokens[2]}
		if checkKey(k) != nil { // PutHold stores none of such a name
			s.countForeign(s.names.holds())
			continue
		}
		h, err := s.Hold(ctx, k)
		if err != nil {
			return nil, err
		}
		if h != nil {
			all = append(all, *h)
		}
	}
	slices.SortFunc(all, func(a, b kycbridge.Hold) int { return a.Since.Compare(b.Since) })
	return all, nil
}

// ClaimOne announces the erasure of a verification. Until end is called, holds on it wait; a verification
// that is held is refused with kycbridge.HeldError.
func (s *Store) ClaimOne(ctx context.Context, k kycbridge.Key, now time.Time) (end func(), err error) {
	return s.claim(ctx, k, func(ctx context.Context) error {
		h, err := s.Hold(ctx, k)
		if err == nil && h != nil && h.Holds(now) {
			return &kycbridge.HeldError{Hold: *h}
		}
		return err
	})
}

// ClaimAny announces the erasure of payloads of any verification without a hold, and returns the holds.
// Until end is called, new holds wait, so the time in between has to be short.
func (s *Store) ClaimAny(ctx context.Context) (holds []kycbridge.Hold, end func(), err error) {
	end, err = s.claim(ctx, kycbridge.Key{}, func(ctx context.Context) error {
		claimed, err := s.claimed(ctx, s.names.claim(kycbridge.Key{}, "*"))
		if err == nil && claimed {
			return errClaimed // one such claim at a time, so that holds can be stored in between
		}
		holds, err = s.Holds(ctx)
		return err
	})
	return holds, end, err
}

// claim stores a claim unless check fails or records are lost, and renews it until end is called.
func (s *Store) claim(ctx context.Context, k kycbridge.Key, check func(context.Context) error) (end func(), err error) {
	m := &nats.Msg{Subject: s.names.claim(k, rand.Text()), Header: nats.Header{
		jetstream.MsgTTLHeader: {claimTTL.String()}}}
	bounded, cancel := s.whileUp(ctx)
	defer cancel()
	_, err = s.putUnless(bounded, m, func() error {
		if err := s.RecordsWhole(bounded); err != nil { // a hold that is lost can stop nothing
			return err
		}
		return check(bounded)
	})
	if err != nil {
		return nil, err
	}
	renewing, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for pause(renewing, claimAgain); renewing.Err() == nil; pause(renewing, claimAgain) {
			// Renewed long before it expires; a message of its own, because publishing m has added its condition to it.
			_, _ = s.js.PublishMsg(renewing, &nats.Msg{Subject: m.Subject, Header: nats.Header{
				jetstream.MsgTTLHeader: {claimTTL.String()}}})
		}
	})
	return func() {
		stop()
		running.Wait()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
		defer cancel()
		_ = s.legalHolds.Purge(last, jetstream.WithPurgeSubject(m.Subject)) // on failure it expires by itself
	}, nil
}

// ActiveHolds is the number of verifications that are held now.
func (s *Store) ActiveHolds(ctx context.Context) (n int, err error) {
	all, err := s.Holds(ctx)
	for _, h := range all {
		if h.Holds(time.Now()) {
			n++
		}
	}
	return n, err
}
