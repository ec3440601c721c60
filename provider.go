package kycbridge

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"time"

	"kycbridge/document"
	"kycbridge/event"
)

// Provider holds everything that differs between providers: a struct of functions, one value per provider,
// in one table (internal/app/providers.go).
type Provider struct {
	// Name is a token of addresses and subjects: ondato.
	Name string

	// Verify authenticates a callback against an account's credentials and returns the placement that
	// matched ("basic", "bearer", "hmac", ...). It fails closed: no credential, an empty secret or an
	// absent header are refused.
	Verify func(Credentials, Request) (placement string, err error)

	// Present adds a credential that Verify accepts to a request, to test a callback. It returns false if the
	// account has none. nil: the provider has no kind of credential of its own.
	Present func(Credentials, http.Header, url.Values, []byte, time.Time) bool

	// Forms lists the peculiarities of the provider's JSON.
	Forms document.Forms

	// Read decodes a body; see document.Reader.
	Read func(body []byte) (document.Object, []FieldError)

	// Identify reads from a decoded body what is needed to validate and store it.
	Identify func(doc document.Object, via event.Via) Identity

	// Validate checks a part of a body against the named schema of this provider.
	Validate func(schema string, doc document.Object) []FieldError

	// NewValues returns the values of a decoded body that the provider's schemas do not know; nil: not
	// checked.
	NewValues func(doc document.Object, via event.Via) []NewValue

	// Words returns the pointers of a payload at which the provider's schemas list words, in lower case:
	// true if a word may be shown, false if it is personal. nil: not checked.
	Words func(Payload) map[string]bool

	// Decode converts the settings that only this provider has, by key, into the value that Map receives as
	// Settings.Own. nil: the provider has no settings of its own.
	Decode func(values map[string]any) any

	// Foreign states why an account does not accept the bodies of the application that sent one, without a value of
	// the body; "" if it accepts them. It is called if the body names its application; own is Settings.Own. nil: all
	// are accepted.
	Foreign func(own any, application string) (why string)

	// Map turns a stored payload into an observation.
	Map Mapping

	// AnyMediaType accepts callbacks with any Content-Type.
	AnyMediaType bool

	// ReferenceName is the name of the reference among provider.references: journey_id.
	ReferenceName string

	// CanonicalReference normalizes a reference as Identify does, if several spellings are equal; nil:
	// unchanged.
	CanonicalReference func(string) string

	// Polled: the provider is always polled, because its callbacks are incomplete.
	Polled bool

	// CallbackOnly are the products (provider.product of an event) whose results the API does not have: their
	// verifications are never fetched.
	CallbackOnly []string

	// Silent is the status of a verification that ended without a message: expired, or abandoned.
	Silent event.Status

	// ConfirmByDefault: callbacks are only triggers, verdicts come from a fetched result.
	ConfirmByDefault bool
}

// Canonical normalizes a reference from a caller as Identify would read it.
func (p Provider) Canonical(reference string) string {
	if p.CanonicalReference == nil {
		return reference
	}
	return p.CanonicalReference(reference)
}

// Identity is what identifies a body.
type Identity struct {
	Schema    string          // which schema of the provider describes Document
	At        string          // JSON pointer to Document within the body; "" is the whole
	Document  document.Object // the part that the schema describes
	Reference string          // the provider's id of the verification; "" if none was found
	EventID   string          // the provider's id of the message; "" if none
	Event     string          // the provider's name of the message type; "" if none
	Missing   string          // JSON pointer where the reference was expected, for the error message

	// Application is the provider's id of the customer application that sent the body; "" if none.
	Application string
}

// Request is a received callback.
type Request struct {
	Header     http.Header
	Query      url.Values // parsed; nil if the URL has none
	Body       []byte     // as received, packed if Content-Encoding says so
	ReceivedAt time.Time
	Path       string // of the URL, if it led to no account
	MaxContent int    // limit of the unpacked body, in bytes; 0: that of a stored one
	// Certificate is the client's, verified against the trusted authorities; nil: none.
	Certificate *x509.Certificate
}

// Credentials are the accepted credentials of an account's callbacks. Any one of them is sufficient;
// several of a kind allow rotation; without any, every callback is refused.
type Credentials struct {
	Basic      []BasicCredential
	Bearer     []string
	Headers    []HeaderCredential
	HMAC       HMACCredential
	Keys       []string // given to the provider with a start, presented by its callbacks
	Placements []string // permitted positions of Keys; empty: every documented one
	KeyHeaders []string // names of the custom headers that may carry a key; empty: the provider's candidates
	URLTokens  []string // the value of ?token= in the callback URL

	ClientCerts []ClientCertCredential
	OAuth2      OAuth2Credential
}

// BasicCredential is a user and password of HTTP Basic.
type BasicCredential struct{ Username, Password string }

// HeaderCredential is a static header of the operator's choice.
type HeaderCredential struct{ Name, Value string }

// HMACCredential is a signature over timestamp and raw body.
type HMACCredential struct {
	Secrets   []string
	Header    string        // empty: the provider's default
	Tolerance time.Duration // maximum age of a signature; zero: the provider's default
}

// ClientCertCredential describes client certificates by one of its members; the others are empty.
type ClientCertCredential struct {
	SubjectCN string // the common name of the subject
	SANDNS    string // one of the DNS names, in lower case
	SHA256    string // the digest of the whole certificate (DER), 64 lower-case hex digits
}

// OAuth2Credential are the clients that fetch access tokens from kycbridge and present them on callbacks.
type OAuth2Credential struct {
	Audience string         // the account that the tokens are valid for: provider/name
	Clients  []OAuth2Client // several of one id allow rotation of its secret
	Lifetime time.Duration  // of a token
}

// OAuth2Client is a client of the client-credentials grant (RFC 6749).
type OAuth2Client struct{ ID, Secret string }
