// Package segments is the part of the index of ids that does not depend on a server: sorted entries of a fixed size,
// the segments that hold them, the manifest that names the segments, and the merging of segments.
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

// Entry is a key and the last day on which it is valid, in days since 1970; 0: it does not expire.
type Entry struct {
	Key     Key
	Expires uint16
}

// Day is the day of a time, in days since 1970.
func Day(t time.Time) uint16 { return uint16(min(t.Unix()/(24*60*60), math.MaxUint16)) }

// expired reports whether an entry is no longer valid.
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

// Body is sorted entries in the form in which a segment holds them.
type Body []byte

// bodyOf encodes sorted entries.
func bodyOf(entries []Entry) Body {
	out := make(Body, 0, len(entries)*entrySize)
	for i := range entries {
		out = append(out, entries[i].Key[:]...)
		out = binary.BigEndian.AppendUint16(out, entries[i].Expires)
	}
	return out
}

// Len is the number of entries.
func (b Body) Len() int { return len(b) / entrySize }

// At is the entry at a position.
func (b Body) At(i int) Entry {
	one := b[i*entrySize:][:entrySize]
	return Entry{Key(one[:keySize]), binary.BigEndian.Uint16(one[keySize:])}
}

// from is the position of the first entry whose key is not less than k.
func (b Body) from(k *Key) int {
	return sort.Search(b.Len(), func(i int) bool { return bytes.Compare(b[i*entrySize:][:keySize], k[:]) >= 0 })
}

// within is the part that is in a range.
func (b Body) within(r Range) Body {
	from, to := b.from(&r.First), b.from(&r.Last)
	if to < b.Len() && b.At(to).Key == r.Last {
		to++
	}
	return b[from*entrySize : max(from, to)*entrySize]
}

// errForm means that bytes do not have the format that this package writes.
var errForm = errors.New("not in the form of the index")
