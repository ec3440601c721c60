// Package signzy maps the journeys of Signzy One Touch KYC.
//
// A journey brings evidence and no verdict. The files follow what they read: identify.go finds the
// journey, map.go says what its status means, facts.go and media.go what it tells whatever the status,
// documents.go and labels.go what was read from the documents, report.go, selfie.go and network.go the
// checks, and policy.go turns the evidence into a verdict where the account has thresholds.
//
// Sources: https://docs.signzy.com/us-apis/get-journey-results and the pages named at the rules.
// "Observed" is what real journeys held that the documentation does not show.
package signzy

import (
	"encoding/json"
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// What the bodies are called: none of them has a name of its own.
const (
	callback      = "callback"
	getJourney    = "get-journey"
	createJourney = "create-journey-url"
)

// missing is where the id of a journey should have been.
const missing = "/journeyId"

// Identify finds the journey in a callback or in an answer of the API, which may be wrapped in result,
// data or both (the documentation shows more than one form). Journey ids are opaque and case-sensitive.
// There is no id of the message.
func Identify(doc document.Object, _ event.Via) kycbridge.Identity {
	j, at := find(doc)
	if j == nil {
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

// find returns the journey of a body and the JSON pointer to it; nil where there is none.
func find(doc document.Object) (j document.Object, at string) {
	for _, path := range [...][]string{{}, {"result"}, {"data"}, {"result", "data"}, {"data", "result"}} {
		if j := doc.Object(path...); reference(j) != "" {
			if len(path) > 0 {
				at = "/" + strings.Join(path, "/")
			}
			return j, at
		}
	}
	return nil, ""
}

// reference is the id of a journey. The documentation shows one that is all digits, so a number that is
// written with digits alone is taken for one.
func reference(j document.Object) string {
	v := j["journeyId"]
	if n, isNumber := v.(json.Number); isNumber && strings.Trim(n.String(), "0123456789") != "" {
		return ""
	}
	return values.ScalarText(v)
}
