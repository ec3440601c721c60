package client

import (
	"context"
	"net/http"

	"kycbridge"
	"kycbridge/internal/rest"
)

// Fetch fetches a session. It returns one answer, and makes the same call whether or not a callback triggered
// it: it does not rely on the content of a webhook.
func (c *Client) Fetch(ctx context.Context, q kycbridge.Query) ([]kycbridge.Fetched, error) {
	details, err := c.GetDetails(ctx, q.Reference)
	if err != nil {
		return nil, err
	}
	return []kycbridge.Fetched{{Part: callDetails, ContentType: details.ContentType, Body: details.Body}}, nil
}

// Media opens a file of a session by its address, which must be on a host of the account: the address comes
// from a body and could otherwise direct the request to any host. No credentials are sent.
func (c *Client) Media(ctx context.Context, m kycbridge.MediaRequest) (kycbridge.MediaAnswer, error) {
	if err := rest.Allowed(m.Ref, c.config.FileHosts); err != nil {
		return kycbridge.MediaAnswer{}, &kycbridge.ProviderError{Kind: kycbridge.ProviderForbidden, Call: callMedia, Err: err}
	}
	call := rest.Call{Name: callMedia, Method: http.MethodGet, URL: m.Ref}
	res, err := c.rest.Open(ctx, call) //nolint:bodyclose // the caller closes it
	if err != nil {
		return kycbridge.MediaAnswer{}, err
	}
	return kycbridge.MediaAnswer{ContentType: res.Header.Get("Content-Type"), Length: res.ContentLength, Body: res.Body},
		nil
}
