package handlers

import (
	"strings"
	"testing"
)

// TestHolderNames: the names that may be recorded, and so searched for.
func TestHolderNames(t *testing.T) {
	for name, want := range map[string]bool{
		"ops": true, "os:root": true, "Ärzte-Team 1": true, "审核员": true, "ab@c.d_e": true, strings.Repeat("é", 128): true,
		"": false, " ops": false, "-ops": false, "a\nb": false, "a/b": false, "a\xff": false, strings.Repeat("é", 129): false,
	} {
		if got := isHolderName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
