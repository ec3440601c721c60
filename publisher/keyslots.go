package publisher

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kycbridge"
)

const (
	fewestSlots = 16
	mostSlots   = 1024
	pageLife    = time.Hour // after a page was made no key of it is given out, so that it can be removed with its payloads
	makeTimeout = 15 * time.Second
)

// makePage stores a new page with n keys.
type makePage func(ctx context.Context, shelf kycbridge.Shelf, n int) (*page, error)

// dispenser gives each payload of a shelf a key that no other payload has.
type dispenser struct {
	shelf  kycbridge.Shelf
	life   context.Context // limits the making of pages
	making sync.WaitGroup

	mu     sync.Mutex
	now    *page // the page in use; nil: none
	made   uint64
	used   int       // number of used slots of now
	since  time.Time // when the making of now began
	coming *coming   // the next page, while it is made or waits; nil: none
}

// coming is a page that is being made.
type coming struct {
	since time.Time
	done  chan struct{}
	page  *page
	err   error
}

// take returns a key that was not given out before, and its name. It waits for the store only when the keys of a
// page are used up before the next page is stored.
func (d *dispenser) take(ctx context.Context, produce makePage) (name string, key []byte, err error) {
	for {
		name, key, next := d.fromPage(produce)
		if key != nil {
			return name, key, nil
		}
		select {
		case <-next.done:
		case <-ctx.Done():
			return "", nil, fmt.Errorf("wait for a key: %w", ctx.Err())
		}
		d.turn(next)
		if next.err != nil {
			return "", nil, next.err
		}
	}
}

// fromPage takes a key of the current page, or returns the page to wait for.
func (d *dispenser) fromPage(produce makePage) (name string, key []byte, next *coming) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now == nil || d.used == d.now.slots() || tooOld(d.since) {
		return "", nil, d.next(produce)
	}
	name, key = d.now.keyName(d.used, d.made), d.now.key(d.used)
	d.used++
	if d.now.slots()-d.used < d.now.slots()/4 {
		d.next(produce)
	}
	return name, key, nil
}

// tooOld reports whether no key of a page may be given out whose making began at since. The wall clock counts as well:
// while a machine is suspended, and when a wrong clock is corrected, less time passes on the monotonic clock than
// between the server's times, which decide when the page is removed.
func tooOld(since time.Time) bool {
	return time.Since(since) > pageLife || time.Now().Round(0).Sub(since.Round(0)) > pageLife
}

// next starts to make the next page, unless one is being made. The new page has twice as many slots as were used.
func (d *dispenser) next(produce makePage) *coming {
	if d.coming != nil {
		return d.coming
	}
	c := &coming{since: time.Now(), done: make(chan struct{})}
	d.coming = c
	n := min(max(2*d.used, fewestSlots), mostSlots)
	d.making.Go(func() {
		ctx, cancel := context.WithTimeout(d.life, makeTimeout)
		defer cancel()
		c.page, c.err = produce(ctx, d.shelf, n)
		close(c.done)
	})
	return c
}

// turn makes a finished page the current one, once. If the page could not be made, it is discarded, and a later
// caller tries again. A page that has waited for too long is replaced by the next call of fromPage.
func (d *dispenser) turn(c *coming) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.coming != c {
		return // another caller was first
	}
	d.coming = nil
	if c.err != nil {
		return
	}
	d.now, d.made, d.used, d.since = c.page, c.page.seq, 0, c.since
}
