package signzy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"kycbridge/document"
	"kycbridge/event"
)

// report is the provider's report about one document.
type report struct {
	number int    // 1 for the document that every flow has
	member string // the member of the journey that contains the report
	body   document.Object
	alone  bool // the journey has no other report
}

// documentID returns the id of r's document in the event.
func (r report) documentID() string {
	if r.number == 1 {
		return "document"
	}
	return "document_" + strconv.Itoa(r.number)
}

// check makes a check of r. If the journey has several reports, the check names its document. The ids of
// checks of a second or later document begin with the document's id.
func (r report) check(id, kind, source string, a answer) event.Check {
	c := event.Check{CheckID: id, Type: kind, Result: a.result, ProviderCheck: source, ProviderResult: a.raw}
	if r.number > 1 {
		c.CheckID = r.documentID() + "." + id
	}
	if !r.alone {
		c.DocumentIDs = []string{r.documentID()}
	}
	return c
}

// mostDocuments is the maximum number of documents of a flow: capture modes with a 2 and a 3 were observed.
const mostDocuments = 9

// reportsOf returns the reports of a journey, by number. The shape of a second document's report is not known:
// it is read from documentIntelligence2, and from members of documentIntelligence that end in 2, as those of
// capturedData do (idType2).
func reportsOf(j document.Object) []report {
	const place = "documentIntelligence"
	first := j.Object(place)
	reports := []report{{number: 1, member: place, body: first}}
	within := map[int]document.Object{}
	for member, v := range first {
		if stem, n := numbered(member); n > 0 {
			if within[n] == nil {
				within[n] = document.Object{}
			}
			within[n][stem] = v
		}
	}
	for n, body := range within {
		reports = append(reports, report{number: n, member: place, body: body})
	}
	for member, v := range j {
		if _, n := numbered(member); v != nil && isLaterReport(member) {
			reports = append(reports, report{number: n, member: member, body: j.Object(member)})
		}
	}
	slices.SortFunc(reports, func(a, b report) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.member, b.member))
	})
	reports[0].alone = len(reports) == 1
	return reports
}

// isLaterReport reports whether a member of a journey holds the report of a second or later document.
func isLaterReport(member string) bool {
	stem, n := numbered(member)
	return n > 0 && strings.EqualFold(stem, "documentIntelligence")
}

// numbered splits a member name that ends in a digit from 2 to 9; n is 0 for any other.
func numbered(member string) (stem string, n int) {
	if member == "" {
		return "", 0
	}
	last := member[len(member)-1]
	if last < '2' || last > '9' {
		return member, 0
	}
	return strings.TrimRight(member[:len(member)-1], "_- "), int(last - '0')
}

// numberedName returns the name of the member for the nth document.
func numberedName(stem string, n int) string {
	if n == 1 {
		return stem
	}
	return stem + strconv.Itoa(n)
}

// named reports whether the flow asked for an nth document, or the applicant captured one. If not, the members are "",
// null or missing (observed); any other value, readable or not, counts as a request.
func named(captured document.Object, n int) bool {
	for _, stem := range [...]string{"idType", "verificationType", "frontCaptureMode", "backCaptureMode"} {
		v := captured[numberedName(stem, n)]
		if text, isText := v.(string); v != nil && (!isText || strings.TrimSpace(text) != "") {
			return true
		}
	}
	return false
}
