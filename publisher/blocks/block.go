package blocks

import (
	"bytes"
	"encoding/binary"
)

// span is a part of a block.
type span struct{ from, to int }

// scanned is the result of reading a block.
type scanned struct {
	records  int
	messages int
	first    uint64 // sequence of the first and the last record that is not a tombstone
	last     uint64
	given    uint64 // highest sequence of any record, tombstones included; all sequences up to it were assigned
	time     int64  // of the last message
	damaged  []span
}

// maxSequenceGap is the largest accepted gap between the sequences of the records before and after damage. Bytes
// that look like a record, by chance or because of an attack, can contain any sequence.
const maxSequenceGap = 1 << 20

// scan reads a block from its start to its end and skips damaged parts. Records whose sequence is not
// above floor are outdated. each may be nil.
func (h hasher) scan(buf []byte, floor uint64, each func(r record)) scanned {
	s := scanned{last: floor}
	for at := 0; at < len(buf); {
		r, ok := h.parse(buf[at:])
		if !ok || r.kind != tombstone && r.seq != 0 && r.seq <= floor {
			next := h.resync(buf, at, s.last)
			s.damaged = append(s.damaged, span{at, next})
			at = next
			continue
		}
		s.take(r)
		if each != nil {
			each(r)
		}
		at += len(r.raw)
	}
	if s.first == 0 {
		s.last = 0
	}
	return s
}

func (s *scanned) take(r record) {
	s.records++
	s.given = max(s.given, r.seq)
	if r.kind == tombstone || r.seq == 0 {
		return
	}
	if s.first == 0 {
		s.first = r.seq
	}
	s.last = max(s.last, r.seq)
	if r.message() {
		s.messages++
		s.time = r.time
	}
}

// resync finds the next intact record after a damaged one: at the end of the damaged record according to its
// length, else at any later position.
func (h hasher) resync(buf []byte, at int, last uint64) int {
	if l, ok := layoutOf(buf[at:]); ok {
		next := at + l.length
		if _, whole := h.follows(buf[next:], last); whole || next == len(buf) {
			return next
		}
	}
	for next := at + 1; next <= len(buf)-leastRecord; next++ {
		if _, ok := h.follows(buf[next:], last); ok {
			return next
		}
	}
	return len(buf)
}

// follows decodes a record whose sequence is after last, by maxSequenceGap at most.
func (h hasher) follows(buf []byte, last uint64) (record, bool) {
	if len(buf) < leastRecord {
		return record{}, false
	}
	seq := binary.LittleEndian.Uint64(buf[4:])
	if plain := seq &^ (erased | tombstone); seq&tombstone == 0 && last > 0 && plain != 0 &&
		(plain <= last || plain-last > maxSequenceGap) {
		return record{}, false
	}
	return h.parse(buf)
}

// compressed reports whether a block was written by a server with compression.
func compressed(buf []byte) bool { return bytes.HasPrefix(buf, []byte("cmp")) }
