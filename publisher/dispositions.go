package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

const (
	dispositionsAtOnce = 512                   // go into one message
	dispositionsBytes  = 256 << 10             // of a message, about: what is new in payloads may be much
	dispositionsEvery  = 20 * time.Millisecond // at least; a message is one flush of the disk
)

// disposition is one entry of a message of the disposition stream: sequence of the payload, revision of its
// event or 0, and then why, and what was new in it. It holds nothing that names anybody, so that
// erasing a person leaves it.
type disposition struct {
	seq      uint64
	revision int
	why      string
	fresh    []newValue
}

// MarshalJSON writes an entry as a short list, without the end of it that says nothing.
func (o disposition) MarshalJSON() ([]byte, error) {
	list := []any{o.seq, o.revision, o.why, o.fresh}
	switch {
	case len(o.fresh) > 0:
	case o.why != "":
		list = list[:3]
	default:
		list = list[:2]
	}
	return json.Marshal(list)
}

// UnmarshalJSON reads what MarshalJSON wrote, now or in an earlier version.
func (o *disposition) UnmarshalJSON(raw []byte) error {
	list := []any{&o.seq, &o.revision, &o.why, &o.fresh}
	return json.Unmarshal(raw, &list)
}

// size is about how many bytes an entry takes.
func (o disposition) size() int {
	n := 16 + len(o.why)
	for _, v := range o.fresh {
		n += 8 + len(v.Pointer) + len(v.Value)
	}
	return n
}

// newValue is written as a list too: the pointer of a field, or pointer and value of a word.
type newValue kycbridge.NewValue

// MarshalJSON writes a list of one or two.
func (v newValue) MarshalJSON() ([]byte, error) {
	if v.Kind == kycbridge.NewField {
		return json.Marshal([]string{v.Pointer})
	}
	return json.Marshal([]string{v.Pointer, v.Value})
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
	default:
		return fmt.Errorf("a new value has %d parts", len(list))
	}
	return nil
}

// recorder writes down what became of payloads, many in one message, and only then lets go of them.
// So a payload is either still to be worked, or that is durable.
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
	r.waiting = append(r.waiting, disposition{o.Seq, o.Revision, o.Why, newValues(o.New)})
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

// run writes until ctx ends, and then what is left.
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

// flush writes what waits. What cannot be written waits on; a payload that is delivered again
// meanwhile is worked again, which changes nothing.
func (r *recorder) flush(ctx context.Context) {
	r.mu.Lock()
	n := fitting(r.waiting)
	batch, release := r.waiting[:n], r.release[:n]
	r.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	// Not broken off by an end that comes meanwhile: it might be stored and be written once more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	if r.store.putDispositions(ctx, batch) != nil {
		return
	}
	r.mu.Lock()
	r.waiting, r.release = r.waiting[len(batch):], r.release[len(release):]
	if len(r.waiting) == 0 {
		r.waiting, r.release = nil, nil // give the memory back
	}
	r.mu.Unlock()
	for _, done := range release {
		done()
	}
}

// fitting is how many entries go into one message: one at least, if there is any.
func fitting(waiting []disposition) int {
	bytes := 0
	for i, o := range waiting {
		if bytes += o.size(); i == dispositionsAtOnce || i > 0 && bytes > dispositionsBytes {
			return i
		}
	}
	return len(waiting)
}

// newValues are those of a payload as they are written.
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
	body, err := json.Marshal(batch)
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

// Dispositions reads what became of payloads, oldest record first, of those that were recorded at or
// after since. A payload that was worked several times has several.
func (s *Store) Dispositions(ctx context.Context, since time.Time, each func(kycbridge.Disposition) error) error {
	return s.scanAll(ctx, s.names.dispositions(), scanOptions{since: since}, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		var batch []disposition
		if err := json.Unmarshal(m.Data(), &batch); err != nil {
			return fmt.Errorf("read dispositions: a message of %s is not ours", s.names.dispositions())
		}
		for _, o := range batch {
			d := kycbridge.Disposition{Seq: o.seq, Revision: o.revision, Why: o.why}
			for _, v := range o.fresh {
				d.New = append(d.New, kycbridge.NewValue(v))
			}
			if err := each(d); err != nil {
				return err
			}
		}
		return nil
	})
}
