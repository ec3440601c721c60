package main

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestForbiddenStore: where the store belongs to another user, only the commands that can use the API name it as the
// remedy.
func TestForbiddenStore(t *testing.T) {
	dir, err := os.MkdirTemp("", "kycbridge-forbidden") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config, data := filepath.Join(dir, "kycbridge.yaml"), filepath.Join(dir, "data")
	if err := cmp.Or(os.Chmod(dir, 0o755), os.Mkdir(data, 0o000),
		os.WriteFile(config, []byte("data_dir: "+data+"\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for line, remedy := range map[string]bool{
		"payloads list": true, "payloads report": true, "find 786513b3": true, "access list": true,
		"payloads replay --dry-run": false, "payloads export": false, "keys list": false,
	} {
		got := finish(t, asAnyUser(t, dir, command(t, append(strings.Fields(line), "--config", config)...)))
		if got.code != 1 || !strings.Contains(got.stderr, "this user may not read data_dir") ||
			strings.Contains(got.stderr, "--api") != remedy {
			t.Errorf("%s: %d %s%s", line, got.code, got.stdout, got.stderr)
		}
	}
}

// asAnyUser makes a command run as a user without rights, in a folder that is open to all. Root, who may read
// everything, runs the program as nobody.
func asAnyUser(t *testing.T, dir string, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		return cmd
	}
	linked := filepath.Join(dir, filepath.Base(program))
	if err := os.Link(program, linked); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	const nobody = 65534
	cmd.Path, cmd.Dir = linked, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}
