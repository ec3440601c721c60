package publisher

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// publishTimeout is how long a request to the server may take.
const publishTimeout = 10 * time.Second

// Store stores payloads, and those that could not be processed, on the store connection.
type Store struct {
	*Connection
	names      Names
	maxBody    int
	replicas   int
	keeps      atomic.Pointer[keeping]
	isOpen     bool     // the streams were made or updated at the start
	durables   registry // consumers of this process
	pulls      pulls
	turn       sync.Mutex    // held by the goroutine that starts the next pull or restarts deliveries
	pulling    sync.Mutex    // held while payloads are pulled
	delivered  deliveries    // to this process, lately
	epoch      atomic.Uint64 // incremented when deliveries restart; earlier pulls are dropped
	unaligned  lowest        // sequence at which payloads were lost, and consumers must continue
	tried      atomic.Uint64 // sequence up to which payloads were delivered before deliveries were restarted
	returned   atomic.Int64  // payloads that this process has tried once in vain, and whose second attempt is not due
	payloadLog jetstream.Stream
	histories  histories        // of the log
	polls      jetstream.Stream // timers and due watches
	starts     jetstream.Stream // idempotency keys
	tombstones jetstream.Stream // erased verifications
	erased     erasedVerifications
	erasures   erasures                                  // the record of erasures that was read last
	recorded   map[kycbridge.AccountKey]retentionMessage // by this process
	legalHolds jetstream.Stream                          // verifications that must not be erased
	shelves    map[kycbridge.Shelf]jetstream.Stream
	payloads   *committer
	quarantine *committer
	refusals   *committer
	index      index
	recent     recentIDs // of the log
	access     accessLog
	sealer     *sealer
	ledger     jetstream.Stream // the tamper-evident log
	salted     bool             // payloads get a salt for their leaf
	keyWarning rateLimitedWarning
	refused    chan refusedPayload
	refusing   sync.WaitGroup
	dropped    atomic.Int64 // refused callbacks that were not stored
}

// keeping is how long messages are kept.
type keeping struct {
	retention kycbridge.Retention
	wanted    []stream // the required configuration, which follows from it
}

func (s *Store) keep(r kycbridge.Retention) {
	wanted := storeStreams(s.names, s.maxBody, s.replicas, r)
	for i := range wanted {
		wanted[i].lengthens = s.isOpen
	}
	s.keeps.Store(&keeping{r, wanted})
}

// KeepLonger applies a retention of payloads that is longer than the one in use: what belongs to a payload, such as its
// disposition, must not expire before it. The streams are updated soon. A shorter one applies at the next start: an
// account that is missing from the configuration by mistake would lose that at once.
func (s *Store) KeepLonger(r kycbridge.Retention) {
	const class = kycbridge.ClassPayloads
	was, is := s.retention().Longest(class), r.Longest(class)
	if was > 0 && (is == 0 || is > was) {
		s.keep(r)
		s.requestCheck()
	}
}

// retention is how long messages are kept.
func (s *Store) retention() kycbridge.Retention { return s.keeps.Load().retention }

// wanted is the required configuration of the streams.
func (s *Store) wanted() []stream { return s.keeps.Load().wanted }

// OpenStore creates or updates the streams of the store and opens them.
func OpenStore(
	ctx context.Context, c *Connection, names Names, maxBody, replicas int, retention kycbridge.Retention,
) (*Store, error) {
	s := &Store{Connection: c, names: names, maxBody: maxBody, replicas: replicas,
		shelves: map[kycbridge.Shelf]jetstream.Stream{}, recorded: map[kycbridge.AccountKey]retentionMessage{}}
	s.keep(retention)
	if c.lifted == nil { // a repeated attempt continues
		c.lifted = map[string]uint64{}
	}
	if err := c.open(ctx, s.wanted()); err != nil {
		return nil, err
	}
	s.isOpen = true
	s.keep(retention)
	var quarantine, refused, keyPages jetstream.Stream
	for name, stream := range map[string]*jetstream.Stream{
		names.payloads(): &s.payloadLog, names.polls(): &s.polls, names.starts(): &s.starts,
		names.tombstones(): &s.tombstones, names.holds(): &s.legalHolds, names.quarantine(): &quarantine,
		names.refused(): &refused, names.index(): &s.index.stream, names.keyPages(): &keyPages, names.ledger(): &s.ledger,
	} {
		err := retryUntilReady(ctx, func(ctx context.Context) (err error) {
			*stream, err = c.reader(ctx, name)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	s.shelves[kycbridge.ShelfPayloads], s.shelves[kycbridge.ShelfQuarantine], s.shelves[kycbridge.ShelfRefused] =
		s.payloadLog, quarantine, refused
	s.index.open()
	s.sealer = newSealer(newPages(c, names, keyPages))
	if err := s.noteLifted(ctx); err != nil {
		return nil, err
	}
	c.erasing = s.recordErasing
	s.payloads, s.quarantine, s.refusals, s.index.writes =
		newCommitter(c, names.payloads()), newCommitter(c, names.quarantine()), newCommitter(c, names.refused()),
		newCommitter(c, names.index())
	s.startAccessLog()
	s.refused = make(chan refusedPayload, refusedWaiting)
	for range refusedAtOnce {
		s.refusing.Go(s.keepRefused)
	}
	return s, nil
}

// noteLifted records that messages which the server removed because of the age limit of a stream are not missing. That
// limit was removed by this process.
func (s *Store) noteLifted(ctx context.Context) error {
	for name, first := range s.lifted {
		if err := s.setFront(ctx, name, max(first, 1)-1); err != nil {
			return err
		}
		delete(s.lifted, name)
	}
	return nil
}

// Close ends publishing and the connection. Later refusals are not stored.
func (s *Store) Close() {
	s.closeAccessLog()
	s.refusals.Close()
	s.refusing.Wait()
	s.payloads.Close()
	s.quarantine.Close()
	s.index.writes.Close()
	s.sealer.close()
	s.erased.retries.Wait()
	s.Connection.Close()
}

// Ready reports whether the store is available and its last write succeeded.
func (s *Store) Ready(ctx context.Context) error {
	for _, stream := range s.Streams() { // a payload needs most of them on its way to its event
		if err := s.disk.unready(stream); err != nil {
			return err
		}
	}
	if err := cmp.Or(s.payloads.health.fault("the last write"), s.quarantine.health.fault("the last write")); err != nil {
		return err
	}
	return s.ready(ctx, s.names.payloads())
}

// FailingFor is how long all writes have failed; 0 if the last one succeeded.
func (s *Store) FailingFor() time.Duration {
	return max(s.payloads.health.failingFor(), s.quarantine.health.failingFor())
}
