package publisher

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestReservedBlocksAreNoFullDisk: the file system reports no free block, but this user may still write. When it may
// not any more, the file system still counts free blocks.
func TestReservedBlocksAreNoFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, mounted := dir+"/image", dir+"/mounted"
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 8<<20))
	must(t, os.Mkdir(mounted, 0o700))
	if out, err := exec.Command("mkfs.ext4", "-q", "-m", "50", "-O", "^has_journal", image).CombinedOutput(); err != nil {
		t.Skipf("no file system can be made here: %v %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, mounted).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() { must(t, exec.Command("umount", mounted).Run()) })
	lock, err := lockDir(mounted)
	must(t, err)
	defer lock.Close()
	var disk syscall.Statfs_t
	for must(t, syscall.Statfs(mounted, &disk)); disk.Bavail > 0; must(t, syscall.Statfs(mounted, &disk)) {
		rest := make([]byte, disk.Bavail*uint64(disk.Bsize))
		must(t, os.WriteFile(fmt.Sprint(mounted, "/filler", disk.Bavail), rest, 0o600))
	}
	if err := diskFull(mounted); err != nil {
		t.Errorf("half of the disk is reserved for this user: %v", err)
	}
	filler, err := os.Create(mounted + "/rest")
	must(t, err)
	for err == nil {
		_, err = filler.Write(make([]byte, 1024))
	}
	must(t, filler.Close())
	if diskFull(mounted) == nil {
		t.Error("a full disk is not noticed")
	}
}

// TestDisplacedDirectory: the data directory is renamed, and a copy takes its place, while the server uses it. From
// then on nothing is reported as stored: the next start opens the copy.
func TestDisplacedDirectory(t *testing.T) {
	t.Parallel()
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
