package kycbridge

import "time"

// Denials are the notes with another outcome than an approval. They set no verdict: an approval that is not known to be
// newer than each of them is in doubt.
type Denials struct {
	// Denied is the newest one with a time.
	Denied *Moment `json:"denied,omitempty"`
	// DeniedUntimed is when the last one without a time was received. It is compared by receipt, so one with a
	// time does not replace it.
	DeniedUntimed time.Time `json:"denied_untimed,omitzero"`
}

// recordDenial adds a note. One with a time replaces an older one, or one that the verdict (nil: none) has followed.
func (d *Denials) recordDenial(at Moment, verdict *Moment) {
	switch {
	case at.At.IsZero():
		if at.Received.After(d.DeniedUntimed) {
			d.DeniedUntimed = at.Received
		}
	case d.Denied == nil || at.after(*d.Denied) || verdict != nil && verdict.after(*d.Denied):
		d.Denied = &at
	}
}

// addDenials adds the notes that are stored.
func (d *Denials) addDenials(stored Denials) {
	if stored.Denied != nil {
		d.recordDenial(*stored.Denied, nil)
	}
	if stored.DeniedUntimed.After(d.DeniedUntimed) {
		d.DeniedUntimed = stored.DeniedUntimed
	}
}

// hasDenial reports whether any note is known.
func (d *Denials) hasDenial() bool { return d.Denied != nil || !d.DeniedUntimed.IsZero() }

// isDenied reports whether f, an approval that is recorded as verdict, is not known to be newer than a note. Beside a
// note without a time, an approval without one is never known to be newer.
func (d *Denials) isDenied(f Fact, verdict Moment) bool {
	if !d.DeniedUntimed.IsZero() && (f.untimed() || !f.ReceivedAt.After(d.DeniedUntimed)) {
		return true
	}
	return d.Denied != nil && !verdict.after(*d.Denied)
}
