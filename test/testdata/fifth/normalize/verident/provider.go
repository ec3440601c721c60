package verident

import (
	"time"

	"kycbridge"
	"kycbridge/internal/rest"
	"kycbridge/normalize"
	"kycbridge/normalize/verident/client"
)

// Entry is Verident: webhooks carry the whole check; one that never comes is made up for by asking.
func Entry() normalize.Entry {
	return normalize.Entry{
		Provider: kycbridge.Provider{
			Name: "verident", ReferenceName: "check_id",
			Verify: Verify, Forms: Forms(), Identify: Identify, Decode: decodeSettings, Map: Map,
		},
		Auth:     []string{"hmac", "bearer"},
		Settings: settings(),
		APIKeys:  []string{"base_url", "key"},
		APINeeds: []string{"base_url", "key"},
		Connect:  connect,
		Polling:  normalize.Polling{Intervals: map[string]time.Duration{"in_review": time.Hour}},
	}
}

// connect makes the client of an account out of its api section.
func connect(a normalize.API, _ kycbridge.Settings, o rest.Options) kycbridge.API {
	return client.New(client.Config{BaseURL: a["base_url"], Key: a["key"]}, o)
}
