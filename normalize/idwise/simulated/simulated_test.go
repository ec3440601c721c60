package simulated

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

	"github.com/google/go-cmp/cmp"

	"kycbridge/document"
	"kycbridge/internal/simulate"
	"kycbridge/schemas"
	"kycbridge/test/wait"
)

// stage is a simulated IDWise under test, and the receiver of its callbacks.
type stage struct {
	*simulate.Server
	t     *testing.T
	mu    sync.Mutex
	hooks []told
}

// told is a callback as it was received.
type told struct {
	Event string
	Body  map[string]any
}

func newIDWiseStage(t *testing.T, o simulate.Options) *stage {
	t.Helper()
	g := &stage{t: t}
	hooks := httptest.NewServer(http.HandlerFunc(g.take))
	t.Cleanup(hooks.Close)
	o.CallbackURL = hooks.URL
	s, err := simulate.Start(New(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	g.Server = s
	return g
}

func (g *stage) take(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Authorization") != "Bearer "+Callback {
		g.t.Errorf("callback with %q, error %v", r.Header.Get("Authorization"), err)
	}
	g.valid("webhook", raw)
	var told told
	if err := json.Unmarshal(raw, &told); err != nil {
		g.t.Error(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hooks = append(g.hooks, told)
	w.WriteHeader(http.StatusOK)
}

// compiled are the schemas, compiled once for all tests.
var compiled = sync.OnceValues(schemas.New)

func (g *stage) valid(schema string, raw []byte) {
	set, err := compiled()
	if err != nil {
		g.t.Error(err)
		return
	}
	doc, faults := document.Decode(raw)
	if faults = append(faults, set.Validate("idwise", schema, doc)...); len(faults) > 0 {
		g.t.Errorf("%s: %v in %s", schema, faults, raw)
	}
}

// came is a copy of the callbacks received so far.
func (g *stage) came() []told {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.hooks)
}

// eventually waits until good returns true, for at most ten seconds.
func (g *stage) eventually(what string, good func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(10 * time.Second * wait.Slowdown); !good(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			g.t.Fatalf("never: %s; callbacks %v", what, g.came())
		}
	}
}

// call sends a request with valid credentials and returns status and body.
func (g *stage) call(method, path string, body any) (int, map[string]any) {
	g.t.Helper()
	req, err := http.NewRequest(method, g.URL()+path, bytes.NewReader(writeJSON(body)))
	if err != nil {
		g.t.Fatal(err)
	}
	req.SetBasicAuth(Key, Secret)
	return g.do(req)
}

func (g *stage) do(req *http.Request) (int, map[string]any) {
	g.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		g.t.Fatalf("%s: %v", raw, err)
	}
	switch {
	case doc["step_summaries"] != nil && req.Method == http.MethodGet:
		g.valid("summary", raw)
	case doc["system_decision"] != nil:
		g.valid("result", raw)
	}
	return res.StatusCode, doc
}

// decisions are the current decisions of the system and of the reviewer in the result.
func (g *stage) decisions(id string) string {
	g.t.Helper()
	_, doc := g.call(http.MethodGet, "/journey/v2/"+id, nil)
	words, _ := doc["system_decision"].(string)
	if manual, ok := doc["manual_decision"].(string); ok {
		words += "/" + manual
	}
	return words
}

func TestIDWiseScripts(t *testing.T) {
	done, steps := "Finished Journey", "Finished User Steps"
	review := []string{"Finished Journey", "Manually Reviewed", "Updated Journey"}
	tests := map[string]struct {
		decisions string
		events    []string
		over      bool
	}{
		simulate.Approve:    {"Complete", []string{steps, done}, true},
		simulate.Reject:     {"Rejected", []string{steps, done}, true},
		simulate.Review:     {"Refer/Approved", append([]string{steps, done}, review...), true},
		simulate.SecondLook: {"Refer/Approved", append([]string{steps, done}, review...), true},
		simulate.Supersede:  {"Complete", []string{steps, done}, true},
		simulate.Flip:       {"Complete/Rejected", append([]string{steps, done}, review...), true},
		simulate.Resubmit: {"Complete/Approved",
			append(append([]string{steps, done, steps, "Verification Update Required"}, review...), review...), true},
		simulate.Abandon: {"Incomplete", nil, false},
		simulate.Expire:  {"Incomplete", nil, false},
		simulate.Unknown: {"Escalated", []string{steps, done}, false},
	}
	if len(tests) != len(simulate.People()) {
		t.Errorf("%d of %d people", len(tests), len(simulate.People()))
	}
	for person, test := range tests {
		t.Run(person, func(t *testing.T) {
			g := newIDWiseStage(t, simulate.Options{Speed: 200_000}) // a day in half a second
			id := g.Begin("ref-1", person)
			g.eventually(test.decisions, func() bool { return g.decisions(id) == test.decisions })
			g.eventually("all callbacks", func() bool { return len(g.came()) >= len(test.events) && g.Stats().Waiting == 0 })
			var events []string
			ids := map[any]bool{}
			for _, hook := range g.came() {
				events = append(events, hook.Event)
				ids[hook.Body["eventId"]] = true
				if _, told := hook.Body["manualDecision"]; told != (hook.Event != done && hook.Event != steps) {
					t.Errorf("manual decision in %s: %t", hook.Event, told)
				}
			}
			slices.Sort(events)
			want := slices.Sorted(slices.Values(test.events))
			if diff := cmp.Diff(want, events); diff != "" {
				t.Error(diff)
			}
			if len(ids) != len(events) {
				t.Errorf("%d event ids for %d callbacks", len(ids), len(events))
			}
			g.decisions(id)
			before := g.Stats().AfterEnd
			g.decisions(id)
			if after := g.Stats().AfterEnd; after > before != test.over {
				t.Errorf("results after the end: %d, then %d", before, after)
			}
		})
	}
}

// A verdict that will be overruled is not an end, so another request for the result is correct.
func TestIDWiseVerdictThatWillFlipIsNoEnd(t *testing.T) {
	g := newIDWiseStage(t, simulate.Options{Speed: 2000}) // overruled after 47 s
	id := g.Begin("ref-1", simulate.Flip)
	g.eventually("complete", func() bool { return g.decisions(id) == "Complete" })
	g.decisions(id)
	if n := g.Stats().AfterEnd; n != 0 {
		t.Errorf("%d results counted as after the end", n)
	}
}

func TestIDWiseProgress(t *testing.T) {
	g := newIDWiseStage(t, simulate.Options{Speed: 0.001}) // time almost stands still
	id := g.Begin("ref-1", simulate.Approve)
	status, doc := g.call(http.MethodGet, "/journey/v2/summary/"+id, nil)
	if status != http.StatusOK || doc["is_completed"] != false {
		t.Errorf("%d %v", status, doc)
	}
	first := doc["step_summaries"].([]any)[0].(map[string]any)["definition"].(map[string]any)
	second := doc["step_summaries"].([]any)[1].(map[string]any)["definition"].(map[string]any)
	if first["step_id"] != 0.0 || second["step_id"] != "1" {
		t.Errorf("step ids %v and %v", first["step_id"], second["step_id"])
	}
	if status, _ = g.call(http.MethodGet, "/journey/v2/summary/"+id, nil); status != http.StatusTooManyRequests ||
		Early(g.Server) != 1 {
		t.Errorf("status %d, %d too early", status, Early(g.Server))
	}
	_, doc = g.call(http.MethodGet, "/journey/v2/"+id, nil)
	if start, _ := doc["start_time"].(string); len(start) != len("2026-03-02T09:00:00.962462") || doc["end_time"] != nil {
		t.Errorf("from %v to %v", doc["start_time"], doc["end_time"])
	}
}

// Calls drive a journey: the script of its person pauses, and continues after complete-journey.
func TestIDWiseLedByCalls(t *testing.T) {
	g := newIDWiseStage(t, simulate.Options{Speed: 2000})
	_, started := g.call(http.MethodPost, "/journey/v2/start-journey",
		map[string]any{"flow_id": "f", "reference_no": "ref-expire-1"})
	id, _ := started["journey_id"].(string)
	step := func(step string) int {
		status, _ := g.call(http.MethodPost, "/journey/v2/process-journey-step",
			map[string]any{"journey_id": id, "step_id": step, "image": "aW1hZ2U="})
		return status
	}
	complete := func() int {
		status, _ := g.call(http.MethodPost, "/journey/v2/complete-journey", map[string]any{"journey_id": id})
		return status
	}
	review := func(decision string, steps ...map[string]any) int {
		status, _ := g.call(http.MethodPost, "/journey/v2/manual-review/"+id,
			map[string]any{"new_decision": decision, "step_reviews": steps})
		return status
	}
	statuses := func(want string, got ...int) {
		t.Helper()
		for _, status := range got {
			if status != http.StatusOK {
				t.Errorf("%s: %v", want, got)
			}
		}
	}
	if status := review("Approved"); status != http.StatusBadRequest {
		t.Errorf("review before the end answered %d", status)
	}
	statuses("hand in", step("0"), step("1"), complete())
	g.eventually("complete", func() bool { return g.decisions(id) == "Complete" })
	if status := step("0"); status != http.StatusBadRequest {
		t.Errorf("step after the end answered %d", status)
	}
	if status := review("Resubmission Requested"); status != http.StatusBadRequest {
		t.Errorf("resubmission of nothing answered %d", status)
	}
	statuses("review", review("Resubmission Requested", map[string]any{"step_id": "0", "review_decision": "Resubmit"}))
	if got := g.decisions(id); got != "Complete/Resubmission Requested" {
		t.Errorf("after the review %s", got)
	}
	statuses("hand in again", step("0"), complete())
	g.eventually("mended", func() bool { return g.decisions(id) == "Complete/Approved" })
	statuses("overrule", review("Rejected"))
	if got := g.decisions(id); got != "Complete/Rejected" {
		t.Errorf("at last %s", got)
	}
	g.eventually("all callbacks", func() bool { return g.Stats().Waiting == 0 })
	count := map[string]int{}
	for _, hook := range g.came() {
		count[hook.Event]++
	}
	want := map[string]int{
		"Finished User Steps": 2, "Finished Journey": 4, "Manually Reviewed": 3, "Updated Journey": 3,
		"Verification Update Required": 1,
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Error(diff)
	}
}

// After a caller has submitted steps, the planned callbacks of the script are not sent.
func TestIDWiseLedByCallsEndsTheScript(t *testing.T) {
	g := newIDWiseStage(t, simulate.Options{Speed: 100})
	id := g.Begin("ref-1", simulate.Approve)
	g.call(http.MethodPost, "/journey/v2/process-journey-step",
		map[string]any{"journey_id": id, "step_id": "0", "image": "aW1hZ2U="})
	g.call(http.MethodPost, "/journey/v2/complete-journey", map[string]any{"journey_id": id})
	g.eventually("void callbacks to be dropped", func() bool { return g.Stats().Waiting == 0 })
	hooks := g.came()
	if len(hooks) != 1 || hooks[0].Event != "Finished Journey" || hooks[0].Body["systemDecision"] != "Incomplete" {
		t.Errorf("callbacks %v", hooks)
	}
	if got := g.decisions(id); got != "Incomplete" {
		t.Errorf("decided %s", got)
	}
}

func TestIDWiseRefusals(t *testing.T) {
	g := newIDWiseStage(t, simulate.Options{Speed: 0.001})
	header := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	right := func(r *http.Request) { r.SetBasicAuth(Key, Secret) }
	const start = "POST /journey/v2/start-journey"
	tests := map[string]struct {
		call, body string
		auth       func(*http.Request)
		status     int
		code       string
	}{
		"no header":      {start, `{}`, func(*http.Request) {}, 401, "missing_authorization_header"},
		"another scheme": {start, `{}`, header("Bearer x"), 401, "invalid_authentication_format"},
		"no base64":      {start, `{}`, header("Basic ???"), 401, "invalid_authentication_format"},
		"wrong secret":   {start, `{}`, func(r *http.Request) { r.SetBasicAuth(Key, "x") }, 401, "invalid_credentials"},
		"no flow":        {start, `{"reference_no":"r"}`, right, 400, "invalid_request"},
		"no reference":   {start, `{"flow_id":"f"}`, right, 400, "invalid_request"},
		"letters":        {start, `{"flow_id":"f","reference_no":"a b"}`, right, 400, "invalid_request"},
		"nameless applicant": {start, `{"flow_id":"f","reference_no":"r","applicant_details":{}}`, right, 400,
			"invalid_request"},
		"no JSON": {start, `{`, right, 400, "invalid_request"},
		"step of nobody": {"POST /journey/v2/process-journey-step", `{"journey_id":"x","step_id":"0","image":"aQ=="}`,
			right, 404, "journey_not_found"},
		"step without image": {"POST /journey/v2/process-journey-step", `{"journey_id":"x","step_id":"0"}`, right, 400,
			"invalid_request"},
		"step, no base64": {"POST /journey/v2/process-journey-step", `{"journey_id":"x","step_id":"0","image":"?"}`,
			right, 400, "invalid_request"},
		"summary of nobody":    {"GET /journey/v2/summary/x", ``, right, 404, "journey_not_found"},
		"result of nobody":     {"GET /journey/v2/x", ``, right, 404, "journey_not_found"},
		"image of nobody":      {"GET /journey/v2/x/image/img-1", ``, right, 404, "image_not_found"},
		"deletion of nobody":   {"DELETE /journey/x", ``, right, 404, "journey_not_found"},
		"AML of nobody":        {"GET /checks/aml/x", ``, right, 404, "journey_not_found"},
		"amend without name":   {"PUT /checks/aml/x", `{}`, right, 400, "invalid_request"},
		"completion of nobody": {"POST /journey/v2/complete-journey", `{"journey_id":"x"}`, right, 404, "journey_not_found"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			method, path, _ := strings.Cut(test.call, " ")
			req, err := http.NewRequest(method, g.URL()+path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			test.auth(req)
			status, doc := g.do(req)
			if status != test.status || doc["error_code"] != test.code || doc["success"] != false || doc["message"] == "" {
				t.Errorf("%d %v", status, doc)
			}
		})
	}
}

func TestIDWiseCredentialsCanBeSet(t *testing.T) {
	g := newIDWiseStage(t, simulate.Options{Credentials: simulate.Credentials{User: "u", Password: "p:q"}})
	id := g.Begin("ref-1", simulate.Expire)
	req, err := http.NewRequest(http.MethodGet, g.URL()+"/journey/v2/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("u", "p:q")
	if status, doc := g.do(req); status != http.StatusOK {
		t.Errorf("%d %v", status, doc)
	}
}

// A callback is accepted only with status 200; otherwise it is repeated after 5, 10 and 15 minutes.
func TestIDWiseCallbacksAreRepeated(t *testing.T) {
	deliveries := make(chan string, 100)
	hooks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		deliveries <- string(raw)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer hooks.Close()
	s, err := simulate.Start(New(), simulate.Options{Speed: 20_000, CallbackURL: hooks.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Begin("ref-1", simulate.Approve)
	g := &stage{t: t, Server: s}
	g.eventually("both given up", func() bool { return s.Stats().GivenUp == 2 })
	count := map[string]int{}
	for range len(deliveries) {
		count[<-deliveries]++
	}
	for body, n := range count {
		if n != 4 {
			t.Errorf("%s was delivered %d times", body, n)
		}
	}
	if len(count) != 2 {
		t.Errorf("%d different callbacks", len(count))
	}
}
