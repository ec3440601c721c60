package test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// TestDamageUnderLoad damages the newest file of a stream while callbacks arrive. The process says so and ends within
// seconds, and after the next start every callback that was sent after the damage and answered 200 has its event.
func TestDamageUnderLoad(t *testing.T) {
	long(t, "half a minute")
	t.Parallel()
	harms := map[string]func(t *testing.T, block string){
		"cut":       func(t *testing.T, block string) { must(t, os.Truncate(block, 20000)) },
		"shortened": func(t *testing.T, block string) { cutBy(t, block, 100) },
		"removed":   func(t *testing.T, block string) { must(t, os.Remove(block)) },
		"replaced by an older copy": func(t *testing.T, block string) {
			raw, err := os.ReadFile(block)
			must(t, err)
			time.Sleep(200 * time.Millisecond)
			must(t, os.WriteFile(block+".older", raw, 0o600))
			must(t, os.Rename(block+".older", block))
		},
		"overwritten with an older copy": func(t *testing.T, block string) {
			raw, err := os.ReadFile(block)
			must(t, err)
			time.Sleep(200 * time.Millisecond)
			must(t, os.WriteFile(block, raw, 0o600))
		},
	}
	for _, stream := range []string{"KYC_PAYLOADS", "KYC_EVENTS", "KYC_DISPOSITIONS"} {
		for name, harm := range harms {
			if stream != "KYC_PAYLOADS" && name != "cut" {
				continue // one shows that the stream is watched; TestDamageBesideAServer has all harms
			}
			t.Run(stream+" "+name, func(t *testing.T) { damageUnderLoad(t, stream, harm) })
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cutBy removes bytes from the end of a file.
func cutBy(t *testing.T, path string, bytes int64) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.Truncate(path, info.Size()-bytes))
}

func damageUnderLoad(t *testing.T, stream string, harm func(*testing.T, string)) {
	b := newBridge(t, oneAccount)
	b.start(t)
	var posted atomic.Int64
	var harmed atomic.Bool
	var mu sync.Mutex
	var after []int // were sent after the damage and answered 200
	ctx, cancel := context.WithCancel(t.Context())
	var posting sync.WaitGroup
	defer posting.Wait()
	defer cancel()
	for range 8 {
		posting.Go(func() {
			for ctx.Err() == nil {
				n, late := int(posted.Add(1)), harmed.Load()
				r, err := b.post(ctx, kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified"))
				if late && err == nil && r.Code == http.StatusOK {
					mu.Lock()
					after = append(after, n)
					mu.Unlock()
				}
				if err != nil {
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	wait.For(t, 20*time.Second, "load", func() bool { return posted.Load() > 500 })
	files := blocks(t, b.dir, stream)
	harm(t, files[len(files)-1])
	harmed.Store(true)
	select {
	case <-b.ended:
		if b.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(b.stderr.String(), stream) {
			t.Errorf("it ended with code %d and said:\n%s", b.cmd.ProcessState.ExitCode(), b.stderr.tail())
		}
	case <-time.After(20 * time.Second * wait.Slowdown):
		t.Errorf("the process goes on; it says:\n%s", b.stderr.tail())
		b.kill()
	}
	cancel()
	posting.Wait()
	b.start(t)
	b.settled(t, 75*time.Second)
	all, missing := traffic.Histories(t, b.eventsURL()), 0
	for _, n := range after {
		if len(all[idOf(n)]) == 0 {
			missing++
		}
	}
	t.Logf("%d of %d callbacks were sent after the damage and answered 200", len(after), posted.Load())
	if missing > 0 {
		t.Errorf("%d of %d callbacks that were answered 200 after the damage have no event", missing, len(after))
	}
}
