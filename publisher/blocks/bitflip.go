package blocks

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// maxBitFlipSearch is the largest record whose content is searched for a flipped bit: the search tries
// every bit, so its time grows with the square of the size.
const maxBitFlipSearch = 32 << 10

// repairBitFlip restores a record with one flipped bit; nil if the damage is larger. A repair is accepted if the
// 64-bit checksum is correct: that a wrong repair matches it by chance is as unlikely as damage that the checksum
// does not detect. deep permits the search for a flipped bit in the content.
func (h hasher) repairBitFlip(damaged []byte, deep bool) []byte {
	if len(damaged) < leastRecord {
		return nil
	}
	fixed := slices.Clone(damaged)
	// The next record is intact, so the true length is the size of the bytes before it.
	length := le(fixed)
	for _, flag := range []uint32{length & hasHeaders, ^length & hasHeaders} {
		binary.LittleEndian.PutUint32(fixed, uint32(len(fixed))|flag)
		if h.repairLengths(fixed) {
			return fixed
		}
	}
	copy(fixed, damaged)
	if int(length&^hasHeaders) != len(fixed) {
		return nil // the length and at least one other part are wrong
	}
	if h.repairChecksum(fixed) {
		return fixed
	}
	if deep && len(fixed) <= maxBitFlipSearch && h.repairContent(fixed) {
		return fixed
	}
	return nil
}

// repairLengths reports whether a record is intact after correcting the length of its subject or its
// headers, which no checksum covers.
func (h hasher) repairLengths(buf []byte) bool {
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

// repairChecksum corrects the checksum if one bit of it is wrong.
func (h hasher) repairChecksum(buf []byte) bool {
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

// repairContent searches everything between the length and the checksum.
func (h hasher) repairContent(buf []byte) bool {
	return flipUntil(buf[4:len(buf)-sumSize], func() bool {
		_, ok := h.parse(buf)
		return ok
	})
}

// flipUntil flips each bit in turn, alone, until whole is true; else all bits are unchanged.
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
