package signzy

import (
	"errors"
	"sync"
	"testing"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

// reader reads bodies as the bridge does.
var reader = sync.OnceValue(func() document.Reader { return normalizetest.Reader(&testing.T{}, "signzy", Forms()) })

// decode reads a body that is JSON.
func decode(t testing.TB, body []byte) document.Object {
	t.Helper()
	doc, faults := reader().Decode(body)
	if len(faults) > 0 {
		t.Fatalf("%s: %v", body, faults)
	}
	return doc
}

// identify returns the identity of a callback.
func identify(doc document.Object) kycbridge.Identity { return Identify(doc, event.ViaCallback) }

// mapPayload decodes and maps a payload; a body that is not a JSON object fails as it does in the bridge.
func mapPayload(p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	doc, faults := reader().Decode(p.Body)
	if len(faults) > 0 {
		return kycbridge.Observation{}, errors.New("not the JSON that is accepted")
	}
	return Map(doc, p, s)
}
