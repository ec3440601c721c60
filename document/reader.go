package document

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fault is one thing that is wrong with a body: a place, and what was expected there. It never holds
// a value of the body.
type Fault struct {
	Path    string `json:"path"` // JSON pointer; "" is the whole body
	Message string `json:"message"`
}

// Reader knows how one provider writes its bodies. The zero value takes names as they are written.
type Reader struct {
	spellings map[string]string // by lower case and as spelled
	sole      map[string]bool   // names that are spelled in one way only
	labels    map[string]bool   // members that are maps of free-form labels
	nested    map[string]bool   // members that may hold JSON inside a string
}

// Forms are the members of a provider's bodies that are read in another way than JSON says.
type Forms struct {
	// Labels are members whose objects have labels printed on a document for names. A label keeps its
	// spelling and may stand twice; one that comes with different values is the list of them.
	Labels []string
	// Nested are members whose value may be JSON inside a string: it is read as if it stood there.
	Nested []string
	// Names are further members, which no schema lists: those around the part that a schema describes.
	Names []string
}

// NewReader returns a reader that recognises names without regard to case and writes each as it is
// spelled in names. Where names holds several spellings of one name, each is taken as it is written,
// and any other one becomes the last of them in byte order.
func NewReader(names []string, f Forms) Reader {
	r := Reader{spellings: map[string]string{}, sole: map[string]bool{}, labels: set(f.Labels), nested: set(f.Nested)}
	names = slices.Compact(slices.Sorted(slices.Values(slices.Concat(names, f.Labels, f.Nested, f.Names))))
	for _, name := range names {
		r.spellings[fold(name)] = name
	}
	for _, name := range names {
		r.sole[name] = r.spellings[fold(name)] == name
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

// spelling is the known spelling of a name, or the name itself where it is not known.
func (r Reader) spelling(name string) string {
	if known, ok := r.spellings[name]; ok {
		return known
	}
	if known, ok := r.spellings[fold(name)]; ok {
		return known
	}
	return name
}

// fold is one writing for all spellings of a name that differ in case only. Letters of other alphabets
// that are the same letter in another case count too, as they do for encoding/json: the long s (U+017F)
// is an s, the sign of kelvin (U+212A) a k.
func fold(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, name)
		}
	}
	return strings.ToLower(name)
}

// foldRune is the lower case of the smallest of the letters that differ from r in case only.
func foldRune(r rune) rune {
	other := unicode.SimpleFold(r)
	if other == r {
		return r // also where it has a lower case, as the dotted I (U+0130) has
	}
	smallest := r
	for ; other != r; other = unicode.SimpleFold(other) {
		smallest = min(smallest, other)
	}
	return unicode.ToLower(smallest)
}

// twice finds a name that stands in members twice, also where only the case differs.
func (r Reader) twice(object map[string]any, members []member) (name string, ok bool) {
	if len(object) == len(members) && !slices.ContainsFunc(members, r.unsure) {
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

// unsure reports whether another spelling of a member's name may stand beside it.
func (r Reader) unsure(m member) bool { return !r.sole[m.name] }

// labelled makes the object of free-form labels.
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
