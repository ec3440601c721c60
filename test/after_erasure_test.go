package test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"kycbridge/event"
	"kycbridge/test/traffic"
)

// TestAfterAnErasure: a callback that was erased does not bring the person back, also after a restart, which makes the
// server forget the ids of erased messages. A new history goes on from the erased revisions, so that a consumer that
// still knows an approval does not take a later rejection for old.
func TestAfterAnErasure(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.start(t)
	first := kycHook(1, 0, "Processed", "Awaiting", "")
	for _, body := range [][]byte{first, kycHook(1, 1, "Approved", "Approved", "AutomaticallyIdentified")} {
		b.sent(t, body, "accepted")
	}
	b.settled(t, 20*time.Second)
	for revision := 3; revision <= 4; revision++ {
		b.tool(t, "payloads", "purge", "--verification", idOf(1), "--yes", "--why", "x")
		if revision == 3 {
			b.stop(t)
			b.start(t)
		}
		b.sent(t, first, "duplicate")
		b.approve(t, 1, 1)
		b.settled(t, 20*time.Second)
		if all := traffic.Histories(t, b.eventsURL())[idOf(1)]; len(all) > 0 || b.stored(t, idOf(1)) > 0 {
			t.Fatalf("repeated callbacks bring the erased person back:%s", traffic.Describe(all))
		}
		b.sent(t, kycHook(1, revision, "Rejected", "Rejected", "PoorPhotoQuality"), "accepted")
		e := b.histories(t, b.eventsURL(), 1, 1, 1)[idOf(1)][0]
		if e.Data.Revision != revision || e.ID != event.ID(idOf(1), revision) || e.Data.Supersedes != "" ||
			e.Data.Decision.Outcome != event.OutcomeRejected {
			t.Errorf("the new history begins with %+v, want revision %d", e.Data, revision)
		}
	}
	if r := b.report(t); r.code != 0 {
		t.Errorf("%+v", r)
	}
}

// sent posts a body and fails unless it is answered 200 with a status.
func (b *bridge) sent(t *testing.T, body []byte, status string) {
	t.Helper()
	if r, err := b.post(t.Context(), body); err != nil || r.Code != 200 || r.Status != status {
		t.Fatalf("answered %+v, %v, want %s", r, err, status)
	}
}

// TestQuarantinedAfterAnErasure: a callback that was erased from quarantine does not come back there, also after a
// restart.
func TestQuarantinedAfterAnErasure(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.start(t)
	mark := "SEEDinQUARANTINE"
	body := bytes.ReplaceAll(marked(mark, 1), []byte(`"status":"Approved"`), []byte(`"status":{"x":1}`))
	b.sent(t, body, "quarantined")
	b.tool(t, "payloads", "purge", "--verification", idOf(1), "--yes", "--why", "x")
	code, _, stderr := run(t, "kycbridge", "find", idOf(1), "--config", b.config)
	if code != 1 || !strings.Contains(stderr, "erased verification: "+idOf(1)+" of ondato acme, erased at 2") {
		t.Errorf("find ends with %d: %s", code, stderr)
	}
	b.stop(t)
	b.start(t)
	b.sent(t, body, "quarantined")
	if found := filesWith(t, b.dir, []string{mark}); len(found) > 0 {
		t.Errorf("the repeated callback is in %v", found)
	}
}
