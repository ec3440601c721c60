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

// Unindex erases the index entries of a verification and returns how many there were. When it returns, nothing in
// the files of the store leads from them to the verification any more.
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

// unindex erases the entries of verifications and returns how many ids and places that were. The keys of earlier
// manifests are erased in any case: an erasure may have been interrupted before that.
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

// unindexStep erases entries from some segments. Those by which an erasure finds the others are erased with the last
// of these, or later, so that an interrupted erasure can be repeated, and no indexer can write between the two.
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

// entriesOfOwners are the keys of the entries of verifications, and of those by which their ids are found, both
// sorted. Entries that no longer count are included.
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
