package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kycbridge/event"
)

// restoredKey is the key of the event stream's metadata that holds the time at which it last lost its end.
const restoredKey = "kycbridge-restored"

// ErrEndLost blocks publishing until the lost end of the event stream is regenerated.
var ErrEndLost = errors.New("the event stream has lost its end, which must be regenerated first")

// end is the state of the end of the event stream.
type end struct {
	store   *Store // records the end of the stream; nil: it is not checked
	looking sync.Mutex

	mu        sync.Mutex
	checkedIn int      // value of Connection.life when the end was last checked
	lost      *Shorter // the unresolved loss; nil: the stream is complete
	restored  string   // when it last lost its end, or was restored from an older copy; "": never
}

// at records that the stream was restored at a time; "" is ignored.
func (e *end) at(restored string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if event.ParseInstant(e.restored).Before(event.ParseInstant(restored)) {
		e.restored = restored
	}
}

// state is the result of the last check, and whether it was made in this life of the connection.
func (e *end) state(life int) (lost *Shorter, current bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lost, e.checkedIn == life
}

// setResult stores the result of a check.
func (e *end) setResult(life int, lost *Shorter) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checkedIn, e.lost = life, lost
}

// DeclareRestored records an operator's statement that the streams were restored from an older copy at a
// time, unless a later time is known.
func (b *Bus) DeclareRestored(ctx context.Context, at time.Time) error {
	if at = at.Truncate(time.Second); !at.After(event.ParseInstant(b.RestoredTime())) {
		return nil
	}
	return b.markRestored(ctx, event.Instant(at))
}

// RestoredTime is when the event stream last lost its end, or was restored from an older copy; "" if it
// never did. It has whole seconds, so that comparing the texts gives the same order as comparing the times.
// Events that are published from then on carry it: consumers may have received other events with the same
// ids and revisions.
func (b *Bus) RestoredTime() string {
	b.end.mu.Lock()
	defer b.end.mu.Unlock()
	return b.end.restored
}

// mayPublish returns an error while the end of the stream is not known to be complete, and for an event that
// was created before the restoration was known. In both cases the payload is processed again.
func (b *Bus) mayPublish(ctx context.Context, e *event.Event) error {
	lost, current := b.end.state(b.life())
	if b.end.store != nil && !current {
		if err := b.checkEnd(ctx); err != nil {
			return err
		}
		lost, _ = b.end.state(b.life())
	}
	if lost != nil {
		b.requestCheck()
		return ErrEndLost
	}
	if e.RestoredTime != b.RestoredTime() {
		return errors.New("the event was created before the event stream was restored")
	}
	return nil
}

// checkEnd detects whether the stream has lost its end, now or earlier.
func (b *Bus) checkEnd(ctx context.Context) error {
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
		b.end.setResult(life, nil)
		return nil
	}
	b.end.setResult(life, &found)
	b.forgetCached() // cached events are no longer in the stream
	return nil
}

// repairEnd checks the end of the stream. It starts the regeneration of a lost end, and records the end of a
// complete stream.
func (b *Bus) repairEnd(ctx context.Context) ([]Shorter, error) {
	if b.end.store == nil {
		return nil, nil
	}
	if err := b.checkEnd(ctx); err != nil {
		return nil, err
	}
	last, err := b.newest(ctx, b.names.events())
	if err != nil {
		return nil, err
	}
	lost, _ := b.end.state(0)
	if lost == nil {
		return nil, b.end.store.recordReach(ctx, b.disk, b.names.events(), last)
	}
	if b.disk.keeps(ctx, b.names.events()) != nil {
		return nil, nil // its end may be one that the disk does not have, and it takes no events anyway
	}
	from, err := b.lostFrom(ctx, lost.Last)
	if err != nil {
		return nil, err
	}
	if err := b.Regenerate(ctx, from); err != nil {
		return nil, err
	}
	if err := b.resetConsumers(ctx, lost.Last); err != nil {
		return nil, err
	}
	if err := b.end.store.setReach(ctx, b.names.events(), last); err != nil {
		return nil, err
	}
	b.events.order.endsAt(last, lost.Last+1)
	b.end.setResult(b.life(), nil)
	return []Shorter{*lost}, nil
}

// resetConsumers resets consumers whose position is after the end of the stream to its end: otherwise they
// would skip the regenerated events.
func (b *Bus) resetConsumers(ctx context.Context, last uint64) error {
	ctx, cancel := b.whileUp(ctx)
	defer cancel()
	stream, err := b.js.Stream(ctx, b.names.events())
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", b.names.events(), err)
	}
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Config.Durable == "" || max(info.Delivered.Stream, info.AckFloor.Stream) <= last {
			continue // a consumer that is not durable restarts by itself
		}
		d := durable{stream: b.names.events(), config: info.Config}
		if err := b.reset(ctx, d, min(info.AckFloor.Stream, last)+1); err != nil {
			return err
		}
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("inspect the consumers of %s: %w", b.names.events(), err)
	}
	return nil
}

// Regenerate starts the regeneration of lost events: it records that the stream is restored, so that events
// carry this time from now on, and requests the processing of the payloads from a sequence on again; 0: none.
func (b *Bus) Regenerate(ctx context.Context, from uint64) error {
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

// lostFrom is the sequence of the first payload whose event may have been after a sequence of the stream; 0: none.
// Dispositions are recorded after their events are stored.
func (b *Bus) lostFrom(ctx context.Context, last uint64) (uint64, error) {
	since := time.Time{}
	if at := b.storedAt(ctx, last); !at.IsZero() {
		since = at.Add(-time.Minute) // tolerance for the clocks of two servers
	}
	return b.end.store.firstWorkedSince(ctx, since)
}

// storedAt is the storage time of the message at a sequence of the stream; the zero time if it is missing.
func (b *Bus) storedAt(ctx context.Context, seq uint64) time.Time {
	raw, err := b.stream.GetMsg(ctx, seq)
	if err != nil {
		return time.Time{}
	}
	return raw.Time
}

// markRestored records in the metadata of the stream that events were lost, for all processes.
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
	b.forgetCached()
	b.end.at(at)
	return nil
}
