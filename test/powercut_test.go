package test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"kycbridge/test/powercut"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// TestPowerCuts cuts the power of the disk at random moments under load: everything that no flush of the device has
// covered is lost, or a random part of it. Every payload that was answered 200 keeps its effect, because it was
// flushed before the answer. Killing the process alone does not test that: the kernel keeps what a killed process has
// written.
func TestPowerCuts(t *testing.T) {
	long(t, "a minute")
	t.Run("embedded store", func(t *testing.T) {
		t.Parallel()
		embeddedPowerCuts(t, rate.NewLimiter(400, 24), func(source *rand.Rand, _ *bridge) {
			<-time.After(time.Duration(source.Int64N(int64(time.Second))))
		})
	})
	t.Run("embedded store, as a file begins", func(t *testing.T) {
		t.Parallel()
		embeddedPowerCuts(t, rate.NewLimiter(rate.Inf, 0), func(source *rand.Rand, b *bridge) {
			before := len(messageFiles(t, b.dir))
			wait.For(t, 30*time.Second, "the next file of a stream", func() bool { return len(messageFiles(t, b.dir)) > before })
			<-time.After(time.Duration(source.Int64N(int64(50 * time.Millisecond))))
		})
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

// embeddedPowerCuts cuts the power of the disk of an embedded store. moment returns when the next cut is due.
func embeddedPowerCuts(t *testing.T, pace *rate.Limiter, moment func(*rand.Rand, *bridge)) {
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
		kill: func() { b.kill() }, start: func() { b.start(t) }})
	b.stop(t) // the disk is removed next
}

// messageFiles are the files of messages below a data directory.
func messageFiles(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	return found
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
}

// powerCuts cuts the power of disk eight times under load, and checks the events against the answers.
func powerCuts(t *testing.T, b *bridge, disk *powercut.Disk, c *cuts) {
	t.Helper()
	source := random(t)
	l := &traffic.Load{Post: b.post, Ledger: traffic.NewLedger(), Run: source.Uint32(), Seed: source.Uint64(),
		Pace: c.pace}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Wait() })
	l.Start(ctx, 24)
	lost := 0
	for range 8 {
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
	t.Logf("8 power cuts lost %d sectors of the device; %d payloads answered 200, %d events", lost,
		l.Ledger.Accepted.Load(), traffic.Sound(t, all).Events)
}
