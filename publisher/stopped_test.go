package publisher

import (
	"errors"
	"os"
	"testing"
)

// TestDisplacedDirectory: the data directory is renamed, and a copy takes its place, while the server uses it. From
// then on nothing is reported as stored: the next start opens the copy.
func TestDisplacedDirectory(t *testing.T) {
	dir := t.TempDir() + "/data"
	server, store, _ := start(t, dir)
	_, err := store.Append(t.Context(), payload("idv", "e1", `{}`))
	must(t, err)
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.CopyFS(dir, os.DirFS(dir+".old")))
	if stored, err := store.Append(t.Context(), payload("idv", "e2", `{}`)); !errors.Is(err, ErrDisplaced) {
		t.Errorf("a payload after the directory was replaced: %+v, %v", stored, err)
	}
	eventually(t, "the server says why it has to be restarted", func() bool {
		_, why := server.Stopped()
		return errors.Is(why, ErrDisplaced) && store.Ready(t.Context()) != nil
	})
	before, err := os.ReadDir(dir)
	must(t, err)
	server.Close()
	after, err := os.ReadDir(dir)
	must(t, err)
	if len(after) != len(before) {
		t.Errorf("the end of the server changed the directory that is not its own: %v, before: %v", after, before)
	}
}
