// Package browser looks at the console as operators do: in a real Chromium, at a real kycbridge. Its tests are
// skipped where there is no Chromium, unless REQUIRE_BROWSER is 1. With -pictures they create docs/console again.
package browser
