package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"kycbridge/internal/app"
	"kycbridge/internal/keys"
)

// internal matches what Go and its libraries say about files, which means nothing to a stranger.
var internal = regexp.MustCompile(`\b(open|read|stat|mkdir|lstat) [^ ]*: |zip:|json:|invalid character|strconv|EOF|\n`)

// typedHere runs a command line in this process and returns its error.
func typedHere(t *testing.T, line string) error {
	t.Helper()
	return run(t.Context(), strings.Fields(line), nil, io.Discard, io.Discard)
}

// TestUnusableFiles: every command that reads a file names it, and says in one line what is wrong and what to do.
func TestUnusableFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	public := new(bytes.Buffer)
	config := textFile(t, "integrity: {log: true, signing_key_file: "+textFile(t, signingKey())+"}\n")
	if err := run(t.Context(), []string{"log", "key", "--config", config}, nil, public, io.Discard); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"empty": "", "text": "hello\n", "log.pub": public.String(),
		"token": "hunter2-token\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	const api = " --api http://127.0.0.1:1"
	for _, c := range []struct{ args, empty, text string }{ // what is said about a file, "": it is not refused
		{"verify x.zip --key FILE", "no public key; kycbridge log key prints it", "no public key of a log"},
		{"verify FILE --key log.pub", "this is no bundle, or it is cut off or damaged", "this is no bundle, or it is cut off"},
		{"events --decrypt FILE", "no key: write PEM, ", "no key: write PEM, "},
		{"events --keys FILE", "not a JSON Web Key Set; kycbridge serve has", "not a JSON Web Key Set; kycbridge serve has"},
		{"events --creds FILE", "contains no NATS credentials", "contains no NATS credentials"},
		{"events --user u --password-file FILE", "must hold one line, the password", ""},
		{"payloads list --store nats://127.0.0.1:1 --creds FILE", "contains no NATS credentials", "contains no NATS cred"},
		{"payloads list --store nats://127.0.0.1:1 --user u --password-file FILE", "must hold one line, the password", ""},
		{"simulate ondato --callback-secret-file FILE", "the first line of empty is empty; write the credential", ""},
		{"simulate ondato --callback-ca-file FILE", "contains no certificate in PEM", "contains no certificate in PEM"},
		{"payloads list --token-file FILE" + api, "is empty; write one of admin.tokens", ""},
		{"payloads list --token-file token --ca-file FILE" + api, "contains no certificate", "contains no certificate"},
		{"payloads list --cert-file FILE --key-file FILE" + api, "are not a certificate and its key", "are not a certificate"},
		{"start --request FILE" + api, "empty is empty; write a JSON object", "text does not contain a JSON object"},
		{"step --provider o --account a --reference r --step 0 --image FILE" + api, "", ""},
		{"try ondato ./FILE", "", ""},
		{"send ondato ./FILE", "", ""},
	} {
		for file, want := range map[string]string{"none.txt": ": no such file or directory; name an existing file",
			"folder": " is a folder; name a file", "pipe": "pipe cannot be read: it is not a regular file, but a pipe, a socket " +
				"or a device; name a file", "empty": c.empty, "text": c.text} {
			if want == "" {
				continue
			}
			line := strings.ReplaceAll(c.args, "FILE", file)
			err := typedHere(t, line)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) ||
				internal.MatchString(err.Error()) {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

// TestSecretsInPlaceOfPaths: a secret that was written where the path of a file belongs is not repeated.
func TestSecretsInPlaceOfPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	const secret, api = "hunter2-Tok3n", " --api http://127.0.0.1:1"
	for _, args := range []string{
		"payloads list --token-file FILE" + api, "payloads list --token-file t --ca-file FILE" + api,
		"payloads list --cert-file FILE --key-file FILE" + api, "find x --token-file FILE" + api,
		"config diff --token-file FILE", "events --user u --password-file FILE", "events --creds FILE",
		"events --decrypt FILE", "events --keys FILE", "payloads list --store nats://127.0.0.1:1 --creds FILE",
		"simulate ondato --callback-secret-file FILE", "verify x.zip --key FILE", "payloads report --checkpoint FILE",
		"start --request FILE" + api, "payloads import FILE", "payloads list --config FILE", "config check --config FILE",
	} {
		err := typedHere(t, strings.ReplaceAll(args, "FILE", secret))
		if err == nil || strings.Contains(message(err), secret) {
			t.Errorf("%s: %v", args, err)
		}
		if flag := regexp.MustCompile(`--[a-z-]+ FILE`).FindString(args); err != nil && !strings.Contains(args, "--c") &&
			flag != "" && !strings.Contains(err.Error(), strings.TrimSuffix(flag, " FILE")) {
			t.Errorf("%s: it does not name the flag: %v", args, err)
		}
	}
}

// TestPassedFiles: what the shell passes as a file, with <(command), is read like one.
func TestPassedFiles(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := io.WriteString(writer, "text"); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	raw, err := readInput(fmt.Sprintf("/dev/fd/%d", reader.Fd()), nil, 100)
	if err != nil || string(raw) != "text" {
		t.Errorf("%q %v", raw, err)
	}
}

// TestUnusableOutputs: what cannot be written is named as it was on the command line.
func TestUnusableOutputs(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("afile", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const initial = "init --provider ondato --account a --environment test --public-url https://kyc.example.com -o "
	for args, want := range map[string]string{
		initial + "afile/k.yaml": "--output: afile/k.yaml cannot be written: a part of this path is a file and not a " +
			"folder; name another file",
		initial + "new/": `--output: "new/" does not name a file; write one such as kycbridge.yaml (see: kycbridge init --help)`,
		"keys generate --file none/keys": "none/keys cannot be written: the folder none does not exist; make it, or name " +
			"another file",
		"keys generate --file=": "--file is empty: write a value, or omit the flag (see: kycbridge keys generate --help)",
		"test none":             "none is no folder; name the one with the cases",
		"test afile":            "afile is no folder; name the one with the cases",
	} {
		if err := typedHere(t, args); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", args, err, want)
		}
	}
	left, err := os.ReadDir(".")
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
	t.Setenv("TMPDIR", "none")
	const want = "cannot make a temporary folder in none: no such file or directory; let the variable TMPDIR name a folder"
	if err := typedHere(t, "demo --once"); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("demo: %v", err)
	}
}

// TestFileErrors: permissions and other causes, which a test of root does not meet.
func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	at := func(err error) error { return &fs.PathError{Op: "open", Path: "/hidden/.part", Err: err} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{unreadable("x.txt", at(syscall.EACCES)), "x.txt: permission denied; name a file that this user may read"},
		{unreadable("x.txt", at(syscall.EIO)), "x.txt cannot be read: input/output error; name another file"},
		{unreadable("x.txt", at(syscall.ENOTDIR)), "x.txt: a part of this path is a file and not a folder; name an existing file"},
		{unreadable("", at(syscall.ENOENT)), "the name of the file is empty; write one"},
		{unwritable("x", at(syscall.EACCES)),
			"x cannot be written: permission denied; name a file where this user may write"},
		{unwritable("none/x", at(syscall.EACCES)),
			"none/x cannot be written: permission denied; name a file where this user may write"},
		{unwritable("none/x", at(syscall.ENOENT)),
			"none/x cannot be written: the folder none does not exist; make it, or name another file"},
		{unwritable("x", at(syscall.ENOSPC)),
			"x cannot be written: no space left on device; name another file, or correct the cause"},
		{unwritable(dir, &os.LinkError{Op: "rename", Old: "a", New: dir, Err: syscall.EISDIR}),
			dir + " is a folder; name a file"},
	} {
		if c.err.Error() != c.want {
			t.Errorf("got %v\nwant %s", c.err, c.want)
		}
	}
	if !errors.Is(unreadable("x", at(syscall.ENOENT)), fs.ErrNotExist) {
		t.Error("a missing file is not recognized")
	}
}

// TestSecondKey: a second key is added only behind a first one, and never to a damaged file.
func TestSecondKey(t *testing.T) {
	first, err := keys.Generate("first")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "there is no key in FILE, so a second one cannot be added behind it: "},
		"comments only": {"# keys\n\n", "there is no key in FILE, so a second one cannot be added behind it: "},
		"truncated":     {first[:20], "FILE is damaged, or no key file: line 1: after the id and a space come 32 bytes in base64; nothing was written: "},
		"other":         {"hello", "FILE is damaged, or no key file: line 1: "},
		"twice":         {first + "\n" + first, "FILE is damaged, or no key file: line 2: there is another key with the id first; "},
		"same id":       {first, "FILE with the new key would be invalid: line 2: there is another key with the id first; --id gives"},
	} {
		t.Run(name, func(t *testing.T) {
			file := textFile(t, c.text)
			err := typedHere(t, "keys generate --second --id first --file "+file)
			if want := strings.Replace(c.want, "FILE", file, 1); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %v\nwant %s", err, want)
			}
			if now, err := os.ReadFile(file); err != nil || string(now) != c.text {
				t.Errorf("the file was changed: %q %v", now, err)
			}
		})
	}
	file := textFile(t, "# keys\n"+first+"\n")
	if err := typedHere(t, "keys generate --second --file "+file); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(file)
	if lines := strings.Split(string(now), "\n"); err != nil || len(lines) != 4 || lines[1] != first {
		t.Errorf("%q %v", now, err)
	}
}

// TestKeyFileKeepsItsAccess: a key file that the service reads as a member of a group, through a link, is readable for
// it afterwards, and nobody else's file is written.
func TestKeyFileKeepsItsAccess(t *testing.T) {
	first, err := keys.Generate("first")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file, link, other := filepath.Join(folder, "real.keys"), filepath.Join(folder, "keys"), textFile(t, "not a key")
	for _, err := range []error{os.WriteFile(file, []byte(first+"\n"), 0o600), os.Chmod(file, 0o640),
		os.Symlink("real.keys", link), os.Symlink(other, link+".new")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	group := os.Getgid()
	if os.Getuid() == 0 {
		group = 4711
		if err := os.Chown(file, 0, group); err != nil {
			t.Fatal(err)
		}
	}
	if err := typedHere(t, "keys generate --second --file "+link); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(file)
	if err != nil || strings.Count(string(now), "\n") != 2 {
		t.Errorf("the file that the link leads to: %q, %v", now, err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o640 || int(info.Sys().(*syscall.Stat_t).Gid) != group {
		t.Errorf("its access: %+v, %v", info, err)
	}
	if text, err := os.ReadFile(other); err != nil || string(text) != "not a key" {
		t.Errorf("another file was written: %q, %v", text, err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 3 {
		t.Errorf("files left: %v, %v", left, err)
	}
	fresh := filepath.Join(folder, "fresh.keys")
	if err := typedHere(t, "keys generate --file "+fresh); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(fresh); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a new file: %+v, %v", info, err)
	}
}

// TestCause: a failed connection is described without the words of a library.
func TestCause(t *testing.T) {
	host := strings.TrimPrefix(startServer(t, &server.Options{}), "nats://")
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	authority := textFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	_, port, _ := strings.Cut(secure.Listener.Addr().String(), ":")
	for args, want := range map[string]string{
		"health --api " + secure.URL: "127.0.0.1:" + port + ": its certificate is of an authority that is not trusted here: " +
			"name a file with the authority (--ca-file); ",
		"health --api https://localhost:" + port + " --ca-file " + authority: "localhost:" + port + ": its certificate is for " +
			"another host; ",
		"health --api " + secure.URL + " --ca-file " + authority: "127.0.0.1:" + port + ": it refuses the TLS connection: " +
			"certificate required; ",
		"health --api http://" + host:  host + ": it does not speak HTTP there; ",
		"health --api https://" + host: host + ": it does not speak TLS there; ",
		"events --url tls://" + host:   host + ": the server does not use TLS: write nats:// instead of tls://; ",
	} {
		err := typedHere(t, args)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	taken := strings.TrimPrefix(secure.URL, "https://")
	if err := typedHere(t, "simulate ondato --listen "+taken); err == nil ||
		err.Error() != "--listen: "+taken+" is in use by another program; stop it, or write another port" {
		t.Error(err)
	}
	// What net/http returns if the other side spoke before the request was written, and if it closed the connection then.
	for text, want := range map[string]string{
		"net/http: HTTP/1.x transport connection broken: readLoopPeekFailLocked: %!w(<nil>)": "it does not speak HTTP there",
		"malformed MIME header line: 220 mail.example.com ESMTP":                             "it does not speak HTTP there",
		"http: server closed idle connection":                                                "the connection was closed",
	} {
		if got := cause(&url.Error{Op: "Get", URL: "http://nowhere", Err: errors.New(text)}); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
	unknown := &net.DNSError{Err: "no such host", Name: "nowhere", Server: "192.0.2.1:53", IsNotFound: true}
	if got := cause(&net.OpError{Op: "dial", Net: "tcp", Err: unknown}); got != "no such host" {
		t.Error(got)
	}
	err := fromNATS(fmt.Errorf("connect store to NATS at nats://nowhere:4222: %w", unknown), otherStore)
	const want = "connect store to NATS at nats://nowhere:4222: no such host; is this "
	if !strings.HasPrefix(err.Error(), want) {
		t.Error(err)
	}
}

// TestNothingControlsTheTerminal: what servers and providers say reaches a terminal without control characters, in
// messages and as JSON.
func TestNothingControlsTheTerminal(t *testing.T) {
	const hostile = "\x1b[31mA\u009b31m\u202eevil\u2066 \U000e0041\x7f ü"
	if got := message(errors.New(hostile)); strings.ContainsFunc(got, controls) || !strings.HasSuffix(got, "ü") {
		t.Errorf("%q", got)
	}
	fault := &app.ConfigError{Faults: []app.Fault{{Key: "a", Problem: hostile}, {Key: "b", Problem: "second"}}}
	if got := message(fault); strings.ContainsFunc(got, controls) || strings.Count(got, "\n") != 2 {
		t.Errorf("%q", got)
	}
	var b strings.Builder
	if err := line(&b, map[string]string{hostile: hostile}); err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil || back[hostile] != hostile {
		t.Errorf("%v %q", err, back)
	}
	if strings.ContainsFunc(b.String(), controls) {
		t.Errorf("%q", b.String())
	}
}
