// Package normalize says what a provider is to kycbridge. What belongs to one provider lies in one folder
// below, its room, which has the same files at every provider: provider.go (the Entry), settings.go,
// verify.go, identify.go, map.go, client/ and simulated/.
package normalize

import (
	"strings"
	"time"

	"kycbridge"
	"kycbridge/internal/rest"
	"kycbridge/internal/simulate"
)

// Entry is a provider as the one table lists it: what it does, and what its accounts may configure.
// TestCatalog holds the keys against what the functions read.
type Entry struct {
	kycbridge.Provider
	Auth       []string            // keys of an account's auth section that Verify reads
	Placements []string            // where a key of auth.keys may stand; only with keys
	Settings   []Setting           // keys of an account that this provider alone knows; Decode reads them
	APIKeys    []string            // keys of an account's api section
	APINeeds   []string            // those without which nothing can be called
	APIWords   map[string][]string // of those that take one of a few words, in any case
	NamesURL   bool                // a start tells the provider where to call back
	Setup      Setup
	Polling    Polling // where it differs from the default

	// Connect makes what an account can ask of the provider; nil: nothing.
	Connect func(API, kycbridge.Settings, rest.Options) kycbridge.API

	// Simulated makes the simulated provider for the demo and the tests; nil: there is none.
	Simulated func() simulate.Provider
}

// Setup is what a new account of a provider needs.
type Setup struct {
	Credential string   // key of the auth section that the provider can be given: basic, headers, keys, oauth2
	Others     []string // further ones that it can be given
	HandOver   string   // what to do at the provider with the address and the credential
}

// Polling says how often an open session is asked about. What is zero is the default.
type Polling struct {
	Interval  time.Duration
	Intervals map[string]time.Duration // by a status of the provider, or by ours
	First     time.Duration            // from a start to the first look
}

// API is the api section of an account, whose keys are the provider's. The values have been checked when
// the configuration was read.
type API map[string]string

// Duration is the value of a key that holds a duration; 0 where it is not set.
func (a API) Duration(key string) time.Duration {
	d, _ := time.ParseDuration(a[key])
	return d
}

// List is the value of a key that holds several texts.
func (a API) List(key string) []string {
	if a[key] == "" {
		return nil
	}
	return strings.Split(a[key], ",")
}
