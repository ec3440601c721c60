package simulate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Scopes of a token; either also has a form that ends in _readonly.
const (
	ondatoIDVScope = "idv_api"
	ondatoKYCScope = "kyc_identifications_api"
)

// ondatoToken is a token that was given out.
type ondatoToken struct {
	scope   string
	expires time.Time
}

// ondatoRoutes adds the API. The calls have the names that a client of ours uses.
func ondatoRoutes(s *Server, mux *http.ServeMux) {
	a := &ondatoAccount{
		s: s, templates: ondatoTemplates(), states: ondatoStates(),
		tokens: map[string]ondatoToken{}, byID: map[string]*ondatoVerification{},
	}
	s.state = a
	add := func(pattern, name, scope string, handle http.HandlerFunc) {
		mux.HandleFunc(pattern, s.call(name, false, a.authorised(scope, handle)))
	}
	mux.HandleFunc("POST /connect/token", s.call("token", true, a.token))
	add("POST /v1/identity-verifications", "create_identity_verification", ondatoIDVScope, a.create)
	add("GET /v1/identity-verifications/{id}", "get_identity_verification", ondatoIDVScope, a.getIDV)
	add("GET /v1/identity-verifications/{id}/webhooks", "get_webhooks", ondatoIDVScope, a.getHistory)
	add("GET /v1/identity-verifications/{id}/setup", "get_setup", ondatoIDVScope, a.getSetup)
	add("GET /v1/identifications/{id}", "get_identification", ondatoKYCScope, a.getKYC)
	add("GET /v1/identifications/{id}/files/{file}", "get_file", ondatoKYCScope, a.getFile)
	add("POST /v1/identifications/filter", "filter_identifications", ondatoKYCScope, a.filter)
	mux.HandleFunc("/", s.call("unknown", false, func(w http.ResponseWriter, _ *http.Request) { ondatoNotFound(w) }))
}

// token gives out tokens that really expire.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2320990304
func (a *ondatoAccount) token(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	credentials := a.s.Credentials
	refusal := ""
	switch {
	case kind != "application/x-www-form-urlencoded" || r.ParseForm() != nil:
		refusal = "invalid_request"
	case r.PostForm.Get("grant_type") != "client_credentials":
		refusal = "unsupported_grant_type"
	case r.PostForm.Get("client_id") != cmp.Or(credentials.User, ondatoClientID),
		r.PostForm.Get("client_secret") != cmp.Or(credentials.Password, ondatoClientSecret):
		refusal = "invalid_client"
	}
	if refusal != "" {
		answer(w, http.StatusBadRequest, fmt.Appendf(nil, `{"error": %q}`, refusal))
		return
	}
	scope := cmp.Or(r.PostForm.Get("scope"), ondatoIDVScope+" "+ondatoKYCScope)
	life := a.s.TokenLife
	a.s.mu.Lock()
	value := fmt.Sprintf("synthetic-access-token-%d", a.s.next())
	a.tokens[value] = ondatoToken{scope, time.Now().Add(life)}
	a.s.mu.Unlock()
	answer(w, http.StatusOK, fmt.Appendf(nil, `{"access_token": %q, "expires_in": %d, "token_type": "Bearer", "scope": %q}`,
		value, int(max(time.Second, life)/time.Second), scope))
}

// authorised admits calls with a token that is still good and of this scope.
func (a *ondatoAccount) authorised(scope string, handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		a.s.mu.Lock()
		token, known := a.tokens[value]
		a.s.mu.Unlock()
		if !known || !time.Now().Before(token.expires) {
			c := ondatoRefused(http.StatusUnauthorized, "AuthenticationFailed", "The access token is missing, invalid, or is revoked.")
			c.write(w)
			return
		}
		scopes := strings.Fields(token.scope)
		if !slices.Contains(scopes, scope) && (r.Method != http.MethodGet || !slices.Contains(scopes, scope+"_readonly")) {
			c := ondatoRefused(http.StatusForbidden, "AuthorizationFailed",
				"The subject of the token does not have the permissions that are required to access the resource.")
			c.write(w)
			return
		}
		handle(w, r)
	}
}

func ondatoNotFound(w http.ResponseWriter) {
	c := ondatoRefused(http.StatusNotFound, "NotFound", "The requested resource doesn't exist..")
	c.write(w)
}

// ondatoInvalid refuses a request for one of its fields.
func ondatoInvalid(w http.ResponseWriter, field, reason, message string) {
	answer(w, http.StatusBadRequest, fmt.Appendf(nil,
		`{"reason": "ValidationFailed", "message": "The request is invalid.", "params": {%q: [{"reason": %q, "message": %q}]}}`, field, reason, message))
}

// create makes an identity verification.
func (a *ondatoAccount) create(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var request ondatoCreate
	if json.Unmarshal(body, &request) != nil {
		ondatoInvalid(w, "body", "Invalid", "Property is not valid.")
		return
	}
	var person struct {
		PhoneNumber json.RawMessage
		CountryCode string
	}
	_ = json.Unmarshal(request.Registration, &person)
	switch {
	case request.SetupID == "":
		ondatoInvalid(w, "setupId", "Required", "Property should not be empty.")
	case !ondatoUUID(request.SetupID):
		ondatoInvalid(w, "setupId", "Invalid", "Property is not valid.")
	case bytes.HasPrefix(person.PhoneNumber, []byte(`"`)):
		ondatoInvalid(w, "registration.phoneNumber", "Invalid", "Property is not valid.")
	case person.CountryCode != "" && len(person.CountryCode) != len("LT"):
		ondatoInvalid(w, "registration.countryCode", "Invalid", "Property is not valid.")
	default:
		answer(w, http.StatusCreated, fmt.Appendf(nil, `{"id": %q}`, a.begin(request, "").ID))
	}
}

// ondatoUUID reports whether id has the form of a UUID.
func ondatoUUID(id string) bool {
	groups := strings.Split(id, "-")
	if len(groups) != 5 || strings.Trim(strings.ToLower(id), "0123456789abcdef-") != "" {
		return false
	}
	return len(groups[0]) == 8 && len(groups[1]) == 4 && len(groups[2]) == 4 && len(groups[3]) == 4 && len(groups[4]) == 12
}

// find looks a resource up; own tells which of its two ids must have been used. It answers what is
// not there.
func (a *ondatoAccount) find(w http.ResponseWriter, r *http.Request, own func(*ondatoVerification) string) *ondatoVerification {
	id := strings.ToLower(r.PathValue("id"))
	a.s.mu.Lock()
	v := a.byID[id]
	a.s.mu.Unlock()
	if v == nil || own(v) != id {
		ondatoNotFound(w)
		return nil
	}
	return v
}

func ondatoIDVID(v *ondatoVerification) string { return v.ID }
func ondatoKYCID(v *ondatoVerification) string { return v.KYC }

// getIDV answers an identity verification, and counts it if its end has been told.
func (a *ondatoAccount) getIDV(w http.ResponseWriter, r *http.Request) {
	v := a.find(w, r, ondatoIDVID)
	if v == nil {
		return
	}
	view := a.view(v, a.age(v))
	a.s.mu.Lock()
	a.s.toldEnd(v.told)
	v.told = v.told || view.State.over() && !cut(w)
	a.s.mu.Unlock()
	answer(w, http.StatusOK, a.body("idv", view))
}

// getKYC answers a KYC identification.
func (a *ondatoAccount) getKYC(w http.ResponseWriter, r *http.Request) {
	v := a.find(w, r, ondatoKYCID)
	if v == nil {
		return
	}
	view := a.view(v, a.age(v))
	if view.State.KYC == "" {
		ondatoNotFound(w)
		return
	}
	a.s.mu.Lock()
	v.told = v.told || a.settled(v, view.State) && !cut(w)
	a.s.mu.Unlock()
	answer(w, http.StatusOK, a.body("kyc", view))
}

// cut reports whether an answer will end in its middle, so that it tells nothing.
func cut(w http.ResponseWriter) bool {
	c, ok := w.(*counted)
	return ok && c.broken
}

// getFile answers an image, as bytes.
func (a *ondatoAccount) getFile(w http.ResponseWriter, r *http.Request) {
	v := a.find(w, r, ondatoKYCID)
	if v == nil {
		return
	}
	file := strings.ToLower(r.PathValue("file"))
	if a.view(v, a.age(v)).State.Evidence == "" || file != v.Front && file != v.Back {
		ondatoNotFound(w)
		return
	}
	var picture bytes.Buffer
	_ = jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 16, 16)), nil)
	c := Canned{Status: http.StatusOK, ContentType: "image/jpeg", Body: picture.Bytes()}
	c.write(w)
}

// getHistory answers the webhooks so far, the newest first.
func (a *ondatoAccount) getHistory(w http.ResponseWriter, r *http.Request) {
	v := a.find(w, r, ondatoIDVID)
	if v == nil {
		return
	}
	var so []ondatoMessage
	now := time.Now()
	a.s.mu.Lock()
	for _, m := range v.messages {
		if !m.Created.After(now) {
			so = append(so, *m)
		}
	}
	a.s.mu.Unlock()
	slices.Reverse(so)
	answer(w, http.StatusOK, a.body("history", so))
}

func (a *ondatoAccount) getSetup(w http.ResponseWriter, r *http.Request) {
	if v := a.find(w, r, ondatoIDVID); v != nil {
		answer(w, http.StatusOK, a.body("setup", a.view(v, a.age(v))))
	}
}

// filter answers the identifications that were created in a span of time.
func (a *ondatoAccount) filter(w http.ResponseWriter, r *http.Request) {
	var request struct {
		ApplicationID string
		CreatedUTC    struct{ From, To time.Time }
	}
	if json.NewDecoder(r.Body).Decode(&request) != nil {
		ondatoInvalid(w, "body", "Invalid", "Property is not valid.")
		return
	}
	a.s.mu.Lock()
	all := slices.Clone(a.verifications)
	a.s.mu.Unlock()
	found := [][]byte{}
	for _, v := range all {
		view := a.view(v, a.age(v))
		ours := request.ApplicationID == "" || strings.EqualFold(request.ApplicationID, ondatoApplication)
		if ours && view.State.KYC != "" && !view.Entered.Before(request.CreatedUTC.From) && view.Entered.Before(request.CreatedUTC.To) {
			found = append(found, a.body("kyc", view))
		}
	}
	if strings.EqualFold(r.Header.Get("Return-Total-Count"), "true") {
		w.Header().Set("Total-Count", fmt.Sprint(len(found)))
	}
	answer(w, http.StatusOK, fmt.Appendf(nil, "[%s]", bytes.Join(found, []byte(","))))
}
