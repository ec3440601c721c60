package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kycbridge/internal/keys"
	"kycbridge/test/wait"
)

// program is the path of the kycbridge binary, built once per run, so that exit codes, signals and pipes
// are those of a process. It is built without the race detector, which would make its start ten times
// slower; the bridge that it connects to runs in the test and has it.
var program string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kycbridge-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "kycbridge")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as in the image build, to share its build cache
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// command is a kycbridge process, in an empty folder and without the test's variables.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KYCBRIDGE_") })
	return cmd
}

// said is the exit code and the output of a process.
type said struct {
	code           int
	stdout, stderr string
}

func finish(t *testing.T, cmd *exec.Cmd) said {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return said{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// TestScripts is a table of command lines and their results. A stdout or stderr that is not "" must occur;
// one line of error is expected unless the case states a number.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	account := "accounts:\n  - name: acme\n    provider: %\n    environment: test\n    confirm: false\n    auth: " +
		"{bearer: [hunter2-secret]}\n"
	master, err := keys.Generate("m")
	if err != nil {
		t.Fatal(err)
	}
	good := file("good.yaml", "encryption: {key: "+master+"}\n"+strings.Replace(account, "%", "idwise", 1))
	warned := file("warned.yaml", strings.Replace(account, "%", "ondato", 1)+"    poll: {jitter: 0.2}\n")
	hmac := file("hmac.yaml", strings.Replace(strings.Replace(account, "%", "idwise", 1), "bearer: [hunter2-secret]",
		"hmac: {secrets: [hunter2-secret]}", 1))
	creds := file("creds.yaml", "store: {url: 'nats://127.0.0.1:1', credentials_file: none.creds}\nbus: {url: "+
		"'nats://127.0.0.1:1', tls: {ca: "+dir+"}}\n")
	folder := file("folder.yaml", "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\nembedded: {listen: 127.0.0.1:0}\n"+
		"data_dir: "+good+"/data\n")
	secrets := file("secrets.yaml", "admin: {tokens_file: "+dir+"/none}\nstore: {url: nats://h, token_file: hunter2}\n")
	bad := file("bad.yaml", "listn: x\nlog: {level: loud}\ndata_dir: ''\n")
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
		lines          int // of stderr
	}{
		{"", 0, "Usage:\n  kycbridge [command]\n", "", 0},
		{"help", 0, "Usage:\n  kycbridge [command]\n", "", 0},
		{"--help", 0, "kycbridge demo --once", "", 0},
		{"help config check", 0, "Usage:\n  kycbridge config check [flags]\n", "", 0},
		{"help nothing", 1, "", "kycbridge: unknown command \"nothing\" (see: kycbridge --help)\n", 1},
		{"config", 0, "Usage:\n  kycbridge config [command]\n", "", 0},
		{"version", 0, "kycbridge devel", "", 0},
		{"--version", 0, "kycbridge version devel", "", 0},
		{"version now", 1, "", "kycbridge: version takes flags only, not \"now\" (see: kycbridge version --help)\n", 1},
		{"sevre", 1, "", "kycbridge: unknown command \"sevre\", did you mean serve? (see: kycbridge --help)\n", 1},
		{"nothing", 1, "", "kycbridge: unknown command \"nothing\" (see: kycbridge --help)\n", 1},
		{"config chek", 1, "", "kycbridge: unknown command \"config chek\", did you mean check? (see: kycbridge config " +
			"--help)\n", 1},
		{"serve --foo", 1, "", "kycbridge: unknown flag: --foo (see: kycbridge serve --help)\n", 1},
		{"--foo", 1, "", "kycbridge: unknown flag: --foo (see: kycbridge --help)\n", 1},
		{"serve --config", 1, "", "kycbridge: flag needs an argument: --config (see: kycbridge serve --help)\n", 1},
		{"serve --role recieve", 1, "",
			"--role recieve: there is no such role; write receive, normalize, poll (see: kycbridge serve --help)\n", 1},
		{"serve --role=", 1, "", "--role is empty", 1},
		{"serve --role receive", 1, "", "no role normalize with store.url: embedded", 1},
		{"serve --role normalize", 1, "", "no role receive with store.url: embedded", 1},
		{"serve --config none.yaml", 1, "",
			`"fault":"none.yaml: cannot be read: no such file or directory; name a readable file"`, 1},
		{"serve --config " + bad, 1, "", `"fault":"` + bad + ":1: listn: unknown key", 3},
		{"serve --config " + creds, 1, "", "\"fault\":\"store.credentials_file: the file cannot be read: no such file or " +
			"directory (none.creds); name a readable file", 2},
		{"payloads list --config " + creds, 1, "", "store.credentials_file: the file cannot be read: no such file", 3},
		{"serve --config " + folder, 1, "", `"error":"data_dir: the folder ` + good + "/data cannot be used: " + good +
			": not a directory; name one in which this user may create, read and write files\"}\n", 1},
		{"serve --config " + secrets, 1, "", secrets + ":1: admin.tokens_file: the file cannot be read: no such file or " +
			"directory (" + dir + "/none); name a readable file\"}\n", 2},
		{"config check", 0, "listen: 127.0.0.1:8080\n", "configuration is valid\n", 1},
		{"config check --config " + good, 0, "bearer:\n            - '[redacted]'\n", "configuration is valid\n", 1},
		{"config check -c " + warned, 0, "provider: ondato\n",
			"warning: encryption: no master key, so payloads are stored in clear text; " +
				"make one with: kycbridge keys generate\n" +
				"warning: accounts[0].poll: poll and limits have no effect without api\nconfiguration is valid\n", 3},
		{"config check --config " + hmac, 1, "", "1 fault:\n" + hmac +
			":6: accounts[0].auth.hmac: idwise does not read it, so it admits nobody; write one of basic, bearer, headers, " +
			"url_tokens, client_certs\n", 2},
		{"config check --config " + bad, 1, "", "3 faults:\n" + bad + ":1: listn: unknown key; did you mean listen?\n" +
			bad + ":2: log.level: ", 4},
		{"config check " + good, 1, "", "check takes flags only, not", 1},
		{"events now", 1, "", "events takes flags only, not \"now\"", 1},
		{"events --since yesterday", 1, "", "--since yesterday: write an RFC 3339 time such as", 1},
		{"events --since -1h", 1, "", "--since -1h: write an RFC 3339 time such as", 1},
		{"events --since 2999-01-01T00:00:00Z", 1, "", "is in the future", 1},
		{"events --subject kyc..x", 1, "", "--subject kyc..x: not a subject", 1},
		{"events --user u", 1, "", "--user and --password-file go together", 1},
		{"events --password-file f", 1, "", "--user and --password-file go together", 1},
		{"events --user u --password-file none.txt", 1, "", "--password-file: none.txt: no such file or directory; name an " +
			"existing file (see: kycbridge events --help)\n", 1},
		{"events --user u --password-file f --creds c", 1, "", "--creds and --user cannot be combined", 1},
		{"events --url nats://u:hunter2-secret@/", 1, "", "--url: not the address of a NATS server", 1},
		{"events --url u:hunter2-secret@127.0.0.1:1", 1, "",
			"kycbridge: connect to NATS at nats://127.0.0.1:1: no NATS server answers there; is kycbridge running, and is this " +
				"its embedded.listen or your NATS? --url names another\n", 1},
		{"payloads list --store u:hunter2-secret@127.0.0.1:1", 1, "", "the store at nats://127.0.0.1:1 does not answer", 1},
		{"events --url http://127.0.0.1:1", 1, "", "--url: not the address of a NATS server", 1},
		{"events --keys=", 1, "", "--keys is empty: write a value, or omit the flag", 1},
		{"events -n x", 1, "", "kycbridge: --newest x: write a whole number (see: kycbridge events --help)\n", 1},
		{"access list -n 2 --limit 2", 1, "", "-n takes the newest and --limit the oldest; write one of the two (see", 1},
		{"access list -n -2", 1, "", "kycbridge: -n: write a number, 0 for all (see", 1},
		{"demo --once=x", 1, "", "kycbridge: --once x: write true or false (see: kycbridge demo --help)\n", 1},
		{"simulate ondato --token-life 5", 1, "", "--token-life 5: write a duration such as 30s, 5m or 72h (see", 1},
		{"simulate ondato --speed x", 1, "", "--speed x: write a number such as 0.5 (see", 1},
		{"simulate ondato --listen 9090", 1, "", "--listen: write an address with a port, such as 127.0.0.1:9090 (see", 1},
		{"completion bash zsh", 1, "", "bash takes flags only, not \"zsh\" (see: kycbridge completion bash --help)\n", 1},
		{"completion bash", 0, "bash completion V2 for kycbridge", "", 0},
		{"events --url nats://u:hunter2-secret@127.0.0.1:1,nats://v:hunter2-secret@127.0.0.1:1", 1, "",
			"connect to NATS at nats://127.0.0.1:1,nats://127.0.0.1:1: ", 1},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := finish(t, command(t, strings.Fields(c.args)...))
			if got.code != c.code || !strings.Contains(got.stdout, c.stdout) || !strings.Contains(got.stderr, c.stderr) ||
				strings.Count(got.stderr, "\n") != c.lines {
				t.Errorf("code %d, stdout:\n%s\nstderr:\n%s", got.code, got.stdout, got.stderr)
			}
			if c.code != 0 && got.stdout != "" {
				t.Errorf("an error with output:\n%s", got.stdout)
			}
			if strings.Contains(got.stdout+got.stderr, "hunter2") {
				t.Error("it shows a secret")
			}
		})
	}
}

// TestServeEndsInTheLog: what ends serve is in the log, as lines of JSON at level error: whoever collects it reads
// nothing else. A wrong command line is plain text, as for other commands.
func TestServeEndsInTheLog(t *testing.T) {
	dir := t.TempDir()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const free = "listen: 127.0.0.1:0\nembedded: {listen: 127.0.0.1:0}\n"
	for name, c := range map[string]struct {
		file string
		says []string // one part of each line
	}{
		"no file":    {"none.yaml", []string{"none.yaml: cannot be read"}},
		"two faults": {file("faults.yaml", "listn: x\nlog: {level: loud}\n"), []string{"did you mean listen?", "log.level"}},
		"files of a connection": {file("nats.yaml", "store: {url: 'nats://127.0.0.1:1', credentials_file: none.creds}\nbus: "+
			"{url: 'nats://127.0.0.1:1', tls: {ca: "+dir+"}}\n"), []string{"store.credentials_file", "bus.tls.ca"}},
		"a port in use": {file("busy.yaml", free+"admin: {listen: '"+busy.Addr().String()+"'}\ndata_dir: "+dir+"/data\n"),
			[]string{"is in use by another program"}},
	} {
		got := finish(t, command(t, "serve", "--config", c.file))
		lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
		if got.code != 1 || got.stdout != "" || len(lines) != len(c.says) {
			t.Fatalf("%s: code %d, stdout:\n%s\nstderr:\n%s", name, got.code, got.stdout, got.stderr)
		}
		for i, line := range lines {
			var said struct{ Level, TS, Msg, Fault, Error string }
			if err := json.Unmarshal([]byte(line), &said); err != nil || said.Level != "error" || said.TS == "" ||
				said.Msg == "" || !strings.Contains(said.Fault+said.Error, c.says[i]) {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}

// TestUnknownCommands: an unknown command of any group is a usage error that names it, whatever flags are written
// beside it.
func TestUnknownCommands(t *testing.T) {
	for _, group := range []string{"", "access", "completion", "config", "keys", "log", "payloads"} {
		var help bytes.Buffer
		if err := run(t.Context(), strings.Fields(group), nil, &help, io.Discard); err != nil ||
			!strings.Contains(help.String(), "Available Commands:") {
			t.Errorf("%q: %v\n%s", group, err, &help)
		}
		name := strings.TrimSpace(group + " nonsense")
		want := fmt.Sprintf("unknown command %q (see: %s --help)", name, strings.TrimSpace("kycbridge "+group))
		for _, args := range []string{name, name + " --json", name + " --nothing", name + " -c kyc.yaml x", name + " --help",
			name + " --config=kyc.yaml", "--config kyc.yaml " + name, group + " -- nonsense"} {
			if group == "" && strings.HasSuffix(args, "-- nonsense") || group != "" && strings.HasPrefix(args, "--config") {
				continue // cobra finds no command behind these
			}
			var out bytes.Buffer
			err := run(t.Context(), strings.Fields(args), nil, &out, &out)
			if err == nil || err.Error() != want || out.Len() > 0 {
				t.Errorf("%q: %v\n%s", args, err, &out)
			}
		}
		err := run(t.Context(), append(strings.Fields(group), "--nothing"), nil, io.Discard, io.Discard)
		if err == nil || !strings.HasPrefix(err.Error(), "unknown flag: --nothing (see: ") {
			t.Errorf("%q --nothing: %v", group, err)
		}
	}
}

// TestPipes: a reader that closes early ends the work, quietly and with 0.
func TestPipes(t *testing.T) {
	for _, args := range [][]string{{"demo"}, {"demo", "--once", "--json"}, {"config", "check"}, {"version"}, {"--help"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			cmd := command(t, args...)
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			reader.Close()
			quietEnd(t, cmd, writer)
		})
	}
}

// quietEnd runs cmd with a stdout whose reader is closed or will close.
func quietEnd(t *testing.T, cmd *exec.Cmd, stdout *os.File) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 || time.Since(began) > 15*time.Second*wait.Slowdown {
		t.Errorf("%v after %s\n%s", err, time.Since(began), &stderr)
	}
}

// interrupted sends Ctrl-C once the process has written a line, and expects exit code 0.
func interrupted(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("nothing was written: %v\n%s", err, &stderr)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil || strings.Contains(stderr.String(), "kycbridge:") {
		t.Errorf("%v\n%s", err, &stderr)
	}
}

// TestInterruptedDemo: Ctrl-C ends the demo.
func TestInterruptedDemo(t *testing.T) { interrupted(t, command(t, "demo")) }

// TestDemoColumns: every event is one line of limited length, with aligned columns.
func TestDemoColumns(t *testing.T) {
	got := finish(t, command(t, "demo", "--once"))
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if got.code != 0 || len(lines) < 30 || !strings.Contains(got.stderr, "8 verifications at 4 providers have ended: ") {
		t.Fatalf("code %d, %d lines\n%s", got.code, len(lines), got.stderr)
	}
	column := strings.Index(lines[0], "  r1 ")
	ended := map[string]int{}
	for _, line := range lines {
		r := []rune(line)
		if len(r) > lineWidth || len(r) < 90 || !strings.HasPrefix(line, "20") || string(r[20:22]) != "  " {
			t.Errorf("%d characters: %s", len(r), line)
		} else if got := string(r[column : column+3]); got != "  r" {
			t.Errorf("the revision does not stand at %d: %s", column, line)
		}
		for _, end := range []string{"approved (final)", "rejected (final)"} {
			if strings.Contains(line, " completed ") && strings.Contains(line, end) {
				ended[strings.Fields(line)[1]+" "+end] |= 1
			}
		}
	}
	if len(ended) != 8 {
		t.Errorf("not every provider approved one and rejected one: %v", ended)
	}
}
