package idwise

import (
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/rest"
	"kycbridge/normalize"
	"kycbridge/normalize/idwise/client"
	"kycbridge/normalize/idwise/simulated"
)

// Entry describes IDWise: webhooks announce results without containing them, and IDWise sends nothing when an
// applicant abandons the journey.
func Entry() normalize.Entry {
	return normalize.Entry{
		Provider: kycbridge.Provider{
			Name: "idwise", ReferenceName: "journey_id",
			Verify: Verify, Forms: Forms(), Identify: Identify, Map: Map,
			Decode: decodeSettings, ConfirmByDefault: true, Silent: event.StatusAbandoned,
		},
		Auth:     []string{"basic", "bearer", "headers", "url_tokens", "client_certs"},
		Settings: settings(),
		Setup: normalize.Setup{
			Credential: "basic",
			HandOver:   "In its portal write both into the webhook of the flow.",
		},
		APIKeys: []string{
			"base_url", "key", "secret", "flow_id", "prefix", "result_path", "image_path", "skip_field", "summary_interval",
		},
		APINeeds:  []string{"base_url", "key", "secret"},
		Connect:   connect,
		Simulated: simulated.New,
		Polling: normalize.Polling{
			Interval: 2 * time.Minute, Intervals: map[string]time.Duration{"in_review": 15 * time.Minute},
		},
	}
}

// connect makes the client of an account from its api section.
func connect(a normalize.API, _ kycbridge.Settings, o rest.Options) kycbridge.API {
	return client.New(client.Config{
		BaseURL: a["base_url"], Key: a["key"], Secret: a["secret"], FlowID: a["flow_id"], Prefix: a["prefix"],
		ResultPath: a["result_path"], ImagePath: a["image_path"], SkipField: a["skip_field"],
		SummaryInterval: a.Duration("summary_interval"),
	}, o)
}
