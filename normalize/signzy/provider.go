package signzy

import (
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
	"kycbridge/internal/simulate"
	"kycbridge/normalize"
	"kycbridge/normalize/signzy/client"
	"kycbridge/normalize/signzy/simulated"
)

// Entry describes Signzy: callbacks carry the whole result; a result whose callback is missing is fetched
// after the link has ended.
func Entry() normalize.Entry {
	return normalize.Entry{
		Provider: kycbridge.Provider{
			Name: "signzy", ReferenceName: "journey_id", AnyMediaType: true,
			Verify: Verify, Present: Present, Forms: Forms(), Identify: Identify, Map: Map,
			Decode: decodeSettings, Foreign: foreign, CallbackOnly: []string{backOffice},
		},
		Auth:       []string{"basic", "bearer", "headers", "url_tokens", "keys", "client_certs"},
		Placements: []string{"authorization", "bearer", "header", "body", "url_token"},
		Settings:   settings(),
		APIKeys: []string{
			"base_url", "token", "flow_id", "prefix", "result_method", "client_unique_id", "file_hosts", "phone_as",
		},
		APINeeds: []string{"base_url", "token"},
		NamesURL: true,
		Setup: normalize.Setup{
			Credential: "keys",
			HandOver: "Nothing has to be set up there: address and key go along with each start. " +
				"If your backend starts journeys, it sends them as callbackUrl and authKeyForCallback.",
		},
		Connect:   connect,
		Simulated: func() simulate.Provider { return simulated.New() },
	}
}

// connect makes the client of an account from its api section.
func connect(a normalize.API, _ kycbridge.Settings, o rest.Options) kycbridge.API {
	return client.New(client.Config{
		BaseURL: a["base_url"], Token: a["token"], FlowID: a["flow_id"], Prefix: a["prefix"],
		ResultMethod: strings.ToUpper(a["result_method"]), ClientUniqueID: a["client_unique_id"],
		FileHosts: a.List("file_hosts"), PhoneAs: strings.ToLower(a["phone_as"]),
	}, o)
}
