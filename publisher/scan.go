package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// scanOptions say which messages of a stream are read.
type scanOptions struct {
	subjects []string  // none: all
	since    time.Time // stored at or after; zero: from the beginning
	from     uint64    // first sequence; 0: from the beginning
	headers  bool      // bodies are left out
}

// scanPatience is how long a scan waits for the next message of those that are there.
const scanPatience = 10 * time.Second

// errScanned ends a scan early without an error.
var errScanned = kycbridge.ErrEnough

// scan reads the messages that a stream holds when it begins, oldest first. each may return
// errScanned to end it.
func (c *Connection) scan(ctx context.Context, stream string, o scanOptions, each func(jetstream.Msg) error) error {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: o.subjects, HeadersOnly: o.headers, InactiveThreshold: 15 * time.Second}
	switch {
	case o.from > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, o.from
	case !o.since.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &o.since
	}
	consumer, err := c.js.OrderedConsumer(ctx, stream, config)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	left := consumer.CachedInfo().NumPending
	if left == 0 {
		return nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1024))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for ; left > 0; left-- {
		m, err := messages.Next(jetstream.NextMaxWait(scanPatience))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, nats.ErrTimeout):
			return nil // what was there when we began has been erased meanwhile
		case err != nil:
			return fmt.Errorf("read stream %s: %w", stream, err)
		}
		if err := each(m); errors.Is(err, errScanned) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}
