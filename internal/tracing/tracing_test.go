package tracing

import (
	"context"
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// receiver is a collector that remembers.
type receiver struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []*tracev1.Span
}

func (r *receiver) Export(_ context.Context, in *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range in.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func collect(t *testing.T) (r *receiver, url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r = &receiver{}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, r)
	go server.Serve(listener) //nolint:errcheck // Stop ends it
	t.Cleanup(server.Stop)
	return r, "http://" + listener.Addr().String()
}

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	parent  = "00-" + traceID + "-b7ad6b7169203331-"
)

func TestSpansReachACollectorInTheTraceOfTheRequest(t *testing.T) {
	r, url := collect(t)
	tracing, err := New(t.Context(), Options{Endpoint: url, SampleRatio: 0, Service: "claviger-verifier", Version: "v1", Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range []string{"01", "00"} { // of which the second is not sampled by whoever began it
		_, span := Begin(t.Context(), tracing, "verify", propagation.HeaderCarrier(http.Header{"Traceparent": {parent + flags}}))
		Answered(span, 403, "SCOPE_INSUFFICIENT", "r-1", "k-1", "team/shop")
	}
	_, alone := Begin(t.Context(), tracing, "verify", propagation.HeaderCarrier{}) // of which the ratio decides
	Answered(alone, 200, "VALID", "r-2", "", "")
	if err := tracing.Close(); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.spans) != 1 {
		t.Fatalf("%d spans arrived, want one", len(r.spans))
	}
	span := r.spans[0]
	if hex.EncodeToString(span.TraceId) != traceID || span.Name != "verify" || span.Kind != tracev1.Span_SPAN_KIND_SERVER {
		t.Errorf("it is %v", span)
	}
	told := map[string]string{}
	for _, a := range span.Attributes {
		told[a.Key] = a.Value.GetStringValue()
	}
	if told["claviger.code"] != "SCOPE_INSUFFICIENT" || told["claviger.key_id"] != "k-1" || told["claviger.request_id"] != "r-1" || told["claviger.workspace"] != "team/shop" {
		t.Errorf("it tells %v", told)
	}
}

// Nobody waits for a collector that is away.
func TestACollectorThatIsAwayHoldsUpNothing(t *testing.T) {
	tracing, err := New(t.Context(), Options{Endpoint: "http://127.0.0.1:1", SampleRatio: 1, Service: "s", Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 10_000 {
			_, span := Begin(context.Background(), tracing, "verify", propagation.HeaderCarrier{})
			if !trace.SpanContextFromContext(trace.ContextWithSpan(context.Background(), span)).IsSampled() {
				t.Error("a span is not sampled")
				return
			}
			Answered(span, 200, "VALID", "r", "", "")
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("requests wait for the collector")
	}
	tracing.Close() //nolint:errcheck // which says that they are lost
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"no URL":            {Options{Endpoint: "localhost:4317"}, "--otlp-endpoint must be the URL"},
		"another protocol":  {Options{Endpoint: "ftp://localhost"}, "--otlp-endpoint must be the URL"},
		"a ratio too large": {Options{Endpoint: "http://localhost:4317", SampleRatio: 2}, "--trace-sample-ratio must be"},
	} {
		if _, err := New(t.Context(), test.options); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
