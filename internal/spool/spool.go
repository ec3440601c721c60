// Package spool reads a JSON text that may hold documents and videos as base64 without holding them in
// memory: each long string is put aside, into a file that nobody else can read, and a short mark takes
// its place. What is left is as small as the text would be without them.
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
	// longest is how many bytes a string may have that stays where it is.
	longest = 64 << 10
	// markLength is longer than any string that a schema bounds may be, and shorter than what is put
	// aside: a rule that refuses a long string refuses its mark too.
	markLength = 4 << 10
	chunk      = 64 << 10
)

// The kinds of failure. Any other error is the reader's.
var (
	ErrTooLarge = errors.New("too much besides the long strings")
	ErrFull     = errors.New("no room for another body now")
	ErrDisk     = errors.New("the long strings cannot be kept")
)

// Limits bound what one text may take.
type Limits struct {
	Rest int    // bytes of what is not put aside
	Dir  string // where the file is made
	// Memory and Disk reserve n bytes more; false means that there are none left.
	Memory, Disk func(n int) bool
}

// Text is a JSON text whose long strings are put aside. It must be closed.
type Text struct {
	JSON  []byte
	Files []kycbridge.File
	// Others are the marks of long strings that are no base64. They are not kept.
	Others []string

	store *store
}

// Close forgets what was put aside. The files must not be read any more.
func (t *Text) Close() error { return t.store.close() }

// Read reads a text to its end. It does not judge the JSON: what is none leads to other text that is
// none.
func Read(r io.Reader, limits Limits) (*Text, error) {
	s := &splitter{limits: limits, store: newStore(limits.Dir, limits.Memory, limits.Disk)}
	in := bufio.NewReaderSize(r, chunk)
	for {
		_, err := in.Peek(1)
		part, _ := in.Peek(in.Buffered())
		if failed := s.take(part); failed != nil {
			return nil, errors.Join(failed, s.store.close())
		}
		_, _ = in.Discard(len(part)) // what has been peeked at is there
		if err == io.EOF {
			return &Text{JSON: s.rest.Bytes(), Files: s.files, Others: s.others, store: s.store}, nil
		}
		if err != nil {
			return nil, errors.Join(err, s.store.close())
		}
	}
}

// splitter goes through a text once.
type splitter struct {
	limits   Limits
	store    *store
	rest     bytes.Buffer   // what is not put aside
	reserved int            // of memory, for rest
	inside   bool           // a string
	escaped  bool           // the byte before was a backslash
	begin    int            // of the string, in rest
	current  *spooledString // the string that is being put aside; nil: none

	files  []kycbridge.File
	others []string
}

// take goes on with the next part of the text.
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

// quote ends a string, or begins one. The quote itself is still to be put.
func (s *splitter) quote() {
	if s.inside {
		s.inside = false
		s.settle()
		return
	}
	s.inside, s.begin = true, s.rest.Len()+1
}

// put takes text that lies within one string, or outside of any, but for a quote at its beginning.
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

// reserve makes sure that n bytes more may be held.
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

// settle puts the mark where the string was that has ended.
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

// spooledString is one string on its way into the store, without the escapes that JSON may write for its
// characters.
type spooledString struct {
	store   *store
	first   int64 // where it begins there
	digest  hash.Hash
	escape  []byte // an escape that is not complete
	padding int
	other   bool // it is no base64
	plain   []byte
}

func newSpooledString(s *store) *spooledString {
	return &spooledString{store: s, first: s.size, digest: sha256.New(), plain: make([]byte, 0, chunk)}
}

// put takes the next part of the string as the text has it.
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

// unescape goes on with an escape. Writers escape the slash of base64, and some the plus.
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

// add takes one character of the string itself.
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

// end is the file that the string is, and whether it is one. Equal strings have equal marks.
func (a *spooledString) end() (kycbridge.File, bool) {
	if a.other || len(a.escape) > 0 {
		return kycbridge.File{Mark: mark("!", a.digest)}, false
	}
	first, size, store := a.first, a.store.size-a.first, a.store
	return kycbridge.File{Mark: mark("A", a.digest), Size: size, Open: func() io.Reader { return store.reader(first, size) }}, true
}

// mark is a text of base64's letters, but for a kind that is none of them.
func mark(kind string, digest hash.Hash) string {
	sum := base64.RawStdEncoding.EncodeToString(digest.Sum(nil))
	return (kind + strings.Repeat(sum, markLength/len(sum)+1))[:markLength]
}

// disk says that the store failed, and why.
func disk(err error) error { return fmt.Errorf("%w: %w", ErrDisk, err) }
