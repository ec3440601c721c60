package test

import (
	"context"
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
		powerCuts(t, b, disk, b.eventsURL(), func() { b.kill() }, func() { b.start(t) })
		b.stop(t) // the disk is removed next
	})
	t.Run("external NATS", func(t *testing.T) {
		t.Parallel()
		disk := forgetfulDisk(t)
		server := newNATSIn(t, filepath.Join(disk.Path(), "store"))
		b := newBridge(t, "store: {url: \""+server.url()+"\"}\nbus: {url: \""+server.url()+"\"}\n"+oneAccount)
		b.start(t)
		powerCuts(t, b, disk, server.url(), func() { server.kill() }, func() { server.start(t); server.ready(t) })
		b.stop(t)
		server.kill()
	})
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

// powerCuts cuts the power of disk eight times under load, and checks the events at a NATS server against the
// answers. The program whose data is on the disk is killed and started again.
func powerCuts(t *testing.T, b *bridge, disk *powercut.Disk, bus string, kill, start func()) {
	t.Helper()
	source := random(t)
	l := &traffic.Load{Post: b.post, Ledger: traffic.NewLedger(), Run: source.Uint32(), Seed: source.Uint64(),
		Pace: rate.NewLimiter(400, 24)}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Wait() })
	l.Start(ctx, 24)
	lost := 0
	for range 8 {
		before := l.Ledger.Accepted.Load()
		wait.For(t, 30*time.Second, "payloads accepted in this round",
			func() bool { return l.Ledger.Accepted.Load() > before+50 })
		<-time.After(time.Duration(source.Int64N(int64(time.Second))))
		disk.Cut()
		<-time.After(time.Duration(source.Int64N(int64(300 * time.Millisecond)))) // from now on nothing may be answered 200
		kill()
		n, err := disk.Restore(source)
		if err != nil {
			t.Fatal(err)
		}
		lost += n
		start()
	}
	cancel()
	l.Wait()
	b.settled(t, 75*time.Second)
	all := traffic.Histories(t, bus)
	b.judge(t, l.Ledger, all)
	t.Logf("8 power cuts lost %d sectors of the device; %d payloads answered 200, %d events", lost,
		l.Ledger.Accepted.Load(), traffic.Sound(t, all).Events)
}
