package kycbridge

import (
	"context"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"kycbridge/event"
)

// API is what one account can ask of its provider: a struct of functions that hold the account's
// credentials and limits. An ability that a provider lacks is a nil field. Every error that they
// return wraps a *ProviderError, or is the context's.
type API struct {
	// Fetch asks what the provider knows of a verification and returns each answer as it came, those
	// before an error too. Safe to repeat.
	Fetch func(ctx context.Context, q Query) ([]Fetched, error)

	// Start makes a verification at the provider. It is sent once: a repeated start may make a second
	// verification, or end a first one. ProviderError.Sent says whether a failed one may have arrived.
	Start func(ctx context.Context, r StartRequest) (Started, error)
	// Files: Start puts the files of a request where their marks stand.
	Files bool

	// Step hands in one step of a verification that is under way. It is sent once.
	Step func(ctx context.Context, s Step) (StepAnswer, error)

	// Complete ends the hand-in of steps: nothing can be added afterwards, and the provider decides. It
	// is sent once.
	Complete func(ctx context.Context, reference string) (StepAnswer, error)

	// Review hands in a person's decision on a verification. It is sent once.
	Review func(ctx context.Context, r Review) (StepAnswer, error)

	// Media opens an image or video of a verification. The caller closes its Body.
	Media func(ctx context.Context, m MediaRequest) (MediaAnswer, error)
}

// Query is a question about one verification.
type Query struct {
	Reference string
	Triggered bool // a callback says that there is a result: ask for that, not for progress
}

// Fetched is one answer of a provider's API.
type Fetched struct {
	// Part tells the answers about one verification apart: of each part there is one body at a time.
	Part        string
	ContentType string
	Body        []byte
}

// StartRequest is one request shape for all providers. A client sends what its provider takes and
// leaves out the rest; the provider's start schema says beforehand what it must have.
type StartRequest struct {
	ExternalReference string
	Person            Person
	Options           json.RawMessage // the provider's own options as its start schema has them; may be empty
	FlowID            string          // flow or setup; "" is the account's
	SuccessURL        string          // where the applicant's browser goes afterwards; no proof of anything
	FailureURL        string
	Language          string        // BCP 47
	Validity          time.Duration // of the link; 0 is the provider's default
	CallbackURL       string        // our address for this account's callbacks; "" if none is configured
	CallbackKey       string        // what the provider shall present there; "" if none is configured
	Files             []File        // long strings of Options; only where the API takes them
}

// File is a long string of a request that is not held in memory: a document or a video as base64. Mark
// stands in its place.
type File struct {
	Mark string
	Size int64
	Open func() io.Reader // from its beginning; may be called again, until the request has been answered
}

// Person is the applicant as the caller knows them, by OIDC claim names.
type Person struct {
	Name           string         `json:"name,omitempty"`
	GivenName      string         `json:"given_name,omitempty"`
	MiddleName     string         `json:"middle_name,omitempty"`
	FamilyName     string         `json:"family_name,omitempty"`
	Birthdate      string         `json:"birthdate,omitempty"` // YYYY-MM-DD
	Gender         string         `json:"gender,omitempty"`
	Email          string         `json:"email,omitempty"`
	PhoneNumber    string         `json:"phone_number,omitempty"` // E.164 with +, or as the provider documents it
	PersonalNumber string         `json:"personal_number,omitempty"`
	Address        *PersonAddress `json:"address,omitempty"`
}

// PersonAddress is OIDC's address claim. Country is ISO 3166-1 alpha-2 or alpha-3.
type PersonAddress struct {
	StreetAddress string `json:"street_address,omitempty"`
	Locality      string `json:"locality,omitempty"`
	Region        string `json:"region,omitempty"`
	PostalCode    string `json:"postal_code,omitempty"`
	Country       string `json:"country,omitempty"`
}

// FullName is the name as one string, made of its parts where it was not given whole.
func (p Person) FullName() string {
	full := p.Name
	if full == "" {
		for _, part := range []string{p.GivenName, p.MiddleName, p.FamilyName} {
			if full != "" && part != "" {
				full += " "
			}
			full += part
		}
	}
	return full
}

// Parts are the given names, the middle name and the family name apart. A whole name is told apart where
// one of its ends stands beside it, and is the given names otherwise: where a name divides, nobody can
// say but who bears it.
func (p Person) Parts() (given, middle, family string) {
	whole := strings.TrimSpace(p.Name)
	switch given, middle, family = p.GivenName, p.MiddleName, p.FamilyName; {
	case whole == "" || given != "" && family != "":
	case given == "" && family == "":
		given, middle = whole, ""
	case given == "":
		given = without(without(whole, family), middle)
	default:
		family = without(without(whole, given), middle)
	}
	return given, middle, family
}

// without is a name without a part at its end or beginning; "" if it has none there, or nothing else.
func without(whole, part string) string {
	if part == "" {
		return whole
	}
	if rest, ok := strings.CutSuffix(whole, " "+part); ok {
		return strings.TrimSpace(rest)
	}
	if rest, ok := strings.CutPrefix(whole, part+" "); ok {
		return strings.TrimSpace(rest)
	}
	return ""
}

// Started is a verification that a provider has made.
type Started struct {
	Reference  string
	References map[string]string // further ids of the provider, by the names of Observation.References
	URL        string            // where the applicant goes; "" if there is no such page
	ExpiresAt  time.Time         // of the URL; zero: the provider does not say

	FlowID, FlowVersion string
	Test                bool // the provider says that this is no live traffic
	// Answer is the provider's answer as a JSON object that holds no address and no credential: it is
	// stored for as long as payloads are.
	Answer json.RawMessage
}

// Step is one step of a verification, handed in by the caller's backend.
type Step struct {
	Reference string
	StepID    string
	Images    []StepImage // front first
	Skip      bool        // the applicant skips the step
	Data      json.RawMessage
	JSON      bool // send images as base64 within JSON instead of multipart
}

// StepImage is one side of a document, or a face.
type StepImage struct {
	ContentType string
	Body        []byte
}

// StepAnswer is what the provider answered to what was handed in: its body as it came, which may be
// empty.
type StepAnswer struct{ Body json.RawMessage }

// Review is a person's decision on a verification, taken by the caller's backend.
type Review struct {
	Reference string
	Decision  event.Outcome // approved, rejected or resubmit
	Comment   string        // for the provider's reviewers
	Steps     []StepReview  // of a resubmission: each step that is to be redone, and others
}

// StepReview says of one step whether the applicant has to redo it.
type StepReview struct {
	StepID string
	Redo   bool
}

// MediaRequest names an image or video by the provider's reference: an opaque id or an address.
type MediaRequest struct {
	Reference  string
	References map[string]string // the ids that the verification is known to have
	Ref        string
}

// MediaAnswer is an open image or video. Length is -1 where it is not known.
type MediaAnswer struct {
	ContentType string
	Length      int64
	Body        io.ReadCloser
}

// ProviderErrorKind says whose fault a failed call is, and so what to do.
type ProviderErrorKind string

// The kinds of failure of a call to a provider.
const (
	ProviderCredentials ProviderErrorKind = "credentials"  // our credentials were not accepted
	ProviderForbidden   ProviderErrorKind = "forbidden"    // ours, but they do not allow this call, address or environment
	ProviderInvalid     ProviderErrorKind = "invalid"      // the request was refused for what stands in it
	ProviderNotFound    ProviderErrorKind = "not_found"    // the provider does not know the verification
	ProviderPending     ProviderErrorKind = "pending"      // the provider has nothing to show yet
	ProviderRateLimited ProviderErrorKind = "rate_limited" // too many calls
	ProviderUnavailable ProviderErrorKind = "unavailable"  // the provider, or what stands behind it, is down
	ProviderUnreachable ProviderErrorKind = "unreachable"  // no answer: connection refused, timeout, TLS
	ProviderMalformed   ProviderErrorKind = "malformed"    // an answer that cannot be read
	ProviderPaused      ProviderErrorKind = "paused"       // not sent: so many calls failed that we wait (circuit breaker)
)

// ProviderError is a call to a provider that failed. Its Error is safe to log: the provider's own
// words, which may repeat what was sent, stand apart in Message.
type ProviderError struct {
	Kind       ProviderErrorKind
	Call       string // the provider's name of the call: get_details
	Status     int    // HTTP status; 0: no answer
	Code       string // the provider's code, where it has one
	Message    string // the provider's own words, at most 300 bytes of one line; not for logs
	Fields     []FieldError
	RetryAfter time.Duration // the provider's wish, or the breaker's; 0: none
	Sent       bool          // the request may have been worked on by the provider
	Err        error         // what it was caused by; never holds a URL with a secret
}

// Error says which call failed and how, without a word of the provider's.
func (e *ProviderError) Error() string {
	s := e.Call + ": " + string(e.Kind)
	if e.Status != 0 {
		s += ", the provider answered " + strconv.Itoa(e.Status)
	}
	return s
}

// Unwrap returns the cause.
func (e *ProviderError) Unwrap() error { return e.Err }

// Passing reports whether the same call may succeed later without anybody changing anything.
func (e *ProviderError) Passing() bool {
	switch e.Kind {
	case ProviderPending, ProviderRateLimited, ProviderUnavailable, ProviderUnreachable, ProviderMalformed, ProviderPaused:
		return true
	}
	return false
}
