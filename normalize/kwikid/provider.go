package kwikid

import (
	"time"

	"kycbridge"
	"kycbridge/internal/rest"
	"kycbridge/normalize"
	"kycbridge/normalize/kwikid/client"
	"kycbridge/normalize/kwikid/simulated"
)

// Entry is KwikID: it sends only four webhooks, about verdicts of reviewers; everything else has to be fetched.
func Entry() normalize.Entry {
	return normalize.Entry{
		Provider: kycbridge.Provider{
			Name: "kwikid", ReferenceName: "session_id", CanonicalReference: LowerUUID,
			Verify: Verify, Forms: Forms(), Identify: Identify, Map: Map,
			Decode: decodeSettings, Polled: true, ConfirmByDefault: true,
		},
		Auth:     []string{"basic", "bearer", "headers", "url_tokens", "client_certs"},
		Settings: settings(),
		Setup: normalize.Setup{
			Credential: "headers",
			HandOver: "In its portal write both into the webhook of the journey: " +
				"Maker and Checker Approved and Rejected.",
		},
		APIKeys:   []string{"base_url", "username", "password", "agent_prefix", "app_prefix", "file_hosts"},
		APINeeds:  []string{"base_url", "username", "password"},
		Connect:   connect,
		Simulated: simulated.New,
		Polling: normalize.Polling{Interval: time.Minute, First: 30 * time.Second, Intervals: map[string]time.Duration{
			"vkyc_requested":       5 * time.Minute,
			"agent_alloted":        10 * time.Second,
			"kyc_request_accepted": 10 * time.Second,
			"in_review":            5 * time.Minute,
		}},
	}
}

// connect creates the client of an account from its api section.
func connect(a normalize.API, s kycbridge.Settings, o rest.Options) kycbridge.API {
	return client.New(client.Config{
		BaseURL: a["base_url"], Username: a["username"], Password: a["password"],
		AgentPrefix: a["agent_prefix"], AppPrefix: a["app_prefix"], FileHosts: a.List("file_hosts"),
		Country: own(s).Country,
	}, o)
}
