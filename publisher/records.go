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

// Holds and tombstones are records that decide what may be erased and imported. If their stream lost its end, nothing
// in it says so. So each of the two streams contains how far the other had come, and its loss until an operator accepts
// it. So it does if records within a stream of the embedded server were damaged.

// guarded is a stream of records.
type guarded struct {
	name    string
	witness jetstream.Stream // contains the messages below
	reach   string           // subject of the message with the highest known sequence
	lost    string           // subject of the message about a loss that nobody has accepted
}

// guarded are the streams of records, by name. The end of the tombstones is recorded after a tombstone only, that of
// the holds after a hold: each of these records makes the other stream longer, so recording every end would never stop.
func (s *Store) guarded() map[string]guarded {
	holds, tombstones := s.names.holds(), s.names.tombstones()
	return map[string]guarded{
		holds: {holds, s.tombstones, s.names.reachOf(holds), s.names.join("erased", holds, "lost")},
		tombstones: {tombstones, s.legalHolds, s.names.join("erasing", tombstones, "reach"),
			s.names.join("erasing", tombstones, "lost")},
	}
}

// noteLostRecords detects which streams of records have lost their end since the last call of any process, and
// records it. Each record makes the other stream longer, so both ends are read before, and losses are recorded first.
func (s *Store) noteLostRecords(ctx context.Context) (lost []Shorter, err error) {
	var unknown []Shorter // an earlier version has not recorded their end
	for _, g := range s.guarded() {
		reached, err := s.reachIn(ctx, g.witness, g.reach)
		if err != nil {
			return nil, err
		}
		end, _, err := s.shorter(ctx, g.name, &order{}, reached)
		switch {
		case err != nil:
			return nil, err
		case end.lost():
			lost = append(lost, end)
		case reached == 0 && end.Last > 0:
			unknown = append(unknown, end)
		}
	}
	for _, end := range lost {
		if err := s.recordLoss(ctx, s.guarded()[end.Stream], end); err != nil {
			return nil, err
		}
	}
	for _, end := range unknown {
		if s.disk.keeps(ctx, end.Stream) != nil {
			continue // a record that could not be written would count as lost after a restart
		}
		if err := s.recordGuarded(ctx, s.guarded()[end.Stream], end.Last); err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// recordGuarded records how far a stream of records has come, after its messages are durable: a sequence that a crash
// can take back would look like a loss. A higher sequence, which another call has recorded meanwhile, remains.
func (s *Store) recordGuarded(ctx context.Context, g guarded, last uint64) error {
	if err := s.disk.flushAll(ctx); err != nil {
		return err
	}
	for {
		known, at, err := s.reachAt(ctx, g.witness, g.reach)
		if err != nil || known >= last {
			return err
		}
		err = s.publishReach(ctx, g.reach, last, jetstream.WithExpectLastSequencePerSubject(at))
		if refused, ok := errors.AsType[*jetstream.APIError](err); ok && wrongLast(refused) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return err
		}
		return s.disk.flushAll(ctx)
	}
}

// recordLoss records a loss, and then the new end: a process that is killed in between finds the loss again. So does a
// later check if the disk may not have this end.
func (s *Store) recordLoss(ctx context.Context, g guarded, end Shorter) error {
	if err := s.putLoss(ctx, g, end.Reached, end.Last); err != nil {
		return err
	}
	if s.disk.keeps(ctx, g.name) != nil {
		return nil
	}
	return s.publishReach(ctx, g.reach, end.Last)
}

// putLoss stores that the messages after last, up to a sequence, are lost, unless an earlier loss is not accepted yet.
func (s *Store) putLoss(ctx context.Context, g guarded, reached, last uint64) error {
	known, err := s.lossOf(ctx, g)
	if err != nil || known != nil {
		return err
	}
	body, err := json.Marshal(kycbridge.LostRecords{Stream: g.name, Reached: reached, Last: last, At: time.Now().UTC()})
	if err != nil {
		return fmt.Errorf("record the loss of records: %w", err)
	}
	if _, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: g.lost, Data: body}); err != nil {
		return fmt.Errorf("record the loss of records: %w", err)
	}
	return s.disk.flushAll(ctx)
}

// RecordDamaged records that the check before the start found records damaged, from the first to the last of these
// sequences. The end of their stream does not show it: it continues after them, or the check has recorded how far it
// had come. What is beyond the known end was not durable yet when the machine lost power.
func (s *Store) RecordDamaged(ctx context.Context, damaged map[string]kycbridge.Range) error {
	if len(damaged) == 0 {
		return nil
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if _, err := s.noteLostRecords(ctx); err != nil { // before the other stream becomes longer
		return err
	}
	for _, g := range s.guarded() {
		r, ok := damaged[g.name]
		if !ok {
			continue
		}
		reached, err := s.reachIn(ctx, g.witness, g.reach)
		if err == nil && r[0] <= reached {
			err = s.putLoss(ctx, g, r[1], r[0]-1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lossOf is the loss of records of a stream that nobody has accepted; nil if there is none.
func (s *Store) lossOf(ctx context.Context, g guarded) (*kycbridge.LostRecords, error) {
	raw, err := g.witness.GetLastMsgForSubject(ctx, g.lost)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read which records are lost: %w", err)
	}
	lost := kycbridge.LostRecords{Stream: g.name, At: raw.Time}
	_ = json.Unmarshal(raw.Data, &lost) // an unreadable record is one of a loss, too
	return &lost, nil
}

// LostRecords are the losses of holds and tombstones that nobody has accepted.
func (s *Store) LostRecords(ctx context.Context) (all []kycbridge.LostRecords, err error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if _, err := s.noteLostRecords(ctx); err != nil {
		return nil, err
	}
	for _, g := range s.guarded() {
		lost, err := s.lossOf(ctx, g)
		if err != nil {
			return nil, err
		}
		if lost != nil {
			all = append(all, *lost)
		}
	}
	slices.SortFunc(all, func(a, b kycbridge.LostRecords) int { return strings.Compare(a.Stream, b.Stream) })
	return all, nil
}

// RecordsWhole returns a kycbridge.LostRecordsError if records are lost and nobody has accepted it, and another error
// while the settings of their streams are such that they may be lost.
func (s *Store) RecordsWhole(ctx context.Context) error {
	for stream := range s.guarded() {
		if err := s.unsafe.of(stream); err != nil {
			return err
		}
	}
	all, err := s.LostRecords(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	return &kycbridge.LostRecordsError{Lost: all[0]}
}

// AcceptLostRecords allows erasures and imports again after the loss of these records.
func (s *Store) AcceptLostRecords(ctx context.Context, all []kycbridge.LostRecords) error {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	for _, lost := range all {
		g, ok := s.guarded()[lost.Stream]
		if !ok {
			continue
		}
		if err := g.witness.Purge(ctx, jetstream.WithPurgeSubject(g.lost)); err != nil {
			return fmt.Errorf("accept the loss of records: %w", err)
		}
	}
	return s.disk.flushAll(ctx)
}
