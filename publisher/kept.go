package publisher

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/keys"
)

// headerSize is the header with the size of the body, which the server adds when it omits the body.
const headerSize = "Nats-Msg-Size"

// payloadHeaders are the request headers of a refused callback that a payload has too; the others are
// credentials.
var payloadHeaders = [...]string{"User-Agent", "X-Request-Id", "Traceparent", "Content-Encoding"}

// Kept reads the messages of a shelf, oldest first, up to the end at the time of the call. each may return
// kycbridge.ErrEnough to stop; any other error stops too and is returned. Foreign messages are skipped.
// The digest shows whether a body is unchanged.
func (s *Store) Kept(ctx context.Context, q kycbridge.KeptQuery, each func(kycbridge.Kept) error) error {
	shelf, err := s.shelf(q.Shelf)
	if err != nil {
		return fmt.Errorf("read kept payloads: %w", err)
	}
	filter, err := s.keptSubjects(q)
	if err != nil {
		return fmt.Errorf("read kept payloads: %w", err)
	}
	if q.VerificationID != "" && orPayloads(q.Shelf) == kycbridge.ShelfPayloads {
		return s.keptOfOne(ctx, filter[0], q, each)
	}
	// Only the subjects of the log contain the verification. On other shelves headers are read first, and then
	// only the matching bodies.
	filterFirst := q.VerificationID != ""
	o := scanOptions{subjects: filter, since: q.Since, from: q.From, headers: q.HeadersOnly || filterFirst}
	return s.scanAll(ctx, shelf, o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		if isBar(m.Subject()) {
			return nil
		}
		if !ours(m.Headers()) {
			s.countForeign(shelf)
			return nil
		}
		if meta.Timestamp.Before(q.Since) || filterFirst && m.Headers().Get(headerSubject) != q.VerificationID {
			return nil
		}
		if filterFirst && !q.HeadersOnly {
			k, err := s.KeptAt(ctx, q.Shelf, meta.Sequence.Stream)
			if errors.Is(err, kycbridge.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			return each(k)
		}
		if q.HeadersOnly {
			return each(keptOf(q.Shelf, m.Subject(), m.Headers(), nil, meta.Sequence.Stream))
		}
		k, err := s.kept(ctx, q.Shelf, m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream)
		if err != nil {
			return err
		}
		return each(k)
	})
}

// keptOfOne reads the payloads of one verification from the log.
func (s *Store) keptOfOne(
	ctx context.Context, subject string, q kycbridge.KeptQuery, each func(kycbridge.Kept) error,
) error {
	end, err := s.newest(ctx, s.names.payloads())
	if err != nil {
		return fmt.Errorf("read kept payloads: %w", err)
	}
	err = s.stored(ctx, s.log, subject, q.From, func(raw *jetstream.RawStreamMsg) error {
		if raw.Sequence > end {
			return kycbridge.ErrEnough
		}
		if raw.Time.Before(q.Since) {
			return nil
		}
		if !ours(raw.Header) {
			s.countForeign(s.names.payloads())
			return nil
		}
		if q.HeadersOnly {
			k := keptOf(q.Shelf, raw.Subject, raw.Header, raw.Data, raw.Sequence)
			k.Body = nil
			return each(k)
		}
		k, err := s.kept(ctx, q.Shelf, raw.Subject, raw.Header, raw.Data, raw.Sequence)
		if err != nil {
			return err
		}
		return each(k)
	})
	if errors.Is(err, kycbridge.ErrEnough) {
		return nil
	}
	return err
}

// newest is the last sequence of a stream.
func (c *Connection) newest(ctx context.Context, stream string) (uint64, error) {
	now, err := c.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", stream, err)
	}
	return now.CachedInfo().State.LastSeq, nil
}

// firstStored is the time when the oldest message of a stream was stored. Some messages at its front may have been
// stored while the server's clock was ahead, so the following ones are read too. If all of them are from the future, it
// is the zero time: a later message may be of any age.
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
	if fromTheFuture(oldest, time.Now()) {
		return time.Time{}, nil
	}
	return oldest, nil
}

// scanAll scans up to the message that is the last one when the scan starts. It does not treat a slow or
// unavailable server as the end of the stream, and deletes the consumers that it created.
func (c *Connection) scanAll(
	ctx context.Context, stream string, o scanOptions, each func(jetstream.Msg, *jetstream.MsgMetadata) error,
) error {
	ctx, cancel := c.whileUp(ctx)
	defer cancel()
	end, err := c.newest(ctx, stream)
	if err != nil || end == 0 {
		return err
	}
	for {
		var at, pending uint64
		var consumer string
		ended := false
		err := c.scan(ctx, stream, o, func(m jetstream.Msg) error {
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
		if consumer != "" {
			// The consumer would expire by itself; many scans until then would reach the limit of
			// consumers.
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
			_ = c.js.DeleteConsumer(clean, stream, consumer)
			cancel()
		}
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

// keptSubjects are the filters of a query; none if it selects the whole shelf.
func (s *Store) keptSubjects(q kycbridge.KeptQuery) ([]string, error) {
	for what, v := range map[string]string{"provider": q.Provider, "account": q.Account, "verification": q.VerificationID,
		"reason": q.Reason} {
		if v != "" && !token(v) {
			return nil, fmt.Errorf("no %s is called that", what)
		}
	}
	provider, account := orAny(q.Provider), orAny(q.Account)
	filter, all := "", q.Provider == "" && q.Account == ""
	switch q.Shelf {
	case kycbridge.ShelfQuarantine:
		filter, all = s.names.quarantined(provider, account, orAny(q.Reason)), all && q.Reason == ""
	case kycbridge.ShelfRefused:
		filter = s.names.refusal(provider, account)
	default:
		filter, all = s.names.payload(kycbridge.Key{Provider: provider, Account: account,
			VerificationID: orAny(q.VerificationID)}), all && q.VerificationID == ""
	}
	if all {
		return nil, nil
	}
	return []string{filter}, nil
}

// KeptAt reads one kept payload, or returns kycbridge.ErrNotFound.
func (s *Store) KeptAt(ctx context.Context, shelf kycbridge.Shelf, seq uint64) (kycbridge.Kept, error) {
	if _, err := s.shelf(shelf); err != nil {
		return kycbridge.Kept{}, fmt.Errorf("read kept payload: %w", err)
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if seq == 0 {
		return kycbridge.Kept{}, fmt.Errorf("read kept payload: %w", kycbridge.ErrNotFound)
	}
	raw, err := s.shelves[orPayloads(shelf)].GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return kycbridge.Kept{}, fmt.Errorf("read kept payload %d of %s: %w", seq, orPayloads(shelf), kycbridge.ErrNotFound)
	}
	if err != nil {
		return kycbridge.Kept{}, fmt.Errorf("read kept payload %d of %s: %w", seq, orPayloads(shelf), err)
	}
	if !ours(raw.Header) {
		return kycbridge.Kept{}, fmt.Errorf("read kept payload %d of %s: %w", seq, orPayloads(shelf), kycbridge.ErrNotFound)
	}
	k, err := s.kept(ctx, shelf, raw.Subject, raw.Header, raw.Data, raw.Sequence)
	if err != nil {
		return kycbridge.Kept{}, fmt.Errorf("read kept payload %d of %s: %w", seq, orPayloads(shelf), err)
	}
	return k, nil
}

// Put stores a payload on its shelf as it was stored elsewhere: id, bytes, headers and the time at which
// it was received. An existing one reports Duplicate, and so does an erased one during the duplicate
// window. Its fields come from outside, so they are checked: a wrong digest or invalid names are an error.
func (s *Store) Put(ctx context.Context, k kycbridge.Kept) (kycbridge.Stored, error) {
	if err := checkPlacement(k); err != nil {
		return kycbridge.Stored{}, fmt.Errorf("put payload: %w", err)
	}
	var ack jetstream.PubAck
	var err error
	switch k.Shelf {
	case kycbridge.ShelfQuarantine:
		ack, err = s.putQuarantined(ctx, k.Payload, k.Reason, k.Errors)
	case kycbridge.ShelfRefused:
		var r kycbridge.Request
		if k.Request != nil {
			r = *k.Request
		}
		ack, err = s.putRefused(ctx, refusedPayload{k.Payload, s.refusal(k.Payload, r, k.Reason)})
	default:
		stored, err := s.Append(ctx, k.Payload)
		if err != nil {
			return kycbridge.Stored{}, fmt.Errorf("put payload: %w: %w", kycbridge.ErrUnavailable, err)
		}
		return stored, nil
	}
	if err != nil {
		return kycbridge.Stored{}, fmt.Errorf("put payload: %w: %w", kycbridge.ErrUnavailable, err)
	}
	return kycbridge.Stored{Duplicate: ack.Duplicate, Digest: k.Digest}, nil
}

// checkPlacement reports why k cannot be stored under its names.
func checkPlacement(k kycbridge.Kept) error {
	switch {
	case k.Shelf != "" && k.Shelf != kycbridge.ShelfPayloads && k.Shelf != kycbridge.ShelfQuarantine &&
		k.Shelf != kycbridge.ShelfRefused:
		return fmt.Errorf("there is no shelf %q", k.Shelf)
	case !token(k.Provider) || !token(k.Account):
		return errors.New("provider and account must be letters, digits, '-' and '_'")
	case orPayloads(k.Shelf) == kycbridge.ShelfPayloads && !token(k.VerificationID), k.VerificationID != "" &&
		!token(k.VerificationID):
		return errors.New("verification id must be letters, digits and '-'")
	case k.Shelf == kycbridge.ShelfQuarantine && !token(k.Reason):
		return errors.New("reason must be a word")
	case !whole(k.Payload):
		return errors.New("digest is not that of the body, or the id not of the account")
	case plain(k.ID) != k.ID:
		return errors.New("id must be printable ASCII")
	}
	return nil
}

// Watches reads all open sessions, oldest first: timers, and watches that are due. A session with both is
// returned twice. Foreign messages are skipped.
func (s *Store) Watches(ctx context.Context, each func(w kycbridge.Watch, due bool) error) error {
	both := []string{s.names.timer(kycbridge.Key{Provider: "*", Account: "*", VerificationID: "*"}),
		s.names.due("*", "*", "*")}
	return s.scanAll(ctx, s.names.polls(), scanOptions{subjects: both},
		func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
			k, ok := keyOf(m.Subject())
			if !ok {
				return nil
			}
			w, ok := watchOf(k, m.Data())
			if !ok {
				return nil
			}
			return each(w, m.Subject() != s.names.timer(k))
		})
}

// Revisions reads every event of a verification in order.
func (b *Bus) Revisions(ctx context.Context, k kycbridge.Key, each func(kycbridge.State) error) error {
	stored, err := b.eventsOf(ctx, k)
	for i := 0; err == nil && i < len(stored); i++ {
		if !isEvent(stored[i].Header) {
			b.countForeign(b.names.events())
			continue
		}
		var state kycbridge.State
		if state, err = b.revision(stored[i]); err == nil {
			state.Read = true
			err = each(state)
		}
	}
	if err != nil && !errors.Is(err, kycbridge.ErrEnough) {
		return fmt.Errorf("read revisions: %w", err)
	}
	return nil
}

// RevisionOf returns the revision that the event of a payload has, 0 if it has none. The events of a replay name a
// payload too, and are not counted. An event that cannot be read is skipped, so that it does not block the payload.
func (b *Bus) RevisionOf(ctx context.Context, k kycbridge.Key, payloadID string) (revision int, err error) {
	stored, err := b.eventsOf(ctx, k)
	if err != nil {
		return 0, fmt.Errorf("read revisions: %w", err)
	}
	for _, raw := range stored {
		e, err := event.Decode(raw.Data) // what it names is not encrypted
		if err == nil && isEvent(raw.Header) && e.Data.Payload.ID == payloadID &&
			e.Data.Provider.Event.Via != event.ViaReplay {
			return e.Data.Revision, nil
		}
	}
	return 0, nil
}

// CountRevisions counts the events of a verification without reading their content.
func (b *Bus) CountRevisions(ctx context.Context, k kycbridge.Key) (n int, err error) {
	stored, err := b.eventsOf(ctx, k)
	if err != nil {
		return 0, fmt.Errorf("count revisions: %w", err)
	}
	for _, raw := range stored {
		if isEvent(raw.Header) {
			n++
		}
	}
	return n, nil
}

// eventsOf are the messages of a verification in the event stream. They are read separately for each kind of
// event: for a subject with a wildcard the server would search every message of each block file that it opens.
func (b *Bus) eventsOf(ctx context.Context, k kycbridge.Key) (found []*jetstream.RawStreamMsg, err error) {
	for _, kind := range []event.Kind{event.KindUpdated, event.KindCompleted, event.KindClosed} {
		err = b.stored(ctx, b.stream, b.names.event(k, kind), 1, func(raw *jetstream.RawStreamMsg) error {
			found = append(found, raw)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, func(x, y *jetstream.RawStreamMsg) int { return cmp.Compare(x.Sequence, y.Sequence) })
	return found, nil
}

// OldestEvent is the time when the oldest event of the stream was stored.
func (b *Bus) OldestEvent(ctx context.Context) (time.Time, error) {
	return b.firstStored(ctx, b.names.events())
}

// Published reads the events published since a time, without bodies. Empty provider or account match all.
func (b *Bus) Published(
	ctx context.Context, provider, account string, since time.Time, each func(kycbridge.EventMeta) error,
) error {
	o := scanOptions{since: since, headers: true}
	if provider != "" || account != "" {
		if provider != "" && !token(provider) || account != "" && !token(account) {
			return errors.New("read published events: no account is called that")
		}
		o.subjects = []string{b.names.event(kycbridge.Key{Provider: orAny(provider), Account: orAny(account),
			VerificationID: "*"}, "*")}
	}
	return b.scanAll(ctx, b.names.events(), o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		tokens := strings.Split(m.Subject(), ".")
		n := len(tokens)
		if n < 4 || !isEvent(m.Headers()) {
			b.countForeign(b.names.events())
			return nil
		}
		return each(kycbridge.EventMeta{
			Key:  kycbridge.Key{Provider: tokens[n-4], Account: tokens[n-3], VerificationID: tokens[n-1]},
			Seq:  meta.Sequence.Stream,
			ID:   m.Headers().Get(nats.MsgIdHdr),
			Kind: event.Kind(tokens[n-2]),
			At:   meta.Timestamp.UTC(),

			PayloadID: m.Headers().Get(headerUntilID),
			Until:     event.ParseInstant(m.Headers().Get(headerUntil)),
		})
	})
}

// Send publishes a CloudEvent on any other subject. If a stream listens on that subject, it returns when
// the stream has acknowledged it, and id prevents duplicates; else when the server has it, which does not
// guarantee delivery.
func (b *Bus) Send(ctx context.Context, subject string, e []byte, id string) error {
	ctx, cancel := b.whileUp(ctx)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, publishTimeout)
	defer cancelTimeout()
	m := &nats.Msg{Subject: subject, Data: e, Header: nats.Header{
		"Content-Type": {"application/cloudevents+json"}, nats.MsgIdHdr: {plain(id)}}}
	switch _, err := b.js.StreamNameBySubject(ctx, subject); {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		if err := b.nc.PublishMsg(m); err != nil {
			return fmt.Errorf("send to %s: %w", subject, err)
		}
		if err := b.nc.FlushWithContext(ctx); err != nil {
			return fmt.Errorf("send to %s: %w", subject, err)
		}
	case err != nil:
		return fmt.Errorf("look up the stream of %s: %w", subject, err)
	default:
		if _, err := b.js.PublishMsg(ctx, m); err != nil {
			return fmt.Errorf("send to %s: %w", subject, err)
		}
	}
	return nil
}

// kept decodes a message of a shelf with its body. The error wraps ErrNoKey.
func (s *Store) kept(
	ctx context.Context, shelf kycbridge.Shelf, subject string, h nats.Header, body []byte, seq uint64,
) (kycbridge.Kept, error) {
	k := keptOf(shelf, subject, h, body, seq)
	if err := s.unseal(ctx, k.Shelf, k.Key, &k.Payload); err != nil {
		return k, err
	}
	if k.Request != nil {
		k.Request.Body = k.Body
	}
	return k, nil
}

// keptOf decodes a message of a shelf; an encrypted body stays encrypted.
func keptOf(shelf kycbridge.Shelf, subject string, h nats.Header, body []byte, seq uint64) kycbridge.Kept {
	k := kycbridge.Kept{Payload: payloadOf(subject, h, body), Shelf: orPayloads(shelf), Seq: seq, Size: len(body)}
	if n, err := strconv.Atoi(h.Get(headerSize)); err == nil {
		k.Size = n
	}
	if k.Key = h.Get(headerKey); k.Key != "" {
		k.Size = max(k.Size-keys.Overhead, 0)
	}
	tokens := strings.Split(subject, ".")
	n := len(tokens)
	k.Header = requestHeaders(h)
	switch {
	case n < 4:
	case k.Shelf == kycbridge.ShelfQuarantine:
		k.Reason, k.VerificationID = tokens[n-1], h.Get(headerSubject)
		k.ID = strings.TrimSuffix(k.ID, "."+k.Reason)
		_ = json.Unmarshal([]byte(h.Get(headerErrors)), &k.Errors) // a list that was too long is missing
	case k.Shelf == kycbridge.ShelfRefused:
		k.Provider, k.Account, k.VerificationID = tokens[n-2], tokens[n-1], ""
		k.ID, k.Reason = strings.TrimSuffix(k.ID, "."+h.Get(headerCredential)), h.Get(headerWhy)
		k.Addressed = addressOf(h.Get(headerAddressed))
		k.Request = &kycbridge.Request{Header: http.Header{}, Body: body, ReceivedAt: k.ReceivedAt}
		for name, v := range k.Header {
			k.Request.Header[name] = []string{v}
		}
		k.Request.Query, _ = url.ParseQuery(h.Get(headerQuery))
		k.Request.Path, _ = url.PathUnescape(h.Get(headerPath))
		k.Request.Certificate = certificateOf(h.Get(headerCertificate))
		k.Header = nil
		for _, name := range payloadHeaders {
			if v := k.Request.Header.Get(name); v != "" {
				if k.Header == nil {
					k.Header = map[string]string{}
				}
				k.Header[name] = v
			}
		}
	}
	return k
}

// certificateOf decodes a stored certificate; nil if it is missing or invalid.
func certificateOf(text string) *x509.Certificate {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		return nil
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil
	}
	return certificate
}

// addressOf decodes the result of addressed.
func addressOf(s string) kycbridge.AccountKey {
	provider, account, _ := strings.Cut(s, "/")
	provider, errProvider := url.PathUnescape(provider)
	account, errAccount := url.PathUnescape(account)
	if errProvider != nil || errAccount != nil {
		return kycbridge.AccountKey{}
	}
	return kycbridge.AccountKey{Provider: provider, Account: account}
}

// requestHeaders are the stored headers of the request that carried a payload. The Normalizer needs only two of
// them, which payloadOf reads by name.
func requestHeaders(h nats.Header) map[string]string {
	var kept map[string]string
	for name, values := range h {
		if own, ok := strings.CutPrefix(name, headerRequest); ok && len(values) > 0 {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[own] = values[0]
		}
	}
	return kept
}

// shelf is the name of the stream that stores a shelf.
func (s *Store) shelf(shelf kycbridge.Shelf) (string, error) {
	switch orPayloads(shelf) {
	case kycbridge.ShelfPayloads:
		return s.names.payloads(), nil
	case kycbridge.ShelfQuarantine:
		return s.names.quarantine(), nil
	case kycbridge.ShelfRefused:
		return s.names.refused(), nil
	}
	return "", fmt.Errorf("there is no shelf %q", shelf)
}

func orPayloads(s kycbridge.Shelf) kycbridge.Shelf {
	if s == "" {
		return kycbridge.ShelfPayloads
	}
	return s
}

// keyOf reads the last three tokens of a subject.
func keyOf(subject string) (kycbridge.Key, bool) {
	tokens := strings.Split(subject, ".")
	n := len(tokens)
	if n < 4 {
		return kycbridge.Key{}, false
	}
	return kycbridge.Key{Provider: tokens[n-3], Account: tokens[n-2], VerificationID: tokens[n-1]}, true
}

func orAny(s string) string {
	if s == "" {
		return "*"
	}
	return s
}

// token reports whether s can be a single token of a subject without a special meaning.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}
