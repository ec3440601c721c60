package test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/simulate"
	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

// The secrets of the worlds.
const (
	worldToken    = "synthetic-ops-token"
	worldCallback = "synthetic-callback-secret"
)

// world is kycbridge in this process with simulated providers around it.
type world struct {
	t    *testing.T
	app  *app.App
	sims map[string]*simulate.Server
	js   jetstream.JetStream
}

// worldOptions are the differences from a well-behaved world at 600 times real speed.
type worldOptions struct {
	speed    float64 // how much faster than real time; 0 means 600
	simulate func(provider string, o *simulate.Options)
	account  string // further lines of every account, indented by four
	top      string // further lines of the configuration
}

// newWorld starts the simulated providers and kycbridge, with one account acme at each.
func newWorld(t *testing.T, o worldOptions) *world {
	t.Helper()
	listen := freeport.Address(t)
	w := &world{t: t, sims: map[string]*simulate.Server{}}
	var file strings.Builder
	fmt.Fprintf(&file, "listen: %s\nadmin: {listen: '127.0.0.1:0', tokens: [%s]}\npublic_url: http://%s\ndata_dir: "+
		"%s\nembedded: {listen: '127.0.0.1:0'}\n%saccounts:\n",
		listen, worldToken, listen, t.TempDir(), o.top)
	for _, simulated := range app.Simulated() {
		provider := simulated.Name
		options := simulate.Options{Speed: cmp.Or(o.speed, 600), CallbackURL: "http://" + listen + "/webhooks/" + provider +
			"/acme", Credentials: simulate.Credentials{Callback: worldCallback}}
		if o.simulate != nil {
			o.simulate(provider, &options)
		}
		s, err := simulate.Start(simulated, options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		w.sims[provider] = s
		fmt.Fprintf(&file, "  - name: acme\n    provider: %s\n    environment: test\n    auth: %s\n    api: %s\n    "+
			"limits: {requests_per_second: 200, concurrency: 4}\n",
			provider, s.Auth(), s.APIText())
		if !strings.Contains(o.account, "poll:") {
			file.WriteString("    poll: {interval: 150ms, deadline: 20s, rechecks: [200ms, 400ms, 1s]}\n")
		}
		file.WriteString(o.account)
	}
	path := filepath.Join(t.TempDir(), "kycbridge.yaml")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := app.LoadConfig(path, nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	log := zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
	if w.app, err = app.Start(t.Context(), config, app.AllRoles(), log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.app.Stop)
	nc, err := nats.Connect(w.app.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if w.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return w
}

// api calls the operators' API and decodes the answer into answer.
func (w *world) api(method, path, body string, answer any) (status int) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.app.AdminAddr()+path,
		strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+worldToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if answer != nil {
		if err := json.Unmarshal(raw, answer); err != nil {
			w.t.Fatalf("%s %s answered %d: %s", method, path, res.StatusCode, raw)
		}
	}
	return res.StatusCode
}

// start starts a verification over the API.
func (w *world) start(provider, externalReference string) kycbridge.StartReceipt {
	w.t.Helper()
	var receipt kycbridge.StartReceipt
	body := fmt.Sprintf(`{"provider":%q,"account":"acme","external_reference":%q,"person":{"given_name":"Testa","family_name":"Sample","birthdate":"1990-02-01","phone_number":"+915550100001","email":"testa@example.com"}}`, provider, externalReference)
	if status := w.api(http.MethodPost, "/v1/verifications", body, &receipt); status != http.StatusCreated ||
		receipt.Reference == "" {
		w.t.Fatalf("start at %s answered %d: %+v", provider, status, receipt)
	}
	return receipt
}

// watch requests a watch of a verification that was started elsewhere.
func (w *world) watch(provider, reference string) (verificationID string) {
	w.t.Helper()
	var receipt struct {
		VerificationID string `json:"verification_id"`
	}
	body := fmt.Sprintf(`{"provider":%q,"account":"acme","reference":%q}`, provider, reference)
	if status := w.api(http.MethodPost, "/v1/watches", body, &receipt); status != http.StatusAccepted {
		w.t.Fatalf("watch at %s answered %d", provider, status)
	}
	return receipt.VerificationID
}

// post sends a callback to kycbridge.
func (w *world) post(provider string, header http.Header, body []byte) (status int) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost,
		"http://"+w.app.CallbackAddr()+"/webhooks/"+provider+"/acme", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header = header.Clone()
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// genuine is the credential that a simulated provider presents.
func genuine(provider string) http.Header {
	r := http.Request{Header: http.Header{}}
	switch provider {
	case "ondato":
		r.SetBasicAuth("ondato", worldCallback)
	case "signzy":
		r.Header.Set("Authorization", worldCallback)
	default:
		r.Header.Set("Authorization", "Bearer "+worldCallback)
	}
	return r.Header
}

// events are the published revisions of a verification, in order.
func (w *world) events(verificationID string) []event.Event {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*wait.Slowdown*time.Second)
	defer cancel()
	stream, err := w.js.Stream(ctx, "KYC_EVENTS")
	if err != nil {
		w.t.Fatal(err)
	}
	var events []event.Event
	for seq := uint64(1); ; {
		raw, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject("kyc.event.v1.*.*.*."+verificationID))
		if err != nil {
			return events
		}
		e, err := event.Decode(raw.Data)
		if err != nil {
			w.t.Fatal(err)
		}
		events = append(events, e)
		seq = raw.Sequence + 1
	}
}

// until waits until a verification has a required state.
func (w *world) until(verificationID, what string, is func(events []event.Event) bool) []event.Event {
	w.t.Helper()
	deadline := time.Now().Add(120 * wait.Slowdown * time.Second)
	for {
		events := w.events(verificationID)
		if is(events) {
			return events
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s; the events were\n%s", what, historyOf(events))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// last is the newest revision, or the zero event.
func last(events []event.Event) event.Event {
	if len(events) == 0 {
		return event.Event{}
	}
	return events[len(events)-1]
}

// historyOf is a history for messages.
func historyOf(events []event.Event) string {
	var b strings.Builder
	for _, e := range events {
		d := e.Data
		fmt.Fprintf(&b, "  r%d %s/%s %s final=%v stage=%s via=%s %s %v\n", d.Revision, d.Status, d.StatusDetail,
			d.Decision.Outcome, d.Decision.Final, d.Decision.Stage, d.Provider.Event.Via, d.Provider.Event.Name, d.Reasons)
	}
	return b.String()
}

// settled waits until the simulated provider has no pending callback and kycbridge no unprocessed payload.
func (w *world) settled(provider string) {
	w.t.Helper()
	for deadline := time.Now().Add(120 * wait.Slowdown * time.Second); ; time.Sleep(20 * time.Millisecond) {
		backlog, _, err := w.app.Progress(w.t.Context())
		if err == nil && backlog == 0 && w.sims[provider].Stats().Waiting == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s never settled: backlog %d, %v, %+v", provider, backlog, err, w.sims[provider].Stats())
		}
	}
}

// simulatedProvider is the simulated provider of this name.
func simulatedProvider(t *testing.T, name string) simulate.Provider {
	t.Helper()
	for _, p := range app.Simulated() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no simulated %s", name)
	return simulate.Provider{}
}
