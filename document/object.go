package document

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Object is a JSON object of a body. Its values are map[string]any, []any, string, json.Number, bool and
// nil. Every getter takes the names of members from the outside in, and treats a member of another type as
// absent. A nil Object has no members.
type Object map[string]any

// Value returns the value at a path, or nil.
func (o Object) Value(path ...string) any {
	var v any = map[string]any(o)
	for _, name := range path {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[name]
	}
	return v
}

// Has reports whether there is a value other than null at a path.
func (o Object) Has(path ...string) bool { return o.Value(path...) != nil }

// Text returns a string, or the text of a number or boolean; anything else is "".
func (o Object) Text(path ...string) string { return Text(o.Value(path...)) }

// Number returns a number, or a string that consists of one.
func (o Object) Number(path ...string) (float64, bool) { return Number(o.Value(path...)) }

// Bool returns a boolean, or the value of the text true or false in any letter case.
func (o Object) Bool(path ...string) (value, ok bool) { return Bool(o.Value(path...)) }

// Object returns an object, or nil.
func (o Object) Object(path ...string) Object {
	object, _ := o.Value(path...).(map[string]any)
	return object
}

// List returns the items of an array, or nil.
func (o Object) List(path ...string) []any {
	list, _ := o.Value(path...).([]any)
	return list
}

// Objects returns the objects of an array in their order; other items are omitted.
func (o Object) Objects(path ...string) []Object {
	var objects []Object
	for _, item := range o.List(path...) {
		if object, ok := item.(map[string]any); ok {
			objects = append(objects, object)
		}
	}
	return objects
}

// Text is the text of a scalar: a string, a number or a boolean; else "".
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// Number is the value of a number, or of a string that consists of one.
func Number(v any) (float64, bool) {
	var text string
	switch v := v.(type) {
	case string:
		text = strings.TrimSpace(v)
	case json.Number:
		text = v.String()
	}
	if text == "" || strings.Trim(text, "-0123456789.eE+") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// Bool is the value of a boolean, or of the text true or false in any letter case.
func Bool(v any) (value, ok bool) {
	switch text := strings.TrimSpace(Text(v)); {
	case strings.EqualFold(text, "true"):
		return true, true
	case strings.EqualFold(text, "false"):
		return false, true
	}
	return false, false
}
