package rest

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"kycbridge"
)

// kindOf is the error kind of a status, unless the provider documents another meaning (Call.Explain).
func kindOf(status int) kycbridge.ProviderErrorKind {
	switch {
	case status == http.StatusUnauthorized:
		return kycbridge.ProviderCredentials
	case status == http.StatusForbidden:
		return kycbridge.ProviderForbidden
	case status == http.StatusNotFound, status == http.StatusGone:
		return kycbridge.ProviderNotFound
	case status == http.StatusTooManyRequests:
		return kycbridge.ProviderRateLimited
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		return kycbridge.ProviderUnavailable
	case status < 400:
		return kycbridge.ProviderMalformed // a redirect, which is not followed
	}
	return kycbridge.ProviderInvalid
}

func malformed(call Call, status int, err error) error {
	return &kycbridge.ProviderError{Kind: kycbridge.ProviderMalformed, Call: call.Name, Status: status, Sent: true,
		Err: err}
}

// maxMessage is the maximum size in bytes of a provider's text in an error.
const maxMessage = 300

// Clean converts a provider's text to one short line of printable text; "" for an HTML page.
func Clean(s string) string {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "<") {
		return ""
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) }), " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "")
	}
	return strings.ToValidUTF8(s, "?")
}

// retryAfter parses the Retry-After header, which contains seconds or a date; 0 if it contains neither. A date is
// compared with the header Date, if there is one: both are of the provider's clock.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	seconds, err := strconv.Atoi(v)
	if (err == nil || errors.Is(err, strconv.ErrRange)) && seconds > 0 {
		return time.Duration(min(seconds, 86400)) * time.Second
	}
	if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
		now = theirs
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return min(at.Sub(now), 24*time.Hour)
	}
	return 0
}
