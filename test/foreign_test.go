package test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge/event"
	"kycbridge/test/traffic"
)

// TestForeignMessages: messages of other programs in the streams, on any of their subjects, block nothing.
// They are counted, and the tools skip them.
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount+"    api: {idv_url: 'http://127.0.0.1:9', kyc_url: 'http://127.0.0.1:9', token_url: "+
		"'http://127.0.0.1:9', client_id: c, client_secret: synthetic-secret, setup_id: s}\n")
	b.start(t)
	one := &traffic.Life{Run: 0x5a, N: 1}
	post := func(l *traffic.Life, say string) {
		t.Helper()
		if r, err := b.post(t.Context(), l.Next(say).Body); err != nil || r.Code != 200 {
			t.Fatalf("%s: %d %s %v", say, r.Code, r.Text, err)
		}
	}
	for _, say := range traffic.WholeLife {
		post(one, say)
	}
	b.settled(t, 20*time.Second)
	before := newestEvent(t, b, one)

	js, put := b.operator(t), 0
	foreign := map[string][]string{
		"KYC_PAYLOADS":     {"kyc.payload.ondato.acme." + one.VerificationID(), "kyc.payload.ondato.acme.x", "kyc.payload.x"},
		"KYC_EVENTS":       {"kyc.put.v1.ondato.acme.updated." + one.VerificationID(), "kyc.put.v1.ondato.acme.completed.x"},
		"KYC_DISPOSITIONS": {"kyc.disposition"},
		"KYC_TOMBSTONES":   {"kyc.tombstone.ondato.acme." + one.VerificationID()},
		"KYC_POLLS": {"kyc.poll.due.ondato.acme." + one.VerificationID(), "kyc.poll.due.ondato.acme.x",
			"kyc.poll.at.ondato.acme.x", "kyc.watch.ondato.acme", "kyc.watch.x.y"},
		"KYC_QUARANTINE": {"kyc.quarantine.ondato.acme.schema"},
		"KYC_REFUSED":    {"kyc.refused.ondato.acme"},
		"KYC_STARTS":     {"kyc.start.ondato.acme.x"},
		"KYC_ACCESS":     {"kyc.access.state"},
		"KYC_HOLDS":      {"kyc.hold.ondato.acme." + one.VerificationID(), "kyc.hold.x"},
	}
	for stream, subjects := range foreign {
		for _, subject := range subjects {
			for _, body := range []string{"", "garbage", "{}", "[]", "[[1]]", `{"specversion":"1.0"}`, `[["a","b"],[1,2,3]]`,
				"null", strings.Repeat("x", 10000)} {
				ack, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte(body)})
				if err != nil || ack.Stream != stream {
					t.Fatalf("%s: %+v %v", subject, ack, err)
				}
				put++
			}
		}
	}

	post(one, traffic.SayRejected)
	other := &traffic.Life{Run: 0x5a, N: 2}
	post(other, traffic.SayApproved)
	b.settled(t, 30*time.Second)
	if after := newestEvent(t, b, one); after.Data.Revision != before.Data.Revision+1 ||
		after.Data.Decision.Outcome != event.OutcomeRejected {
		t.Errorf("revision %d %s follows revision %d", after.Data.Revision, after.Data.Decision.Outcome, before.Data.Revision)
	}
	if e := newestEvent(t, b, other); e.Data.Decision.Outcome != event.OutcomeApproved {
		t.Errorf("another verification: %s", e.Data.Decision.Outcome)
	}
	code, stdout, stderr := run(t, "kycbridge", "payloads", "report", "--config", b.config, "--json")
	var report struct {
		Total struct{ Accepted, Quarantined, Refused, Events, Lost int }
	}
	if err := json.Unmarshal([]byte(stdout), &report); code != 0 || report.Total.Accepted != len(traffic.WholeLife)+2 ||
		report.Total.Refused != 0 || report.Total.Lost != 0 {
		t.Errorf("report: %d %v %s%s", code, err, stdout, stderr)
	}
	for _, command := range [][]string{{"payloads", "list"}, {"access", "list"},
		{"payloads", "purge", "--verification", one.VerificationID(), "--yes", "--why", "a test"}} {
		if code, stdout, stderr := run(t, "kycbridge", append(command, "--config", b.config)...); code != 0 ||
			strings.Contains(stdout, "garbage") {
			t.Errorf("%v: %d %s%s", command, code, stdout, stderr)
		}
	}
	for _, stream := range []string{"KYC_PAYLOADS", "KYC_EVENTS", "KYC_POLLS"} {
		if n, ok := b.metric(`kycbridge_foreign_messages_total{stream="` + stream + `"}`); !ok || n == 0 {
			t.Errorf("of %s none is counted", stream)
		}
	}
	if lines := strings.Count(b.stderr.String()+b.stdout.String(), "\n"); lines > put/3 {
		t.Errorf("%d foreign messages made %d log lines", put, lines)
	}
}

// newestEvent is the newest message about a verification that is an event.
func newestEvent(t *testing.T, b *bridge, one *traffic.Life) (newest event.Event) {
	t.Helper()
	stream, err := b.operator(t).Stream(t.Context(), "KYC_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := event.Decode(m.Data); err == nil && e.Subject == one.VerificationID() &&
			m.Header.Get(nats.MsgIdHdr) != "" {
			newest = e
		}
	}
	return newest
}
