package app

import (
	"time"

	"kycbridge"
	"kycbridge/internal/poll"
	"kycbridge/internal/rest"
	mapverident "kycbridge/normalize/verident"
	verident "kycbridge/normalize/verident/client"
)

// veridentProvider: webhooks carry the whole check; one that never comes is made up for by asking.
func veridentProvider() entry {
	return entry{
		Provider: kycbridge.Provider{Name: "verident", ReferenceName: "check_id", Verify: mapverident.Verify, Forms: mapverident.Forms(), Identify: mapverident.Identify, Map: mapverident.Map},
		auth:     []string{"hmac", "bearer"},
		apiKeys:  []string{"base_url", "key"},
		apiNeeds: []string{"base_url", "key"},
		connect: func(a Account, o rest.Options) kycbridge.API {
			return verident.New(verident.Config{BaseURL: a.API["base_url"], Key: a.API["key"]}, o)
		},
		polling: poll.Policy{Intervals: map[string]time.Duration{"in_review": time.Hour}},
	}
}
