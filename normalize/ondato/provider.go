package ondato

import (
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
	"kycbridge/normalize"
	"kycbridge/normalize/ondato/client"
	"kycbridge/normalize/ondato/simulated"
)

// Entry is Ondato: webhooks contain the whole resource.
func Entry() normalize.Entry {
	return normalize.Entry{
		Provider: kycbridge.Provider{
			Name: "ondato", ReferenceName: "idv_id", CanonicalReference: strings.ToLower,
			Verify: Verify, Present: Present, Forms: Forms(), Identify: Identify, Map: Map,
			Decode: decodeSettings, Foreign: foreign,
		},
		Auth:     []string{"basic", "bearer", "headers", "url_tokens", "hmac", "oauth2", "client_certs"},
		Settings: settings(),
		Setup: normalize.Setup{
			Credential: "basic",
			Others:     []string{"oauth2"},
			HandOver: "Ask its support to set the callback up, " +
				"for all IdentityVerification.* and KycIdentification.* events.",
		},
		APIKeys: []string{
			"token_url", "idv_url", "kyc_url", "page_url", "client_id", "client_secret", "setup_id", "scope",
		},
		APINeeds:  []string{"token_url", "idv_url", "kyc_url", "client_id", "client_secret"},
		Connect:   connect,
		Simulated: simulated.New,
	}
}

// connect creates the client of an account from its api section.
func connect(a normalize.API, _ kycbridge.Settings, o rest.Options) kycbridge.API {
	return client.New(client.Config{
		TokenURL: a["token_url"], IDVURL: a["idv_url"], KYCURL: a["kyc_url"], PageURL: a["page_url"],
		ClientID: a["client_id"], ClientSecret: a["client_secret"], SetupID: a["setup_id"], Scope: a["scope"],
	}, o)
}
