package app

import (
	"kycbridge"
	"kycbridge/internal/poll"
	"kycbridge/internal/rest"
)

// providers is the one table of providers: adding one means new files and one line here.
func providers() []entry {
	return []entry{
		signzyProvider(),
		ondatoProvider(),
		idwiseProvider(),
		kwikidProvider(),
	}
}

// entry is a provider with what its accounts may configure. TestCatalog holds it against what the
// functions do.
type entry struct {
	kycbridge.Provider
	auth       []string            // keys of an account's auth section that Verify reads
	placements []string            // where a key of auth.keys may stand; only with keys
	settings   []string            // keys of an account that Map reads, besides confirm
	policyKeys []string            // thresholds of an account's policy section
	overlook   []string            // types of checks that a policy may pass over
	apiKeys    []string            // keys of an account's api section
	apiNeeds   []string            // those without which nothing can be called
	apiWords   map[string][]string // of those that take one of a few words, in any case
	connect    func(Account, rest.Options) kycbridge.API
	namesURL   bool // a start tells the provider where to call back
	setup      Setup
	polling    poll.Policy // where it differs from defaultPolling
}

// Setup is what a new account of a provider needs.
type Setup struct {
	Credential string // key of the auth section that the provider can be given: basic, headers, keys
	HandOver   string // what to do at the provider with the address and the credential
}

// ProviderCatalog tells the configuration what the table of providers knows.
func ProviderCatalog() Catalog {
	c := Catalog{
		AuthKeys: map[string][]string{}, Placements: map[string][]string{}, Settings: map[string][]string{},
		APIKeys: map[string][]string{}, APINeeds: map[string][]string{}, APIWords: map[string]map[string][]string{}, PolicyKeys: map[string][]string{}, Setups: map[string]Setup{}, Overlook: map[string][]string{}, ConfirmByDefault: map[string]bool{},
	}
	for _, p := range providers() {
		c.Names = append(c.Names, p.Name)
		c.AuthKeys[p.Name], c.Placements[p.Name], c.Settings[p.Name] = p.auth, p.placements, p.settings
		c.APIKeys[p.Name], c.APINeeds[p.Name], c.APIWords[p.Name] = p.apiKeys, p.apiNeeds, p.apiWords
		c.Setups[p.Name] = p.setup
		c.PolicyKeys[p.Name], c.Overlook[p.Name], c.ConfirmByDefault[p.Name] = p.policyKeys, p.overlook, p.ConfirmByDefault
	}
	return c
}
