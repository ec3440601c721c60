package blocks

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
)

const (
	stateMagic   = 22
	stateVersion = 2
)

// soundState reports whether the state of a consumer is plausible: it has no checksum, but its numbers must be
// consistent, and its length must agree with its counts. A server accepts any numbers, and allocates as many
// entries as the counts state. A missing state is sound.
func soundState(path string) bool {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && (len(raw) == 0 || consistent(raw))
}

// consistent checks a state of version 2: positions of acknowledgements and deliveries, in the consumer
// and in the stream, pending messages, and redeliveries.
func consistent(raw []byte) bool {
	if len(raw) < 2 || raw[0] != stateMagic {
		return false
	}
	if raw[1] != stateVersion {
		return raw[1] < stateVersion // of an obsolete server
	}
	n := numbers{rest: raw[2:]}
	ackedBy, acked, deliveredBy, delivered := n.next(), n.next(), n.next(), n.next()
	if ackedBy > deliveredBy || acked > delivered || delivered >= tombstone {
		return false
	}
	pending := n.next()
	if pending > 0 {
		n.next() // the base time of the entries
	}
	for range min(pending, uint64(len(raw))) {
		seq, by := int64(n.next()), int64(n.next()) // relative to the acknowledged positions; negative in rare cases
		n.next()
		if seq > int64(delivered-acked) || by > int64(deliveredBy-ackedBy) {
			return false
		}
	}
	redelivered := n.next()
	for range min(redelivered, uint64(len(raw))) {
		n.next()
		n.next()
	}
	return !n.bad && len(n.rest) == 0
}

// numbers decodes numbers of variable length.
type numbers struct {
	rest []byte
	bad  bool
}

func (n *numbers) next() uint64 {
	value, size := binary.Uvarint(n.rest)
	if size <= 0 {
		n.bad, n.rest = true, nil
		return 0
	}
	n.rest = n.rest[size:]
	return value
}
