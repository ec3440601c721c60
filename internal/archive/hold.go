package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kycbridge"
)

// Held is a hold as it is listed.
type Held struct {
	kycbridge.Hold
	Active bool      `json:"active"`         // the hold is in effect now
	Ended  time.Time `json:"ended,omitzero"` // when it ended
	// Erased is when the verification was last erased: the hold keeps only what came afterwards.
	Erased time.Time `json:"erased,omitzero"`
	// Unfinished: that erasure is not finished. The hold also keeps what it has left.
	Unfinished bool `json:"unfinished,omitempty"`
	// Limited are streams whose old messages the server itself removes, held or not, because an operator has limited
	// their age on the server.
	Limited []string `json:"limited,omitempty"`
}

// Hold holds everything that is stored about a verification: nothing of it is erased until the hold ends. It
// replaces an earlier hold. When it returns, no erasure of the verification is in progress.
func (a *Archive) Hold(ctx context.Context, verificationID, reason, by string, until time.Time) (Held, error) {
	now := a.Now().UTC()
	if !until.IsZero() && !until.After(now) {
		return Held{}, errors.New("the end of a hold must be in the future")
	}
	k, err := a.KeyOf(ctx, verificationID)
	if err != nil {
		return Held{}, err
	}
	h := kycbridge.Hold{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID, Reason: reason, By: by,
		Since: now, Until: until.UTC()}
	if before, err := a.Holds.Hold(ctx, k); err != nil {
		return Held{}, err
	} else if before != nil && before.Holds(now) {
		h.Since = before.Since
	}
	if err := a.Holds.PutHold(ctx, h); err != nil {
		return Held{}, err
	}
	out := Held{Hold: h, Active: true}
	if out.Limited, err = a.Ageing.OwnAges(ctx); err != nil {
		return out, err
	}
	erased, err := a.Tombstones.Tombstone(ctx, k)
	if erased != nil {
		out.Erased, out.Unfinished = erased.At, erased.Unfinished
	}
	return out, err
}

// Release ends the hold on a verification. A hold that has already ended is not changed. If another hold was placed
// meanwhile, that remains and is returned.
func (a *Archive) Release(ctx context.Context, verificationID, reason, by string) (Held, error) {
	all, err := a.Holds.Holds(ctx)
	if err != nil {
		return Held{}, err
	}
	now := a.Now().UTC()
	for _, h := range all {
		if h.VerificationID != verificationID {
			continue
		}
		if h.Holds(now) {
			h.Released, h.ReleasedBy, h.ReleaseReason = now, by, reason
			err = a.Holds.PutHold(ctx, h)
		}
		if errors.Is(err, kycbridge.ErrConflict) {
			return a.heldNow(ctx, h.Key())
		}
		return heldAt(h, now), err
	}
	return Held{}, fmt.Errorf("there is no hold on verification %s: %w", verificationID, kycbridge.ErrNotFound)
}

// heldNow is the newest hold on a verification.
func (a *Archive) heldNow(ctx context.Context, k kycbridge.Key) (Held, error) {
	h, err := a.Holds.Hold(ctx, k)
	if err != nil || h == nil {
		return Held{}, err
	}
	return heldAt(*h, a.Now()), nil
}

// ListHolds returns all holds, oldest first, also those that have ended.
func (a *Archive) ListHolds(ctx context.Context) (list []Held, err error) {
	all, err := a.Holds.Holds(ctx)
	for _, h := range all {
		list = append(list, heldAt(h, a.Now()))
	}
	return list, err
}

func heldAt(h kycbridge.Hold, at time.Time) Held {
	return Held{Hold: h, Active: h.Holds(at), Ended: h.Ended(at)}
}
