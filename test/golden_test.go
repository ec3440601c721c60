package test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

var update = flag.Bool("update", false, "write the golden events again; read the difference before committing it")

// received and recorded are the only instants of a golden event set by kycbridge.
var (
	received = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	recorded = time.Date(2026, 3, 2, 10, 0, 1, 0, time.UTC)
)

// TestGolden maps every fixture and compares the event with the one that was checked by hand. Each
// event satisfies the closed schema, and the CloudEvents SDK reads it as a consumer would.
func TestGolden(t *testing.T) {
	t.Parallel()
	closed, err := schemas.Closed()
	if err != nil {
		t.Fatal(err)
	}
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Dir(), func(t *testing.T) {
			got := golden(t, c)
			path := filepath.Join("fixture", "testdata", filepath.FromSlash(c.Dir()), "golden.json")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
				c.Golden = got
			}
			if diff := cmp.Diff(string(c.Golden), string(got)); diff != "" {
				t.Errorf("the event differs from golden.json (-want +got):\n%s", diff)
			}
			if bytes.Contains(got, []byte(`"no_event"`)) {
				return
			}
			doc, faults := document.Decode(got)
			if len(faults) == 0 {
				faults = closed.Validate(doc)
			}
			for _, f := range faults {
				t.Errorf("closed schema: %s: %s", f.Path, f.Message)
			}
			readAsConsumer(t, got)
		})
	}
}

// golden runs one fixture through identification, validation, mapping and lifecycle, and returns the first event,
// indented, or the reason why there is no event.
func golden(t *testing.T, c fixture.Case) []byte {
	t.Helper()
	out, err := eventOf(c)
	if err != nil {
		t.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, out, "", "  "); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
	return indented.Bytes()
}

// readAsConsumer decodes an event with the CloudEvents SDK, checks the envelope and reads its data.
func readAsConsumer(t *testing.T, body []byte) {
	t.Helper()
	var e cloudevents.Event
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatalf("CloudEvents SDK: %v", err)
	}
	if err := e.Validate(); err != nil {
		t.Errorf("CloudEvents SDK: %v", err)
	}
	var d event.Data
	if err := e.DataAs(&d); err != nil {
		t.Fatalf("CloudEvents SDK: data: %v", err)
	}
	if e.Subject() != d.VerificationID || e.ID() != event.ID(d.VerificationID, d.Revision) ||
		e.DataSchema() != event.DataSchema {
		t.Errorf("envelope and data disagree: subject %s, id %s, dataschema %s", e.Subject(), e.ID(), e.DataSchema())
	}
	if approved := d.Decision.Outcome == event.OutcomeApproved && d.Decision.Final; approved &&
		d.Status != event.StatusCompleted {
		t.Errorf("a final approval in status %s", d.Status)
	}
}
