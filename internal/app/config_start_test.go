package app

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"kycbridge/publisher"
)

// TestStartFault: an error of the start names the key that it is about and says what to do, without the words of a
// library.
func TestStartFault(t *testing.T) {
	config := defaults()
	config.Listen, config.Admin.Listen, config.Embedded.Listen = "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"
	config.DataDir = "./data"
	config.Store.URL, config.Bus.URL = "nats://u:hunter2@store:4222", "nats://bus:4222"
	listen := func(part string, err error) error {
		return fmt.Errorf("%s: %w", part, &net.OpError{Op: "listen", Net: "tcp", Err: err})
	}
	connect := func(part string, err error) error {
		return fmt.Errorf("connect %s to NATS at nats://%s:4222: %w", part, part, err)
	}
	file := func(path string, err error) error {
		return fmt.Errorf("lock data directory: %w", &fs.PathError{Op: "open", Path: path, Err: err})
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{listen("listen for callbacks", os.NewSyscallError("bind", syscall.EADDRINUSE)),
			"listen: 127.0.0.1:1 is in use by another program; stop it, or write another port"},
		{listen("listen for admin", os.NewSyscallError("bind", syscall.EACCES)),
			"admin.listen: this user may not listen on 127.0.0.1:2; write a port above 1023"},
		{listen("embedded.listen", os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)),
			"embedded.listen: 127.0.0.1:3 is no address of this machine; write one of its addresses, such as 127.0.0.1"},
		{listen("listen for admin", &net.DNSError{Name: "nowhere", Err: "no such host", IsNotFound: true}),
			"admin.listen: there is no host nowhere; write an address of this machine, such as 127.0.0.1"},
		{file("data/kycbridge.lock", syscall.EACCES), "data_dir: the folder ./data cannot be used: data/kycbridge.lock: " +
			"permission denied; name one in which this user may create, read and write files"},
		{file("data", syscall.ENOTDIR), "data_dir: the folder ./data cannot be used: data: not a directory; name one in " +
			"which this user may create, read and write files"},
		{errors.New("create stream: nats: API error: the disk under ./data is full"),
			"data_dir: the disk under ./data is full; make room, kycbridge cannot start without"},
		{connect("store", nats.ErrNoServers),
			"store.url: no NATS server answers at nats://store:4222; start it, or correct the address"},
		{connect("bus", nats.ErrAuthorization), "bus: the NATS server at nats://bus:4222 refuses this user; correct " +
			"bus.username and its password, bus.token or bus.credentials_file"},
		{connect("store", &net.DNSError{Name: "store", Err: "no such host", IsNotFound: true}),
			"store.url: no such host: nats://store:4222; correct the address"},
		{connect("bus", os.ErrDeadlineExceeded),
			"bus.url: there is no answer of a NATS server at nats://bus:4222; correct the address"},
	} {
		if got := config.StartFault(c.err); got.Error() != c.want {
			t.Errorf("%v:\n got %v\nwant %s", c.err, got, c.want)
		}
	}
	for _, other := range []error{nil, errors.New("other"), file("/elsewhere", syscall.ENOENT)} {
		if got := config.StartFault(other); got != other { //nolint:errorlint // the very same error
			t.Errorf("%v became %v", other, got)
		}
	}
}

// TestOpenFault: a command that may not open the data directory says so and what to do.
func TestOpenFault(t *testing.T) {
	config := defaults()
	config.DataDir = "./data"
	for number, want := range map[syscall.Errno]string{
		syscall.EACCES: "permission denied; run the command as the user that runs serve",
		syscall.EROFS: "read-only file system; a command locks the folder and the server writes there: make it writable, " +
			"or use a copy",
		syscall.EIO: "input/output error; name one in which this user may create, read and write files",
	} {
		err := fmt.Errorf("lock data directory: %w", &fs.PathError{Op: "open", Path: "data/kycbridge.lock", Err: number})
		got := config.openFault(err).Error()
		if !strings.HasPrefix(got, "data_dir: ") || !strings.HasSuffix(got, "data/kycbridge.lock: "+want) {
			t.Errorf("%v: %v", number, got)
		}
	}
	for _, other := range []error{nil, publisher.ErrInUse} {
		if got := config.openFault(other); got != other { //nolint:errorlint // the very same error
			t.Errorf("%v became %v", other, got)
		}
	}
}

// TestCheckFiles: the files of the connections to NATS are named with their keys, before anything is started.
func TestCheckFiles(t *testing.T) {
	sound, text, none := write(t, "-----BEGIN CERTIFICATE-----\n"), write(t, "text"), filepath.Join(t.TempDir(), "none")
	config := defaults()
	if err := config.CheckFiles(); err != nil {
		t.Errorf("embedded: %v", err)
	}
	config.Store = Server{URL: "nats://a:4222", CredentialsFile: none}
	config.Bus = Server{URL: "nats://b:4222"}
	config.Bus.TLS.CA, config.Bus.TLS.Cert, config.Bus.TLS.Key = sound, t.TempDir(), text
	want := []string{"store.credentials_file: the file cannot be read: no such file or directory (" + none + ")",
		"bus.tls.cert: the file cannot be read: is a directory (" + config.Bus.TLS.Cert + ")",
		"bus.tls.key: the file has no block that begins with -----BEGIN (" + text + ")"}
	err := config.CheckFiles()
	if err == nil {
		t.Fatal("no fault")
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i, w := range want {
		if !strings.HasPrefix(got[i], w+"; name a ") {
			t.Errorf("%q, want %q", got[i], w)
		}
	}
}

// TestPathShown: the path of a file is shown, and a secret that was written in its place is not.
func TestPathShown(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "Missing"), write(t, ""), "secrets/token", "./secrets/token",
		"/run/secrets/kycbridge/admin-token", "../a", "token.txt", "server.pem", "testdata/None"} {
		if got := pathShown(path); got != " ("+path+")" {
			t.Errorf("%s is shown as %q", path, got)
		}
	}
	for _, secret := range []string{"", "hunter2", "/none", "Hunter/2", "ab3/De+fgh=", "/Xy/z", "a b/c", "hunter2.Pass",
		"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA/bc\n"} {
		if got := pathShown(secret); got != "" {
			t.Errorf("%q is shown as %q", secret, got)
		}
	}
}
