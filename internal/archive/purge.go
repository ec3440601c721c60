package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
)

// Erasure counts what a purge erased, or would erase.
type Erasure struct {
	kycbridge.Tombstone
	kycbridge.Left
	Before *kycbridge.Tombstone `json:"before,omitempty"` // the tombstone of an earlier erasure of the same verification
}

// Empty reports whether nothing was erased, or would be erased.
func (e Erasure) Empty() bool { return e.Erased() == 0 }

const (
	// settleTime is how long a purge waits for operations that were in progress when it erased the
	// payloads: an event being published, a payload being quarantined. A worker may know of an erasure ErasureDelay late,
	// and send its event ErasureDelay after that.
	settleTime = 500*time.Millisecond + 2*kycbridge.ErasureDelay
	// maxRounds limits the number of rounds, each of which may find more messages.
	maxRounds = 20
)

// Purge erases one verification with secure deletion: its payloads on every shelf, its events, its timers and start
// receipts. It leaves a tombstone that identifies no person. The verification is given by its internal id; provider
// and account are derived from it. When it returns, everything that was stored before is erased, and operations
// that were in progress do not store it again; later messages start a new history. A held verification is refused
// with kycbridge.HeldError, and after a loss of records every verification with kycbridge.LostRecordsError, also by a
// dry run. An erasure that has not erased everything returns what it has erased, and a kycbridge.UnfinishedError.
func (a *Archive) Purge(ctx context.Context, verificationID string, dryRun bool) (Erasure, error) {
	k, err := a.KeyOf(ctx, verificationID)
	if err != nil {
		return Erasure{}, err
	}
	p := purge{Archive: a, key: k,
		out: Erasure{Tombstone: kycbridge.Tombstone{Provider: k.Provider, Account: k.Account,
			VerificationID: k.VerificationID, At: a.Now().UTC()}}}
	if p.out.Before, err = a.Tombstones.Tombstone(ctx, k); err != nil {
		return p.out, err
	}
	if p.out.Before != nil {
		p.marks, p.out.Before.Marks = p.out.Before.Marks, ""
		p.out.Revision = p.out.Before.Revision
	}
	if dryRun {
		return p.out, p.counted(ctx)
	}
	end, err := a.Claims.ClaimOne(ctx, k, a.Now())
	if err != nil {
		return p.out, err
	}
	defer end()
	p.out.Unfinished = true // in the tombstone, until everything is erased
	err = p.ended(ctx, p.run(ctx))
	return p.out, err
}

// lastWrite is how long the record of an erasure that failed may take.
const lastWrite = 5 * time.Second

// ended is the error of an erasure that ended with err. One that failed midway records what it has erased.
func (p *purge) ended(ctx context.Context, err error) error {
	switch {
	case err == nil && !p.out.Any():
		return nil
	case err != nil && p.out.Empty() && !p.out.Any():
		return err
	case err != nil && !p.out.Empty():
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
		defer cancel()
		p.out.Unfinished = true
		_ = p.writeTombstone(last) // on failure only its numbers are too low
	}
	erased := p.out.Tombstone
	return &kycbridge.UnfinishedError{Left: p.out.Left, Erased: &erased, Cause: err}
}

// shelfOf is the part of a shelf that one query reads.
type shelfOf struct {
	shelf kycbridge.Shelf
	kycbridge.AccountKey
}

// partOf is the part that q reads.
func partOf(q kycbridge.KeptQuery) shelfOf {
	return shelfOf{q.Shelf, kycbridge.AccountKey{Provider: q.Provider, Account: q.Account}}
}

// purge is the erasure of one verification.
type purge struct {
	*Archive
	key   kycbridge.Key
	out   Erasure
	marks kycbridge.Marks
	seen  map[shelfOf]uint64 // next sequence to read of shelves without verifications in their subjects
}

// account is the account of the verification.
func (p *purge) account() kycbridge.AccountKey {
	return kycbridge.AccountKey{Provider: p.key.Provider, Account: p.key.Account}
}

// counted counts what would be erased, unless the verification is held or records are lost.
func (p *purge) counted(ctx context.Context) error {
	if err := p.Records.RecordsWhole(ctx); err != nil {
		return err
	}
	h, err := p.Holds.Hold(ctx, p.key)
	if err == nil && h != nil && h.Holds(p.Now()) {
		return &kycbridge.HeldError{Hold: *h}
	}
	return errors.Join(err, p.count(ctx))
}

// count counts what would be erased.
func (p *purge) count(ctx context.Context) error {
	for shelf, count := range p.shelves() {
		if err := p.find(ctx, shelf, func(kycbridge.Kept) error { *count++; return nil }); err != nil {
			return err
		}
	}
	events, err := p.Events.CountRevisions(ctx, p.key)
	p.out.Events = events
	return err
}

func (p *purge) shelves() map[kycbridge.Shelf]*int {
	return map[kycbridge.Shelf]*int{kycbridge.ShelfPayloads: &p.out.Payloads,
		kycbridge.ShelfQuarantine: &p.out.Quarantined, kycbridge.ShelfRefused: &p.out.Refused}
}

// run erases until a round, some time after the last erased payload, finds nothing.
func (p *purge) run(ctx context.Context) error {
	lift, err := p.Barrier.Bar(ctx, p.key)
	if err != nil {
		return err
	}
	defer lift()
	p.seen = map[shelfOf]uint64{}
	for round := 0; ; round++ {
		before := p.out.Erased()
		if err := p.round(ctx); err != nil {
			return err
		}
		if round > 0 && p.out.Erased() == before {
			break
		}
		if round == maxRounds {
			return errors.New("more of the verification comes while it is erased: run it again")
		}
		if err := wait(ctx, settleTime); err != nil {
			return err
		}
	}
	if _, err := p.Unindex.Unindex(ctx, p.key); err != nil {
		return fmt.Errorf("erase ids: %w", err)
	}
	left, err := p.ShelfWriter.DestroyLeft(ctx, p.key.VerificationID)
	if err != nil {
		return err
	}
	p.out.Add(left)
	p.out.Unfinished = p.out.Any()
	if isRecorded, err := p.isRecorded(ctx); err != nil || isRecorded {
		return err
	}
	if err := p.writeTombstone(ctx); err != nil {
		return err
	}
	return p.eraseLateWatches(ctx)
}

// isRecorded reports whether the tombstone that is stored remains: nothing was erased now, and this purge does not
// finish an earlier one. A purge beside this one may have erased everything.
func (p *purge) isRecorded(ctx context.Context) (bool, error) {
	if !p.out.Empty() || p.continued() && !p.out.Unfinished {
		return false, nil
	}
	t, err := p.Tombstones.Tombstone(ctx, p.key)
	return t != nil, err
}

// continued reports whether an earlier purge has not erased everything.
func (p *purge) continued() bool { return p.out.Before != nil && p.out.Before.Unfinished }

// eraseLateWatches erases the timer of a poll that was in progress during the last round. A poll that ends now finds
// the tombstone, and sets none.
func (p *purge) eraseLateWatches(ctx context.Context) error {
	if err := wait(ctx, 2*kycbridge.ErasureDelay); err != nil {
		return err
	}
	_, err := p.eraseWatches(ctx)
	return err
}

// eraseWatches erases the timer of the verification, and requests to watch it that nobody has handled yet.
func (p *purge) eraseWatches(ctx context.Context) (n int, err error) {
	n, err = p.Watches.EraseWatches(ctx, p.key)
	if err != nil {
		return n, fmt.Errorf("erase timers: %w", err)
	}
	requests, err := p.Watches.EraseRequests(ctx, p.account(), p.isRequested)
	return n + requests, err
}

// isRequested reports whether a request to watch names the verification.
func (p *purge) isRequested(body []byte) bool {
	request, _ := document.Decode(body)
	reference := request.Text("reference")
	if account, ok := p.readerOf(p.account()); ok {
		reference = account.Provider.Canonical(reference)
	}
	return event.VerificationID(p.key.Provider, p.key.Account, reference) == p.key.VerificationID
}

// round erases the current messages. Timers first, so that nothing is fetched again; events last, so that
// an interrupted purge still finds the verification.
func (p *purge) round(ctx context.Context) error {
	watches, err := p.eraseWatches(ctx)
	p.out.Watches += watches
	if err != nil {
		return err
	}
	for shelf, count := range p.shelves() {
		n, err := p.erase(ctx, shelf)
		*count += n
		if err != nil {
			return fmt.Errorf("erase %s: %w", shelf, err)
		}
	}
	if err := p.recordRevision(ctx); err != nil {
		return err
	}
	events, err := p.Bus.EraseEvents(ctx, p.key)
	p.out.Events += events
	if err != nil {
		return fmt.Errorf("erase events: %w", err)
	}
	return nil
}

// erase erases the payloads of the verification on a shelf. Authentic ones are recorded in the tombstone first, so that
// repeated deliveries are recognized from then on.
func (p *purge) erase(ctx context.Context, shelf kycbridge.Shelf) (n int, err error) {
	var found []kycbridge.Kept
	err = p.find(ctx, shelf, func(k kycbridge.Kept) error { found = append(found, k); return nil })
	if err != nil {
		return 0, err
	}
	if shelf != kycbridge.ShelfRefused && len(found) > 0 {
		for _, k := range found {
			p.marks = p.marks.Add(k.Payload)
		}
		if err := p.writeTombstone(ctx); err != nil {
			return 0, err
		}
	}
	if err := p.ShelfWriter.Erasing(ctx, shelf, seqsOf(found)); err != nil {
		return 0, err
	}
	if err := p.ShelfWriter.DestroyKeysOf(ctx, p.key.VerificationID, shelf, keysOf(found)); err != nil {
		return 0, err
	}
	for n, k := range found {
		if err := p.ShelfWriter.Erase(ctx, shelf, k.Seq, true); err != nil {
			return n, err
		}
	}
	return len(found), nil
}

// seqsOf are the sequences of encrypted bodies, ascending.
func seqsOf(found []kycbridge.Kept) (seqs []uint64) {
	for _, k := range found {
		if k.Key != "" {
			seqs = append(seqs, k.Seq)
		}
	}
	slices.Sort(seqs)
	return seqs
}

// keysOf are the names of the keys of encrypted bodies.
func keysOf(found []kycbridge.Kept) (names []string) {
	for _, k := range found {
		if k.Key != "" {
			names = append(names, k.Key)
		}
	}
	return names
}

// find returns the payloads of the verification on a shelf, without their bodies. On shelves other than
// the log all payloads of the account have to be read, and in a later round of run those that have come since.
func (p *purge) find(ctx context.Context, shelf kycbridge.Shelf, each func(kycbridge.Kept) error) error {
	q := kycbridge.KeptQuery{Shelf: shelf, Provider: p.key.Provider, Account: p.key.Account, Unread: true}
	if shelf == kycbridge.ShelfPayloads {
		q.VerificationID, q.HeadersOnly = p.key.VerificationID, true
	}
	queries := []kycbridge.KeptQuery{q}
	if shelf == kycbridge.ShelfRefused { // callbacks that came before their account was configured
		q.Provider, q.Account = kycbridge.UnknownAccount, kycbridge.UnknownAccount
		queries = append(queries, q)
	}
	for _, q := range queries {
		if err := p.findBy(ctx, q, each); err != nil {
			return err
		}
	}
	return nil
}

// findBy is find for one query. Each query goes on from its own end: what another one has read meanwhile may be younger
// than messages that this one has not seen.
func (p *purge) findBy(ctx context.Context, q kycbridge.KeptQuery, each func(kycbridge.Kept) error) error {
	part := partOf(q)
	q.From = p.seen[part]
	return p.Shelves.Kept(ctx, q, func(k kycbridge.Kept) error {
		if q.Shelf != kycbridge.ShelfPayloads && p.seen != nil {
			p.seen[part] = max(p.seen[part], k.Seq+1)
		}
		switch id := p.verificationOf(k); {
		case id == "" && k.Unread != "" && ownerOf(k) == p.account():
			p.out.AddUnread(k.Unread)
			return nil
		case id != p.key.VerificationID:
			return nil
		}
		k.Body = nil
		return each(k)
	})
}

// recordRevision records the newest revision before it is erased: a later history goes on from it.
func (p *purge) recordRevision(ctx context.Context) error {
	newest, err := p.Events.NewestRevision(ctx, p.key)
	if err != nil || newest <= p.out.Revision {
		return err
	}
	p.out.Revision = newest
	return p.writeTombstone(ctx)
}

// writeTombstone records what was erased so far.
func (p *purge) writeTombstone(ctx context.Context) error {
	t := p.out.Tombstone
	if p.continued() {
		t = t.Plus(*p.out.Before)
	}
	t.At, t.Marks = p.Now().UTC(), p.marks
	if err := p.Tombstones.WriteTombstone(ctx, t); err != nil {
		return fmt.Errorf("write a tombstone: %w", err)
	}
	p.out.At = t.At
	return nil
}

// wait waits for d or the end of ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// KeyOf finds the provider and account of a verification.
func (a *Archive) KeyOf(ctx context.Context, verificationID string) (kycbridge.Key, error) {
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
	// Events are kept for longer than payloads, and for longer than their account is configured.
	if found, err = a.Events.KeyOf(ctx, verificationID); !errors.Is(err, kycbridge.ErrNotFound) {
		return found, err
	}
	for account := range a.Accounts {
		k := kycbridge.Key{Provider: account.Provider, Account: account.Account, VerificationID: verificationID}
		if tombstone, err := a.Tombstones.Tombstone(ctx, k); err != nil || tombstone != nil {
			return k, err
		}
	}
	return a.findOnOtherShelves(ctx, verificationID)
}

// findOnOtherShelves searches for a verification of which only quarantined or refused payloads are known. While some of
// them cannot be read, it is not known that none belongs to it: then the error is a kycbridge.UnfinishedError.
func (a *Archive) findOnOtherShelves(ctx context.Context, verificationID string) (found kycbridge.Key, err error) {
	var left kycbridge.Left
	for _, shelf := range []kycbridge.Shelf{kycbridge.ShelfQuarantine, kycbridge.ShelfRefused} {
		q := kycbridge.KeptQuery{Shelf: shelf, Unread: true}
		err = a.Shelves.Kept(ctx, q, func(k kycbridge.Kept) error {
			switch id := a.verificationOf(k); {
			case id == "" && k.Unread != "":
				left.AddUnread(k.Unread)
				return nil
			case id != verificationID:
				return nil
			}
			owner := ownerOf(k)
			found = kycbridge.Key{Provider: owner.Provider, Account: owner.Account, VerificationID: verificationID}
			return kycbridge.ErrEnough
		})
		if err != nil || found.VerificationID != "" {
			return found, err
		}
	}
	if left.Any() {
		return found, &kycbridge.UnfinishedError{Left: left}
	}
	return found, fmt.Errorf("nothing is known of verification %s: %w", verificationID, kycbridge.ErrNotFound)
}

// verificationOf is the verification of a stored payload, if it can be read: refused and quarantined
// payloads were not identified when they were received.
func (a *Archive) verificationOf(k kycbridge.Kept) string {
	if k.VerificationID != "" {
		return k.VerificationID
	}
	owner := ownerOf(k)
	account, ok := a.readerOf(owner)
	if !ok {
		return ""
	}
	id, _, _ := a.Intake.Examine(account, k.Payload)
	reference := cmp.Or(id.Reference, k.Reference) // else of the verification that was asked about
	if reference == "" {
		return ""
	}
	return event.VerificationID(owner.Provider, owner.Account, reference)
}

// readerOf is an account with which bodies are read. One that is not configured (any more) has the defaults: what is
// stored of it belongs to persons, too.
func (a *Archive) readerOf(k kycbridge.AccountKey) (*kycbridge.Account, bool) {
	if account, err := a.Accounts.Find(k.Provider, k.Account); err == nil {
		return account, true
	}
	p, ok := a.Providers[k.Provider]
	return &kycbridge.Account{Name: k.Account, Provider: p}, ok
}

// verificationAt is verificationOf the payload at a sequence of a shelf; "" if it is no longer there. If its body
// cannot be decrypted, and nothing else names its verification, unread is the page of its key: it may be of any.
func (a *Archive) verificationAt(
	ctx context.Context, shelf kycbridge.Shelf, seq uint64,
) (id, unread string, err error) {
	k, err := a.Shelves.KeptAt(ctx, shelf, seq)
	switch {
	case errors.Is(err, kycbridge.ErrNotFound):
		return "", "", nil
	case err != nil && k.Unread == "":
		return "", "", err
	}
	if id = a.verificationOf(k); id == "" {
		unread = k.Unread
	}
	return id, unread, nil
}

// ownerOf is the account of a payload; of a callback to an account that was unknown, the one in its address.
func ownerOf(k kycbridge.Kept) kycbridge.AccountKey {
	if k.Provider == kycbridge.UnknownAccount {
		return k.Addressed
	}
	return kycbridge.AccountKey{Provider: k.Provider, Account: k.Account}
}
