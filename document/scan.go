package document

import (
	"encoding/json"
	"strings"
)

// Raw is the text of a JSON value, without surrounding white space.
type Raw []byte

// Members finds members of the JSON object in body by their names, in any case, and returns the text of
// each. It decodes only the names at the top level: the rest of the body is skipped byte by byte, so an
// unauthenticated body costs little more than reading it. A name that occurs twice is omitted, and nothing
// is returned for a body that is not a JSON object, as far as it was scanned.
func Members(body []byte, names ...string) map[string]Raw {
	s := scanner{text: body}
	if !s.skip() || s.text[s.at] != '{' {
		return nil
	}
	s.at++
	found := map[string]Raw{}
	twice := map[string]bool{}
	for s.skip() && s.text[s.at] != '}' {
		name, value, ok := s.member()
		if !ok {
			return nil
		}
		for _, wanted := range names {
			if fold(name) == fold(wanted) {
				_, before := found[wanted]
				twice[wanted] = twice[wanted] || before
				found[wanted] = value
			}
		}
		if !s.skip() || s.text[s.at] != ',' && s.text[s.at] != '}' {
			return nil
		}
		if s.text[s.at] == ',' {
			s.at++
		}
	}
	for name := range twice {
		if twice[name] {
			delete(found, name)
		}
	}
	return found
}

// IsObject reports whether the value begins as an object.
func (r Raw) IsObject() bool { return len(r) > 0 && r[0] == '{' }

// Text returns the value of a string; anything else is "".
func (r Raw) Text() string {
	if len(r) < 2 || r[0] != '"' {
		return ""
	}
	var s string
	if json.Unmarshal(r, &s) != nil {
		return ""
	}
	return s
}

// scanner skips JSON text without decoding it.
type scanner struct {
	text []byte
	at   int
}

// skip skips white space and a byte order mark, and reports whether anything is left.
func (s *scanner) skip() bool {
	if s.at == 0 && len(s.text) >= len(byteOrderMark) && string(s.text[:len(byteOrderMark)]) == string(byteOrderMark) {
		s.at = len(byteOrderMark)
	}
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\n', '\r', '\t':
			s.at++
		default:
			return true
		}
	}
	return false
}

// longestName limits the compared part of a member's name.
const longestName = 256

// member decodes the name of a member and skips its value.
func (s *scanner) member() (name string, value Raw, ok bool) {
	start := s.at
	if s.text[start] != '"' || !s.passString() {
		return "", nil, false
	}
	if raw := Raw(s.text[start:s.at]); len(raw) <= longestName {
		name = raw.Text()
	}
	if !s.skip() || s.text[s.at] != ':' {
		return "", nil, false
	}
	s.at++
	if !s.skip() {
		return "", nil, false
	}
	start = s.at
	if !s.passValue() {
		return "", nil, false
	}
	return name, Raw(s.text[start:s.at]), true
}

// passString skips the string that begins here.
func (s *scanner) passString() bool {
	for i := s.at + 1; i < len(s.text); i++ {
		switch s.text[i] {
		case '\\':
			i++
		case '"':
			s.at = i + 1
			return true
		}
	}
	return false
}

// passValue skips the value that begins here.
func (s *scanner) passValue() bool {
	depth := 0
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '"':
			if !s.passString() {
				return false
			}
		case '{', '[':
			depth++
			s.at++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return false
			}
			s.at++
		case ',', ':', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return false
			}
			s.at++
			continue
		default: // a number, true, false or null
			for s.at < len(s.text) && strings.IndexByte(",]} \n\r\t", s.text[s.at]) < 0 {
				s.at++
			}
		}
		if depth == 0 {
			return true
		}
	}
	return false
}
