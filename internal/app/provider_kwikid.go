package app

import (
	"time"

	"kycbridge"
	"kycbridge/internal/poll"
	"kycbridge/internal/rest"
	mapkwikid "kycbridge/normalize/kwikid"
	kwikid "kycbridge/normalize/kwikid/client"
)

// kwikidProvider: four webhooks about reviewers, and everything else only for those who ask.
func kwikidProvider() entry {
	return entry{
		Provider: kycbridge.Provider{
			Name: "kwikid", ReferenceName: "session_id", CanonicalReference: mapkwikid.LowerUUID,
			Verify: mapkwikid.Verify, Forms: mapkwikid.Forms(), Identify: mapkwikid.Identify, Map: mapkwikid.Map,
			Polled: true, ConfirmByDefault: true,
		},
		auth:     []string{"basic", "bearer", "headers", "url_tokens"},
		settings: []string{"checker", "country"},
		setup:    Setup{Credential: "headers", HandOver: "In its portal write both into the webhook of the journey: Maker and Checker Approved and Rejected."},
		apiKeys:  []string{"base_url", "username", "password", "agent_prefix", "app_prefix", "file_hosts"},
		apiNeeds: []string{"base_url", "username", "password"},
		connect: func(account Account, o rest.Options) kycbridge.API {
			a := account.API
			return kwikid.New(kwikid.Config{
				BaseURL: a["base_url"], Username: a["username"], Password: a["password"],
				AgentPrefix: a["agent_prefix"], AppPrefix: a["app_prefix"], FileHosts: a.list("file_hosts"),
				Country: account.Country,
			}, o)
		},
		polling: poll.Policy{Interval: time.Minute, First: 30 * time.Second, Intervals: map[string]time.Duration{
			"vkyc_requested":       5 * time.Minute,
			"agent_alloted":        10 * time.Second,
			"kyc_request_accepted": 10 * time.Second,
			"in_review":            5 * time.Minute,
		}},
	}
}
