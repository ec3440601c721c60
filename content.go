package kycbridge

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"

	"kycbridge/document"
)

// headerEncoding is the request header with the compression of a body. It is stored with the payload,
// whose body stays as it was received: digest and signature cover those bytes.
const headerEncoding = "Content-Encoding"

// maxUnpacked limits the unpacked size of a stored body, in bytes. Callbacks are limited earlier, by the
// receiver.
const maxUnpacked = 64 << 20

// Errors of a packed body.
var (
	errPacked   = errors.New("is not packed as Content-Encoding says")
	errUnpacked = errors.New("unpacks to more than the limit")
)

// KnownEncoding reports whether a body with these request headers can be unpacked.
func KnownEncoding(h http.Header) bool {
	switch encodingOf(h.Get(headerEncoding)) {
	case "", "gzip", "deflate":
		return len(h.Values(headerEncoding)) <= 1
	}
	return false
}

func encodingOf(value string) string {
	switch value = strings.ToLower(strings.TrimSpace(value)); value {
	case "identity":
		return ""
	case "x-gzip":
		return "gzip"
	}
	return value
}

// Content is the body without its Content-Encoding: the input of identity, validation, mapping and
// display.
func (p *Payload) Content() ([]byte, error) {
	return unpack(p.Header[headerEncoding], p.Body, maxUnpacked)
}

// Content is the body of a callback without its Content-Encoding, at most MaxContent bytes of it.
func (r *Request) Content() ([]byte, error) {
	limit := r.MaxContent
	if limit <= 0 {
		limit = maxUnpacked
	}
	return unpack(r.Header.Get(headerEncoding), r.Body, limit)
}

// Packed reports whether the body must be unpacked before it can be read.
func (r *Request) Packed() bool { return encodingOf(r.Header.Get(headerEncoding)) != "" }

// unpack decodes an encoding; without one it returns the body.
func unpack(encoding string, body []byte, limit int) ([]byte, error) {
	packed := bytes.NewReader(body)
	var from io.Reader
	var err error
	switch encodingOf(encoding) {
	case "":
		return body, nil
	case "gzip":
		from, err = gzip.NewReader(packed)
	case "deflate": // zlib, as RFC 9110 says, or the bare stream that some senders use
		if from, err = zlib.NewReader(packed); err != nil {
			packed.Reset(body)
			from, err = flate.NewReader(packed), nil
		}
	default:
		err = errPacked
	}
	if err != nil {
		return nil, errPacked
	}
	content, err := io.ReadAll(io.LimitReader(from, int64(limit)+1))
	switch {
	case len(content) > limit:
		return nil, errUnpacked
	case err != nil, packed.Len() > 0: // some readers would read on after the end, others would not
		return nil, errPacked
	}
	return content, nil
}

// Document decodes a payload of the provider, unpacked.
func (p Provider) Document(payload Payload) (document.Object, []FieldError) {
	content, err := payload.Content()
	if err != nil {
		return nil, []FieldError{{Message: err.Error()}}
	}
	return p.Read(content)
}
