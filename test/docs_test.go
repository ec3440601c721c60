package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"

	"kycbridge/internal/app"
	"kycbridge/internal/simulate"
)

// docsRoot is the folder of the module, relative to this one.
const docsRoot = ".."

// page is one file of documentation.
type page struct {
	path string // from the module's folder
	text string
}

// sample is a fenced block with the word in its mark, <!-- test: word -->; most blocks have no mark.
type sample struct {
	page, mark, language, text string
}

// pages reads README.md and all pages below docs.
func pages(t *testing.T) []page {
	t.Helper()
	files := []string{"README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/decisions/*.md"} {
		found, err := filepath.Glob(filepath.Join(docsRoot, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			files = append(files, strings.TrimPrefix(filepath.ToSlash(f), docsRoot+"/"))
		}
	}
	out := make([]page, 0, len(files))
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(docsRoot, f))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page{f, string(raw)})
	}
	return out
}

// samples are the blocks of all pages with the mark, at least one.
func samples(t *testing.T, mark string) []sample {
	t.Helper()
	block := regexp.MustCompile("(?ms)(?:^<!-- test: ([a-z]+) -->\n)?^```([a-z]*)\n(.*?)^```$")
	var out []sample
	for _, p := range pages(t) {
		for _, m := range block.FindAllStringSubmatch(p.text, -1) {
			if m[1] == mark {
				out = append(out, sample{p.path, m[1], m[2], m[3]})
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("no page has a block marked %q", mark)
	}
	return out
}

// TestDocsConfigurations loads every configuration of the documentation, with the variables and
// secret files that it names.
func TestDocsConfigurations(t *testing.T) {
	configs := samples(t, "config")
	t.Chdir(t.TempDir())
	for _, s := range configs {
		var environ []string
		for _, m := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(s.text, -1) {
			environ = append(environ, m[1]+"=a-synthetic-secret")
		}
		for _, m := range regexp.MustCompile(`\w+_file: (\./[\w.-]+)`).FindAllStringSubmatch(s.text, -1) {
			writeSample(t, m[1], "a-synthetic-secret\n")
		}
		if !strings.Contains(s.text, "encryption:") { // a sample shows one feature; the tests add a key for all
			s.text += "\nencryption: {key: " + strings.TrimSpace(newMasterKey(t, "sample")) + "}\n"
		}
		c := loadSample(t, s, environ)
		for _, warning := range app.Warnings(c) {
			if !strings.HasSuffix(warning, "results are only asked for") { // the pages mention this one
				t.Errorf("%s: a configuration leads to a warning: %s", s.page, warning)
			}
		}
	}
}

// loadSample loads a configuration sample from a file in the working directory.
func loadSample(t *testing.T, s sample, environ []string) *app.Config {
	t.Helper()
	writeSample(t, "kycbridge.yaml", s.text)
	c, err := app.LoadConfig("kycbridge.yaml", environ, app.ProviderCatalog())
	if err != nil {
		t.Fatalf("%s:\n%s\n%v", s.page, s.text, err)
	}
	return c
}

func writeSample(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDocsNameEveryKey compares the tables of keys with the configuration's types.
func TestDocsNameEveryKey(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(docsRoot, "docs", "configure.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range configKeys("", reflect.TypeFor[app.Config]()) {
		if !bytes.Contains(raw, []byte("`"+key+"`")) {
			t.Errorf("docs/configure.md does not name the key %s", key)
		}
	}
	for provider, settings := range app.ProviderCatalog().Settings {
		page, _ := os.ReadFile(filepath.Join(docsRoot, "docs", provider+".md")) // some providers have one
		for _, s := range settings {
			if key := []byte("`accounts[]." + s.Key + "`"); !bytes.Contains(raw, key) && !bytes.Contains(page, key) {
				t.Errorf("neither docs/configure.md nor docs/%s.md names accounts[].%s", provider, s.Key)
			}
		}
	}
}

// TestDocsNameEveryAPIKey compares the tables of api keys with the table of providers. A provider's
// table is in its section of docs/configure.md or on its own page, docs/<name>.md.
func TestDocsNameEveryAPIKey(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(docsRoot, "docs", "configure.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(raw), "\n## ")
	for provider, keys := range app.ProviderCatalog().APIKeys {
		own, err := os.ReadFile(filepath.Join(docsRoot, "docs", provider+".md"))
		about := string(own)
		if i := slices.IndexFunc(sections,
			func(s string) bool { return strings.HasPrefix(strings.ToLower(s), provider+"\n") }); i >= 0 {
			about += sections[i]
		} else if err != nil {
			t.Errorf("docs/configure.md has no section about %s, and there is no docs/%s.md", provider, provider)
			continue
		}
		for _, key := range keys {
			if !strings.Contains(about, "`api."+key+"`") {
				t.Errorf("neither docs/configure.md nor docs/%s.md names api.%s", provider, key)
			}
		}
	}
}

// TestDocsNameEveryDefault compares the defaults in the tables with those used without a file.
func TestDocsNameEveryDefault(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(docsRoot, "docs", "configure.md"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := app.LoadConfig("", nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]any{
		"listen": c.Listen, "admin.listen": c.Admin.Listen, "data_dir": c.DataDir, "embedded.listen": c.Embedded.Listen,
		"receive.max_body": c.Receive.MaxBody, "receive.concurrency": c.Receive.Concurrency,
		"receive.requests_per_second": c.Receive.RequestsPerSecond, "receive.timeout": c.Receive.Timeout,
		"receive.drain":     c.Receive.Drain,
		"normalize.workers": c.Normalize.Workers, "normalize.max_attempts": c.Normalize.MaxAttempts,
		"integrity.scrub":      c.Integrity.Scrub,
		"names.subject_prefix": c.Names.SubjectPrefix, "names.stream_prefix": c.Names.StreamPrefix,
		"names.type_prefix": c.Names.TypePrefix, "names.source_prefix": c.Names.SourcePrefix,
		"log.level": c.Log.Level, "log.format": c.Log.Format,
	} {
		row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(key) + "` \\| `?([^`|]*?)`? \\|").FindSubmatch(raw)
		if row == nil || string(row[1]) != fmt.Sprint(value) {
			t.Errorf("docs/configure.md gives %s another default than %v: %q", key, value, row)
		}
	}
}

// configKeys are the paths of all keys below a section; elements of a list are written [].
func configKeys(section string, t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "" {
			continue // the test of api keys checks these
		}
		key := strings.TrimPrefix(section+"."+name, ".")
		switch ft := t.Field(i).Type; {
		case ft.Kind() == reflect.Struct:
			out = append(out, configKeys(key, ft)...)
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct:
			out = append(out, configKeys(key+"[]", ft.Elem())...)
		default:
			out = append(out, key)
		}
	}
	return slices.DeleteFunc(out, func(key string) bool { return key == "accounts[].auth" })
}

// TestDocsNATSConfiguration reads the external server's configuration as nats-server does.
func TestDocsNATSConfiguration(t *testing.T) {
	for _, s := range samples(t, "nats") {
		file := filepath.Join(t.TempDir(), "nats.conf")
		writeSample(t, file, s.text)
		options, err := server.ProcessConfigFile(file)
		if err != nil {
			t.Fatalf("%s: %v", s.page, err)
		}
		if !options.SyncAlways || !options.JetStream || options.MaxPayload != 2<<20+64<<10 {
			t.Errorf("%s: sync always %t, JetStream %t, max_payload %d", s.page, options.SyncAlways, options.JetStream,
				options.MaxPayload)
		}
	}
}

// TestDocsCommands asks the program for help on every command in the documentation, with its flags; an unknown
// command or flag is an error. Then it runs the demo and looks for the lines that the README shows.
func TestDocsCommands(t *testing.T) {
	binary := tool(t, "kycbridge")
	seen := 0
	for _, s := range samples(t, "commands") {
		for _, words := range commands(s.text) {
			if len(words) < 3 || !slices.Equal(words[:3], []string{"go", "run", "./cmd/kycbridge"}) {
				continue
			}
			seen++
			args := words[3:]
			out, err := exec.Command(binary, append(slices.Clone(args), "--help")...).CombinedOutput()
			if err != nil || !isUsage(string(out), slices.Concat([]string{"kycbridge"}, subcommands(args))) {
				t.Errorf("%s: %s: %v\n%s", s.page, strings.Join(words, " "), err, out)
			}
		}
	}
	if seen == 0 {
		t.Error("the documentation runs no command of kycbridge")
	}

	out, err := exec.Command(binary, "demo", "--once").CombinedOutput()
	if err != nil {
		t.Fatalf("demo --once: %v\n%s", err, out)
	}
	ran := everyRun(string(out))
	for _, s := range samples(t, "demo") {
		for _, line := range everyRun(s.text) {
			if !slices.Contains(ran, line) {
				t.Errorf("%s shows a line that the demo does not print:\n%s", s.page, line)
			}
		}
	}
}

// subcommands are the words before the first flag of a command.
func subcommands(args []string) []string {
	if i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") }); i >= 0 {
		return args[:i]
	}
	return args
}

// isUsage reports whether a help text is the help of a command; a word in capitals in the usage, such as PROVIDER,
// matches any word.
func isUsage(help string, command []string) bool {
	_, usage, _ := strings.Cut(help, "Usage:\n  ")
	usage, _, _ = strings.Cut(usage, "\n")
	words := strings.Fields(strings.TrimSuffix(usage, " [flags]"))
	return slices.EqualFunc(words, command, func(is, said string) bool { return is == said || is == strings.ToUpper(is) })
}

// everyRun reduces the demo's lines to what is the same in every run. It removes the time, the revision and the
// provider's event from an event, because a callback and a poll at the same moment can arrive in either order. It
// replaces the number of calls, callbacks or events by N.
func everyRun(text string) []string {
	event := regexp.MustCompile(`^\d{4}-\d\d-\d\dT[\d:.]+Z +(.*?) +r\d+ +(\S+ +\S+(?: \(final\))?)  +[^·]*?( · .*)?$`)
	counted := regexp.MustCompile(`\d+ (calls|callbacks|events)\b`)
	var out []string
	for line := range strings.Lines(text) {
		line = event.ReplaceAllString(strings.TrimRight(line, "\n"), "$1 $2$3")
		out = append(out, counted.ReplaceAllString(line, "N $1"))
	}
	return out
}

// commands splits a shell sample into commands and words. It supports only quotes and continued lines.
func commands(text string) [][]string {
	text = strings.ReplaceAll(text, "\\\n", " ")
	word := regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)
	var out [][]string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, " #")
		words := word.FindAllString(strings.TrimSpace(line), -1)
		for i, w := range words {
			words[i] = strings.Trim(w, `'"`)
		}
		if len(words) > 0 {
			out = append(out, words)
		}
	}
	return out
}

// TestDocsFirstCallback follows the steps of the README: its configuration, its callback, its
// answer, its event.
func TestDocsFirstCallback(t *testing.T) {
	folder, err := filepath.Abs(docsRoot)
	if err != nil {
		t.Fatal(err)
	}
	first := func(mark string) sample {
		for _, s := range samples(t, mark) {
			if s.page == "README.md" {
				return s
			}
		}
		t.Fatalf("README.md has no block marked %q", mark)
		return sample{}
	}
	config, wantAnswer, wantEvent := first("config"), first("answer"), first("event")
	var callback *http.Request
	for _, s := range samples(t, "commands") {
		for _, words := range commands(s.text) {
			if s.page == "README.md" && words[0] == "curl" {
				callback = requestOf(t, folder, words[1:])
			}
		}
	}
	if callback == nil {
		t.Fatal("README.md sends no callback")
	}

	t.Chdir(t.TempDir())
	a := startSample(t, loadSample(t, config, []string{
		"KYCBRIDGE_LISTEN=127.0.0.1:0", "KYCBRIDGE_ADMIN_LISTEN=127.0.0.1:0", "KYCBRIDGE_EMBEDDED_LISTEN=127.0.0.1:0"}))
	callback.URL.Host, callback.Host = a.CallbackAddr(), ""
	answer, err := http.DefaultClient.Do(callback)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var got, want map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(wantAnswer.text), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answer is another one than in README.md (-README +answer):\n%s", diff)
	}
	checkEvent(t, a, wantEvent.text)
	checkFolders(t, folder)
}

// checkFolders checks that every folder of a stream that a page names is in the data directory: a backup that leaves
// out a folder which does not exist contains the keys of erased payloads.
func checkFolders(t *testing.T, root string) {
	t.Helper()
	named := 0
	for _, page := range []string{"operate.md", "security.md", "configure.md"} {
		raw, err := os.ReadFile(filepath.Join(root, "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`(jetstream/[^`]+/streams/[^`]+)`").FindAllSubmatch(raw, -1) {
			named++
			if _, err := os.Stat(filepath.Join("data", string(m[1]))); err != nil {
				t.Errorf("docs/%s names a folder that an embedded store does not have: %v", page, err)
			}
		}
	}
	if named == 0 {
		t.Error("no page names the folder of a stream: the test has lost its object")
	}
}

// TestDocsVerifications follows docs/verifications.md, in its order, with its configuration and its simulated
// providers: every request is answered 2xx, the first one with the receipt on the page, and the page describes what
// operators can see.
func TestDocsVerifications(t *testing.T) {
	const path = "docs/verifications.md"
	on := func(mark string) (found []sample) {
		for _, s := range samples(t, mark) {
			if s.page == path {
				found = append(found, s)
			}
		}
		return found
	}
	page, err := os.ReadFile(filepath.Join(docsRoot, path))
	if err != nil {
		t.Fatal(err)
	}
	config, receipt := on("config")[0], on("receipt")[0]
	var requests []*http.Request
	for _, s := range on("commands") {
		for _, words := range commands(s.text) {
			if words[0] == "curl" {
				requests = append(requests, requestOf(t, "", words[1:]))
			}
		}
	}
	for address, provider := range map[string]simulate.Provider{"http://127.0.0.1:9090": simulatedProvider(t, "ondato"),
		"http://127.0.0.1:9091": simulatedProvider(t, "idwise")} {
		server, err := simulate.Start(provider, simulate.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		if !strings.Contains(config.text, address) {
			t.Errorf("%s has no account at %s", path, address)
		}
		config.text = strings.ReplaceAll(config.text, address, server.URL())
	}

	t.Chdir(t.TempDir())
	a := startSample(t, loadSample(t, config, []string{
		"KYCBRIDGE_LISTEN=127.0.0.1:0", "KYCBRIDGE_ADMIN_LISTEN=127.0.0.1:0", "KYCBRIDGE_EMBEDDED_LISTEN=127.0.0.1:0"}))
	for i, r := range requests {
		if i == 1 {
			// the start has created a state
			checkEvent(t, a, regexp.MustCompile(`[0-9a-f]{8}`).FindString(receipt.text)+" acme created none")
		}
		r.URL.Host = a.AdminAddr()
		status, body := exchange(t, r)
		if status < 200 || status > 299 {
			t.Fatalf("%s: %s is answered %d: %s", path, r.URL.Path, status, body)
		}
		if i == 0 {
			checkReceipt(t, receipt.text, body)
		}
	}

	metrics := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: a.AdminAddr(), Path: "/metrics"}}
	_, body := exchange(t, metrics)
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (kycbridge_(?:poll|provider|watch)_\w+)`).FindAllSubmatch(body, -1) {
		if !bytes.Contains(page, m[1]) {
			t.Errorf("%s does not say what %s is", path, m[1])
		}
	}
}

// exchange sends a request and reads the answer.
func exchange(t *testing.T, r *http.Request) (status int, body []byte) {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err = io.ReadAll(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body
}

// checkReceipt compares receipts except for the expiry of the link, which only has to be an instant.
func checkReceipt(t *testing.T, wantText string, gotText []byte) {
	t.Helper()
	var want, got map[string]string
	if err := json.Unmarshal([]byte(wantText), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(gotText, &got); err != nil {
		t.Fatal(err)
	}
	for _, receipt := range []map[string]string{want, got} {
		if _, err := time.Parse(time.RFC3339, receipt["expires_at"]); err != nil {
			t.Errorf("the end of a link: %v", err)
		}
		delete(receipt, "expires_at")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the receipt is another one than on the page (-page +receipt):\n%s", diff)
	}
}

// startSample runs a configuration until the end of the test.
func startSample(t *testing.T, c *app.Config) *app.App {
	t.Helper()
	a, err := app.Start(t.Context(), c, app.AllRoles(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Stop)
	return a
}

// checkEvent waits for the first event and compares it with the words of a line.
func checkEvent(t *testing.T, a *app.App, line string) {
	t.Helper()
	var e struct {
		Data struct {
			VerificationID string `json:"verification_id"`
			Account        string `json:"account"`
			Status         string `json:"status"`
			Decision       struct {
				Outcome string `json:"outcome"`
			} `json:"decision"`
		} `json:"data"`
	}
	for range 200 {
		err := app.ReadEvents(t.Context(), app.ReadOptions{URL: a.ClientURL(), Stream: "KYC_EVENTS"},
			func(body []byte) error {
				return json.Unmarshal(body, &e)
			})
		if err != nil {
			t.Fatal(err)
		}
		if e.Data.Status != "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	words := strings.Fields(line)
	for _, want := range []string{e.Data.VerificationID[:min(8, len(e.Data.VerificationID))], e.Data.Account,
		e.Data.Status, e.Data.Decision.Outcome} {
		if !slices.Contains(words, want) {
			t.Errorf("the documentation shows another event than there is: no %q in\n%s", want, line)
		}
	}
}

// requestOf makes a request from the few options of curl that the documentation uses.
func requestOf(t *testing.T, folder string, words []string) *http.Request {
	t.Helper()
	r := &http.Request{Method: http.MethodPost, Header: http.Header{}}
	var files [][3]string // field, name, type
	for len(words) > 0 {
		option, value := words[0], ""
		words = words[1:]
		if strings.HasPrefix(option, "-") && len(words) > 0 {
			value, words = words[0], words[1:]
		}
		switch option {
		case "-u":
			user, password, _ := strings.Cut(value, ":")
			r.SetBasicAuth(user, password)
		case "-H":
			name, content, _ := strings.Cut(value, ": ")
			r.Header.Set(name, content)
		case "--data-binary":
			setBody(t, r, filepath.Join(folder, strings.TrimPrefix(value, "@")))
		case "-d":
			r.Body = io.NopCloser(strings.NewReader(value))
		case "-F":
			field, file, _ := strings.Cut(value, "=")
			name, kind, _ := strings.Cut(strings.TrimPrefix(file, "@"), ";type=")
			files = append(files, [3]string{field, name, kind})
		default:
			u, err := url.Parse(option)
			if err != nil || u.Host == "" {
				t.Fatalf("curl with %q: this test does not know it", option)
			}
			r.URL = u
		}
	}
	switch {
	case files != nil:
		setForm(t, r, files)
	case r.Body == nil:
		r.Method = http.MethodGet
	}
	return r
}

// setForm sets a form of files that contain only the first bytes of a JPEG.
func setForm(t *testing.T, r *http.Request, files [][3]string) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, f := range files {
		part, err := form.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename=%q`, f[0], f[1])}, "Content-Type": {f[2]}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write([]byte("\xff\xd8\xff\xe0 synthetic")); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Body = io.NopCloser(&body)
}

func setBody(t *testing.T, r *http.Request, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	r.Body = f
}

// TestEachTestRunsSomewhere: .ci/run runs the tests of a list without the race detector, and skips tests of these
// names in runs with it. So every entry must be a test, and the list must have every package with a test of that
// name.
func TestEachTestRunsSomewhere(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(docsRoot, ".ci/without-race"))
	if err != nil {
		t.Fatal(err)
	}
	places, names := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(list)) {
		if pack, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(pack, ".") {
			places[filepath.Clean(pack)+" "+name], names[name] = true, true
		}
	}
	if len(places) < 20 {
		t.Errorf("%d tests: the test has lost its object", len(places))
	}
	for name, in := range declaredTests(t) {
		for _, pack := range in {
			if names[name] && !places[pack+" "+name] {
				t.Errorf(".ci/without-race lacks %s in ./%s", name, pack)
			}
			delete(places, pack+" "+name)
		}
	}
	for place := range places {
		t.Errorf(".ci/without-race names %s, which is no test", place)
	}
}

// declaredTests are the packages that declare a test, by its name.
func declaredTests(t *testing.T) map[string][]string {
	t.Helper()
	there := map[string][]string{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w*)\(`)
	err := filepath.WalkDir(docsRoot, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		pack, _ := filepath.Rel(docsRoot, filepath.Dir(path))
		source, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(source, -1) {
			there[string(m[1])] = append(there[string(m[1])], pack)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}

// TestDocsNameRealTests: every test that a page names exists.
func TestDocsNameRealTests(t *testing.T) {
	there := declaredTests(t)
	named := 0
	for _, p := range pages(t) {
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`").FindAllStringSubmatch(p.text, -1) {
			if named++; there[m[1]] == nil {
				t.Errorf("%s names %s, which is no test", p.path, m[1])
			}
		}
	}
	if named < 50 {
		t.Errorf("%d names: the test has lost its object", named)
	}
}

// TestDocsLinks follows the links between the pages, headings included.
func TestDocsLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, p := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(p.text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join(docsRoot, p.path)
			if file != "" {
				target = filepath.Join(filepath.Dir(target), file)
			}
			info, err := os.Stat(target)
			if err != nil {
				t.Errorf("%s: the link %s leads nowhere", p.path, m[1])
				continue
			}
			if anchor != "" && (info.IsDir() || !slices.Contains(anchors(t, target), anchor)) {
				t.Errorf("%s: %s has no heading #%s", p.path, target, anchor)
			}
		}
	}
}

// anchors are the headings of a page in the form that links use.
func anchors(t *testing.T, file string) []string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	drop := regexp.MustCompile(`[^a-z0-9 _-]`)
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(raw), -1) {
		out = append(out, strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}
