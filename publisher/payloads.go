package publisher

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
)

const (
	publishTimeout = 10 * time.Second
	refusedWaiting = 1024      // refused callbacks that wait to be stored
	refusedAtOnce  = 16        // in one batch
	refusedBody    = 128 << 10 // larger than any genuine callback; unauthenticated requests must not displace genuine ones
)

// Headers of a stored payload.
const (
	headerReceived = "Kyc-Received-At"
	headerVia      = "Kyc-Via"
	headerDigest   = "Kyc-Digest"
	headerEvent    = "Kyc-Event"
	headerErrors   = "Kyc-Errors"
	headerSubject  = "Kyc-Verification-Id" // of a quarantined payload: the verification that it belongs to, if known
	headerRef      = "Kyc-Reference"       // query-escaped, because it comes from the provider
	headerPart     = "Kyc-Part"
	headerPlace    = "Kyc-Placement"
	// Of a refused callback: a digest of its credential, the reason, and the account that its address named.
	headerCredential  = "Kyc-Credential"
	headerWhy         = "Kyc-Refused"
	headerAddressed   = "Kyc-Addressed"
	headerTrigger     = "Kyc-Trigger"
	headerTrigAt      = "Kyc-Triggered-At"
	headerNotice      = "Kyc-Notice"
	headerQuery       = "Kyc-Query"
	headerPath        = "Kyc-Path"
	headerType        = "Content-Type"
	headerCertificate = "Kyc-Client-Certificate" // of a refused callback: the verified certificate, DER in base64
	// headerRequest is the prefix of a stored request header.
	headerRequest = "Http-"
)

// Store stores payloads, and those that could not be processed, on the store connection.
type Store struct {
	*Connection
	names      Names
	retention  kycbridge.Retention
	wanted     []stream // required configuration
	durables   registry // consumers of this process
	pulls      pulls
	turn       sync.Mutex       // held by the goroutine that starts the next pull or restarts deliveries
	pulling    sync.Mutex       // held while payloads are pulled
	delivered  deliveries       // to this process, lately
	epoch      atomic.Uint64    // incremented when deliveries restart; earlier pulls are dropped
	unaligned  lowest           // sequence at which payloads were lost, and consumers must continue
	tried      atomic.Uint64    // sequence up to which payloads were delivered before deliveries were restarted
	log        jetstream.Stream // the payload log
	polls      jetstream.Stream // timers and due watches
	starts     jetstream.Stream // idempotency keys
	tombstones jetstream.Stream // erased verifications
	erasures   erasures         // the record of erasures that was read last
	legalHolds jetstream.Stream // verifications that must not be erased
	shelves    map[kycbridge.Shelf]jetstream.Stream
	payloads   *committer
	quarantine *committer
	refusals   *committer
	index      index
	recent     recentIDs // of the log
	access     accessLog
	sealer     *sealer
	ledger     jetstream.Stream // the tamper-evident log
	salted     bool             // payloads get a salt for their leaf
	keyWarning rateLimitedWarning
	refused    chan refusedPayload
	refusing   sync.WaitGroup
	dropped    atomic.Int64 // refused callbacks that were not stored
}

// OpenStore creates or updates the streams of the store and opens them.
func OpenStore(
	ctx context.Context, c *Connection, names Names, maxBody, replicas int, retention kycbridge.Retention,
) (*Store, error) {
	s := &Store{Connection: c, names: names, retention: retention,
		wanted:  storeStreams(names, maxBody, replicas, retention),
		shelves: map[kycbridge.Shelf]jetstream.Stream{}}
	if c.lifted == nil { // a repeated attempt continues
		c.lifted = map[string]uint64{}
	}
	if err := c.open(ctx, s.wanted); err != nil {
		return nil, err
	}
	var quarantine, refused, keyPages jetstream.Stream
	for name, stream := range map[string]*jetstream.Stream{
		names.payloads(): &s.log, names.polls(): &s.polls, names.starts(): &s.starts,
		names.tombstones(): &s.tombstones, names.holds(): &s.legalHolds, names.quarantine(): &quarantine,
		names.refused(): &refused, names.index(): &s.index.stream, names.keyPages(): &keyPages, names.ledger(): &s.ledger,
	} {
		err := retryUntilReady(ctx, func(ctx context.Context) (err error) {
			*stream, err = c.reader(ctx, name)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	s.shelves[kycbridge.ShelfPayloads], s.shelves[kycbridge.ShelfQuarantine], s.shelves[kycbridge.ShelfRefused] =
		s.log, quarantine, refused
	s.index.open()
	s.sealer = newSealer(newPages(c, names, keyPages))
	for name, first := range c.lifted { // messages that the server removed because of their age are not missing
		if err := s.setFront(ctx, name, max(first, 1)-1); err != nil {
			return nil, err
		}
	}
	c.erasing = s.recordErasing
	s.payloads, s.quarantine, s.refusals, s.index.writes =
		newCommitter(c), newCommitter(c), newCommitter(c), newCommitter(c)
	s.startAccessLog()
	s.refused = make(chan refusedPayload, refusedWaiting)
	for range refusedAtOnce {
		s.refusing.Go(s.keepRefused)
	}
	return s, nil
}

// Close ends publishing and the connection. Later refusals are not stored.
func (s *Store) Close() {
	s.closeAccessLog()
	s.refusals.Close()
	s.refusing.Wait()
	s.payloads.Close()
	s.quarantine.Close()
	s.index.writes.Close()
	s.sealer.close()
	s.Connection.Close()
}

// Append stores p durably under its id. A payload with a known id is not stored again; the answer then carries the
// digest of the stored one. An erased payload does not block another body under its id: p is stored then, unless it
// repeats a payload that was erased with its verification. While its verification is being erased, p waits. p is no
// duplicate of itself: if the answer of the server is lost, p is sent again, and found stored.
func (s *Store) Append(ctx context.Context, p kycbridge.Payload) (kycbridge.Stored, error) {
	k := kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
	m := message(s.names.payload(k), p)
	if err := s.seal(ctx, kycbridge.ShelfPayloads, m, p); err != nil {
		return kycbridge.Stored{}, err
	}
	s.barred(m, k)
	for {
		forgotten := s.recent.forgotten()
		sent := &pending{msg: m}
		ack, err := s.appendOnce(ctx, sent, k, p)
		if err != nil {
			return kycbridge.Stored{}, err
		}
		if !ack.Duplicate {
			s.recent.add(forgotten, ack.Sequence, payloadIDs(p))
			return kycbridge.Stored{Digest: p.Digest}, nil
		}
		kept, err := s.at(ctx, ack.Sequence)
		switch {
		case err == nil && kept.ID == p.ID && whole(kept):
			if err := s.confirm(ctx, ack.Sequence); err != nil {
				return kycbridge.Stored{}, fmt.Errorf("confirm the payload stored before: %w", err)
			}
			own := sent.lost && kept.ReceivedAt.Equal(p.ReceivedAt) && kept.Digest == p.Digest
			return kycbridge.Stored{Duplicate: !own, Digest: kept.Digest}, nil
		case errors.Is(err, jetstream.ErrMsgNotFound):
			erased, err := s.erasedBefore(ctx, k, p)
			if err != nil || erased {
				return kycbridge.Stored{Duplicate: erased, Digest: p.Digest}, err
			}
		case err != nil:
			return kycbridge.Stored{}, fmt.Errorf("read the payload stored before: %w", err)
		}
		// The stored payload was erased, is damaged, or its sequence was assigned again: the server remembers an
		// id for longer than its message.
		m.Header[nats.MsgIdHdr] = []string{p.ID + after + strconv.FormatUint(ack.Sequence, 10)}
	}
}

// confirm ensures that the payload at a sequence is durable. A server that fails to flush a batch
// acknowledges no message of it, but treats their ids as duplicates from then on, and reads the messages from
// memory; it stores nothing more until it is restarted. So a message is durable once any later one is stored.
func (s *Store) confirm(ctx context.Context, seq uint64) error {
	if s.payloads.order.flushed(seq) {
		return nil
	}
	return s.putProbe(ctx, 0)
}

// after separates the id of a payload in a message id from the sequence of an erased payload with the same
// id. No payload id contains it.
const after = "~"

// payloadID is the id of the payload that was stored with a message id.
func payloadID(messageID string) string {
	id, _, _ := strings.Cut(messageID, after)
	return id
}

// at reads the payload at a sequence of the log.
func (s *Store) at(ctx context.Context, seq uint64) (kycbridge.Payload, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.log.GetMsg(ctx, seq)
	if err != nil {
		return kycbridge.Payload{}, err
	}
	return s.payload(ctx, raw.Subject, raw.Header, raw.Data)
}

// payload decodes a message of the payload log. The error wraps ErrNoKey.
func (s *Store) payload(ctx context.Context, subject string, h nats.Header, body []byte) (kycbridge.Payload, error) {
	p := payloadOf(subject, h, body)
	return p, s.unseal(ctx, kycbridge.ShelfPayloads, h.Get(headerKey), &p)
}

// Quarantine stores p with the reason and the errors, durably.
func (s *Store) Quarantine(
	ctx context.Context, p kycbridge.Payload, reason string, faults []kycbridge.FieldError,
) error {
	_, err := s.putQuarantined(ctx, p, reason, faults)
	return err
}

// putQuarantined stores p unless it is there already. The server remembers an id for longer than its message, which may
// have been removed or readmitted since: then p is stored once more, unless it was erased with its verification. It is
// also stored once more, in place of the earlier message, if it is not certain that the earlier one is durable (see
// confirm).
func (s *Store) putQuarantined(
	ctx context.Context, p kycbridge.Payload, reason string, faults []kycbridge.FieldError,
) (jetstream.PubAck, error) {
	m := s.quarantined(p, reason, faults)
	if err := s.seal(ctx, kycbridge.ShelfQuarantine, m, p); err != nil {
		return jetstream.PubAck{}, err
	}
	unconfirmed := uint64(0)
	for id := m.Header.Get(nats.MsgIdHdr); ; {
		ack, err := s.quarantine.Publish(ctx, m)
		if err != nil || !ack.Duplicate {
			if err == nil && unconfirmed > 0 {
				ack.Duplicate = true
				_ = s.Erase(ctx, kycbridge.ShelfQuarantine, unconfirmed, false) // else it is listed twice
			}
			return ack, err
		}
		there, err := s.KeptAt(ctx, kycbridge.ShelfQuarantine, ack.Sequence)
		switch {
		case err == nil && there.ID == p.ID && whole(there.Payload):
			if s.quarantine.order.flushed(ack.Sequence) {
				return ack, nil
			}
			unconfirmed = ack.Sequence
		case err != nil && !errors.Is(err, kycbridge.ErrNotFound):
			return ack, err
		case p.VerificationID != "":
			k := kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
			if erased, err := s.erasedBefore(ctx, k, p); erased || err != nil {
				return ack, err
			}
		}
		m.Header[nats.MsgIdHdr] = []string{id + after + strconv.FormatUint(ack.Sequence, 10)}
	}
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
	// The same body may fail for different reasons over time.
	m.Header[nats.MsgIdHdr] = []string{p.ID + "." + reason}
	return m
}

// Refuse stores a callback that failed authentication, with everything that is needed to authenticate it
// again once the secrets are corrected. It never waits: a flood of refusals is dropped in part.
func (s *Store) Refuse(_ context.Context, p kycbridge.Payload, r kycbridge.Request, why string) {
	if len(p.Body) > refusedBody {
		s.dropped.Add(1)
		return
	}
	select {
	case s.refused <- refusedPayload{p, s.refusal(p, r, why)}:
	default:
		s.dropped.Add(1)
	}
}

// refusal is the message of a refused callback.
func (s *Store) refusal(p kycbridge.Payload, r kycbridge.Request, why string) *nats.Msg {
	m := message(s.names.refusal(p.Provider, p.Account), p)
	// Stored once for each body and credential: a wrong credential that came first must not hide the right
	// one, and a retry adds nothing.
	credential := credentialOf(r)
	m.Header[nats.MsgIdHdr] = []string{p.ID + "." + credential}
	m.Header[headerCredential] = []string{credential}
	if why != "" {
		m.Header[headerWhy] = []string{plain(why)}
	}
	if p.Addressed != (kycbridge.AccountKey{}) {
		m.Header[headerAddressed] = []string{addressed(p.Addressed)}
	}
	if r.Path != "" {
		m.Header[headerPath] = []string{pathText(r.Path)}
	}
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
	if r.Certificate != nil && len(r.Certificate.Raw) < headRoom/4 {
		m.Header[headerCertificate] = []string{base64.StdEncoding.EncodeToString(r.Certificate.Raw)}
	}
	return m
}

// longestAddress is the stored length of the path of a callback without an account.
const longestAddress = 128

func addressed(to kycbridge.AccountKey) string {
	escaped := url.PathEscape(to.Provider) + "/" + url.PathEscape(to.Account)
	return escaped[:min(len(escaped), longestAddress)]
}

// pathText is the beginning of a path, encoded for a header.
func pathText(path string) string {
	for len((&url.URL{Path: path}).EscapedPath()) > 2*longestAddress {
		path = path[:len(path)/2]
	}
	return (&url.URL{Path: path}).EscapedPath()
}

// passingHeaders differ between deliveries of a callback, or do not identify the sender.
var passingHeaders = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Connection": true, "Content-Length": true, "Date": true, "Forwarded": true,
	"Traceparent": true, "Tracestate": true, "User-Agent": true, "Via": true, "X-Forwarded-For": true,
	"X-Forwarded-Host": true, "X-Forwarded-Port": true, "X-Forwarded-Proto": true, "X-Real-Ip": true, "X-Request-Id": true,
}

// credentialOf is a short digest of everything in a request that may be a credential. The header that an
// account uses may change before the callback is authenticated again, so every header that is not in
// passingHeaders counts.
func credentialOf(r kycbridge.Request) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !passingHeaders[name] {
			fmt.Fprintf(h, "%q:%q\n", name, r.Header[name])
		}
	}
	fmt.Fprintf(h, "token:%q", r.Query["token"])
	if r.Certificate != nil {
		fmt.Fprintf(h, "certificate:%q", r.Certificate.Raw)
	}
	if r.Path != "" { // two wrong addresses are two separate mistakes, so each is stored
		fmt.Fprintf(h, "path:%q", r.Path)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Ready reports whether the store is available and its last write succeeded.
func (s *Store) Ready(ctx context.Context) error {
	if s.payloads.health.failed() || s.quarantine.health.failed() {
		return errors.New("the last write was not acknowledged")
	}
	return s.ready(ctx, s.names.payloads())
}

// FailingFor is how long all writes have failed; 0 if the last one succeeded.
func (s *Store) FailingFor() time.Duration {
	return max(s.payloads.health.failingFor(), s.quarantine.health.failingFor())
}

// Dropped is the number of refused callbacks that were not stored: too large, too many at once, or the
// store unavailable.
func (s *Store) Dropped() int64 { return s.dropped.Load() }

// keepRefused stores refused callbacks until the store is closed. This is best effort: the caller was
// answered 401, without a guarantee.
func (s *Store) keepRefused() {
	for {
		select {
		case r := <-s.refused:
			if _, err := s.putRefused(s.refusals.ctx, r); err != nil {
				s.dropped.Add(1)
			}
		case <-s.refusals.ctx.Done():
			return
		}
	}
}

// refusedPayload is a refused callback on its way to the store.
type refusedPayload struct {
	kycbridge.Payload
	msg *nats.Msg
}

func (s *Store) putRefused(ctx context.Context, r refusedPayload) (jetstream.PubAck, error) {
	if err := s.seal(ctx, kycbridge.ShelfRefused, r.msg, r.Payload); err != nil {
		return jetstream.PubAck{}, err
	}
	return s.refusals.Publish(ctx, r.msg)
}

// WasErased reports whether p, which the log has delivered, was erased since. A missing payload is no
// proof: a server that has just become the leader may not have applied all messages yet, and a damaged
// file may have lost the message. So the erasure must be recorded as well.
func (s *Store) WasErased(ctx context.Context, p kycbridge.Payload) (bool, error) {
	// The record first: it is written before the payload is removed, and it is shorter than the payload.
	if noted, err := s.isErasureRecorded(ctx, p); !noted || err != nil {
		return false, err
	}
	if there, err := s.holds(ctx, p); there || err != nil {
		return false, err
	}
	// A sequence is assigned again if the log has become shorter. Then the record may be about another payload,
	// and the leader may not have applied p yet.
	if err := s.reaches(ctx, p.Seq); err != nil {
		return false, err
	}
	there, err := s.holds(ctx, p)
	return !there && err == nil, err
}

// tidiedAfter is less than the age at which the record of an erasure can be replaced by the front (TidyErasures): it
// covers thousands of payloads, and all of them must be erased.
const tidiedAfter = time.Minute

// isErasureRecorded reports whether there is a record that the sequence of p was erased.
func (s *Store) isErasureRecorded(ctx context.Context, p kycbridge.Payload) (bool, error) {
	noted, err := s.recentlyErased(ctx, s.names.erasedIn(s.names.payloads(), p.Seq))
	if err != nil || noted.has(kycbridge.Range{p.Seq, p.Seq}) || time.Since(p.ReceivedAt) < tidiedAfter {
		return noted.has(kycbridge.Range{p.Seq, p.Seq}), err
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	front, err := s.front(ctx, s.names.payloads())
	return p.Seq <= front, err
}

// holds reports whether the leader finds p in the payload log.
func (s *Store) holds(ctx context.Context, p kycbridge.Payload) (bool, error) {
	kept, err := s.at(ctx, p.Seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return kept.ID == p.ID, err
}

// reaches returns an error while the log ends before a sequence that it has delivered.
func (s *Store) reaches(ctx context.Context, seq uint64) error {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.names.payloads())
	if err != nil {
		return fmt.Errorf("read the end of the payload log: %w", err)
	}
	if last := stream.CachedInfo().State.LastSeq; last < seq {
		return fmt.Errorf("the payload log ends at %d, before the payload at %d that it has delivered", last, seq)
	}
	return nil
}

// History reads the stored payloads of one verification, oldest first.
func (s *Store) History(ctx context.Context, k kycbridge.Key, each func(kycbridge.Payload) error) error {
	return s.stored(ctx, s.log, s.names.payload(k), 1, func(raw *jetstream.RawStreamMsg) error {
		p, err := s.payload(ctx, raw.Subject, raw.Header, raw.Data)
		if err != nil {
			return err
		}
		if !whole(p) {
			return nil
		}
		p.Seq = raw.Sequence
		return each(p)
	})
}

// message encodes a payload for a stream: the body unchanged, the rest in headers.
func message(subject string, p kycbridge.Payload) *nats.Msg {
	h := nats.Header{
		nats.MsgIdHdr:  {p.ID},
		headerReceived: {event.Instant(p.ReceivedAt)},
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
		h[headerTrigAt] = []string{event.Instant(p.TriggeredAt)}
	}
	if p.Notice {
		h[headerNotice] = []string{"1"}
	}
	for name, v := range p.Header {
		h[headerRequest+name] = []string{plain(v)}
	}
	return &nats.Msg{Subject: subject, Header: h, Data: p.Body}
}

// payloadOf decodes the result of message.
func payloadOf(subject string, h nats.Header, body []byte) kycbridge.Payload {
	p := kycbridge.Payload{
		ID:          payloadID(h.Get(nats.MsgIdHdr)),
		Via:         event.Via(h.Get(headerVia)),
		ReceivedAt:  event.ParseInstant(h.Get(headerReceived)),
		ContentType: h.Get(headerType),
		Digest:      h.Get(headerDigest),
		Event:       h.Get(headerEvent),
		Placement:   h.Get(headerPlace),
		Part:        h.Get(headerPart),
		Trigger:     h.Get(headerTrigger),
		TriggeredAt: event.ParseInstant(h.Get(headerTrigAt)),
		Notice:      h.Get(headerNotice) != "",
		Body:        body,
	}
	p.Reference, _ = url.QueryUnescape(h.Get(headerRef))
	for _, name := range [...]string{"Traceparent", "Content-Encoding"} { // needed for processing
		if v := h.Get(headerRequest + name); v != "" {
			if p.Header == nil {
				p.Header = make(map[string]string, 1)
			}
			p.Header[name] = v
		}
	}
	tokens := strings.Split(subject, ".")
	if n := len(tokens); n >= 4 {
		p.Provider, p.Account, p.VerificationID = tokens[n-3], tokens[n-2], tokens[n-1]
	}
	return p
}

// ours reports whether a message of a shelf has the headers that kycbridge writes.
func ours(h nats.Header) bool { return h.Get(headerDigest) != "" }

// whole reports whether a message of the payload log was written by kycbridge and is unchanged: its digest
// is that of its body and its id names its provider and account. A message that another program writes to
// the stream, permitted or not, leads to no event.
func whole(p kycbridge.Payload) bool {
	return p.Digest == kycbridge.Digest(p.Body) && strings.HasPrefix(p.ID, p.Provider+"."+p.Account+".")
}

// plain makes s valid for a header: printable ASCII, limited length.
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
