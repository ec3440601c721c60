package simulate

import (
	"cmp"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// SignzyOptions say how the simulated Signzy takes what its documentation leaves open.
type SignzyOptions struct {
	Prefix       string // of the API; "" is /api/v3/otk-service
	ResultMethod string // the only method that get-journey takes; "" is GET
	Wrap         string // where the journey stands in the answer of get-journey: "" bare, "result", "result.data" and so on
	WrapCreate   bool   // the answer of create-journey-url stands under result
}

// What the simulated Signzy accepts and presents where Credentials say nothing.
const (
	signzyToken       = "signzy-token-0001"
	signzyCallbackKey = "signzy-callback-key-0001"
	signzyPrefix      = "/api/v3/otk-service"
)

// The provider's names of its calls, for Server.Can and Stats.
const (
	signzyCreateCall = "create-journey-url"
	signzyGetCall    = "get-journey"
	signzyFileCall   = "file"
)

//go:embed signzy/*.json
var signzyFiles embed.FS

// Signzy simulates One Touch KYC: create-journey-url, get-journey, the file service and callbacks.
// The token is "signzy-token-0001" in Authorization without a scheme; callbacks present the key of
// the create call the same way, and "signzy-callback-key-0001" for journeys of Server.Begin.
//
// Signzy has published no retries of callbacks and no wanted answer; here they are repeated after 1,
// 5, 15 and 60 minutes until any 2xx. A journey that is not open yet is not found, as with a sibling
// API. It never gives a verdict: people differ in the evidence.
// Source: https://docs.signzy.com/us-apis/create-journey-link ,
// https://docs.signzy.com/us-apis/get-journey-results
func Signzy(o ...SignzyOptions) Provider {
	var options SignzyOptions
	if len(o) > 0 {
		options = o[0]
	}
	options.Prefix = cmp.Or(options.Prefix, signzyPrefix)
	options.ResultMethod = cmp.Or(options.ResultMethod, http.MethodGet)
	z := signzy{options}
	return Provider{
		Name: "signzy",
		API:  signzyAPI, Auth: signzyAuth, Settings: signzySettings,
		Routes:    z.routes,
		Fault500:  func(string) Canned { return signzyCanned(http.StatusInternalServerError, "error-500-wrapped") },
		Fault429:  func(string) Canned { return signzyCanned(http.StatusTooManyRequests, "error-429-gateway") },
		Begin:     z.begin,
		Retries:   []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour},
		Delivered: func(status int) bool { return status >= 200 && status <= 299 },
	}
}

type signzy struct{ SignzyOptions }

// signzyState is what a server knows.
type signzyState struct {
	journeys map[string]*signzyJourney // by id
	images   map[string]struct{}       // by path
}

func (z signzy) routes(s *Server, mux *http.ServeMux) {
	s.state = &signzyState{journeys: map[string]*signzyJourney{}, images: map[string]struct{}{}}
	mux.HandleFunc(z.Prefix+"/create-journey-url", s.call(signzyCreateCall, false, func(w http.ResponseWriter, r *http.Request) {
		if signzyAdmits(s, w, r, http.MethodPost) {
			z.create(s, w, r)
		}
	}))
	mux.HandleFunc(z.Prefix+"/get-journey/{journeyId}", s.call(signzyGetCall, false, func(w http.ResponseWriter, r *http.Request) {
		if signzyAdmits(s, w, r, z.ResultMethod) {
			z.get(s, w, r.PathValue("journeyId"))
		}
	}))
	mux.HandleFunc("GET /api/files/{number}/download/{name}", s.call(signzyFileCall, false, s.signzyImage))
}

// signzyAdmits answers a call with a wrong method or token.
func signzyAdmits(s *Server, w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method != method {
		answer(w, http.StatusMethodNotAllowed, []byte(`{"message": "Method not allowed"}`))
		return false
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(cmp.Or(s.Credentials.Token, signzyToken))) != 1 {
		signzyError(w, http.StatusUnauthorized, "error-401-wrapped")
		return false
	}
	return true
}

// signzyCanned is one of the documented or observed error bodies.
func signzyCanned(status int, name string) Canned {
	body, _ := signzyFiles.ReadFile("signzy/" + name + ".json")
	return Canned{Status: status, ContentType: "application/json", Body: body}
}

func signzyError(w http.ResponseWriter, status int, name string) {
	c := signzyCanned(status, name)
	c.write(w)
}

// signzyCreate is the body of a create call. What the journey repeats is kept as it came.
type signzyCreate struct {
	FlowID           string                     `json:"flowId"`
	UserID           string                     `json:"userId"`
	UserInfo         map[string]json.RawMessage `json:"userInfo"`
	ProcessingConfig map[string]json.RawMessage `json:"processingConfig"`
}

// signzyText is a string member, or "".
func signzyText(members map[string]json.RawMessage, name string) string {
	var s string
	_ = json.Unmarshal(members[name], &s)
	return s
}

func (z signzy) create(s *Server, w http.ResponseWriter, r *http.Request) {
	var c signzyCreate
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&c)
	_, named := c.ProcessingConfig["callbackUrl"]
	switch {
	case err != nil || c.FlowID == "":
		signzyError(w, http.StatusBadRequest, "error-400-wrapped")
		return
	case named && signzyText(c.ProcessingConfig, "callbackUrl") == "":
		signzyError(w, http.StatusBadRequest, "error-400-flat")
		return
	}
	external := cmp.Or(signzyText(c.UserInfo, "externalReferenceId"), c.UserID)
	j := z.open(s, c, personOf(external, s.Person))
	made, _ := json.Marshal(map[string]any{
		"journeyId": j.id, "journeyUrl": "https://kyc.example.com/" + j.id, "createdAt": j.at(0).UnixMilli(),
		"ttl": signzyTTL(c.ProcessingConfig["journeyLinkValidity"]), "flowId": c.FlowID, "version": signzyFlowVersion, "test": false,
	})
	if z.WrapCreate {
		made = signzyWrap(made, "result")
	}
	answer(w, http.StatusOK, made)
}

// signzyFlowVersion is the version of every flow.
const signzyFlowVersion = 1

// signzyTTL says in words how long a link lives whose validity was asked for in seconds.
func signzyTTL(validity json.RawMessage) string {
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

// begin makes a journey that has our callback address and key, as if they had been sent with it.
func (z signzy) begin(s *Server, externalReference, person string) string {
	c := signzyCreate{FlowID: "f1000000-0000-4000-8000-000000000001", UserID: externalReference, ProcessingConfig: map[string]json.RawMessage{}}
	if externalReference != "" {
		c.UserInfo = map[string]json.RawMessage{"externalReferenceId": signzyQuoted(externalReference)}
	}
	if s.CallbackURL != "" {
		c.ProcessingConfig["callbackUrl"] = signzyQuoted(s.CallbackURL)
		c.ProcessingConfig["authKeyForCallback"] = signzyQuoted(cmp.Or(s.Credentials.Callback, signzyCallbackKey))
	}
	if person == "" {
		person = personOf(externalReference, s.Person)
	}
	return z.open(s, c, person).id
}

func signzyQuoted(s string) json.RawMessage {
	raw, _ := json.Marshal(s)
	return raw
}

// open makes a journey and sets its callbacks going.
func (z signzy) open(s *Server, c signzyCreate, person string) *signzyJourney {
	s.mu.Lock()
	j := newSignzyJourney(s, c, person)
	state := s.state.(*signzyState)
	state.journeys[j.id] = j
	for _, address := range j.images {
		state.images[strings.TrimPrefix(address, s.URL())] = struct{}{}
	}
	s.mu.Unlock()
	header := http.Header{
		"Content-Type":  {"application/json"},
		"Authorization": {cmp.Or(signzyText(c.ProcessingConfig, "authKeyForCallback"), cmp.Or(s.Credentials.Callback, signzyCallbackKey))},
	}
	for _, b := range j.script {
		for range b.callbacks {
			s.send(Message{URL: cmp.Or(signzyText(c.ProcessingConfig, "callbackUrl"), s.CallbackURL), Header: header, Body: j.callback(b)}, b.at)
		}
	}
	return j
}

func (z signzy) get(s *Server, w http.ResponseWriter, id string) {
	s.mu.Lock()
	j, known := s.state.(*signzyState).journeys[id]
	var b beat
	if known {
		age := s.Now().Sub(j.begun)
		if b = j.now(age); b.state == signzyDone && j.last(age) {
			s.toldEnd(j.told)
			j.told = true
		}
	}
	s.mu.Unlock()
	if !known || b.state == signzySent {
		signzyError(w, http.StatusNotFound, "error-404-gateway")
		return
	}
	answer(w, http.StatusOK, signzyWrap(j.answer(b), z.Wrap))
}

// signzyWrap puts a body under members, "result.data" for one.
func signzyWrap(body []byte, members string) []byte {
	if members == "" {
		return body
	}
	names := strings.Split(members, ".")
	for i := len(names) - 1; i >= 0; i-- {
		body, _ = json.Marshal(map[string]json.RawMessage{names[i]: body})
	}
	return body
}
