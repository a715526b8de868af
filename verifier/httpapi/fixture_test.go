package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
)

var now = indextest.IssuedAt.Add(time.Hour)

type spec = v1alpha1.ApiKeySpec

// fixture is the doors over an index with one key, "k", of the scopes read and write.
type fixture struct {
	http.Handler
	index *keyindex.Index
	key   string
	now   time.Time
	ready error
	note  string
}

func newFixture(t testing.TB, edits ...func(*spec)) *fixture {
	t.Helper()
	return newFixtureWith(t, nil, edits...)
}

// newFixtureWith is newFixture, with limits that are shared.
func newFixtureWith(t testing.TB, shared *verifier.SharedLimits, edits ...func(*spec)) *fixture {
	t.Helper()
	f := &fixture{index: indextest.New(), now: now}
	f.key = indextest.Issue(t, f.index, "k", append([]func(*spec){func(s *spec) {
		s.Scopes = []v1alpha1.Scope{"read", "write"}
	}}, edits...)...)
	v, err := verifier.New(verifier.Options{Index: f.index, SharedLimits: shared, Now: func() time.Time { return f.now }})
	if err != nil {
		t.Fatal(err)
	}
	f.Handler, err = NewHandler(v, Options{
		Ready:          func() error { return f.ready },
		Note:           func() string { return f.note },
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Now:            func() time.Time { return f.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// do sends a request. Headers are "Name: value".
func (f *fixture) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

// problemOf reads an error, and makes sure that it is a whole one.
func problemOf(t *testing.T, w *httptest.ResponseRecorder) problemBody {
	t.Helper()
	var p problemBody
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("the error is no JSON as promised: %v", err)
	}
	if p.Error == "" || p.Code == "" || p.RequestID == "" || p.RequestID != w.Header().Get("X-Request-Id") {
		t.Errorf("the error is not whole: %+v, X-Request-Id %q", p, w.Header().Get("X-Request-Id"))
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
	return p
}

func limited(name string) func(*spec) {
	return func(s *spec) { s.LimitRefs = indextest.Refs(name) }
}

// withKey puts a key in the place of %k.
func withKey(headers []string, key string) []string {
	var with []string
	for _, header := range headers {
		with = append(with, strings.ReplaceAll(header, "%k", key))
	}
	return with
}
