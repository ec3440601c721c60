// Package idwise maps the bodies of IDWise: webhooks, which announce results, and the answers of Get Journey
// Summary (progress) and Get Journey Result, the only one that contains the decision.
package idwise

import (
	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// The schemas of IDWise bodies, and the names of the fetched ones in an event.
const (
	schemaWebhook = "webhook"
	schemaSummary = "summary"
	schemaResult  = "result"

	getSummary = "get-journey-summary"
	getResult  = "get-journey-result"
)

// Forms returns no special forms: bodies are plain JSON.
func Forms() document.Forms { return document.Forms{} }

// Identify finds the schema, the event and the ids of an IDWise body.
func Identify(body document.Object, via event.Via) kycbridge.Identity {
	id := kycbridge.Identity{Schema: kindOf(body, via), Document: body}
	switch id.Schema {
	case schemaSummary:
		id.Event, id.Reference, id.Missing = getSummary, values.ScalarText(body["journey_id"]), "/journey_id"
	case schemaResult:
		id.Event, id.Reference, id.Missing = getResult, values.ScalarText(body["journey_id"]), "/journey_id"
	default:
		// A body of unknown kind is treated as a webhook, whose schema then reports what is missing.
		id.Schema = schemaWebhook
		name, _ := body["event"].(string)
		hook := body.Object("body")
		id.Event, id.EventID = values.Clip(name, values.MaxName), values.ScalarText(hook["eventId"])
		id.Reference, id.Missing = hookReference(hook, exactName(name))
	}
	if id.Reference != "" {
		id.Missing = ""
	}
	return id
}

// kindOf returns the kind of a body; "" if it is unknown. A webhook is recognised by its event and a summary
// by its steps or its completion, because the vendor publishes no other mark
// (https://docs.idwise.com/docs/webhook-specifications, https://docs.idwise.com/reference/get-journey-summary,
// https://docs.idwise.com/docs/journey-result). Any other fetched body with a journey id is a result.
func kindOf(body document.Object, via event.Via) string {
	has := func(names ...string) bool {
		for _, name := range names {
			if _, ok := body[name]; ok {
				return true
			}
		}
		return false
	}
	_, named := body["event"].(string)
	decided := has("system_decision", "manual_decision", "final_decision")
	switch {
	case named && !via.Asked():
		return schemaWebhook
	case (has("step_summaries") || has("is_completed")) && !decided:
		return schemaSummary
	case decided, has("journey_id") && (has("model_version", "documents") || via.Asked()):
		return schemaResult
	}
	return ""
}

// ownReferences are the members that identify a check which is a verification of its own, by event, the
// documented member first (https://docs.idwise.com/docs/finished-spot-check-webhook,
// https://docs.idwise.com/docs/ongoing-verification-webhook-specification). The journeyId in the same body is
// that of the first verification and must not be used.
var ownReferences = map[string][2]string{
	"Finished Spot Check":    {"spotCheckJourneyId", "ongoingCheckId"},
	"Finished Ongoing Check": {"ongoingCheckId", "spotCheckJourneyId"},
}

// isOwnCheck reports whether an event announces the end of a check that is a verification of its own.
func isOwnCheck(event string) bool {
	_, own := ownReferences[event]
	return own
}

// hookReference returns the id of a webhook's verification, and the JSON pointer where it is or should be.
func hookReference(hook document.Object, event string) (reference, place string) {
	names, own := ownReferences[event]
	if !own {
		return values.ScalarText(hook["journeyId"]), "/body/journeyId"
	}
	for _, name := range names {
		if id := values.ScalarText(hook[name]); id != "" {
			return id, "/body/" + name
		}
	}
	return "", "/body/" + names[0]
}

// exactNames maps folded event names to the exact ones: the vendor's own pages spell some of them differently. One
// page says that the name of the AML event lacks a letter (https://docs.idwise.com/docs/aml-monitor-update-webhook).
var exactNames = map[string]string{
	"finishedstep":               "Finished Step",
	"stepsubmitted":              "Step Submitted",
	"finishedusersteps":          "Finished User Steps",
	"finishedjourney":            "Finished Journey",
	"manuallyreviewed":           "Manually Reviewed",
	"updatedjourney":             "Updated Journey",
	"amlmonitorupdate":           "AML Monitor Update",
	"amlmoniorupdate":            "AML Monitor Update",
	"finishedspotcheck":          "Finished Spot Check",
	"finishedongoingcheck":       "Finished Ongoing Check",
	"verificationupdaterequired": "Verification Update Required",
	"kycrenewaldeadlineexceeded": "KYC Renewal Deadline Exceeded",
}

// exactName returns the vendor's exact name of an event, or name itself if it is not known.
func exactName(name string) string {
	if exact, ok := exactNames[values.Fold(name)]; ok {
		return exact
	}
	return name
}
