// Package client calls Signzy's One Touch KYC: it makes journeys, reads what became of them and
// opens their images.
//
// Sources: https://docs.signzy.com/us-apis/create-journey-link ,
// https://docs.signzy.com/us-apis/get-journey-results ,
// https://docs.signzy.com/contract360/persist-file-system . Where they are silent the client takes
// what was observed or asks nothing of the answer.
package client

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"

	"kycbridge"
	"kycbridge/internal/rest"
)

// The provider's names of its calls.
const (
	CallCreate = "create-journey-url"
	CallGet    = "get-journey"
	CallFile   = "file"
)

// PartJourney names the only answer there is about a verification.
const PartJourney = "journey"

// defaultPrefix is the version that is documented.
const defaultPrefix = "/api/v3/otk-service"

// Config is one account at Signzy.
type Config struct {
	BaseURL string // https://api-preproduction.signzy.app, or another region or environment
	Token   string // goes into Authorization as it is, without a scheme
	FlowID  string // of starts that name none
	Prefix  string // of the paths; "" is /api/v3/otk-service
	// ResultMethod is how results are asked for, GET or POST; "" is GET. The documentation shows
	// both, so the other one is tried where this one is not known.
	ResultMethod   string
	ClientUniqueID string   // header x-client-unique-id, which some endpoints want; "" sends none
	FileHosts      []string // where images may be fetched from; nil is Signzy's two file services
	PhoneAs        string   // how phone numbers are sent: PhoneAsText, or "" as the documented number
}

// PhoneAsText sends phone numbers as text, with the + that they came with.
const PhoneAsText = "text"

// DefaultFileHosts are the file services that were documented or observed.
func DefaultFileHosts() []string { return []string{"persist.signzy.tech", "api.persist-global.com"} }

// Client calls Signzy for one account. It may be used by several goroutines.
type Client struct {
	config Config
	rest   *rest.Client
	method atomic.Pointer[string] // of results, once an answer has shown which it is
}

// New makes what an account can ask of Signzy. Steps are taken on Signzy's own page only.
func New(c Config, o rest.Options) kycbridge.API {
	client := NewClient(c, o)
	return kycbridge.API{Fetch: client.fetch, Start: client.start, Media: client.media}
}

// NewClient makes the client behind New.
func NewClient(c Config, o rest.Options) *Client {
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	c.Prefix = "/" + strings.Trim(c.Prefix, "/")
	if c.ResultMethod = strings.ToUpper(c.ResultMethod); c.ResultMethod != http.MethodPost {
		c.ResultMethod = http.MethodGet
	}
	if c.FileHosts == nil {
		c.FileHosts = DefaultFileHosts()
	}
	return &Client{config: c, rest: rest.New(o)}
}

func (c *Client) fetch(ctx context.Context, q kycbridge.Query) ([]kycbridge.Fetched, error) {
	a, err := c.GetJourney(ctx, q.Reference)
	if err != nil {
		return nil, err
	}
	return []kycbridge.Fetched{{Part: PartJourney, ContentType: a.ContentType, Body: a.Body}}, nil
}

func (c *Client) media(ctx context.Context, m kycbridge.MediaRequest) (kycbridge.MediaAnswer, error) {
	return c.OpenFile(ctx, m.Ref)
}

// url is the address of a path below the prefix.
func (c *Client) url(path string) string { return c.config.BaseURL + c.config.Prefix + "/" + path }

// header is what every API call carries.
func (c *Client) header() http.Header {
	h := http.Header{"Authorization": {c.config.Token}, "Content-Type": {"application/json"},
		"Accept": {"application/json"}}
	if c.config.ClientUniqueID != "" {
		h.Set("X-Client-Unique-Id", c.config.ClientUniqueID)
	}
	return h
}
