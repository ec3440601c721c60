package powercut

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestPowerCut: the disk keeps what was flushed, and loses of the rest what its random source says. So it can
// show that a program forgets to flush.
func TestPowerCut(t *testing.T) {
	d, err := New(t.TempDir(), 64<<20)
	if err != nil {
		t.Skip("no disk can lose its power here: ", err)
	}
	t.Cleanup(d.Close)
	write := func(name string, flush bool) {
		t.Helper()
		f, err := os.Create(filepath.Join(d.Path(), name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString("content of " + name); err != nil {
			t.Fatal(err)
		}
		if flush {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(name string) string {
		raw, _ := os.ReadFile(filepath.Join(d.Path(), name))
		return string(raw)
	}
	write("flushed", true)
	write("written", false)
	if got := read("written"); got != "content of written" {
		t.Fatalf("before the cut: %q", got)
	}
	d.Cut()
	if err := os.WriteFile(filepath.Join(d.Path(), "after"), []byte("x"), 0o600); err == nil {
		if f, err := os.Open(filepath.Join(d.Path(), "after")); err == nil {
			if f.Sync() == nil {
				t.Error("a flush succeeds without power")
			}
			f.Close()
		}
	}
	if _, err := d.Restore(rand.New(rand.NewPCG(1, 1))); err != nil {
		t.Fatal(err)
	}
	if got := read("flushed"); got != "content of flushed" {
		t.Errorf("what was flushed is gone: %q", got)
	}
	if got := read("written") + read("after"); got != "" {
		t.Errorf("what was not flushed is there: %q", got)
	}
}
