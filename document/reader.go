package document

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fault is one error in a body: a pointer, and the expectation there. It never contains a value of the
// body.
type Fault struct {
	Path    string `json:"path"` // JSON pointer; "" is the whole body
	Message string `json:"message"`
}

// Reader decodes the bodies of one provider. The zero value is case-sensitive.
type Reader struct {
	spellings map[string]string // by lower case and by spelling
	unique    map[string]bool   // names with a single spelling
	labels    map[string]bool   // members that are maps of free-form labels
	nested    map[string]bool   // members that may hold JSON inside a string
}

// Forms are the members of a provider's bodies with special decoding rules.
type Forms struct {
	// Labels are members whose objects use labels printed on a document as member names. A label keeps its
	// spelling and may occur twice; if its values differ, it gets the list of them.
	Labels []string
	// Nested are members whose value may be JSON inside a string: it is decoded in place.
	Nested []string
	// Names are further members that no schema lists: those of the wrapper around the part that a schema
	// describes.
	Names []string
}

// NewReader returns a reader that recognizes names in any case and normalizes each to its spelling in
// names. If names contains several spellings of one name, each stays unchanged, and any other one becomes
// the last of them in byte order.
func NewReader(names []string, f Forms) Reader {
	r := Reader{spellings: map[string]string{}, unique: map[string]bool{}, labels: set(f.Labels), nested: set(f.Nested)}
	names = slices.Compact(slices.Sorted(slices.Values(slices.Concat(names, f.Labels, f.Nested, f.Names))))
	for _, name := range names {
		r.spellings[fold(name)] = name
	}
	for _, name := range names {
		r.unique[name] = r.spellings[fold(name)] == name
		r.spellings[name] = name
	}
	return r
}

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}

// spelling is the known spelling of a name, or the name itself if it is unknown.
func (r Reader) spelling(name string) string {
	if known, ok := r.spellings[name]; ok {
		return known
	}
	if known, ok := r.spellings[fold(name)]; ok {
		return known
	}
	return name
}

// fold normalizes names that differ in case only. Letters outside of ASCII that are case variants count
// too, as in encoding/json: the long s (U+017F) is an s, the Kelvin sign (U+212A) a k.
func fold(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, name)
		}
	}
	return strings.ToLower(name)
}

// foldRune is the lower case of the smallest case variant of r.
func foldRune(r rune) rune {
	other := unicode.SimpleFold(r)
	if other == r {
		return r // also if it has a lower case, as the dotted I (U+0130) has
	}
	smallest := r
	for ; other != r; other = unicode.SimpleFold(other) {
		smallest = min(smallest, other)
	}
	return unicode.ToLower(smallest)
}

// twice finds a name that occurs twice in members, also in different case.
func (r Reader) twice(object map[string]any, members []member) (name string, ok bool) {
	if len(object) == len(members) && !slices.ContainsFunc(members, r.mayRepeat) {
		return "", false
	}
	seen := make(map[string]bool, len(members))
	for _, m := range members {
		folded := fold(m.name)
		if seen[folded] {
			return m.name, true
		}
		seen[folded] = true
	}
	return "", false
}

// mayRepeat reports whether another spelling of a member's name may occur beside it.
func (r Reader) mayRepeat(m member) bool { return !r.unique[m.name] }

// labelled creates the object of free-form labels.
func labelled(members []member) map[string]any {
	object := make(map[string]any, len(members))
	for _, m := range members {
		before, repeated := object[m.name]
		if !repeated || reflect.DeepEqual(before, m.value) {
			object[m.name] = m.value
			continue
		}
		object[m.name] = []any{before, m.value}
	}
	return object
}
