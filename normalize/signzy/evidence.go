package signzy

import (
	"slices"
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// manualReview is the reason used where the evidence has no reason of its own.
const manualReview = "review.manual_review_required"

// evidence is what a journey contains about the person: the checks, their reasons, and the objections to an
// approval.
type evidence struct {
	policy  map[string]float64
	checks  []event.Check
	reasons []event.Reason
	risk    *event.Risk
	against []objection
}

// objection is one item in a body that counts against an approval. A policy approves only if no objection is
// left.
type objection struct {
	kind   string // the type of check that an operator may tell the policy to overlook; "": cannot be overlooked
	reason event.Reason
}

// add records a check; codes are the reasons for its failure or warning. Every check that has not passed is an
// objection, whatever its type, so new kinds of checks are objections too.
func (e *evidence) add(c event.Check, codes ...string) {
	e.note(c, codes...)
	if !speaks(c) {
		return
	}
	if !bad(c.Result) || len(codes) == 0 {
		e.object(c.Type, event.Reason{Code: manualReview, CheckID: c.CheckID, ProviderCode: c.ProviderCheck})
		return
	}
	for _, code := range codes {
		e.object(c.Type, event.Reason{Code: code, CheckID: c.CheckID, ProviderCode: c.ProviderCheck})
	}
}

// note records a check without an objection to an approval.
func (e *evidence) note(c event.Check, codes ...string) {
	c.Method = values.CheckMethod(c.Type)
	c.ProviderCheck = values.Clip(c.ProviderCheck, values.MaxCode)
	c.ProviderResult = values.Clip(c.ProviderResult, values.MaxCode)
	c.Fields = values.Fields(c.Fields) // of this copy: add judges all of them
	if bad(c.Result) {
		c.Reasons = codes
		for _, code := range codes {
			e.because(event.Reason{Code: code, CheckID: c.CheckID, ProviderCode: c.ProviderCheck})
		}
	}
	e.checks = append(e.checks, c)
}

// bad reports whether a check failed or gave a warning.
func bad(r event.Result) bool { return r == event.ResultFailed || r == event.ResultWarning }

// speaks reports whether a check, or one of its fields, was performed and has not passed.
func speaks(c event.Check) bool {
	against := func(r event.Result) bool {
		return r != event.ResultPassed && r != event.ResultNotPerformed
	}
	field := func(f event.CheckField) bool { return against(f.Result) }
	return against(c.Result) || slices.ContainsFunc(c.Fields, field)
}

// because adds a reason unless its code is already listed.
func (e *evidence) because(reason event.Reason) { e.reasons = withReason(e.reasons, reason) }

func withReason(reasons []event.Reason, reason event.Reason) []event.Reason {
	if slices.ContainsFunc(reasons, func(r event.Reason) bool { return r.Code == reason.Code }) {
		return reasons
	}
	return append(reasons, reason)
}

// object adds an objection, which need not come from a check.
func (e *evidence) object(kind string, reason event.Reason) {
	e.against = append(e.against, objection{kind, reason})
}

// unexplained adds an objection for a part of the body that cannot be read, or that contains a judgement that
// no documentation explains. place is a fixed name chosen by kycbridge: the body's own name may be any text.
func (e *evidence) unexplained(kind, place string) {
	e.object(kind, event.Reason{Code: manualReview, ProviderCode: place})
}

// others adds an objection if an unknown member of o contains a yes, a no or a word of refusal: a new kind of
// evidence prevents an approval until the mapping knows what it means.
func (e *evidence) others(o document.Object, place string, known ...string) {
	for member, v := range o {
		if !slices.Contains(known, member) && (judges(v) || some(v, refuses)) {
			e.unexplained("", place)
			return
		}
	}
}

// evidenceOf lists every check of a journey (docs/consume.md). A value that was not sent gives no check.
func evidenceOf(j document.Object, reports []report, policy map[string]float64) *evidence {
	e := &evidence{policy: policy}
	e.documents(j, reports)
	e.compare(j)
	for _, r := range reports {
		e.fieldErrors(r)
	}
	e.selfie(j)
	e.addresses(j)
	e.location(j)
	e.lookUps(j)
	e.consent(j)
	e.unknownParts(j)
	return e
}

// journeyParts are the members of a journey that are read elsewhere, or that contain no judgement.
var journeyParts = []string{
	"_id", "clientId", "userId", "journeyId", "journeyUrl", "currentStatus", "step", "message", "callbackSent",
	"isFrontendJourneyRequired", "inQueue", "mobileStatus", "_deleted", "deletionTimeLimit", "__v", "createdAt",
	"startedAt", "completedAt", "updatedAt", "test", "flow", "processingConfig", "userInfo", "matchPercentage",
	"externalApiResponses", "ipAddresses", "capturedData", "documentIntelligence", "selfieAnalysis",
}

// unknownParts adds objections for unknown members of a journey that contain a word of refusal, for unknown objects and
// lists that contain a judgement, and for known ones without readable content. A lone yes or no is none: those that are
// known at this place tell about the transport (inQueue).
func (e *evidence) unknownParts(j document.Object) {
	for _, member := range [...]string{"capturedData", "documentIntelligence", "selfieAnalysis"} {
		if _, odd := part(j, member); odd {
			e.unexplained("", member)
		}
	}
	for member, v := range j {
		if slices.Contains(journeyParts, member) || isLaterReport(member) {
			continue
		}
		_, isObject := v.(map[string]any)
		_, isList := v.([]any)
		// An application of the back office is for accounts that read those (mixed).
		refused := member != "merchantData" && some(v, refuses)
		if refused || (isObject || isList) && judges(v) {
			e.unexplained("", "journey")
			return
		}
	}
}

// consent treats consent as refused if a member of that name is false. Every capturedData has such a member
// (observed). The consent of the selfie page is ignored, because it is false in journeys that succeeded
// (observed); a policy may require it.
func (e *evidence) consent(j document.Object) {
	captured := j.Object("capturedData")
	if !answerAt(captured, "consent").sent() {
		e.unexplained("", "consent")
	}
	for _, member := range values.Sorted(captured) {
		if member == "livenessConsent" || !strings.Contains(strings.ToLower(member), "consent") {
			continue
		}
		switch a := answerAt(captured, member); {
		case a.failed():
			e.object("", event.Reason{Code: "session.consent_declined", ProviderCode: "consent"})
		case !a.passed():
			e.unexplained("", "consent")
		}
	}
}
