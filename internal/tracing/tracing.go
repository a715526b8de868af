// Package tracing sends traces by OpenTelemetry's protocol (OTLP over gRPC), where somebody asks for that.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options for New.
type Options struct {
	// Endpoint is where a collector listens: http://host:4317, or https:// for TLS; without either it is TLS.
	Endpoint string
	// SampleRatio is the share of traces that begin here which are sent, from 0 to 1. Of a trace that began before,
	// whoever began it decides.
	SampleRatio float64
	// Service and Version are whose spans they are.
	Service, Version string
	Log              logr.Logger
}

// Tracing makes spans and sends them.
type Tracing struct {
	trace.Tracer
	provider *sdktrace.TracerProvider
}

// What a collector gets to take what is left at the end.
const lastPatience = 5 * time.Second

// New makes a Tracing. It waits for nobody: spans of a time in which the collector is away are dropped.
func New(ctx context.Context, o Options) (*Tracing, error) {
	if o.SampleRatio < 0 || o.SampleRatio > 1 {
		return nil, fmt.Errorf("--trace-sample-ratio must be from 0 to 1; it is %v", o.SampleRatio)
	}
	endpoint := o.Endpoint
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("--otlp-endpoint must be the URL of a collector, such as http://localhost:4317, or https:// for TLS")
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("--otlp-endpoint: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Log.V(1).Info("Traces cannot be sent", "reason", err.Error()) }))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.SampleRatio))),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", o.Service), attribute.String("service.version", o.Version))),
	)
	return &Tracing{provider.Tracer("github.com/claviger-dev/claviger"), provider}, nil
}

// Close sends what is left, for as long as that may take.
func (t *Tracing) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), lastPatience)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// Begin begins a span of a request that came with the fields of a carrier: W3C's traceparent says which trace it belongs to.
func Begin(ctx context.Context, tracer trace.Tracer, name string, carrier propagation.TextMapCarrier) (context.Context, trace.Span) {
	ctx = propagation.TraceContext{}.Extract(ctx, carrier)
	return tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
}

// Answered says how a request was answered: by its status and code, and whose key it was. There is never a key in it.
func Answered(span trace.Span, status int, code, requestID, keyID, workspace string) {
	attributes := []attribute.KeyValue{
		attribute.Int("http.response.status_code", status), attribute.String("claviger.code", code), attribute.String("claviger.request_id", requestID),
	}
	if keyID != "" {
		attributes = append(attributes, attribute.String("claviger.key_id", keyID), attribute.String("claviger.workspace", workspace))
	}
	span.SetAttributes(attributes...)
	span.End()
}
