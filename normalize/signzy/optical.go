package signzy

import (
	"slices"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// reportParts are the members of a report that are read elsewhere, or that contain no judgement.
var reportParts = []string{
	"completeStatus", "imageQuality", "extractedFieldErrors", "authenticityCheck", "graphicFields", "predictedIdTypeFront",
	"predictedIdTypeBack", "idExpired", "extractedFields", "attempts", "docIntelligenceCompletedAt",
}

// documents examines every document that the flow asked for.
func (e *evidence) documents(j document.Object, reports []report) {
	captured := j.Object("capturedData")
	for n := 1; n <= mostDocuments; n++ {
		found, judged := false, n == 1
		for _, r := range reports {
			if r.number != n {
				continue
			}
			found = true
			overall := answerAt(r.body.Object("completeStatus"), "overallStatus")
			judged = judged || overall.passed() || overall.failed()
			e.examine(r, captured)
		}
		if !judged && (found || named(captured, n)) {
			// It is not known whether a document without a report was good.
			e.object("", event.Reason{Code: "document.missing", ProviderCode: numberedName("idType", n)})
		}
	}
}

// examine reads one report.
func (e *evidence) examine(r report, captured document.Object) {
	e.optical(r, captured)
	e.imageQuality(r)
	e.summary(r)
	e.authenticity(r)
	switch a := answerAt(r.body, "idExpired"); {
	case a.passed():
		// It is "False" even if nothing was read (observed), so only "True" is reported.
		expired := event.Reason{Code: "document.expired", ProviderCode: "idExpired"}
		e.because(expired)
		e.object("", expired)
	case a.sent() && !a.failed():
		e.unexplained("", "idExpired")
	}
	if r.body.Has("extractedFields") && r.body.Object("extractedFields") == nil {
		// The extracted data is lost, but this is no judgement of the document.
		e.note(r.check("extracted_data", event.CheckDataExtraction, "extractedFields", unreadable))
	}
	e.others(r.body, "documentIntelligence", reportParts...)
}

// Members that are more than a three-valued answer. Their entries in opticalParts mark the position of their
// checks.
const docType, rfid = "docType", "rfid"

// opticalParts are the three-valued checks of detailsOptical that have a type of their own, in the order in
// which an event lists them.
// Source: https://docs.signzy.com/us-apis/complete-status
var opticalParts = []struct{ member, id, kind, code string }{
	{"security", "security", event.CheckDocumentAuthenticity, "document.not_authentic"},
	{member: docType},
	{"expiry", "expiry", event.CheckDocumentExpiry, "document.expired"},
	{"mrz", "mrz", event.CheckMRZ, "document.mrz_invalid"},
	{"vds", "vds", event.CheckBarcode, "document.barcode_invalid"},
	{"text", "text", event.CheckDataConsistency, "data.inconsistent"},
	{member: rfid},
	{"imageQA", "image_qa", event.CheckImageQuality, "image.poor_quality"},
}

func (e *evidence) optical(r report, captured document.Object) {
	details, odd := part(r.body.Object("completeStatus"), "detailsOptical")
	known, found := []string{"overallStatus", "pagesCount"}, answerAt(details, docType).sent()
	for _, p := range opticalParts {
		if p.member != rfid { // which is beside detailsOptical, not in it
			known = append(known, p.member)
		}
		switch a := answerAt(details, p.member); {
		case p.member == docType:
			e.recognition(r, captured)
		case p.member == rfid:
			e.chip(r)
		case a.sent():
			found = true
			e.add(r.check(p.id, p.kind, "detailsOptical."+p.member, a), p.code)
		}
	}
	if odd || details != nil && !found {
		e.add(r.check("optical_details", event.CheckDocumentAuthenticity, "detailsOptical", unreadable))
	}
	e.unknownAnswers(r, details, "detailsOptical", known...)
}

// unknownAnswers adds checks for members that are not documented. True is taken to mean done and passed, as it
// does for the documented ones; a number is not an answer.
func (e *evidence) unknownAnswers(r report, o document.Object, place string, known ...string) {
	for _, member := range values.Sorted(o) {
		if slices.Contains(known, member) {
			continue
		}
		switch v := o[member].(type) {
		case string, bool, nil:
			name := values.Snake(member)
			c := r.check("other."+name, event.CheckDocumentAuthenticity, place+"."+name, answerAt(o, member))
			e.add(c, "document.not_authentic")
		default:
			if judges(v) {
				e.unexplained("", place)
			}
		}
	}
}

// chip reads the result of the chip and its details. The shape of the details is not documented, so each
// member is read as an answer.
func (e *evidence) chip(r report) {
	status := r.body.Object("completeStatus")
	const invalid = "document.chip_invalid"
	if a := answerAt(status, "rfid"); a.sent() {
		e.add(r.check("rfid", event.CheckChip, "completeStatus.rfid", a), invalid)
	}
	details := status.Object("detailsRFID")
	c := r.check("rfid_details", event.CheckChip, "detailsRFID", answerAt(status, "detailsRFID"))
	switch {
	case details == nil && status.Has("detailsRFID"):
	case len(details) > 0:
		for _, member := range values.Sorted(details) {
			c.Fields = append(c.Fields, event.CheckField{Field: values.Snake(member), Result: chipAnswer(details, member)})
		}
		c.Result = values.Worst(c.Fields)
	default:
		return
	}
	e.add(c, invalid)
}

func chipAnswer(details document.Object, member string) event.Result {
	if inner := details.Object(member); len(inner) > 0 && !judges(details[member]) {
		return event.ResultNotPerformed
	}
	return answerAt(details, member).result
}

// summary reads the answers that summarise others, and the severity. They come last: they fail whenever
// another answer fails, and add information only if no other answer fails.
func (e *evidence) summary(r report) {
	status := r.body.Object("completeStatus")
	code := unexplainedFailure(status)
	for _, s := range [...]struct {
		o                 document.Object
		member, id, place string
	}{
		{status, "portrait", "portrait", "completeStatus"},
		{status.Object("detailsOptical"), "overallStatus", "optical_overall", "detailsOptical"},
		{status, "optical", "optical", "completeStatus"},
		{status, "overallStatus", "complete_status", "completeStatus"},
	} {
		if a := answerAt(s.o, s.member); a.sent() {
			e.add(r.check(s.id, event.CheckDocumentAuthenticity, s.place+"."+s.member, a), code...)
		}
	}
	e.severity(r, code)
	e.unknownAnswers(r, status, "completeStatus",
		"optical", "overallStatus", "message", "severity", "portrait", "rfid", "detailsOptical", "detailsRFID")
}

// severity is NA if nothing was found. Any other value, of which only High was observed, means that the
// document was manipulated, unless another check explains what is wrong with it.
func (e *evidence) severity(r report, code []string) {
	a := answerAt(r.body.Object("completeStatus"), "severity")
	if !a.sent() || a.result == event.ResultNotPerformed {
		return
	}
	if a.result = event.ResultFailed; a.raw == "" {
		a = unreadable
	}
	c := r.check("severity", event.CheckDocumentAuthenticity, "completeStatus.severity", a)
	if code != nil {
		code = []string{"document.manipulated"}
	}
	e.add(c, code...)
}

// unexplainedFailure returns the reason for a failed summary, or nil if another answer explains the failure: a
// document that was only not recognised or has expired must not be reported as a forgery.
func unexplainedFailure(status document.Object) []string {
	details := status.Object("detailsOptical")
	for _, member := range [...]string{"docType", "expiry", "imageQA", "mrz", "text", "vds"} {
		if answerAt(details, member).failed() {
			return nil
		}
	}
	return []string{"document.not_authentic"}
}
