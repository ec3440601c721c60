package test

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kycbridge/test/wait"
)

// twoAccounts are an account with its own retention and one with the retention of the top level. Their callbacks are
// encrypted at rest.
func twoAccounts(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "master.keys")
	writeFile(t, file, newMasterKey(t, "one"))
	return "encryption: {key_file: " + file + "}\nretention: {payloads: 1h, quarantine: 2s}\n" +
		strings.Replace(oneAccount, "confirm: false\n", "confirm: false\n    retention: {payloads: 2s, events: 3s}\n", 1) +
		"  - {name: slow, provider: ondato, environment: test, auth: {bearer: [" + loadToken + "]}, confirm: false}\n"
}

// agedRows is the output of the dry run of the retention.
func (b *bridge) agedRows(t *testing.T) string {
	t.Helper()
	return b.tool(t, "payloads", "retention", "--dry-run")
}

// TestRetention: payloads of one account are removed after two seconds; those of a held verification and those of an
// account with another retention are kept. The report finds nothing missing, and after the release the rest is
// removed. The test runs with the embedded server and with an external one.
func TestRetention(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		b := newBridge(t, twoAccounts(t))
		retains(t, b, b.eventsURL())
	})
	t.Run("external", func(t *testing.T) {
		t.Parallel()
		server := newNATS(t)
		at := "{url: \"" + server.url() + "\"}\n"
		retains(t, newBridge(t, "store: "+at+"bus: "+at+twoAccounts(t)), server.url())
	})
}

// callback posts a body to an account.
func (b *bridge) callback(t *testing.T, account string, body []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.callbackURL("ondato", account),
		bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+loadToken)
	if reply, err := b.send(r); err != nil || reply.Code != http.StatusOK {
		t.Fatalf("%d %v", reply.Code, err)
	}
}

func retains(t *testing.T, b *bridge, url string) {
	b.start(t)
	b.approve(t, 1, 1)
	b.tool(t, "payloads", "hold", "--verification", idOf(1), "--reason", "case 1")
	b.approve(t, 2, 40)
	b.callback(t, "slow", kycHook(77, 1, "Approved", "Approved", "AutomaticallyIdentified"))
	b.callback(t, "acme", []byte(`{"id": 1, "payload": {"fullName": "TESTA"}}`))
	b.settled(t, 20*time.Second)
	left := func() int { return strings.Count(b.tool(t, "payloads", "list", "--json"), "\n") }
	wait.For(t, 60*time.Second, "old payloads are removed", func() bool { return left() == 2 })
	// The last event of the held verification and that of the other account are kept.
	wait.For(t, 60*time.Second, "old events are removed", func() bool {
		_, events, _ := run(t, "kycbridge", "events", "--url", url, "--json")
		return strings.Count(events, "\n") == 2 && strings.Contains(events, idOf(1))
	})
	if got := b.stored(t, idOf(1)); got != 1 {
		t.Errorf("of the held one %d payloads are left", got)
	}
	if rows := b.agedRows(t); !strings.Contains(rows, "payloads    ondato    acme     2s         0    1     0") ||
		!strings.Contains(rows, "payloads    ondato    slow     1h0m0s     0    0     0") {
		t.Errorf("dry run:\n%s", rows)
	}
	if text := b.tool(t, "payloads", "report"); !strings.Contains(text,
		"retention: 40 removed until now, 0 to be removed, 2 older and held; 1 verification held") ||
		!strings.Contains(text, "Nothing is lost") {
		t.Errorf("report:\n%s", text)
	}
	if n, _ := b.metric(`kycbridge_retention_removed_total{class="payloads"}`); n != 39 {
		t.Errorf("the metric says %v", n)
	}
	if n, _ := b.metric("kycbridge_holds"); n != 1 {
		t.Errorf("%v holds", n)
	}
	// A removed payload that is sent again is stored again, and leads to no other event.
	b.approve(t, 5, 5)
	wait.For(t, 60*time.Second, "it is removed again", func() bool { return left() == 2 })

	b.tool(t, "payloads", "release", "--verification", idOf(1), "--why", "closed")
	wait.For(t, 60*time.Second, "the released one is removed", func() bool { return left() == 1 })
	b.stop(t)
	b.start(t)
	b.tool(t, "payloads", "report")
	b.missing(t, "KYC_PAYLOADS", 0)
}
