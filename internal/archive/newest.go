package archive

import (
	"context"
	"fmt"
	"time"

	"kycbridge"
)

// Newest reads the newest payloads of a shelf, see publisher.Store.NewestKept.
type Newest interface {
	NewestKept(
		ctx context.Context,
		q kycbridge.KeptQuery,
		before uint64,
		take func(kycbridge.Kept) bool,
	) (next uint64, err error)
}

// NewestEvents reads the newest events of the stream, see publisher.Bus.NewestEvents.
type NewestEvents interface {
	NewestEvents(
		ctx context.Context,
		provider, account string,
		before uint64,
		take func(kycbridge.PublishedEvent) bool,
	) (next uint64, err error)
	Last(ctx context.Context, k kycbridge.Key, fresh bool) (kycbridge.State, error)
}

// Sessions reads open sessions with their next poll.
type Sessions interface {
	Sessions(ctx context.Context, from uint64, take func(kycbridge.Session) bool) (next uint64, err error)
	Session(ctx context.Context, k kycbridge.Key) (*kycbridge.Session, error)
}

// Page returns the newest payloads that f selects, n at most, before a sequence of their shelf (0: from
// the end). f selects one shelf by its status or reason. Only a limited number of payloads is read, so a
// page may hold fewer. next is the sequence before which the next page continues; 0: nothing is older.
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

// EntryOf is a stored payload as a list entry.
func (a *Archive) EntryOf(k kycbridge.Kept) Entry { return a.entryOf(k) }

// At reads one payload by its status and sequence, as in list entries.
func (a *Archive) At(ctx context.Context, status string, seq uint64) (kycbridge.Kept, error) {
	f := Filter{Status: status}
	if err := f.Check(); err != nil || status == "" {
		return kycbridge.Kept{}, fmt.Errorf("there is no status %q: %w", status, kycbridge.ErrNotFound)
	}
	return a.Shelves.KeptAt(ctx, f.shelves()[0], seq)
}

// VerificationFilter selects verifications by their last event. Empty fields match everything.
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

// Verifications returns the last events of verifications, the newest first, n at most, before a sequence
// of the event stream (0: from the end). Like Page it reads a limited number of events.
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
