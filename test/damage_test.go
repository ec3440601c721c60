package test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge/event"
	"kycbridge/internal/simulate"
	"kycbridge/test/freeport"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// external is a kycbridge with a separate NATS server.
func external(t *testing.T) (*natsServer, *bridge) {
	t.Helper()
	server := newNATS(t)
	b := newBridge(t, "store: {url: \""+server.url()+"\"}\nbus: {url: \""+server.url()+"\"}\n"+oneAccount)
	b.start(t)
	return server, b
}

// approve posts an approval of each verification from first to last and fails unless all are answered 200.
func (b *bridge) approve(t *testing.T, first, last int) {
	t.Helper()
	for n := first; n <= last; n++ {
		r, err := b.post(t.Context(), kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified"))
		if err != nil || r.Code != http.StatusOK {
			t.Fatalf("callback %d is answered %d, %v; the end of the log:\n%s", n, r.Code, err, b.stderr.tail())
		}
	}
}

// decided waits until each verification from first to last has an event, and returns how long that took.
func decided(t *testing.T, url string, first, last int, options ...nats.Option) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(200 * time.Millisecond) // each check creates a consumer
	defer tick.Stop()
	for ; ; <-tick.C {
		all, missing := traffic.Histories(t, url, options...), 0
		for n := first; n <= last; n++ {
			if len(all[idOf(n)]) == 0 {
				missing++
			}
		}
		if missing == 0 {
			return time.Since(began)
		}
		if time.Since(began) > 20*time.Second*wait.Slowdown {
			t.Fatalf("%d of %d new callbacks have no event", missing, last-first+1)
		}
	}
}

// blocks are the files that hold the messages of a stream under a folder, oldest first.
func blocks(t *testing.T, dir, stream string) []string {
	t.Helper()
	var found []string
	for n := 1; n < 1000; n++ {
		paths, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", stream, "msgs", strconv.Itoa(n)+".blk"))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, paths...)
	}
	if len(found) == 0 {
		t.Fatalf("no block of %s under %s", stream, dir)
	}
	return found
}

// recordAt is the offset of the record with this number in a block: each record begins with its length, whose highest
// bit means that it has headers.
func recordAt(raw []byte, number int) int {
	at := 0
	for range number {
		at += int(binary.LittleEndian.Uint32(raw[at:]) &^ (1 << 31))
	}
	return at
}

// flip inverts one bit of a file.
func flip(t *testing.T, path string, where func(raw []byte) int, bit int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[where(raw)] ^= 1 << bit
	writeFile(t, path, string(raw))
}

// TestShortenedLog damages the payload log of an external NATS under a running kycbridge, so that the
// server drops the messages after the damage. Their sequences are assigned again; new payloads must be
// processed anyway.
func TestShortenedLog(t *testing.T) {
	t.Parallel()
	server, b := external(t)
	b.approve(t, 1, 60)
	b.settled(t, 20*time.Second)
	server.terminate(t)
	block := blocks(t, filepath.Dir(server.config)+"/store", "KYC_PAYLOADS")[0]
	flip(t, block, func(raw []byte) int { return recordAt(raw, 30) }, 3)
	server.start(t)
	server.ready(t)
	wait.For(t, 20*time.Second, "readiness back", func() bool { return b.readyz() == http.StatusOK })
	b.approve(t, 101, 125)
	t.Logf("events after %s", decided(t, server.url(), 101, 125).Round(time.Millisecond))
	// Twice, if the first payload after the damage is stored but not yet acknowledged while the end of the log is read.
	if count := strings.Count(b.stderr.String(), "has become shorter than the position of its consumer"); count < 1 ||
		count > 2 {
		t.Errorf("the shortened log is reported %d times, want once or twice:\n%s", count, b.stderr.tail())
	}
}

// TestWipedNATS removes all data of an external NATS under a running kycbridge. Streams and consumers are
// created again, which is logged in one line, and processing continues without a restart.
func TestWipedNATS(t *testing.T) {
	t.Parallel()
	server, b := external(t)
	b.approve(t, 1, 10)
	b.settled(t, 20*time.Second)
	started := len(b.stderr.String())
	server.kill()
	if err := os.RemoveAll(filepath.Dir(server.config) + "/store"); err != nil {
		t.Fatal(err)
	}
	server.start(t)
	server.ready(t)
	back := time.Now()
	wait.For(t, 20*time.Second, "readiness back", func() bool { return b.readyz() == http.StatusOK })
	t.Logf("ready %s after NATS", time.Since(back).Round(time.Millisecond))
	b.approve(t, 101, 125)
	t.Logf("events after %s", decided(t, server.url(), 101, 125).Round(time.Millisecond))
	log := b.stderr.String()[started:]
	if count := strings.Count(log, "created again, empty"); count != 1 && count != 2 { // store and bus are two connections
		t.Errorf("the created streams are reported %d times:\n%s", count, log)
	}
	if lines := strings.Count(log, "\n") - strings.Count(log, `"not ready"`); lines > 10 { // these answer the test
		t.Errorf("%d lines are logged:\n%s", lines, log)
	}
}

// TestConsumerDeleted deletes a consumer under a running kycbridge.
func TestConsumerDeleted(t *testing.T) {
	t.Parallel()
	server, b := external(t)
	b.approve(t, 1, 5)
	b.settled(t, 20*time.Second)
	nc, err := nats.Connect(server.url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Request("$JS.API.CONSUMER.DELETE.KYC_PAYLOADS.normalizer", nil, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	b.approve(t, 101, 105)
	t.Logf("events after %s", decided(t, server.url(), 101, 105).Round(time.Millisecond))
}

// reported is the tested part of the output of payloads report.
type reported struct {
	code    int
	Verdict string
	Missing []struct {
		Stream         string
		Seq            uint64
		VerificationID string `json:"verification_id"`
		Became, Why    string
		AskedAgain     bool `json:"asked_again"`
	}
	MissingAll int `json:"missing_all"`
	LostAll    int `json:"lost_all"`
}

func (b *bridge) report(t *testing.T, more ...string) (r reported) {
	t.Helper()
	code, stdout, stderr := run(t, "kycbridge",
		append([]string{"payloads", "report", "--json", "--config", b.config}, more...)...)
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("report: %v\n%s", err, stderr)
	}
	r.code = code
	return r
}

// missing waits until the metric of a stream has a value.
func (b *bridge) missing(t *testing.T, stream string, want float64) {
	t.Helper()
	var said float64
	defer func() {
		if t.Failed() {
			t.Logf("the metric says %v of %s, want %v; the end of the log:\n%s", said, stream, want, b.stderr.tail())
		}
	}()
	wait.For(t, 30*time.Second, "the metric tells what is missing", func() (ok bool) {
		said, ok = b.metric(`kycbridge_integrity_missing_messages{stream="` + stream + `"}`)
		return ok && said == want
	})
}

func (b *bridge) stop(t *testing.T) {
	t.Helper()
	if code := b.terminate(t); code != 0 {
		t.Fatalf("the process ended with code %d:\n%s", code, b.stderr.tail())
	}
}

// TestDamageIsReported flips a bit of a body in the store of an external NATS: the log, a metric and the
// report name the sequence, the verification and the former result.
func TestDamageIsReported(t *testing.T) {
	t.Parallel()
	server, b := external(t)
	b.approve(t, 1, 12)
	b.settled(t, 20*time.Second)
	if r := b.report(t); r.code != 0 || r.MissingAll != 0 {
		t.Fatalf("before the damage: %+v", r)
	}
	server.terminate(t)
	block := blocks(t, filepath.Dir(server.config)+"/store", "KYC_PAYLOADS")[0]
	flip(t, block, func(raw []byte) int { return bytes.Index(raw, []byte("DOC0000007")) }, 1)
	server.start(t)
	server.ready(t)
	b.missing(t, "KYC_PAYLOADS", 1)
	r := b.report(t)
	if r.code != 1 || len(r.Missing) != 1 || r.Missing[0].Seq != 7 || r.Missing[0].VerificationID != idOf(7) ||
		r.Missing[0].Became != "it led to revision 1" {
		t.Errorf("the report says %+v", r)
	}
	wait.For(t, 10*time.Second, "a line in the log",
		func() bool { return strings.Count(b.stderr.String(), "stored messages are missing or damaged") == 1 })
	if !strings.Contains(b.stderr.String(), idOf(7)) {
		t.Errorf("the log does not name the verification:\n%s", b.stderr.tail())
	}
	if r := b.report(t, "--verification", idOf(3)); r.code != 0 {
		t.Errorf("a report about another verification: %+v", r) // the server counts the damaged one as present
	}
	if r := b.report(t, "--accept"); r.code != 1 {
		t.Errorf("the accepting report says %+v", r)
	}
	if r := b.report(t); r.code != 0 {
		t.Errorf("after it was taken note of: %+v", r)
	}
}

// TestPayloadLogDeleted deletes the whole payload log: dispositions identify its content. After redelivery
// nothing is missing.
func TestPayloadLogDeleted(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.start(t)
	b.approve(t, 1, 12)
	b.settled(t, 20*time.Second)
	b.stop(t)
	remove(t, b.dir, "KYC_PAYLOADS")
	b.start(t)
	b.missing(t, "KYC_PAYLOADS", 12)
	r := b.report(t)
	if r.code != 1 || r.MissingAll != 12 || r.Missing[4].Seq != 5 || r.Missing[4].VerificationID != idOf(5) {
		t.Errorf("the report says %+v", r)
	}
	b.approve(t, 1, 12)
	b.settled(t, 20*time.Second)
	if r := b.report(t); r.code != 0 {
		t.Errorf("delivered again: %+v", r)
	}
}

// TestReplayAfterALostLog: the payload log is lost and created again, and receives an older rejection of
// verifications that are approved. The log seems complete, but a replay does not let the rejections replace the
// approvals, whose payloads are lost.
func TestReplayAfterALostLog(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.start(t)
	for n := 1; n <= 5; n++ {
		if r, err := b.post(t.Context(), kycHook(n, 3, "Approved", "Approved", "AutomaticallyIdentified")); err != nil ||
			r.Code != http.StatusOK {
			t.Fatalf("%v %v", r, err)
		}
	}
	b.settled(t, 20*time.Second)
	b.stop(t)
	remove(t, b.dir, "KYC_PAYLOADS")
	b.start(t)
	for n := 1; n <= 5; n++ {
		if r, err := b.post(t.Context(), kycHook(n, 2, "Rejected", "Rejected", "DocumentExpired")); err != nil ||
			r.Code != http.StatusOK {
			t.Fatalf("%v %v", r, err)
		}
	}
	b.settled(t, 20*time.Second)
	code, stdout, stderr := run(t, "kycbridge", "payloads", "replay", "--yes", "--json", "--config", b.config)
	if code != 0 || !strings.Contains(stdout, `"unchanged":5`) {
		t.Errorf("replay: code %d, %s %s", code, stdout, stderr)
	}
	for n := 1; n <= 5; n++ {
		stream, err := b.operator(t).Stream(t.Context(), "KYC_EVENTS")
		if err != nil {
			t.Fatal(err)
		}
		last, err := stream.GetLastMsgForSubject(t.Context(), "kyc.event.v1.ondato.acme.*."+idOf(n))
		if err != nil || !bytes.Contains(last.Data, []byte(`"outcome":"approved"`)) || !bytes.Contains(last.Data,
			[]byte(`"revision":1`)) {
			t.Errorf("verification %d after the replay: %v %s", n, err, last.Data)
		}
	}
}

// remove deletes the folder of a stream.
func remove(t *testing.T, dir, stream string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", stream))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	if err := os.RemoveAll(found[0]); err != nil {
		t.Fatal(err)
	}
}

// TestOnlyEventsAreLeft deletes the payload log and the dispositions: events identify the payloads.
func TestOnlyEventsAreLeft(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.start(t)
	now := time.Now().UTC()
	for n := 1; n <= 5; n++ { // current ones: payloads older than the retention may have expired
		body := bytes.Replace(kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified"), []byte("2026-03-02T09:0"),
			[]byte(now.Format("2006-01-02T")+"00:0"), 1)
		if r, err := b.post(t.Context(), body); err != nil || r.Code != http.StatusOK {
			t.Fatalf("%v %v", r, err)
		}
	}
	b.settled(t, 20*time.Second)
	b.stop(t)
	remove(t, b.dir, "KYC_PAYLOADS")
	remove(t, b.dir, "KYC_DISPOSITIONS")
	b.start(t)
	b.missing(t, "KYC_PAYLOADS", 5)
	if r := b.report(t); r.code != 1 || r.MissingAll != 5 {
		t.Errorf("the report says %+v", r)
	}
	if r := b.report(t, "--accept"); r.code != 1 || r.MissingAll != 5 {
		t.Errorf("the accepting report says %+v", r)
	}
	if r := b.report(t); r.code != 0 {
		t.Errorf("after it was taken note of: %+v", r)
	}
	_, stdout, stderr := run(t, "kycbridge", "access", "list", "--json", "--config", b.config)
	for _, result := range []string{"begun", "done"} {
		if !strings.Contains(stdout, `"filter":"accept=true","result":"`+result+`"`) {
			t.Errorf("the access log does not say that the loss was accepted (%s):\n%s%s", result, stdout, stderr)
		}
	}
}

// TestErasureIsNoDamage erases a person, and payloads by age, and checks that nothing is reported missing.
func TestErasureIsNoDamage(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.start(t)
	b.approve(t, 1, 12)
	b.settled(t, 20*time.Second)
	for _, args := range [][]string{{"--verification", idOf(4)},
		{"--older-than", "0s", "--id", "ondato.acme.e0000009-0001-4000-8000-000000000001"}, {"--verification", idOf(12)}} {
		if code, _, stderr := run(t, "kycbridge",
			append([]string{"payloads", "purge", "--yes", "--why", "a test", "--config", b.config}, args...)...); code != 0 {
			t.Fatalf("purge %v: %s", args, stderr)
		}
	}
	if r := b.report(t); r.code != 0 {
		t.Errorf("after an erasure the report says %+v", r)
	}
	b.stop(t)
	b.start(t)
	if r := b.report(t); r.code != 0 {
		t.Errorf("after a restart the report says %+v", r)
	}
	if strings.Contains(b.stderr.String(), "missing or damaged") {
		t.Errorf("the log says:\n%s", b.stderr.tail())
	}
}

// TestErasureWithoutItsAccount: an account was renamed, and its payloads have expired. What is left are events, which
// are kept for ever by default. The person can still be held and erased.
func TestErasureWithoutItsAccount(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.start(t)
	b.approve(t, 1, 3)
	b.settled(t, 20*time.Second)
	b.tool(t, "payloads", "purge", "--older-than", "0s", "--yes", "--why", "a test")
	b.stop(t)
	raw, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, b.config, strings.Replace(string(raw), "name: acme", "name: renamed", 1))
	b.start(t)
	b.tool(t, "payloads", "hold", "--verification", idOf(2), "--why", "a test")
	b.tool(t, "payloads", "release", "--verification", idOf(2), "--why", "a test")
	text := b.tool(t, "payloads", "purge", "--yes", "--why", "a test", "--verification", idOf(2))
	if !strings.Contains(text, "1 event") {
		t.Errorf("the purge says %s", text)
	}
	code, _, stderr := run(t, "kycbridge", "find", idOf(2), "--config", b.config)
	if code != 1 || !strings.Contains(stderr, "no verification") {
		t.Errorf("after it was erased: %d %s", code, stderr)
	}
	b.tool(t, "find", idOf(3))
}

// TestSkippedPayloadsAreProcessed moves the consumer past unprocessed payloads, as damage of its state
// does: the inspection finds them, and they become events.
func TestSkippedPayloadsAreProcessed(t *testing.T) {
	t.Parallel()
	server := newNATS(t)
	b := newBridge(t, "store: {url: \""+server.url()+"\"}\nbus: {url: \""+server.url()+"\"}\n"+oneAccount)
	b.start(t)
	b.approve(t, 1, 3)
	b.settled(t, 20*time.Second)
	b.stop(t)
	b.process = startProcess(t, "kycbridge", "serve", "--config", b.config, "--role", "receive")
	b.waitReady(t)
	b.approve(t, 4, 9)
	b.stop(t)
	nc, err := nats.Connect(server.url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	answer, err := nc.Request("$JS.API.CONSUMER.RESET.KYC_PAYLOADS.normalizer", []byte(`{"seq":10}`), 5*time.Second)
	if err != nil || bytes.Contains(answer.Data, []byte("error")) {
		t.Fatalf("%v %s", err, answer.Data)
	}
	b.start(t)
	t.Logf("events after %s", decided(t, server.url(), 4, 9).Round(time.Millisecond))
	if !strings.Contains(b.stderr.String(), "passed over") {
		t.Errorf("the log does not tell:\n%s", b.stderr.tail())
	}
	wait.For(t, 10*time.Second, "a sound report", func() bool { return b.report(t).code == 0 })
}

// TestGapsOfAnEarlierVersion: earlier versions did not record their erasures, so the initial gaps of a
// store are not damage; later ones are reported.
func TestGapsOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	server, b := external(t)
	b.approve(t, 1, 6)
	b.settled(t, 20*time.Second)
	b.stop(t)
	nc, err := nats.Connect(server.url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ask := func(subject, body string) {
		t.Helper()
		answer, err := nc.Request("$JS.API."+subject, []byte(body), 5*time.Second)
		if err != nil || !bytes.Contains(answer.Data, []byte(`"success":true`)) {
			t.Fatalf("%s: %v %s", subject, err, answer.Data)
		}
	}
	ask("STREAM.PURGE.KYC_TOMBSTONES", `{"filter":"kyc.erased.>"}`)
	ask("STREAM.MSG.DELETE.KYC_PAYLOADS", `{"seq":2}`)
	ask("STREAM.MSG.DELETE.KYC_EVENTS", `{"seq":1}`)
	ask("STREAM.MSG.DELETE.KYC_EVENTS", `{"seq":2}`)
	b.start(t)
	b.missing(t, "KYC_PAYLOADS", 0)
	if r := b.report(t); r.MissingAll != 0 {
		t.Errorf("of holes that were there before: %+v", r)
	}
	b.stop(t)
	ask("STREAM.MSG.DELETE.KYC_PAYLOADS", `{"seq":4}`)
	ask("STREAM.MSG.DELETE.KYC_EVENTS", `{"seq":5}`)
	b.start(t)
	b.missing(t, "KYC_PAYLOADS", 1)
	b.missing(t, "KYC_EVENTS", 1)
	if r := b.report(t); r.MissingAll != 2 || r.code != 1 {
		t.Errorf("of holes that came later: %+v", r)
	}
}

// TestLostResultsAreFetchedAgain destroys the stored answer of a provider with an API: the result is
// fetched again, so that in the end nothing is missing. It does so with a processed and an unprocessed
// payload: the event of the latter is made from the fetched one.
func TestLostResultsAreFetchedAgain(t *testing.T) {
	t.Parallel()
	for name, worked := range map[string]bool{"worked": true, "not worked": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider, err := simulate.Start(simulatedProvider(t, "kwikid"), simulate.Options{Speed: 600})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(provider.Close)
			account := fmt.Sprintf("log: {level: warn}\naccounts:\n  - name: acme\n    provider: kwikid\n    environment: "+
				"test\n    api: %s\n    poll: {interval: 300ms, deadline: 1h}\n", provider.APIText())
			bus := ""
			if !worked {
				bus = fmt.Sprintf("bus: {url: 'nats://%s'}\n", freeport.Address(t)) // no server, so nothing is processed
			}
			b := newBridge(t, bus+account)
			b.launch(t)
			reference := provider.Begin("ref-1", simulate.Approve)
			id := event.VerificationID("kwikid", "acme", reference)
			wait.For(t, 20*time.Second, "the watch is taken", func() bool { return b.watch(t, "kwikid", "acme", reference) })
			var block string
			ended := func() bool {
				raw, err := os.ReadFile(block)
				return err == nil && bytes.Contains(raw, []byte("kyc_result_approved"))
			}
			wait.For(t, 30*time.Second, "the result is stored", func() bool {
				found, _ := filepath.Glob(filepath.Join(b.dir, "jetstream", "*", "streams", "KYC_PAYLOADS", "msgs", "1.blk"))
				if len(found) == 1 {
					block = found[0]
				}
				return ended()
			})
			if worked {
				b.settled(t, 20*time.Second)
			}
			b.stop(t)
			raw, err := os.ReadFile(block)
			if err != nil {
				t.Fatal(err)
			}
			at := bytes.LastIndex(raw, []byte("kyc_result_approved"))
			copy(raw[at:], "XXXXXXXXXXXXXXXXXXX")
			writeFile(t, block, string(raw))
			if !worked {
				config, err := os.ReadFile(b.config)
				if err != nil {
					t.Fatal(err)
				}
				writeFile(t, b.config, strings.Replace(string(config), bus, "", 1))
			}
			b.start(t)
			wait.For(t, 20*time.Second, "the result is stored again", ended)
			wait.For(t, 20*time.Second, "the approval is published", func() bool {
				history := traffic.Histories(t, b.eventsURL())[id]
				return len(history) > 0 && history[len(history)-1].Data.Decision.Outcome == event.OutcomeApproved
			})
			if !strings.Contains(b.stderr.String(), "damaged and lost") {
				t.Errorf("the log does not tell of the damage:\n%s", b.stderr.tail())
			}
			wait.For(t, 20*time.Second, "a sound report", func() bool { return b.report(t).code == 0 })
		})
	}
}

// watch requests a watch and reports whether it was accepted.
func (b *bridge) watch(t *testing.T, provider, account, reference string) bool {
	t.Helper()
	body := fmt.Sprintf(`{"provider":%q,"account":%q,"reference":%q}`, provider, account, reference)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.adminURL("/v1/watches"),
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ops-token-2e77a1")
	req.Header.Set("Content-Type", "application/json")
	res, err := b.client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusAccepted
}
