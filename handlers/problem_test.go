package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
)

// TestProblemTable: every row is complete, internal faults come first and none of them is a 4xx.
func TestProblemTable(t *testing.T) {
	refusals := false
	for _, p := range problems {
		if p.kind == nil || p.name == "" || p.title == "" || p.detail == "" || http.StatusText(p.status) == "" {
			t.Errorf("incomplete: %+v", p)
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
