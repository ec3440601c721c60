// Package spool reads a JSON text that may contain documents and videos as base64 without holding them in
// memory: each long string is moved to an unnamed, encrypted file, and replaced by a short mark. The rest
// is as small as the text would be without them.
package spool

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	"kycbridge"
)

const (
	// longest is the maximum size in bytes of a string that is not moved.
	longest = 64 << 10
	// markLength is longer than the limits of strings in any schema, and shorter than a moved string: a
	// rule that refuses a long string refuses its mark too.
	markLength = 4 << 10
	chunk      = 64 << 10
)

// The kinds of errors. Any other error comes from the reader.
var (
	ErrTooLarge = errors.New("too much besides the long strings")
	ErrFull     = errors.New("no room for another body now")
	ErrDisk     = errors.New("the long strings cannot be kept")
)

// Limits limit the resources of one text.
type Limits struct {
	Rest int    // bytes of the rest of the text
	Dir  string // folder of the file
	// Memory and Disk reserve n bytes more; false means that none are left.
	Memory, Disk func(n int) bool
}

// Text is a JSON text whose long strings were moved to a file. It must be closed.
type Text struct {
	JSON  []byte
	Files []kycbridge.File
	// Others are the marks of long strings that are not base64. They are not stored.
	Others []string

	store *store
}

// Close removes the file. Files must not be read afterwards.
func (t *Text) Close() error { return t.store.close() }

// Read reads a text to its end. It does not validate the JSON: invalid text remains invalid.
func Read(r io.Reader, limits Limits) (*Text, error) {
	s := &splitter{limits: limits, store: newStore(limits.Dir, limits.Memory, limits.Disk)}
	in := bufio.NewReaderSize(r, chunk)
	for {
		_, err := in.Peek(1)
		part, _ := in.Peek(in.Buffered())
		if failed := s.take(part); failed != nil {
			return nil, errors.Join(failed, s.store.close())
		}
		_, _ = in.Discard(len(part)) // the peeked bytes are available
		if err == io.EOF {
			return &Text{JSON: s.rest.Bytes(), Files: s.files, Others: s.others, store: s.store}, nil
		}
		if err != nil {
			return nil, errors.Join(err, s.store.close())
		}
	}
}

// splitter processes a text in one pass.
type splitter struct {
	limits   Limits
	store    *store
	rest     bytes.Buffer   // the text without the moved strings
	reserved int            // of memory, for rest
	inside   bool           // a string
	escaped  bool           // the previous byte was a backslash
	begin    int            // of the string, in rest
	current  *spooledString // the string that is being moved; nil: none

	files  []kycbridge.File
	others []string
}

// take processes the next part of the text.
func (s *splitter) take(part []byte) error {
	from := 0
	for i, c := range part {
		switch {
		case s.escaped:
			s.escaped = false
		case c == '\\' && s.inside:
			s.escaped = true
		case c == '"':
			if err := s.put(part[from:i]); err != nil {
				return err
			}
			from = i
			s.quote()
		}
	}
	return s.put(part[from:])
}

// quote ends a string, or begins one. The quote itself is still to be added.
func (s *splitter) quote() {
	if s.inside {
		s.inside = false
		s.settle()
		return
	}
	s.inside, s.begin = true, s.rest.Len()+1
}

// put adds text that is within one string, or outside of any, except for a quote at its beginning.
func (s *splitter) put(text []byte) error {
	if s.current != nil {
		return s.current.put(text)
	}
	if err := s.reserve(len(text)); err != nil {
		return err
	}
	s.rest.Write(text)
	if !s.inside || s.rest.Len()-s.begin <= longest {
		return nil
	}
	s.current = newSpooledString(s.store)
	long := bytes.Clone(s.rest.Bytes()[s.begin:])
	s.rest.Truncate(s.begin)
	return s.current.put(long)
}

// reserve ensures that n bytes more may be held.
func (s *splitter) reserve(n int) error {
	size := s.rest.Len() + n
	switch {
	case size > s.limits.Rest:
		return ErrTooLarge
	case size <= s.reserved:
		return nil
	}
	more := max(chunk, size-s.reserved)
	if !s.limits.Memory(more) {
		return ErrFull
	}
	s.reserved += more
	return nil
}

// settle adds the mark of the string that has ended.
func (s *splitter) settle() {
	if s.current == nil {
		return
	}
	file, is := s.current.end()
	s.rest.WriteString(file.Mark)
	if is {
		s.files = append(s.files, file)
	} else {
		s.others = append(s.others, file.Mark)
	}
	s.current = nil
}

// spooledString is one string while it is moved to the store, without JSON escapes.
type spooledString struct {
	store   *store
	first   int64 // its offset in the store
	digest  hash.Hash
	escape  []byte // an incomplete escape
	padding int
	other   bool // it is not base64
	plain   []byte
}

func newSpooledString(s *store) *spooledString {
	return &spooledString{store: s, first: s.size, digest: sha256.New(), plain: make([]byte, 0, chunk)}
}

// put adds the next part of the string as it is in the text.
func (a *spooledString) put(text []byte) error {
	for _, c := range text {
		switch {
		case len(a.escape) > 0:
			a.unescape(c)
		case c == '\\':
			a.escape = append(a.escape, c)
		default:
			a.add(c)
		}
		if len(a.plain) == cap(a.plain) {
			if err := a.flush(); err != nil {
				return err
			}
		}
	}
	return a.flush()
}

// unescape processes a byte of an escape. Writers escape the slash of base64, and some the plus.
func (a *spooledString) unescape(c byte) {
	a.escape = append(a.escape, c)
	switch {
	case len(a.escape) == 2 && c == '/':
		a.add('/')
	case len(a.escape) == 2 && c == 'u', len(a.escape) > 2 && len(a.escape) < len(`\u002B`):
		return
	case len(a.escape) == len(`\u002B`):
		code, err := strconv.ParseUint(string(a.escape[2:]), 16, 16)
		if err != nil || code >= 0x80 {
			a.other = true
		} else {
			a.add(byte(code))
		}
	default:
		a.other = true
	}
	a.escape = a.escape[:0]
}

// add adds one character of the string itself.
func (a *spooledString) add(c byte) {
	switch {
	case c == '=':
		a.padding++
	case a.padding > 0, !inAlphabet(c):
		a.other = true
	}
	if a.padding > 2 {
		a.other = true
	}
	if !a.other {
		a.plain = append(a.plain, c)
	}
}

func inAlphabet(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}

func (a *spooledString) flush() error {
	if a.other {
		a.plain = a.plain[:0]
		return nil
	}
	a.digest.Write(a.plain)
	err := a.store.write(a.plain)
	a.plain = a.plain[:0]
	return err
}

// end returns the file of the string, and whether the string is base64. Equal strings have equal marks.
func (a *spooledString) end() (kycbridge.File, bool) {
	if a.other || len(a.escape) > 0 {
		return kycbridge.File{Mark: mark("!", a.digest)}, false
	}
	first, size, store := a.first, a.store.size-a.first, a.store
	return kycbridge.File{Mark: mark("A", a.digest), Size: size,
		Open: func() io.Reader { return store.reader(first, size) }}, true
}

// mark is a text in the base64 alphabet, except for a kind that is not base64.
func mark(kind string, digest hash.Hash) string {
	sum := base64.RawStdEncoding.EncodeToString(digest.Sum(nil))
	return (kind + strings.Repeat(sum, markLength/len(sum)+1))[:markLength]
}

// disk wraps an error of the store.
func disk(err error) error { return fmt.Errorf("%w: %w", ErrDisk, err) }
