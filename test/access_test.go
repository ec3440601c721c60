package test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/test/wait"
)

// grant replaces the token of the bridge by named tokens; each token is the name followed by "-secret". Call it
// before start. The token of carl is configured by its digest only.
func (b *bridge) grant(t *testing.T, rights map[string]kycbridge.Rights) {
	t.Helper()
	var tokens []string
	for name, granted := range rights {
		secret := "token: " + name + "-secret"
		if name == "carl" {
			secret = fmt.Sprintf("token_sha256: %x", sha256.Sum256([]byte("carl-secret")))
		}
		words := strings.Trim(strings.ReplaceAll(fmt.Sprint(granted), " ", ", "), "[]")
		tokens = append(tokens, fmt.Sprintf("{name: %s, %s, rights: [%s]}", name, secret, words))
	}
	raw, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, b.config, strings.Replace(string(raw), "tokens: [ops-token-2e77a1]",
		"tokens: ["+strings.Join(tokens, ", ")+"]", 1))
}

// command runs a command over the API with the token of a name.
func (b *bridge) command(t *testing.T, name string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	file := filepath.Join(filepath.Dir(b.config), name)
	writeFile(t, file, name+"-secret\n")
	return run(t, "kycbridge", append(args, "--api", b.adminURL(""), "--token-file", file)...)
}

// accesses are the records that a command prints.
func accesses(t *testing.T, stdout string) (all []kycbridge.Access) {
	t.Helper()
	for line := range strings.Lines(stdout) {
		var a kycbridge.Access
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, a)
	}
	return all
}

// accessed waits for a record of the access log.
func (b *bridge) accessed(t *testing.T, want kycbridge.Access) {
	t.Helper()
	var all []kycbridge.Access
	found := func(a kycbridge.Access) bool {
		return a.By == want.By && a.Operation == want.Operation && a.Reason == want.Reason && a.Result == want.Result &&
			a.VerificationID == want.VerificationID && a.Provider == want.Provider && a.Account == want.Account &&
			a.Remote == want.Remote && a.ID != "" && time.Since(a.Time) < time.Hour
	}
	wait.For(t, 20*time.Second, fmt.Sprintf("a record as %+v", want), func() bool {
		code, stdout, stderr := b.command(t, "alice", "access", "list", "--json")
		if code != 0 {
			t.Fatal(stderr)
		}
		all = accesses(t, stdout)
		return slices.ContainsFunc(all, found)
	})
}

// TestAccessLog: a real process records who did what, about which verification, why and with which result:
// over the API, in the console and with commands that open the store themselves. No record contains a
// value about a person.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	b := newBridge(t, strings.Replace(oneAccount, "warn", "info", 1))
	b.grant(t, map[string]kycbridge.Rights{"alice": {kycbridge.RightRead, kycbridge.RightReveal},
		"carl": {kycbridge.RightPurge}})
	b.start(t)
	b.approve(t, 1, 2)
	b.settled(t, 20*time.Second)
	const payload = "ondato.acme.e0000001-0001-4000-8000-000000000001"
	one := kycbridge.Access{By: "alice", Provider: "ondato", Account: "acme", VerificationID: idOf(1), Remote: "127.0.0.1"}
	as := func(operation, reason, result string) kycbridge.Access {
		a := one
		a.Operation, a.Reason, a.Result = operation, reason, result
		return a
	}
	if code, _, stderr := b.command(t, "alice", "payloads", "show", payload, "--reveal"); code == 0 ||
		!strings.Contains(stderr, "--why") {
		t.Errorf("without a reason: %d %s", code, stderr)
	}
	code, stdout, stderr := b.command(t, "alice", "payloads", "show", payload, "--reveal", "--why", "Beschwerde Nº 7")
	if code != 0 || strings.Contains(stdout, "[masked]") {
		t.Fatalf("%d %s %s", code, stdout, stderr)
	}
	b.accessed(t, as("show_payloads", "Beschwerde Nº 7", "begun"))
	b.accessed(t, as("show_payloads", "Beschwerde Nº 7", "200"))
	b.erases(t, "carl", idOf(2))
	erased := kycbridge.Access{By: "carl", Operation: "purge_payloads", VerificationID: idOf(2), Reason: "Art. 17",
		Result: "begun", Remote: "127.0.0.1"}
	b.accessed(t, erased)
	c := b.signedIn(t, "alice-secret")
	at := "/console/verifications/ondato/acme/" + idOf(1)
	_, page := c.get(t, at)
	csrf := consoleForm.FindStringSubmatch(page)[1]
	form := map[string][]string{"csrf": {csrf}, "reason": {"case 8"}}
	if code, _ := c.post(t, at+"/reveal", form); code != http.StatusOK {
		t.Errorf("reveal in the console: %d", code)
	}
	if code, page := c.post(t, at+"/replay", form); code != http.StatusForbidden ||
		!strings.Contains(page, "It lacks the right replay") {
		t.Errorf("replay in the console: %d", code)
	}
	b.accessed(t, as("console_reveal_verification", "case 8", "begun"))
	b.accessed(t, as("console_verification", "", "200"))
	b.accessed(t, kycbridge.Access{By: "alice", Operation: "console_replay", Result: "refused: replay",
		Remote: "127.0.0.1"})

	tool := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := run(t, "kycbridge", append(args, "--config", b.config)...)
		if code != 0 {
			t.Fatalf("%v: %s", args, stderr)
		}
		return stdout
	}
	tool("payloads", "export", "--verification", idOf(1), "--why", "to the authority")
	tool("payloads", "purge", "--verification", idOf(1), "--dry-run")
	tool("payloads", "purge", "--older-than", "24h", "--dry-run")
	tool("payloads", "show", payload, "--reveal", "--why", "case 9")
	b.stop(t)
	tool("find", idOf(1))
	all := accesses(t, tool("access", "list", "--json", "--since", "1h"))
	for _, operation := range []string{"command_export_payloads", "command_find"} {
		if !slices.ContainsFunc(all, func(a kycbridge.Access) bool {
			return strings.HasPrefix(a.By, "os:") && len(a.By) > 3 && a.Operation == operation && a.Result == "done"
		}) {
			t.Errorf("no record of %s", operation)
		}
	}
	for _, tried := range []kycbridge.Access{ // nobody may read that an erasure was tried as one that was done
		{Operation: "command_purge_payloads", VerificationID: idOf(1), Filter: "dry_run=true", Result: "done"},
		{Operation: "command_purge_payloads", Filter: "dry_run=true until=2", Result: "done"},
		{Operation: "command_show_payloads", VerificationID: idOf(1), Filter: "reveal=true", Result: "begun"},
	} {
		if !slices.ContainsFunc(all, func(a kycbridge.Access) bool {
			return a.Operation == tried.Operation && a.VerificationID == tried.VerificationID && a.Result == tried.Result &&
				strings.HasPrefix(a.Filter, tried.Filter)
		}) {
			t.Errorf("no record as %+v", tried)
		}
	}
	if table := tool("access", "list"); !strings.Contains(table, "  done              dry_run=true    -\n") {
		t.Errorf("the table shows no dry run:\n%s", table)
	}
	oldest := accesses(t, tool("access", "list", "--json", "--since", "1h", "--limit", "2"))
	if !slices.Equal(all[:2], oldest) {
		t.Errorf("the oldest two are %+v, want %+v", oldest, all[:2])
	}
	newest := accesses(t, tool("access", "list", "--json", "-n", "2"))
	if len(newest) != 2 || !newest[0].Time.After(newest[1].Time) || newest[1].Time.Before(all[len(all)-1].Time) {
		t.Errorf("the newest two: %+v", newest)
	}
	if many := accesses(t, tool("access", "list", "--json", "-n", "9223372036854775807")); len(many) < len(all) {
		t.Errorf("%d of %d records", len(many), len(all))
	}
	left := accesses(t, tool("access", "list", "--json", "--verification", idOf(2), "--by", "carl"))
	if len(left) != 2 {
		t.Errorf("after the erasure %+v remain", left)
	}
	raw, _ := json.Marshal(all)
	for _, personal := range []string{"DOC000", "TESTA", "case-1", "-secret"} {
		if strings.Contains(string(raw), personal) {
			t.Errorf("%s is in the access log", personal)
		}
	}
	if log := b.stderr.String(); !strings.Contains(log, `"by":"alice","reason":"Beschwerde Nº 7"`) {
		t.Error("the log does not name the person and the reason")
	}
}

// erases erases a verification over the API.
func (b *bridge) erases(t *testing.T, name, verificationID string) {
	t.Helper()
	res := b.request(t, name, http.MethodPost, "/v1/payloads/purge", fmt.Sprintf(`{"verification":%q,"confirm":true}`,
		verificationID))
	if res != http.StatusOK {
		t.Errorf("purge by %s: %d", name, res)
	}
}

// request sends a request with the token of a name and the reason Art. 17.
func (b *bridge) request(t *testing.T, name, method, path, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.adminURL(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+name+"-secret")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Reason", "Art.%2017")
	res, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// TestAccessBeforeReveal: while the access log accepts no records, nothing is revealed, exported or erased, but
// masked values can be read.
func TestAccessBeforeReveal(t *testing.T) {
	t.Parallel()
	server := newNATS(t)
	b := newBridge(t, fmt.Sprintf("store: {url: %[1]q}\nbus: {url: %[1]q}\n%[2]s", server.url(), oneAccount))
	b.grant(t, map[string]kycbridge.Rights{"alice": kycbridge.AllRights()})
	b.start(t)
	b.approve(t, 1, 1)
	b.settled(t, 20*time.Second)
	nc, err := nats.Connect(server.url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KYC_ACCESS")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	full := config
	full.MaxBytes = 1
	if _, err := js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	const payload = "/v1/payloads/ondato.acme.e0000001-0001-4000-8000-000000000001"
	purge := fmt.Sprintf(`{"verification":%q,"confirm":true}`, idOf(1))
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodGet, payload, "", 200}, {http.MethodGet, payload + "?reveal=true", "", 503},
		{http.MethodGet, "/v1/payloads/export", "", 503}, {http.MethodPost, "/v1/payloads/purge", purge, 503},
		{http.MethodPost, "/v1/payloads/purge", fmt.Sprintf(`{"verification":%q}`, idOf(1)), 200},
	} {
		if got := b.request(t, "alice", c.method, c.path, c.body); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got, c.want)
		}
	}
	if code, _, stderr := run(t, "kycbridge", "payloads", "export", "--why", "x", "--config", b.config); code == 0 ||
		!strings.Contains(stderr, "the access log takes no record") {
		t.Errorf("export by the command: %d %s", code, stderr)
	}
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if got := b.request(t, "alice", http.MethodGet, payload+"?reveal=true", ""); got != 200 {
		t.Errorf("afterwards: %d", got)
	}
	b.accessed(t, kycbridge.Access{By: "alice", Operation: "purge_payloads", VerificationID: idOf(1), Reason: "Art. 17",
		Result: "503", Remote: "127.0.0.1"}) // the record is stored once the log accepts records again
}

// TestCommandRights: every command that uses the API, with each right alone and with all but one.
func TestCommandRights(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	rights := map[string]kycbridge.Rights{"alice": kycbridge.AllRights()}
	for _, right := range kycbridge.AllRights() {
		rights["only-"+string(right)] = kycbridge.Rights{right}
		rights["without-"+string(right)] = slices.DeleteFunc(kycbridge.AllRights(),
			func(r kycbridge.Right) bool { return r == right })
	}
	b.grant(t, rights)
	b.start(t)
	b.approve(t, 1, 1)
	b.settled(t, 20*time.Second)
	const payload = "ondato.acme.e0000001-0001-4000-8000-000000000001"
	read, start := kycbridge.Rights{kycbridge.RightRead}, kycbridge.Rights{kycbridge.RightStart}
	for _, c := range []struct {
		args  []string
		needs kycbridge.Rights
	}{
		{[]string{"payloads", "list", "--json"}, read},
		{[]string{"payloads", "show", payload}, read},
		{[]string{"payloads", "show", payload, "--reveal", "--why", "x"}, append(read[:1:1], kycbridge.RightReveal)},
		{[]string{"payloads", "report"}, read},
		{[]string{"find", idOf(1)}, read},
		{[]string{"access", "list"}, read},
		{[]string{"start", "--provider", "ondato", "--account", "acme", "--external-reference", "case-1"}, start},
		{[]string{"watch", "--provider", "ondato", "--account", "acme", "--reference", "r1"}, start},
		{[]string{"complete", "--provider", "ondato", "--account", "acme", "--reference", "r1"}, start},
		{[]string{"review", "--provider", "ondato", "--account", "acme", "--reference", "r1", "--decision", "approved"},
			start},
	} {
		for name, granted := range rights {
			code, _, stderr := b.command(t, name, c.args...)
			refused := strings.Contains(stderr, "right missing: ")
			if refused && !strings.Contains(stderr, "in the configuration") {
				t.Errorf("%v by %s: no remedy: %s", c.args, name, stderr)
			}
			missing := slices.ContainsFunc(c.needs, func(r kycbridge.Right) bool { return !granted.Has(r) })
			if refused != missing || missing && code == 0 {
				t.Errorf("%v by %s: %d %s", c.args, name, code, stderr)
			}
		}
	}
}
