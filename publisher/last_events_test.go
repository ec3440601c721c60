package publisher

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kycbridge"
)

// TestLastEventsAreLimited: the cache holds few large events or many small ones, the most recent in each
// case, and counts what it holds.
func TestLastEventsAreLimited(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ size, put, want int }{
		"large":     {32 << 10, 1000, cachedBytes / (32 << 10)},
		"small":     {100, cachedEvents + 1000, cachedEvents},
		"too large": {cachedEvent + 1, 10, 0},
	} {
		l, err := newLastEvents(cachedIdle)
		must(t, err)
		key := func(i int) kycbridge.Key { return kycbridge.Key{VerificationID: fmt.Sprint(i)} }
		for i := range c.put {
			l.put(key(i), kycbridge.State{Seq: uint64(i)}, c.size)
			l.put(key(i), kycbridge.State{Seq: uint64(i)}, c.size) // a later revision replaces it
		}
		if n := l.cache.Len(); n != c.want || l.bytes.Load() != int64(n*c.size) {
			t.Errorf("%s: %d events of %d bytes in all, want %d", name, n, l.bytes.Load(), c.want)
		}
		if s, ok := l.get(key(c.put - 1)); c.want > 0 && (!ok || s.Seq != uint64(c.put-1)) {
			t.Errorf("%s: the most recent is not cached", name)
		}
		l.remove(key(c.put - 1))
		l.clear()
		if l.cache.Len() != 0 || l.bytes.Load() != 0 {
			t.Errorf("%s: after clear %d events of %d bytes", name, l.cache.Len(), l.bytes.Load())
		}
	}
}

// TestLastEventsAreDroppedAtRest: the cache is kept while events are added, and is empty some time after the last one.
func TestLastEventsAreDroppedAtRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, err := newLastEvents(cachedIdle)
		must(t, err)
		key := kycbridge.Key{VerificationID: "first"}
		for range 2 {
			l.put(key, kycbridge.State{Seq: 1}, 100)
			for i := range 10 {
				time.Sleep(cachedIdle / 2)
				l.put(kycbridge.Key{VerificationID: fmt.Sprint(i)}, kycbridge.State{Seq: 2}, 100)
			}
			if _, ok := l.get(key); !ok {
				t.Error("dropped while events are published")
			}
			time.Sleep(cachedIdle + time.Second)
			synctest.Wait()
			if _, ok := l.get(key); ok || l.bytes.Load() != 0 {
				t.Errorf("kept at rest: %d bytes", l.bytes.Load())
			}
		}
	})
}
