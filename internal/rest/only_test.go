package rest

import (
	"strings"
	"testing"
)

// TestOnly: Only keeps no member that is not named, whatever its name and position.
func TestOnly(t *testing.T) {
	names := []string{"id", "ttl", "flow.version", "flow.test", "steps"}
	for body, want := range map[string]string{
		`{"id":"a","url":"https://secret.example/secret","token":"secret"}`: `{"id":"a"}`,
		`{"ID":"a","Flow":{"Version":3,"token":"secret"}}`:                  `{"flow":{"version":3},"id":"a"}`,
		`{"id":"a","Id":"b"}`:   `{"id":"a"}`,
		"\ufeff" + `{"id":"a"}`: `{"id":"a"}`,
		`{"flow":{"version":3,"test":true,"key":"secret"},"result":{"id":"secret"}}`: `{"flow":{"test":true,"version":3}}`,
		`{"ttl":null,"steps":[]}`: `{"steps":[],"ttl":null}`,
		`{"flow":"secret"}`:       ``,
		`{"secret":"secret"}`:     ``,
		`["id"]`:                  ``,
		`secret`:                  ``,
		``:                        ``,
	} {
		got := string(Only([]byte(body), names...))
		if got != want || strings.Contains(got, "secret") {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}
