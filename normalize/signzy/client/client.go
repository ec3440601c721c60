// Package client calls Signzy's One Touch KYC: it creates journeys, reads their results and opens their
// images.
//
// Sources: https://docs.signzy.com/us-apis/create-journey-link ,
// https://docs.signzy.com/us-apis/get-journey-results ,
// https://docs.signzy.com/contract360/persist-file-system . Where they do not specify something, the client
// relies on observed answers or accepts any form.
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

// PartJourney names the only answer that Signzy has about a verification.
const PartJourney = "journey"

// defaultPrefix is the documented API version.
const defaultPrefix = "/api/v3/otk-service"

// Config is one account at Signzy.
type Config struct {
	BaseURL string // https://api-preproduction.signzy.app, or another region or environment
	Token   string // sent in Authorization unchanged, without a scheme
	FlowID  string // for starts that name no flow
	Prefix  string // of the paths; "" is /api/v3/otk-service, "/" is none
	// ResultMethod is the method of the call that reads results, GET or POST; "" is GET. The documentation shows
	// both, so the client tries the other method if this one is refused.
	ResultMethod   string
	ClientUniqueID string   // header x-client-unique-id, which some endpoints require; "" sends none
	FileHosts      []string // hosts that images may be fetched from; nil is Signzy's file services
	PhoneAs        string   // how phone numbers are sent: PhoneAsText, or "" as the documented number
}

// PhoneAsText sends phone numbers as text, with their leading + if they have one.
const PhoneAsText = "text"

// DefaultFileHosts are the file services that were documented or observed. Preproduction has its own.
// Source: https://docs.signzy.com/contract360/persist-file-system
func DefaultFileHosts() []string {
	return []string{"persist.signzy.tech", "preproduction-persist.signzy.tech", "api.persist-global.com"}
}

// Client calls Signzy for one account. It may be used by several goroutines.
type Client struct {
	config Config
	rest   *rest.Client
	method atomic.Pointer[string] // of the result call, once an answer has confirmed it
}

// New returns the calls that an account can make to Signzy. Steps can be submitted only on Signzy's own page.
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
	if c.Prefix = strings.Trim(c.Prefix, "/"); c.Prefix != "" {
		c.Prefix = "/" + c.Prefix
	}
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

// url returns the URL of a path below the prefix.
func (c *Client) url(path string) string { return c.config.BaseURL + c.config.Prefix + "/" + path }

// header returns the headers of every API call.
func (c *Client) header() http.Header {
	h := http.Header{"Authorization": {c.config.Token}, "Content-Type": {"application/json"},
		"Accept": {"application/json"}}
	if c.config.ClientUniqueID != "" {
		h.Set("X-Client-Unique-Id", c.config.ClientUniqueID)
	}
	return h
}
