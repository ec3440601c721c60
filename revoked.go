package kycbridge

import "kycbridge/event"

// Revoked is an approval that a reopening has revoked. Some providers state it again whenever they are asked,
// until there is another verdict.
type Revoked struct {
	Stage event.Stage     `json:"stage,omitempty"` // that gave it
	Actor event.ActorType `json:"actor,omitempty"`
	Again *Moment         `json:"again,omitempty"` // when the provider approved again
}

// revokedBy is the approval of d that the reopening o revokes; nil: there is none. A renewal that is overdue revokes
// one even if kycbridge never received it: anybody may have given it.
func (d *Revision) revokedBy(o Observation) *Revoked {
	m := &d.Memory
	switch {
	case d.Decision.Outcome == event.OutcomeApproved:
		return &Revoked{Stage: d.Decision.Stage, Actor: d.Decision.ActorType}
	case d.inDoubt() && m.Verdict != nil:
		return &Revoked{Stage: m.Verdict.Stage, Actor: m.Verdict.Actor}
	case d.Decision.Outcome != event.OutcomeNone && d.Decision.Outcome != event.OutcomeResubmit:
		return nil
	case m.Revoked == nil && o.Status.Closed():
		return &Revoked{Stage: event.StageManualReview, Actor: event.ActorHuman}
	}
	return m.Revoked // by an earlier reopening
}

// repeatsRevoked reports whether f states the approval that a reopening has revoked, and nothing shows that it was
// given again: it is not of a higher stage, the session has not ended since, and the applicant has submitted nothing.
func (d *Revision) repeatsRevoked(f Fact) bool {
	m, at := &d.Memory, f.moment()
	reopened, revoked := m.Reopened, m.Revoked
	if f.Known.Reopened != nil {
		reopened = f.Known.Reopened
	}
	if revoked == nil || f.Known.Reopened != nil && f.Known.Revoked != nil {
		revoked = f.Known.Revoked
	}
	switch {
	case !f.Repeats || f.Effect != EffectVerdict || f.Decision.Outcome != event.OutcomeApproved:
		return false
	case revoked == nil || reopened == nil || !at.after(*reopened):
		return false
	case Moment{Stage: revoked.Stage, Actor: revoked.Actor}.below(at):
		return false
	case revoked.Again != nil && !revoked.Again.after(at):
		return false
	}
	isKnown := f.Known.Reopened == nil && m.Answered != nil
	isAnswered := isKnown || f.Known.Answered != nil && f.Known.Answered.after(*reopened)
	return !isAnswered && !d.endedSince(f, *reopened)
}

// endedSince reports whether the session, as f states it, ended later than the one that was approved. If it is not
// known when that one ended, it must have ended after the newest reopening.
func (d *Revision) endedSince(f Fact, reopened Moment) bool {
	if f.Session == nil {
		return false
	}
	end := event.ParseInstant(f.Session.EndedAt)
	if d.Session != nil && d.Session.EndedAt != "" {
		return end.After(event.ParseInstant(d.Session.EndedAt))
	}
	return end.After(reopened.At)
}

// revokedUnseen is the approval among stored verdicts that the newest reopening of d has revoked, though it was
// processed after it and d does not know it.
func (d *Revision) revokedUnseen(decisive []Fact) *Revoked {
	if d == nil || !d.Memory.Undecided || d.Memory.Reopened == nil {
		return nil
	}
	return revokedAmong(decisive, *d.Memory.Reopened)
}

// revokedAmong is the approval that a reopening has revoked: the newest verdict before it, if that approves. An overdue
// renewal has revoked one, whoever gave it.
func revokedAmong(decisive []Fact, reopened Moment) *Revoked {
	var newest *Fact
	for _, g := range decisive {
		counts := g.Effect == EffectVerdict || g.Effect == EffectReopen && g.Status.Closed() // an overdue renewal
		if counts && reopened.after(g.moment()) && (newest == nil || !newest.moment().after(g.moment())) {
			newest = &g
		}
	}
	switch {
	case newest == nil || newest.Effect == EffectVerdict && !newest.approves():
		return nil
	case newest.Effect == EffectReopen:
		return &Revoked{Stage: event.StageManualReview, Actor: event.ActorHuman}
	}
	return &Revoked{Stage: newest.Decision.Stage, Actor: newest.Decision.ActorType}
}

// recordReopening records g if it is a reopening that counted when it was stored: no verdict or end before it is newer.
func (t *storedFacts) recordReopening(g Fact) {
	at := g.moment()
	isDated := !g.untimed() && (g.Effect == EffectEnd || g.Effect.Decisive() && g.Effect != EffectDoubt)
	switch {
	case !isDated || t.newest != nil && t.newest.after(at):
		return
	case g.Effect == EffectReopen:
		t.reopening = &g
	}
	t.newest = &at
}

// addReopening adds to f what the stored payloads contain about a newer reopening than that of last: another worker has
// taken it and not published its event yet, or could not, because a later verdict was processed before it. If a payload
// of the latest events has been removed, it may have been the one beside which the reopening was old.
func (t *storedFacts) addReopening(last *Revision, f *Fact) {
	g := t.reopening
	if g == nil {
		return
	}
	at, known := g.moment(), last.Memory.Reopened
	if known != nil && !at.after(*known) || last.Memory.hasApplied(g.Payload.ID) || !t.isWhole {
		return
	}
	f.Known.Reopened, f.Known.Revoked = &at, revokedAmong(t.decisive, at)
	if f.Known.Revoked == nil && g.Status.Closed() {
		f.Known.Revoked = &Revoked{Stage: event.StageManualReview, Actor: event.ActorHuman}
	}
}
