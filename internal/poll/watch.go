package poll

import (
	"context"
	"fmt"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// Watch watches a verification that was started elsewhere: it is polled at once and then by the account's
// policy. It returns when the watch is durable.
func (p *Poller) Watch(
	ctx context.Context, a *kycbridge.Account, r kycbridge.WatchRequest,
) (verificationID string, err error) {
	if a.API.Fetch == nil {
		return "", fmt.Errorf("watch: %w", kycbridge.ErrUnsupported)
	}
	k := kycbridge.Watch{Provider: a.Provider.Name, Account: a.Name, Reference: a.Provider.Canonical(r.Reference)}.Key()
	if only, err := p.callbackOnly(ctx, a, k); err != nil {
		return "", fmt.Errorf("watch: %w: %w", kycbridge.ErrUnavailable, err)
	} else if only {
		return "", fmt.Errorf("watch: %w", kycbridge.ErrUnsupported)
	}
	now := p.Now().UTC()
	notice := kycbridge.Notice{Notice: kycbridge.NoticeWatched, Reference: r.Reference,
		ExternalReference: r.ExternalReference, At: now}
	return p.begin(ctx, a, notice, r.Deadline, 0)
}

// Started watches a verification that was started through kycbridge. The provider is not polled before the
// applicant could have done anything.
func (p *Poller) Started(
	ctx context.Context, a *kycbridge.Account, s kycbridge.Started, externalReference string,
) (verificationID string, err error) {
	notice := kycbridge.Notice{
		Notice: kycbridge.NoticeStarted, Reference: s.Reference, ExternalReference: externalReference, At: p.Now().UTC(),
		References: s.References, FlowID: s.FlowID, FlowVersion: s.FlowVersion, Test: s.Test,
		LinkSent: s.URL != "", ExpiresAt: s.ExpiresAt, Answer: s.Answer,
	}
	policy := p.Policy(kycbridge.AccountKey{Provider: a.Provider.Name, Account: a.Name})
	return p.begin(ctx, a, notice, s.ExpiresAt, policy.First)
}

// submitPause is the time for the provider to process a submission before it is polled.
const submitPause = 5 * time.Second

// Submitted records that a step or a decision was submitted through kycbridge. The provider processes it,
// so the next poll is soon, whatever is known. An unwatched verification is watched from now on, and gets
// an event if it had none.
func (p *Poller) Submitted(ctx context.Context, a *kycbridge.Account, reference string) error {
	if a.API.Fetch == nil {
		return fmt.Errorf("watch: %w", kycbridge.ErrUnsupported)
	}
	now := p.Now().UTC()
	w := kycbridge.Watch{
		Provider: a.Provider.Name, Account: a.Name, Reference: a.Provider.Canonical(reference), Since: now, Asked: true,
		LookBy: now.Add(submitPause),
	}
	timer, err := p.Timers.Timer(ctx, w.Key())
	isUnknown := func() bool {
		last, err := p.State(ctx, w.Key(), false)
		return err == nil && last == nil // if it cannot be read, the poll gives it an event
	}
	switch {
	case err != nil:
		return fmt.Errorf("watch: %w: %w", kycbridge.ErrUnavailable, err)
	case timer != nil:
		timer.Asked, timer.LookBy = true, w.LookBy
		w = *timer
	case isUnknown():
		_, err := p.begin(ctx, a, kycbridge.Notice{Notice: kycbridge.NoticeWatched, Reference: w.Reference, At: now},
			time.Time{}, submitPause)
		return err
	default: // it has ended, is being polled, or its state cannot be read
		w.Deadline = now.Add(p.policy(w).Deadline)
		if w.Seen, err = p.seen(ctx, w.Key()); err != nil {
			return fmt.Errorf("watch: %w: %w", kycbridge.ErrUnavailable, err)
		}
	}
	if err := p.Timers.Schedule(ctx, w, w.LookBy); err != nil {
		return fmt.Errorf("watch: %w: %w", kycbridge.ErrUnavailable, err)
	}
	return nil
}

// linkGrace is how long past the end of its link a session may still report its result.
const linkGrace = 10 * time.Minute

// longestWatch limits a requested deadline.
const longestWatch = 366 * 24 * time.Hour

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// begin sets the timer first and then records the notice: a watched verification may lack an event for a
// moment, but one with an event is watched.
func (p *Poller) begin(
	ctx context.Context, a *kycbridge.Account, n kycbridge.Notice, deadline time.Time, first time.Duration,
) (string, error) {
	n.Reference = a.Provider.Canonical(n.Reference)
	w := kycbridge.Watch{Provider: a.Provider.Name, Account: a.Name, Reference: n.Reference, Since: n.At}
	policy := p.policy(w)
	w.Deadline = n.At.Add(policy.Deadline)
	if n.Notice == kycbridge.NoticeStarted && !deadline.IsZero() {
		// The applicant may start until the link ends, and needs time from then on.
		w.Deadline = deadline.Add(min(policy.Deadline, max(linkGrace, deadline.Sub(n.At))))
	} else if !deadline.IsZero() {
		w.Deadline = deadline
	}
	w.Asked = n.Notice == kycbridge.NoticeWatched
	w.Deadline = earlier(w.Deadline, n.At.Add(longestWatch))
	if timer, err := p.Timers.Timer(ctx, w.Key()); err != nil {
		return "", fmt.Errorf("watch: %w: %w", kycbridge.ErrUnavailable, err)
	} else if timer != nil {
		w.Seen, w.Status, w.Since = timer.Seen, timer.Status, timer.Since
	} else if w.Asked {
		if w.Seen, err = p.seen(ctx, w.Key()); err != nil {
			return "", fmt.Errorf("watch: %w: %w", kycbridge.ErrUnavailable, err)
		}
	}
	if err := p.Timers.Schedule(ctx, w, n.At.Add(first)); err != nil {
		return "", fmt.Errorf("watch: %w: %w", kycbridge.ErrUnavailable, err)
	}
	if _, err := p.Intake.Record(ctx, a, n, event.ViaStart); err != nil {
		return "", fmt.Errorf("watch: %w", err)
	}
	return w.Key().VerificationID, nil
}
