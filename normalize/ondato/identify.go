// Package ondato maps what Ondato sends: webhooks, and the answers to a GET of an identity verification
// (IDV, the applicant's session) or of a KYC identification (the check of a document and a face, which
// alone decides about the person).
package ondato

import (
	"cmp"
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// Event names of the bodies that are fetched from the API.
const (
	getIDV = "get-identity-verification"
	getKYC = "get-identification"
)

// Forms returns the zero value: bodies are plain JSON.
func Forms() document.Forms { return document.Forms{} }

// Identify finds the identity verification of a webhook or an answer of the API. The reference of every webhook
// about a person's check is the id of the IDV, whichever resource the webhook contains, so that all of them
// belong to one verification. UUIDs are compared in lower case, because messages differ in their case.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2296184995/Webhooks
func Identify(body document.Object, via event.Via) kycbridge.Identity {
	id := resource(body)
	if isEnvelope(body) {
		id = envelope(body)
	}
	id.Document = body
	if !via.Asked() { // a body fetched with the account's own credentials belongs to the account
		id.Application = application(body)
	}
	return id
}

// isEnvelope distinguishes a webhook from a bare resource of the API.
func isEnvelope(body document.Object) bool { return word(body, "type") != "" || body.Has("payload") }

// Values of the application of a webhook that no configured id equals.
const (
	betweenIDs   = "\n"   // separates the ids of a webhook that has two
	unreadableID = "\x00" // stands for an id that is not text
)

// application returns the customer application of a webhook, which is in its envelope and in the resource in it; both,
// if they differ.
func application(body document.Object) string {
	envelope, resource := applicationAt(body, "applicationId"), applicationAt(body, "payload", "applicationId")
	if envelope != "" && resource != "" && envelope != resource {
		return envelope + betweenIDs + resource
	}
	return cmp.Or(envelope, resource)
}

// applicationAt reads the id of an application at one place; "" if there is none.
func applicationAt(body document.Object, path ...string) string {
	if id := idOf(body, path...); id != "" {
		return id
	}
	switch v := body.Value(path...).(type) {
	case nil, string:
		return ""
	case map[string]any:
		if len(v) == 0 {
			return ""
		}
	case []any:
		if len(v) == 0 {
			return ""
		}
	}
	return unreadableID
}

func envelope(body document.Object) kycbridge.Identity {
	kind := word(body, "type")
	id := kycbridge.Identity{
		Schema: "callback", EventID: values.ScalarText(body["id"]), Event: values.Clip(kind, values.MaxName),
	}
	switch family, _, _ := strings.Cut(values.Fold(kind), "."); family {
	case "identityverification", "idv":
		id.Reference, id.Missing = idOf(body, "payload", "id"), "/payload/id"
	case "kycidentification":
		id.Reference, id.Missing = idOf(body, "payload", "identityVerificationId"), "/payload/identityVerificationId"
	default:
		id.Reference, id.Missing = anyReference(body), "/payload/identityVerificationId"
	}
	return id
}

// anyReference returns an id of a webhook that is not part of a person's check (forms, businesses, types not
// known yet), so that such webhooks differ from each other. They lead to no event.
func anyReference(body document.Object) string {
	for _, path := range [][]string{{"payload", "identityVerificationId"}, {"payload", "id"}, {"id"}} {
		if id := idOf(body, path...); id != "" {
			return id
		}
	}
	return ""
}

// resource distinguishes the two resources of the API: only a KYC identification has an
// identityVerificationId.
func resource(body document.Object) kycbridge.Identity {
	if idv := idOf(body, "identityVerificationId"); idv != "" {
		return kycbridge.Identity{Schema: "kyc", Reference: idv, Event: getKYC, Missing: "/identityVerificationId"}
	}
	if id := idOf(body, "id"); id != "" && body.Has("status") {
		return kycbridge.Identity{Schema: "idv", Reference: id, Event: getIDV, Missing: "/id"}
	}
	return kycbridge.Identity{Schema: "callback", Missing: "/payload/id"}
}

// idOf reads an id, which is text or a number, in lower case for comparison.
func idOf(o document.Object, path ...string) string {
	return strings.ToLower(values.ScalarText(o.Value(path...)))
}

// boundedID reads an id and limits its length for an event.
func boundedID(o document.Object, path ...string) string {
	return values.Clip(idOf(o, path...), values.MaxID)
}

// word reads a value that is always text, such as a name or an enumeration value; a number or a boolean reads
// as "".
func word(o document.Object, path ...string) string {
	s, _ := o.Value(path...).(string)
	return s
}

// number reads the number of a document or a person, which is text or, if it has only digits, a JSON number.
func number(o document.Object, path ...string) string {
	s := values.ScalarText(o.Value(path...))
	if _, isText := o.Value(path...).(string); !isText && strings.Trim(s, "0123456789") != "" {
		return ""
	}
	return s
}
