package publisher

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// memoryStaging is the path prefix of the folders in memory to which earlier versions linked the staging folders
// of streams.
const memoryStaging = "/dev/shm/kycbridge-"

// stagedFor is longer than the server keeps an uncommitted batch (10 s).
const stagedFor = 15 * time.Second

// staged are the streams to which kycbridge publishes batches.
func (n Names) staged() []string {
	return []string{n.payloads(), n.events(), n.quarantine(), n.index(), n.access()}
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

// removeMemoryStaging removes the links of an earlier version and the remaining files in memory. No message in
// these files was acknowledged.
func removeMemoryStaging(dir string, n Names) {
	for _, stream := range n.staged() {
		folder := stagingFolder(dir, stream)
		target, err := os.Readlink(folder)
		if err == nil && strings.HasPrefix(target, memoryStaging) {
			_ = os.Remove(folder)
			_ = os.RemoveAll(filepath.Dir(target))
		}
	}
}

// stagingFolder is where the server stages batches of a stream.
func stagingFolder(dir, stream string) string {
	return filepath.Join(dir, "jetstream", ownAccount, "streams", stream, "batches")
}
