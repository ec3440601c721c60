package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"kycbridge"
)

const (
	batchMessages = 256     // members of one batch at most; the server allows 1000
	batchBytes    = 4 << 20 // bytes of one batch at most
	batchWorth    = 4       // below this, single messages are as fast: each batch costs the server file operations
	batchesAtOnce = 1       // while one batch is written, the next one fills; two at once would be half as large
	waiting       = 4096    // messages that may wait for a batch

	// incompleteBatch is the server's error code for a batch that it could not stage. The server does not clean
	// up some of these, so no batch is sent for a time that doubles with each failure.
	incompleteBatch = 10176
	leastApart      = time.Second
	mostApart       = 5 * time.Minute

	republishDelay = 50 * time.Millisecond // before an unanswered message is published again

	// idInProcess is a cluster's error code for a message with an id that is being replicated at the moment. The
	// condition lasts for one write at most.
	idInProcess    = 10158
	inProcessPause = 2 * time.Millisecond
)

// committer publishes to one stream with group commit: one flush serves all messages that wait at the same
// moment. To an embedded server, of this process or of another one, each message is sent at once, and the messages
// share a flush (disk). To any other server they are sent as one atomic batch, which it flushes once. If the server
// refuses a batch (one member is a duplicate, or fails its compare-and-set), its members are published one by one.
type committer struct {
	conn       *Connection
	stream     string
	in         chan *pending
	ctx        context.Context
	cancel     context.CancelFunc
	done       sync.WaitGroup
	health     health
	order      order
	batchPause batchPause
}

// batchPause is the time until which messages are sent one by one, because batches cannot be staged.
type batchPause struct {
	until time.Time
	next  time.Duration
}

// staged records the outcome of a batch.
func (a *batchPause) staged(err error) {
	var refused *jetstream.APIError
	switch {
	case err == nil:
		a.next = 0
	case errors.As(err, &refused) && refused.ErrorCode == incompleteBatch:
		a.next = min(max(2*a.next, leastApart), mostApart)
		a.until = time.Now().Add(a.next)
	}
}

// pending is one message to be published.
type pending struct {
	msg *nats.Msg
	ctx context.Context
	ack chan ack // buffered: the committer never waits for a caller that has returned
	condition
	lost bool // no answer came: if it is sent again, it may be a duplicate of itself
}

// condition is what must hold when a message is sent: its caller established it at a time, and it is established again
// if that is too long ago, because the message waited for a batch or is sent once more.
type condition struct {
	established time.Time
	again       func(context.Context) error // nil: there is no condition
}

// check establishes the condition again if that is necessary, and returns its error if it does not hold.
func (c *condition) check(ctx context.Context) error {
	if c.again == nil || time.Since(c.established) < kycbridge.ErasureDelay {
		return nil
	}
	began := time.Now()
	err := c.again(ctx)
	if err == nil {
		c.established = began
	}
	return err
}

// errOutdated means that the condition of a member of a batch does not hold, or could not be established.
var errOutdated = errors.New("a message of the batch must not be sent")

type ack struct {
	pub jetstream.PubAck
	err error
}

func newCommitter(connection *Connection, stream string) *committer {
	ctx, cancel := context.WithCancel(context.Background())
	c := &committer{conn: connection, stream: stream, in: make(chan *pending, waiting), ctx: ctx, cancel: cancel}
	for range batchesAtOnce {
		c.done.Add(1)
		go c.run()
	}
	return c
}

// Publish returns when the message is durable or known not to be acknowledged. After an error it is not known
// whether the message was stored.
func (c *committer) Publish(ctx context.Context, msg *nats.Msg) (jetstream.PubAck, error) {
	return c.publish(&pending{msg: msg, ctx: ctx})
}

// PublishIf is Publish under a condition. If it does not hold when the message would be sent, its error is returned.
func (c *committer) PublishIf(ctx context.Context, msg *nats.Msg, holds condition) (jetstream.PubAck, error) {
	return c.publish(&pending{msg: msg, ctx: ctx, condition: holds})
}

// publish publishes p, as Publish does.
func (c *committer) publish(p *pending) (jetstream.PubAck, error) {
	if !c.conn.nc.IsConnected() {
		return jetstream.PubAck{}, nats.ErrDisconnected
	}
	if err := c.conn.disk.refuses(c.stream); err != nil {
		return jetstream.PubAck{}, fmt.Errorf("publish: %w", err) // the server would not answer
	}
	ctx := p.ctx
	if c.conn.sharesFlush {
		return c.publishNow(p)
	}
	began := time.Now()
	p.ack = make(chan ack, 1)
	select {
	case c.in <- p:
	case <-ctx.Done():
		c.health.note(began, nil, ctx.Err()) // recorded here, because a commit that hangs records no outcome
		return jetstream.PubAck{}, ctx.Err()
	case <-c.ctx.Done():
		return jetstream.PubAck{}, nats.ErrConnectionClosed
	}
	select {
	case a := <-p.ack:
		return a.pub, a.err
	case <-ctx.Done():
		c.health.note(began, nil, ctx.Err()) // recorded here, because a commit that hangs records no outcome
		return jetstream.PubAck{}, ctx.Err()
	case <-c.ctx.Done():
		return jetstream.PubAck{}, nats.ErrConnectionClosed
	}
}

// publishNow publishes one message at once. It shares its flush with all messages that wait for one, so a
// batch would save nothing.
func (c *committer) publishNow(p *pending) (jetstream.PubAck, error) {
	before := c.order.sent()
	pub, err := c.publishWithRetry(p.ctx,
		func(ctx context.Context) (*jetstream.PubAck, error) { return c.publishDecided(ctx, p) })
	if err != nil {
		return jetstream.PubAck{}, err
	}
	c.note(*pub, before)
	return *pub, nil
}

// note records an acknowledgement, and requests a check of the stream if it has become shorter.
func (c *committer) note(pub jetstream.PubAck, before sentAt) {
	if c.order.note(pub, before) {
		c.conn.requestCheck()
	}
}

// Close stops the committer. All callers must have returned.
func (c *committer) Close() {
	c.cancel()
	c.done.Wait()
}

func (c *committer) run() {
	defer c.done.Done()
	var held *pending // a message that did not fit into the previous batch
	for {
		batch := c.gather(&held)
		if batch == nil {
			return
		}
		c.commit(batch)
	}
}

// gather waits for a message and collects all that are queued behind it. A message whose id is already in
// the batch is held back for the next one.
func (c *committer) gather(held **pending) []*pending {
	var batch []*pending
	ids := map[string]bool{}
	size := 0
	add := func(p *pending) (full bool) {
		id := p.msg.Header.Get(nats.MsgIdHdr)
		if ids[id] || len(batch) > 0 && size+len(p.msg.Data) > batchBytes {
			*held = p
			return true
		}
		ids[id] = true
		size += len(p.msg.Data)
		batch = append(batch, p)
		return len(batch) == batchMessages
	}
	if first := *held; first != nil {
		*held = nil
		add(first)
	} else {
		select {
		case first := <-c.in:
			add(first)
		case <-c.ctx.Done():
			return nil
		}
	}
	for {
		select {
		case p := <-c.in:
			if add(p) {
				return batch
			}
		default:
			return batch
		}
	}
}

// commit publishes a batch and answers its callers.
func (c *committer) commit(batch []*pending) {
	if len(batch) < batchWorth || time.Now().Before(c.batchPause.until) {
		c.each(batch)
		return
	}
	before := c.order.sent()
	last, err := c.atomic(batch)
	c.batchPause.staged(err)
	var refused *jetstream.APIError
	switch {
	case err == nil:
		for i, p := range batch {
			pub := jetstream.PubAck{Stream: last.Stream, Sequence: last.Sequence - uint64(len(batch)-1-i)}
			c.note(pub, before)
			p.ack <- ack{pub: pub}
		}
	case errors.As(err, &refused), errors.Is(err, errOutdated):
		c.each(batch) // published one by one, each gets its own answer; of a refused batch the server stored no member
	default:
		for _, p := range batch {
			p.ack <- ack{err: err}
		}
	}
}

// atomic sends the batch; the answer to its last message is the acknowledgement of all.
func (c *committer) atomic(batch []*pending) (*jetstream.PubAck, error) {
	return c.publishWithRetry(c.longest(batch), func(ctx context.Context) (*jetstream.PubAck, error) {
		for _, p := range batch {
			if p.check(ctx) != nil {
				return nil, errOutdated
			}
		}
		id := nuid.Next()
		for i, p := range batch {
			m := copyOf(p.msg)
			m.Header["Nats-Batch-Id"] = []string{id}
			m.Header["Nats-Batch-Sequence"] = []string{strconv.Itoa(i + 1)}
			if i == len(batch)-1 {
				m.Header["Nats-Batch-Commit"] = []string{"1"}
				pub, err := c.request(ctx, m)
				markLost(err, batch...)
				return pub, err
			}
			if err := c.conn.nc.PublishMsg(m); err != nil {
				return nil, fmt.Errorf("publish batch: %w", err)
			}
		}
		return nil, errors.New("publish batch: it is empty")
	})
}

// markLost records in messages that no answer came, if that is the error.
func markLost(err error, sent ...*pending) {
	if _, ok := errors.AsType[*jetstream.APIError](err); err == nil || ok {
		return
	}
	for _, p := range sent {
		p.lost = true
	}
}

// longest is the context of the member with the latest deadline: a member whose context ends earlier does not
// cancel the batch for the others.
func (c *committer) longest(batch []*pending) context.Context {
	longest := batch[0].ctx
	for _, p := range batch[1:] {
		a, bounded := longest.Deadline()
		if b, ok := p.ctx.Deadline(); bounded && (!ok || b.After(a)) {
			longest = p.ctx
		}
	}
	return longest
}

// each publishes the members as single messages, concurrently.
func (c *committer) each(batch []*pending) {
	var all sync.WaitGroup
	for _, p := range batch[1:] {
		all.Go(func() { c.single(p) })
	}
	c.single(batch[0])
	all.Wait()
}

func (c *committer) single(p *pending) {
	pub, err := c.publishNow(p)
	p.ack <- ack{pub, err}
}

// publishWithRetry publishes, and repeats while there is no answer: a cluster elects a new leader within
// seconds, and if an earlier attempt has stored the message, the server detects the duplicate by its id. A lost
// connection ends the retries at once.
func (c *committer) publishWithRetry(
	ctx context.Context, publish func(context.Context) (*jetstream.PubAck, error),
) (pub *jetstream.PubAck, err error) {
	began := time.Now()
	defer func() { c.health.note(began, pub, err) }()
	ctx, cancel := c.conn.whileUp(ctx)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, publishTimeout)
	defer cancelTimeout()
	stop := context.AfterFunc(c.ctx, cancelTimeout)
	defer stop()
	err = retryRequest(ctx, republishDelay, 1, unanswered, func(ctx context.Context) (err error) {
		pub, err = publish(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	// Flush after the retries: a slow flush must not cause the message to be published again.
	if err = c.conn.disk.flush(ctx, pub.Stream); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	c.conn.disk.noteFlushed(pub.Stream, pub.Sequence)
	return pub, nil
}

// publishDecided publishes one message. While another one with its id is in process in a cluster, it
// retries: only afterwards does the stream know whether it is stored or a duplicate.
func (c *committer) publishDecided(ctx context.Context, p *pending) (*jetstream.PubAck, error) {
	for {
		if err := p.check(ctx); err != nil {
			return nil, err
		}
		pub, err := c.request(ctx, p.msg)
		markLost(err, p)
		if refused, ok := errors.AsType[*jetstream.APIError](err); !ok || refused.ErrorCode != idInProcess ||
			ctx.Err() != nil {
			return pub, err
		}
		pause(ctx, inProcessPause)
	}
}

// request publishes one message and reads the stream's answer.
func (c *committer) request(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	reply, err := c.conn.nc.RequestMsgWithContext(ctx, m)
	if errors.Is(err, nats.ErrNoResponders) {
		c.conn.requestCheck() // the stream may be missing
	}
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	return answerOf(reply.Data)
}

// answerOf reads the stream's answer to a message.
func answerOf(data []byte) (*jetstream.PubAck, error) {
	if stream, seq, ok := plainAck(data); ok {
		return &jetstream.PubAck{Stream: stream, Sequence: seq}, nil
	}
	var answer struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("publish: the answer is not an acknowledgement: %w", err)
	}
	if answer.Error != nil {
		return nil, answer.Error
	}
	if answer.Stream == "" {
		return nil, errors.New("publish: the answer names no stream")
	}
	return &answer.PubAck, nil
}

// plainAck reads an acknowledgement that consists of stream and sequence only, as the server writes it for nearly
// every message: the JSON decoder would take 3 µs for it. Anything else is left to the decoder.
func plainAck(data []byte) (stream string, seq uint64, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"stream":"`))
	if !ok {
		return "", 0, false
	}
	name, rest, ok := bytes.Cut(rest, []byte(`","seq":`))
	if !ok || bytes.ContainsAny(name, `"\\`) {
		return "", 0, false
	}
	digits, ok := bytes.CutSuffix(rest, []byte("}"))
	if !ok {
		return "", 0, false
	}
	seq, err := strconv.ParseUint(string(digits), 10, 64)
	return string(name), seq, err == nil && len(name) > 0
}

func copyOf(m *nats.Msg) *nats.Msg {
	h := make(nats.Header, len(m.Header)+3)
	for k, v := range m.Header {
		h[k] = v
	}
	return &nats.Msg{Subject: m.Subject, Header: h, Data: m.Data}
}
