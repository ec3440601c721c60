package kycbridge_test

import (
	"testing"

	"kycbridge"
)

// TestFilterWords: a filter is recorded without text that may be about a person, also if it was not checked yet.
func TestFilterWords(t *testing.T) {
	for want, filter := range map[string]map[string]any{
		"limit=50 reason=malformed status=quarantined via=callback": {"via": "callback", "status": "quarantined",
			"reason": "malformed", "limit": "50"},
		"older_than=30d since=2026-03-02T09:00:00Z": {"older_than": "30d", "since": "2026-03-02T09:00:00Z"},
		"by=… q=…": {"by": "jane.sample", "q": "jane", "verification": "v"},
		"from=… older_than=… reason=… since=… status=… via=…": {"via": "jane", "status": "jane", "reason": "+49 170 1234567",
			"since": "jane", "from": "jane", "older_than": "jane"},
		"confirm=true dry_run=false": {"confirm": true, "dry_run": false},
	} {
		if got := kycbridge.FilterWords(filter); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
