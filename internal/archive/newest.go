package archive

import (
	"context"
	"fmt"
	"time"

	"kycbridge"
)

// Newest reads payloads from the newest end of their shelf, see publisher.Store.NewestKept.
type Newest interface {
	NewestKept(
		ctx context.Context,
		q kycbridge.KeptQuery,
		before uint64,
		take func(kycbridge.Kept) bool,
	) (next uint64, err error)
}

// NewestEvents reads events from the newest end of their stream, see publisher.Bus.NewestEvents.
type NewestEvents interface {
	NewestEvents(
		ctx context.Context,
		provider, account string,
		before uint64,
		take func(kycbridge.PublishedEvent) bool,
	) (next uint64, err error)
	Last(ctx context.Context, k kycbridge.Key, fresh bool) (kycbridge.State, error)
}

// Sessions read open sessions with their next look.
type Sessions interface {
	Sessions(ctx context.Context, from uint64, take func(kycbridge.Session) bool) (next uint64, err error)
	Session(ctx context.Context, k kycbridge.Key) (*kycbridge.Session, error)
}

// Page gives the newest payloads that f selects, n at most, from before a sequence of their shelf on (0:
// the end). f names one shelf by its status or reason. Only a bounded number of payloads is looked at, so
// a page may hold fewer. next is before which sequence another page goes on; 0: nothing is older.
func (a *Archive) Page(
	ctx context.Context,
	f Filter,
	before uint64,
	n int,
) (page []kycbridge.Kept, next uint64, err error) {
	if err := f.Check(); err != nil {
		return nil, 0, err
	}
	next, err = a.Newest.NewestKept(ctx, f.query(f.shelves()[0]), before, func(k kycbridge.Kept) bool {
		if f.has(k) {
			page = append(page, k)
		}
		return len(page) < n
	})
	return page, next, err
}

// EntryOf is a kept payload as a listing shows it.
func (a *Archive) EntryOf(k kycbridge.Kept) Entry { return a.entryOf(k) }

// At reads one payload by its status and sequence, as a listing shows them.
func (a *Archive) At(ctx context.Context, status string, seq uint64) (kycbridge.Kept, error) {
	f := Filter{Status: status}
	if err := f.Check(); err != nil || status == "" {
		return kycbridge.Kept{}, fmt.Errorf("there is no status %q: %w", status, kycbridge.ErrNotFound)
	}
	return a.Shelves.KeptAt(ctx, f.shelves()[0], seq)
}

// VerificationFilter selects verifications by their last event. What is empty selects everything.
type VerificationFilter struct {
	Provider, Account string
	Status            string
	Outcome           string
	Since             time.Time // last event at or after
}

func (f VerificationFilter) has(e kycbridge.PublishedEvent) bool {
	return (f.Status == "" || f.Status == string(e.Event.Data.Status)) &&
		(f.Outcome == "" || f.Outcome == string(e.Event.Data.Decision.Outcome))
}

// Verifications gives the last events of verifications, the newest first, n at most, from before a sequence
// of the event stream on (0: the end). Like Page it looks at a bounded number of events.
func (a *Archive) Verifications(
	ctx context.Context, f VerificationFilter, before uint64, n int,
) (page []kycbridge.PublishedEvent, next uint64, err error) {
	seen := map[kycbridge.Key]bool{}
	var failed error
	aged := false
	next, err = a.NewestEvents.NewestEvents(ctx, f.Provider, f.Account, before, func(e kycbridge.PublishedEvent) bool {
		if e.At.Before(f.Since) {
			aged = true
			return false
		}
		if seen[e.Key] {
			return true
		}
		seen[e.Key] = true
		if !f.has(e) {
			return true
		}
		if before > 0 { // an older page: the verification may have a newer event
			last, err := a.NewestEvents.Last(ctx, e.Key, true)
			if err != nil {
				failed = err
				return false
			}
			if last.Seq != e.Seq {
				return true
			}
		}
		page = append(page, e)
		return len(page) < n
	})
	if err == nil {
		err = failed
	}
	if aged {
		next = 0
	}
	return page, next, err
}
