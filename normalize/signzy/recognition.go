package signzy

import (
	"cmp"
	"slices"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// recognition adds the check docType, with the recogniser's probability as score. If the applicant chose another type
// of document than the recognised one, or the two sides are of different documents, the result is a warning, unless the
// check failed.
func (e *evidence) recognition(r report, captured document.Object) {
	a := answerAt(r.body.Object("completeStatus", "detailsOptical"), "docType")
	c := r.check("doc_type", event.CheckDocumentRecognition, "detailsOptical.docType", a)
	var codes []string
	if a.failed() {
		codes = []string{"document.not_recognized"}
	}
	switch r.agrees(captured) {
	case event.ResultFailed:
		c.Fields = []event.CheckField{{Field: "document_type", Result: event.ResultFailed}}
		codes = append(codes, "document.type_not_accepted")
		if !a.failed() {
			c.Result = event.ResultWarning
		}
	case event.ResultUndetermined:
		c.Fields = []event.CheckField{{Field: "document_type", Result: event.ResultUndetermined}}
	}
	if field, code := r.sidesDiffer(); code != "" && !slices.Contains(codes, code) {
		c.Fields = append(c.Fields, event.CheckField{Field: field, Result: event.ResultFailed})
		codes = append(codes, code)
		if !a.failed() {
			c.Result = event.ResultWarning
		}
	}
	if p, ok := r.probability(); ok {
		c.Score, c.ScoreRaw = &p, &event.ScoreRaw{Value: p, Min: 0, Max: 1}
	}
	if c.Result == "" {
		if c.Fields == nil && c.Score == nil {
			return
		}
		c.Result = event.ResultUndetermined
	}
	e.add(c, codes...)
}

// sidesDiffer returns the field in which the recognised sides contradict each other, with the reason: two countries, or
// two types of the vocabulary. Without a chosen type nothing else compares them.
func (r report) sidesDiffer() (field, code string) {
	front, back := r.body.Object("predictedIdTypeFront"), r.body.Object("predictedIdTypeBack")
	for _, member := range [...]string{"ICAOCode", "dCountryName"} {
		x, y := plainCountry(front.Text("FDSIDList", member)), plainCountry(back.Text("FDSIDList", member))
		if !values.IsBlank(x) && !values.IsBlank(y) && x != y {
			return "country", "data.mismatch"
		}
	}
	if x, y := r.typeOfSide(front), r.typeOfSide(back); x != "" && y != "" && x != y && !compatible(x, y) {
		return "document_type", "document.type_not_accepted"
	}
	return "", ""
}

// plainCountry is the code or the name of a country, for comparison.
func plainCountry(s string) string { return values.Letters(cmp.Or(values.Alpha3(s), s)) }

// typeOfSide returns the type of the first label of a side that is in the vocabulary; "": none.
func (r report) typeOfSide(predicted document.Object) string {
	for _, label := range [...]string{predicted.Text("FDSIDList", "dDescription"), predicted.Text("DocumentName")} {
		if name, known := typeOf(label, r.country("")); known {
			return name
		}
	}
	return ""
}

// probability returns the recogniser's confidence for the front, else for the back.
func (r report) probability() (float64, bool) {
	for _, side := range [...]string{"predictedIdTypeFront", "predictedIdTypeBack"} {
		if p, ok := r.body.Number(side, "P"); ok && p >= 0 && p <= 1 {
			return p, true
		}
	}
	return 0, false
}

// agrees compares the chosen type with the type that was recognised on each side: passed, failed, undetermined
// if one of them cannot be read or is not in the vocabulary, and not performed if there is nothing to compare.
func (r report) agrees(captured document.Object) event.Result {
	chosen, asked := captured[numberedName("idType", r.number)]
	if !asked {
		return event.ResultNotPerformed
	}
	chosenIn := captured.Text("country")
	want, known := typeOf(document.Text(chosen), values.Alpha3(chosenIn))
	combined := event.ResultNotPerformed
	for _, side := range [...]string{"predictedIdTypeFront", "predictedIdTypeBack"} {
		predicted, odd := part(r.body, side)
		result := sideAgrees(predicted, r.country(chosenIn), want, known)
		switch {
		case result == event.ResultFailed:
			return result
		case odd, predicted != nil && result == event.ResultNotPerformed:
			combined = event.ResultUndetermined
		case combined != event.ResultUndetermined && predicted != nil:
			combined = result
		}
	}
	return combined
}

// sideAgrees compares the wanted type with the type that was recognised on one side.
func sideAgrees(predicted document.Object, country, want string, wantKnown bool) event.Result {
	result := event.ResultNotPerformed
	for _, label := range [...]string{predicted.Text("FDSIDList", "dDescription"), predicted.Text("DocumentName")} {
		if values.IsBlank(label) {
			continue
		}
		name, known := typeOf(label, country)
		switch {
		case name == want || known && wantKnown && compatible(name, want):
			return event.ResultPassed
		case known && wantKnown:
			return event.ResultFailed
		}
		result = event.ResultUndetermined
	}
	return result
}
