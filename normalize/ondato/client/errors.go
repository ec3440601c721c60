package client

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
)

// maxFields is how many faults of a request are repeated from an answer.
const maxFields = 20

// refusal is an error body of the IDV and KYC APIs.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2320990318/Errors
type refusal struct {
	Reason  string                  `json:"reason"`
	Message string                  `json:"message"`
	Params  map[string][]fieldFault `json:"params"`
}

type fieldFault struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// explain reads an error body of the APIs. What is no such body, a gateway's page, leaves what the
// HTTP status says.
func explain(e *kycbridge.ProviderError, body []byte) {
	var r refusal
	if json.Unmarshal(body, &r) != nil {
		return
	}
	e.Code, e.Message = r.Reason, r.Message
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		for _, fault := range r.Params[name] {
			if len(e.Fields) < maxFields {
				e.Fields = append(e.Fields, kycbridge.FieldError{Path: rest.Clean(pointer(name)),
					Message: rest.Clean(fault.Message)})
			}
		}
	}
}

// kinds are the reasons that the vendor documents. They come with a status of their own; in a 2xx they
// stand for it. Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2320990318/Errors
var kinds = map[string]kycbridge.ProviderErrorKind{
	"ValidationFailed":     kycbridge.ProviderInvalid,
	"AuthenticationFailed": kycbridge.ProviderCredentials,
	"AuthorizationFailed":  kycbridge.ProviderForbidden,
	"NotFound":             kycbridge.ProviderNotFound,
}

// honest refuses a 2xx that is an error body: it has a reason and names no resource.
func honest(call string, a rest.Answer) error {
	var r struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
	}
	if json.Unmarshal(a.Body, &r) != nil || r.ID != "" || r.Reason == "" {
		return nil
	}
	e := &kycbridge.ProviderError{Kind: kycbridge.ProviderMalformed, Call: call, Status: a.Status, Sent: true}
	if kind, known := kinds[r.Reason]; known {
		e.Kind = kind
	}
	explain(e, a.Body)
	return e
}

// pointer writes the name of a parameter (setupId, registration.phoneNumber, steps[0].id) as a JSON
// pointer.
func pointer(name string) string {
	name = strings.TrimPrefix(name, "$.")
	name = strings.NewReplacer("~", "~0", "/", "~1", ".", "/", "[", "/", "]", "").Replace(name)
	if name == "" {
		return ""
	}
	return "/" + strings.TrimPrefix(name, "/")
}

// oauthErrors are the refusals of a token endpoint that are for our credentials.
// Source: https://www.rfc-editor.org/rfc/rfc6749#section-5.2
var oauthErrors = map[string]kycbridge.ProviderErrorKind{
	"invalid_client":      kycbridge.ProviderCredentials,
	"invalid_grant":       kycbridge.ProviderCredentials,
	"unauthorized_client": kycbridge.ProviderForbidden,
	"invalid_scope":       kycbridge.ProviderForbidden,
}

// explainToken reads an error body of the token endpoint, which comes with 400 as a rule.
func explainToken(e *kycbridge.ProviderError, body []byte) {
	var r struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &r) != nil {
		return
	}
	e.Code, e.Message = r.Error, r.Description
	if kind, ok := oauthErrors[r.Error]; ok && e.Status < 500 {
		e.Kind = kind
	}
}
