package admission

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"kycbridge"
)

// Presented checks that verify admits the credential that present adds to a request. credentials has the expected
// placement as its key.
func Presented(t *testing.T, present func(kycbridge.Credentials, http.Header, url.Values, []byte, time.Time) bool,
	verify Verifier, credentials map[string]kycbridge.Credentials) {
	t.Helper()
	body, now := []byte(`{"a":1}`), time.Now()
	for want, c := range credentials {
		header, query := http.Header{}, url.Values{}
		if !present(c, header, query, body, now) {
			t.Errorf("%s: nothing presented", want)
			continue
		}
		r := kycbridge.Request{Header: header, Query: query, Body: body, ReceivedAt: now}
		if placement, err := verify(c, r); err != nil || placement != want {
			t.Errorf("admitted by %q, want %s: %v", placement, want, err)
		}
	}
}
