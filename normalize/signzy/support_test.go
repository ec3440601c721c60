package signzy

import (
	"sync"
	"testing"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

// reader reads bodies as the service does.
var reader = sync.OnceValue(func() document.Reader { return normalizetest.Reader(&testing.T{}, "signzy", Forms()) })

// decode reads a body that is JSON.
func decode(t testing.TB, body []byte) document.Object {
	t.Helper()
	return normalizetest.Decode(t, reader(), body)
}

// identify returns the identity of a callback.
func identify(doc document.Object) kycbridge.Identity { return Identify(doc, event.ViaCallback) }

// mapPayload decodes and maps a payload.
func mapPayload(p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	return normalizetest.Map(reader(), Map, p, s)
}
