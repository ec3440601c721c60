package test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"kycbridge/internal/app"
	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

// TestMetricsOfPromises: metrics for the backlog, the quarantine by reason, the health of the process and
// its disk space.
func TestMetricsOfPromises(t *testing.T) {
	t.Parallel()
	listen, dir := freeport.Address(t), t.TempDir()
	path := filepath.Join(t.TempDir(), "kycbridge.yaml")
	writeFile(t, path, fmt.Sprintf("listen: %s\nadmin: {listen: '127.0.0.1:0'}\nembedded: {listen: "+
		"'127.0.0.1:0'}\ndata_dir: %s\naccounts:\n  - {name: acme, provider: ondato, environment: test, auth: {bearer: "+
		"[%s]}}\n", listen, dir, worldCallback))
	config, err := app.LoadConfig(path, nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	run := func(roles app.Roles) *world {
		a, err := app.Start(t.Context(), config, roles, zap.NewNop(), app.WithVersion("v1.2.3"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Stop)
		return &world{t: t, app: a}
	}
	bearer := http.Header{"Authorization": {"Bearer " + worldCallback}}

	w := run(app.Roles{Receive: true}) // it does not process its payloads
	for _, body := range []string{`{"id": `, `{"not": "known"}`, string(kycHook(1, 1, "Updated", "Approved", "")),
		string(kycHook(2, 1, "Updated", "Approved", ""))} {
		if status := w.post("ondato", bearer, []byte(body)); status != http.StatusOK {
			t.Fatalf("answered %d", status)
		}
	}
	if status := w.post("ondato", bearer,
		regexp.MustCompile(`"status":"[^"]*"`).ReplaceAll(kycHook(3, 1, "Updated", "Approved", ""),
			[]byte(`"status":7`))); status != http.StatusOK {
		t.Fatalf("answered %d", status)
	}
	wait.For(t, 10*time.Second, "payloads that wait", func() bool {
		return w.sample(`kycbridge_backlog_payloads`) == 2 && w.sample(`kycbridge_backlog_oldest_seconds`) > 0.5
	})
	for series, want := range map[string]float64{
		`kycbridge_quarantined_total{account="acme",provider="ondato",reason="malformed"}`:    1,
		`kycbridge_quarantined_total{account="acme",provider="ondato",reason="unidentified"}`: 1,
		`kycbridge_quarantined_total{account="acme",provider="ondato",reason="schema"}`:       1,
		`kycbridge_ready{part="store"}`:    1,
		`kycbridge_ready{part="receiver"}`: 1,
		`kycbridge_build_info{goversion="` + runtime.Version() + `",mapping="` + app.Mapping + `",version="v1.2.3"}`: 1,
	} {
		if got := w.sample(series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	stored := w.sample("kycbridge_embedded_store_bytes")
	free, size := w.sample("kycbridge_embedded_disk_free_bytes"), w.sample("kycbridge_embedded_disk_bytes")
	if stored < 1000 || free <= 0 || size <= free {
		t.Errorf("the store holds %v bytes, %v of %v are free", stored, free, size)
	}
	w.app.Stop()

	w = run(app.AllRoles())
	wait.For(t, 10*time.Second, "nothing waits", func() bool {
		return w.sample(`kycbridge_backlog_payloads`) == 0 && w.sample(`kycbridge_backlog_oldest_seconds`) == 0
	})
	if got := w.sample(`kycbridge_ready{part="bus"}`); got != 1 {
		t.Errorf("the bus is ready: %v", got)
	}
}

// sample is the scraped value of a series; -2 if the series does not exist.
func (w *world) sample(series string) float64 {
	w.t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindSubmatch(w.scraped())
	if m == nil {
		return -2
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// scraped is the text of /metrics.
func (w *world) scraped() []byte {
	w.t.Helper()
	res, err := http.Get("http://" + w.app.AdminAddr() + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// TestStrangersAreCounted: requests of the API and sign-ins at the console without a valid token are counted, and no
// others.
func TestStrangersAreCounted(t *testing.T) {
	t.Parallel()
	const tries = 30
	w := newWorld(t, worldOptions{})
	ask := func(method, path, token, form string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.app.AdminAddr()+path, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	for range tries {
		ask("GET", "/v1/payloads/report", "wrong", "")
	}
	ask("POST", "/v1/verifications", "", "{}")
	ask("POST", "/console/sign-in", "", "token=wrong")
	ask("GET", "/v1/config/diff", worldToken, "")
	ask("POST", "/console/sign-in", "", "token="+worldToken)
	ask("GET", "/v1/openapi.json", "", "")
	for where, want := range map[string]float64{"api": tries + 1, "console": 1} {
		if got := w.sample(`kycbridge_admin_refused_total{where="` + where + `"}`); got != want {
			t.Errorf("%g requests without a token are counted at the %s, want %g", got, where, want)
		}
	}
}
