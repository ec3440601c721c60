package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

const (
	publishTimeout = 10 * time.Second
	refusedWaiting = 1024      // refused callbacks that may wait to be kept
	refusedAtOnce  = 16        // so many go into one batch
	refusedBody    = 128 << 10 // larger than any genuine callback; what strangers send must not push out those
)

// Headers of a stored payload.
const (
	headerReceived = "Kyc-Received-At"
	headerVia      = "Kyc-Via"
	headerDigest   = "Kyc-Digest"
	headerEvent    = "Kyc-Event"
	headerErrors   = "Kyc-Errors"
	headerSubject  = "Kyc-Verification-Id" // of a quarantined one: which verification it is about, if known
	headerRef      = "Kyc-Reference"       // escaped as in a query: it is the provider's
	headerPart     = "Kyc-Part"
	headerPlace    = "Kyc-Placement"
	headerTrigger  = "Kyc-Trigger"
	headerTrigAt   = "Kyc-Triggered-At"
	headerNotice   = "Kyc-Notice"
	headerQuery    = "Kyc-Query"
	headerType     = "Content-Type"
	// headerRequest goes before the name of a request header that is kept.
	headerRequest = "Http-"
)

// Store keeps payloads, and what could not be processed, on the store connection.
type Store struct {
	*Connection
	names      Names
	log        jetstream.Stream // the payload log
	polls      jetstream.Stream // timers and due watches
	starts     jetstream.Stream // idempotency keys
	tombstones jetstream.Stream // what was erased
	shelves    map[kycbridge.Shelf]jetstream.Stream
	payloads   *committer
	quarantine *committer
	refusals   *committer
	refused    chan *nats.Msg
	refusing   sync.WaitGroup
	dropped    atomic.Int64 // refused callbacks that were not kept
}

// OpenStore creates the streams of the store, or brings them up to date, and opens them.
func OpenStore(ctx context.Context, c *Connection, names Names, maxBody, replicas int) (*Store, error) {
	for _, want := range storeStreams(names, maxBody, replicas) {
		if err := insist(ctx, func(ctx context.Context) error { return ensure(ctx, c.js, want) }); err != nil {
			return nil, err
		}
	}
	s := &Store{Connection: c, names: names, shelves: map[kycbridge.Shelf]jetstream.Stream{}}
	var quarantine, refused jetstream.Stream
	for name, stream := range map[string]*jetstream.Stream{
		names.payloads(): &s.log, names.polls(): &s.polls, names.starts(): &s.starts,
		names.tombstones(): &s.tombstones, names.quarantine(): &quarantine, names.refused(): &refused,
	} {
		err := insist(ctx, func(ctx context.Context) (err error) {
			*stream, err = c.reader(ctx, name)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	s.shelves[kycbridge.ShelfPayloads], s.shelves[kycbridge.ShelfQuarantine], s.shelves[kycbridge.ShelfRefused] = s.log, quarantine, refused
	s.payloads, s.quarantine, s.refusals = newCommitter(c), newCommitter(c), newCommitter(c)
	s.refused = make(chan *nats.Msg, refusedWaiting)
	for range refusedAtOnce {
		s.refusing.Go(s.keepRefused)
	}
	return s, nil
}

// Close ends publishing and the connection. What is refused from then on is not kept.
func (s *Store) Close() {
	s.refusals.Close()
	s.refusing.Wait()
	s.payloads.Close()
	s.quarantine.Close()
	s.Connection.Close()
}

// Append stores p durably under its id. A payload whose id is known already is not stored again;
// the answer then carries the digest of the one that is kept.
func (s *Store) Append(ctx context.Context, p kycbridge.Payload) (kycbridge.Stored, error) {
	k := kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
	ack, err := s.payloads.Publish(ctx, message(s.names.payload(k), p))
	if err != nil {
		return kycbridge.Stored{}, err
	}
	if !ack.Duplicate {
		return kycbridge.Stored{Digest: p.Digest}, nil
	}
	stored := kycbridge.Stored{Duplicate: true}
	if kept, err := s.at(ctx, ack.Sequence); err == nil {
		stored.Digest = kept.Digest
	} else if !errors.Is(err, jetstream.ErrMsgNotFound) {
		return kycbridge.Stored{}, fmt.Errorf("read the payload stored before: %w", err)
	}
	return stored, nil
}

// at reads the payload at a sequence of the log.
func (s *Store) at(ctx context.Context, seq uint64) (kycbridge.Payload, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.log.GetMsg(ctx, seq)
	if err != nil {
		return kycbridge.Payload{}, err
	}
	return payloadOf(raw.Subject, raw.Header, raw.Data), nil
}

// Quarantine stores p with the reason and the errors, durably.
func (s *Store) Quarantine(ctx context.Context, p kycbridge.Payload, reason string, faults []kycbridge.FieldError) error {
	_, err := s.quarantine.Publish(ctx, s.quarantined(p, reason, faults))
	return err
}

// quarantined is the message of a payload in quarantine.
func (s *Store) quarantined(p kycbridge.Payload, reason string, faults []kycbridge.FieldError) *nats.Msg {
	m := message(s.names.quarantined(p.Provider, p.Account, reason), p)
	if p.VerificationID != "" {
		m.Header[headerSubject] = []string{p.VerificationID}
	}
	if list, err := json.Marshal(faults); err == nil && len(list) < headRoom/4 {
		m.Header[headerErrors] = []string{string(list)}
	}
	// The same body may break for one reason today and for another tomorrow.
	m.Header[nats.MsgIdHdr] = []string{p.ID + "." + reason}
	return m
}

// Refuse keeps a callback that failed authentication, with what is needed to authenticate it again
// once the secrets are mended. It never waits: under a flood of refusals the surplus is dropped.
func (s *Store) Refuse(_ context.Context, p kycbridge.Payload, r kycbridge.Request) {
	if len(p.Body) > refusedBody {
		s.dropped.Add(1)
		return
	}
	select {
	case s.refused <- s.refusal(p, r):
	default:
		s.dropped.Add(1)
	}
}

// refusal is the message of a refused callback.
func (s *Store) refusal(p kycbridge.Payload, r kycbridge.Request) *nats.Msg {
	m := message(s.names.refusal(p.Provider, p.Account), p) // by its digest, so that retries are kept once
	size := 0
	for name, values := range r.Header {
		if v := plain(strings.Join(values, ",")); size+len(name)+len(v) < headRoom/2 {
			m.Header[headerRequest+name] = []string{v}
			size += len(name) + len(v)
		}
	}
	if token := r.Query.Get("token"); token != "" && len(token) < 4096 {
		m.Header[headerQuery] = []string{url.Values{"token": {token}}.Encode()}
	}
	return m
}

// Ready reports whether the store is there and has taken what was last tried.
func (s *Store) Ready(ctx context.Context) error {
	if s.payloads.health.failed() || s.quarantine.health.failed() {
		return errors.New("the last write was not acknowledged")
	}
	return s.ready(ctx, s.names.payloads())
}

// FailingFor is for how long everything that was tried has failed; 0 while all is well.
func (s *Store) FailingFor() time.Duration {
	return max(s.payloads.health.failingFor(), s.quarantine.health.failingFor())
}

// Dropped is how many refused callbacks were not kept: too large, too many at once, or the store away.
func (s *Store) Dropped() int64 { return s.dropped.Load() }

// keepRefused stores refused callbacks until the store is closed. Best effort by contract: the
// caller was answered 401 and no promise was made.
func (s *Store) keepRefused() {
	for {
		select {
		case m := <-s.refused:
			if _, err := s.refusals.Publish(s.refusals.ctx, m); err != nil {
				s.dropped.Add(1)
			}
		case <-s.refusals.ctx.Done():
			return
		}
	}
}

// History reads the stored payloads of one verification, oldest first.
func (s *Store) History(ctx context.Context, k kycbridge.Key, each func(kycbridge.Payload) error) error {
	return s.stored(ctx, s.log, s.names.payload(k), 1, func(raw *jetstream.RawStreamMsg) error {
		p := payloadOf(raw.Subject, raw.Header, raw.Data)
		if !whole(p) {
			return nil
		}
		return each(p)
	})
}

// message writes a payload as it lies in a stream: the body untouched, the rest in headers.
func message(subject string, p kycbridge.Payload) *nats.Msg {
	h := nats.Header{
		nats.MsgIdHdr:  {p.ID},
		headerReceived: {kycbridge.Instant(p.ReceivedAt)},
		headerVia:      {string(p.Via)},
		headerDigest:   {p.Digest},
	}
	if p.ContentType != "" {
		h[headerType] = []string{plain(p.ContentType)}
	}
	if p.Event != "" {
		h[headerEvent] = []string{plain(p.Event)}
	}
	if p.Reference != "" {
		h[headerRef] = []string{url.QueryEscape(p.Reference)}
	}
	if p.Placement != "" {
		h[headerPlace] = []string{plain(p.Placement)}
	}
	if p.Part != "" {
		h[headerPart] = []string{plain(p.Part)}
	}
	if p.Trigger != "" {
		h[headerTrigger] = []string{plain(p.Trigger)}
		h[headerTrigAt] = []string{kycbridge.Instant(p.TriggeredAt)}
	}
	if p.Notice {
		h[headerNotice] = []string{"1"}
	}
	for name, v := range p.Header {
		h[headerRequest+name] = []string{plain(v)}
	}
	return &nats.Msg{Subject: subject, Header: h, Data: p.Body}
}

// payloadOf reads what message wrote.
func payloadOf(subject string, h nats.Header, body []byte) kycbridge.Payload {
	p := kycbridge.Payload{
		ID:          h.Get(nats.MsgIdHdr),
		Via:         kycbridge.Via(h.Get(headerVia)),
		ReceivedAt:  kycbridge.ParseInstant(h.Get(headerReceived)),
		ContentType: h.Get(headerType),
		Digest:      h.Get(headerDigest),
		Event:       h.Get(headerEvent),
		Placement:   h.Get(headerPlace),
		Part:        h.Get(headerPart),
		Trigger:     h.Get(headerTrigger),
		TriggeredAt: kycbridge.ParseInstant(h.Get(headerTrigAt)),
		Notice:      h.Get(headerNotice) != "",
		Body:        body,
	}
	p.Reference, _ = url.QueryUnescape(h.Get(headerRef))
	if t := h.Get(headerRequest + "Traceparent"); t != "" {
		p.Header = map[string]string{"Traceparent": t}
	}
	tokens := strings.Split(subject, ".")
	if n := len(tokens); n >= 4 {
		p.Provider, p.Account, p.VerificationID = tokens[n-3], tokens[n-2], tokens[n-1]
	}
	return p
}

// whole reports whether a message of the payload log is one that we wrote, unaltered: its digest is
// that of its body and its id names its provider and account. Whoever else may write to the stream,
// by rights or by a trick, makes no event.
func whole(p kycbridge.Payload) bool {
	return p.Digest == kycbridge.Digest(p.Body) && strings.HasPrefix(p.ID, p.Provider+"."+p.Account+".")
}

// plain makes s fit for a header: printable ASCII, bounded.
func plain(s string) string {
	if len(s) > 8192 {
		s = s[:8192]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
