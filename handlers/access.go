package handlers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"kycbridge"
)

// AccessLog stores who used the API.
type AccessLog interface {
	// StoreAccess returns when the record is durable.
	StoreAccess(ctx context.Context, a kycbridge.Access) error
	// NoteAccess stores the record soon afterwards, and does not wait.
	NoteAccess(a kycbridge.Access)
}

const (
	reasonHeader  = "X-Reason"
	longestReason = 500             // characters
	accessTimeout = 5 * time.Second // for storing a record before a request is done
)

// The kinds of errors of rights and of the access log.
var (
	errRight      = errors.New("a right is missing")
	errReason     = errors.New("no reason")
	errUnrecorded = errors.New("the access log takes no record")
)

// use is one use of the API by a holder of a token or certificate.
type use struct {
	kycbridge.Access
	rights    kycbridge.Rights
	demanding bool // it needs a reason, and its record is stored before it is done
	begun     bool // that record is stored
}

// admit finds the holder of a request and checks the right to its operation.
func (s *api) admit(c echo.Context, t *requestLog) error {
	h, err := s.Holders().of(c)
	if err != nil {
		return err
	}
	remote, _, _ := net.SplitHostPort(c.Request().RemoteAddr)
	t.use = &use{rights: h.rights, demanding: t.demanding, Access: kycbridge.Access{Time: s.Now().UTC(), ID: rand.Text(),
		By: h.name, Operation: t.name, Remote: remote}}
	t.use.Reason, _ = reasonOf(c.Request().Header)
	return h.need(t.right)
}

// reasonOf is the reason that a request states.
func reasonOf(h http.Header) (string, error) {
	values := h.Values(reasonHeader)
	if len(values) != 1 {
		return "", errReason
	}
	text, err := url.PathUnescape(values[0])
	text = strings.TrimSpace(text)
	if err != nil || text == "" || !utf8.ValidString(text) || utf8.RuneCountInString(text) > longestReason ||
		strings.ContainsFunc(text, unicode.IsControl) {
		return "", errReason
	}
	return text, nil
}

// begin demands a reason and stores the record of a request, before it is done. While no holder has a name, only
// holds and releases need a reason, so that requests from before holders had names remain valid.
func (s *api) begin(c echo.Context, t *requestLog) error {
	h := c.Request().Header
	optional := t.right != kycbridge.RightHold && len(h.Values(reasonHeader)) == 0 && !s.Holders().named()
	if _, err := reasonOf(h); err != nil && !optional {
		return err
	}
	if s.Access == nil {
		return errUnrecorded
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), accessTimeout)
	defer cancel()
	if err := s.Access.StoreAccess(ctx, t.record(kycbridge.AccessBegun)); err != nil {
		return fmt.Errorf("%w: %w", errUnrecorded, err)
	}
	t.use.begun = true
	return nil
}

// about records which verification a request is about, and begins a demanding one.
func (s *api) about(c echo.Context, t *requestLog, k kycbridge.Key) error {
	t.use.Provider, t.use.Account, t.verificationID = k.Provider, k.Account, k.VerificationID
	if !t.use.demanding || t.use.begun {
		return nil
	}
	return s.begin(c, t)
}

// uuid matches the id of a verification. Other text that a caller sends in its place is not recorded.
var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// holderLength limits the characters of a holder's name.
const holderLength = 128

// isHolderName reports whether a text may be recorded as the name of a holder: letters and numbers of any script, and
// after the first also spaces and " ._@:-". A regular expression of these classes would take 2.6 MB of memory.
func isHolderName(text string) bool {
	for i, r := range text {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && (i == 0 || !strings.ContainsRune(" ._@:-", r)) {
			return false
		}
	}
	return text != "" && utf8.RuneCountInString(text) <= holderLength
}

// record is the record of a request with a result.
func (t *requestLog) record(result string) kycbridge.Access {
	a := t.use.Access
	a.Result = result
	if uuid.MatchString(t.verificationID) {
		a.VerificationID = t.verificationID
	}
	if t.account != nil {
		a.Provider, a.Account = t.account.Provider.Name, t.account.Name
	}
	return a
}

// note records a request after it is done. One without a valid token has no holder and is only logged.
func (s *api) note(t *requestLog, err error) {
	if s.Access == nil || t.use == nil {
		return
	}
	result := strconv.Itoa(t.status)
	if missing, ok := errors.AsType[missingRight](err); ok {
		result = "refused: " + string(missing.right)
	} else if t.outcome == "broken" {
		result += " broken"
	}
	s.Access.NoteAccess(t.record(result))
}

// selected records what a request selects.
func (s *api) selected(t *requestLog, doc map[string]any) {
	all := map[string]any{}
	for name, value := range doc {
		if inner, nested := value.(map[string]any); nested {
			maps.Copy(all, inner)
			continue
		}
		all[name] = value
	}
	t.use.Filter = kycbridge.FilterWords(all)
	t.verificationID = text(all, "verification")
	for k := range s.Accounts.All() { // a name that is not configured may be any text
		if text(all, "provider") == k.Provider {
			t.use.Provider = k.Provider
		}
		if text(all, "account") == k.Account {
			t.use.Account = k.Account
		}
	}
}
