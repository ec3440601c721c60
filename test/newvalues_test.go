package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
	"kycbridge/publisher"
	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

// TestNewValues sends payloads with fields, values and types that no schema contains. The metric, the log, the
// report and show contain their places; except for a status value, they and the records contain no value,
// nothing about the person and no secret.
func TestNewValues(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	listen := freeport.Address(t)
	path := filepath.Join(t.TempDir(), "kycbridge.yaml")
	writeFile(t, path, fmt.Sprintf(`listen: %s
admin: {listen: '127.0.0.1:0', tokens: [%s]}
embedded: {listen: '127.0.0.1:0'}
data_dir: %s
accounts:
  - {name: acme, provider: ondato, environment: test, auth: {bearer: [%s]}}
  - {name: acme, provider: signzy, environment: test, confirm: false, auth: {keys: [%s]}}
  - {name: acme, provider: kwikid, environment: test, confirm: false, auth: {bearer: [%s]}}
  - {name: acme, provider: idwise, environment: test, confirm: false, auth: {bearer: [%s]}}
`, listen, worldToken, t.TempDir(), worldCallback, worldCallback, worldCallback, worldCallback))
	config, err := app.LoadConfig(path, nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	running, err := app.Start(t.Context(), config, app.AllRoles(), zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Stop)
	w := &world{t: t, app: running}

	const person, secret = "Peregrina", "synthetic-secret"
	send := func(provider, body string, times int) {
		t.Helper()
		header := http.Header{"Authorization": {"Bearer " + worldCallback}}
		if provider == "signzy" {
			header.Set("Authorization", worldCallback)
		}
		for n := range times {
			if status := w.post(provider, header,
				[]byte(strings.ReplaceAll(body, "$N", fmt.Sprint(n)))); status != http.StatusOK {
				t.Fatalf("%s answered %d", provider, status)
			}
		}
	}
	send("ondato", `{"id": "e$N", "createdUtc": "2026-03-02T09:0$N:00Z", "type": "KycIdentification.Updated", "payload": {"id": "c1", "identityVerificationId": "b1", "status": "Frozen",
		"statusReason": "`+person+` 37060000001", "document": {"firstName": "`+person+`", "gender": "`+person+`", "chip": {"pin": "`+secret+`"}}, "rules": {"`+person+`": "`+secret+`"}, "`+person+`@example.com": 1}}`, 3)
	send("signzy", `{"journeyId": "J$N", "currentStatus": "PAUSED", "processingConfig": {"authKeyForCallback": "`+worldCallback+`", "authKeyForReplay": "`+secret+`"}, "userInfo": {"name": {"nick": "`+person+`"}}}`, 2)
	send("idwise", `{"event": "Finished Journey", "body": {"eventId": "i$N", "journeyId": "j$N", "referenceNo": "`+person+`", "systemDecision": "Reassess", "nickname": "`+person+`"}}`, 1)
	send("kwikid", `{"session_id": "5e551000-0000-4000-8000-000000000001", "anything": "`+person+`"}`, 1)
	wait.For(t, 30*time.Second, "every payload worked", func() bool {
		backlog, _, err := running.Progress(t.Context())
		return err == nil && backlog == 0
	})

	type row struct {
		Provider, Kind, Pointer, Value string
		Payloads                       int
	}
	want := []row{
		{"idwise", "field", "/body/*", "", 1},
		{"idwise", "value", "/body/systemDecision", "Reassess", 1},
		{"ondato", "field", "/payload/*", "", 3},
		{"ondato", "field", "/payload/document/chip", "", 3},
		{"ondato", "value", "/payload/document/gender", "", 3},
		{"ondato", "type", "/payload/rules", "object", 3},
		{"ondato", "value", "/payload/status", "Frozen", 3},
		{"ondato", "value", "/payload/statusReason", "", 3},
		{"signzy", "value", "/currentStatus", "PAUSED", 2},
		{"signzy", "field", "/processingConfig/authKeyForReplay", "", 2},
		{"signzy", "field", "/userInfo/name/*", "", 2},
	}

	var report struct {
		Sound bool          `json:"sound"`
		New   []archive.New `json:"new_values"`
	}
	if status := w.api(http.MethodGet, "/v1/payloads/report", "", &report); status != http.StatusOK || !report.Sound {
		t.Fatalf("report answered %d, %+v", status, report)
	}
	var got []row
	for _, n := range report.New {
		got = append(got, row{n.Provider, n.Kind, n.Pointer, n.Value, n.Payloads})
		first, err := time.Parse(time.RFC3339Nano, n.FirstSeen)
		last, err2 := time.Parse(time.RFC3339Nano, n.LastSeen)
		if err != nil || err2 != nil || last.Before(first) || n.Payloads == 1 && !last.Equal(first) || n.Payloads > 1 &&
			!last.After(first) || time.Since(first) > time.Minute {
			t.Errorf("%+v: seen %v to %v", n, first, last)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// The metric contains no values, so it does not get one more series for each.
	metrics := w.scraped()
	counted := regexp.MustCompile(`(?m)^kycbridge_new_values_total.*$`).FindAllString(string(metrics), -1)
	var wanted []string
	for _, r := range want {
		wanted = append(wanted, fmt.Sprintf(`kycbridge_new_values_total{account="acme",kind="%s",pointer="%s",provider="%s"} %d`, r.Kind, r.Pointer, r.Provider, r.Payloads))
	}
	slices.Sort(counted)
	slices.Sort(wanted)
	if diff := cmp.Diff(wanted, counted); diff != "" {
		t.Error(diff)
	}

	// One log line for each new value, not for each payload.
	var rows []row
	var lines strings.Builder
	for _, entry := range logs.All() {
		fields := entry.ContextMap()
		line, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s %s\n", entry.Message, line)
		if entry.Message == "a payload has fields or values that the schema does not know" {
			if entry.Level != zapcore.WarnLevel || fields["payload_id"] == "" {
				t.Errorf("%v %s", entry.Level, line)
			}
			text := func(key string) string { s, _ := fields[key].(string); return s }
			rows = append(rows, row{text("provider"), text("kind"), text("pointer"), text("value"), 0})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.Provider+a.Pointer, b.Provider+b.Pointer) })
	for i := range want {
		want[i].Payloads = 0
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}

	// The records about payloads, byte for byte.
	user, password, err := publisher.Operator(config.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(running.ClientURL(), nats.UserInfo(user, password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if w.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	recorded := everyMessage(t, w.js, "KYC_DISPOSITIONS")
	if !strings.Contains(recorded, "/payload/document/chip") {
		t.Errorf("the dispositions hold no new values: %s", recorded)
	}
	reported, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"the metrics": string(metrics), "the logs": lines.String(),
		"the report": string(reported), "the dispositions": recorded} {
		for _, word := range []string{person, secret, worldCallback, "37060000001", "example.com", "5e551000"} {
			if strings.Contains(text, word) {
				t.Errorf("%s hold %s", where, word)
			}
		}
	}
}

// everyMessage is the bodies of a stream, one after the other.
func everyMessage(t *testing.T, js jetstream.JetStream, name string) string {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		raw, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(raw.Data)
	}
	return all.String()
}

// TestSimulatedProvidersSendKnownValues: all values of a simulated verification, from its start to its end, are
// known, over the API and by callbacks.
func TestSimulatedProvidersSendKnownValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	started := map[string]string{}
	for provider := range w.sims {
		started[provider] = w.start(provider, "ref-1").VerificationID
	}
	for provider, id := range started {
		w.until(id, provider+" ends", func(events []event.Event) bool { return last(events).Data.Status.Terminal() })
		w.settled(provider)
	}
	var report app.VerifiedReport
	if status := w.api(http.MethodGet, "/v1/payloads/report", "", &report); status != http.StatusOK ||
		report.Total.Accepted < 10 {
		t.Fatalf("report answered %d, %+v", status, report)
	}
	for _, n := range report.New {
		// Signzy does not publish its status values for a journey in progress, so the simulated ones are invented.
		if n.Provider != "signzy" || n.Value != "IN_PROGRESS" && n.Value != "DOCUMENT_CAPTURE" {
			t.Errorf("%+v", n)
		}
	}
}
