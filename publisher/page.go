package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

const (
	pageMessages = 256
	pageBytes    = 8 << 20
	pageWait     = 10 * time.Second // for the next message of a page
)

// readSubject reads the messages of a stream on a subject from a sequence on, oldest first, one page per request. It
// creates no consumer. A stream that must be read through its leader is read message by message.
func (c *Connection) readSubject(
	ctx context.Context, stream jetstream.Stream, subject string, from uint64, each func(*jetstream.RawStreamMsg) error,
) error {
	ctx, cancel := c.whileUp(ctx)
	defer cancel()
	config := stream.CachedInfo().Config
	if !config.AllowDirect {
		return oneByOne(ctx, stream, subject, from, each)
	}
	for next, more := max(from, 1), true; more; {
		var err error
		if next, more, err = c.page(ctx, config.Name, subject, next, each); err != nil {
			return err
		}
	}
	return nil
}

func oneByOne(
	ctx context.Context, stream jetstream.Stream, subject string, from uint64, each func(*jetstream.RawStreamMsg) error,
) error {
	for seq := max(from, 1); ; {
		raw, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(raw); err != nil {
			return err
		}
		seq = raw.Sequence + 1
	}
}

// page reads one page by a direct get of several messages, which the client library does not support yet
// (server 2.11, ADR-31).
func (c *Connection) page(
	ctx context.Context, stream, subject string, from uint64, each func(*jetstream.RawStreamMsg) error,
) (next uint64, more bool, err error) {
	next = from
	request := map[string]any{"seq": from, "next_by_subj": subject, "batch": pageMessages, "max_bytes": pageBytes}
	more, err = c.direct(ctx, stream, request, func(raw *jetstream.RawStreamMsg) error {
		if err := each(raw); err != nil {
			return err
		}
		next = raw.Sequence + 1
		return nil
	})
	return next, more, err
}

// newestOf passes the newest message of each subject that a filter matches, limited to most, unordered.
// kycbridge.ErrAmbiguous means that there are more.
func (c *Connection) newestOf(
	ctx context.Context, stream, filter string, most int, each func(*jetstream.RawStreamMsg) error,
) error {
	ctx, cancel := c.whileUp(ctx)
	defer cancel()
	request := map[string]any{"multi_last": []string{filter}, "batch": most, "max_bytes": pageBytes}
	more, err := c.direct(ctx, stream, request, each)
	if err == nil && more {
		err = kycbridge.ErrAmbiguous
	}
	return err
}

// direct requests several messages. The server ends them with a message without a body and with status
// 204, which reports whether there are more.
func (c *Connection) direct(
	ctx context.Context, stream string, ask any, each func(*jetstream.RawStreamMsg) error,
) (more bool, err error) {
	request, err := json.Marshal(ask)
	if err != nil {
		return false, err
	}
	inbox := c.nc.NewInbox()
	// A separate channel: the channel of an ordinary subscription is sized for half a megabyte of messages.
	answers := make(chan *nats.Msg, pageMessages+1)
	subscription, err := c.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return false, err
	}
	defer func() { _ = subscription.Unsubscribe() }()
	if err := c.nc.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, request); err != nil {
		return false, err
	}
	for {
		var m *nats.Msg
		select {
		case m = <-answers:
		case <-ctx.Done():
			return false, fmt.Errorf("read stream %s: %w", stream, context.Cause(ctx))
		case <-time.After(pageWait):
			return false, fmt.Errorf("read stream %s: %w", stream, nats.ErrTimeout)
		}
		switch m.Header.Get("Status") {
		case "204":
			return m.Header.Get("Nats-Num-Pending") != "0", nil
		case "404":
			return false, nil
		case "413":
			return false, kycbridge.ErrAmbiguous
		case "":
		default:
			return false, fmt.Errorf("read stream %s: the server answers %s %s", stream, m.Header.Get("Status"),
				m.Header.Get("Description"))
		}
		raw, err := directMessage(m)
		if err != nil {
			return false, fmt.Errorf("read stream %s: %w", stream, err)
		}
		if err := each(raw); err != nil {
			return false, err
		}
	}
}

// directMessage decodes a message of a direct get from its headers.
func directMessage(m *nats.Msg) (*jetstream.RawStreamMsg, error) {
	seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return nil, errors.New("a message has no sequence")
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return nil, errors.New("a message has no time")
	}
	return &jetstream.RawStreamMsg{Subject: m.Header.Get("Nats-Subject"), Sequence: seq, Header: m.Header, Data: m.Data,
		Time: at}, nil
}
