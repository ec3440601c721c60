package ondato

import (
	"encoding/json"
	"time"
)

// Token is an answer of the token endpoint.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2320990304
type Token struct {
	AccessToken string      `json:"access_token"`
	ExpiresIn   json.Number `json:"expires_in"` // seconds
	TokenType   string      `json:"token_type"`
	Scope       string      `json:"scope"`
}

// CreateRequest is the body of the call that makes an identity verification (IDV).
// Source: https://ondato.atlassian.net/wiki/x/7ILWi
type CreateRequest struct {
	SetupID             string              `json:"setupId,omitempty"`
	ExternalReferenceID string              `json:"externalReferenceId,omitempty"`
	Registration        *Registration       `json:"registration,omitempty"`
	RepresentativeID    string              `json:"representativeId,omitempty"`
	FaceAuthentication  *FaceAuthentication `json:"faceAuthentication,omitempty"`
}

// Registration is what is known of the applicant beforehand.
type Registration struct {
	DateOfBirth  string `json:"dateOfBirth,omitempty"` // YYYY-MM-DD
	Email        string `json:"email,omitempty"`
	FirstName    string `json:"firstName,omitempty"`
	MiddleName   string `json:"middleName,omitempty"`
	LastName     string `json:"lastName,omitempty"`
	PersonalCode string `json:"personalCode,omitempty"`
	// PhoneNumber is a JSON number, the international digits; it does not fit into 32 bits.
	PhoneNumber json.Number `json:"phoneNumber,omitempty"`
	CountryCode string      `json:"countryCode,omitempty"` // ISO 3166-1 alpha-2
}

// FaceAuthentication names an earlier identity verification whose face the applicant is compared to.
type FaceAuthentication struct {
	IdentityVerificationID string `json:"identityVerificationId"`
}

// SetupRef names a configuration at Ondato.
type SetupRef struct {
	ID         string `json:"id"`
	VersionID  string `json:"versionId"`
	OverrideID string `json:"overrideId"`
}

// IdentityVerification is an IDV: the applicant's way through a flow. Its status is no verdict.
// Source: https://ondato.atlassian.net/wiki/x/7ILWi
type IdentityVerification struct {
	ID                    string        `json:"id"`
	ApplicationID         string        `json:"applicationId"`
	ExternalReferenceID   string        `json:"externalReferenceId"`
	Status                string        `json:"status"`
	CreatedUTC            time.Time     `json:"createdUtc"`
	ModifiedUTC           time.Time     `json:"modifiedUtc"`
	Setup                 SetupRef      `json:"setup"`
	Registration          *Registration `json:"registration"`
	CommunicationChannels []Channel     `json:"communicationChannels"`
	Redaction             *Redaction    `json:"redaction"`
	Step                  IDVStep       `json:"step"`
}

// Channel is a way in which Ondato writes to the applicant.
type Channel struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// Redaction says when personal data are or were removed.
type Redaction struct {
	RedactedUTC time.Time `json:"redactedUtc"`
}

// IDVStep holds the steps of a flow that exist so far.
type IDVStep struct {
	Consent                 *Consent  `json:"consent"`
	KYCIdentification       *StepRef  `json:"kycIdentification"`
	KYBIdentification       *StepRef  `json:"kybIdentification"`
	FaceAuthentication      *StepRef  `json:"faceAuthentication"`
	AuthenticationSignature *StepRef  `json:"authenticationSignature"`
	DocumentSignatures      []StepRef `json:"documentSignatures"`
	Forms                   []StepRef `json:"forms"`
}

// Consent is the applicant's agreement to be checked.
type Consent struct {
	ID           string    `json:"id"`
	IsConsented  bool      `json:"isConsented"`
	ConsentedUTC time.Time `json:"consentedUtc"`
}

// StepRef names the resource of a step.
type StepRef struct {
	ID        string `json:"id"`
	IsSuccess *bool  `json:"isSuccess"`
}

// Identification is a KYC identification: the check of document and face, which holds the verdict.
type Identification struct {
	ID                     string            `json:"id"`
	ApplicationID          string            `json:"applicationId"`
	IdentityVerificationID string            `json:"identityVerificationId"`
	ExternalReferenceID    string            `json:"externalReferenceId"`
	CreatedUTC             time.Time         `json:"createdUtc"`
	CompletedUTC           time.Time         `json:"completedUtc"`
	Setup                  SetupRef          `json:"setup"`
	Status                 string            `json:"status"`
	StatusReason           string            `json:"statusReason"` // counts only where the status is final
	IsCrossChecked         *bool             `json:"isCrossChecked"`
	Document               *Document         `json:"document"`
	Face                   *Face             `json:"face"`
	AdditionalFiles        []File            `json:"additionalFiles"`
	Rules                  []CheckResult     `json:"rules"`
	FraudChecks            []CheckResult     `json:"fraudChecks"`
	Registries             []json.RawMessage `json:"registries"`
	Scores                 []json.RawMessage `json:"scores"`
}

// Document is an identity document as Ondato read it. Dates are YYYY-MM-DD.
type Document struct {
	FullName         string          `json:"fullName"`
	FirstName        string          `json:"firstName"`
	MiddleName       string          `json:"middleName"`
	LastName         string          `json:"lastName"`
	DocumentNumber   string          `json:"documentNumber"`
	PersonalCode     string          `json:"personalCode"`
	Address          string          `json:"address"`
	DateOfIssue      string          `json:"dateOfIssue"`
	DateOfExpiration string          `json:"dateOfExpiration"`
	DateOfBirth      string          `json:"dateOfBirth"`
	NationalityISO3  string          `json:"nationalityIso3"`
	CountryISO3      string          `json:"countryIso3"`
	CountryStateISO2 string          `json:"countryStateIso2"`
	Gender           string          `json:"gender"`
	Type             string          `json:"type"`
	Category         string          `json:"category"`
	MRZVerified      *bool           `json:"mrzVerified"`
	Files            []File          `json:"files"`
	OCRValidations   []OCRValidation `json:"ocrValidations"`
}

// OCRValidation says whether a field of a document could be confirmed.
type OCRValidation struct {
	Key     string `json:"key"`
	IsValid bool   `json:"isValid"`
}

// Face is what is known of the applicant's face. The estimated age is a word or a number.
type Face struct {
	EnrollmentID  string          `json:"enrollmentId"`
	AgeEstimation json.RawMessage `json:"ageEstimation"`
	Files         []File          `json:"files"`
}

// File is an image or video of an identification.
type File struct {
	CreatedUTC    time.Time `json:"createdUtc"`
	FileID        string    `json:"fileId"`
	FileName      string    `json:"fileName"`
	FileExtension string    `json:"fileExtension"`
	Part          string    `json:"part"`
	FileType      string    `json:"fileType"`
}

// CheckResult is a rule or a fraud check with its outcome.
type CheckResult struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

// Webhook is a message of the webhook history.
type Webhook struct {
	ID            string          `json:"id"`
	ApplicationID string          `json:"applicationId"`
	CreatedUTC    time.Time       `json:"createdUtc"`
	Payload       json.RawMessage `json:"payload"`
	Type          string          `json:"type"`
	DeliveredUTC  time.Time       `json:"deliveredUtc"` // zero: not yet
	IsDelivered   bool            `json:"isDelivered"`
}

// FilterRequest asks for the identifications that were created in a span of time.
type FilterRequest struct {
	ApplicationID string   `json:"applicationId,omitempty"`
	CreatedUTC    TimeSpan `json:"createdUtc"`
}

// TimeSpan is a span of time.
type TimeSpan struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Setup is the flow of an identity verification.
// Source: https://github.com/ondato/ondato-sdk-react-native
type Setup struct {
	ID            string      `json:"id"`
	ApplicationID string      `json:"applicationId"`
	IsLive        *bool       `json:"isLive"`
	IsDisabled    *bool       `json:"isDisabled"`
	Steps         []SetupStep `json:"steps"`
}

// SetupStep is one step of a flow.
type SetupStep struct {
	Type    string `json:"type"`
	Order   int    `json:"order"`
	SetupID string `json:"setupId"`
}
