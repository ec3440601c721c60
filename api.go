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

// API holds the calls of one account to its provider: a struct of functions with the account's credentials
// and limits. A missing ability of a provider is a nil field. Every error that they return wraps a
// *ProviderError, or is the error of the context.
type API struct {
	// Fetch requests the state of a verification and returns each answer unchanged, also those before an
	// error. Safe to repeat.
	Fetch func(ctx context.Context, q Query) ([]Fetched, error)

	// Start creates a verification at the provider. It is sent once: a repeated start may create a second
	// verification, or end a first one. ProviderError.Sent reports whether a failed one may have arrived.
	Start func(ctx context.Context, r StartRequest) (Started, error)
	// Files: Start inserts the files of a request at their marks.
	Files bool

	// Step submits one step of a verification in progress. It is sent once.
	Step func(ctx context.Context, s Step) (StepAnswer, error)

	// Complete ends the submission of steps: nothing can be added afterwards, and the provider decides. It
	// is sent once.
	Complete func(ctx context.Context, reference string) (StepAnswer, error)

	// Review submits a person's decision on a verification. It is sent once.
	Review func(ctx context.Context, r Review) (StepAnswer, error)

	// Media opens an image or video of a verification. The caller closes its Body.
	Media func(ctx context.Context, m MediaRequest) (MediaAnswer, error)
}

// Query selects one verification.
type Query struct {
	Reference string // the provider's id of the verification
	Triggered bool   // a callback announced a result: fetch the result, not the progress
}

// Fetched is one answer of a provider's API.
type Fetched struct {
	// Part distinguishes the answers about one verification: there is one current body for each part.
	Part        string
	ContentType string // as the provider sent it; may be ""
	Body        []byte // unchanged
}

// StartRequest is one request shape for all providers. A client sends the fields that its provider
// supports and ignores the rest; the provider's start schema lists the required ones.
type StartRequest struct {
	ExternalReference string          // the caller's id of the case; "" if it has none
	Person            Person          // what the caller knows about the applicant
	Options           json.RawMessage // the provider's own options as its start schema has them; may be empty
	FlowID            string          // flow or setup; "": the account's
	SuccessURL        string          // where the applicant's browser is sent afterwards; proves nothing
	FailureURL        string          // the same after a failure
	Language          string          // BCP 47
	Validity          time.Duration   // of the link; 0: the provider's default
	CallbackURL       string          // the URL for this account's callbacks; "" if none is configured
	CallbackKey       string          // the credential that the provider sends with them; "" if none is configured
	Files             []File          // long strings of Options; only if the API supports them
}

// File is a long string of a request that is not held in memory: a document or a video as base64.
type File struct {
	Mark string           // its placeholder in Options
	Size int64            // of the base64 text, in bytes
	Open func() io.Reader // from its beginning; may be called again, until the request has been answered
}

// Person is the caller's data about the applicant, with OIDC claim names.
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

// FullName is the name as one string, joined from its parts if it was not given as a whole.
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

// Parts are the given names, the middle name and the family name. A full name is split only if its
// beginning or end is also given as a part; otherwise all of it counts as given names, because the split
// cannot be guessed.
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

// without returns whole without part at its end or beginning; "" if part is not there, or nothing remains.
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

// Started is a verification that was created at a provider.
type Started struct {
	Reference  string            // the provider's id of the verification
	References map[string]string // further ids of the provider, by the names of Observation.References
	URL        string            // the applicant's page; "" if the provider returns none
	ExpiresAt  time.Time         // of the URL; zero: not stated by the provider

	FlowID, FlowVersion string // that the provider used; "" if not stated
	Test                bool   // the provider marks this as not live traffic
	// Answer is the provider's answer as a JSON object without addresses and credentials: it is stored for
	// as long as payloads are.
	Answer json.RawMessage
}

// Step is one step of a verification, submitted by the caller's backend.
type Step struct {
	Reference string          // the provider's id of the verification
	StepID    string          // the provider's id of the step
	Images    []StepImage     // front first
	Skip      bool            // the applicant skips the step
	Data      json.RawMessage // what the provider's step takes beside images; may be empty
	JSON      bool            // send images as base64 within JSON instead of multipart
}

// StepImage is one side of a document, or a face.
type StepImage struct {
	ContentType string
	Body        []byte
}

// StepAnswer is the provider's answer to a submission: its unchanged body, which may be empty.
type StepAnswer struct{ Body json.RawMessage }

// Review is a person's decision on a verification, submitted by the caller's backend.
type Review struct {
	Reference string        // the provider's id of the verification
	Decision  event.Outcome // approved, rejected or resubmit
	Comment   string        // for the provider's reviewers
	Steps     []StepReview  // of a resubmission: all steps to be repeated, possibly others too
}

// StepReview states whether the applicant must repeat a step.
type StepReview struct {
	StepID string
	Redo   bool
}

// MediaRequest identifies an image or video by the provider's reference: an opaque id or an address.
type MediaRequest struct {
	Reference  string            // the provider's id of the verification
	References map[string]string // the known ids of the verification
	Ref        string            // media[].provider_ref of an event
}

// MediaAnswer is an open image or video. Length is -1 if it is not known.
type MediaAnswer struct {
	ContentType string
	Length      int64
	Body        io.ReadCloser
}

// ProviderErrorKind is the cause of a failed call, which determines the reaction.
type ProviderErrorKind string

// The kinds of failed calls to a provider.
const (
	ProviderCredentials ProviderErrorKind = "credentials" // the provider did not accept the account's credentials
	// accepted, but not sufficient for this call, address or environment
	ProviderForbidden   ProviderErrorKind = "forbidden"
	ProviderInvalid     ProviderErrorKind = "invalid"      // the content of the request was refused
	ProviderNotFound    ProviderErrorKind = "not_found"    // the provider does not know the verification
	ProviderPending     ProviderErrorKind = "pending"      // the provider has no result yet
	ProviderRateLimited ProviderErrorKind = "rate_limited" // too many calls
	ProviderUnavailable ProviderErrorKind = "unavailable"  // the provider, or a service that it depends on, is down
	ProviderUnreachable ProviderErrorKind = "unreachable"  // no answer: connection refused, timeout, TLS
	ProviderMalformed   ProviderErrorKind = "malformed"    // an answer that cannot be read
	// not sent: after many failures calls are paused (circuit breaker)
	ProviderPaused ProviderErrorKind = "paused"
)

// ProviderError is a failed call to a provider. Its Error is safe to log: the provider's own text, which
// may repeat the request, is separate in Message.
type ProviderError struct {
	Kind       ProviderErrorKind // decides about a retry and the status of an answer
	Call       string            // the provider's name of the call: get_details
	Status     int               // HTTP status; 0: no answer
	Code       string            // the provider's code, if it has one
	Message    string            // the provider's own text, at most 300 bytes of one line; not for logs
	Fields     []FieldError      // the members of the request that the provider refused, if it names them
	RetryAfter time.Duration     // requested by the provider or the circuit breaker; 0: none
	Sent       bool              // the provider may have processed the request
	NoAnswer   string            // why there was no answer, in words of kycbridge; "": there was one, or it is not known
	Err        error             // the cause; never contains a URL with a secret
}

// Error names the failed call, the kind and why there was no answer, without the provider's text.
func (e *ProviderError) Error() string {
	s := e.Call + ": " + string(e.Kind)
	if e.Status != 0 {
		s += ", the provider answered " + strconv.Itoa(e.Status)
	}
	if e.NoAnswer != "" {
		s += ", " + e.NoAnswer
	}
	return s
}

// Unwrap returns the cause.
func (e *ProviderError) Unwrap() error { return e.Err }

// Passing reports whether the same call may succeed later without a change.
func (e *ProviderError) Passing() bool {
	switch e.Kind {
	case ProviderPending, ProviderRateLimited, ProviderUnavailable, ProviderUnreachable, ProviderMalformed, ProviderPaused:
		return true
	}
	return false
}
