package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"kycbridge"
	"kycbridge/internal/keys"
)

// The keys of bodies are stored in pages, so that the hot path writes one message for many payloads. A page
// is one message: its keys, encrypted with a key of the page, which is wrapped by a master key. A key is
// destroyed by writing the page again without it and erasing the old page.
const (
	headerMaster = "Kyc-Master"  // id of the master key that wraps the key of a page
	headerMade   = "Kyc-Made-At" // of a page that was written again: the time when the server stored its first version

	cachedPages = 512 // maximum number of decrypted pages in memory, 32 KB each at most
)

// page is a page of keys, decrypted.
type page struct {
	shelf   kycbridge.Shelf
	id      string
	seq     uint64 // sequence of the message that holds the page
	made    time.Time
	master  string // id of the master key
	content []byte // keys.Size bytes per slot; a destroyed key is all zero
	altered bool   // it could not be decrypted with the key that the master returned; content is empty
}

// errAltered means that a page is not as it was stored, or that the master returned another key.
var errAltered = errors.New("a page of keys was altered, or the master key returns another key for it")

// storedPage is the body of a page's message.
type storedPage struct {
	Key  []byte `json:"key"`  // key of the page, wrapped by the master key
	Keys []byte `json:"keys"` // keys of bodies, encrypted with the key of the page
}

// slots is the number of keys.
func (p *page) slots() int { return len(p.content) / keys.Size }

// key returns a copy of the key of a slot; nil if it was destroyed or never existed.
func (p *page) key(slot int) []byte {
	if slot < 0 || slot >= p.slots() {
		return nil
	}
	key := p.content[slot*keys.Size : (slot+1)*keys.Size]
	if bytes.Equal(key, make([]byte, keys.Size)) {
		return nil
	}
	return bytes.Clone(key)
}

// destroy removes the key of a slot and reports whether it existed.
func (p *page) destroy(slot int) bool {
	if p.key(slot) == nil {
		return false
	}
	clear(p.content[slot*keys.Size : (slot+1)*keys.Size])
	return true
}

// empty reports whether all keys were destroyed.
func (p *page) empty() bool { return bytes.Equal(p.content, make([]byte, len(p.content))) }

// keyName is the value of headerKey.
func (p *page) keyName(slot int, made uint64) string {
	return p.id + "." + strconv.FormatUint(made, 10) + "." + strconv.Itoa(slot)
}

// parseKeyName splits a value of headerKey.
func parseKeyName(name string) (id string, made uint64, slot int, ok bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 || !token(parts[0]) {
		return "", 0, 0, false
	}
	made, errMade := strconv.ParseUint(parts[1], 10, 64)
	slot, errSlot := strconv.Atoi(parts[2])
	return parts[0], made, slot, errMade == nil && errSlot == nil
}

// pages reads and writes pages.
type pages struct {
	conn   *Connection
	names  Names
	stream jetstream.Stream
	master Master // nil: nothing is encrypted, and nothing can be decrypted
	cache  *lru.Cache[string, *page]
	failed *lru.Cache[string, failure] // pages that could not be opened
}

// failure is why a page could not be opened, and when.
type failure struct {
	err error
	at  time.Time
}

// failureLasts is how long bodies under a page that could not be opened are not tried again: there may be a thousand,
// and a key service may take ten seconds to fail.
const failureLasts = time.Second

func newPages(c *Connection, names Names, stream jetstream.Stream) pages {
	cache, _ := lru.New[string, *page](cachedPages) // fails only for a size below 1
	failed, _ := lru.New[string, failure](cachedPages)
	return pages{conn: c, names: names, stream: stream, cache: cache, failed: failed}
}

// make stores a new page with n random keys durably.
func (g *pages) make(ctx context.Context, shelf kycbridge.Shelf, n int) (*page, error) {
	p := &page{shelf: shelf, id: nuid.Next()}
	for range n {
		p.content = append(p.content, keys.New()...)
	}
	if err := g.put(ctx, p, nil); err != nil {
		return nil, err
	}
	g.cache.Add(g.names.keyPage(shelf, p.id), p)
	return p, nil
}

// put stores p under a new page key, in place of the message before. before is nil for a new page.
func (g *pages) put(ctx context.Context, p *page, before *jetstream.RawStreamMsg) error {
	subject := g.names.keyPage(p.shelf, p.id)
	own := keys.New()
	master, wrapped, err := g.master.Wrap(ctx, own)
	if err != nil {
		return err
	}
	sealed, err := keys.Seal(own, p.content, []byte(subject))
	if err != nil {
		return err
	}
	body, err := json.Marshal(storedPage{Key: wrapped, Keys: sealed})
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{headerMaster: {master}}}
	last := uint64(0)
	if before != nil {
		last = before.Sequence
		m.Header[headerMade] = []string{p.made.Format(time.RFC3339Nano)}
	}
	ack, err := g.conn.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(last))
	if err != nil {
		return fmt.Errorf("store a page of keys: %w", err)
	}
	p.seq, p.master = ack.Sequence, master
	return nil
}

// putAgain stores a page that the stream has lost, unless another process has done so.
func (g *pages) putAgain(ctx context.Context, p *page) error {
	again := *p
	subject := g.names.keyPage(p.shelf, p.id)
	raw, err := g.stream.GetLastMsgForSubject(ctx, subject)
	switch {
	case err == nil:
		again.seq = raw.Sequence
	case errors.Is(err, jetstream.ErrMsgNotFound):
		err = g.put(ctx, &again, nil)
	}
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok && wrongLast(refused) {
		return nil // another process is writing the page; the next check verifies it
	}
	if err == nil {
		g.cache.Add(subject, &again)
	}
	return err
}

// key returns the key with a name; nil if it was destroyed. An error means that the key cannot be read now. It wraps
// errAltered if the page was altered or the master is wrong: a key service that was wrong may be right later, so
// nothing may be decided for good.
func (g *pages) key(ctx context.Context, shelf kycbridge.Shelf, name string) ([]byte, error) {
	id, made, slot, ok := parseKeyName(name)
	if !ok {
		return nil, nil // not written by kycbridge, or altered
	}
	subject := g.names.keyPage(shelf, id)
	if p, ok := g.cache.Get(subject); ok {
		return p.key(slot), nil
	}
	if before, ok := g.failed.Get(subject); ok && time.Since(before.at) < failureLasts {
		return nil, before.err
	}
	p, _, err := g.read(ctx, shelf, id)
	if err == nil && p != nil && p.altered {
		err = errAltered // not cached as a page: it may be readable later
	}
	switch {
	case err != nil:
		if ctx.Err() == nil {
			g.failed.Add(subject, failure{err, time.Now()})
		}
		return nil, err
	case p == nil:
		return nil, g.reaches(ctx, made)
	}
	g.cache.Add(subject, p)
	return p.key(slot), nil
}

// refresh replaces the cached pages up to the end of the stream that are not the newest versions any more. One that
// cannot be decrypted at present stays as it is, because it serves the keys that are left, and done is false: another
// process may have wrapped it with a master key that this one does not have yet.
func (g *pages) refresh(ctx context.Context, end uint64) (done bool, err error) {
	all, err := g.keptPages(ctx)
	if err != nil {
		return false, err
	}
	done = true
	for _, subject := range g.cache.Keys() {
		p, ok := g.cache.Peek(subject)
		if newest := all[subject]; !ok || p.seq > end || newest.seq == p.seq {
			continue
		}
		again, _, err := g.read(ctx, p.shelf, p.id)
		switch {
		case err != nil, again != nil && again.altered:
			done = false
		case again == nil:
			g.cache.Remove(subject)
		default:
			g.cache.Add(subject, again)
		}
	}
	return done, nil
}

// isDestroyed reports whether a key was destroyed, by any process. An error means that this is not known now: nothing
// may be removed for it, and a cached page stays, because it serves the keys that are left.
func (g *pages) isDestroyed(ctx context.Context, shelf kycbridge.Shelf, name string) (bool, error) {
	id, made, slot, ok := parseKeyName(name)
	if !ok {
		return true, nil
	}
	p, _, err := g.read(ctx, shelf, id)
	switch {
	case err != nil:
		return false, err
	case p == nil:
		return true, g.reaches(ctx, made)
	case p.altered:
		return false, errAltered
	}
	g.cache.Add(g.names.keyPage(shelf, id), p)
	return p.key(slot) == nil, nil
}

// destroyed reports whether the cached page of a key shows that the key was destroyed.
func (g *pages) destroyed(shelf kycbridge.Shelf, name string) bool {
	id, _, slot, _ := parseKeyName(name)
	p, ok := g.cache.Get(g.names.keyPage(shelf, id))
	return ok && p.key(slot) == nil
}

// read reads the newest version of a page from the leader, and its message; nil if the page does not exist.
func (g *pages) read(ctx context.Context, shelf kycbridge.Shelf, id string) (*page, *jetstream.RawStreamMsg, error) {
	ctx, cancel := g.conn.whileUp(ctx)
	defer cancel()
	raw, err := g.stream.GetLastMsgForSubject(ctx, g.names.keyPage(shelf, id))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read a page of keys: %w", err)
	}
	p, err := g.open(ctx, shelf, id, raw)
	return p, raw, err
}

// open decrypts a page. For an altered page it returns a page without keys.
func (g *pages) open(
	ctx context.Context, shelf kycbridge.Shelf, id string, raw *jetstream.RawStreamMsg,
) (*page, error) {
	p := &page{shelf: shelf, id: id, seq: raw.Sequence, made: raw.Time, master: raw.Header.Get(headerMaster)}
	if at, err := time.Parse(time.RFC3339Nano, raw.Header.Get(headerMade)); err == nil {
		p.made = at
	}
	var held storedPage
	if json.Unmarshal(raw.Data, &held) != nil {
		p.altered = true
		return p, nil
	}
	if g.master == nil {
		return nil, fmt.Errorf("master key %s: %w", p.master, keys.ErrUnknownKey)
	}
	own, err := g.master.Unwrap(ctx, p.master, held.Key)
	if err != nil {
		return nil, err
	}
	p.content, err = keys.Open(own, held.Keys, []byte(raw.Subject))
	if err != nil || len(p.content)%keys.Size != 0 {
		p.content, p.altered = nil, true
	}
	return p, nil
}

// lostKeysError means that the stream of keys ends before the page of a key.
type lostKeysError struct {
	stream     string
	last, page uint64
}

// Error says what to do.
func (e *lostKeysError) Error() string {
	return fmt.Sprintf("keys of stored bodies are gone: stream %s ends at message %d, and this key is in message %d. "+
		"It was deleted, or replaced by an older copy; a server of a cluster that has just started may only be late. "+
		"Restore %s from its backup before more payloads arrive: without it these bodies can never be read again. "+
		"Events are not affected", e.stream, e.last, e.page, e.stream)
}

// reaches returns an error while the stream of pages ends before a page that was stored: a server that has
// just become the leader may not have applied it yet.
func (g *pages) reaches(ctx context.Context, seq uint64) error {
	last, err := g.conn.newest(ctx, g.names.keyPages())
	if err != nil {
		return err
	}
	if last < seq {
		return &lostKeysError{stream: g.names.keyPages(), last: last, page: seq}
	}
	return nil
}

// rewrite changes a page and stores it again, unless change reports that nothing changed. The bytes of the old
// version are erased. A missing page is no error. An altered one stays, with errAltered: it looks empty, and if the
// master is wrong, it is whole.
func (g *pages) rewrite(ctx context.Context, shelf kycbridge.Shelf, id string, change func(*page) bool) error {
	for {
		p, raw, err := g.read(ctx, shelf, id)
		if err != nil || p == nil {
			return err
		}
		if p.altered {
			return errors.Join(errAltered, g.eraseBefore(ctx, raw.Subject, raw.Sequence))
		}
		if !change(p) {
			return g.eraseBefore(ctx, raw.Subject, raw.Sequence) // an interrupted run may have left an older version
		}
		if p.empty() {
			g.cache.Remove(raw.Subject)
			return g.eraseBefore(ctx, raw.Subject, raw.Sequence+1)
		}
		err = g.put(ctx, p, raw)
		if refused, ok := errors.AsType[*jetstream.APIError](err); ok && wrongLast(refused) && ctx.Err() == nil {
			continue // another process has just written it
		}
		if err != nil {
			return err
		}
		g.cache.Add(raw.Subject, p)
		return g.eraseBefore(ctx, raw.Subject, p.seq)
	}
}

// eraseBefore overwrites the versions of a page before a sequence.
func (g *pages) eraseBefore(ctx context.Context, subject string, before uint64) error {
	_, err := g.conn.eraseAll(ctx, g.stream, subject, func(raw *jetstream.RawStreamMsg) bool {
		return raw.Sequence < before
	})
	if err != nil {
		return fmt.Errorf("erase a page of keys: %w", err)
	}
	return nil
}
