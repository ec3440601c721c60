package event

// Status is the progress of a verification; the verdict is separate, in Decision.
type Status string

// The statuses of the canonical event (schemas/event/data.schema.json).
const (
	StatusCreated       Status = "created"
	StatusInProgress    Status = "in_progress"
	StatusProcessing    Status = "processing"
	StatusInReview      Status = "in_review"
	StatusRequiresInput Status = "requires_input"
	StatusCompleted     Status = "completed"
	StatusExpired       Status = "expired"
	StatusAbandoned     Status = "abandoned"
	StatusCanceled      Status = "canceled"
	StatusFailed        Status = "failed"
	StatusUnknown       Status = "unknown"
)

// Statuses are all statuses, in chronological order.
func Statuses() []Status {
	return []Status{StatusCreated, StatusInProgress, StatusProcessing, StatusInReview, StatusRequiresInput,
		StatusCompleted, StatusExpired, StatusAbandoned, StatusCanceled, StatusFailed, StatusUnknown}
}

// Terminal reports whether s ends a verification. A terminal status may still be reopened by an
// observation with a decision, a resubmission or a renewal.
func (s Status) Terminal() bool { return s == StatusCompleted || s.Closed() }

// Closed reports whether s is an end without a current decision.
func (s Status) Closed() bool {
	switch s {
	case StatusExpired, StatusAbandoned, StatusCanceled, StatusFailed:
		return true
	}
	return false
}

// Outcome is a verdict on the person.
type Outcome string

// The outcomes. Only OutcomeApproved together with Decision.Final admits a person.
const (
	OutcomeNone     Outcome = "none"
	OutcomeApproved Outcome = "approved"
	OutcomeRejected Outcome = "rejected"
	OutcomeReview   Outcome = "review"
	OutcomeResubmit Outcome = "resubmit"
)

// Outcomes are all outcomes.
func Outcomes() []Outcome {
	return []Outcome{OutcomeNone, OutcomeApproved, OutcomeRejected, OutcomeReview, OutcomeResubmit}
}

// Stage is the step of the decision chain at which a verdict was given.
type Stage string

// The stages, in the order of Data.Decisions.
const (
	StageSystem       Stage = "system"
	StageMaker        Stage = "maker"
	StageChecker      Stage = "checker"
	StageManualReview Stage = "manual_review"
	StagePolicy       Stage = "policy"
)

// ActorType distinguishes a machine from a person.
type ActorType string

// The actor types.
const (
	ActorSystem      ActorType = "system"
	ActorHuman       ActorType = "human"
	ActorUnspecified ActorType = "unspecified"
)

// Result is the result of one check. A missing check is not a passed check.
type Result string

// The results.
const (
	ResultPassed       Result = "passed"
	ResultFailed       Result = "failed"
	ResultWarning      Result = "warning"
	ResultUndetermined Result = "undetermined"
	ResultNotPerformed Result = "not_performed"
)

// Via is how a payload was received.
type Via string

// The ways of receiving a payload.
const (
	ViaCallback Via = "callback"
	ViaPoll     Via = "poll"
	ViaFetch    Via = "fetch"
	ViaStart    Via = "start"
	ViaDeadline Via = "deadline"
	ViaReplay   Via = "replay"
)

// Asked reports whether the body was requested from the provider's API.
func (v Via) Asked() bool { return v == ViaFetch || v == ViaPoll }

// Profile is the amount of personal data in an account's events (schemas/event/data.schema.json).
type Profile string

// The privacy profiles.
const (
	ProfileFull      Profile = "full"
	ProfileMasked    Profile = "masked"
	ProfileNone      Profile = "none"
	ProfileEncrypted Profile = "encrypted"
)

// Environment distinguishes sandbox traffic from live traffic.
type Environment string

// The environments.
const (
	EnvironmentLive Environment = "live"
	EnvironmentTest Environment = "test"
)

// Kind is the second-to-last token of an event's type and of its subject.
type Kind string

// The kinds of event.
const (
	KindUpdated   Kind = "updated"   // everything except the other two
	KindCompleted Kind = "completed" // the status became completed, or its decision changed
	KindClosed    Kind = "closed"    // ended without a current decision
)

// Status details that shared code sets or reads; the list is open (schemas/event/data.schema.json).
const (
	DetailNoProviderVerdict    = "no_provider_verdict"
	DetailUnconfirmed          = "unconfirmed"
	DetailStepsSubmitted       = "steps_submitted"
	DetailAwaitingSecondReview = "awaiting_second_review"
	DetailLinkSent             = "link_sent"
	DetailRenewalDue           = "renewal_due"
	DetailRenewalOverdue       = "renewal_overdue"
	DetailUnknownToProvider    = "unknown_to_provider"
)

// ReasonUnmappedStatus marks a provider value that the mapping does not know.
const ReasonUnmappedStatus = "system.unmapped_status"

// ReasonContradiction marks a body whose decision values contradict each other.
const ReasonContradiction = "system.contradiction"

// ReasonUntimed marks a verdict that differs from the current one and whose time cannot be trusted.
const ReasonUntimed = "system.untimed"

// Check types (schemas/event/data.schema.json). Private ones start with x_.
const (
	CheckDocumentRecognition  = "document_recognition"
	CheckDocumentAccepted     = "document_accepted"
	CheckDocumentAuthenticity = "document_authenticity"
	CheckDocumentExpiry       = "document_expiry"
	CheckImageQuality         = "image_quality"
	CheckMRZ                  = "mrz"
	CheckBarcode              = "barcode"
	CheckChip                 = "chip"
	CheckDataExtraction       = "data_extraction"
	CheckDataConsistency      = "data_consistency"
	CheckDataMatch            = "data_match"
	CheckDatabase             = "database"
	CheckFaceMatch            = "face_match"
	CheckLiveness             = "liveness"
	CheckFaceDuplicate        = "face_duplicate"
	CheckDuplicate            = "duplicate"
	CheckAge                  = "age"
	CheckAML                  = "aml"
	CheckGeolocation          = "geolocation"
	CheckIPRisk               = "ip_risk"
	CheckDeviceRisk           = "device_risk"
	CheckContactOTP           = "contact_otp"
	CheckQuestionnaire        = "questionnaire"
	CheckAgentReview          = "agent_review"
)
