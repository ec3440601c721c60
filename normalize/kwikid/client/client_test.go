package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
	"kycbridge/internal/rest"
	"kycbridge/internal/simulate"
	kwikid "kycbridge/normalize/kwikid/client"
	"kycbridge/normalize/kwikid/simulated"
	"kycbridge/test/wait"
)

const (
	firstSession  = "5e551000-0000-4000-8000-000000000001"
	formsSession  = "5e551000-0000-4000-8000-000000000020"
	sampleUser    = "user-0001"
	samplePhone   = "5550100001"
	pathSendLink  = "/agentapi/v1/agent/sendLink/"
	pathUserData  = "/appapi/v1/dkyc/push_user_data"
	pathDetails   = "/agentapi/v1/session/get_details/"
	pathToken     = "/agentapi/v1/agent/generate_token"
	contentJSON   = "application/json"
	contentHTML   = "text/html"
	callToken     = "generate_token"
	callLink      = "sendLink"
	callDetails   = "get_details"
	callPush      = "push_user_data"
	invalidFormat = "has not the form that the provider wants"
	basicForm     = "/options/forms/0/user_form_data/BASIC_INFORMATION/"
)

// sent is a request as it was sent.
type sent struct {
	path   string
	header http.Header
	body   []byte
	length int64 // as declared
}

// recorder records requests and lets hook answer instead of the network.
type recorder struct {
	mu       sync.Mutex
	requests []sent
	hook     func(*http.Request) (*http.Response, error) // nil, nil: use the network
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	r.mu.Lock()
	r.requests = append(r.requests, sent{req.URL.EscapedPath(), req.Header.Clone(), body, req.ContentLength})
	r.mu.Unlock()
	if r.hook != nil {
		if res, err := r.hook(req); res != nil || err != nil {
			return res, err
		}
	}
	return http.DefaultTransport.RoundTrip(req)
}

// of lists the requests to a path.
func (r *recorder) of(path string) []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []sent
	for _, s := range r.requests {
		if s.path == path {
			found = append(found, s)
		}
	}
	return found
}

// rig is a client with a simulated KwikID.
type rig struct {
	server *simulate.Server
	client *kwikid.Client
	api    kycbridge.API
	wire   *recorder
	config kwikid.Config
}

func newRig(t *testing.T, o simulate.Options, limits rest.Options) rig {
	t.Helper()
	server, err := simulate.Start(simulated.New(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	wire := &recorder{}
	if limits.RequestsPerSecond == 0 {
		limits.RequestsPerSecond, limits.Concurrency = 10000, 100
	}
	if limits.Timeout == 0 {
		limits.Timeout = 15 * time.Second * wait.Slowdown
	}
	limits.Transport = wire
	config := kwikid.Config{BaseURL: server.URL(), Username: simulated.User, Password: simulated.Password}
	client := kwikid.NewClient(config, limits)
	return rig{server, client, kycbridge.API{Fetch: client.Fetch, Start: client.Start, Media: client.Media}, wire, config}
}

func example(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func canned(t *testing.T, status int, name string) simulate.Canned {
	t.Helper()
	kind := contentJSON
	if strings.HasSuffix(name, ".html") {
		kind = contentHTML
	}
	return simulate.Canned{Status: status, ContentType: kind, Body: example(t, name)}
}

func bg(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second*wait.Slowdown)
	t.Cleanup(cancel)
	return ctx
}

func linkStart() kycbridge.StartRequest {
	return kycbridge.StartRequest{ExternalReference: sampleUser,
		Person: kycbridge.Person{PhoneNumber: "+91" + samplePhone}}
}

func formsStart(t *testing.T) kycbridge.StartRequest {
	t.Helper()
	var request struct{ Data, Extras json.RawMessage }
	if err := json.Unmarshal(example(t, "push-user-data-request.json"), &request); err != nil {
		t.Fatal(err)
	}
	options, err := json.Marshal(map[string]json.RawMessage{"forms": request.Data, "extras": request.Extras})
	if err != nil {
		t.Fatal(err)
	}
	r := linkStart()
	r.Options = options
	return r
}

// covered are the examples that some test has served or compared.
var (
	coveredMu sync.Mutex
	covered   = map[string]bool{}
)

func cover(name string) {
	coveredMu.Lock()
	defer coveredMu.Unlock()
	covered[name] = true
}

func TestAnswers(t *testing.T) {
	files, err := filepath.Glob("testdata/get-details-*.json")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d answers found, %v", len(files), err)
	}
	r := newRig(t, simulate.Options{}, rest.Options{})
	for _, file := range files {
		name := filepath.Base(file)
		if strings.Contains(name, "error") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			cover(name)
			var want struct {
				Session struct {
					ID     string `json:"session_id"`
					Status string `json:"session_status"`
				} `json:"session_data"`
			}
			body := example(t, name)
			if err := json.Unmarshal(body, &want); err != nil {
				t.Fatal(err)
			}
			r.server.Can(callDetails, canned(t, 200, name), canned(t, 200, name))
			got, err := r.api.Fetch(bg(t), kycbridge.Query{Reference: want.Session.ID})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]kycbridge.Fetched{{Part: callDetails, ContentType: contentJSON, Body: body}},
				got); diff != "" {
				t.Error(diff)
			}
			details, err := r.client.GetDetails(bg(t), want.Session.ID)
			if err != nil || string(details.Session.SessionID) != want.Session.ID ||
				string(details.Session.SessionStatus) != want.Session.Status {
				t.Errorf("%s, %s, %v", details.Session.SessionID, details.Session.SessionStatus, err)
			}
		})
	}
}

func TestStarted(t *testing.T) {
	r := newRig(t, simulate.Options{}, rest.Options{})
	cover("send-link-200.json")
	r.server.Can(callLink, canned(t, 200, "send-link-200.json"))
	got, err := r.api.Start(bg(t), linkStart())
	if err != nil {
		t.Fatal(err)
	}
	want := kycbridge.Started{
		Reference: firstSession, References: map[string]string{"link_id": "LinkExample1"},
		URL:       "https://kyc.example.com/user/%3Fl%3DLinkExample1%26d%3D1%26s%3D0",
		ExpiresAt: time.Unix(1772442900, 117070200).UTC(),
		Answer: json.RawMessage(`{"link_expiry_time":"1772442900.1170702","link_id":"LinkExample1","session_id":"` +
			firstSession +
			`","user_id":"user-0001","validity_duration":900}`),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	cover("push-user-data-200.json")
	r.server.Can(callPush, canned(t, 200, "push-user-data-200.json"))
	got, err = r.api.Start(bg(t), formsStart(t))
	if err != nil {
		t.Fatal(err)
	}
	want = kycbridge.Started{Reference: formsSession, Answer: json.RawMessage(`{"session_id":"` + formsSession +
		`","success":true,"track":{"session_id":"` + formsSession + `","user_id":"user-0001"}}`)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	cover("generate-token-200.json")
	r.server.Can(callToken, canned(t, 200, "generate-token-200.json"))
	token, err := r.client.GenerateToken(bg(t),
		kwikid.TokenRequest{Username: simulated.User, Password: simulated.Password})
	if err != nil || token.Token != "synthetic-header.synthetic-payload.synthetic-signature" {
		t.Errorf("%+v, %v", token, err)
	}
}

// A link whose answer contains no expiry time ends after its duration; a UUID is returned in lower case.
func TestStartedWithoutExpiryTime(t *testing.T) {
	r := newRig(t, simulate.Options{}, rest.Options{})
	r.server.Can(callLink, simulate.Canned{Status: 200,
		Body: []byte(`{"session_id": "5E551000-0000-4000-8000-00000000000A", "validity_duration": 900}`)})
	before := time.Now()
	got, err := r.api.Start(bg(t), linkStart())
	if err != nil {
		t.Fatal(err)
	}
	if got.ExpiresAt.Before(before.Add(15*time.Minute)) || got.ExpiresAt.After(time.Now().Add(15*time.Minute)) {
		t.Errorf("expires at %v", got.ExpiresAt)
	}
	if got.Reference != "5e551000-0000-4000-8000-00000000000a" {
		t.Errorf("reference %s", got.Reference)
	}
}

func TestErrors(t *testing.T) {
	fetch := func(ctx context.Context, r rig) error {
		_, err := r.api.Fetch(ctx, kycbridge.Query{Reference: firstSession})
		return err
	}
	link := func(ctx context.Context, r rig) error {
		_, err := r.api.Start(ctx, linkStart())
		return err
	}
	forms := func(ctx context.Context, r rig) error {
		_, err := r.api.Start(ctx, formsStart(t))
		return err
	}
	tests := map[string]struct {
		call   string
		answer simulate.Canned
		do     func(context.Context, rig) error
		want   kycbridge.ProviderError
	}{
		"generate-token-error-400.json": {callToken, canned(t, 400, "generate-token-error-400.json"), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials, Status: 400,
				Message: "please provide valid username and password"}},
		"generate-token-error-401.json": {callToken, canned(t, 401, "generate-token-error-401.json"), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials, Status: 401,
				Message: "username/password did not match"}},
		"get-details-error-400.json": {callDetails, canned(t, 400, "get-details-error-400.json"), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderNotFound, Status: 400, Message: "Invalid session id", Sent: true}},
		"get-details-error-401.json": {callDetails, canned(t, 401, "get-details-error-401.json"), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials, Status: 401, Message: "Missing authorization header",
				Sent: true}},
		"get-details-error-500.html": {callDetails, canned(t, 500, "get-details-error-500.html"), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderUnavailable, Status: 500, Sent: true}},
		"send-link-error-400.html": {callLink, canned(t, 400, "send-link-error-400.html"), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Status: 400, Sent: true}},
		"send-link-error-401.json": {callLink, canned(t, 401, "send-link-error-401.json"), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials, Status: 401, Message: "Token is invalid", Sent: true}},
		"send-link-error-500.json": {callLink, canned(t, 500, "send-link-error-500.json"), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderUnavailable, Status: 500, Message: "error message", Sent: true}},
		"push-user-data-error-400.json": {callPush, canned(t, 400, "push-user-data-error-400.json"), forms,
			kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Status: 400, Message: "Invalid request format", Sent: true,
				Fields: []kycbridge.FieldError{
					{Path: basicForm + "pan", Message: "is required"}, {Path: basicForm + "uidNo", Message: "is required"},
					{Path: basicForm + "dob", Message: invalidFormat},
				}}},
		"push-user-data-error-500.json": {callPush, canned(t, 500, "push-user-data-error-500.json"), forms,
			kycbridge.ProviderError{Kind: kycbridge.ProviderUnavailable, Status: 500, Message: "An internal error occurred",
				Sent: true}},
		"error-429-rate-limit.json": {callLink, canned(t, 429, "error-429-rate-limit.json"), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderRateLimited, Status: 429, Message: "Rate limit exceeded",
				Sent: true}},
		"another 400 of get_details": {callDetails, answer(400, `{"msg": "malformed", "status": 400}`), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Status: 400, Message: "malformed", Sent: true}},
		"400 of get_details for another reason": {callDetails,
			answer(400, `{"e": "An error occurred (ThrottlingException)", "msg": "Invalid session id", "status": 400}`), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderUnavailable, Status: 400, Message: "Invalid session id",
				Sent: true}},
		"403": {callLink, answer(403, `{"message": "no"}`), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderForbidden, Status: 403, Message: "no", Sent: true}},
		"404": {callDetails, answer(404, `{"e": "gone"}`), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderNotFound, Status: 404, Message: "gone", Sent: true}},
		"opaque text": {callLink, answer(400, `went wrong`), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Status: 400, Message: "went wrong", Sent: true}},
		"fields that are no names": {callPush,
			answer(400, `{"msg": "x", "errors": {"missing_fields": ["my name is Testa", 7, null], "incorrect_formats": "x"}}`),
			forms,
			kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Status: 400, Message: "x", Sent: true}},
		"redirect": {callLink, simulate.Canned{Status: 302,
			Header: http.Header{"Location": {"/agentapi/v1/agent/sendLink/"}}}, link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderMalformed, Status: 302, Sent: true}},
		"lying token call": {callToken, answer(200, `{"msg": "no", "status_code": 401, "success": true}`), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials, Status: 200, Code: "401", Message: "no"}},
		"token call without a token": {callToken, answer(200, `{"status_code": 200, "success": true}`), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderMalformed, Status: 200}},
		"lying get_details": {callDetails, answer(200, `{"msg": "Invalid session id", "status": "400"}`), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderNotFound, Status: 200, Code: "400", Message: "Invalid session id",
				Sent: true}},
		"lying sendLink": {callLink, answer(200, `{"msg": "error message", "status": 500, "success": true}`), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderUnavailable, Status: 200, Code: "500", Message: "error message",
				Sent: true}},
		"lying push_user_data": {callPush, answer(200, `{"success": true, "status_code": 429, "session_id": "x"}`), forms,
			kycbridge.ProviderError{Kind: kycbridge.ProviderRateLimited, Status: 200, Code: "429", Sent: true}},
		"lying 403": {callLink, answer(200, `{"status": 403}`), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderForbidden, Status: 200, Code: "403", Sent: true}},
		"lying 404": {callLink, answer(200, `{"status": 404}`), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderNotFound, Status: 200, Code: "404", Sent: true}},
		"lying 422": {callLink, answer(200, `{"status": 422}`), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Status: 200, Code: "422", Sent: true}},
		"link that says that it failed": {callLink, answer(200, `{"success": false, "message": "The user is blocked"}`), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Status: 200, Message: "The user is blocked", Sent: true}},
		"forms that failed": {callPush,
			answer(200, `{"success": false, "msg": "Duplicate", "track": {"user_id": "user-0001", "session_id": null}}`), forms,
			kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Status: 200, Message: "Duplicate", Sent: true}},
		"forms that failed, as text": {callPush, answer(200, `{"success": "False", "msg": "Duplicate"}`), forms,
			kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Status: 200, Message: "Duplicate", Sent: true}},
		"forms that failed, and made a session": {callPush,
			answer(200, `{"success": false, "msg": "Timeout", "session_id": "s1"}`), forms,
			kycbridge.ProviderError{Kind: kycbridge.ProviderMalformed, Status: 200, Message: "Timeout", Sent: true}},
		"forms with fields at fault": {callPush,
			answer(200, `{"success": true, "session_id": "", "errors": {"missing_fields": ["BASIC_INFORMATION.pan"]}}`), forms,
			kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Status: 200, Sent: true,
				Fields: []kycbridge.FieldError{{Path: basicForm + "pan", Message: "is required"}}}},
		"forms of another user": {callPush,
			answer(200, `{"success": true, "session_id": "s1", "track": {"user_id": "user-0002", "session_id": "s1"}}`), forms,
			malformed()},
		"forms of another session": {callPush,
			answer(200, `{"success": true, "session_id": "s1", "track": {"user_id": "user-0001", "session_id": "s2"}}`), forms,
			malformed()},
		"details that say they fail": {callDetails,
			answer(200, `{"success": false, "msg": "Try later", "session_data": {"session_id": "`+firstSession+`", "session_status": "kyc_result_approved"}}`), fetch, kycbridge.ProviderError{Kind: kycbridge.ProviderMalformed, Status: 200, Message: "Try later", Sent: true}},
		"details that fail in words": {callDetails, answer(200, `{"status": "error", "msg": "Invalid session id"}`), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderNotFound, Status: 200, Message: "Invalid session id", Sent: true}},
		"token that says it failed": {callToken, answer(200, `{"Token": "x", "success": false, "msg": "locked"}`), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials, Status: 200, Message: "locked"}},
		"token refused with 200": {callDetails, answer(200, `{"message": "Issued at time doesnt look right"}`), fetch,
			kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials, Status: 200,
				Message: "Issued at time doesnt look right", Sent: true}},
		"link whose token is refused with 200": {callLink,
			answer(200, `{"message": "Doesnt look like we issued this token"}`), link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials, Status: 200,
				Message: "Doesnt look like we issued this token", Sent: true}},
		"link without a session":  {callLink, answer(200, `{"link_url": "https://kyc.example.com/"}`), link, malformed()},
		"forms without a session": {callPush, answer(200, `{"success": true}`), forms, malformed()},
		"details without a session": {callDetails, answer(200, `{"session_data": {"session_id": null}}`), fetch,
			malformed()},
		"a page in place of JSON": {callLink,
			simulate.Canned{Status: 200, ContentType: contentHTML, Body: []byte("<html></html>")}, link, malformed()},
		"a huge body": {callLink, simulate.Canned{Status: 200, Body: bytes.Repeat([]byte(" "), 9<<20)}, link,
			malformed()},
		"a huge error": {callLink, simulate.Canned{Status: 400, Body: bytes.Repeat([]byte("e"), 9<<20)}, link,
			kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Status: 400, Message: strings.Repeat("e", 300),
				Sent: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cover(name)
			r := newRig(t, simulate.Options{}, rest.Options{})
			r.server.Can(test.call, test.answer, test.answer, test.answer, test.answer)
			err := test.do(bg(t), r)
			var got *kycbridge.ProviderError
			if !errors.As(err, &got) {
				t.Fatalf("%v", err)
			}
			shown := *got
			shown.Err = nil
			test.want.Call = test.call
			if diff := cmp.Diff(test.want, shown); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func answer(status int, body string) simulate.Canned {
	return simulate.Canned{Status: status, ContentType: contentJSON, Body: []byte(body)}
}

func malformed() kycbridge.ProviderError {
	return kycbridge.ProviderError{Kind: kycbridge.ProviderMalformed, Status: 200, Sent: true}
}

func TestRequests(t *testing.T) {
	withOptions := func(options string) kycbridge.StartRequest {
		r := linkStart()
		r.Options = json.RawMessage(options)
		r.Validity = 15 * time.Minute
		return r
	}
	tests := map[string]struct {
		start kycbridge.StartRequest
		path  string
	}{
		"send-link-request.json": {withOptions(`{"extras": {"last_kyc_date": "1772000000"}}`), pathSendLink},
		"send-link-request-form-flow.json": {
			withOptions(`{"notify": true, "notification_as_text": true, "session_type": "example-session-type", "origin": "example-origin"}`), pathSendLink},
		"push-user-data-request.json": {formsStart(t), pathUserData},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cover(name)
			r := newRig(t, simulate.Options{}, rest.Options{})
			if _, err := r.api.Start(bg(t), test.start); err != nil {
				t.Fatal(err)
			}
			requests := r.wire.of(test.path)
			if len(requests) != 1 {
				t.Fatalf("%d requests", len(requests))
			}
			sameJSON(t, example(t, name), requests[0].body)
			if h := requests[0].header; h.Get("auth") == "" || h.Get("Authorization") != "" || h.Get("accept") != contentJSON ||
				h.Get("Content-Type") != contentJSON {
				t.Errorf("wrong headers: %v", len(h))
			}
		})
	}
	t.Run("generate-token-request.json", func(t *testing.T) {
		cover("generate-token-request.json")
		r := newRig(t, simulate.Options{}, rest.Options{})
		if _, err := r.api.Start(bg(t), linkStart()); err != nil {
			t.Fatal(err)
		}
		request := r.wire.of(pathToken)[0]
		sameJSON(t, example(t, "generate-token-request.json"), request.body)
		if request.header.Get("auth") != "" {
			t.Error("a token goes with the call for a token")
		}
	})
}

func sameJSON(t *testing.T, want, got []byte) {
	t.Helper()
	var a, b any
	if err := errors.Join(json.Unmarshal(want, &a), json.Unmarshal(got, &b)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
}

func TestPhoneNumbers(t *testing.T) {
	for _, tt := range []struct{ country, given, want string }{
		{"", "+915550100001", "5550100001"}, {"", "915550100001", "5550100001"}, {"", "5550100001", "5550100001"},
		{"IN", "+91 55501-00001", "5550100001"},
		{"", "+15550100001", "15550100001"}, {"", "+9155501", "9155501"}, {"", "9150100001", "9150100001"},
		{"LT", "+915550100001", "915550100001"}, {"LT", "60000001", "60000001"}, {"LT", "+37060000001", "37060000001"},
		{"US", "+15550100001", "5550100001"}, {"US", "5550100001", "5550100001"}, {"US", "+915550100001", "915550100001"},
	} {
		want := tt.want
		r := newRig(t, simulate.Options{}, rest.Options{})
		start := linkStart()
		start.Person.PhoneNumber = tt.given
		start.Options = json.RawMessage(`{"notify": false}`)
		config := r.config
		config.Country = tt.country
		if _, err := kwikid.New(config, rest.Options{Transport: r.wire}).Start(bg(t), start); err != nil {
			t.Fatal(err)
		}
		sameJSON(t, []byte(`{"user_id": "user-0001", "phone_number": "`+want+`", "send_notification": 0, "link_type": "free"}`), r.wire.of(pathSendLink)[0].body)
	}
}

// Documents and videos are sent in place of their marks, with the length declared in advance, and again
// from the beginning after a token was refused.
func TestFilesAreSentInTheirPlaces(t *testing.T) {
	photo, video := strings.Repeat("QUJD", 30<<10), strings.Repeat("REVG", 40<<10)
	file := func(mark, content string) kycbridge.File {
		return kycbridge.File{Mark: mark, Size: int64(len(content)),
			Open: func() io.Reader { return strings.NewReader(content) }}
	}
	start := formsStart(t)
	whole := strings.NewReplacer("https://files.example.com/kyc/video.mp4", video, "aW1hZ2U=",
		photo).Replace(string(start.Options))
	start.Options = json.RawMessage(strings.NewReplacer("https://files.example.com/kyc/video.mp4", "VIDEOMARK",
		"aW1hZ2U=", "PHOTOMARK").Replace(string(start.Options)))
	start.Files = []kycbridge.File{file("VIDEOMARK", video), file("PHOTOMARK", photo), file("VIDEOMARK", video)}
	r := newRig(t, simulate.Options{}, rest.Options{})
	r.server.Can(callPush, canned(t, 401, "send-link-error-401.json"))
	if _, err := r.api.Start(bg(t), start); err != nil {
		t.Fatal(err)
	}
	sent := r.wire.of(pathUserData)
	if len(sent) != 2 {
		t.Fatalf("%d requests", len(sent))
	}
	var want struct{ Forms json.RawMessage }
	var got struct{ Data json.RawMessage }
	for _, request := range sent {
		if err := errors.Join(json.Unmarshal([]byte(whole), &want), json.Unmarshal(request.body, &got)); err != nil {
			t.Fatal(err)
		}
		sameJSON(t, want.Forms, got.Data)
		if request.length != int64(len(request.body)) {
			t.Errorf("%d bytes were told, %d sent", request.length, len(request.body))
		}
	}
}

// A request that KwikID would answer with a page is not sent.
func TestStartIncomplete(t *testing.T) {
	noPhone, unborn := formsStart(t), formsStart(t)
	noPhone.Person = kycbridge.Person{}
	unborn.Options = bytes.Replace(unborn.Options, []byte(`"dob":`), []byte(`"dob":"01-JAN-2099","was":`), 1)
	tests := map[string]struct {
		start kycbridge.StartRequest
		path  string
	}{
		"no phone number": {kycbridge.StartRequest{ExternalReference: sampleUser}, "/person/phone_number"},
		"no reference":    {kycbridge.StartRequest{Person: linkStart().Person}, "/external_reference"},
		"unborn":          {unborn, "/options/forms/0/user_form_data/BASIC_INFORMATION/dob"},
		"wrong options": {kycbridge.StartRequest{ExternalReference: sampleUser,
			Options: json.RawMessage(`{"forms": "x"}`)}, "/options"},
	}
	r := newRig(t, simulate.Options{}, rest.Options{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := r.api.Start(bg(t), test.start)
			var e *kycbridge.ProviderError
			if !errors.As(err, &e) || e.Kind != kycbridge.ProviderInvalid || e.Sent || len(e.Fields) != 1 ||
				e.Fields[0].Path != test.path {
				t.Errorf("%+v", e)
			}
		})
	}
	if len(r.wire.requests) != 0 {
		t.Errorf("%d requests went out", len(r.wire.requests))
	}
	if _, err := r.api.Start(bg(t), noPhone); err != nil {
		t.Errorf("forms bring the number themselves: %v", err)
	}
}

func TestEveryExampleIsCovered(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the other tests")
	}
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	coveredMu.Lock()
	defer coveredMu.Unlock()
	if len(covered) == 0 {
		t.Skip("the other tests did not run")
	}
	for _, file := range files {
		if !covered[filepath.Base(file)] {
			t.Errorf("%s is served by no test", file)
		}
	}
}
