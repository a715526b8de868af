package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
)

// nobody takes an answer and keeps nothing of it.
type nobody struct {
	header http.Header
	status int
}

func (n *nobody) Header() http.Header         { return n.header }
func (n *nobody) WriteHeader(status int)      { n.status = status }
func (n *nobody) Write(b []byte) (int, error) { return len(b), nil }

// rewound is a body that can be read for every request.
type rewound struct{ *strings.Reader }

func (rewound) Close() error { return nil }

// BenchmarkDoors tells what a door costs without net/http around it, metrics included.
func BenchmarkDoors(b *testing.B) {
	f := newFixture(b, func(s *spec) {
		s.Scopes = []v1alpha1.Scope{"orders.**", "read"}
		s.LimitRefs = indextest.Refs("wide")
	})
	indextest.SetLimit(f.index, "wide", 10_000_000, time.Second, 0)
	v, err := verifier.New(verifier.Options{Index: f.index})
	if err != nil {
		b.Fatal(err)
	}
	doors, err := NewHandler(v, Options{Registerer: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	question := `{"key":"` + f.key + `","scopes":{"allOf":["orders.items:read"]},"workspace":"tenant/shop"}`
	batch := `{"requests":[` + strings.TrimSuffix(strings.Repeat(question+",", 10), ",") + `]}`
	for _, bench := range []struct {
		name, method, target, body string
		status                     int
	}{
		{"verify", "POST", "/v1/verify", question, 200},
		{"verify a stranger", "POST", "/v1/verify", `{"key":"` + stranger(b) + `"}`, 200},
		{"verify a batch of 10", "POST", "/v1/verify/batch", batch, 200},
		{"auth", "GET", "/v1/auth?scope=orders.items:read", "", 200},
		{"auth refused", "GET", "/v1/auth?scope=admin", "", 403},
		{"auth for nginx", "GET", "/v1/auth/nginx?scope=orders.items:read", "", 200},
		{"auth for nginx refused", "GET", "/v1/auth/nginx?scope=admin", "", 403},
		{"scope", "GET", "/v1/scope", "", 200},
		{"introspect", "POST", "/v1/introspect", "token=" + f.key, 200},
		{"report", "POST", "/v1/usage", `{"requestId":"r-1","keyId":"` + string(indextest.UID("key", "k")) + `","spendMicrocents":7}`, 200},
	} {
		b.Run(bench.name, func(b *testing.B) {
			body := rewound{strings.NewReader(bench.body)}
			r := httptest.NewRequest(bench.method, bench.target, body)
			r.ContentLength = int64(len(bench.body))
			r.Header.Set("X-API-Key", f.key)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := &nobody{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				body.Seek(0, io.SeekStart) //nolint:errcheck // it is in memory
				r.Body = body
				clear(w.header)
				if doors.ServeHTTP(w, r); w.status != bench.status {
					b.Fatalf("status %d", w.status)
				}
			}
		})
	}
}
