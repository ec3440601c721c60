// Package simulated is a simulated KwikID: its documented API, and the simulated applicants.
// Everything in it is synthetic.
package simulated

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"kycbridge/internal/simulate"
)

// The vendor's names of the calls, as used in Server.Can and Stats.Calls.
const (
	token   = "generate_token"
	link    = "sendLink"
	details = "get_details"
	push    = "push_user_data"
	file    = "media"
)

// The default credentials that the simulated KwikID accepts and presents.
const (
	User     = "kycbridge01"
	Password = "Example0000"
	Callback = "synthetic-callback-token"
)

// New simulates KwikID's video flow and digital KYC as documented at
// https://doc.app.getkwikid.com/docs/VideoFlow/API_Integrations and
// https://doc.app.getkwikid.com/docs/FormFlow/Integrations. It sends webhooks only for the four events of the
// portal (https://doc.app.getkwikid.com/docs/VideoFlow/Webhook); their bodies and their retry schedule are not
// documented, so those used here are invented.
func New() simulate.Provider {
	return simulate.Provider{
		Name: "kwikid",
		API:  apiOf, Auth: simulate.BearerAuth(Callback),
		Routes:   routes,
		Fault500: fault500,
		Fault429: func(string) simulate.Canned {
			return writeJSON(http.StatusTooManyRequests, `{"status": 429, "message": "Rate limit exceeded"}`)
		},
		Begin:     begin,
		Retries:   []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute},
		Delivered: func(status int) bool { return status == http.StatusOK },
	}
}

func routes(s *simulate.Server, mux *http.ServeMux) {
	k := newProvider(s)
	if s.Credentials.User == "" {
		s.Credentials.User = User
	}
	if s.Credentials.Password == "" {
		s.Credentials.Password = Password
	}
	if s.Credentials.Callback == "" {
		s.Credentials.Callback = Callback
	}
	s.State = k
	mux.HandleFunc("POST /agentapi/v1/agent/generate_token", s.Call(token, true, k.generateToken))
	mux.HandleFunc("POST /agentapi/v1/agent/sendLink/{$}", s.Call(link, false, k.authorized(k.sendLink)))
	mux.HandleFunc("GET /agentapi/v1/session/get_details/{id}", s.Call(details, false, k.authorized(k.getDetails)))
	mux.HandleFunc("POST /appapi/v1/dkyc/push_user_data", s.Call(push, false, k.authorized(k.pushUserData)))
	mux.HandleFunc("GET /files/{name}", s.Call(file, false, media))
}

func begin(s *simulate.Server, externalReference, person string) string {
	k := s.State.(*provider)
	return k.begin(beginning{user: externalReference, phone: phone, person: person, validity: validity}).id
}

// provider is one simulated KwikID. Its lock guards its maps.
type provider struct {
	*simulate.Server
	timetable *simulate.Timetable
	sessions  map[string]*session
	newest    map[string]*session // by user
}

func newProvider(s *simulate.Server) *provider {
	return &provider{Server: s, timetable: s.NewTimetable(), sessions: map[string]*session{},
		newest: map[string]*session{}}
}

// beginning is the data from which a session is created.
type beginning struct {
	user, phone, person string
	validity            time.Duration
}

// begin creates a session. It ends an open session of the same user.
func (k *provider) begin(start beginning) *session {
	now := k.Now()
	k.Lock()
	defer k.Unlock()
	n := k.Next()
	if start.person == "" {
		start.person = simulate.PersonOf(start.user, k.Person)
	}
	session := &session{
		beginning: start, born: now, clock: k.OnClock, script: scriptOf(start.person, start.validity),
		id: fmt.Sprintf("5e551000-0000-4000-8000-%012x", n), link: "Link" + strconv.Itoa(n),
	}
	if older := k.newest[start.user]; older != nil {
		older.supersede(now)
	}
	k.sessions[session.id], k.newest[start.user] = session, session
	k.announce(session)
	return session
}

// announce adds the callbacks of a session to the timetable. The caller holds the lock.
func (k *provider) announce(session *session) {
	for _, b := range session.script {
		for _, label := range b.Callbacks {
			k.timetable.Add(session.born.Add(b.At), func() (simulate.Message, bool) { return k.webhook(session, b, label) })
		}
	}
}

// webhook returns the callback of a beat; false if a newer link ended the session before that beat.
func (k *provider) webhook(session *session, b simulate.Beat, label string) (simulate.Message, bool) {
	k.Lock()
	superseded := !session.superseded.IsZero() && session.superseded.Before(session.born.Add(b.At))
	k.Unlock()
	return simulate.Message{
		URL:    k.CallbackURL,
		Header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + k.Credentials.Callback}},
		Body:   webhookBody(label, session.id, session.user, b.State),
	}, !superseded
}

// The callbacks, by their label in the portal.
const (
	makerApproved   = "Maker Approved"
	makerRejected   = "Maker Rejected"
	checkerApproved = "Checker Approved"
	checkerRejected = "Checker Rejected"
)

// webhookBody returns the body of a callback. The vendor's form is not known, so each label has a body of
// another form: a receiver has to search it.
func webhookBody(label, id, user, status string) []byte {
	var body any
	switch label {
	case makerRejected:
		body = map[string]any{"event": label, "data": map[string]any{"session_id": id}}
	case checkerApproved:
		body = map[string]any{"type": label, "session_data": map[string]any{"session_id": id, "session_status": status}}
	case checkerRejected:
		body = map[string]any{"eventName": label, "payload": map[string]any{"sessionId": id}}
	default:
		body = map[string]any{"event": label, "session_id": id, "user_id": user, "session_status": status}
	}
	return write(body)
}

// write encodes a value that can always be encoded as JSON.
func write(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // a body in this package contains a value that JSON cannot represent
	}
	return raw
}

func writeJSON(status int, body string) simulate.Canned {
	return simulate.Canned{Status: status, ContentType: "application/json", Body: []byte(body)}
}

// The vendor's HTML pages, the second without its closing tag.
const (
	badRequest = "<!doctype html>\n<html lang=en>\n  <title>400 Bad Request</title>\n  <h1>Bad Request</h1>\n" +
		"  <p>The browser (or proxy) sent a request that this server could not understand.</p>\n</html>\n"
	serverError = "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server " +
		"Error</h1>\n" +
		"<p>The server encountered an internal error and was unable to complete your request.</p>\n"
)

func fault500(call string) simulate.Canned {
	switch call {
	case details, file:
		return simulate.Canned{Status: http.StatusInternalServerError, ContentType: "text/html", Body: []byte(serverError)}
	case push:
		return writeJSON(http.StatusInternalServerError,
			`{"msg": "An internal error occurred", "status_code": 500, "success": false, "track": {"user_id": null, "session_id": null}}`)
	}
	return writeJSON(http.StatusInternalServerError, `{"msg": "error message", "status": 500}`)
}

// sendLink creates a session with a link. Like the vendor, it answers a wrong request with an HTML page that
// does not state the fault.
func (k *provider) sendLink(w http.ResponseWriter, r *http.Request) {
	start, ok := linkRequest(r)
	if !ok {
		(&simulate.Canned{Status: http.StatusBadRequest, ContentType: "text/html", Body: []byte(badRequest)}).Write(w)
		return
	}
	session := k.begin(start)
	ends := session.clock(session.born.Add(session.validity))
	simulate.Answer(w, http.StatusOK, write(map[string]any{
		"link_expiry_time":  strconv.FormatInt(ends.Unix(), 10) + fmt.Sprintf(".%06d0", ends.Nanosecond()/1000),
		"link_id":           session.link,
		"link_url":          "https://kyc.example.com/user/%3Fl%3D" + session.link + "%26d%3D1%26s%3D0",
		"phone_number":      session.phone,
		"session_id":        session.id,
		"user_id":           session.user,
		"validity_duration": int(session.validity / time.Second),
	}))
}

// maxBody limits the size of a request in bytes; forms contain documents and a video.
const maxBody = 256 << 20

// linkRequest reads a sendLink request; false if the vendor would reject it.
func linkRequest(r *http.Request) (beginning, bool) {
	var request struct {
		UserID       string          `json:"user_id"`
		PhoneNumber  string          `json:"phone_number"`
		Notification json.RawMessage `json:"send_notification"`
		LinkType     string          `json:"link_type"`
		Extras       struct {
			ExpiresIn string `json:"link_expires_in"`
		} `json:"extras"`
	}
	if json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody)).Decode(&request) != nil {
		return beginning{}, false
	}
	validity := validity
	if request.Extras.ExpiresIn != "" {
		n, err := strconv.Atoi(request.Extras.ExpiresIn)
		if err != nil || n <= 0 {
			return beginning{}, false
		}
		validity = time.Duration(n) * time.Second
	}
	notification := string(bytes.Trim(request.Notification, `"`))
	ok := request.UserID != "" && digits(request.PhoneNumber) && request.LinkType == "free" &&
		(notification == "0" || notification == "1")
	return beginning{user: request.UserID, phone: request.PhoneNumber, validity: validity}, ok
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// getDetails returns a session.
func (k *provider) getDetails(w http.ResponseWriter, r *http.Request) {
	now := k.Now()
	k.Lock()
	session := k.sessions[strings.ToLower(r.PathValue("id"))]
	var shown view
	if session != nil {
		shown = session.view(now)
	}
	if k.CallbackURL == "" {
		shown.callbacks = 0
	}
	k.Unlock()
	if session == nil {
		simulate.Answer(w, http.StatusBadRequest,
			[]byte(`{"e": "list index out of range", "msg": "Invalid session id", "status": 400}`))
		return
	}
	simulate.Answer(w, http.StatusOK, write(map[string]any{"session_data": shown.body(k.URL()), "status": http.StatusOK}))
	if !simulate.Cut(w) && shown.ended {
		k.told(session, shown)
	}
}

// told records that the final state of a session was returned in full. Each callback of that state allows the
// client one more call before further calls count as superfluous.
func (k *provider) told(session *session, shown view) {
	k.Lock()
	defer k.Unlock()
	if session.toldState != shown.moment {
		session.toldState, session.toldTimes = shown.moment, 0
	}
	k.ToldEnd(session.toldTimes > shown.callbacks)
	session.toldTimes++
}

// pushUserData creates a session from forms.
func (k *provider) pushUserData(w http.ResponseWriter, r *http.Request) {
	var request forms
	err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody)).Decode(&request)
	missing, incorrect := request.check()
	if err != nil || len(missing)+len(incorrect) > 0 {
		simulate.Answer(w, http.StatusBadRequest, write(map[string]any{
			"msg": "Invalid request format", "status_code": 400, "success": false,
			"track":  map[string]any{"user_id": nil, "session_id": nil},
			"errors": map[string]any{"missing_fields": missing, "incorrect_formats": incorrect},
		}))
		return
	}
	session := k.begin(beginning{user: request.UserID, phone: request.PhoneNumber, validity: validity})
	simulate.Answer(w, http.StatusOK, write(map[string]any{
		"success": true, "session_id": session.id, "track": map[string]any{"user_id": session.user, "session_id": session.id},
	}))
}

// forms is a push_user_data request.
type forms struct {
	UserID      string `json:"user_id"`
	PhoneNumber string `json:"phone_number"`
	Data        []struct {
		StepInfo struct {
			DocType string `json:"doc_type"`
			Label   string `json:"label"`
		} `json:"step_info"`
		UserFormData map[string]map[string]string `json:"user_form_data"`
	} `json:"data"`
}

// check lists the fields that are missing and those without their documented form, as GROUP.field.
func (f forms) check() (missing, incorrect []string) {
	missing, incorrect = []string{}, []string{}
	for name, value := range map[string]string{"user_id": f.UserID, "phone_number": f.PhoneNumber} {
		if value == "" {
			missing = append(missing, name)
		}
	}
	if len(f.Data) == 0 {
		missing = append(missing, "data")
	}
	for _, step := range f.Data {
		groups, known := steps[step.StepInfo.Label]
		if !known || step.StepInfo.DocType != "forms" {
			incorrect = append(incorrect, "step_info")
		}
		for _, group := range groups {
			m, i := checkKwikIDGroup(group, step.UserFormData[group])
			missing, incorrect = append(missing, m...), append(incorrect, i...)
		}
	}
	slices.Sort(missing)
	slices.Sort(incorrect)
	return missing, incorrect
}

func checkKwikIDGroup(group string, given map[string]string) (missing, incorrect []string) {
	for _, field := range slices.Sorted(maps.Keys(fields[group])) {
		switch value, rule := given[field], fields[group][field]; {
		case strings.TrimSpace(value) == "":
			missing = append(missing, group+"."+field)
		case !rule.MatchString(value):
			incorrect = append(incorrect, group+"."+field)
		}
	}
	return missing, incorrect
}

func apiOf(s *simulate.Server) map[string]string {
	return map[string]string{"base_url": s.URL(), "username": cmp.Or(s.Credentials.User, User),
		"password": cmp.Or(s.Credentials.Password, Password)}
}
