package kycbridge

import (
	"time"

	"kycbridge/document"
	"kycbridge/event"
)

// Effect is the permitted effect of an observation on its verification. Lifecycle rules use nothing else
// that is specific to a provider: a mapping sets the effect, Next applies it.
type Effect int

// The effects.
const (
	// EffectNone: the payload contains nothing about a verification (an unmapped type). No event.
	EffectNone Effect = iota
	// EffectFetch: the payload is only a trigger; the result has to be fetched. No event.
	EffectFetch
	// EffectProgress: the progress of the process. Never overwrites a verdict or a terminal status.
	EffectProgress
	// EffectEnd: ended without a verdict (expired, abandoned, canceled, failed). Never overwrites a
	// terminal status.
	EffectEnd
	// EffectVerdict: contains a decision of the provider; a newer one overwrites everything, except a
	// person's decision by a machine's.
	EffectVerdict
	// EffectDoubt: a decision was made, but its value is unknown or the values in the body disagree. It
	// revokes an approval, because the new decision may be anything, and makes the status unknown; a
	// current rejection, end or resubmission request stays. Stage and ActorType of the observation's
	// decision state who made it.
	EffectDoubt
	// EffectReopen: an explicit resubmission, renewal or new attempt; revokes earlier decisions.
	EffectReopen
	// EffectNote: facts only; status and decision stay unchanged. Status and StatusDetail of the
	// observation count only if nothing is known of the verification yet; an outcome never does.
	EffectNote
)

// Decisive reports whether e concerns the verdict itself and is ordered only among decisive effects.
func (e Effect) Decisive() bool {
	return e == EffectVerdict || e == EffectReopen || e == EffectDoubt
}

// Observation is the content of one payload about one verification. A mapping derives it from the payload
// alone: no clock, no history.
type Observation struct {
	Effect Effect // what the payload may change
	// Ignored states why there is nothing to publish, for EffectNone and EffectFetch: a short fixed phrase
	// without data of the payload.
	Ignored string
	// Trigger is, for EffectFetch, a fixed value that the fetched body lacks and its mapping needs.
	Trigger string

	EventName  string    // the provider's name of the message type, or "get_details" and the like for a fetched body
	EventID    string    // the provider's id of the message; "" if it has none
	OccurredAt time.Time // the provider's time of the fact; zero if it sends none
	// Untimed: the provider documents a time for this fact, and it is missing or cannot be read.
	// OccurredAt is zero then. A readable time after the receipt is handled by the lifecycle.
	Untimed bool
	// Attempt is the numbered attempt that the facts of this payload belong to; the zero value if the
	// provider does not number attempts or the payload names none.
	Attempt Attempt
	// Submission: this progress is the applicant's answer to a request for resubmission (a step was
	// submitted, the call continues), so it ends the request. Any other progress keeps a request: a summary
	// with "not complete" contains nothing new.
	Submission bool
	// Mentions is, for EffectNote, EffectProgress and EffectEnd, an outcome that the body states beside what it is about
	// (OutcomeNone: not decided); "" if it states none. It never sets a verdict, but one that contradicts a
	// current approval is a doubt.
	Mentions event.Outcome
	// Cross holds the two sources of one decision that must agree.
	Cross Cross
	// Repeats: the body states the current decision and not when it was made, and it was sent or fetched for
	// any reason. After a reopening its verdict may be the one that the reopening has revoked.
	Repeats bool
	// Test: the body itself marks this as not live traffic.
	Test bool

	Product, FlowID, FlowVersion string            // of the provider; "": not stated
	ExternalReference            string            // the caller's id of the case; "": not stated
	ReferenceIsPhone             bool              // it is a telephone number of the person that is in no claim
	References                   map[string]string // every id that the provider uses
	ProviderStatus               map[string]any    // scalars, values verbatim

	Status          event.Status
	StatusDetail    string
	Decision        event.Decision // a zero Outcome means none
	Decisions       []event.DecisionStep
	Reasons         []event.Reason
	RequiredActions []event.RequiredAction

	// Facts are merged in groups (docs/consume.md): a nil group keeps the known facts, any other value, an
	// empty one included, replaces the group as a whole. Documents and ExtractedClaims are one group: a
	// payload that has either replaces both. Each member of a Session is a group of its own, because a
	// later message often has the end and not the beginning.
	Checks          []event.Check
	Risk            *event.Risk
	Documents       []event.Document
	ExtractedClaims event.Claims
	Media           []event.Media
	Session         *event.Session
	Extensions      map[string]any
}

// Attempt is one of several attempts at a verification that the provider numbers.
type Attempt struct {
	ID        string    // the provider's id of the attempt
	CreatedAt time.Time // when the provider created it; zero if it is not stated
	// Prefix is the prefix of the keys of References and ProviderStatus that belong to the attempt and not
	// to the whole verification (kyc_): they are removed when a newer attempt begins. "": only the fields
	// of the newer attempt are replaced.
	Prefix string
}

// Cross holds the outcome of one decision in a callback and in an answer of the provider's API, if the
// provider sends both: a payload fills in the outcome, or both, that it contains, "" for the others. The
// lifecycle remembers the last outcome of each source, and when it was received; while the two differ, neither counts.
type Cross struct {
	Callback   event.Outcome `json:"callback,omitempty"`
	API        event.Outcome `json:"api,omitempty"`
	CallbackAt time.Time     `json:"callback_at,omitzero"` // not set by a mapping
	APIAt      time.Time     `json:"api_at,omitzero"`      // not set by a mapping
}

// Settings are the settings of an account for reading its payloads.
type Settings struct {
	Confirm bool // verdicts come from a fetched result only
	Own     any  // the settings of this provider alone, as its Decode returned them; nil: none
}

// Mapping converts a stored payload, whose body is decoded in doc, into an observation. It is pure: the
// same payload and settings always give the same observation. An error means that the payload, though
// valid, cannot be read.
type Mapping func(doc document.Object, p Payload, s Settings) (Observation, error)
