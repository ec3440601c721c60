package handlers

import (
	"bytes"
	"context"
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"kycbridge"
	"kycbridge/normalize/idwise"
	"kycbridge/normalize/kwikid"
	"kycbridge/normalize/ondato"
	"kycbridge/normalize/signzy"
	"kycbridge/test/wait"
)

// sink is a log that can be read while it is written.
type sink struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *sink) logger() *zap.Logger {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(s), zap.DebugLevel))
}

// TestNothingLeaks seeds secrets and personal values into everything that a caller sends and searches for
// them in every log line and every response.
func TestNothingLeaks(t *testing.T) {
	seeds := []string{"Seeded Person", "1985-03-17", "ABCDE1234F", "seed-header-secret", "seed-query-token", "seed-path",
		"seed-basic", "c2VlZC1iYXNpYzpwdw"}
	const body = `{"id":"1","name":"Seeded Person","dateOfBirth":"1985-03-17","number":"ABCDE1234F"}`
	all := &sink{}
	accounts := kycbridge.Accounts{}
	credentials := kycbridge.Credentials{
		Basic:     []kycbridge.BasicCredential{{Username: "own-user", Password: "own-password"}},
		Bearer:    []string{"own-bearer"},
		Headers:   []kycbridge.HeaderCredential{{Name: "X-Custom", Value: "own-header"}},
		HMAC:      kycbridge.HMACCredential{Secrets: []string{"own-hmac"}},
		Keys:      []string{"own-key"},
		URLTokens: []string{"own-token"},
	}
	for name, verify := range map[string]func(kycbridge.Credentials, kycbridge.Request) (string, error){
		"signzy": signzy.Verify, "ondato": ondato.Verify, "idwise": idwise.Verify, "kwikid": kwikid.Verify,
	} {
		accounts[kycbridge.AccountKey{Provider: name, Account: "acme"}] = &kycbridge.Account{Name: "acme",
			Provider: kycbridge.Provider{Name: name, Verify: verify}, Credentials: credentials, RejectInvalid: name == "idwise"}
	}
	failing := 0
	receiver := receiverFunc(func(
		ctx context.Context, a *kycbridge.Account, r kycbridge.Request,
	) (kycbridge.Receipt, error) {
		_, err := a.Provider.Verify(a.Credentials, r)
		if err != nil && failing == 0 {
			return kycbridge.Receipt{}, err
		}
		receipt := kycbridge.Receipt{Status: "quarantined", Reason: "schema", PayloadID: "p",
			Errors: []kycbridge.FieldError{{Path: "/name", Message: "must be a number"}}}
		switch failing++; failing % 6 {
		case 1:
			return receipt, nil
		case 2:
			return accept(ctx, a, r)
		case 3:
			return receipt, errors.Join(kycbridge.ErrUnavailable, errors.New("store away"))
		case 4:
			panic(string(r.Body))
		case 5:
			panic(errors.New(r.Header.Get("Authorization")))
		}
		var none []string
		none[len(r.Body)] = "" // a panic of the runtime
		return receipt, nil
	})
	server := httptest.NewUnstartedServer(NewCallbacks(CallbackOptions{Accounts: accounts, Receiver: receiver,
		Logger: all.logger(), MaxBody: 4096}))
	server.Config.ErrorLog = log.New(all, "", 0)
	server.Start()
	defer server.Close()
	var answers strings.Builder
	seeded := func(r *http.Request) {
		r.Header.Set("Authorization", "Basic c2VlZC1iYXNpYzpwdw==")
		r.Header.Set("X-Api-Key", "seed-header-secret")
		r.Header.Set("Ondato-Signature", "t=1, s=seed-header-secret")
		r.Header.Set("X-Forwarded-For", "seed-header-secret")
	}
	send := func(method, path, body string, edit func(*http.Request)) {
		got := do(t, method, server.URL+path+"?token=seed-query-token", strings.NewReader(body), edit)
		answers.WriteString(got.body)
		for _, values := range got.header {
			answers.WriteString(strings.Join(values, " "))
		}
	}
	for range 2 {
		for _, provider := range []string{"signzy", "ondato", "idwise", "kwikid", "seed-path"} {
			for range 6 {
				send("POST", "/webhooks/"+provider+"/acme", body, seeded)
			}
			send("GET", "/webhooks/"+provider+"/seed-path", body, seeded)
			send("POST", "/webhooks/"+provider+"/seed-path", body, seeded)
			send("POST", "/seed-path", body, seeded)
			send("POST", "/webhooks/"+provider+"/acme", strings.Repeat(body, 100), seeded)
			send("POST", "/webhooks/"+provider+"/acme", body,
				func(r *http.Request) { seeded(r); r.Header.Set("Content-Type", "text/Seeded Person") })
		}
		failing++ // from here on the receiver accepts the payloads
	}
	for _, seed := range seeds {
		if strings.Contains(all.String(), seed) {
			t.Errorf("%q is in the log", seed)
		}
		if strings.Contains(answers.String(), seed) {
			t.Errorf("%q is in an answer", seed)
		}
	}
	for _, secret := range []string{"own-hmac", "own-user", "own-password", "own-bearer", "own-header", "own-key",
		"own-token"} {
		if strings.Contains(all.String()+answers.String(), secret) {
			t.Error("a configured secret is in the log or an answer")
		}
	}
	for _, outcome := range []string{"quarantined", "accepted", "unauthenticated", "unavailable", "fault", "not_found",
		"too_large", "media_type", "method_not_allowed"} {
		if !strings.Contains(all.String(), `"outcome":"`+outcome+`"`) {
			t.Errorf("no line with outcome %q: the test has lost its object", outcome)
		}
	}
}

// harmlessEvent is the name of an event that contains no person's name.
const harmlessEvent = "KycIdentification.Approved"

// TestPayloadLogLine: the content of the log line of a payload.
func TestPayloadLogLine(t *testing.T) {
	all := &sink{}
	receipt := kycbridge.Receipt{Status: "accepted", PayloadID: "p", VerificationID: "v", Event: harmlessEvent,
		Placement: "basic"}
	base := serve(t, NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil),
		Receiver: answerWith(receipt, nil), Logger: all.logger()}))
	post(t, base+acme, "{  }", nil)
	deadline := time.Now().Add(2 * time.Second * wait.Slowdown)
	for all.String() == "" && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // the line is written after the response
	}
	line := all.String()
	if strings.Count(line, "\n") != 1 {
		t.Errorf("not one line: %s", line)
	}
	for _, want := range []string{`"level":"info"`, `"provider":"ondato"`, `"account":"acme"`, `"payload_id":"p"`,
		`"verification_id":"v"`, `"placement":"basic"`,
		`"bytes":4`, `"outcome":"accepted"`, `"reason":""`, `"status":200`, `"took":`, `"event":"` + harmlessEvent + `"`} {
		if !strings.Contains(line, want) {
			t.Errorf("%s is missing in %s", want, line)
		}
	}
}
