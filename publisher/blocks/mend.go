package blocks

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// mendable is the largest record whose content is searched for a bit that was flipped: the search
// tries every bit, so it takes the square of the size.
const mendable = 32 << 10

// mend finds the record that damaged bytes were before one bit of them was flipped; nil if it was
// more than that. The checksum of 64 bits decides: that another record fits it by chance is as
// unlikely as damage that no checksum would find. deep allows the search for a bit of the content.
func (h hasher) mend(damaged []byte, deep bool) []byte {
	if len(damaged) < leastRecord {
		return nil
	}
	fixed := slices.Clone(damaged)
	// The next record is whole, so what lies before it is the true length.
	length := le(fixed)
	for _, flag := range []uint32{length & hasHeaders, ^length & hasHeaders} {
		binary.LittleEndian.PutUint32(fixed, uint32(len(fixed))|flag)
		if h.mendParts(fixed) {
			return fixed
		}
	}
	copy(fixed, damaged)
	if int(length&^hasHeaders) != len(fixed) {
		return nil // the length is wrong, and something else is too
	}
	if h.mendSum(fixed) {
		return fixed
	}
	if deep && len(fixed) <= mendable && h.mendContent(fixed) {
		return fixed
	}
	return nil
}

// mendParts reports whether a record is whole, with the length of its subject or of its headers as
// they must have been, which no checksum covers.
func (h hasher) mendParts(buf []byte) bool {
	l, ok := layoutOf(buf)
	if !ok || !bytes.Equal(h.checksum(buf, l), buf[l.length-sumSize:]) {
		return false
	}
	if _, ok := split(buf, l); ok {
		return true
	}
	at, width := l.subject, 4
	if l.content == l.subject {
		at, width = 20, 2
	}
	return flipUntil(buf[at:at+width], func() bool {
		_, ok := h.parse(buf)
		return ok
	})
}

// mendSum puts the checksum right if one bit of it is wrong.
func (h hasher) mendSum(buf []byte) bool {
	l, ok := layoutOf(buf)
	if !ok {
		return false
	}
	right, have := h.checksum(buf, l), buf[l.length-sumSize:]
	if bits.OnesCount64(binary.LittleEndian.Uint64(right)^binary.LittleEndian.Uint64(have)) != 1 {
		return false
	}
	copy(have, right)
	_, ok = h.parse(buf)
	return ok
}

// mendContent searches all that lies between the length and the checksum.
func (h hasher) mendContent(buf []byte) bool {
	return flipUntil(buf[4:len(buf)-sumSize], func() bool {
		_, ok := h.parse(buf)
		return ok
	})
}

// flipUntil flips one bit after the other, each alone, until whole is true; else all are as they were.
func flipUntil(part []byte, whole func() bool) bool {
	for i := range part {
		for bit := range 8 {
			part[i] ^= 1 << bit
			if whole() {
				return true
			}
			part[i] ^= 1 << bit
		}
	}
	return false
}
