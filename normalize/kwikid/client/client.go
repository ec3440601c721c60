// Package client calls KwikID's API: video KYC sessions and their links, and the digital KYC sessions that are
// created from forms (https://doc.app.getkwikid.com/docs/VideoFlow/API_Integrations,
// https://doc.app.getkwikid.com/docs/FormFlow/Integrations).
//
// Whether a call succeeded is decided by the HTTP status first, the code in the body second and the success
// flag last: false is a failure; true has no meaning, because failed calls carry it too.
package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
)

// The vendor's names of the calls, as used in errors and metrics.
const (
	callToken   = "generate_token"
	callLink    = "sendLink"
	callDetails = "get_details"
	callPush    = "push_user_data"
	callMedia   = "media"
)

// The paths below the prefixes. sendLink ends with a slash: a redirect to it would lose the POST.
const (
	pathToken   = "/v1/agent/generate_token"
	pathLink    = "/v1/agent/sendLink/"
	pathDetails = "/v1/session/get_details/"
	pathPush    = "/v1/dkyc/push_user_data"
)

const (
	defaultAgentPrefix = "/agentapi"
	defaultAppPrefix   = "/appapi"
)

// Config is one account at KwikID.
type Config struct {
	// BaseURL is https://<domain>.test.getkwikid.com or https://<domain>.app.getkwikid.com.
	BaseURL            string
	Username, Password string
	AgentPrefix        string // "" is /agentapi, "/" is none
	AppPrefix          string // "" is /appapi, "/" is none
	// Country is the country of phone numbers without a country code, ISO 3166-1 alpha-2; "" is IN.
	Country string
	// FileHosts are the hosts from which images and videos may be fetched, besides the host of BaseURL. They get
	// no credentials.
	FileHosts []string
}

// Client calls KwikID for one account. It may be used by several goroutines.
type Client struct {
	config Config
	rest   *rest.Client
	token  *rest.Token
}

// New returns the API of an account at KwikID. It has no steps: the applicant takes them on the vendor's page.
func New(c Config, o rest.Options) kycbridge.API {
	client := NewClient(c, o)
	return kycbridge.API{Fetch: client.Fetch, Start: client.Start, Files: true, Media: client.Media}
}

// NewClient returns a client for the account.
func NewClient(c Config, o rest.Options) *Client {
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	c.AgentPrefix = prefix(c.AgentPrefix, defaultAgentPrefix)
	c.AppPrefix = prefix(c.AppPrefix, defaultAppPrefix)
	c.FileHosts = slices.Clone(c.FileHosts)
	if base, err := url.Parse(c.BaseURL); err == nil && base.Host != "" {
		c.FileHosts = append(c.FileHosts, base.Host)
	}
	client := &Client{config: c, rest: rest.New(o)}
	client.token = rest.NewToken(client.renew)
	return client
}

// prefix returns a prefix as it precedes a path. "/" is none: installations at a customer have the paths without
// one (/v1/agent/generate_token), and two slashes at the beginning would be another path.
// Source: app/conf.ini in https://github.com/Gaidax/FinInfo
func prefix(given, fallback string) string {
	if given == "" {
		return fallback
	}
	if given = strings.Trim(given, "/"); given == "" {
		return ""
	}
	return "/" + given
}

// authorized sends a call with the token. The header is auth, not Authorization.
func (c *Client) authorized(ctx context.Context, call rest.Call) (rest.Answer, error) {
	return c.token.With(ctx, func(token string) (rest.Answer, error) {
		call.Header = headers()
		call.Header.Set("Auth", token)
		return c.rest.Do(ctx, call)
	})
}

func headers() http.Header {
	return http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}}
}

// posted returns a POST of a request as JSON, which is not repeated. It fails only if raw JSON of a caller is
// invalid.
func posted(name, address string, request any) (rest.Call, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return rest.Call{}, &kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Call: name, Err: errNotJSON}
	}
	return rest.Call{Name: name, Method: http.MethodPost, URL: address, Body: body, Explain: explain}, nil
}
