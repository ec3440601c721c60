// Package simulated is a simulated Signzy: its documented API, and the people who take its verifications. All
// its data is synthetic.
package simulated

import (
	"cmp"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kycbridge/internal/simulate"
)

// Options select the behaviour of the simulated Signzy where the documentation leaves it open.
type Options struct {
	Prefix       string // of the API; "" is /api/v3/otk-service
	ResultMethod string // the only method that get-journey accepts; "" is GET
	// path of the journey in the answer of get-journey: "" at the top level, "result", "result.data" etc.
	Wrap       string
	WrapCreate bool // the answer of create-journey-url is under result
}

// The values that the simulated Signzy accepts and presents if Credentials do not set them.
const (
	defaultToken = "signzy-token-0001"
	callbackKey  = "signzy-callback-key-0001"
	prefix       = "/api/v3/otk-service"
)

// The provider's names of its calls, for Server.Can and Stats.
const (
	createCall = "create-journey-url"
	getCall    = "get-journey"
	fileCall   = "file"
)

//go:embed bodies/*.json
var bodies embed.FS

// New simulates One Touch KYC: create-journey-url, get-journey, the file service and callbacks. The token is
// "signzy-token-0001" in Authorization without a scheme. Callbacks present the key of the create call in the
// same way, or "signzy-callback-key-0001" for journeys of Server.Begin.
//
// Signzy has published neither retries of callbacks nor the answer that it expects; here callbacks are
// repeated after 1, 5, 15 and 60 minutes until any 2xx. A journey that was not opened yet is not found, as in a
// sibling API. The simulation never gives a verdict: the people differ in the evidence.
// Source: https://docs.signzy.com/us-apis/create-journey-link ,
// https://docs.signzy.com/us-apis/get-journey-results
func New(o ...Options) simulate.Provider {
	var options Options
	if len(o) > 0 {
		options = o[0]
	}
	options.Prefix = cmp.Or(options.Prefix, prefix)
	options.ResultMethod = cmp.Or(options.ResultMethod, http.MethodGet)
	z := provider{options}
	return simulate.Provider{
		Name: "signzy",
		API:  apiOf, Auth: authOf, Settings: settings,
		Routes:    z.routes,
		Fault500:  func(string) simulate.Canned { return cannedError(http.StatusInternalServerError, "error-500-wrapped") },
		Fault429:  func(string) simulate.Canned { return cannedError(http.StatusTooManyRequests, "error-429-gateway") },
		Begin:     z.begin,
		Retries:   []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour},
		Delivered: func(status int) bool { return status >= 200 && status <= 299 },
	}
}

type provider struct{ Options }

// account is the state of a server.
type account struct {
	journeys map[string]*journey // by id
	images   map[string]struct{} // by path
}

func (z provider) routes(s *simulate.Server, mux *http.ServeMux) {
	s.State = &account{journeys: map[string]*journey{}, images: map[string]struct{}{}}
	mux.HandleFunc(z.Prefix+"/create-journey-url", s.Call(createCall, false, func(w http.ResponseWriter, r *http.Request) {
		if admits(s, w, r, http.MethodPost) {
			z.create(s, w, r)
		}
	}))
	mux.HandleFunc(z.Prefix+"/get-journey/{journeyId}",
		s.Call(getCall, false, func(w http.ResponseWriter, r *http.Request) {
			if admits(s, w, r, z.ResultMethod) {
				z.get(s, w, r.PathValue("journeyId"))
			}
		}))
	mux.HandleFunc("GET /api/files/{number}/download/{name}",
		s.Call(fileCall, false, func(w http.ResponseWriter, r *http.Request) {
			serveImage(s, w, r)
		}))
}

// admits reports whether a call has the right method and token, and answers it if not.
func admits(s *simulate.Server, w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method != method {
		simulate.Answer(w, http.StatusMethodNotAllowed, []byte(`{"message": "Method not allowed"}`))
		return false
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")),
		[]byte(cmp.Or(s.Credentials.Token, defaultToken))) != 1 {
		refuse(w, http.StatusUnauthorized, "error-401-wrapped")
		return false
	}
	return true
}

// cannedError returns one of the documented or observed error bodies.
func cannedError(status int, name string) simulate.Canned {
	body, _ := bodies.ReadFile("bodies/" + name + ".json")
	return simulate.Canned{Status: status, ContentType: "application/json", Body: body}
}

func refuse(w http.ResponseWriter, status int, name string) {
	c := cannedError(status, name)
	c.Write(w)
}

// creation is the body of a create call. Members that the journey repeats are kept unchanged.
type creation struct {
	FlowID           string                     `json:"flowId"`
	UserID           string                     `json:"userId"`
	UserInfo         map[string]json.RawMessage `json:"userInfo"`
	ProcessingConfig map[string]json.RawMessage `json:"processingConfig"`
}

// textOf returns a string member, or "".
func textOf(members map[string]json.RawMessage, name string) string {
	var s string
	_ = json.Unmarshal(members[name], &s)
	return s
}

func (z provider) create(s *simulate.Server, w http.ResponseWriter, r *http.Request) {
	var c creation
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&c)
	_, named := c.ProcessingConfig["callbackUrl"]
	switch {
	case err != nil || c.FlowID == "":
		refuse(w, http.StatusBadRequest, "error-400-wrapped")
		return
	case named && textOf(c.ProcessingConfig, "callbackUrl") == "":
		refuse(w, http.StatusBadRequest, "error-400-flat")
		return
	}
	external := cmp.Or(textOf(c.UserInfo, "externalReferenceId"), c.UserID)
	j := z.open(s, c, simulate.PersonOf(external, s.Person))
	made, _ := json.Marshal(map[string]any{
		"journeyId": j.id, "journeyUrl": "https://kyc.example.com/" + j.id, "createdAt": j.at(0).UnixMilli(),
		"ttl": ttlText(c.ProcessingConfig["journeyLinkValidity"]), "flowId": c.FlowID, "version": flowVersion, "test": false,
	})
	if z.WrapCreate {
		made = wrap(made, "result")
	}
	simulate.Answer(w, http.StatusOK, made)
}

// flowVersion is the version of every flow.
const flowVersion = 1

// ttlText returns the validity of a link as text, for a requested validity in seconds.
func ttlText(validity json.RawMessage) string {
	seconds, err := strconv.Atoi(string(validity))
	switch {
	case err != nil || seconds <= 0 || seconds == 3600:
		return "1 hour"
	case seconds%3600 == 0:
		return strconv.Itoa(seconds/3600) + " hours"
	case seconds%60 == 0:
		return strconv.Itoa(seconds/60) + " mins"
	}
	return strconv.Itoa(seconds) + " secs"
}

// begin makes a journey with the server's callback URL and key, as if a create call had contained them.
func (z provider) begin(s *simulate.Server, externalReference, person string) string {
	c := creation{FlowID: "f1000000-0000-4000-8000-000000000001", UserID: externalReference,
		ProcessingConfig: map[string]json.RawMessage{}}
	if externalReference != "" {
		c.UserInfo = map[string]json.RawMessage{"externalReferenceId": quoted(externalReference)}
	}
	if s.CallbackURL != "" {
		c.ProcessingConfig["callbackUrl"] = quoted(s.CallbackURL)
		c.ProcessingConfig["authKeyForCallback"] = quoted(cmp.Or(s.Credentials.Callback, callbackKey))
	}
	if person == "" {
		person = simulate.PersonOf(externalReference, s.Person)
	}
	return z.open(s, c, person).id
}

func quoted(s string) json.RawMessage {
	raw, _ := json.Marshal(s)
	return raw
}

// open makes a journey and schedules its callbacks.
func (z provider) open(s *simulate.Server, c creation, person string) *journey {
	s.Lock()
	j := newJourney(s, c, person)
	state := s.State.(*account)
	state.journeys[j.id] = j
	for _, address := range j.images {
		state.images[strings.TrimPrefix(address, s.URL())] = struct{}{}
	}
	s.Unlock()
	header := http.Header{
		"Content-Type": {"application/json"},
		"Authorization": {cmp.Or(textOf(c.ProcessingConfig, "authKeyForCallback"),
			cmp.Or(s.Credentials.Callback, callbackKey))},
	}
	for _, b := range j.Script {
		for range b.Callbacks {
			s.Send(simulate.Message{URL: cmp.Or(textOf(c.ProcessingConfig, "callbackUrl"), s.CallbackURL), Header: header,
				Body: j.callback(b)}, b.At)
		}
	}
	return j
}

func (z provider) get(s *simulate.Server, w http.ResponseWriter, id string) {
	s.Lock()
	j, known := s.State.(*account).journeys[id]
	var b simulate.Beat
	if known {
		age := s.Now().Sub(j.begun)
		if b = j.Now(age); b.State == done && j.Last(age) {
			s.ToldEnd(j.told)
			j.told = true
		}
	}
	s.Unlock()
	if !known || b.State == sent {
		refuse(w, http.StatusNotFound, "error-404-gateway")
		return
	}
	simulate.Answer(w, http.StatusOK, wrap(j.answer(b), z.Wrap))
}

// wrap nests a body under members, for example "result.data".
func wrap(body []byte, members string) []byte {
	if members == "" {
		return body
	}
	names := strings.Split(members, ".")
	for i := len(names) - 1; i >= 0; i-- {
		body, _ = json.Marshal(map[string]json.RawMessage{names[i]: body})
	}
	return body
}

// flow is the flow of the simulated account.
const flow = "f1000000-0000-4000-8000-000000000001"

func apiOf(s *simulate.Server) map[string]string {
	return map[string]string{
		"base_url": s.URL(), "token": cmp.Or(s.Credentials.Token, defaultToken), "flow_id": flow,
		"file_hosts": strings.TrimPrefix(s.URL(), "http://"),
	}
}

func authOf(c simulate.Credentials) string {
	return `{keys: ["` + cmp.Or(c.Callback, callbackKey) + `"]}`
}

// settings turn evidence into verdicts, and map the statuses that are invented here.
const settings = `    policy: {min_face_match: 0.9, min_liveness: 0.8}
    flow_statuses: {IN_PROGRESS: in_progress}
`
