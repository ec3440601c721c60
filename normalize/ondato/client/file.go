package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
)

// maxFileJSON limits a JSON answer that contains a file, in bytes, because the whole answer is held in memory.
const maxFileJSON = 32 << 20

// GetFile opens a file of a KYC identification. Whether Ondato answers with the bytes or with JSON is
// not documented, so the Content-Type decides.
func (c *Client) GetFile(ctx context.Context, kycID, fileID string) (kycbridge.MediaAnswer, error) {
	at, err := address(callFile, c.config.KYCURL+kycPath, kycID, "/files/")
	if err != nil {
		return kycbridge.MediaAnswer{}, err
	}
	if at, err = address(callFile, at, fileID, ""); err != nil {
		return kycbridge.MediaAnswer{}, err
	}
	call := rest.Call{Name: callFile, Method: http.MethodGet, URL: at, Explain: explain}
	var file kycbridge.MediaAnswer
	_, err = c.token.With(ctx, func(token string) (rest.Answer, error) {
		var err error
		call.Header = withToken(call.Header, token)
		file, err = c.open(ctx, call)
		return rest.Answer{}, err
	})
	return file, err
}

// open sends a call for a file once.
func (c *Client) open(ctx context.Context, call rest.Call) (kycbridge.MediaAnswer, error) {
	res, err := c.rest.Open(ctx, call)
	if err != nil {
		return kycbridge.MediaAnswer{}, err
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		defer res.Body.Close()
		return fileFromJSON(res)
	case strings.HasPrefix(kind, "text/"):
		res.Body.Close()
		return kycbridge.MediaAnswer{}, malformed(callFile, res.StatusCode, errors.New("the answer is text and no file"))
	case kind == "":
		kind = "application/octet-stream"
	}
	return kycbridge.MediaAnswer{ContentType: kind, Length: res.ContentLength, Body: res.Body}, nil
}

// fileFromJSON reads a file that a JSON answer contains as base64.
func fileFromJSON(res *http.Response) (kycbridge.MediaAnswer, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxFileJSON+1))
	if err != nil {
		return kycbridge.MediaAnswer{}, &kycbridge.ProviderError{
			Kind: kycbridge.ProviderUnreachable, Call: callFile, Status: res.StatusCode, Sent: true,
			Err: errors.New("the answer ended early"),
		}
	}
	if len(body) > maxFileJSON {
		return kycbridge.MediaAnswer{}, malformed(callFile, res.StatusCode, errors.New("the file is too large for JSON"))
	}
	file := base64Of(body)
	if len(file) == 0 {
		return kycbridge.MediaAnswer{}, malformed(callFile, res.StatusCode, errors.New("the answer holds no file"))
	}
	return kycbridge.MediaAnswer{
		ContentType: http.DetectContentType(file),
		Length:      int64(len(file)),
		Body:        io.NopCloser(bytes.NewReader(file)),
	}, nil
}

// fileMembers are possible names of the member with the file; no name is documented.
var fileMembers = [...]string{"content", "file", "fileContent", "base64", "data", "image", "bytes", "value"}

// base64Of finds the file in a JSON answer: the answer itself, or a member of it.
func base64Of(body []byte) []byte {
	var text string
	if json.Unmarshal(body, &text) == nil {
		return fromBase64(text)
	}
	var members map[string]any
	if json.Unmarshal(body, &members) != nil {
		return nil
	}
	for _, name := range fileMembers {
		for key, value := range members {
			if text, ok := value.(string); ok && strings.EqualFold(key, name) {
				if file := fromBase64(text); len(file) > 0 {
					return file
				}
			}
		}
	}
	return nil
}

// fromBase64 decodes base64 or a data URL; it returns nil for any other text.
func fromBase64(text string) []byte {
	if strings.HasPrefix(text, "data:") {
		_, text, _ = strings.Cut(text, ",")
	}
	file, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return file
}
