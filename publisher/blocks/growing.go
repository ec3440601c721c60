package blocks

import "bytes"

// Growing reads the records that a server appends to a block, in order. It is for one goroutine.
type Growing struct{ hasher hasher }

// NewGrowing is for a block of a stream.
func NewGrowing(stream string, number uint32) *Growing { return &Growing{blockHasher(stream, number)} }

// Take reads the records at the beginning of buf. n is their size, and last the highest sequence of them, 0 if there
// are none. damaged means that no record follows them, not even one that is still being written.
func (g *Growing) Take(buf []byte) (n int, last uint64, damaged bool) {
	for n < len(buf) {
		rest := buf[n:]
		if len(rest) < 4 {
			return n, last, false
		}
		size := int(le(rest) &^ hasHeaders)
		if size < leastRecord || size > mostRecord {
			return n, last, true
		}
		if size > len(rest) {
			return n, last, false
		}
		l, ok := layoutOf(rest)
		if !ok || !bytes.Equal(g.hasher.checksum(rest, l), rest[l.length-sumSize:l.length]) {
			return n, last, true
		}
		last = max(last, sequence(rest))
		n += l.length
	}
	return n, last, false
}
