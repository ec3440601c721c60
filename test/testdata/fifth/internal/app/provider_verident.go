package app

import (
	"time"

	"kycbridge"
	"kycbridge/handlers"
	"kycbridge/internal/poll"
	"kycbridge/internal/provider/rest"
	"kycbridge/internal/provider/verident"
	"kycbridge/normalize"
)

// veridentProvider: webhooks carry the whole check; one that never comes is made up for by asking.
func veridentProvider() entry {
	return entry{
		Provider: kycbridge.Provider{Name: "verident", ReferenceName: "check_id", Verify: handlers.VerifyVerident, Identify: normalize.IdentifyVerident, Map: normalize.Verident},
		auth:     []string{"hmac", "bearer"},
		apiKeys:  []string{"base_url", "key"},
		apiNeeds: []string{"base_url", "key"},
		connect: func(a API, o rest.Options) kycbridge.API {
			return verident.New(verident.Config{BaseURL: a["base_url"], Key: a["key"]}, o)
		},
		polling: poll.Policy{Intervals: map[string]time.Duration{"in_review": time.Hour}},
	}
}
