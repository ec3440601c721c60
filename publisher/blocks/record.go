// Package blocks checks the files in which a NATS server keeps its streams, while no server has them open,
// and repairs what it can. A server that opens a damaged block truncates it at the start of the damage,
// and everything after it is lost; some damage makes it read endlessly. So the files of an embedded server
// are checked first.
// A stream is a folder: its settings in meta.inf with a checksum in meta.sum, its messages in msgs/N.blk
// with an index in msgs/index.db, and a folder in obs/ for each consumer. A block is a sequence of
// records:
//
//	length 4 (highest bit: has headers) | sequence 8 | time 8 | length of the subject 2 | subject |
//	[length of the headers 4] headers | body | checksum 8
//
// Numbers are little-endian; the checksum covers sequence, time, subject, headers and body, but not the
// three lengths. This is the format of nats-server 2.10 to 2.15 without encryption and compression, which
// an embedded server does not use. Compressed blocks are not checked and not changed.
package blocks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/minio/highwayhash"
)

const (
	headSize    = 22
	sumSize     = 8
	leastRecord = headSize + sumSize
	mostRecord  = 32 << 20

	hasHeaders = 1 << 31 // in the length: the record has headers
	erased     = 1 << 63 // in the sequence: the message of this record was erased, or the sequence has no message
	tombstone  = 1 << 62 // in the sequence: the record marks the message of another record as deleted
)

// record is one record of a block.
type record struct {
	raw     []byte
	seq     uint64 // without the flag bits
	kind    uint64 // 0: a message; else the flag bit
	time    int64  // Unix nanoseconds
	subject []byte
	headers []byte
	body    []byte
}

// message reports whether r holds a message.
func (r record) message() bool { return r.kind == 0 && r.seq != 0 }

// all are the headers of r.
func (r record) all() map[string]string {
	out := map[string]string{}
	for line := range bytes.SplitSeq(r.headers, []byte("\r\n")) {
		if n, v, ok := bytes.Cut(line, []byte(":")); ok {
			out[string(n)] = string(bytes.TrimSpace(v))
		}
	}
	return out
}

// hasher computes the checksums of one block. It is for one goroutine.
type hasher struct{ digest *highwayhash.Digest64 }

// newHasher uses the same key as the server.
func newHasher(name string) hasher {
	key := sha256.Sum256([]byte(name))
	digest, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	return hasher{digest}
}

// blockHasher is the hasher of a block of a stream.
func blockHasher(stream string, index uint32) hasher {
	return newHasher(fmt.Sprintf("%s-%d", stream, index))
}

// sum is the checksum of several parts.
func (h hasher) sum(parts ...[]byte) []byte {
	h.digest.Reset()
	for _, p := range parts {
		_, _ = h.digest.Write(p) // never fails
	}
	return h.digest.Sum(make([]byte, 0, sumSize))
}

// sequence is that of the record at the beginning of buf, without the flag bits.
func sequence(buf []byte) uint64 { return binary.LittleEndian.Uint64(buf[4:]) &^ (erased | tombstone) }

// layout holds the offsets of the parts of a record, computed from its lengths.
type layout struct {
	length  int // of the whole record
	subject int // end of the subject
	content int // begin of headers and body
}

func le(buf []byte) uint32 { return binary.LittleEndian.Uint32(buf) }

// layoutOf reads the lengths at the beginning of buf; false if they do not describe a record that fits in buf.
func layoutOf(buf []byte) (l layout, ok bool) {
	if len(buf) < leastRecord {
		return l, false
	}
	length := le(buf)
	l.length = int(length &^ hasHeaders)
	l.subject = headSize + int(binary.LittleEndian.Uint16(buf[20:]))
	l.content = l.subject
	if length&hasHeaders != 0 {
		l.content += 4
	}
	return l, l.length >= leastRecord && l.length <= min(mostRecord, len(buf)) && l.content <= l.length-sumSize
}

// checksum is the expected checksum of the record at the beginning of buf.
func (h hasher) checksum(buf []byte, l layout) []byte {
	return h.sum(buf[4:20], buf[headSize:l.subject], buf[l.content:l.length-sumSize])
}

// parse decodes the record at the beginning of buf; false if it is not intact.
func (h hasher) parse(buf []byte) (record, bool) {
	l, ok := layoutOf(buf)
	if !ok || !bytes.Equal(h.checksum(buf, l), buf[l.length-sumSize:l.length]) {
		return record{}, false
	}
	return split(buf, l)
}

// split decodes a record with a correct checksum; false if its parts do not match its lengths, which the
// checksum does not cover.
func split(buf []byte, l layout) (record, bool) {
	seq := binary.LittleEndian.Uint64(buf[4:])
	r := record{
		raw:     buf[:l.length],
		seq:     sequence(buf),
		kind:    seq & (erased | tombstone),
		time:    int64(binary.LittleEndian.Uint64(buf[12:])),
		subject: buf[headSize:l.subject],
		body:    buf[l.content : l.length-sumSize],
	}
	if l.content == l.subject {
		return r, !r.message() || plausible(r.subject, r.body) || !misplaced(r)
	}
	n := int(le(buf[l.subject:]))
	if n > len(r.body) {
		return r, false
	}
	r.headers, r.body = r.body[:n], r.body[n:]
	return r, wholeHeaders(r.headers)
}

// wholeHeaders reports whether h is a complete header block, from its first line to the empty line.
func wholeHeaders(h []byte) bool {
	return bytes.HasPrefix(h, []byte("NATS/1.0")) && bytes.Index(h, []byte("\r\n\r\n")) == len(h)-4
}

// plausible reports whether the subject length of a message without headers is plausible: internal
// subjects consist of ASCII letters, digits and ".-_", and a message without headers is JSON.
func plausible(subject, body []byte) bool {
	for _, c := range subject {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return len(subject) > 0 && len(body) > 0 && (body[0] == '{' || body[0] == '[')
}

// misplaced reports whether a message without headers becomes plausible after flipping one bit of the
// length of its subject.
func misplaced(r record) bool {
	text := r.raw[headSize : len(r.raw)-sumSize]
	for bit := range 16 {
		if n := len(r.subject) ^ 1<<bit; n < len(text) && plausible(text[:n], text[n:]) {
			return true
		}
	}
	return false
}

// skip encodes a record for a sequence without a message.
func (h hasher) skip(seq uint64, at int64) []byte {
	buf := make([]byte, headSize, leastRecord)
	binary.LittleEndian.PutUint32(buf, leastRecord)
	binary.LittleEndian.PutUint64(buf[4:], seq|erased)
	binary.LittleEndian.PutUint64(buf[12:], uint64(at))
	return append(buf, h.sum(buf[4:20])...)
}
