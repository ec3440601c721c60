package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
)

// TestProblemTable: every row is complete and is found by its kind. Of the problems of a callback,
// internal faults come first and none of them is a 4xx.
func TestProblemTable(t *testing.T) {
	refusals := false
	for _, p := range problems {
		if p.kind == nil || p.name == "" || p.title == "" || p.detail == "" || http.StatusText(p.status) == "" {
			t.Errorf("incomplete: %+v", p)
		}
		if p.provider {
			continue
		}
		if p.status < 500 {
			refusals = true
		} else if refusals || p.status != 503 || p.retryAfter < 1 {
			t.Errorf("%s: a fault of ours is 503 with Retry-After and stands first", p.name)
		}
		if !errors.Is(problemFor(fmt.Errorf("wrapped: %w", p.kind)).kind, p.kind) {
			t.Errorf("%s is not found by its kind", p.name)
		}
	}
}

// TestProviderProblems: each row for provider calls has a kind of its own and is never the answer to a
// callback; an error that clients must not repeat automatically is not a 503.
func TestProviderProblems(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range problems {
		if !p.provider {
			continue
		}
		if seen[p.name] {
			t.Errorf("%s stands there twice", p.name)
		}
		seen[p.name] = true
		if (p.status == http.StatusServiceUnavailable) != (p.retryAfter > 0) {
			t.Errorf("%s: status %d with Retry-After %d", p.name, p.status, p.retryAfter)
		}
		if problemFor(p.kind).provider || !callProblemFor(p.kind).provider {
			t.Errorf("%s answers a callback, or no operation of the API", p.name)
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d rows of provider calls", len(seen))
	}
}
