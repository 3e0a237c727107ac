package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracer makes a span for each prediction. A nil Tracer makes nil Spans, which cost nothing.
type Tracer struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider
}

// NewTracer returns a Tracer that exports as the OTEL_ variables of the environment say, nil if
// they name no endpoint. Sampling, batching and the resource are the SDK's, with its variables. A
// failed export is a line in log, at most one a minute, and nothing else.
func NewTracer(version string, client *http.Client, log *slog.Logger) (*Tracer, error) {
	target, err := targetFromEnv(client)
	if err != nil || target == nil {
		return nil, err
	}
	if protocol := signalEnv("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		log.Warn("traces are exported by http/protobuf, not by the protocol that is set",
			"OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
	}
	exporter, err := otlptrace.New(context.Background(), target)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	about, err := resource.New(context.Background(),
		resource.WithAttributes(
			attribute.String("service.name", "coggo"), attribute.String("service.version", version),
		),
		resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("traces: %w", err)
	}
	otel.SetErrorHandler(sparingly(log))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return &Tracer{provider.Tracer("coggo"), provider}, nil
}

// sparingly logs errors of the exporter: the first one of each minute.
func sparingly(log *slog.Logger) otel.ErrorHandler {
	var next atomic.Int64
	return otel.ErrorHandlerFunc(func(err error) {
		now := time.Now()
		due, later := next.Load(), now.Add(time.Minute).UnixNano()
		if now.UnixNano() >= due && next.CompareAndSwap(due, later) {
			log.Warn("export traces", "error", err)
		}
	})
}

// signalEnv returns the variable for traces, or else the one for all signals.
func signalEnv(name string) string {
	if value := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_" + name); value != "" {
		return value
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_" + name)
}

// off reports whether the environment switches traces off even if there is an endpoint.
func off() bool {
	return strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") ||
		os.Getenv("OTEL_TRACES_EXPORTER") == "none"
}

// Close exports the rest, as long as ctx allows.
func (t *Tracer) Close(ctx context.Context) {
	if t == nil {
		return
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// Span is one span. The methods of a nil Span do nothing.
type Span struct {
	tracer trace.Tracer
	ctx    context.Context
	span   trace.Span
}

// Prediction starts the span of a prediction that was accepted at that time, with the trace context
// of its request.
func (t *Tracer) Prediction(id, method, traceparent, tracestate string, at time.Time) *Span {
	if t == nil {
		return nil
	}
	parent := propagation.MapCarrier{"traceparent": traceparent, "tracestate": tracestate}
	ctx := propagation.TraceContext{}.Extract(context.Background(), parent)
	ctx, span := t.tracer.Start(ctx, "prediction",
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(at),
		trace.WithAttributes(
			attribute.String("coggo.prediction.id", id), attribute.String("coggo.method", method),
		))
	return &Span{t.tracer, ctx, span}
}

// Child starts a span below s.
func (s *Span) Child(name string, kind trace.SpanKind, attributes ...attribute.KeyValue) *Span {
	if s == nil {
		return nil
	}
	ctx, span := s.tracer.Start(s.ctx, name,
		trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	return &Span{s.tracer, ctx, span}
}

// Past adds a span below s that has ended.
func (s *Span) Past(name string, from, to time.Time) {
	if s == nil {
		return
	}
	_, span := s.tracer.Start(s.ctx, name, trace.WithTimestamp(from))
	span.End(trace.WithTimestamp(to))
}

// Context returns the trace context for those who work for s. Without a span, it is that of the
// request.
func (s *Span) Context(traceparent, tracestate string) (parent, state string) {
	if s == nil {
		return traceparent, tracestate
	}
	own := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(s.ctx, own)
	return own["traceparent"], own["tracestate"]
}

// Header is Context for HTTP. It returns own if there is no span.
func (s *Span) Header(own http.Header) http.Header {
	if s == nil {
		return own
	}
	h := http.Header{}
	propagation.TraceContext{}.Inject(s.ctx, propagation.HeaderCarrier(h))
	return h
}

// Status records how a prediction ended.
func (s *Span) Status(status string) {
	if s != nil {
		s.span.SetAttributes(attribute.String("coggo.prediction.status", status))
	}
}

// End ends s now. A problem that is not empty makes it an error.
func (s *Span) End(problem string) { s.EndAt(time.Now(), problem) }

// EndAt ends s at a time. Only the first call counts.
func (s *Span) EndAt(at time.Time, problem string) {
	if s == nil {
		return
	}
	if problem != "" {
		s.span.SetStatus(codes.Error, problem)
	}
	s.span.End(trace.WithTimestamp(at))
}
