package publisher

import (
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"kycbridge"
)

const (
	// cachedEvents limits the verifications whose last events are cached.
	cachedEvents = 8192
	// cachedBytes limits the cache by the bytes of the encoded events. A decoded event needs about four times as
	// much memory, and also keeps the encoded body in memory, because its strings are parts of it. With four times this
	// limit each garbage collection under load took a fifth to a quarter more processor time, because it visits every
	// decoded event, and the slowest answers took longer.
	cachedBytes = 2 << 20
	// cachedEvent is the largest event that is cached, bytes.
	cachedEvent = 64 << 10
	// cachedIdle is for how long this cache, and those of the indexer, are kept while nothing is published, read or
	// indexed: at rest they would be a quarter of the memory of the process.
	cachedIdle = 2 * time.Minute
)

// lastEvents caches the last events of the verifications that were published most recently. The compare-and-set
// of the next event detects an outdated entry.
type lastEvents struct {
	cache *lru.Cache[kycbridge.Key, sizedState]
	bytes atomic.Int64
	idle  *time.Timer // until the cache is cleared
	kept  time.Duration
}

// sizedState is the last event of a verification, with its encoded size in bytes.
type sizedState struct {
	kycbridge.State
	size int
}

// newLastEvents is a cache that is cleared when it has not been added to for some time.
func newLastEvents(idle time.Duration) (*lastEvents, error) {
	l := &lastEvents{kept: idle}
	cache, err := lru.NewWithEvict(cachedEvents,
		func(_ kycbridge.Key, s sizedState) { l.bytes.Add(-int64(s.size)) })
	if err != nil {
		return nil, err
	}
	l.cache, l.idle = cache, time.AfterFunc(idle, cache.Purge)
	return l, nil
}

func (l *lastEvents) get(k kycbridge.Key) (kycbridge.State, bool) {
	s, ok := l.cache.Get(k)
	return s.State, ok
}

// put caches the last event of a verification; one that is too large is not cached.
func (l *lastEvents) put(k kycbridge.Key, s kycbridge.State, size int) {
	l.cache.Remove(k) // replacing an entry would not call the function that subtracts its size
	if size > cachedEvent {
		return
	}
	l.idle.Reset(l.kept)
	l.bytes.Add(int64(size))
	l.cache.Add(k, sizedState{s, size})
	for l.bytes.Load() > cachedBytes {
		if _, _, ok := l.cache.RemoveOldest(); !ok {
			return
		}
	}
}

func (l *lastEvents) remove(k kycbridge.Key) { l.cache.Remove(k) }

func (l *lastEvents) clear() { l.cache.Purge() }

// forgetCached forgets the events that this process has published or read: the stream has changed.
func (b *Bus) forgetCached() {
	b.last.clear()
	b.recent.clear()
}
