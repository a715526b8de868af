package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
)

// A span tells how a request was answered, and nothing that a key could be read from.
func TestEachRequestIsASpanWithoutItsKey(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	index := indextest.New()
	key := indextest.Issue(t, index, "k")
	v, err := verifier.New(verifier.Options{Index: index})
	if err != nil {
		t.Fatal(err)
	}
	doors, err := NewHandler(v, Options{Tracer: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/v1/auth", "/healthz", "/v1/scope"} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("X-API-Key", key)
		doors.ServeHTTP(httptest.NewRecorder(), r)
	}
	ended := spans.Ended()
	if len(ended) != 2 || ended[0].Name() != "auth" || ended[1].Name() != "scope" {
		t.Fatalf("there are %d spans", len(ended))
	}
	for _, span := range ended {
		told := map[string]string{}
		for _, a := range span.Attributes() {
			told[string(a.Key)] = a.Value.String()
			if strings.Contains(a.Value.String(), key) {
				t.Errorf("%s has the key", a.Key)
			}
		}
		if told["claviger.code"] != "VALID" || told["http.response.status_code"] != "200" || told["claviger.key_id"] != string(indextest.UID("key", "k")) {
			t.Errorf("%s tells %v", span.Name(), told)
		}
	}
}
