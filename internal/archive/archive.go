// Package archive is the stored-payload tool: it lists and shows stored payloads, replays them through the
// current schemas and mapping, erases the data of a person, exports and imports payloads, and reports on
// everything. Commands and the API are its front ends.
package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// Shelves read stored payloads.
type Shelves interface {
	Kept(ctx context.Context, q kycbridge.KeptQuery, each func(kycbridge.Kept) error) error
	KeptAt(ctx context.Context, shelf kycbridge.Shelf, seq uint64) (kycbridge.Kept, error)
}

// ShelfWriter stores and erases payloads on their shelves. An encrypted body is erased by destroying its key
// first: then copies of it elsewhere cannot be decrypted.
type ShelfWriter interface {
	// Erasing records that messages are about to be erased. If the process ends after their keys are destroyed, Unfinished
	// finds them.
	Erasing(ctx context.Context, shelf kycbridge.Shelf, seqs []uint64) error
	Unfinished(ctx context.Context, shelf kycbridge.Shelf) ([]kycbridge.Aged, error)
	// DestroyKeys and DestroyKeysOf, for the purge of a verification, record the keys that they cannot destroy at present.
	DestroyKeys(ctx context.Context, shelf kycbridge.Shelf, names []string) error
	DestroyKeysOf(ctx context.Context, verificationID string, shelf kycbridge.Shelf, names []string) error
	// DestroyLeft destroys those keys, of one verification or with "" of all, and returns what is still left.
	DestroyLeft(ctx context.Context, verificationID string) (kycbridge.Left, error)
	Put(ctx context.Context, k kycbridge.Kept) (kycbridge.Stored, error)
	Erase(ctx context.Context, shelf kycbridge.Shelf, seq uint64, secure bool) error
}

// DispositionLog reads the dispositions of payloads and the Normalizer's position.
type DispositionLog interface {
	Dispositions(ctx context.Context, since time.Time, each func(kycbridge.Disposition) error) error
	Position(ctx context.Context) (kycbridge.Position, error)
}

// Watches reads the open sessions.
type Watches interface {
	Watches(ctx context.Context, each func(w kycbridge.Watch, due bool) error) error
	EraseWatches(ctx context.Context, k kycbridge.Key) (int, error)
	// EraseRequests erases requests to watch a verification of an account that are not handled yet.
	EraseRequests(ctx context.Context, a kycbridge.AccountKey, of func(body []byte) bool) (int, error)
}

// Tombstones record erasures.
type Tombstones interface {
	WriteTombstone(ctx context.Context, t kycbridge.Tombstone) error
	Tombstone(ctx context.Context, k kycbridge.Key) (*kycbridge.Tombstone, error)
}

// Holds store holds, which prevent the erasure of verifications.
type Holds interface {
	PutHold(ctx context.Context, h kycbridge.Hold) error
	// Hold is the hold on a verification, even if it has ended; nil if the verification was never held.
	Hold(ctx context.Context, k kycbridge.Key) (*kycbridge.Hold, error)
	Holds(ctx context.Context) ([]kycbridge.Hold, error)
}

// Records are the records without which nothing may be erased or imported: holds, and who was erased.
type Records interface {
	// RecordsWhole returns a kycbridge.LostRecordsError if some are lost and nobody has accepted it.
	RecordsWhole(ctx context.Context) error
	LostRecords(ctx context.Context) ([]kycbridge.LostRecords, error)
	AcceptLostRecords(ctx context.Context, all []kycbridge.LostRecords) error
}

// Claims announce erasures, unless records are lost. A new hold waits until announced erasures have ended, so it never
// takes effect during one.
type Claims interface {
	// ClaimOne refuses a verification that is held at that time with kycbridge.HeldError.
	ClaimOne(ctx context.Context, k kycbridge.Key, now time.Time) (end func(), err error)
	// ClaimAny returns all holds: held data must not be erased. The caller must call end soon.
	ClaimAny(ctx context.Context) (holds []kycbridge.Hold, end func(), err error)
}

// Barrier keeps payloads of a verification out of the log, from any process, until lift is called. Appends
// wait meanwhile.
type Barrier interface {
	Bar(ctx context.Context, k kycbridge.Key) (lift func(), err error)
}

// Events reads the canonical history.
type Events interface {
	// CountRevisions counts events without reading them, so it needs no key for encrypted events.
	CountRevisions(ctx context.Context, k kycbridge.Key) (int, error)
	// NewestRevision is the highest revision of the stored events, 0 without events.
	NewestRevision(ctx context.Context, k kycbridge.Key) (int, error)
	// KeyOf returns the account of a verification with events, also one that is not configured, or kycbridge.ErrNotFound.
	KeyOf(ctx context.Context, verificationID string) (kycbridge.Key, error)
	Revisions(ctx context.Context, k kycbridge.Key, each func(kycbridge.State) error) error
	Published(ctx context.Context, provider, account string, since time.Time, each func(kycbridge.EventMeta) error) error
	OldestEvent(ctx context.Context) (time.Time, error)
}

// Bus erases events, and sends events to other subjects.
type Bus interface {
	EraseEvents(ctx context.Context, k kycbridge.Key) (int, error)
	// ExpireEvents erases the events up to a sequence.
	ExpireEvents(ctx context.Context, k kycbridge.Key, until uint64) (int, error)
	Send(ctx context.Context, subject string, body []byte, id string) error
	// Encode returns the body of an event as it is published, encrypted if its profile requires it.
	Encode(e *event.Event) ([]byte, error)
}

// AccessLog records who used the API, the console and the commands.
type AccessLog interface {
	// StoreAccess stores a record durably.
	StoreAccess(ctx context.Context, a kycbridge.Access) error
	// Accesses passes the records that a query selects, oldest first.
	Accesses(ctx context.Context, q kycbridge.AccessQuery, each func(kycbridge.Access) error) error
}

// Archive is the stored-payload tool.
type Archive struct {
	Accounts       kycbridge.Accounts
	Providers      map[string]kycbridge.Provider // by name; they read bodies of accounts that are not configured
	Intake         *kycbridge.Intake
	Replayer       *kycbridge.Replayer
	Shelves        Shelves
	ShelfWriter    ShelfWriter
	DispositionLog DispositionLog
	Watches        Watches
	Tombstones     Tombstones
	Holds          Holds
	Claims         Claims
	Records        Records
	Ageing         Ageing
	Retention      kycbridge.Retention
	Barrier        Barrier
	Events         Events
	Bus            Bus
	Index          Index
	Unindex        Unindexer
	LastEvents     LastEvents
	KeyFinder      KeyFinder
	Indexing       Indexing
	Streams        []Streams
	Erasures       Erasures
	Ledger         Ledger  // nil: no tamper-evident log is configured
	Witness        Witness // of the log
	AccessLog      AccessLog

	Newest       Newest
	NewestEvents NewestEvents
	Sessions     Sessions

	gap      time.Duration // between two claims; 0: claimGap
	Now      func() time.Time
	Restored func() time.Time // when the event stream last lost its end; zero: never
}

// The statuses of stored payloads.
const (
	StatusAccepted    = "accepted"
	StatusIgnored     = "ignored" // accepted, with an unmapped type
	StatusQuarantined = "quarantined"
	StatusRefused     = "refused"
)

// Statuses are all statuses.
func Statuses() []string {
	return []string{StatusAccepted, StatusIgnored, StatusQuarantined, StatusRefused}
}

// Reasons are the quarantine reasons.
func Reasons() []string {
	return []string{kycbridge.QuarantineMalformed, kycbridge.QuarantineSchema, kycbridge.QuarantineUnidentified,
		kycbridge.QuarantineForeign, kycbridge.QuarantineUnmapped}
}

// Filter selects payloads. Empty fields match everything.
type Filter struct {
	Provider     string    `json:"provider,omitempty"`
	Account      string    `json:"account,omitempty"`
	Verification string    `json:"verification,omitempty"` // internal id
	ID           string    `json:"id,omitempty"`           // payload id
	Via          string    `json:"via,omitempty"`
	Status       string    `json:"status,omitempty"`
	Reason       string    `json:"reason,omitempty"` // of quarantine
	Event        string    `json:"event,omitempty"`  // the provider's name of the message type
	Since        time.Time `json:"since,omitzero"`   // received at or after
	Until        time.Time `json:"until,omitzero"`   // received before
	From         uint64    `json:"from,omitempty"`   // first sequence on its shelf
	Limit        int       `json:"limit,omitempty"`  // 0: all
}

// Check refuses an invalid filter.
func (f Filter) Check() error {
	if f.Status != "" && !slices.Contains(Statuses(), f.Status) {
		return fmt.Errorf("there is no status %q; write one of %s", f.Status, strings.Join(Statuses(), ", "))
	}
	if f.Reason != "" && f.Status != "" && f.Status != StatusQuarantined {
		return errors.New("a reason is that of a quarantined payload; leave the status away or write quarantined")
	}
	for what, token := range map[string]string{"provider": f.Provider, "account": f.Account,
		"verification": f.Verification, "reason": f.Reason} {
		if token != "" && !isName(token) {
			return fmt.Errorf("%s %q cannot exist: up to %d lower-case letters, digits, - and _ only", what, token, longestName)
		}
	}
	if f.Verification != "" && len(f.Verification) != len("00000000-0000-5000-8000-000000000000") {
		return fmt.Errorf("verification %q is no id of ours, or too short: write all of its 36 characters, or at "+
			"least the first 4 for a command that only reads", f.Verification)
	}
	if known := Reasons(); f.Reason != "" && !slices.Contains(known, f.Reason) {
		return fmt.Errorf("there is no reason %q; write one of %s", f.Reason, strings.Join(known, ", "))
	}
	if f.Limit < 0 {
		return errors.New("a limit cannot be negative")
	}
	return nil
}

// longestName is the maximum length of a name in the configuration.
const longestName = 63

// isName reports whether a text has the form of such a name. The store refuses any other text as part of a subject.
func isName(s string) bool {
	return s != "" && len(s) <= longestName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// shelves are the shelves on which the filter can match.
func (f Filter) shelves() []kycbridge.Shelf {
	switch {
	case f.Status == StatusAccepted, f.Status == StatusIgnored:
		return []kycbridge.Shelf{kycbridge.ShelfPayloads}
	case f.Status == StatusQuarantined, f.Reason != "":
		return []kycbridge.Shelf{kycbridge.ShelfQuarantine}
	case f.Status == StatusRefused:
		return []kycbridge.Shelf{kycbridge.ShelfRefused}
	}
	return []kycbridge.Shelf{kycbridge.ShelfPayloads, kycbridge.ShelfQuarantine, kycbridge.ShelfRefused}
}

// query is the part of the filter that the store evaluates.
func (f Filter) query(shelf kycbridge.Shelf) kycbridge.KeptQuery {
	q := kycbridge.KeptQuery{Shelf: shelf, Provider: f.Provider, Account: f.Account, VerificationID: f.Verification,
		Since: f.Since, From: f.From}
	if shelf == kycbridge.ShelfQuarantine {
		q.Reason = f.Reason
	}
	// A payload id begins with provider and account. What is searched may be any text.
	if parts := strings.SplitN(f.ID, ".", 3); len(parts) == 3 && q.Provider == "" && q.Account == "" &&
		isName(parts[0]) && isName(parts[1]) {
		q.Provider, q.Account = parts[0], parts[1]
	}
	return q
}

// has reports whether the filter selects k by its headers.
func (f Filter) has(k kycbridge.Kept) bool {
	return (f.ID == "" || f.ID == k.ID) &&
		(f.Via == "" || f.Via == string(k.Via)) &&
		(f.Event == "" || strings.EqualFold(f.Event, k.Event)) &&
		(f.Verification == "" || f.Verification == k.VerificationID) &&
		(f.Since.IsZero() || !k.ReceivedAt.Before(f.Since)) &&
		(f.Until.IsZero() || k.ReceivedAt.Before(f.Until))
}

// Entry is a stored payload in a listing: it contains nothing of the body except the provider's name of the message
// type, if this consists of known words.
type Entry struct {
	Status         string `json:"status"`
	Seq            uint64 `json:"seq"`
	ReceivedAt     string `json:"received_at"`
	Provider       string `json:"provider"`
	Account        string `json:"account"`
	VerificationID string `json:"verification_id,omitempty"`
	Via            string `json:"via"`
	Event          string `json:"event,omitempty"`
	Bytes          int    `json:"bytes"`
	Reason         string `json:"reason,omitempty"`
	PayloadID      string `json:"payload_id"`

	Addressed string `json:"addressed,omitempty"` // the path of a callback to an unknown account
}

func (a *Archive) entryOf(k kycbridge.Kept) Entry {
	status := map[kycbridge.Shelf]string{kycbridge.ShelfPayloads: StatusAccepted,
		kycbridge.ShelfQuarantine: StatusQuarantined, kycbridge.ShelfRefused: StatusRefused}
	return Entry{
		Status: status[k.Shelf], Seq: k.Seq, ReceivedAt: event.Instant(k.ReceivedAt), Provider: k.Provider,
		Account:        k.Account,
		VerificationID: k.VerificationID, Via: string(k.Via),
		Event: maskUnless(k.Event, event.HarmlessWord(k.Event, k.Provider)), Bytes: k.Size, Reason: k.Reason, PayloadID: k.ID,
		Addressed: a.addressed(k),
	}
}

// List returns the payloads that f selects, shelf by shelf: accepted, quarantined, refused, each oldest
// first.
func (a *Archive) List(ctx context.Context, f Filter, each func(Entry) error) error {
	n := 0
	return a.find(ctx, f, true, func(k kycbridge.Kept) error {
		e := a.entryOf(k)
		if f.Status == StatusIgnored {
			e.Status = StatusIgnored
		}
		if err := each(e); err != nil {
			return err
		}
		if n++; f.Limit > 0 && n >= f.Limit {
			return kycbridge.ErrEnough
		}
		return nil
	})
}

// ignored returns the ignored payloads, by sequence; nil if the filter does not select them.
func (a *Archive) ignored(ctx context.Context, f Filter) (map[uint64]kycbridge.Disposition, error) {
	if f.Status != StatusIgnored {
		return nil, nil
	}
	out := map[uint64]kycbridge.Disposition{}
	err := a.DispositionLog.Dispositions(ctx, f.Since, func(d kycbridge.Disposition) error {
		if d.Why == kycbridge.NoEventIgnored {
			out[d.Seq] = d
		} else {
			delete(out, d.Seq) // processed again since, with another mapping
		}
		return nil
	})
	return out, err
}

// find returns the payloads that f selects, without a limit.
func (a *Archive) find(ctx context.Context, f Filter, headersOnly bool, each func(kycbridge.Kept) error) error {
	if err := f.Check(); err != nil {
		return err
	}
	ignored, err := a.ignored(ctx, f)
	if err != nil {
		return err
	}
	enough := false
	for _, shelf := range f.shelves() {
		q := f.query(shelf)
		q.HeadersOnly = headersOnly
		err := a.Shelves.Kept(ctx, q, func(k kycbridge.Kept) error {
			if !f.has(k) {
				return nil
			}
			if d, ok := ignored[k.Seq]; ignored != nil && (!ok || !d.Of(k.ID, k.ReceivedAt)) {
				return nil
			}
			err := each(k)
			enough = enough || errors.Is(err, kycbridge.ErrEnough)
			return err
		})
		if err != nil {
			return err
		}
		if enough {
			return nil
		}
	}
	return nil
}

// byIndex finds one payload by its id, which may be shortened as in tables, if exactly one payload in the index
// matches.
func (a *Archive) byIndex(ctx context.Context, f Filter) (k kycbridge.Kept, ok bool, err error) {
	found, err := a.Find(ctx, f.ID)
	if errors.Is(err, kycbridge.ErrAmbiguous) {
		return k, false, nil
	}
	if err != nil || len(found) != 1 || found[0].By != kycbridge.IndexPayload || f.Status != "" &&
		f.Status != found[0].PayloadStatus {
		return k, false, err
	}
	shelves := map[string]kycbridge.Shelf{StatusAccepted: kycbridge.ShelfPayloads,
		StatusQuarantined: kycbridge.ShelfQuarantine, StatusRefused: kycbridge.ShelfRefused}
	k, err = a.Shelves.KeptAt(ctx, shelves[found[0].PayloadStatus], found[0].Seq)
	return k, err == nil, err
}

// Get finds one payload by its id, complete or shortened as in tables.
func (a *Archive) Get(ctx context.Context, f Filter) (kycbridge.Kept, error) {
	if f.ID == "" {
		return kycbridge.Kept{}, errors.New("name a payload by its id, or by its status and sequence")
	}
	found, ok, err := a.byIndex(ctx, f)
	if err != nil || ok {
		return found, err
	}
	err = a.find(ctx, f, true, func(k kycbridge.Kept) error {
		found, ok = k, true
		return kycbridge.ErrEnough
	})
	if err != nil {
		return found, err
	}
	if !ok {
		return found, fmt.Errorf("no payload has the id %s: %w", f.ID, kycbridge.ErrNotFound)
	}
	return a.Shelves.KeptAt(ctx, found.Shelf, found.Seq)
}
