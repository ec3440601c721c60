package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
)

// errorBytes is the read limit for an answer that is text instead of an image, in bytes.
const errorBytes = 64 << 10

// Image opens an image by the path in a result. The vendor documents the call but not its URL path
// (https://docs.idwise.com/docs/result-retrieval-api), so Config.ImagePath must set it.
func (c *Client) Image(ctx context.Context, journeyID, path string) (kycbridge.MediaAnswer, error) {
	switch {
	case c.config.ImagePath == "":
		return kycbridge.MediaAnswer{}, refused(callImage, "", "is not possible: no image path is configured")
	case !segment(journeyID), !segment(path):
		return kycbridge.MediaAnswer{}, refused(callImage, "/ref", "must be a journey's image path")
	}
	call := c.call(callImage, http.MethodGet, c.journey(c.config.ImagePath, "id", journeyID, "path", path), nil)
	call.Header.Set("Accept", "*/*")
	res, err := c.rest.Open(ctx, call)
	if err != nil {
		return kycbridge.MediaAnswer{}, err
	}
	if err := noImage(res); err != nil {
		res.Body.Close()
		return kycbridge.MediaAnswer{}, err
	}
	return kycbridge.MediaAnswer{ContentType: res.Header.Get("Content-Type"), Length: res.ContentLength, Body: res.Body},
		nil
}

// noImage returns an error for a 2xx answer that contains text instead of an image.
func noImage(res *http.Response) error {
	kind := res.Header.Get("Content-Type")
	if !strings.HasPrefix(kind, "application/json") && !strings.HasPrefix(kind, "text/") {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, errorBytes))
	if err == nil {
		err = honest(callImage, kycbridge.ProviderMalformed, rest.Answer{Status: res.StatusCode, Body: body})
	}
	var e *kycbridge.ProviderError
	if errors.As(err, &e) {
		return err
	}
	return &kycbridge.ProviderError{
		Kind: kycbridge.ProviderMalformed, Call: callImage, Status: res.StatusCode, Sent: true,
		Err: errors.New("the answer is no image"),
	}
}
