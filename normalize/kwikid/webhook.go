package kwikid

import (
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// label is an event of the portal: the reviewer's stage and the verdict.
type label struct {
	name    string // as the portal writes it
	stage   event.Stage
	outcome event.Outcome
	reason  string
}

// Reason codes that are used in more than one place.
const (
	reasonMakerRejected   = "review.maker_rejected"
	reasonCheckerRejected = "review.checker_rejected"
	reasonSessionExpired  = "session.expired"
)

// labels are the four events of the portal, folded (https://doc.app.getkwikid.com/docs/VideoFlow/Webhook);
// their form on the wire is not documented. Paths of callbacks of one installation contain CHECKER_APPROVED (public
// support notes of the vendor).
var labels = map[string]label{
	"makerapproved":   {"Maker Approved", event.StageMaker, event.OutcomeApproved, ""},
	"makerrejected":   {"Maker Rejected", event.StageMaker, event.OutcomeRejected, reasonMakerRejected},
	"checkerapproved": {"Checker Approved", event.StageChecker, event.OutcomeApproved, ""},
	"checkerrejected": {"Checker Rejected", event.StageChecker, event.OutcomeRejected, reasonCheckerRejected},
}

// labelNamed returns the event of the portal that a word names. The files in which a KwikID installation logs its
// callbacks are named kyc_checker_approved (storage paths in public support notes of the vendor).
func labelNamed(word string) (l label, known bool) {
	l, known = labels[strings.TrimPrefix(values.Fold(word), "kyc")]
	return l, known
}

// labelKeys are the keys that may contain the event of a webhook, folded.
var labelKeys = map[string]bool{"event": true, "eventname": true, "eventtype": true, "type": true}

// labelOf finds the event of a webhook. A body with two different labels has no event.
func labelOf(body document.Object) (label, bool) {
	var found label
	count := 0
	search(map[string]any(body), labelDepth, func(key, value string) bool {
		known, ok := labelNamed(value)
		if ok && labelKeys[values.Fold(key)] && known.name != found.name {
			found = known
			count++
		}
		return count < 2
	})
	return found, count == 1
}

// opposed finds a label that occurs in the same body as the opposite label of the same stage, under any
// keys: the form of a webhook is not known, so it is not known which of the two is the event.
func opposed(body document.Object) (found label, ok bool) {
	said := map[event.Stage]label{}
	search(map[string]any(body), labelDepth, func(_, value string) bool {
		l, known := labelNamed(value)
		if !known {
			return true
		}
		before, repeated := said[l.stage]
		if repeated && before.outcome != l.outcome {
			found, ok = l, true
		}
		said[l.stage] = l
		return !ok
	})
	return found, ok
}

// webhook maps a webhook. With s.Confirm it is only a trigger; without it, the label is the verdict.
func webhook(body document.Object, s kycbridge.Settings) kycbridge.Observation {
	o := kycbridge.Observation{EventName: schemaWebhook, References: map[string]string{}, ProviderStatus: map[string]any{}}
	id := sessionID(body)
	if isDetails(body) {
		id = LowerUUID(values.Clip(body.Text("session_data", "session_id"), values.MaxID)) // as Identify reads it
	}
	values.Set(o.References, "session_id", id)
	search(map[string]any(body), labelDepth, func(key, value string) bool {
		if values.Fold(key) == "userid" {
			o.ExternalReference = values.ExternalReference(value)
		}
		return o.ExternalReference == ""
	})
	l, known := labelOf(body)
	other, contradicted := opposed(body)
	if !contradicted && l.outcome == event.OutcomeApproved && rejects(body) {
		other, contradicted = l, true
	}
	if known {
		o.EventName = l.name
		o.ProviderStatus["event"] = l.name
	}
	switch {
	case s.Confirm:
		values.Fetch(&o)
		if l.stage == event.StageChecker && !contradicted {
			o.Trigger = l.name // the fetched session may lack the checker's verdict
		}
	case !known && !contradicted:
		o.Effect, o.Ignored = kycbridge.EffectNone, "no known event label"
	case len(o.References) == 0:
		o.Effect, o.Ignored = kycbridge.EffectNone, "no session id" // a verdict that belongs to no known session
	case contradicted:
		values.Contradiction(&o, other.name, other.stage, event.ActorHuman)
	default:
		decideUnconfirmed(&o, l, s)
		if o.Decision.Outcome == event.OutcomeApproved && disputed(map[string]any(body), searchDepth, session.disputes) {
			values.Contradiction(&o, l.name, l.stage, event.ActorHuman)
			o.Cross.Callback = ""
		}
	}
	return o
}

// disputed reports whether a session in the same body as an approval contradicts it, as by reports. A session may be as
// deep as its id; the status in its extras is not its own status.
func disputed(doc any, depth int, by func(session) bool) bool {
	if depth == 0 {
		return false
	}
	switch doc := doc.(type) {
	case map[string]any:
		for name, value := range doc {
			if values.Fold(name) != "extras" && disputed(value, depth-1, by) {
				return true
			}
		}
		return by(session{doc})
	case []any:
		return slices.ContainsFunc(doc, func(item any) bool { return disputed(item, depth-1, by) })
	}
	return false
}

// rejects reports whether a word for a rejection, of any stage, stands anywhere as deep as the session's id, under any
// key.
func rejects(body document.Object) bool {
	return !search(map[string]any(body), searchDepth, func(_, value string) bool {
		said := feedback{kind: values.Fold(value)}
		named, _ := labelNamed(value)
		return !said.rejects() && said.kind != values.Fold(statusRejected) && named.outcome != event.OutcomeRejected
	})
}

// disputes reports whether a session contradicts an approval: it has ended in another way, or its feedback or
// its audit result is not an approval.
func (d session) disputes() bool {
	status := d.Text("session_status")
	underWay := rows[status].effect == kycbridge.EffectProgress
	said, checker := d.feedback(), d.audit()
	return unreadable(d.Value("session_status")) || status != "" && status != statusApproved && !underWay ||
		said.rejects() || said.repeats() || said.odd ||
		checker.unknown || checker.revisit || checker.outcome == event.OutcomeRejected ||
		checker.word == event.OutcomeRejected || checker.odd || checker.isAgainst()
}

// refuses reports whether an object anywhere in an answer refuses the person whom the session approves: only such a
// decision counts there, because a status of another kind may be that of an earlier call.
func (d session) refuses() bool {
	checker := d.audit()
	return d.Text("session_status") == statusRejected || checker.unknown || checker.rejects()
}

// decideUnconfirmed uses the label of a webhook as the verdict, because the account does not confirm verdicts
// with a fetched result.
func decideUnconfirmed(o *kycbridge.Observation, l label, s kycbridge.Settings) {
	step := event.DecisionStep{Stage: l.stage, Outcome: l.outcome, ActorType: event.ActorHuman, ProviderValue: l.name}
	if l.reason != "" {
		o.Reasons = []event.Reason{{Code: l.reason}}
	}
	if l.stage == event.StageChecker {
		o.Cross.Callback = l.outcome
	}
	decide(o, step, s)
	if o.Effect == kycbridge.EffectVerdict {
		o.StatusDetail = event.DetailUnconfirmed
	}
}
