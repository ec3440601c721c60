package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge"
)

// Shorter is a stream that has lost its end: damage truncated it, or it was replaced by an older copy.
type Shorter struct {
	Stream  string
	Reached uint64 // the highest sequence that it is known to have reached
	Last    uint64 // the last of these sequences that remains
}

// lost reports whether messages are lost.
func (s Shorter) lost() bool { return s.Last < s.Reached }

// log writes the loss to the log.
func (s Shorter) log(log *zap.Logger) {
	log.Error(
		"a stream has become shorter: the messages after its end are lost; it was damaged, or replaced by an older copy",
		zap.String("stream", s.Stream), zap.Uint64("stream_ends_at", s.Last), zap.Uint64("stream_had_come_to", s.Reached))
}

// catchUp is how long a new leader of a cluster may take to apply its messages: until then it reports an
// outdated end.
const catchUp = 10 * time.Second

// shorter compares a stream with the highest sequence that it is known to have reached.
func (c *Connection) shorter(
	ctx context.Context, stream string, o *order, reached uint64,
) (s Shorter, info *jetstream.StreamInfo, err error) {
	for began := time.Now(); ; pause(ctx, retryPause) {
		again, reached := o.reused(), max(reached, o.farthest())
		found, err := c.js.Stream(ctx, stream)
		if err != nil {
			return s, nil, fmt.Errorf("look up stream %s: %w", stream, err)
		}
		info = found.CachedInfo()
		s = Shorter{Stream: stream, Reached: max(reached, again), Last: info.State.LastSeq}
		if again > 0 {
			s.Last = min(s.Last, again-1)
			return s, info, nil
		}
		if !s.lost() || info.Config.Replicas < 2 || time.Since(began) > catchUp || ctx.Err() != nil {
			return s, info, ctx.Err()
		}
	}
}

// reachMessage is the body of a message with the highest sequence of a stream.
type reachMessage struct {
	Last uint64 `json:"last"`
}

// reachOf is the subject of the message with the highest sequence of a stream.
func (n Names) reachOf(stream string) string { return n.join("erased", stream, "reach") }

// reach is the recorded highest sequence of a stream; 0 if none was recorded.
func (s *Store) reach(ctx context.Context, stream string) (uint64, error) {
	return s.reachIn(ctx, s.tombstones, s.names.reachOf(stream))
}

// reachIn reads a recorded highest sequence from the stream and subject where it is recorded.
func (s *Store) reachIn(ctx context.Context, records jetstream.Stream, subject string) (uint64, error) {
	last, _, err := s.reachAt(ctx, records, subject)
	return last, err
}

// reachAt is reachIn, with the sequence of the record itself.
func (s *Store) reachAt(ctx context.Context, records jetstream.Stream, subject string) (last, at uint64, err error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := records.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read how far a stream has reached (%s): %w", subject, err)
	}
	var m reachMessage
	_ = json.Unmarshal(raw.Data, &m) // an unreadable record is replaced
	return m.Last, raw.Sequence, nil
}

// recordReach records the highest sequence of a stream if it has grown. A process that later finds a shorter
// stream detects the loss by this record. So nothing is recorded while the disk of the stream may not have it.
func (s *Store) recordReach(ctx context.Context, on disk, stream string, last uint64) error {
	known, err := s.reach(ctx, stream)
	if err != nil || known >= last {
		return err
	}
	if on.keeps(ctx, stream) != nil {
		return nil // who stores a message in it learns the reason
	}
	return s.setReach(ctx, stream, last)
}

func (s *Store) setReach(ctx context.Context, stream string, last uint64) error {
	return s.publishReach(ctx, s.names.reachOf(stream), last)
}

func (s *Store) publishReach(
	ctx context.Context, subject string, last uint64, options ...jetstream.PublishOpt,
) error {
	body, err := json.Marshal(reachMessage{last})
	if err != nil {
		return fmt.Errorf("write down how far a stream reaches (%s): %w", subject, err)
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if _, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: body}, options...); err != nil {
		return fmt.Errorf("write down how far a stream reaches (%s): %w", subject, err)
	}
	return nil
}

// checkLogEnd detects whether the payload log has lost its end, and records the missing sequences: no other
// record exists of payloads that were stored and not processed yet. For a complete log the end is recorded.
func (s *Store) checkLogEnd(ctx context.Context) ([]Shorter, error) {
	log := s.names.payloads()
	reached, err := s.reach(ctx, log)
	if err != nil {
		return nil, err
	}
	end, info, err := s.shorter(ctx, log, &s.payloads.order, reached)
	if err != nil {
		return nil, err
	}
	if !end.lost() {
		return nil, s.recordReach(ctx, s.disk, log, end.Last)
	}
	if s.disk.keeps(ctx, log) != nil {
		return nil, nil // its end may be one that the disk does not have: a later check handles the loss
	}
	if err := s.recordGone(ctx, end.Last+1, end.Reached); err != nil {
		return nil, err
	}
	if err := s.setReach(ctx, log, info.State.LastSeq); err != nil {
		return nil, err
	}
	s.unaligned.lower(end.Last + 1)
	s.payloads.order.endsAt(info.State.LastSeq, end.Last+1)
	return []Shorter{end}, nil
}

// checkEnds detects which streams besides the payload log have lost their end, and records the end of those that have
// not. Only this record shows that holds, quarantined payloads, records of accesses or keys were there, if a whole
// stream is gone. Tombstones come first: the ends of the other streams are recorded in their stream, which makes it
// longer.
func (s *Store) checkEnds(ctx context.Context) (lost []Shorter, err error) {
	if lost, err = s.noteLostRecords(ctx); err != nil {
		return lost, err
	}
	log, err := s.checkLogEnd(ctx)
	if lost = append(lost, log...); err != nil {
		return lost, err
	}
	for _, name := range []string{s.names.quarantine(), s.names.access(), s.names.keyPages()} {
		reached, err := s.reach(ctx, name)
		if err != nil {
			return lost, err
		}
		end, info, err := s.shorter(ctx, name, &order{}, reached)
		if err != nil {
			return lost, err
		}
		switch {
		case !end.lost():
			err = s.recordReach(ctx, s.disk, name, end.Last)
		case s.disk.keeps(ctx, name) != nil: // as in checkLogEnd
		default:
			if err = s.setReach(ctx, name, info.State.LastSeq); err == nil {
				lost = append(lost, end)
			}
		}
		if err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// mostGone limits the sequences after the lost end of a log that are recorded individually.
const mostGone = 100_000

// recordGone records the messages from first to last as missing, unless a disposition identifies them. A
// disposition that is older than the message now stored at its sequence identifies the lost message.
func (s *Store) recordGone(ctx context.Context, first, last uint64) error {
	last = min(last, first+mostGone-1)
	known, again := map[uint64]bool{}, map[uint64]time.Time{}
	err := s.scanAll(ctx, s.names.payloads(), scanOptions{from: first, headers: true},
		func(_ jetstream.Msg, meta *jetstream.MsgMetadata) error {
			again[meta.Sequence.Stream] = meta.Timestamp
			return nil
		})
	if err != nil {
		return err
	}
	err = s.Dispositions(ctx, time.Time{}, func(d kycbridge.Disposition) error {
		if d.Seq < first || d.Seq > last {
			return nil
		}
		stored, there := again[d.Seq]
		known[d.Seq] = known[d.Seq] || !there || d.At.Before(stored)
		return nil
	})
	if err != nil {
		return err
	}
	var gone []disposition
	for seq := first; seq <= last; seq++ {
		if !known[seq] {
			gone = append(gone, dispositionOf(kycbridge.Disposition{Seq: seq, Why: kycbridge.DispositionDamaged,
				Mark: kycbridge.MarkUnknown}))
		}
	}
	for batch := range slices.Chunk(gone, dispositionsAtOnce) {
		if err := s.putDispositions(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// firstWorkedSince is the lowest sequence of the payloads with a disposition since then that has a revision,
// which means that they led to an event; 0 if there are none.
func (s *Store) firstWorkedSince(ctx context.Context, since time.Time) (first uint64, err error) {
	err = s.Dispositions(ctx, since, func(d kycbridge.Disposition) error {
		if d.Revision > 0 && (first == 0 || d.Seq < first) {
			first = d.Seq
		}
		return nil
	})
	return first, err
}
