// Package kwikid maps what KwikID (Think360) says: answers of get_details, which decide, and webhooks,
// which announce that there is something to ask.
package kwikid

import (
	"maps"
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// The schemas of KwikID bodies, and the names of those that have none of their own.
const (
	schemaSession = "session"
	schemaWebhook = "webhook"

	getDetails = "get_details"
)

// Identify finds what a KwikID body says about itself. What was asked for is an answer of get_details,
// because it was asked for: its top-level status is observed as a number, as text and absent
// (https://doc.app.getkwikid.com/docs/VideoFlow/API_Integrations). A callback in the form of an answer
// is described by the schema of answers too, and is believed as a webhook is. The form of webhooks is
// not documented (https://doc.app.getkwikid.com/docs/VideoFlow/Webhook), so a session id and a portal
// label are searched for.
func Identify(body document.Object, via event.Via) kycbridge.Identity {
	if asked(via) || isDetails(body) {
		session := body.Object("session_data")
		id := kycbridge.Identity{
			Schema: schemaSession, Document: body, Event: values.Clip(session.Text("session_status"), values.MaxName),
			Reference: LowerUUID(values.ScalarText(session["session_id"])),
		}
		if id.Reference == "" {
			id.Missing = "/session_data/session_id"
		}
		return id
	}
	id := kycbridge.Identity{Schema: schemaWebhook, Document: body, Reference: sessionID(body), Event: schemaWebhook}
	if id.Reference == "" {
		id.Missing = "/session_id"
	}
	if label, ok := labelOf(body); ok {
		id.Event = label.name
	}
	return id
}

// asked reports whether a body is the answer to a question of ours.
func asked(via event.Via) bool { return via == event.ViaPoll || via == event.ViaFetch }

// isDetails reports whether a callback has the form of an answer of get_details: a numeric status tells
// it from a webhook that carries a session too.
func isDetails(body document.Object) bool {
	_, isText := body["status"].(string)
	_, isNumber := body.Number("status")
	_, hasStatus := body.Object("session_data")["session_status"]
	return isNumber && !isText && hasStatus
}

// Bounds of the searches in bodies of unknown form, in levels of nesting. Labels are looked for near
// the top only, as a type further down may be that of anything.
const (
	searchDepth = 8
	labelDepth  = 3
)

// sessionID is the first UUID under a key that reads session id, whatever its spelling.
func sessionID(body document.Object) string {
	found := ""
	search(map[string]any(body), searchDepth, func(key, value string) bool {
		if values.Fold(key) == "sessionid" && isUUID(value) {
			found = strings.ToLower(value)
		}
		return found == ""
	})
	return found
}

// search shows the members of doc that are text to see, depth-first with the keys in order and the
// members of an object before what lies below them, until see returns false.
func search(doc any, depth int, see func(key, value string) bool) bool {
	if depth == 0 {
		return true
	}
	switch doc := doc.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(doc))
		for _, key := range keys {
			if value, ok := doc[key].(string); ok && !see(key, value) {
				return false
			}
		}
		for _, key := range keys {
			if !search(doc[key], depth-1, see) {
				return false
			}
		}
	case []any:
		for _, item := range doc {
			if !search(item, depth-1, see) {
				return false
			}
		}
	}
	return true
}

// isUUID reports whether s has the form of a UUID of any version.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') {
			return false
		}
	}
	return strings.Trim(s, "0123456789abcdefABCDEF-") == ""
}

// LowerUUID makes the spellings of a UUID equal and leaves any other id alone.
func LowerUUID(s string) string {
	if isUUID(s) {
		return strings.ToLower(s)
	}
	return s
}
