package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/publisher"
)

// ReadOptions say which events to read and from where.
type ReadOptions struct {
	URL             string
	CredentialsFile string
	Stream          string
	Subject         string    // "" is every event
	Since           time.Time // zero is the beginning
	Follow          bool      // go on with what comes; else end with the last event there is
}

// ReadEvents gives every event to each, oldest first, as any consumer would read them. It ends
// without an error when ctx ends, and with the first error of each.
func ReadEvents(ctx context.Context, o ReadOptions, each func(body []byte) error) error {
	options := []nats.Option{nats.Name("kycbridge events"), nats.MaxReconnects(-1)}
	if o.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(o.CredentialsFile))
	}
	nc, err := nats.Connect(o.URL, options...)
	if err != nil {
		return fmt.Errorf("connect to NATS at %s: %w (is kycbridge running, and is this its embedded.listen or your NATS?)", publisher.Redacted(o.URL), err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, o.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("there is no stream %s at %s: name the right one with --stream", o.Stream, publisher.Redacted(o.URL))
	}
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", o.Stream, err)
	}
	consumer, err := stream.OrderedConsumer(ctx, orderedFrom(o))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", o.Stream, err)
	}
	return readOrdered(ctx, consumer, o.Follow, each)
}

func orderedFrom(o ReadOptions) jetstream.OrderedConsumerConfig {
	c := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	if o.Subject != "" {
		c.FilterSubjects = []string{o.Subject}
	}
	if !o.Since.IsZero() {
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &o.Since
	}
	return c
}

// readOrdered hands out messages until there are none left, or without end.
func readOrdered(ctx context.Context, consumer jetstream.Consumer, follow bool, each func([]byte) error) error {
	if !follow {
		info, err := consumer.Info(ctx)
		if err != nil {
			return fmt.Errorf("count events: %w", err)
		}
		if info.NumPending+uint64(info.NumAckPending) == 0 {
			return nil
		}
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	defer messages.Stop()
	for {
		m, err := messages.Next()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		if err := each(m.Data()); err != nil {
			return err
		}
		if meta, err := m.Metadata(); err == nil && !follow && meta.NumPending == 0 {
			return nil
		}
	}
}
