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
	dispositionsEvery  = 20 * time.Millisecond // at least; a message is one flush of the disk
)

// disposition is one entry of a message of the disposition stream: sequence of the payload, revision of its
// event or 0, and then why. It holds nothing that names anybody, so that erasing a person leaves it.
type disposition struct {
	seq      uint64
	revision int
	why      string
}

// MarshalJSON writes an entry as a short list.
func (o disposition) MarshalJSON() ([]byte, error) {
	if o.why == "" {
		return json.Marshal([]any{o.seq, o.revision})
	}
	return json.Marshal([]any{o.seq, o.revision, o.why})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (o *disposition) UnmarshalJSON(raw []byte) error {
	list := []any{&o.seq, &o.revision, &o.why}
	return json.Unmarshal(raw, &list)
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
	r.waiting = append(r.waiting, disposition{o.Seq, o.Revision, o.Why})
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
	batch, release := r.waiting, r.release
	if len(batch) > dispositionsAtOnce {
		batch, release = batch[:dispositionsAtOnce], release[:dispositionsAtOnce]
	}
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
			if err := each(kycbridge.Disposition{Seq: o.seq, Revision: o.revision, Why: o.why}); err != nil {
				return err
			}
		}
		return nil
	})
}
