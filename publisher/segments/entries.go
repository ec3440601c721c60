// Package segments is the part of the index of ids that knows no server: sorted entries of a fixed size, the
// segments that hold them, the manifest that names the segments, and the plan by which segments are merged.
//
// An index is a set of entries. It is kept as several runs; a run is a sequence of segments in ascending order. New
// entries make a new run, and runs of a similar size are merged into one. The same entry may be in several runs.
package segments

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sort"
	"time"
)

const (
	keySize   = 30
	entrySize = 32
)

// Key is the content of an entry. Entries are sorted by it.
type Key [keySize]byte

// Entry is a key and the last day on which it counts, in days since 1970; 0: it counts for ever.
type Entry struct {
	Key     Key
	Expires uint16
}

// Day is the day of a time, in days since 1970.
func Day(t time.Time) uint16 { return uint16(min(t.Unix()/(24*60*60), math.MaxUint16)) }

// expired reports whether an entry no longer counts.
func (e *Entry) expired(today uint16) bool { return e.Expires != 0 && e.Expires < today }

// compare orders two keys.
func compare(a, b *Key) int { return bytes.Compare(a[:], b[:]) }

// later is the later of two days of expiry.
func later(a, b uint16) uint16 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

// Sorted returns entries in order, each key once.
func Sorted(entries []Entry) []Entry {
	slices.SortFunc(entries, func(a, b Entry) int { return compare(&a.Key, &b.Key) })
	out := entries[:0]
	for _, e := range entries {
		if n := len(out); n > 0 && out[n-1].Key == e.Key {
			out[n-1].Expires = later(out[n-1].Expires, e.Expires)
			continue
		}
		out = append(out, e)
	}
	return out
}

// Range is a range of keys, both ends included.
type Range struct{ First, Last Key }

// Beginning is the range of the keys that begin with a text.
func Beginning(text ...byte) (r Range) {
	for i := copy(r.First[:], text); i < keySize; i++ {
		r.Last[i] = 0xff
	}
	copy(r.Last[:], text)
	return r
}

// within returns the part of sorted entries that is in a range.
func within(entries []Entry, r Range) []Entry {
	from := sort.Search(len(entries), func(i int) bool { return compare(&entries[i].Key, &r.First) >= 0 })
	to := sort.Search(len(entries), func(i int) bool { return compare(&entries[i].Key, &r.Last) > 0 })
	return entries[from:max(from, to)]
}

// encode returns the bytes of entries.
func encode(entries []Entry) []byte {
	out := make([]byte, 0, len(entries)*entrySize)
	for i := range entries {
		out = append(out, entries[i].Key[:]...)
		out = binary.BigEndian.AppendUint16(out, entries[i].Expires)
	}
	return out
}

// errForm means that bytes are not what this package has written.
var errForm = errors.New("not in the form of the index")

// decode reads the bytes of entries.
func decode(body []byte) ([]Entry, error) {
	if len(body)%entrySize != 0 {
		return nil, errForm
	}
	entries := make([]Entry, len(body)/entrySize)
	for i := range entries {
		one := body[i*entrySize:][:entrySize]
		copy(entries[i].Key[:], one)
		entries[i].Expires = binary.BigEndian.Uint16(one[keySize:])
	}
	return entries, nil
}
