package publisher

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
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

	// stagedFor is longer than the server keeps a batch that nobody commits (10 s).
	stagedFor = 15 * time.Second
)

// Staged makes the staging folder of every stream that exists by now a link into memory; it may be
// called again when there are more. Where there is no memory file system, or a link cannot be made,
// batches are staged on disk: slower, not less safe.
func (e *Embedded) Staged(n Names) {
	e.stageOnce.Do(func() {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(memoryRoot, &fs); err != nil || fs.Type != tmpfsMagic {
			return
		}
		if dir, err := os.MkdirTemp(memoryRoot, memoryPrefix); err == nil { // mode 0700
			e.staging = dir
		}
	})
	if e.staging == "" {
		return
	}
	for _, stream := range n.staged() {
		target := filepath.Join(e.staging, stream)
		if os.Mkdir(target, 0o700) == nil {
			if os.Symlink(target, stagingFolder(e.dir, stream)) != nil {
				_ = os.Remove(target) // there is no such stream yet, or it stages on disk already
			}
		}
	}
}

// staged are the streams that take batches.
func (n Names) staged() []string {
	return []string{n.payloads(), n.events(), n.quarantine(), n.index()}
}

// Unclutter removes what batches have left that the server gave up: where there is no room to stage
// one, it leaves what it had written, and the room would be taken until a restart.
func (e *Embedded) Unclutter(n Names) {
	for _, stream := range n.staged() {
		folder := stagingFolder(e.dir, stream)
		left, err := os.ReadDir(folder)
		if err != nil {
			continue // nothing is staged
		}
		for _, batch := range left {
			if info, err := batch.Info(); err == nil && time.Since(info.ModTime()) > stagedFor {
				_ = os.RemoveAll(filepath.Join(folder, batch.Name())) // what stays is tried again
			}
		}
	}
}

// unstage removes what Staged has made in memory.
func (e *Embedded) unstage() {
	if e.staging != "" {
		os.RemoveAll(e.staging)
	}
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
