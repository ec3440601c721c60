package publisher

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The server writes the members of an atomic batch to a folder of their own before it appends them
// to the stream, with half a dozen flushes to disk, so that after a crash the batch is whole or
// absent. We need no atomicity, only that what was acknowledged is in the stream, and that is
// flushed apart. So the embedded server stages batches in memory: one flush a batch instead of
// eight. After a crash of the machine a batch may be there in part; none of it was acknowledged,
// and what providers send again is recognised.

const (
	memoryRoot   = "/dev/shm"
	memoryPrefix = "kycbridge-"
	tmpfsMagic   = 0x01021994
)

// stageInMemory makes the staging folder of each stream a link into memory. Where there is no
// memory file system, or a link cannot be made, batches are staged on disk: slower, not less safe.
// The returned function removes the folder in memory.
func stageInMemory(dir string, streams ...string) (remove func()) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memoryRoot, &fs); err != nil || fs.Type != tmpfsMagic {
		return func() {}
	}
	staging, err := os.MkdirTemp(memoryRoot, memoryPrefix) // mode 0700
	if err != nil {
		return func() {}
	}
	for _, stream := range streams {
		target := filepath.Join(staging, stream)
		if os.Mkdir(target, 0o700) == nil {
			_ = os.Symlink(target, stagingFolder(dir, stream)) // if it fails, the disk serves
		}
	}
	return func() { os.RemoveAll(staging) }
}

// leftStaging is the memory folder that a process which was killed has left behind; "" if none.
func leftStaging(dir, stream string) string {
	target, err := os.Readlink(stagingFolder(dir, stream))
	if err != nil || !strings.HasPrefix(target, filepath.Join(memoryRoot, memoryPrefix)) {
		return ""
	}
	return filepath.Dir(target)
}

// stagingFolder is where the server stages batches of a stream of ours.
func stagingFolder(dir, stream string) string {
	return filepath.Join(dir, "jetstream", ownAccount, "streams", stream, "batches")
}
