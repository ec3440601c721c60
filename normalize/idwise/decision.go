package idwise

import (
	"slices"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// row is the meaning of one decision of IDWise.
type row struct {
	effect  kycbridge.Effect
	status  event.Status
	outcome event.Outcome
	final   bool
	agrees  []string // the folded final decisions that agree with it
}

// The folded decisions that occur in more than one table.
const (
	wordApproved   = "approved"
	wordRejected   = "rejected"
	wordComplete   = "complete"
	wordIncomplete = "incomplete"
	wordRefer      = "refer"
	wordResubmit   = "resubmissionrequested"
)

// systemRows and manualRows are the decisions of the system and of a reviewer, folded
// (https://docs.idwise.com/docs/journey-result, https://docs.idwise.com/reference/manual-review-journey). Only
// a newer sample of the vendor contains Rejected as a system decision.
//
// The final decision is a cross-check: in older documents it is Approved or Rejected; in newer ones it equals
// the system decision until a reviewer has decided. A request for resubmission decides nothing, so a final
// decision that equals the system decision does not contradict it.
var (
	systemRows = map[string]row{
		wordComplete: {
			kycbridge.EffectVerdict, event.StatusCompleted, event.OutcomeApproved, true,
			[]string{wordComplete, wordApproved},
		},
		wordRefer: {
			kycbridge.EffectVerdict, event.StatusInReview, event.OutcomeReview, false, []string{wordRefer},
		},
		wordRejected: {
			kycbridge.EffectVerdict, event.StatusCompleted, event.OutcomeRejected, true, []string{wordRejected},
		},
		wordIncomplete: {
			kycbridge.EffectProgress, event.StatusInProgress, "", false, []string{wordIncomplete},
		},
	}
	manualRows = map[string]row{
		wordApproved: {
			kycbridge.EffectVerdict, event.StatusCompleted, event.OutcomeApproved, true,
			[]string{wordApproved, wordComplete},
		},
		wordRejected: {
			kycbridge.EffectVerdict, event.StatusCompleted, event.OutcomeRejected, true, []string{wordRejected},
		},
		wordResubmit: {
			kycbridge.EffectReopen, event.StatusRequiresInput, event.OutcomeResubmit, false,
			[]string{wordResubmit, wordRefer, wordIncomplete},
		},
	}
	// finalWords maps the values of a final decision to outcomes.
	finalWords = map[string]event.Outcome{
		wordApproved:   event.OutcomeApproved,
		wordComplete:   event.OutcomeApproved,
		wordRejected:   event.OutcomeRejected,
		wordRefer:      event.OutcomeReview,
		wordIncomplete: event.OutcomeNone,
		wordResubmit:   event.OutcomeResubmit,
	}
)

// word is the unchanged value of one decision field. A field that contains something other than text counts as
// given, with an unknown value.
type word struct {
	raw, folded string
	given       bool
}

func wordOf(v any) word {
	w := word{raw: document.Text(v), folded: values.Fold(document.Text(v))}
	_, isText := v.(string)
	w.given = v != nil && (w.folded != "" || !isText)
	return w
}

// reviews reports whether w is a known decision of a reviewer.
func (w word) reviews() bool {
	_, known := manualRows[w.folded]
	return known
}

// decisions are the decision fields of one body. reviews are the reviewer's decision under the other names that it has
// in one webhook; only those that are given.
type decisions struct {
	system, manual, final word
	reviews               []word
}

// effective returns the decision that has precedence: the reviewer's if it is given, else the system's.
// w.given is false if nothing was decided.
func (d decisions) effective() (w word, rows map[string]row, by event.Decision) {
	if d.manual.given {
		return d.manual, manualRows, event.Decision{Stage: event.StageManualReview, ActorType: event.ActorHuman}
	}
	return d.system, systemRows, event.Decision{Stage: event.StageSystem, ActorType: event.ActorSystem}
}

// stated reports whether any decision field is given.
func (d decisions) stated() bool {
	return d.system.given || d.manual.given || d.final.given || len(d.reviews) > 0
}

// disagree reports whether known decisions contradict each other.
func (d decisions) disagree() bool {
	w, rows, _ := d.effective()
	r, known := rows[w.folded]
	for _, said := range d.reviews {
		review, reviewed := manualRows[said.folded]
		if reviewed && (!w.given || known && review.outcome != r.outcome) {
			return true
		}
	}
	switch outcome, listed := finalWords[d.final.folded]; {
	case !w.given:
		return listed && outcome != event.OutcomeNone // an outcome without any decision
	case r.outcome == event.OutcomeResubmit && d.final.folded == d.system.folded:
		return false
	default:
		return known && listed && !slices.Contains(r.agrees, d.final.folded)
	}
}

// unknown returns the first field with an unknown value, and who made that decision.
func (d decisions) unknown() (w word, by event.Decision, found bool) {
	_, manualKnown := manualRows[d.manual.folded]
	_, systemKnown := systemRows[d.system.folded]
	_, finalKnown := finalWords[d.final.folded]
	odd := slices.IndexFunc(d.reviews, func(said word) bool { return !said.reviews() })
	by = event.Decision{Stage: event.StageSystem, ActorType: event.ActorUnspecified}
	byPerson := event.Decision{Stage: event.StageManualReview, ActorType: event.ActorHuman}
	switch {
	case d.manual.given && !manualKnown:
		return d.manual, byPerson, true
	case odd >= 0 && !d.manual.given:
		return d.reviews[odd], byPerson, true // under another name it counts where the documented one is missing
	case d.system.given && !systemKnown:
		if !d.manual.given && (!d.final.given || d.final.folded == d.system.folded) {
			by.ActorType = event.ActorSystem // no other actor has decided
		}
		return d.system, by, true
	}
	return d.final, by, d.final.given && !finalKnown
}

// doubt makes o a doubt if a decision is unknown or the decisions contradict each other, and reports whether
// it did.
func (d decisions) doubt(o *kycbridge.Observation) bool {
	if w, by, found := d.unknown(); found {
		values.Doubt(o, w.raw, by.Stage, by.ActorType)
		return true
	}
	return d.contradict(o)
}

// contradict makes o a doubt if the decisions contradict each other, and reports whether it did. A final
// decision that disagrees may come from a person, so the doubt is never attributed to the system alone.
func (d decisions) contradict(o *kycbridge.Observation) bool {
	if !d.disagree() {
		return false
	}
	w, _, by := d.effective()
	raw := w.raw + "/" + d.final.raw
	if !d.final.given && len(d.reviews) > 0 {
		raw = w.raw + "/" + d.reviews[0].raw
	}
	values.Contradiction(o, raw, by.Stage, event.ActorUnspecified)
	return true
}

// decide sets the outcome of the decision that has precedence, or a doubt.
func (d decisions) decide(o *kycbridge.Observation) {
	if d.doubt(o) {
		return
	}
	w, rows, decision := d.effective()
	if !w.given {
		o.Effect, o.Status = kycbridge.EffectProgress, event.StatusInProgress
		return
	}
	r := rows[w.folded]
	o.Effect, o.Status = r.effect, r.status
	o.Decisions = d.chain()
	if r.outcome != "" {
		decision.Outcome, decision.Final = r.outcome, r.final
		o.Decision = decision
	}
	if r.outcome == event.OutcomeResubmit {
		o.Reasons = append(o.Reasons, event.Reason{Code: reasonResubmit})
	}
}

// chain lists who decided what. A value that decides nothing (Incomplete) or is unknown is left out.
func (d decisions) chain() []event.DecisionStep {
	var chain []event.DecisionStep
	add := func(w word, rows map[string]row, stage event.Stage, actor event.ActorType) {
		if r := rows[w.folded]; r.outcome != "" {
			chain = append(chain, event.DecisionStep{
				Stage: stage, Outcome: r.outcome, ActorType: actor, ProviderValue: values.Clip(w.raw, values.MaxCode),
			})
		}
	}
	add(d.system, systemRows, event.StageSystem, event.ActorSystem)
	add(d.manual, manualRows, event.StageManualReview, event.ActorHuman)
	return chain
}

// withoutReview sets a missing manual decision to null, as the provider does: a body that has the final
// decision and no manual one must clear the manual decision of an earlier body.
func withoutReview(status map[string]any) map[string]any {
	if _, stated := status["final_decision"]; stated {
		if _, reviewed := status["manual_decision"]; !reviewed {
			status["manual_decision"] = nil
		}
	}
	return status
}
