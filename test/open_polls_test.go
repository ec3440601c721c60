package test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"kycbridge/internal/simulate"
	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

var openPolls = flag.Int("open-polls", 500, "open KwikID sessions of TestOpenPolls; 100000 take some minutes")

// openPollsMost is the most resident memory, bytes, of a process with openPollsOf sessions that wait for a poll.
const (
	openPollsMost = 300_000_000
	openPollsOf   = 100_000
)

// TestOpenPolls measures the memory that open sessions take which wait for their next poll, before and after a start.
// Run it with -open-polls=100000 for the figures in docs/performance.md.
func TestOpenPolls(t *testing.T) {
	long(t, "ten seconds")
	provider, err := simulate.Start(simulatedProvider(t, "kwikid"), simulate.Options{Speed: .001})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	b := newBridge(t, "")
	writeFile(t, b.config, fmt.Sprintf(`listen: %s
admin: {listen: %q}
data_dir: %s
log: {level: error}
embedded:
  listen: %q
  users:
    - {username: onboarding, password: onboarding-password, publish: ["kyc.watch.>"]}
accounts:
  - name: acme
    provider: kwikid
    environment: test
    api: %s
    limits: {requests_per_second: 5000, concurrency: 32}
    poll: {interval: 24h, deadline: 240h}
`, freeport.Local(b.callbacks), freeport.Local(b.admin), b.dir, freeport.Local(b.events), provider.APIText()))
	b.start(t)
	before := b.used(t)
	askToWatch(t, b, provider, *openPolls)
	polled := func() bool {
		due, ok := b.metric(`kycbridge_poll_due{account="acme",provider="kwikid"}`)
		open, also := b.metric("kycbridge_poll_sessions")
		return ok && also && due == 0 && int(open) == *openPolls
	}
	slow := time.NewTicker(time.Second)
	defer slow.Stop()
	wait.For(t, 10*time.Minute, "every session has been polled once", func() bool { <-slow.C; return polled() })
	b.settled(t, time.Minute)
	b.rest(*openPolls)
	t.Logf("%d open sessions: %s; without any: %s", *openPolls, b.used(t), before)
	b.checkOpenPolls(t)
	b.stop(t)
	b.start(t)
	wait.For(t, time.Minute, "they are still open", polled)
	b.rest(*openPolls)
	t.Logf("after a start: %s", b.used(t))
	b.checkOpenPolls(t)
}

// checkOpenPolls checks the memory when the server has dropped the subjects of old blocks.
func (b *bridge) checkOpenPolls(t *testing.T) {
	t.Helper()
	if *openPolls < openPollsOf {
		return
	}
	time.Sleep(subjectsExpire)
	used := b.used(t)
	t.Logf("at rest: %s", used)
	if *openPolls == openPollsOf && used.resident > openPollsMost {
		t.Errorf("that is more than %d MB of resident memory", openPollsMost/1_000_000)
	}
}
