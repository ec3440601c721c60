package publisher

import (
	"encoding/json"
	"errors"
	"fmt"

	"kycbridge"
	"kycbridge/event"
)

// Sealer encrypts the personal members of events that have the profile "encrypted", and decrypts those of published
// events.
type Sealer interface {
	// Seal is the body of e with its personal members encrypted to the recipients of its account.
	Seal(e *event.Event) (body []byte, err error)
	// Open decrypts the personal members of d.
	Open(d *event.Data) error
}

// SealWith makes the bus encrypt and decrypt events that have the profile "encrypted" from now on.
func (b *Bus) SealWith(s Sealer) { b.sealer = s }

// errNoSealer names the missing setting.
var errNoSealer = errors.New("encryption.event_key is not configured")

// Encode is the body of an event as it leaves the process. Its personal members are encrypted if its profile is
// "encrypted".
func (b *Bus) Encode(e *event.Event) ([]byte, error) {
	switch {
	case e.Data.PII.Profile != event.ProfileEncrypted:
		body, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("write event: %w", err)
		}
		return body, nil
	case b.sealer == nil:
		return nil, fmt.Errorf("encrypt event: %w", errNoSealer)
	}
	return b.sealer.Seal(e)
}

// bodyOf is the body of an event that is published.
func (b *Bus) bodyOf(e kycbridge.Outgoing) ([]byte, error) {
	if e.Data.PII.Profile != event.ProfileEncrypted {
		return e.Body, nil
	}
	return b.Encode(e.Event)
}

// open decrypts the personal members of a published event. The event keeps the profile "encrypted".
func (b *Bus) open(d *event.Data) error {
	if d.PII.Profile != event.ProfileEncrypted {
		return nil
	}
	if b.sealer == nil {
		return errNoSealer
	}
	err := b.sealer.Open(d)
	if err == nil {
		d.PII = event.PII{Profile: event.ProfileEncrypted}
	}
	return err
}
