package simulated_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge/document"
	"kycbridge/internal/simulate"
	"kycbridge/normalize/kwikid/simulated"
	"kycbridge/schemas"
	"kycbridge/test/wait"
)

const (
	examples  = "../client/testdata/"
	tokenURL  = "/agentapi/v1/agent/generate_token"
	linkURL   = "/agentapi/v1/agent/sendLink/"
	formsURL  = "/appapi/v1/dkyc/push_user_data"
	showURL   = "/agentapi/v1/session/get_details/"
	loginBody = `{"username": "kycbridge01", "password": "Example0000"}`
)

func start(t testing.TB, o simulate.Options) *simulate.Server {
	t.Helper()
	s, err := simulate.Start(simulated.New(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// ask makes one call; token "" sends none.
func ask(t testing.TB, s *simulate.Server, token, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("auth", token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

func logIn(t testing.TB, s *simulate.Server) string {
	t.Helper()
	status, body := ask(t, s, "", http.MethodPost, tokenURL, loginBody)
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK || answer.Token == "" {
		t.Fatalf("%d %s", status, body)
	}
	return answer.Token
}

// show returns the whole answer of get_details and the status in it.
func show(t testing.TB, s *simulate.Server, token, id string) (body, status string) {
	t.Helper()
	code, body := ask(t, s, token, http.MethodGet, showURL+id, "")
	var answer struct {
		Session struct {
			Status string `json:"session_status"`
		} `json:"session_data"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	return body, answer.Session.Status
}

// within polls until ok returns true.
func within(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	d *= wait.Slowdown
	for deadline := time.Now().Add(d); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, d)
		}
	}
}

// hookKwikID receives callbacks and answers them with the status that status returns.
type hookKwikID struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	status func(n int) int
}

func newHookKwikID(t testing.TB, status func(n int) int) *hookKwikID {
	h := &hookKwikID{status: status}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer "+simulated.Callback ||
			r.Header.Get("Content-Type") != "application/json" {
			t.Error("a callback without its credentials")
		}
		h.mu.Lock()
		h.bodies = append(h.bodies, string(raw))
		n := len(h.bodies)
		h.mu.Unlock()
		w.WriteHeader(h.status(n))
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hookKwikID) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.bodies)
}

func always(status int) func(int) int { return func(int) int { return status } }

func TestKwikIDScripts(t *testing.T) {
	call := []string{"waiting", "vkyc_requested", "agent_alloted", "kyc_request_accepted"}
	approved := append(slices.Clone(call), "kyc_result_approved")
	tests := map[string]struct {
		statuses  []string
		callbacks []string // their labels
		speed     float64
	}{
		simulate.Approve:    {approved, []string{"Maker Approved"}, 300},
		simulate.Review:     {approved, []string{"Maker Approved"}, 300},
		simulate.SecondLook: {approved, []string{"Maker Approved", "Checker Approved"}, 600},
		simulate.Reject:     {append(slices.Clone(call), "kyc_result_rejected"), []string{"Maker Rejected"}, 300},
		simulate.Flip: {append(slices.Clone(approved), "kyc_result_rejected"),
			[]string{"Maker Approved", "Maker Rejected"}, 600},
		simulate.Abandon:   {append(slices.Clone(call), "user_abandoned"), nil, 300},
		simulate.Expire:    {[]string{"waiting", "session_expired"}, nil, 600},
		simulate.Supersede: {[]string{"waiting", "vkyc_requested", "kyc_rejected"}, nil, 300},
		simulate.Unknown:   {[]string{"waiting", "vkyc_requested", "vkyc_on_hold_review", "session_expired"}, nil, 600},
		simulate.Resubmit: {append(slices.Clone(call[:3]), "kyc_request_rejected", "agent_alloted", "kyc_request_accepted",
			"kyc_result_approved"),
			[]string{"Maker Approved"}, 300},
	}
	if len(tests) != len(simulate.People()) {
		t.Errorf("%d scripts for %d people", len(tests), len(simulate.People()))
	}
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	for person, test := range tests {
		t.Run(person, func(t *testing.T) {
			t.Parallel()
			hook := newHookKwikID(t, always(http.StatusOK))
			speed := test.speed
			if person == simulate.Unknown {
				speed = 20000 // it ends after a simulated day
			}
			s := start(t, simulate.Options{Speed: speed, CallbackURL: hook.URL})
			token := logIn(t, s)
			id := s.Begin("order 4711 of "+person, "")
			var seen []string
			within(t, 30*time.Second, "the end", func() bool {
				body, status := show(t, s, token, id)
				if len(seen) == 0 || seen[len(seen)-1] != status {
					seen = append(seen, status)
					valid(t, set, body)
				}
				return status == test.statuses[len(test.statuses)-1]
			})
			if !inOrder(test.statuses, seen) { // on a busy machine the test may miss one of them
				t.Errorf("%v, want %v", seen, test.statuses)
			}
			within(t, 30*time.Second, "callbacks", func() bool { return s.Stats().Waiting == 0 })
			bodies := hook.got()
			if len(bodies) != len(test.callbacks) {
				t.Fatalf("callbacks %v", bodies)
			}
			for i, label := range test.callbacks {
				if !strings.Contains(bodies[i], label) || !strings.Contains(bodies[i], id) {
					t.Errorf("callback %d is %s, want %s", i, bodies[i], label)
				}
			}
		})
	}
}

// inOrder reports whether seen are some elements of all, in the order of all.
func inOrder(all, seen []string) bool {
	for _, s := range seen {
		i := slices.Index(all, s)
		if i < 0 {
			return false
		}
		all = all[i+1:]
	}
	return true
}

func valid(t *testing.T, set *schemas.Set, body string) {
	t.Helper()
	doc, faults := document.Decode([]byte(body))
	if faults == nil {
		faults = set.Validate("kwikid", "session", doc)
	}
	if faults != nil {
		t.Errorf("%v: %s", faults, body)
	}
}

// A finished session has exactly the keys of the documented one.
func TestKwikIDBodyIsComplete(t *testing.T) {
	s := start(t, simulate.Options{Speed: 6000})
	token := logIn(t, s)
	id := s.Begin("", simulate.Approve)
	var body string
	within(t, 10*time.Second, "approval", func() bool {
		var status string
		body, status = show(t, s, token, id)
		return status == "kyc_result_approved"
	})
	example, err := os.ReadFile(examples + "get-details-approved.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(keys(t, example), keys(t, []byte(body))); diff != "" {
		t.Error(diff)
	}
}

// keys lists the members of a body and their JSON types.
func keys(t *testing.T, body []byte) map[string]string {
	t.Helper()
	var doc any
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		found[path] = fmt.Sprintf("%T", v)
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				walk(path+"/"+name, member)
			}
		case []any:
			for i, item := range v {
				walk(fmt.Sprintf("%s/%d", path, i), item)
			}
		}
	}
	walk("", doc)
	return found
}

func TestKwikIDRefusals(t *testing.T) {
	s := start(t, simulate.Options{})
	token := logIn(t, s)
	id := s.Begin("user-0001", "")
	tests := map[string]struct {
		token, method, path, body string
		status                    int
		example                   string
	}{
		"no JSON": {"", "POST", tokenURL, `x`, 400, "generate-token-error-400.json"},
		"short password": {"", "POST", tokenURL, `{"username": "kycbridge01", "password": "Ex0"}`, 400,
			"generate-token-error-400.json"},
		"odd user name": {"", "POST", tokenURL, `{"username": "kyc bridge", "password": "Example0000"}`, 400,
			"generate-token-error-400.json"},
		"wrong password": {"", "POST", tokenURL, `{"username": "kycbridge01", "password": "Example0001"}`, 401,
			"generate-token-error-401.json"},
		"wrong user": {"", "POST", tokenURL, `{"username": "kycbridge02", "password": "Example0000"}`, 401,
			"generate-token-error-401.json"},
		"details, no token":  {"", "GET", showURL + id, "", 401, "get-details-error-401.json"},
		"details, bad token": {token + "x", "GET", showURL + id, "", 401, "send-link-error-401.json"},
		"details, no JWT":    {"abc", "GET", showURL + id, "", 401, "send-link-error-401.json"},
		"details, nobody's": {token, "GET", showURL + "5e551000-0000-4000-8000-00000000ffff", "", 400,
			"get-details-error-400.json"},
		"link, no token": {"", "POST", linkURL, `{}`, 401, "get-details-error-401.json"},
		"link, nothing":  {token, "POST", linkURL, `{}`, 400, "send-link-error-400.html"},
		"link, no JSON":  {token, "POST", linkURL, `x`, 400, "send-link-error-400.html"},
		"link, no user": {token, "POST", linkURL,
			`{"phone_number": "5550100001", "send_notification": 1, "link_type": "free"}`, 400, "send-link-error-400.html"},
		"link, phone with a plus": {token, "POST", linkURL,
			`{"user_id": "u", "phone_number": "+915550100001", "send_notification": 1, "link_type": "free"}`,
			400, "send-link-error-400.html"},
		"link, no notification": {token, "POST", linkURL,
			`{"user_id": "u", "phone_number": "5550100001", "link_type": "free"}`, 400, "send-link-error-400.html"},
		"link, type in upper case": {token, "POST", linkURL,
			`{"user_id": "u", "phone_number": "5550100001", "send_notification": 1, "link_type": "FREE"}`,
			400, "send-link-error-400.html"},
		"link, life as words": {token, "POST", linkURL,
			`{"user_id": "u", "phone_number": "5550100001", "send_notification": 1, "link_type": "free", "extras": {"link_expires_in": "long"}}`,
			400, "send-link-error-400.html"},
		"forms, no token": {"", "POST", formsURL, `{}`, 401, "get-details-error-401.json"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join(examples, test.example))
			if err != nil {
				t.Fatal(err)
			}
			status, body := ask(t, s, test.token, test.method, test.path, test.body)
			if diff := cmp.Diff(strings.TrimSpace(string(want)), strings.TrimSpace(body)); status != test.status || diff != "" {
				t.Errorf("%d %s", status, diff)
			}
		})
	}
}

func TestKwikIDForms(t *testing.T) {
	s := start(t, simulate.Options{})
	token := logIn(t, s)
	raw, err := os.ReadFile(examples + "push-user-data-request.json")
	if err != nil {
		t.Fatal(err)
	}
	status, body := ask(t, s, token, http.MethodPost, formsURL, string(raw))
	if status != http.StatusOK || !strings.Contains(body, `"session_id":"5e551000-`) {
		t.Errorf("%d %s", status, body)
	}
	broken := bytes.ReplaceAll(raw, []byte(`"pan": "AAAAA0000A", "dob": "01-FEB-1990"`), []byte(`"dob": "1990-02-01"`))
	broken = bytes.ReplaceAll(broken, []byte(`"uidNo": "000000000000", `), nil)
	status, body = ask(t, s, token, http.MethodPost, formsURL, string(broken))
	want, err := os.ReadFile(examples + "push-user-data-error-400.json")
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if json.Unmarshal(want, &a) != nil || json.Unmarshal([]byte(body), &b) != nil || status != http.StatusBadRequest {
		t.Fatalf("%d %s", status, body)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
	if status, _ = ask(t, s, token, http.MethodPost, formsURL, `{"user_id": "u"}`); status != http.StatusBadRequest {
		t.Errorf("%d for a request without forms", status)
	}
}

func TestKwikIDTokensExpire(t *testing.T) {
	s := start(t, simulate.Options{TokenLife: 300 * time.Millisecond})
	token := logIn(t, s)
	id := s.Begin("user-0001", "")
	show(t, s, token, id)
	within(t, 5*time.Second, "the token's end", func() bool {
		status, body := ask(t, s, token, http.MethodGet, showURL+id, "")
		return status == http.StatusUnauthorized && strings.Contains(body, "Token is invalid")
	})
}

func TestKwikIDNewerLinkEndsTheOlder(t *testing.T) {
	s := start(t, simulate.Options{})
	token := logIn(t, s)
	link := func(user string) string {
		_, body := ask(t, s, token, http.MethodPost, linkURL,
			`{"user_id": "`+user+`", "phone_number": "5550100001", "send_notification": "0", "link_type": "free", "extras": {"link_expires_in": "600"}}`)
		var answer struct {
			ID       string `json:"session_id"`
			Validity int    `json:"validity_duration"`
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Validity != 600 {
			t.Fatalf("%s: %v", body, err)
		}
		return answer.ID
	}
	first, other, second := link("user-0001"), link("user-0002"), link("user-0001")
	for id, want := range map[string]string{first: "kyc_rejected", other: "waiting", second: "waiting"} {
		if _, got := show(t, s, token, id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
}

func TestKwikIDAfterEnd(t *testing.T) {
	s := start(t, simulate.Options{Speed: 6000})
	token := logIn(t, s)
	id := s.Begin("", simulate.Approve)
	within(t, 10*time.Second, "approval", func() bool {
		_, status := show(t, s, token, id)
		return status == "kyc_result_approved"
	})
	if n := s.Stats().AfterEnd; n != 0 {
		t.Errorf("%d after the first look at the end", n)
	}
	show(t, s, token, id)
	if n := s.Stats().AfterEnd; n != 1 {
		t.Errorf("%d after the second", n)
	}
}

func TestKwikIDCallbacksAreRepeated(t *testing.T) {
	hook := newHookKwikID(t, func(n int) int {
		if n < 3 {
			return http.StatusAccepted // not the status that the provider expects
		}
		return http.StatusOK
	})
	s := start(t, simulate.Options{Speed: 2000, CallbackURL: hook.URL})
	s.Begin("", simulate.Reject)
	within(t, 20*time.Second, "delivery", func() bool { return s.Stats().Waiting == 0 })
	if stats := s.Stats(); stats.Callbacks != 3 || stats.Accepted != 1 {
		t.Errorf("%d deliveries, %d accepted", stats.Callbacks, stats.Accepted)
	}
	refusing := newHookKwikID(t, always(http.StatusInternalServerError))
	s = start(t, simulate.Options{Speed: 10000, CallbackURL: refusing.URL})
	s.Begin("", simulate.Reject)
	within(t, 20*time.Second, "the end of the schedule", func() bool { return s.Stats().GivenUp == 1 })
	if n := len(refusing.got()); n != 4 {
		t.Errorf("%d deliveries", n)
	}
}

// A session that a newer link has ended sends no verdict.
func TestKwikIDSupersededSessionsStaySilent(t *testing.T) {
	hook := newHookKwikID(t, always(http.StatusOK))
	s := start(t, simulate.Options{Speed: 600, CallbackURL: hook.URL})
	first := s.Begin("user-0001", simulate.Approve)
	second := s.Begin("user-0001", simulate.Approve)
	within(t, 20*time.Second, "callbacks", func() bool { return s.Stats().Waiting == 0 })
	got := hook.got()
	if len(got) != 1 || strings.Contains(got[0], first) || !strings.Contains(got[0], second) {
		t.Errorf("callbacks %v", got)
	}
}

func TestKwikIDManySessions(t *testing.T) {
	hook := newHookKwikID(t, always(http.StatusOK))
	s := start(t, simulate.Options{CallbackURL: hook.URL})
	before, start := runtime.NumGoroutine(), time.Now()
	for i := range 20000 {
		s.Begin(fmt.Sprintf("user-%d", i), "")
	}
	if more := runtime.NumGoroutine() - before; more > 10 {
		t.Errorf("%d goroutines more", more)
	}
	if took := time.Since(start); took > 10*time.Second*wait.Slowdown {
		t.Errorf("took %v", took)
	}
}

func TestKwikIDFiles(t *testing.T) {
	s := start(t, simulate.Options{})
	for name, want := range map[string]int{"selfie.jpg": 200, "user.webm": 200, "summary.json": 200, "all.zip": 200,
		"x": 404} {
		if status, body := ask(t, s, "", http.MethodGet, "/files/"+name, ""); status != want || want == 200 && body == "" {
			t.Errorf("%s: %d, %d bytes", name, status, len(body))
		}
	}
}

func TestKwikIDFaults(t *testing.T) {
	s := start(t, simulate.Options{Faults: simulate.Faults{Error500: 1}})
	token := logIn(t, s)
	page, err := os.ReadFile(examples + "get-details-error-500.html")
	if err != nil {
		t.Fatal(err)
	}
	if status, body := ask(t, s, token, http.MethodGet, showURL+"x", ""); status != 500 ||
		strings.TrimSpace(body) != strings.TrimSpace(string(page)) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := ask(t, s, token, http.MethodPost, linkURL, "{}"); status != 500 ||
		!strings.Contains(body, "error message") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := ask(t, s, token, http.MethodPost, formsURL, "{}"); status != 500 ||
		!strings.Contains(body, "An internal error occurred") {
		t.Errorf("%d %s", status, body)
	}
}
