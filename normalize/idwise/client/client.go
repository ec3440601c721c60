// Package client calls the backend API of IDWise: it starts journeys, submits their steps, and reads their
// progress and results (https://docs.idwise.com/docs/journey-builder-api,
// https://docs.idwise.com/docs/result-retrieval-api). Bodies are passed on unchanged; the client reads only
// the members of an answer that it needs itself.
package client

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/internal/rest"
)

const (
	defaultPrefix          = "/journey/v2"
	defaultResultPath      = "/{id}"
	defaultSummaryInterval = 2 * time.Second
)

// Config sets the address of IDWise and the account. BaseURL, Key and Secret must be set. Values that the
// vendor does not publish for certain can be configured: the prefix, the paths of result and image, and the
// name of the skip flag.
type Config struct {
	BaseURL    string // https://api.idwise.com, or that of another region
	Key        string // server key: the user name of Basic (https://docs.idwise.com/docs/api-auth)
	Secret     string
	FlowID     string // for starts that name no flow
	Prefix     string // of the journey calls; "" is /journey/v2
	ResultPath string // below Prefix, with {id}; "" is /{id}
	ImagePath  string // below Prefix, with {id} and {path}; "": images are not available
	SkipField  string // name of the flag that skips a step; "": no step can be skipped
	// SummaryInterval is the minimum time between two summaries of one journey; 0 is the 2 s that the vendor
	// requires (https://docs.idwise.com/reference/get-journey-summary).
	SummaryInterval time.Duration
}

// Client calls IDWise for one account. It may be used by several goroutines. Every error of a method wraps a
// *kycbridge.ProviderError, or is the context's error.
type Client struct {
	config Config
	rest   *rest.Client
	pace   *pace
	basic  string
}

// NewClient makes a client.
func NewClient(c Config, o rest.Options) *Client {
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	c.Prefix = rooted(strings.TrimRight(c.Prefix, "/"))
	if c.ResultPath == "" {
		c.ResultPath = defaultResultPath
	}
	if c.SummaryInterval <= 0 {
		c.SummaryInterval = defaultSummaryInterval
	}
	return &Client{
		config: c,
		rest:   rest.New(o),
		pace:   newPace(c.SummaryInterval),
		basic:  "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Key+":"+c.Secret)),
	}
}

// rooted adds a leading slash to a path that is not empty.
func rooted(path string) string {
	if path == "" || strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

// journey returns the URL of a journey call: a path below the prefix, with its {name}s replaced.
func (c *Client) journey(path string, values ...string) string {
	return c.config.BaseURL + c.config.Prefix + fill(rooted(path), values...)
}

// fill inserts values, given as alternating names and values, into a path template. Values are escaped for the
// path or for the query.
func fill(path string, values ...string) string {
	path, query, asked := strings.Cut(path, "?")
	for i := 0; i+1 < len(values); i += 2 {
		path = strings.ReplaceAll(path, "{"+values[i]+"}", url.PathEscape(values[i+1]))
		query = strings.ReplaceAll(query, "{"+values[i]+"}", url.QueryEscape(values[i+1]))
	}
	if asked {
		path += "?" + query
	}
	return path
}

// segment reports whether s may be one segment of a path: "." or ".." would lead to another call.
func segment(s string) bool { return s != "" && s != "." && s != ".." }

// call prepares a call with the account's credentials; the content type of a body is JSON unless the caller
// changes it.
func (c *Client) call(name, method, address string, body []byte) rest.Call {
	header := http.Header{"Authorization": {c.basic}, "Accept": {"application/json"}}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	return rest.Call{Name: name, Method: method, URL: address, Header: header, Body: body, Explain: explain}
}

// refused returns the error for a request that is not sent because of the value at path.
func refused(call, path, message string) error {
	return &kycbridge.ProviderError{
		Kind: kycbridge.ProviderInvalid, Call: call,
		Fields: []kycbridge.FieldError{{Path: path, Message: message}},
	}
}
