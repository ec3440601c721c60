package kycbridge

import (
	"strings"
	"testing"
)

// A trace context is published with the event, so anything else in its place is left out.
func TestTraceparent(t *testing.T) {
	const valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for given, want := range map[string]string{
		valid:                                 valid,
		"":                                    "",
		strings.ToUpper(valid):                "",
		valid + "-1":                          "",
		strings.Repeat("-", len(valid)):       "",
		strings.Repeat("23412341234", 5):      "", // as long, but digits without an order
		strings.Replace(valid, "00", "ff", 1): "", // an invalid version
		"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01":                 "",
		"00-0af7651916cd43dd8448eb211c80319c-" + strings.Repeat("0", 16) + "-01": "",
	} {
		p := Payload{Header: map[string]string{"Traceparent": given}}
		if got := p.Traceparent(); got != want {
			t.Errorf("%q gives %q, want %q", given, got, want)
		}
	}
}
