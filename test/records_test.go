package test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/test/wait"
)

// TestNothingIsErasedWithoutTheHolds: the stream of holds is deleted, or its only hold is damaged, while the process is
// stopped. Purges by the API and by the command, and an import, are refused; the report and a metric name the loss.
// After the operator has accepted it, they work.
func TestNothingIsErasedWithoutTheHolds(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		b := newBridge(t, oneAccount)
		losesHolds(t, b, "1 to ", func() { remove(t, b.dir, "KYC_HOLDS") })
	})
	t.Run("damaged", func(t *testing.T) {
		t.Parallel()
		b := newBridge(t, oneAccount)
		losesHolds(t, b, "2 to 2 ", func() {
			file := blocks(t, b.dir, "KYC_HOLDS")[0]
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			copy(raw[bytes.Index(raw, []byte("case 7"))-10:], "damaged damaged")
			writeFile(t, file, string(raw))
		})
	})
	t.Run("external", func(t *testing.T) {
		t.Parallel()
		server := newNATS(t)
		at := "{url: \"" + server.url() + "\"}\n"
		losesHolds(t, newBridge(t, "store: "+at+"bus: "+at+oneAccount), "1 to ", func() {
			nc, err := nats.Connect(server.url())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			if err := js.DeleteStream(t.Context(), "KYC_HOLDS"); err != nil {
				t.Fatal(err)
			}
		})
	})
}

func losesHolds(t *testing.T, b *bridge, gone string, lose func()) {
	t.Helper()
	b.grant(t, map[string]kycbridge.Rights{"alice": kycbridge.AllRights()})
	b.start(t)
	b.approve(t, 1, 2)
	b.tool(t, "payloads", "hold", "--verification", idOf(1), "--reason", "case 7")
	file := filepath.Join(filepath.Dir(b.config), "exported")
	writeFile(t, file, b.tool(t, "payloads", "export", "--why", "x"))
	b.stop(t)
	lose()
	b.start(t)
	wait.For(t, 30*time.Second, "the metric tells what is missing", func() bool {
		missing, ok := b.metric(`kycbridge_integrity_missing_messages{stream="KYC_HOLDS"}`)
		return ok && missing > 0
	})
	if status, answer := b.purges(t, "alice", idOf(1)); status != 409 ||
		answer["type"] != "urn:kycbridge:problem:records_lost" {
		t.Errorf("purge over the API: %d %v", status, answer)
	}
	exported := readFileText(t, file)
	if status, answer := b.postAs(t, "alice", "/v1/payloads/import", "application/x-ndjson", exported); status != 409 ||
		answer["type"] != "urn:kycbridge:problem:records_lost" {
		t.Errorf("import over the API: %d %v", status, answer)
	}
	for _, args := range [][]string{{"purge", "--verification", idOf(1), "--yes"}, {"import", file, "--yes"},
		{"purge", "--verification", idOf(1), "--dry-run"}, {"purge", "--older-than", "0s", "--yes"}} {
		code, stdout, stderr := run(t, "kycbridge", append(append([]string{"payloads"}, args...), "--why", "x",
			"--config", b.config)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, "KYC_HOLDS") ||
			!strings.Contains(stderr, "kycbridge payloads report --accept") {
			t.Errorf("%v: %d %s%s", args, code, stdout, stderr)
		}
	}
	code, stdout, _ := run(t, "kycbridge", "payloads", "report", "--config", b.config)
	if code != 1 || !strings.Contains(stdout, "KYC_HOLDS: its messages from "+gone) ||
		strings.Contains(stdout, "Nothing is lost") {
		t.Errorf("the report: %d %s", code, stdout)
	}
	if r := b.report(t, "--accept", "--why", "case 7"); r.code != 1 {
		t.Errorf("the accepting report: %+v", r)
	}
	if r := b.report(t); r.code != 0 {
		t.Errorf("the next report: %+v", r)
	}
	if status, answer := b.purges(t, "alice", idOf(1)); status != 200 || answer["payloads"] != 1.0 {
		t.Errorf("purge after the loss is accepted: %d %v", status, answer)
	}
}
