package test

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"go/format"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/traffic"
)

// fifthFiles contains all files of an invented provider, each at its path in the repository, as
// docs/add-a-provider.md describes it.
const fifthFiles = "testdata/fifth"

// The one line of the fifth provider with its import, and the file of the table.
const (
	fifthTable  = "internal/app/providers.go"
	fifthImport = "\t\"kycbridge/normalize/verident\"\n"
	fifthLine   = "\t\tverident.Entry(),\n"
)

// TestFifthProvider adds an invented provider to a copy of the repository: new files, and one line of
// the table with its import, and nothing else. The copy builds, the tests that use the table include
// it, and a process receives its callbacks and calls its API.
func TestFifthProvider(t *testing.T) {
	t.Parallel()
	long(t, "a minute")
	for _, program := range []string{"git", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s: %v", program, err)
		}
	}
	c := newCheckout(t)
	added := c.addFifth(t)
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"one line", func(t *testing.T) { fifthCounts(t, c, added) }},
		{"builds", func(t *testing.T) { fifthBuilds(t, c, added) }},
		{"is tested", func(t *testing.T) { fifthIsTested(t, c) }},
		{"serves", func(t *testing.T) { fifthServes(t, c) }},
	} {
		if !t.Run(part.name, part.test) {
			return
		}
	}
}

// checkout is a copy of the repository with its own git history.
type checkout struct{ dir string }

// newCheckout copies the files that git would add, and commits them.
func newCheckout(t *testing.T) checkout {
	t.Helper()
	root, err := filepath.Abs(docsRoot)
	if err != nil {
		t.Fatal(err)
	}
	c := checkout{t.TempDir()}
	c.run(t, "git", "init", "--quiet")
	c.run(t, "git", "--git-dir", filepath.Join(c.dir, ".git"), "--work-tree", root, "-C", root, "add", "--all", ".")
	c.run(t, "git", "checkout-index", "--all")
	c.run(t, "git", "commit", "--quiet", "--message", "before")
	return c
}

// run runs a program in the copy, without the configuration of the test run and without network.
func (c checkout) run(t *testing.T, program string, args ...string) (output string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = c.dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") }),
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GOPROXY=off", "GOWORK=off",
		"GIT_AUTHOR_NAME=test", "GIT_AUTHOR_EMAIL=test@example.com", "GIT_COMMITTER_NAME=test",
		"GIT_COMMITTER_EMAIL=test@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// addFifth puts the files of the invented provider and its line into the copy. It returns the files.
func (c checkout) addFifth(t *testing.T) (added []string) {
	t.Helper()
	err := filepath.WalkDir(fifthFiles, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file := strings.TrimPrefix(filepath.ToSlash(path), fifthFiles+"/")
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := filepath.Join(c.dir, filepath.FromSlash(file))
		if _, err := os.Stat(target); err == nil {
			return fmt.Errorf("%s is there already: not a new file", file)
		}
		added = append(added, file)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(c.dir, filepath.FromSlash(fifthTable))
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	imports, list, found := strings.Cut(string(text), ")\n")
	before, after, ends := strings.Cut(list, "\n\t}\n") // the end of the list
	if !found || !ends || !strings.Contains(before, "return []normalize.Entry{") {
		t.Fatalf("%s holds no list of providers", fifthTable)
	}
	changed := imports + fifthImport + ")\n" + before + "\n" + fifthLine + "\t}\n" + after
	if err := os.WriteFile(table, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	return added
}

// fifthCounts checks that one existing file has changed, by one added line and its import.
func fifthCounts(t *testing.T, c checkout, added []string) {
	c.run(t, "git", "add", "--all")
	if got, want := c.run(t, "git", "diff", "--cached", "--numstat", "--diff-filter=a",
		"HEAD"), "2\t0\t"+fifthTable+"\n"; got != want {
		t.Errorf("changed of what was there: %q, want %q", got, want)
	}
	if got := c.run(t, "git", "diff", "--cached", "--unified=0", "HEAD", "--", fifthTable); !strings.Contains(got,
		"\n+"+fifthLine) {
		t.Errorf("the change of the table is\n%s", got)
	}
	files := strings.Fields(c.run(t, "git", "diff", "--cached", "--name-only", "--diff-filter=A", "HEAD"))
	slices.Sort(added)
	if !slices.Equal(files, added) {
		t.Errorf("added %v, want %v", files, added)
	}
	t.Logf("%d new files, 1 changed file, 1 added line and its import, no removed one", len(files))
}

// fifthBuilds builds everything, and checks the formatting of the new files.
func fifthBuilds(t *testing.T, c checkout, added []string) {
	c.run(t, "go", "build", "-pgo=off", "./...")
	for _, file := range added {
		if !strings.HasSuffix(file, ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(c.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if formatted, err := format.Source(text); err != nil || string(formatted) != string(text) {
			t.Errorf("%s is not formatted: %v", file, err)
		}
	}
}

// fifthTests are the tests that use the table or the folders, with the part of their output that shows
// that they included the new provider.
var fifthTests = []struct{ dir, tests, shows string }{
	{"./internal/app", "^TestProviders$|^TestCatalog|^TestNothingNewInFixtures$", "--- PASS: TestProviders/verident"},
	{"./normalize/verident", "^FuzzVerify$|^TestVerifyRefuses$", "--- PASS: FuzzVerify"},
	{"./normalize/verident/client", "^TestFetch$", "--- PASS: TestFetch"},
	{"./schemas", "^TestNamesAndSources$|^TestProviderSchemasAreOpen$|^TestNoFaultRepeatsAValue$|^TestNewValuesShowNothingPersonal$|^TestKnownIsChecked$", "--- PASS: TestProviderSchemasAreOpen"},
	{"./cmd/kycbridge", "^TestSchemas$", "--- PASS: TestSchemas"},
	{"./test", "^TestGolden$/^verident$|^FuzzPathVerident$|^TestImports$|^TestFixturesAreJSON$|^TestDocsNameEveryAPIKey$|^TestDocsConfigurations$|^TestDocsLinks$",
		"--- PASS: TestGolden/verident/webhook-unknown-state"},
}

func fifthIsTested(t *testing.T, c checkout) {
	var dirs, tests []string
	for _, test := range fifthTests {
		dirs, tests = append(dirs, test.dir), append(tests, test.tests)
	}
	args := []string{"test", "-vet=off", "-count=1", "-v", "-run", strings.Join(tests, "|")}
	out := c.run(t, "go", append(args, dirs...)...)
	for _, test := range fifthTests {
		if !strings.Contains(out, test.shows) {
			t.Errorf("%s does not show %q:\n%s", test.dir, test.shows, out)
		}
	}
}

// Secrets of the fifth provider's accounts.
const (
	fifthSecret = "webhook-secret-5f1d"
	fifthKey    = "api-secret-5c0a"
)

// fifthAccounts are one account whose callbacks decide and one whose verdicts are fetched.
const fifthAccounts = `log: {level: debug}
accounts:
  - name: acme
    provider: verident
    environment: test
    auth: {hmac: {secrets: [webhook-secret-old-5f, ` + fifthSecret + `]}}
  - name: bank
    provider: verident
    environment: test
    auth: {hmac: {secrets: [` + fifthSecret + `]}}
    api: {base_url: %q, key: ` + fifthKey + `}
    confirm: true
`

// fifthServes runs the program of the copy: a callback becomes its event, a forged one does not, and
// the result is fetched if the account requires confirmation.
func fifthServes(t *testing.T, c checkout) {
	binary := filepath.Join(t.TempDir(), "kycbridge")
	c.run(t, "go", "build", "-pgo=off", "-o", binary, "./cmd/kycbridge")
	var asked atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "Bearer "+fifthKey || r.URL.Path != "/v2/checks/vc-0001" {
			http.Error(w, `{"code":"no_check","message":"no such check"}`, http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(fifthBody(t, "get-check-accepted"))
	}))
	t.Cleanup(api.Close)
	b := newBridge(t, fmt.Sprintf(fifthAccounts, api.URL))
	b.process = startProgram(t, binary, "serve", "--config", b.config)
	b.waitReady(t)

	heard := map[string]*nats.Subscription{}
	nc, err := nats.Connect(b.eventsURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	for _, account := range []string{"acme", "bank"} {
		subject := "kyc.event.v1.verident." + account + ".completed." + event.VerificationID("verident", account, "vc-0001")
		if heard[account], err = nc.SubscribeSync(subject); err != nil || nc.Flush() != nil {
			t.Fatalf("subscribe: %v", err)
		}
	}
	accepted := fifthBody(t, "webhook-accepted")
	for name, forged := range map[string]string{"nothing": "", "another secret's": fifthSign("guessed", accepted),
		"another body's": fifthSign(fifthSecret, fifthBody(t, "webhook-declined"))} {
		if r := b.fifthCallback(t, "acme", forged, accepted); r.Code != http.StatusUnauthorized {
			t.Errorf("signed with %s: %d %s", name, r.Code, r.Text)
		}
	}
	for account, want := range map[string]struct{ via event.Via }{"acme": {event.ViaCallback}, "bank": {event.ViaFetch}} {
		r := b.fifthCallback(t, account, fifthSign(fifthSecret, accepted), accepted)
		if r.Code != http.StatusOK || r.Status != kycbridge.ReceiptAccepted ||
			r.VerificationID != event.VerificationID("verident", account, "vc-0001") {
			t.Errorf("%s: %d %s", account, r.Code, r.Text)
		}
		m, err := heard[account].NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("%s: the event of an accepted check: %v\n%s", account, err, b.stderr.tail())
		}
		e, err := event.Decode(m.Data)
		if err != nil || e.Data.Decision.Outcome != event.OutcomeApproved || !e.Data.Decision.Final ||
			e.Data.Provider.Event.Via != want.via || e.Data.ExternalReference != "case-0001" {
			t.Errorf("%s: %s, %v", account, m.Data, err)
		}
		readAsConsumer(t, m.Data)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the API was asked %d times, want once", n)
	}
	for _, secret := range []string{fifthSecret, fifthKey, "Testa", "Sample", "X0000005", "1988-07-30"} {
		if strings.Contains(b.stderr.String()+b.stdout.String()+b.metrics(), secret) {
			t.Errorf("%q is in the log or in a metric", secret)
		}
	}
}

// fifthBody is the body of a fixture of the fifth provider.
func fifthBody(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(fifthFiles, "test", "fixture", "testdata", "verident", name, "body.json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// fifthSign signs as the fifth provider does.
func fifthSign(secret string, body []byte) string {
	mac := hmac.New(sha512.New, []byte(secret))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// fifthCallback posts a webhook; without a signature if that is empty.
func (b *bridge) fifthCallback(t *testing.T, account, signature string, body []byte) traffic.Reply {
	t.Helper()
	header := []string{"Content-Type", "application/json"}
	if signature != "" {
		header = append(header, "Verident-Signature", signature)
	}
	return b.curl(t, call{path: "/webhooks/verident/" + account, header: header, body: body})
}

// TestGuideExcerpts: each excerpt in docs/add-a-provider.md is part of its file, its one line is
// the one that the test above adds, and every file is named.
func TestGuideExcerpts(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(docsRoot, "docs", "add-a-provider.md"))
	if err != nil {
		t.Fatal(err)
	}
	guide := string(raw)
	excerpts := regexp.MustCompile("(?ms)^<!-- from: (\\S+) -->\n```[a-z]*\n(.*?)^```$").FindAllStringSubmatch(guide, -1)
	if len(excerpts) < 6 {
		t.Errorf("only %d excerpts", len(excerpts))
	}
	for _, m := range excerpts {
		file, text := m[1], m[2]
		if file == fifthTable {
			if !strings.Contains(text, fifthLine) || !strings.Contains(text, fifthImport) {
				t.Errorf("the guide adds another line to the table:\n%s", text)
			}
			continue
		}
		source, err := os.ReadFile(filepath.Join(fifthFiles, filepath.FromSlash(file)))
		if err != nil || !strings.Contains(string(source), strings.TrimSuffix(text, "\n")) {
			t.Errorf("%s does not hold this: %v\n%s", file, err, text)
		}
	}
	err = filepath.WalkDir(fifthFiles, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file := strings.TrimPrefix(filepath.ToSlash(path), fifthFiles+"/")
		if dir, name := filepath.Split(file); strings.HasPrefix(file, "test/fixture/") {
			file = name // the guide names the folders of the cases in one line
		} else if strings.HasPrefix(dir, "schemas/") {
			file = dir
		}
		file = strings.ReplaceAll(file, "verident", "<name>")
		if !strings.Contains(guide, file) {
			t.Errorf("docs/add-a-provider.md does not say what %s is for", file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFifthFixtures: the goldens of the fifth provider contain what the guide promises: unknown values map to unknown
// and approve no person.
func TestFifthFixtures(t *testing.T) {
	approved := map[string]bool{"webhook-accepted": true, "webhook-reference-prefix": true, "get-check-accepted": true}
	unknown := map[string]bool{"webhook-unknown-state": true, "webhook-unknown-verdict": true}
	goldens, err := filepath.Glob(filepath.Join(fifthFiles, "test", "fixture", "testdata", "verident", "*", "golden.json"))
	if err != nil || len(goldens) < 6 {
		t.Fatalf("%d goldens, error %v", len(goldens), err)
	}
	for _, file := range goldens {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(filepath.Dir(file))
		if got := strings.Contains(string(text), `"outcome": "approved"`); got != approved[name] {
			t.Errorf("%s: approved %t", name, got)
		}
		if got := strings.Contains(string(text), `"status": "unknown"`); got != unknown[name] {
			t.Errorf("%s: unknown %t", name, got)
		}
	}
}
