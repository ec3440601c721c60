package app

import (
	"kycbridge"
	"kycbridge/handlers"
	"kycbridge/normalize"
)

// providers is the one table of providers: adding one means new files and one entry here.
func providers() []entry {
	return []entry{
		{
			Provider:   kycbridge.Provider{Name: "signzy", Verify: handlers.VerifySignzy, Identify: normalize.IdentifySignzy, Map: normalize.Signzy, AnyMediaType: true},
			auth:       []string{"basic", "bearer", "headers", "url_tokens", "keys"},
			placements: []string{"authorization", "bearer", "header", "body", "url_token"},
			settings:   []string{"policy", "flow_statuses"},
			policyKeys: normalize.SignzyPolicyKeys(),
			apiKeys:    []string{"base_url", "token", "flow_id", "prefix", "result_method", "file_hosts"},
		},
		{
			Provider: kycbridge.Provider{Name: "ondato", Verify: handlers.VerifyOndato, Identify: normalize.IdentifyOndato, Map: normalize.Ondato},
			auth:     []string{"basic", "bearer", "headers", "url_tokens", "hmac"},
			settings: []string{"manual_review"},
			apiKeys:  []string{"token_url", "idv_url", "kyc_url", "client_id", "client_secret", "setup_id"},
		},
		{
			Provider: kycbridge.Provider{Name: "idwise", Verify: handlers.VerifyIDWise, Identify: normalize.IdentifyIDWise, Map: normalize.IDWise, ConfirmByDefault: true},
			auth:     []string{"basic", "bearer", "headers", "url_tokens"},
			settings: []string{"renewal_overdue"},
			apiKeys:  []string{"base_url", "key", "secret", "flow_id", "prefix", "result_path"},
		},
		{
			Provider: kycbridge.Provider{Name: "kwikid", Verify: handlers.VerifyKwikID, Identify: normalize.IdentifyKwikID, Map: normalize.KwikID, ConfirmByDefault: true},
			auth:     []string{"basic", "bearer", "headers", "url_tokens"},
			settings: []string{"checker"},
			apiKeys:  []string{"base_url", "username", "password", "agent_prefix", "app_prefix"},
		},
	}
}

// entry is a provider with what its accounts may configure. TestCatalog holds it against what the
// functions do.
type entry struct {
	kycbridge.Provider
	auth       []string // keys of an account's auth section that Verify reads
	placements []string // where a key of auth.keys may stand; only with keys
	settings   []string // keys of an account that Map reads, besides confirm
	policyKeys []string // keys of an account's policy section
	apiKeys    []string // keys of an account's api section
}

// ProviderCatalog tells the configuration what the table of providers knows.
func ProviderCatalog() Catalog {
	c := Catalog{
		AuthKeys: map[string][]string{}, Placements: map[string][]string{}, Settings: map[string][]string{},
		APIKeys: map[string][]string{}, PolicyKeys: map[string][]string{}, ConfirmByDefault: map[string]bool{},
	}
	for _, p := range providers() {
		c.Names = append(c.Names, p.Name)
		c.AuthKeys[p.Name], c.Placements[p.Name], c.Settings[p.Name] = p.auth, p.placements, p.settings
		c.APIKeys[p.Name], c.PolicyKeys[p.Name], c.ConfirmByDefault[p.Name] = p.apiKeys, p.policyKeys, p.ConfirmByDefault
	}
	return c
}
