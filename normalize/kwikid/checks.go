package kwikid

import (
	"cmp"
	"slices"
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// checks returns the checks of the summary: the overall results first, then those of single documents, then
// one for the applicant's location, if the session contains it.
func (d session) checks(documents []event.Document) []event.Check {
	var checks []event.Check
	of := func(title string) []string {
		id := documentIDs[values.Fold(title)]
		if slices.ContainsFunc(documents, func(doc event.Document) bool { return doc.DocumentID == id }) {
			return []string{id}
		}
		return nil
	}
	for _, line := range d.Objects("summary_data", "overall_summary") {
		if title, result := line.Text("title"), line.Text("success"); title != "" || result != "" {
			checks = append(checks, overall(title, result, of(title)))
		}
	}
	for _, doc := range d.docs() {
		checks = append(checks, checksOf(doc, of(doc.Text("name")))...)
	}
	if d.located() {
		checks = append(checks, event.Check{
			CheckID: event.CheckGeolocation, Type: event.CheckGeolocation, Result: event.ResultUndetermined,
			ProviderCheck: "user_info.location",
		})
	}
	return checks
}

// located reports whether the session contains a location. The location itself is not kept. The summary of a bank's
// session has the coordinates as lat and lng (public support notes of the vendor).
func (d session) located() bool {
	summary := d.Object.Object("summary_data")
	info := summary.Object("user_info")
	return said(info, "location") != "" || len(info.Object("location")) > 0 || info.Has("latitude") &&
		info.Has("longitude") || summary.Has("lat") && summary.Has("lng") ||
		len(d.Object.Object("location")) > 0 || d.said("location") != ""
}

// checksOf returns the checks of one document: its validator, and the match of its face with the selfie.
// The threshold of the match is not known, so the result of the match is always undetermined.
func checksOf(doc document.Object, ids []string) []event.Check {
	name := "docs." + values.Snake(doc.Text("name"))
	var checks []event.Check
	if v := doc.Object("validator"); v != nil {
		checks = append(checks, event.Check{
			CheckID: name + ".validator", Type: event.CheckDataMatch, Result: success(v.Text("success")), DocumentIDs: ids,
			ProviderCheck:  values.Clip(v.Text("type"), values.MaxCode),
			ProviderResult: values.Clip(v.Text("success"), values.MaxCode),
		})
	}
	if scores := doc.Object("facematch_score"); len(scores) > 0 {
		c := event.Check{
			CheckID: name + ".facematch_score", Type: event.CheckFaceMatch, Result: event.ResultUndetermined,
			Method: values.CheckMethod(event.CheckFaceMatch), DocumentIDs: ids, ProviderCheck: "facematch_score",
		}
		if raw, ok := matchOf(scores); ok && raw >= 0 && raw <= 100 {
			c.Score, c.ScoreRaw = values.Ptr(raw/100), &event.ScoreRaw{Value: raw, Min: 0, Max: 100}
		}
		checks = append(checks, c)
	}
	return checks
}

// matchOf returns the score of the match of the selfie with the document (observed: selfie_pan_match). No
// schema defines how the member names the document. If there are several matches, none is used.
func matchOf(scores document.Object) (score float64, ok bool) {
	for _, member := range values.Sorted(scores) {
		name := values.Fold(member)
		if !strings.HasPrefix(name, "selfie") || !strings.HasSuffix(name, "match") {
			continue
		}
		if ok {
			return 0, false
		}
		score, ok = scores.Number(member)
	}
	return score, ok
}

// overall returns the check of one line of overall_summary. It is not documented what the line about the
// selfie examines, so that line is not mapped to a face match. The vendor's sample calls the questions qna, a
// bank's portal calls them Questions (public support notes of the vendor).
func overall(title, result string, documents []string) event.Check {
	name := values.Snake(title)
	c := event.Check{
		CheckID:        "overall_summary." + cmp.Or(name, "other"),
		Type:           "x_kwikid_" + cmp.Or(name, "summary"),
		Result:         success(result),
		DocumentIDs:    documents,
		ProviderCheck:  values.Clip(title, values.MaxCode),
		ProviderResult: values.Clip(result, values.MaxCode),
	}
	switch folded := values.Fold(title); {
	case folded == "qna" || folded == "questions":
		c.Type = event.CheckQuestionnaire
	case documentIDs[folded] != "":
		c.Type = event.CheckDocumentAuthenticity
	}
	c.Method = values.CheckMethod(c.Type)
	return c
}

// success converts the success value of a line. A value other than true or false is undetermined.
func success(word string) event.Result {
	switch values.Fold(word) {
	case "true":
		return event.ResultPassed
	case "false":
		return event.ResultFailed
	}
	return event.ResultUndetermined
}
