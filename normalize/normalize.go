// Package normalize defines what kycbridge needs from a provider. Everything specific to one provider is in one
// folder below, which has the same files for every provider: provider.go (the Entry), settings.go, verify.go,
// identify.go, map.go, client/ and simulated/.
package normalize

import (
	"strings"
	"time"

	"kycbridge"
	"kycbridge/internal/rest"
	"kycbridge/internal/simulate"
)

// Entry is a provider's entry in the provider table: its functions, and what its accounts may configure. The
// TestCatalog tests compare the keys with those that the functions read.
type Entry struct {
	kycbridge.Provider
	Auth       []string            // keys of an account's auth section that Verify reads
	Placements []string            // permitted positions of a key of auth.keys; only with keys
	Settings   []Setting           // keys of an account that only this provider has; Decode reads them
	APIKeys    []string            // keys of an account's api section
	APINeeds   []string            // the required keys of the api section
	APIWords   map[string][]string // by key: the permitted values, in any case
	NamesURL   bool                // a start sends the callback URL to the provider
	Setup      Setup
	Polling    Polling // values that differ from the default

	// Connect returns the API of an account at the provider; nil: the provider has no API.
	Connect func(API, kycbridge.Settings, rest.Options) kycbridge.API

	// Simulated returns the simulated provider for the demo and the tests; nil: it does not exist.
	Simulated func() simulate.Provider
}

// Setup is what a new account of a provider needs.
type Setup struct {
	Credential string   // key of the auth section that can be configured at the provider: basic, headers, keys, oauth2
	Others     []string // further keys that can be configured there
	HandOver   string   // instructions: where to enter the callback URL and the credential at the provider
}

// Polling defines how often an open session is polled. A zero value means the default.
type Polling struct {
	Interval  time.Duration
	Intervals map[string]time.Duration // by status, of the provider or of kycbridge
	First     time.Duration            // from a start to the first poll
}

// API is the api section of an account; each provider defines its keys. The values were checked when the
// configuration was read.
type API map[string]string

// Duration returns the value of a key that contains a duration; 0 if it is not set.
func (a API) Duration(key string) time.Duration {
	d, _ := time.ParseDuration(a[key])
	return d
}

// List returns the value of a key that contains several texts.
func (a API) List(key string) []string {
	if a[key] == "" {
		return nil
	}
	return strings.Split(a[key], ",")
}
