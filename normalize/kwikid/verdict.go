package kwikid

import (
	"slices"
	"strings"
	"unicode"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// feedback is the agent's feedback beside the result: an object, mostly as JSON inside a string, other text
// or nothing. Its comment is free text about a person and is not kept.
type feedback struct {
	given bool   // it is not empty
	kind  string // its type, folded
	odd   bool   // it has a type that is not known, or several
	aside bool   // what is being read is a member that is not feedback: only a known type counts there
}

func (d session) feedback() feedback {
	f := feedback{}
	f.read(d.Value("feedback"), feedbackDepth)
	return f
}

// feedbackDepth limits how often feedback may be nested, in lists or as JSON inside a text.
const feedbackDepth = 4

// read adds what one value says. The order of several is not documented: if their types differ, none is believed.
func (f *feedback) read(v any, depth int) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		f.is(values.Fold(document.Text(v["type"])))
		f.odd = f.odd || unreadable(v["type"]) && !f.aside
		for _, name := range values.Sorted(v) { // in order, because the last type that differs remains
			f.given = f.given || strings.TrimSpace(document.Text(v[name])) != ""
			if name != "type" && unreadable(v[name]) {
				f.within(name, v[name], depth)
			}
		}
	case []any:
		f.given = f.given || len(v) > 0
		f.odd = f.odd || len(v) > 0 && depth == 0
		for _, item := range v {
			if depth > 0 {
				f.read(item, depth-1)
			}
		}
	default:
		f.readText(strings.TrimSpace(document.Text(v)), depth)
	}
}

// within adds what an object or a list in feedback says. It may describe something else, unless it is feedback again.
func (f *feedback) within(name string, v any, depth int) {
	if depth == 0 {
		f.odd = true
		return
	}
	before := f.aside
	f.aside = before || values.Fold(name) != "feedback"
	f.read(v, depth-1)
	f.aside = before
}

// readText adds what a text says: JSON, the type alone, or a comment.
func (f *feedback) readText(text string, depth int) {
	if text == "" || text == "null" {
		return
	}
	f.given = true
	if mayBeJSON(text) {
		inner, ok := embedded(text)
		if ok && depth > 0 {
			f.read(inner, depth-1)
			return
		}
		// An object that cannot be read; else a type or a comment in quotes or brackets.
		f.odd = f.odd || holdsObject(text) || depth == 0
	}
	if plain := (feedback{kind: values.Fold(strings.Trim(text, `[]"`))}); plain.known() {
		f.is(plain.kind)
	}
}

// mayBeJSON reports whether a text begins like JSON inside a text. It may also be a comment.
func mayBeJSON(text string) bool { return text != "" && strings.ContainsRune(`{["`, rune(text[0])) }

// holdsObject reports whether a text begins like an object, also in lists or quotes: that is no comment, even if it
// cannot be read.
func holdsObject(text string) bool {
	return strings.HasPrefix(strings.TrimLeft(text, "[\"\\ \t\r\n"), "{")
}

// embedded decodes JSON inside a text.
func embedded(text string) (v any, ok bool) {
	inner, faults := document.Decode([]byte(`{"feedback":` + text + `}`))
	return inner["feedback"], len(faults) == 0
}

// longestKind is how long a folded type may be. Longer ones are an agent's own text, and not kept.
const longestKind = 24

// is adds a type.
func (f *feedback) is(kind string) {
	switch {
	case kind == "":
		return
	case f.aside && !(feedback{kind: kind}).known():
		return
	case len(kind) > longestKind:
		f.odd = true
		return
	}
	f.odd = f.odd || f.kind != "" && f.kind != kind || !(feedback{kind: kind}).known()
	f.kind = kind
}

// known reports whether the type is one of those below.
func (f feedback) known() bool { return f.approves() || f.rejects() || f.repeats() }

// unreadable reports whether v is present but is not a text or another scalar.
func unreadable(v any) bool {
	_, isText := v.(string)
	return v != nil && !isText && document.Text(v) == ""
}

// approves, rejects and repeats classify the type of the feedback. Approve is documented; the other types
// were observed.
func (f feedback) approves() bool { return f.kind == "approve" || f.kind == "approved" }
func (f feedback) rejects() bool  { return f.kind == "reject" || f.kind == "rejected" }
func (f feedback) repeats() bool  { return f.kind == "reopen" || f.kind == "reschedule" }

// audit is what a session contains about the checker, in members that are not documented but occur in
// sessions of several banks.
type audit struct {
	outcome event.Outcome // "" if the result is missing or not known
	raw     string        // the result, unchanged
	unknown bool          // a result is present, and its value is not known
	word    event.Outcome // what the auditor's feedback begins with; "" if that is no decision
	odd     bool          // the auditor's feedback contains an object that cannot be read, or wants the call repeated
	against bool          // the auditor's feedback contains a word for a rejection, anywhere in its text
	locked  bool          // the session is locked for the checker
	revisit bool          // the checker requests another review
}

// auditorMembers are the members with the auditor's words. The third one contains a code in some sessions, and in
// others the category and the text of the feedback.
var auditorMembers = [...]string{"auditor_feedback", "auditor_fdbk", "auditor_fdbk_code"}

// repeatsCall reports whether an auditor's words begin with the category of calls that have to be repeated. The
// vendor's support notes describe a session with kyc_result_approved in which the auditor's feedback begins with
// Redo/Reopen and ends with REJECT, because the customer was not audible.
func repeatsCall(text string) bool {
	return strings.HasPrefix(text, "redo") || strings.HasPrefix(text, "reopen")
}

func (d session) audit() audit {
	a := audit{raw: d.Text("audit_result")}
	switch strings.ToLower(strings.TrimSpace(a.raw)) { // not folded: -1 is not 1
	case "1", "true":
		a.outcome = event.OutcomeApproved
	case "0", "false":
		a.outcome = event.OutcomeRejected
	case "":
		a.unknown = unreadable(d.Value("audit_result"))
	default:
		a.unknown = true
	}
	switch values.Fold(d.Text("audit_lock")) {
	case "":
		a.locked = unreadable(d.Value("audit_lock"))
	case "0", "false", "null", "none":
	default:
		a.locked = true
	}
	for _, name := range auditorMembers {
		for _, text := range texts(d.Value(name), searchDepth) {
			text = strings.ToLower(strings.TrimLeft(text, "[\" \t\r\n"))
			a.revisit = a.revisit || strings.Contains(text, "revisit")
			a.odd = a.odd || holdsObject(text) || repeatsCall(text)
			a.against = a.against || speaksAgainst(text)
			switch {
			case strings.HasPrefix(text, "reject"):
				a.word = event.OutcomeRejected
			case strings.HasPrefix(text, "approve") && a.word == "":
				a.word = event.OutcomeApproved
			}
		}
	}
	return a
}

// refusals are the beginnings of words for a rejection in an auditor's own text, in lower case.
var refusals = [...]string{"reject", "declin", "denied", "disapprov", "unapprov", "not approv"}

// speaksAgainst reports whether a text in lower case contains a word for a rejection. It may be about something else
// (no reason to reject), so it only counts where nothing else tells what the auditor decided.
func speaksAgainst(text string) bool {
	isOther := func(r rune) bool { return !unicode.IsLetter(r) }
	text = " " + strings.Join(strings.FieldsFunc(text, isOther), " ")
	return slices.ContainsFunc(refusals[:], func(word string) bool { return strings.Contains(text, " "+word) })
}

// texts are the scalars of a value, at any place in it. JSON inside a text is read depth times within itself; what is
// left then is a text.
func texts(v any, depth int) (found []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range values.Sorted(v) {
			found = append(found, texts(v[name], depth)...)
		}
		return found
	case []any:
		for _, item := range v {
			found = append(found, texts(item, depth)...)
		}
		return found
	}
	text := strings.TrimSpace(document.Text(v))
	if mayBeJSON(text) && depth > 0 {
		if inner, ok := embedded(text); ok {
			return texts(inner, depth-1)
		}
	}
	return []string{text}
}

// disagrees reports whether the auditor's words contradict the audit result, or without one the maker's verdict. Words
// that cannot be read may contradict an approval. While the session is locked for the checker they may be those of an
// earlier round.
func (a audit) disagrees(maker event.Outcome) bool {
	if a.outcome != "" {
		maker = a.outcome
	}
	differs := a.word != "" && a.word != maker || (a.odd || a.isAgainst()) && maker == event.OutcomeApproved
	return differs && (a.outcome != "" || !a.locked)
}

// isAgainst reports whether a word for a rejection is all that is known of the checker's decision.
func (a audit) isAgainst() bool { return a.against && a.outcome == "" && a.word == "" }

// rejects reports whether the checker rejects. isOpen reports whether the checker has not decided, or in a way that is
// not known.
func (a audit) rejects() bool {
	return a.outcome == event.OutcomeRejected || a.word == event.OutcomeRejected
}
func (a audit) isOpen() bool {
	return a.unknown || a.odd || a.revisit || a.isAgainst() || a.locked && a.outcome == ""
}

// judge maps a session that has a result: the maker's verdict first, then the checker's.
func (d session) judge(o *kycbridge.Observation, s kycbridge.Settings) {
	said, checker := d.feedback(), d.audit()
	status := d.Text("session_status")
	maker, reasons := d.maker(status, said)
	o.Cross.API = checker.outcome
	switch {
	case status == statusApproved && (said.rejects() || said.repeats()), status == statusRejected && said.approves():
		values.Contradiction(o, status+" "+said.kind, event.StageMaker, event.ActorHuman)
		o.Cross.API = ""
		return
	case status == statusApproved && said.odd:
		values.Doubt(o, said.kind, event.StageMaker, event.ActorHuman)
		o.Cross.API = ""
		return
	case checker.unknown:
		values.Doubt(o, checker.raw, event.StageChecker, event.ActorHuman)
		return
	case !checker.revisit && checker.disagrees(maker.Outcome):
		values.Contradiction(o, status+" "+checker.raw+" "+string(checker.word), event.StageChecker, event.ActorHuman)
		o.Cross.API = ""
		return
	case checker.revisit:
		o.Cross.API = ""
		o.Decisions = []event.DecisionStep{maker}
		o.Effect, o.Status, o.StatusDetail = kycbridge.EffectReopen, event.StatusInReview, event.DetailAwaitingSecondReview
	case checker.outcome != "":
		checked(o, maker, reasons, checker)
	case status == statusRejected && said.repeats():
		again(o, status)
	case checker.locked:
		o.Decisions = []event.DecisionStep{maker}
		// A maker's verdict without an outcome: it revokes an earlier verdict of the maker, never one of the checker.
		o.Effect, o.Status, o.StatusDetail = kycbridge.EffectVerdict, event.StatusInReview, event.DetailAwaitingSecondReview
		o.Decision = event.Decision{Outcome: event.OutcomeNone, Stage: event.StageMaker, ActorType: maker.ActorType}
	default:
		o.Reasons = reasons
		decide(o, maker, s)
	}
	if maker.ActorType == event.ActorHuman {
		o.Checks = append(o.Checks, review(maker))
	}
}

// maker returns the agent's verdict with its reasons. An approval always comes from an agent. A rejection may
// come from the vendor's system, if a result was still pending at expiry: feedback of type Reject means that
// an agent rejected, no feedback means that the session expired. With any other feedback the actor is not
// known; then the reason is not expiry, because an expiry is retryable and would invite another attempt.
func (d session) maker(status string, said feedback) (event.DecisionStep, []event.Reason) {
	step := event.DecisionStep{
		Stage: event.StageMaker, Outcome: event.OutcomeApproved, ActorType: event.ActorHuman, ProviderValue: status,
	}
	var reasons []event.Reason
	if status == statusRejected {
		step.Outcome = event.OutcomeRejected
		reasons = []event.Reason{{Code: reasonMakerRejected}}
		switch {
		case said.rejects():
		case said.given:
			step.ActorType = event.ActorUnspecified
		default:
			step.ActorType = event.ActorSystem
			reasons = []event.Reason{{Code: reasonSessionExpired, Retryable: values.Ptr(true)}}
		}
	}
	if step.ActorType == event.ActorHuman {
		step.ActorRef = values.Clip(d.said("agent_id"), values.MaxCode)
	}
	return step, reasons
}

// checked applies the checker's verdict. It is final if it equals the maker's or rejects what the maker
// approved. A checker's approval after a maker's rejection needs a manual review, because the vendor does not
// describe that case.
func checked(o *kycbridge.Observation, maker event.DecisionStep, reasons []event.Reason, a audit) {
	step := event.DecisionStep{
		Stage: event.StageChecker, Outcome: a.outcome, ActorType: event.ActorHuman,
		ProviderValue: values.Clip(a.raw, values.MaxCode),
	}
	o.Decisions = []event.DecisionStep{maker, step}
	o.Effect = kycbridge.EffectVerdict
	if maker.Outcome == event.OutcomeRejected && a.outcome == event.OutcomeApproved {
		o.Status = event.StatusInReview
		o.Decision = event.Decision{Outcome: event.OutcomeReview, Stage: step.Stage, ActorType: step.ActorType}
		o.Reasons = append(reasons, event.Reason{Code: "review.manual_review_required"})
		return
	}
	if a.outcome == event.OutcomeRejected {
		o.Reasons = append(reasons, event.Reason{Code: reasonCheckerRejected})
	}
	o.Status = event.StatusCompleted
	o.Decision = event.Decision{Outcome: a.outcome, Final: true, Stage: step.Stage, ActorType: step.ActorType}
}

// again maps a session whose call has to be repeated; the person is not rejected.
func again(o *kycbridge.Observation, status string) {
	o.Effect, o.Status = kycbridge.EffectReopen, event.StatusRequiresInput
	o.Decision = event.Decision{Outcome: event.OutcomeResubmit, Stage: event.StageMaker, ActorType: event.ActorHuman}
	const code = "review.resubmission_requested"
	o.Reasons = []event.Reason{{Code: code, ProviderCode: values.Clip(status, values.MaxCode)}}
	o.RequiredActions = []event.RequiredAction{{Action: actionRejoin, Reasons: []string{code}}}
}

// review returns the check for the agent's review of the person and the documents.
func review(maker event.DecisionStep) event.Check {
	c := event.Check{
		CheckID: event.CheckAgentReview, Type: event.CheckAgentReview, Result: event.ResultPassed, Method: "pvr",
		PerformedBy: "agent", ProviderCheck: "session_status", ProviderResult: maker.ProviderValue,
	}
	if maker.Outcome != event.OutcomeApproved {
		c.Result, c.Reasons = event.ResultFailed, []string{reasonMakerRejected}
	}
	return c
}
