package kycbridge

import "kycbridge/event"

// merge merges the facts of o into d, group by group: a group of o replaces the known one as a whole. A
// stale o only fills empty groups. The evidence and the person of progress and of an end also only fill empty groups
// while an approval is current: the approval applies to the person that it was given for. A policy has judged the
// evidence in its own body only, so its approval never stands beside that of another one, however late it arrives.
func (d *Revision) merge(o Observation, stale bool) {
	approved := d.Decision.Outcome == event.OutcomeApproved
	isJudged := o.Effect == EffectVerdict && o.Decision.Stage == event.StagePolicy &&
		o.Decision.Outcome == event.OutcomeApproved
	fills := stale && !isJudged || approved && (o.Effect == EffectEnd || o.Effect == EffectProgress)
	d.mergeGroups(o, stale, fills)
}

// mergeOutranked merges the facts of a verdict that does not count, because one of a higher stage is current. While
// that is an approval and o is not, its evidence and its person only fill empty groups.
func (d *Revision) mergeOutranked(o Observation) {
	approved := event.OutcomeApproved
	d.mergeGroups(o, false, d.Decision.Outcome == approved && o.Decision.Outcome != approved)
}

// mergeGroups is merge, with stale for the facts of the session. fills: the evidence and the person only fill empty
// groups.
func (d *Revision) mergeGroups(o Observation, stale, fills bool) {
	mergeString(&d.ExternalReference, o.ExternalReference, stale)
	mergeString(&d.Provider.Product, o.Product, stale)
	mergeString(&d.Provider.FlowID, o.FlowID, stale)
	mergeString(&d.Provider.FlowVersion, o.FlowVersion, stale)
	mergeMap(&d.Provider.References, d.ownReferences(o), stale)
	// The provider's status of the verdict belongs to the verdict, however late it arrives.
	mergeMap(&d.Provider.Status, o.ProviderStatus, stale && !o.Effect.Decisive())
	tellsDocuments := o.Documents != nil || o.ExtractedClaims != nil
	if tellsDocuments && (!fills || len(d.Documents)+len(d.ExtractedClaims) == 0) {
		d.Documents, d.ExtractedClaims = o.Documents, o.ExtractedClaims
	}
	mergeList(&d.Checks, o.Checks, fills)
	mergeList(&d.Media, o.Media, fills)
	if o.Risk != nil && (!fills || d.Risk == nil) {
		d.Risk = o.Risk
	}
	if o.Extensions != nil && (!fills || len(d.Extensions) == 0) {
		d.Extensions = o.Extensions
	}
	d.Session = mergeSession(d.Session, o.Session, stale)
}

// ownReferences are the references that o may change. A payload without an attempt id must not replace the id
// of the current attempt, because it does not state which attempt its facts belong to.
func (d *Revision) ownReferences(o Observation) map[string]string {
	if o.Attempt.ID != "" || d.Memory.Attempt == "" {
		return o.References
	}
	own := make(map[string]string, len(o.References))
	for name, id := range o.References {
		if known := d.Provider.References[name]; known == "" || keyOf(known) != d.Memory.Attempt {
			own[name] = id
		}
	}
	return own
}

func mergeString(dst *string, src string, stale bool) {
	if src != "" && (!stale || *dst == "") {
		*dst = src
	}
}

// mergeList replaces a list as a whole. Known checks are never nil.
func mergeList[T any](dst *[]T, src []T, stale bool) {
	if src != nil && (!stale || len(*dst) == 0) {
		*dst = src
	}
}

func mergeMap[V any](dst *map[string]V, src map[string]V, stale bool) {
	for k, v := range src {
		if _, known := (*dst)[k]; known && stale {
			continue
		}
		if *dst == nil {
			*dst = make(map[string]V, len(src))
		}
		(*dst)[k] = v
	}
}

// mergeSession merges member by member: a later message often has the end of the session but not its beginning.
func mergeSession(d, o *event.Session, stale bool) *event.Session {
	if o == nil {
		return d
	}
	m := event.Session{}
	if d != nil {
		m = *d
	}
	mergeString(&m.Channel, o.Channel, stale)
	mergeString(&m.CreatedAt, o.CreatedAt, stale)
	mergeString(&m.ScheduledAt, o.ScheduledAt, stale)
	mergeString(&m.StartedAt, o.StartedAt, stale)
	mergeString(&m.SubmittedAt, o.SubmittedAt, stale)
	mergeString(&m.EndedAt, o.EndedAt, stale)
	mergeString(&m.ExpiresAt, o.ExpiresAt, stale)
	mergeString(&m.Country, o.Country, stale)
	mergeString(&m.CountrySource, o.CountrySource, stale)
	if o.Consent != nil && (!stale || m.Consent == nil) {
		m.Consent = o.Consent
	}
	if m == (event.Session{}) {
		return nil
	}
	return &m
}
