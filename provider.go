package kycbridge

import (
	"net/http"
	"net/url"
	"time"

	"kycbridge/document"
	"kycbridge/event"
)

// Provider is all that differs between providers: a struct of functions, one value a provider, in
// one table (internal/app/providers.go).
type Provider struct {
	Name string

	// Verify authenticates a callback against an account's credentials and returns the placement
	// that matched ("basic", "bearer", "hmac", ...). It fails closed: no credential, an empty
	// secret or an absent header never admit.
	Verify func(Credentials, Request) (placement string, err error)

	// Present makes a request carry a credential that Verify admits, to try a callback. It reports false
	// if the account has none. nil: the provider has no kind of credential of its own.
	Present func(Credentials, http.Header, url.Values, []byte, time.Time) bool

	// Forms says what is special about the way the provider writes JSON.
	Forms document.Forms

	// Read decodes a body; see document.Reader.
	Read func(body []byte) (document.Object, []FieldError)

	// Identify finds in a decoded body what is needed to validate and store it.
	Identify func(doc document.Object, via event.Via) Identity

	// Validate checks a part of a body against the named schema of this provider.
	Validate func(schema string, doc document.Object) []FieldError

	// NewValues tells what in a payload the provider's schemas do not know; nil: nobody looks.
	NewValues func(Payload) []NewValue

	// Words tells at which places of a payload the provider's schemas list words, as JSON pointers in
	// lower case: true where a word may be shown, false where it is about a person. nil: nobody looks.
	Words func(Payload) map[string]bool

	// Decode makes of the settings that this provider alone knows, by key, the value that Map finds as
	// Settings.Own. nil: the provider has no settings of its own.
	Decode func(values map[string]any) any

	// Foreign reports whether a body was sent by an application that an account does not take bodies of.
	// It is asked where the body names its application; own is Settings.Own. nil: all are taken.
	Foreign func(own any, application string) bool

	// Map turns a stored payload into an observation.
	Map Mapping

	// AnyMediaType admits callbacks whatever their Content-Type says.
	AnyMediaType bool

	// ReferenceName is what the reference is called among provider.references: journey_id.
	ReferenceName string

	// CanonicalReference writes a reference as Identify does, where two spellings mean one; nil: as it is.
	CanonicalReference func(string) string

	// Polled: the provider is always asked, its callbacks do not tell everything.
	Polled bool

	// Silent is what a verification is that ended without a word: expired, or abandoned.
	Silent event.Status

	// ConfirmByDefault: callbacks are only triggers, verdicts come from a fetched result.
	ConfirmByDefault bool
}

// Canonical writes a reference that a caller gave as Identify would find it.
func (p Provider) Canonical(reference string) string {
	if p.CanonicalReference == nil {
		return reference
	}
	return p.CanonicalReference(reference)
}

// Identity is what a body says about itself.
type Identity struct {
	Schema    string          // which schema of the provider describes Document
	At        string          // JSON pointer to Document within the body; "" is the whole
	Document  document.Object // the part that the schema describes
	Reference string          // the provider's id of the verification; "" if none was found
	EventID   string          // the provider's id of the message; "" if none
	Event     string          // what the provider calls the message; "" if nothing
	Missing   string          // JSON pointer where the reference was looked for, for the error message

	// Application is the provider's id of the customer application that sent the body; "" if none.
	Application string
}

// Request is a callback as it came in.
type Request struct {
	Header     http.Header
	Query      url.Values
	Body       []byte
	ReceivedAt time.Time
	Path       string // of the URL, where it led to no account
	MaxContent int    // bytes that the body may unpack to; 0: as much as a stored one
}

// Credentials are what an account accepts on a callback. Any one of them admits; several of a kind
// serve rotation; none at all refuses everything.
type Credentials struct {
	Basic      []BasicCredential
	Bearer     []string
	Headers    []HeaderCredential
	HMAC       HMACCredential
	Keys       []string // given to the provider with a start, presented by its callbacks
	Placements []string // where Keys may stand; empty: every documented placement
	KeyHeaders []string // names of the custom headers that may carry a key; empty: the sheet's candidates
	URLTokens  []string // the value of ?token= in the callback URL
}

// BasicCredential is a user and password of HTTP Basic.
type BasicCredential struct{ Username, Password string }

// HeaderCredential is a static header of the operator's choice.
type HeaderCredential struct{ Name, Value string }

// HMACCredential is a signature over timestamp and raw body.
type HMACCredential struct {
	Secrets   []string
	Header    string        // empty: the provider's default
	Tolerance time.Duration // how old a signature may be; zero: the provider's default
}
