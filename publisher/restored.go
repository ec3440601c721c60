package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kycbridge/event"
)

// restoredKey is the metadata of the event stream that tells when it last lost its end.
const restoredKey = "kycbridge-restored"

// ErrEndLost keeps events from being published before it is said that revisions come again.
var ErrEndLost = errors.New("the event stream has lost its end, which has to be made again first")

// end is what is known of the end of the event stream.
type end struct {
	store   *Store // where it is written down how far the stream reaches; nil: nobody looks
	looking sync.Mutex

	mu       sync.Mutex
	looked   int      // life of the connection in which the end was looked at last
	lost     *Shorter // and found to be lost, which nobody has dealt with; nil: it is whole
	restored string   // when it was lost last, or put back from an older copy; "": never
}

// at takes the word that the stream was restored at a time; "" is none.
func (e *end) at(restored string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if event.ParseInstant(e.restored).Before(event.ParseInstant(restored)) {
		e.restored = restored
	}
}

// state is what the last look has found, and whether it was in this life of the connection.
func (e *end) state(life int) (lost *Shorter, current bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lost, e.looked == life
}

// found takes the result of a look.
func (e *end) found(life int, lost *Shorter) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looked, e.lost = life, lost
}

// Declare takes the operator's word that the streams were put back from an older copy at a time, unless
// something later is known already.
func (b *Bus) Declare(ctx context.Context, at time.Time) error {
	if at = at.Truncate(time.Second); !at.After(event.ParseInstant(b.RestoredTime())) {
		return nil
	}
	return b.markRestored(ctx, event.Instant(at))
}

// RestoredTime is when the event stream lost its end last, or was put back from an older copy; "" if it
// never did. It has whole seconds, so that its texts compare as its instants do. Events that are
// published from then on carry it: consumers may have seen others with their ids and revisions.
func (b *Bus) RestoredTime() string {
	b.end.mu.Lock()
	defer b.end.mu.Unlock()
	return b.end.restored
}

// mayPublish returns an error while the end of the stream is not known to be whole, and for an event
// that was made before it was known when the stream was restored. Both are worked again.
func (b *Bus) mayPublish(ctx context.Context, e *event.Event) error {
	lost, current := b.end.state(b.life())
	if b.end.store != nil && !current {
		if err := b.look(ctx); err != nil {
			return err
		}
		lost, _ = b.end.state(b.life())
	}
	if lost != nil {
		b.suspect()
		return ErrEndLost
	}
	if e.RestoredTime != b.RestoredTime() {
		return errors.New("the event was made before the event stream was restored")
	}
	return nil
}

// look finds out whether the stream has lost its end, and when it did so before.
func (b *Bus) look(ctx context.Context) error {
	b.end.looking.Lock()
	defer b.end.looking.Unlock()
	ctx, cancel := b.whileUp(ctx)
	defer cancel()
	life, name := b.life(), b.names.events()
	reached, err := b.end.store.reach(ctx, name)
	if err != nil {
		return err
	}
	found, info, err := b.shorter(ctx, name, &b.events.order, reached)
	if err != nil {
		return err
	}
	b.end.at(info.Config.Metadata[restoredKey])
	if !found.lost() {
		b.end.found(life, nil)
		return nil
	}
	b.end.found(life, &found)
	b.last.Purge() // what was remembered is not in the stream any more
	return nil
}

// mendEnd looks at the end of the stream, and has it made again if it is lost. A stream that is whole is
// noted as far as it reaches.
func (b *Bus) mendEnd(ctx context.Context) ([]Shorter, error) {
	if b.end.store == nil {
		return nil, nil
	}
	if err := b.look(ctx); err != nil {
		return nil, err
	}
	last, err := b.newest(ctx, b.names.events())
	if err != nil {
		return nil, err
	}
	lost, _ := b.end.state(0)
	if lost == nil {
		return nil, b.end.store.noteReach(ctx, b.names.events(), last)
	}
	from, err := b.lostFrom(ctx, lost.Last)
	if err != nil {
		return nil, err
	}
	if err := b.MakeAgain(ctx, from); err != nil {
		return nil, err
	}
	if err := b.setBack(ctx, lost.Last); err != nil {
		return nil, err
	}
	if err := b.end.store.setReach(ctx, b.names.events(), last); err != nil {
		return nil, err
	}
	b.events.order.endsAt(last)
	b.end.found(b.life(), nil)
	return []Shorter{*lost}, nil
}

// setBack makes consumers of the stream that had come further than it reaches go on where it ends: the
// events that are made again would be behind them.
func (b *Bus) setBack(ctx context.Context, last uint64) error {
	ctx, cancel := b.whileUp(ctx)
	defer cancel()
	stream, err := b.js.Stream(ctx, b.names.events())
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", b.names.events(), err)
	}
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Config.Durable == "" || max(info.Delivered.Stream, info.AckFloor.Stream) <= last {
			continue // one that is not durable begins anew by itself
		}
		d := durable{stream: b.names.events(), config: info.Config}
		if err := b.reset(ctx, d, min(info.AckFloor.Stream, last)+1); err != nil {
			return err
		}
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("look through the consumers of %s: %w", b.names.events(), err)
	}
	return nil
}

// MakeAgain has events made again that were lost: it writes down that the stream is restored, so that
// events say so from now on, and has the payloads from a sequence on worked once more; 0: none.
func (b *Bus) MakeAgain(ctx context.Context, from uint64) error {
	at := time.Now().Truncate(time.Second)
	if before := event.ParseInstant(b.RestoredTime()); !at.After(before) {
		at = before.Add(time.Second)
	}
	if err := b.markRestored(ctx, event.Instant(at)); err != nil {
		return err
	}
	if from == 0 || b.end.store == nil {
		return nil
	}
	return b.end.store.WorkAgain(ctx, from)
}

// lostFrom is the first payload whose event may have stood behind a sequence of the stream; 0: none.
// That a payload has led to an event is recorded after the event is stored.
func (b *Bus) lostFrom(ctx context.Context, last uint64) (uint64, error) {
	since := time.Time{}
	if at := b.storedAt(ctx, last); !at.IsZero() {
		since = at.Add(-time.Minute) // the clocks of two servers
	}
	return b.end.store.firstWorkedSince(ctx, since)
}

// storedAt is when the message at a sequence of the stream was stored; the zero time if it is not there.
func (b *Bus) storedAt(ctx context.Context, seq uint64) time.Time {
	raw, err := b.stream.GetMsg(ctx, seq)
	if err != nil {
		return time.Time{}
	}
	return raw.Time
}

// markRestored writes down with the stream that events were lost, for all processes.
func (b *Bus) markRestored(ctx context.Context, at string) error {
	ctx, cancel := b.whileUp(ctx)
	defer cancel()
	stream, err := b.js.Stream(ctx, b.names.events())
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", b.names.events(), err)
	}
	config := stream.CachedInfo().Config
	metadata := map[string]string{restoredKey: at}
	for name, value := range config.Metadata {
		if name != restoredKey {
			metadata[name] = value
		}
	}
	config.Metadata = metadata
	if _, err := b.js.UpdateStream(ctx, config); err != nil {
		return fmt.Errorf("write down that stream %s was restored: %w", b.names.events(), err)
	}
	b.last.Purge()
	b.end.at(at)
	return nil
}
