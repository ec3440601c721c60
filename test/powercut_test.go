package test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"kycbridge/test/powercut"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

var powerCutsFlag = flag.Int("power-cuts", 4, "power cuts of each store in TestPowerCuts")

// TestPowerCuts cuts the power of the disk at random moments under load: everything that no flush of the device has
// covered is lost, or a random part of it. Every payload that was answered 200 keeps its effect, because it was
// flushed before the answer. Killing the process alone does not test that: the kernel keeps what a killed process has
// written.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	long(t, "a minute")
	t.Run("embedded store", func(t *testing.T) {
		t.Parallel()
		embeddedPowerCuts(t, rate.NewLimiter(400, 24), func(source *rand.Rand, _ *bridge) {
			<-time.After(time.Duration(source.Int64N(int64(time.Second))))
		}, nil)
	})
	t.Run("embedded store, as a file begins", func(t *testing.T) {
		t.Parallel()
		embeddedPowerCuts(t, rate.NewLimiter(rate.Inf, 0), cutAsAFileBegins(t), nil)
	})
	// A separate one: erasures flush the whole file system.
	t.Run("embedded store, beside erasures", func(t *testing.T) {
		t.Parallel()
		embeddedPowerCuts(t, rate.NewLimiter(rate.Inf, 0), cutAsAFileBegins(t), erasures)
	})
	t.Run("external NATS", func(t *testing.T) {
		t.Parallel()
		disk := forgetfulDisk(t)
		server := newNATSIn(t, filepath.Join(disk.Path(), "store"))
		b := newBridge(t, "store: {url: \""+server.url()+"\"}\nbus: {url: \""+server.url()+"\"}\n"+oneAccount)
		b.start(t)
		powerCuts(t, b, disk, &cuts{bus: server.url(), pace: rate.NewLimiter(400, 24),
			moment: func(source *rand.Rand) { <-time.After(time.Duration(source.Int64N(int64(time.Second)))) },
			kill:   func() { server.kill() }, start: func() { server.start(t); server.ready(t) }})
		b.stop(t)
		server.kill()
	})
}

// cutAsAFileBegins waits for the next file of messages, but not for long, and a moment more.
func cutAsAFileBegins(t *testing.T) func(*rand.Rand, *bridge) {
	return func(source *rand.Rand, b *bridge) {
		highest := newestFiles(t, b.dir)
		begins := func() bool {
			for stream, n := range newestFiles(t, b.dir) {
				if n > highest[stream] {
					return true
				}
			}
			return false
		}
		for began := time.Now(); !begins() && time.Since(began) < 15*time.Second; {
			<-time.After(10 * time.Millisecond)
		}
		<-time.After(time.Duration(source.Int64N(int64(50 * time.Millisecond))))
	}
}

// erasures erases verifications until ctx ends, several at the same time. Afterwards check reports those that were
// erased and have an event.
func erasures(
	ctx context.Context, t *testing.T, b *bridge, of *traffic.Ledger,
) (check func(map[string][]traffic.Record)) {
	var erasing sync.WaitGroup
	var mu sync.Mutex
	erased := map[string]bool{}
	for range 8 {
		erasing.Go(func() {
			for ctx.Err() == nil {
				vid := of.Release()
				if vid == "" || !b.erased(ctx, vid) { // the power is off
					<-time.After(100 * time.Millisecond)
					continue
				}
				mu.Lock()
				erased[vid] = true
				mu.Unlock()
			}
		})
	}
	return func(all map[string][]traffic.Record) {
		erasing.Wait()
		for vid := range erased {
			if n := len(all[vid]); n > 0 {
				t.Errorf("verification %s was erased, and has %d events", vid, n)
			}
		}
		t.Logf("%d verifications were erased", len(erased))
	}
}

// erased reports whether the erasure of a verification was confirmed.
func (b *bridge) erased(ctx context.Context, verificationID string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.adminURL("/v1/payloads/purge"),
		strings.NewReader(fmt.Sprintf(`{"verification":%q,"confirm":true}`, verificationID)))
	if err != nil {
		return false
	}
	r.Header.Set("Authorization", "Bearer ops-token-2e77a1")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Reason", "a test")
	res, err := b.client.Do(r)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil && res.StatusCode == http.StatusOK
}

// embeddedPowerCuts cuts the power of the disk of an embedded store. moment returns when the next cut is due; beside
// begins what happens meanwhile.
func embeddedPowerCuts(t *testing.T, pace *rate.Limiter, moment func(*rand.Rand, *bridge),
	beside func(context.Context, *testing.T, *bridge, *traffic.Ledger) func(map[string][]traffic.Record),
) {
	t.Helper()
	disk := forgetfulDisk(t)
	b := newBridge(t, oneAccount)
	data := filepath.Join(disk.Path(), "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(data, b.dir); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	powerCuts(t, b, disk, &cuts{bus: b.eventsURL(), pace: pace, moment: func(r *rand.Rand) { moment(r, b) },
		beside: beside, kill: func() { b.kill() }, start: func() { b.start(t) }})
	b.stop(t) // the disk is removed next
}

// newestFiles are the highest numbers of the files of messages below a data directory, by folder.
func newestFiles(t *testing.T, dir string) map[string]int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	newest := map[string]int{}
	for _, path := range found {
		if n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".blk")); err == nil {
			newest[filepath.Dir(path)] = max(newest[filepath.Dir(path)], n)
		}
	}
	return newest
}

// forgetfulDisk is a disk whose power can be cut; the test is skipped if the machine cannot provide one.
func forgetfulDisk(t *testing.T) *powercut.Disk {
	t.Helper()
	disk, err := powercut.New(t.TempDir(), 256<<20)
	if err != nil {
		t.Skip("no disk can lose its power here: ", err)
	}
	t.Cleanup(disk.Close)
	return disk
}

// cuts describes how the power of a disk is cut.
type cuts struct {
	bus         string // address of the NATS server with the events
	pace        *rate.Limiter
	moment      func(*rand.Rand) // returns when the next cut is due
	kill, start func()           // of the program whose data is on the disk
	// beside begins other work, which ends with a context, and returns a check of the events; nil: nothing
	beside func(context.Context, *testing.T, *bridge, *traffic.Ledger) func(map[string][]traffic.Record)
}

// powerCuts cuts the power of disk several times under load, and checks the events against the answers.
func powerCuts(t *testing.T, b *bridge, disk *powercut.Disk, c *cuts) {
	t.Helper()
	source := random(t)
	l := &traffic.Load{Post: b.post, Ledger: traffic.NewLedger(), Run: source.Uint32(), Seed: source.Uint64(),
		Pace: c.pace}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Wait() })
	l.Start(ctx, 24)
	check := func(map[string][]traffic.Record) {}
	if c.beside != nil {
		check = c.beside(ctx, t, b, l.Ledger)
	}
	lost := 0
	for range *powerCutsFlag {
		before := l.Ledger.Accepted.Load()
		wait.For(t, 30*time.Second, "payloads accepted in this round",
			func() bool { return l.Ledger.Accepted.Load() > before+50 })
		c.moment(source)
		disk.Cut()
		<-time.After(time.Duration(source.Int64N(int64(300 * time.Millisecond)))) // from now on nothing may be answered 200
		c.kill()
		n, err := disk.Restore(source)
		if err != nil {
			t.Fatal(err)
		}
		lost += n
		c.start()
	}
	cancel()
	l.Wait()
	b.settled(t, 75*time.Second)
	all := traffic.Histories(t, c.bus)
	b.judge(t, l.Ledger, all)
	check(all)
	t.Logf("%d power cuts lost %d sectors of the device; %d payloads answered 200, %d events", *powerCutsFlag, lost,
		l.Ledger.Accepted.Load(), traffic.Sound(t, all).Events)
}
