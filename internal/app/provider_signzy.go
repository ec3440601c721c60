package app

import (
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
	mapsignzy "kycbridge/normalize/signzy"
	signzy "kycbridge/normalize/signzy/client"
)

// signzyProvider: callbacks carry the whole result; what never comes is fetched after the link has ended.
func signzyProvider() entry {
	return entry{
		Provider: kycbridge.Provider{
			Name: "signzy", ReferenceName: "journey_id", AnyMediaType: true,
			Verify: mapsignzy.Verify, Present: mapsignzy.Present, Forms: mapsignzy.Forms(), Identify: mapsignzy.Identify, Map: mapsignzy.Map,
		},
		auth:       []string{"basic", "bearer", "headers", "url_tokens", "keys"},
		placements: []string{"authorization", "bearer", "header", "body", "url_token"},
		settings:   []string{"policy", "flow_statuses"},
		policyKeys: mapsignzy.PolicyKeys(),
		overlook:   mapsignzy.Overlookable(),
		apiKeys:    []string{"base_url", "token", "flow_id", "prefix", "result_method", "client_unique_id", "file_hosts", "phone_as"},
		apiNeeds:   []string{"base_url", "token"},
		namesURL:   true,
		setup:      Setup{Credential: "keys", HandOver: "Nothing has to be set up there: address and key go along with each start. If your backend starts journeys, it sends them as callbackUrl and authKeyForCallback."},
		connect: func(account Account, o rest.Options) kycbridge.API {
			a := account.API
			return signzy.New(signzy.Config{
				BaseURL: a["base_url"], Token: a["token"], FlowID: a["flow_id"], Prefix: a["prefix"],
				ResultMethod: strings.ToUpper(a["result_method"]), ClientUniqueID: a["client_unique_id"], FileHosts: a.list("file_hosts"),
				PhoneAs: strings.ToLower(a["phone_as"]),
			}, o)
		},
	}
}
