package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// mostUnfinished limits how many messages Unfinished reads.
const mostUnfinished = 10_000

// Erasing records that messages of a shelf are about to be erased, ascending. The removals from the shelf of refused
// callbacks are not recorded: it always has gaps.
func (s *Store) Erasing(ctx context.Context, shelf kycbridge.Shelf, seqs []uint64) error {
	name, err := s.shelf(shelf)
	if err != nil || orPayloads(shelf) == kycbridge.ShelfRefused {
		return err
	}
	return s.recordExpiry(ctx, name, seqs)
}

// Unfinished returns the encrypted messages of a shelf whose erasure was recorded and whose key was destroyed: the
// process was killed before it removed them. Both conditions are needed. A recorded sequence alone may have been used
// again, after its stream became shorter; a key alone may have been lost.
func (s *Store) Unfinished(ctx context.Context, shelf kycbridge.Shelf) (left []kycbridge.Aged, err error) {
	name, err := s.shelf(shelf)
	if err != nil {
		return nil, err
	}
	seqs, err := s.recordedAndThere(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("look for unfinished erasures: %w", err)
	}
	unopened := map[string]bool{} // pages; a key service may take long to fail
	for _, seq := range seqs {
		bounded, cancel := s.whileUp(ctx)
		raw, err := s.shelves[orPayloads(shelf)].GetMsg(bounded, seq)
		cancel()
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return left, fmt.Errorf("look for unfinished erasures: %w", err)
		}
		m := agedMessage(shelf, raw.Subject, raw.Header, seq, s.clocks.here(name, raw.Time))
		page, _, _, _ := parseKeyName(m.Sealed)
		if m.Sealed == "" || unopened[page] {
			continue
		}
		gone, err := s.sealer.pages.isDestroyed(ctx, orPayloads(shelf), m.Sealed)
		unopened[page] = err != nil // a later search finds it
		if gone && err == nil {
			left = append(left, m)
		}
	}
	return left, nil
}

// recordedAndThere are the sequences of a stream that have a message although their erasure was recorded.
func (s *Store) recordedAndThere(ctx context.Context, stream string) (seqs []uint64, err error) {
	erased, _, err := s.Erased(ctx, stream)
	if err != nil {
		return nil, err
	}
	all, err := s.held(ctx, map[kycbridge.Content]string{"": stream})
	if err != nil {
		return nil, err
	}
	for _, h := range all {
		slices.Sort(h.Gone)
		for seq := h.First; seq <= h.Last && seq > 0 && len(seqs) < mostUnfinished; seq++ {
			if _, gone := slices.BinarySearch(h.Gone, seq); !gone && erased(seq) {
				seqs = append(seqs, seq)
			}
		}
	}
	return seqs, nil
}
