package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/stint-go/stint/httplimit"
)

// Tracing sends spans to a collector over OTLP/HTTP.
type Tracing struct {
	tracer   trace.Tracer
	takes    propagation.TraceContext
	shutdown func(context.Context) error
}

// NewTracing is on if the environment names a collector (OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT), and follows
// the other variables of the OpenTelemetry specification: OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, …. Without
// one it does nothing and costs nothing.
func NewTracing(ctx context.Context, version string) (*Tracing, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return &Tracing{tracer: noop.NewTracerProvider().Tracer(""), shutdown: func(context.Context) error { return nil }}, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "stint"), attribute.String("service.version", version)),
		resource.WithFromEnv(), resource.WithHost())
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return &Tracing{tracer: provider.Tracer("github.com/stint-go/stint"), shutdown: provider.Shutdown}, nil
}

// Tracer is for spans of one's own.
func (t *Tracing) Tracer() trace.Tracer { return t.tracer }

// Close sends what is left.
func (t *Tracing) Close(ctx context.Context) error { return t.shutdown(ctx) }

// Handler gives each request a span, which continues the caller's trace (W3C traceparent).
func (t *Tracing) Handler(next http.Handler) http.Handler {
	if _, off := t.tracer.(noop.Tracer); off {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := t.tracer.Start(t.takes.Extract(r.Context(), propagation.HeaderCarrier(r.Header)), r.Method,
			trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("url.path", r.URL.Path)))
		defer span.End()
		// The upstream, if there is one, continues this trace.
		t.takes.Inject(ctx, propagation.HeaderCarrier(r.Header))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Note writes what came of a request into its span.
func (t *Tracing) Note(v *httplimit.Verdict) {
	span := trace.SpanFromContext(v.Request.Context())
	if !span.IsRecording() {
		return
	}
	span.SetName(v.Request.Method + " " + v.Route.Name)
	span.SetAttributes(attribute.String("http.route", v.Route.Name), attribute.Bool("stint.allowed", v.Decision.Allowed),
		attribute.String("stint.reason", v.Decision.Reason.String()), attribute.Int64("stint.cost", v.Cost))
	if v.Decision.By != nil {
		span.SetAttributes(attribute.String("stint.limit", v.Decision.By.ID), attribute.Int64("stint.remaining", v.Decision.Remaining))
	}
	if v.Err != nil {
		span.SetStatus(codes.Error, "no decision could be had")
	}
}
