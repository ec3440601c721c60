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

// soundState reports whether the state of a consumer can be one: it has no checksum, but its numbers
// must agree with each other, and it must end where they end. A server takes any numbers for true,
// and makes room for as many entries as they say. A missing state is sound.
func soundState(path string) bool {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && (len(raw) == 0 || consistent(raw))
}

// consistent checks a state of version 2: where acknowledgements and deliveries stand, for the
// consumer and in the stream, what is under way, and what was delivered more than once.
func consistent(raw []byte) bool {
	if len(raw) < 2 || raw[0] != stateMagic {
		return false
	}
	if raw[1] != stateVersion {
		return raw[1] < stateVersion // of a server that is no longer used
	}
	n := numbers{rest: raw[2:]}
	ackedBy, acked, deliveredBy, delivered := n.next(), n.next(), n.next(), n.next()
	if ackedBy > deliveredBy || acked > delivered || delivered >= tombstone {
		return false
	}
	pending := n.next()
	if pending > 0 {
		n.next() // the time from which those of the entries are counted
	}
	for range min(pending, uint64(len(raw))) {
		seq, by := int64(n.next()), int64(n.next()) // counted from the acknowledged ones, and before them in rare cases
		n.next()
		if seq > int64(delivered-acked) || by > int64(deliveredBy-ackedBy) {
			return false
		}
	}
	again := n.next()
	for range min(again, uint64(len(raw))) {
		n.next()
		n.next()
	}
	return !n.bad && len(n.rest) == 0
}

// numbers reads numbers of variable length.
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
