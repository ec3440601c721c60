package publisher

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestAFlushOfAnAbortedFileSystemFails aborts a real ext4 file system, as an error of its disk does, while four files
// grow. Everything that a flush has reported as stored is there after the repair. Without confirmFlush about every
// second round loses something.
func TestAFlushOfAnAbortedFileSystemFails(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	for _, tool := range []string{"mkfs.ext4", "fsck.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs ", tool)
		}
	}
	const rounds, files = 12, 4
	dir := t.TempDir()
	image, folder := filepath.Join(dir, "image"), filepath.Join(dir, "mounted")
	must(t, os.Mkdir(folder, 0o700))
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 64<<20))
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil && name != "fsck.ext4" { // it has repaired
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	mount := func() {
		t.Helper()
		if out, err := exec.Command("mount", "-o", "loop", image, folder).CombinedOutput(); err != nil {
			t.Skipf("cannot mount an image here: %v: %s", err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("umount", folder).Run() })
	lost, all := 0, 0
	for round := range rounds {
		run("mkfs.ext4", "-q", "-F", image)
		mount()
		var stored [files]int
		var growing sync.WaitGroup
		for i := range files {
			growing.Go(func() { stored[i] = grow(filepath.Join(folder, fmt.Sprint(i)), byte('a'+i)) })
		}
		time.Sleep(100*time.Millisecond + time.Duration(round)*time.Millisecond)
		run("mount", "-o", "remount,abort", folder)
		growing.Wait()
		run("umount", folder)
		run("fsck.ext4", "-y", image)
		mount()
		for i := range files {
			content, _ := os.ReadFile(filepath.Join(folder, fmt.Sprint(i), "1.blk")) // missing: empty
			there := len(content) - len(bytes.TrimLeft(content, string(rune('a'+i))))
			if all += stored[i]; there < stored[i] {
				lost++
				t.Logf("round %d: %d of %d bytes are left", round, there, stored[i])
			}
		}
		run("umount", folder)
	}
	if lost > 0 || all == 0 {
		t.Errorf("%d bytes were stored; %d of %d files have lost what a flush had reported as stored", all, lost,
			rounds*files)
	}
}

// grow appends to a file of messages and flushes it until that fails. It returns the size that was flushed.
func grow(folder string, content byte) (stored int) {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return 0 // on a busy machine the file system may be aborted by now
	}
	file, err := os.Create(filepath.Join(folder, "1.blk"))
	if err != nil {
		return 0
	}
	defer file.Close()
	files := newBlockFiles(folder)
	defer func() { files.file.Close() }() // of a nil file: an error that does not matter
	record := bytes.Repeat([]byte{content}, 1500)
	for {
		if _, err := file.Write(record); err != nil {
			return stored
		}
		if files.sync() != nil {
			return stored
		}
		stored += len(record)
	}
}
