package signzy

import (
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// answer is a three-valued word of the provider: True, False or None, in any of the encodings that one
// body mixes. The zero value is one that was not sent.
type answer struct {
	result event.Result
	raw    string // as it was written; "" where it is no scalar
}

// unreadable is what stands where something else is expected than what came.
var unreadable = answer{result: event.ResultUndetermined}

// answerAt reads a member. One that is there and cannot be read, null included, is undetermined: what
// nobody can read must not count as what nobody sent.
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

// part returns an object within o. odd reports that the member is there and holds nothing that can be
// read: something else, null, or an object without members.
func part(o document.Object, member string) (object document.Object, odd bool) {
	v, sent := o[member]
	object, _ = v.(map[string]any)
	return object, sent && len(object) == 0
}

// list returns a list within o, as part does an object. An empty list says that there is nothing.
func list(o document.Object, member string) (items []any, odd bool) {
	v, sent := o[member]
	items, is := v.([]any)
	return items, sent && !is
}

// ran is the answer of a check of the selfie.
func ran(check document.Object, member string) answer {
	return relied(answerAt(check, "status"), answerAt(check, member))
}

// relied weighs an answer by the status beside it, which is the text "200" for a check that ran and
// "Not Started" for one that did not (observed). Under any other status no answer is relied on.
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

// judges reports whether a yes or a no stands anywhere in v.
func judges(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			if judges(inner) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if judges(inner) {
				return true
			}
		}
	case string, bool:
		result, _ := values.TriState(document.Text(v))
		return result == event.ResultPassed || result == event.ResultFailed
	}
	return false
}

// blank reports whether a word stands for nothing: "", "NA" and the like.
func blank(word string) bool {
	switch values.Fold(word) {
	case "", "na", "n/a", "none", "null", "false":
		return true
	}
	return strings.Trim(word, " -") == ""
}
