package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
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
	"kycbridge/internal/rest"
	"kycbridge/internal/simulate"
	"kycbridge/normalize/signzy/simulated"
	"kycbridge/test/wait"
)

const (
	token   = "signzy-token-0001"
	flow    = "f1000000-0000-4000-8000-000000000001"
	journey = "AB12CD34EF"
)

// recorder keeps the requests that were sent.
type recorder struct {
	mu   sync.Mutex
	sent []sentRequest
}

type sentRequest struct {
	method, path string
	header       http.Header
	body         []byte
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	s := sentRequest{method: req.Method, path: req.URL.EscapedPath(), header: req.Header.Clone()}
	if req.Body != nil {
		s.body, _ = io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(s.body))
	}
	r.mu.Lock()
	r.sent = append(r.sent, s)
	r.mu.Unlock()
	return http.DefaultTransport.RoundTrip(req)
}

func (r *recorder) all() []sentRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]sentRequest(nil), r.sent...)
}

func (r *recorder) methods() string {
	var methods []string
	for _, s := range r.all() {
		methods = append(methods, s.method)
	}
	return strings.Join(methods, " ")
}

func quick(r *recorder) rest.Options {
	o := rest.Options{RequestsPerSecond: 1000, Concurrency: 8, Timeout: 5 * time.Second * wait.Slowdown}
	if r != nil {
		o.Transport = r
	}
	return o
}

func startServer(t *testing.T, o simulate.Options, z ...simulated.Options) *simulate.Server {
	t.Helper()
	s, err := simulate.Start(simulated.New(z...), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func config(url string) Config { return Config{BaseURL: url, Token: token, FlowID: flow} }

func example(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func canned(status int, body []byte) simulate.Canned {
	kind := "application/json"
	if bytes.HasPrefix(body, []byte("<")) {
		kind = "text/html"
	}
	return simulate.Canned{Status: status, ContentType: kind, Body: body}
}

func thrice(c simulate.Canned) []simulate.Canned { return []simulate.Canned{c, c, c} }

func providerError(t *testing.T, err error) *kycbridge.ProviderError {
	t.Helper()
	var e *kycbridge.ProviderError
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no ProviderError", err)
	}
	return e
}

// Every answer about a journey is returned byte for byte.
func TestJourneysComeBackRaw(t *testing.T) {
	files, err := filepath.Glob("testdata/*-*.json")
	if err != nil {
		t.Fatal(err)
	}
	served := 0
	for _, file := range files {
		name := filepath.Base(file)
		if !strings.HasPrefix(name, "get-journey") && !strings.HasPrefix(name, "callback") {
			continue
		}
		served++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, simulate.Options{})
			body := example(t, name)
			s.Can(CallGet, canned(200, body))
			reference := journey
			if bytes.Contains(body, []byte("ZZ98YY76XX")) {
				reference = "ZZ98YY76XX"
			}
			got, err := New(config(s.URL()), quick(nil)).Fetch(t.Context(), kycbridge.Query{Reference: reference})
			want := []kycbridge.Fetched{{Part: PartJourney, ContentType: "application/json", Body: body}}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("error %v, %s", err, diff)
			}
		})
	}
	if served != 9 {
		t.Errorf("%d examples served", served)
	}
}

func TestErrors(t *testing.T) {
	tests := map[string]struct {
		status        int
		kind          kycbridge.ProviderErrorKind
		createKind    kycbridge.ProviderErrorKind // where it differs
		code, message string
		creates, asks int // how often each call is sent
	}{
		"error-400-flat.json": {400, kycbridge.ProviderInvalid, "", "VALIDATION_ERROR",
			"callbackUrl is not allowed to be empty", 1, 1},
		"error-400-wrapped.json": {400, kycbridge.ProviderInvalid, "", "VALIDATION_ERROR", "flowId is required", 1, 1},
		"error-401-wrapped.json": {401, kycbridge.ProviderCredentials, "", "UNAUTHORIZED",
			"Authorization token is invalid", 1, 1},
		"error-403-gateway.json": {403, kycbridge.ProviderForbidden, "", "", "You cannot consume this service", 1, 1},
		"error-403-wrapped.json": {403, kycbridge.ProviderForbidden, "", "FORBIDDEN", "Access denied", 1, 1},
		"error-404-gateway.json": {404, kycbridge.ProviderPending, kycbridge.ProviderForbidden, "",
			"no Route matched with those values", 1, 2},
		"error-409-upstream-down.json": {409, kycbridge.ProviderUnavailable, "", "UPSTREAM_DOWN",
			"Upstream service is not reachable", 3, 3},
		"error-429-gateway.json": {429, kycbridge.ProviderRateLimited, "", "", "API rate limit exceeded", 1, 3},
		"error-500-wrapped.json": {500, kycbridge.ProviderUnavailable, "", "INTERNAL_ERROR", "Internal server error",
			1, 3},
		"error-502-gateway.html": {502, kycbridge.ProviderUnavailable, "", "", "", 3, 3},
	}
	files, _ := filepath.Glob("testdata/error-*")
	if len(files) != len(tests) {
		t.Errorf("%d error examples, %d tested", len(files), len(tests))
	}
	for name, tt := range tests {
		check := func(t *testing.T, err error, kind kycbridge.ProviderErrorKind, call string) {
			e := providerError(t, err)
			if e.Kind != kind || e.Call != call || e.Status != tt.status || e.Code != tt.code || e.Message != tt.message ||
				!e.Sent {
				t.Errorf("got %+v", e)
			}
			if tt.message != "" && strings.Contains(err.Error(), tt.message) {
				t.Errorf("%q repeats the provider's words", err)
			}
		}
		t.Run("create/"+name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, simulate.Options{})
			s.Can(CallCreate, thrice(canned(tt.status, example(t, name)))...)
			_, err := New(config(s.URL()), quick(nil)).Start(t.Context(), kycbridge.StartRequest{})
			kind := tt.createKind
			if kind == "" {
				kind = tt.kind
			}
			check(t, err, kind, CallCreate)
			if got := s.Stats().Calls[CallCreate]; got != tt.creates {
				t.Errorf("sent %d times", got)
			}
		})
		t.Run("get/"+name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, simulate.Options{})
			s.Can(CallGet, thrice(canned(tt.status, example(t, name)))...)
			_, err := New(config(s.URL()), quick(nil)).Fetch(t.Context(), kycbridge.Query{Reference: journey})
			check(t, err, tt.kind, CallGet)
			if got := s.Stats().Calls[CallGet]; got != tt.asks {
				t.Errorf("sent %d times", got)
			}
		})
	}
}

func TestOddErrors(t *testing.T) {
	tests := map[string]struct {
		status        int
		body          string
		kind          kycbridge.ProviderErrorKind
		code, message string
	}{
		"empty":             {422, ``, kycbridge.ProviderInvalid, "", ""},
		"empty error":       {400, `{"error": {}}`, kycbridge.ProviderInvalid, "", ""},
		"error as text":     {400, `{"error": "x", "message": "flat"}`, kycbridge.ProviderInvalid, "", "flat"},
		"message as object": {400, `{"message": {"a": 1}, "reason": "R"}`, kycbridge.ProviderInvalid, "R", ""},
		"status as text": {400, `{"error": {"message": "m", "status": "400", "statusCode": "400"}}`,
			kycbridge.ProviderInvalid, "", "m"},
		"statusCode as list": {403, `{"name": "N", "statusCode": [1]}`, kycbridge.ProviderForbidden, "N", ""},
		"list":               {401, `[]`, kycbridge.ProviderCredentials, "", ""},
		"long message": {400, `{"message": "` + strings.Repeat("a", 1000) + `"}`, kycbridge.ProviderInvalid, "",
			strings.Repeat("a", 300)},
		"message of many lines":  {400, `{"message": "a\r\nb"}`, kycbridge.ProviderInvalid, "", "a b"},
		"redirect":               {302, ``, kycbridge.ProviderMalformed, "", ""},
		"create is not possible": {405, `{"message": "no"}`, kycbridge.ProviderForbidden, "", "no"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, simulate.Options{})
			s.Can(CallCreate, canned(tt.status, []byte(tt.body)))
			_, err := New(config(s.URL()), quick(nil)).Start(t.Context(), kycbridge.StartRequest{})
			if e := providerError(t, err); e.Kind != tt.kind || e.Code != tt.code || e.Message != tt.message {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// A journey that has not ended must not be taken for a fault of the account, which polling waits for without end.
func TestUnfinishedJourneys(t *testing.T) {
	for body, want := range map[string]kycbridge.ProviderErrorKind{
		`{"error": {"message": "The journey is not completed yet", "status": 401}}`: kycbridge.ProviderPending,
		`{"error": {"message": "Authorization token is invalid", "status": 401}}`:   kycbridge.ProviderCredentials,
	} {
		s := startServer(t, simulate.Options{})
		s.Can(CallGet, canned(401, []byte(body)))
		_, err := New(config(s.URL()), quick(nil)).Fetch(t.Context(), kycbridge.Query{Reference: journey})
		if e := providerError(t, err); e.Kind != want {
			t.Errorf("%s: %s", body, e.Kind)
		}
	}
}

// fullStart is the documented request as a start.
func fullStart() kycbridge.StartRequest {
	return kycbridge.StartRequest{
		ExternalReference: "ref-1",
		Person: kycbridge.Person{
			GivenName: "Jane", FamilyName: "Sample", Birthdate: "1990-02-01", Email: "jane@example.com",
			PhoneNumber: "5550100001",
			Address: &kycbridge.PersonAddress{StreetAddress: "1 Example Road", Locality: "Example", Region: "EX",
				PostalCode: "000000", Country: "US"},
		},
		Options: json.RawMessage(`{"user_id": "user-1", "id": {"id_type": "Driving License", "country": "US"},
			"match_image": "https://files.example.com/api/files/1000020/download/00000014.jpeg", "redirect_seconds": 10,
			"session_expiry_seconds": 600, "flow_id": "known to all"}`),
		SuccessURL: "https://app.example.com/kyc/ok", FailureURL: "https://app.example.com/kyc/fail", Language: "en-US",
		Validity:    time.Hour,
		CallbackURL: "https://kycbridge.example.com/hooks/signzy?wt=synthetic-token", CallbackKey: "synthetic-callback-key",
	}
}

// withoutEmpty removes empty strings from a tree: empty values are not sent.
func withoutEmpty(tree any) any {
	if members, ok := tree.(map[string]any); ok {
		for name, value := range members {
			if members[name] = withoutEmpty(value); value == "" {
				delete(members, name)
			}
		}
	}
	return tree
}

func TestRequestsAreTheDocumentedOnes(t *testing.T) {
	tests := map[string]kycbridge.StartRequest{
		"create-journey-request.json":         fullStart(),
		"create-journey-request-minimal.json": {},
	}
	for name, r := range tests {
		t.Run(name, func(t *testing.T) {
			s, sent := startServer(t, simulate.Options{}), &recorder{}
			c := config(s.URL())
			c.PhoneAs = PhoneAsText // as in the provider's sample; its table requires a number
			if _, err := New(c, quick(sent)).Start(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			request := sent.all()[0]
			var got, want any
			if err := errors.Join(json.Unmarshal(request.body, &got), json.Unmarshal(example(t, name), &want)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(withoutEmpty(want), got); diff != "" {
				t.Error(diff)
			}
			if request.method != http.MethodPost || request.path != "/api/v3/otk-service/create-journey-url" {
				t.Errorf("%s %s", request.method, request.path)
			}
			header := request.header
			if header.Get("Authorization") != token || header.Get("Content-Type") != "application/json" ||
				header.Values("X-Client-Unique-Id") != nil {
				t.Errorf("header %v", header)
			}
		})
	}
}

func TestRequestMembers(t *testing.T) {
	tests := map[string]struct {
		request kycbridge.StartRequest
		want    string
	}{
		"flow of the request": {kycbridge.StartRequest{FlowID: "other"}, `{"flowId": "other"}`},
		"reference as user": {kycbridge.StartRequest{ExternalReference: "r"}, `{"flowId": "` + flow +
			`", "userId": "r", "userInfo": {"externalReferenceId": "r"}}`},
		"ISO date": {kycbridge.StartRequest{Person: kycbridge.Person{Birthdate: "1990-02-01"},
			Options: json.RawMessage(`{"date_format": "iso"}`)}, `{"flowId": "` + flow +
			`", "userInfo": {"dateOfBirth": "1990-02-01"}}`},
		"documented date": {kycbridge.StartRequest{Person: kycbridge.Person{Birthdate: "1990-02-01"},
			Options: json.RawMessage(`{"date_format": "dmy"}`)}, `{"flowId": "` + flow +
			`", "userInfo": {"dateOfBirth": "01/02/1990"}}`},
		"phone number": {kycbridge.StartRequest{Person: kycbridge.Person{PhoneNumber: "+15550100001"}},
			`{"flowId": "` + flow + `", "userInfo": {"phoneNumber": 15550100001}}`},
		"phone without +": {kycbridge.StartRequest{Person: kycbridge.Person{PhoneNumber: "5550100001"}},
			`{"flowId": "` + flow + `", "userInfo": {"phoneNumber": 5550100001}}`},
		"redirect at once": {kycbridge.StartRequest{Options: json.RawMessage(`{"redirect_seconds": 0}`)},
			`{"flowId": "` + flow + `", "processingConfig": {"redirectTime": 0}}`},
		"redirect later": {kycbridge.StartRequest{Options: json.RawMessage(`{"redirect_seconds": 5}`)},
			`{"flowId": "` + flow + `", "processingConfig": {"redirectTime": 5}}`},
		"whole and family name": {kycbridge.StartRequest{Person: kycbridge.Person{Name: "Jane Q Sample",
			FamilyName: "Sample"}}, `{"flowId": "` + flow +
			`", "userInfo": {"name": {"firstName": "Jane Q", "lastName": "Sample"}}}`},
		"whole name": {kycbridge.StartRequest{Person: kycbridge.Person{Name: "Jane Q Sample"}}, `{"flowId": "` +
			flow + `", "userInfo": {"name": {"firstName": "Jane Q Sample"}}}`},
		"middle name": {kycbridge.StartRequest{Person: kycbridge.Person{GivenName: "Jane", MiddleName: "Q",
			FamilyName: "Sample"}}, `{"flowId": "` + flow +
			`", "userInfo": {"name": {"firstName": "Jane Q", "lastName": "Sample"}}}`},
		"street of three lines": {kycbridge.StartRequest{Person: kycbridge.Person{Address: &kycbridge.PersonAddress{StreetAddress: "1 Road\r\nFlat 2\nRear"}}}, `{"flowId": "` + flow + `", "userInfo": {"address": {"street": "1 Road", "street2": "Flat 2, Rear"}}}`},
		"German": {kycbridge.StartRequest{Language: "de-AT"}, `{"flowId": "` + flow +
			`", "processingConfig": {"language": "gr"}}`},
		"Belarusian, not Bangla": {kycbridge.StartRequest{Language: "be"}, `{"flowId": "` + flow + `"}`},
		"half a second": {kycbridge.StartRequest{Validity: time.Second / 2}, `{"flowId": "` + flow +
			`", "processingConfig": {"journeyLinkValidity": 1}}`},
		"empty address": {kycbridge.StartRequest{Person: kycbridge.Person{Address: &kycbridge.PersonAddress{}},
			Options: json.RawMessage(`{}`)}, `{"flowId": "` + flow + `"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := NewClient(config("https://signzy.example.com"), rest.Options{}).journeyRequest(tt.request)
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := json.Marshal(r)
			var got, want any
			if err := errors.Join(json.Unmarshal(raw, &got), json.Unmarshal([]byte(tt.want), &want)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPhoneAsText: with PhoneAsText the number is sent as text, without changes.
func TestPhoneAsText(t *testing.T) {
	c := config("https://signzy.example.com")
	c.PhoneAs = PhoneAsText
	for _, number := range []string{"+15550100001", "0555010001"} {
		person := kycbridge.Person{PhoneNumber: number}
		r, err := NewClient(c, rest.Options{}).journeyRequest(kycbridge.StartRequest{Person: person})
		if err != nil || r.UserInfo.PhoneNumber != any(number) {
			t.Errorf("%v, %v", r.UserInfo.PhoneNumber, err)
		}
	}
}

func TestStartsThatAreNotSent(t *testing.T) {
	tests := map[string]struct {
		config  Config
		request kycbridge.StartRequest
		path    string
	}{
		"no flow": {Config{}, kycbridge.StartRequest{}, "/options/flow_id"},
		"birthdate": {Config{FlowID: flow}, kycbridge.StartRequest{Person: kycbridge.Person{Birthdate: "31/31/1990"}},
			"/person/birthdate"},
		"phone with a 0": {Config{FlowID: flow}, kycbridge.StartRequest{Person: kycbridge.Person{PhoneNumber: "0555010001"}},
			"/person/phone_number"},
		"long phone": {Config{FlowID: flow},
			kycbridge.StartRequest{Person: kycbridge.Person{PhoneNumber: "+1555010000155555"}}, "/person/phone_number"},
		"bad options": {Config{FlowID: flow}, kycbridge.StartRequest{Options: json.RawMessage(`{"user_id": {}}`)},
			"/options"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			sent := &recorder{}
			_, err := New(tt.config, quick(sent)).Start(t.Context(), tt.request)
			e := providerError(t, err)
			if e.Kind != kycbridge.ProviderInvalid || e.Sent || len(e.Fields) != 1 || e.Fields[0].Path != tt.path ||
				len(sent.all()) != 0 {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestStarted(t *testing.T) {
	created := time.UnixMilli(1772442000000).UTC()
	const link = `"journeyUrl": "https://kyc.example.com/AB12CD34EF"`
	made := func(rest string) string { return `{"journeyId": "AB12CD34EF", ` + link + rest + `}` }
	at := `, "createdAt": 1772442000000`
	tests := map[string]struct {
		body     string
		validity time.Duration
		expires  time.Time // zero: an hour from now
		version  string
		test     bool
		answer   string // the part that is kept
		fails    bool
	}{
		"bare": {body: string(example(t, "create-journey-response.json")), expires: created.Add(24 * time.Hour),
			answer: `{"createdAt":1772442000000,"journeyId":"AB12CD34EF","ttl":"24 hours"}`},
		"wrapped": {body: string(example(t, "create-journey-response-wrapped.json")), validity: 2 * time.Hour,
			expires: created.Add(2 * time.Hour),
			answer:  `{"createdAt":1772442000000,"journeyId":"AB12CD34EF","ttl":"24 hours"}`},
		"in data": {body: `{"data": ` + made(`, "createdAt": "1772442000000"`) + `}`,
			expires: created.Add(time.Hour), answer: `{"createdAt":"1772442000000","journeyId":"AB12CD34EF"}`},
		"seconds": {body: made(`, "createdAt": 1772442000`), expires: created.Add(time.Hour),
			answer: `{"createdAt":1772442000,"journeyId":"AB12CD34EF"}`},
		"ISO": {body: made(`, "createdAt": "2026-03-02T09:00:00.000Z"`), expires: created.Add(time.Hour),
			answer: `{"createdAt":"2026-03-02T09:00:00.000Z","journeyId":"AB12CD34EF"}`},
		"no time": {body: made(``), answer: `{"journeyId":"AB12CD34EF"}`},
		"ttl in minutes": {body: made(at + `, "ttl": "30 mins"`), expires: created.Add(30 * time.Minute),
			answer: `{"createdAt":1772442000000,"journeyId":"AB12CD34EF","ttl":"30 mins"}`},
		"ttl of a day": {body: made(at + `, "ttl": "1 Day"`), expires: created.Add(24 * time.Hour),
			answer: `{"createdAt":1772442000000,"journeyId":"AB12CD34EF","ttl":"1 Day"}`},
		"ttl in words": {body: made(at + `, "ttl": "until tomorrow"`), expires: created.Add(time.Hour),
			answer: `{"createdAt":1772442000000,"journeyId":"AB12CD34EF","ttl":"until tomorrow"}`},
		"ttl of nothing": {body: made(at + `, "ttl": "0 hours"`), expires: created.Add(time.Hour),
			answer: `{"createdAt":1772442000000,"journeyId":"AB12CD34EF","ttl":"0 hours"}`},
		"ttl for ever": {body: made(at + `, "ttl": "999999999 days"`), expires: created.Add(time.Hour),
			answer: `{"createdAt":1772442000000,"journeyId":"AB12CD34EF","ttl":"999999999 days"}`},
		"ttl as number": {body: made(at + `, "ttl": 24`), expires: created.Add(time.Hour),
			answer: `{"createdAt":1772442000000,"journeyId":"AB12CD34EF","ttl":24}`},
		"version of a flow": {body: made(at + `, "flow": {"flowId": "f", "version": 3, "test": true}`),
			expires: created.Add(time.Hour), version: "3", test: true,
			answer: `{"createdAt":1772442000000,"flow":{"flowId":"f","test":true,"version":3},"journeyId":"AB12CD34EF"}`},
		"version beside": {body: made(at + `, "flowId": "f", "version": "4.1", "test": "False"`),
			expires: created.Add(time.Hour), version: "4.1",
			answer: `{"createdAt":1772442000000,"flowId":"f","journeyId":"AB12CD34EF","test":"False","version":"4.1"}`},
		"flow as text": {body: made(at + `, "flow": "f"`), expires: created.Add(time.Hour),
			answer: `{"createdAt":1772442000000,"journeyId":"AB12CD34EF"}`},
		"secrets": {body: made(at +
			`, "token": "SECRET4711", "flow": {"key": "SECRET4711"}, "processingConfig": {"authKeyForCallback": "SECRET4711"}`),
			expires: created.Add(time.Hour), answer: `{"createdAt":1772442000000,"journeyId":"AB12CD34EF"}`},
		"unknown wrapper":   {body: `{"payload": ` + made(``) + `}`, fails: true},
		"no page":           {body: `{"journeyId": "AB12CD34EF"}`, fails: true},
		"script for a page": {body: `{"journeyId": "AB12CD34EF", "journeyUrl": "javascript:alert(1)"}`, fails: true},
		"path for a page":   {body: `{"journeyId": "AB12CD34EF", "journeyUrl": "/AB12CD34EF"}`, fails: true},
		"no JSON":           {body: `<html>`, fails: true},
		"nothing":           {body: ``, fails: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, simulate.Options{})
			s.Can(CallCreate, canned(200, []byte(tt.body)))
			got, err := New(config(s.URL()), quick(nil)).Start(t.Context(), kycbridge.StartRequest{Validity: tt.validity})
			if tt.fails {
				if e := providerError(t, err); e.Kind != kycbridge.ProviderMalformed || !e.Sent ||
					s.Stats().Calls[CallCreate] != 1 {
					t.Errorf("got %+v after %v", e, s.Stats().Calls)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if now := time.Now().Add(time.Hour); tt.expires.IsZero() && now.Sub(got.ExpiresAt).Abs() < time.Minute {
				got.ExpiresAt = time.Time{}
			}
			want := kycbridge.Started{
				Reference: journey, URL: "https://kyc.example.com/" + journey, ExpiresAt: tt.expires, FlowID: flow,
				FlowVersion: tt.version, Test: tt.test, Answer: json.RawMessage(tt.answer),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A 200 that reports a failure, or that is about another user or journey, is a failure with Signzy's code
// and message.
func TestSuccessesThatFailed(t *testing.T) {
	for name, tt := range map[string]struct {
		call, body    string
		kind          kycbridge.ProviderErrorKind
		code, message string
	}{
		"wrapped": {CallCreate, string(example(t, "error-400-wrapped.json")), kycbridge.ProviderInvalid,
			"VALIDATION_ERROR", "flowId is required"},
		"flat": {CallCreate, string(example(t, "error-400-flat.json")), kycbridge.ProviderInvalid,
			"VALIDATION_ERROR", "callbackUrl is not allowed to be empty"},
		"upstream is down": {CallCreate, string(example(t, "error-409-upstream-down.json")),
			kycbridge.ProviderUnavailable, "UPSTREAM_DOWN", "Upstream service is not reachable"},
		"refused token": {CallCreate, string(example(t, "error-401-wrapped.json")), kycbridge.ProviderCredentials,
			"UNAUTHORIZED", "Authorization token is invalid"},
		"marked": {CallCreate, "\ufeff" + string(example(t, "error-401-wrapped.json")), kycbridge.ProviderCredentials,
			"UNAUTHORIZED", "Authorization token is invalid"},
		"no status": {CallCreate, `{"error": {"message": "No"}}`, kycbridge.ProviderMalformed, "", "No"},
		"another user": {CallCreate,
			`{"journeyId": "J", "journeyUrl": "https://kyc.example.com/J", "userId": "user-2"}`, kycbridge.ProviderMalformed,
			"", ""},
		"journey that is refused": {CallGet, string(example(t, "error-403-wrapped.json")), kycbridge.ProviderForbidden,
			"FORBIDDEN", "Access denied"},
		"journey that is not here": {CallGet, `{"statusCode": "404", "message": "Not found"}`, kycbridge.ProviderPending, "",
			"Not found"},
		"another journey": {CallGet, `{"result": {"journeyId": "J"}, "error": null}`, kycbridge.ProviderMalformed,
			"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, simulate.Options{})
			s.Can(tt.call, thrice(canned(200, []byte(tt.body)))...)
			api := New(config(s.URL()), quick(nil))
			var err error
			if tt.call == CallCreate {
				_, err = api.Start(t.Context(), kycbridge.StartRequest{ExternalReference: "user-1"})
			} else {
				_, err = api.Fetch(t.Context(), kycbridge.Query{Reference: journey})
			}
			if e := providerError(t, err); e.Kind != tt.kind || e.Code != tt.code || e.Message != tt.message ||
				e.Status != 200 || !e.Sent {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestMethodIsFoundAndKept(t *testing.T) {
	life := simulate.Options{Speed: 1e6}
	s, sent := startServer(t, life,
		simulated.Options{ResultMethod: http.MethodPost, Wrap: "result.data", WrapCreate: true}), &recorder{}
	api := New(config(s.URL()), quick(sent))
	started, err := api.Start(t.Context(), kycbridge.StartRequest{ExternalReference: "ref-approve"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got := fetchEnded(t, api, started.Reference)
		if !bytes.HasPrefix(got, []byte(`{"result":{"data":{`)) {
			t.Errorf("body %.40s", got)
		}
	}
	all := sent.all()
	if got := sent.methods(); !strings.HasPrefix(got, "POST GET POST POST") || strings.Count(got, "GET") != 1 {
		t.Errorf("sent %s", got)
	}
	if last := all[len(all)-1]; len(last.body) != 0 || last.header.Get("Content-Type") != "application/json" ||
		last.header.Get("Authorization") != token {
		t.Errorf("sent %+v", last)
	}
}

// fetchEnded fetches until the journey is known and has ended.
func fetchEnded(t *testing.T, api kycbridge.API, reference string) []byte {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		got, err := api.Fetch(t.Context(), kycbridge.Query{Reference: reference})
		if err == nil && bytes.Contains(got[0].Body, []byte(`"COMPLETED"`)) {
			return got[0].Body
		}
		if err != nil && providerError(t, err).Kind != kycbridge.ProviderPending {
			t.Fatal(err)
		}
	}
	t.Fatal("the journey never ended")
	return nil
}

// methodServer answers each method with its statuses one after another, and repeats the last one.
func methodServer(t *testing.T, answers map[string][]int) *httptest.Server {
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		status := answers[r.Method][0]
		if len(answers[r.Method]) > 1 {
			answers[r.Method] = answers[r.Method][1:]
		}
		w.WriteHeader(status)
		if status == http.StatusOK {
			_, _ = w.Write([]byte(`{"journeyId": "AB12CD34EF"}`))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestMethods(t *testing.T) {
	type kinds = []kycbridge.ProviderErrorKind
	const ok, pending, forbidden = kycbridge.ProviderErrorKind(""), kycbridge.ProviderPending, kycbridge.ProviderForbidden
	tests := map[string]struct {
		method    string
		get, post []int
		want      kinds
		sent      string
	}{
		"pending by either":      {"", []int{404}, []int{404}, kinds{pending, pending}, "GET POST GET POST"},
		"pending, other refused": {"", []int{404}, []int{405}, kinds{pending, pending}, "GET POST GET"},
		"pending, then there":    {"", []int{404, 200}, []int{405}, kinds{pending, ok}, "GET POST GET"},
		"other is not a route": {"", []int{404, 404, 200}, []int{403}, kinds{pending, pending, ok},
			"GET POST GET POST GET"},
		"first refused, pending": {"", []int{405}, []int{404, 404, 200}, kinds{pending, pending, ok, ok},
			"GET POST POST POST POST"},
		"404 for the wrong method":       {"", []int{404}, []int{200, 404}, kinds{ok, pending}, "GET POST POST"},
		"both refused":                   {"", []int{405}, []int{405}, kinds{forbidden, forbidden}, "GET POST GET POST"},
		"refused later":                  {"", []int{200, 405}, []int{200}, kinds{ok, ok, ok}, "GET GET POST POST"},
		"configured POST":                {"post", []int{405}, []int{200}, kinds{ok, ok}, "POST POST"},
		"configured POST, GET was right": {"POST", []int{200}, []int{405}, kinds{ok, ok}, "POST GET GET"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, sent := methodServer(t, map[string][]int{"GET": tt.get, "POST": tt.post}), &recorder{}
			c := config(s.URL)
			c.ResultMethod = tt.method
			api := New(c, quick(sent))
			var got kinds
			for range tt.want {
				var kind kycbridge.ProviderErrorKind
				if _, err := api.Fetch(t.Context(), kycbridge.Query{Reference: journey}); err != nil {
					kind = providerError(t, err).Kind
				}
				got = append(got, kind)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || sent.methods() != tt.sent {
				t.Errorf("sent %s, %s", sent.methods(), diff)
			}
		})
	}
}

func TestAnswersThatAreNoJourney(t *testing.T) {
	tests := map[string]string{
		"unknown wrapper":  `{"payload": {"journeyId": "AB12CD34EF"}}`,
		"three wrappers":   `{"result": {"data": {"result": {"journeyId": "AB12CD34EF"}}}}`,
		"another journey":  `{"journeyId": "ZZ98YY76XX"}`,
		"error with 200":   `{"error": {"message": "m"}}`,
		"id as object":     `{"journeyId": {}}`,
		"empty id":         `{"journeyId": ""}`,
		"list":             `[]`,
		"nothing":          ``,
		"cut":              `{"journeyId": "AB12`,
		"page":             `<html></html>`,
		"larger than sane": `{"journeyId": "AB12CD34EF", "pad": "` + strings.Repeat("x", 9<<20) + `"}`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, simulate.Options{})
			s.Can(CallGet, thrice(canned(200, []byte(body)))...)
			_, err := New(config(s.URL()), quick(nil)).Fetch(t.Context(), kycbridge.Query{Reference: journey})
			if e := providerError(t, err); e.Kind != kycbridge.ProviderMalformed || !e.Passing() {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestNumericIDIsFound(t *testing.T) {
	s := startServer(t, simulate.Options{})
	s.Can(CallGet, canned(200, []byte(`{"data": {"result": {"journeyId": 1234567}}}`)))
	if _, err := New(config(s.URL()), quick(nil)).Fetch(t.Context(), kycbridge.Query{Reference: "1234567"}); err != nil {
		t.Error(err)
	}
}

func TestReferencesInPaths(t *testing.T) {
	s, sent := startServer(t, simulate.Options{}), &recorder{}
	c := config(s.URL() + "/")
	c.ClientUniqueID = "client-1"
	api := New(c, quick(sent))
	for _, reference := range []string{"", ".", ".."} {
		if _, err := api.Fetch(t.Context(), kycbridge.Query{Reference: reference}); providerError(t,
			err).Kind != kycbridge.ProviderInvalid {
			t.Errorf("%q: %v", reference, err)
		}
	}
	_, _ = api.Fetch(t.Context(), kycbridge.Query{Reference: "../a?b#c"})
	all := sent.all()
	if len(all) == 0 || all[0].path != "/api/v3/otk-service/get-journey/..%2Fa%3Fb%23c" ||
		all[0].header.Get("x-client-unique-id") != "client-1" {
		t.Errorf("sent %+v", all)
	}
}

func TestPageOfAGatewayIsAskedAgain(t *testing.T) {
	s := startServer(t, simulate.Options{})
	s.Can(CallGet, canned(502, example(t, "error-502-gateway.html")),
		canned(200, example(t, "get-journey-completed-full.json")))
	if _, err := New(config(s.URL()), quick(nil)).Fetch(t.Context(), kycbridge.Query{Reference: journey}); err != nil ||
		s.Stats().Calls[CallGet] != 2 {
		t.Errorf("error %v after %v", err, s.Stats().Calls)
	}
}

func TestCreateIsSentAgainOnlyWhereNothingWasDone(t *testing.T) {
	for status, again := range map[int]bool{409: true, 502: true, 503: true, 400: false, 408: false, 425: false,
		429: false, 500: false, 504: false} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, simulate.Options{})
			s.Can(CallCreate, canned(status, nil))
			_, err := New(config(s.URL()), quick(nil)).Start(t.Context(), kycbridge.StartRequest{})
			if (err == nil) != again {
				t.Errorf("error %v after %v", err, s.Stats().Calls)
			}
		})
	}
}

func TestCreateThatTimesOutIsNotSentAgain(t *testing.T) {
	var calls atomic.Int32
	done := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		calls.Add(1)
		<-done
	}))
	defer s.Close()
	defer close(done)
	o := quick(nil)
	o.Timeout = wait.Reach
	_, err := New(config(s.URL), o).Start(t.Context(), kycbridge.StartRequest{})
	if e := providerError(t, err); e.Kind != kycbridge.ProviderUnreachable || !e.Sent || calls.Load() != 1 {
		t.Errorf("got %+v after %d calls", e, calls.Load())
	}
}

// refusing refuses a number of connections before it admits them.
type refusing struct {
	times atomic.Int32
	calls atomic.Int32
}

func (r *refusing) transport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		r.calls.Add(1)
		if r.times.Add(-1) >= 0 {
			address = "127.0.0.1:1" // no server listens there
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
}

func TestCreateIsSentAgainAfterARefusedConnection(t *testing.T) {
	s, r := startServer(t, simulate.Options{}), &refusing{}
	r.times.Store(2)
	o := quick(nil)
	o.Transport = r.transport()
	if _, err := New(config(s.URL()), o).Start(t.Context(), kycbridge.StartRequest{}); err != nil || r.calls.Load() != 3 {
		t.Errorf("error %v after %d connections", err, r.calls.Load())
	}
	r.times.Store(100)
	_, err := New(config("http://127.0.0.1:1"), quick(nil)).Start(t.Context(), kycbridge.StartRequest{})
	if e := providerError(t, err); e.Kind != kycbridge.ProviderUnreachable || e.Sent {
		t.Errorf("got %+v", e)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	s := startServer(t, simulate.Options{})
	c := canned(429, example(t, "error-429-gateway.json"))
	c.Header = http.Header{"Retry-After": {"1"}}
	s.Can(CallGet, c, canned(200, example(t, "get-journey-completed-full.json")))
	begin := time.Now()
	_, err := New(config(s.URL()), quick(nil)).Fetch(t.Context(), kycbridge.Query{Reference: journey})
	if took := time.Since(begin); err != nil || took < time.Second {
		t.Errorf("error %v after %v", err, took)
	}
	c.Header = http.Header{"Retry-After": {"60"}}
	s.Can(CallCreate, c)
	api := New(config(s.URL()), quick(nil))
	_, err = api.Start(t.Context(), kycbridge.StartRequest{})
	if e := providerError(t, err); e.Kind != kycbridge.ProviderRateLimited || e.RetryAfter != time.Minute {
		t.Errorf("got %+v", e)
	}
	_, err = api.Fetch(t.Context(), kycbridge.Query{Reference: journey})
	if e := providerError(t, err); e.Kind != kycbridge.ProviderRateLimited || e.Sent || e.RetryAfter < 55*time.Second ||
		s.Stats().Calls[CallGet] != 2 {
		t.Errorf("got %+v after %v", e, s.Stats().Calls)
	}
}

func TestLimitIsHeld(t *testing.T) {
	t.Parallel()
	s := startServer(t, simulate.Options{Limit: 5, Speed: 1e6})
	reference := s.Begin("ref-approve", "")
	api := New(config(s.URL()), rest.Options{RequestsPerSecond: 5, Concurrency: 8})
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if _, err := api.Fetch(t.Context(), kycbridge.Query{Reference: reference}); err != nil &&
				providerError(t, err).Kind != kycbridge.ProviderPending {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := s.Stats(); got.MostInSecond > 5 || got.Answers[429] != 0 {
		t.Errorf("stats %+v", got)
	}
}

// The text of an error never contains anything from a request or an answer.
func TestErrorsKeepSecrets(t *testing.T) {
	const secret, name = "s3cret", "Seeded"
	echo := `{"currentStatus": "COMPLETED", "processingConfig": {"authKeyForCallback": "s3cret"}, "userInfo": {"name": {"firstName": "Seeded"}}, "message": "s3cret Seeded"}`
	request := fullStart()
	request.CallbackKey, request.Person.GivenName, request.ExternalReference = secret, name, "ref-"+secret
	request.CallbackURL = "https://kycbridge.example.com/" + secret
	request.Options = nil
	for _, status := range []int{200, 302, 400, 401, 403, 404, 405, 409, 410, 422, 429, 500, 503} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, simulate.Options{})
			c := config(s.URL())
			c.Token = secret
			c.FileHosts = []string{strings.TrimPrefix(s.URL(), "http://")}
			for _, call := range []string{CallGet, CallCreate, CallFile} {
				s.Can(call, append(thrice(canned(status, []byte(echo))), thrice(canned(status, []byte(echo)))...)...)
			}
			api := New(c, quick(nil))
			_, fetched := api.Fetch(t.Context(), kycbridge.Query{Reference: secret})
			_, started := api.Start(t.Context(), request)
			file, opened := api.Media(t.Context(), kycbridge.MediaRequest{Ref: s.URL() + "/api/files/1/download/" + secret})
			if opened == nil {
				file.Body.Close()
			}
			for _, err := range []error{fetched, started, opened} {
				for ; err != nil; err = errors.Unwrap(err) {
					if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), name) {
						t.Errorf("%q", err)
					}
				}
			}
			if fetched == nil || started == nil {
				t.Error("no error")
			}
		})
	}
}

func TestUnreachableKeepsSecrets(t *testing.T) {
	c := config("http://127.0.0.1:1")
	c.FileHosts = []string{"127.0.0.1:1"}
	api := New(c, quick(nil))
	_, fetched := api.Fetch(t.Context(), kycbridge.Query{Reference: "s3cret"})
	_, opened := api.Media(t.Context(), kycbridge.MediaRequest{Ref: "http://127.0.0.1:1/api/files/s3cret"})
	for _, err := range []error{fetched, opened} {
		if providerError(t, err).Kind != kycbridge.ProviderUnreachable {
			t.Error(err)
		}
		for ; err != nil; err = errors.Unwrap(err) {
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q", err)
			}
		}
	}
}

func TestFiles(t *testing.T) {
	s, sent := startServer(t, simulate.Options{Speed: 1e6}), &recorder{}
	c := config(s.URL())
	c.FileHosts = []string{strings.TrimPrefix(s.URL(), "http://")}
	api := New(c, quick(sent))
	var body struct {
		CapturedData struct{ Images map[string]string }
	}
	if err := json.Unmarshal(fetchEnded(t, api, s.Begin("ref-approve", "")), &body); err != nil {
		t.Fatal(err)
	}
	address := body.CapturedData.Images["selfie"]
	file, err := api.Media(t.Context(), kycbridge.MediaRequest{Ref: address})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(file.Body)
	file.Body.Close()
	if err != nil || file.ContentType != "image/jpeg" || file.Length != int64(len(raw)) ||
		http.DetectContentType(raw) != "image/jpeg" {
		t.Errorf("error %v, %s of %d bytes", err, file.ContentType, len(raw))
	}
	all := sent.all()
	if header := all[len(all)-1].header; header.Values("Authorization") != nil ||
		header.Values("X-Client-Unique-Id") != nil {
		t.Errorf("header %v", header)
	}
	for _, status := range []int{404, 410} {
		s.Can(CallFile, canned(status, nil))
		if _, err := api.Media(t.Context(), kycbridge.MediaRequest{Ref: address}); providerError(t,
			err).Kind != kycbridge.ProviderNotFound {
			t.Error(err)
		}
	}
}

// Without file_hosts, the images of both environments can be opened.
func TestFilesOfBothEnvironments(t *testing.T) {
	for _, host := range []string{"persist.signzy.tech", "preproduction-persist.signzy.tech"} {
		if err := rest.Allowed("https://"+host+"/api/files/1/download/1.jpeg", DefaultFileHosts()); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestFilesOfOthersAreNotFetched(t *testing.T) {
	var asked atomic.Int32
	outside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer outside.Close()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(outside.URL, "http://"))
	for name, ref := range map[string]string{
		"other host":     outside.URL + "/1.jpeg",
		"by name":        "http://localhost:" + port + "/1.jpeg",
		"as a number":    "http://2130706433:" + port + "/1.jpeg",
		"mapped":         "http://[::ffff:127.0.0.1]:" + port + "/1.jpeg",
		"user":           "https://persist.signzy.tech@127.0.0.1:" + port + "/1.jpeg",
		"plain http":     "http://persist.signzy.tech/1.jpeg",
		"other port":     "https://persist.signzy.tech:8443/1.jpeg",
		"longer name":    "https://persist.signzy.tech.example.com/1.jpeg",
		"opaque id":      "1000001",
		"nothing":        "",
		"cloud metadata": "http://169.254.169.254/latest/meta-data",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(config("https://signzy.example.com"), quick(nil)).Media(t.Context(), kycbridge.MediaRequest{Ref: ref})
			if e := providerError(t, err); e.Kind != kycbridge.ProviderInvalid || e.Sent {
				t.Errorf("got %+v", e)
			}
		})
	}
	s := startServer(t, simulate.Options{})
	c := config(s.URL())
	c.FileHosts = []string{strings.TrimPrefix(s.URL(), "http://")}
	s.Can(CallFile, simulate.Canned{Status: http.StatusFound, Header: http.Header{"Location": {outside.URL}}})
	_, err := New(c, quick(nil)).Media(t.Context(), kycbridge.MediaRequest{Ref: s.URL() + "/api/files/1/download/1.jpeg"})
	if e := providerError(t, err); e.Kind != kycbridge.ProviderMalformed || asked.Load() != 0 {
		t.Errorf("got %+v after %d calls", e, asked.Load())
	}
}

func TestAbilities(t *testing.T) {
	api := New(Config{}, rest.Options{})
	if api.Step != nil || api.Fetch == nil || api.Start == nil || api.Media == nil {
		t.Errorf("got %+v", api)
	}
	if c := NewClient(Config{Prefix: "otk/"}, rest.Options{}).config; c.Prefix != "/otk" || len(c.FileHosts) != 3 ||
		c.ResultMethod != http.MethodGet {
		t.Errorf("got %+v", c)
	}
	c := NewClient(Config{BaseURL: "https://signzy.example.com/otk", Prefix: "/"}, rest.Options{})
	if got := c.url("create-journey-url"); got != "https://signzy.example.com/otk/create-journey-url" {
		t.Errorf("without a prefix: %s", got)
	}
}

// FuzzAnswers reads any body without a panic, and accepts no journey without an id.
func FuzzAnswers(f *testing.F) {
	files, _ := filepath.Glob("testdata/*")
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_ = readFailure(body)
		if l, err := find(rest.Answer{Body: body}); err == nil && l.JourneyID == "" {
			t.Error("a journey without an id")
		}
		if j, err := readJourney(rest.Answer{Body: body}, JourneyRequest{}); err == nil && (j.ID == "" || j.URL == "") {
			t.Errorf("made %+v", j)
		}
	})
}
