package ledger

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// block is the number of leaves whose lower hashes are kept together: 2^blockLevel.
const (
	blockLevel = 8
	block      = 1 << blockLevel
)

// Prover builds proofs for some leaves of a log that is read from its beginning. It keeps the hashes of whole
// blocks of leaves, and all hashes of the blocks with wanted leaves: about a hundredth of all.
type Prover struct {
	size   int64
	hashes map[int64]tlog.Hash // by index of tlog
	wanted bool                // the current block contains a wanted leaf
}

// NewProver is a prover that has read nothing.
func NewProver() *Prover { return &Prover{hashes: map[int64]tlog.Hash{}} }

// Add reads the next leaf. If it is wanted, Add keeps the hashes that its proof needs.
func (p *Prover) Add(l Leaf, wanted bool) error {
	p.wanted = p.wanted || wanted
	hashes, err := tlog.StoredHashesForRecordHash(p.size, tlog.RecordHash(l.Record()), p)
	if err != nil {
		return err
	}
	at := tlog.StoredHashIndex(0, p.size)
	for i, h := range hashes {
		p.hashes[at+int64(i)] = h
	}
	if p.size++; p.size%block == 0 {
		if !p.wanted {
			p.forget(p.size/block - 1)
		}
		p.wanted = false
	}
	return nil
}

// forget removes the lower hashes of a complete block.
func (p *Prover) forget(n int64) {
	for level := range blockLevel {
		width := int64(1) << (blockLevel - level)
		for i := range width {
			delete(p.hashes, tlog.StoredHashIndex(level, n*width+i))
		}
	}
}

// ReadHashes implements tlog.HashReader.
func (p *Prover) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		h, ok := p.hashes[at]
		if !ok {
			return nil, errors.New("a hash is needed that was not kept: the leaf was not wanted")
		}
		out[i] = h
	}
	return out, nil
}

// Size is the number of leaves read.
func (p *Prover) Size() int64 { return p.size }

// Root is the hash of the tree of all leaves read.
func (p *Prover) Root() (tlog.Hash, error) { return tlog.TreeHash(p.size, p) }

// Prove returns the proof that the log of the leaves read contains a wanted leaf.
func (p *Prover) Prove(leaf int64) ([]tlog.Hash, error) {
	proof, err := tlog.ProveRecord(p.size, leaf, p)
	if err != nil {
		return nil, fmt.Errorf("prove leaf %d: %w", leaf, err)
	}
	return proof, nil
}

// Check returns an error unless proof shows that the log with this state contains a leaf at a place.
func Check(proof []tlog.Hash, c Checkpoint, at int64, l Leaf) error {
	if err := tlog.CheckRecord(proof, c.Size, c.Root, at, tlog.RecordHash(l.Record())); err != nil {
		return errors.New("the log does not contain it at this place")
	}
	return nil
}
