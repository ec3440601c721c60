package app

import (
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/poll"
	"kycbridge/internal/rest"
	mapidwise "kycbridge/normalize/idwise"
	idwise "kycbridge/normalize/idwise/client"
)

// idwiseProvider: webhooks announce results and carry none, and nothing is sent when somebody leaves.
func idwiseProvider() entry {
	return entry{
		Provider: kycbridge.Provider{
			Name: "idwise", ReferenceName: "journey_id",
			Verify: mapidwise.Verify, Forms: mapidwise.Forms(), Identify: mapidwise.Identify, Map: mapidwise.Map,
			ConfirmByDefault: true, Silent: event.StatusAbandoned,
		},
		auth:     []string{"basic", "bearer", "headers", "url_tokens"},
		settings: []string{"renewal_overdue"},
		setup:    Setup{Credential: "basic", HandOver: "In its portal write both into the webhook of the flow."},
		apiKeys:  []string{"base_url", "key", "secret", "flow_id", "prefix", "result_path", "image_path", "skip_field", "summary_interval"},
		apiNeeds: []string{"base_url", "key", "secret"},
		connect: func(account Account, o rest.Options) kycbridge.API {
			a := account.API
			return idwise.New(idwise.Config{
				BaseURL: a["base_url"], Key: a["key"], Secret: a["secret"], FlowID: a["flow_id"], Prefix: a["prefix"], ResultPath: a["result_path"],
				ImagePath: a["image_path"], SkipField: a["skip_field"], SummaryInterval: a.duration("summary_interval"),
			}, o)
		},
		polling: poll.Policy{Interval: 2 * time.Minute, Intervals: map[string]time.Duration{"in_review": 15 * time.Minute}},
	}
}
