package publisher

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/internal/ledger"
)

// The tamper-evident log follows the streams: a worker reads the messages that were added to them and adds a leaf
// for each. A message of the log contains many leaves. The hot path only adds a salt to a message.
const (
	headerSalt = "Kyc-Salt" // of a message with a leaf: hexadecimal; an encrypted body's salt is derived from its key

	leavesAtOnce = 2048
)

// Ledger writes and reads the tamper-evident log.
type Ledger struct {
	store *Store
	bus   *Bus
}

// NewLedger is the log of a store and a bus.
func NewLedger(s *Store, b *Bus) *Ledger { return &Ledger{store: s, bus: b} }

// WithSalts makes the store write all payloads with the salt that the log needs. It is called before the store
// is used.
func (s *Store) WithSalts() { s.salted = true }

// WithSalts makes the bus publish all events with the digest and the salt that the log needs.
func (b *Bus) WithSalts() { b.salted = true }

// newSalt is the value of headerSalt.
func newSalt() []string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	return []string{hex.EncodeToString(raw)}
}

// keySalt is the salt of an encrypted body. It is derived from the key, so it cannot be computed any more after
// the key is destroyed.
func keySalt(key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("kycbridge leaf salt"))
	return mac.Sum(nil)
}

// errNoSalt means that the key of a body was destroyed: it is being erased, and gets no leaf.
var errNoSalt = errors.New("the key of the body was destroyed")

// saltOf is the salt of a payload.
func (s *Store) saltOf(ctx context.Context, h nats.Header) ([]byte, error) {
	name := h.Get(headerKey)
	if name == "" {
		return []byte(h.Get(headerSalt)), nil
	}
	key, err := s.sealer.pages.key(ctx, kycbridge.ShelfPayloads, name)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, errNoSalt
	}
	return keySalt(key), nil
}

// Genesis begins the log at the current end of the streams, unless it has begun.
func (l *Ledger) Genesis(ctx context.Context) error {
	if last, _, err := l.last(ctx); err != nil || last != nil {
		return err
	}
	first := ledger.Batch{Until: map[string]uint64{}}
	for _, kind := range ledger.Kinds() {
		end, err := l.end(ctx, kind)
		if err != nil {
			return err
		}
		first.Until[string(kind)] = end
	}
	first.Add(nil)
	err := l.put(ctx, first, 0)
	if errors.Is(err, kycbridge.ErrConflict) {
		return nil // another process was first
	}
	return err
}

// source is the stream of a kind.
func (l *Ledger) source(kind ledger.Kind) (*Connection, string) {
	switch kind {
	case ledger.Payload:
		return l.store.Connection, l.store.names.payloads()
	case ledger.Event:
		return l.bus.Connection, l.bus.names.events()
	}
	return l.store.Connection, l.store.names.access()
}

func (l *Ledger) end(ctx context.Context, kind ledger.Kind) (uint64, error) {
	c, stream := l.source(kind)
	return c.newest(ctx, stream)
}

// last is the newest batch and its sequence; nil if the log has not begun.
func (l *Ledger) last(ctx context.Context) (*ledger.Batch, uint64, error) {
	ctx, cancel := l.store.whileUp(ctx)
	defer cancel()
	raw, err := l.store.ledger.GetLastMsgForSubject(ctx, l.store.names.ledgerLeaves())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the end of the tamper-evident log: %w", err)
	}
	b := &ledger.Batch{}
	if err := json.Unmarshal(raw.Data, b); err != nil {
		return nil, 0, fmt.Errorf("the end of the tamper-evident log (message %d) cannot be read", raw.Sequence)
	}
	b.At = raw.Time
	return b, raw.Sequence, nil
}

// put stores a batch after the one at a sequence, or returns kycbridge.ErrConflict.
func (l *Ledger) put(ctx context.Context, b ledger.Batch, after uint64) error {
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	ctx, cancel := l.store.whileUp(ctx)
	defer cancel()
	_, err = l.store.js.PublishMsg(ctx, &nats.Msg{Subject: l.store.names.ledgerLeaves(), Data: body},
		jetstream.WithExpectLastSequencePerSubject(after))
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok && wrongLast(refused) {
		return kycbridge.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("extend the tamper-evident log: %w", err)
	}
	return nil
}

// Extend adds leaves for the messages that were stored since the last call, at most leavesAtOnce, and returns how
// many. It is no error if another process does the same at the same time.
func (l *Ledger) Extend(ctx context.Context) (added int, err error) {
	last, seq, err := l.last(ctx)
	if err != nil || last == nil {
		return 0, err
	}
	next := ledger.Batch{First: last.Tree.Size, Tree: last.Tree.Clone(), Until: map[string]uint64{}}
	var leaves []ledger.Leaf
	for _, kind := range ledger.Kinds() {
		more, until, err := l.after(ctx, kind, last.Until[string(kind)], leavesAtOnce-len(leaves))
		if err != nil {
			return 0, err
		}
		leaves = append(leaves, more...)
		next.Until[string(kind)] = until
	}
	if len(leaves) == 0 {
		return 0, nil
	}
	next.Add(leaves)
	if err := l.put(ctx, next, seq); err != nil && !errors.Is(err, kycbridge.ErrConflict) {
		return 0, err
	}
	return len(leaves), nil
}

// after makes leaves of the messages after a sequence, at most as many as most.
func (l *Ledger) after(
	ctx context.Context, kind ledger.Kind, seq uint64, most int,
) (leaves []ledger.Leaf, until uint64, err error) {
	end, err := l.end(ctx, kind)
	if err != nil || most <= 0 || end == seq {
		return nil, seq, err
	}
	if end < seq {
		return []ledger.Leaf{{Kind: kind.Back(), Seq: end}}, end, nil // the stream has lost its end, or was restored
	}
	until = seq
	err = l.messages(ctx, kind, seq+1, func(at uint64, hash [32]byte, ok bool) error {
		if until = at; ok {
			leaves = append(leaves, ledger.Leaf{Kind: kind, Seq: at, Hash: hash})
		}
		if len(leaves) >= most {
			return kycbridge.ErrEnough
		}
		return nil
	})
	return leaves, until, err
}

// messages passes the hashes of messages of a kind, from a sequence on; ok is false for a message without a hash:
// it is no payload or event, or is being erased. The digest is taken from the header if the message has one.
func (l *Ledger) messages(
	ctx context.Context, kind ledger.Kind, from uint64, each func(seq uint64, hash [32]byte, ok bool) error,
) error {
	c, stream := l.source(kind)
	o := scanOptions{from: from, headers: kind != ledger.Access}
	return c.scanAll(ctx, stream, o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		seq, body := meta.Sequence.Stream, m.Data()
		digest := m.Headers().Get(headerDigest)
		if kind == ledger.Event && digest == "" && isEvent(m.Headers()) { // of a process without the log
			raw, err := l.bus.stream.GetMsg(ctx, seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return each(seq, [32]byte{}, false)
			}
			if err != nil {
				return fmt.Errorf("read event %d: %w", seq, err)
			}
			body = raw.Data
		}
		if digest == "" {
			digest = kycbridge.Digest(body)
		}
		about, ok, err := l.message(ctx, kind, m.Subject(), m.Headers(), digest)
		if err != nil {
			return err
		}
		return each(seq, about.Leaf().Hash, ok)
	})
}

// message is what the leaf of a message commits to, without its sequence; ok is false if it has no leaf.
func (l *Ledger) message(
	ctx context.Context, kind ledger.Kind, subject string, h nats.Header, digest string,
) (m ledger.Message, ok bool, err error) {
	m = ledger.Message{Kind: kind, Place: place(subject), Headers: proved(h), Digest: digest}
	switch kind {
	case ledger.Payload:
		if isBar(subject) || !ours(h) {
			return m, false, nil
		}
		m.Salt, err = l.store.saltOf(ctx, h)
		if errors.Is(err, errNoSalt) {
			return m, false, nil
		}
	case ledger.Event:
		if !isEvent(h) {
			return m, false, nil
		}
		m.Salt = []byte(h.Get(headerSalt))
	}
	return m, err == nil, err
}

// proved are the headers that a leaf proves in addition to the body: all except the salt and the server's headers.
func proved(h nats.Header) map[string][]string {
	out := map[string][]string{}
	for name, values := range h {
		if name != headerSalt && (name == nats.MsgIdHdr || !strings.HasPrefix(name, "Nats-")) {
			out[name] = values
		}
	}
	return out
}

// place is a subject without the configured prefix.
func place(subject string) string {
	_, after, _ := strings.Cut(subject, ".")
	return after
}

// Sign signs a checkpoint of everything in the log with sign, publishes it and returns it. Without a new leaf
// since the last one it returns nil.
func (l *Ledger) Sign(
	ctx context.Context, origin string, sign func(ledger.Checkpoint) ([]byte, error),
) ([]byte, error) {
	last, seq, err := l.last(ctx)
	if err != nil || last == nil || last.Tree.Size == 0 {
		return nil, err
	}
	newest, err := l.newestCheckpoint(ctx)
	if err != nil || newest != nil && newest.Sequence > seq {
		return nil, err
	}
	signed, err := sign(ledger.Checkpoint{Origin: origin, Size: last.Tree.Size, Root: last.Tree.Root(), At: time.Now()})
	if err != nil {
		return nil, err
	}
	ctx, cancel := l.store.whileUp(ctx)
	defer cancel()
	// No message may be stored between the checkpoint and the last leaves that it signs.
	_, err = l.store.js.PublishMsg(ctx, &nats.Msg{Subject: l.store.names.checkpoint(), Data: signed},
		jetstream.WithExpectLastSequence(seq))
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok && wrongLast(refused) {
		return nil, nil // another process has just signed it, or added leaves: the next call signs these
	}
	if err != nil {
		return nil, fmt.Errorf("store a checkpoint: %w", err)
	}
	return signed, nil
}

func (l *Ledger) newestCheckpoint(ctx context.Context) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := l.store.whileUp(ctx)
	defer cancel()
	raw, err := l.store.ledger.GetLastMsgForSubject(ctx, l.store.names.checkpoint())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the last checkpoint: %w", err)
	}
	return raw, nil
}

// Checkpoint is the newest signed checkpoint; nil if none exists.
func (l *Ledger) Checkpoint(ctx context.Context) ([]byte, error) {
	raw, err := l.newestCheckpoint(ctx)
	if raw == nil {
		return nil, err
	}
	return raw.Data, err
}

// Read passes the whole log in order, with the sequence of each message: batches of leaves, and signed checkpoints.
// A message that is neither is a batch with a negative First.
func (l *Ledger) Read(
	ctx context.Context, batch func(seq uint64, b *ledger.Batch) error, checkpoint func(seq uint64, signed []byte) error,
) error {
	return l.store.scanAll(ctx, l.store.names.ledger(), scanOptions{},
		func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
			if m.Subject() == l.store.names.checkpoint() {
				return checkpoint(meta.Sequence.Stream, m.Data())
			}
			b := &ledger.Batch{}
			err := json.Unmarshal(m.Data(), b)
			if same, _ := json.Marshal(b); err != nil || !bytes.Equal(same, m.Data()) {
				b.First = -1
			}
			b.At = meta.Timestamp
			return batch(meta.Sequence.Stream, b)
		})
}

// Stored passes the stored messages of a kind with their hashes, computed from their bodies.
func (l *Ledger) Stored(
	ctx context.Context, kind ledger.Kind, each func(seq uint64, hash [32]byte, ok bool) error,
) error {
	c, stream := l.source(kind)
	return c.scanAll(ctx, stream, scanOptions{}, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		digest, err := l.digest(ctx, kind, m.Subject(), m.Headers(), m.Data())
		if err != nil {
			return err
		}
		about, ok, err := l.message(ctx, kind, m.Subject(), m.Headers(), digest)
		if err != nil {
			return err
		}
		return each(meta.Sequence.Stream, about.Leaf().Hash, ok)
	})
}

// digest computes the digest of a message from its body.
func (l *Ledger) digest(
	ctx context.Context, kind ledger.Kind, subject string, h nats.Header, body []byte,
) (string, error) {
	body, err := l.body(ctx, kind, subject, h, body)
	return kycbridge.Digest(body), err
}

// body is the decrypted body of a message.
func (l *Ledger) body(
	ctx context.Context, kind ledger.Kind, subject string, h nats.Header, body []byte,
) ([]byte, error) {
	if kind != ledger.Payload || !ours(h) || isBar(subject) {
		return body, nil
	}
	p, err := l.store.payload(ctx, subject, h, body)
	return p.Body, err
}

// Evidence passes the stored messages of a verification with their bodies: payloads, events and records of the
// access log.
func (l *Ledger) Evidence(
	ctx context.Context, k kycbridge.Key, each func(m ledger.Message, body []byte) error,
) error {
	pass := func(kind ledger.Kind) func(raw *jetstream.RawStreamMsg) error {
		return func(raw *jetstream.RawStreamMsg) error {
			body, err := l.body(ctx, kind, raw.Subject, raw.Header, raw.Data)
			if err != nil {
				return err
			}
			m, ok, err := l.message(ctx, kind, raw.Subject, raw.Header, kycbridge.Digest(body))
			if m.Seq = raw.Sequence; err != nil || !ok {
				return err
			}
			return each(m, body)
		}
	}
	if err := l.store.readSubject(ctx, l.store.payloadLog, l.store.names.payload(k), 1, pass(ledger.Payload)); err != nil {
		return fmt.Errorf("read the payloads: %w", err)
	}
	events, err := l.bus.eventsOf(ctx, k)
	for i := 0; err == nil && i < len(events); i++ {
		err = pass(ledger.Event)(events[i])
	}
	if err != nil {
		return fmt.Errorf("read the events: %w", err)
	}
	return l.store.scanAll(ctx, l.store.names.access(), scanOptions{},
		func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
			var a kycbridge.Access
			if json.Unmarshal(m.Data(), &a) != nil || a.VerificationID != k.VerificationID {
				return nil
			}
			return pass(ledger.Access)(&jetstream.RawStreamMsg{Subject: m.Subject(), Header: m.Headers(), Data: m.Data(),
				Sequence: meta.Sequence.Stream})
		})
}

// Behind is how long the oldest message without a signed leaf has been stored; 0 if all leaves are signed.
func (l *Ledger) Behind(ctx context.Context) (time.Duration, error) {
	last, seq, err := l.last(ctx)
	if err != nil || last == nil {
		return 0, err
	}
	newest, err := l.newestCheckpoint(ctx)
	if err != nil || last.Tree.Size == 0 || newest != nil && newest.Sequence > seq {
		return 0, err
	}
	return time.Since(last.At), nil
}
