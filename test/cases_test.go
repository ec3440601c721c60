package test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge/internal/app"
	"kycbridge/test/fixture"
	"kycbridge/test/wait"
)

// caseRun is one outside case, run with its own account.
type caseRun struct {
	fixture.Outside
	name    string // of the subtest
	account string
	profile string

	answer caseAnswer        // to the last callback
	events []json.RawMessage // in the order of the stream
	kept   []string          // the reasons for which the quarantine keeps bodies
}

// caseAnswer is the answer to a callback.
type caseAnswer struct {
	code   int
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// TestCases runs every case from outside through one kycbridge: real callbacks, real requests to a
// provider's API, the events as a consumer reads them. The expected results are in fixture/cases; the judge
// uses no code of the product.
//
// All cases run their steps concurrently, each with its own account. A step ends when everything that
// follows from it is processed.
func TestCases(t *testing.T) {
	t.Parallel()
	runs := caseRuns(t)
	w := newCaseWorld(t, runs)
	for step := 0; ; step++ {
		var under []*caseRun
		for _, run := range runs {
			if step < len(run.Steps) {
				under = append(under, run)
			}
		}
		if len(under) == 0 {
			break
		}
		w.take(t, under, step)
	}
	for _, run := range runs {
		w.read(t, run)
		t.Run(run.name, func(t *testing.T) { run.report(t) })
	}
}

// report fails the test if the events are not what the case requires.
func (run *caseRun) report(t *testing.T) {
	faults := run.judge()
	if len(faults) == 0 {
		return
	}
	last := "no event"
	if n := len(run.events); n > 0 {
		last = fmt.Sprintf("%d events, the last is\n%s", n, run.events[n-1])
	}
	t.Errorf("%s (%s):\n  %s\n%s", run.Kind, run.Why, strings.Join(faults, "\n  "), last)
}

// caseRuns are the runs of the cases, one for each profile of a case.
func caseRuns(t *testing.T) []*caseRun {
	t.Helper()
	cases, err := fixture.LoadOutside()
	if err != nil {
		t.Fatal(err)
	}
	token := regexp.MustCompile(`[^A-Za-z0-9_]+`)
	var runs []*caseRun
	for _, c := range cases {
		profiles := c.Profiles
		if len(profiles) == 0 {
			profiles = []string{"full"}
		}
		for _, profile := range profiles {
			name := token.ReplaceAllString(c.Case, "-")
			if len(profiles) > 1 {
				name += "-" + profile
			}
			runs = append(runs, &caseRun{Outside: c, name: c.Provider + "/" + name, account: strings.ToLower(name),
				profile: profile})
		}
	}
	return runs
}

// caseWorld is kycbridge with the accounts of all cases, and the providers' APIs around it.
type caseWorld struct {
	app *app.App
	js  jetstream.JetStream
}

func newCaseWorld(t *testing.T, runs []*caseRun) *caseWorld {
	t.Helper()
	api := newCasesAPI(t, runs)
	var accounts []map[string]any
	for _, run := range runs {
		accounts = append(accounts, run.configuration(api))
	}
	file, err := json.Marshal(map[string]any{ // JSON is YAML
		"listen": "127.0.0.1:0", "data_dir": t.TempDir(), "accounts": accounts,
		"admin":    map[string]any{"listen": "127.0.0.1:0", "tokens": []string{worldToken}},
		"embedded": map[string]any{"listen": "127.0.0.1:0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kycbridge.yaml")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := app.LoadConfig(path, nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	w := &caseWorld{}
	if w.app, err = app.Start(t.Context(), config, app.AllRoles(), zap.NewNop()); err != nil {
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

// configuration is the account of a case. A provider is polled only by a step: for cases with a second poll it
// follows soon, for all others it is far in the future.
func (run *caseRun) configuration(api *casesAPI) map[string]any {
	account := map[string]any{
		"name": run.account, "provider": run.Provider, "environment": "test", "pii": run.profile, "confirm": false,
		"auth": map[string]any{"headers": []map[string]any{{"name": "X-Api-Key", "value": worldCallback}}},
	}
	if run.API != nil {
		delete(account, "confirm")
		account["api"] = api.section(run)
		interval := "10m"
		if run.Steps[0].Looks > 1 {
			interval = "100ms"
		}
		account["poll"] = map[string]any{"interval": interval, "rechecks": []string{interval}}
		account["limits"] = map[string]any{"requests_per_second": 100}
	}
	for key, value := range run.Account {
		account[key] = value
	}
	return account
}

// take runs one step of every case, and waits until everything that follows from it is processed.
func (w *caseWorld) take(t *testing.T, runs []*caseRun, step int) {
	t.Helper()
	var all sync.WaitGroup
	turn := make(chan struct{}, 8)
	for _, run := range runs {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			if err := w.begin(t.Context(), run, run.Steps[step]); err != nil {
				t.Errorf("%s, step %d: %v", run.name, step+1, err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for deadline := time.Now().Add(2 * wait.Slowdown * time.Minute); ; {
		waits := w.waitsFor(t, runs, step)
		backlog, _, err := w.app.Progress(t.Context())
		if waits == "" && err == nil && backlog == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("step %d does not end: %s has not been looked at as it should, %d payloads wait, %v", step+1,
				cmp.Or(waits, "none"), backlog, err)
		}
		select {
		case err := <-w.app.Failed():
			t.Fatalf("kycbridge has ended by itself: %v", err)
		case <-time.After(50 * time.Millisecond): // the metrics of all accounts are large
		}
	}
}

// waitsFor names a case whose provider was polled less often than the step requires; "" if no case is.
func (w *caseWorld) waitsFor(t *testing.T, runs []*caseRun, step int) string {
	t.Helper()
	looked := w.looked(t)
	for _, run := range runs {
		want, total := run.Steps[step], 0
		outcomes := looked[run.Provider+"/"+run.account]
		for _, n := range outcomes {
			total += n
		}
		if total < want.Looks || want.Look != "" && outcomes[want.Look] == 0 {
			return run.name
		}
	}
	return ""
}

// begin performs the action of a step.
func (w *caseWorld) begin(ctx context.Context, run *caseRun, step fixture.Step) error {
	if step.Post != "" {
		body, err := fixture.OutsideBody(run.Provider, step.Post)
		if err != nil {
			return err
		}
		url := "http://" + w.app.CallbackAddr() + "/webhooks/" + run.Provider + "/" + run.account
		run.answer = caseAnswer{}
		run.answer.code, err = send(ctx, url, "X-Api-Key", worldCallback, body, &run.answer)
		return err
	}
	if step.Watch == nil {
		return nil // a step that only waits
	}
	request := map[string]any{"provider": run.Provider, "account": run.account, "reference": run.Reference}
	if step.Watch.ExternalReference != "" {
		request["external_reference"] = step.Watch.ExternalReference
	}
	if in, err := time.ParseDuration(step.Watch.DeadlineIn); err == nil {
		request["deadline"] = time.Now().Add(in).UTC().Format(time.RFC3339Nano)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	code, err := send(ctx, "http://"+w.app.AdminAddr()+"/v1/watches", "Authorization", "Bearer "+worldToken, body,
		&struct{}{})
	if err == nil && code != http.StatusAccepted {
		err = fmt.Errorf("the watch was answered %d", code)
	}
	return err
}

// send posts a body with one header and decodes the answer.
func send(ctx context.Context, url, header, value string, body []byte, answer any) (code int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(header, value)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err == nil && json.Unmarshal(raw, answer) != nil {
		err = fmt.Errorf("answered %d %s", res.StatusCode, raw)
	}
	return res.StatusCode, err
}

// looksLine matches a sample of the counter of polls of providers' APIs.
var looksLine = regexp.MustCompile(`(?m)^kycbridge_poll_looks_total\{account="([^"]+)",outcome="([^"]*)",provider="([^"]+)"\} ([0-9]+)$`)

// looked is how often each account's API has been polled: by provider and account, then by outcome.
func (w *caseWorld) looked(t *testing.T) map[string]map[string]int {
	t.Helper()
	raw := w.get(t, "/metrics")
	looked := map[string]map[string]int{}
	for _, found := range looksLine.FindAllSubmatch(raw, -1) {
		account := string(found[3]) + "/" + string(found[1])
		if looked[account] == nil {
			looked[account] = map[string]int{}
		}
		looked[account][string(found[2])], _ = strconv.Atoi(string(found[4])) // the expression matches only digits
	}
	return looked
}

// read fetches the published events of a case, and the reasons of its quarantined bodies.
func (w *caseWorld) read(t *testing.T, run *caseRun) {
	t.Helper()
	stream, err := w.js.Stream(t.Context(), "KYC_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); ; {
		m, err := stream.GetMsg(t.Context(), seq,
			jetstream.WithGetMsgSubject("kyc.event.v1."+run.Provider+"."+run.account+".>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		run.events = append(run.events, m.Data)
		seq = m.Sequence + 1
	}
	if run.Expect.KeptQuarantine == "" {
		return
	}
	path := "/v1/payloads?status=quarantined&provider=" + run.Provider + "&account=" + run.account
	for line := range bytes.Lines(w.get(t, path)) { // an object each
		var kept struct {
			Reason string `json:"reason"`
		}
		if err := json.Unmarshal(line, &kept); err != nil {
			t.Fatal(err)
		}
		run.kept = append(run.kept, kept.Reason)
	}
}

// get sends a GET request to the operators' listener.
func (w *caseWorld) get(t *testing.T, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.app.AdminAddr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+worldToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s was answered %d %s, %v", path, res.StatusCode, raw, err)
	}
	return raw
}

// TestCasesAreWhole: every outside body is used by a case, and every case names existing bodies and has expectations.
func TestCasesAreWhole(t *testing.T) {
	rows, err := fixture.LoadOutside()
	if err != nil {
		t.Fatal(err)
	}
	used, names := map[string]bool{}, map[string]bool{}
	for _, row := range rows {
		files := slices.Collect(maps.Values(row.API))
		for _, step := range row.Steps {
			if step.Post != "" {
				files = append(files, step.Post)
			}
		}
		for _, file := range files {
			if _, err := fixture.OutsideBody(row.Provider, file); err != nil {
				t.Errorf("%s/%s: %v", row.Provider, row.Case, err)
			}
			used[row.Provider+"/"+file] = true
		}
		if names[row.Provider+"/"+row.Case] {
			t.Errorf("%s/%s occurs twice", row.Provider, row.Case)
		}
		names[row.Provider+"/"+row.Case] = true
		if reflect.DeepEqual(row.Expect, fixture.Expect{}) || len(row.Steps) == 0 {
			t.Errorf("%s/%s demands nothing", row.Provider, row.Case)
		}
	}
	for _, provider := range everyProvider {
		files, err := fixture.OutsideBodies(provider)
		if err != nil || len(files) == 0 {
			t.Errorf("%s: %d bodies, %v", provider, len(files), err)
		}
		for _, file := range files {
			if !used[provider+"/"+file] {
				t.Errorf("%s/%s is used by no case", provider, file)
			}
		}
	}
}
