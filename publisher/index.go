package publisher

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/publisher/segments"
)

// The index maps ids to verifications or payloads. It is a set of sorted entries in a few messages of its stream
// (decision 62), so it needs very little memory in the server. The first byte of an entry is a table:
//
//	byID            digests of an id, kind, owner
//	ofPlace         position in quarantine, kind, digests of an id
//	ofVerification  verification, kind, digests of an id, or a position in quarantine, or nothing
//
// A reference may be personal data, so an entry holds keyed digests of the parts of an id; the key is stored in the
// index. The owner is a verification, or a position in quarantine. An erasure finds all entries of an owner in the
// tables ofPlace and ofVerification.
const (
	byID           = 'i'
	ofPlace        = 'q'
	ofVerification = 'v'
)

const (
	indexBeginning = 8  // minimum number of characters of a searched prefix
	indexLonger    = 16 // length of the second prefix, for ids with the same beginning
	indexOurs      = 4  // minimum number of characters of an internal id; these are effectively random
	indexLongest   = 1024
	// indexMost is the maximum number of entries that are read for one prefix.
	indexMost = 64
)

// kind is the kind of an id in an entry.
type kind byte

const (
	kindExternal    kind = 'e'
	kindReference   kind = 'r'
	kindPayload     kind = 'p'
	kindQuarantined kind = 'q' // the id of a payload in quarantine; its owner is a position
	kindOurs        kind = 'o' // a verification itself, whose id is the owner
	kindPlace       kind = 'a' // a payload in quarantine that names the verification; no id
)

// indexKinds are the kinds of ids that a search returns.
var indexKinds = map[kind]kycbridge.IndexKind{kindExternal: kycbridge.IndexExternal,
	kindReference: kycbridge.IndexReference, kindPayload: kycbridge.IndexPayload,
	kindQuarantined: kycbridge.IndexPayload, kindOurs: kycbridge.IndexVerification}

// owner is a verification, or a position in quarantine.
type owner [16]byte

// digest is the part of an entry that is derived from an id: keyed digests of its first 8 characters, of its first
// 16, and of the whole id, 4 bytes each. It may hold a position in quarantine instead.
type digest [12]byte

const (
	digestBegin  = 4 // bytes of the digest of the first 8 characters
	digestLonger = 8 // and of the first 16
)

// digester makes the digests of ids with one key. It is for one goroutine at a time.
type digester struct{ mac hash.Hash }

func newDigester(key segments.Secret) *digester { return &digester{hmac.New(sha256.New, key[:])} }

// of makes the digests of an id, ignoring case.
func (g *digester) of(id string) (d digest) {
	id = strings.ToLower(id)
	id = id[:min(len(id), indexLongest)]
	g.put(d[:digestBegin], "begin", id[:min(len(id), indexBeginning)])
	g.put(d[digestBegin:digestLonger], "longer", id[:min(len(id), indexLonger)])
	g.put(d[digestLonger:], "whole", id)
	return d
}

func (g *digester) put(to []byte, piece, text string) {
	var sum [sha256.Size]byte
	g.mac.Reset()
	g.mac.Write([]byte(piece + "\x00" + text))
	copy(to, g.mac.Sum(sum[:0]))
}

// idKey is the key of the entry by which an id is found.
func idKey(k kind, d digest, o owner) (key segments.Key) {
	key[0], key[13] = byID, byte(k)
	copy(key[1:], d[:])
	copy(key[14:], o[:])
	return key
}

// ownerKey is the key of the entry by which an id of an owner is found.
func ownerKey(table byte, o owner, k kind, d digest) (key segments.Key) {
	key[0], key[17] = table, byte(k)
	copy(key[1:], o[:])
	copy(key[18:], d[:])
	return key
}

// ofOwner reads the key of an entry of an owner.
func ofOwner(key segments.Key) (o owner, k kind, d digest) {
	return owner(key[1:17]), kind(key[17]), digest(key[18:])
}

// idKeyOf converts the key of an entry of an owner to the key of the entry in byID for the same id; ok is false if
// the entry of the owner contains no id.
func idKeyOf(key segments.Key) (id segments.Key, ok bool) {
	o, k, d := ofOwner(key)
	return idKey(k, d, o), k != kindOurs && k != kindPlace
}

// ownerOf is a verification as an owner; ok is false if the text is not the id of a verification.
func ownerOf(verificationID string) (o owner, ok bool) {
	raw, err := hex.DecodeString(strings.ReplaceAll(verificationID, "-", ""))
	return owner(append(raw, o[:]...)), err == nil && len(raw) == len(o)
}

// verification is the id of the verification that o represents.
func (o owner) verification() string {
	h := hex.EncodeToString(o[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// placeOf encodes a position in quarantine as an owner.
func placeOf(seq uint64) (o owner) {
	binary.BigEndian.PutUint64(o[8:], seq)
	return o
}

// atPlace encodes a position in quarantine as a digest.
func atPlace(seq uint64) (d digest) {
	binary.BigEndian.PutUint64(d[4:], seq)
	return d
}

// indexedAt decodes the verification or the position that an entry points to.
func indexedAt(key segments.Key) kycbridge.Indexed {
	if key[0] == ofVerification {
		o, k, _ := ofOwner(key)
		return kycbridge.Indexed{Kind: indexKinds[k], VerificationID: o.verification()}
	}
	k, o := kind(key[13]), owner(key[14:])
	e := kycbridge.Indexed{Kind: indexKinds[k]}
	if k == kindQuarantined {
		e.Shelf, e.Seq = kycbridge.ShelfQuarantine, binary.BigEndian.Uint64(o[8:])
	} else {
		e.VerificationID = o.verification()
	}
	return e
}

// Indexed returns the candidates whose id is text, or begins with text. The index contains digests and no ids, so the
// caller must compare the ids. kycbridge.ErrAmbiguous means that too many ids begin with text.
func (s *Store) Indexed(ctx context.Context, text string, beginning bool) (found []kycbridge.Indexed, err error) {
	err = s.searchIndex(ctx, func(m *manifest) error {
		found = nil
		for _, r := range searched(m.Digests, text, beginning) {
			most := 0
			if beginning {
				most = indexMost
			}
			entries, err := s.entriesOf(ctx, m, r, most, func(key segments.Key) bool {
				return key[0] == byID || kind(key[17]) == kindOurs
			})
			if err != nil {
				return err
			}
			for _, e := range entries {
				found = append(found, indexedAt(e.Key))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up an id: %w", err)
	}
	return found, nil
}

// searched are the ranges of the entries of an id, or of the ids that begin with it.
func searched(key segments.Secret, text string, beginning bool) (ranges []segments.Range) {
	d := newDigester(key).of(text)
	if !beginning {
		return []segments.Range{segments.Beginning(append([]byte{byID}, d[:]...)...)}
	}
	if r, ok := searchedOurs(text); ok {
		ranges = append(ranges, r)
	}
	switch {
	case len(text) >= indexLonger:
		ranges = append(ranges, segments.Beginning(append([]byte{byID}, d[:digestLonger]...)...))
	case len(text) >= indexBeginning:
		ranges = append(ranges, segments.Beginning(append([]byte{byID}, d[:digestBegin]...)...))
	}
	return ranges
}

// searchedOurs is the range of the verifications whose ids begin with text; ok is false if text cannot be the
// beginning of such an id.
func searchedOurs(text string) (r segments.Range, ok bool) {
	ours := strings.ReplaceAll(strings.ToLower(text), "-", "")
	if len(ours) < indexOurs || len(ours) > 2*len(owner{}) {
		return r, false
	}
	missing := 2*len(owner{}) - len(ours)
	first, ok := ownerOf(ours + strings.Repeat("0", missing))
	last, _ := ownerOf(ours + strings.Repeat("f", missing))
	r = segments.Beginning(append([]byte{ofVerification}, last[:]...)...)
	copy(r.First[1:], first[:])
	return r, ok
}

// QuarantinedOf are the positions in quarantine of payloads that name a verification.
func (s *Store) QuarantinedOf(ctx context.Context, verificationID string) (places []uint64, err error) {
	o, ok := ownerOf(verificationID)
	if !ok {
		return nil, nil
	}
	err = s.searchIndex(ctx, func(m *manifest) error {
		places = nil
		all := segments.Beginning(append(append([]byte{ofVerification}, o[:]...), byte(kindPlace))...)
		entries, err := s.entriesOf(ctx, m, all, 0, nil)
		for _, e := range entries {
			_, _, at := ofOwner(e.Key)
			places = append(places, binary.BigEndian.Uint64(at[4:]))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for payloads in quarantine: %w", err)
	}
	slices.Sort(places)
	return places, nil
}
