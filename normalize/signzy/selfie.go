package signzy

import (
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// Members of selfieAnalysis. The spelling of the first is the vendor's; the usual spelling belongs to another
// product, which has other members.
const (
	passiveLiveliness = "passiveLiveliness"
	faceMatch         = "faceMatch"
)

// selfie reads the checks of the applicant's selfie.
func (e *evidence) selfie(j document.Object) {
	analysis := j.Object("selfieAnalysis")
	e.liveness(analysis.Object(passiveLiveliness))
	e.faceMatch(analysis.Object(faceMatch))
	e.faceChecks(analysis)
	e.others(analysis, "selfieAnalysis",
		passiveLiveliness, faceMatch, "additionalFaceChecks", "attempts", "selfieAnalysisCompletedAt")
}

// liveAnswer returns whether the provider found the applicant to be live.
func liveAnswer(j document.Object) answer {
	return ran(j.Object("selfieAnalysis", passiveLiveliness), "liveness")
}

// faceAnswer returns whether the faces match. It reads verified, not the sentence beside it.
// Source: https://docs.signzy.com/us-apis/face-match
func faceAnswer(j document.Object) answer {
	return ran(j.Object("selfieAnalysis", faceMatch), "verified")
}

func (e *evidence) liveness(check document.Object) {
	if a := ran(check, "liveness"); a.sent() {
		c := event.Check{
			CheckID: "liveness", Type: event.CheckLiveness, Result: a.result,
			ProviderCheck: passiveLiveliness, ProviderResult: a.raw,
		}
		if score, ok := ratio(check, "score"); ok && a.result != event.ResultNotPerformed {
			c.Score, c.ScoreRaw = &score, &event.ScoreRaw{Value: score, Min: 0, Max: 1}
			c.Threshold = e.thresholdOf("min_liveness")
		}
		e.add(c, "face.not_live")
	}
	e.others(check, passiveLiveliness, "status", "liveness", "score")
}

// ratio reads a number from 0 to 1.
func ratio(o document.Object, member string) (float64, bool) {
	f, ok := o.Number(member)
	return f, ok && within(f)
}

func (e *evidence) faceMatch(check document.Object) {
	if a := ran(check, "verified"); a.sent() {
		c := event.Check{
			CheckID: "face_match", Type: event.CheckFaceMatch, Result: a.result,
			ProviderCheck: faceMatch, ProviderResult: a.raw,
		}
		text := check.Text("matchPercentage")
		if score, ok := values.Percent(text); ok && a.result != event.ResultNotPerformed {
			c.Score, c.ScoreRaw, c.Threshold = &score, percentage(text), e.thresholdOf("min_face_match")
		}
		e.add(c, "face.mismatch")
	}
	e.others(check, faceMatch, "status", "verified", "message", "matchPercentage")
}

// faceChecks reads the checks for anything that hides the face: a mask or a cover.
func (e *evidence) faceChecks(analysis document.Object) {
	checks, odd := part(analysis, "additionalFaceChecks")
	if odd {
		e.unexplained("", "additionalFaceChecks")
	}
	for _, member := range values.Sorted(checks) {
		switch member {
		case "maskDetection":
			e.hidden(checks, member, "found", "maskDetection")
		case "faceCoverDetection":
			e.hidden(checks, member, "isFaceCovered", "isFaceCovered")
		default:
			check := checks.Object(member)
			notRun := answerAt(check, "status").result == event.ResultNotPerformed && !judges(checks[member])
			if !notRun {
				e.unexplained("", "additionalFaceChecks")
			}
		}
	}
}

// hidden reads one of these checks. A hidden face is an objection whatever the status is, and wherever in the check the
// flag is. So is a mask in faceGears, whatever the flag says. Other gear, such as glasses, hides no face.
func (e *evidence) hidden(checks document.Object, member, flag, code string) {
	check := checks.Object(member)
	result := check.Object("result")
	found := answerAt(result, flag)
	e.others(check, member, "status", "result", flag)
	e.others(result, member, flag, "confidence", "faceGears")
	if found.passed() || answerAt(check, flag).passed() || some(result["faceGears"], namesMask) {
		occluded := event.Reason{Code: "face.occluded", ProviderCode: code}
		e.because(occluded)
		e.object("", occluded)
		return
	}
	if a := relied(answerAt(check, "status"), found); !a.failed() && a.result != event.ResultNotPerformed {
		e.unexplained("", member)
	}
}

// namesMask reports whether a value is a text that names a mask.
func namesMask(v any) bool { return strings.Contains(values.Fold(document.Text(v)), "mask") }
