// Package client calls Verident's API: it reads checks (API, "Get a check"). Bodies are passed on
// as they came.
package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
)

// callCheck is the vendor's name of the call, as it stands in errors and metrics.
const callCheck = "get_check"

// Config is one account at Verident.
type Config struct {
	BaseURL string // https://api.verident.example
	Key     string // of the API, a bearer token
}

// client calls Verident for one account. It may be used by several goroutines.
type client struct {
	config Config
	rest   *rest.Client
}

// New returns what the account can ask of Verident. Checks are started in the vendor's portal only.
func New(c Config, o rest.Options) kycbridge.API {
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	client := &client{config: c, rest: rest.New(o)}
	return kycbridge.API{Fetch: client.fetch}
}

// fetch asks for a check. There is one answer, whether a webhook led to the question or a timer.
func (c *client) fetch(ctx context.Context, q kycbridge.Query) ([]kycbridge.Fetched, error) {
	answer, err := c.rest.Do(ctx, rest.Call{
		Name: callCheck, Method: http.MethodGet, URL: c.config.BaseURL + "/v2/checks/" + url.PathEscape(q.Reference),
		Header: http.Header{"Authorization": {"Bearer " + c.config.Key}, "Accept": {"application/json"}},
		Repeat: true, Explain: explain,
	})
	if err != nil {
		return nil, err
	}
	return []kycbridge.Fetched{{Part: callCheck, ContentType: answer.ContentType, Body: answer.Body}}, nil
}

// explain reads Verident's error body (API, "Errors"). The HTTP status says whose fault it is.
func explain(e *kycbridge.ProviderError, body []byte) {
	var failure struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &failure) == nil {
		e.Code, e.Message = failure.Code, failure.Message
	}
}
