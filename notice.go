package kycbridge

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"kycbridge/event"
)

// Notice is a payload created by kycbridge: a fact that a verification needs and no provider sends. It is
// processed like every payload, so that a published event has a stored cause.
type Notice struct {
	Notice            NoticeKind        `json:"notice"`
	Reference         string            `json:"reference"` // the provider's id of the verification
	At                time.Time         `json:"at"`        // when it happened, by kycbridge's clock
	ExternalReference string            `json:"external_reference,omitempty"`
	References        map[string]string `json:"references,omitempty"`
	FlowID            string            `json:"flow_id,omitempty"`
	FlowVersion       string            `json:"flow_version,omitempty"`
	Test              bool              `json:"test,omitempty"`      // the provider marks this as not live traffic
	LinkSent          bool              `json:"link_sent,omitempty"` // the provider sent the link to the applicant itself
	ExpiresAt         time.Time         `json:"expires_at,omitzero"` // of the link
	// Answer is the provider's answer to a start, without addresses and credentials.
	Answer json.RawMessage `json:"answer,omitempty"`
}

// NoticeKind is the kind of a notice.
type NoticeKind string

// The notices.
const (
	NoticeStarted  NoticeKind = "started"  // a verification was started through kycbridge
	NoticeWatched  NoticeKind = "watched"  // a watch was requested for one that was started elsewhere
	NoticeDeadline NoticeKind = "deadline" // its deadline has passed without an end from the provider
	NoticeUnknown  NoticeKind = "unknown"  // the provider does not know it
)

// Payload encodes n as a payload of account a.
func (n Notice) Payload(a *Account, via event.Via) (Payload, error) {
	body, err := json.Marshal(n)
	if err != nil {
		return Payload{}, fmt.Errorf("write notice: %w", err)
	}
	p := withIdentity(Payload{Via: via, ReceivedAt: n.At, ContentType: "application/json", Event: string(n.Notice),
		Notice: true, Reference: n.Reference, Body: body}, a)
	p.VerificationID = event.VerificationID(p.Provider, p.Account, n.Reference)
	return p, nil
}

// observeNotice maps a notice about a verification at provider.
func observeNotice(p Payload, provider Provider) (Observation, error) {
	var n Notice
	if err := json.Unmarshal(p.Body, &n); err != nil {
		return Observation{}, err
	}
	o := Observation{
		EventName:         string(n.Notice),
		OccurredAt:        n.At,
		ExternalReference: n.ExternalReference,
		References:        map[string]string{provider.ReferenceName: n.Reference},
		FlowID:            n.FlowID,
		FlowVersion:       n.FlowVersion,
		Test:              n.Test,
		Status:            event.StatusCreated,
	}
	maps.Copy(o.References, n.References)
	switch n.Notice {
	case NoticeStarted:
		o.Effect = EffectNote // facts of the provider, however early, have priority
		o.Session = &event.Session{CreatedAt: event.Instant(n.At), ExpiresAt: event.Instant(n.ExpiresAt)}
		if n.LinkSent {
			o.StatusDetail = event.DetailLinkSent
		}
	case NoticeWatched:
		o.Effect = EffectNote
	case NoticeDeadline:
		o.Effect, o.Status = EffectEnd, event.StatusExpired
		code := "session.expired"
		if provider.Silent == event.StatusAbandoned {
			o.Status, code = provider.Silent, "session.abandoned"
		}
		o.Reasons = []event.Reason{{Code: code}}
	case NoticeUnknown:
		o.Effect, o.Status, o.StatusDetail = EffectEnd, event.StatusFailed, event.DetailUnknownToProvider
		o.Reasons = []event.Reason{{Code: "system.provider_error"}}
	default:
		return Observation{}, fmt.Errorf("unknown kind of notice")
	}
	return o, nil
}
