package kycbridge

import (
	"time"

	"kycbridge/document"
	"kycbridge/event"
)

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
	// EffectDoubt: a decision was made and its word is not known, or the words of the body disagree. It
	// takes back an approval, because what replaced it may be anything, and makes the status unknown;
	// a rejection, an end or a resubmission request that stands stays. Stage and ActorType of the
	// observation's decision say whose word it was.
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
	// Untimed: the provider documents a time for this fact, and what stands there is missing or
	// cannot be read. OccurredAt is zero then. A time that is read but lies beyond the receipt is the
	// lifecycle's to judge.
	Untimed bool
	// Attempt is the numbered attempt that the facts of this payload belong to; the zero value where
	// the provider does not number attempts or the payload speaks of none.
	Attempt Attempt
	// Submission: this progress is the applicant's answer to a request for resubmission (a step was
	// handed in, the call goes on), so it takes the request off. Any other progress leaves a request
	// as it is: a summary that says "not complete" is no news.
	Submission bool
	// Mentions is, for EffectNote, the outcome that the status word of the note stands for
	// (OutcomeNone: not decided); "" where the note has no such word or an unknown one. A note never
	// brings a verdict, but one that contradicts the standing verdict is doubt.
	Mentions event.Outcome
	// Cross holds the two words on one decision that come separate ways and have to agree.
	Cross Cross
	// Test: the body itself says that this is no live traffic.
	Test bool

	Product, FlowID, FlowVersion string
	ExternalReference            string
	References                   map[string]string // every id the provider uses
	ProviderStatus               map[string]any    // scalars, values verbatim

	Status          event.Status
	StatusDetail    string
	Decision        event.Decision // a zero Outcome means none
	Decisions       []event.DecisionStep
	Reasons         []event.Reason
	RequiredActions []event.RequiredAction

	// Facts come in groups (EVENT section 8): a nil group says nothing and leaves what is known, any
	// other value, an empty one included, replaces the group as a whole. Documents and ExtractedClaims
	// are one group: a payload that states either replaces both. Of a Session each member is a group of
	// its own, because a later message often knows the end and not the beginning.
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
	CreatedAt time.Time // when the provider created it; zero if it does not say
	// Prefix begins the keys of References and ProviderStatus that belong to the attempt and not to
	// the whole verification (kyc_): they go when a newer attempt begins. "": only what the newer
	// attempt states itself is replaced.
	Prefix string
}

// Cross is what a callback and an answer of the provider's API say of one and the same decision,
// where the provider tells it both ways: a payload fills in the word, or both words, that it
// carries, "" for the others. The lifecycle remembers the last word of each way; while the two
// differ, neither is believed.
type Cross struct {
	Callback event.Outcome `json:"callback,omitempty"`
	API      event.Outcome `json:"api,omitempty"`
}

// Settings are what an account says about the way its payloads are read.
type Settings struct {
	Confirm bool // verdicts come from a fetched result only
	Own     any  // what this provider alone knows of, as its Decode made it; nil: nothing was said
}

// Mapping turns a stored payload, whose body is decoded in doc, into an observation. It is pure: the same payload and settings
// always give the same observation. An error means that the payload, though valid, cannot be read.
type Mapping func(doc document.Object, p Payload, s Settings) (Observation, error)
