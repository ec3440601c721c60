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

// OldestPayload is the age of the oldest unprocessed payload in the log; 0 if all are processed.
func (s *Store) OldestPayload(ctx context.Context) (time.Duration, error) {
	return s.oldest(ctx, s.payloadLog, s.names.payloads(), Consumer, s.names.join("payload.>"))
}

// OldestDue is how long the longest-overdue session of an account has been due; 0 if none is due.
func (s *Store) OldestDue(ctx context.Context, a kycbridge.AccountKey) (time.Duration, error) {
	return s.oldest(ctx, s.polls, s.names.polls(), pollerName(a), s.names.due(a.Provider, a.Account, "*"))
}

// oldest is the age of the first unprocessed message on a subject. It requests the consumer's state and
// one message, searched from the consumer's position: thousands of timers can precede it.
func (s *Store) oldest(
	ctx context.Context, stream jetstream.Stream, streamName, consumerName, subject string,
) (time.Duration, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	from := uint64(1)
	consumer, err := s.js.Consumer(ctx, streamName, consumerName)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound): // nothing has been processed yet
	case err != nil:
		return 0, fmt.Errorf("look up consumer %s: %w", consumerName, err)
	default:
		info := consumer.CachedInfo()
		if info.NumPending == 0 && info.NumAckPending == 0 {
			return 0, nil
		}
		from = info.AckFloor.Stream + 1
	}
	return age(ctx, stream, subject, from)
}

// age is the age of the first message on a subject at or after a sequence; 0 if no such message exists.
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

// Disk is the disk usage of the embedded store (Stored), the space that is left for it (Free) and the size of the file
// system, in bytes.
type Disk struct{ Stored, Free, Size uint64 }

// Disk measures the disk usage.
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
