package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/rest"
	"kycbridge/internal/simulate"
	"kycbridge/normalize/idwise/simulated"
	"kycbridge/test/wait"
)

const (
	journeyID = "65f000000000000000000001" // as in the examples
	flowID    = "f1000000-0000-4000-8000-000000000001"
	reference = "ref-1001"
	person    = "Jane Sample"
)

// serve runs a simulated IDWise, in which time almost stands still unless o sets a speed.
func serve(t *testing.T, o simulate.Options) *simulate.Server {
	t.Helper()
	if o.Speed == 0 {
		o.Speed = 0.001
	}
	s, err := simulate.Start(simulated.New(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func config(url string) Config {
	return Config{
		BaseURL: url, Key: simulated.Key, Secret: simulated.Secret, FlowID: flowID,
		ImagePath: simulated.ImagePath, SkipField: simulated.SkipField, SummaryInterval: time.Millisecond,
	}
}

// client creates a client with limits that no test reaches by accident.
func client(url string) *Client { return NewClient(config(url), wide()) }

func wide() rest.Options {
	return rest.Options{RequestsPerSecond: 1000, Concurrency: 50, Timeout: 15 * time.Second * wait.Slowdown}
}

func example(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func canned(status int, body []byte) simulate.Canned {
	return simulate.Canned{Status: status, ContentType: "application/json", Body: body}
}

// problem returns the ProviderError in err.
func problem(t *testing.T, err error) *kycbridge.ProviderError {
	t.Helper()
	var e *kycbridge.ProviderError
	if !errors.As(err, &e) {
		t.Fatalf("%v is no provider's error", err)
	}
	return e
}

// TestExamples serves every example of an answer and sends every example of a request.
func TestExamples(t *testing.T) {
	tested := map[string]bool{}
	for _, name := range []string{"start-journey-response.json"} {
		tested[name] = true
	}
	for name, completed := range map[string]Flag{"journey-summary-completed.json": true,
		"journey-summary-in-progress.json": false} {
		tested[name] = true
		t.Run(name, func(t *testing.T) { summaryExample(t, name, completed) })
	}
	for name, want := range map[string][3]ID{
		"journey-result-complete.json":        {"Complete", "", "Complete"},
		"journey-result-refer.json":           {"Refer", "", "Refer"},
		"journey-result-rejected.json":        {"Rejected", "", "Rejected"},
		"journey-result-incomplete.json":      {"Incomplete", "", "Incomplete"},
		"journey-result-manual-approved.json": {"Refer", "Approved", "Approved"},
		"journey-result-manual-rejected.json": {"Refer", "Rejected", "Rejected"},
	} {
		tested[name] = true
		t.Run(name, func(t *testing.T) { resultExample(t, name, want) })
	}
	for name, want := range map[string]kycbridge.ProviderError{
		"error-401-missing-authorization-header.json": {Status: 401, Kind: kycbridge.ProviderCredentials,
			Code: "missing_authorization_header", Message: "Authorization header is missing"},
		"error-401-invalid-credentials.json": {Status: 401, Kind: kycbridge.ProviderCredentials,
			Code: "invalid_credentials", Message: "Credentials are not valid"},
		"error-401-invalid-authentication-format.json": {Status: 401, Kind: kycbridge.ProviderCredentials,
			Code: "invalid_authentication_format", Message: "Authorization header is malformed"},
		"error-403-unauthorized.json": {Status: 403, Kind: kycbridge.ProviderForbidden,
			Code: "unauthorized", Message: "Key belongs to another environment"},
		"error-403-not-allowed-ip-address.json": {Status: 403, Kind: kycbridge.ProviderForbidden,
			Code: "not_allowed_ip_address", Message: "Caller address is not on the list"},
	} {
		tested[name] = true
		t.Run(name, func(t *testing.T) { errorExample(t, name, want) })
	}
	for name, request := range requests {
		tested[name] = true
		t.Run(name, func(t *testing.T) { requestExample(t, name, request) })
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d examples, error %v", len(files), err)
	}
	for _, file := range files {
		if !tested[filepath.Base(file)] {
			t.Errorf("%s is not tested", file)
		}
	}
}

func summaryExample(t *testing.T, name string, completed Flag) {
	s := serve(t, simulate.Options{})
	body := example(t, name)
	s.Can(callSummary, canned(200, body))
	got, err := client(s.URL()).Summary(context.Background(), journeyID)
	if err != nil {
		t.Fatal(err)
	}
	if got.IsCompleted != completed || !bytes.Equal(got.Answer.Body, body) ||
		got.Answer.ContentType != "application/json" {
		t.Errorf("got %+v", got)
	}
	if a, b := got.StepSummaries[0], got.StepSummaries[1]; a.Definition.StepID != "0" || b.Definition.StepID != "1" ||
		!*a.Result.HasPassedRules || (b.Result.IsConcluded == nil) == bool(completed) {
		t.Errorf("steps %+v", got.StepSummaries)
	}
}

func resultExample(t *testing.T, name string, want [3]ID) {
	s := serve(t, simulate.Options{})
	body := example(t, name)
	s.Can(callResult, canned(200, body))
	got, err := client(s.URL()).Result(context.Background(), journeyID)
	if err != nil {
		t.Fatal(err)
	}
	if decisions := [3]ID{got.SystemDecision, got.ManualDecision, got.FinalDecision}; decisions != want ||
		!bytes.Equal(got.Answer.Body, body) {
		t.Errorf("decisions %q", decisions)
	}
}

// errorExample checks that every call reports a documented error in the same way.
func errorExample(t *testing.T, name string, want kycbridge.ProviderError) {
	s := serve(t, simulate.Options{})
	for call, do := range calls(client(s.URL())) {
		before := s.Stats().Calls[call]
		s.Can(call, canned(want.Status, example(t, name)))
		want := want
		want.Call, want.Sent = call, true
		if diff := cmp.Diff(want, *problem(t, do(context.Background()))); diff != "" {
			t.Error(diff)
		}
		if n := s.Stats().Calls[call] - before; n != 1 {
			t.Errorf("%s was sent %d times", call, n)
		}
	}
}

// calls are all calls of the provider by name, with the values of the examples.
func calls(c *Client) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		callStart: func(ctx context.Context) error {
			_, err := c.StartJourney(ctx, StartRequest{FlowID: flowID, ReferenceNo: reference, ApplicantDetails: jane()})
			return err
		},
		callStep: func(ctx context.Context) error {
			_, err := c.ProcessStep(ctx, StepRequest{JourneyID: journeyID, StepID: "0", Images: sides(),
				AdditionalData: json.RawMessage(`{"source":"kycbridge"}`), JSON: true})
			return err
		},
		callComplete: func(ctx context.Context) error {
			_, err := c.CompleteJourney(ctx, journeyID)
			return err
		},
		callSummary: func(ctx context.Context) error {
			_, err := c.Summary(ctx, journeyID)
			return err
		},
		callResult: func(ctx context.Context) error {
			_, err := c.Result(ctx, journeyID)
			return err
		},
		callReview: func(ctx context.Context) error {
			_, err := c.API().Review(ctx, kycbridge.Review{
				Reference: journeyID, Decision: event.OutcomeResubmit, Comment: "Front side unreadable",
				Steps: []kycbridge.StepReview{{StepID: "0", Redo: true}, {StepID: "1"}},
			})
			return err
		},
		callImage: func(ctx context.Context) error {
			m, err := c.Image(ctx, journeyID, "img-selfie-1")
			if err == nil {
				m.Body.Close()
			}
			return err
		},
	}
}

func jane() *Applicant { return &Applicant{FullName: person, BirthDate: "1990-02-01", Sex: "female"} }

func sides() []kycbridge.StepImage {
	return []kycbridge.StepImage{
		{ContentType: "image/jpeg", Body: []byte("image-front")},
		{ContentType: "image/png", Body: []byte("image-back")},
	}
}

// requests are the examples of requests: the call that sends each, its method and path, and an answer to
// it.
var requests = map[string]struct{ call, method, path, answer string }{
	"start-journey-request.json": {callStart, "POST", "/journey/v2/start-journey", "start-journey-response.json"},
	"process-step-request.json":  {callStep, "POST", "/journey/v2/process-journey-step", ""},
	"manual-review-request.json": {callReview, "POST", "/journey/v2/manual-review/" + journeyID, ""},
}

func requestExample(t *testing.T, name string, want struct{ call, method, path, answer string }) {
	s := serve(t, simulate.Options{})
	var answer []byte
	if want.answer != "" {
		answer = example(t, want.answer)
	}
	s.Can(want.call, canned(200, answer))
	o := wide()
	sent := &recorder{}
	o.Transport = sent
	if err := calls(NewClient(config(s.URL()), o))[want.call](context.Background()); err != nil {
		t.Fatal(err)
	}
	r := sent.last
	if r.Method != want.method || r.URL.Path != want.path || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s, %v", r.Method, r.URL.Path, r.Header)
	}
	if user, password, ok := r.BasicAuth(); !ok || user != simulated.Key || password != simulated.Secret {
		t.Errorf("asked as %s", user)
	}
	if diff := cmp.Diff(tree(t, example(t, name)), tree(t, sent.body)); diff != "" {
		t.Error(diff)
	}
}

func tree(t *testing.T, raw []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

// recorder keeps the request that was sent last.
type recorder struct {
	last *http.Request
	body []byte
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.last, r.body = req, body
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	return http.DefaultTransport.RoundTrip(req)
}

// A byte order mark before an answer has no meaning: a journey that was created is not lost because of it.
func TestMarkedAnswers(t *testing.T) {
	marked := func(name string) simulate.Canned { return canned(200, append([]byte("\ufeff"), example(t, name)...)) }
	s := serve(t, simulate.Options{})
	s.Can(callStart, marked("start-journey-response.json"))
	s.Can(callSummary, marked("journey-summary-completed.json"))
	s.Can(callResult, marked("journey-result-complete.json"))
	api := New(config(s.URL()), wide())
	started, err := api.Start(t.Context(), kycbridge.StartRequest{ExternalReference: reference})
	if err != nil || started.Reference == "" || !strings.Contains(string(started.Answer), reference) {
		t.Errorf("started %+v, error %v", started, err)
	}
	got, err := api.Fetch(t.Context(), kycbridge.Query{Reference: journeyID})
	if err != nil || len(got) != 2 || !bytes.HasPrefix(got[1].Body, []byte("\ufeff")) {
		t.Errorf("fetched %d, error %v", len(got), err)
	}
}

func TestStart(t *testing.T) {
	tests := map[string]struct {
		request kycbridge.StartRequest
		want    string // what is sent
	}{
		"least": {kycbridge.StartRequest{ExternalReference: reference}, `{"flow_id":"` + flowID +
			`","reference_no":"ref-1001"}`},
		"own flow": {kycbridge.StartRequest{ExternalReference: reference, FlowID: "f2"},
			`{"flow_id":"f2","reference_no":"ref-1001"}`},
		"no AML asked": {kycbridge.StartRequest{ExternalReference: reference, Person: kycbridge.Person{Name: person},
			Options: json.RawMessage(`{"aml":false}`)}, `{"flow_id":"` + flowID + `","reference_no":"ref-1001"}`},
		"AML": {
			kycbridge.StartRequest{ExternalReference: reference,
				Person:  kycbridge.Person{GivenName: "Jane", FamilyName: "Sample", Birthdate: "1990-02-01", Gender: "Female"},
				Options: json.RawMessage(`{"aml":true,"language":"en"}`)},
			string(example(t, "start-journey-request.json")),
		},
		"AML, little known": {
			kycbridge.StartRequest{ExternalReference: reference,
				Person: kycbridge.Person{Name: person, Birthdate: "1990", Gender: "x"}, Options: json.RawMessage(`{"aml":true}`)},
			`{"flow_id":"` + flowID + `","reference_no":"ref-1001","applicant_details":{"full_name":"Jane Sample"}}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, simulate.Options{})
			s.Can(callStart, canned(200, example(t, "start-journey-response.json")))
			o := wide()
			sent := &recorder{}
			o.Transport = sent
			got, err := New(config(s.URL()), o).Start(context.Background(), test.request)
			if err != nil {
				t.Fatal(err)
			}
			flow := test.request.FlowID
			if flow == "" {
				flow = flowID
			}
			want := kycbridge.Started{
				Reference: "a0000000-0000-4000-8000-000000000001", FlowID: flow,
				Answer: json.RawMessage(`{"is_completed":false,"journey_id":"a0000000-0000-4000-8000-000000000001","reference_no":"ref-1001","step_summaries":[]}`),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tree(t, []byte(test.want)), tree(t, sent.body)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A request that the provider could only refuse is not sent.
func TestRefusedBeforeSending(t *testing.T) {
	s := serve(t, simulate.Options{})
	c := config(s.URL())
	c.FlowID, c.SkipField = "", ""
	poor := NewClient(c, wide()).API()
	rich := client(s.URL())
	api := rich.API()
	ctx := context.Background()
	start := func(a kycbridge.API, r kycbridge.StartRequest) error { _, err := a.Start(ctx, r); return err }
	step := func(a kycbridge.API, s kycbridge.Step) error { _, err := a.Step(ctx, s); return err }
	complete := func(a kycbridge.API, reference string) error { _, err := a.Complete(ctx, reference); return err }
	decide := func(a kycbridge.API, r kycbridge.Review) error { _, err := a.Review(ctx, r); return err }
	front := sides()[:1]
	for path, errs := range map[string][]error{
		"/options/flow_id": {start(poor, kycbridge.StartRequest{ExternalReference: reference})},
		"/external_reference": {start(api, kycbridge.StartRequest{}),
			start(api, kycbridge.StartRequest{ExternalReference: person}),
			start(api, kycbridge.StartRequest{ExternalReference: "a\n"})},
		"/options": {start(api,
			kycbridge.StartRequest{ExternalReference: "a", Options: json.RawMessage(`{"aml":1}`)})},
		"/person/name": {start(api,
			kycbridge.StartRequest{ExternalReference: "a", Options: json.RawMessage(`{"aml":true}`)})},
		"/step_id": {step(api, kycbridge.Step{Reference: "j", Images: front})},
		"/skip":    {step(poor, kycbridge.Step{Reference: "j", StepID: "0", Skip: true})},
		"/image":   {step(api, kycbridge.Step{Reference: "j", StepID: "0"})},
		"/image2":  {step(api, kycbridge.Step{Reference: "j", StepID: "0", Images: append(sides(), front...)})},
		"/additional_data": {step(api,
			kycbridge.Step{Reference: "j", StepID: "0", Images: front, Data: json.RawMessage(`[]`)}),
			step(api, kycbridge.Step{Reference: "j", StepID: "0", Images: front, Data: json.RawMessage(`{`)})},
		"/reference": {
			step(api, kycbridge.Step{StepID: "0", Images: front}), complete(api, ""),
			decide(api, kycbridge.Review{Reference: "..", Decision: event.OutcomeApproved}),
		},
		"/decision": {decide(api, kycbridge.Review{Reference: "j"}),
			decide(api, kycbridge.Review{Reference: "j", Decision: event.OutcomeReview})},
	} {
		for i, err := range errs {
			e := problem(t, err)
			if e.Kind != kycbridge.ProviderInvalid || e.Sent || len(e.Fields) != 1 || e.Fields[0].Path != path {
				t.Errorf("%s %d: %+v", path, i, e)
			}
		}
	}
	if n := s.Stats().Answers; len(n) != 0 {
		t.Errorf("answers %v", n)
	}
}

func TestFetch(t *testing.T) {
	s := serve(t, simulate.Options{Speed: 100_000})
	running, finished := s.Begin(reference, simulate.Abandon), s.Begin(reference, simulate.Approve)
	c := config(s.URL())
	api := New(c, wide())
	parts := func(q kycbridge.Query) (names []string, err error) {
		bodies, err := api.Fetch(context.Background(), q)
		for _, b := range bodies {
			names = append(names, b.Part)
			if !json.Valid(b.Body) || b.ContentType != "application/json" {
				t.Errorf("%s: %s of %s", b.Part, b.Body, b.ContentType)
			}
		}
		return names, err
	}
	deadline := time.Now().Add(10 * time.Second * wait.Slowdown)
	for {
		got, err := parts(kycbridge.Query{Reference: finished})
		if err != nil || time.Now().After(deadline) {
			t.Fatal(got, err)
		}
		if cmp.Equal(got, []string{"summary", "result"}) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if got, err := parts(kycbridge.Query{Reference: running}); err != nil || !cmp.Equal(got, []string{"summary"}) {
		t.Errorf("running: %v, %v", got, err)
	}
	if got, err := parts(kycbridge.Query{Reference: finished, Triggered: true}); err != nil ||
		!cmp.Equal(got, []string{"result"}) {
		t.Errorf("triggered: %v, %v", got, err)
	}
	if got, err := parts(kycbridge.Query{Reference: running, Triggered: true}); problem(t,
		err).Kind != kycbridge.ProviderPending || !cmp.Equal(got, []string{"result"}) {
		t.Errorf("triggered before there is a decision: %v, %v", got, err)
	}
	if _, err := parts(kycbridge.Query{Reference: "nobody"}); problem(t, err).Kind != kycbridge.ProviderNotFound {
		t.Error(err)
	}
	if _, err := parts(kycbridge.Query{Reference: "nobody", Triggered: true}); problem(t,
		err).Kind != kycbridge.ProviderNotFound {
		t.Error(err)
	}
	s.Can(callResult, canned(404, nil))
	got, err := parts(kycbridge.Query{Reference: finished})
	if problem(t, err).Kind != kycbridge.ProviderPending || !cmp.Equal(got, []string{"summary"}) {
		t.Errorf("no result yet: %v, %v", got, err)
	}
}

func TestSummariesKeepTheirDistance(t *testing.T) {
	const speed, callers = 40, 20
	s := serve(t, simulate.Options{Speed: speed})
	id := s.Begin(reference, simulate.Expire)
	c := config(s.URL())
	c.SummaryInterval = 2 * time.Second / speed
	idwise := NewClient(c, wide())
	start := time.Now()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			if _, err := idwise.Summary(context.Background(), id); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if took := time.Since(start); took < (callers-1)*c.SummaryInterval {
		t.Errorf("%d summaries took %v", callers, took)
	}
	if n := simulated.Early(s); n != 0 || s.Stats().Calls[callSummary] != callers {
		t.Errorf("%d came too early; calls %v", n, s.Stats().Calls)
	}
}

// A failure does not shorten the interval between summaries.
func TestSummariesKeepTheirDistanceAfterFailures(t *testing.T) {
	const speed = 40
	s := serve(t, simulate.Options{Speed: speed, Faults: simulate.Faults{Error500: .3, HTML: .2, Broken: .2}, Seed: 7})
	id := s.Begin(reference, simulate.Expire)
	c := config(s.URL())
	c.SummaryInterval = 2 * time.Second / speed
	idwise := NewClient(c, wide())
	for range 9 { // the breaker opens at ten
		_, _ = idwise.Summary(context.Background(), id)
	}
	if n := simulated.Early(s); n != 0 || s.Stats().Calls[callSummary] != 9 {
		t.Errorf("%d came too early; calls %v", n, s.Stats().Calls)
	}
}

func TestSummaryWithoutTimeToWait(t *testing.T) {
	s := serve(t, simulate.Options{})
	first, second := s.Begin(reference, simulate.Expire), s.Begin(reference, simulate.Expire)
	c := config(s.URL())
	c.SummaryInterval = time.Hour
	idwise := NewClient(c, wide())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute*wait.Slowdown)
	defer cancel()
	if _, err := idwise.Summary(ctx, first); err != nil {
		t.Fatal(err)
	}
	_, err := idwise.Summary(ctx, first)
	if e := problem(t, err); e.Kind != kycbridge.ProviderRateLimited || e.Sent || e.RetryAfter < 59*time.Minute {
		t.Errorf("%+v", e)
	}
	if _, err := idwise.Summary(ctx, second); err != nil {
		t.Errorf("another journey: %v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := idwise.Summary(ctx, first); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller left: %v", err)
	}
	if n := s.Stats().Calls[callSummary]; n != 2 {
		t.Errorf("%d calls", n)
	}
}

// A refusal because of too many requests, in any form, lengthens the interval.
func TestSummaryBlocked(t *testing.T) {
	t.Parallel()
	blocked := []simulate.Canned{
		{Status: 403, ContentType: "text/html", Body: []byte("<html>Forbidden</html>")},
		{Status: 403, ContentType: "application/json",
			Body: []byte(`{"success":false,"message":"Blocked","error_code":"blocked"}`)},
		{Status: 429},
	}
	for _, c := range blocked {
		s := serve(t, simulate.Options{})
		id := s.Begin(reference, simulate.Expire)
		s.Can(callSummary, c, c)
		settings := config(s.URL())
		settings.SummaryInterval = 20 * time.Millisecond
		idwise := NewClient(settings, wide())
		for _, distance := range []time.Duration{40 * time.Millisecond, 80 * time.Millisecond} {
			_, err := idwise.Summary(context.Background(), id)
			if e := problem(t, err); e.Kind != kycbridge.ProviderRateLimited || e.RetryAfter != distance ||
				e.Status != c.Status {
				t.Errorf("%+v", e)
			}
		}
		if _, err := idwise.Summary(context.Background(), id); err != nil {
			t.Errorf("after the block: %v", err)
		}
	}
}

func TestPaceForgets(t *testing.T) {
	p := newPace(time.Nanosecond)
	for i := range 3 * maxJourneys {
		leave, err := p.enter(context.Background(), time.Duration(i).String())
		if err != nil {
			t.Fatal(err)
		}
		leave(nil)
	}
	if n := len(p.journeys); n > maxJourneys {
		t.Errorf("%d journeys are remembered", n)
	}
}

// Steps reach the simulator in either encoding, and their images are returned byte for byte.
func TestStepsArriveIntact(t *testing.T) {
	for name, asJSON := range map[string]bool{"multipart": false, "JSON": true} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, simulate.Options{Speed: 2000})
			c := client(s.URL())
			api := c.API()
			ctx := context.Background()
			started, err := api.Start(ctx, kycbridge.StartRequest{ExternalReference: "ref-abandon-1"})
			if err != nil {
				t.Fatal(err)
			}
			front := append([]byte("\x89PNG\r\n\x1a\n--boundary\r\n\x00\xff"),
				bytes.Repeat([]byte{0, 255, '\r', '\n', '-'}, 200_000)...)
			images := []kycbridge.StepImage{{ContentType: "image/png", Body: front},
				{ContentType: "image/png", Body: front[:5000]}}
			answer, err := api.Step(ctx, kycbridge.Step{Reference: started.Reference, StepID: "0", Images: images, JSON: asJSON,
				Data: json.RawMessage(`{"a":1}`)})
			if err != nil || string(answer.Body) != `{"success":true}` {
				t.Fatalf("%s, %v", answer.Body, err)
			}
			if _, err := api.Step(ctx, kycbridge.Step{Reference: started.Reference, StepID: "1", Skip: true,
				JSON: asJSON}); err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string][]byte{"img-doc-front-1": front, "img-doc-back-1": front[:5000]} {
				m, err := api.Media(ctx, kycbridge.MediaRequest{Reference: started.Reference, Ref: path})
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(m.Body)
				m.Body.Close()
				if err != nil || !bytes.Equal(got, want) || m.Length != int64(len(want)) || m.ContentType != "image/png" {
					t.Errorf("%s: %d bytes of %s, length %d, error %v", path, len(got), m.ContentType, m.Length, err)
				}
			}
			if _, err := api.Complete(ctx, started.Reference); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				r, err := c.Result(ctx, started.Reference)
				if err != nil || time.Now().After(deadline) {
					t.Fatal(r.SystemDecision, err)
				}
				if r.SystemDecision == "Complete" {
					break
				}
			}
		})
	}
}

func TestStepForm(t *testing.T) {
	var fields map[string][]string
	var files []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil {
			t.Error(err)
		}
		form, err := multipart.NewReader(r.Body, params["boundary"]).ReadForm(1 << 20)
		if err != nil {
			t.Error(err)
			return
		}
		fields = form.Value
		for _, name := range []string{"image", "image2"} {
			for _, f := range form.File[name] {
				files = append(files, f.Filename+" "+f.Header.Get("Content-Type"))
			}
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	c := config(server.URL)
	c.SkipField = "is_skipped"
	answer, err := New(c, wide()).Step(context.Background(), kycbridge.Step{
		Reference: journeyID, StepID: "additional_face", Skip: true, Data: json.RawMessage(` {"source":"kycbridge"}`),
		Images: []kycbridge.StepImage{{ContentType: "image/jpeg\r\nX-Bad: 1", Body: []byte("\xff\xd8\xff\xe0")},
			{ContentType: "application/pdf", Body: []byte("x")}},
	})
	if err != nil || answer.Body != nil {
		t.Fatalf("%s, %v", answer.Body, err)
	}
	want := map[string][]string{"journey_id": {journeyID}, "step_id": {"additional_face"}, "is_skipped": {"true"},
		"additional_data": {` {"source":"kycbridge"}`}}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"image.jpg image/jpeg", "image2.pdf application/pdf"}, files); diff != "" {
		t.Error(diff)
	}
}

// A write that the provider may have processed is not sent again; one that it has certainly not processed
// is.
func TestWritesAreSentOnce(t *testing.T) {
	faults := map[string]simulate.Faults{
		"500":    {Error500: 1},
		"HTML":   {HTML: 1},
		"429":    {RateLimited: 1},
		"broken": {Broken: 1},
		"slow":   {Slow: 1, SlowBy: time.Minute},
	}
	once := []string{callStart, callStep, callComplete, callReview}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, simulate.Options{Faults: f})
			for _, call := range once {
				o := wide()
				o.Timeout = wait.Reach
				err := calls(NewClient(config(s.URL()), o))[call](context.Background())
				if e := problem(t, err); !e.Sent {
					t.Errorf("%s: %+v", call, e)
				}
				if n := s.Stats().Calls[call]; n != 1 {
					t.Errorf("%s was sent %d times", call, n)
				}
			}
		})
	}
}

func TestStartIsRepeatedWhereNothingWasSent(t *testing.T) {
	s := serve(t, simulate.Options{})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	var dials atomic.Int32
	o := wide()
	o.Transport = &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) == 1 {
			address = closed.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	if _, err := New(config(s.URL()), o).Start(context.Background(),
		kycbridge.StartRequest{ExternalReference: reference}); err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().Calls[callStart]; n != 1 || dials.Load() != 2 {
		t.Errorf("%d calls, %d dials", n, dials.Load())
	}
}

func TestReadsAreRepeated(t *testing.T) {
	t.Parallel()
	s := serve(t, simulate.Options{})
	id := s.Begin(reference, simulate.Approve)
	s.Can(callResult, canned(500, nil), canned(502, []byte("<html>")))
	if _, err := client(s.URL()).Result(context.Background(), id); err != nil {
		t.Error(err)
	}
}

// TestSuccessesThatFailed: a 200 that reports a failure, or that is about another journey or reference, is
// a failure. A call that changes something may have taken effect nevertheless.
func TestSuccessesThatFailed(t *testing.T) {
	for name, tt := range map[string]struct {
		call, body string
		kind       kycbridge.ProviderErrorKind
		message    string
	}{
		"start refused": {callStart, `{"success": false, "message": "Flow is inactive", "error_code": "flow"}`,
			kycbridge.ProviderInvalid, "Flow is inactive"},
		"start refused as text": {callStart, `{"success": "False", "message": "Flow is inactive"}`,
			kycbridge.ProviderInvalid, "Flow is inactive"},
		"start refused as number": {callStart, `{"success": 0, "message": "Flow is inactive"}`, kycbridge.ProviderInvalid,
			"Flow is inactive"},
		"start of another reference": {callStart, `{"journey_id": "j1", "reference_no": "ref-2"}`,
			kycbridge.ProviderMalformed, ""},
		"step refused": {callStep, `{"success": false, "message": "Journey is completed"}`,
			kycbridge.ProviderInvalid, "Journey is completed"},
		"step of another journey": {callStep, `{"journey_id": "65f000000000000000000002"}`, kycbridge.ProviderMalformed,
			""},
		"completion refused": {callComplete, `{"success": false, "message": "Not yet"}`, kycbridge.ProviderInvalid,
			"Not yet"},
		"completion of another": {callComplete, `{"success": true, "journey_id": 7}`, kycbridge.ProviderMalformed, ""},
		"review refused": {callReview,
			`{"success": false, "error_code": "invalid_credentials", "message": "no"}`, kycbridge.ProviderCredentials, "no"},
		"review of another": {callReview, `{"journey_id": "65f000000000000000000002"}`, kycbridge.ProviderMalformed,
			""},
		"result refused": {callResult, `{"success": false, "message": "Later"}`, kycbridge.ProviderMalformed,
			"Later"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, simulate.Options{})
			body := canned(200, []byte(tt.body))
			s.Can(tt.call, body, body, body)
			e := problem(t, calls(client(s.URL()))[tt.call](context.Background()))
			if e.Kind != tt.kind || e.Message != tt.message || e.Status != 200 || !e.Sent {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	s := serve(t, simulate.Options{})
	id := s.Begin(reference, simulate.Approve)
	wait := func(seconds string) simulate.Canned {
		return simulate.Canned{Status: 429, Header: http.Header{"Retry-After": {seconds}}}
	}
	c := client(s.URL())
	s.Can(callResult, wait("1"))
	start := time.Now()
	if _, err := c.Result(context.Background(), id); err != nil || time.Since(start) < time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	s.Can(callResult, wait("600"))
	_, err := c.Result(context.Background(), id)
	if e := problem(t, err); e.Kind != kycbridge.ProviderRateLimited || e.RetryAfter != 10*time.Minute ||
		s.Stats().Calls[callResult] != 3 {
		t.Errorf("%+v, %d calls", e, s.Stats().Calls[callResult])
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := serve(t, simulate.Options{Limit: 10})
	id := s.Begin(reference, simulate.Approve)
	c := NewClient(config(s.URL()), rest.Options{RequestsPerSecond: 10, Concurrency: 10})
	var all sync.WaitGroup
	for range 25 {
		all.Go(func() {
			if _, err := c.Result(context.Background(), id); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if stats := s.Stats(); stats.MostInSecond > 10 || stats.Answers[429] != 0 || stats.Calls[callResult] != 25 {
		t.Errorf("%+v", stats)
	}
}

// lies are answers that are invalid or report a failure, with the kind of error for calls that read and
// for calls that write.
var lies = map[string]struct {
	answer      simulate.Canned
	read, write kycbridge.ProviderErrorKind // "" is no error
}{
	"HTML": {simulate.Canned{Status: 200, ContentType: "text/html", Body: []byte("<html>Log in</html>")},
		kycbridge.ProviderMalformed, kycbridge.ProviderMalformed},
	"failed, known": {canned(200, []byte(`{"success":false,"error_code":"invalid_credentials"}`)),
		kycbridge.ProviderCredentials, kycbridge.ProviderCredentials},
	"failed, unknown": {canned(200, []byte(`{"success":false,"message":"No","error_code":"new"}`)),
		kycbridge.ProviderMalformed, kycbridge.ProviderInvalid},
	"failed, as text": {canned(200, []byte(`{"success":"false"}`)), kycbridge.ProviderMalformed,
		kycbridge.ProviderInvalid},
	"marked": {canned(200, []byte("\ufeff"+`{"error_code":"unauthorized"}`)), kycbridge.ProviderForbidden,
		kycbridge.ProviderForbidden},
	"only a code": {canned(200, []byte(`{"error_code":"unauthorized"}`)), kycbridge.ProviderForbidden,
		kycbridge.ProviderForbidden},
	"huge": {canned(200, bytes.Repeat([]byte("9"), 9<<20)), kycbridge.ProviderMalformed,
		kycbridge.ProviderMalformed},
	"redirect": {simulate.Canned{Status: 302, Header: http.Header{"Location": {"http://127.0.0.1:1/"}}},
		kycbridge.ProviderMalformed, kycbridge.ProviderMalformed},
	"nothing": {canned(200, nil), kycbridge.ProviderMalformed, ""},
	"list":    {canned(200, []byte(`[]`)), kycbridge.ProviderMalformed, ""},
	"nobody's": {canned(200, []byte(`{"system_decision":"Complete","is_completed":true}`)),
		kycbridge.ProviderMalformed, ""},
	"another's": {canned(200, []byte(`{"journey_id":"x","system_decision":"Complete"}`)),
		kycbridge.ProviderMalformed, kycbridge.ProviderMalformed},
	"404 without a body": {canned(404, nil), kycbridge.ProviderNotFound, kycbridge.ProviderNotFound},
	"400 in HTML": {simulate.Canned{Status: 400, ContentType: "text/html", Body: []byte("<html>")},
		kycbridge.ProviderInvalid, kycbridge.ProviderInvalid},
	"503": {canned(503, []byte(`{"success":false,"error_code":{}}`)), kycbridge.ProviderUnavailable,
		kycbridge.ProviderUnavailable},
}

func TestAnswersThatLie(t *testing.T) {
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, simulate.Options{})
			want := map[string]kycbridge.ProviderErrorKind{
				callSummary: lie.read, callResult: lie.read, callComplete: lie.write, callReview: lie.write, callStep: lie.write,
			}
			for call := range want {
				s.Can(call, lie.answer, lie.answer, lie.answer)
			}
			errs := outcomes(func() *Client { return client(s.URL()) })
			for call, kind := range want {
				switch {
				case kind != "":
					if e := problem(t, errs[call]); e.Kind != kind || !e.Sent {
						t.Errorf("%s: %+v", call, e)
					}
				case errs[call] != nil:
					t.Errorf("%s: %v", call, errs[call])
				}
			}
		})
	}
}

// Ids may be text or numbers, and flags may be null or text.
func TestTolerance(t *testing.T) {
	const body = `{
		"journey_id": "j", "is_completed": "true", "new": [{}],
		"step_summaries": [
			{"definition": {"step_id": 0, "step_title": {}}, "result": null}, {"definition": {"step_id": -1.5}}, {"definition": {"step_id": "additional_face"}}, {"definition": {"step_id": true}},
			null, {"result": {"has_passed_rules": null, "is_concluded": "false", "status": 7}}
		]
	}`
	s := serve(t, simulate.Options{})
	s.Can(callSummary, canned(200, []byte(body)),
		canned(200, []byte(`{"journey_id":"j","is_completed":null,"step_summaries":{}}`)))
	c := client(s.URL())
	got, err := c.Summary(context.Background(), "j")
	if err != nil || !got.IsCompleted || len(got.StepSummaries) != 6 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []ID{"0", "-1.5", "additional_face", ""} {
		if id := got.StepSummaries[i].Definition.StepID; id != want {
			t.Errorf("step %d is %q", i, id)
		}
	}
	if last := got.StepSummaries[5].Result; last.HasPassedRules != nil || *last.IsConcluded || last.Status != "7" {
		t.Errorf("%+v", last)
	}
	if got, err = c.Summary(context.Background(), "j"); err != nil || got.IsCompleted {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestStartWithoutJourney(t *testing.T) {
	s := serve(t, simulate.Options{})
	s.Can(callStart, canned(200, []byte(`{"reference_no":"ref-1001"}`)))
	_, err := New(config(s.URL()), wide()).Start(context.Background(),
		kycbridge.StartRequest{ExternalReference: reference})
	if e := problem(t, err); e.Kind != kycbridge.ProviderMalformed || !e.Sent {
		t.Errorf("%+v", e)
	}
}

func TestImagesThatAreNone(t *testing.T) {
	s := serve(t, simulate.Options{})
	c := client(s.URL())
	s.Can(callImage,
		canned(200, []byte(`{"success":false,"error_code":"unauthorized"}`)),
		canned(200, []byte(`{}`)),
		simulate.Canned{Status: 200, ContentType: "text/html", Body: []byte("<html>")})
	for _, want := range []kycbridge.ProviderErrorKind{kycbridge.ProviderForbidden, kycbridge.ProviderMalformed,
		kycbridge.ProviderMalformed} {
		_, err := c.Image(context.Background(), journeyID, "img-1")
		if e := problem(t, err); e.Kind != want {
			t.Errorf("%+v, want %s", e, want)
		}
	}
	plain := config(s.URL())
	plain.ImagePath = ""
	if New(plain, wide()).Media != nil {
		t.Error("media without a path")
	}
	if _, err := NewClient(plain, wide()).Image(context.Background(), journeyID, "img-1"); problem(t, err).Sent {
		t.Error("sent without a path")
	}
}

// Whatever fails, the text of an error contains nothing that was sent.
func TestErrorsKeepSecrets(t *testing.T) {
	t.Parallel()
	const secret = "SECRET-4711"
	o := wide()
	o.Timeout = 2 * time.Second
	check := func(name string, c Config) {
		c.Key, c.Secret = "KEY-4711", secret
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, err := range outcomes(func() *Client { return NewClient(c, o) }) {
				keepsSecrets(t, err, secret)
			}
		})
	}
	for _, status := range []int{200, 400, 401, 403, 404, 429, 500} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"success":false,"message":"`+secret+` `+person+`","error_code":"`+secret+`"}`)
		}))
		t.Cleanup(server.Close)
		check(http.StatusText(status), config(server.URL))
	}
	check("unreachable", config("http://127.0.0.1:1/"+secret))
	check("no address", config("http://["+secret))
}

// outcomes makes every call at once, each with a client of its own, so that no failure affects another
// call.
func outcomes(fresh func() *Client) map[string]error {
	var mu sync.Mutex
	var all sync.WaitGroup
	errs := map[string]error{}
	for call := range calls(nil) {
		all.Go(func() {
			err := calls(fresh())[call](context.Background())
			mu.Lock()
			defer mu.Unlock()
			errs[call] = err
		})
	}
	all.Wait()
	return errs
}

func keepsSecrets(t *testing.T, err error, secret string) {
	t.Helper()
	_ = problem(t, err)
	for _, word := range []string{secret, "4711", person, "Sample", reference, journeyID} {
		for cause := err; cause != nil; cause = errors.Unwrap(cause) {
			if strings.Contains(cause.Error(), word) {
				t.Errorf("%v tells %s", cause, word)
			}
		}
	}
}

func TestAddresses(t *testing.T) {
	tests := map[string]struct {
		change func(*Config)
		call   string
		want   string
	}{
		"defaults": {func(*Config) {}, callResult, "/journey/v2/" + journeyID},
		"prefix":   {func(c *Config) { c.Prefix = "v2/" }, callSummary, "/v2/summary/" + journeyID},
		"result path": {func(c *Config) { c.ResultPath = "results/{id}/all" }, callResult, "/journey/v2/results/" +
			journeyID + "/all"},
		"result as query": {func(c *Config) { c.ResultPath = "/result?journey_id={id}" }, callResult,
			"/journey/v2/result?journey_id=" + journeyID},
		"image as query": {func(c *Config) { c.ImagePath = "/image?path={path}&j={id}" }, callImage,
			"/journey/v2/image?path=img-selfie-1&j=" + journeyID},
		"base with slash": {func(c *Config) { c.BaseURL += "/" }, callSummary, "/journey/v2/summary/" + journeyID},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r.RequestURI
				w.WriteHeader(http.StatusBadRequest) // is not retried
			}))
			defer server.Close()
			c := config(server.URL)
			test.change(&c)
			_ = calls(NewClient(c, wide()))[test.call](context.Background())
			if got != test.want {
				t.Errorf("asked %s", got)
			}
		})
	}
	if got := fill("/{id}/image/{path}?p={path}", "id", "a/../b", "path",
		"x&y=1 +?#/.."); got != "/a%2F..%2Fb/image/x&y=1%20+%3F%23%2F..?p=x%26y%3D1+%2B%3F%23%2F.." {
		t.Errorf("filled in as %s", got)
	}
}
