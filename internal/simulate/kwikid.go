package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The vendor's names of the calls, as Server.Can and Stats.Calls have them.
const (
	kwikidToken   = "generate_token"
	kwikidLink    = "sendLink"
	kwikidDetails = "get_details"
	kwikidPush    = "push_user_data"
	kwikidFile    = "media"
)

// What the simulated KwikID accepts and presents where the options say nothing.
const (
	KwikIDUser     = "kycbridge01"
	KwikIDPassword = "Example0000"
	KwikIDCallback = "synthetic-callback-token"
)

// KwikID simulates KwikID's video flow and digital KYC as documented at
// https://doc.app.getkwikid.com/docs/VideoFlow/API_Integrations and
// https://doc.app.getkwikid.com/docs/FormFlow/Integrations. Webhooks go out for the four events of the
// portal only (https://doc.app.getkwikid.com/docs/VideoFlow/Webhook); their bodies and their schedule
// of retries are not published and made up here.
func KwikID() Provider {
	return Provider{
		Name: "kwikid",
		API:  kwikidAPI, Auth: bearerAuth(KwikIDCallback),
		Routes:   kwikidRoutes,
		Fault500: kwikidFault500,
		Fault429: func(string) Canned {
			return kwikidJSON(http.StatusTooManyRequests, `{"status": 429, "message": "Rate limit exceeded"}`)
		},
		Begin:     kwikidBegin,
		Retries:   []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute},
		Delivered: func(status int) bool { return status == http.StatusOK },
	}
}

func kwikidRoutes(s *Server, mux *http.ServeMux) {
	k := newKwikID(s)
	if s.Credentials.User == "" {
		s.Credentials.User = KwikIDUser
	}
	if s.Credentials.Password == "" {
		s.Credentials.Password = KwikIDPassword
	}
	if s.Credentials.Callback == "" {
		s.Credentials.Callback = KwikIDCallback
	}
	s.state = k
	s.running.Go(k.timetable.run)
	mux.HandleFunc("POST /agentapi/v1/agent/generate_token", s.call(kwikidToken, true, k.generateToken))
	mux.HandleFunc("POST /agentapi/v1/agent/sendLink/{$}", s.call(kwikidLink, false, k.authorized(k.sendLink)))
	mux.HandleFunc("GET /agentapi/v1/session/get_details/{id}", s.call(kwikidDetails, false, k.authorized(k.getDetails)))
	mux.HandleFunc("POST /appapi/v1/dkyc/push_user_data", s.call(kwikidPush, false, k.authorized(k.pushUserData)))
	mux.HandleFunc("GET /files/{name}", s.call(kwikidFile, false, kwikidMedia))
}

func kwikidBegin(s *Server, externalReference, person string) string {
	k := s.state.(*kwikid)
	return k.begin(kwikidStart{user: externalReference, phone: kwikidPhone, person: person, validity: kwikidValidity}).id
}

// kwikid is one simulated KwikID. Its maps are guarded by Server.mu.
type kwikid struct {
	*Server
	timetable *timetable
	sessions  map[string]*kwikidSession
	newest    map[string]*kwikidSession // by user
}

func newKwikID(s *Server) *kwikid {
	return &kwikid{Server: s, timetable: newTimetable(s), sessions: map[string]*kwikidSession{}, newest: map[string]*kwikidSession{}}
}

// kwikidStart is what a session is made from.
type kwikidStart struct {
	user, phone, person string
	validity            time.Duration
}

// begin makes a session. An open one of the same user ends with it.
func (k *kwikid) begin(start kwikidStart) *kwikidSession {
	now := k.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.next()
	if start.person == "" {
		start.person = personOf(start.user, k.Person)
	}
	session := &kwikidSession{
		kwikidStart: start, born: now, clock: k.onClock, script: kwikidScript(start.person, start.validity),
		id: fmt.Sprintf("5e551000-0000-4000-8000-%012x", n), link: "Link" + strconv.Itoa(n),
	}
	if older := k.newest[start.user]; older != nil {
		older.supersede(now)
	}
	k.sessions[session.id], k.newest[start.user] = session, session
	k.announce(session)
	return session
}

// announce puts the callbacks of a session on the timetable. The caller holds mu.
func (k *kwikid) announce(session *kwikidSession) {
	for _, b := range session.script {
		for _, label := range b.callbacks {
			k.timetable.add(session.born.Add(b.at), func() (Message, bool) { return k.webhook(session, b, label) })
		}
	}
}

// webhook is the callback of a beat, unless a newer link has ended the session before.
func (k *kwikid) webhook(session *kwikidSession, b beat, label string) (Message, bool) {
	k.mu.Lock()
	superseded := !session.superseded.IsZero() && session.superseded.Before(session.born.Add(b.at))
	k.mu.Unlock()
	return Message{
		URL:    k.CallbackURL,
		Header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + k.Credentials.Callback}},
		Body:   kwikidWebhookBody(label, session.id, session.user, b.state),
	}, !superseded
}

// The callbacks, by their label in the portal.
const (
	makerApproved   = "Maker Approved"
	makerRejected   = "Maker Rejected"
	checkerApproved = "Checker Approved"
	checkerRejected = "Checker Rejected"
)

// kwikidWebhookBody makes the body of a callback. The vendor's is not known, so each is made another
// way: a receiver has to search it.
func kwikidWebhookBody(label, id, user, status string) []byte {
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
	return kwikidWrite(body)
}

// kwikidWrite writes what always can be written.
func kwikidWrite(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // a body of this file holds what is not JSON
	}
	return raw
}

func kwikidJSON(status int, body string) Canned {
	return Canned{Status: status, ContentType: "application/json", Body: []byte(body)}
}

// The vendor's HTML pages, the second without its closing tag.
const (
	kwikidBadRequest = "<!doctype html>\n<html lang=en>\n  <title>400 Bad Request</title>\n  <h1>Bad Request</h1>\n" +
		"  <p>The browser (or proxy) sent a request that this server could not understand.</p>\n</html>\n"
	kwikidServerError = "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n" +
		"<p>The server encountered an internal error and was unable to complete your request.</p>\n"
)

func kwikidFault500(call string) Canned {
	switch call {
	case kwikidDetails, kwikidFile:
		return Canned{Status: http.StatusInternalServerError, ContentType: "text/html", Body: []byte(kwikidServerError)}
	case kwikidPush:
		return kwikidJSON(http.StatusInternalServerError,
			`{"msg": "An internal error occurred", "status_code": 500, "success": false, "track": {"user_id": null, "session_id": null}}`)
	}
	return kwikidJSON(http.StatusInternalServerError, `{"msg": "error message", "status": 500}`)
}

// sendLink makes a session behind a link. What is wrong with the request is not told: the answer is a page.
func (k *kwikid) sendLink(w http.ResponseWriter, r *http.Request) {
	start, ok := kwikidLinkRequest(r)
	if !ok {
		(&Canned{Status: http.StatusBadRequest, ContentType: "text/html", Body: []byte(kwikidBadRequest)}).write(w)
		return
	}
	session := k.begin(start)
	ends := session.clock(session.born.Add(session.validity))
	answer(w, http.StatusOK, kwikidWrite(map[string]any{
		"link_expiry_time":  strconv.FormatInt(ends.Unix(), 10) + fmt.Sprintf(".%06d0", ends.Nanosecond()/1000),
		"link_id":           session.link,
		"link_url":          "https://kyc.example.com/user/%3Fl%3D" + session.link + "%26d%3D1%26s%3D0",
		"phone_number":      session.phone,
		"session_id":        session.id,
		"user_id":           session.user,
		"validity_duration": int(session.validity / time.Second),
	}))
}

// maxKwikIDBody bounds a request; forms hold documents and a video.
const maxKwikIDBody = 256 << 20

// kwikidLinkRequest reads a sendLink request; false where the vendor would not understand it.
func kwikidLinkRequest(r *http.Request) (kwikidStart, bool) {
	var request struct {
		UserID       string          `json:"user_id"`
		PhoneNumber  string          `json:"phone_number"`
		Notification json.RawMessage `json:"send_notification"`
		LinkType     string          `json:"link_type"`
		Extras       struct {
			ExpiresIn string `json:"link_expires_in"`
		} `json:"extras"`
	}
	if json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxKwikIDBody)).Decode(&request) != nil {
		return kwikidStart{}, false
	}
	validity := kwikidValidity
	if request.Extras.ExpiresIn != "" {
		n, err := strconv.Atoi(request.Extras.ExpiresIn)
		if err != nil || n <= 0 {
			return kwikidStart{}, false
		}
		validity = time.Duration(n) * time.Second
	}
	notification := string(bytes.Trim(request.Notification, `"`))
	ok := request.UserID != "" && kwikidDigits(request.PhoneNumber) && request.LinkType == "free" &&
		(notification == "0" || notification == "1")
	return kwikidStart{user: request.UserID, phone: request.PhoneNumber, validity: validity}, ok
}

func kwikidDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// getDetails shows a session.
func (k *kwikid) getDetails(w http.ResponseWriter, r *http.Request) {
	now := k.Now()
	k.mu.Lock()
	session := k.sessions[strings.ToLower(r.PathValue("id"))]
	var shown kwikidView
	if session != nil {
		shown = session.view(now)
	}
	if k.CallbackURL == "" {
		shown.callbacks = 0
	}
	k.mu.Unlock()
	if session == nil {
		answer(w, http.StatusBadRequest, []byte(`{"e": "list index out of range", "msg": "Invalid session id", "status": 400}`))
		return
	}
	answer(w, http.StatusOK, kwikidWrite(map[string]any{"session_data": shown.body(k.URL()), "status": http.StatusOK}))
	if out, ok := w.(*counted); ok && !out.broken && shown.ended {
		k.told(session, shown)
	}
}

// told notes that the end of a session was answered in full. Each callback of that end entitles to
// one more look.
func (k *kwikid) told(session *kwikidSession, shown kwikidView) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if session.toldState != shown.moment {
		session.toldState, session.toldTimes = shown.moment, 0
	}
	k.toldEnd(session.toldTimes > shown.callbacks)
	session.toldTimes++
}

// pushUserData makes a session from forms.
func (k *kwikid) pushUserData(w http.ResponseWriter, r *http.Request) {
	var request kwikidForms
	err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxKwikIDBody)).Decode(&request)
	missing, incorrect := request.check()
	if err != nil || len(missing)+len(incorrect) > 0 {
		answer(w, http.StatusBadRequest, kwikidWrite(map[string]any{
			"msg": "Invalid request format", "status_code": 400, "success": false,
			"track":  map[string]any{"user_id": nil, "session_id": nil},
			"errors": map[string]any{"missing_fields": missing, "incorrect_formats": incorrect},
		}))
		return
	}
	session := k.begin(kwikidStart{user: request.UserID, phone: request.PhoneNumber, validity: kwikidValidity})
	answer(w, http.StatusOK, kwikidWrite(map[string]any{
		"success": true, "session_id": session.id, "track": map[string]any{"user_id": session.user, "session_id": session.id},
	}))
}

// kwikidForms is a push_user_data request.
type kwikidForms struct {
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

// check lists what is missing and what has not its documented form, as GROUP.field.
func (f kwikidForms) check() (missing, incorrect []string) {
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
		groups, known := kwikidSteps[step.StepInfo.Label]
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
	for _, field := range slices.Sorted(maps.Keys(kwikidFields[group])) {
		switch value, rule := given[field], kwikidFields[group][field]; {
		case strings.TrimSpace(value) == "":
			missing = append(missing, group+"."+field)
		case !rule.MatchString(value):
			incorrect = append(incorrect, group+"."+field)
		}
	}
	return missing, incorrect
}
