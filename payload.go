package kycbridge

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"kycbridge/event"
)

// Payload is one body as it was received or fetched, with where, when and how.
type Payload struct {
	ID             string // <provider>.<account>.<the provider's event id, or the body's digest>
	Provider       string
	Account        string
	VerificationID string // "" while no reference has been found
	Via            event.Via
	ReceivedAt     time.Time
	ContentType    string
	Digest         string            // sha256:<64 hex> of Body
	Event          string            // what the provider calls the message; may be ""
	Reference      string            // the provider's id of the verification; "" while none has been found
	Placement      string            // of a callback: where the credential stood that admitted it
	Part           string            // of a fetched body: which of the provider's answers it is
	Trigger        string            // of a fetched body: the word of the callback that asked for it, where the body lacks it
	TriggeredAt    time.Time         // with Trigger: when that callback came
	After          string            // of a fetched body: id of the different one that was stored before it
	Notice         bool              // a Notice of ours, not the provider's words
	Header         map[string]string // allow-listed request headers, never a credential or signature
	Addressed      AccountKey        // of a callback that met no account: what its address named
	Body           []byte            // untouched
	Seq            uint64            // in the payload log; 0: not known
}

// Traceparent is the W3C trace context that the callback brought, or "".
func (p *Payload) Traceparent() string {
	t := p.Header["Traceparent"]
	if len(t) != len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") {
		return ""
	}
	for i := range len(t) {
		if c := t[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && c != '-' {
			return ""
		}
	}
	return t
}

// What lets a payload in that no credential of a callback admits.
const (
	admittedByAPI    = "api"    // we asked for it
	admittedByNotice = "notice" // our own words
)

// admittedBy is what let p in, for payload.admitted_by; "" where that was not recorded.
func (p *Payload) admittedBy() string {
	switch {
	case p.Notice:
		return admittedByNotice
	case p.Via.Asked():
		return admittedByAPI
	}
	return p.Placement
}

// digestPrefix says how a digest is made.
const digestPrefix = "sha256:"

// Digest returns the SHA-256 of body as it stands in payload.digest: sha256:<64 hex>.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return digestPrefix + hex.EncodeToString(sum[:])
}

// PayloadID names a payload after what it is, so that a redelivery has the name of the first
// delivery: the provider's event id where there is one that can stand in a header and looks like an id,
// else the digest. What has no digit in it may be a name.
func PayloadID(provider, account, eventID, digest string) string {
	if !plainID(eventID) || !event.HarmlessID(eventID) {
		eventID = digest
	}
	return provider + "." + account + "." + eventID
}

// LocalPayloadID is the id of a payload without what stands before all of its account, and before all digests.
func LocalPayloadID(p Payload) string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ID, p.Provider+"."+p.Account+"."), digestPrefix)
}

// fetchedID names a fetched body that has no id of its own after what it is and what it came after:
// a session that goes back to where it was before is a new fact with the same body.
func fetchedID(p Payload) string {
	if p.After == "" && p.Trigger == "" {
		return PayloadID(p.Provider, p.Account, "", p.Digest)
	}
	return PayloadID(p.Provider, p.Account, "", Digest([]byte(p.After+"\n"+p.Trigger+event.Instant(p.TriggeredAt)+"\n"+p.Digest)))
}

// plainID reports whether s is short and of letters, digits, '.', '_' and '-' only.
func plainID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
