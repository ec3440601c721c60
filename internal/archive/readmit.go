package archive

import (
	"context"
	"errors"
	"fmt"

	"kycbridge"
	"kycbridge/event"
)

// readmit admits quarantined or refused payloads again, in the order in which they were received.
func (r *replay) readmit(ctx context.Context) error {
	n := 0
	return r.find(ctx, r.o.Filter, false, func(k kycbridge.Kept) error {
		if err := r.pace.Wait(ctx); err != nil {
			return err
		}
		out, err := r.readmitOne(ctx, k)
		if errors.Is(err, kycbridge.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("payload %s: %w", k.ID, err)
		}
		r.seen(k.Seq, false)
		if err := r.report(out, 0); err != nil {
			return err
		}
		if n++; r.o.Limit > 0 && n >= r.o.Limit {
			return kycbridge.ErrEnough
		}
		return nil
	})
}

// readmitOne admits one payload again. It is removed from its shelf only after it is durable in the log. If it is no
// longer on its shelf, because it was purged or admitted by another replay since it was read, it returns
// kycbridge.ErrNotFound. A payload whose body is damaged, or cannot be decrypted, stays: admitted, it would be an empty
// one. An accepted payload is none to admit: it would be removed from the log.
func (r *replay) readmitOne(ctx context.Context, k kycbridge.Kept) (Replayed, error) {
	if k.Shelf != kycbridge.ShelfQuarantine && k.Shelf != kycbridge.ShelfRefused {
		return Replayed{}, kycbridge.ErrNotFound
	}
	out := Replayed{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID, PayloadID: k.ID,
		Result: still(k.Shelf), Reason: k.Reason}
	if k.Provider == kycbridge.UnknownAccount {
		k.Provider, k.Account = k.Addressed.Provider, k.Addressed.Account // it may be configured by now
	}
	if k.Digest != "" && k.Digest != kycbridge.Digest(k.Body) {
		out.Reason = Altered
		_, err := r.Shelves.KeptAt(ctx, k.Shelf, k.Seq) // its key is destroyed before it is removed
		return out, err
	}
	account, err := r.Accounts.Find(k.Provider, k.Account)
	if err != nil {
		out.Reason = r.noAccount(k)
		return out, nil
	}
	out.Provider, out.Account = k.Provider, k.Account
	p := k.Payload
	if k.Shelf == kycbridge.ShelfRefused {
		placement, err := account.Provider.Verify(account.Credentials, *k.Request)
		if err != nil {
			return out, nil
		}
		p.Via, p.Placement = event.ViaCallback, placement
	}
	id, reason, _ := r.Intake.Examine(account, p)
	if reason != "" && k.Shelf == kycbridge.ShelfQuarantine {
		out.Reason = reason
		return out, nil
	}
	out.Result, out.Reason = ResultAdmitted, reason
	if id.Reference != "" {
		out.VerificationID = event.VerificationID(k.Provider, k.Account, id.Reference)
	}
	if k.Shelf == kycbridge.ShelfQuarantine && k.Reason == kycbridge.QuarantineUnmapped {
		return r.remap(ctx, account, k, out)
	}
	if r.o.DryRun {
		there, err := r.admittedBefore(ctx, account, p, id)
		if there {
			out.Result = ResultDuplicate
		}
		return out, err
	}
	return r.ingest(ctx, account, k, p, out)
}

// ingest stores p, which was read from its shelf as k, in the log, and removes it from its shelf.
func (r *replay) ingest(
	ctx context.Context, account *kycbridge.Account, k kycbridge.Kept, p kycbridge.Payload, out Replayed,
) (Replayed, error) {
	p.ReadAt = r.Now()
	if _, err := r.Shelves.KeptAt(ctx, k.Shelf, k.Seq); err != nil {
		return out, err
	}
	receipt, err := r.Intake.Ingest(ctx, account, p)
	if errors.Is(err, kycbridge.ErrErased) {
		return out, kycbridge.ErrNotFound
	}
	if err != nil {
		return out, err
	}
	if receipt.Status == kycbridge.ReceiptDuplicate {
		out.Result = ResultDuplicate
	}
	return out, r.remove(ctx, k)
}

// remove removes an admitted payload from its shelf. Its bytes are overwritten, because a later purge of the person
// finds no message there any more. Encrypted ones are not: without their key, nobody can read them.
func (r *replay) remove(ctx context.Context, k kycbridge.Kept) error {
	return r.ShelfWriter.Erase(ctx, k.Shelf, k.Seq, k.Key == "")
}

// noAccount is the reason why a payload of an unknown account is not admitted.
func (r *replay) noAccount(k kycbridge.Kept) string {
	if path := r.addressed(k); path != "" {
		return "no account is configured for " + path
	}
	return "account is not configured here"
}

// admittedBefore reports whether a payload is already in the log.
func (r *replay) admittedBefore(
	ctx context.Context, account *kycbridge.Account, p kycbridge.Payload, id kycbridge.Identity,
) (bool, error) {
	if id.Reference == "" {
		return false, nil
	}
	if account.Name != p.Account {
		return false, nil
	}
	p.VerificationID = event.VerificationID(p.Provider, p.Account, id.Reference)
	p.ID = kycbridge.PayloadID(p.Provider, p.Account, id.EventID, p.Digest)
	return r.holds(ctx, kycbridge.Kept{Payload: p})
}

// remap maps a payload of the log that could not be mapped before.
func (r *replay) remap(ctx context.Context, a *kycbridge.Account, k kycbridge.Kept, out Replayed) (Replayed, error) {
	if _, err := a.Observe(k.Payload); errors.Is(err, kycbridge.ErrUnmappable) {
		out.Result, out.Reason = still(k.Shelf), kycbridge.QuarantineUnmapped
		return out, nil
	}
	replayer, err := r.remapping(ctx)
	if err != nil {
		return out, err
	}
	key := kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: out.VerificationID}
	var again kycbridge.Recomputed
	var e *event.Event
	if r.o.DryRun {
		again, err = replayer.Recompute(ctx, key)
	} else {
		again, e, err = replayer.Replay(ctx, key)
	}
	switch {
	case err != nil:
		return out, err
	case again.Blocked != "":
		out.Result, out.Reason = still(k.Shelf), again.Why
		return out, nil
	case r.o.DryRun:
		return out, nil
	case e != nil:
		out.Revision = e.Data.Revision
	}
	return out, r.remove(ctx, k)
}

// remapping recomputes verifications with payloads that could not be mapped before. Only those may be left out: another
// payload that cannot be read any more may be a rejection.
func (r *replay) remapping(ctx context.Context) (*kycbridge.Replayer, error) {
	if r.notMapped == nil {
		var err error
		if r.notMapped, err = r.unmapped(ctx); err != nil {
			return nil, err
		}
	}
	replayer := *r.Replayer
	replayer.Unmapped, replayer.Base = func(id string) bool { return r.notMapped[id] }, r.base
	return &replayer, nil
}
