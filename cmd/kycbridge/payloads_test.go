package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
	"kycbridge/test/fixture"
	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

// scriptConfig is the configuration of the scripts. $DATA and $PORT are replaced.
const scriptConfig = `listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0", tokens: [hunter2-token]}
data_dir: $DATA
embedded: {listen: "127.0.0.1:$PORT", users: [{username: guest, password: password-of-guest}]}
accounts:
  - name: acme
    provider: ondato
    environment: test
    auth: {basic: [{username: callbacks, password: hunter2-basic}]}
  - name: acme
    provider: signzy
    environment: test
    auth: {keys: [hunter2-signzy-key]}
    confirm: false
`

// personal are values of the payloads that may be shown only with --reveal.
var personal = []string{"TESTA", "hunter2"}

// stored is a running bridge with payloads of every status, for one script.
type stored struct {
	app  *app.App
	dir  string
	port string
	env  *testscript.Env
}

// TestPayloadScripts runs command lines on a real store, while serve is running.
func TestPayloadScripts(t *testing.T) {
	bin := filepath.Dir(program)
	type key struct{}
	of := func(ts *testscript.TestScript) *stored { return ts.Value(key{}).(*stored) }
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			s, err := seeded(env, freeport.New(t))
			if err != nil {
				return err
			}
			env.Values[key{}] = s
			env.Defer(s.stop)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"lines":    linesCommand,
			"json":     jsonCommand,
			"discreet": noPersonalDataCommand,
			"lose":     func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(of(ts).lose()) },
			"misplace": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(of(ts).quarantineValid()) },
			"send": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(of(ts).post(args[0], "hunter2-basic", []byte(ts.ReadFile(args[1])), http.StatusOK))
				ts.Check(of(ts).settle())
			},
			"settle": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(of(ts).settle()) },
			"top":    func(ts *testscript.TestScript, _ bool, _ []string) { topCommandScript(ts, of(ts)) },
			"halt":   func(ts *testscript.TestScript, _ bool, _ []string) { of(ts).stop() },
		},
	})
}

// linesCommand expects a number of lines in a file or stdout.
func linesCommand(ts *testscript.TestScript, _ bool, args []string) {
	if got := strings.Count(ts.ReadFile(args[0]), "\n"); fmt.Sprint(got) != args[1] {
		ts.Fatalf("%s has %d lines:\n%s", args[0], got, ts.ReadFile(args[0]))
	}
}

// jsonCommand expects one JSON object on every line, each with the named members.
func jsonCommand(ts *testscript.TestScript, _ bool, args []string) {
	for i, l := range strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n") {
		var object map[string]any
		if err := json.Unmarshal([]byte(l), &object); err != nil {
			ts.Fatalf("line %d of %s: %v: %s", i+1, args[0], err, l)
		}
		for _, member := range args[1:] {
			if _, ok := object[member]; !ok {
				ts.Fatalf("line %d of %s has no %s: %s", i+1, args[0], member, l)
			}
		}
	}
}

// noPersonalDataCommand expects no personal value and no secret in stdout and stderr.
func noPersonalDataCommand(ts *testscript.TestScript, _ bool, _ []string) {
	for _, name := range []string{"stdout", "stderr"} {
		for _, word := range personal {
			if strings.Contains(ts.ReadFile(name), word) {
				ts.Fatalf("%s holds %s:\n%s", name, word, ts.ReadFile(name))
			}
		}
	}
}

// seeded starts a bridge and sends it two payloads of one verification of ondato, one of signzy, one of an
// unmapped type, one that is not JSON, one that breaks the schema, and one with a wrong password.
func seeded(env *testscript.Env, port int) (*stored, error) {
	s := &stored{dir: env.WorkDir, env: env, port: strconv.Itoa(port)}
	text := strings.NewReplacer("$DATA", filepath.Join(s.dir, "data"), "$PORT", s.port).Replace(scriptConfig)
	file := filepath.Join(s.dir, "kyc.yaml")
	masked := strings.Replace(text, "confirm: false", "confirm: false\n    pii: masked", 1)
	masked = strings.Replace(masked, "password: hunter2-basic}]}",
		"password: hunter2-basic}, {username: callbacks, password: wrong}]}\n    pii: masked", 1)
	for name, text := range map[string]string{file: text, filepath.Join(s.dir, "masked.yaml"): masked,
		filepath.Join(s.dir, "token"):   "hunter2-token\n",
		filepath.Join(s.dir, "log.key"): signingKey(),
		filepath.Join(s.dir, "signed.yaml"): text + "integrity: {log: true, signing_key_file: " +
			filepath.Join(s.dir, "log.key") + "}\n",
		filepath.Join(s.dir, "live.yaml"): strings.ReplaceAll(text, "environment: test", "environment: live")} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	config, err := app.LoadConfig(file, nil, app.ProviderCatalog())
	if err != nil {
		return nil, err
	}
	if s.app, err = app.Start(env.T().(testing.TB).Context(), config, app.AllRoles(), zap.NewNop()); err != nil {
		return nil, err
	}
	env.Setenv("CONFIG", file)
	env.Setenv("CALLBACKS", "http://"+s.app.CallbackAddr())
	env.Setenv("LIVE", filepath.Join(s.dir, "live.yaml"))
	env.Setenv("SIGNED", filepath.Join(s.dir, "signed.yaml"))
	env.Setenv("ADMIN", "http://"+s.app.AdminAddr())
	env.Setenv("TOKEN", filepath.Join(s.dir, "token"))
	env.Setenv("MASKED", filepath.Join(s.dir, "masked.yaml"))
	env.Setenv("NATS", "nats://127.0.0.1:"+s.port)
	env.Setenv("VERIFICATION", event.VerificationID("ondato", "acme", "b0000000-0000-4000-8000-000000000001"))
	env.Setenv("APPROVED", "ondato.acme.e0000000-0000-4000-8000-000000000012")
	env.Setenv("NONE", "00000000-0000-5000-8000-000000000000")
	return s, s.seed()
}

// signingKey is a new key for the tamper-evident log.
func signingKey() string {
	_, secret, _ := ed25519.GenerateKey(nil)      // fails only without random numbers
	raw, _ := x509.MarshalPKCS8PrivateKey(secret) // fails only for an unknown kind of key
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

func (s *stored) seed() error {
	cases, err := fixture.Load()
	if err != nil {
		return err
	}
	bodies := map[string][]byte{}
	for _, c := range cases {
		bodies[c.Dir()] = c.Body
	}
	signzy := bytes.ReplaceAll(bodies["signzy/callback-terminated-retries-exceeded"], []byte("synthetic-callback-key"),
		[]byte("hunter2-signzy-key"))
	for _, p := range []struct {
		provider, password string
		body               []byte
		status             int
	}{
		{"ondato", "hunter2-basic", bodies["ondato/kyc-identification-created"], 200},
		{"ondato", "hunter2-basic", bodies["ondato/kyc-identification-approved"], 200},
		{"ondato", "hunter2-basic", bodies["ondato/unknown-event-type"], 200},
		{"ondato", "hunter2-basic", []byte(`{"TESTA": `), 200},
		{"ondato", "hunter2-basic", bytes.Replace(bodies["ondato/kyc-identification-created"],
			[]byte(`"status": "Unfinished"`), []byte(`"status": 17`), 1), 200},
		{"ondato", "wrong", bytes.Replace(bodies["ondato/kyc-identification-approved"], []byte("000000000012"),
			[]byte("0000000000ff"), 1), 401},
		{"signzy", "hunter2-signzy-key", signzy, 200},
	} {
		if err := s.post(p.provider, p.password, p.body, p.status); err != nil {
			return err
		}
	}
	return s.settle()
}

func (s *stored) post(provider, password string, body []byte, want int) error {
	r, err := http.NewRequest(http.MethodPost, "http://"+s.app.CallbackAddr()+"/webhooks/"+provider+"/acme",
		bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.SetBasicAuth("callbacks", password)
	if provider == "signzy" {
		r.Header.Set("Authorization", password)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != want {
		said, _ := io.ReadAll(res.Body)
		return fmt.Errorf("%s: %d %s", provider, res.StatusCode, said)
	}
	return nil
}

// settle waits until every payload is processed and every refused one is stored.
func (s *stored) settle() error {
	deadline := time.Now().Add(20 * time.Second * wait.Slowdown)
	for time.Now().Before(deadline) {
		backlog, _, err := s.app.Progress(s.env.T().(testing.TB).Context())
		if err != nil {
			return err
		}
		r, err := s.app.Archive().Account(s.env.T().(testing.TB).Context(), archive.Filter{}, nil)
		if err != nil {
			return err
		}
		lag, err := s.app.Archive().Indexing.Lag(s.env.T().(testing.TB).Context())
		if err != nil {
			return err
		}
		if backlog == 0 && r.Total.Pending == 0 && r.Total.Refused > 0 && lag.Total() == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("payloads are still being worked")
}

// lose removes the events of a verification, to simulate a loss.
func (s *stored) lose() error {
	_, err := s.app.Archive().Bus.EraseEvents(s.env.T().(testing.TB).Context(),
		kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: s.env.Getenv("VERIFICATION")})
	return err
}

// quarantineValid quarantines a valid payload, as an older schema may have done.
func (s *stored) quarantineValid() error {
	body := fixtureBody("ondato/kyc-identification-rejected")
	digest := kycbridge.Digest(body)
	_, err := s.app.Archive().ShelfWriter.Put(s.env.T().(testing.TB).Context(),
		kycbridge.Kept{Shelf: kycbridge.ShelfQuarantine, Reason: kycbridge.QuarantineSchema, Payload: kycbridge.Payload{
			ID: kycbridge.PayloadID("ondato", "acme", "", digest), Provider: "ondato", Account: "acme", Via: event.ViaCallback,
			ReceivedAt: time.Now().UTC(), Digest: digest, Body: body,
		}})
	return err
}

func (s *stored) stop() { s.app.Stop() }

func fixtureBody(dir string) []byte {
	raw, err := os.ReadFile(filepath.Join("../../test/fixture/testdata", dir, "body.json"))
	if err != nil {
		panic(err)
	}
	return raw
}
