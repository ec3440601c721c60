package publisher

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"
)

// TestStrayFilesDoNotPreventAStart puts a file as a file manager or an editor leaves it into every folder of a data
// directory. Neither the check of the files, nor the server, nor the watch of its folders takes it for a stream.
func TestStrayFilesDoNotPreventAStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, store, bus := openAt(t, dir, zap.NewNop())
	if _, err := store.Append(t.Context(), payload("idv-1", "e1", `{}`)); err != nil {
		t.Fatal(err)
	}
	must(t, store.begin(t.Context(), ConsumeOptions{Log: zap.NewNop()}))
	closeAt(e, store, bus)
	strays := 0
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		strays++
		for _, name := range []string{".DS_Store", "notes.txt~"} {
			if err := os.WriteFile(filepath.Join(path, name), []byte("not of the server"), 0o600); err != nil {
				return err
			}
		}
		return nil
	}))
	if strays < 10 {
		t.Fatalf("only %d folders were found: %s is not the data directory of the server any more", strays, dir)
	}

	e, store, bus = openAt(t, dir, zap.NewNop())
	defer closeAt(e, store, bus)
	e.disk.watch(t.Context(), &e.watching)
	if _, err := store.Append(t.Context(), payload("idv-2", "e2", `{}`)); err != nil {
		t.Errorf("a payload is not stored: %v", err)
	}
	if all := stockOf(t, store)[testNames.payloads()]; len(all) != 2 {
		t.Errorf("the log has %d payloads, want both", len(all))
	}
}
