package test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"kycbridge/internal/app"
)

// keeper keeps the spans of an app even after the app has stopped.
type keeper struct{ *tracetest.InMemoryExporter }

// TestTrace: one callback makes one trace from the caller over the receiving process and the stored payload to the
// process that publishes the event, whose header contains the trace context.
func TestTrace(t *testing.T) {
	t.Parallel()
	server := newNATS(t)
	dir := t.TempDir()
	start := func(name string, roles app.Roles) (*app.App, *tracetest.InMemoryExporter) {
		path := filepath.Join(dir, name+".yaml")
		writeFile(t, path, fmt.Sprintf("listen: '127.0.0.1:0'\nadmin: {listen: '127.0.0.1:0'}\nstore: {url: %q}\nbus: "+
			"{url: %q}\naccounts:\n  - {name: acme, provider: ondato, environment: test, confirm: false, auth: {bearer: "+
			"[token-long-enough]}}\n", server.url(), server.url()))
		config, err := app.LoadConfig(path, nil, app.ProviderCatalog())
		if err != nil {
			t.Fatal(err)
		}
		spans := tracetest.NewInMemoryExporter()
		a, err := app.Start(t.Context(), config, roles, zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)),
			app.WithSpans(keeper{spans}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Stop)
		return a, spans
	}
	receiving, received := start("receive", app.Roles{Receive: true})
	normalizing, processed := start("normalize", app.Roles{Normalize: true})

	nc, err := nats.Connect(server.url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	events, err := nc.SubscribeSync("kyc.event.v1.>")
	if err != nil {
		t.Fatal(err)
	}
	const caller = "0af7651916cd43dd8448eb211c80319c"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://"+receiving.CallbackAddr()+"/webhooks/ondato/acme",
		bytes.NewReader(kycHook(1, 1, "Approved", "Approved", "ManuallyIdentified")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer token-long-enough")
	req.Header.Set("Traceparent", "00-"+caller+"-b7ad6b7169203331-01")
	req.Header.Set("Tracestate", "name=Test-Person")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	event, err := events.NextMsg(20 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	receiving.Stop()
	normalizing.Stop() // sends buffered spans
	receive, process := only(t, received, "receive"), only(t, processed, "process")
	for name, span := range map[string]tracetest.SpanStub{"receive": receive, "process": process} {
		if span.SpanContext.TraceID().String() != caller {
			t.Errorf("%s is in trace %s", name, span.SpanContext.TraceID())
		}
		if state := span.SpanContext.TraceState().String() + span.Parent.TraceState().String(); state != "" {
			t.Errorf("%s contains the caller's state %s", name, state)
		}
		for _, a := range span.Attributes {
			if strings.Contains(a.Value.String(), "Person") || strings.Contains(a.Value.String(), "token-long-enough") {
				t.Errorf("%s contains %s", name, a.Key)
			}
		}
	}
	if receive.Parent.SpanID().String() != "b7ad6b7169203331" || process.Parent.SpanID() != receive.SpanContext.SpanID() {
		t.Errorf("receive is a child of %s, process of %s", receive.Parent.SpanID(), process.Parent.SpanID())
	}
	want := "00-" + caller + "-" + process.SpanContext.SpanID().String() + "-01"
	if got := event.Header.Get("traceparent"); got != want {
		t.Errorf("the event carries %q, want %q", got, want)
	}
}

func only(t *testing.T, spans *tracetest.InMemoryExporter, name string) tracetest.SpanStub {
	t.Helper()
	got := spans.GetSpans()
	if len(got) != 1 || got[0].Name != name {
		t.Fatalf("spans %v, want one of %s", got, name)
	}
	return got[0]
}

// Shutdown keeps the spans.
func (keeper) Shutdown(context.Context) error { return nil }

var _ sdktrace.SpanExporter = keeper{}
