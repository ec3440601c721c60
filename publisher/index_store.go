package publisher

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/publisher/segments"
)

// The index in its stream (decision 62):
//
//	<prefix>.index.manifest        names the segments and holds their keys; replaced by compare-and-set
//	<prefix>.index.secret.<name>   the key of the manifest
//	<prefix>.index.segment.<name>  entries, written once
//
// A change is one atomic batch that ends with the manifest. A message that was stored before the manifest and that
// the manifest does not name is not needed any more: the batch of any other change is stored after the manifest, or
// refused. Removed segments and replaced manifests stay in the files of the server for a while. An erasure makes
// them unreadable: it replaces the key of the manifest, and overwrites the old key.
const (
	indexEntries = 4096 // of one segment: 128 KiB
	indexSteps   = 32   // segments that are merged at once, at most
	indexCached  = 128  // segments that searches keep in memory: those of all but the largest runs
	indexReads   = 20   // attempts to read the index between two changes
	// indexMissing is how often a segment must be missing before it counts as lost: a new leader of a cluster may be
	// behind for a moment.
	indexMissing      = 3
	indexMissingPause = 20 * time.Millisecond
	// indexOverhead is the allowance for the parts of a message other than the entries.
	indexOverhead = 1024
)

// index is the index state of a store.
type index struct {
	stream jetstream.Stream
	writes *committer
	sizes  segments.Sizes
	cached *lru.Cache[segments.Name, segments.Body]

	mu   sync.Mutex
	last *manifest // as it was read last
}

// manifest is a state of the index in the stream. It is not changed.
type manifest struct {
	segments.Manifest
	seq    uint64    // 0: no manifest is stored
	at     time.Time // when it was stored
	name   segments.Name
	secret segments.Secret
	known  bool // a manifest is stored, and it was decrypted and is intact
}

// open prepares the use of the stream.
func (x *index) open() {
	largest := indexEntries
	if most := int(x.stream.CachedInfo().Config.MaxMsgSize); most > 0 {
		largest = min(largest, (most-indexOverhead)/32)
	}
	x.sizes = segments.Sizes{Segment: largest, Step: indexSteps * largest}
	x.cached, _ = lru.New[segments.Name, segments.Body](indexCached) // fails for a size below 1 only
}

var (
	// errSegmentMissing means that a segment is not in the stream, or damaged.
	errSegmentMissing = errors.New("a part of the index of ids is missing or damaged")
	// errIndexRestarted means that the index was found damaged.
	errIndexRestarted = errors.New("the index of ids was damaged and is being built again: try again later")
)

// searchIndex calls look with the current manifest, and repeats the call if a segment of the manifest was missing. It
// discards an index whose segments stay missing: the indexer builds it again.
func (s *Store) searchIndex(ctx context.Context, look func(*manifest) error) error {
	missing, seq := 0, uint64(0) // how often a segment of the manifest at seq was missing
	for range indexReads {
		m, err := s.readManifest(ctx)
		if err != nil {
			return err
		}
		if err = look(m); !errors.Is(err, errSegmentMissing) {
			return err
		}
		if m.seq != seq {
			missing, seq = 0, m.seq
		}
		if missing++; missing == indexMissing {
			return s.discardIndex(ctx, m)
		}
		pause(ctx, indexMissingPause)
	}
	return errors.New("the index of ids changes too fast")
}

// discardIndex discards an index that is damaged.
func (s *Store) discardIndex(ctx context.Context, m *manifest) error {
	if err := s.emptyIndex(ctx, m); err != nil && !errors.Is(err, errIndexChanged) {
		return err
	}
	return errIndexRestarted
}

// entriesOf returns the entries of a range that are valid and that keep accepts. If most is not 0 and there are more
// entries than most, it returns kycbridge.ErrAmbiguous.
func (s *Store) entriesOf(
	ctx context.Context, m *manifest, r segments.Range, most int, keep func(segments.Key) bool,
) ([]segments.Entry, error) {
	found, err := m.Search(r, segments.Day(time.Now()), most, keep, func(part segments.Segment) (segments.Body, error) {
		return s.cachedSegment(ctx, part)
	})
	if err == nil && most > 0 && len(found) > most {
		err = kycbridge.ErrAmbiguous
	}
	return found, err
}

// readManifest reads the current manifest; an empty one if none is stored, or if it cannot be decrypted.
func (s *Store) readManifest(ctx context.Context) (*manifest, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	for before := uint64(0); ; {
		raw, err := s.index.stream.GetLastMsgForSubject(ctx, s.names.join("index.manifest"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return &manifest{}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the index of ids: %w", err)
		}
		s.index.mu.Lock()
		last := s.index.last
		s.index.mu.Unlock()
		if last != nil && last.seq == raw.Sequence && last.at.Equal(raw.Time) {
			return last, nil
		}
		m, err := s.openManifest(ctx, raw)
		if err != nil {
			return nil, err
		}
		if !m.known && before != raw.Sequence { // its key may have been replaced meanwhile
			before = raw.Sequence
			continue
		}
		s.index.mu.Lock()
		s.index.last = m
		s.index.mu.Unlock()
		return m, nil
	}
}

// openManifest decrypts a manifest.
func (s *Store) openManifest(ctx context.Context, raw *jetstream.RawStreamMsg) (*manifest, error) {
	m := &manifest{seq: raw.Sequence, at: raw.Time}
	if copy(m.name[:], raw.Data) < len(m.name) {
		return m, nil // a foreign message
	}
	secret, err := s.index.stream.GetLastMsgForSubject(ctx, s.secretSubject(m.name))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of the index of ids: %w", err)
	}
	if copy(m.secret[:], secret.Data) < len(m.secret) {
		return m, nil
	}
	body, err := m.secret.OpenAgain(raw.Data[len(m.name):])
	if err == nil {
		m.Manifest, err = segments.Decode(body)
	}
	m.known = err == nil
	return m, nil
}

// cachedSegment reads a segment for a search.
func (s *Store) cachedSegment(ctx context.Context, part segments.Segment) (segments.Body, error) {
	if entries, ok := s.index.cached.Get(part.Name); ok {
		return entries, nil
	}
	entries, err := s.segment(ctx, part)
	if err == nil {
		s.index.cached.Add(part.Name, entries)
	}
	return entries, err
}

// segment reads a segment.
func (s *Store) segment(ctx context.Context, part segments.Segment) (segments.Body, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.index.stream.GetLastMsgForSubject(ctx, s.segmentSubject(part.Name))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, errSegmentMissing
	}
	if err != nil {
		return nil, fmt.Errorf("read the index of ids: %w", err)
	}
	entries, err := part.Open(raw.Data)
	if err != nil {
		return nil, errSegmentMissing
	}
	return entries, nil
}

func (s *Store) segmentSubject(n segments.Name) string {
	return s.names.join("index.segment", hex.EncodeToString(n[:]))
}

func (s *Store) secretSubject(n segments.Name) string {
	return s.names.join("index.secret", hex.EncodeToString(n[:]))
}

// errIndexChanged means that the manifest was replaced since it was read.
var errIndexChanged = errors.New("another process writes the index")

// changeIndex begins a change of the index.
func (s *Store) changeIndex(ctx context.Context, m *manifest, load segments.Load) *segments.Change {
	if load == nil {
		load = func(part segments.Segment) (segments.Body, error) { return s.segment(ctx, part) }
	}
	c := segments.NewChange(m.Manifest, s.index.sizes, segments.Day(time.Now()), load)
	if !m.known {
		c.Digests = segments.NewSecret()
	}
	return c
}

// commitIndex stores a change of a manifest in one batch, and removes the segments that are not part of the index any
// more. It returns the sequence of the new manifest, or errIndexChanged. If renew is set, the manifest gets a new key.
func (s *Store) commitIndex(ctx context.Context, m *manifest, c *segments.Change, renew bool) (uint64, error) {
	var batch []*pending
	put := func(subject string, body []byte) *nats.Msg {
		msg := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
		batch = append(batch, &pending{msg: msg, ctx: ctx})
		return msg
	}
	for part, entries := range c.Written() {
		put(s.segmentSubject(part.Name), part.Seal(entries))
	}
	name, secret := m.name, m.secret
	if renew || !m.known {
		name, secret = segments.NewName(), segments.NewSecret()
		put(s.secretSubject(name), secret[:])
	}
	body := append(name[:], secret.SealAgain(c.Encode())...)
	put(s.names.join("index.manifest"), body).
		Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprint(m.seq))
	ack, err := s.index.writes.atomic(batch)
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused) && wrongLast(refused):
		return 0, errIndexChanged
	case err != nil:
		return 0, fmt.Errorf("write the index of ids: %w", err)
	}
	named := c.Named()
	for old := range m.Named() {
		if !named[old] {
			s.index.cached.Remove(old)
			if err := s.removeSegment(ctx, old); err != nil {
				return ack.Sequence, err
			}
		}
	}
	return ack.Sequence, nil
}

// removeSegment removes a segment. Its bytes stay in the file of the server for a while, encrypted.
func (s *Store) removeSegment(ctx context.Context, name segments.Name) error {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if err := s.index.stream.Purge(ctx, jetstream.WithPurgeSubject(s.segmentSubject(name))); err != nil {
		return fmt.Errorf("remove a part of the index of ids: %w", err)
	}
	return nil
}

// emptyIndex replaces the index by an empty one, or returns errIndexChanged.
func (s *Store) emptyIndex(ctx context.Context, m *manifest) error {
	seq, err := s.commitIndex(ctx, &manifest{seq: m.seq}, s.changeIndex(ctx, &manifest{}, nil), true)
	if err != nil {
		return err
	}
	purged, cancel := s.whileUp(ctx)
	defer cancel()
	err = s.index.stream.Purge(purged, jetstream.WithPurgeSubject(s.names.join("index.segment.*")),
		jetstream.WithPurgeSequence(seq))
	if err != nil {
		return fmt.Errorf("empty the index of ids: %w", err)
	}
	return s.eraseSecrets(ctx)
}

// eraseSecrets overwrites the keys of earlier manifests, so that those manifests, and the segments whose keys they
// held, cannot be decrypted any more.
func (s *Store) eraseSecrets(ctx context.Context) error {
	erased := false
	err := s.unneeded(ctx, "index.secret", func(raw *jetstream.RawStreamMsg, m *manifest) error {
		if raw.Subject == s.secretSubject(m.name) {
			return nil
		}
		erased = true
		return s.erase(ctx, s.index.stream, raw.Sequence, true)
	})
	if err != nil {
		return fmt.Errorf("erase the keys of the index of ids: %w", err)
	}
	if !erased {
		return nil
	}
	return s.disk.flushAll(ctx)
}

// removeGarbage removes the segments and keys that are not part of the index: the part of a batch that a killed server
// has stored, and those that a killed process did not remove.
func (s *Store) removeGarbage(ctx context.Context) error {
	err := s.unneeded(ctx, "index.segment", func(raw *jetstream.RawStreamMsg, m *manifest) error {
		name, err := hex.DecodeString(raw.Subject[strings.LastIndexByte(raw.Subject, '.')+1:])
		if err == nil && len(name) == len(segments.Name{}) && m.Named()[segments.Name(name)] {
			return nil
		}
		return s.erase(ctx, s.index.stream, raw.Sequence, false)
	})
	if err != nil {
		return fmt.Errorf("remove what is not part of the index of ids: %w", err)
	}
	return s.eraseSecrets(ctx)
}

// unneeded calls each with the messages on the subjects below a prefix that are older than the manifest.
func (s *Store) unneeded(
	ctx context.Context, below string, each func(*jetstream.RawStreamMsg, *manifest) error,
) error {
	m, err := s.readManifest(ctx)
	if err != nil || m.seq == 0 {
		return err
	}
	up, cancel := s.whileUp(ctx)
	defer cancel()
	info, err := s.index.stream.Info(up, jetstream.WithSubjectFilter(s.names.join(below, "*")))
	if err != nil {
		return err
	}
	for subject := range info.State.Subjects {
		raw, err := s.index.stream.GetLastMsgForSubject(up, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if raw.Sequence < m.seq {
			if err := each(raw, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeOldIndex empties the stream if it holds an index in the form of earlier versions: a subject for each entry,
// and a position. All files are removed, because entries that the server had removed are still in them.
// If a process of an earlier version still runs, it creates such an index again, and the next call removes it.
func (s *Store) removeOldIndex(ctx context.Context) error {
	up, cancel := s.whileUp(ctx)
	defer cancel()
	_, err := s.index.stream.GetLastMsgForSubject(up, s.names.join("index.position"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err == nil {
		err = s.index.stream.Purge(up)
	}
	if err == nil {
		err = s.disk.flushAll(up)
	}
	if err != nil {
		return fmt.Errorf("remove the old index of ids: %w", err)
	}
	return nil
}
