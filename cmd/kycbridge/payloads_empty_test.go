package main

import (
	"strings"
	"testing"
)

// TestEmptyFlagsSelectNothing: a flag with an empty value, such as an unset variable of a script, is
// refused instead of selecting everything.
func TestEmptyFlagsSelectNothing(t *testing.T) {
	for _, args := range [][]string{
		{"replay", "--yes", "--verification", ""},
		{"replay", "--yes", "--to="},
		{"replay", "--yes", "--since", ""},
		{"purge", "--yes", "--older-than", "1h", "--provider", ""},
		{"purge", "--yes", "--older-than", "1h", "--verification="},
		{"list", "--config", ""},
		{"export", "--id", ""},
		{"report", "--account", ""},
	} {
		got := finish(t, command(t, append([]string{"payloads"}, args...)...))
		if got.code != 1 || !strings.Contains(got.stderr, " is empty: write a value, or omit the flag") {
			t.Errorf("%q: %d %s%s", args, got.code, got.stdout, got.stderr)
		}
	}
	for _, args := range [][]string{{"list", "--limit", "x"}, {"show", "--seq", "-1"}} {
		got := finish(t, command(t, append([]string{"payloads"}, args...)...))
		if got.code != 1 || !strings.Contains(got.stderr, ": write a whole number") ||
			strings.Contains(got.stderr, "strconv") {
			t.Errorf("%q: %d %s%s", args, got.code, got.stdout, got.stderr)
		}
	}
}
