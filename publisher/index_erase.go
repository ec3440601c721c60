package publisher

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"kycbridge"
	"kycbridge/publisher/segments"
)

const (
	// indexRewritten is the number of segments that one change of an erasure writes again.
	indexRewritten = 8
	// unindexAtOnce is the number of verifications whose entries are erased together.
	unindexAtOnce = 64
)

// Unindex erases the index entries of a verification and returns how many there were. When it returns, no readable
// entry of the verification is left in the files of the store.
func (s *Store) Unindex(ctx context.Context, k kycbridge.Key) (n int, err error) {
	o, ok := ownerOf(k.VerificationID)
	if !ok {
		return 0, nil
	}
	if n, err = s.unindex(ctx, []owner{o}); err != nil {
		return n, fmt.Errorf("erase ids: %w", err)
	}
	return n, nil
}

// unindex erases the entries of verifications and returns the number of erased ids and places. The keys of earlier
// manifests are erased in any case: an earlier erasure may have been interrupted before this step.
func (s *Store) unindex(ctx context.Context, owners []owner) (int, error) {
	erased := map[segments.Key]bool{}
	for more := true; more; {
		err := s.searchIndex(ctx, func(m *manifest) (err error) {
			more, err = s.unindexStep(ctx, m, owners, erased)
			return err
		})
		switch {
		case errors.Is(err, errIndexRestarted):
			return len(erased), nil // the whole index is erased
		case errors.Is(err, errIndexChanged):
			more = true
		case err != nil:
			return len(erased), err
		}
	}
	return len(erased), s.eraseSecrets(ctx)
}

// unindexStep erases entries from some segments. An erasure finds the entries of ids through the entries of owners. So
// the entries of owners are erased in the same change as the last entries of ids, or later: an interrupted erasure can
// be repeated, and no indexer can write between the two.
func (s *Store) unindexStep(
	ctx context.Context, m *manifest, owners []owner, erased map[segments.Key]bool,
) (more bool, err error) {
	load := func(part segments.Segment) (segments.Body, error) { return s.cachedSegment(ctx, part) }
	ofOwners, ids, err := entriesOfOwners(m, owners, load)
	if err != nil || len(ofOwners) == 0 {
		return false, err
	}
	c := s.changeIndex(ctx, m, load)
	more, err = c.Erase(ids, indexRewritten)
	if err == nil && !more {
		more, err = c.Erase(ofOwners, indexRewritten)
	}
	if err != nil {
		return false, err
	}
	if _, err = s.commitIndex(ctx, m, c, true); err != nil {
		return false, err
	}
	for _, key := range ofOwners {
		erased[key] = true
	}
	return more, nil
}

// entriesOfOwners are the keys of the entries of verifications, and of the entries by which their ids are found, both
// sorted. Expired entries are included.
func entriesOfOwners(m *manifest, owners []owner, load segments.Load) (ofOwners, ids []segments.Key, err error) {
	add := func(table byte, o owner) error {
		entries, err := m.Search(segments.Beginning(append([]byte{table}, o[:]...)...), 0, 0, nil, load)
		for _, e := range entries {
			ofOwners = append(ofOwners, e.Key)
		}
		return err
	}
	for _, o := range owners {
		if err := add(ofVerification, o); err != nil {
			return nil, nil, err
		}
	}
	for _, key := range ofOwners {
		if _, k, at := ofOwner(key); k == kindPlace {
			if err := add(ofPlace, placeOf(binary.BigEndian.Uint64(at[4:]))); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, key := range ofOwners {
		if id, ok := idKeyOf(key); ok {
			ids = append(ids, id)
		}
	}
	for _, keys := range [][]segments.Key{ofOwners, ids} {
		slices.SortFunc(keys, func(a, b segments.Key) int { return bytes.Compare(a[:], b[:]) })
	}
	return slices.Compact(ofOwners), slices.Compact(ids), nil
}
