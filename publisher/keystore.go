package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// MasterKey is a master key that wraps pages of keys in the store.
type MasterKey struct {
	ID    string `json:"id"`    // as in the configuration
	Pages int    `json:"pages"` // number of pages that it wraps

	newest uint64 // the newest of these pages
}

// keptPage describes the newest stored version of a page.
type keptPage struct {
	shelf  kycbridge.Shelf
	id     string
	seq    uint64
	made   time.Time
	master string
	older  bool // an older version is in the store as well
}

// keptPages lists all pages.
func (g *pages) keptPages(ctx context.Context) (map[string]keptPage, error) {
	all := map[string]keptPage{}
	o := scanOptions{headers: true}
	err := g.conn.scanAll(ctx, g.names.keyPages(), o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		tokens := strings.Split(m.Subject(), ".")
		if n := len(tokens); n > 2 && m.Headers().Get(headerMaster) != "" {
			p := keptPage{shelf: kycbridge.Shelf(tokens[n-2]), id: tokens[n-1], seq: meta.Sequence.Stream,
				made: meta.Timestamp, master: m.Headers().Get(headerMaster)}
			if at, err := time.Parse(time.RFC3339Nano, m.Headers().Get(headerMade)); err == nil {
				p.made = at
			}
			_, p.older = all[m.Subject()]
			all[m.Subject()] = p
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the pages of keys: %w", err)
	}
	return all, nil
}

// MasterKeys lists the master keys that wrap keys of stored bodies, by id.
func (s *Store) MasterKeys(ctx context.Context) ([]MasterKey, error) {
	all, err := s.sealer.pages.keptPages(ctx)
	if err != nil {
		return nil, err
	}
	byID := map[string]MasterKey{}
	for _, p := range all {
		m := byID[p.master]
		byID[p.master] = MasterKey{ID: p.master, Pages: m.Pages + 1, newest: max(m.newest, p.seq)}
	}
	var out []MasterKey
	for _, m := range byID {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b MasterKey) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Opens returns an error if a master cannot unwrap the newest page of a master key that MasterKeys has listed.
func (s *Store) Opens(ctx context.Context, m MasterKey, with Master) error {
	return s.sealer.pages.try(ctx, m, with)
}

// try unwraps one page of a master key. The error is a MasterError if that master cannot do it.
func (g *pages) try(ctx context.Context, m MasterKey, with Master) error {
	ctx, cancel := g.conn.whileUp(ctx)
	defer cancel()
	var raw *jetstream.RawStreamMsg
	err := readUntilReady(ctx, func() (err error) {
		raw, err = g.stream.GetMsg(ctx, m.newest)
		return err
	})
	if err != nil {
		return fmt.Errorf("read a page of keys: %w", err)
	}
	trial := *g
	trial.master = with
	if _, err = trial.open(ctx, "", "", raw); err != nil {
		return &MasterError{err}
	}
	return nil
}

// MasterError means that keys of stored bodies cannot be unwrapped with a master key.
type MasterError struct{ err error }

func (e *MasterError) Error() string { return e.err.Error() }

func (e *MasterError) Unwrap() error { return e.err }

// Rotation counts the pages that RotateKeys has wrapped again, or would wrap again without dryRun.
type Rotation struct {
	Master  string `json:"master_key"` // id of the current master key
	Pages   int    `json:"pages"`      // all pages
	Rotated int    `json:"rotated"`    // pages that another master key had wrapped before
}

// RotateKeys wraps all pages that another master key wraps with the current one. Bodies are not changed. It
// can be interrupted and run again, also while other processes use the store. Pages that were altered stay as they are,
// and are an error at the end.
func (s *Store) RotateKeys(ctx context.Context, dryRun bool, progress func(done, all int)) (Rotation, error) {
	g := &s.sealer.pages
	if g.master == nil {
		return Rotation{}, fmt.Errorf("rotate: %w", ErrNoKey)
	}
	current, _, err := g.master.Wrap(ctx, make([]byte, 32)) // only its id is used
	if err != nil {
		return Rotation{}, fmt.Errorf("rotate: %w", err)
	}
	all, err := g.keptPages(ctx)
	out := Rotation{Master: current, Pages: len(all)}
	if err != nil {
		return out, err
	}
	done, altered := 0, 0
	for _, p := range all {
		if done++; progress != nil {
			progress(done, len(all))
		}
		if p.master == current && !p.older {
			continue
		}
		if !dryRun {
			err = g.rewrite(ctx, p.shelf, p.id, func(p *page) bool { return p.master != current })
		}
		switch {
		case errors.Is(err, errAltered):
			altered++
		case err != nil:
			return out, fmt.Errorf("rotate: %w", err)
		case p.master != current:
			out.Rotated++
		}
	}
	if altered > 0 {
		return out, fmt.Errorf("rotate: %w (%d of %d pages). They were left as they are: keep the old master key, and check "+
			"the key service, or restore %s from its backup", errAltered, altered, len(all), g.names.keyPages())
	}
	return out, nil
}

// sweepSlack is how long after the creation of its page a key may still be used for a payload, with a reserve:
// keys of a page are given out for pageLife, and a payload may wait before it is stored.
const sweepSlack = 2 * pageLife

// SweepKeys removes the pages whose payloads have all expired, and returns how many. They are selected by times that
// the server has recorded, which are wrong if its clock was. So a page that a stored message names stays. It also
// overwrites older versions of pages, which contain destroyed keys: a process was killed after it had written the
// version without them.
func (s *Store) SweepKeys(ctx context.Context) (int, error) {
	g := &s.sealer.pages
	all, err := g.keptPages(ctx)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	for subject, p := range all {
		if p.older {
			if err := g.eraseBefore(ctx, subject, p.seq); err != nil {
				return 0, err
			}
		}
	}
	swept := 0
	for shelf := range s.sealer.shelves {
		old, err := s.oldPages(ctx, shelf, all)
		if err != nil {
			return swept, err
		}
		for subject, p := range old {
			g.cache.Remove(subject)
			if err := g.eraseBefore(ctx, subject, p.seq+1); err != nil {
				return swept, err
			}
			swept++
		}
	}
	return swept, nil
}

// oldPages are those pages of a shelf that are older than all of its messages and that none of them names. If it has
// no messages, they are those that were old at the time of the server.
func (s *Store) oldPages(
	ctx context.Context, shelf kycbridge.Shelf, all map[string]keptPage,
) (map[string]keptPage, error) {
	name, err := s.shelf(shelf)
	if err != nil {
		return nil, err
	}
	stream, err := s.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", name, err)
	}
	info := stream.CachedInfo()
	oldest := info.State.FirstTime
	if info.State.Msgs == 0 {
		oldest = info.TimeStamp
	}
	old := map[string]keptPage{}
	for subject, p := range all {
		until := p.made.Add(sweepSlack)
		if p.shelf == shelf && until.Before(oldest) && until.Before(time.Now()) {
			old[subject] = p
		}
	}
	if len(old) == 0 {
		return nil, nil
	}
	err = s.scanAll(ctx, name, scanOptions{headers: true}, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		if id, _, _, ok := parseKeyName(m.Headers().Get(headerKey)); ok {
			delete(old, s.names.keyPage(shelf, id))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for keys in use: %w", err)
	}
	return old, nil
}
