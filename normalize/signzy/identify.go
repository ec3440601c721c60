// Package signzy maps the journeys of Signzy One Touch KYC.
//
// A journey contains evidence and no verdict. The files are divided by what they read: identify.go finds the
// journey, map.go maps its status, facts.go and media.go read what does not depend on the status, documents.go
// and labels.go read the data extracted from documents, reports.go, selfie.go and network.go read the checks,
// and policy.go turns the evidence into a verdict if the account has thresholds. Callbacks of the back office have
// another form: office.go identifies them, and application.go maps them.
//
// Sources: https://docs.signzy.com/us-apis/get-journey-results and the pages named at the rules.
// "Observed" marks what real journeys contain and the documentation does not show.
package signzy

import (
	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// The names of the bodies in an event. The provider gives them no names.
const (
	callback      = "callback"
	getJourney    = "get-journey"
	createJourney = "create-journey-url"
)

// missing is where the id of a journey was expected.
const missing = "/journeyId"

// Identify finds the journey in a callback or in an answer of the API, which may be wrapped in result, data or
// both (the documentation shows more than one form). Journey ids are opaque and case-sensitive. Messages have
// no id. A callback without a journey may be about an application of the back office.
func Identify(doc document.Object, via event.Via) kycbridge.Identity {
	j, at := find(doc)
	if j == nil {
		if a, ok := applicationOf(doc); ok && !via.Asked() {
			return a.identity()
		}
		return kycbridge.Identity{Schema: "result", Document: doc, Missing: missing}
	}
	status, _ := j["currentStatus"].(string)
	return kycbridge.Identity{
		Schema:    "result",
		At:        at,
		Document:  j,
		Reference: reference(j),
		Event:     values.Clip(status, values.MaxName),
		Missing:   at + missing,
	}
}

// places are where a journey may be in a body.
var places = [...][]string{{}, {"result"}, {"data"}, {"result", "data"}, {"data", "result"}}

// find returns the journey of a body and the JSON pointer to it. It is nil if the body has none, or names two: it is
// not known then which of them the rest of the body describes.
func find(doc document.Object) (j document.Object, at string) {
	for _, path := range places {
		found := doc.Object(path...)
		switch id := reference(found); {
		case id == "":
		case j == nil:
			j = found
			at = pointerTo(path)
		case id != reference(j):
			return nil, ""
		}
	}
	return j, at
}

// contrary returns two values of currentStatus that disagree: those of two copies of the journey, or of a copy and the
// wrapper around it. It is not known which of them is right. The result is "" if all agree; a place without a value
// agrees with any.
func contrary(doc document.Object) string {
	first, given := "", false
	for _, path := range places {
		v := doc.Object(path...)["currentStatus"]
		raw := document.Text(v)
		switch {
		case v == nil || v == "":
		case !given:
			first, given = raw, true
		case values.Fold(raw) != values.Fold(first):
			return first + "/" + raw
		}
	}
	return ""
}

// reference returns the id of a journey. The documentation shows an id that is all digits, so a JSON number
// that consists of digits only is accepted as an id.
func reference(j document.Object) string { return idText(j["journeyId"]) }
