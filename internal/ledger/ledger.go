// Package ledger is a tamper-evident log: an append-only Merkle tree (RFC 6962) whose state is signed from time to
// time. Anyone who has a signed state can detect whether anything before it was altered, removed, added or reordered.
package ledger

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Kind is what a leaf is about.
type Kind byte

// The kinds of leaves. A stream that became shorter, by a loss or a restoration, has a leaf that records this: its
// sequences after that of the leaf are assigned again.
const (
	Payload Kind = 'p' // an accepted payload
	Event   Kind = 'e'
	Access  Kind = 'a' // a record of the access log

	// State ends each batch: Hash is that of Batch.Until.
	State Kind = 's'

	PayloadsBack Kind = 'P'
	EventsBack   Kind = 'E'
	AccessBack   Kind = 'A'
)

// Kinds are the kinds of messages, in the order in which they are added.
func Kinds() []Kind { return []Kind{Payload, Event, Access} }

// Back is the kind of the leaf about a shorter stream.
func (k Kind) Back() Kind { return k - 'a' + 'A' }

// IsBack reports whether the leaf is about a shorter stream.
func (k Kind) IsBack() bool { return k >= 'A' && k <= 'Z' }

// Of is the kind of messages in the stream that a leaf is about.
func (k Kind) Of() Kind {
	if k.IsBack() {
		return k - 'A' + 'a'
	}
	return k
}

// String is the name of a message of this kind.
func (k Kind) String() string {
	switch k.Of() {
	case Payload:
		return "payload"
	case Event:
		return "event"
	case Access:
		return "access record"
	}
	return "unknown"
}

// Leaf is one entry.
type Leaf struct {
	Kind Kind
	Seq  uint64   // of the message in its stream
	Hash [32]byte // Hash of the message; of a leaf about a shorter stream: zero
}

// Record is the data of the leaf in the tree.
func (l Leaf) Record() []byte {
	return fmt.Appendf(nil, "kycbridge leaf v1\n%c %d\n%s\n", l.Kind, l.Seq, base64.StdEncoding.EncodeToString(l.Hash[:]))
}

// Hash is the hash of a message with an id and the digest of its body. The salt is erased with the message:
// without it, a body cannot be matched to its hash by guessing.
func Hash(salt []byte, id, digest string) [32]byte {
	mac := hmac.New(sha256.New, salt)
	fmt.Fprintf(mac, "%d %s %s", len(id), id, digest)
	return [32]byte(mac.Sum(nil))
}

// Message is what a leaf commits to.
type Message struct {
	Kind    Kind                `json:"kind"`
	Seq     uint64              `json:"seq"`   // in its stream
	Place   string              `json:"place"` // its subject without the configured prefix
	Headers map[string][]string `json:"headers"`
	Digest  string              `json:"digest"` // sha256:<64 hex> of the body
	Salt    []byte              `json:"salt"`
}

// Leaf is the leaf of the message. Headers are quoted in ASCII: which other characters %q shows unchanged depends on
// the version of Go, and a proof must not.
func (m Message) Leaf() Leaf {
	var lines []string
	for name, values := range m.Headers {
		lines = append(lines, fmt.Sprintf("%+q:%+q\n", name, values))
	}
	slices.Sort(lines)
	return Leaf{Kind: m.Kind, Seq: m.Seq, Hash: Hash(m.Salt, m.Place+"\n"+strings.Join(lines, ""), m.Digest)}
}

// leafSize is the packed size of a leaf.
const leafSize = 1 + 8 + 32

// StateLeaf is the leaf about the positions in the streams.
func StateLeaf(until map[string]uint64) Leaf {
	var text strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(until)) {
		fmt.Fprintf(&text, "%s %d\n", kind, until[kind])
	}
	return Leaf{Kind: State, Hash: sha256.Sum256([]byte(text.String()))}
}

// Pack encodes leaves.
func Pack(leaves []Leaf) []byte {
	out := make([]byte, 0, len(leaves)*leafSize)
	for _, l := range leaves {
		out = append(out, byte(l.Kind))
		out = binary.BigEndian.AppendUint64(out, l.Seq)
		out = append(out, l.Hash[:]...)
	}
	return out
}

// Unpack decodes the result of Pack.
func Unpack(packed []byte) ([]Leaf, error) {
	if len(packed)%leafSize != 0 {
		return nil, errors.New("the leaves are cut off")
	}
	out := make([]Leaf, 0, len(packed)/leafSize)
	for ; len(packed) > 0; packed = packed[leafSize:] {
		out = append(out, Leaf{Kind: Kind(packed[0]), Seq: binary.BigEndian.Uint64(packed[1:]),
			Hash: [32]byte(packed[9:leafSize])})
	}
	return out, nil
}

// Batch is one message of the stored log: consecutive leaves and the state after them.
type Batch struct {
	First  int64             `json:"first"`  // position of the first leaf; negative: unreadable
	Tree   Tree              `json:"tree"`   // after the last leaf
	Until  map[string]uint64 `json:"until"`  // by kind: the last sequence of its stream that was considered
	Packed []byte            `json:"leaves"` // Pack

	At time.Time `json:"-"` // when it was stored
}

// Add adds leaves to an empty batch whose Tree is that of the batch before, and the leaf about Until.
func (b *Batch) Add(leaves []Leaf) {
	leaves = append(leaves, StateLeaf(b.Until))
	for _, leaf := range leaves {
		b.Tree.Add(leaf)
	}
	b.Packed = Pack(leaves)
}

// Leaves are the leaves of the batch.
func (b *Batch) Leaves() ([]Leaf, error) { return Unpack(b.Packed) }

// Tree is the state of the log that is needed to add leaves: the hashes of its complete subtrees, the largest
// first.
type Tree struct {
	Size     int64       `json:"size"` // leaves
	Subtrees []tlog.Hash `json:"subtrees"`
}

// Add adds a leaf.
func (t *Tree) Add(l Leaf) {
	h := tlog.RecordHash(l.Record())
	for size := t.Size; size&1 == 1; size >>= 1 {
		last := len(t.Subtrees) - 1
		h = tlog.NodeHash(t.Subtrees[last], h)
		t.Subtrees = t.Subtrees[:last]
	}
	t.Subtrees = append(t.Subtrees, h)
	t.Size++
}

// Root is the hash of the whole tree.
func (t *Tree) Root() tlog.Hash {
	if t.Size == 0 {
		return tlog.Hash(sha256.Sum256(nil))
	}
	root := t.Subtrees[len(t.Subtrees)-1]
	for i := len(t.Subtrees) - 2; i >= 0; i-- {
		root = tlog.NodeHash(t.Subtrees[i], root)
	}
	return root
}

// Clone is an independent copy.
func (t *Tree) Clone() Tree {
	return Tree{Size: t.Size, Subtrees: append([]tlog.Hash(nil), t.Subtrees...)}
}
