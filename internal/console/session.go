package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"kycbridge"
)

const (
	cookieName  = "kycbridge_console"
	maxSessions = 256
	sessionIdle = time.Hour      // idle time after which a session ends
	sessionLife = 12 * time.Hour // maximum duration of a session
)

// session is a signed-in operator. It ends when its token is no longer valid.
type session struct {
	token  [sha256.Size]byte // digest of the admin token
	by     string            // name of the token
	rights kycbridge.Rights  // current rights of the token
	csrf   string            // the token of its forms
	since  time.Time
	used   time.Time
}

// sessions are the sessions of this process, in memory and limited.
type sessions struct {
	now    func() time.Time
	failed rate.Sometimes // log lines of sign-ins with a wrong token

	mu   sync.Mutex
	byID map[[sha256.Size]byte]*session // by the digest of the cookie
}

// begin creates a session and returns its cookie. It replaces the least recently used one if necessary.
func (s *sessions) begin(token kycbridge.AdminToken) (cookie string) {
	cookie = random()
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = map[[sha256.Size]byte]*session{}
	}
	for len(s.byID) >= maxSessions {
		var oldest [sha256.Size]byte
		var used time.Time
		for id, one := range s.byID {
			if used.IsZero() || one.used.Before(used) {
				oldest, used = id, one.used
			}
		}
		delete(s.byID, oldest)
	}
	s.byID[sha256.Sum256([]byte(cookie))] = &session{
		token: token.Digest,
		by:    token.Name,
		csrf:  random(),
		since: now,
		used:  now,
	}
	return cookie
}

// find returns the session of a cookie while its token is valid under the same name, else nil.
func (s *sessions) find(cookie string, valid []kycbridge.AdminToken) *session {
	id := sha256.Sum256([]byte(cookie))
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.byID[id]
	if !ok {
		return nil
	}
	i := slices.IndexFunc(valid, func(token kycbridge.AdminToken) bool {
		return token.Name == found.by && subtle.ConstantTimeCompare(token.Digest[:], found.token[:]) == 1
	})
	if i < 0 || now.Sub(found.used) > sessionIdle || now.Sub(found.since) > sessionLife {
		delete(s.byID, id)
		return nil
	}
	found.used = now
	current := *found // a copy, because requests of one session run concurrently
	current.rights = valid[i].Rights
	return &current
}

func (s *sessions) end(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, sha256.Sum256([]byte(cookie)))
}

// random is 256 random bits.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// same compares in constant time.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// session is the session of a request; nil: not signed in.
func (c *Console) session(r *http.Request) *session {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	return c.sessions.find(cookie.Value, c.Tokens())
}

// setCookie stores a session in the browser; "" removes it.
func setCookie(w http.ResponseWriter, r *http.Request, value string) {
	cookie := &http.Cookie{
		Name:     cookieName,
		Value:    value,
		Path:     Prefix,
		HttpOnly: true,
		SameSite: http.SameSiteStrictMode,
		Secure:   r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// signInPage asks for a token, or explains how to add one.
func (c *Console) signInPage(w http.ResponseWriter, r *http.Request) {
	if c.session(r) != nil {
		http.Redirect(w, r, "/console/verifications", http.StatusSeeOther)
		return
	}
	c.askForToken(w, http.StatusOK, false)
}

// signInView is the content of the sign-in page.
type signInView struct{ Closed, Wrong bool }

func (c *Console) askForToken(w http.ResponseWriter, status int, wrong bool) {
	closed := len(c.Tokens()) == 0
	c.render(w, nil, status, "sign-in", "Sign in", signInView{closed, wrong})
}

// signIn starts a session for a valid admin token.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	given := r.PostFormValue("token")
	token, valid := kycbridge.FindToken(c.Tokens(), given)
	if !valid {
		c.ObserveStranger()
		c.sessions.failed.Do(func() { c.Logger.Warn("console sign-in with a token that is not valid") })
		c.askForToken(w, http.StatusUnauthorized, true)
		return
	}
	setCookie(w, r, c.sessions.begin(token))
	c.Logger.Info("console sign-in", zap.String("by", token.Name))
	c.noteSignIn(r, token)
	http.Redirect(w, r, "/console/verifications", http.StatusSeeOther)
}

func (c *Console) signOut(v visit) error {
	if cookie, err := v.r.Cookie(cookieName); err == nil {
		c.sessions.end(cookie.Value)
	}
	setCookie(v.w, v.r, "")
	http.Redirect(v.w, v.r, "/console/sign-in", http.StatusSeeOther)
	return nil
}
