package app

import (
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
	mapondato "kycbridge/normalize/ondato"
	ondato "kycbridge/normalize/ondato/client"
)

// ondatoProvider: webhooks carry the whole resource.
func ondatoProvider() entry {
	return entry{
		Provider: kycbridge.Provider{
			Name: "ondato", ReferenceName: "idv_id", CanonicalReference: strings.ToLower,
			Verify: mapondato.Verify, Present: mapondato.Present, Forms: mapondato.Forms(), Identify: mapondato.Identify, Map: mapondato.Map,
		},
		auth:     []string{"basic", "bearer", "headers", "url_tokens", "hmac"},
		settings: []string{"manual_review", "application_ids"},
		setup:    Setup{Credential: "basic", HandOver: "Ask its support to set the callback up, for all IdentityVerification.* and KycIdentification.* events."},
		apiKeys:  []string{"token_url", "idv_url", "kyc_url", "page_url", "client_id", "client_secret", "setup_id", "scope"},
		apiNeeds: []string{"token_url", "idv_url", "kyc_url", "client_id", "client_secret"},
		connect: func(account Account, o rest.Options) kycbridge.API {
			a := account.API
			return ondato.New(ondato.Config{
				TokenURL: a["token_url"], IDVURL: a["idv_url"], KYCURL: a["kyc_url"], PageURL: a["page_url"],
				ClientID: a["client_id"], ClientSecret: a["client_secret"], SetupID: a["setup_id"], Scope: a["scope"],
			}, o)
		},
	}
}
