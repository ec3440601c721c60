package publisher

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"kycbridge/publisher/blocks"
)

// BenchmarkCheckFiles measures what a start costs that reads every block, on payloads of 2.5 kB.
func BenchmarkCheckFiles(b *testing.B) {
	dir := b.TempDir()
	e, store, bus := openAt(b, dir, zap.NewNop())
	var posting sync.WaitGroup
	for worker := range 64 {
		posting.Go(func() {
			for i := range 800 {
				p := payload(fmt.Sprint("idv-", worker, "-", i), fmt.Sprint("e", worker, "-", i),
					fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", 2400)))
				if _, err := store.Append(b.Context(), p); err != nil {
					b.Error(err)
				}
			}
		})
	}
	posting.Wait()
	closeAt(e, store, bus)
	for b.Loop() {
		if err := os.Remove(filepath.Join(dir, checkedFile)); err != nil && !os.IsNotExist(err) {
			b.Fatal(err)
		}
		result, err := blocks.Check(blocks.Options{Dir: filepath.Join(dir, "jetstream"),
			Memory: filepath.Join(dir, checkedFile), Ours: testNames.ours})
		if err != nil || len(result.Findings) > 0 {
			b.Fatal(result, err)
		}
		b.SetBytes(result.Bytes)
	}
}
