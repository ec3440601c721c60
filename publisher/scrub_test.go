package publisher

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"kycbridge"
)

// TestScrubReadsNewestFiles: bytes in the middle of the newest file of a stream are overwritten while the server uses
// it, and other messages arrive meanwhile. Holds and tombstones fill no second file for years.
func TestScrubReadsNewestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, store, _ := start(t, dir)
	for i := range 20 {
		must(t, store.WriteTombstone(t.Context(), kycbridge.Tombstone{Provider: "ondato", Account: "acme",
			VerificationID: fmt.Sprintf("00000000-0000-5000-8000-%012d", i)}))
		_, err := store.Append(t.Context(), payload("idv", fmt.Sprint("e", i), `{"n":"`+strings.Repeat("x", 500)+`"}`))
		must(t, err)
	}
	over := make(chan struct{})
	var posting sync.WaitGroup
	defer posting.Wait()
	defer close(over)
	posting.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
				_, _ = store.Append(t.Context(), payload("idv", fmt.Sprint("later", i), `{}`)) // as the damage permits
			}
		}
	})
	if damaged, err := server.Scrub(t.Context(), 1<<30); err != nil || damaged != 0 {
		t.Fatalf("an intact store: %d files are damaged, %v", damaged, err)
	}
	for _, stream := range []string{testNames.tombstones(), testNames.payloads()} {
		file, err := os.OpenFile(newestBlock(t, dir, stream), os.O_WRONLY, 0)
		must(t, err)
		_, err = file.WriteAt([]byte("overwritten"), 500)
		must(t, err)
		must(t, file.Close())
	}
	if damaged, err := server.Scrub(t.Context(), 1<<30); err != nil || damaged != 2 {
		t.Errorf("%d files are damaged, want 2, %v", damaged, err)
	}
}
