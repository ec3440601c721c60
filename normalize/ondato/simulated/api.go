package simulated

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

	"kycbridge/internal/simulate"
)

// Scopes of a token; each also has a form that ends in _readonly.
const (
	idvScope = "idv_api"
	kycScope = "kyc_identifications_api"
)

// issued is a token that was issued.
type issued struct {
	scope   string
	expires time.Time
}

// routes adds the API. The calls have the same names as in kycbridge's client.
func routes(s *simulate.Server, mux *http.ServeMux) {
	a := &account{
		s: s, templates: parseTemplates(), states: states(),
		tokens: map[string]issued{}, byID: map[string]*verification{},
	}
	s.State = a
	add := func(pattern, name, scope string, handle http.HandlerFunc) {
		mux.HandleFunc(pattern, s.Call(name, false, a.authorised(scope, handle)))
	}
	mux.HandleFunc("POST /connect/token", s.Call("token", true, a.token))
	add("POST /v1/identity-verifications", "create_identity_verification", idvScope, a.create)
	add("GET /v1/identity-verifications/{id}", "get_identity_verification", idvScope, a.getIDV)
	add("GET /v1/identity-verifications/{id}/webhooks", "get_webhooks", idvScope, a.getHistory)
	add("GET /v1/identity-verifications/{id}/setup", "get_setup", idvScope, a.getSetup)
	add("GET /v1/identifications/{id}", "get_identification", kycScope, a.getKYC)
	add("GET /v1/identifications/{id}/files/{file}", "get_file", kycScope, a.getFile)
	add("POST /v1/identifications/filter", "filter_identifications", kycScope, a.filter)
	mux.HandleFunc("/", s.Call("unknown", false, func(w http.ResponseWriter, _ *http.Request) { notFound(w) }))
}

// token issues tokens that expire after TokenLife.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2320990304
func (a *account) token(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	credentials := a.s.Credentials
	refusal := ""
	switch {
	case kind != "application/x-www-form-urlencoded" || r.ParseForm() != nil:
		refusal = "invalid_request"
	case r.PostForm.Get("grant_type") != "client_credentials":
		refusal = "unsupported_grant_type"
	case r.PostForm.Get("client_id") != cmp.Or(credentials.User, clientID),
		r.PostForm.Get("client_secret") != cmp.Or(credentials.Password, clientSecret):
		refusal = "invalid_client"
	}
	if refusal != "" {
		simulate.Answer(w, http.StatusBadRequest, fmt.Appendf(nil, `{"error": %q}`, refusal))
		return
	}
	scope := cmp.Or(r.PostForm.Get("scope"), idvScope+" "+kycScope)
	life := a.s.TokenLife
	a.s.Lock()
	value := fmt.Sprintf("synthetic-access-token-%d", a.s.Next())
	a.tokens[value] = issued{scope, time.Now().Add(life)}
	a.s.Unlock()
	simulate.Answer(w, http.StatusOK,
		fmt.Appendf(nil, `{"access_token": %q, "expires_in": %d, "token_type": "Bearer", "scope": %q}`,
			value, int(max(time.Second, life)/time.Second), scope))
}

// authorised admits calls with a valid token of this scope.
func (a *account) authorised(scope string, handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		a.s.Lock()
		token, known := a.tokens[value]
		a.s.Unlock()
		if !known || !time.Now().Before(token.expires) {
			c := refused(http.StatusUnauthorized, "AuthenticationFailed", "The access token is missing, invalid, or is revoked.")
			c.Write(w)
			return
		}
		scopes := strings.Fields(token.scope)
		if !slices.Contains(scopes, scope) && (r.Method != http.MethodGet || !slices.Contains(scopes, scope+"_readonly")) {
			c := refused(http.StatusForbidden, "AuthorizationFailed",
				"The subject of the token does not have the permissions that are required to access the resource.")
			c.Write(w)
			return
		}
		handle(w, r)
	}
}

func notFound(w http.ResponseWriter) {
	c := refused(http.StatusNotFound, "NotFound", "The requested resource doesn't exist..")
	c.Write(w)
}

// invalid rejects a request because of one of its fields.
func invalid(w http.ResponseWriter, field, reason, message string) {
	simulate.Answer(w, http.StatusBadRequest, fmt.Appendf(nil,
		`{"reason": "ValidationFailed", "message": "The request is invalid.", "params": {%q: [{"reason": %q, "message": %q}]}}`, field, reason, message))
}

// create creates an identity verification.
func (a *account) create(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var request create
	if json.Unmarshal(body, &request) != nil {
		invalid(w, "body", "Invalid", "Property is not valid.")
		return
	}
	var person struct {
		PhoneNumber json.RawMessage
		CountryCode string
	}
	_ = json.Unmarshal(request.Registration, &person)
	switch {
	case request.SetupID == "":
		invalid(w, "setupId", "Required", "Property should not be empty.")
	case !uuidShape(request.SetupID):
		invalid(w, "setupId", "Invalid", "Property is not valid.")
	case bytes.HasPrefix(person.PhoneNumber, []byte(`"`)):
		invalid(w, "registration.phoneNumber", "Invalid", "Property is not valid.")
	case person.CountryCode != "" && len(person.CountryCode) != len("LT"):
		invalid(w, "registration.countryCode", "Invalid", "Property is not valid.")
	default:
		simulate.Answer(w, http.StatusCreated, fmt.Appendf(nil, `{"id": %q}`, a.begin(request, "").ID))
	}
}

// uuidShape reports whether id has the form of a UUID.
func uuidShape(id string) bool {
	groups := strings.Split(id, "-")
	if len(groups) != 5 || strings.Trim(strings.ToLower(id), "0123456789abcdef-") != "" {
		return false
	}
	return len(groups[0]) == 8 && len(groups[1]) == 4 && len(groups[2]) == 4 && len(groups[3]) == 4 && len(groups[4]) == 12
}

// find looks up a resource; own returns which of its two ids the request must use. If the resource does not
// exist, find answers with 404 and returns nil.
func (a *account) find(w http.ResponseWriter, r *http.Request, own func(*verification) string) *verification {
	id := strings.ToLower(r.PathValue("id"))
	a.s.Lock()
	v := a.byID[id]
	a.s.Unlock()
	if v == nil || own(v) != id {
		notFound(w)
		return nil
	}
	return v
}

func idvID(v *verification) string { return v.ID }
func kycID(v *verification) string { return v.KYC }

// getIDV returns an identity verification, and counts the call if the final state was already returned.
func (a *account) getIDV(w http.ResponseWriter, r *http.Request) {
	v := a.find(w, r, idvID)
	if v == nil {
		return
	}
	view := a.view(v, a.age(v))
	a.s.Lock()
	a.s.ToldEnd(v.told)
	v.told = v.told || view.State.over() && !simulate.Cut(w)
	a.s.Unlock()
	simulate.Answer(w, http.StatusOK, a.body("idv", view))
}

// getKYC returns a KYC identification.
func (a *account) getKYC(w http.ResponseWriter, r *http.Request) {
	v := a.find(w, r, kycID)
	if v == nil {
		return
	}
	view := a.view(v, a.age(v))
	if view.State.KYC == "" {
		notFound(w)
		return
	}
	a.s.Lock()
	v.told = v.told || a.settled(v, view.State) && !simulate.Cut(w)
	a.s.Unlock()
	simulate.Answer(w, http.StatusOK, a.body("kyc", view))
}

// getFile returns an image, as bytes.
func (a *account) getFile(w http.ResponseWriter, r *http.Request) {
	v := a.find(w, r, kycID)
	if v == nil {
		return
	}
	file := strings.ToLower(r.PathValue("file"))
	if a.view(v, a.age(v)).State.Evidence == "" || file != v.Front && file != v.Back {
		notFound(w)
		return
	}
	var picture bytes.Buffer
	_ = jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 16, 16)), nil)
	c := simulate.Canned{Status: http.StatusOK, ContentType: "image/jpeg", Body: picture.Bytes()}
	c.Write(w)
}

// getHistory returns the webhooks so far, the newest first.
func (a *account) getHistory(w http.ResponseWriter, r *http.Request) {
	v := a.find(w, r, idvID)
	if v == nil {
		return
	}
	var so []message
	now := time.Now()
	a.s.Lock()
	for _, m := range v.messages {
		if !m.Created.After(now) {
			so = append(so, *m)
		}
	}
	a.s.Unlock()
	slices.Reverse(so)
	simulate.Answer(w, http.StatusOK, a.body("history", so))
}

func (a *account) getSetup(w http.ResponseWriter, r *http.Request) {
	if v := a.find(w, r, idvID); v != nil {
		simulate.Answer(w, http.StatusOK, a.body("setup", a.view(v, a.age(v))))
	}
}

// filter returns the identifications that were created in a period.
func (a *account) filter(w http.ResponseWriter, r *http.Request) {
	var request struct {
		ApplicationID string
		CreatedUTC    struct{ From, To time.Time }
	}
	if json.NewDecoder(r.Body).Decode(&request) != nil {
		invalid(w, "body", "Invalid", "Property is not valid.")
		return
	}
	a.s.Lock()
	all := slices.Clone(a.verifications)
	a.s.Unlock()
	found := [][]byte{}
	for _, v := range all {
		view := a.view(v, a.age(v))
		ours := request.ApplicationID == "" || strings.EqualFold(request.ApplicationID, application)
		if ours && view.State.KYC != "" && !view.Entered.Before(request.CreatedUTC.From) &&
			view.Entered.Before(request.CreatedUTC.To) {
			found = append(found, a.body("kyc", view))
		}
	}
	if strings.EqualFold(r.Header.Get("Return-Total-Count"), "true") {
		w.Header().Set("Total-Count", fmt.Sprint(len(found)))
	}
	simulate.Answer(w, http.StatusOK, fmt.Appendf(nil, "[%s]", bytes.Join(found, []byte(","))))
}
