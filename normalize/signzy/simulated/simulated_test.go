package simulated_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kycbridge/document"
	"kycbridge/internal/simulate"
	"kycbridge/normalize/signzy/simulated"
	"kycbridge/schemas"
	"kycbridge/test/wait"
)

const base = "/api/v3/otk-service/"

// running is a running simulated Signzy.
type running struct {
	*testing.T
	*simulate.Server
	schemas *schemas.Set
}

func start(t *testing.T, o simulate.Options, z ...simulated.Options) running {
	t.Helper()
	s, err := simulate.Start(simulated.New(z...), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	return running{t, s, set}
}

func (s running) do(method, path, token, body string) (int, []byte) {
	s.Helper()
	if !strings.HasPrefix(path, "http") {
		path = s.URL() + path
	}
	req, err := http.NewRequest(method, path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	return res.StatusCode, answer
}

func (s running) get(id string) (int, []byte) {
	s.Helper()
	return s.do(http.MethodGet, base+"get-journey/"+id, "signzy-token-0001", "")
}

// journeyBody is the part of a journey that the tests check.
type journeyBody struct {
	JourneyID        string `json:"journeyId"`
	CurrentStatus    string `json:"currentStatus"`
	CallbackSent     *bool
	CompletedAt      *int64
	UpdatedAt        time.Time
	ProcessingConfig map[string]any
	UserInfo         map[string]any
	CapturedData     struct{ Images map[string]string }
	Selfie           struct {
		Liveness struct {
			Liveness bool
			Score    float64
		} `json:"passiveLiveliness"`
	} `json:"selfieAnalysis"`
}

// read decodes a body and checks it against the schema of real bodies.
func (s running) read(raw []byte) journeyBody {
	s.Helper()
	doc, faults := document.Decode(raw)
	if faults == nil {
		faults = s.schemas.Validate("signzy", "result", doc)
	}
	var body journeyBody
	if err := json.Unmarshal(raw, &body); err != nil || faults != nil {
		s.Fatalf("error %v, faults %v in %s", err, faults, raw)
	}
	return body
}

// until polls for a condition.
func until(t *testing.T, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second * wait.Slowdown); !met(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came to pass")
		}
	}
}

// inbox receives callbacks and answers them.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	bodies [][]byte
	header []http.Header
	status int
}

func newSignzyInbox(t *testing.T) *inbox {
	in := &inbox{status: http.StatusAccepted}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		in.mu.Lock()
		defer in.mu.Unlock()
		in.bodies, in.header = append(in.bodies, body), append(in.header, r.Header)
		w.WriteHeader(in.status)
	}))
	t.Cleanup(in.Close)
	return in
}

func (in *inbox) came() ([][]byte, []http.Header) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.bodies), slices.Clone(in.header)
}

func (in *inbox) answerWith(status int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.status = status
}

func TestSignzyPeople(t *testing.T) {
	tests := map[string]struct {
		status    string
		live      bool
		callbacks int
	}{
		simulate.Approve:    {"COMPLETED", true, 1},
		simulate.Reject:     {"COMPLETED", false, 1},
		simulate.Review:     {"COMPLETED", true, 1},
		simulate.Flip:       {"COMPLETED", false, 2},
		simulate.Resubmit:   {"COMPLETED", true, 1},
		simulate.SecondLook: {"COMPLETED", true, 1},
		simulate.Unknown:    {"HELD_BACK", true, 1},
		simulate.Abandon:    {"IN_PROGRESS", false, 0},
		simulate.Expire:     {"IN_PROGRESS", false, 0},
		simulate.Supersede:  {"IN_PROGRESS", false, 0},
	}
	for _, person := range simulate.People() {
		t.Run(person, func(t *testing.T) {
			t.Parallel()
			tt, in := tests[person], newSignzyInbox(t)
			s := start(t, simulate.Options{Speed: 60 * 60, CallbackURL: in.URL,
				Credentials: simulate.Credentials{Callback: "key-1"}})
			reference := s.Begin("ref-1", person)
			until(t, func() bool { return s.Stats().Accepted == tt.callbacks })
			until(t, func() bool { status, _ := s.get(reference); return status == http.StatusOK })
			before := s.Stats().AfterEnd
			_, raw := s.get(reference)
			body := s.read(raw)
			if body.JourneyID != reference || body.CurrentStatus != tt.status || body.Selfie.Liveness.Liveness != tt.live ||
				body.UserInfo["externalReferenceId"] != "ref-1" {
				t.Errorf("body %s", raw)
			}
			if ended := s.Stats().AfterEnd > before; ended != (tt.status == "COMPLETED") {
				t.Errorf("asked after the end %v", ended)
			}
			bodies, headers := in.came()
			for i := range bodies {
				said := s.read(bodies[i])
				if said.CallbackSent != nil || said.CompletedAt == nil || said.JourneyID != reference ||
					headers[i].Get("Authorization") != "key-1" {
					t.Errorf("callback %s with %v", bodies[i], headers[i])
				}
			}
			if tt.callbacks > 0 && (body.CallbackSent == nil || !*body.CallbackSent) {
				t.Error("the callback was sent, and get-journey does not say so")
			}
		})
	}
}

func TestSignzyFlipsAfterItsEnd(t *testing.T) {
	in := newSignzyInbox(t)
	s := start(t, simulate.Options{Speed: 60 * 60, CallbackURL: in.URL})
	reference := s.Begin("flip", "")
	until(t, func() bool { return s.Stats().Accepted >= 1 }) // the second may follow before this looks
	bodies, _ := in.came()
	good := s.read(bodies[0])
	if _, raw := s.get(reference); s.read(raw).Selfie.Liveness.Liveness {
		s.get(reference)
		if got := s.Stats().AfterEnd; got != 0 {
			t.Errorf("%d calls after an end that is none", got)
		}
	}
	until(t, func() bool { return s.Stats().Accepted == 2 })
	bodies, _ = in.came()
	bad := s.read(bodies[1])
	if !good.Selfie.Liveness.Liveness || bad.Selfie.Liveness.Liveness || !bad.UpdatedAt.After(good.UpdatedAt) ||
		*bad.CompletedAt != *good.CompletedAt {
		t.Errorf("first %s, then %s", bodies[0], bodies[1])
	}
}

func TestSignzyCallbackGoesWhereTheCreateCallSays(t *testing.T) {
	in, other := newSignzyInbox(t), newSignzyInbox(t)
	s := start(t, simulate.Options{Speed: 1e5, CallbackURL: other.URL})
	status, raw := s.do(http.MethodPost, base+"create-journey-url", "signzy-token-0001",
		`{"flowId": "f", "userId": "u", "userInfo": {"phoneNumber": "5550100001"}, "processingConfig": {"callbackUrl": "`+in.URL+`/x?wt=1", "authKeyForCallback": "key-2", "journeyLinkValidity": 60}}`)
	var made struct {
		JourneyID, JourneyURL, TTL string
		CreatedAt                  int64
	}
	if err := json.Unmarshal(raw, &made); err != nil || status != http.StatusOK || len(made.JourneyID) != 10 ||
		made.CreatedAt == 0 || !strings.HasSuffix(made.JourneyURL, made.JourneyID) {
		t.Fatalf("%d %s", status, raw)
	}
	until(t, func() bool { return s.Stats().Accepted == 1 })
	bodies, headers := in.came()
	body := s.read(bodies[0])
	if headers[0].Get("Authorization") != "key-2" || body.ProcessingConfig["authKeyForCallback"] != "key-2" ||
		body.ProcessingConfig["journeyLinkValidity"] != 60.0 || body.ProcessingConfig["language"] != "en" {
		t.Errorf("callback %s with %v", bodies[0], headers[0])
	}
	if got, _ := other.came(); len(got) != 0 {
		t.Error("a callback went to the account's address too")
	}
}

func TestSignzyRepeatsCallbacks(t *testing.T) {
	in := newSignzyInbox(t)
	in.answerWith(http.StatusServiceUnavailable)
	s := start(t, simulate.Options{Speed: 1e5, CallbackURL: in.URL})
	s.Begin("approve", "")
	until(t, func() bool { return s.Stats().GivenUp == 1 })
	if got := s.Stats(); got.Callbacks != 5 || got.Accepted != 0 || got.Waiting != 0 {
		t.Errorf("stats %+v", got)
	}
	in.answerWith(http.StatusNoContent)
	s.Begin("approve", "")
	until(t, func() bool { return s.Stats().Accepted == 1 })
}

func TestSignzyRefuses(t *testing.T) {
	s := start(t, simulate.Options{})
	unopened := s.Begin("approve", "")
	tests := map[string]struct {
		method, path, token, body string
		status                    int
		says                      string
	}{
		"no flow": {"POST", base + "create-journey-url", "signzy-token-0001", `{}`, 400,
			`"message": "flowId is required"`},
		"no JSON": {"POST", base + "create-journey-url", "signzy-token-0001", `{`, 400, `"error"`},
		"empty callback": {"POST", base + "create-journey-url", "signzy-token-0001",
			`{"flowId": "f", "processingConfig": {"callbackUrl": ""}}`, 400, `"statusCode": "400"`},
		"wrong token":     {"POST", base + "create-journey-url", "wrong", `{}`, 401, `"statusCode": 401`},
		"bearer":          {"GET", base + "get-journey/x", "Bearer signzy-token-0001", ``, 401, `"UNAUTHORIZED"`},
		"no token":        {"GET", base + "get-journey/x", "", ``, 401, `"UNAUTHORIZED"`},
		"unknown journey": {"GET", base + "get-journey/x", "signzy-token-0001", ``, 404, "no Route matched"},
		"not open yet":    {"GET", base + "get-journey/" + unopened, "signzy-token-0001", ``, 404, "no Route matched"},
		"wrong method":    {"POST", base + "get-journey/x", "signzy-token-0001", ``, 405, "message"},
		"unknown file":    {"GET", "/api/files/1/download/1.jpeg", "", ``, 404, "message"},
		"token for files": {"GET", "/api/files/1/download/1.jpeg", "signzy-token-0001", ``, 400, "message"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			status, body := s.do(tt.method, tt.path, tt.token, tt.body)
			if status != tt.status || !bytes.Contains(body, []byte(tt.says)) {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

func TestSignzyForms(t *testing.T) {
	s := start(t, simulate.Options{Speed: 1e6, Credentials: simulate.Credentials{Token: "t"}},
		simulated.Options{Prefix: "/api/v9/otk", ResultMethod: http.MethodPost, Wrap: "data.result", WrapCreate: true})
	status, raw := s.do(http.MethodPost, "/api/v9/otk/create-journey-url", "t", `{"flowId": "f", "userId": "abandon"}`)
	var made struct{ Result struct{ JourneyID string } }
	if err := json.Unmarshal(raw, &made); err != nil || status != http.StatusOK || made.Result.JourneyID == "" {
		t.Fatalf("%d %s", status, raw)
	}
	path := "/api/v9/otk/get-journey/" + made.Result.JourneyID
	until(t, func() bool { status, raw = s.do(http.MethodPost, path, "t", ""); return status == http.StatusOK })
	if !bytes.HasPrefix(raw, []byte(`{"data":{"result":{`)) {
		t.Errorf("body %s", raw)
	}
	if status, _ = s.do(http.MethodGet, path, "t", ""); status != http.StatusMethodNotAllowed {
		t.Errorf("GET answers %d", status)
	}
}

func TestSignzyImages(t *testing.T) {
	s := start(t, simulate.Options{Speed: 1e6})
	reference := s.Begin("approve", "")
	var body journeyBody
	until(t, func() bool {
		status, raw := s.get(reference)
		if status == http.StatusOK {
			body = s.read(raw)
		}
		return body.CurrentStatus == "COMPLETED"
	})
	for _, side := range []string{"frontDoc", "selfie"} {
		address := body.CapturedData.Images[side]
		if status, raw := s.do(http.MethodGet, address, "", ""); status != http.StatusOK ||
			http.DetectContentType(raw) != "image/jpeg" {
			t.Errorf("%s: %d, %d bytes", address, status, len(raw))
		}
	}
	if body.CapturedData.Images["backDoc"] != "" {
		t.Error("a back was captured")
	}
}

// TestSignzyIDsDoNotDependOnCalls: journeys with the same seed have the same ids, however often results are requested
// in between.
func TestSignzyIDsDoNotDependOnCalls(t *testing.T) {
	t.Parallel()
	begin := func(requests int) []string {
		s := start(t, simulate.Options{Seed: 3})
		first := s.Begin("first", simulate.Approve)
		for range requests {
			s.get(first)
		}
		return []string{first, s.Begin("second", simulate.Reject)}
	}
	if quiet, asked := begin(0), begin(3); !slices.Equal(quiet, asked) {
		t.Errorf("the journeys are %v, with requests in between %v", quiet, asked)
	}
}
