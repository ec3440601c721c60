package signzy

import (
	"slices"
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// answer is a three-valued result of the provider: True, False or None, in any of the encodings that one body
// mixes. The zero value means that the provider sent no value.
type answer struct {
	result event.Result
	raw    string // as received; "" if it is not a scalar
}

// unreadable is the answer for a value that has another form than expected.
var unreadable = answer{result: event.ResultUndetermined}

// answerAt reads a member. A member that is present but cannot be read, null included, is undetermined: an
// unreadable value must not count as a missing one.
func answerAt(o document.Object, member string) answer {
	v, sent := o[member]
	if !sent {
		return answer{}
	}
	raw := document.Text(v)
	result, readable := values.TriState(raw)
	if !readable {
		result = event.ResultUndetermined
	}
	return answer{result, raw}
}

func (a answer) sent() bool   { return a.result != "" }
func (a answer) passed() bool { return a.result == event.ResultPassed }
func (a answer) failed() bool { return a.result == event.ResultFailed }

// part returns an object within o. odd reports that the member is present but has no readable content: it is
// of another type, null, or an object without members.
func part(o document.Object, member string) (object document.Object, odd bool) {
	v, sent := o[member]
	object, _ = v.(map[string]any)
	return object, sent && len(object) == 0
}

// list returns a list within o, as part does for objects. An empty list is valid and means no entries.
func list(o document.Object, member string) (items []any, odd bool) {
	v, sent := o[member]
	items, is := v.([]any)
	return items, sent && !is
}

// ran returns the answer of a check of the selfie.
func ran(check document.Object, member string) answer {
	return relied(answerAt(check, "status"), answerAt(check, member))
}

// relied combines an answer with the status beside it. The status is the text "200" for a check that ran and
// "Not Started" for one that did not (observed). With any other status the answer is undetermined.
func relied(status, a answer) answer {
	word := a.raw
	if word == "" {
		word = status.raw
	}
	switch {
	case status.result == event.ResultNotPerformed:
		return answer{status.result, word}
	case status.sent() && (status.raw != "200" || !a.sent()):
		return answer{event.ResultUndetermined, word}
	}
	return a
}

// judges reports whether v contains a yes or a no at any depth.
func judges(v any) bool { return some(v, isYesOrNo) }

// isAnswer reports whether v is a yes or a no in an encoding of the provider.
func isAnswer(v any) bool {
	switch v.(type) {
	case string, bool:
		result, _ := values.TriState(document.Text(v))
		return result == event.ResultPassed || result == event.ResultFailed
	}
	return false
}

// isYesOrNo reports whether v is an answer, or one of these two words, which registers use. NO in capitals is the code
// of Norway.
func isYesOrNo(v any) bool {
	word, _ := v.(string)
	word = strings.TrimSpace(word)
	return isAnswer(v) || strings.EqualFold(word, "yes") || word == "no" || word == "No"
}

// some reports whether a condition holds for v, or for a value within it at any depth, that is no object or list.
func some(v any, holds func(any) bool) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			if some(inner, holds) {
				return true
			}
		}
		return false
	case []any:
		return slices.ContainsFunc(v, func(inner any) bool { return some(inner, holds) })
	}
	return holds(v)
}
