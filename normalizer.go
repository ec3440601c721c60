package kycbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"kycbridge/document"
	"kycbridge/event"
)

// State is the last published revision of a verification, and its position in the event log.
type State struct {
	Data *Revision // nil: nothing was published
	Seq  uint64    // sequence of the last event; 0: none
	Read bool      // read from the log just now, not cached or assumed
	At   time.Time // when that event was published; zero if it is cached
}

// Outgoing is an event that is ready to be published.
type Outgoing struct {
	*event.Event
	Kind   event.Kind // decides the subject
	Body   []byte     // as published, before encryption; nil: it is not encoded
	Memory Memory     // stored beside the body
	// Checked is when the payload was last known not to be erased. If the event is sent more than ErasureDelay after it,
	// NotErased is called first, and its error prevents sending: ErrConflict if the payload is erased. nil: it cannot be.
	Checked   time.Time
	NotErased func(context.Context) error
}

// Key identifies a verification within the streams: names of the provider and the account, and event.VerificationID.
type Key struct{ Provider, Account, VerificationID string }

// EventLog is the canonical history. Last may answer from a cache, or assume that there is no event, unless fresh is
// set. Publish appends e if the last event of its verification is still the one at sequence after; otherwise it returns
// ErrConflict and clears its cache.
type EventLog interface {
	Last(ctx context.Context, k Key, fresh bool) (State, error)
	Publish(ctx context.Context, k Key, e Outgoing, after uint64) error
}

// History reads the stored payloads of one verification in the order in which they were stored. WasErased
// reports whether there is proof that a payload was erased; a payload that is only missing was not. It may be
// ErasureDelay late.
type History interface {
	History(ctx context.Context, k Key, each func(Payload) error) error
	WasErased(ctx context.Context, p Payload) (bool, error)
}

// ErasureDelay is how long after the record of an erasure a worker may still take the payload for not erased, and how
// long the result counts when its event is sent. A purge waits longer before it looks for events again.
const ErasureDelay = 50 * time.Millisecond

// Normalizer turns stored payloads into published events.
type Normalizer struct {
	Accounts     AccountFinder
	Events       EventLog
	Log          History
	Quarantine   Quarantine
	Documents    *Documents    // of the Intake of this process; nil: bodies are decoded again
	Recalled     *Recalled     // nil: stored payloads are mapped whenever a late one is judged
	Triggers     Triggers      // called if a payload is only a trigger; nil: nothing is fetched
	Mapping      string        // version of the mappings, for payload.mapping
	TypePrefix   string        // io.kycbridge
	SourcePrefix string        // /kycbridge
	MaxAttempts  int           // attempts before an unmappable payload is quarantined
	Restored     func() string // for restoredtime; nil: never
	// RevisionOf returns the revision that the event of a payload has, 0 if it has none; nil: not looked up.
	RevisionOf func(ctx context.Context, k Key, payloadID string) (int, error)
	Now        func() time.Time // for recordedtime

	inMemory bool // events go to an inMemoryHistory, which needs no encoded body
	ordered  bool // payloads that are stored before a processed one are left to the caller
	// late are approvals and requests whose events were just published, after payloads that are stored behind them were
	// processed. Facts that may revoke such an approval, or answer a request, are judged again, even if they have made an
	// event.
	late []Fact
	// following receives what processFollowing has to do after a payload that it processes; nil: this payload is not one
	// of those.
	following *[]following
}

// following is a fact that was processed late: payloads that are stored behind it may count now.
type following struct {
	by   Fact
	anew bool // see processFollowing
}

// Processed is the result of processing a payload: an event, or the reason for no event.
type Processed struct {
	Event   *event.Event // that was published; nil: none
	Kind    event.Kind   // of Event
	NoEvent string       // why there is none, a NoEvent constant; "" with an event or an error
	// Before is the revision that was published of the payload before: by an attempt whose worker was stopped before it
	// recorded that, or together with an earlier payload.
	Before int
	New    []NewValue // unknown to the provider's schema; only for a processed payload

	// overtaken: the last event is of a payload that was received no earlier than this one. A worker that processed an
	// earlier payload may have processed this one together with it.
	overtaken bool
}

// approves reports whether p is an event of an approval.
func (p Processed) approves() bool {
	return p.Event != nil && p.Event.Data.Decision.Outcome == event.OutcomeApproved
}

// Disposition is the record of a processed payload.
func (p Processed) Disposition() Disposition {
	d := Disposition{Why: DispositionQuarantined, New: p.New}
	switch {
	case p.Event != nil:
		d.Revision, d.Why = p.Event.Data.Revision, ""
	case p.Before > 0:
		d.Revision, d.Why = p.Before, ""
	case p.NoEvent != "":
		d.Why = p.NoEvent
	}
	return d
}

// Work makes one attempt to process a payload and returns whether it is done or to be retried, and the
// delay. It quarantines only a payload that cannot be mapped after MaxAttempts; any other failure is retried.
func (n *Normalizer) Work(
	ctx context.Context, p Payload, attempt int,
) (done Processed, retryIn time.Duration, err error) {
	doc := n.document(p)
	done, err = n.process(ctx, p, doc, attempt > 1 || p.Again)
	if err == nil {
		done.New = n.newValues(p, doc)
		return done, 0, nil
	}
	if errors.Is(err, ErrUnmappable) && attempt >= n.MaxAttempts {
		if erased, err := n.Log.WasErased(ctx, p); err != nil {
			return done, backoff(attempt), err
		} else if erased {
			return Processed{NoEvent: NoEventErased}, 0, nil
		}
		qerr := n.Quarantine.Quarantine(ctx, p, QuarantineUnmapped, []FieldError{{Message: err.Error()}})
		switch {
		case errors.Is(qerr, ErrErased): // while it waited for a key
			return Processed{NoEvent: NoEventErased}, 0, nil
		case qerr == nil:
			done.New = n.newValues(p, doc)
			return done, 0, err
		}
	}
	return done, backoff(attempt), err
}

// document is the decoded body of a payload of a provider; nil for a notice, and if it cannot be decoded.
func (n *Normalizer) document(p Payload) document.Object {
	if doc := n.Documents.take(p); doc != nil {
		return doc
	}
	account, err := n.Accounts.Find(p.Provider, p.Account)
	if err != nil || p.Notice {
		return nil
	}
	doc, _ := account.Provider.Document(p)
	return doc
}

// maxConflicts is how often an event is recomputed at once before the payload waits for its next attempt.
const maxConflicts = 16

// conflictPause is the wait before an event that failed its compare-and-set is recomputed. At first it is
// zero: the event that was published instead can be read at once. In a cluster its replication may
// still be in progress, so later waits are longer.
func conflictPause(tries int) time.Duration {
	if tries < 2 {
		return 0
	}
	return min(time.Millisecond<<min(tries-2, 10), 50*time.Millisecond)
}

// backoff is 100 ms, doubled with every attempt, 30 s at most.
func backoff(attempt int) time.Duration {
	return min(100*time.Millisecond<<min(max(attempt-1, 0), 10), 30*time.Second)
}

// Process maps a stored payload and publishes the resulting event. It may be called any number of times
// with the same payload and by several processes at once: an event is published only if the last one is
// still the one it was computed from, else it is recomputed.
func (n *Normalizer) Process(ctx context.Context, p Payload) (Processed, error) {
	return n.process(ctx, p, n.document(p), false)
}

// process is Process of a payload that is decoded in doc. again: p may have been processed before, by a
// worker that was stopped between publishing its event and processing the following payloads.
func (n *Normalizer) process(ctx context.Context, p Payload, doc document.Object, again bool) (Processed, error) {
	account, err := n.Accounts.Find(p.Provider, p.Account)
	if err != nil {
		// Another process may know it already, or this one may soon: wait, never give up.
		return Processed{}, fmt.Errorf("account of the payload is not configured here: %w", err)
	}
	fact, err := n.fact(account, p, doc)
	if err != nil {
		return Processed{}, err
	}
	fact.JudgeAgain = slices.ContainsFunc(n.late, fact.revokes)
	if fact.Effect == EffectFetch && n.Triggers != nil && account.API.Fetch != nil {
		if erased, err := n.Log.WasErased(ctx, p); err != nil || erased {
			return Processed{NoEvent: NoEventErased}, err
		}
		if err := n.trigger(ctx, p, fact); err != nil {
			return Processed{}, fmt.Errorf("request the result: %w", err)
		}
	}
	k := Key{p.Provider, p.Account, p.VerificationID}
	for tries := 0; ; tries++ {
		done, err := n.try(ctx, k, p, fact, tries > 0)
		if errors.Is(err, ErrConflict) && tries < maxConflicts && ctx.Err() == nil {
			again = again || errors.Is(err, errRefused) // the event may be stored, and only its answer lost
			fact.Ordered = fact.Ordered || errors.Is(err, errPreceded)
			time.Sleep(conflictPause(tries))
			continue
		}
		if err != nil {
			return done.Processed, err
		}
		if err := n.followUp(ctx, k, p, done, again); err != nil {
			return done.Processed, err
		}
		if again || done.overtaken {
			done.Before, err = n.publishedBefore(ctx, k, p, done.Processed)
		}
		return done.Processed, err
	}
}

// followUp processes the payloads that are stored after p, if p has been processed late, or may have been processed
// before by a worker that was stopped then.
func (n *Normalizer) followUp(ctx context.Context, k Key, p Payload, done tried, again bool) (err error) {
	publishedLate := done.late && done.Event != nil
	mayRepeat := again && done.NoEvent == NoEventUnchanged
	if n.inMemory || !publishedLate && !mayRepeat {
		return nil
	}
	by, anew := done.by, done.approves() || done.Event != nil && done.by.Effect == EffectReopen
	if done.NoEvent == NoEventUnchanged {
		if by, anew, err = n.currentApproval(ctx, k, by); err != nil {
			return err
		}
	}
	if n.following != nil {
		*n.following = append(*n.following, following{by, anew})
		return nil
	}
	return n.processFollowing(ctx, k, p, by, anew)
}

// publishedBefore is the revision that was published of a payload that adds nothing now, by an earlier attempt or
// together with an earlier payload; 0: none.
func (n *Normalizer) publishedBefore(ctx context.Context, k Key, p Payload, done Processed) (revision int, err error) {
	if n.RevisionOf == nil || done.NoEvent != NoEventUnchanged && done.NoEvent != NoEventOld {
		return 0, nil
	}
	if revision := n.Recalled.revision(p); revision > 0 {
		return revision, nil
	}
	if revision, err = n.RevisionOf(ctx, k, p.ID); err != nil {
		return 0, fmt.Errorf("read earlier events: %w", err)
	}
	return revision, nil
}

// trigger requests a fetch of the result that a payload announces.
func (n *Normalizer) trigger(ctx context.Context, p Payload, f Fact) error {
	word := f.Trigger
	if word == "" {
		word = NoTrigger
	}
	return n.Triggers.Trigger(ctx,
		Watch{Provider: p.Provider, Account: p.Account, Reference: p.Reference, Trigger: word, TriggeredAt: p.ReceivedAt,
			Since: p.ReceivedAt})
}

// tried is the result of one computation of the next revision.
type tried struct {
	Processed
	by   Fact // that was applied: the fact, or the stored approval that was applied together with it
	late bool // payloads that are stored after it may count now
}

// try computes the next revision of the verification of f once and publishes it. It returns ErrConflict if another
// event was published meanwhile, or if the state must be read from the log before f is dropped.
func (n *Normalizer) try(ctx context.Context, k Key, p Payload, f Fact, fresh bool) (tried, error) {
	result := tried{by: f}
	last, err := n.Events.Last(ctx, k, fresh)
	if err != nil {
		return result, fmt.Errorf("read last event: %w", err)
	}
	next, kind, noEvent := Next(last.Data, f)
	if mayCount(last.Data, f, noEvent) && Late(last.Data, f) {
		result.late = true
		stored, err := n.readStored(ctx, k, p, f, last.Data)
		if err != nil {
			return result, fmt.Errorf("read stored payloads: %w", err)
		}
		next, kind, noEvent = stored.next(last.Data, f)
		if stored.newer != nil && stored.newer.approves() && next.Decision.Outcome == event.OutcomeApproved {
			result.by = *stored.newer
		}
	}
	result.late = result.late || noEvent == "" && asksOrAnswers(last.Data, f, &next)
	if (noEvent == NoEventOld || noEvent == NoEventUnchanged) && !last.Read {
		return result, ErrConflict // a cached state may be outdated: judge by the log
	}
	if noEvent != "" {
		result.Processed = Processed{NoEvent: noEvent, overtaken: last.Data.follows(p)}
		return result, nil
	}
	if f.Repeats && f.approves() && !f.Ordered {
		if err := n.processPreceding(ctx, k, p, last); err != nil {
			return result, err
		}
	}
	result.Processed, err = n.publish(ctx, k, p, n.envelope(next, kind, f), last.Seq)
	if errors.Is(err, ErrUnmappable) && !last.Read {
		err = ErrConflict // the reason may be an outdated or assumed state: judge by the log
	}
	return result, err
}

// asksOrAnswers reports whether f requests a resubmission, or is the applicant's answer to one, and leads from last to
// next. A later verdict that was processed before f had no effect then.
func asksOrAnswers(last *Revision, f Fact, next *Revision) bool {
	wasAsked := last != nil && last.Decision.Outcome == event.OutcomeResubmit
	isAsked := next.Decision.Outcome == event.OutcomeResubmit
	return f.Effect == EffectReopen || wasAsked && !isAsked
}

// follows reports whether d is of a payload that was received no earlier than p. d may be nil.
func (d *Revision) follows(p Payload) bool {
	return d != nil && !event.ParseInstant(d.Provider.Event.ReceivedAt).Before(p.ReceivedAt)
}

// mayCount reports whether f leads to an event, or may do so because of the stored payloads: an older verdict, if
// another one overruled it, or if the applicant has answered since; a maker's rejection beside a checker's approval; a
// checker's approval beside a maker's rejection that may not be the maker's last verdict.
func mayCount(last *Revision, f Fact, noEvent string) bool {
	switch noEvent {
	case "":
		return true
	case NoEventOld:
		return last.Memory.Overruled != nil || last.repeatsRevoked(f) || last.concernsMaker(f)
	case NoEventUnchanged:
		return last.overrulesMaker(f)
	}
	return false
}

// errPreceded: the events of earlier payloads have just been published.
var errPreceded = fmt.Errorf("earlier payloads have been processed: %w", ErrConflict)

// errRefused: an event was sent, and the log refused it or knows it already.
var errRefused = errors.New("the event log refuses the event")

// publish checks an event and publishes it after the one at a sequence, unless its payload was erased meanwhile.
func (n *Normalizer) publish(
	ctx context.Context, k Key, p Payload, e Outgoing, after uint64,
) (done Processed, err error) {
	if faults := checked(e.Event).Check(); len(faults) > 0 {
		return Processed{}, fmt.Errorf("event breaks its schema at %q: %s: %w", faults[0].Path, faults[0].Message,
			ErrUnmappable)
	}
	if !n.inMemory {
		if e.Body, err = json.Marshal(e.Event); err != nil {
			return Processed{}, fmt.Errorf("write event: %w", ErrUnmappable)
		}
	}
	// This check is the last one: a purge erases payloads first, and events only after running operations have ended.
	e.Checked = time.Now()
	if erased, err := n.Log.WasErased(ctx, p); err != nil || erased {
		return Processed{NoEvent: NoEventErased}, err
	}
	e.NotErased = notErased(n.Log, p)
	if err := n.Events.Publish(ctx, k, e, after); errors.Is(err, ErrConflict) {
		return Processed{}, fmt.Errorf("publish event: %w: %w", errRefused, err)
	} else if err != nil {
		return Processed{}, fmt.Errorf("publish event: %w", err)
	}
	return Processed{Event: e.Event, Kind: e.Kind}, nil
}

// notErased is Outgoing.NotErased of the event of a payload.
func notErased(log History, p Payload) func(context.Context) error {
	return func(ctx context.Context) error {
		erased, err := log.WasErased(ctx, p)
		if err == nil && erased {
			err = ErrConflict
		}
		return err
	}
}

// checked is e as Check expects it before encryption: the profile encrypted counts as full.
func checked(e *event.Event) *event.Event {
	if e.Data.PII.Profile != event.ProfileEncrypted {
		return e
	}
	plain := *e
	plain.Data.PII.Profile = event.ProfileFull
	return &plain
}

// processFollowing processes the payloads stored after p, if one of them has a verdict that outranks that
// of p. Another process may have judged that verdict before p had its event, and found no change. The
// payloads are processed in the order of the log, so that the events are the same as with a single
// process. anew: p has just made an event, an approval or a request. Then a payload that may revoke the approval, or
// answers the request, is judged again even if it has made an event: what that event has left may be gone. Each payload
// is processed once, however many of them are late: with a pass for each late one, a hundred verdicts of one
// verification would take minutes, in which other verifications wait.
func (n *Normalizer) processFollowing(ctx context.Context, k Key, p Payload, f Fact, anew bool) error {
	ahead, due := *n, []following{{f, anew}}
	ahead.Triggers, ahead.late, ahead.following = nil, nil, &due // each one triggers when it is processed itself
	var behind []Payload
	for {
		for _, late := range due {
			more, err := n.storedAfter(ctx, k, p, late.by)
			if err != nil {
				return fmt.Errorf("read stored payloads: %w", err)
			}
			if len(more) > len(behind) { // both begin with the payload after p
				behind = more
			}
			if late.anew {
				ahead.late = append(ahead.late, late.by)
			}
		}
		due = nil
		if len(behind) == 0 {
			return nil
		}
		p, behind = behind[0], behind[1:]
		done, err := ahead.Process(ctx, p)
		if err != nil && !errors.Is(err, ErrUnmappable) {
			return err
		}
		if revision := done.Disposition().Revision; revision > 0 {
			n.Recalled.processed(p, revision)
		}
	}
}

// processPreceding processes the payloads stored before p whose verdict, doubt or reopening changes the last event:
// another worker has taken them and has not published their events yet. A repeated approval needs it, because its own
// time does not show that the decision is older than a reopening. It returns errPreceded if it has published an event,
// and ErrConflict if the last event must be read from the log before.
func (n *Normalizer) processPreceding(ctx context.Context, k Key, p Payload, last State) error {
	switch {
	case n.inMemory || n.ordered: // there is no other worker, or the caller does it
		return nil
	case !last.Read:
		return ErrConflict
	}
	before, err := n.storedBefore(ctx, k, p, last.Data)
	if err != nil {
		return fmt.Errorf("read stored payloads: %w", err)
	}
	first := *n
	first.Triggers, first.late, first.following = nil, nil, nil // each one triggers when it is processed itself
	first.ordered = true
	isChanged := false
	for _, other := range before {
		done, err := first.Process(ctx, other)
		if err != nil && !errors.Is(err, ErrUnmappable) {
			return err
		}
		isChanged = isChanged || done.Event != nil
	}
	if isChanged {
		return errPreceded
	}
	return nil
}

// currentApproval is the current approval, if there is one and its payload is stored; otherwise f. The worker that
// published it may have been stopped before it processed the following payloads.
func (n *Normalizer) currentApproval(ctx context.Context, k Key, f Fact) (by Fact, approved bool, err error) {
	last, err := n.Events.Last(ctx, k, true)
	if err != nil {
		return f, false, fmt.Errorf("read last event: %w", err)
	}
	if last.Data == nil || last.Data.Decision.Outcome != event.OutcomeApproved {
		return f, false, nil
	}
	err = n.Log.History(ctx, k, func(p Payload) error {
		if p.ID != last.Data.VerdictPayload() {
			return nil
		}
		if g, err := n.fact(f.Account, p, n.document(p)); err == nil {
			f, approved = g, true
		}
		return nil
	})
	if err != nil {
		return f, false, fmt.Errorf("read stored payloads: %w", err)
	}
	return f, approved, nil
}

// envelope adds the CloudEvents envelope to a revision.
func (n *Normalizer) envelope(r Revision, kind event.Kind, f Fact) Outgoing {
	restored := ""
	if n.Restored != nil {
		restored = n.Restored()
	}
	d := r.Data
	return Outgoing{Kind: kind, Memory: r.Memory, Event: &event.Event{
		SpecVersion:     "1.0",
		Type:            n.TypePrefix + ".verification." + string(kind) + ".v1",
		Source:          n.SourcePrefix + "/" + d.Provider.Name + "/" + d.Account,
		ID:              event.ID(d.VerificationID, d.Revision),
		Subject:         d.VerificationID,
		Time:            event.Instant(f.eventTime()),
		DataContentType: "application/json",
		DataSchema:      event.DataSchema,
		PartitionKey:    d.VerificationID,
		RecordedTime:    event.Instant(n.Now()),
		RestoredTime:    restored,
		Data:            d,
		Traceparent:     f.Traceparent,
	}}
}
