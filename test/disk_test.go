package test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/test/wait"
)

// padded is a callback of verification n, with n bytes in an unknown member.
func padded(n, pad int) []byte {
	body := string(kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified"))
	return []byte(strings.Replace(body, `{"id"`, `{"note":"`+strings.Repeat("x", pad)+`","id"`, 1))
}

// smallDisk mounts a separate file system; it skips the test if that is not permitted.
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

// TestAFullDiskRecovers: the disk was full and has free space again. Even if only known callbacks are repeated
// meanwhile, the store accepts new ones within half a minute: by itself, or because the process ends with an error
// and is restarted.
func TestAFullDiskRecovers(t *testing.T) {
	long(t, "a minute")
	t.Parallel()
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

// TestStopWhileTheStoreFails: a store accepts no more writes, because its disk was full, while requests to watch
// sessions arrive. A signal still ends the process, well before a supervisor kills it.
func TestStopWhileTheStoreFails(t *testing.T) {
	long(t, "half a minute")
	t.Parallel()
	// No server listens there, which does not matter: a watch can be requested anyway.
	api := "    api: {token_url: http://127.0.0.1:9/, idv_url: http://127.0.0.1:9/, kyc_url: http://127.0.0.1:9/, " +
		"client_id: c, client_secret: secret-1, setup_id: i}\n"
	b := newBridge(t, "receive: {drain: 1s}\n"+oneAccount+api)
	smallDisk(t, b.dir)
	b.start(t)
	free := fill(t, filepath.Join(b.dir, "filler"))
	wait.For(t, 20*time.Second, "a new callback that is refused", func() bool {
		reply, err := b.post(t.Context(), padded(1, 9000))
		return err == nil && reply.Code == http.StatusServiceUnavailable
	})
	free()
	var watching sync.WaitGroup
	for range 5 {
		watching.Go(func() { b.watch(t, "ondato", "acme", "0b5d3c1e-2f4a-4c6b-8d7e-9f0a1b2c3d4e") })
	}
	defer watching.Wait()
	time.Sleep(time.Second)
	began := time.Now()
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-b.ended:
	case <-time.After(45 * time.Second):
		t.Fatalf("the process does not end; the end of the log:\n%s", b.stderr.tail())
	}
	t.Logf("ended after %s", time.Since(began).Round(time.Millisecond))
}

// TestAFullDiskIsTold: a second after the first refused callback the process is not ready, remains so, and refuses
// callbacks at once instead of after receive.timeout.
func TestAFullDiskIsTold(t *testing.T) {
	long(t, "half a minute")
	t.Parallel()
	b := newBridge(t, oneAccount)
	smallDisk(t, b.dir)
	b.start(t)
	free := fill(t, filepath.Join(b.dir, "filler"))
	defer free()
	wait.For(t, 5*time.Second, "a full disk makes the process unready without a callback",
		func() bool { return b.readyz() == http.StatusServiceUnavailable })
	wait.For(t, 10*time.Second, "the log says that the disk is nearly full",
		func() bool { return strings.Contains(b.stderr.tail(), "nearly full") })
	for n := range 2 { // the first one may find the failure
		began := time.Now()
		reply, err := b.post(t.Context(), padded(n, 9000))
		if err != nil || reply.Code != http.StatusServiceUnavailable || n == 1 && time.Since(began) > 3*time.Second {
			t.Errorf("a callback on a full disk: %d after %s, %v", reply.Code, time.Since(began), err)
		}
		time.Sleep(2 * time.Second)
	}
	for range 4 {
		if code := b.readyz(); code != http.StatusServiceUnavailable {
			t.Errorf("/readyz while the disk is full: %d", code)
		}
		time.Sleep(time.Second)
	}
}

// TestAFullDiskStopsAStream: the disk was full while only the access log was written. That stream refuses writes for
// ever; callbacks are accepted. The process ends, so that its supervisor restarts it.
func TestAFullDiskStopsAStream(t *testing.T) {
	long(t, "half a minute")
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.grant(t, map[string]kycbridge.Rights{"alice": kycbridge.AllRights()})
	smallDisk(t, b.dir)
	b.start(t)
	free := fill(t, filepath.Join(b.dir, "filler"))
	for range 20 {
		b.request(t, "alice", http.MethodGet, "/v1/payloads?limit=1", "")
	}
	wait.For(t, 15*time.Second, "the access log has failed",
		func() bool { return strings.Contains(b.stderr.tail(), "KYC_ACCESS") })
	free()
	select {
	case <-b.ended:
	case <-time.After(40 * time.Second):
		t.Fatalf("the process goes on with an access log that stores nothing; the end of the log:\n%s", b.stderr.tail())
	}
}
