// Package poll polls providers for open sessions: when a timer is due, and at once when a callback is only
// a trigger. Answers are ingested like every payload; this package publishes nothing.
// A watch is processed in these steps: fetch, pass new bodies to Intake, set the next timer, or none if
// the session has ended. The timer is stored before the due message is deleted, so a process that crashes
// in between costs one more poll and nothing else.
package poll

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
)

// Ingester stores fetched bodies and notices.
type Ingester interface {
	Ingest(ctx context.Context, a *kycbridge.Account, p kycbridge.Payload) (kycbridge.Receipt, error)
	Record(ctx context.Context, a *kycbridge.Account, n kycbridge.Notice, via event.Via) (kycbridge.Receipt, error)
}

// Timers durably store the one timer of each watched verification.
type Timers interface {
	Schedule(ctx context.Context, w kycbridge.Watch, at time.Time) error
	Timer(ctx context.Context, k kycbridge.Key) (*kycbridge.Watch, error)
	// Waiting is the timer merged with the watch that is due; nil for neither.
	Waiting(ctx context.Context, k kycbridge.Key) (*kycbridge.Watch, error)
}

// Tombstones record which verifications were erased.
type Tombstones interface {
	ErasedSince(ctx context.Context, k kycbridge.Key, since time.Time) (bool, error)
}

// Poller polls the sessions of every account.
type Poller struct {
	Accounts   kycbridge.AccountFinder
	Policy     func(kycbridge.AccountKey) Policy
	Intake     Ingester
	Timers     Timers
	Tombstones Tombstones // nil: nothing is ever erased
	History    kycbridge.History
	// State is the last published state; nil if none was published. Unless fresh, it may be a state that
	// another process has replaced.
	State func(ctx context.Context, k kycbridge.Key, fresh bool) (*event.Data, error)
	Now   func() time.Time
	Log   *zap.Logger
	// Observe receives the outcome of each poll: news, unchanged, ended, unknown, deadline, unread, or the kind of
	// a kycbridge.ProviderError.
	Observe func(a kycbridge.AccountKey, outcome string)
}

// unknownAfter is how many polls in a row must not find a session before it counts as ended: some
// providers do not find one for a moment after they created it.
const unknownAfter = 3

// reviewExtension is how long a session that waits for the provider is polled past its deadline.
const reviewExtension = 30 * 24 * time.Hour

// pausedWait is the maximum wait of a session whose provider is paused: thousands that wait together must
// not keep the store busy.
const pausedWait = 5 * time.Minute

// endPause is the time for an event to be published after a body that ends a session.
const endPause = 30 * time.Second

// outageExtension is how long past its deadline a session is polled while the provider does not answer.
const outageExtension = 24 * time.Hour

// errStateUnread: the published state is needed to judge an answer, and cannot be read.
var errStateUnread = errors.New("the last event of an open session cannot be read")

// pollTimeout limits one poll, with its retries and its waits for a slot.
const pollTimeout = 3 * time.Minute

// Work polls one session and sets its next timer, or none if it has ended. It returns an error only if
// that could not be stored; the watch then stays due. again reports that the watch was due before and was
// not acknowledged.
func (p *Poller) Work(ctx context.Context, w kycbridge.Watch, again bool) (err error) {
	defer func() {
		if errors.Is(err, kycbridge.ErrErased) {
			err = nil // the answer is obsolete, and there is nothing more to poll
		}
	}()
	a, err := p.Accounts.Find(w.Provider, w.Account)
	if err != nil || a.API.Fetch == nil {
		return fmt.Errorf("account of the watch cannot be asked here: %w", errors.Join(err, kycbridge.ErrUnsupported))
	}
	if again {
		if timer, err := p.Timers.Timer(ctx, w.Key()); err != nil {
			return err
		} else if timer != nil && w.Trigger == "" {
			return nil // the previous worker crashed after scheduling the next timer
		}
	}
	if w.Deadline.IsZero() {
		if w, err = p.completeTrigger(ctx, w); err != nil {
			return err
		}
	} else if w.Trigger == "" && !w.Asked && p.ended(ctx, w) {
		p.observe(w, "ended")
		return nil
	}
	if only, err := p.callbackOnly(ctx, a, w.Key()); err != nil {
		return p.unread(ctx, w, err)
	} else if only {
		p.observe(w, "ended")
		return nil
	}
	return p.look(ctx, a, w)
}

// look fetches the state of w from the provider and processes the answer.
func (p *Poller) look(ctx context.Context, a *kycbridge.Account, w kycbridge.Watch) error {
	w.LookBy = time.Time{} // this is the poll
	asked := p.Now()
	fetch, cancel := context.WithTimeout(ctx, pollTimeout)
	bodies, err := a.API.Fetch(fetch, kycbridge.Query{Reference: w.Reference, Triggered: w.Trigger != ""})
	cancel()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if erased, err := p.erased(ctx, w, asked); err != nil || erased {
		return err
	}
	if err != nil {
		if _, _, err := p.ingestNew(ctx, a, &w, bodies, asked); err != nil {
			return p.unread(ctx, w, err)
		}
		return p.failed(ctx, a, w, err)
	}
	answered := w
	answered.Failures, answered.Missing, answered.Asked = 0, 0, false
	return p.unread(ctx, w, p.answered(ctx, a, answered, bodies, asked))
}

// unread polls w again, later each time, if the published state could not be read. It returns any other error.
func (p *Poller) unread(ctx context.Context, w kycbridge.Watch, err error) error {
	if !errors.Is(err, errStateUnread) || ctx.Err() != nil {
		return err
	}
	p.observe(w, "unread")
	w.Failures++
	if w.Failures == 1 || w.Failures%10 == 0 {
		p.Log.Warn(errStateUnread.Error()+", so its answer cannot be judged: asking again later",
			zap.String("provider", w.Provider), zap.String("account", w.Account),
			zap.String("verification_id", w.Key().VerificationID), zap.Int("failures", w.Failures), zap.Error(err))
	}
	return p.Timers.Schedule(ctx, w, p.Now().Add(p.policy(w).backoff(w.Failures, 0)))
}

// erased reports whether the verification was erased since: then the answer is obsolete, and there is
// nothing more to poll.
func (p *Poller) erased(ctx context.Context, w kycbridge.Watch, since time.Time) (bool, error) {
	if p.Tombstones == nil {
		return false, nil
	}
	return p.Tombstones.ErasedSince(ctx, w.Key(), since)
}

// completeTrigger adds the known state of its session to a trigger: from the timer, else from the stored
// payloads.
func (p *Poller) completeTrigger(ctx context.Context, w kycbridge.Watch) (kycbridge.Watch, error) {
	timer, err := p.Timers.Timer(ctx, w.Key())
	if err != nil {
		return w, err
	}
	ignoreSeen := w.IgnoreSeen
	w.IgnoreSeen = false
	if timer != nil {
		w.Seen, w.Since = timer.Seen, timer.Since
		w = w.Merge(*timer)
		w.Looks = 0
	} else {
		w.Deadline = p.Now().Add(p.policy(w).Deadline)
	}
	if timer == nil || ignoreSeen {
		w.Seen, err = p.seen(ctx, w.Key())
	}
	return w, err
}

// seen are the stored bodies of each part of a verification, for a watch without a timer.
func (p *Poller) seen(ctx context.Context, k kycbridge.Key) (map[string]kycbridge.Seen, error) {
	seen := map[string]kycbridge.Seen{}
	err := p.History.History(ctx, k, func(stored kycbridge.Payload) error {
		if stored.Part != "" {
			seen[stored.Part] = kycbridge.Seen{PayloadID: stored.ID, Digest: stored.Digest, Trigger: stored.Trigger,
				TriggeredAt: stored.TriggeredAt}
		}
		return nil
	})
	return seen, err
}

// ended reports whether an event has published the end of the session, so that no poll is needed.
func (p *Poller) ended(ctx context.Context, w kycbridge.Watch) bool {
	last, err := p.State(ctx, w.Key(), false)
	return err == nil && last != nil && last.Status.Terminal()
}

// callbackOnly reports whether a verification is of a product whose results the provider's API does not have, as far
// as its last event shows: its id would be looked up as that of something else.
func (p *Poller) callbackOnly(ctx context.Context, a *kycbridge.Account, k kycbridge.Key) (bool, error) {
	if len(a.Provider.CallbackOnly) == 0 {
		return false, nil
	}
	last, err := p.State(ctx, k, false)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errStateUnread, err)
	}
	return last != nil && slices.Contains(a.Provider.CallbackOnly, last.Provider.Product), nil
}

// answered ingests new bodies and decides the next step. A watch ends only when an event has published the
// end, which the next poll checks first: the result of a body may still be outranked by a newer one.
func (p *Poller) answered(
	ctx context.Context, a *kycbridge.Account, w kycbridge.Watch, bodies []kycbridge.Fetched, asked time.Time,
) error {
	last, news, err := p.ingestNew(ctx, a, &w, bodies, asked)
	if err != nil {
		return err
	}
	w.Status = last.Status
	policy := p.policy(w)
	// If the callback contains a value that the body lacks, only a body that ends the session accounts for it.
	explained := news && w.Trigger == kycbridge.NoTrigger || last.Status.Terminal() && news
	if w.Trigger != "" && !explained && w.Looks < len(policy.Rechecks) {
		// The callback is ahead of the API, which may need a moment.
		w.Looks++
		p.observe(w, "unchanged")
		return p.Timers.Schedule(ctx, w, p.Now().Add(policy.Rechecks[w.Looks-1]))
	}
	w = w.Handle()
	ended := last.Status.Terminal()
	switch {
	case !p.Now().Before(w.Deadline) && (!ended || !news):
		return p.overdue(ctx, a, w)
	case news:
		p.observe(w, "news")
	default:
		p.observe(w, "unchanged")
	}
	if ended {
		return p.Timers.Schedule(ctx, w, p.Now().Add(min(policy.Interval, endPause)))
	}
	return p.next(ctx, w, policy.interval(last))
}

// ingestNew passes new bodies to Intake. It returns the observation of the last body, and whether any was
// new.
func (p *Poller) ingestNew(
	ctx context.Context, a *kycbridge.Account, w *kycbridge.Watch, bodies []kycbridge.Fetched, asked time.Time,
) (last kycbridge.Observation, news bool, err error) {
	w.Seen = maps.Clone(w.Seen)
	if w.Seen == nil {
		w.Seen = map[string]kycbridge.Seen{}
	}
	for _, body := range bodies {
		payload := p.payload(a, *w, body, asked)
		seen := w.Seen[body.Part]
		isNew := seen.Digest != kycbridge.Digest(body.Body) || payload.Trigger != "" &&
			(payload.Trigger != seen.Trigger || payload.TriggeredAt.After(seen.TriggeredAt))
		if !isNew {
			isNew, err = p.isSuperseded(ctx, a, &payload, w.Trigger != "")
			if err != nil {
				return last, news, err
			}
		}
		if isNew {
			receipt, err := p.Intake.Ingest(ctx, a, payload)
			if err != nil {
				return last, news, err
			}
			news = true
			w.Seen[body.Part] = seenOf(receipt, payload)
		}
		last = kycbridge.Observation{}
		if w.Seen[body.Part].PayloadID != "" {
			last, _ = a.Observe(payload) // a body that cannot be mapped leaves the session open
		}
	}
	return last, news, nil
}

// seenOf records an ingested body. A quarantined one has no payload id: its content does not count, and
// neither does its end.
func seenOf(r kycbridge.Receipt, p kycbridge.Payload) kycbridge.Seen {
	seen := kycbridge.Seen{PayloadID: r.PayloadID, Digest: kycbridge.Digest(p.Body), Trigger: p.Trigger,
		TriggeredAt: p.TriggeredAt}
	if r.Status == kycbridge.ReceiptQuarantined {
		seen.PayloadID = ""
	}
	return seen
}

// payload is the payload of a fetched body.
func (p *Poller) payload(
	a *kycbridge.Account, w kycbridge.Watch, body kycbridge.Fetched, asked time.Time,
) kycbridge.Payload {
	via := event.ViaFetch
	if a.Provider.Polled && w.Trigger == "" {
		via = event.ViaPoll
	}
	out := kycbridge.Payload{
		// The body has the time of the request: a later request has a newer state.
		Via: via, ReceivedAt: asked, After: w.Seen[body.Part].PayloadID, ContentType: body.ContentType, Body: body.Body,
		Provider: w.Provider, Account: w.Account, Reference: w.Reference, Part: body.Part,
	}
	if w.Trigger != "" && w.Trigger != kycbridge.NoTrigger {
		out.Trigger, out.TriggeredAt = w.Trigger, w.TriggeredAt
	}
	return out
}

// isSuperseded reports whether the decision of a body that was stored before is not the published one, because
// something else was received since: then the same body is a new fact, and is ordered after that. After a trigger a
// callback was received. Without one, an open session counts as ahead of the API, which may need a moment.
func (p *Poller) isSuperseded(
	ctx context.Context, a *kycbridge.Account, payload *kycbridge.Payload, isTriggered bool,
) (bool, error) {
	o, err := a.Observe(*payload)
	// Without a trigger an equal approval is no news: it has no time of its own, and the API may be behind.
	if err != nil || !o.Effect.Decisive() || !isTriggered && o.Decision.Outcome == event.OutcomeApproved {
		return false, nil
	}
	k := kycbridge.Key{Provider: payload.Provider, Account: payload.Account,
		VerificationID: event.VerificationID(payload.Provider, payload.Account, payload.Reference)}
	last, err := p.State(ctx, k, true)
	switch {
	case err != nil:
		return false, fmt.Errorf("%w: %w", errStateUnread, err)
	case last == nil || last.Status == o.Status && last.Decision.Outcome == o.Decision.Outcome,
		!isTriggered && last.Decision.Outcome == event.OutcomeNone && last.Status != event.StatusUnknown:
		return false, nil
	}
	isLater, isKnown := isTriggered, map[string]bool{}
	err = p.History.History(ctx, k, func(stored kycbridge.Payload) error {
		switch isRepeated := stored.Via.Asked() && isKnown[stored.Digest]; {
		case stored.Digest == payload.Digest:
			isLater = isTriggered
		case !stored.Notice && !isRepeated: // else two parts could follow each other without end
			payload.After, isLater = stored.ID, true
		}
		isKnown[stored.Digest] = true
		return nil
	})
	return err == nil && isLater, err
}

// failed decides the next step after a failed request.
func (p *Poller) failed(ctx context.Context, a *kycbridge.Account, w kycbridge.Watch, err error) error {
	var e *kycbridge.ProviderError
	if !errors.As(err, &e) {
		e = &kycbridge.ProviderError{Kind: kycbridge.ProviderMalformed, Err: err}
	}
	p.observe(w, string(e.Kind))
	policy, now := p.policy(w), p.Now()
	switch {
	case e.Kind == kycbridge.ProviderNotFound:
		if w.Missing++; w.Missing >= unknownAfter {
			return p.end(ctx, a, w, kycbridge.NoticeUnknown)
		}
		return p.next(ctx, w, policy.Interval)
	case e.Kind == kycbridge.ProviderPending:
		// Here this is an answer: the session has not ended.
		w.Failures = 0
		if !now.Before(w.Deadline) {
			return p.overdue(ctx, a, w)
		}
		return p.next(ctx, w, policy.Interval)
	case now.After(w.Deadline.Add(outageExtension)) && !needsOperator(e) && !p.withProvider(w):
		return p.expire(ctx, a, w)
	case e.Kind == kycbridge.ProviderPaused, e.Kind == kycbridge.ProviderRateLimited && !e.Sent:
		// The provider was not even called. Thousands of sessions may be in this state.
		return p.Timers.Schedule(ctx, w, now.Add(withJitter(max(e.RetryAfter, min(4*policy.Interval, pausedWait)), .5)))
	}
	w.Failures++
	if w.Failures == 1 || w.Failures%10 == 0 {
		p.Log.Warn("provider did not answer about an open session, trying again", zap.String("provider", w.Provider),
			zap.String("account", w.Account),
			zap.String("verification_id", w.Key().VerificationID), zap.Int("failures", w.Failures), zap.Error(e))
	}
	return p.Timers.Schedule(ctx, w, now.Add(policy.backoff(w.Failures, e.RetryAfter)))
}

// overdue ends a session whose deadline has passed, or extends it while the provider has to act.
func (p *Poller) overdue(ctx context.Context, a *kycbridge.Account, w kycbridge.Watch) error {
	if p.withProvider(w) {
		w.Deadline = p.Now().Add(p.policy(w).Deadline)
		return p.next(ctx, w, p.policy(w).Interval)
	}
	return p.expire(ctx, a, w)
}

// expire ends a session whose deadline has passed, unless a later one was requested while the provider was asked.
func (p *Poller) expire(ctx context.Context, a *kycbridge.Account, w kycbridge.Watch) error {
	waiting, err := p.Timers.Waiting(ctx, w.Key())
	if err != nil {
		return err
	}
	if waiting != nil && p.Now().Before(waiting.Deadline) {
		w.Deadline = waiting.Deadline
		return p.next(ctx, w, p.policy(w).Interval)
	}
	return p.end(ctx, a, w, kycbridge.NoticeDeadline)
}

// withProvider reports whether a session waits for the provider and may continue to do so.
func (p *Poller) withProvider(w kycbridge.Watch) bool {
	return (w.Status == event.StatusProcessing || w.Status == event.StatusInReview) &&
		p.Now().Before(w.Since.Add(reviewExtension))
}

// needsOperator reports whether the operator has to correct something before the end of a session can be
// known.
func needsOperator(e *kycbridge.ProviderError) bool {
	return e.Kind == kycbridge.ProviderCredentials || e.Kind == kycbridge.ProviderForbidden
}

// end records why a session is not polled any more. No timer follows.
func (p *Poller) end(ctx context.Context, a *kycbridge.Account, w kycbridge.Watch, kind kycbridge.NoticeKind) error {
	via := event.ViaDeadline
	if kind == kycbridge.NoticeUnknown {
		via = event.ViaFetch
	}
	if _, err := p.Intake.Record(ctx, a, kycbridge.Notice{Notice: kind, Reference: w.Reference, At: p.Now().UTC()},
		via); err != nil {
		return err
	}
	p.observe(w, string(kind))
	return nil
}

// next sets the timer for the next poll; the last one is at the deadline.
func (p *Poller) next(ctx context.Context, w kycbridge.Watch, in time.Duration) error {
	now := p.Now()
	at := now.Add(withJitter(in, p.policy(w).Jitter))
	if now.Before(w.Deadline) && at.After(w.Deadline) {
		at = w.Deadline
	}
	return p.Timers.Schedule(ctx, w, at)
}

// withJitter varies d by up to the share, so that sessions that began together are polled at different
// times.
func withJitter(d time.Duration, share float64) time.Duration {
	return time.Duration(float64(d) * (1 + share*(2*rand.Float64()-1)))
}

func (p *Poller) policy(w kycbridge.Watch) Policy {
	return p.Policy(kycbridge.AccountKey{Provider: w.Provider, Account: w.Account})
}

func (p *Poller) observe(w kycbridge.Watch, outcome string) {
	p.Observe(kycbridge.AccountKey{Provider: w.Provider, Account: w.Account}, outcome)
}
