package test

import (
	"slices"
	"strconv"
	"strings"

	"kycbridge/event"
	"kycbridge/normalize"
	"kycbridge/test/fixture"
)

// The rules in this file state when a body may be approved. They are written by hand from the contract of the event,
// and no part of the product uses them. A body that the product approves must be approvable; the product may still
// refuse an approvable body for a reason that is not written here.

// approvable reports whether the values of body, received in the way and with the settings of c, allow an approval.
func approvable(c fixture.Case, body *tree) bool {
	switch c.Provider {
	case "ondato":
		return !body.doubled("") && ondatoApprovable(body)
	case "idwise":
		return !body.doubled("") && idwiseApprovable(body)
	case "kwikid":
		return !body.doubled("") && kwikidApprovable(body, c)
	case "signzy":
		return !body.doubled("extractedfields") && (signzyApprovable(body, policyOf(c)) || officeApprovable(c, body))
	}
	return false
}

// oneOf reports whether a word is in the list.
func oneOf(word string, words ...string) bool { return slices.Contains(words, word) }

// ondatoApprovable: a KYC identification with the status approved, in an envelope that does not contradict it. The
// end of an identity verification is not an approval.
func ondatoApprovable(body *tree) bool {
	if len(body.find("payload")) == 0 { // an answer of the API
		return body.word("status") == "approved"
	}
	return body.word("payload/status") == "approved" &&
		oneOf(body.word("type"), "kycidentification.approved", "kycidentification.updated")
}

// idwiseApprovable: the reviewer approves or, without a reviewer's decision, the system does, and no other decision
// contradicts this.
func idwiseApprovable(body *tree) bool {
	part, names := "body/", []string{"systemDecision", "manualDecision", "finalDecision"}
	if len(body.find("body")) == 0 { // an answer of the API
		part, names = "", []string{"system_decision", "manual_decision", "final_decision"}
	} else if !oneOf(body.word("event"), "finishedjourney", "updatedjourney", "manuallyreviewed", "amlmonitorupdate",
		"finishedspotcheck", "finishedongoingcheck") {
		return false
	}
	system, manual, final := body.word(part+names[0]), body.word(part+names[1]), body.word(part+names[2])
	decided := manual == "approved" || manual == nothing && system == "complete"
	listed := oneOf(system, nothing, "complete", "refer", "rejected", "incomplete")
	return decided && listed && oneOf(final, nothing, "approved", "complete")
}

// kwikidApprovable: the maker approves and the account has no checker, or the checker approves the maker's approval.
func kwikidApprovable(body *tree, c fixture.Case) bool {
	checker := normalize.Values(c.Own).Flag("checker")
	if c.Via == event.ViaCallback {
		labels := kwikidLabels(body)
		return kwikidAgrees(body, "") && kwikidAgrees(body, "session_data/") &&
			(slices.Equal(labels, []string{"checkerapproved"}) || slices.Equal(labels, []string{"makerapproved"}) && !checker)
	}
	const session = "session_data/"
	if body.word(session+"session_status") != "kycresultapproved" || !kwikidAgrees(body, session) {
		return false
	}
	return body.word(session+"audit_result") != nothing ||
		!checker && oneOf(body.word(session+"audit_lock"), nothing, "false", "0")
}

// kwikidAgrees reports whether no value of a session contradicts an approval.
func kwikidAgrees(body *tree, session string) bool {
	revisit := strings.Contains(body.word(session+"auditor_feedback")+body.word(session+"auditor_fdbk"), "revisit")
	return !revisit && oneOf(body.word(session+"feedback/type"), nothing, "approve", "approved") &&
		oneOf(body.word(session+"audit_result"), nothing, "1", "true") &&
		oneOf(body.word(session+"session_status"), nothing, "kycresultapproved", "waiting", "vkycrequested", "agentalloted",
			"kycrequestaccepted", "kycrequestrejected", "kycrejected", "sessionexpired", "userabandoned")
}

// kwikidLabels are the distinct maker and checker events that a webhook names, at any depth.
func kwikidLabels(body *tree) (labels []string) {
	body.each(func(_ []int, path string, v *tree) {
		name := strings.ReplaceAll(path[strings.LastIndex(path, "/")+1:], "_", "")
		if word := v.said(); oneOf(name, "event", "eventname", "eventtype", "type") && !slices.Contains(labels, word) &&
			(strings.HasPrefix(word, "maker") || strings.HasPrefix(word, "checker")) {
			labels = append(labels, word)
		}
	})
	return labels
}

// evidence is a place in a journey of Signzy that can contain an objection.
type evidence struct {
	path   string
	fine   func(word string) bool // reports that the word does not contradict an approval; an unreadable word does
	needed bool                   // an approval requires it
	check  string                 // the check type with which a policy can overlook it; "" cannot be overlooked
	bad    []string               // some values that are objections
}

// silent reports whether a word means that nothing was checked.
func silent(word string) bool { return oneOf(word, nothing, "none", "na", "notstarted") }

// fineTrue and fineFalse accept true, or false, and words that mean that nothing was checked.
func fineTrue(word string) bool  { return word == "true" || silent(word) }
func fineFalse(word string) bool { return word == "false" || silent(word) }

// finePercent accepts a match above 0 % and words that mean that nothing was checked.
func finePercent(word string) bool {
	value, err := strconv.ParseFloat(strings.TrimSuffix(word, "%"), 64)
	return silent(word) || err == nil && value > 0 && value <= 100
}

var (
	badTrue    = []string{"true"}
	badFalse   = []string{"false"}
	badPercent = []string{"0%", "0", "0.0%"}
)

// signzyEvidence lists the places in which a policy must find no objection.
var signzyEvidence = slices.Concat(
	signzyDocument("documentIntelligence", true), signzyDocument("documentIntelligence2", false),
	[]evidence{
		{path: "capturedData/consent", fine: fineTrue, bad: badFalse},
		{path: "matchPercentage/*", fine: finePercent, check: "data_match", bad: badPercent},
		{path: "selfieAnalysis/passiveLiveliness/liveness", fine: fineTrue, needed: true, bad: badFalse},
		{path: "selfieAnalysis/faceMatch/verified", fine: fineTrue, needed: true, bad: badFalse},
		{path: "selfieAnalysis/additionalFaceChecks/faceCoverDetection/result/isFaceCovered", fine: fineFalse, bad: badTrue},
		{path: "selfieAnalysis/additionalFaceChecks/maskDetection/result/found", fine: fineFalse, bad: badTrue},
		{path: "externalApiResponses/*/response/overallStatus", fine: fineTrue, bad: badFalse},
		{path: "ipAddresses/*/vpn", fine: fineFalse, check: "ip_risk", bad: badTrue},
		{path: "ipAddresses/*/proxy", fine: fineFalse, check: "ip_risk", bad: badTrue},
		{path: "ipAddresses/*/tor", fine: fineFalse, check: "ip_risk", bad: badTrue},
	})

// signzyDocument is the evidence of one document.
func signzyDocument(part string, needed bool) []evidence {
	at := func(path, check string) evidence {
		return evidence{path: part + "/" + path, fine: fineTrue, check: check, bad: badFalse}
	}
	overall := at("completeStatus/overallStatus", "")
	overall.needed = needed
	return []evidence{
		overall,
		at("completeStatus/optical", ""),
		at("completeStatus/detailsOptical/docType", "document_recognition"),
		at("completeStatus/detailsOptical/expiry", ""),
		at("completeStatus/detailsOptical/imageQA", "image_quality"),
		at("completeStatus/detailsOptical/mrz", "mrz"),
		at("completeStatus/detailsOptical/overallStatus", ""),
		at("completeStatus/detailsOptical/security", ""),
		at("completeStatus/detailsOptical/text", "data_consistency"),
		at("completeStatus/detailsOptical/vds", "barcode"),
		at("imageQuality/result", "image_quality"),
		at("authenticityCheck/*/*/*/ElementResult", ""),
		{path: part + "/completeStatus/severity", fine: silent, bad: []string{"high", "medium", "low", "critical"}},
		{path: part + "/idExpired", fine: fineFalse, bad: badTrue},
	}
}

// policyOf is the policy of a case's account.
func policyOf(c fixture.Case) normalize.Table { return normalize.Values(c.Own).Table("policy") }

// officeApprovable: an account that reads the back office and does not wait for a confirmation, an application that was
// accepted there and not deleted, and no journey beside it.
func officeApprovable(c fixture.Case, body *tree) bool {
	if c.Own["back_office"] != true || c.Settings.Confirm {
		return false
	}
	parts, said := []string{""}, []string{}
	for _, way := range []string{"result", "data", "result/data", "data/result"} {
		parts = append(parts, way+"/")
	}
	isAccepted := false
	for _, part := range parts {
		if body.word(part+"journeyId") != nothing {
			return false
		}
		for _, of := range []string{"", "merchantData/", "merchantData/basicDetails/"} {
			if word := body.word(part + of + "status"); word != nothing {
				said = append(said, word)
			}
			if of != "" && !oneOf(body.word(part+of+"isDeleted"), nothing, "false", "no", "0") {
				return false
			}
		}
		isAccepted = isAccepted || len(said) > 0
	}
	return isAccepted && !slices.ContainsFunc(said, func(word string) bool { return !oneOf(word, "accept", "accepted") })
}

// signzyApprovable: only under a policy, for a journey that has ended, and without an objection.
func signzyApprovable(body *tree, policy normalize.Table) bool {
	if len(policy.Numbers()) == 0 {
		return false
	}
	for _, way := range []string{"result/data", "data/result", "result", "data"} {
		if found := body.find(way); len(found) == 1 && found[0].word("journeyId") != nothing &&
			body.word("journeyId") == nothing {
			body = found[0]
			break
		}
	}
	if body.word("currentStatus") != "completed" || !oneOf(body.word("step"), nothing, "complete") {
		return false
	}
	for _, e := range signzyEvidence {
		if !e.allows(body, policy) {
			return false
		}
	}
	second := !oneOf(body.word("capturedData/idType2"), nothing) ||
		!oneOf(body.word("capturedData/verificationType2"), nothing)
	return signzyMeasured(body, policy) && (!second || len(body.find("documentIntelligence2")) == 1)
}

// allows reports whether the evidence permits an approval.
func (e evidence) allows(body *tree, policy normalize.Table) bool {
	if e.check != "" && slices.Contains(policy.List("overlook"), e.check) {
		return true
	}
	found := body.find(e.path)
	for _, v := range found {
		if !e.fine(v.said()) {
			return false
		}
	}
	return !e.needed || len(found) == 1 && !silent(found[0].said())
}

// signzyMeasured reports whether the measures of the policy listed in this file meet their thresholds.
func signzyMeasured(body *tree, policy normalize.Table) bool {
	for key, path := range map[string]string{"min_face_match": "selfieAnalysis/faceMatch/matchPercentage",
		"min_liveness": "selfieAnalysis/passiveLiveliness/score"} {
		bound, asked := policy.Numbers()[key]
		if !asked {
			continue
		}
		word, scale := body.word(path), 1.0
		if number, percent := strings.CutSuffix(word, "%"); percent {
			word, scale = number, 100
		}
		if value, err := strconv.ParseFloat(word, 64); err != nil || value/scale < bound || value/scale > 1 {
			return false
		}
	}
	return true
}
