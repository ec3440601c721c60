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

// Shorter tells of a stream that has lost its end: a damage cut it off, or an older copy took its place.
type Shorter struct {
	Stream  string
	Reached uint64 // how far it is known to have reached
	Last    uint64 // the last sequence that is left of what it held then
}

// lost reports whether anything is.
func (s Shorter) lost() bool { return s.Last < s.Reached }

// say tells an operator.
func (s Shorter) say(log *zap.Logger) {
	log.Error(
		"a stream has become shorter: the messages behind its end are lost; it was damaged, or replaced by an older copy",
		zap.String("stream", s.Stream), zap.Uint64("stream_ends_at", s.Last), zap.Uint64("stream_had_come_to", s.Reached))
}

// catchUp is how long a new leader of a cluster may take to apply what it holds: until then it names
// an end that is not the end.
const catchUp = 10 * time.Second

// shorter compares a stream with how far it is known to have reached.
func (c *Connection) shorter(ctx context.Context, stream string, o *order, reached uint64) (s Shorter,
	info *jetstream.StreamInfo, err error) {
	for began := time.Now(); ; pause(ctx, retryPause) {
		again, reached := o.givenAgain(), max(reached, o.farthest())
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

// reachMessage is the body of a message that tells how far a stream has reached.
type reachMessage struct {
	Last uint64 `json:"last"`
}

// reachOf is the subject of the message that tells how far a stream has reached.
func (n Names) reachOf(stream string) string { return n.join("erased", stream, "reach") }

// reach is how far a stream had come when that was last written down; 0 if it never was.
func (s *Store) reach(ctx context.Context, stream string) (uint64, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.tombstones.GetLastMsgForSubject(ctx, s.names.reachOf(stream))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read how far stream %s has reached: %w", stream, err)
	}
	var m reachMessage
	_ = json.Unmarshal(raw.Data, &m) // what cannot be read is written anew
	return m.Last, nil
}

// noteReach writes down how far a stream reaches if it has grown. A process that finds the stream
// shorter later on knows by it that something was lost.
func (s *Store) noteReach(ctx context.Context, stream string, last uint64) error {
	known, err := s.reach(ctx, stream)
	if err != nil || known >= last {
		return err
	}
	return s.setReach(ctx, stream, last)
}

func (s *Store) setReach(ctx context.Context, stream string, last uint64) error {
	body, err := json.Marshal(reachMessage{last})
	if err != nil {
		return fmt.Errorf("write down how far stream %s reaches: %w", stream, err)
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if _, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: s.names.reachOf(stream), Data: body}); err != nil {
		return fmt.Errorf("write down how far stream %s reaches: %w", stream, err)
	}
	return nil
}

// lookAtEnd finds out whether the payload log has lost its end, and writes down which sequences are
// gone: nothing else knows of payloads that were taken and not worked yet. A log that is whole is
// noted as far as it reaches.
func (s *Store) lookAtEnd(ctx context.Context) ([]Shorter, error) {
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
		return nil, s.noteReach(ctx, log, end.Last)
	}
	if err := s.recordGone(ctx, end.Last+1, end.Reached); err != nil {
		return nil, err
	}
	if err := s.setReach(ctx, log, info.State.LastSeq); err != nil {
		return nil, err
	}
	s.payloads.order.endsAt(info.State.LastSeq)
	return []Shorter{end}, nil
}

// mostGone bounds the sequences behind the lost end of a log that are written down one by one.
const mostGone = 100_000

// recordGone writes down that what stood at sequences from first to last is gone, where no disposition
// tells what it was. A disposition that is younger than what stands there now tells of that.
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

// firstWorkedSince is the lowest sequence of a payload of which it was recorded since then that it led
// to an event; 0 if there is none.
func (s *Store) firstWorkedSince(ctx context.Context, since time.Time) (first uint64, err error) {
	err = s.Dispositions(ctx, since, func(d kycbridge.Disposition) error {
		if d.Revision > 0 && (first == 0 || d.Seq < first) {
			first = d.Seq
		}
		return nil
	})
	return first, err
}
