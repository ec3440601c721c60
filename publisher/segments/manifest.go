package segments

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sort"
)

// Name identifies a segment or a secret. It is random.
type Name [8]byte

// Secret is a key of AES-256-GCM.
type Secret [32]byte

// NewName makes a name.
func NewName() (n Name) { _, _ = rand.Read(n[:]); return n } // never fails

// NewSecret makes a key.
func NewSecret() (s Secret) { _, _ = rand.Read(s[:]); return s } // never fails

// Segment describes a segment: the entries from First up to the first entry of the next segment of its run. Its
// body is encrypted with Key.
type Segment struct {
	Name   Name
	Key    Secret
	First  Key
	Count  uint32
	Oldest uint16 // the earliest day on which an entry expires; 0: no entry expires
}

// Run is a sequence of segments in ascending order.
type Run struct {
	ID       uint32
	Into     uint32 // the run that this one is being merged into; 0: none
	Next     Key    // of a run that others are merged into: their entries with lower keys are already in this run
	Segments []Segment
}

// Position holds the sequences of the streams up to which everything is indexed.
type Position struct{ Payloads, Quarantine, Events, Tombstones uint64 }

// Manifest is the state of an index. A segment that it does not name is not part of the index.
type Manifest struct {
	Digests Secret // the key of the digests in the entries
	At      Position
	Runs    []Run
}

// formVersion is the first byte of an encoded manifest.
const formVersion = 1

// head and runHead are the parts of an encoded manifest that have a fixed size.
type head struct {
	Version uint8
	Digests Secret
	At      Position
	Runs    uint32
}

type runHead struct {
	ID, Into uint32
	Next     Key
	Segments uint32
}

// Encode returns the bytes of a manifest.
func (m *Manifest) Encode() []byte {
	out := add(nil, head{formVersion, m.Digests, m.At, uint32(len(m.Runs))})
	for _, r := range m.Runs {
		out = add(out, runHead{r.ID, r.Into, r.Next, uint32(len(r.Segments))})
		out = add(out, r.Segments)
	}
	return out
}

// add appends a value of a fixed size.
func add(out []byte, value any) []byte {
	out, _ = binary.Append(out, binary.BigEndian, value) // fails for other types only
	return out
}

// Decode reads a manifest.
func Decode(body []byte) (m Manifest, err error) {
	take := func(value any) {
		n, e := 0, error(nil)
		if n, e = binary.Decode(body, binary.BigEndian, value); e != nil {
			err, n = errForm, len(body)
		}
		body = body[n:]
	}
	var h head
	take(&h)
	if err != nil || h.Version != formVersion {
		return m, errForm
	}
	m.Digests, m.At = h.Digests, h.At
	for range h.Runs {
		var r runHead
		if take(&r); err != nil || int(r.Segments) > len(body) {
			return m, errForm
		}
		run := Run{ID: r.ID, Into: r.Into, Next: r.Next, Segments: make([]Segment, r.Segments)}
		take(run.Segments)
		m.Runs = append(m.Runs, run)
	}
	return m, err
}

// Seal encrypts a body. A key may encrypt only one body with Seal, because the nonce is constant.
func (s Secret) Seal(body []byte) []byte {
	gcm := s.gcm()
	return gcm.Seal(nil, make([]byte, gcm.NonceSize()), body, nil)
}

// Open decrypts the result of Seal in place; it fails if any bit was changed.
func (s Secret) Open(sealed []byte) ([]byte, error) {
	gcm := s.gcm()
	body, err := gcm.Open(sealed[:0], make([]byte, gcm.NonceSize()), sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("open a part of the index: %w", err)
	}
	return body, nil
}

// SealAgain encrypts a body with a random nonce, so that a key may encrypt many bodies.
func (s Secret) SealAgain(body []byte) []byte {
	gcm := s.gcm()
	nonce := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return gcm.Seal(nonce, nonce, body, nil)
}

// OpenAgain decrypts the result of SealAgain.
func (s Secret) OpenAgain(sealed []byte) ([]byte, error) {
	gcm := s.gcm()
	n := gcm.NonceSize()
	if len(sealed) < n {
		return nil, errForm
	}
	body, err := gcm.Open(nil, sealed[:n], sealed[n:], nil)
	if err != nil {
		return nil, fmt.Errorf("open a part of the index: %w", err)
	}
	return body, nil
}

func (s Secret) gcm() cipher.AEAD {
	block, err := aes.NewCipher(s[:])
	if err != nil {
		panic(err) // the size is right
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // the size of a block is right
	}
	return gcm
}

// Seal encrypts the entries of a segment.
func (s Segment) Seal(entries Body) []byte { return s.Key.Seal(entries) }

// Open decrypts the entries of a segment in place.
func (s Segment) Open(sealed []byte) (Body, error) {
	body, err := s.Key.Open(sealed)
	if err == nil && len(body) != int(s.Count)*entrySize {
		err = errForm
	}
	return body, err
}

// Named are the names of the segments.
func (m *Manifest) Named() map[Name]bool {
	names := map[Name]bool{}
	for _, r := range m.Runs {
		for _, s := range r.Segments {
			names[s.Name] = true
		}
	}
	return names
}

// Load reads the entries of a segment. The caller must not change them.
type Load func(Segment) (Body, error)

// holding returns the positions of the segments of a run that may contain a key of a range: of the first one, and of
// the one after the last one.
func (r *Run) holding(of Range) (from, to int) {
	after := func(k *Key) int {
		return sort.Search(len(r.Segments), func(i int) bool { return compare(&r.Segments[i].First, k) > 0 })
	}
	return max(after(&of.First)-1, 0), after(&of.Last)
}

// Search returns the entries of a range that are valid today and that keep accepts, each once and in order. keep may
// be nil. If most is not 0 and there are more entries than most, it may return only a part of them, but more than most.
func (m *Manifest) Search(of Range, today uint16, most int, keep func(Key) bool, load Load) (found []Entry, err error) {
	for _, r := range m.Runs {
		n := 0
		from, to := r.holding(of)
		for ; from < to && (most == 0 || n <= most); from++ {
			entries, err := load(r.Segments[from])
			if err != nil {
				return nil, err
			}
			entries = entries.within(of)
			for i := range entries.Len() {
				e := entries.At(i)
				if e.expired(today) || keep != nil && !keep(e.Key) {
					continue
				}
				found = append(found, e)
				if n++; most > 0 && n > most {
					break
				}
			}
		}
	}
	return Sorted(found), nil
}
