package archive

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// Ageing removes messages because of their age.
type Ageing interface {
	// Aged passes the messages of an account, or of all, that were stored before a time, oldest first.
	Aged(ctx context.Context, shelf kycbridge.Shelf, a kycbridge.AccountKey, before time.Time, from uint64,
		each func(kycbridge.Aged) error) error
	// Expire removes messages and records the removal; whole: seqs are all messages of the account up to the last of
	// them.
	Expire(ctx context.Context, shelf kycbridge.Shelf, a kycbridge.AccountKey, seqs []uint64, whole bool) error
	// Expired is the number of messages that all processes have removed from a shelf until now.
	Expired(ctx context.Context, shelf kycbridge.Shelf) (int, error)
	TidyErasures(ctx context.Context, shelf kycbridge.Shelf) error
	// Retentions is the last known retention of every account of any process that uses the store.
	Retentions(ctx context.Context) (map[kycbridge.AccountKey]kycbridge.AccountRetention, error)
	// OwnAges are the streams whose old messages the server itself removes, even held ones.
	OwnAges(ctx context.Context) (streams []string, err error)
}

// Aging counts what the retention of one class of one account removes, and what it keeps although it is older.
type Aging struct {
	Class    kycbridge.Class `json:"class"`
	Provider string          `json:"provider,omitempty"` // "": accounts that are not configured
	Account  string          `json:"account,omitempty"`
	Age      string          `json:"retention"` // a duration
	Due      int             `json:"due"`       // removed, or would be; of events, verifications
	Held     int             `json:"held"`      // older, and held
	Pending  int             `json:"pending"`   // older, and not processed yet
	// Unread is the number of older ones that are kept because they cannot be decrypted and may be held.
	Unread int `json:"unread,omitempty"`
}

const (
	// retainAtOnce is how many messages are removed under one claim: holds wait meanwhile.
	retainAtOnce = 8192
	// claimGap is the pause between two claims, in which waiting holds can take effect.
	claimGap = 100 * time.Millisecond
)

// classes are the classes with a shelf.
var classes = map[kycbridge.Class]kycbridge.Shelf{kycbridge.ClassPayloads: kycbridge.ShelfPayloads,
	kycbridge.ClassQuarantine: kycbridge.ShelfQuarantine}

// retaining is one round of the retention for one class of one account, or of all accounts whose retention is not
// known.
type retaining struct {
	*Archive
	Aging
	shelf   kycbridge.Shelf
	account kycbridge.AccountKey
	rules   kycbridge.Retention
	floor   uint64 // payloads up to it are processed
	dryRun  bool
	now     time.Time
	waiting []kycbridge.Aged
	open    []agedPayload // payloads after the floor
	kept    bool          // an older message of the account was kept
	left    *kycbridge.Left
}

// Retain removes what is older than its retention and not held: accepted payloads only after the Normalizer has
// processed them. A dry run only counts. It can run in several processes at the same time. Accounts that this process
// does not know are included if others is set, which reads all aged messages of a shelf, and erasures that a killed
// process has begun are finished. An error in one account does not keep what is old in the others. If something could
// not be removed, because keys cannot be read, the error wraps a kycbridge.UnfinishedError.
func (a *Archive) Retain(ctx context.Context, dryRun, others bool) (all []Aging, err error) {
	position, err := a.DispositionLog.Position(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	var left kycbridge.Left
	if others && !dryRun {
		errs = append(errs, a.finishErasures(ctx))
	}
	own := slices.SortedFunc(maps.Keys(a.Accounts), byName)
	accounts, rules := own, a.Retention
	if others {
		known, err := a.Ageing.Retentions(ctx)
		if errs = append(errs, err); err == nil {
			accounts, rules = a.withOthers(own, known)
		}
	}
	for _, class := range []kycbridge.Class{kycbridge.ClassPayloads, kycbridge.ClassQuarantine} {
		for _, account := range accounts {
			r := &retaining{Archive: a, shelf: classes[class], account: account, rules: rules, floor: position.Floor,
				dryRun: dryRun, now: a.Now(), left: &left, Aging: Aging{Class: class, Provider: account.Provider,
					Account: account.Account, Age: rules.Of(class, account).String()}}
			errs = append(errs, r.run(ctx))
			if r.Age != "0s" {
				all = append(all, r.Aging)
			}
		}
		if !dryRun {
			errs = append(errs, a.Ageing.TidyErasures(ctx, classes[class]))
		}
	}
	for _, account := range own {
		aging, err := a.retainEvents(ctx, account, dryRun)
		if errs = append(errs, err); aging.Age != "" {
			all = append(all, aging)
		}
	}
	if !dryRun {
		errs = append(errs, a.unfinished(ctx, left))
	}
	return all, errors.Join(errs...)
}

// withOthers adds to the own accounts those that are known to have another retention in another process, or had one
// before they were removed from the configuration, and the zero account for all whose retention is not known.
func (a *Archive) withOthers(
	own []kycbridge.AccountKey, known map[kycbridge.AccountKey]kycbridge.AccountRetention,
) ([]kycbridge.AccountKey, kycbridge.Retention) {
	others := maps.Clone(known)
	for _, account := range own {
		delete(others, account)
	}
	accounts := slices.Concat(own, slices.SortedFunc(maps.Keys(others), byName), []kycbridge.AccountKey{{}})
	return accounts, a.Retention.Including(others)
}

func byName(x, y kycbridge.AccountKey) int {
	return cmp.Or(cmp.Compare(x.Provider, y.Provider), cmp.Compare(x.Account, y.Account))
}

// finishErasures removes the messages that a killed process was erasing: their keys are destroyed, so nobody can read
// which verification they belong to, and a repeated purge may not find them.
func (a *Archive) finishErasures(ctx context.Context) error {
	for _, shelf := range []kycbridge.Shelf{kycbridge.ShelfPayloads, kycbridge.ShelfQuarantine} {
		left, err := a.ShelfWriter.Unfinished(ctx, shelf)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(left, sweepAtOnce) {
			if err := a.finish(ctx, shelf, some); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish removes some messages, except those of verifications that are held by now.
func (a *Archive) finish(ctx context.Context, shelf kycbridge.Shelf, left []kycbridge.Aged) error {
	holds, end, err := a.Claims.ClaimAny(ctx)
	if err != nil {
		return err
	}
	defer end()
	held := activeHolds(holds, a.Now())
	left = slices.DeleteFunc(slices.Clone(left), func(m kycbridge.Aged) bool { return held[m.Key] })
	var sealed []string
	for _, m := range left {
		sealed = append(sealed, m.Sealed)
	}
	// Again: the process may have been killed before it had overwritten the version of a page with these keys.
	if err := a.ShelfWriter.DestroyKeys(ctx, shelf, sealed); err != nil {
		return err
	}
	for _, m := range left {
		if err := a.ShelfWriter.Erase(ctx, shelf, m.Seq, true); err != nil {
			return err
		}
	}
	return nil
}

// run removes in portions.
func (r *retaining) run(ctx context.Context) error {
	limit := r.rules.Limit(r.Class, r.account, r.now)
	if limit.IsZero() {
		return nil
	}
	for from, more := uint64(1), true; more; {
		more, r.waiting, r.open = false, r.waiting[:0], r.open[:0]
		err := r.Ageing.Aged(ctx, r.shelf, r.account, limit, from, func(m kycbridge.Aged) error {
			from = m.Seq + 1
			r.kept = r.kept || m.Behind
			switch {
			case r.others(m):
				return nil
			case r.Class == kycbridge.ClassPayloads && m.Seq > r.floor:
				r.open = append(r.open, agedPayload(m))
			default:
				r.waiting = append(r.waiting, m)
			}
			if more = len(r.waiting) == retainAtOnce || len(r.open) == beyondFloor; more {
				return kycbridge.ErrEnough
			}
			return nil
		})
		if err == nil {
			err = r.portions(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// portions removes or counts the waiting messages, and the open ones that are processed.
func (r *retaining) portions(ctx context.Context) error {
	if err := r.portion(ctx); err != nil {
		return err
	}
	done, err := processed(ctx, r.DispositionLog, r.open)
	if err != nil {
		return err
	}
	if len(done) < len(r.open) {
		r.Pending += len(r.open) - len(done)
		r.kept = true
	}
	for some := range slices.Chunk(done, retainAtOnce) {
		r.waiting = r.waiting[:0]
		for _, m := range some {
			r.waiting = append(r.waiting, kycbridge.Aged(m))
		}
		if err := r.portion(ctx); err != nil {
			return err
		}
	}
	return nil
}

// others reports whether a message belongs to another round.
func (r *retaining) others(m kycbridge.Aged) bool {
	account := kycbridge.AccountKey{Provider: m.Provider, Account: m.Account}
	_, isOwn := r.Accounts[account]
	_, isKnown := r.rules.Accounts[account]
	return r.account == (kycbridge.AccountKey{}) && (isOwn || isKnown)
}

// portion removes or counts the waiting messages, and lets waiting holds take effect.
func (r *retaining) portion(ctx context.Context) error {
	if len(r.waiting) == 0 {
		return nil
	}
	if err := r.claimed(ctx); err != nil || r.dryRun {
		return err
	}
	return wait(ctx, cmp.Or(r.gap, claimGap))
}

// claimed removes or counts the waiting messages while no hold is placed.
func (r *retaining) claimed(ctx context.Context) error {
	holds, end, err := r.holds(ctx)
	if err != nil {
		return err
	}
	defer end()
	active := map[kycbridge.Key]*kycbridge.Hold{}
	for i, h := range holds {
		if h.Holds(r.now) {
			active[h.Key()] = &holds[i]
		}
	}
	var seqs []uint64
	var sealed []string
	for _, m := range r.waiting {
		unread, err := r.identify(ctx, &m, active)
		if err != nil {
			return err
		}
		if unread != "" {
			r.Unread++
			r.left.AddUnread(unread)
			r.kept = true
			continue
		}
		if !r.rules.Due(r.Class, m, active[m.Key], r.now) {
			r.Held++
			r.kept = true
			continue
		}
		r.Due++
		seqs = append(seqs, m.Seq)
		if m.Sealed != "" {
			sealed = append(sealed, m.Sealed)
		}
	}
	if r.dryRun || len(seqs) == 0 {
		return nil
	}
	if err := r.ShelfWriter.DestroyKeys(ctx, r.shelf, sealed); err != nil {
		return err
	}
	return r.Ageing.Expire(ctx, r.shelf, r.account, seqs, !r.kept)
}

// holds returns all holds. Unless it is a dry run, new holds wait until end is called.
func (r *retaining) holds(ctx context.Context) (holds []kycbridge.Hold, end func(), err error) {
	if r.dryRun {
		holds, err = r.Holds.Holds(ctx)
		return holds, func() {}, err
	}
	return r.Claims.ClaimAny(ctx)
}

// identify finds the verification of a message that does not name one, if its account has holds. If it cannot be read,
// it returns the page of its key.
func (r *retaining) identify(
	ctx context.Context, m *kycbridge.Aged, active map[kycbridge.Key]*kycbridge.Hold,
) (unread string, err error) {
	if m.VerificationID != "" {
		return "", nil
	}
	for k := range active {
		if k.Provider != m.Provider || k.Account != m.Account {
			continue
		}
		m.VerificationID, unread, err = r.verificationAt(ctx, r.shelf, m.Seq)
		return unread, err
	}
	return "", nil
}

// retainEvents erases the events of verifications that have ended, if the last event is old enough.
func (a *Archive) retainEvents(ctx context.Context, account kycbridge.AccountKey, dryRun bool) (out Aging, err error) {
	now := a.Now()
	limit := a.Retention.Limit(kycbridge.ClassEvents, account, now)
	if limit.IsZero() || account == (kycbridge.AccountKey{}) {
		return out, nil
	}
	out = Aging{Class: kycbridge.ClassEvents, Provider: account.Provider, Account: account.Account,
		Age: a.Retention.Of(kycbridge.ClassEvents, account).String()}
	if oldest, err := a.Events.OldestEvent(ctx); err != nil || !oldest.Before(limit) {
		return out, err // all events of the account would be read in vain
	}
	last := map[kycbridge.Key]kycbridge.EventMeta{}
	err = a.Events.Published(ctx, account.Provider, account.Account, time.Time{}, func(e kycbridge.EventMeta) error {
		last[e.Key] = e
		return nil
	})
	if err != nil {
		return out, err
	}
	for k, e := range last {
		if e.Kind == event.KindUpdated || !e.At.Before(limit) {
			continue
		}
		err := a.expireEvents(ctx, k, e.Seq, now, dryRun)
		switch {
		case errors.Is(err, kycbridge.ErrHeld):
			out.Held++
		case err != nil:
			return out, err
		default:
			out.Due++
		}
	}
	return out, nil
}

// expireEvents erases the events of a verification up to a sequence, unless it is held.
func (a *Archive) expireEvents(ctx context.Context, k kycbridge.Key, until uint64, now time.Time, dryRun bool) error {
	if dryRun {
		h, err := a.Holds.Hold(ctx, k)
		if err == nil && h != nil && h.Holds(now) {
			return kycbridge.ErrHeld
		}
		return err
	}
	end, err := a.Claims.ClaimOne(ctx, k, now)
	if err != nil {
		return err
	}
	defer end()
	if _, err := a.Bus.ExpireEvents(ctx, k, until); err != nil {
		return err
	}
	_, err = a.Unindex.Unindex(ctx, k)
	return err
}
