package publisher

import (
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
)

// TestNoSealer: without keys an event of the profile encrypted is neither published in clear nor read.
func TestNoSealer(t *testing.T) {
	t.Parallel()
	e := event.Event{Data: event.Data{PII: event.PII{Profile: event.ProfileEncrypted}, ExternalReference: "s33d"}}
	b := &Bus{}
	body, err := b.bodyOf(kycbridge.Outgoing{Event: &e, Body: []byte("s33d")})
	if body != nil || err == nil || !strings.Contains(err.Error(), "encryption.event_key") {
		t.Errorf("%s, %v", body, err)
	}
	if body, err := b.Encode(&e); body != nil || err == nil {
		t.Errorf("%s, %v", body, err)
	}
	if err := b.open(&e.Data); err == nil {
		t.Error("an event is read that nobody has decrypted")
	}
}
