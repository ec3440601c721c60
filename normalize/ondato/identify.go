// Package ondato maps what Ondato sends: webhooks, and the answers to a GET of an identity verification
// (IDV, the applicant's session) or of a KYC identification (the check of a document and a face, which
// alone decides about the person).
package ondato

import (
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// Names of the bodies that come by the API instead of a webhook.
const (
	getIDV = "get-identity-verification"
	getKYC = "get-identification"
)

// Forms says that bodies are JSON as it is.
func Forms() document.Forms { return document.Forms{} }

// Identify finds the identity verification that a webhook or an answer of the API speaks of: every
// webhook about a person's check leads to the id of the IDV, whatever resource it is of, so that all of
// them meet in one verification. UUIDs are compared in lower case, as messages differ in it.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2296184995/Webhooks
func Identify(body document.Object, via event.Via) kycbridge.Identity {
	id := resource(body)
	if isEnvelope(body) {
		id = envelope(body)
	}
	id.Document = body
	if !via.Asked() { // what our own credentials fetch is ours
		id.Application = application(body)
	}
	return id
}

// isEnvelope tells a webhook from a bare resource of the API.
func isEnvelope(body document.Object) bool { return word(body, "type") != "" || body.Has("payload") }

// application is the customer application that a webhook comes from: as its envelope says, else as the
// resource in it does.
func application(body document.Object) string {
	if own := idOf(body, "applicationId"); own != "" {
		return own
	}
	return idOf(body, "payload", "applicationId")
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

// anyReference tells apart what is no part of a person's check: forms, businesses, types yet unknown.
// They make no event.
func anyReference(body document.Object) string {
	for _, path := range [][]string{{"payload", "identityVerificationId"}, {"payload", "id"}, {"id"}} {
		if id := idOf(body, path...); id != "" {
			return id
		}
	}
	return ""
}

// resource tells the two resources of the API apart by what only a KYC identification has.
func resource(body document.Object) kycbridge.Identity {
	if idv := idOf(body, "identityVerificationId"); idv != "" {
		return kycbridge.Identity{Schema: "kyc", Reference: idv, Event: getKYC, Missing: "/identityVerificationId"}
	}
	if id := idOf(body, "id"); id != "" && body.Has("status") {
		return kycbridge.Identity{Schema: "idv", Reference: id, Event: getIDV, Missing: "/id"}
	}
	return kycbridge.Identity{Schema: "callback", Missing: "/payload/id"}
}

// idOf reads an id, which is text or a number, as it is compared.
func idOf(o document.Object, path ...string) string {
	return strings.ToLower(values.ScalarText(o.Value(path...)))
}

// boundedID reads an id as it goes into an event.
func boundedID(o document.Object, path ...string) string {
	return values.Clip(idOf(o, path...), values.MaxID)
}

// word reads text that a number or a boolean cannot stand for: a name, a word of an enumeration.
func word(o document.Object, path ...string) string {
	s, _ := o.Value(path...).(string)
	return s
}

// number reads a number of a document or a person, which is text or, of digits alone, a JSON number.
func number(o document.Object, path ...string) string {
	s := values.ScalarText(o.Value(path...))
	if _, isText := o.Value(path...).(string); !isText && strings.Trim(s, "0123456789") != "" {
		return ""
	}
	return s
}
