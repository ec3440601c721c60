package archive

import (
	"context"
	"errors"
	"time"

	"kycbridge"
)

const (
	// countPending, countHeld and countUnread are the names of the counts of payloads that are old enough but kept.
	countPending = "pending, kept"
	countHeld    = "held, kept"
	countUnread  = "unread, kept" // they cannot be decrypted, and may be held
	// sweepAtOnce is how many payloads are erased under one claim: holds wait meanwhile.
	sweepAtOnce = 16
)

// oldPurge is the erasure of payloads of some age.
type oldPurge struct {
	*Archive
	counts   map[string]int
	progress func(done int)
	done     int
	dryRun   bool
	waiting  []kycbridge.Kept
	holds    []kycbridge.Hold // when it began
	open     []keptPayload    // payloads after the Normalizer's position
	left     kycbridge.Left
}

// PurgeOld erases payloads that were received before a time: accepted ones only after the Normalizer has
// processed them. Events, and the payloads of held verifications, are kept. If something could not be erased, because
// keys cannot be read, the error is a kycbridge.UnfinishedError.
func (a *Archive) PurgeOld(
	ctx context.Context, f Filter, before time.Time, dryRun bool, progress func(done int),
) (map[string]int, error) {
	if before.IsZero() {
		return nil, errors.New("name the age from which payloads are erased")
	}
	if err := a.Records.RecordsWhole(ctx); err != nil { // even if nothing is old enough
		return nil, err
	}
	position, err := a.DispositionLog.Position(ctx)
	if err != nil {
		return nil, err
	}
	if f.Until.IsZero() || before.Before(f.Until) {
		f.Until = before
	}
	holds, err := a.Holds.Holds(ctx)
	if err != nil {
		return nil, err
	}
	p := &oldPurge{Archive: a, counts: map[string]int{}, progress: progress, dryRun: dryRun, holds: holds}
	err = a.find(ctx, f, true, func(k kycbridge.Kept) error {
		if k.Shelf != kycbridge.ShelfPayloads || k.Seq <= position.Floor {
			return p.add(ctx, k)
		}
		if p.open = append(p.open, keptPayload(k)); len(p.open) < purgedBeyondFloor {
			return nil
		}
		return p.addProcessed(ctx)
	})
	if err == nil {
		err = p.addProcessed(ctx)
	}
	err = errors.Join(err, p.sweep(ctx))
	switch {
	case dryRun, err != nil && p.done == 0:
		return p.counts, err
	case err != nil:
		return p.counts, &kycbridge.UnfinishedError{Left: p.left, Cause: err}
	}
	return p.counts, a.unfinished(ctx, p.left)
}

// unfinished destroys the keys that erasures have left, and returns a kycbridge.UnfinishedError if some are still left,
// or left says that payloads could not be read.
func (a *Archive) unfinished(ctx context.Context, left kycbridge.Left) error {
	keys, err := a.ShelfWriter.DestroyLeft(ctx, "")
	if left.Add(keys); err != nil || !left.Any() {
		return err
	}
	return &kycbridge.UnfinishedError{Left: left}
}

// addProcessed adds those of the open payloads that are processed, and counts the others.
func (p *oldPurge) addProcessed(ctx context.Context) error {
	done, err := processed(ctx, p.DispositionLog, p.open)
	if err != nil {
		return err
	}
	if n := len(p.open) - len(done); n > 0 {
		p.counts[countPending] += n
	}
	p.open = p.open[:0]
	for _, k := range done {
		if err := p.add(ctx, kycbridge.Kept(k)); err != nil {
			return err
		}
	}
	return nil
}

// add adds a payload to the waiting ones.
func (p *oldPurge) add(ctx context.Context, k kycbridge.Kept) error {
	if p.waiting = append(p.waiting, k); len(p.waiting) < sweepAtOnce {
		return nil
	}
	return p.sweep(ctx)
}

// sweep erases or counts the waiting payloads.
func (p *oldPurge) sweep(ctx context.Context) error {
	waiting := p.waiting
	p.waiting = p.waiting[:0]
	if len(waiting) == 0 || ctx.Err() != nil {
		return nil
	}
	if p.dryRun {
		return p.each(ctx, waiting, p.holds)
	}
	holds, end, err := p.Claims.ClaimAny(ctx)
	if err != nil {
		return err
	}
	err = p.each(ctx, waiting, holds)
	end()
	return errors.Join(err, wait(ctx, claimGap))
}

// each erases or counts payloads, except held ones.
func (p *oldPurge) each(ctx context.Context, waiting []kycbridge.Kept, holds []kycbridge.Hold) error {
	held := activeHolds(holds, p.Now())
	for _, k := range waiting {
		unread, err := p.identify(ctx, &k, held)
		if err != nil {
			return err
		}
		if unread != "" {
			p.left.AddUnread(unread)
			p.counts[countUnread]++
			continue
		}
		owner := ownerOf(k)
		if held[kycbridge.Key{Provider: owner.Provider, Account: owner.Account, VerificationID: k.VerificationID}] {
			p.counts[countHeld]++
			continue
		}
		if !p.dryRun {
			if err := p.ShelfWriter.Erase(ctx, k.Shelf, k.Seq, true); err != nil {
				return err
			}
		}
		p.counts[p.entryOf(k).Status]++
		if p.done++; p.progress != nil {
			p.progress(p.done)
		}
	}
	return nil
}

// identify finds the verification of a payload that does not name one, if its account has holds. If it cannot be read,
// it returns the page of its key.
func (p *oldPurge) identify(
	ctx context.Context, k *kycbridge.Kept, held map[kycbridge.Key]bool,
) (unread string, err error) {
	if k.VerificationID != "" {
		return "", nil
	}
	owner := ownerOf(*k)
	for h := range held {
		if h.Provider != owner.Provider || h.Account != owner.Account {
			continue
		}
		k.VerificationID, unread, err = p.verificationAt(ctx, k.Shelf, k.Seq)
		return unread, err
	}
	return "", nil
}

// activeHolds are the verifications that are held at a time.
func activeHolds(holds []kycbridge.Hold, at time.Time) map[kycbridge.Key]bool {
	held := map[kycbridge.Key]bool{}
	for _, h := range holds {
		if h.Holds(at) {
			held[h.Key()] = true
		}
	}
	return held
}
