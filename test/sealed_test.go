package test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kycbridge/internal/keys"
	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

// newMasterKey is a line of a key file.
func newMasterKey(t *testing.T, id string) string {
	t.Helper()
	line, err := keys.Generate(id)
	if err != nil {
		t.Fatal(err)
	}
	return line + "\n"
}

// TestKeysRotatedUnderLoad: while callbacks arrive, the master keys are rotated back and forth by commands that are
// killed twenty times. Every callback is answered 200, every payload can be read, and in the end none needs the
// former master key. A process without a required key names the key, and does not serve.
func TestKeysRotatedUnderLoad(t *testing.T) {
	t.Parallel()
	rnd := random(t)
	file := filepath.Join(t.TempDir(), "master.keys")
	older, newer := newMasterKey(t, "older"), newMasterKey(t, "newer")
	b := newBridge(t, "encryption: {key_file: "+file+"}\n"+oneAccount)
	writeFile(t, file, older)
	b.start(t)
	b.approve(t, 1, 100)
	b.stop(t)
	writeFile(t, file, newer+older)
	b.start(t)

	load, stop := context.WithCancel(t.Context())
	var posted atomic.Int64
	posted.Store(100)
	var posting sync.WaitGroup
	for range 8 {
		posting.Go(func() {
			for load.Err() == nil {
				n := int(posted.Add(1))
				if r, err := b.post(t.Context(), kycHook(n, 1, "Approved", "Approved", "")); err != nil || r.Code != 200 {
					t.Errorf("payload %d: %d, %v", n, r.Code, err)
				}
				time.Sleep(5 * time.Millisecond) // a steady load
			}
		})
	}
	rotate := rotations(t, b, older, newer)
	killed := 0
	for n := range 20 {
		p := rotate(n % 2)
		select {
		case <-p.ended:
		case <-time.After(time.Duration(60+rnd.IntN(150)) * time.Millisecond):
			p.kill()
			killed++
		}
	}
	stop()
	posting.Wait()
	b.settled(t, 30*time.Second)
	last := rotate(1)
	if code := last.exit(t, 30*time.Second*wait.Slowdown); code != 0 {
		t.Fatalf("the last rotation: %s", last.stderr.tail())
	}
	code, stdout, stderr := run(t, "kycbridge", "keys", "list", "--config", b.config)
	if code != 0 || !strings.Contains(stdout, "newer") || strings.Contains(stdout, "older") {
		t.Errorf("master keys: %d, %s %s", code, stdout, stderr)
	}
	t.Logf("%d payloads, %d of 20 rotations killed; then: %s\n%s", posted.Load(), killed, last.stdout.tail(), stdout)

	b.stop(t)
	writeFile(t, file, newer) // the former key is removed
	b.start(t)
	code, stdout, stderr = run(t, "kycbridge", "payloads", "report", "--config", b.config)
	want := fmt.Sprintf("Nothing is lost: %d payloads", posted.Load())
	if code != 0 || !strings.Contains(stdout, want) {
		t.Errorf("report: %d, want %q\n%s%s", code, want, stdout, stderr)
	}
	b.stop(t)
	lost(t, b, file)
}

// rotations start kycbridge keys rotate to the older (0) or the newer (1) master key.
func rotations(t *testing.T, b *bridge, older, newer string) func(to int) *process {
	t.Helper()
	dir := t.TempDir()
	var configs [2]string
	for to, text := range []string{older + newer, newer + older} {
		file := filepath.Join(dir, fmt.Sprint("master", to))
		writeFile(t, file, text)
		configs[to] = filepath.Join(dir, fmt.Sprint("kyc", to, ".yaml"))
		writeFile(t, configs[to], fmt.Sprintf("embedded: {listen: %q}\ndata_dir: %s\nencryption: {key_file: %s}\n",
			freeport.Local(b.events), b.dir, file))
	}
	return func(to int) *process { return startProcess(t, "kycbridge", "keys", "rotate", "--config", configs[to]) }
}

// lost starts a process without the master key, and commands.
func lost(t *testing.T, b *bridge, file string) {
	t.Helper()
	code, _, stderr := run(t, "kycbridge", "keys", "rotate", "--config", b.config)
	if code != 0 {
		t.Fatalf("with the key: %s", stderr)
	}
	writeFile(t, file, newMasterKey(t, "another"))
	for _, args := range [][]string{{"serve"}, {"payloads", "list"}, {"payloads", "report"}} {
		code, stdout, stderr := run(t, "kycbridge", append(args, "--config", b.config)...)
		if code == 0 || !strings.Contains(stderr, "master key newer") || stdout != "" {
			t.Errorf("%v without the master key: %d, %s%s", args, code, stdout, stderr)
		}
	}
	code, stdout, _ := run(t, "kycbridge", "keys", "list", "--config", b.config)
	if code != 0 || !strings.Contains(stdout, "missing") {
		t.Errorf("keys list: %d, %s", code, stdout)
	}
	writeFile(t, file, newMasterKey(t, "newer")) // another key with the same id
	code, stdout, _ = run(t, "kycbridge", "keys", "list", "--config", b.config)
	if code != 0 || !strings.Contains(stdout, "another key has this id") {
		t.Errorf("keys list: %d, %s", code, stdout)
	}
	if code, stdout, _ = run(t, "kycbridge", "keys", "rotate", "--config", b.config); code == 0 {
		t.Errorf("keys rotate with another key of the same id: %s", stdout)
	}
}

// withMasterKey is a running process that has stored three payloads with a master key of a file, and a newer key.
func withMasterKey(t *testing.T) (b *bridge, file, older, newer string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "master.keys")
	older, newer = newMasterKey(t, "older"), newMasterKey(t, "newer")
	b = newBridge(t, "encryption: {key_file: "+file+"}\n"+oneAccount)
	writeFile(t, file, older)
	b.start(t)
	b.approve(t, 1, 3)
	return b, file, older, newer
}

// TestMasterKeysChangeWithoutARestart: a running process applies new master keys, and refuses a file without a key
// that stored payloads need.
func TestMasterKeysChangeWithoutARestart(t *testing.T) {
	t.Parallel()
	b, file, older, newer := withMasterKey(t)
	applied := 0.0
	change := func(text, result string) {
		t.Helper()
		metric := `kycbridge_config_reloads_total{result="` + result + `"}`
		before, _ := b.metric(metric)
		writeFile(t, file, text)
		if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		wait.For(t, 20*time.Second, "the reload is "+result, func() bool {
			applied, _ = b.metric(metric)
			return applied > before
		})
	}
	listed := func(want ...string) {
		t.Helper()
		code, stdout, stderr := run(t, "kycbridge", "keys", "list", "--config", b.config, "--json")
		for _, id := range []string{"older", "newer"} {
			if code != 0 || strings.Contains(stdout, `"`+id+`"`) != slices.Contains(want, id) {
				t.Errorf("master keys: %s%s, want %v", stdout, stderr, want)
			}
		}
	}
	change(newer, "refused")
	if !strings.Contains(b.stderr.String(), "master key older") {
		t.Errorf("the log does not name the key:\n%s", b.stderr.tail())
	}
	b.approve(t, 4, 6)
	change(newer+older, "applied")
	listed("older")
	if code, _, stderr := run(t, "kycbridge", "keys", "rotate", "--config", b.config); code != 0 {
		t.Fatal(stderr)
	}
	listed("newer")
	change(newer, "applied")
	b.approve(t, 7, 40) // more than one page
	b.settled(t, 20*time.Second)
	listed("newer")
	code, stdout, stderr := run(t, "kycbridge", "payloads", "report", "--config", b.config)
	if code != 0 || !strings.Contains(stdout, "Nothing is lost: 40 payloads") {
		t.Errorf("report: %d, %s%s", code, stdout, stderr)
	}
}

// TestARefusedReloadIsRepeated: a reload that failed for a reason outside the files is applied once the reason is gone,
// without another change of the files, and is reported once.
func TestARefusedReloadIsRepeated(t *testing.T) {
	t.Parallel()
	b, file, older, newer := withMasterKey(t)
	b.settled(t, 20*time.Second)
	reloads := func(result string) float64 {
		n, _ := b.metric(`kycbridge_config_reloads_total{result="` + result + `"}`)
		return n
	}
	writeFile(t, file, newer) // too early: the stored payloads still need the other key
	wait.For(t, 20*time.Second, "the reload is refused", func() bool { return reloads("refused") == 1 })
	rotate := rotations(t, b, older, newer)(1)
	if code := rotate.exit(t, 30*time.Second*wait.Slowdown); code != 0 {
		t.Fatal(rotate.stderr.tail())
	}
	wait.For(t, 30*time.Second, "the reload is applied", func() bool { return reloads("applied") > 0 })
	if refused := reloads("refused"); refused != 1 {
		t.Errorf("%v reloads were refused", refused)
	}
	if n, _ := b.metric("kycbridge_config_refused"); n != 0 {
		t.Error("the files still count as refused")
	}
}
