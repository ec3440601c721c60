package event

import (
	"encoding/json"
	"time"
)

// DataSchema is the URI of the schema that Data conforms to, minor version included.
const DataSchema = "urn:kycbridge:schema:verification:1.1"

// Event is one published revision of a verification: a CloudEvents 1.0 envelope in structured
// JSON around Data. The whole of it is the body of one NATS message.
type Event struct {
	SpecVersion     string `json:"specversion"`
	Type            string `json:"type"`
	Source          string `json:"source"`
	ID              string `json:"id"`
	Subject         string `json:"subject"`
	Time            string `json:"time"`
	DataContentType string `json:"datacontenttype"`
	DataSchema      string `json:"dataschema"`
	PartitionKey    string `json:"partitionkey"`
	RecordedTime    string `json:"recordedtime"`
	RestoredTime    string `json:"restoredtime,omitempty"` // when the event stream last lost events; "": never
	Data            Data   `json:"data"`

	// Traceparent is the W3C trace context of the callback, if it had one. It is sent in a header.
	Traceparent string `json:"-"`
}

// Data is the whole known state of one verification (schemas/event/data.schema.json). All instants are RFC 3339, UTC,
// with Z.
type Data struct {
	VerificationID    string           `json:"verification_id"`
	Revision          int              `json:"revision"`
	Supersedes        string           `json:"supersedes,omitempty"`
	Account           string           `json:"account"`
	Environment       Environment      `json:"environment"`
	ExternalReference string           `json:"external_reference,omitempty"`
	Provider          ProviderData     `json:"provider"`
	Status            Status           `json:"status"`
	StatusDetail      string           `json:"status_detail,omitempty"`
	Decision          Decision         `json:"decision"`
	Decisions         []DecisionStep   `json:"decisions"`
	Reasons           []Reason         `json:"reasons"`
	RequiredActions   []RequiredAction `json:"required_actions,omitempty"`
	Checks            []Check          `json:"checks"`
	Risk              *Risk            `json:"risk,omitempty"`
	Documents         []Document       `json:"documents,omitempty"`
	ExtractedClaims   Claims           `json:"extracted_claims,omitempty"`
	VerifiedClaims    *VerifiedClaims  `json:"verified_claims,omitempty"`
	Media             []Media          `json:"media,omitempty"`
	Session           *Session         `json:"session,omitempty"`
	PII               PII              `json:"pii"`
	Payload           PayloadRef       `json:"payload"`
	Extensions        map[string]any   `json:"extensions,omitempty"`
}

// ProviderData is the provider's own data and terms.
type ProviderData struct {
	Name        string            `json:"name"`
	Product     string            `json:"product,omitempty"`
	FlowID      string            `json:"flow_id,omitempty"`
	FlowVersion string            `json:"flow_version,omitempty"`
	References  map[string]string `json:"references"`
	Event       ProviderEvent     `json:"event"`
	Status      map[string]any    `json:"status"` // every status and decision field, values verbatim
}

// ProviderEvent is the cause of a revision.
type ProviderEvent struct {
	Name       string `json:"name"`
	ID         string `json:"id,omitempty"`
	OccurredAt string `json:"occurred_at,omitempty"`
	ReceivedAt string `json:"received_at"`
	Via        Via    `json:"via"`
}

// Decision is the effective verdict. Accept a person only if Outcome is approved and Final is true.
type Decision struct {
	Outcome   Outcome   `json:"outcome"`
	Final     bool      `json:"final"`
	Stage     Stage     `json:"stage,omitempty"`
	ActorType ActorType `json:"actor_type,omitempty"`
	DecidedAt string    `json:"decided_at,omitempty"`
}

// DecisionStep is one link of the chain of decisions; there is at most one per stage.
type DecisionStep struct {
	Stage         Stage     `json:"stage"`
	Outcome       Outcome   `json:"outcome"`
	ActorType     ActorType `json:"actor_type"`
	ActorRef      string    `json:"actor_ref,omitempty"`
	ProviderValue string    `json:"provider_value,omitempty"`
	DecidedAt     string    `json:"decided_at,omitempty"`
}

// Reason is a reason as category.detail. Retryable is nil if the provider does not state
// it.
type Reason struct {
	Code         string `json:"code"`
	Retryable    *bool  `json:"retryable,omitempty"`
	CheckID      string `json:"check_id,omitempty"`
	ProviderCode string `json:"provider_code,omitempty"`
}

// RequiredAction is an action that the applicant must take, or repeat.
type RequiredAction struct {
	// start, resume, resubmit_document, resubmit_selfie, resubmit_other, rejoin_call, renew
	Action       string   `json:"action"`
	ProviderStep string   `json:"provider_step,omitempty"`
	Reasons      []string `json:"reasons,omitempty"`
	Deadline     string   `json:"deadline,omitempty"`
}

// Check is one performed or skipped check (schemas/event/data.schema.json). Score and Threshold are 0..1 and 1 is
// good; the provider's own number with its range is in ScoreRaw.
type Check struct {
	CheckID        string         `json:"check_id"`
	Type           string         `json:"type"`
	Result         Result         `json:"result"`
	Method         string         `json:"method,omitempty"`
	Score          *float64       `json:"score,omitempty"`
	Threshold      *float64       `json:"threshold,omitempty"`
	ScoreRaw       *ScoreRaw      `json:"score_raw,omitempty"`
	DocumentIDs    []string       `json:"document_ids,omitempty"`
	Fields         []CheckField   `json:"fields,omitempty"`
	Reasons        []string       `json:"reasons,omitempty"`
	PerformedBy    string         `json:"performed_by,omitempty"`
	CompletedAt    string         `json:"completed_at,omitempty"`
	ProviderCheck  string         `json:"provider_check,omitempty"`
	ProviderResult string         `json:"provider_result,omitempty"`
	Details        map[string]any `json:"details,omitempty"` // never personal data
}

// ScoreRaw is a provider's number and its range.
type ScoreRaw struct {
	Value float64 `json:"value"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
}

// CheckField is the result of a check for one field.
type CheckField struct {
	Field  string   `json:"field"`
	Result Result   `json:"result"`
	Score  *float64 `json:"score,omitempty"`
}

// Risk is the provider's overall risk; Score is 0..1 and 1 is worst.
type Risk struct {
	Score *float64 `json:"score,omitempty"`
	Level string   `json:"level,omitempty"` // low, medium, high
}

// Document is one presented document, with any result.
type Document struct {
	DocumentID      string  `json:"document_id"`
	Type            string  `json:"type"` // OIDC4IDA name, or one with a country prefix if OIDC4IDA has none (in_pan)
	Subtype         string  `json:"subtype,omitempty"`
	MRZDocumentCode string  `json:"mrz_document_code,omitempty"`
	DocumentNumber  string  `json:"document_number,omitempty"`
	DateOfIssuance  string  `json:"date_of_issuance,omitempty"` // YYYY-MM-DD
	DateOfExpiry    string  `json:"date_of_expiry,omitempty"`   // YYYY-MM-DD
	Issuer          *Issuer `json:"issuer,omitempty"`
}

// Issuer is the issuer of a document; CountryCode is ICAO 9303 / ISO 3166-1 alpha-3.
type Issuer struct {
	Name         string `json:"name,omitempty"`
	CountryCode  string `json:"country_code,omitempty"`
	Jurisdiction string `json:"jurisdiction,omitempty"`
}

// Claims are OIDC claims by name. Values are strings, maps of strings (address, place_of_birth) or
// lists of strings (nationalities).
type Claims map[string]any

// VerifiedClaims is the OIDC4IDA object, present only on a final approval.
type VerifiedClaims struct {
	Verification map[string]any `json:"verification"`
	Claims       Claims         `json:"claims"`
}

// Media is one image or video that exists at the provider.
type Media struct {
	Kind        string `json:"kind"`
	MediaType   string `json:"media_type,omitempty"`
	ProviderRef string `json:"provider_ref"`
	ExpiresAt   string `json:"expires_at,omitempty"`

	// Field is the pointer in the provider's body; it replaces a ProviderRef that opens without
	// credentials if the account's profile withholds such an address.
	Field string `json:"-"`
}

// Session is the applicant's session at the provider.
type Session struct {
	Channel       string   `json:"channel,omitempty"` // web, mobile_sdk, video_call, api
	CreatedAt     string   `json:"created_at,omitempty"`
	ScheduledAt   string   `json:"scheduled_at,omitempty"` // of a booked call
	StartedAt     string   `json:"started_at,omitempty"`
	SubmittedAt   string   `json:"submitted_at,omitempty"`
	EndedAt       string   `json:"ended_at,omitempty"`
	ExpiresAt     string   `json:"expires_at,omitempty"`
	Consent       *Consent `json:"consent,omitempty"`
	Country       string   `json:"country,omitempty"` // ISO 3166-1 alpha-2
	CountrySource string   `json:"country_source,omitempty"`
}

// Consent is the applicant's agreement to the process.
type Consent struct {
	Given bool   `json:"given"`
	At    string `json:"at,omitempty"`
}

// PII is the amount of personal data in an event.
type PII struct {
	Profile Profile `json:"profile"`
	KeyID   string  `json:"key_id,omitempty"` // of the first recipient, under the profile encrypted
	// JWE holds the personal members under the profile encrypted: by key id of each recipient the same content as
	// a compact JSON Web Encryption (Personal). It is empty before the event is encrypted.
	JWE map[string]string `json:"jwe,omitempty"`
}

// PayloadRef identifies the stored payload that an event was made from.
type PayloadRef struct {
	ID      string `json:"id"`
	Digest  string `json:"digest"` // sha256:<64 hex>
	Mapping string `json:"mapping"`
	// AdmittedBy is what admitted the payload: the placement of the callback's credential, api for a
	// fetched body, notice for a notice of kycbridge.
	AdmittedBy string `json:"admitted_by,omitempty"`
	// Confirmed: the current verdict was read over the provider's API. It belongs to the verdict, so a
	// later payload without a verdict does not change it.
	Confirmed bool `json:"confirmed,omitempty"`
}

// Instant formats t for an event. The zero time yields "".
func Instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// ParseInstant parses the result of Instant; anything else yields the zero time.
func ParseInstant(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// Decode decodes the body of a message of the event stream. The error is that of encoding/json; unknown
// members are ignored.
func Decode(body []byte) (Event, error) {
	var e Event
	err := json.Unmarshal(body, &e)
	return e, err
}

// Accepted reports whether the person may be accepted: the decision is a final approval. With any other
// decision, also one that this version does not know, the person must not be accepted: not at all, not yet,
// or no longer.
func (e *Event) Accepted() bool {
	return e.Data.Decision.Outcome == OutcomeApproved && e.Data.Decision.Final
}

// NewerThan reports whether e comes after another event of the same verification. An event that was
// published after the event stream had lost events is newer than all from before; otherwise the higher
// revision is newer.
func (e *Event) NewerThan(other *Event) bool {
	if e.RestoredTime != other.RestoredTime {
		return e.RestoredTime > other.RestoredTime // whole seconds in UTC: texts compare like instants
	}
	return e.Data.Revision > other.Data.Revision
}
