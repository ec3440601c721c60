package client

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
)

var (
	errNotJSON   = errors.New("the request cannot be written as JSON")
	errNoSession = errors.New("the answer has no session_id")
	errLies      = errors.New("the body says that the call failed")
	errForeign   = errors.New("the answer is about another user or session")
)

// fault combines all error bodies that the vendor documents
// (https://doc.app.getkwikid.com/docs/VideoFlow/API_Integrations). A success flag that is true has no
// meaning, because failed calls carry it too; one that is false is a failure.
type fault struct {
	Success    Text   `json:"success"`
	Msg        Text   `json:"msg"`
	Message    Text   `json:"message"`
	E          Text   `json:"e"`
	StatusCode Text   `json:"status_code"`
	Status     Text   `json:"status"`
	Errors     wrongs `json:"errors"`
}

// wrongs are the fields that push_user_data rejected.
type wrongs struct {
	Missing   []Text `json:"missing_fields"`
	Incorrect []Text `json:"incorrect_formats"`
}

// UnmarshalJSON ignores a value of another form: the error is still an error without the fields.
func (w *wrongs) UnmarshalJSON(raw []byte) error {
	type plain wrongs
	var read plain
	if json.Unmarshal(raw, &read) == nil {
		*w = wrongs(read)
	}
	return nil
}

// text returns the vendor's error text: msg, else message, else e.
func (f fault) text() string {
	for _, t := range []Text{f.Msg, f.Message, f.E} {
		if t != "" {
			return string(t)
		}
	}
	return ""
}

// code returns the status code in the body, or 0.
func (f fault) code() int {
	if n := f.StatusCode.number(); n != 0 {
		return n
	}
	return f.Status.number()
}

// explain reads an error body: JSON, an HTML page or opaque text.
func explain(e *kycbridge.ProviderError, body []byte) {
	var f fault
	if json.Unmarshal(body, &f) != nil {
		f = fault{}
		e.Message = rest.Clean(string(body))
	} else {
		f.explain(e)
	}
	e.Kind = f.kindOf(e, e.Status)
}

func (f fault) explain(e *kycbridge.ProviderError) {
	e.Message = rest.Clean(f.text())
	e.Fields = append(pointers(f.Errors.Missing, "is required"),
		pointers(f.Errors.Incorrect, "has not the form that the provider wants")...)
}

// noSuchSession is the internal error behind "Invalid session id": the search for the session found none.
const noSuchSession = "list index out of range"

// kindOf corrects the error kind that the status alone would give: KwikID answers 400 for an unknown session,
// and a 400 of the token call is about the user name and password, which a caller of kycbridge cannot correct.
//
// The member e is the text of an internal error. If it is another one than that of an unknown session, such as one
// of the database, nothing is known about the session: counted as unknown it would fail after three such answers.
// Source: https://doc.app.getkwikid.com/docs/VideoFlow/API_Integrations
func (f fault) kindOf(e *kycbridge.ProviderError, code int) kycbridge.ProviderErrorKind {
	switch {
	case code != http.StatusBadRequest:
		return e.Kind
	case e.Call == callToken:
		return kycbridge.ProviderCredentials
	case e.Call != callDetails || !strings.Contains(strings.ToLower(e.Message), "invalid session id"):
		return e.Kind
	case f.E != "" && !strings.EqualFold(string(f.E), noSuchSession):
		return kycbridge.ProviderUnavailable
	}
	return kycbridge.ProviderNotFound
}

// Limits of what is copied from the vendor's list of fields: the number of fields, the length of a field in
// bytes, and the characters that the field names in the vendor's tables have.
const (
	mostFields   = 100
	longestField = 128
	fieldLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
)

// pointers converts GROUP.field to /GROUP/field. Text that does not look like a field name is left out,
// because it could be a value.
func pointers(fields []Text, message string) []kycbridge.FieldError {
	var out []kycbridge.FieldError
	for _, f := range fields {
		if len(f) == 0 || len(f) > longestField || strings.Trim(string(f), fieldLetters) != "" || len(out) == mostFields {
			continue
		}
		out = append(out, kycbridge.FieldError{Path: "/" + strings.ReplaceAll(string(f), ".", "/"), Message: message})
	}
	return out
}

// failed reports whether the body reports a failure by other means than a code.
func (f fault) failed() bool {
	switch strings.ToLower(string(f.Success)) {
	case "false", "0", "no":
		return true
	}
	switch strings.ToLower(string(f.Status)) {
	case "fail", "failed", "failure", "error":
		return true
	}
	return len(f.Errors.Missing)+len(f.Errors.Incorrect) > 0
}

// accept reads a 2xx into v. A 2xx whose body reports a failure is an error.
func accept(call string, a rest.Answer, v any) error {
	var f fault
	if err := a.Decode(&f); err != nil {
		return err
	}
	code := f.code()
	if code < http.StatusBadRequest && !f.failed() {
		return a.Decode(v)
	}
	e := &kycbridge.ProviderError{Kind: f.kind(call, a), Call: call, Status: a.Status, Sent: true, Err: errLies}
	f.explain(e)
	if code >= http.StatusBadRequest {
		e.Code = strconv.Itoa(code)
	} else {
		code = http.StatusBadRequest // KwikID's usual status of a failure; the body has no code
	}
	e.Kind = f.kindOf(e, code)
	return e
}

// kind returns the error kind of a failure that came with a 2xx: by the code in the body, else by the call.
// A failed sendLink or push_user_data whose answer names a session may have created it, so it is malformed, not
// invalid. A failed get_details reports nothing about the session, so it is malformed too.
func (f fault) kind(call string, a rest.Answer) kycbridge.ProviderErrorKind {
	if code := f.code(); code >= http.StatusBadRequest {
		return claimed(code)
	}
	if call == callLink || call == callPush {
		var made PushUserDataAnswer
		if a.Decode(&made) == nil && made.SessionID == "" && made.Track.SessionID == "" {
			return kycbridge.ProviderInvalid
		}
	}
	return kycbridge.ProviderMalformed
}

// refusedTokens are texts with which KwikID refuses a token with the status 200. It checks the token before
// anything else, and sets the status 401 in all cases but two: a token that was issued in the future, as the clocks
// of its servers see it, and one of another issuer.
// Source: the module auth.decorators of a server of KwikID in a public repository.
var refusedTokens = [...]string{"issued at time doesnt look right", "doesnt look like we issued this token"}

// nameless returns the error for an answer that names no session. One that refuses the token is like a 401: nothing
// was done, and another token may help.
func nameless(call string, a rest.Answer) error {
	var f fault
	if a.Decode(&f) != nil || !slices.Contains(refusedTokens[:], strings.ToLower(f.text())) {
		return errNoSession
	}
	e := &kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials, Call: call, Status: a.Status, Sent: true,
		Err: errLies}
	f.explain(e)
	return e
}

// checked returns a check that reads a 2xx into out. It sets out only if the answer names a session.
func checked[T any](call string, out *T, session func(T) Text) func(rest.Answer) error {
	return func(a rest.Answer) error {
		var read T
		if err := accept(call, a, &read); err != nil {
			return err
		}
		if session(read) == "" {
			return nameless(call, a)
		}
		*out = read
		return nil
	}
}

// claimed returns the error kind of a status code in a body.
func claimed(code int) kycbridge.ProviderErrorKind {
	switch {
	case code == http.StatusUnauthorized:
		return kycbridge.ProviderCredentials
	case code == http.StatusForbidden:
		return kycbridge.ProviderForbidden
	case code == http.StatusNotFound:
		return kycbridge.ProviderNotFound
	case code == http.StatusTooManyRequests:
		return kycbridge.ProviderRateLimited
	case code >= http.StatusInternalServerError:
		return kycbridge.ProviderUnavailable
	}
	return kycbridge.ProviderInvalid
}
