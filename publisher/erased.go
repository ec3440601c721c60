package publisher

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// erasedBucket is the number of sequences of a stream that one message covers.
const erasedBucket = 1 << 13

// erasedRanges is the body of a message that lists the erased sequences of a stream.
type erasedRanges struct {
	Gone []kycbridge.Range `json:"gone"`
}

// add adds ranges.
func (r *erasedRanges) add(more ...kycbridge.Range) {
	r.Gone = append(r.Gone, more...)
	slices.SortFunc(r.Gone, func(a, b kycbridge.Range) int { return cmp.Compare(a[0], b[0]) })
	joined := r.Gone[:1]
	for _, next := range r.Gone[1:] {
		last := &joined[len(joined)-1]
		if next[0] <= last[1]+1 {
			last[1] = max(last[1], next[1])
			continue
		}
		joined = append(joined, next)
	}
	r.Gone = joined
}

// has reports whether r contains the whole range.
func (r erasedRanges) has(x kycbridge.Range) bool {
	return slices.ContainsFunc(r.Gone, func(y kycbridge.Range) bool { return y[0] <= x[0] && x[1] <= y[1] })
}

// erasedIn is the subject of the message with the erasures in the bucket of a sequence of a stream.
func (n Names) erasedIn(stream string, seq uint64) string {
	return n.join("erased", stream, strconv.FormatUint(seq/erasedBucket, 10))
}

// erasedSince is the subject of the message that marks that erasures of a stream are recorded.
func (n Names) erasedSince(stream string) string { return n.join("erased", stream, "since") }

// RecordErasures makes the bus record erasures, and the end of the event stream, in the store.
func (b *Bus) RecordErasures(s *Store) { b.erasing, b.end.store = s.recordErasing, s }

// recordErasing records that a sequence is about to be erased, so that its gap is not treated as damage. Streams
// whose messages are regularly removed always have gaps, so nothing is recorded for them.
func (s *Store) recordErasing(ctx context.Context, stream string, seq uint64) error {
	switch stream {
	case s.names.payloads(), s.names.quarantine(), s.names.events():
		return s.recordErased(ctx, stream, kycbridge.Range{seq, seq})
	}
	return nil
}

// recordErased records ranges of one bucket.
func (s *Store) recordErased(ctx context.Context, stream string, gone ...kycbridge.Range) error {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	subject := s.names.erasedIn(stream, gone[0][0])
	for {
		known, at, err := s.readErased(ctx, subject)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(gone, func(x kycbridge.Range) bool { return !known.has(x) }) {
			return nil
		}
		known.add(gone...)
		body, err := json.Marshal(known)
		if err != nil {
			return fmt.Errorf("write down an erasure: %w", err)
		}
		_, err = s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: body}, jetstream.WithExpectLastSequencePerSubject(at))
		if refused, ok := errors.AsType[*jetstream.APIError](err); ok && wrongLast(refused) && ctx.Err() == nil {
			continue // another process has just recorded an erasure
		}
		if err != nil {
			return fmt.Errorf("write down an erasure: %w", err)
		}
		s.erasures.forget()
		return nil
	}
}

// erasures is the record of erased sequences that was read last. The workers of a process ask for the same one, each
// before it publishes an event, so one of them reads it for all.
type erasures struct {
	mu      sync.Mutex
	subject string
	ranges  erasedRanges
	began   time.Time // of reading it
	reading bool      // a caller is reading it again
}

// get returns the record of a subject if it is recent. When it is half as old as it may be, one caller is told to read
// it again, while the others still use it.
func (e *erasures) get(subject string, now time.Time) (ranges erasedRanges, recent bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	age := now.Sub(e.began)
	wall := now.Round(0).Sub(e.began.Round(0)) // which continues while the machine is suspended
	if subject != e.subject || max(age, wall) >= kycbridge.ErasureDelay || wall < 0 {
		return erasedRanges{}, false
	}
	if age >= kycbridge.ErasureDelay/2 && !e.reading {
		e.reading = true
		return erasedRanges{}, false
	}
	return e.ranges, true
}

// put holds a record that was read without an error since began.
func (e *erasures) put(subject string, ranges erasedRanges, began time.Time, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reading = false; err == nil && began.After(e.began) {
		e.subject, e.ranges, e.began = subject, ranges, began
	}
}

// forget makes the next caller read the record, and drops what is being read.
func (e *erasures) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.subject, e.began = "", time.Now()
}

// recentlyErased reads one message like readErased; the result may be kycbridge.ErasureDelay old.
func (s *Store) recentlyErased(ctx context.Context, subject string) (erasedRanges, error) {
	began := time.Now()
	if known, recent := s.erasures.get(subject, began); recent {
		return known, nil
	}
	known, _, err := s.readErased(ctx, subject)
	s.erasures.put(subject, known, began, err)
	return known, err
}

// readErased reads one message; the zero value and 0 if it does not exist.
func (s *Store) readErased(ctx context.Context, subject string) (r erasedRanges, seq uint64, err error) {
	raw, err := s.tombstones.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return r, 0, nil
	}
	if err != nil {
		return r, 0, fmt.Errorf("read erasures: %w", err)
	}
	_ = json.Unmarshal(raw.Data, &r) // an unreadable record is replaced
	return r, raw.Sequence, nil
}

// Erased returns which sequences of a stream were erased. ok is false if erasures of the stream are not recorded
// yet: an earlier version may have erased messages without a record.
func (s *Store) Erased(ctx context.Context, stream string) (was func(seq uint64) bool, ok bool, err error) {
	buckets, front := map[uint64]erasedRanges{}, uint64(0)
	o := scanOptions{subjects: []string{s.names.join("erased", stream, "*")}}
	err = s.scanAll(ctx, s.names.tombstones(), o, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		last := m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]
		if m.Subject() == s.names.erasedSince(stream) {
			ok = true
			return nil
		}
		if m.Subject() == s.names.erasedFront(stream) {
			var all reachMessage
			_ = json.Unmarshal(m.Data(), &all) // an unreadable record is replaced
			front = all.Last
			return nil
		}
		var r erasedRanges
		if bucket, err := strconv.ParseUint(last, 10, 64); err == nil && json.Unmarshal(m.Data(), &r) == nil {
			buckets[bucket] = r
		}
		return nil
	})
	return func(seq uint64) bool {
		return seq <= front || buckets[seq/erasedBucket].has(kycbridge.Range{seq, seq})
	}, ok, err
}

// AcceptMissing records that sequences of a stream are known to be missing, and that erasures of it are
// recorded from now on.
func (s *Store) AcceptMissing(ctx context.Context, stream string, gone []kycbridge.Range) error {
	for _, r := range gone {
		for from := r[0]; from <= r[1]; {
			to := min(r[1], from/erasedBucket*erasedBucket+erasedBucket-1)
			if err := s.recordErased(ctx, stream, kycbridge.Range{from, to}); err != nil {
				return err
			}
			from = to + 1
		}
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if _, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: s.names.erasedSince(stream), Data: []byte("{}")}); err != nil {
		return fmt.Errorf("write down erasures: %w", err)
	}
	return nil
}

// Held is the content of the store's streams in which gaps indicate a loss.
func (s *Store) Held(ctx context.Context) ([]kycbridge.Held, error) {
	all, err := s.held(ctx, map[kycbridge.Content]string{
		kycbridge.ContentPayloads: s.names.payloads(), kycbridge.ContentQuarantine: s.names.quarantine(),
		kycbridge.ContentDispositions: s.names.dispositions(),
	})
	for i, h := range all {
		switch {
		case h.Age > 0: // the operator's own limit
		case h.Content == kycbridge.ContentPayloads:
			all[i].Age = s.retention().Longest(kycbridge.ClassPayloads)
		case h.Content == kycbridge.ContentQuarantine:
			all[i].Age = s.retention().Longest(kycbridge.ClassQuarantine)
		}
	}
	return all, err
}

// Held is the content of the event stream.
func (b *Bus) Held(ctx context.Context) ([]kycbridge.Held, error) {
	return b.held(ctx, map[kycbridge.Content]string{kycbridge.ContentEvents: b.names.events()})
}

// Readable reports whether the message at a sequence can be read.
func (s *Store) Readable(ctx context.Context, content kycbridge.Content, seq uint64) (bool, error) {
	switch content {
	case kycbridge.ContentPayloads:
		return s.readable(ctx, s.payloadLog, seq)
	case kycbridge.ContentQuarantine:
		return s.readable(ctx, s.shelves[kycbridge.ShelfQuarantine], seq)
	}
	return false, nil
}

// Readable reports whether the message at a sequence of the event stream can be read.
func (b *Bus) Readable(ctx context.Context, content kycbridge.Content, seq uint64) (bool, error) {
	if content != kycbridge.ContentEvents {
		return false, nil
	}
	return b.readable(ctx, b.stream, seq)
}

func (c *Connection) readable(ctx context.Context, stream jetstream.Stream, seq uint64) (bool, error) {
	ctx, cancel := c.whileUp(ctx)
	defer cancel()
	_, err := stream.GetMsg(ctx, seq)
	if unanswered(err) {
		return false, fmt.Errorf("read message %d: %w", seq, err)
	}
	return err == nil, nil
}

// held asks the leaders of streams for their content.
func (c *Connection) held(ctx context.Context, streams map[kycbridge.Content]string) ([]kycbridge.Held, error) {
	ctx, cancel := c.whileUp(ctx)
	defer cancel()
	var all []kycbridge.Held
	for content, name := range streams {
		stream, err := c.js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look up stream %s: %w", name, err)
		}
		info, err := stream.Info(ctx, jetstream.WithDeletedDetails(true))
		if err != nil {
			return nil, fmt.Errorf("look up stream %s: %w", name, err)
		}
		all = append(all, kycbridge.Held{
			Stream: name, Content: content, First: info.State.FirstSeq, Last: info.State.LastSeq, Gone: deleted(info.State),
			Age: info.Config.MaxAge, Bounded: info.Config.MaxBytes > 0 || info.Config.MaxMsgs > 0,
		})
	}
	return all, nil
}

// deleted are the sequences of a stream without a message. The server may count 0, which no message has,
// in a stream that was just created.
func deleted(state jetstream.StreamState) []uint64 {
	return slices.DeleteFunc(state.Deleted, func(seq uint64) bool { return seq == 0 })
}

// WasErased reports whether p, which the log has delivered, was erased since. A missing payload is no
// proof: a server that has just become the leader may not have applied all messages yet, and a damaged
// file may have lost the message. So the erasure must be recorded as well.
func (s *Store) WasErased(ctx context.Context, p kycbridge.Payload) (bool, error) {
	// The record first: it is written before the payload is removed, and it is shorter than the payload.
	if noted, err := s.isErasureRecorded(ctx, p); !noted || err != nil {
		return false, err
	}
	if there, err := s.isStored(ctx, p); there || err != nil {
		return false, err
	}
	// A sequence is assigned again if the log has become shorter. Then the record may be about another payload,
	// and the leader may not have applied p yet.
	if err := s.reaches(ctx, p.Seq); err != nil {
		return false, err
	}
	there, err := s.isStored(ctx, p)
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

// isStored reports whether the leader finds p in the payload log.
func (s *Store) isStored(ctx context.Context, p kycbridge.Payload) (bool, error) {
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
