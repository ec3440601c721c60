package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestForbiddenStore: where the store belongs to another user, only the commands that can use the API name it as the
// remedy.
func TestForbiddenStore(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o000); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "kycbridge.yaml")
	if err := os.WriteFile(config, []byte("data_dir: "+filepath.Join(dir, "data")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, remedy := range map[string]bool{
		"payloads list": true, "payloads report": true, "find 786513b3": true, "access list": true,
		"payloads replay --dry-run": false, "payloads export": false, "keys list": false,
	} {
		got := finish(t, command(t, append(strings.Fields(line), "--config", config)...))
		if got.code != 1 || !strings.Contains(got.stderr, "this user may not read data_dir") ||
			strings.Contains(got.stderr, "--api") != remedy {
			t.Errorf("%s: %d %s%s", line, got.code, got.stdout, got.stderr)
		}
	}
}
