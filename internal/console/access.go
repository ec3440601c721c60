package console

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"kycbridge"
)

// accessTimeout is for storing a record before values are revealed.
const accessTimeout = 5 * time.Second

// errUnrecorded means that the access log cannot store a record.
var errUnrecorded = errors.New("the access log takes no record")

// missingRight is the error of a visit whose token lacks a right.
type missingRight kycbridge.Right

func (m missingRight) Error() string { return "the right " + string(m) + " is missing" }

// need returns an error if the token of a visit lacks one of the rights.
func (v visit) need(rights []kycbridge.Right) error {
	for _, right := range rights {
		if !v.rights.Has(right) {
			return missingRight(right)
		}
	}
	return nil
}

// newAccess begins the record of a request.
func (c *Console) newAccess(s *session, r *http.Request, operation string) *kycbridge.Access {
	remote, _, _ := net.SplitHostPort(r.RemoteAddr)
	return &kycbridge.Access{Time: c.Now().UTC(), ID: rand.Text(), By: s.by, Operation: "console_" + operation,
		Remote: remote}
}

// about records which verification a visit is about.
func (v visit) about(k kycbridge.Key) {
	v.access.Provider, v.access.Account, v.access.VerificationID = k.Provider, k.Account, k.VerificationID
}

// refused records a missing right as the result of a visit.
func (v visit) refused(err error) {
	var missing missingRight
	if errors.As(err, &missing) {
		v.access.Result = "refused: " + string(missing)
	}
}

// begin stores the record of a visit with its reason, before values are revealed.
func (c *Console) begin(v visit, reason string) error {
	if c.Access == nil {
		return errUnrecorded
	}
	v.access.Reason = reason
	begun := *v.access
	begun.Result = kycbridge.AccessBegun
	ctx, cancel := context.WithTimeout(v.r.Context(), accessTimeout)
	defer cancel()
	if err := c.Access.StoreAccess(ctx, begun); err != nil {
		return errors.Join(errUnrecorded, err)
	}
	return nil
}

// note records a visit after it is done.
func (c *Console) note(v visit) {
	if c.Access == nil {
		return
	}
	if v.access.Result == "" {
		v.access.Result = strconv.Itoa(v.w.status())
	}
	c.Access.NoteAccess(*v.access)
}

// noteSignIn records the beginning of a session.
func (c *Console) noteSignIn(r *http.Request, token kycbridge.AdminToken) {
	if c.Access != nil {
		a := c.newAccess(&session{by: token.Name}, r, "sign_in")
		a.Result = strconv.Itoa(http.StatusSeeOther)
		c.Access.NoteAccess(*a)
	}
}

// statusWriter records the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	sent int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.sent == 0 {
		w.sent = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is used by http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// status is the status of the answer; 200 if none was written.
func (w *statusWriter) status() int {
	if w.sent == 0 {
		return http.StatusOK
	}
	return w.sent
}
