package test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge/event"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// samplesFolder contains the consumers of docs/consume.md, one folder per language.
const samplesFolder = "../docs/samples"

// TestSamplesOnPage: each excerpt in docs/consume.md is part of its file, and no file is left out.
func TestSamplesOnPage(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(docsRoot, "docs", "consume.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]int{}
	for _, m := range regexp.MustCompile("(?ms)^<!-- from: (\\S+) -->\n```[a-z]*\n(.*?)^```$").FindAllStringSubmatch(string(raw), -1) {
		shown[m[1]]++
		source, err := os.ReadFile(filepath.Join(docsRoot, filepath.FromSlash(m[1])))
		if err != nil || !strings.Contains(string(source), m[2]) {
			t.Errorf("%s does not hold this: %v\n%s", m[1], err, m[2])
		}
	}
	err = filepath.WalkDir(samplesFolder, func(path string, d fs.DirEntry, err error) error {
		if file := strings.TrimPrefix(filepath.ToSlash(path), "../"); err == nil && !d.IsDir() && shown[file] == 0 {
			t.Errorf("docs/consume.md shows nothing of %s", file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// language defines how to run a sample of a language: on standard input, and with NATS.
type language struct {
	name    string
	lines   func(t *testing.T) []string // the program that reads lines
	nats    func(t *testing.T) []string // the program with a durable consumer; skips if its library is not installed
	program string                      // a program that must be installed on the machine
}

func languages() []language {
	file := func(t *testing.T, parts ...string) string {
		t.Helper()
		path, err := filepath.Abs(filepath.Join(append([]string{samplesFolder}, parts...)...))
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	goSample := func(t *testing.T) []string {
		t.Helper()
		binary := filepath.Join(t.TempDir(), "sample")
		if out, err := exec.Command("go", "build", "-o", binary, "kycbridge/docs/samples/go").CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
		return []string{binary}
	}
	return []language{
		{"go", goSample, goSample, "go"},
		{"python", func(t *testing.T) []string { return []string{"python3", file(t, "python", "decide.py")} },
			func(t *testing.T) []string {
				consume := file(t, "python", "consume.py")
				check(t, consume, []string{"python3", "-m", "py_compile", consume}, []string{"python3", "-c", "import nats"})
				return []string{"python3", consume}
			}, "python3"},
		{"javascript", func(t *testing.T) []string { return []string{"node", file(t, "javascript", "decide.mjs")} },
			func(t *testing.T) []string {
				consume := file(t, "javascript", "consume.mjs")
				check(t, consume, []string{"node", "--check", consume},
					[]string{"node", "--input-type=module", "--eval",
						"await import('@nats-io/jetstream'); await import('@nats-io/transport-node')"})
				return []string{"node", consume}
			}, "node"},
	}
}

// check checks the syntax of a file, and skips the rest of the test if its library is missing.
func check(t *testing.T, file string, syntax, library []string) {
	t.Helper()
	try := func(command []string) error {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir = filepath.Dir(file)
		cmd.Env = append(os.Environ(), "PYTHONPYCACHEPREFIX="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
		}
		return nil
	}
	if err := try(syntax); err != nil {
		t.Fatal(err)
	}
	if err := try(library); err != nil {
		t.Skipf("its syntax is right; it is not run, the client of NATS is not on this machine: %s",
			strings.Join(library, " "))
	}
}

// sampleRun is a running sample.
type sampleRun struct {
	cmd    *exec.Cmd
	stdout output
	stderr output
	ended  chan struct{}
}

// startSampleRun runs a program with its own book; input may be nil.
func startSampleRun(t *testing.T, command []string, input io.Reader, environ ...string) *sampleRun {
	t.Helper()
	r := &sampleRun{cmd: exec.Command(command[0], command[1:]...), ended: make(chan struct{})}
	r.cmd.Dir = t.TempDir()
	r.cmd.Env = append(os.Environ(), append(environ, "PYTHONPYCACHEPREFIX="+r.cmd.Dir)...)
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = input, &r.stdout, &r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // the exit code is read from ProcessState
		close(r.ended)
	}()
	t.Cleanup(r.kill)
	return r
}

func (r *sampleRun) kill() {
	_ = r.cmd.Process.Kill() // it may have ended already
	<-r.ended
}

// said contains the lines printed so far.
func (r *sampleRun) said() []string { return strings.Split(strings.TrimSpace(r.stdout.String()), "\n") }

// until waits for this number of lines.
func (r *sampleRun) until(t *testing.T, lines int) []string {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second * wait.Slowdown)
	for strings.Count(r.stdout.String(), "\n") < lines {
		select {
		case <-r.ended:
			t.Fatalf("it ended with code %d after %d of %d lines:\n%s", r.cmd.ProcessState.ExitCode(),
				strings.Count(r.stdout.String(), "\n"), lines, r.stderr.tail())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d lines wanted, it said\n%s%s", lines, r.stdout.tail(), r.stderr.tail())
		}
	}
	return r.said()
}

// end waits until the sample ends by itself, without an error.
func (r *sampleRun) end(t *testing.T) []string {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(20 * time.Second):
		t.Fatalf("it still runs:\n%s", r.stderr.tail())
	}
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("code %d:\n%s", code, r.stderr.tail())
	}
	return r.said()
}

// TestSamples runs the consumers of docs/consume.md against a real bridge: they accept persons by the rule, once, in
// any order and with any repetition, and acknowledge nothing uncommitted.
func TestSamples(t *testing.T) {
	b := newBridge(t, oneAccount)
	b.start(t)
	live(t, b, 1, 3)
	events := published(t, b)
	for _, l := range languages() {
		t.Run(l.name, func(t *testing.T) {
			if _, err := exec.LookPath(l.program); err != nil {
				t.Skipf("there is no %s: %v", l.program, err)
			}
			t.Run("decides", func(t *testing.T) { sampleDecides(t, l.lines(t), events) })
			t.Run("follows", func(t *testing.T) { sampleFollows(t, l, b) })
			t.Run("consumes", func(t *testing.T) { sampleConsumes(t, l.nats(t), b) })
		})
	}
}

// live posts all webhooks of several verifications, the first with the number from, and waits for their events.
func live(t *testing.T, b *bridge, from, lives int) {
	t.Helper()
	for n := from; n < from+lives; n++ {
		one := &traffic.Life{Run: 0x5a, N: n}
		for _, say := range traffic.WholeLife {
			if r, err := b.post(t.Context(), one.Next(say).Body); err != nil || r.Code != 200 {
				t.Fatalf("%s: %d %s %v", say, r.Code, r.Text, err)
			}
		}
	}
	b.settled(t, 20*time.Second)
}

// published is the output of kycbridge events, one line per event.
func published(t *testing.T, b *bridge) []string {
	t.Helper()
	code, stdout, stderr := run(t, "kycbridge", "events", "--url", b.eventsURL(), "--json")
	if code != 0 {
		t.Fatalf("events: %d %s", code, stderr)
	}
	return strings.Split(strings.TrimSpace(stdout), "\n")
}

// expected is what a sample must print for new events, in order.
func expected(t *testing.T, events []string) (lines []string) {
	t.Helper()
	for _, line := range events {
		e, err := event.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		action := "hold"
		if e.Data.Decision.Outcome == event.OutcomeApproved && e.Data.Decision.Final {
			action = "admit"
		}
		lines = append(lines, fmt.Sprint(e.Data.VerificationID, " ", e.Data.Revision, " ", action))
	}
	return lines
}

// skipped are the lines printed for already processed events.
func skipped(lines []string) []string {
	var out []string
	for _, line := range lines {
		out = append(out, line[:strings.LastIndexByte(line, ' ')]+" skip")
	}
	return out
}

// done are the lines for events that were not skipped.
func done(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines),
		func(line string) bool { return line == "" || strings.HasSuffix(line, " skip") })
}

// sampleDecides passes events to the sample in order, again, in reverse order and with another environment.
func sampleDecides(t *testing.T, program, events []string) {
	want := expected(t, events)
	if !slices.ContainsFunc(want, func(s string) bool { return strings.HasSuffix(s, "admit") }) ||
		!slices.ContainsFunc(want, func(s string) bool { return strings.HasSuffix(s, "hold") }) {
		t.Fatal("the events are all of one kind")
	}
	feed := func(lines []string, environ ...string) []string {
		return startSampleRun(t, program, strings.NewReader(strings.Join(lines, "\n")+"\n"), environ...).end(t)
	}
	dir := t.TempDir()
	book := "KYC_BOOK=" + filepath.Join(dir, "book")
	for name, c := range map[string][2][]string{
		"in order": {want, feed(events, book, "KYC_ENVIRONMENT=test")},
		"again":    {skipped(want), feed(events, book, "KYC_ENVIRONMENT=test")},
		"not live": {skipped(want), feed(events, "KYC_BOOK="+filepath.Join(dir, "live"))},
	} {
		if diff := cmp.Diff(c[0], c[1]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	backwards := slices.Clone(events)
	slices.Reverse(backwards)
	newest := map[string]string{}
	for _, line := range want {
		newest[line[:36]] = line
	}
	got := done(feed(backwards, "KYC_BOOK="+filepath.Join(dir, "backwards"), "KYC_ENVIRONMENT=test"))
	if len(got) != len(newest) {
		t.Errorf("backwards: %d events of %d verifications were handled: an old one overwrote a newer", len(got), len(newest))
	}
	for _, line := range got {
		if newest[line[:36]] != line {
			t.Errorf("backwards: %s, the newest is %s", line, newest[line[:36]])
		}
	}
}

// sampleFollows pipes kycbridge events --follow --json into the sample, and starts it again.
func sampleFollows(t *testing.T, l language, b *bridge) {
	program, book := l.lines(t), "KYC_BOOK="+filepath.Join(t.TempDir(), "book")
	follow := func() (*sampleRun, func()) {
		reading := exec.Command(tool(t, "kycbridge"), "events", "--url", b.eventsURL(), "--follow", "--json")
		pipe, err := reading.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := reading.Start(); err != nil {
			t.Fatal(err)
		}
		sample := startSampleRun(t, program, pipe, book, "KYC_ENVIRONMENT=test")
		stop := func() { _ = reading.Process.Kill(); _ = reading.Wait() }
		t.Cleanup(stop)
		return sample, stop
	}
	before := published(t, b)
	sample, stop := follow()
	sample.until(t, len(before))
	live(t, b, 100+len(before), 1)
	all := expected(t, published(t, b))
	if diff := cmp.Diff(all, sample.until(t, len(all))); diff != "" {
		t.Errorf("followed (-want +got):\n%s", diff)
	}
	stop()
	sample.end(t)
	sample, stop = follow()
	if diff := cmp.Diff(skipped(all), sample.until(t, len(all))); diff != "" {
		t.Errorf("started again (-want +got):\n%s", diff)
	}
	stop()
	sample.end(t)
}

// onboarding is the name of the samples' consumer in the store, for a client without a user name.
const onboarding = "anonymous~onboarding"

// sampleConsumes uses a durable consumer: although it is killed repeatedly, it handles every event once; and while
// its book cannot be written nothing is acknowledged.
func sampleConsumes(t *testing.T, program []string, b *bridge) {
	js := b.operator(t)
	defer func() {
		if err := js.DeleteConsumer(t.Context(), "KYC_EVENTS", onboarding); err != nil {
			t.Error(err) // the next language needs a new consumer
		}
	}()
	environ := []string{"NATS_URL=" + b.eventsURL(), "KYC_ENVIRONMENT=test"}
	want := expected(t, published(t, b))

	full := startSampleRun(t, append([]string{"sh", "-c", `ulimit -f 0; exec "$@"`, "sh"}, program...), nil,
		append(environ, "KYC_BOOK="+filepath.Join(t.TempDir(), "book"))...)
	select {
	case <-full.ended:
	case <-time.After(10 * time.Second):
		full.kill()
	}
	if lines := done(full.said()); len(lines) > 0 {
		t.Errorf("it says that it handled what it could not commit: %v", lines)
	}
	consumer, err := js.Consumer(t.Context(), "KYC_EVENTS", onboarding)
	if err != nil {
		t.Fatalf("it did not come as far as an event: %v\n%s", err, full.stderr.tail())
	}
	if info, err := consumer.Info(t.Context()); err != nil || info.Delivered.Consumer == 0 || info.AckFloor.Consumer != 0 {
		t.Errorf("nothing was delivered, or acknowledged without a commit: %+v, %v", info, err)
	}
	if err := js.DeleteConsumer(t.Context(), "KYC_EVENTS", onboarding); err != nil {
		t.Fatal(err) // unacknowledged events are redelivered after 30 s; the next run must not wait
	}

	environ = append(environ, "KYC_BOOK="+filepath.Join(t.TempDir(), "book"))
	var handled []string
	sample := startSampleRun(t, program, nil, environ...)
	handled = append(handled, done(sample.until(t, len(want)))...)
	sample.kill()
	if diff := cmp.Diff(want, handled); diff != "" {
		t.Errorf("handled (-want +got):\n%s", diff)
	}
	sample = startSampleRun(t, program, nil, environ...)
	live(t, b, 500+len(want), 1)
	more := expected(t, published(t, b))[len(want):]
	wait.For(t, 45*time.Second, "the new events handled", func() bool { return len(done(sample.said())) >= len(more) })
	if diff := cmp.Diff(more, done(sample.said())); diff != "" {
		t.Errorf("handled after a kill (-want +got):\n%s", diff)
	}
	consumer, err = js.Consumer(t.Context(), "KYC_EVENTS", onboarding)
	if err != nil {
		t.Fatal(err)
	}
	wait.For(t, 45*time.Second, "everything acknowledged", func() bool {
		info, err := consumer.Info(t.Context())
		return err == nil && info.NumAckPending == 0 && info.NumPending == 0
	})
}

// TestSampleNATSCommand runs the commands of docs/consume.md for the nats command-line tool, if it is installed.
func TestSampleNATSCommand(t *testing.T) {
	if _, err := exec.LookPath("nats"); err != nil {
		t.Skipf("there is no nats: %v", err)
	}
	b := newBridge(t, oneAccount)
	b.start(t)
	live(t, b, 1, 1)
	want := published(t, b)
	for _, s := range samples(t, "natscli") {
		for _, words := range commands(s.text) {
			for i, word := range words {
				words[i] = strings.ReplaceAll(word, "nats://127.0.0.1:4222", b.eventsURL())
				words[i] = strings.ReplaceAll(words[i], "786513b3-69c4-5dfa-afc2-55ed2d4345cf",
					(&traffic.Life{Run: 0x5a, N: 1}).VerificationID())
			}
			r := startSampleRun(t, words, nil)
			switch {
			case slices.Contains(words, "sub"):
				wait.For(t, 10*time.Second, "subscribed",
					func() bool { return strings.Contains(r.stderr.String()+r.stdout.String(), "Subscribing") })
				live(t, b, 2, 1)
				wait.For(t, 10*time.Second, "an event", func() bool { return strings.Contains(r.stdout.String(), `"specversion"`) })
				r.kill()
			default:
				if out := strings.Join(r.end(t), "\n"); slices.Contains(words, "next") &&
					!bytes.Contains([]byte(out), []byte(want[0])) {
					t.Errorf("%v: %s", words, out)
				}
			}
		}
	}
}
