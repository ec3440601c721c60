// Package idwise maps what IDWise sends: webhooks, which announce, and the answers of Get Journey
// Summary (progress) and Get Journey Result, which alone decides.
package idwise

import (
	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// The schemas of IDWise bodies, and the names that fetched ones go by in an event.
const (
	schemaWebhook = "webhook"
	schemaSummary = "summary"
	schemaResult  = "result"

	getSummary = "get-journey-summary"
	getResult  = "get-journey-result"
)

// Forms says that bodies are JSON as it is.
func Forms() document.Forms { return document.Forms{} }

// Identify finds what an IDWise body says about itself.
func Identify(body document.Object, via event.Via) kycbridge.Identity {
	id := kycbridge.Identity{Schema: kindOf(body, via), Document: body}
	switch id.Schema {
	case schemaSummary:
		id.Event, id.Reference, id.Missing = getSummary, values.ScalarText(body["journey_id"]), "/journey_id"
	case schemaResult:
		id.Event, id.Reference, id.Missing = getResult, values.ScalarText(body["journey_id"]), "/journey_id"
	default:
		// What is none of the three is taken for a webhook, whose schema then says what it lacks.
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

// kindOf tells the kinds of body apart; "" is none of them. A webhook is known by its event and a summary
// by its steps or its completion, as the vendor publishes no other mark
// (https://docs.idwise.com/docs/webhook-specifications, https://docs.idwise.com/reference/get-journey-summary,
// https://docs.idwise.com/docs/journey-result). Whatever else was asked for is a result.
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
	case has("step_summaries"), has("is_completed") && !decided:
		return schemaSummary
	case decided, has("journey_id") && (has("model_version", "documents") || via.Asked()):
		return schemaResult
	}
	return ""
}

// ownReferences are the members that identify a check which is a verification of its own, by event, the
// documented one first (https://docs.idwise.com/docs/finished-spot-check-webhook,
// https://docs.idwise.com/docs/ongoing-verification-webhook-specification). The journeyId beside one is
// that of the first verification and must not be used.
var ownReferences = map[string][2]string{
	"Finished Spot Check":    {"spotCheckJourneyId", "ongoingCheckId"},
	"Finished Ongoing Check": {"ongoingCheckId", "spotCheckJourneyId"},
}

// isOwnCheck reports whether an event tells the end of a check that is a verification of its own.
func isOwnCheck(event string) bool {
	_, own := ownReferences[event]
	return own
}

// hookReference is the verification that a webhook speaks of, and where it stands or should stand.
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

// exactNames leads from a folded event name to the exact one: the vendor's own pages do not spell all of them
// alike.
var exactNames = map[string]string{
	"finishedstep":               "Finished Step",
	"stepsubmitted":              "Step Submitted",
	"finishedusersteps":          "Finished User Steps",
	"finishedjourney":            "Finished Journey",
	"manuallyreviewed":           "Manually Reviewed",
	"updatedjourney":             "Updated Journey",
	"amlmonitorupdate":           "AML Monitor Update",
	"finishedspotcheck":          "Finished Spot Check",
	"finishedongoingcheck":       "Finished Ongoing Check",
	"verificationupdaterequired": "Verification Update Required",
	"kycrenewaldeadlineexceeded": "KYC Renewal Deadline Exceeded",
}

// exactName is the vendor's exact name of an event, or name itself if it is not known.
func exactName(name string) string {
	if exact, ok := exactNames[values.Fold(name)]; ok {
		return exact
	}
	return name
}
