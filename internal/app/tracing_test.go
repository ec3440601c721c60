package app

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kycbridge/test/wait"
)

// TestCollectorRedirects: the credentials of a collector are not sent to the host that it redirects to.
func TestCollectorRedirects(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=zqxv-tenant")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	core, logged := observer.New(zap.WarnLevel)
	a := &App{system: &system{config: &Config{Tracing: Tracing{Endpoint: collector.URL + "/v1/traces", Sample: 1}},
		log: zap.New(core)}}
	tracing, err := a.startTracing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracing.tracer.Start(t.Context(), "receive")
	span.End()
	wait.For(t, 10*time.Second, "a refused redirect", func() bool {
		return logged.FilterField(zap.String("cause", "it redirects, which is not followed")).Len() > 0
	})
	if elsewhere.Load() != 0 {
		t.Error("a request went to the host of the redirect")
	}
}
