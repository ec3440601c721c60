package client

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"kycbridge"
	"kycbridge/internal/rest"
)

// TestFetch: a check is asked for with the key and passed on as it came; an error says whose fault it is.
func TestFetch(t *testing.T) {
	const body = `{"check_id":"vc 1","state":"running"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer synthetic-key":
			http.Error(w, `{"code":"bad_key","message":"synthetic-key?"}`, http.StatusUnauthorized)
		case r.URL.EscapedPath() != "/v2/checks/vc%201":
			http.Error(w, `{"code":"no_check"}`, http.StatusNotFound)
		default:
			_, _ = w.Write([]byte(body))
		}
	}))
	t.Cleanup(server.Close)
	for name, c := range map[string]struct {
		key, reference string
		kind           kycbridge.ProviderErrorKind
		code           string
	}{
		"a check":     {"synthetic-key", "vc 1", "", ""},
		"no check":    {"synthetic-key", "vc-2", kycbridge.ProviderNotFound, "no_check"},
		"another key": {"synthetic-other", "vc 1", kycbridge.ProviderCredentials, "bad_key"},
	} {
		t.Run(name, func(t *testing.T) {
			api := New(Config{BaseURL: server.URL + "/", Key: c.key}, rest.Options{RequestsPerSecond: 100})
			got, err := api.Fetch(t.Context(), kycbridge.Query{Reference: c.reference})
			var e *kycbridge.ProviderError
			switch errors.As(err, &e); {
			case c.kind == "" && (err != nil || len(got) != 1 || string(got[0].Body) != body):
				t.Errorf("%s, %v", got, err)
			case c.kind != "" && (e == nil || e.Kind != c.kind || e.Code != c.code):
				t.Errorf("got %v, want %s %s", err, c.kind, c.code)
			}
		})
	}
}
