// Package client calls the backend API of IDWise: it starts journeys, hands in their steps, and
// reads their progress and results (https://docs.idwise.com/docs/journey-builder-api,
// https://docs.idwise.com/docs/result-retrieval-api). Bodies are passed on as they came; of an answer
// only what the client itself needs is read.
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

// Config says where IDWise is and who asks. BaseURL, Key and Secret must be set. What the vendor does
// not publish for certain can be set: the prefix, the paths of result and image, and the name of the
// skip flag.
type Config struct {
	BaseURL    string // https://api.idwise.com, or the one of another region
	Key        string // server key: the user name of Basic (https://docs.idwise.com/docs/api-auth)
	Secret     string
	FlowID     string // of a start that names none
	Prefix     string // of the journey calls; "" is /journey/v2
	ResultPath string // below Prefix, with {id}; "" is /{id}
	ImagePath  string // below Prefix, with {id} and {path}; "": images cannot be had
	SkipField  string // name of the flag that skips a step; "": no step can be skipped
	// SummaryInterval lies between two summaries of one journey; 0 is the 2 s that the vendor demands
	// (https://docs.idwise.com/reference/get-journey-summary).
	SummaryInterval time.Duration
}

// Client calls IDWise for one account. It may be used by several goroutines. Every error of a method
// wraps a *kycbridge.ProviderError, or is the context's.
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

// rooted puts a slash before a path that has something in it.
func rooted(path string) string {
	if path == "" || strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

// journey is the address of a journey call: a path below the prefix whose {name}s are filled in.
func (c *Client) journey(path string, values ...string) string {
	return c.config.BaseURL + c.config.Prefix + fill(rooted(path), values...)
}

// fill puts values, given as name and value in turn, into a path template, escaped for the place
// where they stand.
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

// segment reports whether s may be one segment of a path: a dot or two would lead to another call.
func segment(s string) bool { return s != "" && s != "." && s != ".." }

// call prepares a call with the account's credentials; a body is JSON unless the caller says otherwise.
func (c *Client) call(name, method, address string, body []byte) rest.Call {
	header := http.Header{"Authorization": {c.basic}, "Accept": {"application/json"}}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	return rest.Call{Name: name, Method: method, URL: address, Header: header, Body: body, Explain: explain}
}

// refused is a request that is not sent, for what stands at path.
func refused(call, path, message string) error {
	return &kycbridge.ProviderError{
		Kind: kycbridge.ProviderInvalid, Call: call,
		Fields: []kycbridge.FieldError{{Path: path, Message: message}},
	}
}
