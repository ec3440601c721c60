package archive

import (
	"context"
	"fmt"

	"kycbridge"
	"kycbridge/event"
)

// Admission is the predicted result of replaying one quarantined or refused payload.
type Admission struct {
	Replayed
	Faults  []kycbridge.FieldError // why the current schema refuses it
	Mapped  *event.Data            // the resulting state; nil: not known
	NoEvent string                 // why no event would follow; "" if one would
}

// Admits reports whether a replay would admit the payload.
func (a Admission) Admits() bool { return a.Result == ResultAdmitted }

// Readmit admits one quarantined or refused payload again, as Replay does with all payloads that its filter
// selects.
func (a *Archive) Readmit(ctx context.Context, k kycbridge.Kept, dryRun bool) (Replayed, error) {
	f := Filter{Provider: k.Provider, Account: k.Account}
	if k.Provider == kycbridge.UnknownAccount {
		f = Filter{}
	}
	r := &replay{Archive: a, o: ReplayOptions{Filter: f, DryRun: dryRun}}
	out, err := r.readmitOne(ctx, k)
	if err != nil {
		return out, fmt.Errorf("payload %s: %w", k.ID, err)
	}
	return out, nil
}

// Preview predicts the result of replaying one quarantined or refused payload, and its mapping. It changes
// nothing.
func (a *Archive) Preview(ctx context.Context, k kycbridge.Kept) (Admission, error) {
	replayed, err := a.Readmit(ctx, k, true)
	out := Admission{Replayed: replayed}
	if err != nil {
		return out, err
	}
	account, err := a.Accounts.Find(out.Provider, out.Account)
	if err != nil {
		return out, nil // the result reports it
	}
	id, reason, faults := a.Intake.Examine(account, k.Payload)
	if out.Faults = faults; reason != "" || !out.Admits() {
		return out, nil
	}
	again, err := a.recomputed(ctx, k, out, id)
	if err != nil {
		return out, fmt.Errorf("payload %s: %w", k.ID, err)
	}
	if again.Blocked != "" {
		out.Result, out.Reason = ResultStillQuarantined, again.Why
		return out, nil
	}
	out.Differences, out.NoEvent, out.Mapped = again.Differences(), again.NoEvent, again.After.Published()
	return out, nil
}

// recomputed is the verification as recomputed with the payload.
func (a *Archive) recomputed(
	ctx context.Context, k kycbridge.Kept, out Admission, id kycbridge.Identity,
) (kycbridge.Recomputed, error) {
	key := kycbridge.Key{Provider: out.Provider, Account: out.Account, VerificationID: out.VerificationID}
	if k.Reason == kycbridge.QuarantineUnmapped { // it is in the log, and has been skipped so far
		r := &replay{Archive: a, o: ReplayOptions{Filter: Filter{Provider: out.Provider, Account: out.Account}}}
		replayer, err := r.remapping(ctx)
		if err != nil {
			return kycbridge.Recomputed{}, err
		}
		return replayer.Recompute(ctx, key)
	}
	p := k.Payload
	p.Provider, p.Account, p.VerificationID = out.Provider, out.Account, out.VerificationID
	p.Reference, p.Event = id.Reference, id.Event
	if p.Via == "" {
		p.Via = event.ViaCallback
	}
	return a.Replayer.Preview(ctx, key, p)
}
