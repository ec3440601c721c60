package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kycbridge"
)

// Erasure says what a purge took away, or would.
type Erasure struct {
	kycbridge.Tombstone
	Before *kycbridge.Tombstone `json:"before,omitempty"` // the same verification was erased before
}

// Nothing reports whether there was nothing to erase.
func (e Erasure) Nothing() bool {
	t := e.Tombstone
	return t.Payloads+t.Quarantined+t.Refused+t.Events+t.Watches == 0
}

// Purge erases one verification with secure deletion: its payloads on every shelf, its events, its
// timers and start receipts. A tombstone stays that names nobody. The verification is named by our
// id; provider and account are found with it.
func (a *Archive) Purge(ctx context.Context, verificationID string, dryRun bool) (Erasure, error) {
	k, err := a.keyOf(ctx, verificationID)
	if err != nil {
		return Erasure{}, err
	}
	out := Erasure{Tombstone: kycbridge.Tombstone{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID, At: a.Now().UTC()}}
	if out.Before, err = a.Graves.Buried(ctx, k); err != nil {
		return out, err
	}
	// Timers first, so that nothing is fetched again; events last, so that a purge that was
	// interrupted still finds the verification.
	if !dryRun {
		if out.Watches, err = a.Watches.EraseWatches(ctx, k); err != nil {
			return out, fmt.Errorf("erase timers: %w", err)
		}
	}
	for shelf, count := range map[kycbridge.Shelf]*int{kycbridge.ShelfPayloads: &out.Payloads, kycbridge.ShelfQuarantine: &out.Quarantined, kycbridge.ShelfRefused: &out.Refused} {
		if *count, err = a.erase(ctx, shelf, k, dryRun); err != nil {
			return out, fmt.Errorf("erase %s: %w", shelf, err)
		}
	}
	if dryRun {
		err = a.Events.Revisions(ctx, k, func(kycbridge.State) error { out.Events++; return nil })
		return out, err
	}
	if out.Events, err = a.Bus.EraseEvents(ctx, k); err != nil {
		return out, fmt.Errorf("erase events: %w", err)
	}
	// A look or a payload that was under way may have left something behind.
	late, err := a.Watches.EraseWatches(ctx, k)
	if err != nil {
		return out, fmt.Errorf("erase timers: %w", err)
	}
	out.Watches += late
	if out.Nothing() && out.Before != nil {
		return out, nil
	}
	if err := a.Graves.Bury(ctx, out.Tombstone); err != nil {
		return out, fmt.Errorf("leave a tombstone: %w", err)
	}
	return out, nil
}

// keyOf finds provider and account of a verification.
func (a *Archive) keyOf(ctx context.Context, verificationID string) (kycbridge.Key, error) {
	if err := (Filter{Verification: verificationID}).Check(); err != nil || verificationID == "" {
		return kycbridge.Key{}, errors.Join(errors.New("name a verification by its id"), err)
	}
	var found kycbridge.Key
	q := kycbridge.KeptQuery{Shelf: kycbridge.ShelfPayloads, VerificationID: verificationID, HeadersOnly: true}
	err := a.Shelves.Kept(ctx, q, func(k kycbridge.Kept) error {
		found = kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: verificationID}
		return kycbridge.ErrEnough
	})
	if err != nil || found.VerificationID != "" {
		return found, err
	}
	for account := range a.Accounts {
		k := kycbridge.Key{Provider: account.Provider, Account: account.Account, VerificationID: verificationID}
		known := false
		err := a.Events.Revisions(ctx, k, func(kycbridge.State) error { known = true; return kycbridge.ErrEnough })
		if err != nil {
			return k, err
		}
		if known {
			return k, nil
		}
	}
	for account := range a.Accounts {
		k := kycbridge.Key{Provider: account.Provider, Account: account.Account, VerificationID: verificationID}
		if grave, err := a.Graves.Buried(ctx, k); err != nil || grave != nil {
			return k, err
		}
	}
	return a.elsewhere(ctx, verificationID)
}

// elsewhere looks for a verification of which nothing but quarantined or refused payloads are known.
func (a *Archive) elsewhere(ctx context.Context, verificationID string) (found kycbridge.Key, err error) {
	for _, shelf := range []kycbridge.Shelf{kycbridge.ShelfQuarantine, kycbridge.ShelfRefused} {
		err = a.Shelves.Kept(ctx, kycbridge.KeptQuery{Shelf: shelf}, func(k kycbridge.Kept) error {
			if a.verificationOf(k) != verificationID {
				return nil
			}
			found = kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: verificationID}
			return kycbridge.ErrEnough
		})
		if err != nil || found.VerificationID != "" {
			return found, err
		}
	}
	return found, fmt.Errorf("nothing is known of verification %s: %w", verificationID, kycbridge.ErrNotFound)
}

// verificationOf is whom a kept payload is about, as far as it can be read: what was refused or
// quarantined was not identified when it came.
func (a *Archive) verificationOf(k kycbridge.Kept) string {
	if k.VerificationID != "" {
		return k.VerificationID
	}
	account, err := a.Accounts.Find(k.Provider, k.Account)
	if err != nil {
		return ""
	}
	if id, _, _ := a.Intake.Examine(account, k.Payload); id.Reference != "" {
		return kycbridge.VerificationID(k.Provider, k.Account, id.Reference)
	}
	return ""
}

// erase takes the payloads of a verification off a shelf.
func (a *Archive) erase(ctx context.Context, shelf kycbridge.Shelf, key kycbridge.Key, dryRun bool) (n int, err error) {
	q := kycbridge.KeptQuery{Shelf: shelf, Provider: key.Provider, Account: key.Account}
	if shelf == kycbridge.ShelfPayloads {
		q.VerificationID, q.HeadersOnly = key.VerificationID, true
	}
	err = a.Shelves.Kept(ctx, q, func(k kycbridge.Kept) error {
		if a.verificationOf(k) != key.VerificationID {
			return nil
		}
		n++
		if dryRun {
			return nil
		}
		return a.Keeper.Erase(ctx, shelf, k.Seq, true)
	})
	return n, err
}

// PurgeOld takes payloads off their shelves that were received before a time: accepted ones only
// once the Normalizer is done with them. Events stay.
func (a *Archive) PurgeOld(ctx context.Context, f Filter, before time.Time, dryRun bool, progress func(done int)) (map[string]int, error) {
	if before.IsZero() {
		return nil, errors.New("name the age from which payloads are erased")
	}
	position, err := a.Ledger.Position(ctx)
	if err != nil {
		return nil, err
	}
	if f.Until.IsZero() || before.Before(f.Until) {
		f.Until = before
	}
	counts, done := map[string]int{}, 0
	err = a.find(ctx, f, true, func(k kycbridge.Kept) error {
		if k.Shelf == kycbridge.ShelfPayloads && k.Seq > position.Floor {
			counts["pending, kept"]++
			return nil
		}
		counts[entryOf(k).Status]++
		if done++; progress != nil {
			progress(done)
		}
		if dryRun {
			return nil
		}
		return a.Keeper.Erase(ctx, k.Shelf, k.Seq, true)
	})
	return counts, err
}
