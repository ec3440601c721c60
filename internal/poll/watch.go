package poll

import (
	"context"
	"fmt"
	"time"

	"kycbridge"
)

// Watch takes a verification that was started elsewhere under watch: it is asked about at once and
// then by the account's policy. It returns when the watch is durable.
func (p *Poller) Watch(ctx context.Context, a *kycbridge.Account, r kycbridge.WatchRequest) (verificationID string, err error) {
	if a.API.Fetch == nil {
		return "", fmt.Errorf("watch: %w", kycbridge.ErrUnsupported)
	}
	now := p.Now().UTC()
	notice := kycbridge.Notice{Notice: kycbridge.NoticeWatched, Reference: r.Reference, ExternalReference: r.ExternalReference, At: now}
	return p.begin(ctx, a, notice, r.Deadline, 0)
}

// Started takes a verification that was started through us under watch. The provider is not asked
// before the applicant could have done anything.
func (p *Poller) Started(ctx context.Context, a *kycbridge.Account, s kycbridge.Started, externalReference string) (verificationID string, err error) {
	notice := kycbridge.Notice{
		Notice: kycbridge.NoticeStarted, Reference: s.Reference, ExternalReference: externalReference, At: p.Now().UTC(),
		References: s.References, FlowID: s.FlowID, LinkSent: s.URL != "", ExpiresAt: s.ExpiresAt,
	}
	policy := p.Policies[kycbridge.AccountKey{Provider: a.Provider.Name, Account: a.Name}]
	return p.begin(ctx, a, notice, s.ExpiresAt, policy.First)
}

// linkGrace is how long past the end of its link a session may still tell how it went.
const linkGrace = 10 * time.Minute

// longestWatch bounds what a caller may ask for.
const longestWatch = 366 * 24 * time.Hour

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// begin sets the timer first and records the notice then: what is known to be watched may lack an
// event for a moment, what has an event is watched.
func (p *Poller) begin(ctx context.Context, a *kycbridge.Account, n kycbridge.Notice, deadline time.Time, first time.Duration) (string, error) {
	n.Reference = a.Provider.Canonical(n.Reference)
	w := kycbridge.Watch{Provider: a.Provider.Name, Account: a.Name, Reference: n.Reference, Since: n.At}
	policy := p.policy(w)
	w.Deadline = n.At.Add(policy.Deadline)
	if n.Notice == kycbridge.NoticeStarted && !deadline.IsZero() {
		// The applicant may enter until the link ends, and needs time from then on.
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
	}
	if err := p.Timers.Schedule(ctx, w, n.At.Add(first)); err != nil {
		return "", fmt.Errorf("watch: %w: %w", kycbridge.ErrUnavailable, err)
	}
	if _, err := p.Intake.Record(ctx, a, n, kycbridge.ViaStart); err != nil {
		return "", fmt.Errorf("watch: %w", err)
	}
	return w.Key().VerificationID, nil
}
