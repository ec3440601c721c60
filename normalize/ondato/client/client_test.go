package client_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
	"kycbridge/internal/rest"
	"kycbridge/internal/simulate"
	ondato "kycbridge/normalize/ondato/client"
	"kycbridge/normalize/ondato/simulated"
	"kycbridge/test/wait"
)

// Ids of the examples.
const (
	idvID   = "b0000000-0000-4000-8000-000000000001"
	kycID   = "c0000000-0000-4000-8000-000000000001"
	setupID = "5e000000-0000-4000-8000-000000000001"
	fileID  = "fe000000-0000-4000-8000-000000000021"
)

const secret = "ondato-secret-0001"

// quick are options with limits that do not slow a test down.
var quick = rest.Options{RequestsPerSecond: 1000, Concurrency: 16, Timeout: 5 * time.Second * wait.Slowdown}

func provider(t *testing.T, o simulate.Options) *simulate.Server {
	t.Helper()
	s, err := simulate.Start(simulated.New(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func config(s *simulate.Server) ondato.Config {
	return ondato.Config{
		TokenURL: s.URL() + "/connect/token", IDVURL: s.URL(), KYCURL: s.URL() + "/",
		ClientID: "ondato-client", ClientSecret: secret, SetupID: setupID,
	}
}

func client(s *simulate.Server) *ondato.Client { return ondato.NewClient(config(s), quick) }

// fetch requests the data of a verification.
func fetch(t *testing.T, s *simulate.Server, id string) ([]kycbridge.Fetched, error) {
	t.Helper()
	return ondato.New(config(s), quick).Fetch(t.Context(), kycbridge.Query{Reference: id})
}

func example(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func canned(status int, body []byte) simulate.Canned {
	return simulate.Canned{Status: status, ContentType: "application/json; charset=utf-8", Body: body}
}

// failure is the part of a *kycbridge.ProviderError that the tests compare.
type failure struct {
	Kind    kycbridge.ProviderErrorKind
	Call    string
	Status  int
	Code    string
	Message string
	Fields  []kycbridge.FieldError
	Sent    bool
}

func failureOf(t *testing.T, err error) failure {
	t.Helper()
	var e *kycbridge.ProviderError
	if !errors.As(err, &e) {
		t.Fatalf("no provider's error: %v", err)
	}
	return failure{e.Kind, e.Call, e.Status, e.Code, e.Message, e.Fields, e.Sent}
}

// recorded keeps the requests that are sent.
type recorded struct {
	mu       sync.Mutex
	requests []sent
}

type sent struct {
	Method, Path, ContentType, Authorization string
	Body                                     []byte
}

func (r *recorded) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	r.requests = append(r.requests, sent{
		req.Method, req.URL.Path, req.Header.Get("Content-Type"), req.Header.Get("Authorization"), body,
	})
	r.mu.Unlock()
	return http.DefaultTransport.RoundTrip(req)
}

// last is the last request to a path.
func (r *recorded) last(t *testing.T, path string) sent {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.requests) - 1; i >= 0; i-- {
		if r.requests[i].Path == path {
			return r.requests[i]
		}
	}
	t.Fatalf("nothing was sent to %s", path)
	return sent{}
}

// tree decodes JSON and keeps numbers as they are written, so that a number and a text differ.
func tree(t *testing.T, body []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

// TestExamples serves every documented answer, and compares every documented request with what is sent.
func TestExamples(t *testing.T) {
	get := func(s *simulate.Server) (any, error) { return fetch(t, s, idvID) }
	create := func(s *simulate.Server) (any, error) {
		id, _, err := client(s).CreateIdentityVerification(t.Context(), ondato.CreateRequest{})
		return id, err
	}
	raw := func(parts ...string) []kycbridge.Fetched {
		var out []kycbridge.Fetched
		for i := 0; i < len(parts); i += 2 {
			out = append(out, kycbridge.Fetched{Part: parts[i], ContentType: "application/json; charset=utf-8",
				Body: example(t, parts[i+1])})
		}
		return out
	}
	answers := map[string]struct {
		status int
		name   string
		call   func(s *simulate.Server) (any, error)
		want   any
		fails  *failure
	}{
		"api-token-response.json": {200, "token",
			func(s *simulate.Server) (any, error) { return client(s).Token(t.Context()) }, ondato.Token{
				AccessToken: "synthetic-access-token", ExpiresIn: "3600", TokenType: "Bearer",
				Scope: "idv_api kyc_identifications_api",
			}, nil},
		"api-create-idv-response-201.json": {201, "create_identity_verification", create, idvID, nil},
		"api-get-idv-completed.json": {200, "get_identity_verification", get,
			raw("identity-verification", "api-get-idv-completed.json", "identification", "api-get-kyc-awaiting.json"), nil},
		"api-get-idv-pending-full.json": {200, "get_identity_verification", get,
			raw("identity-verification", "api-get-idv-pending-full.json", "identification", "api-get-kyc-awaiting.json"), nil},
		"api-get-kyc-awaiting.json": {200, "get_identification", func(s *simulate.Server) (any, error) {
			s.Can("get_identity_verification", canned(200, example(t, "api-get-idv-completed.json")))
			return fetch(t, s, idvID)
		}, raw("identity-verification", "api-get-idv-completed.json", "identification", "api-get-kyc-awaiting.json"), nil},
		"error-400-validation-failed.json": {400, "create_identity_verification", create, "", &failure{
			Kind: kycbridge.ProviderInvalid, Call: "create_identity_verification", Status: 400, Code: "ValidationFailed",
			Message: "The request is invalid.", Sent: true,
			Fields: []kycbridge.FieldError{{Path: "/setupId", Message: "Property should not be empty."}},
		}},
		"error-401-authentication-failed.json": {401, "get_identity_verification", get, []kycbridge.Fetched(nil), &failure{
			Kind: kycbridge.ProviderCredentials, Call: "get_identity_verification", Status: 401, Code: "AuthenticationFailed",
			Message: "The access token is missing, invalid, or is revoked.", Sent: true,
		}},
		"error-403-authorization-failed.json": {403, "get_identity_verification", get, []kycbridge.Fetched(nil), &failure{
			Kind: kycbridge.ProviderForbidden, Call: "get_identity_verification", Status: 403, Code: "AuthorizationFailed",
			Message: "The subject of the token does not have the permissions that are required to access the resource.",
			Sent:    true,
		}},
		"error-404-not-found.json": {404, "get_identity_verification", get, []kycbridge.Fetched(nil), &failure{
			Kind: kycbridge.ProviderNotFound, Call: "get_identity_verification", Status: 404, Code: "NotFound",
			Message: "The requested resource doesn't exist..", Sent: true,
		}},
		"error-token-invalid-client.json": {400, "token", get, []kycbridge.Fetched(nil), &failure{
			Kind: kycbridge.ProviderCredentials, Call: "token", Status: 400, Code: "invalid_client", Sent: false,
		}},
	}
	requests := map[string]struct {
		path string
		call func(c *ondato.Client, api kycbridge.API) error
	}{
		"api-create-idv-request.json": {"/v1/identity-verifications", func(_ *ondato.Client, api kycbridge.API) error {
			_, err := api.Start(t.Context(), start())
			return err
		}},
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 11 {
		t.Fatalf("%d examples, error %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			s := provider(t, simulate.Options{})
			if test, ok := requests[name]; ok {
				wire := &recorded{}
				o := quick
				o.Transport = wire
				if err := test.call(ondato.NewClient(config(s), o), ondato.New(config(s), o)); err != nil {
					t.Fatal(err)
				}
				got := wire.last(t, test.path)
				if diff := cmp.Diff(tree(t, example(t, name)), tree(t, got.Body)); diff != "" {
					t.Error(diff)
				}
				if got.Method != "POST" || got.ContentType != "application/json" ||
					!strings.HasPrefix(got.Authorization, "Bearer synthetic-") {
					t.Errorf("sent %s, %s, %s", got.Method, got.ContentType, got.Authorization)
				}
				return
			}
			test, ok := answers[name]
			if !ok {
				t.Fatal("not tested")
			}
			body := canned(test.status, example(t, name))
			s.Can(test.name, body, body) // a call with a refused token is sent twice
			if test.name == "get_identity_verification" {
				s.Can("get_identification", canned(200, example(t, "api-get-kyc-awaiting.json")))
			}
			got, err := test.call(s)
			if test.fails == nil && err != nil {
				t.Fatal(err)
			}
			if test.fails != nil {
				if diff := cmp.Diff(*test.fails, failureOf(t, err)); diff != "" {
					t.Error(diff)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A success that reports a failure, or that is about something else, is a failure with Ondato's code and
// message.
func TestSuccessesThatFailed(t *testing.T) {
	create := func(s *simulate.Server) error {
		_, err := ondato.New(config(s), quick).Start(t.Context(), start())
		return err
	}
	get := func(s *simulate.Server) error {
		_, err := fetch(t, s, idvID)
		return err
	}
	for name, tt := range map[string]struct {
		call, body string
		do         func(*simulate.Server) error
		want       failure
	}{
		"start refused": {"create_identity_verification",
			`{"reason": "ValidationFailed", "message": "No such setup.", "params": {"setupId": [{"message": "Is unknown."}]}}`,
			create, failure{
				Kind: kycbridge.ProviderInvalid, Code: "ValidationFailed", Message: "No such setup.",
				Fields: []kycbridge.FieldError{{Path: "/setupId", Message: "Is unknown."}}}},
		"start that failed": {"create_identity_verification", `{"reason": "Novel", "message": "Later."}`, create,
			failure{Kind: kycbridge.ProviderMalformed, Code: "Novel", Message: "Later."}},
		"start of another reference": {"create_identity_verification", `{"id": "` + idvID +
			`", "externalReferenceId": "ref-2"}`, create, failure{Kind: kycbridge.ProviderMalformed}},
		"marked": {"get_identity_verification", "\ufeff" + `{"reason": "NotFound", "message": "Not there."}`, get,
			failure{Kind: kycbridge.ProviderNotFound, Code: "NotFound", Message: "Not there."}},
		"unknown verification": {"get_identity_verification", `{"reason": "NotFound", "message": "Not there."}`, get,
			failure{Kind: kycbridge.ProviderNotFound, Code: "NotFound", Message: "Not there."}},
		"another verification": {"get_identity_verification", `{"id": "` + kycID + `", "status": "Completed"}`, get,
			failure{Kind: kycbridge.ProviderMalformed}},
		"token refused": {"token", `{"error": "invalid_client", "error_description": "Unknown client"}`, get,
			failure{Kind: kycbridge.ProviderCredentials, Code: "invalid_client", Message: "Unknown client"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := provider(t, simulate.Options{})
			body := canned(200, []byte(tt.body))
			s.Can(tt.call, body, body, body)
			tt.want.Call, tt.want.Status, tt.want.Sent = tt.call, 200, tt.call != "token"
			if diff := cmp.Diff(tt.want, failureOf(t, tt.do(s))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// start is the start request that leads to the documented request.
func start() kycbridge.StartRequest {
	return kycbridge.StartRequest{
		ExternalReference: "ref-1001",
		Person: kycbridge.Person{
			Birthdate: "1990-02-01", Email: "testa@example.com", GivenName: "Testa", MiddleName: "Middle", FamilyName: "Sample",
			PersonalNumber: "00000000000", PhoneNumber: "+370600000001", Gender: "male",
			Address: &kycbridge.PersonAddress{Country: "LT"},
		},
		SuccessURL: "https://app.example.com/ok", Language: "lt", CallbackURL: "https://kyc.example.com/callback",
	}
}

func TestTokenRequest(t *testing.T) {
	s := provider(t, simulate.Options{})
	wire := &recorded{}
	o, c := quick, config(s)
	o.Transport, c.Scope = wire, "idv_api_readonly"
	got, err := ondato.NewClient(c, o).Token(t.Context())
	if err != nil || got.Scope != "idv_api_readonly" {
		t.Errorf("%+v, %v", got, err)
	}
	request := wire.last(t, "/connect/token")
	want := "client_id=ondato-client&client_secret=" + secret + "&grant_type=client_credentials&scope=idv_api_readonly"
	if string(request.Body) != want || request.ContentType != "application/x-www-form-urlencoded" {
		t.Errorf("sent %s as %s", request.Body, request.ContentType)
	}
}

func TestStart(t *testing.T) {
	tests := map[string]struct {
		request kycbridge.StartRequest
		want    string // the body
	}{
		"everything": {kycbridge.StartRequest{
			ExternalReference: "ref-1", FlowID: "5e000000-0000-4000-8000-000000000009",
			Options: json.RawMessage(`{"representative_id": "b2", "face_authentication_id": "b3", "flow_id": "x"}`),
			Person:  kycbridge.Person{PhoneNumber: "+15550100001", Address: &kycbridge.PersonAddress{Country: "ltu"}},
		}, `{"setupId": "5e000000-0000-4000-8000-000000000009", "externalReferenceId": "ref-1", "representativeId": "b2",
			"faceAuthentication": {"identityVerificationId": "b3"}, "registration": {"phoneNumber": 15550100001, "countryCode": "LT"}}`},
		"nobody": {kycbridge.StartRequest{}, `{"setupId": "` + setupID + `"}`},
		"a whole name": {kycbridge.StartRequest{Person: kycbridge.Person{Name: "Testa Middle Sample"}},
			`{"setupId": "` + setupID + `", "registration": {"firstName": "Testa Middle Sample"}}`},
		"a whole name with parts": {kycbridge.StartRequest{Person: kycbridge.Person{Name: "Testa Middle Sample",
			MiddleName: "Middle", FamilyName: "Sample"}},
			`{"setupId": "` + setupID + `", "registration": {"firstName": "Testa", "middleName": "Middle", "lastName": "Sample"}}`},
		"what cannot be sent": {kycbridge.StartRequest{
			Person: kycbridge.Person{GivenName: "Testa", PhoneNumber: "unknown",
				Address: &kycbridge.PersonAddress{Country: "XXX"}},
		}, `{"setupId": "` + setupID + `", "registration": {"firstName": "Testa"}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := provider(t, simulate.Options{})
			s.Can("create_identity_verification", canned(201, []byte(`{"id": "B0000000-0000-4000-8000-00000000000A"}`)))
			wire := &recorded{}
			o := quick
			o.Transport = wire
			before := time.Now()
			got, err := ondato.New(config(s), o).Start(t.Context(), test.request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tree(t, []byte(test.want)),
				tree(t, wire.last(t, "/v1/identity-verifications").Body)); diff != "" {
				t.Error(diff)
			}
			if life := got.ExpiresAt.Sub(before); life < 7*24*time.Hour || life > 7*24*time.Hour+time.Minute {
				t.Errorf("expires after %v", life)
			}
			const id = "b0000000-0000-4000-8000-00000000000a"
			if got.Reference != id || got.URL != "https://idv.ondato.com/?id="+id || got.FlowID == "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestOptionsThatCannotBeRead(t *testing.T) {
	s := provider(t, simulate.Options{})
	_, err := ondato.New(config(s), quick).Start(t.Context(), kycbridge.StartRequest{Options: json.RawMessage(`[]`)})
	if got := failureOf(t, err); got.Kind != kycbridge.ProviderInvalid || got.Sent || len(s.Stats().Calls) != 0 {
		t.Errorf("%+v, calls %v", got, s.Stats().Calls)
	}
}

func TestHostedPage(t *testing.T) {
	s := provider(t, simulate.Options{})
	tests := map[string]struct {
		change func(c *ondato.Config)
		want   string
	}{
		"sandbox": {func(c *ondato.Config) { c.TokenURL = "https://sandbox-id.ondato.com/connect/token" },
			"https://sandbox-idv.ondato.com/?id=b1"},
		"white label": {func(c *ondato.Config) { c.PageURL = "https://kyc.example.com/?id={id}&x=1" },
			"https://kyc.example.com/?id=b1&x=1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, o := config(s), quick
			test.change(&c)
			// No test calls the real hosts: every request, including those for a token, goes to the simulator.
			o.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(s.URL(), "http://")
				return http.DefaultTransport.RoundTrip(r)
			})
			s.Can("create_identity_verification", canned(201, []byte(`{"id": "b1"}`)))
			got, err := ondato.New(c, o).Start(t.Context(), kycbridge.StartRequest{})
			if err != nil || got.URL != test.want {
				t.Errorf("%s, %v", got.URL, err)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFetch(t *testing.T) {
	idv, kyc := example(t, "api-get-idv-completed.json"), example(t, "api-get-kyc-awaiting.json")
	both := []kycbridge.Fetched{
		{Part: "identity-verification", ContentType: "application/json; charset=utf-8", Body: idv},
		{Part: "identification", ContentType: "application/json; charset=utf-8", Body: kyc},
	}
	odd := []byte(`{"id": "` + strings.ToUpper(idvID) +
		`", "status": "New", "externalReferenceId": 7, "createdUtc": "yesterday", "step": null}`)
	oddStep := []byte(`{"id": "` + idvID + `", "status": "New", "identityVerificationId": {}, "step": ["x"]}`)
	marked := func(body []byte) []byte { return append([]byte("\ufeff"), body...) }
	tests := map[string]struct {
		query    kycbridge.Query
		idv, kyc []byte
		want     []kycbridge.Fetched
		kind     kycbridge.ProviderErrorKind
	}{
		"both":            {kycbridge.Query{Reference: idvID}, idv, kyc, both, ""},
		"both, triggered": {kycbridge.Query{Reference: strings.ToUpper(idvID), Triggered: true}, idv, kyc, both, ""},
		"no identification": {kycbridge.Query{Reference: idvID}, odd, nil,
			[]kycbridge.Fetched{{Part: "identity-verification", ContentType: "application/json; charset=utf-8", Body: odd}}, ""},
		"odd members": {kycbridge.Query{Reference: idvID}, oddStep, nil,
			[]kycbridge.Fetched{{Part: "identity-verification", ContentType: "application/json; charset=utf-8", Body: oddStep}},
			""},
		"byte order mark": {kycbridge.Query{Reference: idvID}, marked(odd), nil,
			[]kycbridge.Fetched{{Part: "identity-verification", ContentType: "application/json; charset=utf-8",
				Body: marked(odd)}}, ""},
		"another's": {kycbridge.Query{Reference: "b0000000-0000-4000-8000-000000000002"}, idv, nil, nil,
			kycbridge.ProviderMalformed},
		"another's verdict": {kycbridge.Query{Reference: idvID}, idv, bytes.ReplaceAll(kyc, []byte(idvID), []byte(setupID)),
			both[:1], kycbridge.ProviderMalformed},
		"no status": {kycbridge.Query{Reference: idvID}, []byte(`{"id": "` + idvID + `"}`), nil, nil,
			kycbridge.ProviderMalformed},
		"a list":             {kycbridge.Query{Reference: idvID}, []byte(`[]`), nil, nil, kycbridge.ProviderMalformed},
		"no JSON":            {kycbridge.Query{Reference: idvID}, []byte(`{"id": `), nil, nil, kycbridge.ProviderMalformed},
		"no id":              {kycbridge.Query{Reference: "../setups"}, nil, nil, nil, kycbridge.ProviderInvalid},
		"nothing to ask for": {kycbridge.Query{}, nil, nil, nil, kycbridge.ProviderInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := provider(t, simulate.Options{})
			for range 3 { // an unreadable answer is requested again
				if test.idv != nil {
					s.Can("get_identity_verification", canned(200, test.idv))
				}
				if test.kyc != nil {
					s.Can("get_identification", canned(200, test.kyc))
				}
			}
			got, err := ondato.New(config(s), quick).Fetch(t.Context(), test.query)
			if test.kind != "" {
				if f := failureOf(t, err); f.Kind != test.kind {
					t.Errorf("%+v", f)
				}
			} else if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOneTokenForAll(t *testing.T) {
	s := provider(t, simulate.Options{})
	id := s.Begin("ref-1", simulate.Expire)
	c := ondato.New(config(s), quick)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := c.Fetch(t.Context(), kycbridge.Query{Reference: id}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if calls := s.Stats().Calls; calls["token"] != 1 || calls["get_identity_verification"] != 50 {
		t.Errorf("calls %v", calls)
	}
}

// A token is renewed before it expires: the provider never receives an expired one.
// A token is renewed when a tenth of its life is left. A call that takes longer than that, because the machine is
// busy, may arrive with a token that has expired; the provider refuses it and the token is renewed.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	const life = 2 * time.Second
	var late atomic.Int64
	s := provider(t, simulate.Options{TokenLife: life})
	id := s.Begin("ref-1", simulate.Expire)
	c := ondato.New(config(s), quick)
	eventually(t, func() bool {
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				begun := time.Now()
				if _, err := c.Fetch(t.Context(), kycbridge.Query{Reference: id}); err != nil {
					t.Error(err)
				}
				if time.Since(begun) > life/10 {
					late.Add(1)
				}
			})
		}
		all.Wait()
		return s.Stats().Calls["token"] >= 3
	})
	refused := int64(s.Stats().Answers[401])
	if stats := s.Stats(); refused > late.Load() || int64(stats.Calls["token"]) > 3+refused {
		t.Errorf("%d late, calls %v, answers %v", late.Load(), stats.Calls, stats.Answers)
	}
}

// A lifetime that cannot be read does not make a token useless.
func TestLifetimesOfTokens(t *testing.T) {
	for _, life := range []string{`3600`, `"3600"`, `3599.5`, `"soon"`, `{}`, `[]`, `null`, `-1`, `0`, `1e300`, `"NaN"`} {
		s := provider(t, simulate.Options{})
		issued, err := ondato.NewClient(config(s), quick).Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Can("token", canned(200, []byte(`{"access_token": "`+issued.AccessToken+`", "expires_in": `+life+`}`)))
		c := ondato.New(config(s), quick)
		for range 3 {
			if _, err := c.Start(t.Context(), start()); err != nil {
				t.Errorf("%s: %v", life, err)
			}
		}
		if calls := s.Stats().Calls["token"]; calls != 2 {
			t.Errorf("%s: %d tokens", life, calls)
		}
	}
}

// Every 404 of the APIs has a reason. Another one is a gateway's, and ends no verification.
func TestOnlyTheAPIKnowsWhatExists(t *testing.T) {
	for body, want := range map[string]kycbridge.ProviderErrorKind{
		`{"reason": "NotFound", "message": "m"}`:               kycbridge.ProviderNotFound,
		`{"statusCode": 404, "message": "Resource not found"}`: kycbridge.ProviderUnavailable,
		`{"message": "no Route matched with those values"}`:    kycbridge.ProviderUnavailable,
		"<html>": kycbridge.ProviderUnavailable, "": kycbridge.ProviderUnavailable,
	} {
		for _, call := range []string{"get_identity_verification", "get_identification"} {
			s := provider(t, simulate.Options{})
			s.Can("get_identity_verification", canned(200, example(t, "api-get-idv-completed.json")))
			if call == "get_identity_verification" {
				s = provider(t, simulate.Options{})
			}
			s.Can(call, canned(404, []byte(body)), canned(404, []byte(body)), canned(404, []byte(body)))
			_, err := fetch(t, s, idvID)
			want := want
			if call == "get_identification" && want == kycbridge.ProviderNotFound {
				want = kycbridge.ProviderPending
			}
			if f := failureOf(t, err); f.Kind != want || f.Call != call {
				t.Errorf("%s: got %+v", body, f)
			}
		}
	}
}

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	refused := canned(401, example(t, "error-401-authentication-failed.json"))
	t.Run("and then good", func(t *testing.T) {
		s := provider(t, simulate.Options{})
		s.Can("create_identity_verification", refused)
		if _, err := ondato.New(config(s), quick).Start(t.Context(), start()); err != nil {
			t.Error(err)
		}
		if calls := s.Stats().Calls; calls["token"] != 2 || calls["create_identity_verification"] != 2 {
			t.Errorf("calls %v", calls)
		}
	})
	t.Run("and refused again", func(t *testing.T) {
		s := provider(t, simulate.Options{})
		s.Can("get_identity_verification", refused, refused, refused)
		_, err := fetch(t, s, idvID)
		if f := failureOf(t, err); f.Kind != kycbridge.ProviderCredentials ||
			s.Stats().Calls["get_identity_verification"] != 2 {
			t.Errorf("%+v, calls %v", f, s.Stats().Calls)
		}
	})
	t.Run("by fifty at once", func(t *testing.T) {
		s := provider(t, simulate.Options{})
		id := s.Begin("ref-1", simulate.Expire)
		c := ondato.New(config(s), quick)
		for range 16 { // as many as are sent concurrently
			s.Can("get_identity_verification", refused)
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				_, err := c.Fetch(t.Context(), kycbridge.Query{Reference: id})
				var e *kycbridge.ProviderError
				if err != nil && (!errors.As(err, &e) || e.Kind != kycbridge.ProviderCredentials) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if calls := s.Stats().Calls; calls["token"] > 17 {
			t.Errorf("calls %v", calls)
		}
	})
	t.Run("wrong secret", func(t *testing.T) {
		s := provider(t, simulate.Options{Credentials: simulate.Credentials{Password: "another"}})
		_, err := fetch(t, s, idvID)
		if f := failureOf(t, err); f.Kind != kycbridge.ProviderCredentials || f.Call != "token" ||
			s.Stats().Calls["token"] != 1 {
			t.Errorf("%+v, calls %v", f, s.Stats().Calls)
		}
	})
}

// A start that may have arrived is not repeated.
func TestStartIsSentOnce(t *testing.T) {
	fault := canned(500, []byte(`{"reason": "InternalError", "message": "x"}`))
	html := simulate.Canned{Status: 502, ContentType: "text/html", Body: []byte("<html><body>Bad Gateway</body></html>")}
	tests := map[string]struct {
		options simulate.Options
		canned  *simulate.Canned
		timeout time.Duration
		want    failure
	}{
		"500": {simulate.Options{}, &fault, 0,
			failure{Kind: kycbridge.ProviderUnavailable, Status: 500, Code: "InternalError", Message: "x"}},
		"a page": {simulate.Options{}, &html, 0, failure{Kind: kycbridge.ProviderUnavailable, Status: 502}},
		"timeout": {simulate.Options{Faults: simulate.Faults{Slow: 1, SlowBy: time.Minute}}, nil,
			200 * time.Millisecond, failure{Kind: kycbridge.ProviderUnreachable}},
		"broken answer": {simulate.Options{Faults: simulate.Faults{Broken: 1}}, nil, 0,
			failure{Kind: kycbridge.ProviderUnreachable, Status: 201}},
		"too many calls": {simulate.Options{Faults: simulate.Faults{RateLimited: 1}}, nil, 0,
			failure{Kind: kycbridge.ProviderRateLimited, Status: 429, Code: "TooManyRequests", Message: "Too many requests."}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := provider(t, test.options)
			if test.canned != nil {
				s.Can("create_identity_verification", *test.canned)
			}
			o := quick
			if test.timeout > 0 {
				o.Timeout = test.timeout
			}
			_, err := ondato.New(config(s), o).Start(t.Context(), start())
			test.want.Call, test.want.Sent = "create_identity_verification", true
			if diff := cmp.Diff(test.want, failureOf(t, err)); diff != "" {
				t.Error(diff)
			}
			if calls := s.Stats().Calls["create_identity_verification"]; calls != 1 {
				t.Errorf("%d calls", calls)
			}
		})
	}
}

func TestStartIsRepeatedIfItDidNotArrive(t *testing.T) {
	s := provider(t, simulate.Options{})
	var refusals atomic.Int32
	refusals.Store(-1) // the first connection is for the token
	var d net.Dialer
	o := quick
	o.Transport = &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if n := refusals.Add(1); n == 1 || n == 2 {
				return nil, syscall.ECONNREFUSED
			}
			return d.DialContext(ctx, network, addr)
		}}
	if _, err := ondato.New(config(s), o).Start(t.Context(), start()); err != nil {
		t.Error(err)
	}
	if n := refusals.Load(); n != 3 || s.Stats().Calls["create_identity_verification"] != 1 {
		t.Errorf("%d connections after the token, calls %v", n, s.Stats().Calls)
	}
}

func TestQuestionsAreRepeated(t *testing.T) {
	s := provider(t, simulate.Options{})
	id := s.Begin("ref-1", simulate.Expire)
	s.Can("get_identity_verification",
		simulate.Canned{Status: 502, ContentType: "text/html", Body: []byte("<html>Bad Gateway</html>")},
		simulate.Canned{Status: 200, ContentType: "text/html", Body: []byte("<html>Sign in</html>")})
	if _, err := fetch(t, s, id); err != nil {
		t.Error(err)
	}
	if calls := s.Stats().Calls["get_identity_verification"]; calls != 3 {
		t.Errorf("%d calls", calls)
	}
}

func TestFiles(t *testing.T) {
	picture := append([]byte{0xff, 0xd8, 0xff, 0xe0}, bytes.Repeat([]byte{1, 2, 3}, 100)...)
	encoded := base64.StdEncoding.EncodeToString(picture)
	tests := map[string]struct {
		contentType, body string
		wantType          string
		kind              kycbridge.ProviderErrorKind
	}{
		"bytes":            {"image/png", string(picture), "image/png", ""},
		"bytes of no type": {"application/octet-stream", string(picture), "application/octet-stream", ""},
		"JSON": {"application/json; charset=utf-8", `{"fileName": "front.jpeg", "content": "` + encoded + `"}`,
			"image/jpeg", ""},
		"JSON, other case": {"application/json", `{"FileContent": "` + encoded + `"}`, "image/jpeg", ""},
		"JSON, a data URL": {"application/json", `{"data": "data:image/jpeg;base64,` + encoded + `"}`, "image/jpeg", ""},
		"JSON text":        {"application/json", `"` + encoded + `"`, "image/jpeg", ""},
		"JSON without file": {"application/json", `{"content": "not base64!", "url": "https://files.example.com/1"}`, "",
			kycbridge.ProviderMalformed},
		"JSON list":          {"application/json", `[]`, "", kycbridge.ProviderMalformed},
		"a page":             {"text/html", "<html>Sign in</html>", "", kycbridge.ProviderMalformed},
		"JSON without bytes": {"application/json", `{"content": ""}`, "", kycbridge.ProviderMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := provider(t, simulate.Options{})
			s.Can("get_file", simulate.Canned{Status: 200, ContentType: test.contentType, Body: []byte(test.body)})
			got, err := client(s).GetFile(t.Context(), kycID, fileID)
			if test.kind != "" {
				if f := failureOf(t, err); f.Kind != test.kind || f.Call != "get_file" {
					t.Errorf("%+v", f)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			body, err := io.ReadAll(got.Body)
			if err != nil || !bytes.Equal(body, picture) || got.ContentType != test.wantType ||
				got.Length != int64(len(picture)) {
				t.Errorf("%d bytes of %s, said to be %d, error %v", len(body), got.ContentType, got.Length, err)
			}
		})
	}
}

func TestMedia(t *testing.T) {
	s := provider(t, simulate.Options{Speed: 1e6})
	api := ondato.New(config(s), quick)
	id := s.Begin("ref-1", simulate.Approve)
	var file string
	eventually(t, func() bool {
		bodies, err := fetch(t, s, id)
		if err != nil || len(bodies) != 2 || !bytes.Contains(bodies[0].Body, []byte(`"Completed"`)) {
			return false
		}
		var kyc struct {
			Document struct{ Files []struct{ FileID string } }
		}
		if err := json.Unmarshal(bodies[1].Body, &kyc); err != nil || len(kyc.Document.Files) == 0 {
			t.Fatalf("%v in %s", err, bodies[1].Body)
		}
		file = kyc.Document.Files[0].FileID
		return true
	})
	media, err := api.Media(t.Context(), kycbridge.MediaRequest{Reference: id, Ref: file})
	if err != nil {
		t.Fatal(err)
	}
	defer media.Body.Close()
	body, err := io.ReadAll(media.Body)
	if err != nil || http.DetectContentType(body) != "image/jpeg" || media.ContentType != "image/jpeg" {
		t.Errorf("%d bytes of %s, %v", len(body), media.ContentType, err)
	}
	before := s.Stats().Calls["get_identity_verification"]
	_, err = api.Media(t.Context(),
		kycbridge.MediaRequest{References: map[string]string{"kyc_identification_id": kycID}, Ref: file})
	if f := failureOf(t, err); f.Kind != kycbridge.ProviderNotFound ||
		s.Stats().Calls["get_identity_verification"] != before {
		t.Errorf("%+v, calls %v", f, s.Stats().Calls)
	}
	_, err = api.Media(t.Context(), kycbridge.MediaRequest{Reference: s.Begin("ref-2", simulate.Expire), Ref: file})
	if f := failureOf(t, err); f.Kind != kycbridge.ProviderPending {
		t.Errorf("%+v", f)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	wait.For(t, 10*time.Second, "it happens", condition)
}

func TestHugeBodies(t *testing.T) {
	s := provider(t, simulate.Options{})
	huge := canned(200, append([]byte(`{"id": "`+idvID+`", "status": "Completed", "x": "`),
		bytes.Repeat([]byte("x"), 9<<20)...))
	s.Can("get_identity_verification", huge, huge, huge)
	_, err := fetch(t, s, idvID)
	if f := failureOf(t, err); f.Kind != kycbridge.ProviderMalformed {
		t.Errorf("%+v", f)
	}
	s.Can("get_identity_verification", canned(400, append([]byte(`{"reason": "`), bytes.Repeat([]byte("x"), 9<<20)...)))
	_, err = fetch(t, s, idvID)
	if f := failureOf(t, err); f.Kind != kycbridge.ProviderInvalid || f.Code != "" {
		t.Errorf("%+v", f)
	}
	params := `{"reason": "ValidationFailed", "message": "` + strings.Repeat("m", 1000) + `", "params": {`
	for i := range 30 {
		params += `"registration.f` + strings.Repeat("x", i) + `": [{"message": "` + strings.Repeat("n", 1000) + `"}],`
	}
	s.Can("get_identity_verification", canned(400, []byte(params+`"$.a[0]/b": [{"message": "first"}]}}`)))
	_, err = fetch(t, s, idvID)
	f := failureOf(t, err)
	if len(f.Fields) != 20 || len(f.Message) != 300 ||
		f.Fields[0] != (kycbridge.FieldError{Path: "/a/0~1b", Message: "first"}) {
		t.Errorf("%d fields, message of %d", len(f.Fields), len(f.Message))
	}
	for _, field := range f.Fields {
		if len(field.Message) > 300 || len(field.Path) > 300 {
			t.Errorf("field of %d and %d bytes", len(field.Path), len(field.Message))
		}
	}
}

// No error repeats a secret, a token, or personal data that were sent or received.
func TestErrorsTellNothing(t *testing.T) {
	words := []string{secret, "synthetic-access-token", "Testa", "Sample", "370600000001", "testa@example.com",
		"00000000000", "1990-02-01", "PROVIDER-SAID"}
	leaky := `{"reason": "ValidationFailed", "message": "PROVIDER-SAID Testa 370600000001", "params": {"registration": [{"message": "testa@example.com"}]}}`
	const nobody = "nobody there"
	tests := map[string]func(s *simulate.Server){
		nobody:   func(*simulate.Server) {},
		"400":    func(s *simulate.Server) { s.Can("create_identity_verification", canned(400, []byte(leaky))) },
		"a page": func(s *simulate.Server) { s.Can("create_identity_verification", canned(200, []byte("<html>Testa"))) },
		"another's JSON": func(s *simulate.Server) {
			s.Can("create_identity_verification", canned(200, []byte(`{"id": {"Testa": 1}}`)))
		},
		"token refused": func(s *simulate.Server) {
			s.Can("token", canned(400, []byte(`{"error": "invalid_client", "error_description": "`+secret+`"}`)))
		},
		"token malformed": func(s *simulate.Server) {
			s.Can("token", canned(200, []byte(secret)), canned(200, []byte(secret)), canned(200, []byte(secret)))
		},
		"redirect": func(s *simulate.Server) {
			s.Can("create_identity_verification",
				simulate.Canned{Status: 302, Header: http.Header{"Location": {"https://example.com/?t=" + secret}}})
		},
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := provider(t, simulate.Options{})
			prepare(s)
			c := config(s)
			if name == nobody { // another test may reuse the port of a closed server
				c.TokenURL, c.IDVURL, c.KYCURL = "http://127.0.0.1:1/token", "http://127.0.0.1:1", "http://127.0.0.1:1/"
			}
			_, err := ondato.New(c, quick).Start(t.Context(), start())
			if err == nil {
				t.Fatal("no error")
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				for _, word := range words {
					if strings.Contains(e.Error(), word) {
						t.Errorf("%q is in %q", word, e)
					}
				}
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := provider(t, simulate.Options{Limit: 5})
	id := s.Begin("ref-1", simulate.Expire)
	o := quick
	o.RequestsPerSecond, o.Concurrency = 5, 4
	c := ondato.New(config(s), o)
	var all sync.WaitGroup
	for range 14 {
		all.Go(func() {
			if _, err := c.Fetch(t.Context(), kycbridge.Query{Reference: id}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if stats := s.Stats(); stats.MostInSecond > 5 || stats.Answers[429] != 0 || stats.Answers[200] != 15 {
		t.Errorf("%+v", stats)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	limited := func(seconds string) simulate.Canned {
		c := canned(429, []byte(`{"reason": "TooManyRequests", "message": "Too many requests."}`))
		c.Header = http.Header{"Retry-After": {seconds}}
		return c
	}
	t.Run("short: waited for", func(t *testing.T) {
		s := provider(t, simulate.Options{})
		id := s.Begin("ref-1", simulate.Expire)
		c := ondato.New(config(s), quick)
		s.Can("get_identity_verification", limited("1"))
		began := time.Now()
		if _, err := c.Fetch(t.Context(), kycbridge.Query{Reference: id}); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < time.Second {
			t.Errorf("took %v", took)
		}
	})
	t.Run("long: told", func(t *testing.T) {
		s := provider(t, simulate.Options{})
		s.Can("get_identity_verification", limited("120"))
		_, err := fetch(t, s, idvID)
		var e *kycbridge.ProviderError
		if !errors.As(err, &e) || e.RetryAfter != 2*time.Minute || s.Stats().Calls["get_identity_verification"] != 1 {
			t.Errorf("%+v, calls %v", e, s.Stats().Calls)
		}
	})
}

func TestScopes(t *testing.T) {
	s := provider(t, simulate.Options{})
	c := config(s)
	c.Scope = "kyc_identifications_api"
	_, err := ondato.New(c, quick).Fetch(t.Context(), kycbridge.Query{Reference: idvID})
	if f := failureOf(t, err); f.Kind != kycbridge.ProviderForbidden || f.Code != "AuthorizationFailed" {
		t.Errorf("%+v", f)
	}
}

func TestCallerGoesAway(t *testing.T) {
	s := provider(t, simulate.Options{Faults: simulate.Faults{Slow: 1, SlowBy: time.Minute}})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := ondato.New(config(s), quick).Fetch(ctx, kycbridge.Query{Reference: idvID})
	if err == nil || time.Since(began) > 5*time.Second*wait.Slowdown {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}
