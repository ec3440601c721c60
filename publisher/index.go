package publisher

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// The index maps ids to verifications or payloads. All of it is in the subjects of its stream, which the
// server keeps in memory, so a search reads no body:
//
//	<prefix>.index.our.<4>.<4>.<24>                    our id, in three pieces
//	<prefix>.index.id.<kind>.<8>.<16>.<whole>.<owner>  any other: its first 8 and 16 characters, and all of it
//	<prefix>.index.at.<owner>.<place>                  a payload in quarantine that names its verification
//	<prefix>.index.key, .position                      the key of the digests; how far the index has come
//
// A reference may be personal, so the pieces of an id are digests under a key that is stored in the
// stream. The owner is the verification, or the position of a payload in quarantine.
const (
	indexBeginning = 8  // minimum number of characters of a searched prefix
	indexLonger    = 16 // length of the second prefix, for ids with the same beginning
	indexOurs      = 4  // characters of an internal id, which are effectively random
	indexLongest   = 1024
	// indexMost is the maximum number of entries that are read for one prefix.
	indexMost = 64
	keySize   = 32
)

// index is the index state of a store.
type index struct {
	stream jetstream.Stream
	writes *committer
	mu     sync.Mutex
	key    []byte // nil: not read yet
}

// kindTokens are the subject tokens of the kinds of ids that are stored as digests.
var kindTokens = map[kycbridge.IndexKind]string{kycbridge.IndexExternal: "e", kycbridge.IndexReference: "r",
	kycbridge.IndexPayload: "p"}

// indexSubject is the subject of an index entry.
func (s *Store) indexSubject(key []byte, kind kycbridge.IndexKind, id, owner string) string {
	begin, longer, whole := digests(key, id)
	return s.names.join("index.id", kindTokens[kind], begin, longer, whole, owner)
}

// ourSubject is the index subject of an internal id; "" if it is none.
func (s *Store) ourSubject(verificationID string) string {
	h := strings.ReplaceAll(verificationID, "-", "")
	if len(h) != 2*16 || !token(h) {
		return ""
	}
	return s.names.join("index.our", h[:indexOurs], h[indexOurs:2*indexOurs], h[2*indexOurs:])
}

// digests are the digests of the two prefixes of an id and of the whole, ignoring case.
func digests(key []byte, id string) (begin, longer, whole string) {
	id = strings.ToLower(id)
	id = id[:min(len(id), indexLongest)]
	return digest(key, "begin", id[:min(len(id), indexBeginning)], 3),
		digest(key, "longer", id[:min(len(id), indexLonger)], 3),
		digest(key, "whole", id, 6)
}

// digest is the keyed digest of a piece of an id, size bytes, encoded for a subject.
func digest(key []byte, piece, text string, size int) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(piece + "\x00" + text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:size])
}

// ownerOf is a verification as the owner token of an id; "" if there is none.
func ownerOf(verificationID string) string {
	raw, err := hex.DecodeString(strings.ReplaceAll(verificationID, "-", ""))
	if err != nil || len(raw) != 16 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// placeOf is a position in quarantine as the owner token of an id.
func placeOf(seq uint64) string { return "q" + strconv.FormatUint(seq, 10) }

// placeAt reads a position in quarantine.
func placeAt(owner string) (seq uint64, ok bool) {
	number, isPlace := strings.CutPrefix(owner, "q")
	seq, err := strconv.ParseUint(number, 10, 64)
	return seq, isPlace && err == nil
}

// indexedAt reads an entry of the index from its subject.
func indexedAt(subject string) (e kycbridge.Indexed, ok bool) {
	tokens := strings.Split(subject, ".")
	n := len(tokens)
	if n >= 5 && tokens[n-4] == "our" {
		e.Kind, e.VerificationID = kycbridge.IndexVerification, dashed(tokens[n-3]+tokens[n-2]+tokens[n-1])
		return e, e.VerificationID != ""
	}
	if n < 7 || tokens[n-6] != "id" {
		return e, false
	}
	for kind, token := range kindTokens {
		if token == tokens[n-5] {
			e.Kind = kind
		}
	}
	owner := tokens[n-1]
	if raw, err := base64.RawURLEncoding.DecodeString(owner); err == nil && len(raw) == 16 {
		e.VerificationID = dashed(hex.EncodeToString(raw))
		return e, e.Kind != ""
	}
	seq, ok := placeAt(owner)
	e.Shelf, e.Seq = kycbridge.ShelfQuarantine, seq
	return e, e.Kind != "" && ok
}

// dashed formats 32 hexadecimal digits as a UUID; "" if they are none.
func dashed(h string) string {
	if len(h) != 32 {
		return ""
	}
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Indexed returns the candidates with an id, or with an id that begins with text. The index holds no ids,
// so the caller compares them. kycbridge.ErrAmbiguous means that too many begin with text.
func (s *Store) Indexed(ctx context.Context, text string, beginning bool) ([]kycbridge.Indexed, error) {
	key, err := s.indexKey(ctx)
	if err != nil {
		return nil, err
	}
	var found []kycbridge.Indexed
	for _, filter := range s.indexFilters(key, text, beginning) {
		subjects, err := s.indexSubjects(ctx, filter, beginning)
		if err != nil {
			return nil, fmt.Errorf("look up an id: %w", err)
		}
		for _, subject := range subjects {
			if e, ok := indexedAt(subject); ok {
				found = append(found, e)
			}
		}
	}
	return found, nil
}

// indexSubjects are the subjects of the index that a filter matches. The few subjects of a whole id come
// from the server's subject index. Many ids can share a prefix: their messages are requested with a limit,
// at the cost of reading them.
func (s *Store) indexSubjects(ctx context.Context, filter string, beginning bool) (subjects []string, err error) {
	if beginning {
		err = s.newestOf(ctx, s.names.index(), filter, indexMost, func(raw *jetstream.RawStreamMsg) error {
			subjects = append(subjects, raw.Subject)
			return nil
		})
		return subjects, err
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	info, err := s.index.stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(info.State.Subjects)), nil
}

// indexFilters are the filters that match an id, or the ids that begin with it.
func (s *Store) indexFilters(key []byte, text string, beginning bool) (filters []string) {
	begin, longer, whole := digests(key, text)
	if !beginning {
		return []string{s.names.join("index.id.*", begin, longer, whole, "*")}
	}
	ours := strings.ReplaceAll(strings.ToLower(text), "-", "")
	if isHex(ours) && len(ours) >= indexOurs && len(ours) <= 32 {
		second := "*"
		if len(ours) >= 2*indexOurs {
			second = ours[indexOurs : 2*indexOurs]
		}
		filters = append(filters, s.names.join("index.our", ours[:indexOurs], second, "*"))
	}
	switch {
	case len(text) >= indexLonger:
		filters = append(filters, s.names.join("index.id.*", begin, longer, "*.*"))
	case len(text) >= indexBeginning:
		filters = append(filters, s.names.join("index.id.*", begin, "*.*.*"))
	}
	return filters
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// QuarantinedOf are the positions in quarantine of payloads that name a verification.
func (s *Store) QuarantinedOf(ctx context.Context, verificationID string) (places []uint64, err error) {
	owner := ownerOf(verificationID)
	if owner == "" {
		return nil, nil
	}
	subjects, err := s.indexSubjects(ctx, s.names.join("index.at", owner, "*"), false)
	if err != nil {
		return nil, fmt.Errorf("look for payloads in quarantine: %w", err)
	}
	for _, subject := range subjects {
		if seq, ok := placeAt(subject[strings.LastIndexByte(subject, '.')+1:]); ok {
			places = append(places, seq)
		}
	}
	slices.Sort(places)
	return places, nil
}

// Unindex erases the index entries of a verification and returns how many there were.
func (s *Store) Unindex(ctx context.Context, k kycbridge.Key) (n int, err error) {
	owner, ours := ownerOf(k.VerificationID), s.ourSubject(k.VerificationID)
	if owner == "" || ours == "" {
		return 0, nil
	}
	places, err := s.QuarantinedOf(ctx, k.VerificationID)
	if err != nil {
		return 0, err
	}
	filters := []string{ours, s.names.join("index.id.*.*.*.*", owner)}
	for _, seq := range places {
		filters = append(filters, s.names.join("index.id.*.*.*.*", placeOf(seq)))
	}
	for _, filter := range append(filters, s.names.join("index.at", owner, "*")) {
		erased, err := s.eraseEntries(ctx, filter)
		n += erased
		if err != nil {
			return n, err
		}
	}
	if n == 0 {
		return 0, nil
	}
	return n, s.disk.flushAll(ctx)
}

// eraseEntries erases the entries that a filter matches.
func (s *Store) eraseEntries(ctx context.Context, filter string) (n int, err error) {
	var entries []uint64
	note := func(raw *jetstream.RawStreamMsg) error { entries = append(entries, raw.Sequence); return nil }
	if err := s.newestOf(ctx, s.names.index(), filter, mostOfOne, note); err != nil {
		return 0, fmt.Errorf("look for ids: %w", err)
	}
	for n, seq := range entries {
		err := s.index.stream.SecureDeleteMsg(ctx, seq)
		if err != nil && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // already gone
			return n, fmt.Errorf("erase id: %w", err)
		}
	}
	return len(entries), nil
}

// mostOfOne is how many subjects the server lists at once.
const mostOfOne = 1000

// indexKey reads the key of the digests, or creates it.
func (s *Store) indexKey(ctx context.Context) ([]byte, error) {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	if s.index.key != nil {
		return s.index.key, nil
	}
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	for {
		raw, err := s.index.stream.GetLastMsgForSubject(ctx, s.names.join("index.key"))
		if err == nil && len(raw.Data) == keySize {
			s.index.key = raw.Data
			return s.index.key, nil
		}
		seq := uint64(0)
		if err == nil {
			seq = raw.Sequence // written by another program
		} else if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, fmt.Errorf("read the key of the index: %w", err)
		}
		key := make([]byte, keySize)
		_, _ = rand.Read(key) // never fails
		_, err = s.js.PublishMsg(ctx, &nats.Msg{Subject: s.names.join("index.key"), Data: key},
			jetstream.WithExpectLastSequencePerSubject(seq))
		var refused *jetstream.APIError
		if err != nil && (!errors.As(err, &refused) || !wrongLast(refused)) {
			return nil, fmt.Errorf("make the key of the index: %w", err)
		}
	}
}
