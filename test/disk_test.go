package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kycbridge/test/wait"
)

// padded is a callback of verification n, with n bytes in an unknown member.
func padded(n, pad int) []byte {
	body := string(kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified"))
	return []byte(strings.Replace(body, `{"id"`, `{"note":"`+strings.Repeat("x", pad)+`","id"`, 1))
}

// smallDisk mounts a separate file system; it skips the test where that is not permitted.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=40m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fill writes a file until no byte is free, and returns a function that removes it.
func fill(t *testing.T, path string) (free func()) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, chunk := range []int{1 << 16, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, chunk))
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || f.Close() != nil {
		t.Fatalf("fill the disk: %v", err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAFullDiskRecovers: the disk was full and has room again. Even if only known callbacks are repeated
// meanwhile, the store accepts new ones within half a minute: by itself, or because the process ends with
// an error and is restarted.
func TestAFullDiskRecovers(t *testing.T) {
	long(t, "a minute")
	b := newBridge(t, oneAccount)
	smallDisk(t, b.dir)
	b.start(t)
	code := func(body []byte) int {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		reply, err := b.post(ctx, body)
		if err != nil {
			return 0
		}
		return reply.Code
	}
	if got := code(padded(0, 0)); got != http.StatusOK {
		t.Fatalf("the callback that is repeated: %d", got)
	}
	free := fill(t, filepath.Join(b.dir, "filler"))
	wait.For(t, 20*time.Second, "a new callback that is refused",
		func() bool { return code(padded(1, 9000)) == http.StatusServiceUnavailable })
	free()
	over := make(chan struct{})
	var posting sync.WaitGroup
	posting.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(200 * time.Millisecond):
				code(padded(0, 0))
			}
		}
	})
	defer posting.Wait()
	defer close(over)
	select {
	case <-b.ended:
		if b.cmd.ProcessState.ExitCode() == 0 {
			t.Error("the process ended as if all were well, so no supervisor starts it again")
		}
		b.start(t)
	case <-time.After(30 * time.Second):
	}
	if got := code(padded(2, 9000)); got != http.StatusOK {
		t.Errorf("a new callback half a minute after there was room: %d; the end of the log:\n%s", got, b.stderr.tail())
	}
}

// TestStagingIsFreed: the staging folder has no room for a batch. The remaining files are removed while
// the process runs, and every callback is accepted.
func TestStagingIsFreed(t *testing.T) {
	long(t, "half a minute")
	if err := exec.CommandContext(t.Context(), "unshare", "-m", "mount", "-t", "tmpfs", "tmpfs",
		"/dev/shm").Run(); err != nil {
		t.Skipf("/dev/shm cannot be made small here: %v", err)
	}
	b := newBridge(t, oneAccount)
	b.process = startProgram(t, "unshare", "-m", "sh", "-c", `mount -t tmpfs -o size=3m tmpfs /dev/shm && exec "$0" "$@"`,
		tool(t, "kycbridge"), "serve", "--config", b.config)
	b.waitReady(t)
	memory := fmt.Sprintf("/proc/%d/root/dev/shm/", b.cmd.Process.Pid)
	staged := func() []string {
		found, err := filepath.Glob(memory + "kycbridge-*/KYC_*/*")
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	filler := memory + "filler"
	if err := os.WriteFile(filler, make([]byte, 2_800_000), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for began := time.Now(); len(staged()) == 0; {
		if time.Since(began) > 30*time.Second {
			t.Fatal("no batch has left anything, so this proves nothing")
		}
		var posting sync.WaitGroup
		for i := range 48 {
			posting.Go(func() {
				if reply, err := b.post(t.Context(), padded(n+i, 100<<10)); err != nil || reply.Code != http.StatusOK {
					t.Errorf("a callback: %d, %v", reply.Code, err)
				}
			})
		}
		posting.Wait()
		n += 48
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	wait.For(t, 40*time.Second, "nothing left where batches are staged", func() bool { return len(staged()) == 0 })
}
