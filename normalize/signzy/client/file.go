package client

import (
	"context"
	"net/http"

	"kycbridge"
	"kycbridge/internal/rest"
)

// OpenFile opens an image by its URL, which is a secret: anyone who has it can read the image. Only the
// account's file hosts are allowed, the request does not carry the account's token, and redirects are not
// followed. A deleted file is not_found: reading the journey again may return a new URL.
// Source: https://docs.signzy.com/contract360/persist-file-system
func (c *Client) OpenFile(ctx context.Context, address string) (kycbridge.MediaAnswer, error) {
	if err := rest.Allowed(address, c.config.FileHosts); err != nil {
		return kycbridge.MediaAnswer{}, invalid(CallFile, "/ref", "is not an address that images are fetched from", err)
	}
	call := rest.Call{Name: CallFile, Method: http.MethodGet, URL: address}
	res, err := c.rest.Open(ctx, call) //nolint:bodyclose // the caller closes it
	if err != nil {
		return kycbridge.MediaAnswer{}, err
	}
	return kycbridge.MediaAnswer{ContentType: res.Header.Get("Content-Type"), Length: res.ContentLength, Body: res.Body},
		nil
}
