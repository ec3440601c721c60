package regular

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestOpen: a file is opened, also through a link; everything else is refused at once.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(at("file"), []byte("text"), 0o600), os.Symlink("file", at("link")),
		syscall.Mkfifo(at("pipe"), 0o600), os.Symlink("pipe", at("link to a pipe"))); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for path, want := range map[string]error{at("file"): nil, at("link"): nil, at("pipe"): ErrIrregular,
		at("link to a pipe"): ErrIrregular, at("socket"): ErrIrregular, "/dev/zero": ErrIrregular, dir: syscall.EISDIR,
		at("none"): fs.ErrNotExist} {
		done := make(chan error, 1)
		go func() {
			f, err := Open(path)
			if err == nil {
				f.Close()
			}
			done <- err
		}()
		select {
		case err := <-done:
			if !errors.Is(err, want) {
				t.Errorf("%s: %v", path, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: it waits", path)
		}
	}
}

// TestFolder: a named pipe in a folder is refused.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o600),
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if raw, err := fs.ReadFile(Folder(dir), "file"); err != nil || string(raw) != "text" {
		t.Errorf("%q %v", raw, err)
	}
	if _, err := fs.ReadFile(Folder(dir), "pipe"); !errors.Is(err, ErrIrregular) {
		t.Error(err)
	}
	if all, err := fs.ReadDir(Folder(dir), "."); err != nil || len(all) != 2 {
		t.Error(all, err)
	}
}

// TestNamed: text that may be a secret in place of a path is no name that a message shows.
func TestNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("plainfile", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, shown := range map[string]bool{"plainfile": true, "none.yaml": true, "dir/none": true, "./none/file": true,
		"hunter2": false, "S3cret/Value": false, "eyJhbGciOi.J9.c2ln": false, "": false} {
		if got := Named(path); (got == path) != shown && path != "" || got != "" && !shown {
			t.Errorf("%q is shown as %q", path, got)
		}
	}
}
