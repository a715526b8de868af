package httpapi

import (
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"
)

// fill takes all places of a gate. The returned function gives one of them back.
func fill(g *gate) (leave func()) {
	var lanes []*lane
	for free := int64(len(g.lanes)) * g.limit; free > 0; {
		l, ok := g.enter()
		if !ok {
			l.leave() // chance has filled one lane before another
			continue
		}
		free--
		lanes = append(lanes, l)
	}
	return func() {
		lanes[0].leave()
		lanes = lanes[1:]
	}
}

func TestWhatIsTooMuchIsShedAtOnce(t *testing.T) {
	f := newFixture(t)
	gate, registry := newGate(1), prometheus.NewRegistry()
	if err := gate.register(registry); err != nil {
		t.Fatal(err)
	}
	f.Handler.(*handler).gate = gate
	leave := fill(gate)
	shed := map[string]int{
		"POST /v1/verify": 503, "POST /v1/verify/batch": 503, "POST /v1/introspect": 503, "POST /v1/usage": 503, "GET /v1/scope": 503,
		"GET /v1/auth": 503, "GET /v1/auth/nginx": 403,
	}
	for question, status := range shed {
		method, path, _ := strings.Cut(question, " ")
		w := f.do(method, path, "", "X-API-Key: "+f.key)
		if p := problemOf(t, w); w.Code != status || p.Code != "OVERLOADED" || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: got %d %s, Retry-After %q", question, w.Code, p.Code, w.Header().Get("Retry-After"))
		}
		if path == "/v1/auth/nginx" && w.Header().Get("X-Claviger-Status") != "503" {
			t.Errorf("nginx is told the status %q", w.Header().Get("X-Claviger-Status"))
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := f.do("GET", path, ""); w.Code != 200 {
			t.Errorf("%s was answered with %d", path, w.Code)
		}
	}
	if got := gather(t, registry)["claviger_http_requests_shed_total"]; got != float64(len(shed)) {
		t.Errorf("%v requests count as shed, want %d", got, len(shed))
	}
	leave()
	if w := f.do("GET", "/v1/auth", "", "X-API-Key: "+f.key); w.Code != 200 {
		t.Errorf("with a place free: %d %s", w.Code, w.Body)
	}
	if n := gate.inFlight(); n != 0 {
		t.Errorf("%d requests count as in flight after all were answered", n)
	}
}

func TestAPanicLeavesNoRequestInFlight(t *testing.T) {
	f := newFixture(t)
	h := f.Handler.(*handler)
	h.doors["/panic"] = &door{name: "panic", open: func(*handler, *exchange) { panic("a test") }}
	if w := f.do("GET", "/panic", ""); w.Code != 500 {
		t.Fatalf("got %d", w.Code)
	}
	if n := h.gate.inFlight(); n != 0 {
		t.Errorf("%d requests are in flight", n)
	}
}

// Chance spreads requests over lanes, so the bound is a rough one: no more than a lane's
// rounding above it, and none is shed while half of it is free.
func TestAGateHoldsAboutItsLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 5000).Draw(t, "limit")
		g := newGate(limit)
		if most := g.limit * int64(len(g.lanes)); most < int64(limit) || most >= int64(limit+len(g.lanes)) {
			t.Fatalf("%d lanes of %d hold %d, want about %d", len(g.lanes), g.limit, most, limit)
		}
		for range (limit + 1) / 2 {
			if _, ok := g.enter(); !ok {
				t.Fatalf("one was shed with %d of %d in flight", g.inFlight(), limit)
			}
		}
	})
}

func TestWhoeverLeavesMakesRoom(t *testing.T) {
	g := newGate(0)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10_000 {
				l, ok := g.enter()
				if !ok {
					t.Error("one of eight at most was shed")
				}
				l.leave()
			}
		})
	}
	all.Wait()
	if n := g.inFlight(); n != 0 {
		t.Errorf("%d are in flight", n)
	}
}

func BenchmarkGate(b *testing.B) {
	g := newGate(0)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l, _ := g.enter()
			l.leave()
		}
	})
}

// Bodies that do not come take no place of requests without one.
func TestSlowBodiesShedOnlyRequestsWithABody(t *testing.T) {
	f := newFixture(t)
	h := f.Handler.(*handler)
	h.gate = newGate(8)
	for i := range h.gate.lanes {
		h.gate.lanes[i].reading.Store(h.gate.limit / 4)
	}
	w := f.do("POST", "/v1/verify", `{"key":"`+f.key+`"}`)
	if p := problemOf(t, w); w.Code != 503 || p.Code != "OVERLOADED" || w.Header().Get("Retry-After") != "1" {
		t.Errorf("with a body: %d %s", w.Code, p.Code)
	}
	if w := f.do("GET", "/v1/auth", "", "X-API-Key: "+f.key); w.Code != 200 {
		t.Errorf("without a body: %d", w.Code)
	}
	for i := range h.gate.lanes {
		if n := h.gate.lanes[i].reading.Load(); n != h.gate.limit/4 {
			t.Errorf("%d are read, want %d", n, h.gate.limit/4)
		}
	}
}

// late is a body that the server's deadline cuts off.
type late struct{}

func (late) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestABodyCutOffByTheDeadlineIsNoFaultOfTheRequest(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/v1/verify", "/v1/verify/batch", "/v1/introspect", "/v1/usage"} {
		r, w := httptest.NewRequest("POST", path, late{}), httptest.NewRecorder()
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "Bearer "+f.key)
		f.ServeHTTP(w, r)
		if p := problemOf(t, w); w.Code != 503 || p.Code != "OVERLOADED" || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: %d %s", path, w.Code, p.Code)
		}
	}
}
