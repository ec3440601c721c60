package test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"kycbridge/test/fixture"
)

// The judge reads events as a consumer does, as plain JSON. It must not use the product's own types or rules:
// otherwise an error in them would also be an error of the judge.

// judge returns what is wrong with the events of a case.
func (run *caseRun) judge() (faults []string) {
	j := &judgement{want: run.Expect}
	for _, raw := range run.events {
		var event map[string]any
		if err := json.Unmarshal(raw, &event); err != nil {
			return []string{"an event is no JSON: " + err.Error()}
		}
		j.events = append(j.events, event)
	}
	j.answered(run)
	j.everyEvent()
	if j.want.NoEvent {
		j.must(len(j.events) == 0, "want no event, there are %d", len(j.events))
		return j.faults
	}
	if len(j.events) == 0 {
		if !j.want.NoVerdict {
			j.fault("there is no event")
		}
		return j.faults
	}
	j.last = j.events[len(j.events)-1]
	j.data, _ = j.last["data"].(map[string]any)
	j.decision()
	j.why()
	j.checks()
	j.facts()
	j.claims()
	return j.faults
}

// judgement contains the data of a case and the findings of the judge.
type judgement struct {
	want   fixture.Expect
	events []map[string]any
	last   map[string]any // event
	data   map[string]any // of the last event
	faults []string
}

func (j *judgement) fault(format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

func (j *judgement) must(is bool, format string, args ...any) {
	if !is {
		j.fault(format, args...)
	}
}

// same compares the value at a path of the last event.
func (j *judgement) same(path, want string) {
	if got, _ := at(j.data, path).(string); want != "" && got != want {
		j.fault("%s is %q, want %q", path, got, want)
	}
}

// answered judges the answer to the last callback and the reasons of the quarantined bodies.
func (j *judgement) answered(run *caseRun) {
	if want := j.want.Answer; want != nil {
		got := run.answer
		j.must(got.code == 200 && got.Status == want.Status && got.Reason == want.Reason,
			"the callback was answered %d %q, reason %q, want 200 %q, reason %q", got.code, got.Status, got.Reason, want.Status,
			want.Reason)
	}
	if reason := j.want.KeptQuarantine; reason != "" {
		j.must(slices.Contains(run.kept, reason), "the quarantine keeps %v, want one that is %s", run.kept, reason)
	}
}

// everyEvent judges the expectations for all events.
func (j *judgement) everyEvent() {
	verifications := map[any]bool{}
	for i, event := range j.events {
		verifications[event["subject"]] = true
		data, _ := event["data"].(map[string]any)
		outcome := at(data, "decision.outcome")
		j.must(!j.want.NeverApproved || outcome != "approved", "event %d is approved", i+1)
		j.must(!j.want.NoVerdict || outcome == "none", "event %d has the outcome %v", i+1, outcome)
		for _, text := range j.want.Nowhere {
			j.must(!says(event, text), "event %d holds %s", i+1, text)
		}
		if number := j.want.Masked; number != "" {
			for _, path := range showing(event, number, "") {
				j.fault("event %d shows the number at %s", i+1, path)
			}
		}
	}
	j.must(len(verifications) < 2, "the events are about %d verifications", len(verifications))
}

// decision judges the status and the decision.
func (j *judgement) decision() {
	j.same("status", j.want.Status)
	j.same("decision.outcome", j.want.Outcome)
	j.same("status_detail", j.want.Detail)
	j.same("decision.stage", j.want.Stage)
	j.same("decision.actor_type", j.want.Actor)
	if want := j.want.Final; want != nil {
		got, is := at(j.data, "decision.final").(bool)
		j.must(is && got == *want, "decision.final is %v, want %v", at(j.data, "decision.final"), *want)
	}
	for _, want := range j.want.Decisions {
		j.must(slices.ContainsFunc(list(j.data["decisions"]), func(d map[string]any) bool {
			return d["stage"] == want.Stage && d["outcome"] == want.Outcome
		}), "decisions are %s, want one of stage %s, %s", text(j.data["decisions"]), want.Stage, want.Outcome)
	}
}

// why judges the reasons and the required actions.
func (j *judgement) why() {
	var codes, actions []string
	telling := false
	for _, reason := range list(j.data["reasons"]) {
		code, _ := reason["code"].(string)
		codes = append(codes, code)
		telling = telling || code != "" && code != "review.manual_review_required"
	}
	for _, action := range list(j.data["required_actions"]) {
		name, _ := action["action"].(string)
		actions = append(actions, name)
	}
	for _, code := range j.want.Reasons {
		j.must(slices.Contains(codes, code), "reasons are %v, want %s", codes, code)
	}
	for _, code := range j.want.NoReasons {
		j.must(!slices.Contains(codes, code), "reasons are %v, want no %s", codes, code)
	}
	j.must(!j.want.ReasonWhy || telling, "reasons are %v, want one that says why", codes)
	for _, action := range j.want.Actions {
		j.must(slices.Contains(actions, action), "required_actions are %v, want %s", actions, action)
	}
	j.must(!j.want.SomeAction || len(actions) > 0, "required_actions are empty")
}

// checks judges the checks.
func (j *judgement) checks() {
	all := list(j.data["checks"])
	for _, want := range j.want.Checks {
		if !slices.ContainsFunc(all, func(c map[string]any) bool { return fits(c, want) }) {
			var near []map[string]any
			for _, c := range all {
				if c["type"] == want.Type {
					near = append(near, c)
				}
			}
			j.fault("want a check %s, those of its type are %s", text(want), text(near))
		}
	}
	for _, field := range j.want.Unread {
		for _, place := range []string{"extracted_claims", "documents", "verified_claims"} {
			j.must(len(named(j.data[place], field)) == 0, "%s has a value in %s, want it unread", field, place)
		}
		j.must(slices.ContainsFunc(all, func(c map[string]any) bool {
			return c["type"] == "data_extraction" && slices.ContainsFunc(list(c["fields"]), func(f map[string]any) bool {
				return f["field"] == field && f["result"] == "undetermined"
			})
		}), "no check data_extraction says that %s is undetermined", field)
	}
}

// fits reports whether a check is as described.
func fits(check map[string]any, want fixture.ExpectCheck) bool {
	if check["type"] != want.Type || want.Result != "" && check["result"] != want.Result {
		return false
	}
	if want.Score != nil && check["score"] != *want.Score {
		return false
	}
	details, _ := check["details"].(map[string]any)
	for name, value := range want.Details {
		if !reflect.DeepEqual(details[name], value) {
			return false
		}
	}
	for _, word := range want.Says {
		if !says(check, word) {
			return false
		}
	}
	return len(want.Fields) == 0 || slices.ContainsFunc(list(check["fields"]), func(f map[string]any) bool {
		name, _ := f["field"].(string)
		return slices.Contains(want.Fields, name)
	})
}

// facts judges documents, media and the values at paths.
func (j *judgement) facts() {
	if want := j.want.Time; want != "" {
		j.must(j.last["time"] == want, "time of the event is %v, want %s", j.last["time"], want)
	}
	for path, want := range j.want.Values {
		got := at(j.data, path)
		j.must(reflect.DeepEqual(got, want), "%s is %s, want %s", path, text(got), text(want))
	}
	for _, path := range j.want.Absent {
		where, member, each := strings.Cut(path, "[].")
		if !each {
			j.must(at(j.data, path) == nil, "%s is %s, want none", path, text(at(j.data, path)))
			continue
		}
		for _, element := range list(j.data[where]) {
			j.must(at(element, member) == nil, "%s is %s, want none", path, text(at(element, member)))
		}
	}
	j.must(len(j.want.Document) == 0 || slices.ContainsFunc(list(j.data["documents"]), func(d map[string]any) bool {
		for path, want := range j.want.Document {
			if !reflect.DeepEqual(at(d, path), want) {
				return false
			}
		}
		return true
	}), "documents are %s, want one with %s", text(j.data["documents"]), text(j.want.Document))
	for _, kind := range j.want.Media {
		j.must(slices.ContainsFunc(list(j.data["media"]), func(m map[string]any) bool { return m["kind"] == kind }),
			"media are %s, want a %s", text(j.data["media"]), kind)
	}
	if want := j.want.Attempts; want > 0 {
		j.must(tells(j.data["extensions"], "attempt", float64(want)), "extensions are %s, want %d attempts",
			text(j.data["extensions"]), want)
	}
}

// claims judges the person of the event.
func (j *judgement) claims() {
	for _, word := range j.want.NoLonger {
		j.must(!says(j.last, word), "the last event still holds %s", word)
	}
	extracted, _ := j.data["extracted_claims"].(map[string]any)
	if j.want.NativeName {
		native := false
		for name, value := range extracted {
			written, _ := value.(string)
			native = native || strings.HasPrefix(name, "name#") &&
				strings.ContainsFunc(written, func(r rune) bool { return r > unicode.MaxLatin1 })
		}
		j.must(native, "extracted_claims are %s, want a name# in its own script", text(extracted))
	}
	for _, claims := range []any{j.data["extracted_claims"], j.data["verified_claims"]} {
		var whose []int
		for person, words := range j.want.Apart {
			if slices.ContainsFunc(words, func(word string) bool { return says(claims, word) }) {
				whose = append(whose, person+1)
			}
		}
		j.must(len(whose) < 2, "claims of the persons %v are mixed: %s", whose, text(claims))
	}
}

// at is the value at a path of names joined by dots; nil if it does not exist.
func at(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// list is the objects of an array.
func list(v any) (out []map[string]any) {
	array, _ := v.([]any)
	for _, element := range array {
		if object, is := element.(map[string]any); is {
			out = append(out, object)
		}
	}
	return out
}

// text is v as JSON.
func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// walk calls each with every member name, text and number of v and its place.
func walk(v any, path string, each func(path string, leaf any)) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			each(path+"/"+name+" (its name)", name)
			walk(value, path+"/"+name, each)
		}
	case []any:
		for i, element := range v {
			walk(element, fmt.Sprintf("%s/%d", path, i), each)
		}
	default:
		each(path, v)
	}
}

// says reports whether v contains a text, in any letter case.
func says(v any, want string) (found bool) {
	walk(v, "", func(_ string, leaf any) {
		found = found || strings.Contains(strings.ToLower(fmt.Sprint(leaf)), strings.ToLower(want))
	})
	return found
}

// named are the values of the members of a name, at any depth.
func named(v any, name string) (found []any) {
	switch v := v.(type) {
	case map[string]any:
		for member, value := range v {
			if member == name {
				found = append(found, value)
			}
			found = append(found, named(value, name)...)
		}
	case []any:
		for _, element := range v {
			found = append(found, named(element, name)...)
		}
	}
	return found
}

// tells reports whether v contains the value at a path that contains word, at any depth.
func tells(v any, word string, value any) (found bool) {
	walk(v, "", func(path string, leaf any) {
		found = found || leaf == value && strings.Contains(strings.ToLower(path), word)
	})
	return found
}

// tellingDigits is how many consecutive digits disclose a number; five may occur by chance.
const tellingDigits = 6

// receiptPath is where an event holds the time of the receipt.
const receiptPath = "/data/provider/event/received_at"

// showing lists the places that contain tellingDigits consecutive digits of a number, in any script, with any
// characters other than letters between the digits.
func showing(v any, number, path string) (found []string) {
	walk(v, path, func(path string, leaf any) {
		if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(leaf)); err == nil && path == receiptPath {
			return // the clock of this machine: its digits are a part of the number by chance
		}
		digits := letters(fmt.Sprint(leaf))
		for from := 0; from+tellingDigits <= len(number); from++ {
			if strings.Contains(digits, number[from:from+tellingDigits]) {
				found = append(found, path)
				return
			}
		}
	})
	return found
}

// letters is s reduced to its letters and digits, the digits in ASCII.
func letters(s string) string {
	var out strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			out.WriteByte('0' + digit(r))
		case unicode.IsLetter(r):
			out.WriteRune(r)
		}
	}
	return out.String()
}

// digit is the value of a decimal digit of any script: each range contains complete rows of ten.
func digit(r rune) byte {
	for _, row := range unicode.Nd.R16 {
		if lo := rune(row.Lo); r >= lo && r <= rune(row.Hi) {
			return byte((r - lo) % 10)
		}
	}
	for _, row := range unicode.Nd.R32 {
		if lo := rune(row.Lo); r >= lo && r <= rune(row.Hi) {
			return byte((r - lo) % 10)
		}
	}
	return 0
}
