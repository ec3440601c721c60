package test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.yaml.in/yaml/v3"

	"kycbridge/test/wait"
)

// alertRules is deploy/prometheus/alerts.yml, decoded strictly.
type alertRules struct {
	Groups []struct {
		Name  string
		Rules []alertRule
	}
}

type alertRule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func loadAlerts(t *testing.T) []alertRule {
	t.Helper()
	path := filepath.Join(docsRoot, "deploy", "prometheus", "alerts.yml")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rules []alertRule
	for _, g := range strictly[alertRules](t, path, raw).Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// dashboardExpressions are the queries of the Grafana dashboard by the title of their panel.
func dashboardExpressions(t *testing.T) map[string][]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(docsRoot, "deploy", "grafana", "dashboards", "kycbridge.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UID, Title string
		Templating struct {
			List []struct{ Name, Definition string }
		}
		Panels []struct {
			ID          int
			Type, Title string
			Datasource  struct{ UID string }
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	out, ids := map[string][]string{}, map[int]bool{}
	for _, v := range d.Templating.List {
		metric, _, _ := strings.Cut(strings.TrimPrefix(v.Definition, "label_values("), ",")
		out["variable "+v.Name] = []string{fmt.Sprintf("sum by (%s) (%s)", v.Name, metric)}
	}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels with id %d", p.ID)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if p.Datasource.UID != "prometheus" || len(p.Targets) == 0 {
			t.Errorf("panel %q asks %q, %d times", p.Title, p.Datasource.UID, len(p.Targets))
		}
		for _, target := range p.Targets {
			out[p.Title] = append(out[p.Title], target.Expr)
		}
	}
	if d.UID == "" || len(out) < 10 {
		t.Errorf("dashboard %q has %d panels", d.UID, len(out))
	}
	return out
}

// everyMetric runs kycbridge with simulated providers until every metric has a sample, and returns the labels of
// every metric. up and ALERTS are metrics of Prometheus itself.
func everyMetric(t *testing.T) map[string][]string {
	t.Helper()
	private, _ := newSigningKey(t)
	key := filepath.Join(t.TempDir(), "log.key")
	writeFile(t, key, private)
	w := newWorld(t, worldOptions{top: "integrity: {log: true, signing_key_file: " + key + "}\n"})
	for provider := range w.sims {
		w.start(provider, "ref-1")
	}
	w.post("ondato", http.Header{},
		[]byte(`{}`)) // refused
	w.post("ondato", genuine("ondato"),
		[]byte(`{"not": "known"}`)) // quarantined
	w.post("ondato", genuine("ondato"),
		// with an unknown member
		[]byte(`{"id": "e1", "createdUtc": "2026-03-02T09:00:00Z", "type": "Form.Created", "payload": {"id": "f1"}, "tenant": 1}`))
	reader, err := nats.Connect(w.app.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	if _, err := reader.Request("$JS.API.INFO", nil, 5*time.Second); err != nil {
		t.Error(err)
	}
	var seen map[string][]string
	wait.For(t, 30*time.Second, "metrics of everything that happens", func() bool {
		seen = scrape(t, "http://"+w.app.AdminAddr()+"/metrics")
		for _, name := range []string{"kycbridge_events_total", "kycbridge_payloads_without_event_total",
			"kycbridge_poll_looks_total", "kycbridge_provider_calls_total", "kycbridge_payloads_total",
			"kycbridge_new_values_total", "kycbridge_quarantined_total", "kycbridge_reader_requests_total"} {
			if len(seen[name]) == 0 {
				return false
			}
		}
		return true
	})
	// Counted only after internal errors, with TLS or with OAuth 2; their labels are in internal/app/metrics.go.
	for _, name := range []string{"kycbridge_process_failures_total", "kycbridge_unmapped_statuses_total",
		"kycbridge_provider_paused", "kycbridge_tls_handshake_failures_total", "kycbridge_oauth2_tokens_total",
		"kycbridge_tls_certificate_expiry_timestamp_seconds"} {
		if len(seen[name]) > 0 {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(docsRoot, "internal", "app", "metrics.go"))
		if err != nil {
			t.Fatal(err)
		}
		labels := regexp.MustCompile(`"` + name + `",\s+Help:\s+(?:"[^"]*"[\s+]*)+\},\s*\[\]string\{([^}]*)\}`).FindSubmatch(raw)
		if labels == nil {
			t.Errorf("%s is not declared", name)
			continue
		}
		seen[name] = strings.Split(strings.ReplaceAll(string(labels[1]), `"`, ""), ", ")
	}
	seen["up"] = nil
	return seen
}

// scrape reads the text format; only names and labels are used.
func scrape(t *testing.T, url string) map[string][]string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string][]string{}
	sample := regexp.MustCompile(`^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$`)
	label := regexp.MustCompile(`([a-zA-Z_]\w*)="`)
	for line := range strings.Lines(string(text)) {
		m := sample.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		if _, ok := seen[m[1]]; !ok {
			seen[m[1]] = []string{}
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(seen[m[1]], l[1]) {
				seen[m[1]] = append(seen[m[1]], l[1])
			}
		}
	}
	return seen
}

// query is the parsed content of an expression.
type query struct {
	metrics []string
	labels  []string            // of matchers and of by
	values  map[string][]string // compared with a label
}

// promWords are words of PromQL that occur in the place of a metric.
var promWords = []string{"by", "on", "or", "and", "unless", "offset", "without", "ignoring", "group_left",
	"group_right", "le", "bool"}

// parseQuery reads the names in an expression. promtool checks whether the expression is valid.
func parseQuery(expr string) query {
	q := query{values: map[string][]string{}}
	matcher := regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	expr = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllStringFunc(expr, func(s string) string {
		for _, m := range matcher.FindAllStringSubmatch(s, -1) {
			q.labels = append(q.labels, m[1])
			if !strings.Contains(m[2], "$") {
				q.values[m[1]] = append(q.values[m[1]], strings.Split(m[2], "|")...)
			}
		}
		return ""
	})
	expr = regexp.MustCompile(`\b(?:by|on)\s*\(([^)]*)\)`).ReplaceAllStringFunc(expr, func(s string) string {
		inside := s[strings.Index(s, "(")+1 : len(s)-1]
		// on () has none
		for l := range strings.FieldsFuncSeq(inside, func(r rune) bool { return r == ',' || r == ' ' }) {
			q.labels = append(q.labels, l)
		}
		return ""
	})
	expr = regexp.MustCompile(`\[[^\]]*\]|\boffset\s+\w+`).ReplaceAllString(expr, "")
	for _, m := range regexp.MustCompile(`[a-zA-Z_]\w*\s*\(?`).FindAllString(expr, -1) {
		name := strings.TrimSpace(m)
		if !strings.HasSuffix(name, "(") && !slices.Contains(promWords, name) {
			q.metrics = append(q.metrics, name)
		}
	}
	return q
}

// TestDeployMetrics looks up every metric, label and label value of the alerts and the dashboard in the output of a
// run and in the program.
func TestDeployMetrics(t *testing.T) {
	seen := everyMetric(t)
	program := sourceText(t)
	queries := dashboardExpressions(t)
	for _, r := range loadAlerts(t) {
		queries["alert "+r.Alert] = []string{r.Expr}
	}
	used, checked := map[string]bool{}, 0
	for where, expressions := range queries {
		for _, expr := range expressions {
			q := parseQuery(expr)
			if len(q.metrics) == 0 {
				t.Errorf("%s asks for no metric: %s", where, expr)
			}
			known := []string{"job", "instance"} // of Prometheus
			for _, name := range q.metrics {
				labels, ok := seen[name]
				if !ok {
					t.Errorf("%s: there is no metric %s", where, name)
				}
				known, used[name] = append(known, labels...), true
				checked++
			}
			for _, l := range q.labels {
				if !slices.Contains(known, l) {
					t.Errorf("%s: %v has no label %s", where, q.metrics, l)
				}
			}
			for label, values := range q.values {
				for _, v := range values {
					if label != "job" && !strings.Contains(program, `"`+v+`"`) {
						t.Errorf("%s: the program knows no %s %q", where, label, v)
					}
				}
			}
		}
	}
	for name := range seen {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "kycbridge_") && !used[name] && !used[base+"_bucket"] {
			t.Errorf("nothing shows %s", name)
		}
	}
	guide, err := os.ReadFile(filepath.Join(docsRoot, "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`(kycbridge_[a-z_]+)`").FindAllStringSubmatch(string(guide), -1) {
		if _, ok := seen[m[1]]; !ok && seen[m[1]+"_bucket"] == nil {
			t.Errorf("docs/operate.md speaks of %s, which is no metric", m[1])
		}
	}
	for name := range seen {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "kycbridge_") && !strings.Contains(string(guide), "`"+base+"`") {
			t.Errorf("docs/operate.md does not speak of %s", base)
		}
	}
	t.Logf("%d uses of %d metrics", checked, len(used))
}

// sourceText is all Go code of the program.
func sourceText(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(docsRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		b.Write(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestDeployAlerts compares the rules with the page that describes the actions for them.
func TestDeployAlerts(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join(docsRoot, "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, r := range loadAlerts(t) {
		if names[r.Alert] {
			t.Errorf("two alerts are called %s", r.Alert)
		}
		names[r.Alert] = true
		if !strings.Contains(string(guide), "`"+r.Alert+"`") {
			t.Errorf("docs/operate.md does not say what to do about %s", r.Alert)
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has severity %q", r.Alert, s)
		}
		if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
			t.Errorf("%s: %v", r.Alert, err)
		}
		if r.Annotations["summary"] == "" {
			t.Errorf("%s has no summary", r.Alert)
		}
		if strings.Count(r.Expr, "(") != strings.Count(r.Expr, ")") {
			t.Errorf("%s: brackets do not match", r.Alert)
		}
	}
	for _, m := range regexp.MustCompile("`(Kycbridge[A-Za-z]+)`").FindAllStringSubmatch(string(guide), -1) {
		if !names[m[1]] {
			t.Errorf("docs/operate.md speaks of %s, which is no alert", m[1])
		}
	}
	for _, pattern := range []string{"deploy/grafana/provisioning/*/*.yaml", "deploy/prometheus/*.yml"} {
		files, err := filepath.Glob(filepath.Join(docsRoot, pattern))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: %v, %v", pattern, files, err)
		}
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var doc any
			if err := yaml.Unmarshal(raw, &doc); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
}

// TestDeployPromtool has promtool check rules and configuration and run the rules on invented series.
func TestDeployPromtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		promtool, err = exec.LookPath(filepath.Join(os.TempDir(), "kycbridge-ci-bin", "promtool")) // .ci/run installs it
	}
	if err != nil {
		t.Skip("promtool is not on this machine (Debian: apt-get install prometheus; .ci/run fetches it): the expressions " +
			"are not parsed")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"check", "config", "prometheus.yml"},
		{"test", "rules", "alerts_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = filepath.Join(docsRoot, "deploy", "prometheus")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	// The dashboard's queries become rules, so that promtool checks them.
	var rules []map[string]string
	for title, expressions := range dashboardExpressions(t) {
		for i, expr := range expressions {
			rules = append(rules, map[string]string{
				"record": "panel:" + regexp.MustCompile(`\W+`).ReplaceAllString(title, "_") + fmt.Sprint("_", i),
				"expr":   strings.ReplaceAll(expr, "$__rate_interval", "5m")})
		}
	}
	raw, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dashboard.yml")
	writeFile(t, path, string(raw))
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("dashboard: %v\n%s", err, out)
	}
}
