package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"

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

// downloads is a part of the path of files that KwikID serves itself.
const downloads = "/download_content/"

// Media opens a file of a session by its address, which must be on a host of the account: the address comes
// from a body and could otherwise direct the request to any host. It is requested without credentials. If that
// is refused, it is requested with the token, but only at the address that the token is for: installations on a
// customer's own host serve files by their API, which then wants the header auth.
// Source: a public description of such an installation, which names GET /v1/download_content/{bucket}/{path}.
func (c *Client) Media(ctx context.Context, m kycbridge.MediaRequest) (kycbridge.MediaAnswer, error) {
	if err := rest.Allowed(m.Ref, c.config.FileHosts); err != nil {
		return kycbridge.MediaAnswer{}, &kycbridge.ProviderError{Kind: kycbridge.ProviderForbidden, Call: callMedia, Err: err}
	}
	call := rest.Call{Name: callMedia, Method: http.MethodGet, URL: m.Ref}
	res, err := c.rest.Open(ctx, call) //nolint:bodyclose // the caller closes it
	var e *kycbridge.ProviderError
	if errors.As(err, &e) && e.Kind == kycbridge.ProviderCredentials && c.download(m.Ref) {
		res, err = c.openWithToken(ctx, call) //nolint:bodyclose // as above
	}
	if err != nil {
		return kycbridge.MediaAnswer{}, err
	}
	return kycbridge.MediaAnswer{ContentType: res.Header.Get("Content-Type"), Length: res.ContentLength, Body: res.Body},
		nil
}

// download reports whether an address is that of a file at the API's own scheme, host and port. A path with dots
// in it could lead to another call.
func (c *Client) download(address string) bool {
	file, err := url.Parse(address)
	if err != nil {
		return false
	}
	base, err := url.Parse(c.config.BaseURL)
	return err == nil && file.Scheme == base.Scheme && strings.EqualFold(file.Host, base.Host) &&
		strings.Contains(file.Path, downloads) && path.Clean(file.Path) == file.Path
}

func (c *Client) openWithToken(ctx context.Context, call rest.Call) (res *http.Response, err error) {
	_, err = c.token.With(ctx, func(token string) (rest.Answer, error) {
		var err error
		call.Header = http.Header{"Auth": {token}}
		res, err = c.rest.Open(ctx, call) //nolint:bodyclose // the caller closes it
		return rest.Answer{}, err
	})
	return res, err
}
