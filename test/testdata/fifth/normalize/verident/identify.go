// Package verident maps what Verident sends.
package verident

import (
	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// getCheck is what a body is called that came by the API instead of a webhook.
const getCheck = "get_check"

// Forms: bodies are JSON as it is.
func Forms() document.Forms { return document.Forms{} }

// Identify finds the check that a webhook or an answer of the API speaks of. A webhook holds the check
// as a member (Webhooks, "Body").
func Identify(body document.Object, _ event.Via) kycbridge.Identity {
	if body.Object("check") == nil {
		return kycbridge.Identity{
			Schema: "check", Document: body, Reference: values.ScalarText(body["check_id"]), Event: getCheck, Missing: "/check_id",
		}
	}
	return kycbridge.Identity{
		Schema: "webhook", Document: body, Reference: values.ScalarText(body.Value("check", "check_id")), Missing: "/check/check_id",
		EventID: values.ScalarText(body["event_id"]), Event: values.Clip(body.Text("event"), values.MaxName),
	}
}
