package kycbridge

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"time"

	"kycbridge/event"
)

// Payload is one body as it was received or fetched, with its source and time.
type Payload struct {
	ID             string    // <provider>.<account>.<the provider's event id, or the body's digest>
	Provider       string    // its name
	Account        string    // its name
	VerificationID string    // "" while no reference is known
	Via            event.Via // how kycbridge received it
	ReceivedAt     time.Time // UTC, by kycbridge's clock
	ContentType    string    // as it was sent; may be ""
	Digest         string    // sha256:<64 hex> of Body
	Event          string    // the provider's name of the message type; may be ""
	Reference      string    // the provider's id of the verification; "" while none is known
	Placement      string    // of a callback: the position of the accepted credential
	Part           string    // of a fetched body: which of the provider's answers it is
	// of a fetched body: the value in the callback that triggered the fetch, if the body lacks it
	Trigger     string
	TriggeredAt time.Time         // with Trigger: when that callback was received
	After       string            // of a fetched body: id of the different body that was stored before it
	Notice      bool              // a Notice of kycbridge, not from the provider
	Header      map[string]string // allow-listed request headers, never a credential or signature
	Addressed   AccountKey        // of a callback to an unknown account: the account in its address
	Body        []byte            // unchanged
	Erased      int               // newest revision of its verification that was erased before it was stored; 0: none
	Seq         uint64            // in the payload log; 0: not known
	Again       bool              // it may have been processed before
	// ReadAt is when a payload that was stored before was read, in order to store it again; zero: it has just been
	// received. It is not stored again if its verification has been erased since then.
	ReadAt time.Time
}

// traceContext is the form of a traceparent, with version, trace id and parent id as groups.
var traceContext = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)

// Traceparent is the W3C trace context of the callback, or "" if it is invalid: it becomes a header of an event, so no
// other digits of a caller may pass.
func (p *Payload) Traceparent() string {
	t := p.Header["Traceparent"]
	if t == "" {
		return ""
	}
	parts := traceContext.FindStringSubmatch(t)
	if parts == nil || parts[1] == "ff" || strings.Trim(parts[2], "0") == "" || strings.Trim(parts[3], "0") == "" {
		return ""
	}
	return t
}

// The values of payload.admitted_by for payloads without the credential of a callback.
const (
	admittedByAPI    = "api"    // it was requested by kycbridge
	admittedByNotice = "notice" // created by kycbridge
)

// admittedBy is why p was accepted, for payload.admitted_by; "" if that was not recorded.
func (p *Payload) admittedBy() string {
	switch {
	case p.Notice:
		return admittedByNotice
	case p.Via.Asked():
		return admittedByAPI
	}
	return p.Placement
}

// digestPrefix names the algorithm of a digest.
const digestPrefix = "sha256:"

// Digest returns the SHA-256 of body in the format of payload.digest: sha256:<64 hex>.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return digestPrefix + hex.EncodeToString(sum[:])
}

// PayloadID derives an id from the content of a payload, so that a redelivery has the same id: the
// provider's event id if it fits into a header and looks like an id, else the digest. Text without a digit
// may be a name.
func PayloadID(provider, account, eventID, digest string) string {
	if !plainID(eventID) || !event.HarmlessID(eventID) {
		eventID = digest
	}
	return provider + "." + account + "." + eventID
}

// LocalPayloadID is the id of a payload without the prefixes of its account and of digests.
func LocalPayloadID(p Payload) string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ID, p.Provider+"."+p.Account+"."), digestPrefix)
}

// fetchedID derives the id of a fetched body without an event id from the body and its predecessor: a
// session that returns to an earlier state is a new fact with the same body.
func fetchedID(p Payload) string {
	if p.After == "" && p.Trigger == "" {
		return PayloadID(p.Provider, p.Account, "", p.Digest)
	}
	return PayloadID(p.Provider, p.Account, "",
		Digest([]byte(p.After+"\n"+p.Trigger+event.Instant(p.TriggeredAt)+"\n"+p.Digest)))
}

// plainID reports whether s is short and consists of letters, digits, '.', '_' and '-'.
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
