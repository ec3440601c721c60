package app

import (
	"kycbridge"
	"kycbridge/handlers"
	"kycbridge/normalize"
)

// providers is the one table of providers: adding one means new files and one line here.
func providers() []entry {
	return []entry{
		{kycbridge.Provider{Name: "signzy", Verify: handlers.VerifySignzy, Identify: normalize.IdentifySignzy, Map: normalize.Signzy, AnyMediaType: true},
			[]string{"base_url", "token", "flow_id", "prefix", "result_method", "file_hosts"}, normalize.SignzyPolicyKeys()},
		{kycbridge.Provider{Name: "ondato", Verify: handlers.VerifyOndato, Identify: normalize.IdentifyOndato, Map: normalize.Ondato},
			[]string{"token_url", "idv_url", "kyc_url", "client_id", "client_secret", "setup_id"}, nil},
		{kycbridge.Provider{Name: "idwise", Verify: handlers.VerifyIDWise, Identify: normalize.IdentifyIDWise, Map: normalize.IDWise, ConfirmByDefault: true},
			[]string{"base_url", "key", "secret", "flow_id", "prefix", "result_path"}, nil},
		{kycbridge.Provider{Name: "kwikid", Verify: handlers.VerifyKwikID, Identify: normalize.IdentifyKwikID, Map: normalize.KwikID, ConfirmByDefault: true},
			[]string{"base_url", "username", "password", "agent_prefix", "app_prefix"}, nil},
	}
}

// entry is a provider with what its accounts may configure.
type entry struct {
	kycbridge.Provider
	apiKeys    []string // keys of an account's api section
	policyKeys []string // keys of an account's policy section
}
