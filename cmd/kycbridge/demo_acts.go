package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
	"kycbridge/internal/ports"
)

const (
	actCallbacks = 1000 // of the first act
	actWorkers   = 32
	actWords     = 50 // unknown states
	actReordered = 50 // verifications whose callbacks arrive in the wrong order
	actTimeout   = 30 * time.Second
)

// demoProcess is a kycbridge in a separate process, which can be killed, to show its guarantees.
type demoProcess struct {
	dir, file, log           string
	callbacks, admin, secret string
	token                    string
	stdout                   io.Writer
	process                  *exec.Cmd
	ended                    chan struct{}
	client                   http.Client
	sent                     atomic.Int64
}

// newDemoProcess writes the configuration of the process.
func newDemoProcess(ctx context.Context, dir string, stdout io.Writer) (*demoProcess, error) {
	t := &demoProcess{dir: dir, file: filepath.Join(dir, "acts.yaml"), log: filepath.Join(dir, "acts.log"),
		secret: rand.Text(), token: rand.Text(), stdout: stdout}
	t.client.Timeout = 10 * time.Second
	t.client.Transport = &http.Transport{MaxIdleConnsPerHost: actWorkers}
	addresses, err := ports.Free(ctx, 2)
	if err != nil {
		return nil, err
	}
	t.callbacks, t.admin = addresses[0], addresses[1]
	text := fmt.Sprintf("listen: %s\nadmin: {listen: '%s', tokens: [%s]}\nembedded: {listen: none}\ndata_dir: "+
		"%q\naccounts:\n  - name: demo\n    provider: ondato\n    environment: test\n    auth: {bearer: [%s]}\n",
		t.callbacks, t.admin, t.token, filepath.Join(dir, "acts"), t.secret)
	return t, os.WriteFile(t.file, []byte(text), 0o600)
}

// start starts the process and waits until it is ready.
func (t *demoProcess) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	log, err := os.OpenFile(t.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	t.process = exec.CommandContext(context.WithoutCancel(ctx), self, "serve", "--config", t.file)
	t.process.Stdout, t.process.Stderr = log, log
	if err := t.process.Start(); err != nil {
		return fmt.Errorf("start kycbridge: %w", err)
	}
	t.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) { _ = process.Wait(); close(ended) }(t.process, t.ended)
	deadline := time.Now().Add(actTimeout)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		if res, err := t.get(ctx, "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.New("kycbridge does not start for the demo: see " + t.log)
}

// get sends a request to the operators' listener of the process.
func (t *demoProcess) get(ctx context.Context, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.admin+path, nil)
	if err != nil {
		return nil, err
	}
	return t.client.Do(r)
}

// kill ends the process like a power failure.
func (t *demoProcess) kill() {
	if t.process != nil {
		_ = t.process.Process.Kill() // it may have ended
		<-t.ended
	}
}

// hook is a callback about verification n with an id of its own.
func (t *demoProcess) hook(n int, state, eventName, person string, at time.Time) []byte {
	id := t.sent.Add(1)
	return fmt.Appendf(nil, `{"id":"e%07d-0000-4000-8000-000000000001","applicationId":"a0000000-0000-4000-8000-000000000001","createdUtc":"%s","payload":{"id":"c%07d-0000-4000-8000-000000000001","applicationId":"a0000000-0000-4000-8000-000000000001","createdUtc":"2026-03-02T08:57:30.77Z","identityVerificationId":"%s","status":"%s","document":{"fullName":"%s"}},"type":"KycIdentification.%s"}`,
		id, at.UTC().Format(time.RFC3339Nano), n, actReference(n), state, person, eventName)
}

func actReference(n int) string { return fmt.Sprintf("b%07d-0000-4000-8000-000000000001", n) }

// post sends a callback and reports whether it was answered 200.
func (t *demoProcess) post(ctx context.Context, body []byte) bool {
	return t.postAs(ctx, t.secret, body)
}

func (t *demoProcess) postAs(ctx context.Context, secret string, body []byte) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+t.callbacks+"/webhooks/ondato/demo",
		bytes.NewReader(body))
	if err != nil {
		return false
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Content-Type", "application/json")
	res, err := t.client.Do(r)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// api is the admin API of the process.
func (t *demoProcess) api() *apiClient {
	return &apiClient{base: "http://" + t.admin, token: t.token, tokenFrom: "the demo"}
}

// printStory prints one line of the demo.
func (t *demoProcess) printStory(format string, args ...any) error {
	_, err := fmt.Fprintf(t.stdout, format+"\n", args...)
	return err
}

// acts shows the guarantees of kycbridge, each with a figure that is measured in the demo.
func acts(ctx context.Context, dir string, stdout io.Writer) error {
	t, err := newDemoProcess(ctx, dir, stdout)
	if err != nil {
		return err
	}
	defer t.kill()
	if err := t.start(ctx); err != nil {
		return err
	}
	for _, act := range []func(context.Context) error{t.durable, t.unknown, t.order, t.noPersonalData} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// durable: a callback that was answered 200 is stored after the process was killed.
func (t *demoProcess) durable(ctx context.Context) error {
	if err := t.printStory("1. A 200 means stored. %d callbacks, and the process is killed meanwhile.",
		actCallbacks); err != nil {
		return err
	}
	var answered atomic.Int64
	var mu sync.Mutex
	taken := map[string]bool{}
	numbers := make(chan int)
	var sending sync.WaitGroup
	for range actWorkers {
		sending.Go(func() {
			for n := range numbers {
				body := t.hook(n, "Approved", "Approved", "Testa Sample", time.Now())
				if t.post(ctx, body) {
					mu.Lock()
					taken[event.VerificationID("ondato", "demo", actReference(n))] = true
					mu.Unlock()
					answered.Add(1)
				}
			}
		})
	}
	var killing sync.Once
	for n := range actCallbacks {
		if answered.Load() >= actCallbacks/2 {
			killing.Do(t.kill)
		}
		numbers <- n
	}
	close(numbers)
	sending.Wait()
	killing.Do(t.kill)
	began := time.Now()
	if err := t.start(ctx); err != nil {
		return err
	}
	back := time.Since(began)
	stored := map[string]bool{}
	err := t.api().list(ctx, archive.Filter{Status: archive.StatusAccepted},
		func(e archive.Entry) error { stored[e.VerificationID] = true; return nil })
	if err != nil {
		return err
	}
	lost := 0
	for id := range taken {
		if !stored[id] {
			lost++
		}
	}
	if err := t.printStory("   %d were answered 200 before the process was killed; %s after a start of %d ms. %s\n",
		len(taken),
		map[bool]string{true: "all of them are stored", false: fmt.Sprintf("%d OF THEM ARE LOST", lost)}[lost == 0],
		back.Milliseconds(),
		"The others got no answer, so their provider sends them again."); err != nil {
		return err
	}
	return failed(lost, "callbacks that were answered 200 are lost")
}

// failed is the error of a broken guarantee.
func failed(n int, what string) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d %s: please report it", n, what)
}

// states are the outcomes of verifications, once all their callbacks are processed.
func (t *demoProcess) states(ctx context.Context, from, to int) (outcomes map[string]int, err error) {
	if err := t.settled(ctx); err != nil {
		return nil, err
	}
	outcomes = map[string]int{}
	for n := from; n < to; n++ {
		var d event.Data
		if err := t.api().object(ctx,
			request{method: http.MethodGet, path: "/v1/verifications/ondato/demo/" + actReference(n)}, &d); err != nil {
			return nil, err
		}
		word := string(d.Decision.Outcome)
		if d.Decision.Final {
			word += " (final)"
		}
		outcomes[word]++
	}
	return outcomes, nil
}

// settled waits until every payload is processed.
func (t *demoProcess) settled(ctx context.Context) error {
	deadline := time.Now().Add(actTimeout)
	for time.Now().Before(deadline) {
		var r app.VerifiedReport
		if err := t.api().object(ctx, request{method: http.MethodGet, path: "/v1/payloads/report"}, &r); err != nil {
			return err
		}
		if r.Total.Pending == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("the payloads of the demo were not processed in time")
}

// unknown: an unknown value approves no verification.
func (t *demoProcess) unknown(ctx context.Context) error {
	if err := t.printStory(
		"2. Unknown never means approved. %d callbacks with states that the mapping does not know.",
		actWords); err != nil {
		return err
	}
	invented := []string{"Accepted", "APPROVED_2", "Ok", "Passed", "Approved?", "Verified", "Success", "Cleared", "Green",
		"ApprovedByPartner"}
	for n := range actWords {
		if !t.post(ctx, t.hook(10_000+n, invented[n%len(invented)], "Updated", "Testa Sample", time.Now())) {
			return errors.New("a callback of the demo was not accepted")
		}
	}
	quarantined := 0
	if err := t.settled(ctx); err != nil {
		return err
	}
	err := t.api().list(ctx, archive.Filter{Status: archive.StatusQuarantined},
		func(archive.Entry) error { quarantined++; return nil })
	if err != nil {
		return err
	}
	approved, known := 0, 0
	for n := range actWords {
		var d event.Data
		err := t.api().object(ctx, request{method: http.MethodGet, path: "/v1/verifications/ondato/demo/" +
			actReference(10_000+n)}, &d)
		if err != nil {
			continue // it has no event
		}
		known++
		if d.Decision.Outcome == event.OutcomeApproved {
			approved++
		}
	}
	if err := t.printStory(
		"   %d approved; %d have an event with unknown or none, %d are in quarantine, unchanged.\n", approved,
		known-approved, quarantined); err != nil {
		return err
	}
	return failed(approved, "verifications are approved by an unknown value")
}

// order: a late callback does not overwrite a newer one.
func (t *demoProcess) order(ctx context.Context) error {
	if err := t.printStory(
		"3. Old never overwrites new. %d verifications: the approval arrives first, and older messages afterwards, twice.",
		actReordered); err != nil {
		return err
	}
	now := time.Now()
	for n := range actReordered {
		for _, step := range []struct {
			state, name string
			ago         time.Duration
		}{{"Approved", "Approved", time.Minute}, {"Processed", "Processed", 2 * time.Minute},
			{"Unfinished", "Created", 3 * time.Minute}} {
			body := t.hook(20_000+n, step.state, step.name, "Testa Sample", now.Add(-step.ago))
			for range 2 {
				if !t.post(ctx, body) {
					return errors.New("a callback of the demo was not accepted")
				}
			}
		}
	}
	outcomes, err := t.states(ctx, 20_000, 20_000+actReordered)
	if err != nil {
		return err
	}
	const right = "approved (final)"
	if err := t.printStory("   %d of %d are still approved.\n", outcomes[right], actReordered); err != nil {
		return err
	}
	return failed(actReordered-outcomes[right], "verifications were changed by older messages")
}

// noPersonalData: searches for names of persons where they must not be.
func (t *demoProcess) noPersonalData(ctx context.Context) error {
	const people = 100
	if err := t.printStory(
		"4. Nothing personal leaks. A search for the names of %d people, some of whose callbacks are refused or damaged.",
		people); err != nil {
		return err
	}
	mark := "Plant" + rand.Text()[:12]
	for n := range people {
		body := t.hook(30_000+n, "Approved", "Approved", mark+" Sample", time.Now())
		secret := t.secret
		switch n % 4 {
		case 1:
			secret = "wrong"
		case 2:
			body = bytes.Replace(body, []byte(`"status":"Approved"`), []byte(`"status":17`), 1)
		case 3:
			body = body[:len(body)-20]
		}
		t.postAs(ctx, secret, body)
	}
	if err := t.settled(ctx); err != nil {
		return err
	}
	lines, inLog, err := linesWith(t.log, mark)
	if err != nil {
		return err
	}
	res, err := t.get(ctx, "/metrics")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	metrics, inMetrics := countLines(res.Body, mark)
	ids, inIDs := 0, 0
	err = t.api().list(ctx, archive.Filter{}, func(e archive.Entry) error {
		ids++
		if strings.Contains(fmt.Sprint(e), mark) {
			inIDs++
		}
		return nil
	})
	if err != nil {
		return err
	}
	found := inLog + inMetrics + inIDs
	if err := t.printStory(
		"   searched %d lines of the log, %d of the metrics, %d listed payloads: found %d times.\n", lines,
		metrics, ids, found); err != nil {
		return err
	}
	return failed(found, "names of people are where they must not be")
}

// linesWith counts the lines of a file, and those that contain a word.
func linesWith(file, word string) (lines, with int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	lines, with = countLines(f, word)
	return lines, with, nil
}

func countLines(r io.Reader, word string) (lines, with int) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		lines++
		if strings.Contains(s.Text(), word) {
			with++
		}
	}
	return lines, with
}
