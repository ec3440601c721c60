package kycbridge

import (
	"testing"
	"time"
)

func TestParseAge(t *testing.T) {
	for s, want := range map[string]time.Duration{"0s": 0, "90m": 90 * time.Minute, "1d": 24 * time.Hour,
		"30d": 720 * time.Hour, "36h": 36 * time.Hour} {
		if got, err := ParseAge(s); err != nil || got != want {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "-1h", "-1d", "1.5d", "yesterday", "99999999d", "1w", "0", "+0", "-0"} {
		if got, err := ParseAge(s); err == nil {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}
