package client

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
)

// maxFields is how many field errors are copied from an answer.
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

// explain reads an error body of the APIs. Any other body, such as a gateway's page, leaves the error as the
// HTTP status determined it, except that only the APIs know whether a resource exists.
func explain(e *kycbridge.ProviderError, body []byte) {
	var r refusal
	if json.Unmarshal(body, &r) != nil {
		r = refusal{}
	}
	isRead := e.Call == callIDV || e.Call == callKYC
	if e.Kind == kycbridge.ProviderNotFound && isRead && r.Reason != reasonNotFound {
		e.Kind = kycbridge.ProviderUnavailable
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

// kinds maps the reasons that the vendor documents. Each normally comes with its own HTTP status; in a 2xx, the
// reason replaces that status. Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2320990318/Errors
var kinds = map[string]kycbridge.ProviderErrorKind{
	"ValidationFailed":     kycbridge.ProviderInvalid,
	"AuthenticationFailed": kycbridge.ProviderCredentials,
	"AuthorizationFailed":  kycbridge.ProviderForbidden,
	reasonNotFound:         kycbridge.ProviderNotFound,
}

const reasonNotFound = "NotFound"

// honest rejects a 2xx with an error body: one that has a reason and no id of a resource.
func honest(call string, a rest.Answer) error {
	var r struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
	}
	if json.Unmarshal(a.JSON(), &r) != nil || r.ID != "" || r.Reason == "" {
		return nil
	}
	e := &kycbridge.ProviderError{Kind: kycbridge.ProviderMalformed, Call: call, Status: a.Status, Sent: true}
	if kind, known := kinds[r.Reason]; known {
		e.Kind = kind
	}
	explain(e, a.JSON())
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

// oauthErrors are the errors of a token endpoint that concern the account's credentials.
// Source: https://www.rfc-editor.org/rfc/rfc6749#section-5.2
var oauthErrors = map[string]kycbridge.ProviderErrorKind{
	"invalid_client":      kycbridge.ProviderCredentials,
	"invalid_grant":       kycbridge.ProviderCredentials,
	"unauthorized_client": kycbridge.ProviderForbidden,
	"invalid_scope":       kycbridge.ProviderForbidden,
}

// explainToken reads an error body of the token endpoint, which usually comes with 400.
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
