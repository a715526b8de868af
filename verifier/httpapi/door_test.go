package httpapi

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

func TestRequestIDs(t *testing.T) {
	f := newFixture(t)
	tests := map[string]struct {
		sent string
		kept bool
	}{
		"none":                   {"", false},
		"a UUID":                 {"6f1c9a52-3d7e-4c1f-9f63-0a3b4c5d6e7f", true},
		"all it may hold":        {"aZ09._-", true},
		"as long as it may be":   {strings.Repeat("a", 128), true},
		"too long":               {strings.Repeat("a", 129), false},
		"with a line break":      {"a\r\nX-Evil: 1", false},
		"with a space":           {"a b", false},
		"with a quotation mark":  {`a"b`, false},
		"with a letter too many": {"ä", false},
		"a key, by mistake":      {"ak_live_" + strings.Repeat("x", 32), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, target := range []string{"/v1/auth", "/v1/verify", "/healthz", "/nowhere", "//v1/auth"} {
				r := httptest.NewRequest("GET", "http://verifier"+target, nil)
				r.Header["X-Request-Id"] = []string{test.sent}
				w := httptest.NewRecorder()
				f.ServeHTTP(w, r)
				got := w.Header()["X-Request-Id"]
				if len(got) != 1 || !presented.ValidRequestID(got[0]) || (got[0] == test.sent) != test.kept {
					t.Errorf("%s: got %q", target, got)
				}
			}
		})
	}
	first, second := f.do("GET", "/healthz", ""), f.do("GET", "/healthz", "")
	if first.Header().Get("X-Request-Id") == second.Header().Get("X-Request-Id") {
		t.Error("two requests have the same ID")
	}
}

func TestPathsAndMethodsThereAreNot(t *testing.T) {
	f := newFixture(t)
	tests := map[string]struct {
		method, target string
		status         int
		code, allow    string
	}{
		"the root":                {"GET", "/", 404, "NOT_FOUND", ""},
		"an unknown path":         {"POST", "/v1/verifyy", 404, "NOT_FOUND", ""},
		"a path below a door":     {"GET", "/v1/auth/x", 404, "NOT_FOUND", ""},
		"a question by GET":       {"GET", "/v1/verify", 405, "METHOD_NOT_ALLOWED", "POST"},
		"a question by OPTIONS":   {"OPTIONS", "/v1/verify", 405, "METHOD_NOT_ALLOWED", "POST"},
		"a question by no method": {"BREW", "/v1/verify", 405, "METHOD_NOT_ALLOWED", "POST"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := f.do(test.method, test.target, "", "X-API-Key: "+f.key)
			if p := problemOf(t, w); w.Code != test.status || p.Code != test.code || w.Header().Get("Allow") != test.allow {
				t.Errorf("got %d %s Allow %q", w.Code, p.Code, w.Header().Get("Allow"))
			}
		})
	}
}

func TestBeforeAllKeysAreKnownNoKeyIsCalledInvalid(t *testing.T) {
	f := newFixture(t)
	f.ready = errors.New("waiting for the API server to list apikeys")
	for _, w := range []*httptest.ResponseRecorder{
		f.do("GET", "/v1/auth", "", "X-API-Key: "+f.key),
		f.do("POST", "/v1/verify", `{"key": "`+f.key+`"}`),
	} {
		if p := problemOf(t, w); w.Code != 503 || p.Code != "NOT_READY" || w.Header().Get("Retry-After") != "1" {
			t.Errorf("got %d %+v, Retry-After %q", w.Code, p, w.Header().Get("Retry-After"))
		}
	}
	if w := f.do("GET", "/readyz", ""); w.Code != 503 || w.Body.String() != "not ready: waiting for the API server to list apikeys\n" {
		t.Errorf("/readyz: %d %q", w.Code, w.Body)
	}
	if w := f.do("GET", "/healthz", ""); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("/healthz: %d %q", w.Code, w.Body)
	}
	f.ready = nil
	if w := f.do("GET", "/readyz", ""); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("/readyz afterwards: %d %q", w.Code, w.Body)
	}
	f.note = "serving from a snapshot"
	if w := f.do("GET", "/readyz", ""); w.Code != 200 || w.Body.String() != "ok (serving from a snapshot)\n" {
		t.Errorf("/readyz with a note: %d %q", w.Code, w.Body)
	}
}

// newHandler makes doors without a fixture, to look inside.
func newHandler(t *testing.T, o Options) *handler {
	t.Helper()
	v, err := verifier.New(verifier.Options{Index: keyindex.New()})
	if err != nil {
		t.Fatal(err)
	}
	doors, err := NewHandler(v, o)
	if err != nil {
		t.Fatal(err)
	}
	return doors.(*handler)
}

func TestAPanicIsAnsweredCountedAndLoggedWithoutDetails(t *testing.T) {
	const secret = "what the client sent"
	var log bytes.Buffer
	h := newHandler(t, Options{Log: funcr.New(func(_, args string) { log.WriteString(args) }, funcr.Options{Verbosity: 1})})
	h.doors["/test"] = &door{name: "test", open: func(_ *handler, x *exchange) {
		x.header.add("X-Half", "written")
		panic(secret)
	}}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/test", nil))

	if p := problemOf(t, w); w.Code != 500 || p.Code != "INTERNAL" || p.Error != "Internal error" {
		t.Errorf("got %d %+v", w.Code, p)
	}
	if w.Header().Get("X-Half") != "" {
		t.Error("a part of the answer that was not finished was sent")
	}
	if strings.Contains(log.String(), secret) || !strings.Contains(log.String(), w.Header().Get("X-Request-Id")) {
		t.Errorf("the log says %s", log.String())
	}
	if got := gather(t, h.metrics)["claviger_http_panics_total"]; got != 1 {
		t.Errorf("%v panics were counted", got)
	}
}

func TestNothingOfARequestIsLogged(t *testing.T) {
	var log bytes.Buffer
	doors := newHandler(t, Options{Log: funcr.New(func(_, args string) { log.WriteString(args + "\n") }, funcr.Options{Verbosity: 10})})
	const canary = "canary"
	for _, r := range []*http.Request{
		httptest.NewRequest("POST", "/v1/verify", strings.NewReader(`{"key": "canary"}`)),
		httptest.NewRequest("POST", "/v1/verify", strings.NewReader(`{"canary": "canary"}`)),
		httptest.NewRequest("GET", "/v1/auth?canary=canary", nil),
		httptest.NewRequest("GET", "/v1/auth?scope=canary", nil),
		httptest.NewRequest("GET", "/canary", nil),
	} {
		r.Header.Set("X-API-Key", canary)
		r.Header.Set("Authorization", "Basic "+canary)
		r.Header.Set("X-Forwarded-For", canary)
		doors.ServeHTTP(httptest.NewRecorder(), r)
	}
	if strings.Contains(log.String(), canary) || strings.Count(log.String(), "requestId") != 5 {
		t.Errorf("the log says\n%s", log.String())
	}
}

func TestRequestsAreCountedByDoorAndStatus(t *testing.T) {
	registry := prometheus.NewRegistry()
	doors := newHandler(t, Options{Log: logr.Discard(), Registerer: registry})
	doors.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/auth", nil))
	doors.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/auth", nil))
	doors.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/verify", nil))
	doors.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/any/path", nil))
	got := gather(t, registry)
	for name, want := range map[string]float64{"auth 401": 2, "verify 405": 1, "none 404": 1} {
		if got["claviger_http_request_duration_seconds "+name] != want {
			t.Errorf("%s was counted %v times, want %v: %v", name, got["claviger_http_request_duration_seconds "+name], want, got)
		}
	}
	if _, err := NewHandler(&verifier.Verifier{}, Options{Registerer: registry}); err == nil {
		t.Error("the same metrics were registered twice")
	}
}

// gather reads the metrics: the values of counters, how often histograms were observed.
func gather(t *testing.T, from any) map[string]float64 {
	t.Helper()
	registry, ok := from.(*prometheus.Registry)
	if !ok {
		registry = prometheus.NewRegistry()
		if err := from.(*metrics).register(registry); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			values[name] = metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}
