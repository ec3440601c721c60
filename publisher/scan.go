package publisher

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// scanOptions select the messages of a stream that are read.
type scanOptions struct {
	subjects []string  // none: all
	since    time.Time // stored at or after; zero: from the beginning
	from     uint64    // first sequence; 0: from the beginning
	headers  bool      // only headers are read, without bodies
}

const (
	// scanTimeout is how long a scan waits for the next of the existing messages.
	scanTimeout = 10 * time.Second
	// scanQuiet is how long a scan is idle before it asks the server whether there are more messages. At first
	// the server counts unreadable messages too, but it does not deliver them.
	scanQuiet = 250 * time.Millisecond
	// scanned is how many messages a scan requests at once. It requests more when an eighth is left, so that few large
	// bodies are in memory.
	scanned = 1024
)

// errScanned ends a scan early without an error.
var errScanned = kycbridge.ErrEnough

// errSilent means that a server has more messages, and has not delivered the next one in time.
var errSilent = fmt.Errorf("the server does not deliver: %w", nats.ErrTimeout)

// errNoMore means that a server has nothing left to deliver.
var errNoMore = errors.New("no more messages")

// scan reads the messages that a stream contains when the scan starts, oldest first. each may return errScanned to
// stop. scan returns errNoMore if fewer messages arrived than the server had counted.
func (c *Connection) scan(
	ctx context.Context, from jetstream.Stream, o scanOptions, each func(jetstream.Msg) error,
) error {
	stream := from.CachedInfo().Config.Name
	config := jetstream.OrderedConsumerConfig{FilterSubjects: o.subjects, HeadersOnly: o.headers,
		InactiveThreshold: 15 * time.Second}
	switch {
	case o.from > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, o.from
	case o.since.After(time.Time{}): // a time before the year 1 cannot be written into a request
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
	messages, err := consumer.Messages(c.atMost(scanned, from), jetstream.PullThresholdMessages(scanned/8))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for m := jetstream.Msg(nil); left > 0; left-- {
		m, err = next(ctx, consumer, messages, m)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, nats.ErrTimeout):
			return errSilent // the server is slow or unavailable
		case errors.Is(err, errNoMore):
			return err // some were erased meanwhile, or cannot be read
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

// next is the next message of a scan after the given one, which is nil at first; nats.ErrTimeout, or errNoMore if the
// server has none.
func next(
	ctx context.Context, consumer jetstream.Consumer, messages jetstream.MessagesContext, after jetstream.Msg,
) (jetstream.Msg, error) {
	last := false
	for waited := time.Duration(0); waited < scanTimeout; waited += scanQuiet {
		m, err := messages.Next(jetstream.NextMaxWait(scanQuiet))
		if !errors.Is(err, nats.ErrTimeout) {
			return m, err
		}
		if last {
			return nil, errNoMore
		}
		info, err := consumer.Info(ctx)
		last = err == nil && info.NumPending == 0 && !areUnderWay(info, after)
	}
	return nil, nats.ErrTimeout
}

// areUnderWay reports whether a server has delivered messages after the given one, nil for none. It counts them when it
// puts them into a queue, so its answer may arrive before large ones.
func areUnderWay(info *jetstream.ConsumerInfo, after jetstream.Msg) bool {
	if after == nil {
		return info.Delivered.Consumer > 0
	}
	meta, err := after.Metadata()
	if err != nil || meta.Consumer != info.Name { // an ordered consumer is made again after a message that is missing
		return info.Delivered.Consumer > 0
	}
	return info.Delivered.Consumer > meta.Sequence.Consumer
}

// newest is the last sequence of a stream.
func (c *Connection) newest(ctx context.Context, stream string) (uint64, error) {
	now, err := c.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", stream, err)
	}
	return now.CachedInfo().State.LastSeq, nil
}

// firstStored is the time when the oldest message of a stream was stored, by the clock of this process. Some messages
// at its front may have been stored while the server's clock was ahead, so the following ones are read too. If all of
// them are from the future, it is the zero time: a later message may be of any age.
func (c *Connection) firstStored(ctx context.Context, stream string) (time.Time, error) {
	found, err := c.js.Stream(ctx, stream)
	if err != nil {
		return time.Time{}, fmt.Errorf("look up stream %s: %w", stream, err)
	}
	state := found.CachedInfo().State
	oldest, seq := state.FirstTime, state.FirstSeq+1
	for n := 0; n < lookPast && seq <= state.LastSeq; n++ {
		raw, err := found.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(">"))
		if ctx.Err() != nil {
			return time.Time{}, ctx.Err()
		}
		if err != nil { // it was removed meanwhile, or cannot be read
			break
		}
		if seq = raw.Sequence + 1; raw.Time.Before(oldest) {
			oldest = raw.Time
		}
	}
	oldest = c.clocks.here(stream, oldest)
	if fromTheFuture(oldest, c.clocks.read()) {
		return time.Time{}, nil
	}
	return oldest, nil
}

// scanAll scans up to the message that is the last one when the scan starts; a stream that holds only the newest
// message of each subject, until nothing is left. It does not treat a slow or unavailable server as the end of the
// stream, and deletes the consumers that it created.
func (c *Connection) scanAll(
	ctx context.Context, stream string, o scanOptions, each func(jetstream.Msg, *jetstream.MsgMetadata) error,
) error {
	ctx, cancel := c.whileUp(ctx)
	defer cancel()
	found, err := c.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream, err)
	}
	end := found.CachedInfo().State.LastSeq
	if end == 0 {
		return nil
	}
	if found.CachedInfo().Config.MaxMsgsPerSubject == 1 {
		end = math.MaxUint64 // a message that is stored meanwhile may have replaced one that was not read yet
	}
	for {
		var at, pending uint64
		var consumer string
		ended := false
		err := c.scan(ctx, found, o, func(m jetstream.Msg) error {
			meta, err := m.Metadata()
			if err != nil {
				return fmt.Errorf("read stream %s: %w", stream, err)
			}
			at, pending, consumer = meta.Sequence.Stream, meta.NumPending, meta.Consumer
			if at > end {
				ended = true
				return errScanned
			}
			err = each(m, meta)
			ended = err != nil || at == end || pending == 0
			if err == nil && ended {
				err = errScanned
			}
			return err
		})
		c.endScan(ctx, stream, consumer)
		if errors.Is(err, errNoMore) {
			return nil
		}
		if errors.Is(err, errSilent) && at == 0 {
			return fmt.Errorf("read stream %s: %w", stream, err)
		}
		if errors.Is(err, errSilent) {
			err = nil
		}
		if err != nil || ended || at == 0 || at >= end {
			return err
		}
		o.from = at + 1
	}
}

// endScan deletes the consumer of a scan; "": none. It would expire by itself; many scans until then would reach the
// limit of consumers.
func (c *Connection) endScan(ctx context.Context, stream, consumer string) {
	if consumer == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	_ = c.js.DeleteConsumer(ctx, stream, consumer)
}
