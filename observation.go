package kycbridge

import "time"

// Effect says what an observation may do to the verification it speaks of. Lifecycle rules read
// nothing else of a provider: a mapping states the effect, Next applies it.
type Effect int

// The effects.
const (
	// EffectNone: the payload says nothing about a verification (an unmapped type). No event.
	EffectNone Effect = iota
	// EffectFetch: the payload is only a trigger; the result has to be fetched. No event.
	EffectFetch
	// EffectProgress: where the process is. Never overwrites a verdict or a terminal status.
	EffectProgress
	// EffectEnd: ended without a verdict (expired, abandoned, canceled, failed). Never overwrites a
	// terminal status.
	EffectEnd
	// EffectVerdict: carries a decision of the provider; a newer one overwrites anything but a
	// person's decision by a machine's.
	EffectVerdict
	// EffectDoubt: a decision was made and its word is not known. It takes back an approval, because
	// what replaced it may be anything, and is progress to an unknown status otherwise. Stage and
	// ActorType of the observation's decision say whose word it was.
	EffectDoubt
	// EffectReopen: an explicit resubmission, renewal or new attempt; takes back what was decided.
	EffectReopen
	// EffectNote: facts only; status and decision stay as they are. Status and StatusDetail of the
	// observation count only where nothing is known of the verification yet, and so does an
	// outcome: a note never brings one.
	EffectNote
)

// Decisive reports whether e is about the verdict itself and so ordered among its like only.
func (e Effect) Decisive() bool {
	return e == EffectVerdict || e == EffectReopen || e == EffectDoubt
}

// Observation is what one payload says about one verification. A mapping makes it from the payload
// alone: no clock, no history.
type Observation struct {
	Effect Effect
	// Ignored says why there is nothing to publish, for EffectNone and EffectFetch: a short fixed
	// phrase without data of the payload.
	Ignored string
	// Trigger is, for EffectFetch, a fixed word that the fetched body will lack and its mapping needs.
	Trigger string

	EventName  string    // what the provider calls this message, or "get_details" and the like for a fetched body
	EventID    string    // the provider's id of the message; "" if it has none
	OccurredAt time.Time // the provider's time of the fact; zero if it sends none

	Product, FlowID, FlowVersion string
	ExternalReference            string
	References                   map[string]string // every id the provider uses
	ProviderStatus               map[string]any    // scalars, values verbatim

	Status          Status
	StatusDetail    string
	Decision        Decision // a zero Outcome means none
	Decisions       []DecisionStep
	Reasons         []Reason
	RequiredActions []RequiredAction

	Checks          []Check
	Risk            *Risk
	Documents       []Document
	ExtractedClaims Claims
	Media           []Media
	Session         *Session
	Extensions      map[string]any
}

// Settings are what an account says about the way its payloads are read.
type Settings struct {
	Confirm        bool               // verdicts come from a fetched result only
	Checker        bool               // maker-checker is in use (kwikid)
	ManualReview   bool               // the setup sends every identification to a reviewer (ondato)
	RenewalOverdue string             // "expire" (default) or "keep" (idwise)
	Policy         map[string]float64 // thresholds that turn evidence into a verdict (signzy); empty: none
	FlowStatuses   map[string]string  // operator's words for status strings the vendor never published: provider value -> our status, never completed (signzy)
}

// Mapping turns a stored payload into an observation. It is pure: the same payload and settings
// always give the same observation. An error means that the payload, though valid, cannot be read.
type Mapping func(Payload, Settings) (Observation, error)
