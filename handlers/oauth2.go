package handlers

import (
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/normalize/credential"
)

// TokenPath is the route at which providers fetch access tokens (RFC 6749, section 4.4).
const TokenPath = "/oauth2/token"

const (
	tokenMaxBody = 8 << 10 // bytes
	tokenRate    = 50      // tokens issued in a second; a client needs one for each lifetime
	tokenBurst   = 100
)

// tokenIssued is the outcome of a request for a token that got one.
const tokenIssued = "issued"

// token answers a request for an access token: {"access_token": …} or {"error": …} of RFC 6749. Nothing is
// stored: the token itself proves that it was issued (credential.IssueToken).
func (h *Callbacks) token(c echo.Context) error {
	start := time.Now()
	var t requestLog
	var body []byte
	err := t.run(func() (err error) {
		body, err = h.issue(c.Request(), &t)
		return err
	})
	w := c.Response()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	if err == nil {
		t.outcome, t.status = tokenIssued, http.StatusOK
		writeBody(w, http.StatusOK, "application/json", body)
	} else {
		p := problemFor(err)
		t.outcome, t.status = p.name, p.status
		if p.status < http.StatusInternalServerError {
			discard(w.Writer, c.Request())
		}
		p.writeToken(w)
	}
	t.took = time.Since(start)
	h.logToken(&t, err)
	provider, account := t.names()
	h.options.ObserveToken(Outcome{Provider: provider, Account: account, Outcome: t.outcome, Duration: t.took})
	return nil
}

// issue authenticates the client and issues a token of its account.
func (h *Callbacks) issue(r *http.Request, t *requestLog) (body []byte, err error) {
	if h.draining.Load() {
		return nil, errDraining
	}
	limits := h.limits.Load()
	if !limits.allow() {
		return nil, errBusy
	}
	form, err := h.readForm(r, t)
	if err != nil {
		return nil, err
	}
	switch grant := form["grant_type"]; {
	case len(grant) != 1 || grant[0] == "":
		return nil, fmt.Errorf("%w: grant_type is missing", errTokenRequest)
	case grant[0] != "client_credentials":
		return nil, errGrantType
	}
	candidates, err := clientsOf(r.Header, form)
	if err != nil {
		return nil, err
	}
	account, client, err := h.findClient(candidates, t)
	if err != nil {
		return nil, err
	}
	if !addressAllowed(r, account.AllowIPs, limits.TrustedProxies) {
		return nil, errAddress // 403, as for a callback
	}
	if !h.tokens.Allow() {
		return nil, errBusy
	}
	o := account.Credentials.OAuth2
	token := credential.IssueToken(o, client, h.options.Now())
	body = appendMember([]byte(`{"token_type":"Bearer"`), "access_token", token)
	body = append(body, `,"expires_in":`...)
	body = strconv.AppendInt(body, int64(o.Lifetime/time.Second), 10)
	return append(body, '}'), nil
}

// readForm reads the body of a request for a token. The query is not read: secrets do not belong in an
// address.
func (h *Callbacks) readForm(r *http.Request, t *requestLog) (url.Values, error) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" || r.Header.Get("Content-Encoding") != "" {
		return nil, fmt.Errorf("%w: not a form", errTokenRequest)
	}
	memory := share{of: &h.bodies}
	defer memory.release()
	body, err := readBody(r, tokenMaxBody, &memory)
	t.bytes = int64(len(body))
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("%w: not a form", errTokenRequest)
	}
	for _, name := range []string{"grant_type", "client_id", "client_secret"} {
		if len(form[name]) > 1 {
			return nil, fmt.Errorf("%w: %s is repeated", errTokenRequest, name)
		}
	}
	return form, nil
}

// clientsOf are the id and the secret that a request presents: one pair, or two readings of one. A client must
// encode both before it puts them into HTTP Basic (RFC 6749, section 2.3.1), and many do not.
func clientsOf(header http.Header, form url.Values) ([]kycbridge.OAuth2Client, error) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	encoded, isBasic := credential.SchemeValue(credential.HeaderValue(header, "Authorization"), "Basic")
	switch {
	case isBasic && secret != "":
		return nil, fmt.Errorf("%w: two ways of client authentication", errTokenRequest)
	case !isBasic && credential.HeaderPresented(header, "Authorization"):
		return nil, fmt.Errorf("%w: Authorization is not Basic, or is repeated", errInvalidClient)
	case !isBasic && (id == "" || secret == ""):
		return nil, fmt.Errorf("%w: no client id and secret were sent", errInvalidClient)
	case !isBasic:
		return []kycbridge.OAuth2Client{{ID: id, Secret: secret}}, nil
	}
	pair, err := base64.StdEncoding.DecodeString(encoded)
	user, password, ok := strings.Cut(string(pair), ":")
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: Authorization: Basic cannot be read", errInvalidClient)
	}
	candidates := []kycbridge.OAuth2Client{{ID: user, Secret: password}}
	plainUser, err1 := url.QueryUnescape(user)
	plainPassword, err2 := url.QueryUnescape(password)
	if decoded := (kycbridge.OAuth2Client{ID: plainUser, Secret: plainPassword}); err1 == nil && err2 == nil &&
		decoded != candidates[0] {
		candidates = append(candidates, decoded)
	}
	for _, c := range candidates {
		if id != "" && id != c.ID && id != plainUser {
			return nil, fmt.Errorf("%w: two client ids", errTokenRequest)
		}
	}
	return candidates, nil
}

// findClient returns the client and its account. It sets t.account as soon as the id matches, so
// that the log names the account if the secret is wrong.
func (h *Callbacks) findClient(
	candidates []kycbridge.OAuth2Client, t *requestLog,
) (*kycbridge.Account, kycbridge.OAuth2Client, error) {
	why := errors.New("no account has this client id")
	for _, presented := range candidates {
		for _, account := range h.options.Accounts.All() {
			if !hasClient(account, presented.ID) {
				continue
			}
			t.account = account
			if client, ok := credential.FindClient(account.Credentials.OAuth2, presented.ID, presented.Secret); ok {
				return account, client, nil
			}
			why = errors.New("wrong client secret")
		}
	}
	return nil, kycbridge.OAuth2Client{}, fmt.Errorf("%w: %w", errInvalidClient, why)
}

// hasClient reports whether an account has a client of this id, which is no secret.
func hasClient(account *kycbridge.Account, id string) bool {
	for _, client := range account.Credentials.OAuth2.Clients {
		if client.ID == id && id != "" {
			return true
		}
	}
	return false
}

// logToken writes the line of a request for a token. Lines of refused requests are sampled together
// with those of refused callbacks.
func (h *Callbacks) logToken(t *requestLog, err error) {
	level := t.level(err)
	refused := errors.Is(err, errInvalidClient)
	if refused {
		level = zap.WarnLevel
	}
	entry := h.options.Logger.Check(level, "token request")
	if entry == nil {
		return
	}
	more := zap.Skip()
	if refused {
		due, skipped := h.refusals.pass()
		if !due {
			return
		}
		if skipped > 0 {
			more = zap.Int("not_logged", skipped)
		}
	}
	t.write(entry, err, more)
}

// writeToken responds to a request for a token: with an error of RFC 6749 if the row is one, else with the
// problem.
func (p *problem) writeToken(w http.ResponseWriter) {
	if !slices.Contains([]error{errInvalidClient, errGrantType, errTokenRequest}, p.kind) {
		p.write(w, nil)
		return
	}
	for _, c := range p.challenges {
		w.Header().Add("WWW-Authenticate", c)
	}
	body := appendMember([]byte(`{"error":"`+p.name+`"`), "error_description", p.detail)
	writeBody(w, p.status, "application/json", append(body, '}'))
}
