package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a body. The schema validator converts numbers to big rationals whose size grows with the
// exponent, and panics on the largest. It takes microseconds for each value.
const (
	maxDepth    = 100     // objects and arrays within each other
	maxValues   = 100_000 // in total; the largest body that a provider documents has about 300
	maxDigits   = 128     // bytes of a number's text
	maxExponent = 308     // of a number, either way: the range of float64
)

// byteOrderMark may precede a body and has no meaning in UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// Decode decodes a body with case-sensitive names. See Reader.Decode.
func Decode(body []byte) (Object, []Fault) { return Reader{}.Decode(body) }

// Decode decodes one JSON object. It refuses bodies that two parsers could read differently: a name that
// occurs twice in an object, also in different case, and bytes that are not UTF-8. It also refuses a body
// that is not an object, nests too deeply or contains too many values. A number outside the range of
// float64 is refused by the zero Reader and becomes text for a provider's. Half of a surrogate pair, which
// JSON can express and Unicode cannot, becomes U+FFFD. A byte order mark before the body is ignored.
// It does not use encoding/json, because it processes every payload, and because a single pass also checks
// names, depth and numbers and records the pointers of faults.
func (r Reader) Decode(body []byte) (Object, []Fault) {
	body = bytes.TrimPrefix(body, byteOrderMark)
	if at := notUTF8(body); at >= 0 {
		return nil, []Fault{{"", fmt.Sprintf("is not UTF-8 at byte %d", at)}}
	}
	d := decoder{Reader: r, text: string(body)}
	doc, wrong := d.document()
	if wrong != nil {
		return nil, []Fault{wrong.fault()}
	}
	return doc, nil
}

// notUTF8 is the index of the first byte that is not UTF-8, or -1.
func notUTF8(body []byte) int {
	if utf8.Valid(body) {
		return -1
	}
	at := 0
	for at < len(body) {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

// decoder scans the text once. Strings of the tree are slices of it, so only strings with escapes are
// copied.
type decoder struct {
	Reader
	text  string
	at    int
	depth int
	count int      // number of values so far
	open  []member // members and items of the open objects and arrays
}

// document decodes the whole text.
func (d *decoder) document() (Object, *decodeError) {
	d.space()
	switch {
	case d.at == len(d.text):
		return nil, &decodeError{message: "must not be empty"}
	case d.text[d.at] != '{':
		return nil, &decodeError{message: "must be a JSON object"}
	}
	doc, wrong := d.object("")
	if wrong == nil {
		d.space()
		if d.at < len(d.text) {
			wrong = d.syntax()
		}
	}
	return Object(doc), wrong
}

// member is a member of an object, or an item of an array, which has no name.
type member struct {
	name  string
	value any
}

// decodeError stops the decoder. Its path grows from the inside outwards while the calls return.
type decodeError struct {
	message string
	syntax  bool     // the text is not JSON
	whole   bool     // the pointer is that of the body, not of a member
	path    []string // innermost first
}

// within adds the member or item that contains the error.
func (f *decodeError) within(token string) *decodeError {
	if !f.whole {
		f.path = append(f.path, token)
	}
	return f
}

func (f *decodeError) fault() Fault {
	slices.Reverse(f.path)
	return Fault{Pointer(f.path), f.message}
}

// syntax returns the error of a text that is not JSON from the current position on.
func (d *decoder) syntax() *decodeError {
	if d.at >= len(d.text) {
		return &decodeError{message: "is cut short: not valid JSON", syntax: true, whole: true}
	}
	return &decodeError{message: fmt.Sprintf("is not valid JSON at byte %d", d.at), syntax: true, whole: true}
}

// peek returns the next byte, or 0 at the end; a NUL is invalid JSON outside of strings, and must be
// escaped in them.
func (d *decoder) peek() byte {
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

func (d *decoder) space() {
	for d.at < len(d.text) {
		switch d.text[d.at] {
		case ' ', '\n', '\r', '\t':
			d.at++
		default:
			return
		}
	}
}

// value decodes the value of the member called name; an item of an array has no name.
func (d *decoder) value(name string) (any, *decodeError) {
	if d.count++; d.count > maxValues {
		return nil, &decodeError{message: fmt.Sprintf("must not hold more than %d values", maxValues), whole: true}
	}
	switch c := d.peek(); {
	case c == '"':
		return d.stringValue(name)
	case c == '{':
		return boxed(d.object(name))
	case c == '[':
		return d.array()
	case c == '-' || isDigit(c):
		return d.number()
	default:
		return d.literal()
	}
}

// boxed prevents a failed read from becoming a non-nil value.
func boxed(object map[string]any, wrong *decodeError) (any, *decodeError) {
	if wrong != nil {
		return nil, wrong
	}
	return object, nil
}

// stringValue decodes a string, or the object or array that a provider encodes in one.
func (d *decoder) stringValue(name string) (any, *decodeError) {
	s, wrong := d.str()
	if wrong != nil {
		return nil, wrong
	}
	if !d.nested[name] {
		return s, nil
	}
	inner := decoder{Reader: d.Reader, text: s, depth: d.depth, count: d.count}
	inner.space()
	if c := inner.peek(); c != '{' && c != '[' {
		return s, nil
	}
	v, wrong := inner.value(name)
	inner.space()
	d.count = inner.count
	switch {
	case wrong != nil && wrong.syntax || wrong == nil && inner.at < len(s):
		return s, nil // text that only begins like JSON
	case wrong != nil:
		return nil, wrong
	}
	return v, nil
}

func (d *decoder) literal() (any, *decodeError) {
	rest := d.text[d.at:]
	switch {
	case strings.HasPrefix(rest, "true"):
		d.at += len("true")
		return true, nil
	case strings.HasPrefix(rest, "false"):
		d.at += len("false")
		return false, nil
	case strings.HasPrefix(rest, "null"):
		d.at += len("null")
		return nil, nil
	}
	return nil, d.syntax()
}

// object decodes from '{' to '}'. The map is created once all members are known, at its final size.
func (d *decoder) object(name string) (map[string]any, *decodeError) {
	if wrong := d.enter(); wrong != nil {
		return nil, wrong
	}
	labels := d.labels[name]
	first := len(d.open)
	for more := d.peek() != '}'; more; more = d.next() {
		m, wrong := d.member(labels)
		if wrong != nil {
			return nil, wrong
		}
		d.open = append(d.open, m)
	}
	if !d.leave('}') {
		return nil, d.syntax()
	}
	members := d.open[first:]
	d.open = d.open[:first]
	if labels {
		return labelled(members), nil
	}
	object := make(map[string]any, len(members))
	for _, m := range members {
		object[m.name] = m.value
	}
	if twice, ok := d.twice(object, members); ok {
		return nil, (&decodeError{message: "stands twice in one object"}).within(twice)
	}
	return object, nil
}

func (d *decoder) member(label bool) (member, *decodeError) {
	if d.peek() != '"' {
		return member{}, d.syntax()
	}
	name, wrong := d.str()
	if wrong != nil {
		return member{}, wrong
	}
	if !label {
		name = d.spelling(name)
	}
	d.space()
	if d.peek() != ':' {
		return member{}, d.syntax()
	}
	d.at++
	d.space()
	value, wrong := d.value(name)
	if wrong != nil {
		return member{}, wrong.within(name)
	}
	return member{name, value}, nil
}

func (d *decoder) array() (any, *decodeError) {
	if wrong := d.enter(); wrong != nil {
		return nil, wrong
	}
	first := len(d.open)
	for more := d.peek() != ']'; more; more = d.next() {
		value, wrong := d.value("")
		if wrong != nil {
			return nil, wrong.within(strconv.Itoa(len(d.open) - first))
		}
		d.open = append(d.open, member{value: value})
	}
	if !d.leave(']') {
		return nil, d.syntax()
	}
	array := make([]any, len(d.open)-first)
	for i, m := range d.open[first:] {
		array[i] = m.value
	}
	d.open = d.open[:first]
	return array, nil
}

// enter skips an opening bracket.
func (d *decoder) enter() *decodeError {
	if d.depth++; d.depth > maxDepth {
		return &decodeError{message: fmt.Sprintf("must not be nested deeper than %d levels", maxDepth), whole: true}
	}
	d.at++
	d.space()
	return nil
}

// next skips a comma, if there is one: then another member or item must follow.
func (d *decoder) next() bool {
	d.space()
	if d.peek() != ',' {
		return false
	}
	d.at++
	d.space()
	return true
}

// leave skips the closing bracket, if it is next.
func (d *decoder) leave(bracket byte) bool {
	if d.peek() != bracket {
		return false
	}
	d.at++
	d.depth--
	return true
}

// str decodes a string. One with escapes is left to encoding/json, which implements the rules for them.
func (d *decoder) str() (string, *decodeError) {
	start := d.at + 1
	plain := true
	for i := start; i < len(d.text); i++ {
		switch c := d.text[i]; {
		case c == '"':
			d.at = i + 1
			if plain {
				return d.text[start:i], nil
			}
			return d.unescape(start - 1)
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			d.at = i
			return "", d.syntax()
		}
	}
	d.at = len(d.text)
	return "", d.syntax()
}

func (d *decoder) unescape(start int) (string, *decodeError) {
	var s string
	if json.Unmarshal([]byte(d.text[start:d.at]), &s) != nil {
		d.at = start
		return "", d.syntax()
	}
	return s, nil
}

// number decodes -?int frac? exp? and keeps the text: a provider's numeric ids may exceed the precision of
// float64. In a provider's body a number outside the range of float64 becomes text, because one unexpected
// value must not invalidate the others; in any other body it is refused.
func (d *decoder) number() (any, *decodeError) {
	start := d.at
	if d.peek() == '-' {
		d.at++
	}
	if leadingZero := d.peek() == '0'; !d.digits() || leadingZero && !d.single(start) {
		return nil, d.syntax()
	}
	if d.peek() == '.' {
		if d.at++; !d.digits() {
			return nil, d.syntax()
		}
	}
	exponent := -1
	if c := d.peek(); c == 'e' || c == 'E' {
		d.at++
		exponent = d.at
		if c := d.peek(); c == '+' || c == '-' {
			d.at++
		}
		if !d.digits() {
			return nil, d.syntax()
		}
	}
	text := d.text[start:d.at]
	if len(text) > maxDigits || exponent >= 0 && !computable(text, d.text[exponent:d.at]) {
		if d.spellings != nil {
			return text, nil
		}
		return nil, &decodeError{message: "number out of range"}
	}
	return json.Number(text), nil
}

// digits skips digits and reports whether there were any.
func (d *decoder) digits() bool {
	start := d.at
	for isDigit(d.peek()) {
		d.at++
	}
	return d.at > start
}

// single reports whether the integer at start has one digit: a longer integer must not begin with zero.
func (d *decoder) single(start int) bool {
	return len(strings.TrimPrefix(d.text[start:d.at], "-")) == 1
}

// computable reports whether a number with an exponent is within the range of float64.
func computable(text, exponent string) bool {
	e, err := strconv.Atoi(exponent)
	if err != nil || e > maxExponent || e < -maxExponent {
		return false
	}
	_, err = strconv.ParseFloat(text, 64)
	return err == nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
