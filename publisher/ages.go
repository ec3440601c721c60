package publisher

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// OldestPayload is how long the oldest payload that is not done with has been in the log; 0 if there
// is none. It asks for the consumer and for one message.
func (s *Store) OldestPayload(ctx context.Context) (time.Duration, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	from := uint64(1)
	consumer, err := s.js.Consumer(ctx, s.names.payloads(), Consumer)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound): // no normalizer has been here yet
	case err != nil:
		return 0, fmt.Errorf("look up consumer %s: %w", Consumer, err)
	default:
		info := consumer.CachedInfo()
		if info.NumPending == 0 && info.NumAckPending == 0 {
			return 0, nil
		}
		from = info.AckFloor.Stream + 1
	}
	return age(ctx, s.log, s.names.join("payload.>"), from)
}

// OldestDue is how long the session of an account that has waited longest for its look has been due;
// 0 if none is.
func (s *Store) OldestDue(ctx context.Context, a kycbridge.AccountKey) (time.Duration, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	return age(ctx, s.polls, s.names.due(a.Provider, a.Account, "*"), 1)
}

// age is that of the first message of a subject at or behind a sequence; 0 if there is none.
func age(ctx context.Context, stream jetstream.Stream, subject string, from uint64) (time.Duration, error) {
	m, err := stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the oldest message of %s: %w", subject, err)
	}
	return max(time.Since(m.Time), 0), nil // clocks may differ a little
}

// Disk is what the embedded store takes of the disk, and what is left there, in bytes.
type Disk struct{ Stored, Free, Size uint64 }

// Disk measures.
func (e *Embedded) Disk() (Disk, error) {
	info, err := e.server.Jsz(nil)
	if err != nil {
		return Disk{}, fmt.Errorf("ask the embedded NATS server: %w", err)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(e.dir, &fs); err != nil {
		return Disk{}, fmt.Errorf("look at the disk of %s: %w", e.dir, err)
	}
	block := uint64(fs.Bsize)
	return Disk{Stored: info.Store, Free: fs.Bavail * block, Size: fs.Blocks * block}, nil
}
