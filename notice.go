package kycbridge

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Notice is a payload of our own: what no provider says and a verification yet has to tell. It goes
// the way of every payload, so that what is published has its stored cause.
type Notice struct {
	Notice            NoticeKind        `json:"notice"`
	Reference         string            `json:"reference"`
	At                time.Time         `json:"at"`
	ExternalReference string            `json:"external_reference,omitempty"`
	References        map[string]string `json:"references,omitempty"`
	FlowID            string            `json:"flow_id,omitempty"`
	LinkSent          bool              `json:"link_sent,omitempty"`
	ExpiresAt         time.Time         `json:"expires_at,omitzero"`
}

// NoticeKind says what a notice is about.
type NoticeKind string

// The notices.
const (
	NoticeStarted  NoticeKind = "started"  // a verification was started through us
	NoticeWatched  NoticeKind = "watched"  // we were asked to watch one that was started elsewhere
	NoticeDeadline NoticeKind = "deadline" // its time is over and the provider has told no end
	NoticeUnknown  NoticeKind = "unknown"  // the provider does not know it
)

// Payload writes n as a payload of account a.
func (n Notice) Payload(a *Account, via Via) (Payload, error) {
	body, err := json.Marshal(n)
	if err != nil {
		return Payload{}, fmt.Errorf("write notice: %w", err)
	}
	p := named(Payload{Via: via, ReceivedAt: n.At, ContentType: "application/json", Event: string(n.Notice), Notice: true, Reference: n.Reference, Body: body}, a)
	p.VerificationID = VerificationID(p.Provider, p.Account, n.Reference)
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
		Status:            StatusCreated,
	}
	maps.Copy(o.References, n.References)
	switch n.Notice {
	case NoticeStarted:
		o.Effect = EffectNote // what the provider has said by now, however early, knows better
		o.Session = &Session{CreatedAt: Instant(n.At), ExpiresAt: Instant(n.ExpiresAt)}
		if n.LinkSent {
			o.StatusDetail = DetailLinkSent
		}
	case NoticeWatched:
		o.Effect = EffectNote
	case NoticeDeadline:
		o.Effect, o.Status = EffectEnd, StatusExpired
		code := "session.expired"
		if provider.Silent == StatusAbandoned {
			o.Status, code = provider.Silent, "session.abandoned"
		}
		o.Reasons = []Reason{{Code: code}}
	case NoticeUnknown:
		o.Effect, o.Status, o.StatusDetail = EffectEnd, StatusFailed, DetailUnknownToProvider
		o.Reasons = []Reason{{Code: "system.provider_error"}}
	default:
		return Observation{}, fmt.Errorf("notice is none of ours")
	}
	return o, nil
}
