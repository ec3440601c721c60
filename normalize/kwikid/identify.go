// Package kwikid maps the data of KwikID (Think360): answers of get_details, which contain the verdict, and
// webhooks, which announce that a result can be fetched.
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

// The schemas of KwikID bodies, and the event name of an answer of get_details. schemaWebhook is also the
// event name of a webhook without a known label.
const (
	schemaSession = "session"
	schemaWebhook = "webhook"

	getDetails = "get_details"
)

// Identify determines the schema, the event name and the reference of a KwikID body. A polled or fetched body
// is always an answer of get_details; its form is not checked, because its top-level status was observed as a
// number, as text and absent (https://doc.app.getkwikid.com/docs/VideoFlow/API_Integrations). A callback in
// the form of such an answer gets the same schema, but is trusted only as much as a webhook. The form of
// webhooks is not documented (https://doc.app.getkwikid.com/docs/VideoFlow/Webhook), so Identify searches
// them for a session id and a portal label.
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

// asked reports whether a body is the answer to a request of kycbridge.
func asked(via event.Via) bool { return via == event.ViaPoll || via == event.ViaFetch }

// isDetails reports whether a callback has the form of an answer of get_details. A numeric status
// distinguishes it from a webhook that also contains a session.
func isDetails(body document.Object) bool {
	_, isText := body["status"].(string)
	_, isNumber := body.Number("status")
	_, hasStatus := body.Object("session_data")["session_status"]
	return isNumber && !isText && hasStatus
}

// Limits of the searches in bodies of unknown form, in levels of nesting. Labels are searched near the top
// only, because a member named type at a deeper level may describe something else. What speaks against an approval is
// searched as deep as the session's id.
const (
	searchDepth = 8
	labelDepth  = 3
)

// sessionID returns the UUID under a key that means session id, in any spelling (session_id, sessionId). "" if there is
// none, or if such keys have different values: it is not known which session the rest of the body describes.
func sessionID(body document.Object) string {
	found, count := "", 0
	search(map[string]any(body), searchDepth, func(key, value string) bool {
		value = strings.ToLower(strings.TrimSpace(value))
		if values.Fold(key) == "sessionid" && value != "" && value != found {
			found = value
			count++
		}
		return count < 2
	})
	if count != 1 || !isUUID(found) {
		return ""
	}
	return found
}

// search calls see with every text in doc until see returns false; a text in a list has no key. It goes depth-first,
// with the keys in order and the text members of an object before its nested values.
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
			if text, ok := item.(string); ok && !see("", text) || !search(item, depth-1, see) {
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

// LowerUUID returns a UUID in lower case, so that all spellings of it compare equal, and any other id unchanged.
func LowerUUID(s string) string {
	if isUUID(s) {
		return strings.ToLower(s)
	}
	return s
}
