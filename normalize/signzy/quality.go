package signzy

import (
	"cmp"
	"slices"
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// imageReasons map failed items of an image check to reasons, by a part of the item's name reduced to letters;
// any other item gets poorQuality.
// Source: https://docs.signzy.com/us-apis/image-quality
var imageReasons = []struct{ part, code string }{
	{"focus", "image.blurred"}, {"glare", "image.glare"}, {"brightness", "image.too_dark"},
	{"bounds", "image.cropped"}, {"perspective", "image.cropped"},
}

const poorQuality = "image.poor_quality"

// imageQuality adds one check for both sides, with every item as a field such as front.image_focus. True means
// that the image meets the criterion.
func (e *evidence) imageQuality(r report) {
	quality, odd := part(r.body, "imageQuality")
	a := answerAt(quality, "result")
	if odd {
		a = unreadable
	}
	c := r.check("image_quality", event.CheckImageQuality, "imageQuality.result", a)
	var codes []string
	for _, side := range [...]struct{ member, prefix string }{{"frontIdCheck", "front"}, {"backIdCheck", "back"}} {
		items, odd := part(quality, side.member)
		if odd {
			c.Fields = append(c.Fields, event.CheckField{Field: side.prefix, Result: event.ResultUndetermined})
		}
		for _, item := range values.Sorted(items) {
			result, name := answerAt(items, item).result, cmp.Or(values.Snake(item), "other")
			c.Fields = append(c.Fields, event.CheckField{Field: side.prefix + "." + name, Result: result})
			if result == event.ResultFailed {
				codes = appendNew(codes, imageReason(item))
			}
		}
	}
	switch {
	case quality == nil && !odd:
		return
	case !a.sent() && c.Fields == nil:
		c.Result = event.ResultUndetermined
	case !a.sent():
		c.Result = values.Worst(c.Fields)
	case a.passed() && codes != nil:
		c.Result = event.ResultWarning
	case a.failed() && codes == nil:
		codes = []string{poorQuality}
	}
	e.add(c, codes...)
	e.others(quality, "imageQuality", "result", "frontIdCheck", "backIdCheck")
}

func imageReason(item string) string {
	plain := values.Letters(item)
	for _, r := range imageReasons {
		if strings.Contains(plain, r.part) {
			return r.code
		}
	}
	return poorQuality
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// authenticity adds a check for each list of authenticityCheck, under the vendor's name for it.
// Source: https://docs.signzy.com/us-apis/authenticity-checks
func (e *evidence) authenticity(r report) {
	sides, odd := part(r.body, "authenticityCheck")
	if odd {
		e.add(r.check("authenticity", event.CheckDocumentAuthenticity, "authenticityCheck", unreadable))
	}
	for _, side := range values.Sorted(sides) {
		name := strings.TrimSuffix(values.Snake(side), "_authenticity_check_list")
		lists, odd := part(sides, side)
		if odd {
			e.add(r.check("authenticity."+name, event.CheckDocumentAuthenticity, "authenticityCheck", unreadable))
		}
		for _, member := range values.Sorted(lists) {
			e.elements(r, lists, member, name)
		}
	}
}

// elements adds a check for one list of elements, each of which has a result of its own.
func (e *evidence) elements(r report, lists document.Object, member, side string) {
	source := side + "." + strings.TrimPrefix(document.Join("", member), "/")
	c := r.check("authenticity."+side+"."+values.Snake(member), event.CheckDocumentAuthenticity, source, unreadable)
	elements, odd := list(lists, member)
	for _, item := range elements {
		element, _ := item.(map[string]any)
		c.Fields = append(c.Fields, elementField(element))
	}
	if !odd && len(elements) > 0 {
		c.Result = values.Worst(c.Fields)
	}
	e.add(c, "document.not_authentic")
}

// elementField returns the result of an element. The diagnosis of a passed element is "pass"; a passed result
// with any other diagnosis is undetermined.
func elementField(element document.Object) event.CheckField {
	a := answerAt(element, "ElementResult")
	f := event.CheckField{Field: values.Snake(element.Text("ElementType")), Result: a.result}
	if f.Field == "" {
		f.Field = "element"
	}
	_, diagnosed := element["ElementDiagnose"]
	pass := !diagnosed || values.Fold(element.Text("ElementDiagnose")) == "pass"
	if !a.sent() || a.passed() && !pass {
		f.Result = event.ResultUndetermined
	}
	return f
}
