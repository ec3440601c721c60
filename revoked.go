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
	revoked := m.Revoked
	if revoked == nil {
		revoked = f.Known.Revoked
	}
	switch {
	case !f.Repeats || f.Effect != EffectVerdict || f.Decision.Outcome != event.OutcomeApproved:
		return false
	case revoked == nil || m.Reopened == nil || !at.after(*m.Reopened):
		return false
	case Moment{Stage: revoked.Stage, Actor: revoked.Actor}.below(at):
		return false
	case revoked.Again != nil && !revoked.Again.after(at):
		return false
	}
	isAnswered := m.Answered != nil || f.Known.Answered != nil && f.Known.Answered.after(*m.Reopened)
	return !isAnswered && !d.endedSince(f)
}

// endedSince reports whether the session, as f states it, ended later than the one that was approved. If it is not
// known when that one ended, it must have ended after the newest reopening.
func (d *Revision) endedSince(f Fact) bool {
	if f.Session == nil {
		return false
	}
	end := event.ParseInstant(f.Session.EndedAt)
	if d.Session != nil && d.Session.EndedAt != "" {
		return end.After(event.ParseInstant(d.Session.EndedAt))
	}
	return end.After(d.Memory.Reopened.At)
}

// revokedUnseen is the approval among stored verdicts that the newest reopening of d has revoked, though it was
// processed after it and d does not know it: the newest verdict of before it, if that approves.
func (d *Revision) revokedUnseen(decisive []Fact) *Revoked {
	if d == nil || !d.Memory.Undecided || d.Memory.Reopened == nil {
		return nil
	}
	var newest *Fact
	for _, g := range decisive {
		counts := g.Effect == EffectVerdict || g.Effect == EffectReopen && g.Status.Closed() // an overdue renewal
		if counts && d.Memory.Reopened.after(g.moment()) && (newest == nil || !newest.moment().after(g.moment())) {
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
