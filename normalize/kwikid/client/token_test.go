package client

import (
	"encoding/base64"
	"testing"
	"time"
)

// A token is not requested at every call because the clock of the provider, or this one, is wrong by hours.
func TestExpiryWhereClocksDiffer(t *testing.T) {
	now := time.Unix(1772442000, 0)
	for claims, want := range map[string]time.Time{
		`{"exp":1772445600}`:                      now.Add(time.Hour),
		`{"exp":1772445600,"iat":1772442000}`:     now.Add(time.Hour),
		`{"exp":1772442600,"iat":1772439000}`:     now.Add(10 * time.Minute), // issued some time ago
		`{"exp":1772427600,"iat":1772424000}`:     now.Add(time.Hour),        // their clock is five hours behind
		`{"exp":1772463600,"iat":1772460000}`:     now.Add(time.Hour),        // ahead
		`{"exp":1772442000.001,"iat":1772442000}`: {},
		`{"exp":1772427600}`:                      {},
		`{"exp":1772427600,"iat":1772427600}`:     {},
		`{"iat":1772442000}`:                      {},
	} {
		token := "x." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
		if got := expiry(token, now); !got.Equal(want) {
			t.Errorf("%s expires at %v, want %v", claims, got, want)
		}
	}
}
