package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/test/wait"
)

// TestPurgeBesideTraffic: callbacks of a person arrive continuously while another process erases the person's data.
// Once the purge has returned, no payload that was answered before is left or returns, and later ones start a new
// history. The test runs with one process with its own store, and with several on one NATS while a replay processes
// the log, too.
func TestPurgeBesideTraffic(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		b := newBridge(t, oneAccount)
		b.start(t)
		c := &crossing{bridges: []*bridge{b}, stored: b.dir, events: b.eventsURL()}
		for round := range 3 {
			c.purge(t, round, func() {
				code, _, stderr := run(t, "kycbridge", "payloads", "purge", "--config", b.config, "--verification",
					c.verification(), "--yes", "--why", "a test")
				if code != 0 {
					t.Fatalf("purge ended with %d: %s", code, stderr)
				}
			})
		}
	})
	t.Run("three processes", func(t *testing.T) {
		t.Parallel()
		server := newNATS(t)
		external := fmt.Sprintf("store: {url: %[1]q}\nbus: {url: %[1]q}\n%[2]s", server.url(), oneAccount)
		c := &crossing{stored: filepath.Dir(server.config), events: server.url()}
		for range 3 {
			c.bridges = append(c.bridges, newBridge(t, external))
			c.bridges[len(c.bridges)-1].start(t)
		}
		for round := range 3 {
			replaying := c.replays(t)
			c.purge(t, round, func() {
				c.bridges[round].ask(t, "/v1/payloads/purge", fmt.Sprintf(`{"verification":%q,"confirm":true}`, c.verification()))
			})
			replaying()
		}
	})
}

// crossing is a person whose callbacks several processes receive while the person's data is erased.
type crossing struct {
	bridges []*bridge
	stored  string // the folder with all data
	events  string // where events are read

	mu       sync.Mutex
	answered map[string]time.Time // the mark in a body, and when it was answered
}

func (c *crossing) verification() string { return event.VerificationID("ondato", "acme", idv(1)) }

func (c *crossing) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.answered)
}

// purge erases while callbacks arrive, and searches for data that must be erased.
func (c *crossing) purge(t *testing.T, round int, erase func()) {
	t.Helper()
	c.answered = map[string]time.Time{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var posting sync.WaitGroup
	for sender := range 4 {
		posting.Go(func() { c.post(ctx, round, sender) })
	}
	wait.For(t, 20*time.Second, "callbacks before the purge", func() bool { return c.count() > 40 })
	erase()
	returned := time.Now()
	before := c.count()
	wait.For(t, 20*time.Second, "callbacks after the purge", func() bool { return c.count() > before+5 })
	stop()
	posting.Wait()
	c.bridges[0].settled(t, 20*time.Second)
	var erased []string
	for mark, at := range c.answered {
		if at.Before(returned) {
			erased = append(erased, mark+`"`)
		}
	}
	if found := filesWith(t, c.stored, erased); len(found) > 0 || len(erased) == 0 {
		t.Errorf("round %d: of %d callbacks answered before the purge returned, something is in %v", round, len(erased),
			found)
	}
	_, events, _ := run(t, "kycbridge", "events", "--url", c.events, "--json")
	first, _, _ := strings.Cut(events, "\n")
	var e event.Event
	if err := json.Unmarshal([]byte(first), &e); err != nil {
		t.Fatalf("round %d: the new history begins with %q, %v", round, first, err)
	}
	if erased := c.erasedRevision(t); erased == 0 || e.Data.Revision != erased+1 || e.Data.Supersedes != "" {
		t.Errorf("round %d: the new history begins with revision %d, which supersedes %q; the newest erased one is %d", round,
			e.Data.Revision, e.Data.Supersedes, erased)
	}
}

// erasedRevision is the newest revision in the tombstone.
func (c *crossing) erasedRevision(t *testing.T) int {
	t.Helper()
	var counted archive.Erasure
	text := c.bridges[0].tool(t, "payloads", "purge", "--verification", c.verification(), "--dry-run", "--json")
	if err := json.Unmarshal([]byte(text), &counted); err != nil || counted.Before == nil {
		t.Fatalf("%v: %s", err, text)
	}
	return counted.Before.Revision
}

// post sends callbacks until ctx ends. A callback that is in progress then is still answered.
func (c *crossing) post(ctx context.Context, round, sender int) {
	for n := 0; ctx.Err() == nil; n++ {
		mark := fmt.Sprintf("SEED%dx%dx%d", round, sender, n)
		reply, err := c.bridges[(sender+n)%len(c.bridges)].post(context.WithoutCancel(ctx), marked(mark, n))
		if err == nil && reply.Code == http.StatusOK {
			c.mu.Lock()
			c.answered[mark] = time.Now()
			c.mu.Unlock()
		}
	}
}

// replays has one process replay the log repeatedly until the returned function is called.
func (c *crossing) replays(t *testing.T) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var replaying sync.WaitGroup
	replaying.Go(func() {
		for ctx.Err() == nil {
			c.bridges[0].ask(t, "/v1/payloads/replay", `{}`)
		}
	})
	return func() { cancel(); replaying.Wait() }
}

// ask sends a request to the API, which must be answered 200.
func (b *bridge) ask(t *testing.T, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.adminURL(path), strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer ops-token-2e77a1")
	req.Header.Set("X-Reason", "a test")
	res, err := b.client.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	if said, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%s: %d %s %v", path, res.StatusCode, said, err)
	}
}

// marked is a callback of one verification with a mark in place of the document number, and in a note.
func marked(mark string, n int) []byte {
	body := kycHook(1, n+1, "Approved", "Approved", "AutomaticallyIdentified")
	body = bytes.ReplaceAll(body, []byte("DOC0000001"), []byte(mark))
	return bytes.ReplaceAll(body, []byte(`"id":"`), []byte(`"note":"`+mark+`","id":"`))
}
