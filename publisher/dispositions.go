package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

const (
	dispositionsAtOnce = 512                   // in one message
	dispositionsBytes  = 256 << 10             // of a message, approximately: new values of payloads can be large
	dispositionsEvery  = 20 * time.Millisecond // between writes of fewer entries; a message causes one flush of the disk
)

// disposition is one entry of a message of the disposition stream: sequence of the payload, revision of
// its event or 0, the reason, the new values in it, and the identity of the payload: the second in which
// it was stored, the mark of its id and the beginning of the id of its verification. It contains nothing
// that identifies a person, so an erasure need not change it.
type disposition struct {
	seq          uint64
	revision     int
	why          string
	fresh        []newValue
	storedAt     int64 // Unix time
	mark         uint64
	verification string
}

// dispositionOf is d in its stored form.
func dispositionOf(d kycbridge.Disposition) disposition {
	o := disposition{seq: d.Seq, revision: d.Revision, why: d.Why, fresh: newValues(d.New), mark: d.Mark,
		verification: d.Verification}
	if !d.StoredAt.IsZero() {
		o.storedAt = d.StoredAt.Unix()
	}
	return o
}

// disposition is the inverse of dispositionOf for an entry that was recorded at a time.
func (o disposition) disposition(at time.Time) kycbridge.Disposition {
	d := kycbridge.Disposition{Seq: o.seq, Revision: o.revision, Why: o.why, Mark: o.mark, Verification: o.verification,
		At: at}
	if o.storedAt != 0 {
		d.StoredAt = time.Unix(o.storedAt, 0).UTC()
	}
	for _, v := range o.fresh {
		d.New = append(d.New, kycbridge.NewValue(v))
	}
	return d
}

// MarshalJSON writes an entry as a short list without empty trailing elements.
func (o disposition) MarshalJSON() ([]byte, error) { return o.appendTo(nil) }

// appendTo appends the JSON of an entry to b. It is written here because there is an entry for each payload, and
// encoding/json would take ten times as long for it.
func (o disposition) appendTo(b []byte) (_ []byte, err error) {
	isWhole := o.mark != 0 || o.verification != ""
	b = strconv.AppendUint(append(b, '['), o.seq, 10)
	b = strconv.AppendInt(append(b, ','), int64(o.revision), 10)
	if isWhole || len(o.fresh) > 0 || o.why != "" {
		b = appendString(append(b, ','), o.why)
	}
	if isWhole || len(o.fresh) > 0 {
		fresh := []byte("null")
		if o.fresh != nil {
			if fresh, err = json.Marshal(o.fresh); err != nil {
				return nil, fmt.Errorf("write new values: %w", err)
			}
		}
		b = append(append(b, ','), fresh...)
	}
	if isWhole {
		b = strconv.AppendInt(append(b, ','), o.storedAt, 10)
		b = strconv.AppendUint(append(b, ','), o.mark, 10)
		b = appendString(append(b, ','), o.verification)
	}
	return append(b, ']'), nil
}

// appendString appends text as a JSON string. Almost all of them are words of kycbridge.
func appendString(b []byte, text string) []byte {
	isPlain := !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) })
	if isPlain {
		return append(append(append(b, '"'), text...), '"')
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return append(b, `""`...) // cannot fail for text
	}
	return append(b, quoted...)
}

// written is a batch of entries as one message.
func written(batch []disposition) (body []byte, err error) {
	for i, o := range batch {
		separator := byte(',')
		if i == 0 {
			separator = '['
		}
		if body, err = o.appendTo(append(body, separator)); err != nil {
			return nil, err
		}
	}
	return append(body, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote, now or in an earlier version.
func (o *disposition) UnmarshalJSON(raw []byte) error {
	list := []any{&o.seq, &o.revision, &o.why, &o.fresh, &o.storedAt, &o.mark, &o.verification}
	return json.Unmarshal(raw, &list)
}

// size is the approximate number of bytes of an entry.
func (o disposition) size() int {
	n := 72 + len(o.why)
	for _, v := range o.fresh {
		n += 8 + len(v.Pointer) + len(v.Value)
	}
	return n
}

// newValue is written as a list too: the pointer if the kind is NewField, pointer and value if it is NewWord,
// else pointer, value and kind.
type newValue kycbridge.NewValue

// MarshalJSON writes a list of one to three strings.
func (v newValue) MarshalJSON() ([]byte, error) {
	switch v.Kind {
	case kycbridge.NewField:
		return json.Marshal([]string{v.Pointer})
	case kycbridge.NewWord:
		return json.Marshal([]string{v.Pointer, v.Value})
	}
	return json.Marshal([]string{v.Pointer, v.Value, v.Kind})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *newValue) UnmarshalJSON(raw []byte) error {
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	switch len(list) {
	case 1:
		*v = newValue{Kind: kycbridge.NewField, Pointer: list[0]}
	case 2:
		*v = newValue{Kind: kycbridge.NewWord, Pointer: list[0], Value: list[1]}
	case 3:
		*v = newValue{Kind: list[2], Pointer: list[0], Value: list[1]}
	default:
		return fmt.Errorf("a new value has %d parts", len(list))
	}
	return nil
}

// recorder writes dispositions, many in one message, and releases each payload only afterwards. So a payload
// either remains unprocessed, or its disposition is durable.
type recorder struct {
	store *Store

	mu      sync.Mutex
	waiting []disposition
	release []func()
	wake    chan struct{}
}

func newRecorder(s *Store) *recorder { return &recorder{store: s, wake: make(chan struct{}, 1)} }

// add takes a disposition; release is called once it is durable.
func (r *recorder) add(o kycbridge.Disposition, release func()) {
	r.mu.Lock()
	r.waiting = append(r.waiting, dispositionOf(o))
	r.release = append(r.release, release)
	full := len(r.waiting) >= dispositionsAtOnce
	r.mu.Unlock()
	if full {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// run writes entries until ctx ends, and then the remaining ones.
func (r *recorder) run(ctx context.Context) {
	tick := time.NewTicker(dispositionsEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-r.wake:
		case <-ctx.Done():
		}
		r.flush(ctx)
	}
	r.flush(ctx)
}

// flush writes the waiting entries. Entries that cannot be written keep waiting; a payload that is
// redelivered meanwhile is processed again, without effect.
func (r *recorder) flush(ctx context.Context) {
	r.mu.Lock()
	n := fitting(r.waiting)
	batch, release := r.waiting[:n], r.release[:n]
	r.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	// A shutdown that starts meanwhile does not cancel the write: the message might be stored, and would then be
	// written a second time.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	if r.store.putDispositions(ctx, batch) != nil {
		return
	}
	r.mu.Lock()
	r.waiting, r.release = r.waiting[len(batch):], r.release[len(release):]
	if len(r.waiting) == 0 {
		r.waiting, r.release = nil, nil // release the memory
	}
	r.mu.Unlock()
	for _, done := range release {
		done()
	}
}

// fitting is the number of entries that fit into one message: at least one, unless waiting is empty.
func fitting(waiting []disposition) int {
	bytes := 0
	for i, o := range waiting {
		if bytes += o.size(); i == dispositionsAtOnce || i > 0 && bytes > dispositionsBytes {
			return i
		}
	}
	return len(waiting)
}

// newValues are the new values of a payload in their stored form.
func newValues(all []kycbridge.NewValue) []newValue {
	if len(all) == 0 {
		return nil
	}
	out := make([]newValue, len(all))
	for i, v := range all {
		out[i] = newValue(v)
	}
	return out
}

func (s *Store) putDispositions(ctx context.Context, batch []disposition) error {
	body, err := written(batch)
	if err != nil {
		return fmt.Errorf("write dispositions: %w", err)
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if _, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: s.names.disposition(), Data: body}); err != nil {
		return fmt.Errorf("store dispositions: %w", err)
	}
	return nil
}

// Dispositions reads the dispositions of payloads that were recorded at or after since, oldest first. A
// payload that was processed several times has several.
func (s *Store) Dispositions(ctx context.Context, since time.Time, each func(kycbridge.Disposition) error) error {
	return s.scanAll(ctx, s.names.dispositions(), scanOptions{since: since},
		func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
			var batch []disposition
			if json.Unmarshal(m.Data(), &batch) != nil {
				s.countForeign(s.names.dispositions()) // or damaged; its dispositions count as not recorded
				return nil
			}
			for _, o := range batch {
				if err := each(o.disposition(meta.Timestamp)); err != nil {
					return err
				}
			}
			return nil
		})
}
