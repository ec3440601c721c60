package signzy

import (
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

func BenchmarkMap(b *testing.B) {
	body := normalizetest.Fixture(b, "signzy", "get-journey-completed-full")
	doc := decode(b, body)
	p := kycbridge.Payload{Body: body, Via: event.ViaCallback}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Map(doc, p, strict); err != nil {
			b.Fatal(err)
		}
	}
}
