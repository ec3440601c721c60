// Package quiet discards what libraries write to the standard log, from before they are initialized. A program imports
// it for this effect.
//
// OpenTelemetry writes damaged variables of the environment there, with their values, while its packages are
// initialized: before main could do anything about it. Other libraries do so later: net/http quotes what a provider
// sends without a request.
//
// This package is initialized before any library that writes there with log/slog. Go initializes packages in the
// order of their import paths, each as soon as everything it imports is initialized. log/slog imports all that this
// package imports, and "kycbridge/" sorts before "log/slog". So this package must import nothing else.
// TestNothingBeforeMain checks it.
package quiet

import (
	"io"
	"log"
)

// The initialization of this variable is the effect of this package.
var _ = discard()

func discard() (done bool) {
	log.SetOutput(io.Discard)
	return true
}
