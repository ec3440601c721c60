package test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge/event"
	"kycbridge/internal/simulate"
	"kycbridge/test/freeport"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

var sessionsFlag = flag.Int("sessions", 3000, "open KwikID sessions of TestPolling; 20000 take four minutes")

const (
	pollLimit       = 200 // calls a second that the simulated provider accepts
	pollConcurrency = 8
	pollKills       = 2
)

// pollPeople are assigned to the sessions in turn, with the end of each.
var pollPeople = []struct {
	person string
	end    event.Status
}{
	{simulate.Approve, event.StatusCompleted},
	{simulate.Reject, event.StatusCompleted},
	{simulate.Abandon, event.StatusAbandoned},
	{simulate.Expire, event.StatusExpired},
	{simulate.Supersede, event.StatusCanceled},
}

// TestPolling polls many open sessions at a provider with a limit of 200 calls per second, which answers one call in
// a hundred with an error and whose tokens last three seconds, while the process is killed twice. Every session's end
// is published exactly once, the limit is never exceeded, and no session is polled after its end.
func TestPolling(t *testing.T) {
	t.Parallel()
	sessions := *sessionsFlag
	if testing.Short() {
		sessions = min(sessions, 1000)
	} else if wait.Race {
		sessions /= 2
	}
	// Fewer sessions run faster, so that each is polled as often.
	speed := 8 * min(4, max(1, 20000/float64(sessions)))
	provider, err := simulate.Start(simulatedProvider(t, "kwikid"), simulate.Options{
		Speed: speed, Limit: pollLimit, TokenLife: 3 * time.Second,
		Faults: simulate.Faults{Error500: .004, HTML: .003, RateLimited: .003},
	})
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
    - {username: reader, password: reader-password}
accounts:
  - name: acme
    provider: kwikid
    environment: test
    api: %s
    limits: {requests_per_second: %d, concurrency: %d}
    poll: {interval: %s, deadline: 1h}
`, freeport.Local(b.callbacks), freeport.Local(b.admin), b.dir, freeport.Local(b.events), provider.APIText(), pollLimit, pollConcurrency, time.Duration(200/speed*float64(time.Second)).Round(time.Second)))

	b.start(t)
	began := time.Now()
	ids := askToWatch(t, b, provider, sessions)
	t.Logf("%d sessions watched after %s", sessions, time.Since(began).Round(time.Millisecond))

	var used usage
	patience := time.Duration(float64(sessions)/pollLimit*4)*time.Second + 3*time.Minute
	for kill := range pollKills {
		// In the middle of the polling, measured by the number of calls.
		want := (kill + 1) * sessions / 3
		wait.For(t, patience, "calls before a kill", func() bool { return provider.Stats().Calls["get_details"] >= want })
		used.add(t, b.process)
		b.kill()
		b.start(t)
	}
	slow := time.NewTicker(time.Second) // reading the metrics costs the process more than polling a session
	defer slow.Stop()
	wait.For(t, patience, "no session is open any more", func() bool {
		<-slow.C
		open, ok := b.metric("kycbridge_poll_sessions")
		return ok && open == 0
	})
	b.settled(t, time.Minute)
	took := time.Since(began)
	used.add(t, b.process)
	stats := provider.Stats()
	t.Logf("%d sessions ended in %s: %d calls %v, %d tokens; at most %d calls in any second; %d after their end; %.1f "+
		"s of processor, %d MiB at most",
		sessions, took.Round(time.Second), stats.Calls["get_details"], stats.Answers, stats.Calls["generate_token"],
		stats.MostInSecond, stats.AfterEnd, used.seconds, used.peak>>20)
	if stats.MostInSecond > pollLimit {
		t.Errorf("%d calls in one second, the limit is %d", stats.MostInSecond, pollLimit)
	}
	// Answers that were not stored when the process was killed must be requested again.
	if stats.AfterEnd > pollKills*pollConcurrency {
		t.Errorf(
			"%d sessions were asked about after their end; %d calls can have been under way when the process was killed",
			stats.AfterEnd, pollKills*pollConcurrency)
	}
	checkEnds(t, b, ids)
	calls := provider.Stats().Calls["get_details"]
	time.Sleep(3 * time.Second) // to check that nothing happens
	if more := provider.Stats().Calls["get_details"] - calls; more > 0 {
		t.Errorf("%d calls after every session had ended", more)
	}
}

// askToWatch starts sessions at the provider and requests their watches on the bus. It returns the end of each by
// verification id.
func askToWatch(t *testing.T, b *bridge, provider *simulate.Server, sessions int) map[string]event.Status {
	t.Helper()
	nc, err := nats.Connect(b.eventsURL(), nats.UserInfo("onboarding", "onboarding-password"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ids := make(map[string]event.Status, sessions)
	references := make(chan string, sessions)
	for i := range sessions {
		p := pollPeople[i%len(pollPeople)]
		reference := provider.Begin("user-"+strconv.Itoa(i), p.person)
		ids[event.VerificationID("kwikid", "acme", reference)] = p.end
		references <- reference
	}
	close(references)
	var asking sync.WaitGroup
	for range 16 {
		asking.Go(func() {
			for reference := range references {
				answer, err := nc.Request("kyc.watch.kwikid.acme", []byte(`{"reference":"`+reference+`"}`), 30*time.Second)
				var ack struct {
					Stream string `json:"stream"`
				}
				if err != nil || json.Unmarshal(answer.Data, &ack) != nil || ack.Stream != "KYC_POLLS" {
					t.Errorf("a request to watch was not stored: %v", err)
					return
				}
			}
		})
	}
	asking.Wait()
	return ids
}

// checkEnds reads every event: each session has exactly one end, and it is the expected one.
func checkEnds(t *testing.T, b *bridge, ids map[string]event.Status) {
	t.Helper()
	perSession := map[string][]event.Status{}
	for id, history := range traffic.Histories(t, b.eventsURL(), nats.UserInfo("reader", "reader-password")) {
		for _, e := range history {
			if e.Data.Status.Terminal() {
				perSession[id] = append(perSession[id], e.Data.Status)
			}
		}
	}
	missing, wrong, twice := 0, 0, 0
	for id, want := range ids {
		switch got := perSession[id]; {
		case len(got) == 0:
			missing++
		case len(got) > 1:
			twice++
		case got[0] != want:
			wrong++
		}
	}
	if missing+wrong+twice > 0 || len(perSession) != len(ids) {
		t.Errorf("of %d sessions %d have no end, %d have several, %d the wrong one; %d have ended", len(ids), missing, twice,
			wrong, len(perSession))
	}
}

// usage is the processor time and the memory that processes have used.
type usage struct {
	seconds float64
	peak    int // bytes
}

// add adds what a process has used so far.
func (u *usage) add(t *testing.T, p *process) {
	t.Helper()
	pid := strconv.Itoa(p.cmd.Process.Pid)
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		t.Skip("the machine has no /proc: ", err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	for _, ticks := range fields[11:13] { // utime and stime, in hundredths
		n, err := strconv.ParseFloat(ticks, 64)
		if err != nil {
			t.Fatal(err)
		}
		u.seconds += n / 100
	}
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kb int
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			u.peak = max(u.peak, kb<<10)
		}
	}
}
