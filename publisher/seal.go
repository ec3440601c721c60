package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge"
	"kycbridge/internal/keys"
)

// Master wraps the keys of stored bodies. Wrap returns the id of the master key that it used; Unwrap receives
// this id.
// An error that wraps keys.ErrUnknownKey means that the master key is not configured.
type Master interface {
	Wrap(ctx context.Context, key []byte) (id string, wrapped []byte, err error)
	Unwrap(ctx context.Context, id string, wrapped []byte) ([]byte, error)
}

// ErrNoKey means that a body cannot be encrypted or decrypted at present: its master key is not configured,
// or the key service or the store does not answer.
var ErrNoKey = errors.New("no key can be had for a stored body")

// headerKey names the key of an encrypted body: page, sequence of the first version of the page, and slot.
const headerKey = "Kyc-Key"

// sealer encrypts the bodies of payloads before they are stored, each with a key of its own, and decrypts
// them. Without a master it encrypts nothing, and encrypted bodies cannot be read.
type sealer struct {
	pages    pages
	life     context.Context // limits the making of pages; ends in close
	end      context.CancelFunc
	shelves  map[kycbridge.Shelf]*dispenser
	failures atomic.Int64

	keeping sync.Mutex // held while the stream of pages is checked
	checked pagesState
}

func newSealer(g pages) *sealer {
	l := &sealer{pages: g, shelves: map[kycbridge.Shelf]*dispenser{}}
	l.life, l.end = context.WithCancel(context.Background())
	for _, shelf := range []kycbridge.Shelf{kycbridge.ShelfPayloads, kycbridge.ShelfQuarantine, kycbridge.ShelfRefused} {
		l.shelves[shelf] = &dispenser{shelf: shelf, life: l.life}
	}
	return l
}

// SealWith makes the store encrypt all bodies from now on. It is called before the store is used.
func (s *Store) SealWith(master Master) {
	s.sealer.pages.master = master
	s.sealer.pages.failed.Purge()
}

// close stops the making of pages and waits for its end.
func (l *sealer) close() {
	l.end()
	for _, d := range l.shelves {
		d.making.Wait()
	}
}

// CheckMaster returns a MasterError if a master, nil for none, cannot unwrap the keys of stored bodies. The error names
// the master key that is needed. Another error means that the keys cannot be read.
func (s *Store) CheckMaster(ctx context.Context, master Master) error {
	var held []MasterKey
	err := readUntilReady(ctx, func() (err error) {
		held, err = s.MasterKeys(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, m := range held {
		err := s.sealer.pages.try(ctx, m, master)
		if _, isOther := errors.AsType[*MasterError](err); isOther {
			return fmt.Errorf("the store contains encrypted payloads whose keys (%d pages) need another master key: %w",
				m.Pages, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keep stores the cached pages of keys again, if the store has lost them: it was emptied, or replaced by an older
// copy, while the process was running. So payloads that were stored since then can be decrypted later. Before that, it
// follows what other processes have changed: a page as it was earlier would bring destroyed keys back.
func (l *sealer) keep(ctx context.Context) error {
	if l.pages.master == nil {
		return nil
	}
	l.keeping.Lock()
	defer l.keeping.Unlock()
	if err := l.follow(ctx); err != nil {
		return fmt.Errorf("keep the pages of keys: %w", err)
	}
	end, err := l.pages.conn.newest(ctx, l.pages.names.keyPages())
	for _, p := range l.pages.cache.Values() {
		if err == nil && p.seq > end { // the stream ends before the page: the page was not erased, but lost
			err = l.pages.putAgain(ctx, p)
		}
	}
	if err != nil {
		return fmt.Errorf("keep the pages of keys: %w", err)
	}
	return nil
}

// pagesState is the state of the stream of pages when it was checked last.
type pagesState struct {
	created time.Time
	end     uint64
	removed uint64 // messages that are gone: a page that is written again replaces its older version
	lost    bool   // the stream has lost pages since the process started
}

// follow reads the cached pages again that other processes have written again, and drops those that they have removed.
// After a loss it changes nothing: what is missing then may be lost.
func (l *sealer) follow(ctx context.Context) error {
	stream, err := l.pages.conn.js.Stream(ctx, l.pages.names.keyPages())
	if err != nil {
		return err
	}
	info, before := stream.CachedInfo(), l.checked
	now := pagesState{created: info.Created, end: info.State.LastSeq, removed: info.State.LastSeq - info.State.Msgs}
	isFirst := before.created.IsZero()
	now.lost = before.lost || !isFirst && (!now.created.Equal(before.created) || now.end < before.end)
	if !now.lost && now.removed != before.removed && l.pages.cache.Len() > 0 {
		done, err := l.pages.refresh(ctx, now.end)
		if err != nil {
			return err
		}
		if !done {
			now.removed = before.removed // again with the next check
		}
	}
	l.checked = now
	return nil
}

// seal encrypts the body of the message of a payload. It encrypts nothing while the stream of keys may lose them,
// because somebody has edited it: without its key the body is lost.
func (s *Store) seal(ctx context.Context, shelf kycbridge.Shelf, m *nats.Msg, p kycbridge.Payload) error {
	if s.sealer.pages.master == nil {
		if s.salted && shelf == kycbridge.ShelfPayloads {
			m.Header[headerSalt] = newSalt()
		}
		return nil
	}
	if err := s.unsafe.of(s.names.keyPages()); err != nil {
		return err
	}
	name, key, err := s.sealer.shelves[shelf].take(ctx, s.sealer.pages.make)
	if err == nil {
		var sealed []byte
		if sealed, err = keys.Seal(key, m.Data, about(p)); err == nil {
			m.Header[headerKey], m.Data = []string{name}, sealed
			return nil
		}
	}
	s.sealer.failures.Add(1)
	return fmt.Errorf("encrypt the body: %w: %w", ErrNoKey, err)
}

// about is the additional data with which a body is encrypted, so that the encrypted body cannot be moved to
// another payload.
func about(p kycbridge.Payload) []byte { return []byte(p.ID + "\n" + p.Digest) }

// unseal decrypts the body of a payload that was read from a shelf. A body whose key was destroyed, that was altered,
// or that cannot be decrypted at present becomes empty: its digest shows that it is not whole. The error wraps
// ErrNoKey: the body may be readable later.
func (s *Store) unseal(ctx context.Context, shelf kycbridge.Shelf, name string, p *kycbridge.Payload) error {
	if name == "" {
		return nil
	}
	sealed := p.Body
	p.Body = nil
	key, err := s.sealer.pages.key(ctx, shelf, name)
	if err != nil {
		s.sealer.failures.Add(1)
		return fmt.Errorf("decrypt the body of a payload: %w: %w", ErrNoKey, err)
	}
	if key == nil {
		return nil
	}
	if body, err := keys.Open(key, sealed, about(*p)); err == nil {
		p.Body = body
	}
	return nil
}

// KeyFailures is how often a body could not be encrypted or decrypted for lack of a key.
func (s *Store) KeyFailures() int64 { return s.sealer.failures.Load() }
