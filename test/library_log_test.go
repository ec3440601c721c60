package test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kycbridge/test/wait"
)

// talkative is a provider that answers every call with 404, and then sends an answer that nobody has asked for.
func talkative(t *testing.T) (address string, unasked *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	unasked = new(atomic.Int32)
	serve := func(conn net.Conn) {
		defer conn.Close()
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, request.Body)
		_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
		time.Sleep(100 * time.Millisecond) // the caller has read that, and keeps the connection
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"name\": \"Zqxv Sample\" }")
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Read(make([]byte, 1)) // returns when the caller has closed the connection, so has read it
		unasked.Add(1)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return listener.Addr().String(), unasked
}

// TestLibrariesLogNothing: what libraries write by themselves, about an answer without a request, a collector that
// refuses traces and a damaged variable of the environment, neither shows values nor breaks the log's format.
func TestLibrariesLogNothing(t *testing.T) {
	provider, unasked := talkative(t)
	var refused atomic.Int32
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refused.Add(1)
		http.Error(w, "unknown tenant "+r.Header.Get("X-Tenant")+"\nask your administrator", http.StatusForbidden)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization zqxv-credential,x-tenant=zqxv-tenant")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "zqxv-attribute")
	t.Setenv("OTEL_TRACES_SAMPLER", "zqxv-sampler")
	t.Setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "zqxv-limit")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	b := newBridge(t, `tracing: {endpoint: "`+collector.URL+`/v1/traces"}
accounts:
  - name: acme
    provider: idwise
    environment: test
    auth: {bearer: [`+loadToken+`]}
    api: {base_url: "http://`+provider+`", key: k, secret: synthetic-secret, flow_id: f1}
`)
	b.start(t)
	ask := func() {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.adminURL("/v1/verifications"),
			strings.NewReader(`{"provider":"idwise","account":"acme","external_reference":"r-1"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer ops-token-2e77a1")
		if r, err := b.send(request); err != nil || r.Code < 400 {
			t.Fatalf("%v %v", r, err)
		}
	}
	ask()
	wait.For(t, 10*time.Second, "an answer without a request", func() bool { return unasked.Load() > 0 })
	b.leakCall(t, "idwise", "Bearer "+loadToken, []byte(`{}`)) // any callback makes a span
	wait.For(t, 10*time.Second, "spans refused", func() bool { return refused.Load() > 0 })
	b.terminate(t)
	log := b.stderr.String()
	shows(t, "log", log)
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not of kycbridge's log: %s", line)
		}
	}
	contains(t, "log", log, "the collector has not taken traces")
	contains(t, "log", log, "a setting in the environment (OTEL_…) is not used")
}

// TestNothingBeforeMain: libraries that read the environment while they are initialized, before main, do not write it
// to standard error.
func TestNothingBeforeMain(t *testing.T) {
	for _, name := range []string{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT",
		"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT",
		"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
		"OTEL_SDK_DISABLED", "OTEL_TRACES_SAMPLER", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_GO_X_OBSERVABILITY"} {
		t.Setenv(name, "zqxv")
	}
	if code, out, said := run(t, "kycbridge", "version"); code != 0 || said != "" || strings.Contains(out, "zqxv") {
		t.Errorf("%d %s%s", code, out, said)
	}
}
