package publisher

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The server writes the members of an atomic batch to a separate folder before it appends them to the
// stream, with half a dozen flushes to disk, so that after a crash the batch is complete or absent.
// kycbridge needs no atomicity, only that acknowledged messages are in the stream, which is flushed
// separately. So the embedded server stages batches in memory: one flush per batch instead of eight. After
// a crash of the machine a batch may be there in part; none of it was acknowledged, and messages that
// providers send again are recognized.

const (
	memoryRoot   = "/dev/shm"
	memoryPrefix = "kycbridge-"
	tmpfsMagic   = 0x01021994

	// stagedFor is longer than the server keeps an uncommitted batch (10 s).
	stagedFor = 15 * time.Second
)

// StageInMemory links the staging folder of every existing stream to memory; it may be called again when
// there are more streams. Without a memory file system, or if a link cannot be created, batches are staged
// on disk: slower, not less safe.
func (e *Embedded) StageInMemory(n Names) {
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
				_ = os.Remove(target) // the stream does not exist yet, or stages on disk already
			}
		}
	}
}

// staged are the streams with batches.
func (n Names) staged() []string {
	return []string{n.payloads(), n.events(), n.quarantine(), n.index()}
}

// RemoveStaleBatches removes the files of batches that the server abandoned: if there is no space to stage
// a batch, the server leaves its files, which occupy the space until a restart.
func (e *Embedded) RemoveStaleBatches(n Names) {
	for _, stream := range n.staged() {
		folder := stagingFolder(e.dir, stream)
		left, err := os.ReadDir(folder)
		if err != nil {
			continue // nothing is staged
		}
		for _, batch := range left {
			if info, err := batch.Info(); err == nil && time.Since(info.ModTime()) > stagedFor {
				_ = os.RemoveAll(filepath.Join(folder, batch.Name())) // a failure is retried by the next call
			}
		}
	}
}

// unstage removes the folders of StageInMemory.
func (e *Embedded) unstage() {
	if e.staging != "" {
		os.RemoveAll(e.staging)
	}
}

// leftStaging is the memory folder of a process that was killed; "" if none.
func leftStaging(dir, stream string) string {
	target, err := os.Readlink(stagingFolder(dir, stream))
	if err != nil || !strings.HasPrefix(target, filepath.Join(memoryRoot, memoryPrefix)) {
		return ""
	}
	return filepath.Dir(target)
}

// stagingFolder is where the server stages batches of a stream.
func stagingFolder(dir, stream string) string {
	return filepath.Join(dir, "jetstream", ownAccount, "streams", stream, "batches")
}
