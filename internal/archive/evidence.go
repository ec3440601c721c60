package archive

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"kycbridge"
	"kycbridge/internal/ledger"
)

// Proven is a stored message with the proof that the log contains it.
type Proven struct {
	ledger.Message
	Body  []byte
	Leaf  int64 // its place in the log
	Proof []tlog.Hash
}

// Evidence are all stored messages of a verification that a signed checkpoint covers, with their proofs, and the
// number of messages that it does not cover.
func (a *Archive) Evidence(
	ctx context.Context, k kycbridge.Key, checkpoint ledger.Checkpoint,
) (proven []Proven, unproven int, err error) {
	err = a.Ledger.Evidence(ctx, k, func(m ledger.Message, body []byte) error {
		proven = append(proven, Proven{Message: m, Body: body, Leaf: -1})
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	if len(proven) == 0 {
		return nil, 0, fmt.Errorf("nothing is stored of verification %s: %w", k.VerificationID, kycbridge.ErrNotFound)
	}
	prover, err := a.proveAll(ctx, proven, checkpoint.Size)
	if err != nil {
		return nil, 0, err
	}
	if root, err := prover.Root(); err != nil || root != checkpoint.Root {
		return nil, 0, errors.New("the tamper-evident log does not agree with its signed checkpoint: see payloads report")
	}
	covered := proven[:0]
	for _, p := range proven {
		if p.Leaf < 0 {
			unproven++
			continue
		}
		if p.Proof, err = prover.Prove(p.Leaf); err != nil {
			return nil, 0, err
		}
		covered = append(covered, p)
	}
	return covered, unproven, nil
}

// proveAll reads the log up to a size and finds the leaves of the messages.
func (a *Archive) proveAll(ctx context.Context, proven []Proven, size int64) (*ledger.Prover, error) {
	wanted := map[ledger.Leaf]*Proven{}
	for i := range proven {
		wanted[proven[i].Message.Leaf()] = &proven[i]
	}
	prover := ledger.NewProver()
	err := a.Ledger.Read(ctx, func(_ uint64, b *ledger.Batch) error {
		leaves, err := b.Leaves()
		if err != nil {
			return errors.New("the tamper-evident log cannot be read: see payloads report")
		}
		for _, leaf := range leaves {
			if prover.Size() == size {
				return kycbridge.ErrEnough
			}
			p := wanted[leaf]
			if p != nil {
				p.Leaf = prover.Size()
			}
			if err := prover.Add(leaf, p != nil); err != nil {
				return err
			}
		}
		return nil
	}, func(uint64, []byte) error { return nil })
	if errors.Is(err, kycbridge.ErrEnough) {
		err = nil
	}
	return prover, err
}
