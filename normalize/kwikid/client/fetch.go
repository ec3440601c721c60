package client

import (
	"context"
	"net/http"

	"kycbridge"
	"kycbridge/internal/rest"
)

// Fetch asks for a session. There is one answer, and it is the same whether a callback triggered it:
// what a webhook says is not relied on.
func (c *Client) Fetch(ctx context.Context, q kycbridge.Query) ([]kycbridge.Fetched, error) {
	details, err := c.GetDetails(ctx, q.Reference)
	if err != nil {
		return nil, err
	}
	return []kycbridge.Fetched{{Part: callDetails, ContentType: details.ContentType, Body: details.Body}}, nil
}

// Media opens a file of a session by its address, which must lie on a host of the account: the
// address came in a body, and could otherwise send us anywhere. No credentials go with it.
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
