package test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"kycbridge/test/wait"
)

// TestRetriedPayloadsSlowNoCallback: payloads that are tried again and again, here of an account that no process has
// configured, keep no worker from the others. So they do not slow callbacks down, however long they wait.
func TestRetriedPayloadsSlowNoCallback(t *testing.T) {
	long(t, "a quarter of a minute")
	server := newNATS(t)
	both := fmt.Sprintf("store: {url: %[1]q}\nbus: {url: %[1]q}\n%[2]s", server.url(), oneAccount)
	both += strings.Replace(strings.SplitAfter(oneAccount, "accounts:\n")[1], "name: acme", "name: gone", 1)
	b := newBridge(t, both)
	b.process = startProcess(t, "kycbridge", "serve", "--role", "receive", "--config", b.config)
	b.waitReady(t)
	send := func(account string, n int) {
		reply, err := b.postTo(t.Context(), account, kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified"))
		if err != nil || reply.Code != http.StatusOK {
			t.Errorf("callback %d of %s: %d, %v", n, account, reply.Code, err)
		}
	}
	const gone, senders = 1500, 50 // from 1,000 on callbacks may be slowed down
	var sending sync.WaitGroup
	for first := range senders {
		sending.Go(func() {
			for n := first; n < gone; n += senders {
				send("gone", n)
			}
		})
	}
	sending.Wait()
	b.stop(t)
	text, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	kept, _, _ := strings.Cut(string(text), "  - name: gone")
	writeFile(t, b.config, kept)
	b.start(t)

	for n, until := 0, time.Now().Add(12*time.Second); time.Now().Before(until); n++ {
		send("acme", n)
		if slowed, ok := b.metric("kycbridge_callbacks_slowed"); !ok || slowed != 0 {
			t.Fatalf("after %d callbacks they are slowed down", n+1)
		}
		time.Sleep(50 * time.Millisecond)
	}
	wait.For(t, 20*time.Second, "only those of the removed account wait", func() bool {
		n, ok := b.metric("kycbridge_backlog_payloads")
		return ok && n == gone
	})
}
