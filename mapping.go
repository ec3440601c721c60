package kycbridge

import (
	"encoding/json"
	"errors"
	"fmt"

	"kycbridge/document"
	"kycbridge/event"
)

// Observe maps a stored payload of a. A panic of the mapping is returned as an error. Errors wrap
// ErrUnmappable and contain no value of the body.
func (a *Account) Observe(p Payload) (Observation, error) {
	if p.Notice {
		return a.observe(p, nil)
	}
	doc, _ := a.Provider.Document(p)
	return a.observe(p, doc)
}

// observe is Observe of a payload that is decoded in doc.
func (a *Account) observe(p Payload, doc document.Object) (o Observation, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("mapping panicked: %w", ErrUnmappable)
		}
	}()
	if p.Notice {
		o, err = observeNotice(p, a.Provider)
	} else {
		o, err = a.mapped(p, doc)
	}
	if err != nil {
		return Observation{}, fmt.Errorf("map payload: %s: %w", withoutValue(err), ErrUnmappable)
	}
	return o, nil
}

// mapped maps a payload of the provider.
func (a *Account) mapped(p Payload, doc document.Object) (Observation, error) {
	if doc == nil {
		return Observation{}, errors.New("read body: not the JSON that was accepted")
	}
	return a.Provider.Map(doc, p, a.Settings)
}

// fact maps a payload, which is decoded in doc, for the lifecycle.
func (n *Normalizer) fact(a *Account, p Payload, doc document.Object) (Fact, error) {
	o, err := a.observe(p, doc)
	if err != nil {
		return Fact{}, err
	}
	if o.Cross.Callback != "" {
		o.Cross.CallbackAt = p.TriggeredAt // a value that is passed along with a later request is not news
	}
	stated := o.ExternalReference
	protectFacts(&o, a.Profile)
	return Fact{
		Observation:    o,
		Reference:      stated,
		Account:        a,
		VerificationID: p.VerificationID,
		Payload:        event.PayloadRef{ID: p.ID, Digest: p.Digest, Mapping: n.Mapping, AdmittedBy: p.admittedBy()},
		Via:            p.Via,
		Erased:         p.Erased,
		Notice:         p.Notice,
		OurClock:       !p.TriggeredAt.IsZero() && o.OccurredAt.Equal(p.TriggeredAt),
		ReceivedAt:     p.ReceivedAt,
		Traceparent:    p.Traceparent(),
	}, nil
}

// protectFacts reduces the personal data of o to what the profile permits. The caller's reference is compared with the
// telephone number here: the claims of a revision are masked already.
func protectFacts(o *Observation, p event.Profile) {
	if o.ExternalReference != "" && p != event.ProfileFull {
		reference := event.Data{ExternalReference: o.ExternalReference, ExtractedClaims: o.ExtractedClaims}
		if o.ReferenceIsPhone {
			reference.ExtractedClaims = event.Claims{"phone_number": o.ExternalReference}
		}
		event.Protect(&reference, p)
		o.ExternalReference = reference.ExternalReference
	}
	d := event.Data{Documents: o.Documents, ExtractedClaims: o.ExtractedClaims, Media: o.Media, Session: o.Session}
	event.Protect(&d, p)
	o.Documents, o.ExtractedClaims, o.Media = d.Documents, d.ExtractedClaims, d.Media
}

// withoutValue describes a mapping error without the value that caused it.
func withoutValue(err error) string {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return "field " + wrongType.Field + " must be readable as " + wrongType.Type.String()
	}
	return "the mapping cannot read it"
}
