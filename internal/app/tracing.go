package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"kycbridge"
)

// Option modifies an App before its start.
type Option func(*App)

// WithSpans sends spans to an exporter instead of the configured endpoint.
func WithSpans(to sdktrace.SpanExporter) Option {
	return func(a *App) { a.spans = to }
}

// WithVersion sets the version of the program, for the metrics.
func WithVersion(version string) Option {
	return func(a *App) { a.version = version }
}

// tracing creates the spans of one process. A trace follows the payload: its context is in the payload's
// traceparent, so any process that processes the payload continues it.
type tracing struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider
}

// traceContext is the W3C propagator that callbacks and events use.
var traceContext = propagation.TraceContext{}

const headerTraceparent = "Traceparent"

// startTracing starts to send spans; nil if tracing is not configured.
func (a *App) startTracing(ctx context.Context) (*tracing, error) {
	c := a.config.Tracing
	exporter := a.spans
	if exporter == nil {
		if c.Endpoint == "" {
			return nil, nil
		}
		defer a.logTracing()()
		var err error
		if exporter, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.Endpoint),
			otlptracehttp.WithProxy(notRedirected)); err != nil {
			return nil, fmt.Errorf("send traces: %w", err)
		}
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Sample))),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "kycbridge"))),
	)
	a.onStop(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = provider.Shutdown(ctx) // unsent spans are lost, without further effect
	})
	return &tracing{tracer: provider.Tracer("kycbridge"), provider: provider}, nil
}

var errRedirected = errors.New("it redirects, which is not followed")

// notRedirected is the proxy of requests to the collector, and fails for a redirected one: the library would send the
// headers of OTEL_EXPORTER_OTLP_HEADERS, which hold credentials, to any other host. It has no option for that, except
// with a client that ignores the certificates of its other variables.
func notRedirected(r *http.Request) (*url.URL, error) {
	if r.Response != nil {
		return nil, errRedirected
	}
	return http.ProxyFromEnvironment(r)
}

// logTracing writes the library's own messages into the log. By default it writes them to standard error, as text
// over several lines, and they can contain what a variable of the environment contains: a credential. Before the call
// of started, errors are about the environment.
func (a *App) logTracing() (started func()) {
	log := rate.Sometimes{First: 1, Interval: time.Minute}
	var running atomic.Bool
	setting := traceLog{a.log}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		if !running.Load() {
			setting.Error(nil, "an attribute or a sampler")
			return
		}
		log.Do(func() {
			a.log.Warn("the collector has not taken traces, which are lost", zap.String("cause", tracingCause(err)))
		})
	}))
	otel.SetLogger(logr.New(setting))
	a.onStop(func() {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
		otel.SetLogger(logr.Discard())
	})
	return func() { running.Store(true) }
}

// collectorStatus matches the status in an error about the collector's answer. What follows is text of the collector,
// which may repeat the credential that it refuses.
var collectorStatus = regexp.MustCompile(`^traces export: failed to send to \S+: ([0-9]{3}\b)`)

// tracingCause describes why traces were not sent: the failed connection, or the status of the collector's answer.
func tracingCause(err error) string {
	if found := collectorStatus.FindStringSubmatch(err.Error()); found != nil {
		return "it answered " + found[1]
	}
	if errors.Is(err, errRedirected) {
		return errRedirected.Error()
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network.Error()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "it took too long"
	}
	return "its answer cannot be read, or the connection ended"
}

// traceLog logs the faults that the tracing library reports: a variable of the environment that cannot be read. The
// values are left out.
type traceLog struct{ log *zap.Logger }

func (traceLog) Init(logr.RuntimeInfo)            {}
func (traceLog) Enabled(int) bool                 { return false } // errors alone
func (traceLog) Info(int, string, ...any)         {}
func (t traceLog) WithValues(...any) logr.LogSink { return t }
func (t traceLog) WithName(string) logr.LogSink   { return t }
func (t traceLog) Error(_ error, message string, _ ...any) {
	t.log.Warn("tracing: a setting in the environment (OTEL_…) is not used", zap.String("cause", message))
}

// receiver is Intake with a span around each callback.
type receiver struct {
	*kycbridge.Intake
	*tracing
}

// Receive processes a callback in a span that continues the caller's trace.
func (r receiver) Receive(
	ctx context.Context, a *kycbridge.Account, request kycbridge.Request,
) (kycbridge.Receipt, error) {
	// Not the tracestate: it is text of the caller, who may not even be authenticated, and spans are sent elsewhere.
	parent := traceContext.Extract(ctx, propagation.MapCarrier{"traceparent": request.Header.Get(headerTraceparent)})
	ctx, span := r.tracer.Start(parent, "receive", trace.WithSpanKind(trace.SpanKindServer),
		about(a.Provider.Name, a.Name))
	defer span.End()
	header := http.Header(maps.Clone(request.Header))
	traceContext.Inject(ctx, propagation.HeaderCarrier(header))
	request.Header = header
	receipt, err := r.Intake.Receive(ctx, a, request)
	span.SetAttributes(attribute.String("kyc.receipt", receipt.Status),
		attribute.String("kyc.payload_id", receipt.PayloadID),
		attribute.String("kyc.verification_id", receipt.VerificationID))
	failed(span, err)
	return receipt, err
}

// Ingest stores a fetched body as a part of the poll that fetched it.
func (r receiver) Ingest(ctx context.Context, a *kycbridge.Account, p kycbridge.Payload) (kycbridge.Receipt, error) {
	p.Header = withContext(ctx, p.Header)
	return r.Intake.Ingest(ctx, a, p)
}

// tracePoll adds a span to each poll of an open session.
func (t *tracing) tracePoll(
	work func(context.Context, kycbridge.Watch, bool) error,
) func(context.Context, kycbridge.Watch, bool) error {
	if t == nil {
		return work
	}
	return func(ctx context.Context, w kycbridge.Watch, again bool) error {
		ctx, span := t.tracer.Start(ctx, "look", trace.WithSpanKind(trace.SpanKindClient), about(w.Provider, w.Account))
		defer span.End()
		span.SetAttributes(attribute.String("kyc.verification_id", w.Key().VerificationID))
		err := work(ctx, w, again)
		failed(span, err)
		return err
	}
}

// startProcess starts the span of one attempt at a stored payload, within the payload's trace, and returns
// the context and the payload with it: the event carries the span's context. end receives the result.
func (t *tracing) startProcess(
	ctx context.Context, p kycbridge.Payload,
) (_ context.Context, _ kycbridge.Payload, end func(kycbridge.Processed, error)) {
	if t == nil {
		return ctx, p, func(kycbridge.Processed, error) {}
	}
	parent := traceContext.Extract(ctx, propagation.MapCarrier{"traceparent": p.Traceparent()})
	ctx, span := t.tracer.Start(parent, "process", trace.WithSpanKind(trace.SpanKindConsumer),
		about(p.Provider, p.Account))
	p.Header = withContext(ctx, p.Header)
	return ctx, p, func(done kycbridge.Processed, err error) { endProcess(span, p, done, err) }
}

// endProcess ends the span of an attempt with its result.
func endProcess(span trace.Span, p kycbridge.Payload, done kycbridge.Processed, err error) {
	defer span.End()
	span.SetAttributes(attribute.String("kyc.payload_id", p.ID),
		attribute.String("kyc.verification_id", p.VerificationID), attribute.String("kyc.no_event", done.NoEvent))
	if done.Event != nil {
		span.SetAttributes(attribute.String("kyc.event_id", done.Event.ID), attribute.String("kyc.kind", string(done.Kind)))
	}
	failed(span, err)
}

// withContext is a payload's header with the trace of ctx.
func withContext(ctx context.Context, header map[string]string) map[string]string {
	carrier := propagation.MapCarrier{}
	traceContext.Inject(ctx, carrier)
	if carrier["traceparent"] == "" {
		return header
	}
	out := maps.Clone(header)
	if out == nil {
		out = map[string]string{}
	}
	out[headerTraceparent] = carrier["traceparent"]
	return out
}

func about(provider, account string) trace.SpanStartEventOption {
	return trace.WithAttributes(attribute.String("kyc.provider", provider), attribute.String("kyc.account", account))
}

// failed marks a span. The error's text is omitted: spans are sent to an external system.
func failed(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "failed")
	}
}
