package console

import (
	"maps"
	"slices"
	"strings"

	"kycbridge/event"
)

// maskedValue replaces a hidden value, as in the differences of a replay.
const maskedValue = "[masked]"

// eventView is an event in readable form.
type eventView struct {
	Verdict   string // in one sentence
	Tone      string // good, bad, wait
	Facts     []pair
	Decisions []event.DecisionStep
	Reasons   []event.Reason
	Actions   []event.RequiredAction
	Checks    []checkView
	Documents []documentView
	Claims    []pair
	Media     []string
}

type pair struct{ Name, Value string }

type checkView struct{ Type, Result, Score, Method, Reasons string }

type documentView struct{ Type, Number, Expires, Issuer string }

// viewer shows values within the permissions of the page.
type viewer struct {
	provider string
	reveal   bool
}

// word is a term of the provider or kycbridge, masked unless it is harmless or values are revealed.
func (w viewer) word(s string) string {
	if s == "" || w.reveal || event.HarmlessWord(s, w.provider) {
		return s
	}
	return maskedValue
}

// as is a value as text, masked unless it is harmless under its name or values are revealed.
func (w viewer) as(name string, v any) string {
	if w.reveal || event.Harmless(name, v) {
		return value(v)
	}
	return maskedValue
}

// person is a personal value, masked unless values are revealed.
func (w viewer) person(s string) string {
	if s == "" || w.reveal {
		return s
	}
	return maskedValue
}

// viewOf converts an event to its readable form.
func viewOf(d *event.Data, reveal bool) *eventView {
	w := viewer{d.Provider.Name, reveal}
	view := &eventView{Decisions: w.decisions(d), Reasons: w.reasons(d), Actions: w.actions(d), Facts: w.facts(d)}
	view.Verdict, view.Tone = verdict(d)
	for _, c := range d.Checks {
		view.Checks = append(view.Checks, w.check(c))
	}
	for _, doc := range d.Documents {
		view.Documents = append(view.Documents, w.document(doc))
	}
	for _, name := range slices.Sorted(maps.Keys(d.ExtractedClaims)) {
		text := maskedValue
		if reveal {
			text = value(d.ExtractedClaims[name])
		}
		view.Claims = append(view.Claims, pair{w.name(name), text})
	}
	for _, m := range d.Media {
		view.Media = append(view.Media, w.word(m.Kind))
	}
	return view
}

// name is the name of a claim, without a provider's suffix in brackets.
func (w viewer) name(name string) string {
	if base, _, _ := strings.Cut(name, "#"); w.reveal || event.HarmlessWord(base, w.provider) {
		return name
	}
	return maskedValue
}

// verdict is the meaning of the event for admission, in one sentence.
func verdict(d *event.Data) (sentence, tone string) {
	switch o := d.Decision.Outcome; {
	case o == event.OutcomeApproved && d.Decision.Final:
		return "Approved, final: the person may be accepted.", "good"
	case o == event.OutcomeApproved:
		return "Approved, not final: wait, the person must not be accepted yet.", "wait"
	case o == event.OutcomeRejected && d.Decision.Final:
		return "Rejected, final.", "bad"
	case o == event.OutcomeRejected:
		return "Rejected, not final: it may still change.", "bad"
	case o == event.OutcomeReview:
		return "In review: a person at the provider or with you decides.", "wait"
	case o == event.OutcomeResubmit:
		return "The applicant must submit something again.", "wait"
	case d.Status == event.StatusUnknown:
		return "Unknown: kycbridge does not know the provider's value. It never counts as approved.", "bad"
	case d.Status.Closed():
		return "Ended without a decision: " + strings.ReplaceAll(string(d.Status), "_", " ") + ".", "bad"
	}
	return "No decision yet.", "wait"
}

func (w viewer) facts(d *event.Data) []pair {
	facts := []pair{
		{"Status", strings.ReplaceAll(string(d.Status), "_", " ")},
		{"Detail", w.word(d.StatusDetail)},
		{"Revision", value(d.Revision)},
		{"Environment", string(d.Environment)},
		{"External reference", w.person(d.ExternalReference)},
		{"Product", w.word(d.Provider.Product)},
		{"Source", w.word(d.Provider.Event.Name) + " via " + string(d.Provider.Event.Via)},
		{"Decided at", d.Decision.DecidedAt},
		{"Personal data in the event", string(d.PII.Profile)},
	}
	for _, name := range slices.Sorted(maps.Keys(d.Provider.References)) {
		reference := d.Provider.References[name]
		if !w.reveal && !event.HarmlessID(reference) {
			reference = maskedValue
		}
		facts = append(facts, pair{strings.ReplaceAll(name, "_", " "), reference})
	}
	for _, name := range slices.Sorted(maps.Keys(d.Provider.Status)) {
		facts = append(facts, pair{"Provider's " + w.name(name), w.as(name, d.Provider.Status[name])})
	}
	return slices.DeleteFunc(facts, func(p pair) bool { return p.Value == "" })
}

func (w viewer) decisions(d *event.Data) []event.DecisionStep {
	all := slices.Clone(d.Decisions)
	for i := range all {
		all[i].ActorRef, all[i].ProviderValue = w.person(all[i].ActorRef), w.word(all[i].ProviderValue)
	}
	return all
}

func (w viewer) reasons(d *event.Data) []event.Reason {
	all := slices.Clone(d.Reasons)
	for i, r := range all {
		all[i].Code, all[i].CheckID = w.word(r.Code), w.word(r.CheckID)
		all[i].ProviderCode = w.word(r.ProviderCode)
	}
	return all
}

func (w viewer) actions(d *event.Data) []event.RequiredAction {
	all := slices.Clone(d.RequiredActions)
	for i := range all {
		all[i].Action, all[i].ProviderStep = w.word(all[i].Action), w.word(all[i].ProviderStep)
	}
	return all
}

func (w viewer) check(c event.Check) checkView {
	view := checkView{Type: w.word(c.Type), Result: w.word(string(c.Result)), Method: w.word(c.Method)}
	if c.Score != nil {
		view.Score = value(*c.Score)
	}
	if c.Threshold != nil {
		view.Score += " of " + value(*c.Threshold)
	}
	for _, reason := range c.Reasons {
		view.Reasons = strings.TrimPrefix(view.Reasons+", "+w.word(reason), ", ")
	}
	return view
}

func (w viewer) document(d event.Document) documentView {
	view := documentView{Type: w.word(d.Type), Number: w.person(d.DocumentNumber), Expires: w.person(d.DateOfExpiry)}
	if d.Issuer != nil {
		view.Issuer = w.person(d.Issuer.CountryCode)
	}
	return view
}
