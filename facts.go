package kycbridge

import "kycbridge/event"

// merge lays what o tells over what d knows, group by group: a group that o speaks of replaces the
// known one as a whole. A stale o only fills groups of which nothing is known, and so do the evidence and the
// person of an end while an approval stands: it vouches for whom it was given.
func (d *Revision) merge(o Observation, stale bool) {
	fills := stale || d.Decision.Outcome == event.OutcomeApproved && o.Effect == EffectEnd
	over(&d.ExternalReference, o.ExternalReference, stale)
	over(&d.Provider.Product, o.Product, stale)
	over(&d.Provider.FlowID, o.FlowID, stale)
	over(&d.Provider.FlowVersion, o.FlowVersion, stale)
	overMap(&d.Provider.References, d.ownReferences(o), stale)
	// What the provider said of the verdict goes with the verdict, however late it comes.
	overMap(&d.Provider.Status, o.ProviderStatus, stale && !o.Effect.Decisive())
	tellsDocuments := o.Documents != nil || o.ExtractedClaims != nil
	if tellsDocuments && (!fills || len(d.Documents)+len(d.ExtractedClaims) == 0) {
		d.Documents, d.ExtractedClaims = o.Documents, o.ExtractedClaims
	}
	overList(&d.Checks, o.Checks, fills)
	overList(&d.Media, o.Media, fills)
	if o.Risk != nil && (!fills || d.Risk == nil) {
		d.Risk = o.Risk
	}
	if o.Extensions != nil && (!fills || len(d.Extensions) == 0) {
		d.Extensions = o.Extensions
	}
	d.Session = mergeSession(d.Session, o.Session, stale)
}

// ownReferences are the references that o may change: a payload that belongs to no attempt does not
// say whose attempt the facts are of.
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

func over(dst *string, src string, stale bool) {
	if src != "" && (!stale || *dst == "") {
		*dst = src
	}
}

// overList replaces a list as a whole. What is known of checks is never nil.
func overList[T any](dst *[]T, src []T, stale bool) {
	if src != nil && (!stale || len(*dst) == 0) {
		*dst = src
	}
}

func overMap[V any](dst *map[string]V, src map[string]V, stale bool) {
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

// mergeSession merges member by member: a later message often knows the end and not the beginning.
func mergeSession(d, o *event.Session, stale bool) *event.Session {
	if o == nil {
		return d
	}
	m := event.Session{}
	if d != nil {
		m = *d
	}
	over(&m.Channel, o.Channel, stale)
	over(&m.CreatedAt, o.CreatedAt, stale)
	over(&m.ScheduledAt, o.ScheduledAt, stale)
	over(&m.StartedAt, o.StartedAt, stale)
	over(&m.SubmittedAt, o.SubmittedAt, stale)
	over(&m.EndedAt, o.EndedAt, stale)
	over(&m.ExpiresAt, o.ExpiresAt, stale)
	over(&m.Country, o.Country, stale)
	over(&m.CountrySource, o.CountrySource, stale)
	if o.Consent != nil && (!stale || m.Consent == nil) {
		m.Consent = o.Consent
	}
	if m == (event.Session{}) {
		return nil
	}
	return &m
}
