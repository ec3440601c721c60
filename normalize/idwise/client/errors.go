package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
)

// failure is IDWise's error body; a 200 may also contain message and code
// (https://docs.idwise.com/docs/error-handling).
type failure struct {
	Success   any `json:"success"`
	Message   ID  `json:"message"`
	ErrorCode ID  `json:"error_code"`
}

// kinds maps the error codes that the vendor publishes; for any other code the HTTP status determines the kind
// (https://docs.idwise.com/docs/api-auth, https://docs.idwise.com/docs/error-handling).
var kinds = map[string]kycbridge.ProviderErrorKind{
	"missing_authorization_header":  kycbridge.ProviderCredentials,
	"invalid_credentials":           kycbridge.ProviderCredentials,
	"invalid_authentication_format": kycbridge.ProviderCredentials,
	"unauthorized":                  kycbridge.ProviderForbidden,
	"not_allowed_ip_address":        kycbridge.ProviderForbidden,
}

// explain reads an error body into e.
func explain(e *kycbridge.ProviderError, body []byte) {
	var f failure
	if decode(body, &f) != nil {
		return
	}
	e.Code, e.Message = rest.Clean(string(f.ErrorCode)), rest.Clean(string(f.Message))
	if kind, known := kinds[e.Code]; known {
		e.Kind = kind
	}
}

// explainSummary treats a 403 without a known code as the block for too frequent calls: the vendor announces
// such a block, but not its form (https://docs.idwise.com/reference/get-journey-summary).
func explainSummary(e *kycbridge.ProviderError, body []byte) {
	explain(e, body)
	if _, known := kinds[e.Code]; e.Status == http.StatusForbidden && !known {
		e.Kind = kycbridge.ProviderRateLimited
	}
}

// honest refuses a 2xx answer whose body reports a failure. unknown is the error kind if the code of the
// failure is not known.
func honest(call string, unknown kycbridge.ProviderErrorKind, a rest.Answer) error {
	var f failure
	if decode(a.Body, &f) != nil || !f.failed() {
		return nil
	}
	e := &kycbridge.ProviderError{Kind: unknown, Call: call, Status: a.Status, Sent: true}
	explain(e, a.Body)
	return e
}

func (f failure) failed() bool {
	switch strings.ToLower(fmt.Sprint(f.Success)) {
	case "false", "0", "no":
		return true
	case "true", "1", "yes":
		return false
	}
	return f.ErrorCode != ""
}

// written encodes a request as JSON. kycbridge's own types cannot fail, so an error comes from the caller's
// data.
func written(call string, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, refused(call, "", "must be JSON") // err may quote the caller's data
	}
	return body, nil
}
